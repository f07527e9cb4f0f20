"""Say in words what the notes of the ledger mean, and add up those of several documents or files."""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from groundtune.common.text import format_count
from groundtune.ingest.parsed import MOST_PLACES
from groundtune.note import Note
from groundtune.types import FileRow

Sort = Literal["lost", "guessed", "left out"]
INDEXED_WITH_NOTES = "indexed with notes"
"""What people read as the status of a file with notes; for programs it is `indexed`, with notes."""
SHOWN = 3
"""Places, or files, that a sentence names."""


@dataclass(frozen=True, slots=True)
class NoteKind:
    """What a kind of note means."""

    sort: Sort
    one: str
    many: str
    fix: str


@dataclass(frozen=True, slots=True)
class NoteSummary:
    """The notes of one kind over all files."""

    kind: str
    sort: Sort
    count: int
    files: int
    text: str
    """On one line, with the first files and what to do."""


def note_kind(kind: str) -> NoteKind:
    """Return the meaning of a kind; one that a package added is read as its name says, and as lost."""
    if known := _kinds().get(kind):
        return known
    name = kind.replace("_", " ")
    return NoteKind("lost", name, name, "")


def merge_notes(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Return one note per kind, in the order of their first appearance."""
    merged: dict[str, Note] = {}
    for note in notes:
        before = merged.get(note.kind, Note(note.kind, 0))
        merged[note.kind] = Note(
            note.kind,
            before.count + note.count,
            tuple(sorted({*before.pages, *note.pages})),
            tuple(dict.fromkeys((*before.places, *note.places)))[:MOST_PLACES],
        )
    return tuple(merged.values())


def describe_note(note: Note) -> str:
    """Return the note in words: `3 pages without a text layer (pages 2–4)`."""
    kind = note_kind(note.kind)
    where = [_page_ranges(note.pages)] if note.pages else []
    where += [_listed(note.places)] if note.places else []
    counted = format_count(note.count, kind.one, kind.many)
    return f"{counted} ({'; '.join(where)})" if where else counted


def describe_notes(notes: Sequence[Note]) -> str | None:
    """Return the notes of one file in words, each with what to do; None without notes."""
    return "; ".join(describe_note(note) + _fix(note.kind) for note in notes) or None


def summarize_notes(rows: Iterable[FileRow]) -> list[NoteSummary]:
    """Return one summary per kind over all files, what was lost first, what was left out last."""
    by_kind: dict[str, list[tuple[str, Note]]] = {}
    for row in rows:
        for note in row.notes:
            by_kind.setdefault(note.kind, []).append((row.source, note))
    order: list[Sort] = ["lost", "guessed", "left out"]
    kinds = sorted(by_kind, key=lambda kind: order.index(note_kind(kind).sort))
    return [_summary(kind, by_kind[kind]) for kind in kinds]


def _summary(kind: str, noted: Sequence[tuple[str, Note]]) -> NoteSummary:
    meaning, count = note_kind(kind), sum(note.count for _, note in noted)
    counted = format_count(count, meaning.one, meaning.many)
    named = [f"{source} ({_page_ranges(note.pages)})" if note.pages else source for source, note in noted]
    left_out = " left out" if meaning.sort == "left out" else ""
    return NoteSummary(kind, meaning.sort, count, len(noted), f"{counted}{left_out}: {_listed(named)}{_fix(kind)}")


def _fix(kind: str) -> str:
    fix = note_kind(kind).fix
    return f"; {fix}" if fix else ""


def _listed(names: Sequence[str]) -> str:
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _page_ranges(pages: Sequence[int]) -> str:
    """Return page numbers in words: `page 2`, `pages 2–4, 9`."""
    ranges: list[list[int]] = []
    for page in pages:
        if ranges and page == ranges[-1][-1] + 1:
            ranges[-1][1:] = [page]
        else:
            ranges.append([page])
    texts = ["–".join(map(str, ends)) for ends in ranges]
    shown = ", ".join(texts[: 2 * SHOWN]) + (", …" if len(texts) > 2 * SHOWN else "")
    return f"{'page' if len(pages) == 1 else 'pages'} {shown}"


@cache
def _kinds() -> dict[str, NoteKind]:
    table = tomllib.loads((files("groundtune.ingest") / "note_kinds.toml").read_text("utf-8"))
    return {name: NoteKind(**values) for name, values in table.items()}
