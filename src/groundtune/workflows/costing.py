"""Say what each approach of a project costs: measured where there is a comparison, assumed elsewhere."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

from groundtune.approaches.families import Family, family_of
from groundtune.config import Config
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
from groundtune.measure.approach_summaries import group_by_approach
from groundtune.types import Artifact, Interval
from groundtune.workflows.reporting import Report

MONTHLY = ", monthly"
"""End of the names of parts that are paid every month."""
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
    months: int
    """Months over which set-up is spread."""

    def summary(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return {
            "run": self.run,
            "months": self.months,
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
        columns = ("approach", "set-up", "a request", month, "a correct answer")
        blocks: list[Block] = [Line(f"Costs: median [5% to 95%] of simulations; {origin}", "strong")]
        if self.sentence:
            blocks.append(Line(self.sentence, "strong"))
        costs = [
            (each.name, *map(_shown, (each.setup_usd, each.per_request_usd, each.monthly_usd, each.per_correct_usd)))
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
        blocks.append(
            Line("Medians lie above what the likely inputs give, as most ranges reach further up than down.", indent=1)
        )
        blocks += [Line(""), Line("What a month is made of (medians)", "strong"), self._months_table()]
        blocks += [Line(""), Line("Where monthly costs cross", "strong"), *map(_crossing, self.crossovers)]
        rows = [(each.name, _number(each.likely), _spread(each), each.unit, each.origin) for each in self.assumptions]
        table = Table(("assumption", "likely", "range", "unit", "origin"), rows)
        return [*blocks, Line(""), Line("Assumptions ([costs.assumptions] overrides each)", "strong"), table]

    def _months_table(self) -> Table:
        names = [name for each in self.approaches for name in each.parts if name.endswith(MONTHLY)]
        names = list(dict.fromkeys(names))
        rows = [
            (each.name, *(usd(part.likely) if (part := each.parts.get(name)) else None for name in names))
            for each in self.approaches
        ]
        return Table(("approach", *(name.removesuffix(MONTHLY) for name in names)), rows)


def cost_report(
    config: Config | None, report: Report | None = None, artifacts: Iterable[Artifact] = (), labelled: int | None = None
) -> CostReport:
    """Return the costs of the approaches of a comparison, or of the four kinds before there is one.

    config: None: no project yet. labelled: examples at hand. Raises UsageError for an unknown assumption.
    """
    assumptions = _assumptions(config)
    months = config.costs.months if config else 12
    model = CostModel(assumptions, months=months, changes=config.costs.documents_change if config else None)
    if report is None:
        approaches = [CostedApproach(family, family, labelled=labelled or None) for family in UNMEASURED]
    else:
        approaches = _measured(report, config, {each.id: each for each in artifacts}, labelled)
    costs = {each.name: model.cost(each) for each in approaches}
    return CostReport(
        approaches=tuple(costs.values()),
        crossovers=tuple(all_crossovers(model, approaches)),
        assumptions=tuple(assumptions.values()),
        sentence=_sentence(report, costs) if report else None,
        run=report.run.name if report else None,
        months=months,
    )


def _assumptions(config: Config | None) -> dict[str, Assumption]:
    assumptions = default_assumptions()
    if config is None:
        return assumptions
    stated = dict(config.costs.assumptions)
    if (volume := config.costs.requests_per_month) is not None:
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


def _measured(
    report: Report, config: Config | None, artifacts: Mapping[str, Artifact], labelled: int | None
) -> list[CostedApproach]:
    """Take use, quality and trainings from a comparison."""
    rows = group_by_approach(report.run.results)
    about = report.run.about
    trained, paid = about.get("artifacts", {}), about.get("training_usd", {})
    approaches = []
    for summary in report.approaches:
        usages = [row.usage for row in rows[summary.name].values() if row.status != "error"]
        prices = [usage.usd for usage in usages]
        known = [price for price in prices if price is not None]
        seconds = [
            each
            for usage in usages
            if (each := usage.seconds if usage.machine_seconds is None else usage.machine_seconds) is not None
        ]
        artifact = artifacts.get(trained.get(summary.name, ""))
        mean = None
        if summary.mean is not None and summary.low is not None and summary.high is not None:
            mean = Interval(summary.mean, summary.low, summary.high, summary.n)
        use = MeasuredUse(
            usd=fmean(known) if known and len(known) == len(prices) else None,
            seconds=fmean(seconds) if seconds else None,
            runs_here=_runs_here(prices, config, about.get("model_tables", {}).get(summary.name), artifact),
            correct=mean,
            training_usd=paid.get(summary.name, 0.0),
            training_seconds=artifact.seconds if artifact and not artifact.usd else 0.0,
        )
        approaches.append(CostedApproach(summary.name, family_of(summary.name), use, labelled))
    return approaches


def _runs_here(
    prices: Sequence[float | None], config: Config | None, model: str | None, artifact: Artifact | None
) -> bool:
    """Whether this machine does the work: quotes, models that are trained here, and tables of the kind `local`."""
    if artifact is not None:
        return artifact.kind != "hosted"
    table = config.models.get(model) if config and model else None
    return bool(prices) and (all(price == 0 for price in prices) or (table is not None and table.kind == "local"))


def _sentence(report: Report, costs: Mapping[str, ApproachCost]) -> str | None:
    """Return `rag gives 94% of the best quality at 21% of its cost`, or None when that cannot be said."""
    known = [each for each in report.approaches if each.mean]
    if not known:
        return None
    best = max(known, key=lambda each: each.mean or 0.0)
    name = report.verdict.choice or next(iter(report.verdict.leaders), best.name)
    chosen = next((each for each in known if each.name == name), None)
    mine, theirs = (costs[each].monthly_usd if each in costs else None for each in (name, best.name))
    if chosen is None or chosen.mean is None or best.mean is None or mine is None or theirs is None:
        return None
    if chosen.name == best.name:
        return f"{name} has the best quality, at about {usd(mine.likely)} a month."
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
