"""Blocks become plain text for a terminal and safe HTML for a notebook."""

from html.parser import HTMLParser

import pytest

from groundtune.display import Block, Displayed, Fold, Line, Table
from groundtune.display.blocks import as_html, as_text, excerpt

HOSTILE = "<script>alert(1)</script> & \"quotes\" 'too' \x1b[31m red \ud800"
BLOCKS: list[Block] = [
    Line("A title", "strong"),
    Line("two\nlines", indent=1),
    Table(["name", "n", "share"], [["a", 1234, 0.5], ["long name", None, 0.25]]),
    Fold("closed", [Line("hidden")]),
    Fold("open", [Line("shown", "dim")], open=True),
]


class Tree(HTMLParser):
    """Check that every tag is closed, and collect texts, tags and attributes."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: set[str] = set()
        self.styles = ""
        self.text = ""
        self.feed(markup)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.stack.append(tag)
        self.tags.add(tag)
        self.styles += "".join(value or "" for name, value in attrs if name == "style")

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_text_is_indented_aligned_and_plain() -> None:
    assert as_text(BLOCKS).split("\n") == [
        "A title",
        "  two",
        "  lines",
        "name           n  share",
        "a          1,234  0.500",
        "long name      –  0.250",
        "closed",
        "open",
        "  shown",
    ]


def test_html_is_one_element_that_inherits_the_colours_of_the_notebook() -> None:
    tree = Tree(as_html(BLOCKS))
    assert tree.tags == {"div", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"}
    assert "color" not in tree.styles
    assert "background" not in tree.styles
    assert "white-space:pre-wrap" in tree.styles
    for text in ("A title", "two\nlines", "1,234", "closed", "hidden", "shown"):
        assert text in tree.text


@pytest.mark.parametrize(
    "block",
    [
        Line(HOSTILE),
        Table([HOSTILE], [[HOSTILE]]),
        Fold(HOSTILE, [Line(HOSTILE)], open=True),
    ],
)
def test_every_text_is_escaped(block: Block) -> None:
    tree = Tree(as_html([block]))
    assert "script" not in tree.tags
    assert "<script>" in tree.text
    as_html([block]).encode()
    text = as_text([block])
    text.encode()
    assert "\x1b" not in text
    assert "\\x1b[31m red" in text


def test_an_excerpt_is_one_line() -> None:
    assert excerpt(" a\n\n b ", 10) == "a b"
    assert excerpt("word " * 100, 10) == "word word…"


def test_str_and_html_show_the_view_and_repr_is_left_alone() -> None:
    class Result(Displayed):
        def view(self) -> list[Block]:
            return [Line("<result>")]

    assert str(Result()) == "<result>"
    assert "&lt;result&gt;" in Result()._repr_html_()
    assert "object at" in repr(Result())
