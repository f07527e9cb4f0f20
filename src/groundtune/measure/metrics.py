"""Score a text answer against its gold example, 0 to 1. Omits metrics that do not apply."""

import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.common.names import same_name
from groundtune.common.support import sentence_supports
from groundtune.measure.correctness import is_correct, is_doubted
from groundtune.measure.metric_names import ASSERTED_WRONG
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
"""Scripts written without spaces or with attached particles: each character counts as a word."""
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+(?:(?<=\d)[.,:](?=\d)[^\W_{_UNSPACED}]+)*")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_INITIAL = re.compile(r"(?<=\b[^\W\d])\.")

GoldAnswers = str | Sequence[str]


def squad_normalise(text: str) -> str:
    """Normalise a text as SQuAD does: lower case, no ASCII punctuation, no articles, single spaces.

    Identical to evaluate-v2.0.py of Rajpurkar et al. 2018; non-ASCII punctuation stays.
    """
    return " ".join(_ARTICLE.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(answer: str, gold: GoldAnswers) -> float:
    """Return 1.0 if the answer equals a gold answer after `squad_normalise`, else 0.0."""
    return float(any(squad_normalise(answer) == squad_normalise(gold_text) for gold_text in gold_texts(gold)))


def token_f1(answer: str, gold: GoldAnswers) -> float:
    """Return the token F1 after `squad_normalise`, the best over several gold answers.

    If a side has no tokens, 1.0 when both have none, else 0.0. Source: SQuAD 2.0.
    """
    return max(
        (_f1(squad_normalise(answer).split(), squad_normalise(gold_text).split()) for gold_text in gold_texts(gold)),
        default=0.0,
    )


def contains(answer: str, gold: GoldAnswers) -> float:
    """Return 1.0 if the words of a gold answer occur in the answer, adjacent and in order, else 0.0.

    Whole words only: `3` is not in `30`. Stricter than SQuAD where its rule conflates different answers: `1.5` is not
    `15`, `3-0` is not `30`, and a trailing article of the gold answer is kept (`vitamin A`). More lenient where its
    rule separates equal answers: `1,000` equals `1000`, and typographic quotes and dashes equal plain ones.
    """
    return float(any(_contains(answer, gold_text) for gold_text in gold_texts(gold)))


def fold(text: str) -> str:
    """Normalise a text for comparing quotes: NFKC, case folded, plain quotes and dashes, single spaces."""
    if text.isascii():
        return " ".join(text.lower().split())
    plain = unicodedata.normalize("NFKC", text.translate(_TYPOGRAPHIC)).translate(_TYPOGRAPHIC)
    return " ".join(plain.casefold().split())


def tokenize(text: str) -> list[str]:
    """Return the words of the folded text without punctuation; decimals, times, initials stay whole (`1.5`, `us`)."""
    return _WORD.findall(_INITIAL.sub("", _THOUSANDS.sub("", fold(text)).replace("'", "")))


def contains_quote(text: str, quote: str) -> bool:
    """Whether the text contains the whole quote after `fold`; a number never matches within a longer number."""
    inner = fold(quote)
    before = r"(?<!\d)(?<!\d[.,])" if inner[:1].isdigit() else ""
    after = r"(?![.,]?\d)" if inner[-1:].isdigit() else ""
    return bool(inner) and re.search(before + re.escape(inner) + after, fold(text)) is not None


def contains_most_of_quote(text: str, quote: str) -> bool:
    """Whether the text contains a run of at least half of the quote's words, and at least three if it has them."""
    inner = tokenize(quote)
    need = max(math.ceil(len(inner) / 2), min(len(inner), 3))
    return need > 0 and _share_run(tokenize(text), inner, need)


def score_answer(answer: Answer, example: Example, *, language: str = "english") -> dict[str, float]:
    """Score one text answer, each metric 0 to 1; a metric that does not apply is absent. Labels, objects: `scoring`.

    - `correct`: abstained if the gold output is None; otherwise answered and gives a gold answer (correctness.py).
    - `asserted_wrong`: answered, not correct, and without a word of doubt. Lower is better.
    - `abstention`: the decision to answer or abstain was correct.
    - `exact`, `f1`, `contains`: for answerable examples; 0 when abstained.
    - `citation_precision`, `citation_recall`: for answered examples with evidence. An answer without any marker has
      recall 0 and no precision.
    - `supported`: share of its sentences that a cited passage supports; those that nothing could check are left out.
    """
    abstained = answer.status == "abstained"
    scores = {"abstention": float(abstained == (example.output is None))}
    if example.output is None:
        scores["correct"] = float(abstained)
    elif abstained:
        scores |= dict.fromkeys(("exact", "f1", "contains", "correct"), 0.0)
    else:
        gold, text = gold_texts(example.output), without_markers(answer)
        correct = any(is_correct(text, item, question=example.input, language=language) for item in gold)
        scores |= {"exact": exact_match(text, gold), "f1": token_f1(text, gold), "contains": contains(text, gold)}
        scores["correct"] = float(correct)
    doubted = not abstained and is_doubted(without_markers(answer), language=language)
    scores[ASSERTED_WRONG] = float(not abstained and not scores["correct"] and not doubted)
    if not abstained:
        scores |= _score_citations(answer, example.evidence)
    return scores


def without_markers(answer: Answer) -> str:
    """Return the text without its citation markers such as `[1]` or `[1, 2]`, which gold answers lack."""
    markers = {citation.marker for citation in answer.citations if citation.marker is not None}

    def drop(match: re.Match[str]) -> str:
        return " " if {int(number) for number in re.findall(r"\d+", match[0])} <= markers else match[0]

    return re.sub(r"\[\d+(?:\s*[,;]\s*\d+)*\]", drop, answer.text) if markers else answer.text


def training_text(answer: Answer) -> str:
    """Return the text to learn from: without markers and the gaps that they leave, its lines as they are."""
    text = without_markers(answer)
    if text == answer.text:
        return text.strip()
    lines = (re.sub(r"[^\S\n]+([.,;:!?])", r"\1", " ".join(line.split())) for line in text.split("\n"))
    return "\n".join(lines).strip()


def gold_texts(gold: Any) -> list[str]:
    """Return the gold answers, each equally correct, as texts."""
    return [str(item) for item in gold] if isinstance(gold, list | tuple) else [str(gold)]


def _score_citations(answer: Answer, evidence: Sequence[Evidence]) -> dict[str, float]:
    scores: dict[str, float] = {}
    passages = {hit.passage.id: hit.passage for hit in answer.hits}
    cited = [citation for citation in answer.citations if citation.marker is not None]
    if evidence:
        matches = [[_points_at(citation, item, passages) for item in evidence] for citation in cited]
        if matches:
            scores["citation_precision"] = sum(map(any, matches)) / len(matches)
        covered = sum(any(row[index] for row in matches) for index in range(len(evidence)))
        scores["citation_recall"] = covered / len(evidence)
    counted = [supported for supported in sentence_supports(answer.citations).values() if supported is not None]
    if counted:
        scores["supported"] = sum(counted) / len(counted)
    return scores


def _points_at(citation: Citation, evidence: Evidence, passages: Mapping[str, Passage]) -> bool:
    """Whether a citation points to the evidence: same source, and its quote, sentence or passage overlaps it."""
    if citation.source is None or not same_name(citation.source, evidence.source):
        return False
    passage = passages.get(citation.passage_id or "")
    return (
        _overlap(citation.quote, evidence.quote)
        or _overlap(citation.sentence, evidence.quote)
        or (
            passage is not None
            and (contains_quote(passage.text, evidence.quote) or contains_most_of_quote(passage.text, evidence.quote))
        )
    )


def _overlap(text: str, quote: str) -> bool:
    """Whether the two share a run of half the words of the shorter one, and at least three if the quote has them."""
    first, second = tokenize(text), tokenize(quote)
    need = max(math.ceil(min(len(first), len(second)) / 2), min(len(second), 3))
    return need > 0 and _share_run(first, second, need)


def _share_run(first: Sequence[str], second: Sequence[str], length: int) -> bool:
    runs = {tuple(first[start : start + length]) for start in range(len(first) - length + 1)}
    return any(tuple(second[start : start + length]) in runs for start in range(len(second) - length + 1))


def _contains(answer: str, gold: str) -> bool:
    gold_words, answer_words = tokenize(gold), tokenize(answer)
    if not gold_words:
        return bool(gold.strip()) and fold(gold) in fold(answer)
    if gold_words[-1] in _ARTICLES:
        return _in_order(gold_words, answer_words)
    if _in_order(_no_articles(gold_words), _no_articles(answer_words)):
        return True
    # SQuAD's rule joins `e-mail` to `email`, as intended, and `1.5` to `15`, which is wrong.
    numbers = _NUMBER.findall(fold(gold))
    numbers_match = not numbers or _in_order(numbers, _NUMBER.findall(fold(answer)))
    gold_tokens = squad_normalise(gold).split()
    return bool(gold_tokens) and numbers_match and _in_order(gold_tokens, squad_normalise(answer).split())


def _no_articles(tokens: Sequence[str]) -> list[str]:
    return [token for token in tokens if token not in _ARTICLES]


def _in_order(needle: Sequence[str], haystack: Sequence[str]) -> bool:
    return f" {' '.join(needle)} " in f" {' '.join(haystack)} "


def _f1(predicted: Sequence[str], gold: Sequence[str]) -> float:
    if not predicted or not gold:
        return float(predicted == gold)
    common = (Counter(predicted) & Counter(gold)).total()
    return 2 * common / (len(predicted) + len(gold))
