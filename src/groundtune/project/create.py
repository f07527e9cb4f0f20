"""Create a project from Python values: write its texts, its examples and groundtune.toml. Overwrites nothing."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from groundtune.common.files import digest_text, write_atomic
from groundtune.config import PROJECT_FILE, load_config
from groundtune.dataset.examples import read_examples
from groundtune.dataset.importing.convert import encode_example, encode_lines
from groundtune.errors import MissingError, UsageError
from groundtune.ingest.loaders import MEDIA_TYPES, SOURCE_CODE
from groundtune.ingest.select_files import select_files
from groundtune.project.init import literal, present_exclusions, project_file, survey
from groundtune.types import EVERYONE, Document, Example, Task

Place = str | os.PathLike[str]
Documents = Place | Mapping[str, str] | Sequence[Place | Document]
"""A folder, file or pattern, several of them, or texts: by name, as strings, or as Documents."""
Examples = Place | Sequence[Place | Example | Mapping[str, Any]]
"""A file or pattern, several of them, or the examples themselves."""

FOLDER = "documents"
"""Folder of the project that receives texts."""
EXAMPLES = "examples.jsonl"
TEXT_SUFFIXES = frozenset(
    suffix for suffix, kind in MEDIA_TYPES.items() if kind.startswith("text/") or kind.endswith(("json", "xml"))
)
"""Suffixes whose files are plain text. A text under another name gets `.md` appended."""

_FILE_ENDINGS = tuple({*MEDIA_TYPES}.difference(SOURCE_CODE))
"""A text that ends so is a file name with spaces; "Our site runs on Node.js" is none."""


@dataclass(frozen=True, slots=True)
class _Selection:
    """What goes into the project file, and the files that have to be written for it."""

    patterns: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Maps the path below the project to the content."""
    access: Mapping[tuple[str, ...], list[str]] = field(default_factory=dict)
    """Maps groups to the patterns of the documents that only they may see."""


def create_project(
    folder: Place,
    *,
    documents: Documents | None = None,
    examples: Examples | None = None,
    task: Task = "answer",
    model: str | Mapping[str, Any] | None = None,
    base_url: str | None = None,
    embedder: str | Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Path:
    """Write the project file, and the texts and examples if they are given; return its path.

    Everything is checked before anything is written; the project file is written last. The parameters are those of
    `Project.create`, which documents them. Raises UsageError, MissingError, ConfigError.
    """
    root = Path(folder).expanduser().resolve()
    file = root / PROJECT_FILE
    if file.exists():
        raise UsageError(f"{root} already has a project", hint=f'Project.open("{folder}"), or another folder')
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root} is a file", hint="give the folder of the project")
    found = survey(root) if documents is None and root.is_dir() else None
    chosen = _documents(root, documents) if documents is not None else _Selection(found.include if found else ("**/*",))
    gold = _examples(root, examples) if examples is not None else _Selection(found.examples if found else ())
    text = project_file(
        name=name or root.name or FOLDER,
        task=task,
        include=chosen.patterns,
        exclude=() if chosen.files else present_exclusions(root),
        examples=gold.patterns,
        model=_model(model, base_url),
        embedder={"kind": "local", "model": embedder} if isinstance(embedder, str) else embedder,
        access=chosen.access,
    )
    load_config(file, text=text)
    files = {**gold.files, **chosen.files}
    for path, content in gold.files.items():
        read_examples(root / path, content=content)
    _refuse_overwriting(root, files)
    try:
        for path, content in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
        write_atomic(file, text)
    except OSError as error:
        raise MissingError(f"cannot write {root}: {(error.strerror or str(error)).lower()}") from error
    return file


def _model(model: str | Mapping[str, Any] | None, base_url: str | None) -> Mapping[str, Any] | None:
    if base_url is None:
        return {"kind": "openai", "model": model} if isinstance(model, str) else model
    if not isinstance(model, str):
        raise UsageError("base_url needs the name of a model", hint='model="…", or one table with both')
    return {"kind": "openai", "model": model, "base_url": base_url}


