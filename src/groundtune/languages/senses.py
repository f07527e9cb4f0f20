"""Find the words that a statement turns on: negations, opposites, bounds, modals, quantifiers. Never weighs them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import regex

from groundtune.languages.language import BESIDE_UNITS, CONCORD, Language, load
from groundtune.languages.lexicon import Found
from groundtune.languages.tokens import Token, tokenize

NEGATIVE = frozenset({"not", "without", "forbidden"})
_BREAK = regex.compile(r"[.!?;:()]")
_HYPHENED = regex.compile(r"[-‐‑](?=\p{L})")
_CLAUSE_END = regex.compile(r"[.!?,;:()]")


@dataclass(frozen=True, slots=True)
class Sense:
    """A critical word or phrase of a text."""

    name: str
    """A sense of `SENSES`, or "opposite" with the words of one in the language's file."""
    start: int
    end: int
    joined: bool = False
    """Whether a hyphen joins it to the next word: non-members."""


@lru_cache(maxsize=4096)
def senses(text: str, language: str = "english") -> tuple[Sense, ...]:
    """Return the critical words of the text in order. A language without data has none: see `load`."""
    data = load(language)
    if data is None:
        return ()
    tokens = tokenize(text, data.writing)
    breaks = frozenset(
        index for index, token in enumerate(tokens) if index and _BREAK.search(text, tokens[index - 1].end, token.start)
    )
    result: list[Sense] = []
    for found in data.senses.find(tokens, breaks):
        start, end = tokens[found.tokens[0]].start, tokens[found.tokens[-1]].end
        repeated = CONCORD in found.values and any(
            sense.name in NEGATIVE and not _CLAUSE_END.search(text[sense.start : start]) for sense in result
        )
        result += [
            Sense(name, start, end, joined=_HYPHENED.match(text, end) is not None)
            for name in found.values
            if name
            and name != CONCORD
            and not (name == "not" and repeated)
            and (name not in BESIDE_UNITS or _is_beside_unit(found, tokens, data))
        ]
    return tuple(result)


def _is_beside_unit(found: Found, tokens: Sequence[Token], language: Language) -> bool:
    neighbours = [place for place in (found.tokens[0] - 1, found.tokens[-1] + 1) if 0 <= place < len(tokens)]
    return any(language.units.values(tokens[place]) for place in neighbours)
