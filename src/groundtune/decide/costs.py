"""What approaches cost: to set up, by the request, by the month, by the correct answer; and where their lines cross.

Every figure is simulated: assumptions are drawn from triangular distributions, the same draw for all approaches, so
that what they share moves together. A figure is its 5th, 50th and 95th percentile. A price that is not known makes
every sum that it enters unknown.
"""

import tomllib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundtune.approaches.families import Family
from groundtune.types import Interval

Draws = NDArray[np.float64]
"""Simulated values of a figure, one for each draw."""
DRAWS = 4_000
SHARES = (0.05, 0.5, 0.95)
SETTLED = 0.5
"""Share of draws in which two lines must cross for a crossover to be stated."""
CHANGES_PER_YEAR: Mapping[str, float] = {
    "daily": 365,
    "weekly": 52,
    "monthly": 12,
    "quarterly": 4,
    "yearly": 1,
    "never": 0,
}
HOSTING = ("per_use", "reserved")
"""How a tuned model that is hosted elsewhere is paid for: by the request, or an endpoint of its own by the month."""
MOST_RETRAININGS = 12
"""Trainings a year that a changing knowledge leads to at most; nobody trains daily."""
ROUNDING = 1e-9
"""Prices of a request that differ by a smaller share are equal: lines with the same slope do not cross."""
WEEK_HOURS, MINUTES, MILLION = 40.0, 60.0, 1e6


@dataclass(frozen=True, slots=True)
class Assumption:
    """A number that the model rests on."""

    name: str
    low: float
    likely: float
    high: float
    unit: str
    origin: str


@dataclass(frozen=True, slots=True)
class MeasuredUse:
    """What a comparison measured of an approach."""

    usd: float | None
    """Mean price of a request; None when the price of any is unknown."""
    seconds: float | None
    """Mean seconds of a request."""
    runs_here: bool
    """Whether this machine does the work, so that its seconds are what is paid for."""
    correct: Interval | None
    """Mean of the score that decides."""
    training_usd: float | None = 0.0
    """Price of one training of each model in it; None when unknown, 0 when nothing was trained or paid."""
    training_seconds: float = 0.0
    """Seconds of these trainings on this machine."""
    hosted: bool = False
    """Whether a trained model in it is hosted elsewhere."""


@dataclass(frozen=True, slots=True)
class CostedApproach:
    """An approach whose cost is asked for."""

    name: str
    families: Set[Family]
    """Of the approaches that answer when it is asked: one, unless it is a combination."""
    use: MeasuredUse | None = None
    """None: nothing was measured, so that assumptions are used."""
    labelled: int | None = None
    """Examples at hand, which need no labelling any more; None: the assumed number is to be labelled."""

    @property
    def retrieves(self) -> bool:
        return not self.families.isdisjoint(("rag", "both"))

    @property
    def is_trained(self) -> bool:
        return not self.families.isdisjoint(("fine-tune", "both"))

    @property
    def is_hosted(self) -> bool:
        """Whether a tuned model in it is hosted elsewhere."""
        return self.is_trained and (self.use is None or self.use.hosted)


@dataclass(frozen=True, slots=True)
class Range:
    """A figure with its uncertainty."""

    low: float
    likely: float
    high: float


@dataclass(frozen=True, slots=True)
class ApproachCost:
    """What an approach costs, in US dollars; None: unknown, since a price in it is."""

    name: str
    setup_usd: Range | None
    per_request_usd: Range | None
    monthly_usd: Range | None
    per_correct_usd: Range | None
    update_usd: Range | None
    """When the facts change once: documents are embedded again, a closed-book model is trained again."""
    parts: Mapping[str, Range | None]
    """Set-up and months by what is paid for."""
    unknown: tuple[str, ...] = ()
    """The prices that are not known."""


@dataclass(frozen=True, slots=True)
class ApproachDraws:
    """Simulated costs of an approach: a month is setup / months + monthly + (model + other) * requests."""

    setup: Draws
    monthly: Draws
    """Without requests and set-up."""
    model: Draws
    """Of a request, what the model or the machine costs."""
    other: Draws
    """Of a request, what people cost."""
    correct: Draws | None
    """Share of correct answers; None: not measured."""
    setup_hours: Draws
    """Hours of this machine that are in the set-up, at their price."""
    monthly_hours: Draws
    model_hours: Draws
    """Hours of this machine for a request."""


