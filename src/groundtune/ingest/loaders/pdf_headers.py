"""Remove what repeats at the edges of pages: headers, footers, page numbers. Leaves everything between the edges
unchanged.
"""

import re
from collections import Counter
from collections.abc import Sequence

from groundtune.ingest.loaders.pdf_types import Line, Page

_EDGE = 3
"""Lines at the top and at the bottom of a page that may be header or footer."""
_ZONE = 0.14
"""Share of the page height that header and footer may take, each."""
_NUMBER = re.compile(r"\d+|\b[ivxlc]+\b", re.IGNORECASE)
_PAGE_NUMBER = re.compile(r"[-–—|\s]*(page|seite|p\.)?\s*\d{1,4}\s*((of|von|/)\s*\d{1,4})?[-–—|\s]*", re.IGNORECASE)
_LABELLED_NUMBER = re.compile(
    r"\b(page|seite)\s*\d{1,4}\s*(of|von|/)\s*\d{1,4}$|^(page|seite)\s*\d{1,4}$", re.IGNORECASE
)
_MAX_LINE = 100


def without_headers_and_footers(pages: Sequence[Page]) -> list[Page]:
    """Return the pages without running headers, footers and page numbers.

    From each edge inwards, drop lines that most pages share, numbers aside, or that state the page number; stop at the
    first other line.
    """
    large = 1.12 * _body_size(pages)
    edges = [edge for page in pages for edge in _edges(page)]
    counts = Counter(key for edge in edges for key in {_key(line, large) for line in edge})
    least = max(2, 0.5 * len(pages))
    frame: set[int] = set()
    for edge in edges:
        for line in edge:
            repeated = len(pages) > 1 and counts[_key(line, large)] >= least
            if not repeated and not _is_page_number(line, len(pages)):
                break
            frame.add(id(line))
    return [Page([line for line in page.lines if id(line) not in frame], page.width, page.height) for page in pages]


def _body_size(pages: Sequence[Page]) -> float:
    weight: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            weight[line.size] += len(line.text)
    return weight.most_common(1)[0][0] if weight else 0.0


def _edges(page: Page) -> tuple[list[Line], list[Line]]:
    """Return the lines nearest to the top and to the bottom, the outermost first."""
    ordered = sorted(page.lines, key=lambda line: -line.top)
    top = [line for line in ordered[:_EDGE] if line.bottom > (1 - _ZONE) * page.height]
    bottom = [line for line in reversed(ordered[-_EDGE:]) if line.top < _ZONE * page.height]
    return top, bottom


def _key(line: Line, large: float) -> str:
    """Return the text with numbers masked. Numbers in large type are kept, because `Chapter 1`, `Chapter 2` is not a
    running header.
    """
    return line.text if line.size >= large else _NUMBER.sub("#", line.text).lower()


def _is_page_number(line: Line, pages: int) -> bool:
    if len(line.text) <= _MAX_LINE and _LABELLED_NUMBER.search(line.text):
        return True
    return pages > 1 and bool(_PAGE_NUMBER.fullmatch(line.text))
