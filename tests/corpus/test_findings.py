"""What the state of the documents finds, and what it leaves alone."""

from collections.abc import Mapping
from datetime import date

import pytest

from groundtune.corpus.contradictions import contradictions
from groundtune.corpus.dates import stale_dates
from groundtune.corpus.files import CorpusFile, corpus_files
from groundtune.corpus.report import DocumentsReport
from groundtune.corpus.sizes import odd_sizes
from groundtune.corpus.unused import LEAST_QUESTIONS, unused_files
from groundtune.corpus.versions import version_pairs
from groundtune.types import Document, FileRow, Passage

TODAY = date(2026, 6, 1)


def file(source: str, text: str, *, title: str | None = None, metadata: Mapping[str, str] | None = None) -> CorpusFile:
    passage = Passage("p", "d", source, 0, 0, len(text), text)
    return CorpusFile(source, title, metadata or {}, (passage,))


def pairs(*corpus: CorpusFile) -> list[tuple[str, str, str]]:
    return [(pair.older, pair.newer, pair.why) for pair in version_pairs(corpus)]


NEW = file("hr/leave.md", "Everybody has 30 days of leave a year. It does not lapse.", title="Leave")
OLD_TEXT = "Everybody has 25 days of leave a year. It lapses."


@pytest.mark.parametrize(
    "older",
    [
        file("hr/leave-2022.md", OLD_TEXT, metadata={"superseded_by": "leave.md"}),
        file("hr/holidays.md", OLD_TEXT, metadata={"Replaced by": "hr/leave.md"}),
        file("hr/holidays.md", f"Superseded by leave.md on 1 January. {OLD_TEXT}"),
        file("hr/urlaub.md", f"Ersetzt durch leave.md. {OLD_TEXT}"),
        file("hr/conges.md", f"Ce document est remplacé par leave.md. {OLD_TEXT}"),
    ],
)
def test_what_a_document_says_of_its_version(older: CorpusFile) -> None:
    assert pairs(older, NEW) == [(older.source, "hr/leave.md", "stated")]


def test_a_successor_may_say_so() -> None:
    old = file("old-rules.md", OLD_TEXT)
    assert pairs(old, file("b.md", "This page replaces old-rules.md.")) == [("old-rules.md", "b.md", "stated")]
    assert pairs(old, file("b.md", "x", metadata={"supersedes": "old-rules.md"})) == [
        ("old-rules.md", "b.md", "stated")
    ]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("leave-2022.md", "leave.md"),
        ("leave-2022.md", "leave-2024.pdf"),
        ("leave_v1.docx", "leave_v2.docx"),
        ("leave v9.docx", "leave v10.docx"),
        ("Leave 2024-03.md", "Leave 2024-11.md"),
        ("leave draft.md", "leave.md"),
        ("a/leave.md", "b/leave final.md"),
    ],
)
def test_names_that_differ_in_a_version(older: str, newer: str) -> None:
    first, second = file(older, OLD_TEXT), file(newer, NEW.text)
    assert pairs(first, second) == pairs(second, first) == [(older, newer, "names")]


def test_what_is_no_version() -> None:
    assert pairs(file("invoice-1.md", "Graz, 4 bikes"), file("invoice-2.md", "Ten helmets for Linz")) == []
    assert pairs(file("a/readme.md", OLD_TEXT), file("b/readme.md", OLD_TEXT)) == []
    assert pairs(file("a.md", "The battery is replaced by our mechanics."), NEW) == []
    assert pairs(file("a.md", "Superseded. See the intranet."), NEW) == []


def figures(first: str, second: str, *, versions: bool = False, language: str = "english") -> list[tuple[str, str]]:
    corpus = [file("a.md", first), file("b.md", second)]
    related = [frozenset(("a.md", "b.md"))] if versions else []
    return [pair.differing for pair in contradictions(corpus, language, related)]


