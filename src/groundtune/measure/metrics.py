"""Turn an answer and its gold example into scores from 0 to 1. Never gives a number to what does not apply."""

import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.types import Answer, Citation, Evidence, Example, Passage

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLE = re.compile(r"\b(a|an|the)\b")
_ARTICLES = frozenset({"a", "an", "the"})

_TYPOGRAPHIC = str.maketrans(
    dict.fromkeys("‘’‚‛′‹›", "'")
    | dict.fromkeys("“”„‟″«»", '"')
    | dict.fromkeys("‐‑‒–—―−", "-")
    | dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060\ufeff", None)
)
_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
"""Scripts written without spaces, or with particles joined on: each character counts as a word."""
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+(?:(?<=\d)[.,:](?=\d)[^\W_{_UNSPACED}]+)*")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_INITIAL = re.compile(r"(?<=\b[^\W\d])\.")

Golds = str | Sequence[str]


def normalise(text: str) -> str:
    """Text by the rule of SQuAD: lower case, no ASCII punctuation, no articles, single spaces.

    Source: evaluate-v2.0.py of Rajpurkar et al. 2018, character by character; other punctuation stays.
    """
    return " ".join(_ARTICLE.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, gold: Golds) -> float:
    """1.0 when the answer equals a gold answer after `normalise`, else 0.0."""
    return float(any(normalise(answer) == normalise(one) for one in gold_texts(gold)))


def token_f1(answer: str, gold: Golds) -> float:
    """Harmonic mean of token precision and recall after `normalise`; the best over several gold answers.

    Where one side has no tokens it is 1.0 when both have none, else 0.0. Source: SQuAD 2.0.
    """
    return max((_f1(normalise(answer).split(), normalise(one).split()) for one in gold_texts(gold)), default=0.0)


def contains(answer: str, gold: Golds) -> float:
    """1.0 when the words of a gold answer stand in the answer, next to each other and in order, else 0.0.

    Whole words only: `3` is not in `30`. Stricter than SQuAD where its rule confuses answers: `1.5` is not
    `15`, `3-0` is not `30`, and an article that ends the gold answer is kept (`vitamin A`). Looser where it
    separates equals: `1,000` is `1000`, typographic quotes and dashes are plain ones.
    """
    return float(any(_contains(answer, one) for one in gold_texts(gold)))


def fold(text: str) -> str:
    """Text for comparing quotes: NFKC, case folded, plain quotes and dashes, single spaces."""
    if text.isascii():
        return " ".join(text.lower().split())
    plain = unicodedata.normalize("NFKC", text.translate(_TYPOGRAPHIC)).translate(_TYPOGRAPHIC)
    return " ".join(plain.casefold().split())


def words(text: str) -> list[str]:
    """Words of the folded text without punctuation; decimals, times and initials stay whole (`1.5`, `us`)."""
    return _WORD.findall(_INITIAL.sub("", _THOUSANDS.sub("", fold(text)).replace("'", "")))


def holds(text: str, quote: str) -> bool:
    """Whether the text has the whole quote in it after `fold`; a number is not part of a longer number."""
    inner = fold(quote)
    before = r"(?<!\d)(?<!\d[.,])" if inner[:1].isdigit() else ""
    after = r"(?![.,]?\d)" if inner[-1:].isdigit() else ""
    return bool(inner) and re.search(before + re.escape(inner) + after, fold(text)) is not None


def covers(text: str, quote: str) -> bool:
    """Whether the text has at least half of the quote's words in one run (and at least three, where it has)."""
    inner = words(quote)
    need = max(math.ceil(len(inner) / 2), min(len(inner), 3))
    return need > 0 and _share_run(words(text), inner, need)


