"""Pages without what repeats at their edges: running headers, footers, page numbers. Never empties the body of a page."""

import re
from collections import Counter
from collections.abc import Sequence

from groundtune.ingest.loaders.pdf_layout import Line, Page

_EDGE = 3
"""Lines at the top and at the bottom of a page that may belong to its frame."""
_ZONE = 0.14
"""Share of the page's height that the frame may take at each edge."""
_NUMBER = re.compile(r"\d+|\b[ivxlc]+\b", re.IGNORECASE)
_PAGE_NUMBER = re.compile(r"[-–—|\s]*(page|seite|p\.)?\s*\d{1,4}\s*((of|von|/)\s*\d{1,4})?[-–—|\s]*", re.IGNORECASE)
_SAID_PAGE = re.compile(r"(page|seite)\s*\d{1,4}(\s*(of|von|/)\s*\d{1,4})?|\d{1,4}\s*(/|of|von)\s*\d{1,4}", re.IGNORECASE)


def without_frame(pages: Sequence[Page]) -> list[Page]:
    """A line at an edge goes when most pages have it, numbers aside, or when it is the page's number."""
    edges = [_edge_lines(page) for page in pages]
    counts = Counter(key for lines in edges for key in {_key(page, line) for page, line in lines})
    least = max(2, 0.5 * len(pages))
    cleaned = []
    for page, lines in zip(pages, edges, strict=True):
        frame = {
            id(line)
            for _, line in lines
            if (len(pages) > 1 and counts[_key(page, line)] >= least) or _is_page_number(line, len(pages))
        }
        kept = [line for line in page.lines if id(line) not in frame]
        cleaned.append(Page(kept if kept or not page.lines else [], page.width, page.height))
    return cleaned


def _edge_lines(page: Page) -> list[tuple[Page, Line]]:
    ordered = sorted(page.lines, key=lambda line: -line.top)
    top = [line for line in ordered[:_EDGE] if line.bottom > (1 - _ZONE) * page.height]
    bottom = [line for line in ordered[-_EDGE:] if line.top < _ZONE * page.height]
    return [(page, line) for line in {id(one): one for one in top + bottom}.values()]


def _key(page: Page, line: Line) -> tuple[str, bool]:
    """The text with its numbers blanked, and the edge at which it stands."""
    return _NUMBER.sub("#", line.text).lower(), line.bottom > page.height / 2


def _is_page_number(line: Line, pages: int) -> bool:
    if _SAID_PAGE.fullmatch(line.text):
        return True
    return pages > 1 and bool(_PAGE_NUMBER.fullmatch(line.text))
