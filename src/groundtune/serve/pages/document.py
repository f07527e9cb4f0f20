"""`GET /document`: one file of the index for operators, by its pages, its text or its passages. Changes nothing."""

import asyncio
import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from groundtune import build
from groundtune.common.text import format_count, one_line
from groundtune.ingest.notes import INDEXED_WITH_NOTES, describe_note, note_kind
from groundtune.ingest.originals import SENTENCES, has_page_images, original_of
from groundtune.project import Project
from groundtune.serve.errors import refused, told_in_full
from groundtune.serve.pages.frame import DOCUMENTS, entered, filled, framed
from groundtune.serve.pages.page_images import image_html
from groundtune.serve.pages.passages import text_with_pages
from groundtune.serve.serving import By
from groundtune.types import EVERYONE, Document, FileRow, Passage

View = Literal["pages", "text", "passages"]
CHARACTERS = 100_000
"""Characters of a text that are shown at once."""
SHOWN = 100
"""Passages, or rows of a table file, that are shown at once."""
CURRENT = ' aria-current="true"'
escape = html.escape

router = APIRouter(include_in_schema=False)


@router.get("/document", response_model=None)
async def show_document(
    request: Request, serving: By, source: str, view: View | None = None, page: Annotated[int, Query(ge=1)] = 1
) -> Response:
    """Show a file of the ledger, or a row of a table file. page: of the PDF, or the part of what is long."""
    caller = await entered(request, DOCUMENTS)
    if isinstance(caller, Response):
        return caller
    with told_in_full():
        async with serving.live.lease() as project:
            shown = await _shown(project, source, view, page)
    return framed(
        request, caller, shown.content, title=shown.title, kind="one-document", scripts=("document.js",), here=DOCUMENTS
    )


@dataclass(frozen=True, slots=True)
class _Shown:
    title: str
    content: str


