"""Take running headers, footers and page numbers out of the pages of a PDF, and keep each header and footer once.

What differs from page to page by more than the page number is content, wherever it stands.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from groundtune.ingest.loaders.pdf_tables import aligned_cells
from groundtune.ingest.loaders.pdf_types import Line, Page, Segment

_ZONE = 0.14
"""Share of the page height that header and footer may take, each."""
_TIED = 0.75
"""White space to the next line, in font sizes, below which a line belongs to the text there."""
_TIED_CELLS = 1.5
"""The same between the names of columns and the first row."""
_DRIFT = 3.0
"""Points by which a header may move from page to page."""
_NEAR = 2
"""Pages between two that have the same header: it may stand on every second page."""
_PAGE_WORD = (
    r"(?:page|pagina|página|pág|pag|pg|p|seite|blatt|s|sida|side|sivu|strona|strana|stránka|str|oldal|sayfa|trang"
    r"|halaman|страница|стр|σελίδα|عمود|صفحة|עמוד|ページ|頁|页|第)\.?"
)
_OF = r"(?:/|of|von|de|di|du|sur|van|av|af|ze?|od|из|of|dari|מתוך|من)"
_NUMBER = r"(?P<number>\d{1,4}|\b[ivxlc]{1,7}\b)"
_TOTAL = rf"(?:\s*{_OF}\s*(?P<total>\d{{1,4}}))?(?P<counted>\s*(?:页|頁|ページ))?"
_BAR = r"[|·•–—\[\]()\s-]"
_ALONE = re.compile(rf"{_BAR}*(?P<word>{_PAGE_WORD})?\s*{_NUMBER}{_TOTAL}{_BAR}*", re.IGNORECASE)
_AT_END = re.compile(
    rf"(?P<rest>.*?[^\s,|·•–—-])(?:[\s,]*(?:[|·•–—]|\s-\s)\s*(?P<word>{_PAGE_WORD})?|[\s,]+(?P<worded>{_PAGE_WORD}))"
    rf"\s*{_NUMBER}{_TOTAL}",
    re.IGNORECASE,
)
_AT_START = re.compile(
    rf"(?P<word>{_PAGE_WORD})?\s*{_NUMBER}{_TOTAL}\s*(?:[|·•–—]|\s-\s)\s*(?P<rest>\S.*)", re.IGNORECASE
)
_ROMAN = re.compile(r"(?=.)(xc|xl|l?x{0,3})(ix|iv|v?i{0,3})", re.IGNORECASE)


def without_headers_and_footers(pages: Sequence[Page]) -> list[Page]:
    """Return the pages without page numbers, and with what else repeats unchanged only where it stands first."""
    edges = [_edge_rows(page) for page in pages]
    _drop_page_numbers(edges)
    _drop_repeated(edges)
    return [_remaining(page, rows) for page, rows in zip(pages, edges, strict=True)]


@dataclass(slots=True)
class _Row:
    """What stands at one height near the edge of a page."""

    lines: list[Line]
    at_top: bool
    white: float
    """Height of the white space between it and the next row inwards."""
    heads_table: bool
    """Whether it names the columns of a table on the next row."""
    segments: list[tuple[Line, Segment]]
    """What is left of it, from left to right."""
    edge: float
    """Distance from the edge of the page."""
    kept: str | None = None
    """Its text if it is a header or footer that stands here first; empty where it only repeats."""
    numbered: bool = False
    """Whether the number of the page was taken out."""

    @property
    def is_tied(self) -> bool:
        """Whether it belongs to the next row inwards."""
        return self.white < (_TIED_CELLS if self.heads_table else _TIED) * max(line.size for line in self.lines)

    def is_content(self, repeated: set[int]) -> bool:
        return bool(self.segments) and id(self) not in repeated

    @property
    def text(self) -> str:
        return " ".join(segment.text for _, segment in self.segments)


def _edge_rows(page: Page) -> list[_Row]:
    """Return the rows near the top and the bottom of a page."""
    groups: list[list[Line]] = []
    tables = [
        grid for grid in page.grids if grid.ys[-1] < (1 - _ZONE) * page.height and grid.ys[0] > _ZONE * page.height
    ]
    for line in sorted(page.lines, key=lambda line: -line.top):
        if groups and min(line.top, groups[-1][0].top) - max(line.bottom, groups[-1][0].bottom) > 0.5 * line.size:
            groups[-1].append(line)
        else:
            groups.append([line])
    rows = []
    for at, lines in enumerate(groups):
        bottom, top = min(line.bottom for line in lines), max(line.top for line in lines)
        at_top = bottom > (1 - _ZONE) * page.height
        in_table = any(grid.row_at(lines[0].middle) is not None for grid in tables)
        if in_table or (not at_top and top >= _ZONE * page.height):
            continue
        inwards = groups[at + 1] if at_top and at + 1 < len(groups) else groups[at - 1] if not at_top and at else []
        white = page.height
        if inwards:
            white = bottom - max(line.top for line in inwards) if at_top else min(line.bottom for line in inwards) - top
        segments = sorted(((line, cell) for line in lines for cell in line.segments), key=lambda part: part[1].left)
        cells = [cell for line in inwards for cell in line.segments]
        heads = at_top and aligned_cells([cell for _, cell in segments], cells, lines[0].size) >= 2
        rows.append(_Row(lines, at_top, white, heads, segments, page.height - top if at_top else bottom))
    return rows


@dataclass(frozen=True, slots=True)
class _PageNumber:
    """A number in a row that may be the page's."""

    page: int
    row: _Row
    at: int
    """Index of its segment."""
    rest: str
    """What the segment holds beside it."""
    offset: int
    """The number less the index of the page."""
    worded: bool
    total: bool

    @property
    def alone(self) -> bool:
        return not self.rest and len(self.row.segments) == 1


