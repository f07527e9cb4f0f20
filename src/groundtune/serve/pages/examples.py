"""`GET /examples`: all examples of the project for operators, and the drafted ones to decide about, one key each.

A decision is in the file when the reply comes. It names the draft as the page showed it: where the file says something
else by now, nothing is changed.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from groundtune.common.text import storable
from groundtune.dataset.new_examples import DRAFTED, KnownInputs
from groundtune.dataset.reviewing import Decision, decide, is_rejected, is_unreviewed
from groundtune.project import Project
from groundtune.serve.doors.roles import Operator
from groundtune.serve.errors import refused, told_in_full
from groundtune.serve.pages.frame import EXAMPLES, show
from groundtune.serve.serving import By
from groundtune.types import Document, Example, Review, Split
from groundtune.workflows.listing_examples import ExampleList, ExampleState, ListedFile, Origin, origin_of, state_of
from groundtune.workflows.reviewing import change_draft, draft_version, shown_draft

SHOWN = 100
"""Examples on a page of the list."""
LONGEST = 20_000
"""Characters of a question or an answer."""
Text = Annotated[str, Field(max_length=LONGEST)]

router = APIRouter(include_in_schema=False)


class Draft(BaseModel):
    """Names a draft."""

    model_config = ConfigDict(extra="forbid")

    file: Text
    id: Text


class NextDraft(BaseModel):
    """Asks for the next draft that nobody looked at, or for the one that is named."""

    model_config = ConfigDict(extra="forbid")

    skip: list[Draft] = []
    draft: Draft | None = None


class DraftDecision(BaseModel):
    """What an operator decided about a draft."""

    model_config = ConfigDict(extra="forbid")

    file: Text
    id: Text
    version: Text
    """Of the draft as it was shown."""
    state: Literal["accepted", "edited", "rejected", "undecided"]
    """`undecided` takes a decision back, with `input` and `output` as they were before."""
    input: Text | None = None
    output: Text | None = None
    """None: the documents do not answer it."""


@router.get("/examples", response_model=None)
async def show_examples(request: Request) -> Response:
    """Show the page, or the one that asks for a key."""
    return await show(request, EXAMPLES)


@router.get("/api/examples")
async def list_examples(
    request: Request,
    serving: By,
    operator: Operator,
    origin: Origin | None = None,
    state: ExampleState | None = None,
    split: Split | None = None,
    search: str = "",
    page: Annotated[int, Query(ge=1)] = 1,
) -> dict[str, Any]:
    """Return the examples with an origin, a state, a split and a text, a page of them; and how many there are."""
    with told_in_full():
        async with serving.live.lease() as project:
            files = await _files(request, project)
    return await asyncio.to_thread(_listed, files, origin, state, split, search, page)


@router.post("/api/examples/next")
async def next_draft(body: NextDraft, request: Request, serving: By, operator: Operator) -> dict[str, Any]:
    """Return the draft that comes next with what stands around its quotes; null when none is left."""
    with told_in_full():
        async with serving.live.lease() as project:
            drafts = [(file, draft) for file in await _files(request, project) for draft in _drafts(file)]
            left = sum(is_unreviewed(draft) for _, draft in drafts)
            skipped = {(each.file, each.id) for each in body.skip}
            if body.draft is not None:
                named = (body.draft.file, body.draft.id)
                found = next(((file, each) for file, each in drafts if (file.name, each.id) == named), None)
            else:
                waiting = ((file, each) for file, each in drafts if is_unreviewed(each))
                found = next(((file, each) for file, each in waiting if (file.name, each.id) not in skipped), None)
            return {"left": left, "draft": None if found is None else await _draft(project, *found)}


@router.post("/api/examples/decide")
async def decide_draft(body: DraftDecision, request: Request, serving: By, operator: Operator) -> dict[str, Any]:
    """Record a decision about a draft in its file."""
    if body.state in ("edited", "undecided") and not (body.input or "").strip():
        raise refused("an edited draft needs its question", param="input")
    with told_in_full():
        async with serving.live.lease() as project:
            files = await _files(request, project)
            if body.file not in {file.name for file in files}:
                raise refused(f"there is no file of examples {body.file!r}", status=404)
            parts = project.workspace, project.root / body.file, body.id
            change = _change(body, operator.name)
            changed = await asyncio.to_thread(change_draft, *parts, version=body.version, change=change)
            near = None
            if body.state == "edited":
                near = await asyncio.to_thread(_near, files, body.file, changed, project.config.language)
    return {
        "id": changed.id,
        "state": state_of(changed),
        "split": changed.split,
        "version": draft_version(changed),
        "near": None if near is None else {"id": near.id, "split": near.split},
    }


def _near(files: Sequence[ListedFile], name: str, draft: Example, language: str) -> Example | None:
    """Return an example of another split that asks nearly the same as a draft; None without one."""
    others = (
        example
        for file in files
        for example in file.examples
        if example.split != draft.split and not is_rejected(example) and (file.name, example.id) != (name, draft.id)
    )
    return KnownInputs(others, language=language).near(draft.input, draft.history)


def _change(body: DraftDecision, by: str) -> Callable[[Example], Example]:
    """Return what a decision does to a draft."""
    question, answer = storable(body.input or "").strip(), storable(body.output or "").strip() or None
    if body.state == "undecided":
        return lambda draft: replace(draft, review=None, input=question, output=_output(draft, answer))
    review = Review(body.state, by, datetime.now(UTC).isoformat(timespec="seconds"))
    return lambda draft: decide(draft, Decision(draft.id, review, question, answer))


def _output(draft: Example, answer: str | None) -> Any:
    """Return an answer as it was before an edit; an output that is no text stays, since no edit changes it."""
    return answer if draft.output is None or isinstance(draft.output, str) else draft.output


async def _files(request: Request, project: Project) -> list[ListedFile]:
    listed: ExampleList = request.app.state.examples
    patterns, beside = project.config.examples.files, [project.config.review.file]
    return await asyncio.to_thread(listed.files, project.root, patterns, beside=beside)


def _drafts(file: ListedFile) -> Iterator[Example]:
    return (example for example in file.examples if example.origin == DRAFTED)


async def _draft(project: Project, file: ListedFile, draft: Example) -> dict[str, Any]:
    documents: dict[str, Document | None] = {}
    for proof in draft.evidence:
        documents[proof.source] = await project.adocument(proof.source)
    return {
        **shown_draft(draft, documents.get),
        "output": _text(draft.output),
        "file": file.name,
        "used": file.used,
        "split": draft.split,
        "state": state_of(draft),
        "groups": draft.groups,
        "version": draft_version(draft),
    }


def _listed(
    files: Sequence[ListedFile],
    origin: Origin | None,
    state: ExampleState | None,
    split: Split | None,
    search: str,
    page: int,
) -> dict[str, Any]:
    every = [(file, example) for file in files for example in file.examples]
    sought = search.casefold()
    found = [
        (file, example)
        for file, example in every
        if origin in (None, origin_of(example))
        and state in (None, state_of(example))
        and split in (None, example.split)
        and (not sought or sought in f"{example.id}\n{example.input}\n{_text(example.output) or ''}".casefold())
    ]
    origins = Counter(origin_of(example) for _, example in every)
    states = Counter(state_of(example) for _, example in every)
    splits = Counter(example.split for _, example in every)
    return {
        "files": [
            {"name": file.name, "used": file.used, "examples": len(file.examples), "problems": file.problems}
            for file in files
        ],
        "examples": len(every),
        "origins": {name: origins[name] for name in get_args(Origin)},
        "states": {name: states[name] for name in get_args(ExampleState)},
        "splits": {name: splits[name] for name in get_args(Split)},
        "rows": [_row(file, example) for file, example in found[(page - 1) * SHOWN : page * SHOWN]],
        "found": len(found),
        "page": page,
        "pages": max(1, -(-len(found) // SHOWN)),
    }


def _row(file: ListedFile, example: Example) -> dict[str, Any]:
    return {
        "file": file.name,
        "id": example.id,
        "input": example.input,
        "output": _text(example.output),
        "origin": origin_of(example),
        "from": example.origin,
        "split": example.split,
        "state": state_of(example),
        "by": example.review.by if example.review else None,
        "time": example.review.time if example.review else None,
        "tags": example.tags,
        "groups": example.groups,
    }


def _text(output: Any) -> str | None:
    """Return an output as people read it: the first of equally right ones, JSON for an object."""
    if isinstance(output, list):
        output = output[0]
    return output if output is None or isinstance(output, str) else json.dumps(output, ensure_ascii=False)
