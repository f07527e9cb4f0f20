"""Tell the language of a text by its function words. Deterministic; short texts keep the language they are given."""

from collections import Counter
from functools import cache, lru_cache

from groundtune.languages.language import LANGUAGES, load
from groundtune.languages.tokens import fold, tokenize

LEAST_WORDS = 3
"""Function words of another language that a text must have at least."""
FACTOR = 2
"""How many times as many function words as the expected language another one must have."""


@lru_cache(maxsize=4096)
def detect(text: str, expected: str) -> str:
    """Return the language of the text: the expected one, unless the text clearly is in another that has data."""
    counts = Counter[str]()
    words = [fold(token.text) for token in tokenize(text) if not token.number]
    for word in words:
        counts.update(_languages_of().get(word, ()))
    if not counts:
        return expected
    best = max(counts, key=lambda name: (counts[name], name == expected, name))
    clear = counts[best] >= LEAST_WORDS and counts[best] >= FACTOR * counts[expected]
    return best if best != expected and clear else expected


@cache
def _languages_of() -> dict[str, tuple[str, ...]]:
    """Return the languages of each function word."""
    found: dict[str, list[str]] = {}
    for name in LANGUAGES:
        if data := load(name):
            for word in data.stop_words:
                found.setdefault(word, []).append(name)
    return {word: tuple(names) for word, names in found.items()}
