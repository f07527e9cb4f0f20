"""What the ledger says about parts of files that are not in the text."""

from groundtune.display import Fold
from groundtune.ingest.notes import describe_note, describe_notes, merge_notes, note_kind, summarize_notes
from groundtune.ingest.parsed import MOST_PLACES, TextBuilder
from groundtune.ingest.sync import FileReport, SyncReport
from groundtune.note import Note
from groundtune.types import FileRow


def test_a_builder_adds_up_notes_of_one_kind() -> None:
    builder = TextBuilder()
    for page in (4, 2, 3, 3):
        builder.note("no_text_layer", page=page)
    builder.note("picture", count=2, place="sheet\nRates")
    assert builder.build().notes == (
        Note("no_text_layer", 4, (2, 3, 4)),
        Note("picture", 2, places=("sheet Rates",)),
    )


def test_a_note_names_few_places_and_counts_all() -> None:
    builder = TextBuilder()
    for number in range(1_000):
        builder.note("hidden_row", place=f"row {number}")
    (note,) = builder.build().notes
    assert (note.count, len(note.places)) == (1_000, MOST_PLACES)


def test_a_note_in_words() -> None:
    assert describe_note(Note("no_text_layer", 3, (2, 3, 4))) == "3 pages without a text layer (pages 2–4)"
    assert describe_note(Note("hidden_sheet", 1, places=("Rates",))) == "1 hidden sheet (Rates)"
    assert describe_note(Note("no_text_layer", 4, (1, 3, 4, 9))).endswith("(pages 1, 3–4, 9)")
    assert describe_notes([]) is None


def test_a_kind_of_a_package_is_read_by_its_name() -> None:
    assert describe_note(Note("unknown_glyphs", 2)) == "2 unknown glyphs"
    assert note_kind("unknown_glyphs").sort == "lost"


def test_notes_of_several_documents_become_one_per_kind() -> None:
    first, second = Note("picture", 1, (2,)), Note("picture", 2, (1, 2), ("sheet A",))
    assert merge_notes([first, Note("hidden_row"), second]) == (
        Note("picture", 3, (1, 2), ("sheet A",)),
        Note("hidden_row"),
    )


def test_the_terminal_gets_one_line_a_kind_the_lost_first() -> None:
    rows = [
        FileRow(f"{name}.pdf", "indexed", notes=(Note("page_furniture", 5), Note("picture", 1))) for name in "abcde"
    ]
    lost, left_out = (summary.text for summary in summarize_notes(rows))
    assert lost.startswith("5 pictures whose text is not read: a.pdf, b.pdf, c.pdf and 2 more; ")
    assert left_out == "25 repeated header and footer lines left out: a.pdf, b.pdf, c.pdf and 2 more"


def test_ten_thousand_noted_files_stay_readable() -> None:
    rows = [FileRow(f"{n:05}.pdf", "indexed", notes=(Note("no_text_layer", 2, (1, 2)),)) for n in range(10_000)]
    (summary,) = summarize_notes(rows)
    assert (summary.count, summary.files, summary.sort) == (20_000, 10_000, "lost")
    assert len(summary.text) < 200
    report = SyncReport(tuple(FileReport(row, "added") for row in rows), 10_000, 10_000, 0, 1.0)
    assert report.summary == "10,000 files: 10,000 added; 10,000 indexed with notes"
    assert len(str(report).splitlines()) < 10
    fold = report.view()[-1]
    assert isinstance(fold, Fold)
    assert fold.title == "10,000 files indexed with notes; the first 500 are listed"
