"""Read what drift looks at from a record of the audit log, or from a row of a comparison. Computes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from groundtune.common.support import UNSUPPORTED
from groundtune.types import Result


@dataclass(frozen=True, slots=True)
class Served:
    """An answer that was served, or one of a comparison. An unknown value is None."""

    id: str
    time: str
    """ISO 8601, UTC; empty for a row of a comparison."""
    question: str | None
    """None where the text was erased."""
    status: str
    approach: str
    """The approach that answered; of a chain, the one that stood in."""
    asked: str | None = None
    """The approach that was asked for; None: the project's choice."""
    index: str | None = None
    confidence: float | None = None
    best_score: float | None = None
    unsupported: bool | None = None
    """Whether a citation of it is unsupported; None where nothing is cited."""
    degraded: bool = False
    """Whether another approach stood in."""
    seconds: float | None = None
    usd: float | None = None
    ratings: tuple[str, ...] = ()
    """What people think of it, `up` or `down`."""
    correct: float | None = None
    """Its score; None for one that nobody has labelled."""


def from_record(record: Mapping[str, Any], texts: Mapping[str, str], ratings: tuple[str, ...]) -> Served:
    """Return the answer of a record. Records of older versions lack some values."""
    usage = record.get("usage") or {}
    return Served(
        id=record["id"],
        time=record["time"],
        question=texts.get("question"),
        status=record["status"],
        approach=record.get("approach") or "",
        asked=record.get("model"),
        index=record.get("index"),
        confidence=record.get("confidence"),
        best_score=record.get("best_score"),
        unsupported=_unsupported([citation["support"] for citation in record.get("citations", ())]),
        degraded=record.get("degradation") is not None,
        seconds=usage.get("seconds"),
        usd=usage.get("usd"),
        ratings=ratings,
    )


def from_result(result: Result, question: str, primary: str) -> Served:
    """Return the answer of a row of a comparison. primary: the score that says whether it is right."""
    return Served(
        id=result.example,
        time="",
        question=question,
        status=result.status,
        approach=result.approach,
        confidence=result.confidence,
        best_score=result.best_score,
        unsupported=_unsupported([citation.support for citation in result.citations]),
        seconds=result.usage.seconds,
        usd=result.usage.usd,
        correct=result.scores.get(primary),
    )


def _unsupported(supports: list[str]) -> bool | None:
    return any(support in UNSUPPORTED for support in supports) if supports else None