def test_other_figures_for_the_same_thing() -> None:
    assert figures(
        "You can return a bike within 14 days of delivery.", "You can return a bike within 30 days of delivery."
    ) == [("14 days", "30 days")]
    assert figures(
        "Die Rückgabe eines Rades ist binnen 14 Tagen möglich.",
        "Die Rückgabe eines Rades ist binnen dreißig Tagen möglich.",
        language="german",
    ) == [("14 Tagen", "dreißig Tagen")]
    row = "Item: Hotel in the capital; Limit: £{} a night"
    assert figures(row.format(140), row.format(165)) == []  # of what, may be in the titles
    assert figures(row.format(140), row.format(165), versions=True) == [("£140", "£165")]


@pytest.mark.parametrize(
    "second",
    [
        "You can return a bike within two weeks of delivery.",
        "You can return a bike within 14 days of delivery.",
        "You cannot return a bike within 30 days of delivery.",
        "In Graz you can return a Wren within 30 days of delivery.",
        "You can return a bike for 30 euros of delivery.",
        "The leave year has 30 days.",
    ],
)
def test_what_is_no_contradiction(second: str) -> None:
    assert figures("You can return a bike within 14 days of delivery.", second) == []


def test_numbers_of_pages_are_no_statement() -> None:
    assert figures("Ternhill Cycles, Marrowby - page 1 of 1", "Ternhill Cycles, Marrowby - page 1 of 2") == []


def test_dates_that_have_passed() -> None:
    corpus = [
        file("a.md", "This price list is valid until 31 March 2025. It is long."),
        file("b.md", "Diese Preisliste ist gültig bis 31. März 2026."),
        file("c.md", "The offer is valid until 1 January 2030."),
        file("d.md", "Shops opened on 1 May 2019.", metadata={"review_by": "2026-05-31"}),
        file("e.md", "Valid until the bike is sold."),
    ]
    assert [(stale.source, stale.date) for stale in stale_dates(corpus, "english", TODAY)] == [
        ("a.md", "2025-03-31"),
        ("b.md", "2026-03-31"),
        ("d.md", "2026-05-31"),
    ]


def test_what_no_question_finds() -> None:
    corpus = [file("a.md", "See price-list.pdf."), file("price-list.pdf", "x"), file("c.md", "x"), file("d.md", "x")]
    assert unused_files(corpus, {"a.md"}, LEAST_QUESTIONS - 1) is None
    unused = unused_files(corpus, {"a.md", "d.md"}, LEAST_QUESTIONS)
    assert unused is not None
    assert [(one.source, one.named) for one in unused] == [("c.md", False), ("price-list.pdf", True)]


def test_empty_and_enormous_files() -> None:
    corpus = [file("a.md", "Only a title"), file("big.pdf", "word " * 40_000), file("c.md", "word " * 400)]
    rows = [FileRow("scan.pdf", "skipped", "no text in it"), FileRow("x.md", "failed", "permission denied")]
    found = odd_sizes(corpus, rows)
    assert [(odd.source, odd.size) for odd in found] == [
        ("a.md", "empty"),
        ("scan.pdf", "empty"),
        ("big.pdf", "enormous"),
    ]
    assert found[-1].share > 0.9


def test_rows_of_a_table_belong_to_their_file() -> None:
    passages = [Passage(str(n), "d", f"faq.csv#{n}", 0, 0, 3, f"row {n}") for n in range(3)]
    document = Document("d", "faq.csv#0", "row 0", title="Row")
    (found,) = corpus_files([document], passages)
    assert (found.source, found.title, len(found.passages)) == ("faq.csv", None, 3)


def test_the_report_shows_the_most_useful_first_and_stays_short() -> None:
    sentence = "You can return a bike number {} of the long list within {} days of delivery."
    corpus = [file("a.md", sentence.format("one", 14)), file("b.md", sentence.format("one", 30))]
    found = contradictions(corpus, "english") * 30
    report = DocumentsReport(2, 0, tuple(found), (), (), (), None, ())
    assert report.summary == "2 files: 30 contradictions"
    lines = str(report).splitlines()
    assert lines[2:4] == ["Other figures for the same thing (30)", "14 days or 30 days"]
    assert lines[-1] == "and 20 more"
    assert len(lines) < 40
    assert str(DocumentsReport(3, 0, (), (), (), (), None, ())) == "3 files: nothing to mend"