async def _shown(project: Project, source: str, view: View | None, page: int) -> _Shown:
    ledger = {row.source: row for row in await project.aledger()}
    row = ledger.get(source) or ledger.get(source.partition("#")[0])
    if row is None:
        raise refused("there is no such document in the index", status=404)
    folders = build.source_folders(project.config, project.root)
    original = await asyncio.to_thread(original_of, row, project.root, folders)
    told = _facts(row) + _notices(row, original.state)
    document = await project.adocument(source)
    if document is None:  # a table file, or one that is not indexed
        rows = await project.adocuments(source, start=(page - 1) * SHOWN, limit=SHOWN)
        content = _rows(rows) + _steps(page, -(-row.documents // SHOWN), _Place(source, None).url)
        return _filled(source, source, told=told, content=content if rows else "")
    drawn = has_page_images(document) and original.state == "same"
    view = view or ("pages" if drawn else "text")
    here = _Place(source, view)
    if view == "passages":
        content = _passages(await project.apassages(source), page, here)
    elif view == "pages" and document.pages:
        content = _page(document, page, here, drawn=drawn)
    else:
        content = _text(document, page, here)
    told += _metadata(document.metadata)
    return _filled(document.title or source, source, told=told, views=_views(document, row, here), content=content)


@dataclass(frozen=True, slots=True)
class _Place:
    """A document, and how it is shown."""

    source: str
    view: View | None

    def url(self, page: int) -> str:
        """Return the address of a page, or part, of it."""
        view = {"view": self.view} if self.view else {}
        number = {"page": str(page)} if page > 1 else {}
        return f"/document?{urlencode({'source': self.source, **view, **number})}"


def _filled(title: str, source: str, *, told: str, content: str, views: str = "") -> _Shown:
    raw = {"told": told, "views": views, "content": content}
    return _Shown(title, filled("document.html", raw, title=title, source=source))


def _facts(row: FileRow) -> str:
    state = INDEXED_WITH_NOTES if row.notes else row.status
    access = "everyone" if EVERYONE in row.groups else ", ".join(row.groups) or "nobody"
    facts = [("State", state), ("May be read by", access), ("Passages", f"{row.passages:,}")]
    if row.documents > 1:
        facts.append(("Rows", f"{row.documents:,}"))
    pairs = "".join(f"<div><dt>{name}</dt><dd><bdi>{escape(value)}</bdi></dd></div>" for name, value in facts)
    return f'<dl class="about">{pairs}</dl>'


def _notices(row: FileRow, state: str) -> str:
    """Return why the file is not indexed, or not as it is now, and what is not in its text."""
    told = [row.reason] if row.reason else []
    if row.status == "indexed" and state in ("changed", "gone"):
        told.append(SENTENCES[state])  # type: ignore[index]
    notes = []
    for note in row.notes:
        fix = note_kind(note.kind).fix
        notes.append(describe_note(note) + (f"; {fix}" if fix else ""))
    problems = "".join(f'<p class="notice">{escape(_sentence(text))}</p>' for text in told)
    items = "".join(f"<li>{escape(text)}</li>" for text in notes)
    return problems + (f'<h2 class="small-head">Not in its text</h2><ul class="points">{items}</ul>' if items else "")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."


def _metadata(metadata: Mapping[str, str]) -> str:
    pairs = "".join(
        f"<div><dt><bdi>{escape(key)}</bdi></dt><dd><bdi>{escape(value)}</bdi></dd></div>"
        for key, value in metadata.items()
    )
    return f'<details><summary>Metadata</summary><dl class="fields">{pairs}</dl></details>' if pairs else ""


def _views(document: Document, row: FileRow, here: _Place) -> str:
    passages = format_count(row.passages, "passage") if row.documents == 1 else "Passages"
    labels: dict[View, str] = {"text": "Text", "passages": passages[:1].upper() + passages[1:]}
    if document.pages:
        labels = {"pages": format_count(len(document.pages), "page"), **labels}
    links = "".join(
        f'<a href="{escape(_Place(here.source, view).url(1))}"'
        f"{CURRENT if view == here.view else ''}>{escape(label)}</a>"
        for view, label in labels.items()
    )
    return f'<nav class="views" aria-label="Ways to show it">{links}</nav>'


def _page(document: Document, page: int, here: _Place, *, drawn: bool) -> str:
    """Return a page as it looks, where it can be drawn, beside its text."""
    page = min(page, len(document.pages))
    start, end = document.pages[page - 1], (*document.pages, len(document.text))[page]
    text = escape(document.text[start:end].strip("\n")) or '<span class="left-out">No text on this page.</span>'
    picture = f"<figure>{image_html(document.source, page)}</figure>" if drawn else ""
    body = f'<div class="document" dir="auto">{text}</div>'
    return _steps(page, len(document.pages), here.url, noun="Page") + f'<div class="spread">{picture}{body}</div>'


def _text(document: Document, part: int, here: _Place) -> str:
    parts = max(1, -(-len(document.text) // CHARACTERS))
    start = (min(part, parts) - 1) * CHARACTERS
    text = text_with_pages(document, start, min(len(document.text), start + CHARACTERS))
    return _steps(part, parts, here.url) + f'<div class="document" dir="auto">{text}</div>'


def _passages(passages: Sequence[Passage], part: int, here: _Place) -> str:
    parts = max(1, -(-len(passages) // SHOWN))
    first = (min(part, parts) - 1) * SHOWN
    listed = "".join(_passage(passage) for passage in passages[first : first + SHOWN])
    return _steps(part, parts, here.url) + f'<ol class="pieces">{listed}</ol>'


def _passage(passage: Passage) -> str:
    page = None if passage.page is None else f"page {passage.page:,}"
    facts = [passage.heading.replace(" > ", " › "), page, format_count(len(passage.text), "character")]
    told = " · ".join(fact for fact in facts if fact)
    number = f'<p class="kicker"><b>{passage.ordinal + 1:,}</b> <bdi>{escape(told)}</bdi></p>'
    return f'<li>{number}<div class="document" dir="auto">{escape(passage.text)}</div></li>'


def _rows(documents: Sequence[Document]) -> str:
    """Return the rows of a table file as a list, each leading to its page."""
    items = []
    for document in documents:
        name = document.title or document.source.partition("#")[2] or document.source
        link = f'<a href="{escape(_Place(document.source, None).url(1))}"><bdi>{escape(name)}</bdi></a>'
        items.append(f'<li>{link}<p class="soft" dir="auto">{escape(one_line(document.text, most=200))}</p></li>')
    return f'<ol class="rows">{"".join(items)}</ol>'


def _steps(part: int, parts: int, url: Callable[[int], str], *, noun: str = "Part") -> str:
    """Return the way to the page before and after; nothing where there is only one."""
    part = min(part, parts)

    def links() -> Iterator[str]:
        for number, relation, arrow in ((part - 1, "prev", "← Previous"), (part + 1, "next", "Next →")):
            if 1 <= number <= parts:
                yield f'<a rel="{relation}" href="{escape(url(number))}">{arrow}</a>'
            else:
                yield f'<span class="soft">{arrow}</span>'

    before, after = links()
    if parts <= 1:
        return ""
    where = f'<span class="where">{noun} {part:,} of {parts:,}</span>'
    return f'<nav class="steps" aria-label="{noun}s of this document">{before}{where}{after}</nav>'
