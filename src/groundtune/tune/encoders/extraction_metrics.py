"""Score extracted objects against gold objects. Pure; knows no model."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from groundtune.models.span_decoding import DecodedObject, Span
from groundtune.tune.encoders import calibration
from groundtune.tune.encoders.calibration import Floats


def score_extractions(
    predictions: Sequence[DecodedObject], gold: Sequence[Any], spans: Sequence[Sequence[Span]]
) -> dict[str, float]:
    """Return span_precision, span_recall and span_f1, and exact: the share of correct objects.

    A span is correct when its field and both ends are.
    """
    matched = predicted = expected = 0
    for prediction, gold_spans in zip(predictions, spans, strict=True):
        predicted_spans = Counter(span[:3] for span in prediction.spans)
        expected_spans = Counter(span[:3] for span in gold_spans)
        matched += (predicted_spans & expected_spans).total()
        predicted += predicted_spans.total()
        expected += expected_spans.total()
    result = {"exact": float(np.mean(exact_matches(predictions, gold)))}
    if expected:
        result["span_precision"] = matched / predicted if predicted else 0.0
        result["span_recall"] = matched / expected
        result["span_f1"] = 2 * matched / (predicted + expected)
    return result


def exact_matches(predictions: Sequence[DecodedObject], gold: Sequence[Any]) -> list[bool]:
    """Whether each object equals the gold one, ignoring the order of lists and the case and spacing of texts."""
    return [
        _folded(prediction.output) == _folded(expected) for prediction, expected in zip(predictions, gold, strict=True)
    ]


def _folded(value: Any) -> Any:
    """Return an equal result for equivalent values; None for values that say nothing."""
    if isinstance(value, Mapping):
        folded_items = {
            key: folded for key, inner_value in value.items() if (folded := _folded(inner_value)) is not None
        }
        return repr(sorted(folded_items.items())) if folded_items else None
    if isinstance(value, list | tuple):
        items = [_folded(item) for item in value]
        ordered = items if any(isinstance(item, Mapping) for item in value) else sorted(map(repr, items))
        return repr(ordered) if items else None
    if isinstance(value, str):
        return " ".join(value.casefold().split())
    return value if isinstance(value, bool | None) else float(value)


def fit_confidence(score: Floats, right: Any) -> calibration.Rejection | None:
    """Fit the curve from score to the probability of a correct object; None when too few are correct, or too few are
    wrong.
    """
    if right.sum() < calibration.FEWEST or (~right).sum() < calibration.FEWEST:
        return None
    return calibration.fit_rejection(score[right], np.ones(int(right.sum()), dtype=bool), score[~right])


def confidence_ece(score: Floats, right: Any) -> float | None:
    """Return `calibration.ece`, with each half of the rows judged by the curve fitted on the other half."""
    confidence = np.empty(len(score))
    for fitted, judged in calibration.two_folds(len(score)):
        chance = calibration.in_scope_probability(score[judged], fit_confidence(score[fitted], right[fitted]))
        if chance is None:
            return None
        confidence[judged] = chance
    return calibration.ece(confidence, right)
