"""What served answers have cost, day by day and by whose key. Reads nothing, and limits nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from groundtune.common.text import format_count
from groundtune.display import Block, Displayed, Line, Table
from groundtune.records.spending import SHADOW, DaySpent

NAMES = {"": "without a key", SHADOW: "second answers, unseen"}
"""What is spent under no id of a key."""


@dataclass(frozen=True, slots=True)
class SpendReport(Displayed):
    """What answers have cost in the last days, as `groundtune serve` noted it."""

    days: int
    rows: tuple[DaySpent, ...]
    """One for each day (UTC) and key that has spent anything, the oldest day first."""
    budget_usd_per_day: float | None
    """`[serve] budget_usd_per_day`; None: none is set."""
    today: str
    """ISO 8601, UTC."""

    @property
    def usd(self) -> float:
        """The sum of the known costs."""
        return sum(row.usd for row in self.rows)

    @property
    def usd_today(self) -> float:
        """The sum of the known costs of today."""
        return sum(row.usd for row in self.rows if row.day == self.today)

    def named(self, names: Mapping[str, str]) -> "SpendReport":
        """Return the report with the names of keys in place of their ids."""
        return replace(self, rows=tuple(replace(row, key=names.get(row.key or "", row.key)) for row in self.rows))

    def view(self) -> list[Block]:
        """Return the sum, and what was spent by day and by key."""
        budget = "" if self.budget_usd_per_day is None else f" of ${self.budget_usd_per_day:,.2f}"
        unknown = sum(row.unknown for row in self.rows)
        more = f"; {format_count(unknown, 'answer')} of unknown cost beside" if unknown else ""
        sums = f"today ${self.usd_today:,.2f}{budget}; ${self.usd:,.2f} in {format_count(self.days, 'day')}{more}"
        if not self.rows:
            return [Line(sums, "strong")]
        columns = ("answers", "USD", "of unknown cost")
        by_day = _sums((row.day, row) for row in self.rows)
        by_key = sorted(_sums((_whose(row), row) for row in self.rows), key=lambda row: -row[2])
        return [
            Line(sums, "strong"),
            Table(("day", *columns), [_shown(row) for row in by_day]),
            Line(""),
            Table(("key", *columns), [_shown(row) for row in by_key]),
        ]


def spend_report(rows: Sequence[DaySpent], *, days: int, budget: float | None) -> SpendReport:
    """Return the report of these rows, as of now."""
    return SpendReport(days, tuple(rows), budget, datetime.now(UTC).date().isoformat())


def _whose(row: DaySpent) -> str:
    key = row.key or ""
    return NAMES.get(key, key)


def _sums(rows: Iterable[tuple[str, DaySpent]]) -> list[tuple[str, int, float, int]]:
    """Return answers, known US dollars and answers of unknown cost for each label, in the order of the rows."""
    sums: dict[str, tuple[int, float, int]] = {}
    for label, row in rows:
        answers, usd, unknown = sums.get(label, (0, 0.0, 0))
        sums[label] = (answers + row.answers, usd + row.usd, unknown + row.unknown)
    return [(label, *values) for label, values in sums.items()]


def _shown(row: tuple[str, int, float, int]) -> tuple[str, int, str, int | None]:
    label, answers, usd, unknown = row
    return label, answers, f"{usd:,.4f}", unknown or None
