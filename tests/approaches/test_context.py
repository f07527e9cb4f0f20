"""Context: neighbours are joined on the document's own text; the whole corpus has a limit."""

from dataclasses import replace

import pytest

from groundtune.approaches import context
from groundtune.approaches.context import CorpusContext, RetrievedContext, find_piece, shown_passages, without_overlap
from groundtune.errors import UsageError
from groundtune.types import Document, Hit, Passage, Question, Stage

DOCUMENT = Document("d", "a.md", "First part.\n\nSecond part.\n\nThird part.\n\nElsewhere.")
PARTS = ["First part.", "Second part.", "Third part.", "Elsewhere."]


def hit(ordinal: int, score: float, heading: str = "H") -> Hit:
    text = PARTS[ordinal]
    start = DOCUMENT.text.index(text)
    return Hit(Passage(f"d:{ordinal}", "d", "a.md", ordinal, start, start + len(text), text, heading), score)


async def document(document_id: str) -> Document | None:
    return DOCUMENT if document_id == "d" else None


async def test_neighbours_become_one_passage_at_the_better_rank() -> None:
    joined = await shown_passages([hit(1, 0.9), hit(3, 0.8, "Other"), hit(0, 0.7), hit(2, 0.6)], document)
    assert [joined_hit.passage.text for joined_hit in joined] == [
        "First part.\n\nSecond part.\n\nThird part.",
        "Elsewhere.",
    ]
    first = joined[0]
    assert DOCUMENT.text[first.passage.start : first.passage.end] == first.passage.text
    assert (first.score, first.passage.id) == (0.9, "d@0-38")


async def test_joined_passages_know_each_page_that_starts_inside_them() -> None:
    def on_page(ordinal: int, page: int) -> Hit:
        return replace(hit(ordinal, 0.9), passage=replace(hit(ordinal, 0.9).passage, page=page))

    async def paged(document_id: str) -> Document:
        return replace(DOCUMENT, pages=(0, 6, 13, 13, 27))  # inside "First part.", an empty page, and "Third part."

    (joined,) = await shown_passages([on_page(0, 1), on_page(1, 4), on_page(2, 5)], paged)
    text = DOCUMENT.text
    assert [joined.passage.page_at(text.index(word)) for word in ("First", "part", "Second", "Third")] == [1, 2, 4, 5]
    (alone,) = await shown_passages([hit(0, 0.9), hit(1, 0.8)], paged)
    assert alone.passage.page_at(20) is None


async def test_passages_under_other_headings_or_not_adjacent_stay_separate() -> None:
    assert len(await shown_passages([hit(0, 0.9), hit(1, 0.8, "Other"), hit(2, 0.7)], document)) == 3


async def test_a_document_that_changed_meanwhile_is_not_quoted_wrongly() -> None:
    async def changed(document_id: str) -> Document | None:
        return replace(DOCUMENT, text="Quite another text, of another length altogether.")

    joined = await shown_passages([hit(0, 0.9), hit(1, 0.8)], changed)
    assert [joined_hit.passage.text for joined_hit in joined] == ["First part.", "Second part."]


async def test_a_prompt_gets_the_larger_piece_once_and_with_exact_offsets() -> None:
    def child(ordinal: int, start: int, end: int) -> Hit:
        found = hit(ordinal, 0.9 - ordinal / 10)
        return replace(found, passage=replace(found.passage, wider_start=start, wider_end=end, wider_heading="H"))

    parent = "First part.\n\nSecond part."
    hits = [child(0, 0, len(parent)), child(1, 0, len(parent)), hit(3, 0.1, "Other")]
    shown = await shown_passages(hits, document)
    assert [(one.passage.text, one.score) for one in shown] == [(parent, 0.9), ("Elsewhere.", 0.1)]
    assert DOCUMENT.text[shown[0].passage.start : shown[0].passage.end] == parent
    assert shown[0].passage.wider_start is None
    first, second, third = (DOCUMENT.text.index(text) for text in PARTS[:3])
    overlapping = [child(2, second, third + 11), child(0, first, second + 12)]
    (window,) = await shown_passages(overlapping, document)
    assert window.passage.text == "\n\n".join(PARTS[:3])
    (changed,) = await shown_passages(hits[:1], lambda _: _changed())
    assert changed.passage.text == "First part."


async def test_a_piece_is_found_again_by_its_id() -> None:
    plain = [hit(0, 0.9), hit(1, 0.8), hit(3, 0.7, "Other")]
    (joined, _) = await shown_passages(plain, document)
    parts = [one.passage for one in plain]
    assert find_piece(joined.passage.id, parts, DOCUMENT) == joined.passage
    wider = replace(parts[0], wider_start=0, wider_end=25, wider_heading="Top")
    (piece,) = await shown_passages([Hit(wider, 1.0)], document)
    assert find_piece(piece.passage.id, [wider, *parts[1:]], DOCUMENT) == piece.passage
    assert piece.passage.heading == "Top"
    for unknown in ("d@1-5", "d@0", "d@-0-5", "d:0", "e@0-25", ""):
        assert find_piece(unknown, parts, DOCUMENT) is None


async def _changed() -> Document:
    return replace(DOCUMENT, text="Quite another text.")


def test_text_that_two_passages_have_is_kept_once() -> None:
    text = DOCUMENT.text
    whole = Passage("d:0", "d", "a.md", 0, 0, 25, text[:25], page=1, page_breaks=(13,))
    more = replace(whole, id="d:1", start=13, end=38, text=text[13:38], page=2, page_breaks=(27,))
    inside = replace(whole, id="d:2", start=27, end=30, text=text[27:30])
    kept = without_overlap([whole, more, inside, replace(inside, id="e:0", document_id="e")])
    assert [passage.id for passage in kept] == ["d:0", "d:1", "e:0"]
    assert "".join(passage.text for passage in kept[:2]) == text[:38]
    assert (kept[1].start, kept[1].page) == (25, 2)


class Finds:
    async def search(self, question: Question, *, k: int, stage: Stage | None = None) -> list[Hit]:
        return [hit(0, 0.9), hit(1, 0.8), hit(3, 0.7, "Other")][:k]


async def test_retrieved_gathers_at_most_the_requested_passages() -> None:
    hits = await RetrievedContext(Finds(), document, passages=2).gather(Question("?"))
    assert [gathered.passage.text for gathered in hits] == ["First part.\n\nSecond part."]


async def test_the_whole_corpus_is_refused_when_it_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    async def everything(question: Question) -> list[Passage]:
        return [hit(ordinal, 0).passage for ordinal in range(4)]

    assert len(await CorpusContext(everything).gather(Question("?"))) == 4
    monkeypatch.setattr(context, "MAX_CORPUS_PASSAGES", 3)
    with pytest.raises(UsageError, match="4 passages"):
        await CorpusContext(everything).gather(Question("?"))


async def test_neighbours_are_not_joined_over_text_that_has_changed() -> None:
    """An ingest between search and reading may restrict the document and edit a later paragraph."""
    old = "Opening hours are nine to five.\n\nThe office is on the first floor."
    new = "Opening hours are nine to five.\n\nThe merger with Acme is secret!!!"

    def part(number: int, start: int, end: int) -> Passage:
        return Passage(f"d-{number}", "d", "docs/a.md", number, start, end, old[start:end])

    hits = [Hit(part(0, 0, 31), 0.9), Hit(part(1, 33, len(old)), 0.8)]

    async def document(_: str) -> Document:
        return Document(id="d", source="docs/a.md", text=new, groups=("board",))

    assert [hit.passage.text for hit in await shown_passages(hits, document)] == [old[:31], old[33:]]
