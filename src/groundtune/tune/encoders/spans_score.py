"""Objects that were extracted, held against those that were wanted. Pure; knows no model."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from groundtune.spans import Said, Span
from groundtune.tune.encoders import calibrate
from groundtune.tune.encoders.calibrate import Floats


def metrics(said: Sequence[Said], gold: Sequence[Any], spans: Sequence[Sequence[Span]]) -> dict[str, float]:
    """span_precision, span_recall, span_f1 over spans with both ends and the field right; exact: share of objects."""
    both = found = wanted = 0
    for one, places in zip(said, spans, strict=True):
        have, want = Counter(span[:3] for span in one.spans), Counter(span[:3] for span in places)
        both, found, wanted = both + (have & want).total(), found + have.total(), wanted + want.total()
    measured = {"exact": float(np.mean(right_of(said, gold)))}
    if wanted:
        measured["span_precision"] = both / found if found else 0.0
        measured["span_recall"] = both / wanted
        measured["span_f1"] = 2 * both / (found + wanted)
    return measured


def right_of(said: Sequence[Said], gold: Sequence[Any]) -> list[bool]:
    """Whether each object is the gold one; lists without order, texts whatever their case and spaces."""
    return [_folded(one.output) == _folded(wanted) for one, wanted in zip(said, gold, strict=True)]


def _folded(value: Any) -> Any:
    """Equal for values that say the same; None for what says nothing."""
    if isinstance(value, Mapping):
        inner = {key: folded for key, one in value.items() if (folded := _folded(one)) is not None}
        return repr(sorted(inner.items())) if inner else None
    if isinstance(value, list | tuple):
        items = [_folded(one) for one in value]
        ordered = items if any(isinstance(one, Mapping) for one in value) else sorted(map(repr, items))
        return repr(ordered) if items else None
    if isinstance(value, str):
        return " ".join(value.casefold().split())
    return value if isinstance(value, bool | None) else float(value)


def confidence_of(score: Floats, right: Any) -> calibrate.Scope | None:
    """The curve from score to the probability that the object is right; None where too few were wrong to tell."""
    if right.sum() < calibrate.FEWEST or (~right).sum() < calibrate.FEWEST:
        return None
    return calibrate.scope(score[right], np.ones(int(right.sum()), dtype=bool), score[~right])


def crossed_ece(score: Floats, right: Any) -> float | None:
    """`calibrate.ece` of rows whose curve the other half was asked for."""
    sure = np.empty(len(score))
    for half in (0, 1):
        here = np.arange(len(score)) % 2 == half
        chance = calibrate.in_scope(score[here], confidence_of(score[~here], right[~here]))
        if chance is None:
            return None
        sure[here] = chance
    return calibrate.ece(sure, right)
