"""Count what was served lately, from the audit log and the feedback. Reads no text of a question or an answer."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from groundtune.common.support import UNSUPPORTED
from groundtune.records.audit_log import AuditLog
from groundtune.records.feedback import FeedbackLog
from groundtune.workspace import Workspace

DAYS = 7


@dataclass(frozen=True, slots=True)
class Served:
    """What was served in a span of time."""

    hours: int
    answers: int
    """Answers and abstentions that were completed."""
    abstained: int
    broken_off: int
    """Answers that ended half-way: their model failed, or their client left."""
    stood_in: int
    """Answers of an approach that stood in for another."""
    unsupported: int
    """Answers of which a passage does not support a sentence."""
    p50_seconds: float | None
    """Of completed answers; None without any."""
    p95_seconds: float | None
    up: int
    """Answers of the span that somebody found helpful."""
    down: int


@dataclass(frozen=True, slots=True)
class DayServed:
    """What was served on a day."""

    day: str
    """By UTC, such as `2026-01-31`."""
    answered: int
    abstained: int
    broken_off: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was served lately."""

    day: Served
    """The last 24 hours."""
    week: Served
    days: tuple[DayServed, ...]
    """The last days, today being the last."""


def read_traffic(workspace: Workspace, *, now: datetime | None = None) -> Traffic:
    """Return what was served in the last 24 hours and 7 days."""
    end = now or datetime.now(UTC)
    since_day, since_week = (_text(end - timedelta(hours=hours)) for hours in (24, 24 * DAYS))
    records = list(AuditLog(workspace).records(since=since_week))
    ratings: dict[str, set[str]] = defaultdict(set)
    for row in FeedbackLog(workspace).latest():
        ratings[row.answer].add(row.rating)
    recent = [record for record in records if record["time"] >= since_day]
    return Traffic(_served(24, recent, ratings), _served(24 * DAYS, records, ratings), _by_day(records, end))


def _served(hours: int, records: Sequence[Mapping[str, Any]], ratings: Mapping[str, set[str]]) -> Served:
    done = [record for record in records if record["status"] in ("answered", "abstained")]
    seconds = [taken for record in done if (taken := (record.get("usage") or {}).get("seconds")) is not None]
    given = [ratings[record["id"]] for record in records if record["id"] in ratings]
    return Served(
        hours=hours,
        answers=len(done),
        abstained=sum(record["status"] == "abstained" for record in done),
        broken_off=len(records) - len(done),
        stood_in=sum(record.get("degradation") is not None for record in done),
        unsupported=sum(_is_unsupported(record.get("citations", ())) for record in done),
        p50_seconds=float(np.percentile(seconds, 50)) if seconds else None,
        p95_seconds=float(np.percentile(seconds, 95)) if seconds else None,
        up=sum("up" in each for each in given),
        down=sum("down" in each for each in given),
    )


def _is_unsupported(citations: Iterable[Mapping[str, Any]]) -> bool:
    return any(citation["support"] in UNSUPPORTED for citation in citations)


def _by_day(records: Iterable[Mapping[str, Any]], end: datetime) -> tuple[DayServed, ...]:
    counts = Counter((record["time"][:10], record["status"]) for record in records)
    names = [(end - timedelta(days=back)).date().isoformat() for back in reversed(range(DAYS))]
    return tuple(
        DayServed(day, *(counts[day, status] for status in ("answered", "abstained", "broken off"))) for day in names
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
