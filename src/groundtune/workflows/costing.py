"""Say what each approach of a project costs: measured where there is a comparison, assumed elsewhere."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from groundtune.approaches.families import Family, asked_by, family_of
from groundtune.decide.costs import (
    ApproachCost,
    Assumption,
    CostedApproach,
    CostModel,
    Crossover,
    MeasuredUse,
    Range,
    all_crossovers,
    default_assumptions,
)
from groundtune.decide.wording import usd
from groundtune.display import Block, Displayed, Line, Table
from groundtune.errors import UsageError
from groundtune.types import ApproachSummary, Interval, Verdict
from groundtune.workflows.figures import Figures, MeanUse
from groundtune.workflows.run_prices import parts_of_run, runs_here

if TYPE_CHECKING:
    from groundtune.config import Config

COMMAND = "groundtune costs"
MONTHLY = ", monthly"
"""End of the names of parts that are paid every month."""
RESERVED_PRICE = "tuned_hosting_usd_per_month"
"""The assumption that says what a month of an endpoint costs."""
UNMEASURED: Sequence[Family] = ("prompt", "rag", "fine-tune", "both")
"""What is costed before there is a comparison."""


@dataclass(frozen=True, slots=True)
class CostReport(Displayed):
    """What approaches cost, and where their monthly costs cross."""

    approaches: tuple[ApproachCost, ...]
    crossovers: tuple[Crossover, ...]
    assumptions: tuple[Assumption, ...]
    sentence: str | None
    """What the recommended approach gives for its cost, against the best one; None without a comparison."""
    run: str | None
    """The comparison that use and quality come from; None: assumed."""
    reserved: bool
    """Whether tuned models that are hosted elsewhere have endpoints of their own, paid by the month."""
    model: CostModel = field(compare=False, repr=False)
    costed: tuple[CostedApproach, ...] = field(compare=False, repr=False)
    """What the model was asked about."""

    @property
    def months(self) -> int:
        """Months over which set-up is spread."""
        return self.model.months

    def summary(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "run": self.run,
            "months": self.months,
            "hosting": "reserved" if self.reserved else "per_use",
            "sentence": self.sentence,
            "approaches": [asdict(cost) for cost in self.approaches],
            "crossovers": [asdict(crossing) for crossing in self.crossovers],
            "assumptions": [
                {
                    "name": each.name,
                    "value": each.likely,
                    "low": each.low,
                    "high": each.high,
                    "unit": each.unit,
                    "origin": each.origin,
                }
                for each in self.assumptions
            ],
        }

    def view(self) -> list[Block]:
        origin = f"use and quality from {self.run}" if self.run else "nothing is measured yet: assumptions only"
        month = f"a month (set-up over {self.months} months included)"
        columns = ("approach", "set-up", "a request", month, "a correct answer", "an update of the facts")
        blocks: list[Block] = [Line(f"Costs: median [5% to 95%] of simulations; {origin}", "strong")]
        if self.sentence:
            blocks.append(Line(self.sentence, "strong"))
        costs = [
            (
                each.name,
                *map(
                    _shown,
                    (each.setup_usd, each.per_request_usd, each.monthly_usd, each.per_correct_usd, each.update_usd),
                ),
            )
            for each in self.approaches
        ]
        blocks.append(Table(columns, costs))
        blocks += [
            Line(f"{each.name}: unknown is the {' and the '.join(each.unknown)}", indent=1)
            for each in self.approaches
            if each.unknown
        ]
        if self.run is None:
            blocks.append(Line("The price of a correct answer needs a comparison.", indent=1))
        if any(each.is_hosted for each in self.costed):
            by = "by the month, with endpoints of their own" if self.reserved else "by the request"
            blocks.append(Line(f"Tuned models that are hosted elsewhere are paid {by} ([costs] hosting).", indent=1))
        blocks.append(
            Line("Medians lie above what the likely inputs give, as most ranges reach further up than down.", indent=1)
        )
        blocks += [Line(""), Line("What a month is made of (medians)", "strong"), self._months_table()]
        blocks += [Line(""), Line("Where monthly costs cross", "strong"), *map(_crossing, self.crossovers)]
        rows = [(each.name, _number(each.likely), _spread(each), each.unit, each.origin) for each in self.assumptions]
        table = Table(("assumption", "likely", "range", "unit", "origin"), rows)
        return [*blocks, Line(""), Line("Assumptions ([costs.assumptions] overrides each)", "strong"), table]

    def brief(self, leaders: Collection[str]) -> list[Block]:
        """Return what a verdict says of costs. leaders: approaches of which is said where two cross."""
        rows = [(each.name, _shown(each.monthly_usd), _shown(each.per_correct_usd)) for each in self.approaches]
        crossings = [
            _crossing(each)
            for each in self.crossovers
            if each.a in leaders and each.b in leaders and each.requests_per_month is not None
        ]
        return [
            Line(""),
            Line(f"Costs: median [5% to 95%] of simulations; {COMMAND} shows all of it", "strong"),
            *([Line(self.sentence, indent=1)] if self.sentence else []),
            Table(("approach", f"a month at {self.volume} requests", "a correct answer"), rows),
            *crossings,
        ]

    @property
    def volume(self) -> str:
        """The requests a month that are reckoned with."""
        (volume,) = (each for each in self.assumptions if each.name == "requests_per_month")
        return (
            _number(volume.likely) if volume.low == volume.high else f"{_number(volume.low)} to {_number(volume.high)}"
        )

    def _months_table(self) -> Table:
        names = [name for each in self.approaches for name in each.parts if name.endswith(MONTHLY)]
        names = list(dict.fromkeys(names))
        rows = [
            (each.name, *(usd(part.likely) if (part := each.parts.get(name)) else None for name in names))
            for each in self.approaches
        ]
        return Table(("approach", *(name.removesuffix(MONTHLY) for name in names)), rows)


@dataclass(frozen=True, slots=True)
class CostTerms:
    """What a project says of its costs."""

    requests_per_month: int | None = None
    months: int = 12
    """Months over which set-up is spread."""
    documents_change: str | None = None
    assumptions: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Low, likely and high of those that are not the defaults."""
    labelled: int | None = None
    """Examples at hand; None: not known."""
    hosting: str | None = None
    """One of HOSTING; None: not said."""

    @property
    def reserved(self) -> bool:
        """Whether tuned models have endpoints of their own: as it is said, or where their price is."""
        return self.hosting == "reserved" or (self.hosting is None and RESERVED_PRICE in self.assumptions)

    @classmethod
    def of_project(cls, config: "Config", labelled: int) -> "CostTerms":
        costs = config.costs
        return cls(
            costs.requests_per_month,
            costs.months,
            costs.documents_change,
            costs.assumptions,
            labelled or None,
            costs.hosting,
        )

    @classmethod
    def of_run(cls, about: Mapping[str, Any]) -> "CostTerms":
        """Return the terms at the time of the comparison; older runs do not have all of them."""
        volume = about.get("requirements", {}).get("requests_per_month")
        return cls(volume, about.get("months") or 12, **about.get("costs", {}))


