"""Tell whether a text says yes or no to a question, by its first word or by what it says. Never reads meaning."""

from functools import lru_cache
from itertools import pairwise
from typing import Literal

import regex

from groundtune.languages.language import Language, load
from groundtune.languages.senses import senses
from groundtune.languages.tokens import tokenize
from groundtune.measure.claims import Claim, claims, negations, plain_text, turns, words

Stance = Literal["yes", "no", "both"]
_AKIN = 5
"""Letters that the stems of words of one family have in common."""
_DENIAL_WORDS = 4
_ENDS = regex.compile(r"\s*(?:[.,;:!?()–—-]|$)")


@lru_cache(maxsize=4096)
def said(text: str, language: str) -> tuple[Stance | None, str]:
    """Return the yes or no that the text begins with ("Short answer: no"), and what follows it.

    `both` for "yes and no". None if it begins with neither, with the whole text.
    """
    plain, data = plain_text(text), load(language)
    if data is None:
        return None, plain
    tokens = tokenize(plain, data.writing)
    after_colon = [i for i in range(1, len(tokens)) if ":" in plain[tokens[i - 1].end : tokens[i].start]]
    for start in [0, *after_colon[:1]] if tokens else []:
        if not (found := data.yes_no.at(tokens, start)):
            continue
        end = tokens[found.tokens[-1]].end
        if "not" in data.senses.values(tokens[start]) and not _ENDS.match(plain, end):
            continue  # a word of the sentence: "No reason is needed", "No se puede"
        rest = plain[end:].lstrip(" .,;:!–—-")
        if _is_opposite(rest, found.values[0], data):
            return "both", rest
        return ("yes" if found.values[0] == "yes" else "no"), rest
    return None, plain


def _is_opposite(rest: str, value: str, data: Language) -> bool:
    """Whether "and no", "or no" follows a yes."""
    tokens = tokenize(rest, data.writing)
    if len(tokens) < 2 or not data.joins.values(tokens[0]):
        return False
    other = data.yes_no.at(tokens, 1)
    return (
        other is not None and value not in other.values and _ENDS.match(rest, tokens[other.tokens[-1]].end) is not None
    )


def implied(text: str, question: str, language: str) -> Stance | None:
    """Return whether the first statement about the question says what it asks, or the contrary.

    `both` where it says "not always". None if no statement is about the question.
    """
    every = claims(text, language)
    asked = set(words(question, language).stems)

    def overlap(claim: Claim) -> int:
        found = words(claim.text, language).stems
        return sum(any(stem == other or _is_akin(stem, other) for other in found) for stem in asked)

    related = [claim for claim in every if overlap(claim)]
    if not related:
        first = every[0].text if every else ""
        alone = bool(first) and (not words(first, language).stems or _only_denies(first, language))
        return _stance(first, question, language) if alone else None
    best = max(related, key=lambda claim: (overlap(claim), -claim.sentence))
    about = [claim for claim in related if claim.sentence == best.sentence]
    if any(_is_exempted(about[0], claim, language) for claim in about[1:]):
        return "both"
    return _stance(" ".join(claim.text for claim in about), question, language)


def _is_exempted(first: Claim, claim: Claim, language: str) -> bool:
    """Whether the first claim denies for some what this one says of all others: "not X, but all other …"."""
    everything = any(sense.name == "all" for sense in senses(claim.text, language))
    contrast = claim.parts[0].joined == "but" and everything
    return contrast and negations(first.text, language) > 0 == negations(claim.text, language)


def _only_denies(text: str, language: str) -> bool:
    """Whether the text is a few words that end in a negation: "Unfortunately not", "I am afraid not"."""
    found = senses(text, language)
    return bool(found) and found[-1].name == "not" and found[-1].end == len(text) and len(text.split()) <= _DENIAL_WORDS


def _is_akin(first: str, second: str) -> bool:
    """Whether two stems begin with the same letters: register and registration."""
    return min(len(first), len(second)) >= _AKIN and first[:_AKIN] == second[:_AKIN]


def _stance(text: str, question: str, language: str) -> Stance:
    found = senses(text, language)
    for first, second in pairwise(found):
        if first.name == "not" and second.name == "all" and 0 <= second.start - first.end <= 1:
            return "both"
    count = turns(text, question, language) + _is_excluded(text, question, language)
    return "no" if (count - turns(question, "", language)) % 2 else "yes"


def _is_excluded(text: str, question: str, language: str) -> bool:
    """Whether the text ends with a word for without: "is excluded"."""
    if any(sense.name in ("with", "without") for sense in senses(question, language)):
        return False
    return any(
        sense.name == "without" and not words(text[sense.end :], language).stems for sense in senses(text, language)
    )
