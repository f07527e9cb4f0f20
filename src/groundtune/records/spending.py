"""Keep what answers have cost, by API key, in `.groundtune/spending.sqlite`: one row an answer. Refuses nothing.

Several processes add to it and read it, so that a budget holds for all of them together.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from groundtune.records.database import opened
from groundtune.workspace import Workspace

FORMAT_VERSION = 1
KEPT_DAYS = 62
"""Older rows are deleted: the longest period of a budget is a month."""
TABLE = """
CREATE TABLE IF NOT EXISTS spending (key TEXT NOT NULL, time TEXT NOT NULL, usd REAL);
CREATE INDEX IF NOT EXISTS spending_of_keys ON spending (key, time);
"""
SHADOW = "shadow"
"""Key of what second answers cost that nobody saw; no API key has this id."""
Period = Literal["day", "month"]


@dataclass(frozen=True, slots=True)
class Spent:
    """What a key has spent in a period."""

    usd: float
    """Sum of the known costs, and of the estimates."""
    unknown: int = 0
    """Answers of unknown cost."""
    estimate: float | None = None
    """What each of these is counted as: the dearest answer of any key that is known. None: nothing is known yet."""

    @property
    def is_enforceable(self) -> bool:
        """Whether a budget can be kept: not while costs are unknown and nothing is known to estimate them by."""
        return not self.unknown or self.estimate is not None


@dataclass(frozen=True, slots=True)
class DaySpent:
    """What the answers of a day have cost."""

    day: str
    """By UTC, such as `2026-01-31`."""
    usd: float
    """Sum of the known costs."""
    answers: int
    unknown: int
    """Answers of unknown cost, which are not in `usd`."""
    key: str | None = None
    """Id of the API key, empty for none, `SHADOW` for second answers; None: all together."""


class Spending:
    """The costs of the keys of a project."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._path = workspace.folder / "spending.sqlite"

    def add(self, key: str, usd: float | None, *, now: datetime | None = None) -> None:
        """Add an answer. usd: what it cost; None when that is unknown, as when its client left half-way."""
        self._workspace.create()
        moment = now or datetime.now(UTC)
        with self._opened() as database, database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("INSERT INTO spending VALUES (?, ?, ?)", (key, _text(moment), usd))
            database.execute("DELETE FROM spending WHERE time < ?", (_text(moment - timedelta(days=KEPT_DAYS)),))

    @contextmanager
    def held_open(self) -> Iterator[None]:
        """Keep the file open, so that `add` takes a tenth of the time: closing it writes everything a second time."""
        self._workspace.create()
        with self._opened():
            yield

    def spent(self, key: str | None, period: Period, *, now: datetime | None = None) -> Spent:
        """Return what a key has spent since the day or month began, by UTC. None: all keys, and who has none."""
        if not self._path.exists():
            return Spent(0.0)
        begin = _text(period_begin(period, now or datetime.now(UTC)))
        query = "SELECT total(usd), count(*) - count(usd) FROM spending WHERE key = ifnull(?, key) AND time >= ?"
        with self._opened() as database:
            usd, unknown = database.execute(query, (key, begin)).fetchone()
            (dearest,) = database.execute("SELECT max(usd) FROM spending WHERE usd > 0").fetchone()
        return Spent(usd + unknown * (dearest or 0.0), unknown, dearest)

    def by_day(self, days: int, *, now: datetime | None = None) -> list[DaySpent]:
        """Return what all keys together have spent on each of the last days, oldest first; 0 where nobody asked."""
        begin = period_begin("day", now or datetime.now(UTC))
        names = [(begin - timedelta(days=back)).date().isoformat() for back in reversed(range(days))]
        rows: dict[str, DaySpent] = {}
        for row in self.by_day_and_key(days, now=now):
            sum_ = rows.get(row.day, DaySpent(row.day, 0.0, 0, 0))
            rows[row.day] = DaySpent(
                row.day, sum_.usd + row.usd, sum_.answers + row.answers, sum_.unknown + row.unknown
            )
        return [rows.get(name, DaySpent(name, 0.0, 0, 0)) for name in names]

    def by_day_and_key(self, days: int, *, now: datetime | None = None) -> list[DaySpent]:
        """Return what each key has spent on each of the last days, oldest first; nothing where nobody asked."""
        if not self._path.exists():
            return []
        begin = period_begin("day", now or datetime.now(UTC)) - timedelta(days=days - 1)
        query = (
            "SELECT substr(time, 1, 10), total(usd), count(*), count(*) - count(usd), key FROM spending "
            "WHERE time >= ? GROUP BY 1, 5 ORDER BY 1, 5"
        )
        with self._opened() as database:
            return [DaySpent(*row) for row in database.execute(query, (_text(begin),))]

    def _opened(self) -> AbstractContextManager[sqlite3.Connection]:
        return opened(self._path, tables=TABLE, version=FORMAT_VERSION, lasting=False)


def period_begin(period: Period, now: datetime) -> datetime:
    """Return when the present day or month began."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day if period == "day" else day.replace(day=1)


def period_end(period: Period, now: datetime) -> datetime:
    """Return when the next day or month begins."""
    begin = period_begin(period, now)
    return begin + timedelta(days=1) if period == "day" else (begin + timedelta(days=32)).replace(day=1)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
