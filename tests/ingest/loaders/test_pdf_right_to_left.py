"""Hebrew and Arabic text comes back in the order in which it is read, whatever stands between."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from groundtune.ingest.loaders import load, pdf_right_to_left
from groundtune.ingest.loaders.pdf_right_to_left import Looks
from groundtune.ingest.loaders.pdf_types import Glyph, Line, Segment

SAMPLES = Path(__file__).parents[2] / "data" / "right_to_left"
WIDTH = 6.0


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("he.pdf", "אפשר להחזיר את האופניים תוך שלושים יום."),
        ("ar.pdf", "يمكن إرجاع الدراجة خلال ثلاثين يوما."),
        ("mix.pdf", "המחיר של Wren הוא 3690 אירו."),
    ],
)
def test_sentences_are_read_as_they_are_written(name: str, sentence: str) -> None:
    (document,) = load(SAMPLES / name)
    assert sentence in document.text.split("\n")


def from_left(glyphs: Iterable[Glyph]) -> Iterator[Line]:
    """Yield the line of glyphs as they are written."""
    row = [*glyphs]
    yield Line([Segment("".join(chr(glyph[1]) for glyph in row), row[0][2], row[-1][3])], 0.0, 12.0, 12.0)


def read(seen: str, *, mostly: bool = True, gap: int | None = None) -> Line:
    """Return the line that shows these characters from left to right; a gap of four font sizes behind `gap` of them."""
    glyphs = []
    for at, code in enumerate(map(ord, seen)):
        left = at * WIDTH + (48.0 if gap is not None and at >= gap else 0.0)
        glyphs.append((at, code, left, left + WIDTH, 0.0, 12.0))
    (line,) = read_glyphs(glyphs, mostly=mostly)
    return line


def read_rows(*rows: str, width: int | None = None, mostly: bool = False) -> list[Line]:
    """Return the lines of a paragraph that show these characters; they end at `width` characters if that is given."""
    glyphs = []
    for number, row in enumerate(rows):
        for at, code in enumerate(map(ord, row)):
            left = (at + (width - len(row) if width else 0)) * WIDTH
            bottom = -14.0 * number
            glyphs.append((len(glyphs), code, left, left + WIDTH, bottom, bottom + 12.0))
    return read_glyphs(glyphs, mostly=mostly)


def read_glyphs(glyphs: list[Glyph], *, mostly: bool) -> list[Line]:
    places = {index: 0.5 * (left + right) for index, _, left, right, _, _ in glyphs}
    heights = {index: top - bottom for index, _, _, _, bottom, top in glyphs}
    looks = Looks(
        size=lambda index: 12.0,
        is_bold=lambda index: False,
        space_at=lambda index: places[index],
        level=lambda first, index: int(heights[index] < 12.0),
    )
    arabic = pdf_right_to_left.is_arabic("".join(chr(glyph[1]) for glyph in glyphs))
    return [*pdf_right_to_left.lines(glyphs, mostly=mostly, arabic=arabic, looks=looks, from_left=from_left)]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ("םולש", "שלום"),
        (".15% לש החנה ,3,690.50 ריחמה", "המחיר 3,690.50, הנחה של 15%."),
        ("03-1234567 ןופלט", "טלפון 03-1234567"),
        ("1234567-03 فتاه", "هاتف 03-1234567"),
        ("%15 مصخ", "خصم 15%"),
        ("(םיחופת) https://a.at/b?c=1 ואר", "ראו https://a.at/b?c=1 (תפוחים)"),
        (")Wren 3( ןסרוו", "וורסן (Wren 3)"),
        ("ﻡﻼﺳ", "سلام"),
        ("A great bike", "A great bike"),
        ("3,690", "3,690"),
    ],
)
def test_mixed_text_in_right_to_left_pages(seen: str, expected: str) -> None:
    assert read(seen).text == expected


def test_words_in_pages_that_run_from_left_to_right() -> None:
    assert read("The word is םולש, and 12 are fine.", mostly=False).text == "The word is שלום, and 12 are fine."
    mixed = read("The words תוחוקלה 12 לכל are read from the right.", mostly=False)
    assert mixed.text == "The words לכל 12 הלקוחות are read from the right."


def test_the_cells_of_a_row_begin_at_the_right() -> None:
    line = pdf_right_to_left.from_its_start(read("3,690םגד", gap=5), 200.0)
    assert [segment.text for segment in line.segments] == ["דגם", "3,690"]
    assert line.segments[0].left < line.segments[1].left


def test_a_paragraph_from_the_right_keeps_its_direction_where_most_of_a_row_is_latin() -> None:
    rows = ("See the page that we wrote for it םימי", ".and the other one as well")
    lines = read_rows(*rows, width=38)
    assert [line.text for line in lines] == ["ימים See the page that we wrote for it", "and the other one as well."]
    first, second = (pdf_right_to_left.from_its_start(line, None) for line in lines)
    assert first.left == second.left
    assert first.right > second.right


def test_a_paragraph_from_the_left_keeps_its_direction_where_most_of_a_row_is_hebrew() -> None:
    rows = ("The words in it are תוחוקלה לש תולאשה", "and so on.")
    lines = read_rows(*rows)
    assert [line.text for line in lines] == ["The words in it are השאלות של הלקוחות", "and so on."]


def test_raised_figures_never_join_a_number() -> None:
    glyphs = [(at, ord(code), at * WIDTH, (at + 1) * WIDTH, 0.0, 12.0) for at, code in enumerate("10 בתכמ")]
    power = (7, ord("6"), 2.0 * WIDTH, 2.5 * WIDTH, 5.0, 11.0)
    (line,) = read_glyphs([*glyphs[:2], power, *glyphs[2:]], mostly=False)
    assert line.text == "מכתב 10^6"


def test_what_was_left_out_is_no_gap_between_cells() -> None:
    glyphs: list[Glyph] = [(at, ord(code), at * WIDTH, (at + 1) * WIDTH, 0.0, 12.0) for at, code in enumerate("םולש")]
    hidden = (4, 32, 4 * WIDTH, 10 * WIDTH, 0.0, 12.0)
    more = [(at, ord(code), at * WIDTH, (at + 1) * WIDTH, 0.0, 12.0) for at, code in enumerate("חנה", start=10)]
    (line,) = read_glyphs([*glyphs, hidden, *more], mostly=True)
    assert [segment.text for segment in line.segments] == ["הנח שלום"]