def _documents(root: Path, documents: Documents) -> _Selection:
    if isinstance(documents, Mapping):
        return _texts([Document("", name, text) for name, text in documents.items()])
    if isinstance(documents, str | os.PathLike):
        return _Selection((_pattern(root, documents, folder_pattern="**/*"),))
    items = list(documents)
    if not items:
        raise UsageError("documents is empty", hint='give a folder, or texts like {"refunds.md": "…"}')
    given = [item for item in items if isinstance(item, Document)]
    if len(given) == len(items):
        return _texts(given)
    places = [item for item in items if isinstance(item, str | os.PathLike)]
    if len(places) < len(items):
        kinds = ", ".join(sorted({type(item).__name__ for item in items}))
        raise UsageError(f"documents is a list of {kinds}", hint="give only Documents, only texts or only paths")
    if texts := _only_texts(root, places):
        width = len(str(len(texts)))
        return _texts([Document("", f"text-{n:0{width}}.md", text) for n, text in enumerate(texts, start=1)])
    return _Selection(tuple(_pattern(root, place, folder_pattern="**/*") for place in places))


def _only_texts(root: Path, places: Sequence[Place]) -> list[str]:
    """Return the strings if all are texts: several words that name no file and match none; else an empty list."""
    texts = [place for place in places if isinstance(place, str) and _is_text(root, place)]
    return texts if len(texts) == len(places) else []


def _is_text(root: Path, value: str) -> bool:
    if "\n" in value:
        return True
    words = len(value.split()) > 1 and not value.lower().endswith(_FILE_ENDINGS)
    return words and _existing(root, value) is None and not any(select_files(root, include=[value]))


def _texts(documents: Sequence[Document]) -> _Selection:
    """Return the files for texts; groups become access rules, title and metadata become front matter."""
    if not documents:
        raise UsageError("documents is empty", hint='give texts like {"refunds.md": "…"}')
    files: dict[str, bytes] = {}
    access: dict[tuple[str, ...], list[str]] = {}
    for document in documents:
        path = f"{FOLDER}/{_file_name(document)}"
        if not isinstance(document.text, str):
            raise UsageError(f"the text of {document.source!r} is a {type(document.text).__name__}, not a string")
        if not document.text.strip():
            raise UsageError(f"the text of {document.source!r} is empty", hint="leave it out")
        if path in files:
            raise UsageError(f"two documents are named {document.source!r}", hint="give each its own name")
        files[path] = (_front_matter(document) + document.text).encode("utf-8", "replace")
        if EVERYONE not in document.groups:
            access.setdefault(tuple(document.groups), []).append(literal(path))
    return _Selection((f"{FOLDER}/**/*",), files, access)


def _file_name(document: Document) -> str:
    """Return the path of a text below the folder for texts."""
    path = PurePosixPath(document.source)
    parts = path.parts
    if not parts or path.is_absolute() or "\\" in document.source or any(part.startswith(".") for part in parts):
        raise UsageError(f"{document.source!r} cannot be the name of a document", hint='write it like "hr/leave.md"')
    front = document.title or document.metadata
    suffixes = {".md", ".markdown"} if front else TEXT_SUFFIXES
    return str(path) if path.suffix.lower() in suffixes else f"{path}.md"


def _front_matter(document: Document) -> str:
    values = {**document.metadata, **({"title": document.title} if document.title else {})}
    lines = [f"{json.dumps(key)}: {json.dumps(value)}\n" for key, value in values.items()]
    return f"---\n{''.join(lines)}---\n\n" if lines else ""


