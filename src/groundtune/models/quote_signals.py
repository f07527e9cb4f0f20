"""What speaks for a sentence as the answer to a question, as numbers. Pure; embeds nothing, chooses nothing."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from groundtune.text import content_words, sentences, words
from groundtune.types import Hit, Vectors

Floats = NDArray[np.float64]

SIGNALS = ("cosine", "standing", "words", "words_around", "type")
"""Columns of `signals`, each about 0 to 1 (type: -1 to 1)."""

UNRELATED = 0.9
"""A word counts as related to a question's word when it is nearer to it than this share of all words at hand."""
FRAGMENT = 3
"""A sentence of so few words is quoted together with the next ("GCW. Gross combined weight: …")."""
_LABEL = r"(?:[^:;()\n]|\([^()\n]*\)){1,60}: "
_ROW = re.compile(rf"{_LABEL}[^;\n]*(?:; {_LABEL}|$)")


@dataclass(frozen=True, slots=True)
class Unit:
    """A sentence or table row of a passage."""

    passage: int
    """Index into the hits."""
    text: str
    heading: str = ""
    before: str = ""
    """The sentence before it in the passage."""

    @property
    def around(self) -> str:
        """Where what "it" is may stand, if not in the sentence itself."""
        return f"{self.heading} {self.before}"

    @property
    def embedded(self) -> str:
        """What the embedder sees: the heading path says what "it" is."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text


def quotable(text: str, *, language: str) -> list[str]:
    """Sentences of a passage in order, white space folded; a table row is one, a fragment goes with what follows."""
    found: list[str] = []
    for block in text.split("\n\n"):
        if _ROW.match(block):
            found.append(" ".join(block.split()))
            continue
        held = ""
        for start, end in sentences(block, language=language):
            held = f"{held} {' '.join(block[start:end].split())}".strip()
            if len(held.split()) > FRAGMENT:
                found.append(held)
                held = ""
        if held:
            found.append(held)
    return [one for one in found if words(one)]


def standing(hits: Sequence[Hit]) -> list[float]:
    """How each passage stands beside the best one, 0 to 1; 1 for all where nothing ranked them.

    Fused scores are comparable and are used as they are; of other scores only the order is, with the fall that fused
    scores show on average (SQuAD 2.0).
    """
    if len({hit.score for hit in hits}) <= 1:
        return [1.0] * len(hits)
    fused = [hit.stages.get("fused", 0.0) for hit in hits if "reranked" not in hit.stages]
    top = max(fused, default=0.0)
    if len(fused) == len(hits) and top > 0:
        return [min(1.0, max(0.0, score / top)) for score in fused]
    return [1.0 - 0.16 * float(np.log1p(rank)) for rank in range(len(hits))]


def lexical(question: Sequence[str], bags: Sequence[frozenset[str]]) -> Floats:
    """Share of the question's stems, rare ones weighing more, that each bag of stems has."""
    wanted = set(question)
    found = [wanted & bag for bag in bags]
    seen = Counter(stem for one in found for stem in one)
    weight = {stem: float(np.log((len(bags) + 1) / (seen[stem] + 0.5))) for stem in wanted}
    total = sum(weight.values()) or 1.0
    return np.array([sum(weight[stem] for stem in one) / total for one in found])


def bag(text: str) -> list[str]:
    """Distinct words that carry meaning, in order, not stemmed."""
    return [word for word in dict.fromkeys(words(text)) if _carries(word)]


def signals(
    question: str,
    units: Sequence[Unit],
    *,
    cosines: Floats,
    standings: Floats,
    vectors: Mapping[str, Vectors],
) -> Floats:
    """One row a unit, one column a signal. vectors: those of the words (without digits) of question and units."""
    near, around = _aligned(bag(question), units, vectors)
    kind = question_type(question)
    asked = frozenset(words(question))
    fits = [fit(kind, asked, unit.text) for unit in units]
    return np.column_stack([cosines, standings, near, around, fits])


def _aligned(asked: Sequence[str], units: Sequence[Unit], vectors: Mapping[str, Vectors]) -> tuple[Floats, Floats]:
    """Share of the question that finds a related word in the unit; and in unit, heading or the sentence before.

    Words are compared by their vectors, so "send back" finds "return"; numbers only match themselves. Like BM25, words
    that most of the units have count little.
    """
    n = len(units)
    bags, arounds = [bag(unit.text) for unit in units], [bag(unit.around) for unit in units]
    vocabulary = {word: index for index, word in enumerate(dict.fromkeys(w for b in (*bags, *arounds) for w in b))}
    if not asked or not vocabulary:
        return np.zeros(n), np.zeros(n)
    related = _related(asked, list(vocabulary), vectors)

    def best(words_: Sequence[str]) -> Floats:
        columns = [vocabulary[word] for word in words_]
        found: Floats = related[:, columns].max(axis=1) if columns else np.zeros(len(asked))
        return found

    own, around = np.array([best(b) for b in bags]), np.array([best(b) for b in arounds])
    rarity = np.maximum(np.log((n + 1) / (own.sum(axis=0) + 0.5)), 0.05)
    rarity /= rarity.sum()
    return own @ rarity, np.maximum(own, around) @ rarity


