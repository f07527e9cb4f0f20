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
    codes = [*map(ord, seen)]
    glyphs = []
    for at, code in enumerate(codes):
        left = at * WIDTH + (48.0 if gap is not None and at >= gap else 0.0)
        glyphs.append((at, code, left, left + WIDTH, 0.0, 12.0))
    (line,) = pdf_right_to_left.lines(
        glyphs,
        mostly=mostly,
        arabic=pdf_right_to_left.is_arabic(seen),
        looks=Looks(
            size=lambda index: 12.0,
            is_bold=lambda index: False,
            space_at=lambda index: (index + 0.5) * WIDTH,
            level=lambda first, index: 0,
        ),
        from_left=from_left,
    )
    return line


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
