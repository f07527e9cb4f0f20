"""Tell the language of a text by its letters and common words. Deterministic; does not know languages without data."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from functools import cache, lru_cache

from groundtune.languages.language import LANGUAGES, Language, load
from groundtune.languages.tokens import fold, lower, tokenize

LEAST_WORDS = 2
"""Words that must speak for another language at least."""
FACTOR = 2
"""How many times as many words must speak for another language as for the expected one."""
_LATIN = frozenset("abcdefghijklmnopqrstuvwxyz'")
UNKNOWN = ""
"""Name of a language whose letters no language with data uses."""


@lru_cache(maxsize=4096)
def detect(text: str, expected: str) -> str:
    """Return the language of the text: the expected one, unless the text clearly is in another.

    A common word speaks for the languages that have it, a word with letters that the expected language lacks for those
    that have them.
    """
    words = {lower(token.text) for token in tokenize(text) if not token.number}
    if _is_plainly(expected, words):
        return expected
    common = Counter(name for word in words for name in _languages_of().get(fold(word), ()))
    counts = common + Counter(name for word in words for name in _by_letters(word, expected))
    best = max(counts, key=lambda name: (counts[name], common[name], name == expected, name), default=expected)
    other_script = bool(words) and not any(_letters(expected).intersection(word) for word in words)
    clear = counts[best] >= LEAST_WORDS and counts[best] > FACTOR * counts[expected]
    if not (other_script or clear):
        return expected
    return UNKNOWN if counts[UNKNOWN] and FACTOR * counts[UNKNOWN] >= counts[best] else best


def _is_plainly(language: str, words: Collection[str]) -> bool:
    """Whether the words leave no doubt, so that no other language needs to be loaded."""
    return len(words) >= LEAST_WORDS and FACTOR**2 * sum(fold(word) in _common(language) for word in words) >= len(
        words
    )


def _by_letters(word: str, expected: str) -> Sequence[str]:
    if _letters(expected).issuperset(word):
        return ()
    return [name for name in _languages() if _letters(name).issuperset(word)] or [UNKNOWN]


@cache
def _languages_of() -> dict[str, tuple[str, ...]]:
    """Return the languages of each common word: function words, critical words, units, months and weekdays."""
    found: dict[str, list[str]] = {}
    for name in _languages():
        for word in _common(name):
            found.setdefault(word, []).append(name)
    return {word: tuple(names) for word, names in found.items()}


@cache
def _common(language: str) -> frozenset[str]:
    data = load(language)
    return data.stop_words.union(map(fold, _words(data))) if data else frozenset()


@cache
def _letters(language: str) -> frozenset[str]:
    """Return the letters that a language uses, with and without accents."""
    data = _languages().get(language)
    found = frozenset("".join((*data.stop_words, *_words(data)))) if data else frozenset()
    return found if found and "a" not in found else found | _LATIN


def _words(language: Language) -> Iterator[str]:
    for lexicon in (language.senses, language.units, language.months, language.weekdays):
        yield from lexicon.single_words()


@cache
def _languages() -> dict[str, Language]:
    return {name: data for name in LANGUAGES if (data := load(name))}
