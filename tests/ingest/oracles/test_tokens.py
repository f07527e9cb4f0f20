"""The comparison of texts finds what is missing, what nobody sees, and a wrong order, and nothing else."""

import pytest
from benchmarks.oracles.tokens import compare, rank_correlation, tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3,690 EUR, from 17:45.", ["3,690", "eur", "from", "17:45"]),
        ("at −5 °C or –7", ["at", "-5", "°", "c", "or", "-7"]),
        ("10⁶ and 10^6", ["10", "^", "6", "and", "10", "^", "6"]),
        ("H₂O of\xadfice ﬁne", ["h2o", "office", "fine"]),
        ("☒ yes ☐ no ✓", ["☑", "yes", "☐", "no", "☑"]),
        ("退货3天 ﺷﻛﺮ", ["退", "货", "3", "天", "شكر"]),
        ("• item", ["item"]),
    ],
)
def test_tokens(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_missing_and_unseen_tokens_are_counted() -> None:
    result = compare(tokens("the total is 100 hidden"), [tokens("the total is 100 and 250")])
    assert (result.missing, result.unseen) == ({"and": 1, "250": 1}, {"hidden": 1})
    assert (result.present, result.visible, result.seen, result.read) == (4, 6, 4, 5)


def test_a_cut_word_is_neither_missing_nor_unseen() -> None:
    result = compare(tokens("within days of delivery"), [tokens("within days of deliv-\nery")])
    assert (result.missing, result.unseen) == ({}, {})


def test_programs_that_differ_are_both_believed() -> None:
    result = compare(tokens("one two"), [tokens("one two three"), tokens("one")])
    assert (result.missing, result.unseen) == ({}, {})


def test_names_of_columns_may_repeat_in_rows() -> None:
    rows = tokens("Model: Wren; Price: 3 / Model: Heron; Price: 4")
    seen = tokens("Model Price Wren 3 Heron 4")
    assert compare(rows, [seen], repeatable=rows).unseen == {}
    assert compare(rows, [seen]).unseen == {"model": 1, "price": 1}


def test_a_superscript_that_joins_a_number_is_wrong() -> None:
    assert compare(tokens("moves 103 litres"), [tokens("moves 10^3 litres")]).missing == {"10": 1, "^": 1, "3": 1}


def test_order() -> None:
    assert rank_correlation("abcd", "abcd") == 1
    assert rank_correlation("dcba", "abcd") == -1
    assert rank_correlation("ab", "ab") is None
