"""Price what runs on this machine by its seconds and what an hour of the machine costs. Measures nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from groundtune.decide.wording import shorten_names, usd
from groundtune.types import ApproachSummary, Result

HOUR = 3600
MAX_NAMED = 6
"""Approaches that a sentence lists by name."""


@dataclass(frozen=True, slots=True)
class MachinePrices:
    """What an hour of this machine costs, and what takes its time."""

    usd_per_hour: float = 0.0
    seconds: Mapping[str, float | None] = field(default_factory=dict)
    """Approaches that run here, with the seconds of a request; None: unknown."""

    def priced(self, summaries: Sequence[ApproachSummary]) -> list[ApproachSummary]:
        """Return the approaches with the price of 1,000 requests: of those that run here, that of their seconds."""
        return [
            replace(each, usd_per_1k=self.per_1k(each.name)) if each.name in self.seconds else each
            for each in summaries
        ]

    def per_1k(self, name: str) -> float | None:
        """Return the price of 1,000 requests of an approach that runs here; None where its seconds are unknown."""
        usd = self._usd(self.seconds[name])
        return None if usd is None else 1000 * usd

    def of_answer(self, answer: Result) -> float | None:
        """Return the price of one answer: of its seconds if it was given here, else what was billed; None: unknown."""
        usage = answer.usage
        if answer.approach not in self.seconds:
            return usage.usd
        return self._usd(usage.seconds if usage.machine_seconds is None else usage.machine_seconds)

    def _usd(self, seconds: float | None) -> float | None:
        return None if seconds is None else seconds * self.usd_per_hour / HOUR

    def notes(self, names: Sequence[str]) -> Iterator[str]:
        """Say which of the approaches are priced by the machine."""
        if here := [name for name in names if name in self.seconds]:
            yield (
                f"The price of {shorten_names(here, most=MAX_NAMED)} is that of the seconds of this machine, at "
                f"{usd(self.usd_per_hour)} an hour: machine_usd_per_hour under [costs.assumptions]."
            )