def assumed_costs(terms: CostTerms) -> CostReport:
    """Return the costs of the four kinds of approaches, before there is a comparison."""
    approaches = [CostedApproach(family, frozenset((family,)), labelled=terms.labelled) for family in UNMEASURED]
    return _cost_report(approaches, terms)


def measured_costs(
    summaries: Sequence[ApproachSummary],
    figures: Figures,
    verdict: Verdict,
    about: Mapping[str, Any],
    terms: CostTerms,
) -> CostReport:
    """Return the costs of the approaches of a comparison. about: the conditions of its run.

    Raises UsageError for an unknown assumption.
    """
    parts = parts_of_run(about)
    approaches = [
        CostedApproach(
            summary.name,
            frozenset(family_of(asked) for asked in asked_by(summary.name, parts)),
            _use(summary, figures.use[summary.name], about),
            terms.labelled,
        )
        for summary in summaries
    ]
    report = _cost_report(approaches, terms)
    return replace(report, sentence=_sentence(summaries, verdict, {each.name: each for each in report.approaches}))


def _cost_report(approaches: Sequence[CostedApproach], terms: CostTerms) -> CostReport:
    assumptions = assumptions_of(terms)
    model = CostModel(assumptions, months=terms.months, changes=terms.documents_change, reserved=terms.reserved)
    return CostReport(
        approaches=tuple(map(model.cost, approaches)),
        crossovers=tuple(all_crossovers(model, approaches)),
        assumptions=tuple(assumptions.values()),
        sentence=None,
        run=None,
        reserved=terms.reserved,
        model=model,
        costed=tuple(approaches),
    )


