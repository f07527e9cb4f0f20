"""Detect near-duplicates, so that each is shown once with all its sources. Pure; compares passages in order of score.

Two passages are near-duplicates if they differ in nothing that could matter: their headings and texts have nearly the
same words, and no word that differs, in whichever place, is a number, a name or a word that the data of the language
calls critical (not, may, before, without, …).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from groundtune.languages.detection import detect
from groundtune.languages.language import load
from groundtune.languages.quantities import quantities
from groundtune.languages.senses import senses
from groundtune.languages.tokens import fold, tokenize
from groundtune.retrieve.fusion import FusedCandidate
from groundtune.types import Passage

SAME_DIRECTION = 0.97
"""Minimum cosine for comparing two passages word by word."""
SAME_WORDS = 0.9
"""Jaccard similarity of the sets of three-word runs."""


@dataclass(frozen=True, slots=True)
class FetchedCandidate:
    """A fused candidate whose passage was fetched."""

    fused: FusedCandidate
    passage: Passage
    also_in: tuple[str, ...] = ()
    """Sources of its near-duplicates."""

    def naming(self, source: str) -> "FetchedCandidate":
        """Return the candidate with one more source."""
        sources = dict.fromkeys([*self.also_in, source])
        sources.pop(self.passage.source, None)
        return replace(self, also_in=tuple(sources))


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of a heading with its text."""

    folded: tuple[str, ...]
    spelled: dict[str, str]
    """The spelling of each folded word, of the last place where it stands."""

    @property
    def runs(self) -> set[tuple[str, ...]]:
        return {self.folded[i : i + 3] for i in range(max(1, len(self.folded) - 2))}


def duplicate_of(
    candidate: FetchedCandidate, earlier: Sequence[FetchedCandidate], *, language: str = "english"
) -> int | None:
    """Return the index of the first candidate kept before it that it repeats; None if it repeats none.

    language: of the project, by its name in the project file.
    """
    return next((index for index, other in enumerate(earlier) if _same(candidate, other, language)), None)


def _same(first: FetchedCandidate, second: FetchedCandidate, language: str) -> bool:
    texts = [f"{item.passage.heading}\n{item.passage.text}" for item in (first, second)]
    if texts[0] == texts[1]:
        return True
    if float(first.fused.candidate.vector @ second.fused.candidate.vector) < SAME_DIRECTION:
        return False
    left, right = map(_words, texts)
    if len(left.runs & right.runs) < SAME_WORDS * len(left.runs | right.runs):
        return False
    if left.folded == right.folded:
        return True
    language = detect(first.passage.text, language)
    return not _words_matter(left, right, language) and _turns(texts[0], language) == _turns(texts[1], language)


@lru_cache(maxsize=512)
def _words(text: str) -> _Words:
    tokens = tokenize(text)
    return _Words(tuple(fold(token.text) for token in tokens), {fold(token.text): token.text for token in tokens})


def _words_matter(left: _Words, right: _Words, language: str) -> bool:
    """Whether a word of only one of them, or its order, may carry a name or a number.

    Without data of the language, or in a script without capitals, every word may.
    """
    if load(language) is None:
        return True
    counts = Counter(left.folded), Counter(right.folded)
    differing = (counts[0] - counts[1]) + (counts[1] - counts[0])
    spelled = {**left.spelled, **right.spelled}
    return any(not spelled[word].islower() or spelled[word].upper() == spelled[word] for word in differing) or (
        _names(left) != _names(right)
    )


def _names(words: _Words) -> list[str]:
    """Return the words written with capitals or digits, in order."""
    return [word for word in words.folded if not words.spelled[word].islower()]


@lru_cache(maxsize=512)
def _turns(text: str, language: str) -> tuple[tuple[str, ...], tuple[object, ...]]:
    """Return the critical words and the amounts of a text, in order."""
    amounts = tuple((amount.readings, amount.unit) for amount in quantities(text, language))
    return tuple(sense.name for sense in senses(text, language)), amounts
