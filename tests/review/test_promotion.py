"""A served answer as a train example: its text, evidence, groups and preference pair, or why there is none."""

from dataclasses import replace
from typing import Any

import pytest

from groundtune.approaches.output_formats import LabelFormat
from groundtune.common.files import digest_text
from groundtune.dataset.new_examples import ALREADY, KnownInputs
from groundtune.records.audit_log import AuditEntry
from groundtune.review.promotion import GROUPS_UNCLEAR, UNREADABLE, to_example
from groundtune.review.served_answer import ServedAnswer, may_see, served_answer
from groundtune.types import Citation, Document, Evidence, Example, Message, Passage, Review
from groundtune.workflows.reviewing_answers import output_of_edit

TEXT = "# Refunds\n\nA refund is paid within 30 days. Carriage is not refunded.\n"
START = TEXT.index("A refund")
END = TEXT.index(" Carriage")
PASSAGE = Passage("d:0", "d", "docs/refunds.md", 0, START, len(TEXT) - 1, TEXT[START : len(TEXT) - 1])
CITED = Citation(1, "", "exact", "d:0", "d", "docs/refunds.md", quote=TEXT[START:END], start=START, end=END)
ANSWER = ServedAnswer(
    id="a1",
    time="2026-01-01",
    question="When is a refund paid?",
    history=(),
    text="A refund is paid within 30 days [1].\nSo it is.",
    status="answered",
    output=None,
    approach="rag",
    confidence=None,
    degradation=None,
    cut=None,
    citations=(CITED, Citation(None, "", "uncited")),
    passages=(PASSAGE,),
    changed=0,
    document_groups=(),
    asker="ann",
    asker_groups=(),
)
PLAIN = "A refund is paid within 30 days.\nSo it is."


def example(answer: ServedAnswer = ANSWER, there: KnownInputs | None = None, **more: Any) -> Example | str:
    given = {"name": "review-a1", "origin": "review", "parse": str.strip, **more}
    return to_example(answer, there or KnownInputs(), **given)


def made(answer: ServedAnswer = ANSWER, **more: Any) -> Example:
    result = example(answer, **more)
    assert isinstance(result, Example), result
    return result


def test_an_accepted_answer_is_learnt_without_its_markers_and_with_its_evidence() -> None:
    review = Review("accepted", "ann", "2026-01-02")
    row = made(review=review)
    assert (row.output, row.rejected, row.split, row.origin) == (PLAIN, None, "train", "review")
    assert row.evidence == (Evidence("docs/refunds.md", TEXT[START:END], START, END),)
    assert row.review == review


def test_an_edit_is_preferred_to_the_original() -> None:
    row = made(edited=" Within 30 days [1]. ")
    assert (row.output, row.rejected) == ("Within 30 days.", PLAIN)
    assert made(edited=ANSWER.text).rejected is None, "nothing was changed"


def test_an_abstention_can_be_accepted_or_answered() -> None:
    silent = replace(ANSWER, status="abstained", text="Not in your documents.", citations=(), passages=())
    assert made(silent).output is None
    answered = made(silent, edited="Within 30 days.")
    assert (answered.output, answered.rejected) == ("Within 30 days.", "Not in your documents.")


def test_labels_stay_labels() -> None:
    labels = LabelFormat({"refund": "", "parcel": ""}, "")
    answer = replace(ANSWER, text="refund", output="refund", citations=(), passages=())
    row = made(answer, edited="parcel", parse=lambda text: output_of_edit(labels, text))
    assert (row.output, row.rejected) == ("parcel", "refund")
    assert example(answer, edited="something else", parse=lambda text: output_of_edit(labels, text)) == UNREADABLE


def test_what_is_measured_with_is_never_trained_on() -> None:
    near = KnownInputs([Example("t1", "A refund is paid WHEN?", split="test")])
    assert "test split (t1)" in str(example(there=near))
    assert example(there=KnownInputs([Example("t1", ANSWER.question, split="train")])) == ALREADY
    after = replace(ANSWER, history=(Message("user", "Hello"), Message("assistant", "Good day")))
    assert made(after, there=KnownInputs([Example("t1", ANSWER.question, split="train")])).history == after.history


@pytest.mark.parametrize(
    ("documents", "asker", "changed", "groups"),
    [
        ((), (), 0, ()),
        ((), ("hr", "staff"), 0, ()),  # everybody may read what it was made from
        ((("hr",),), ("hr", "staff"), 0, ("hr",)),
        ((("hr", "board"), ("hr",)), ("hr", "board"), 0, ("hr",)),
        ((("hr",), ("board",)), ("hr", "board"), 0, None),
        ((), ("hr",), 1, ("hr",)),  # what changed may have been restricted
        ((), ("hr", "staff"), 1, None),
    ],
)
def test_the_groups_of_a_row_are_those_that_its_text_needs(
    documents: tuple[tuple[str, ...], ...], asker: tuple[str, ...], changed: int, groups: tuple[str, ...] | None
) -> None:
    answer = replace(ANSWER, document_groups=documents, asker_groups=asker, changed=changed)
    result = example(answer)
    assert (result.groups if isinstance(result, Example) else None) == groups
    assert isinstance(result, Example) or result == GROUPS_UNCLEAR


def test_a_reviewer_must_read_what_the_asker_could_and_every_document() -> None:
    assert may_see([], asker=[], restricting={"hr"})
    assert may_see([], asker=["staff"], restricting={"hr"}), "a group that restricts nothing"
    assert not may_see([], asker=["staff"], restricting=None), "without an index each group may"
    assert not may_see(["staff"], asker=["hr"], restricting={"hr"})
    assert not may_see(["staff"], asker=[], documents=[["hr"]], restricting={"hr"})
    assert may_see(["hr"], asker=["hr"], documents=[["hr", "board"]], restricting={"hr", "board"})


def test_passages_and_quotes_are_shown_only_where_the_document_is_as_it_was() -> None:
    place = {"id": "d:0", "source": "docs/refunds.md", "start": START, "end": PASSAGE.end}
    fields = ("marker", "support", "passage_id", "document_id", "source", "start", "end", "added")
    record = {
        **dict.fromkeys(("confidence", "degradation", "cut")),
        **{"id": "a1", "time": "t", "status": "answered", "approach": "rag", "caller": "ann", "groups": []},
        "passages": [{**place, "text": digest_text(PASSAGE.text)}],
        "citations": [{name: getattr(CITED, name) for name in fields}],
    }
    entry = AuditEntry(1, record, {"question": "q", "answer": "a [1]"}, "")
    document = Document("d", "docs/refunds.md", TEXT, groups=("hr",))
    now = served_answer(entry, {"docs/refunds.md": document})
    assert [each.text for each in now.passages] == [PASSAGE.text]
    assert (now.citations[0].quote, now.changed, now.document_groups) == (CITED.quote, 0, (("hr",),))
    for other in (replace(document, text=TEXT.replace("30", "60")), None):
        later = served_answer(entry, {"docs/refunds.md": other})
        assert (later.passages, later.changed, later.citations[0].quote) == ((), 1, "")
