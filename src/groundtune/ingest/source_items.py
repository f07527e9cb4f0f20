"""Turn what sources outside the project folder report into items to index, or reasons why one cannot be.

The catalog keeps a row per item, with the source `NAME:ID`; a row `NAME:#…` for each item without a usable id, and a
row `NAME:` while the source fails. Writes nothing.
"""

import json
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from groundtune.common.files import digest_bytes, digest_file, digest_text
from groundtune.errors import GroundtuneError
from groundtune.ingest.access_rules import stricter
from groundtune.ingest.parsed import ParsedDocument, clean_line
from groundtune.ingest.scan import ScannedFile, Scanner, os_reason
from groundtune.protocols import Source
from groundtune.types import FileRow, SourceChanges, SourceItem

_MARK = '["item", '
"""Begins the signature of every row that belongs to a source."""
LONGEST_ID = 500


@dataclass(frozen=True, slots=True)
class ConfiguredSource:
    """A source of the project file."""

    name: str
    settings: str
    """Digest of its kind and options: a cursor is valid only with the settings under which it was returned."""
    open: Callable[[], Source]
    """Makes the source; whatever it raises is a failure of the source."""


@dataclass(slots=True)
class SourcePlan:
    """What one call to a source asks for."""

    pending: list[ScannedFile] = field(default_factory=list)
    touched: list[FileRow] = field(default_factory=list)
    """Rows of unchanged items."""
    listed: set[str] = field(default_factory=set)
    """Sources of all items that were reported."""
    removed: set[str] = field(default_factory=set)


def is_item(row: FileRow) -> bool:
    """Whether a row belongs to a source outside the project folder, rather than to a file."""
    return row.signature is not None and row.signature.startswith(_MARK)


def owner(source: str, row: FileRow | None) -> str | None:
    """Return the name of the source that an item belongs to; None for a file. row: None if there is none yet."""
    name, colon, _ = source.partition(":")
    return name if colon and (row is None or is_item(row)) else None


def failure_row(name: str, reason: str) -> FileRow:
    """Return the row of a source that failed."""
    return FileRow(f"{name}:", "failed", reason, signature=_signature((), ""))


def failed_source(row: FileRow) -> str | None:
    """Return the name of the source if the row says that it failed, else None."""
    return row.source[:-1] if row.source.endswith(":") and is_item(row) else None


def is_rejected(source: str) -> bool:
    """Whether a row of a source stands for an item without a usable id."""
    return source.partition(":")[2].startswith("#")


def groups_changed(source: str, row: FileRow, ruled: Callable[[str], tuple[str, ...]]) -> bool:
    """Whether the access rules now give an item other groups than when it was indexed."""
    if is_rejected(source) or failed_source(row):
        return False
    return row.groups != stricter(json.loads(row.signature or "")[1], ruled(source))


def encode_cursor(settings: str, cursor: str | None) -> str:
    return json.dumps([settings, cursor])


def decode_cursor(saved: str | None) -> tuple[str | None, str | None]:
    """Return the digest of the settings and the cursor; None for what is unknown."""
    if saved is None:
        return None, None
    settings, cursor = json.loads(saved)
    return settings, cursor


async def read_changes(source: Source, cursor: str | None) -> SourceChanges:
    """Call the source. Raises GroundtuneError for a result of the wrong type, and whatever the source raises."""
    changes = await source.changes(cursor)
    if not isinstance(changes, SourceChanges):
        raise GroundtuneError(f"changes() returned {type(changes).__name__}, not SourceChanges")
    if not isinstance(changes.cursor, str | None):
        raise GroundtuneError(f"the cursor is {_type(changes.cursor)}, not text")
    if changes.more and changes.cursor in (None, cursor):
        raise GroundtuneError("changes() says that there is more, but returned no new cursor")
    items = tuple(changes.items)
    for item in items:
        if not isinstance(item, SourceItem):
            raise GroundtuneError(f"changes() returned an item that is {_type(item)}, not SourceItem")
    return replace(changes, items=items)


def failure_reason(error: Exception) -> str:
    """Return why a source failed, on one line."""
    text = " ".join(str(error).split())[:500]
    if isinstance(error, GroundtuneError):
        return f"{text} ({error.hint})" if error.hint else text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def plan_changes(
    name: str,
    changes: SourceChanges,
    *,
    known: Mapping[str, FileRow],
    reread: Collection[str],
    scanner: Scanner,
) -> SourcePlan:
    """Compare reported items with the catalog; read the files of those with a path that may have changed.

    reread: items to read again whatever the catalog says.
    """
    plan = SourcePlan()
    for item in changes.items:
        file = _scan_item(name, item, plan.listed, scanner)
        if file.source in plan.listed:
            continue  # an id that was reported a third time
        plan.listed.add(file.source)
        row = None if file.source in reread else known.get(file.source)
        if _unchanged(row, file) and row:
            plan.touched.append(replace(row, signature=file.signature))
        else:
            plan.pending.append(file)
    plan.removed = {f"{name}:{item}" for item in changes.removed} - plan.listed
    return plan


def _unchanged(row: FileRow | None, file: ScannedFile) -> bool:
    """Whether an item is as it was when it was indexed; reads the file of an item with a path if it may not be."""
    same_place = row is not None and row.groups == file.groups and row.status != "failed" and not file.reason
    if file.item is not None and file.item.path is not None and not file.reason:
        if row and same_place and row.signature == file.signature:
            return True
        try:
            file.digest = _digest(file.item, f"{digest_file(file.path)}{file.loader}")
        except OSError as error:
            file.reason, file.failed = os_reason(error), True
            return False
    return row is not None and same_place and row.digest == file.digest


