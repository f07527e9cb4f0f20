"""Drop drafted questions that would mislead whoever measures with them, each for a stated reason. Writes nothing."""

from collections.abc import Awaitable, Callable, Sequence

from groundtune.citations.quote_matching import find
from groundtune.drafting.corpus import DraftedCorpus, file_of
from groundtune.drafting.draft import Draft
from groundtune.languages.detection import detect
from groundtune.languages.text import content_words
from groundtune.types import Message, Passage

ABOUT = 0.6
"""Share of the words of a question that a passage must have to be about it."""

NOT_IN_EVIDENCE = "its answer is not in its evidence"
NEAR_ANOTHER = "near another example"
GIVEN_AWAY = "its question gives its answer away"
ELSEWHERE = "its answer stands elsewhere too"
AMBIGUOUS = "the documents give other answers to it"
ANSWERED = "the documents may answer it"

Search = Callable[[str, Sequence[Message]], Awaitable[Sequence[Passage]]]
"""Returns the passages that retrieval finds for a question after a history, best first."""


def is_in_evidence(draft: Draft) -> bool:
    """Whether every part of the answer stands in a quote, and every quote in its document, word for word."""
    quotes = [quote for quote in draft.evidence if quote.text.strip()]
    return len(quotes) == len(draft.evidence) and all(
        any(find(answer.text, quote.text) for quote in quotes) for answer in draft.answers
    )


def gives_itself_away(draft: Draft, language: str) -> bool:
    """Whether a question, or what was said before it, has every word of its answer."""
    if draft.names_answer or not draft.answers:
        return False
    asked = " ".join([*(turn.content for turn in draft.history), draft.question])
    spoken = detect(asked, language)
    answer = set(content_words(draft.output or "", language=spoken))
    return answer <= set(content_words(asked, language=spoken))


async def fault(draft: Draft, corpus: DraftedCorpus, search: Search) -> str | None:
    """Return why a draft must be dropped, as far as words tell; None if they tell nothing against it."""
    if not is_in_evidence(draft):
        return NOT_IN_EVIDENCE
    if any(map(corpus.is_disputed, draft.evidence)):
        return AMBIGUOUS
    if gives_itself_away(draft, corpus.language):
        return GIVEN_AWAY
    if draft.apart and corpus.holds_together(draft.apart):
        return ANSWERED
    if not draft.answers:
        return None
    hits = await search(draft.question, draft.history)
    others = [hit for hit in hits if not _is_evidence(hit, draft)]
    if any(_says_something_else(draft, file_of(hit), corpus) for hit in hits):
        return AMBIGUOUS
    return ELSEWHERE if any(_answers(hit, draft, corpus.language) for hit in others) else None


def _is_evidence(hit: Passage, draft: Draft) -> bool:
    """Whether a passage holds some of the evidence."""
    return any(
        hit.document_id == quote.passage.document_id and hit.start < quote.end and quote.start < hit.end
        for quote in draft.evidence
    )


def _answers(hit: Passage, draft: Draft, language: str) -> bool:
    """Whether a passage is about the question and holds the whole answer."""
    if not all(find(answer.text, hit.text, language=language) for answer in draft.answers):
        return False
    asked = set(content_words(draft.question, language=detect(draft.question, language)))
    there = set(content_words(hit.headed, language=detect(hit.text, language)))
    return len(asked & there) >= ABOUT * len(asked)


def _says_something_else(draft: Draft, file: str, corpus: DraftedCorpus) -> bool:
    """Whether a file gives another answer to the same question in a table, a definition or under the same heading."""
    return any(corpus.answers(file, name, column) - {answer} for name, column, answer in draft.claims)