def score_answer(answer: Answer, example: Example) -> dict[str, float]:
    """Scores of one text answer, each 0 to 1; a metric that does not apply is absent. Labels, objects: `scoring`.

    - `correct`: abstained where the gold output is None; else answered, with a gold answer in it.
    - `abstention`: the decision to answer or abstain was right.
    - `exact`, `f1`, `contains`: for answerable examples; 0 when abstained.
    - `citation_precision`, `citation_recall`: for answered examples with evidence. An answer without any
      citation has recall 0 and no precision.
    - `supported`: share of the cited sentences of which a citation has support exact or close.
    """
    abstained = answer.status == "abstained"
    scores = {"abstention": float(abstained == (example.output is None))}
    if example.output is None:
        scores["correct"] = float(abstained)
    elif abstained:
        scores |= dict.fromkeys(("exact", "f1", "contains", "correct"), 0.0)
    else:
        gold, text = gold_texts(example.output), without_markers(answer)
        inside = contains(text, gold)
        # An exact answer is contained, except where SQuAD's rule takes 1.5 for 15: not correct here.
        scores |= {"exact": exact_match(text, gold), "f1": token_f1(text, gold), "contains": inside, "correct": inside}
    if not abstained:
        scores |= _score_citations(answer, example.evidence)
    return scores


def without_markers(answer: Answer) -> str:
    """The text without the `[1]` or `[1, 2]` of its own citations, which no gold answer has."""
    markers = {one.marker for one in answer.citations}

    def drop(match: re.Match[str]) -> str:
        return " " if {int(one) for one in re.findall(r"\d+", match[0])} <= markers else match[0]

    return re.sub(r"\[\d+(?:\s*[,;]\s*\d+)*\]", drop, answer.text) if markers else answer.text


def gold_texts(gold: Any) -> list[str]:
    """The gold answers, of which each is right, as texts."""
    return [str(one) for one in gold] if isinstance(gold, list | tuple) else [str(gold)]


def _score_citations(answer: Answer, evidence: Sequence[Evidence]) -> dict[str, float]:
    scores: dict[str, float] = {}
    passages = {hit.passage.id: hit.passage for hit in answer.hits}
    cited = answer.citations
    if evidence:
        right = [[_points_at(one, proof, passages) for proof in evidence] for one in cited]
        if right:
            scores["citation_precision"] = sum(map(any, right)) / len(right)
        found = sum(any(row[at] for row in right) for at in range(len(evidence)))
        scores["citation_recall"] = found / len(evidence)
    if cited:
        supported = {one.sentence for one in cited if one.support != "missing"}
        scores["supported"] = len(supported) / len({one.sentence for one in cited})
    return scores


def _points_at(citation: Citation, evidence: Evidence, passages: Mapping[str, Passage]) -> bool:
    """Whether a citation leads to the evidence: the same source, and the quoted or cited words overlap it."""
    if citation.source != evidence.source:
        return False
    passage = passages.get(citation.passage_id or "")
    return (
        _overlap(citation.quote, evidence.quote)
        or _overlap(citation.sentence, evidence.quote)
        or (passage is not None and (holds(passage.text, evidence.quote) or covers(passage.text, evidence.quote)))
    )


def _overlap(text: str, quote: str) -> bool:
    """Whether the two share a run of half of the shorter one, of at least three words where the quote has."""
    first, second = words(text), words(quote)
    need = max(math.ceil(min(len(first), len(second)) / 2), min(len(second), 3))
    return need > 0 and _share_run(first, second, need)


def _share_run(first: Sequence[str], second: Sequence[str], length: int) -> bool:
    runs = {tuple(first[at : at + length]) for at in range(len(first) - length + 1)}
    return any(tuple(second[at : at + length]) in runs for at in range(len(second) - length + 1))


def _contains(answer: str, gold: str) -> bool:
    want, have = words(gold), words(answer)
    if not want:
        return bool(gold.strip()) and fold(gold) in fold(answer)
    if want[-1] in _ARTICLES:
        return _in_order(want, have)
    if _in_order(_no_articles(want), _no_articles(have)):
        return True
    # SQuAD's rule joins `e-mail` to `email`, which is meant, and `1.5` to `15`, which is not.
    numbers = _NUMBER.findall(fold(gold))
    same = not numbers or _in_order(numbers, _NUMBER.findall(fold(answer)))
    plain = normalise(gold).split()
    return bool(plain) and same and _in_order(plain, normalise(answer).split())


def _no_articles(tokens: Sequence[str]) -> list[str]:
    return [token for token in tokens if token not in _ARTICLES]


def _in_order(inner: Sequence[str], outer: Sequence[str]) -> bool:
    return f" {' '.join(inner)} " in f" {' '.join(outer)} "


def _f1(have: Sequence[str], want: Sequence[str]) -> float:
    if not have or not want:
        return float(have == want)
    same = (Counter(have) & Counter(want)).total()
    return 2 * same / (len(have) + len(want))
