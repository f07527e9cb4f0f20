"""Find the words that say how a statement is meant: unsure, no longer true, true now, conditional, ordered."""

from functools import lru_cache

from groundtune.languages.language import load
from groundtune.languages.tokens import tokenize


@lru_cache(maxsize=4096)
def signals(text: str, language: str = "english") -> frozenset[str]:
    """Return the names of `SIGNALS` whose words are in the text. A language without data has none: see `load`."""
    data = load(language)
    if data is None:
        return frozenset()
    return frozenset(name for found in data.signals.find(tokenize(text, data.writing)) for name in found.values)