def _examples(root: Path, examples: Examples) -> _Selection:
    places = [examples] if isinstance(examples, str | os.PathLike) else list(examples)
    paths = [place for place in places if isinstance(place, str | os.PathLike)]
    if not places:
        raise UsageError("examples is empty", hint='give rows like {"input": "…", "output": "…"}, or leave it out')
    if len(paths) == len(places):
        return _Selection(tuple(_pattern(root, path) for path in paths))
    rows = [place for place in places if isinstance(place, Example | Mapping)]
    if len(rows) < len(places):
        kinds = ", ".join(sorted({type(place).__name__ for place in places}))
        raise UsageError(f"examples is a list of {kinds}", hint="give only rows or only paths")
    return _Selection((EXAMPLES,), {EXAMPLES: encode_lines(_example_lines(rows))})


def _example_lines(rows: Iterable[Example | Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line per row. A row without an id gets a digest of its input and history, as imported rows do."""
    copies: Counter[str] = Counter()
    for row in rows:
        if isinstance(row, Example):
            yield encode_example(row)
            continue
        values = dict(row)
        if "id" not in values:
            earlier = json.dumps(values["history"], ensure_ascii=False, default=str) if values.get("history") else ""
            digest = digest_text(f"{values.get('input')}{earlier}")[:16]
            copies[digest] += 1
            values = {"id": digest if copies[digest] == 1 else f"{digest}-{copies[digest]}", **values}
        try:
            yield json.dumps(values, ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise UsageError(f"an example is not JSON: {error}", hint="use strings, lists and objects") from None


def _pattern(root: Path, place: Place, *, folder_pattern: str | None = None) -> str:
    """Return the pattern of a file, folder or pattern below the project, given relative to it or to this process.

    folder_pattern: what to select in a folder; None: a folder is refused.
    Raises UsageError if it is elsewhere, MissingError if there is nothing.
    """
    text = os.fspath(place)
    if path := _existing(root, text):
        inside = _relative(root, path)
        if path.is_dir():
            if folder_pattern is None:
                raise UsageError(f"{text} is a folder", hint="give the file")
            return folder_pattern if inside == "." else f"{literal(inside)}/{folder_pattern}"
        return literal(inside)
    if not any(char in text for char in "*?[{"):
        hint = 'paths are relative to the project; to index a text, give it a name: {"refunds.md": "…"}'
        raise MissingError(f"no file or folder {text!r} in {root}", hint=hint)
    return _relative(root, Path(text)) if Path(text).is_absolute() or ".." in Path(text).parts else text


def _existing(root: Path, text: str) -> Path | None:
    """Return the file or folder of this name below the project, else below the working directory."""
    try:
        path = Path(text).expanduser()
        return next((full for full in (root / path, Path.cwd() / path) if full.exists()), None)
    except (OSError, ValueError, RuntimeError):  # too long for a name, a null byte, an unknown home
        return None


def _relative(root: Path, path: Path) -> str:
    """Return the path relative to the project. Raises UsageError if it is outside."""
    for full in (Path(os.path.abspath(root / path)), (root / path).resolve()):  # noqa: PTH100 (resolve follows links)
        if full.is_relative_to(root):
            return full.relative_to(root).as_posix()
    raise UsageError(
        f"{path} is outside the project folder {root}",
        hint="copy it below that folder, create the project in a folder above it, or add a [sources.NAME] table to "
        f"{PROJECT_FILE}",
    )


def _refuse_overwriting(root: Path, files: Mapping[str, bytes]) -> None:
    """Raise UsageError if a file exists with other content, or the folder for texts holds other files."""
    for name, content in files.items():
        path = root / name
        if path.exists() and not (path.is_file() and path.read_bytes() == content):
            raise UsageError(f"{path} already exists", hint="choose another folder, or delete it")
    if any(name.startswith(f"{FOLDER}/") for name in files):
        others = [path for path in (root / FOLDER).rglob("*") if path.is_file()]
        strange = [path for path in others if path.relative_to(root).as_posix() not in files]
        if strange:
            raise UsageError(
                f"{root / FOLDER} already holds other files, such as {strange[0].name}",
                hint="choose another folder for the project, or delete them",
            )
