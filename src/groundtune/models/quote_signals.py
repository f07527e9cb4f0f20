"""Score how well a sentence answers a question, as numeric signals. Pure: computes signals only."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from groundtune.languages.text import content_words, sentences, words
from groundtune.types import Hit, Vectors

Floats = NDArray[np.float64]

SIGNALS = ("cosine", "relative score", "words", "words_around", "type")
"""Columns of `signals`, each roughly from 0 to 1 (type: -1 to 1)."""

UNRELATED = 0.9
"""Quantile of cosines above which a word counts as related to a word of the question."""
FRAGMENT = 3
"""A sentence of at most this many words is quoted with the next one ("GCW. Gross combined weight: …")."""
_LABEL = r"(?:[^:;()\n]|\([^()\n]*\)){1,60}: "
_COLONS = (":", "：")
_STOPS = (".", "!", "?", "。", "！", "？", "؟", "।")
_MARK = re.compile(r"[-*+•–‣▪◦]\s|\[[ x]\]\s|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)]\s")
"""What may stand before an item of a list."""
MOST_ITEMS = 20
LONGEST_ITEM = 200
"""Items quoted with the sentence that announces them, and the most characters of one."""
_ROW = re.compile(rf"{_LABEL}[^;\n]*(?:; {_LABEL}|$)")


@dataclass(frozen=True, slots=True)
class QuotableUnit:
    """A sentence or table row of a passage."""

    passage: int
    """Index into the hits."""
    text: str
    heading: str = ""
    previous: str = ""
    """The previous sentence of the passage."""

    @property
    def around(self) -> str:
        """Heading and previous sentence: they may say what "it" refers to."""
        return f"{self.heading} {self.previous}"

    @property
    def embedded(self) -> str:
        """Text to embed, with the heading path, which may say what "it" refers to."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text


def quotable(text: str, *, language: str) -> list[str]:
    """Split a passage into sentences (a fragment joins the next) and table rows, with whitespace collapsed.

    A sentence that ends in a colon comes with the list that it announces: its items follow, each on a line. The items
    are also units of their own.
    """
    units: list[str] = []
    blocks = text.split("\n\n")
    for number, block in enumerate(blocks):
        of_block = _units(block, language)
        if of_block and of_block[-1].endswith(_COLONS):
            of_block[-1] = "\n".join([of_block[-1], *_items(blocks[number + 1 :])])
        units += of_block
    return [unit for unit in units if words(unit)]


def _units(block: str, language: str) -> list[str]:
    if _ROW.match(block):
        return [" ".join(block.split())]
    units: list[str] = []
    pending = ""
    for start, end in sentences(block, language=language):
        pending = f"{pending} {' '.join(block[start:end].split())}".strip()
        if len(pending.split()) > FRAGMENT:
            units.append(pending)
            pending = ""
    return [*units, pending] if pending else units


def _items(blocks: Sequence[str]) -> list[str]:
    """Return the list at the beginning of the blocks: the first one and those of its form, up to a longer text."""
    items: list[str] = []
    for block in blocks[:MOST_ITEMS]:
        item = " ".join(block.split())
        if not item or len(item) > LONGEST_ITEM or (items and not _goes_on(items, item)):
            break
        items.append(item)
    return items


def _goes_on(items: Sequence[str], item: str) -> bool:
    """Whether a block is one more item: it has a mark if the first one has, and ends as the others end.

    The last item of a list in one sentence ends it: `a passport;`, `a proof of address.`
    """
    if items[-1].endswith(_COLONS) or bool(_MARK.match(items[0])) != bool(_MARK.match(item)):
        return False
    if _MARK.match(item):
        return True
    begun, ended, ends = (text.endswith(_STOPS) for text in (items[0], items[-1], item))
    if ended and not begun:
        return False
    return ended == ends or (not ended and items[-1].endswith((";", ",", "；", "，")))


def relative_scores(hits: Sequence[Hit]) -> list[float]:
    """Return the score of each passage relative to the best one, 0 to 1; 1 for all if they are not ranked.

    Fused scores are comparable and are used directly. For other scores only the rank is used, with the decline that
    fused scores show on average (SQuAD 2.0).
    """
    if len({hit.score for hit in hits}) <= 1:
        return [1.0] * len(hits)
    fused = [hit.stages.get("fused", 0.0) for hit in hits if "reranked" not in hit.stages]
    top = max(fused, default=0.0)
    if len(fused) == len(hits) and top > 0:
        return [min(1.0, max(0.0, score / top)) for score in fused]
    return [1.0 - 0.16 * float(np.log1p(rank)) for rank in range(len(hits))]


