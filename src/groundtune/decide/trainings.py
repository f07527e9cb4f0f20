"""Spread what trainings cost over the requests of a month. Trains nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from groundtune.approaches.families import Parts, asked_by, family_of
from groundtune.decide.costs import CHANGES_PER_YEAR, MOST_RETRAININGS
from groundtune.types import ApproachSummary


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """What the trainings of an approach cost, in US dollars; None: unknown."""

    usd: float | None
    count: int = 1
    """Trainings that were paid, as several are needed to measure their spread."""


@dataclass(frozen=True, slots=True)
class Trainings:
    """The trainings of all approaches, and what they are spread over."""

    costs: Mapping[str, TrainingCost] = field(default_factory=dict)
    months: int = 12
    changes: str | None = None
    """How often the facts change; None: unknown."""
    parts: Parts = field(default_factory=dict)
    """The approaches that combinations ask."""
    models: Mapping[str, str] = field(default_factory=dict)
    """The model of each trained approach, which several may share."""

    def again(self, name: str) -> float:
        """Return how often a model is trained again within the months: one that knows its facts, as they change."""
        closed_book = any(family_of(asked) == "fine-tune" for asked in asked_by(name, self.parts))
        if self.changes is None or not closed_book:
            return 0.0
        return min(MOST_RETRAININGS, CHANGES_PER_YEAR[self.changes]) * self.months / 12

    def usd(self, name: str) -> float | None:
        """Return what the trainings of an approach, and of those that it asks, cost over the months; None: unknown."""
        asked = (name,) if name in self.costs else asked_by(name, self.parts)  # older runs have their sum
        of_models: dict[str, float] = {}
        for part in asked:
            cost, model = self.costs.get(part, TrainingCost(0.0)), self.models.get(part, part)
            if cost.usd is None:
                return None
            if not cost.usd:
                continue
            of_models[model] = max(of_models.get(model, 0.0), cost.usd * (1 + self.again(part) / cost.count))
        return sum(of_models.values())

    def priced(self, summaries: Sequence[ApproachSummary], requests: int | None) -> list[ApproachSummary]:
        """Return the approaches with the price of their trainings, where it and the requests a month are known."""
        return [
            replace(summary, usd_per_1k=summary.usd_per_1k + 1000 * cost / (self.months * requests))
            if requests and (cost := self.usd(summary.name)) and summary.usd_per_1k is not None
            else summary
            for summary in summaries
        ]

    def notes(self, summaries: Sequence[ApproachSummary], requests: int | None) -> Iterator[str]:
        """Say which prices include trainings."""
        for summary in summaries:
            cost, again = self.usd(summary.name), self.again(summary.name)
            trained = f"{1 + again:.3g} trainings, as its facts change {self.changes}" if again else "its training cost"
            if cost is None:
                yield f"The training cost of {summary.name} is unknown and not included in its price."
            elif cost and not requests:
                yield (
                    f"The training of {summary.name} cost ${cost:,.2f}, which is not included in its price: "
                    "set costs.requests_per_month."
                )
            elif cost and summary.usd_per_1k is not None:
                yield f"The price of {summary.name} includes {trained}, spread over {self.months} months."