@contextmanager
def readable_paths(files: Sequence[ScannedFile]) -> Iterator[list[Path]]:
    """Yield where to read each file; an item without a path is in a temporary folder until the block ends."""
    with ExitStack() as stack:
        folder: str | None = None
        paths = []
        for number, file in enumerate(files):
            if file.item is None or file.item.path is not None:
                paths.append(file.path)
                continue
            folder = folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="groundtune-"))
            paths.append(Path(folder, f"{number}{file.path.suffix}"))
            paths[-1].write_bytes(_content(file.item))
        yield paths


def described(parsed: ParsedDocument, item: SourceItem | None) -> ParsedDocument:
    """Return the document with the title and metadata of the item that it was read from; rows keep their own title."""
    if item is None:
        return parsed
    title = parsed.title if parsed.row_id is not None and parsed.title else clean_line(item.title or "") or parsed.title
    return replace(parsed, title=title, metadata={**parsed.metadata, **item.metadata})


def _content(item: SourceItem) -> bytes:
    return item.content if item.content is not None else (item.text or "").encode()


def _scan_item(name: str, item: SourceItem, listed: set[str], scanner: Scanner) -> ScannedFile:
    if reason := _bad_id(item.id):
        key = digest_text(repr(item.id))[:12]
        return _rejected(f"{name}:#{key}", f"its id {_excerpt(item.id)} {reason}")
    source = f"{name}:{item.id}"
    if source in listed:
        return _rejected(f"{name}:#{item.id}", "the source reported this id twice; the first one is indexed")
    if reason := _bad_fields(item):
        return _rejected(source, reason)
    groups = stricter(item.groups, scanner.groups_for(source))
    if item.path is not None:
        file = scanner.inspect(item.path, source)
        file.signature = _signature(item.groups, f"{file.signature} {_digest(item, '')}")
    else:
        data = _content(item)
        file = ScannedFile(Path(f"item{_suffix(item)}"), source, len(data), _signature(item.groups, ""), groups)
        parser = scanner.parser_for(source, file.path.suffix.lower())
        file.parser, file.loader = parser.name, parser.version
        file.digest, file.reason = _digest(item, f"{digest_bytes(data)}{file.loader}"), scanner.too_large(len(data))
    file.item, file.groups = item, groups
    if reason := scanner.withheld(source):
        file.reason, file.failed = reason, True
    elif reason := scanner.forgotten.why_not(source):
        file.reason = reason
    elif not groups:
        file.reason, file.failed = "no group may read it: the source and [[documents.access]] share none", True
    return file


def _rejected(source: str, reason: str) -> ScannedFile:
    return ScannedFile(Path("item"), source, 0, _signature((), ""), (), reason=reason, failed=True)


def _bad_id(item_id: Any) -> str | None:
    """Return why an id cannot be used, worded to follow it; None if it can."""
    if not isinstance(item_id, str):
        return f"is {_type(item_id)}, not text"
    if not item_id.strip():
        return "is empty"
    if not item_id.isprintable():
        return "has characters that cannot be printed"
    if "#" in item_id:
        return 'has a "#", which separates a file from its rows'
    return f"is longer than {LONGEST_ID} characters" if len(item_id) > LONGEST_ID else None


def _bad_fields(item: SourceItem) -> str | None:
    """Return why an item cannot be read, or None."""
    if sum(part is not None for part in (item.text, item.content, item.path)) != 1:
        return "needs exactly one of text, content and path"
    if item.content is not None and item.name is None:
        return "its content needs a name, whose suffix says how to read it"
    kinds = (
        ("text", item.text, str),
        ("content", item.content, bytes),
        ("path", item.path, Path),
        ("name", item.name, str),
        ("title", item.title, str),
    )
    for key, value, kind in kinds:
        if value is not None and not isinstance(value, kind):
            return f"its {key} is {_type(value)}, not {kind.__name__}"
    metadata: object = item.metadata
    groups: object = item.groups
    if not isinstance(metadata, Mapping):
        return f"its metadata is {_type(metadata)}, not a mapping"
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            return f"its metadata {_excerpt(key)} is {_type(value)}, not text"
    if not isinstance(groups, tuple) or not all(isinstance(group, str) and group for group in groups):
        return "its groups are not a tuple of names"
    if not groups:
        return "it has no groups, so nobody may read it"
    for text in filter(None, (item.text, item.title, *item.metadata, *item.metadata.values(), *item.groups)):
        if not _encodable(text):
            return "its text is not valid Unicode"
    return None


def _suffix(item: SourceItem) -> str:
    """Return the suffix that says how to read an item; plain text without a name."""
    if item.name is None:
        return ".txt"
    suffix = Path(item.name.replace("\0", "")).suffix
    return suffix if len(suffix) <= 20 else ""


def _digest(item: SourceItem, content: str) -> str:
    """Return a digest of everything in an item but its groups. content: digest of the bytes."""
    about = [content, _suffix(item) if item.path is None else "", item.title, sorted(item.metadata.items())]
    return digest_text(json.dumps(about))


def digest_of_file_item(content: str) -> str:
    """Return the digest of an item that is a file and has neither title nor metadata, as in a folder elsewhere.

    content: digest of its bytes, with the version of the loader that reads it.
    """
    return _digest(SourceItem("", path=Path()), content)


def _signature(groups: tuple[str, ...], rest: str) -> str:
    """Return the signature of a row. groups: those that the source gave, to see whether access rules change them."""
    return json.dumps(["item", list(groups), rest])


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _type(value: Any) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"


def _excerpt(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