@dataclass(frozen=True, slots=True)
class Crossover:
    """The number of requests a month at which two approaches cost the same."""

    a: str
    b: str
    requests_per_month: Range | None
    """None: the lines do not cross."""
    cheaper_above: str | None
    """The approach that is cheaper above it; None when they do not cross."""
    cheaper_always: str | None = None
    """Where they do not cross, the approach that is cheaper at any volume; None also when a price is unknown."""
    share: float | None = None
    """Share of the simulations in which they cross; None when a price is unknown."""


def default_assumptions() -> dict[str, Assumption]:
    """Return the assumptions that come with groundtune."""
    known = {}
    for name, entry in _table().items():
        low, likely, high = map(float, entry["range"])
        known[name] = Assumption(name, low, likely, high, entry["unit"], entry["origin"])
    return known


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads((files("groundtune.decide") / "cost_assumptions.toml").read_text(encoding="utf-8"))


class CostModel:
    """Draws of all assumptions, and what approaches cost in them.

    months: over which set-up is spread. reserved: whether tuned models have endpoints of their own, paid by the month.
    """

    def __init__(
        self,
        assumptions: Mapping[str, Assumption],
        *,
        months: int = 12,
        changes: str | None = None,
        reserved: bool = False,
        seed: int = 0,
    ) -> None:
        random = np.random.default_rng(seed)
        self._draws = {name: _draw(random, assumption) for name, assumption in sorted(assumptions.items())}
        self._shared = random.random(DRAWS)
        self.months, self._changes, self._reserved = months, changes, reserved

    def cost(self, approach: CostedApproach) -> ApproachCost:
        """Return what an approach costs."""
        setup, monthly = self._setup(approach), self._monthly_parts(approach)
        per_request, fixed, volume = self.request(approach), self.fixed(approach), self._draws["requests_per_month"]
        total_setup = _sum(setup)
        monthly["set-up, monthly"] = None if total_setup is None else total_setup / self.months
        monthly["requests, monthly"] = None if per_request is None else per_request * volume
        total = None if per_request is None or fixed is None else fixed + per_request * volume
        correct = self._correct(approach)
        dear = None if per_request is None or correct is None else _divided(per_request, correct)
        return ApproachCost(
            name=approach.name,
            setup_usd=_range(total_setup),
            per_request_usd=_range(per_request),
            monthly_usd=_range(total),
            per_correct_usd=_range(dear),
            update_usd=_range(self._update(approach)),
            parts={name: _range(draws) for name, draws in {**setup, **monthly}.items()},
            unknown=self._unknown(approach),
        )

    def draws(self, approach: CostedApproach) -> ApproachDraws | None:
        """Return the simulated costs of an approach; None when a price in them is unknown."""
        setup, monthly = _sum(self._setup(approach)), _sum(self._monthly_parts(approach))
        model = self._model(approach)
        if setup is None or monthly is None or model is None:
            return None
        hours = self._training_hours(approach)
        here = approach.use.seconds if approach.use and approach.use.runs_here else None
        return ApproachDraws(
            setup=setup,
            monthly=monthly,
            model=model,
            other=self._people(approach),
            correct=self._correct(approach),
            setup_hours=hours * self._draws["training_runs"],
            monthly_hours=hours * self._retrainings(approach) / 12,
            model_hours=np.full(DRAWS, (here or 0.0) / 3600),
        )

    @property
    def machine(self) -> Draws:
        """The simulated price of an hour of this machine."""
        return self._draws["machine_usd_per_hour"]

    @property
    def volume(self) -> Draws:
        """The simulated requests a month."""
        return self._draws["requests_per_month"]

    def crossover(self, a: CostedApproach, b: CostedApproach) -> Crossover:
        """Return where the monthly costs of two approaches cross, and which is cheaper above."""
        slopes, heights = (self.request(a), self.request(b)), (self.fixed(a), self.fixed(b))
        if any(each is None for each in (*slopes, *heights)):
            return Crossover(a.name, b.name, None, None)
        slope = slopes[1] - slopes[0]  # type: ignore[operator]
        height = heights[0] - heights[1]  # type: ignore[operator]
        with np.errstate(divide="ignore", invalid="ignore"):
            volume = height / slope
        apart = np.abs(slope) > ROUNDING * np.maximum(*slopes)  # type: ignore[arg-type]
        crossing = apart & np.isfinite(volume) & (volume > 0)
        share = float(crossing.mean())
        if share < SETTLED:
            cheaper = a.name if np.median(height - slope * self._draws["requests_per_month"]) < 0 else b.name
            return Crossover(a.name, b.name, None, None, cheaper, share)
        above = a.name if np.median(slope[crossing]) > 0 else b.name
        return Crossover(a.name, b.name, _range(volume[crossing]), above, None, share)

    def request(self, approach: CostedApproach) -> Draws | None:
        """Return the cost of one request; None when it is unknown."""
        model = self._model(approach)
        return None if model is None else model + self._people(approach)

    def _model(self, approach: CostedApproach) -> Draws | None:
        """Return what the model or the machine costs for one request; None when it is unknown."""
        draws, use = self._draws, approach.use
        if self._has_own_endpoint(approach):
            return np.zeros(DRAWS)
        if use is None:
            tokens = draws["prompt_tokens"] + (draws["passage_tokens"] if approach.retrieves else 0)
            model = tokens * draws["input_usd_per_million"] / MILLION
            model = model + draws["output_tokens"] * draws["output_usd_per_million"] / MILLION
            return model * draws["tuned_price_factor"] if approach.is_trained else model
        if use.runs_here:
            return None if use.seconds is None else use.seconds * draws["machine_usd_per_hour"] / 3600
        return None if use.usd is None else np.full(DRAWS, use.usd)

    def _has_own_endpoint(self, approach: CostedApproach) -> bool:
        """Whether nothing but a reserved endpoint answers, so that a request costs nothing beyond its month."""
        return self._reserved and approach.is_hosted and approach.families <= {"fine-tune", "both"}

    def _people(self, approach: CostedApproach) -> Draws:
        """Return what reading an answer costs, and a wrong one."""
        draws = self._draws
        review = draws["review_rate"] * draws["review_minutes"] / MINUTES * draws["person_usd_per_hour"]
        correct = self._correct(approach)
        return review if correct is None else review + (1 - correct) * draws["wrong_answer_usd"]

    def fixed(self, approach: CostedApproach) -> Draws | None:
        """Return what a month costs without any request, the set-up spread over the months; None when unknown."""
        setup, monthly = _sum(self._setup(approach)), _sum(self._monthly_parts(approach))
        return None if setup is None or monthly is None else setup / self.months + monthly

    def _setup(self, approach: CostedApproach) -> dict[str, Draws | None]:
        draws = self._draws
        hours = WEEK_HOURS * self._work(approach, "prompt_weeks", "retrieval_weeks", "training_weeks")
        parts: dict[str, Draws | None] = {"engineering": hours * draws["person_usd_per_hour"]}
        if approach.labelled is None:
            parts["evaluation"] = draws["evaluation_hours"] * draws["person_usd_per_hour"]
        if approach.retrieves:
            parts["embedding"] = draws["embedding_usd"]
        if approach.is_trained:
            to_label = draws["labelled_examples"] if approach.labelled is None else np.zeros(DRAWS)
            parts["labelling"] = to_label * draws["label_minutes"] / MINUTES * draws["person_usd_per_hour"]
            training = self._training(approach)
            parts["training"] = None if training is None else training * draws["training_runs"]
        return parts

    def _update(self, approach: CostedApproach) -> Draws | None:
        """Return the cost of one update; None when unknown."""
        draws = self._draws
        total = draws["update_hours"] * draws["person_usd_per_hour"]
        if approach.retrieves:
            total = total + draws["updated_share"] * draws["embedding_usd"]
        training = self._training(approach) if "fine-tune" in approach.families else 0.0
        return None if training is None else total + training

    def _monthly_parts(self, approach: CostedApproach) -> dict[str, Draws | None]:
        draws = self._draws
        hours = self._work(approach, "upkeep_hours_prompt", "upkeep_hours_retrieval", "upkeep_hours_training")
        parts: dict[str, Draws | None] = {"upkeep, monthly": hours * draws["person_usd_per_hour"]}
        if approach.retrieves:
            parts["storage, monthly"] = draws["storage_usd_per_month"]
        if approach.is_trained:
            if approach.is_hosted:
                reserved = draws["tuned_hosting_usd_per_month"]
                parts["hosting, monthly"] = reserved if self._reserved else np.zeros(DRAWS)
            training = self._training(approach)
            parts["retraining, monthly"] = None if training is None else training * self._retrainings(approach) / 12
        return parts

    def _work(self, approach: CostedApproach, prompt: str, retrieval: str, training: str) -> Draws:
        """Add up the assumptions of what an approach is made of; a prompt is part of each."""
        retrieving = self._draws[retrieval] if approach.retrieves else 0.0
        return self._draws[prompt] + retrieving + (self._draws[training] if approach.is_trained else 0.0)

    def _training(self, approach: CostedApproach) -> Draws | None:
        """Return the cost of one training."""
        use = approach.use
        if use is None or (use.training_usd == 0 and not use.training_seconds):
            return self._draws["training_usd"]
        if use.training_usd is None:
            return None
        return use.training_usd + self._training_hours(approach) * self._draws["machine_usd_per_hour"]

    def _training_hours(self, approach: CostedApproach) -> float:
        """Return the hours of this machine that one training takes, where they were measured."""
        return approach.use.training_seconds / 3600 if approach.is_trained and approach.use else 0.0

    def _retrainings(self, approach: CostedApproach) -> Draws:
        """Trainings a year. A closed-book model is out of date when its facts change, one over passages is not."""
        drift = self._draws["retrainings_per_year"]
        if "fine-tune" not in approach.families or self._changes is None:
            return drift
        return np.maximum(drift, min(MOST_RETRAININGS, CHANGES_PER_YEAR[self._changes]))

    def _correct(self, approach: CostedApproach) -> Draws | None:
        """Return the share of correct answers, drawn from its interval; the same luck for all approaches."""
        mean = approach.use.correct if approach.use else None
        if mean is None:
            return None
        return np.clip(_triangular(self._shared, mean.low, mean.mean, mean.high), 0.0, 1.0)

    def _unknown(self, approach: CostedApproach) -> tuple[str, ...]:
        use = approach.use
        if use is None:
            return ()
        names = []
        if use.usd is None and not use.runs_here and not self._has_own_endpoint(approach):
            names.append("price of a request")
        if use.runs_here and use.seconds is None:
            names.append("seconds of a request")
        if use.training_usd is None:
            names.append("price of its training")
        return tuple(names)