def lexical_overlap(question: Sequence[str], bags: Sequence[frozenset[str]]) -> Floats:
    """Return the share of the question's stems in each bag of stems; rare stems weigh more."""
    stems = set(question)
    matches = [stems & stem_bag for stem_bag in bags]
    counts = Counter(stem for matched in matches for stem in matched)
    weights = {stem: float(np.log((len(bags) + 1) / (counts[stem] + 0.5))) for stem in stems}
    total = sum(weights.values()) or 1.0
    return np.array([sum(weights[stem] for stem in matched) / total for matched in matches])


def distinct_content_words(text: str) -> list[str]:
    """Return the distinct content words in order, not stemmed."""
    return [word for word in dict.fromkeys(words(text)) if _carries(word)]


def signals(
    question: str,
    units: Sequence[QuotableUnit],
    *,
    cosines: Floats,
    relative: Floats,
    vectors: Mapping[str, Vectors],
) -> Floats:
    """Return one row per unit, one column per signal. vectors: of the words (without digits) of question and units."""
    near, around = _aligned(distinct_content_words(question), units, vectors)
    kind = question_type(question)
    question_words = frozenset(words(question))
    fits = [type_match(kind, question_words, unit.text) for unit in units]
    return np.column_stack([cosines, relative, near, around, fits])


def _aligned(
    question_words: Sequence[str], units: Sequence[QuotableUnit], vectors: Mapping[str, Vectors]
) -> tuple[Floats, Floats]:
    """Return the share of question words that have a related word in the unit, and the share with one in unit or
    context.

    Words are compared by their vectors, so "send back" matches "return"; numbers only match themselves. As in BM25,
    words that occur in most units count little.
    """
    n = len(units)
    bags, arounds = (
        [distinct_content_words(unit.text) for unit in units],
        [distinct_content_words(unit.around) for unit in units],
    )
    vocabulary = {
        word: index
        for index, word in enumerate(dict.fromkeys(word for unit_bag in (*bags, *arounds) for word in unit_bag))
    }
    if not question_words or not vocabulary:
        return np.zeros(n), np.zeros(n)
    related = _related(question_words, list(vocabulary), vectors)

    def best(words_: Sequence[str]) -> Floats:
        columns = [vocabulary[word] for word in words_]
        similarity: Floats = related[:, columns].max(axis=1) if columns else np.zeros(len(question_words))
        return similarity

    in_unit, around = np.array(list(map(best, bags))), np.array(list(map(best, arounds)))
    rarity = np.maximum(np.log((n + 1) / (in_unit.sum(axis=0) + 0.5)), 0.05)
    rarity /= rarity.sum()
    return in_unit @ rarity, np.maximum(in_unit, around) @ rarity


def _related(question_words: Sequence[str], vocabulary: Sequence[str], vectors: Mapping[str, Vectors]) -> Floats:
    similarity = np.zeros((len(question_words), len(vocabulary)))
    rows = [i for i, word in enumerate(question_words) if word in vectors]
    columns = [j for j, word in enumerate(vocabulary) if word in vectors]
    if rows and columns:
        row_vectors = np.array([vectors[question_words[i]] for i in rows])
        cosine = row_vectors @ np.array([vectors[vocabulary[j]] for j in columns]).T
        floor = np.clip(np.quantile(cosine, UNRELATED, axis=1, keepdims=True), 0.05, 0.95)
        similarity[np.ix_(rows, columns)] = np.clip((cosine - floor) / (1 - floor), 0, 1)
    same = np.array([[word == other for other in vocabulary] for word in question_words])
    return np.where(same, 1.0, similarity)


@lru_cache(maxsize=100_000)
def _carries(word: str) -> bool:
    return bool(content_words(word))


# -- expected answer type: English questions only; other languages have none ----------------------------------------

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
    """Return the expected answer type: why, when, duration, money, share, number, who, where, or "" for any other."""
    return next((name for name, pattern in _ASKS if pattern.search(question)), "")


def type_match(kind: str, question_words: frozenset[str], text: str) -> float:
    """Return 1 if the text has something of the expected type that the question lacks, -1 if not, 0 without a type."""
    if not kind:
        return 0.0
    present = set(words(text))
    new = present - question_words
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
            has = float(any(match.group().casefold() not in question_words for match in _CAPITAL.finditer(text[1:])))
    return 2 * has - 1