def assumptions_of(terms: CostTerms) -> dict[str, Assumption]:
    """Return all assumptions by name, those that a project states included. Raises UsageError for a wrong one."""
    assumptions, stated = default_assumptions(), dict(terms.assumptions)
    if (volume := terms.requests_per_month) is not None:
        if "requests_per_month" in stated:
            raise UsageError("requests_per_month is set in [costs] and in [costs.assumptions]", hint="remove one")
        stated["requests_per_month"] = (volume, volume, volume)
    for name, (low, likely, high) in stated.items():
        if name not in assumptions:
            known = ", ".join(assumptions)
            raise UsageError(f"[costs.assumptions] {name}: no such assumption", hint=f"assumptions: {known}")
        if assumptions[name].unit.startswith("share") and high > 1:
            raise UsageError(f"[costs.assumptions] {name}: a share is at most 1", hint="write 5% as 0.05")
        assumptions[name] = replace(assumptions[name], low=low, likely=likely, high=high, origin="project file")
    return assumptions


def _use(summary: ApproachSummary, use: MeanUse, about: Mapping[str, Any]) -> MeasuredUse:
    """Return what the matrix and its conditions say of the use, quality and training of an approach."""
    name, mean = summary.name, None
    if summary.mean is not None and summary.low is not None and summary.high is not None:
        mean = Interval(summary.mean, summary.low, summary.high, summary.n)
    trainings, paid = about.get("trainings", {}), about.get("training_usd", {})
    asked = (name,) if name in paid else asked_by(name, parts_of_run(about))  # older runs have the sum of combinations
    asked = tuple({about.get("artifacts", {}).get(part, part): part for part in asked}.values())  # each model once
    of_each = [trainings.get(part, {}) for part in asked]
    prices = [paid.get(part, 0.0) for part in asked]
    known = [
        price / (1 + len(training.get("further", ())))
        for price, training in zip(prices, of_each, strict=True)
        if price is not None
    ]
    here = runs_here(name, use, about)
    kinds = {training["kind"] for training in of_each if training.get("kind")}
    return MeasuredUse(
        usd=use.usd,
        seconds=use.machine_seconds,
        runs_here=here,
        correct=mean,
        training_usd=sum(known) if len(known) == len(prices) else None,
        training_seconds=sum(
            training.get("seconds") or 0.0 for price, training in zip(prices, of_each, strict=True) if not price
        ),
        hosted="hosted" in kinds if kinds else not here,  # older runs do not say the kind
    )


def _sentence(summaries: Sequence[ApproachSummary], verdict: Verdict, costs: Mapping[str, ApproachCost]) -> str | None:
    """Return `rag gives 94% of the best quality at 21% of its cost`, or None when that cannot be said."""
    known = [each for each in summaries if each.mean]
    if not known:
        return None
    best = max(known, key=lambda each: each.mean or 0.0)
    name = verdict.choice or next(iter(verdict.leaders), best.name)
    chosen = next((each for each in known if each.name == name), None)
    mine, theirs = (costs[each].monthly_usd if each in costs else None for each in (name, best.name))
    if chosen is None or chosen.mean is None or best.mean is None or mine is None or theirs is None:
        return None
    if chosen.name == best.name:
        return f"{name} has the best quality, at about {usd(mine.likely)} a month."
    if theirs.likely <= 0:
        return None
    quality, cost = chosen.mean / best.mean, mine.likely / theirs.likely
    return f"{name} gives {quality:.0%} of the best quality at {cost:.0%} of its cost."


def _crossing(crossing: Crossover) -> Line:
    pair = f"{crossing.a} and {crossing.b}"
    if crossing.cheaper_always:
        dearer = crossing.b if crossing.cheaper_always == crossing.a else crossing.a
        return Line(f"{pair}: never; {crossing.cheaper_always} is cheaper than {dearer} at any volume", indent=1)
    volume = crossing.requests_per_month
    if volume is None or crossing.share is None:
        return Line(f"{pair}: unknown, as a price is", indent=1)
    low, likely, high = (_rounded(each) for each in (volume.low, volume.likely, volume.high))
    text = f"about {likely} requests a month ({low} to {high}, in {crossing.share:.0%} of simulations)"
    return Line(f"{pair}: {text}; above it {crossing.cheaper_above} is cheaper", indent=1)


def _rounded(value: float) -> str:
    """Write a volume with two digits, as it is no more certain than that."""
    return f"{float(f'{value:.2g}'):,.0f}"


def _spread(assumption: Assumption) -> str:
    if assumption.high == 0:
        return "off"
    if assumption.low == assumption.high:
        return "fixed"
    return f"{_number(assumption.low)} to {_number(assumption.high)}"


def _shown(value: Range | None) -> str:
    return "unknown" if value is None else f"{usd(value.likely)} [{usd(value.low)} to {usd(value.high)}]"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:g}"
