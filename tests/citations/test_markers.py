"""Markers in all the forms that models write, and text that only looks like one."""

import pytest

from groundtune.citations.checking import check_citations
from groundtune.citations.markers import find_markers
from groundtune.citations.unfinished_text import UnfinishedText
from groundtune.languages.reply_words import reply_words
from groundtune.types import Hit, Passage
from tests.citations.test_checking import HITS

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
    "<1>": [1], "「1」": [1], "《1》": [1], "{{1}}": [1], "<sub>[1]</sub>": [1], "(sources: [1], [2])": [1, 2],
    "(source [1])": [1], "(Quelle: [2])": [2],
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


NAMED = (
    Hit(Passage("d:1", "d", "docs/handbook.md", 0, 0, 44, "Orders are sent within two working days.", "Shipping"), 1.0),
    Hit(Passage("d:2", "e", "docs/fees.pdf", 0, 0, 24, "A return costs 40 euros.", "Fees"), 1.0),
    Hit(Passage("d:3", "e", "docs/fees.pdf", 1, 24, 48, "A repair costs 30 euros.", "Repairs > Prices"), 1.0),
)


@pytest.mark.parametrize(
    ("form", "numbers"),
    [
        ("[handbook.md]", (1,)), ("[docs/handbook.md]", (1,)), ("[Source: handbook.md]", (1,)), ("(handbook.md)", (1,)),
        ("(Source: Handbook.md)", (1,)), ("【handbook.md】", (1,)), ("[handbook.md, p. 3]", (1,)),
        ("[handbook.md#shipping]", (1,)), ("[handbook.md > Shipping]", (1,)), ("[handbook.md](handbook.md)", (1,)),
        ("[`handbook.md`]", (1,)), ("[Quelle: handbook.md]", (1,)), ("<cite>handbook.md</cite>", (1,)),
        ("[Fees]", (2,)), ("[Prices]", (3,)), ("[Repairs > Prices]", (3,)), ("[handbook.md; Fees]", (1, 2)),
    ],
)  # fmt: skip
def test_a_file_name_or_a_heading_names_the_only_passage_that_has_it(form: str, numbers: tuple[int, ...]) -> None:
    (marker,) = find_markers(f"{DAYS} {form}.", NAMED)
    assert marker.numbers == numbers
    assert (
        check_citations(f"{DAYS} {form}.", NAMED)[0]
        == f"{DAYS} " + "".join(f"[{n + 1}]" for n in range(len(numbers))) + "."
    )


@pytest.mark.parametrize(
    "form", ["[fees.pdf]", "(fees.pdf)", "[other.md]", "(Fees)", "[handbook.mdx]", "[the handbook]", "[a]"]
)
def test_other_names_are_text(form: str) -> None:
    assert find_markers(f"{DAYS} {form}.", NAMED) == []


WRAPPED = [
    f'<cite id="1">{DAYS}.</cite>', f"<cite id=1>{DAYS}.</cite>", f"<cite id='1'>{DAYS}.</cite>",
    f'<source id="1">{DAYS}.</source>', f'<CITE source="handbook.md">{DAYS}.</CITE>',
    f'<cite doc="[1]">{DAYS}. </cite>', f'<cite id="passage 1">{DAYS}.</cite>', f'<claim source="1">{DAYS}.</claim>',
    f'<quote id="1">{DAYS}.</quote>', f"<span source-id='1'>{DAYS}.</span>",
]  # fmt: skip


@pytest.mark.parametrize("text", WRAPPED)
def test_a_tag_around_a_sentence_is_a_marker_behind_it(text: str) -> None:
    shown, citations = check_citations(f"{text} <cite id='2'>A return costs 40 euros.</cite>", NAMED)
    assert shown == f"{DAYS}. [1] A return costs 40 euros. [2]"
    assert [(each.passage_id, each.support) for each in citations] == [("d:1", "exact"), ("d:2", "exact")]


def test_a_tag_around_a_sentence_waits_in_a_stream_for_its_end() -> None:
    text = (
        f'<cite id="1">{DAYS}.</cite>\n\n<cite id="2">A return costs 40 euros.</cite>\n\nA repair costs 30 euros. [3]\n'
    )
    unfinished = UnfinishedText(NAMED)
    released = "".join(unfinished.add(char)[0] for char in text)
    whole = check_citations(text, NAMED)[0]
    assert released
    assert whole.startswith(released)


@pytest.mark.parametrize("text", ["A tank holds 20 m<sup>2</sup>.", "The gas is CO<sub>2</sub>.", "x<sup>2</sup> + 1"])
def test_raised_and_lowered_numbers_of_formulas_are_text(text: str) -> None:
    assert find_markers(text, NAMED) == []


@pytest.mark.parametrize("text", ['<cite id="x">They are sent.</cite>', '`<cite id="1">They are sent.</cite>`'])
def test_other_tags_around_words_stay(text: str) -> None:
    assert check_citations(text, NAMED)[0].startswith(text)


MENTIONS = {
    f"According to passage 1, {DAYS.lower()}.": f"According to passage [1], {DAYS.lower()}.",
    f"According to the passage 1: {DAYS}.": f"According to the passage [1]: {DAYS}.",
    f"According to [1], {DAYS}.": f"According to [1], {DAYS}.",
    f"Passage 1 says that {DAYS}.": f"Passage [1] says that {DAYS}.",
    f"As stated in source 1, {DAYS}.": f"As stated in source [1], {DAYS}.",
    f"- According to document 1, {DAYS}.": f"- According to document [1], {DAYS}.",
    f"Laut Quelle 1 {DAYS}.": f"Laut Quelle [1] {DAYS}.",
    f"Selon le passage 1, {DAYS}.": f"Selon le passage [1], {DAYS}.",
    f"Según la fuente 1, {DAYS}.": f"Según la fuente [1], {DAYS}.",
    f"Pasaj 1'e göre {DAYS}.": f"Pasaj [1]'e göre {DAYS}.",
    f"根据段落1，{DAYS}.": f"根据段落[1]，{DAYS}.",
}


@pytest.mark.parametrize("text", MENTIONS)
def test_a_passage_that_a_sentence_names_is_its_citation(text: str) -> None:
    shown, (citation,) = check_citations(text, NAMED)
    assert (citation.passage_id, citation.support) == ("d:1", "exact")
    assert shown == MENTIONS[text]


@pytest.mark.parametrize(
    "text",
    ["In section 2, orders are sent.", "According to 3 people, it is.", "Passage 7 says so.", "In 1 text it is."],
)
def test_other_numbers_at_the_head_of_a_sentence_are_text(text: str) -> None:
    assert find_markers(text, NAMED) == []


def test_each_sentence_has_the_passage_that_it_names() -> None:
    text = f"According to passage 2, a return costs 40 euros. Passage 1 says that {DAYS}. A repair costs 30 euros [3]."
    shown, citations = check_citations(text, NAMED)
    assert [(each.passage_id, each.support) for each in citations] == [(f"d:{n}", "exact") for n in (2, 1, 3)]
    assert shown.startswith("According to passage [1], a return costs 40 euros. Passage [2] says that")