def _related(asked: Sequence[str], vocabulary: Sequence[str], vectors: Mapping[str, Vectors]) -> Floats:
    known = np.zeros((len(asked), len(vocabulary)))
    rows = [i for i, word in enumerate(asked) if word in vectors]
    columns = [j for j, word in enumerate(vocabulary) if word in vectors]
    if rows and columns:
        cosine = np.array([vectors[asked[i]] for i in rows]) @ np.array([vectors[vocabulary[j]] for j in columns]).T
        floor = np.clip(np.quantile(cosine, UNRELATED, axis=1, keepdims=True), 0.05, 0.95)
        known[np.ix_(rows, columns)] = np.clip((cosine - floor) / (1 - floor), 0, 1)
    same = np.array([[word == other for other in vocabulary] for word in asked])
    return np.where(same, 1.0, known)


@lru_cache(maxsize=100_000)
def _carries(word: str) -> bool:
    return bool(content_words(word))


# -- the kind of answer that is asked for: English questions only, others have none ---------------------------------

_TIME_UNITS = "second minute hour day week month year decade century".split()
_UNIT_WORDS = frozenset([*_TIME_UNITS, *(f"{unit}s" for unit in _TIME_UNITS), "centuries", "fortnight"])
_DATE_WORDS = frozenset(
    """january february march april may june july august september october november december monday tuesday wednesday
    thursday friday saturday sunday century""".split()
)
_NUMBER_WORDS = frozenset(
    """two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
    nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion half twice once
    double third quarter dozen none""".split()
)
_EVERY = frozenset("daily weekly monthly yearly annually".split())
_TYPES = {
    "why": r"\bwhy\b|^what (?:was|is|were) the (?:reason|cause)\b",
    "when": r"\bwhen\b|\b(?:what|which) (?:year|date|day|month|century|decade|time|era)\b",
    "duration": rf"\bhow (?:long|old|often|soon|late|early)\b|\bhow many (?:{'|'.join(_TIME_UNITS)})s?\b",
    "money": r"\bhow much (?:do|does|did|is|was|are|will|can|may|would|money)\b|\b(?:price|cost|fee|salary|rate)\b",
    "share": r"\b(?:percentage|percent|proportion|fraction)\b",
    "number": r"\bhow (?:many|much|far|tall|high|big|large|heavy|fast|wide|deep|hot|cold|few|warm)\b"
    r"|\b(?:what|which) (?:number|amount|size|weight|height|population|length|distance|speed|temperature)\b",
    "who": r"\b(?:who|whom|whose)\b"
    r"|\b(?:what|which) (?:person|man|woman|king|queen|scientist|author|team|company|group|president|leader)\b",
    "where": r"\bwhere\b|\b(?:what|which) (?:country|city|state|town|place|region|province|continent|county|river"
    r"|nation|location|area)\b",
}
_ASKS = [(name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _TYPES.items()]
_YEAR = re.compile(
    r"\b1\d{3}\b|\b20\d\d\b|\d(?:st|nd|rd|th) century|\b\d{1,2}[:.]\d\d\b|\b\d{1,4}\s?(?:BC|AD|BCE|CE|am|pm)\b"
)
_MONEY = re.compile(r"[$€£¥]|\b(?:dollar|euro|pound|pence|cent|free)")
_SHARE = re.compile(r"%|percent|per cent|half|third|quarter")
_REASON = re.compile(
    r"\b(?:because|due to|since|so that|in order|therefore|caused?|reasons?|result|thus"
    r"|to (?:avoid|prevent|protect|keep|make))\b",
    re.IGNORECASE,
)
_CAPITAL = re.compile(r"\b[^\W\d_a-z][\w’'-]+")


def question_type(question: str) -> str:
    """why, when, duration, money, share, number, who, where, or "" when it asks for no kind that shows in words."""
    return next((name for name, pattern in _ASKS if pattern.search(question)), "")


def fit(kind: str, asked: frozenset[str], text: str) -> float:
    """1 when the text has something of that kind which the question has not, -1 when not, 0 when no kind is asked."""
    if not kind:
        return 0.0
    present = set(words(text))
    new = present - asked
    number = any(word[0].isdigit() or word in _NUMBER_WORDS for word in new)
    match kind:
        case "why":
            has = float(bool(_REASON.search(text)))
        case "when":
            has = float(bool(new & _DATE_WORDS) or (bool(_YEAR.search(text)) and any(w[0].isdigit() for w in new)))
        case "duration":
            has = 1.0 if (number and present & _UNIT_WORDS) or new & _EVERY else 0.5 * bool(_YEAR.search(text))
        case "money":
            has = number * (1.0 if _MONEY.search(text) else 0.5)
        case "share":
            has = number * (1.0 if _SHARE.search(text) else 0.3)
        case "number":
            has = float(number)
        case _:
            has = float(any(match.group().casefold() not in asked for match in _CAPITAL.finditer(text[1:])))
    return 2 * has - 1
