"""Markers in all the forms that models write, and text that only looks like one."""

import pytest

from groundtune.approaches.citation_markers import find_markers
from groundtune.approaches.citations import check_citations
from groundtune.languages.reply_words import reply_words
from groundtune.types import Hit, Passage
from tests.approaches.test_citations import HITS

DAYS = "Orders are sent within two working days"

FORMS = {
    "[1]": [1], "[ 1 ]": [1], "[1][2]": [1, 2], "[1] [2]": [1, 2], "[1, 2]": [1, 2], "[1; 2]": [1, 2],
    "[1-3]": [1, 2, 3], "[1–3]": [1, 2, 3], "[1 and 2]": [1, 2], "[1 & 2]": [1, 2], "[1/2]": [1, 2], "[[1]]": [1],
    "[[1], [2]]": [1, 2], "[[1][2]]": [1, 2], "([1])": [1], "([1], [2])": [1, 2], "(see [1])": [1], "**[1]**": [1],
    "*[1]*": [1], "\\[1\\]": [1], "［1］": [1], "【1】": [1], "〔1〕": [1], "〖1〗": [1], "⟦1⟧": [1], "[１]": [1],
    "[１、２]": [1, 2], "[١]": [1], "[२]": [2], "【1†source】": [1], "【1†L4-L7】": [1], "【4:0†source】": [4],
    "[1:0]": [1], "[1:2-3]": [1], "[^1]": [1], "[^1][^2]": [1, 2], "^[1]": [1], "^1": [1], "$^{1}$": [1],
    "^{1, 2}": [1, 2], "<sup>1</sup>": [1], "<sup>[1]</sup>": [1], "<cite>1</cite>": [1], "<ref>2</ref>": [2],
    '<source id="1"/>': [1], "\\cite{1}": [1], "[#1]": [1], "[№ 1]": [1], "[Passage 1]": [1], "[passage #1]": [1],
    "[passages 1 and 2]": [1, 2], "[Passage 1, Passage 2]": [1, 2], "[Source 1; Source 2]": [1, 2],
    "[Source 1: Returns]": [1], "[Source no. 2]": [2], "[doc1]": [1], "[doc_1]": [1], "[Doc. 1]": [1],
    "[citation:1]": [1], "[ref 1]": [1], "[see 1]": [1], "[1, see also 2]": [1, 2], "[1, p. 3]": [1],
    "[1, page 3]": [1], "[1: a.md]": [1], "[1 a.md > Returns]": [1], "(Passage 1)": [1],
    "(Source 1, Source 2)": [1, 2], "(see passage 1)": [1], "(1)": [1], "(1, 2)": [1, 2], "[1](#1)": [1],
    "[1](#passage-1)": [1], "[[1]](#cite-1)": [1], "[1](a.md)": [1], "¹": [1], "¹²": [1, 2], "¹,²": [1, 2],
    "① ": [1], "[^1^]": [1], "^[1]^": [1], "[¹]": [1], "[S1]": [1], "[P2]": [2], "{1}": [1],
    "<1>": [1], "「1」": [1], "《1》": [1],
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", ["{} {}.", "{}. {}", "{} {}, and more follows.", "- {} {}", "{}.\n{}"])
def test_every_form_is_read_and_written_in_one_way(form: str, place: str) -> None:
    text = place.format(DAYS, form)
    if form[0] in "^$¹①({<「《" and form not in ("^[1]", "^[1]^", "([1])") and place == "{}.\n{}":
        pytest.skip("at the head of a line it numbers the line")
    shown, citations = check_citations(text, HITS)
    found = [int(str(each.passage_id).removeprefix("d:")) for each in citations if each.sentence.startswith(DAYS[:6])]
    assert list(dict.fromkeys(found)) == FORMS[form]
    numbers = "".join(f"[{number}]" for number in range(1, len(found) + 1))
    assert numbers in shown.replace("] [", "][")
    assert form.strip() not in shown.replace(numbers, "") or form.startswith("[1]")


@pytest.mark.parametrize("language", [name for name, words in reply_words().items() if "sources" in words])
def test_the_words_for_sources_of_many_languages(language: str) -> None:
    words = reply_words()[language]
    for name in words["sources"]:
        for form in (f"[{name} 1]", f"[{name.capitalize()} 2]", f"({name} 3)", f"[{name}: 1]"):
            (marker,) = find_markers(f"{DAYS} {form}.", HITS)
            assert marker.numbers == (int("".join(filter(str.isdecimal, form))),), form
    for join in words["joins"]:
        (marker,) = find_markers(f"{DAYS} [{words['sources'][0]} 1 {join} 2].", HITS)
        assert marker.numbers == (1, 2), join


TEXTS = [
    "See [2](https://example.org) and the year [2024].", "[1](mailto:a@example.org)", "[sic] or [a] or [ ] or [x]",
    "It is `rows[1]` here.", "```\nx = rows[1]\n```", "Use rows[2] here.", "user_ids[1] is set", "table.rows[1]",
    "x[1] = y", "a[1][2]", "f(1) = 2", "It has 20 m².", "CO₂ is a gas.", "x² + y²", "E = mc²", "10⁶ grains",
    "an area of 40 km², and", "1,200 m³ of water", "20 metres² of floor", "(1) cash, (2) cards",
    "We take (1) cash and (2) cards.", "It is laid down in Section 3 (1).", "It is sent within two (2) days",
    "It ends in the year (2024).", "[12:30] departs", "[Figure 1] shows", "[Table 2]", "[Section 3]",
    "version [1.2]", "[10,000] of them", "It costs (40 euros).", "1. First", "It takes several days (1-3).",
    "① First", "¹ Note", "2^10 bytes", "R² is high", "[0]", "[1000]", "[]",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_what_only_looks_like_a_marker_stays(text: str) -> None:
    assert find_markers(text, HITS) == []
    assert check_citations(text, ())[0] == text.strip()


def test_many_passages_have_large_numbers() -> None:
    assert find_markers(f"{DAYS} [120].", HITS) == []
    many = tuple(Hit(Passage(f"d:{at}", "d", "a.md", at, 0, 4, "text"), 1.0) for at in range(1, 131))
    (marker,) = find_markers(f"{DAYS} [120].", many)
    assert marker.numbers == (120,)
    (raised,) = find_markers(f"{DAYS}¹².", many)
    assert raised.numbers == (12,)


def test_brackets_that_a_passage_has_itself_are_quoted() -> None:
    text = "They are never sent by courier [3]."  # a footnote of passage 2
    shown, (citation,) = check_citations(text, HITS)
    assert (shown, citation.support) == ("They are never sent by courier [3] [1].", "exact")
    assert citation.passage_id == "d:2"
    own = Hit(Passage("p", "d", "a.md", 0, 0, 0, "The rows[2] are locked. Others are not."), 1.0)
    assert find_markers("The rows[2] are locked [1].", (own, own))[0].numbers == (1,)
