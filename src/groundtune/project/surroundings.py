"""Look at a folder for what `groundtune advise` need not ask: documents, their changes, examples. Writes nothing."""

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from groundtune.advice.situation import Changes
from groundtune.common.text import format_count
from groundtune.config import PROJECT_FILE, Config, load_config
from groundtune.dataset.examples import find_examples
from groundtune.decide.wording import join_names
from groundtune.errors import ConfigError
from groundtune.ingest.loaders import is_readable
from groundtune.ingest.select_files import select_files
from groundtune.languages.detection import detect
from groundtune.project.example_files import ExampleFiles
from groundtune.project.init import survey
from groundtune.types import Example

BYTES_PER_TOKEN = 4
PLAIN = {".md", ".txt", ".rst", ".adoc", ".html", ".htm", ".csv", ".tsv", ".json", ".xml", ".yaml", ".yml", ".eml"}
"""Suffixes of files whose size says how much text they hold."""
TEXT = {".md", ".txt", ".rst", ".adoc"}
"""Suffixes of files in which little but text stands."""
SAMPLE, SAMPLE_BYTES = 10, 2_000
"""Files whose beginning says in which language the documents are, and how much of it is read."""
HISTORY = "1 year"
SHORTEST_HISTORY_DAYS = 60
"""Days that a repository must be old before its history says how often documents change."""
PACE: Sequence[tuple[float, Changes]] = ((2.0, "daily"), (10.0, "weekly"), (45.0, "monthly"), (150.0, "quarterly"))
"""Mean number of days between days with changes, up to which the documents change so often; yearly from there on."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a folder shows."""

    answers: dict[str, Any]
    """Answers to questions of `groundtune advise`."""
    seen: tuple[str, ...]
    """The same for people, with what it was concluded from."""
    commands: tuple[str, ...]
    """What to run next, as far as the folder decides it."""


def look_around(root: Path) -> Surroundings:
    """Look at a folder, with or without a project file. Raises ConfigError for one that cannot be read."""
    file = root / PROJECT_FILE
    config = load_config(file) if file.is_file() else None
    answers: dict[str, Any] = {}
    seen: list[str] = []
    if config is None:
        contents = survey(root)
        include, exclude, task = contents.include, contents.exclude, contents.task
        example_patterns: tuple[str, ...] = contents.examples
    else:
        include, exclude, task = config.documents.include, config.documents.exclude, config.task
        example_patterns = config.examples.files
        _configured(config, answers, seen)
    examples = _examples(root, example_patterns, seen)
    with_examples = set(find_examples(root, example_patterns))
    found = select_files(root, include=include, exclude=exclude) if include else ()
    documents = [path for path in found if path not in with_examples and is_readable(path.suffix.lower())]
    _documents(root, documents, answers, seen)
    seen += _languages(documents, "english" if config is None else config.language)
    if examples:
        answers["labelled_examples"] = len(examples)
        seen.append(_describe(examples))
        answers["task"] = task
    seen.append(_machine())
    return Surroundings(answers, tuple(seen), _commands(config, documents, examples))


def _configured(config: Config, answers: dict[str, Any], seen: list[str]) -> None:
    """Read what the project file says."""
    answers["task"] = config.task
    seen.append(f"task {config.task}, from {PROJECT_FILE}")
    if config.requirements.citations:
        answers["citations"] = True
    if config.requirements.max_p95_seconds is not None:
        answers["latency_seconds"] = config.requirements.max_p95_seconds
    if config.requirements.residency is not None:
        answers["residency"] = "local"
    if config.costs.requests_per_month is not None:
        answers["requests_per_month"] = config.costs.requests_per_month
    if config.costs.documents_change is not None:
        answers["knowledge_changes"] = config.costs.documents_change
    if config.documents.access:
        answers["access_rules"] = True
        seen.append(f"{format_count(len(config.documents.access), 'access rule')}")
    model = config.models["default"]
    place = f" at {urlsplit(model.base_url).hostname}" if model.base_url else ""
    seen.append(f"model: {model.model or 'none, answers are verbatim quotes'}{place}")


