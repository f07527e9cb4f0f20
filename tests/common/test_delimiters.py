"""The delimiter of a table in text is found or taken as stated; text without one is not cut."""

import pytest

from groundtune.common.delimiters import find_delimiter, split_lines


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2,5\n", ";"),
        ("Wren;3,69\nHeron;5,49\n", ";"),
        ("Title\n\na\tb\n1\t2\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ("a,b,b\n1\n1,2,3,4\n", ","),
        ("text\nHello, world\nGoodbye, all\n", None),
        ("one\ntwo\n", None),
        ("", None),
    ],
)
def test_find_delimiter(text: str, delimiter: str | None) -> None:
    assert find_delimiter(text) == delimiter


def test_lines_keep_their_numbers() -> None:
    assert list(split_lines('sep=;\n\nname;note\n"a\nb";x\nc;y\n')) == [
        (2, []),
        (3, ["name", "note"]),
        (4, ["a\nb", "x"]),
        (6, ["c", "y"]),
    ]


def test_a_given_delimiter_wins() -> None:
    assert list(split_lines("a;b\tc\n", delimiter="\t")) == [(1, ["a;b", "c"])]
