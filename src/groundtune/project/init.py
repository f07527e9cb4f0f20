"""Survey a folder, and write its first groundtune.toml. Opens only JSONL files, and overwrites nothing unasked."""

import glob
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from groundtune.advice.situation import Situation
from groundtune.common.files import write_atomic
from groundtune.config import PROJECT_FILE, load_config
from groundtune.errors import MissingError, UsageError
from groundtune.ingest.loaders import SOURCE_CODE, is_readable
from groundtune.ingest.select_files import select_files
from groundtune.types import Task

EXCLUDED = (
    "node_modules", "venv", "env", "__pycache__", "site-packages", "*.egg-info", "dist", "build", "target", "vendor",
    "~$*", "*.tmp", "*.bak",
)  # fmt: skip
"""Names that are never documents. Hidden names (.git, .venv) are skipped anyway."""
HEAD_ROWS = 2_000
"""Rows read from an examples file to recognise the task."""
_MOST_PATTERNS = 8
_NO_CHAT = re.compile(
    r"embed|whisper|tts|dall|image|audio|realtime|moderation|rerank|transcribe|sora|babbage|davinci|codex|search|bge|minilm"
)


@dataclass(frozen=True, slots=True)
class Survey:
    """Contents of a folder."""

    kinds: Mapping[str, int]
    """Number of files by extension that groundtune reads, most first."""
    others: Mapping[str, int]
    """Number of files by extension that it does not read."""
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    """Names of EXCLUDED that occur in the folder."""
    examples: tuple[str, ...]
    task: Task


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The model for a new project file."""

    model: str
    base_url: str
    api_key_env: str | None = None


def survey(root: Path, within: str = "") -> Survey:
    """Survey the file names of a folder, and look for examples in JSONL files. Skips what cannot be read.

    within: path below the root; only what is in there counts as documents.
    """
    below = f"{within}/" if within else ""
    kinds: Counter[str] = Counter()
    others: Counter[str] = Counter()
    folders: dict[str, Counter[str]] = {}
    examples: list[str] = []
    rows: list[Mapping[str, Any]] = []
    for path in select_files(root, include=["**/*"], exclude=EXCLUDED):
        source, suffix = path.relative_to(root).as_posix(), path.suffix.lower()
        if suffix == ".jsonl" and (head := _examples(path)):
            examples.append(source)
            rows += head
            continue
        if not source.startswith(below):
            continue
        (kinds if _is_document(suffix) else others)[suffix] += 1
        inner = source.removeprefix(below)
        folders.setdefault(inner.split("/")[0] if "/" in inner else "", Counter())[suffix] += 1
    return Survey(
        kinds=dict(kinds.most_common()),
        others=dict(others.most_common()),
        include=tuple(literal(below) + pattern for pattern in _include(folders)),
        exclude=present_exclusions(root),
        examples=tuple(source for source in examples if _is_text(source)),
        task=recognise_task(rows),
    )


def recognise_task(rows: Sequence[Mapping[str, Any]]) -> Task:
    """Guess the task from examples; `answer` when there are none."""
    outputs = [row["output"] for row in rows if row.get("output") is not None]
    if not outputs or any(row.get("evidence") for row in rows):
        return "answer"
    if all(isinstance(output, dict) for output in outputs):
        return "extract"
    texts = [output for output in outputs if isinstance(output, str)]
    if len(texts) < len(outputs):
        return "answer"
    if len(texts) >= 10 and len(set(texts)) <= max(2, len(texts) // 5) and max(map(len, texts)) <= 80:
        return "classify"
    return "write" if median(map(len, texts)) > 400 else "answer"


def choose_model(kind: str, models: Sequence[str]) -> str | None:
    """Choose one of the models that an endpoint lists, or None when none of them generates text."""
    usable = [model for model in models if not _NO_CHAT.search(model.lower())]
    if kind != "OpenAI":
        return usable[0] if usable else None
    small = [(tuple(map(int, match[1].split("."))), model) for model in usable if (match := _SMALL.fullmatch(model))]
    return max(small)[1] if small else next((model for model in usable if model.startswith("gpt-")), None)


_SMALL = re.compile(r"gpt-(\d+(?:\.\d+)?)-mini")


def project_file(
    *,
    name: str,
    task: Task = "answer",
    include: Sequence[str] = ("**/*",),
    exclude: Sequence[str] = (),
    examples: Sequence[str] = (),
    model: ModelChoice | Mapping[str, Any] | None = None,
    embedder: Mapping[str, Any] | None = None,
    access: Mapping[tuple[str, ...], Sequence[str]] | None = None,
    requirements: Mapping[str, Any] | None = None,
    costs: Mapping[str, Any] | None = None,
) -> str:
    """Return the commented text of groundtune.toml. Without a model, the project answers with verbatim quotes.

    model, embedder: the table, not validated. access: maps groups to the patterns of the documents that they may see.
    Raises UsageError when a value of a table cannot be written as TOML.
    """
    return "\n".join(
        (
            "# groundtune project file. Every key has a default; `groundtune check` validates the file.",
            "",
            "# Shown in reports and answers.",
            f"name = {_quoted(name)}",
            "",
            "# answer (with citations), classify (one of a few labels), extract (a JSON object) or write (free text)",
            f"task = {_quoted(task)}",
            "",
            "[documents]",
            "# * and ? match within one name, ** spans folders, {md,pdf} matches either.",
            f"include = {_list(include)}",
            f"exclude = {_list(exclude)}",
            "",
            "# Documents that only some groups may see. Documents without a rule are open to everyone.",
            *_access_tables(access or {}),
            "",
            *_examples_table(examples),
            "",
            *_model_table(model),
            "",
            *([*_table("embedder", embedder), ""] if embedder else []),
            "# Requirements that a recommended approach must meet.",
            *(
                _table("requirements", requirements)
                if requirements
                else (
                    "# [requirements]",
                    "# citations = true",
                    "# min_quality = 0.8              # least mean of the score that decides",
                    "# max_asserted_wrong = 0.05      # wrong answers without a word of doubt",
                    "# max_p95_seconds = 2.0",
                    '# residency = "local"            # or the hosts that text may be sent to: ["api.example.com"]',
                )
            ),
            "",
            "# Used to estimate costs.",
            *(
                _table("costs", costs)
                if costs
                else (
                    "# [costs]",
                    "# requests_per_month = 10_000",
                    '# documents_change = "weekly"    # daily, weekly, monthly, quarterly, yearly, never',
                )
            ),
            "",
        )
    )


def write_project_file(
    root: Path,
    contents: Survey,
    *,
    name: str,
    task: Task | None = None,
    model: ModelChoice | Mapping[str, Any] | None = None,
    requirements: Mapping[str, Any] | None = None,
    costs: Mapping[str, Any] | None = None,
) -> Path:
    """Write the project file for what a folder holds, over one that is there; return its path.

    task: None: the one that its examples suggest. Raises ConfigError for a value that the project file cannot have,
    MissingError when the folder cannot be written to.
    """
    path = root / PROJECT_FILE
    text = project_file(
        name=name,
        task=task or contents.task,
        include=contents.include,
        exclude=contents.exclude,
        examples=contents.examples,
        model=model,
        requirements=requirements,
        costs=costs,
    )
    load_config(path, environ={}, text=text)
    try:
        write_atomic(path, text)
    except OSError as error:
        raise MissingError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from error
    return path


def write_advised_project(root: Path, situation: Situation) -> Path:
    """Write a project file for what a folder holds and a situation asks for. Raises UsageError if there is one."""
    path = root / PROJECT_FILE
    if path.exists():
        raise UsageError(f"{path} already exists", hint="groundtune advise without --write")
    requirements = {
        "citations": situation.citations or None,
        "max_p95_seconds": situation.latency_seconds,
        "residency": "local" if situation.residency == "local" else None,
    }
    costs = {
        "requests_per_month": situation.requests_per_month or None,
        "documents_change": situation.knowledge_changes,
    }
    return write_project_file(
        root,
        survey(root),
        name=root.name or "documents",
        task=situation.task,
        requirements={key: value for key, value in requirements.items() if value is not None},
        costs={key: value for key, value in costs.items() if value is not None},
    )


def _examples_table(examples: Sequence[str]) -> tuple[str, ...]:
    about = (
        "# Questions with their gold answers, one JSON object per line:",
        '# {"id": "q1", "input": "…", "output": "…", "evidence": [{"source": "docs/a.md", "quote": "…"}]}',
    )
    if examples:
        return (*about, "[examples]", f"files = {_list(examples)}")
    return (*about, "# [examples]", '# files = ["examples.jsonl"]')


def _access_tables(access: Mapping[tuple[str, ...], Sequence[str]]) -> list[str]:
    rules = access.items() or ((("hr",), ("hr/**",)),)
    lines = [
        line
        for groups, patterns in rules
        for line in ("[[documents.access]]", f"include = {_list(patterns)}", f"groups = {_list(groups)}")
    ]
    return lines if access else [f"# {line}" for line in lines]


def _table(name: str, values: Mapping[str, Any]) -> list[str]:
    return [f"[{name}]", *(f"{_key(key)} = {_value(key, value)}" for key, value in values.items())]


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _quoted(key)


def _value(key: str, value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(key, item) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_key(inner)} = {_value(inner, item)}' for inner, item in value.items())}}}"
    raise UsageError(f"{key} = {value!r} cannot be written in {PROJECT_FILE}", hint="leave out keys without a value")


def _model_table(model: ModelChoice | Mapping[str, Any] | None) -> tuple[str, ...]:
    if model is None:
        return (
            "# The model that writes answers. Without it, answers are verbatim quotes and nothing leaves this machine.",
            "# [models.default]",
            '# kind = "openai"                # any OpenAI-compatible endpoint: Ollama, vLLM, OpenAI, …',
            '# model = "…"',
            '# base_url = "http://localhost:11434/v1"',
            '# api_key_env = "OPENAI_API_KEY" # name of an environment variable, never the key itself',
        )
    if isinstance(model, Mapping):
        return ("# The model that writes answers.", *_table("models.default", model))
    key = [f"api_key_env = {_quoted(model.api_key_env or '')}  # name of an environment variable, never the key itself"]
    return (
        "# The model that writes answers. Questions and retrieved passages are sent to this address.",
        "[models.default]",
        'kind = "openai"  # any OpenAI-compatible endpoint',
        f"model = {_quoted(model.model)}",
        f"base_url = {_quoted(model.base_url)}",
        *(key if model.api_key_env else []),
    )


def _quoted(text: str) -> str:
    text = text.encode("utf-8", "replace").decode()
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(texts: Sequence[str]) -> str:
    line = f"[{', '.join(map(_quoted, texts))}]"
    return line if len(line) <= 90 else "[\n" + "".join(f"    {_quoted(text)},\n" for text in texts) + "]"


def _include(folders: Mapping[str, Counter[str]]) -> tuple[str, ...]:
    """Return a pattern per top folder with documents, or one for everything when there are many or none."""
    patterns = []
    for folder, suffixes in sorted(folders.items()):
        readable = sorted(suffix[1:] for suffix in suffixes if _is_document(suffix))
        if not readable:
            continue
        if not _is_text(folder):
            return ("**/*",)
        few = sum(suffixes[f".{suffix}"] for suffix in readable) * 5 < suffixes.total()
        ending = f"*.{readable[0]}" if len(readable) == 1 else f"*.{{{','.join(readable)}}}"
        names = ending if few or not folder else "*"
        patterns.append(f"{literal(folder)}/**/{names}" if folder else names)
    return tuple(patterns) if 0 < len(patterns) <= _MOST_PATTERNS else ("**/*",)


def _is_document(suffix: str) -> bool:
    """Whether files of this suffix are proposed; source code is read only where a pattern names it."""
    return suffix not in SOURCE_CODE and is_readable(suffix)


def literal(name: str) -> str:
    """Return a pattern that matches the name. Braces and backslashes have no escape and match any one character."""
    return re.sub(r"[{}\\]", "?", glob.escape(name))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name.isprintable()


def present_exclusions(root: Path) -> tuple[str, ...]:
    """Return the names of EXCLUDED in the folder or directly below its subfolders; those of editors always."""
    names: set[str] = set()
    try:
        top = list(islice(root.iterdir(), 10_000))
        names.update(path.name for path in top)
        for path in top[:100]:
            if path.is_dir() and not path.name.startswith("."):
                names.update(inner.name for inner in islice(path.iterdir(), 1000))
    except OSError:
        pass
    return tuple(name for name in EXCLUDED if name in names or "~" in name)


def _examples(path: Path) -> list[Mapping[str, Any]]:
    """Return the first rows of an examples file; empty if it is not one."""
    rows: list[Mapping[str, Any]] = []
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in islice(file, HEAD_ROWS):
                if line.strip():
                    row = json.loads(line)
                    if not (isinstance(row, dict) and "input" in row and ("output" in row or "evidence" in row)):
                        return []
                    rows.append(row)
    except (OSError, ValueError, RecursionError):
        return rows  # `check` reports a broken row further down
    return rows
