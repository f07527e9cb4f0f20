"""Detect near-duplicates, so that each is shown once with all its sources. Pure; compares passages in order of score.

Two passages are near-duplicates if they differ in nothing that could matter: their headings and texts have the same
words but for a few in another form, and the same numbers, names, signs of amounts and words that the data of the
language calls critical (not, may, before, without, …) in the same order. Any other word may matter: red, blue.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import regex

from groundtune.languages.detection import detect
from groundtune.languages.inflection import same_word
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
_MINUS = "-−–"
_SIGN = regex.compile(r"[\p{Sc}%‰+=<>≤≥±×÷≠≈]|(?<![^\s(])[-−–](?=\p{N})")


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
    if (first.passage.heading, first.passage.text) == (second.passage.heading, second.passage.text):
        return True
    if float(first.fused.candidate.vector @ second.fused.candidate.vector) < SAME_DIRECTION:
        return False
    texts = [f"{item.passage.heading}\n{item.passage.text}" for item in (first, second)]
    left, right = map(_words, texts)
    if len(left.runs & right.runs) < SAME_WORDS * len(left.runs | right.runs):
        return False
    if _signs(texts[0]) != _signs(texts[1]):
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
    """Whether a word stands in only one of them that is no other form of a word of the other, or names change places.

    Names and numbers have no other form, nor has any word of a language without data or of a script without capitals.
    """
    if load(language) is None:
        return True
    counts = Counter(left.folded), Counter(right.folded)
    only_left, only_right = (sorted((a - b).elements()) for a, b in (counts, counts[::-1]))
    spelled = {**left.spelled, **right.spelled}
    if any(not spelled[word].islower() or spelled[word].upper() == spelled[word] for word in only_left + only_right):
        return True
    if len(only_left) != len(only_right) or _names(left) != _names(right):
        return True
    return not all(same_word(first, second, language) for first, second in zip(only_left, only_right, strict=True))


def _names(words: _Words) -> list[str]:
    """Return the words written with capitals or digits, in order."""
    return [word for word in words.folded if not words.spelled[word].islower()]


@lru_cache(maxsize=512)
def _signs(text: str) -> tuple[str, ...]:
    """Return the signs of currencies and mathematics, and the minus signs, in order."""
    return tuple("-" if match in _MINUS else match for match in _SIGN.findall(text))


@lru_cache(maxsize=512)
def _turns(text: str, language: str) -> tuple[tuple[str, ...], tuple[object, ...]]:
    """Return the critical words and the amounts of a text, in order."""
    amounts = tuple((amount.readings, amount.unit) for amount in quantities(text, language))
    return tuple(sense.name for sense in senses(text, language)), amounts
