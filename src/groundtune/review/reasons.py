"""Say why a served answer needs a person, from its record. Reads no text."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from groundtune.common.support import is_supported
from groundtune.config.review_table import HoldReason, ReviewConfig

Reason = Literal["held", "thumbs_down", "unsupported", "low_confidence", "abstained", "sample"]
WORDS: Mapping[str, str] = {
    "held": "waits to be sent",
    "thumbs_down": "not helpful",
    "unsupported": "unsupported citation",
    "low_confidence": "low confidence",
    "abstained": "abstention",
    "sample": "sample",
}
"""How each reason is shown. In this order items are offered: the first reason that an item has counts."""


def reasons_of(record: Mapping[str, Any], settings: ReviewConfig) -> list[Reason]:
    """Return why an answer comes into the queue, by its record; empty when it does not."""
    if record["status"] not in ("answered", "abstained"):
        return []  # it broke off
    reasons: list[Reason] = ["held"] if record.get("held") else []
    reasons += doubts(record, low_confidence=settings.low_confidence)
    if _place(record["id"]) < settings.sample:
        reasons.append("sample")
    return reasons


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


def _place(answer: str) -> float:
    """Return a number from 0 to below 1 that depends on the id alone, so that the same answers are sampled always."""
    return int.from_bytes(hashlib.sha256(answer.encode(errors="surrogatepass")).digest()[:8]) / 2**64
