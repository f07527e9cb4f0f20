"""Drop drafted questions that would mislead whoever measures with them, each for a stated reason. Writes nothing."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from groundtune.citations.quote_matching import find
from groundtune.dataset.examples import example_key, input_key
from groundtune.drafting.corpus import DraftedCorpus, file_of
from groundtune.drafting.draft import Draft
from groundtune.languages.detection import detect
from groundtune.languages.text import content_words
from groundtune.types import Example, Message, Passage

NEAR = 0.8
"""Share of the words of two questions in common from which they are near-duplicates, as before a training."""
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


class NearQuestions:
    """The questions that a draft must not repeat, compared by their words."""

    def __init__(self, examples: Iterable[Example], *, language: str) -> None:
        self._language = language
        self._keys: set[str] = set()
        self._words: list[frozenset[str]] = []
        for example in examples:
            self.add(example)

    def add(self, example: Example) -> None:
        self._keys.add(example_key(example))
        self._words.append(self._of(example.input, example.history))

    def near(self, draft: Draft) -> bool:
        """Whether a question with the same words is there already, whatever their order and form."""
        if input_key(draft.question, (turn.content for turn in draft.history)) in self._keys:
            return True
        words = self._of(draft.question, draft.history)
        return any(len(words & other) >= NEAR * max(1, len(words | other)) for other in self._words)

    def _of(self, text: str, history: Sequence[Message]) -> frozenset[str]:
        whole = "\n".join([*(turn.content for turn in history), text])
        return frozenset(content_words(whole, language=detect(whole, self._language)))


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
