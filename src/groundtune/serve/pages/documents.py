"""`GET /documents`: the ledger of the index for operators, the state of the documents, and what they leave open.

The state and the open questions are looked at when somebody asks for them, since that takes a while on thousands of
files, and kept until the index changes or the day ends. Changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from groundtune.corpus.contradictions import Contradiction
from groundtune.corpus.gaps import TITLES, GapsReport
from groundtune.corpus.report import DocumentsReport
from groundtune.ingest.notes import describe_note, note_kind, summarize_notes
from groundtune.serve.doors.roles import Operator
from groundtune.serve.errors import told_in_full
from groundtune.serve.pages.frame import DOCUMENTS, show
from groundtune.serve.serving import By
from groundtune.types import FileRow

State = Literal["all", "indexed", "notes", "skipped", "failed"]
SHOWN = 100
"""Files on a page of the list."""
QUESTION_DAYS = 28
COUNTED = ("indexed", "notes", "skipped", "failed")
T = TypeVar("T")

router = APIRouter(include_in_schema=False)


class Looked:
    """Reports about the documents that take a while, each kept as long as what it was made from is the same."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._kept: dict[str, tuple[object, object]] = {}

    async def report(self, kind: str, basis: object, look: Callable[[], Awaitable[T]]) -> T:
        """Return a report; `look` makes it, one at a time, where there is none of this kind for this basis."""
        async with self._turn:
            if kind not in self._kept or self._kept[kind][0] != basis:
                self._kept[kind] = (basis, await look())
            found: Any = self._kept[kind][1]
            return found  # type: ignore[no-any-return]


@router.get("/documents", response_model=None)
async def show_documents(request: Request) -> Response:
    """Show the page, or the one that asks for a key."""
    return await show(request, DOCUMENTS)


@router.get("/api/documents")
async def list_files(
    serving: By, operator: Operator, state: State = "all", search: str = "", page: Annotated[int, Query(ge=1)] = 1
) -> dict[str, Any]:
    """Return the files of the ledger in a state whose name contains a text, a page of them; and the counts of all."""
    with told_in_full():
        async with serving.live.lease() as project:
            rows = await project.aledger()
    return await asyncio.to_thread(_listed, rows, state, search.casefold(), page)


@router.get("/api/documents/state")
async def state_of_documents(request: Request, serving: By, operator: Operator) -> dict[str, Any]:
    """Return what is worth mending in the documents: versions, contradictions, stale, unused, empty, enormous."""
    with told_in_full():
        async with serving.live.lease() as project:
            examples = await asyncio.to_thread(project.session.examples)
            basis = await project.aindex_version(), date.today(), examples
            return _state(await _looked(request).report("state", basis, project.acheck_documents))


@router.get("/api/documents/questions")
async def open_questions(request: Request, serving: By, operator: Operator) -> dict[str, Any]:
    """Return what people ask and the documents leave open, as far as the groups of the operator reach."""
    with told_in_full():
        async with serving.live.lease() as project:
            hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
            basis = await project.aindex_version(), hour, operator.groups
            look = partial(project.agaps, groups=operator.groups, days=QUESTION_DAYS)
            return _gaps(await _looked(request).report("questions", basis, look))


def _listed(rows: Sequence[FileRow], state: State, search: str, page: int) -> dict[str, Any]:
    named = [row for row in rows if search in row.source.casefold()]
    found = [row for row in named if state in ("all", *_states(row))]
    return {
        "counts": {name: sum(name in _states(row) for row in named) for name in COUNTED},
        "named": len(named),
        "files": len(rows),
        "passages": sum(row.passages for row in rows),
        "notes": [asdict(summary) for summary in summarize_notes(rows)],
        "rows": [_row(row) for row in found[(page - 1) * SHOWN : page * SHOWN]],
        "found": len(found),
        "page": page,
        "pages": max(1, -(-len(found) // SHOWN)),
    }


def _looked(request: Request) -> Looked:
    looked = request.app.state.looked
    assert isinstance(looked, Looked)
    return looked


def _states(row: FileRow) -> tuple[str, ...]:
    """Return the states of a file by which it is counted and found."""
    return (row.status, "notes") if row.notes else (row.status,)


def _row(row: FileRow) -> dict[str, Any]:
    notes = [
        {"text": describe_note(note), "sort": note_kind(note.kind).sort, "fix": note_kind(note.kind).fix}
        for note in row.notes
    ]
    fields = ("source", "status", "reason", "documents", "passages", "groups")
    return {name: getattr(row, name) for name in fields} | {"notes": notes}


def _state(report: DocumentsReport) -> dict[str, Any]:
    return {
        "summary": report.summary,
        "questions": report.questions,
        "contradictions": [_contradiction(pair) for pair in report.contradictions],
        "versions": [asdict(pair) for pair in report.versions],
        "outdated": [_contradiction(pair) for pair in report.outdated],
        "stale": [asdict(stale) for stale in report.stale],
        "unused": None if report.unused is None else [asdict(file) for file in report.unused],
        "sizes": [asdict(odd) for odd in report.sizes],
    }


def _contradiction(pair: Contradiction) -> dict[str, Any]:
    statements = [
        {"source": said.source, "text": said.text, "heading": said.heading} for said in (pair.first, pair.second)
    ]
    return {"differing": pair.differing, "statements": statements}


def _gaps(report: GapsReport) -> dict[str, Any]:
    return {**asdict(report), "summary": report.summary, "titles": dict(TITLES)}