def _drop_page_numbers(edges: Sequence[Sequence[_Row]]) -> None:
    """Take out the numbers that count the pages: they grow by one from page to page, or stand alone behind the word."""
    candidates = [number for page, rows in enumerate(edges) for row in rows for number in _numbers(page, row)]
    pages_by_offset = defaultdict(set)
    for number in candidates:
        pages_by_offset[number.offset].add(number.page)
    for number in reversed(candidates):
        on = len(pages_by_offset[number.offset])
        counts = on >= 2
        if not number.worded and not number.total and not number.alone:
            counts = number.offset <= 1 and on >= max(2, 0.5 * len(edges))
        if counts or (number.worded and not number.rest):
            line, segment = number.row.segments[number.at]
            left = [(line, Segment(number.rest, segment.left, segment.right))] if number.rest else []
            number.row.segments[number.at : number.at + 1] = left
            number.row.numbered = True
            number.row.kept = "" if not number.row.segments else number.row.kept


def _numbers(page: int, row: _Row) -> Iterator[_PageNumber]:
    for at, (_, segment) in enumerate(row.segments):
        for pattern in (_ALONE, _AT_END, _AT_START):
            if (found := pattern.fullmatch(segment.text)) and (value := _value(found["number"])):
                groups = found.groupdict()
                worded = bool(groups["word"] or groups.get("worded") or groups["counted"])
                total = groups["total"] is not None and value <= int(groups["total"])
                yield _PageNumber(page, row, at, groups.get("rest") or "", value - page, worded, total)
                break


def _value(number: str) -> int | None:
    """Return the value of a number in digits or Roman numerals below 100; None for other letters."""
    if number.isdigit():
        return int(number)
    if not _ROMAN.fullmatch(number):
        return None
    values = [{"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}[letter] for letter in number.lower()]
    return sum(-value if value < max(values[at:]) else value for at, value in enumerate(values))


def _drop_repeated(edges: Sequence[Sequence[_Row]]) -> None:
    """Keep the rows that repeat unchanged at the same height on neighbouring pages only where they stand first."""
    same: dict[tuple[bool, str], list[tuple[int, _Row]]] = defaultdict(list)
    for number, rows in enumerate(edges):
        for row in rows:
            if row.segments:
                same[row.at_top, row.text].append((number, row))
    least = 2 if len(edges) <= 4 else 3
    repeated = {id(row) for found in same.values() for row in _at_one_height(found, least)}
    for rows in edges:
        _keep_tied(rows, repeated)
    seen = set()
    for rows in edges:
        for row in rows:
            if id(row) in repeated:
                row.kept = "" if row.text in seen else row.text
                seen.add(row.text)


def _at_one_height(found: Sequence[tuple[int, _Row]], least: int) -> list[_Row]:
    """Return those of the equal rows that stand at the usual height, and do so on a page nearby as well."""
    usual = sorted(row.edge for _, row in found)[len(found) // 2]
    there = [(number, row) for number, row in found if abs(row.edge - usual) <= _DRIFT]
    pages = sorted({number for number, _ in there})
    near = {page for pair in pairwise(pages) for page in pair if pair[1] - pair[0] <= _NEAR}
    return [row for number, row in there if number in near] if len(near) >= least else []


def _keep_tied(rows: Sequence[_Row], repeated: set[int]) -> None:
    """Take out of `repeated` what stands close to other text: it belongs there."""
    for at_top in (True, False):
        inwards = [row for row in rows if row.at_top == at_top]
        inwards = inwards if at_top else inwards[::-1]
        for at, row in [*reversed([*enumerate(inwards)]), *enumerate(inwards)]:
            beside = [(row, inwards[at + 1] if at + 1 < len(inwards) else None)]
            beside += [(inwards[at - 1], inwards[at - 1])] if at else []
            if any(outer.is_tied and (other is None or other.is_content(repeated)) for outer, other in beside):
                repeated.discard(id(row))


def _remaining(page: Page, rows: Sequence[_Row]) -> Page:
    """Return the page without its headers and footers."""
    left: dict[int, list[Segment]] = {}
    for row in rows:
        for line in row.lines:
            left[id(line)] = [] if row.kept is not None else [cell for owner, cell in row.segments if owner is line]
    lines = []
    for line in page.lines:
        segments = left.get(id(line), line.segments)
        if len(segments) == len(line.segments) and all(map(Segment.__eq__, segments, line.segments)):
            lines.append(line)
        elif segments:
            lines.append(replace(line, segments=segments, pieces=list(segments)))
    kept = [row.kept for row in rows if row.kept]
    repeated = sum(row.kept == "" or (row.numbered and row.kept is None) for row in rows)
    return replace(page, lines=lines, furniture=kept, repeated=repeated)
