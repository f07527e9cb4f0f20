"""Say why a served answer needs a person, from its record. Reads no text."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from groundtune.common.drawing import place_of
from groundtune.common.support import is_supported
from groundtune.config.review_table import HoldReason, ReviewConfig

Reason = Literal["held", "compared", "thumbs_down", "unsupported", "low_confidence", "abstained", "sample"]
WORDS: Mapping[str, str] = {
    "held": "waits to be sent",
    "compared": "compared with another answer",
    "thumbs_down": "not helpful",
    "unsupported": "unsupported citation",
    "low_confidence": "low confidence",
    "abstained": "abstention",
    "sample": "sample",
}
"""How each reason is shown. In this order items are offered: the first reason that an item has counts.

`compared` comes before all doubts, since these would choose which pairs of answers are judged, and in which order.
"""


def reasons_of(record: Mapping[str, Any], settings: ReviewConfig) -> list[Reason]:
    """Return why an answer comes into the queue, by its record; empty when it does not."""
    if record["status"] not in ("answered", "abstained"):
        return []  # it broke off
    reasons: list[Reason] = ["held"] if record.get("held") else []
    reasons += doubts(record, low_confidence=settings.low_confidence)
    if place_of(record["id"]) < settings.sample:
        reasons.append("sample")
    return reasons


def shown_reasons(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """Return the reasons that a reviewer may see: others than `compared` would tell which answer of two was sent."""
    return ("compared",) if "compared" in reasons else tuple(reasons)


def doubts(record: Mapping[str, Any], *, low_confidence: float) -> list[Reason]:
    """Return what makes an answer doubtful. record: with `status`, `confidence` and `citations`.

    A sentence that cites nothing is no unsupported citation.
    """
    reasons: list[Reason] = []
    cited = [citation for citation in record["citations"] if citation["marker"] is not None]
    if any(is_supported(citation["support"]) is False for citation in cited):
        reasons.append("unsupported")
    confidence = record["confidence"]
    if record["status"] == "abstained":
        reasons.append("abstained")
    elif confidence is not None and confidence < low_confidence:
        reasons.append("low_confidence")
    return reasons


def is_held(record: Mapping[str, Any], hold: Iterable[HoldReason], *, low_confidence: float) -> bool:
    """Whether an answer may be sent only once a person has decided."""
    hold = set(hold)
    return "all" in hold or bool(hold & set(doubts(record, low_confidence=low_confidence)))
