"""`GET /passages/ID`: the page that shows a cited passage in its document, for those who may read it."""

import html

from fastapi import APIRouter, Request
from fastapi.responses import Response

from groundtune.display.answers import place
from groundtune.ingest.originals import has_page_images
from groundtune.serve.api.wire_citations import passage_url
from groundtune.serve.doors.callers import caller_of
from groundtune.serve.errors import RequestRefusedError, refused
from groundtune.serve.pages.frame import filled, framed, sign_in_page
from groundtune.serve.pages.page_images import image_html
from groundtune.serve.serving import By
from groundtune.types import Document, Passage

SHOWN = 100_000
"""Characters of the document that are shown before the passage and after it."""

router = APIRouter(include_in_schema=False)


@router.get("/passages/{passage_id}", response_model=None)
async def show_passage(passage_id: str, request: Request, serving: By) -> Response:
    """Show a passage in its document. The same 404 whether it does not exist or the caller may not read it."""
    try:
        caller = await caller_of(request)
    except RequestRefusedError as error:
        if error.reply.status != 401:
            raise
        return sign_in_page(next_=passage_url("", passage_id))
    async with serving.live.lease() as project:
        found = await project.apassage(passage_id, groups=caller.groups)
    if found is None:
        raise refused("there is no such passage, or you may not read it", status=404)
    passage, document = found
    title = document.title or document.source
    texts = {"title": title, "place": place(passage.source, passage.heading, passage.page)}
    raw = {"text": passage_html(passage, document)}
    content = filled("passage.html", raw, **texts)
    return framed(request, caller, content, title=title, kind="in-document", scripts=("document.js",))


def _looks(passage: Passage, document: Document) -> str:
    """Return the page of a passage as it looks, which is drawn once somebody opens it; nothing for other formats."""
    if passage.page is None or not has_page_images(document):
        return ""
    picture = image_html(document.source, passage.page, lazy=True)
    return f'<details class="looks"><summary>Page {passage.page:,} as it looks</summary>{picture}</details>'


def passage_html(passage: Passage, document: Document) -> str:
    """Return the text of the document as HTML: the passage marked by its offsets, a line where each page begins.

    Above the passage of a PDF its page can be opened as it looks.
    """
    first, last = max(0, passage.start - SHOWN), min(len(document.text), passage.end + SHOWN)
    before = text_with_pages(document, first, passage.start)
    marked = text_with_pages(document, passage.start, passage.end)
    after = text_with_pages(document, passage.end, last)
    mark = f'<mark id="passage" tabindex="-1" autofocus>{marked}</mark>'
    return left_out(first) + before + _looks(passage, document) + mark + after + left_out(len(document.text) - last)


def text_with_pages(document: Document, start: int, end: int) -> str:
    """Return a piece of the text, escaped, with a line where each of its pages begins."""
    pieces, position = [], start
    for number, offset in enumerate(document.pages, start=1):
        if start <= offset < end:
            pieces.append(html.escape(document.text[position:offset]))
            pieces.append(f'<span class="page">page {number}</span>')
            position = offset
    return "".join([*pieces, html.escape(document.text[position:end])])


def left_out(characters: int) -> str:
    return f'<span class="left-out">… {characters:,} characters left out …</span>' if characters > 0 else ""