def _draw(random: np.random.Generator, assumption: Assumption) -> Draws:
    return _triangular(random.random(DRAWS), assumption.low, assumption.likely, assumption.high)


def _triangular(uniform: Draws, low: float, likely: float, high: float) -> Draws:
    """Map uniform draws to a triangular distribution; constant where it has no width."""
    if high <= low:
        return np.full(len(uniform), likely)
    peak = (likely - low) / (high - low)
    rising = low + np.sqrt(uniform * (high - low) * (likely - low))
    falling = high - np.sqrt((1 - uniform) * (high - low) * (high - likely))
    return np.where(uniform < peak, rising, falling)


def _sum(parts: Mapping[str, Draws | None]) -> Draws | None:
    """Add up; None when any part is unknown."""
    total = np.zeros(DRAWS)
    for draws in parts.values():
        if draws is None:
            return None
        total = total + draws
    return total


def _divided(cost: Draws, correct: Draws) -> Draws | None:
    """Cost of a correct answer; None where the median answer is never correct."""
    if np.median(correct) <= 0:
        return None
    with np.errstate(divide="ignore"):
        return cost / correct


def _range(draws: Draws | None) -> Range | None:
    if draws is None:
        return None
    low, likely, high = (float(value) for value in np.quantile(draws, SHARES))
    return Range(low, likely, high)


def all_crossovers(model: CostModel, approaches: Sequence[CostedApproach]) -> list[Crossover]:
    """Return the crossover of each pair."""
    return [model.crossover(a, b) for at, a in enumerate(approaches) for b in approaches[at + 1 :]]
