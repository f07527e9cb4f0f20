"""Each reason to drop a draft, and that nothing else drops one."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from groundtune.drafting import checks
from groundtune.drafting.checks import fault
from groundtune.drafting.corpus import DraftedCorpus
from groundtune.drafting.draft import Draft, Quote
from groundtune.types import Message, Passage
from tests.drafting.passages import FARES, LOST, passage


def quote(of: Passage, text: str) -> Quote:
    start = of.start + of.text.index(text)
    return Quote(of, start, start + len(text))


DRAFT = Draft(
    "fact",
    "How long are lost things kept?",
    (quote(LOST, "six weeks"),),
    (quote(LOST, "Lost things are kept for six weeks at Harbour Street."),),
    (LOST,),
    claims=(("lost things", "kept for", "six weeks"),),
)


def fault_of(draft: Draft, *found: Passage, disputed: Sequence[tuple[str, str]] = ()) -> str | None:
    corpus = DraftedCorpus([FARES, LOST, *found], language="english", seed="0", disputed=disputed)

    async def search(text: str, history: Sequence[Message]) -> list[Passage]:
        return [LOST, *found, FARES]

    return asyncio.run(fault(draft, corpus, search))


def test_a_good_draft_is_kept() -> None:
    assert fault_of(DRAFT) is None


def test_an_answer_must_stand_in_the_evidence() -> None:
    assert fault_of(replace(DRAFT, answers=(quote(LOST, "£4"),))) == checks.NOT_IN_EVIDENCE


def test_a_question_must_not_give_its_answer_away() -> None:
    told = replace(DRAFT, question="Are lost things kept for six weeks?")
    assert fault_of(told) == checks.GIVEN_AWAY
    assert fault_of(replace(told, names_answer=True)) is None, "a choice names its answer"


def test_an_answer_elsewhere_counts_only_if_it_is_about_the_question() -> None:
    again = passage("Things that were lost are kept six weeks, then sold.", source="docs/faq.md")
    other = passage("A season ticket pays off after six weeks.", source="docs/season.md")
    assert fault_of(DRAFT, again) == checks.ELSEWHERE
    assert fault_of(DRAFT, other) is None


def test_another_answer_in_a_table_or_a_contradiction_makes_it_ambiguous() -> None:
    table = passage("Thing: Lost things; Kept for: 90 days\n\nThing: Bikes; Kept for: 10 days", source="docs/old.md")
    assert fault_of(DRAFT, table) == checks.AMBIGUOUS
    said = (LOST.source, "Lost things are kept for six weeks at Harbour Street.")
    assert fault_of(DRAFT, disputed=[said]) == checks.AMBIGUOUS


def test_a_question_without_an_answer_must_have_none_in_any_passage() -> None:
    vain = Draft("unanswerable", "What is the fare for keys?", (), (), (FARES, LOST), apart=("Fare", "Key"))
    assert fault_of(vain) is None
    assert fault_of(vain, passage("The fare for a key is £4.", source="docs/keys.md")) == checks.ANSWERED