def _documents(root: Path, documents: Sequence[Path], answers: dict[str, Any], seen: list[str]) -> None:
    """Count the documents, estimate their length, and see in their history how often they change."""
    if not documents:
        return
    kinds = Counter(path.suffix.lower()[1:] for path in documents)
    names = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(4))
    seen.append(f"{format_count(len(documents), 'document')} ({names})")
    if all(path.suffix.lower() in PLAIN for path in documents):
        answers["document_tokens"] = sum(path.stat().st_size for path in documents) // BYTES_PER_TOKEN
        seen.append(f"about {answers['document_tokens']:,} tokens of text")
    if "knowledge_changes" not in answers and (pace := _pace(root, documents)):
        answers["knowledge_changes"], line = pace
        seen.append(line)


def _languages(documents: Sequence[Path], expected: str) -> Iterator[str]:
    """Say in which languages texts among the documents are. expected: that of the project file."""
    texts = [path for path in documents if path.suffix.lower() in TEXT]
    found: Counter[str] = Counter()
    for path in texts[:: max(1, len(texts) // SAMPLE)][:SAMPLE]:
        with path.open("rb") as file:
            found[detect(file.read(SAMPLE_BYTES).decode("utf-8", "replace"), expected) or "another one"] += 1
    if found:
        names = [name for name, _ in found.most_common()]
        other = f', but language = "{expected}" is set' if names[0] != expected != "english" else ""
        yield f"language{'s' if len(names) > 1 else ''} of the texts: {join_names(names)}{other}"


def _machine() -> str:
    cores = format_count(os.cpu_count() or 1, "core")
    try:
        memory = f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB of memory"
    except (AttributeError, OSError, ValueError):  # Windows
        memory = ""
    return f"this machine: {cores}{memory}, {'an' if shutil.which('nvidia-smi') else 'no'} NVIDIA GPU"


def _pace(root: Path, documents: Sequence[Path]) -> tuple[Changes, str] | None:
    """Return how often the documents changed, from git; None without a history that is long enough."""
    git = shutil.which("git")
    if git is None:
        return None
    names = [str(path.relative_to(root)) for path in documents[:1_000]]
    command = [git, "-C", str(root), "log", f"--since={HISTORY}", "--format=%ct", "--", *names]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    days = sorted({datetime.fromtimestamp(int(line), UTC).date() for line in done.stdout.split()})
    if len(days) < 2 or (span := (_today() - days[0]).days) < SHORTEST_HISTORY_DAYS:
        return None
    gap = span / (len(days) - 1)
    changes: Changes = next((word for limit, word in PACE if gap <= limit), "yearly")
    return changes, f"documents changed on {len(days)} days of the last {span} (git): {changes}"


def _today() -> date:
    return datetime.now(UTC).date()


def _examples(root: Path, patterns: Sequence[str], seen: list[str]) -> list[Example]:
    """Read the examples; those that cannot be read are said, and count as none."""
    try:
        return ExampleFiles(root, patterns).read() if patterns else []
    except ConfigError as error:
        seen.append(f"examples in {', '.join(patterns)} cannot be read: {error.problems[0].message}")
        return []


def _describe(examples: Sequence[Example]) -> str:
    line = format_count(len(examples), "example")
    labels = Counter(example.output for example in examples if isinstance(example.output, str))
    if len(examples) >= 20 and labels and len(labels) <= len(examples) // 5:
        rarest = min(labels.values())
        return f"{line} with {len(labels)} labels, {rarest} of the rarest"
    with_evidence = sum(bool(example.evidence) for example in examples)
    return f"{line}, {with_evidence} with evidence" if with_evidence else line


def _commands(config: Config | None, documents: Sequence[Path], examples: Sequence[Example]) -> tuple[str, ...]:
    """Return the commands that bring this folder to a measured answer, in order."""
    commands = [] if config is not None else ["groundtune init"]
    if config is None and not documents and not examples:
        return ("groundtune init", "groundtune costs")
    if documents:
        commands.append("groundtune ingest")
    if not examples and documents:
        commands.append("groundtune examples draft -n 200")
    if documents and (config is None or config.task == "answer"):
        commands.append("groundtune evaluate")
    if examples or documents:
        commands.append("groundtune compare")
    return (*commands, "groundtune costs")
