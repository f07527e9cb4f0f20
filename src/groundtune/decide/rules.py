"""The rules of a verdict: which approaches are eligible, which of them lead, and which one is chosen. Words nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from groundtune.common.text import format_count
from groundtune.decide.machine_prices import MachinePrices
from groundtune.decide.simplicity import parts_of, simplest
from groundtune.decide.trainings import Trainings
from groundtune.decide.wording import PRICE_HINT, Scale, in_batches, most_common_failure, scale_of, usd
from groundtune.measure.metric_names import ASSERTED_WRONG
from groundtune.measure.tables import ErrorsAsWrong
from groundtune.types import ApproachSummary, Difference

ALPHA = 0.05
"""Significance level: an adjusted p below it is a measurable difference."""
TOLERANCE = 0.10
"""Largest deficit (as a fraction, by the 95% interval) at which a cheaper or simpler approach is chosen over another
leader."""
CLEARLY_CHEAPER = 0.9
"""A price is clearly lower if it is at most this share of every other leader's price, and lower by CENT."""
CENT = 0.01
"""US dollars for 1,000 questions below which a difference of prices decides nothing: clocks are not that exact."""
MAX_ERRORS = 0.2
"""Largest share of failed rows; above it, the remaining rows are not representative."""
MIN_CITED = 0.9

Pairs = Mapping[tuple[str, str], Difference]
"""Every pair in both orders."""


@dataclass(frozen=True, slots=True)
class Requirements:
    """Conditions an approach must meet to be considered at all; None = no requirement."""

    citations: bool = False
    min_quality: float | None = None
    """Least mean of the score that decides."""
    max_asserted_wrong: float | None = None
    """Share of the questions, 0 to 1."""
    max_p95_seconds: float | None = None
    max_usd_per_1k: float | None = None
    max_usd_per_month: float | None = None
    requests_per_month: int | None = None
    """Without it, `max_usd_per_month` cannot be checked."""
    barred: Mapping[str, str] = field(default_factory=dict)
    """Approaches that were not allowed to run, with the reason."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the approaches are judged by."""

    pairs: Pairs
    requirements: Requirements
    examples: int
    scale: Scale
    prefer_simpler: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of the decision rules, before it is worded."""

    choice: ApproachSummary | None
    why: Literal["nothing", "alone", "best", "price", "simple", "open"]
    leaders: tuple[ApproachSummary, ...] = ()
    eligible: tuple[ApproachSummary, ...] = ()
    """Best first."""
    misses: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Approach to (requirement, reason) pairs; the requirement is empty if no setting would help."""


def both_orders(differences: Sequence[Difference]) -> Pairs:
    """Return each difference in both orders."""
    pairs: dict[tuple[str, str], Difference] = {}
    for pair in differences:
        pairs[pair.a, pair.b] = pair
        pairs[pair.b, pair.a] = replace(
            pair, a=pair.b, b=pair.a, difference=-pair.difference, low=-pair.high, high=-pair.low
        )  # fmt: skip
    return pairs


def apply_rules(summaries: Sequence[ApproachSummary], rules: Rules) -> Outcome:
    """Return what follows from the rules that `verdict.decide` describes."""
    pairs, requirements, scale = rules.pairs, rules.requirements, rules.scale
    candidates = [summary for summary in summaries if summary.name not in requirements.barred]
    misses = {
        candidate.name: unmet
        for candidate in candidates
        if (unmet := tuple(unmet_requirements(candidate, requirements, rules.examples, scale.primary)))
    }
    eligible = [candidate for candidate in candidates if candidate.name not in misses]
    eligible.sort(key=lambda summary: (-(summary.mean or 0.0), summary.usd_per_1k is None, summary.usd_per_1k or 0.0))
    if eligible and scale.is_share and not eligible[0].mean:
        misses |= {summary.name: (("", scale.zero_score(summary)),) for summary in eligible}
        eligible = []
    if not eligible:
        return Outcome(None, "nothing", misses=misses)
    unbeaten = [summary for summary in eligible if not any(beats(other, summary, pairs) for other in eligible)]
    best = (unbeaten or eligible)[0]
    behind = _behind(best, summaries, pairs)
    leaders = (best, *(other for other in eligible if other is not best and other.name not in behind))
    if len(leaders) == 1:
        return Outcome(best, "best" if len(eligible) > 1 else "alone", leaders, tuple(eligible), misses)
    if cheapest := _cheapest(leaders, pairs, scale):
        return Outcome(cheapest, "price", leaders, tuple(eligible), misses)
    chosen = _simplest(leaders, eligible, pairs, scale) if rules.prefer_simpler else None
    return Outcome(chosen, "simple" if chosen else "open", leaders, tuple(eligible), misses)


def unmet_requirements(
    summary: ApproachSummary, required: Requirements, examples: int, primary: str
) -> Iterator[tuple[str, str]]:
    """Yield each requirement that an approach misses, with the reason; the name is empty if no setting would help.

    examples: maximum number of rows of an approach; 0 when unknown.
    """
    rows = summary.answered + summary.abstained + summary.errors
    rows = min(rows, examples) if examples else rows
    if summary.mean is None or summary.n == 0:
        yield (
            "",
            f"none of its {format_count(rows, 'row')} has the score {primary}{most_common_failure(summary.failures)}",
        )
        return
    lost = min(summary.errors, rows - summary.n)  # rows a judge failed on keep their other scores
    if lost > MAX_ERRORS * rows:
        common = most_common_failure(summary.failures)
        yield "", f"{lost:,} of {format_count(rows, 'row')} failed{common}; at most {MAX_ERRORS:.0%} may fail"
    if (least := required.min_quality) is not None and summary.mean < least:
        yield "min_quality", f"its mean {primary} is {summary.mean:.3g}; min_quality = {least:g}"
    if required.citations and (summary.cited is None or summary.cited < MIN_CITED):
        yield "citations", f"{_cited(summary)}; citations = true requires 90%"
    if (limit := required.max_asserted_wrong) is not None:
        wrong = summary.metrics.get(ASSERTED_WRONG)
        if wrong is None:
            yield "max_asserted_wrong", f"how often it asserts what is wrong is unknown; max_asserted_wrong = {limit:g}"
        elif wrong.mean > limit:
            share = f"{wrong.mean:.1%} of the questions get a wrong answer without a word of doubt"
            yield "max_asserted_wrong", f"{share}; max_asserted_wrong = {limit:g}"
    if (limit := required.max_p95_seconds) is not None:
        if summary.p95_seconds is None:
            yield "max_p95_seconds", f"its latency is unknown, so max_p95_seconds = {limit:g} cannot be checked"
        elif summary.p95_seconds > limit:
            yield (
                "max_p95_seconds",
                f"its 95th-percentile latency is {summary.p95_seconds:.3g} s{in_batches(summary)}; "
                f"max_p95_seconds = {limit:g}",
            )
    if (limit := required.max_usd_per_1k) is not None:
        if summary.usd_per_1k is None:
            yield (
                "max_usd_per_1k",
                f"its price is unknown, so max_usd_per_1k = {limit:g} cannot be checked: {PRICE_HINT}",
            )
        elif summary.usd_per_1k > limit:
            yield (
                "max_usd_per_1k",
                f"it costs {usd(summary.usd_per_1k)} per 1,000 questions; max_usd_per_1k = {limit:g}",
            )
    if (limit := required.max_usd_per_month) is not None and required.requests_per_month is not None:
        if summary.usd_per_1k is None:
            yield (
                "max_usd_per_month",
                f"its price is unknown, so max_usd_per_month = {limit:g} cannot be checked: {PRICE_HINT}",
            )
        elif (monthly := summary.usd_per_1k / 1000 * required.requests_per_month) > limit:
            cost = f"it costs {usd(monthly)} a month at {required.requests_per_month:,} questions a month"
            yield "max_usd_per_month", f"{cost}; max_usd_per_month = {limit:g}"


def _cited(summary: ApproachSummary) -> str:
    """Say how many answers are cited, and what share of their sentences nothing could check."""
    if summary.cited is None and summary.unchecked:
        return "nothing could check the citations of its answers (docs/citations.md)"
    if summary.cited is None:
        return "it answered nothing, so it cited nothing"
    unchecked = f" ({summary.unchecked:.0%} of their sentences could not be checked)" if summary.unchecked else ""
    return f"{summary.cited:.0%} of its answers are supported by the passages that they cite{unchecked}"


def beats(summary: ApproachSummary, other: ApproachSummary, pairs: Pairs) -> bool:
    """Whether the first is measurably better; approaches without common examples cannot be compared."""
    pair = pairs.get((summary.name, other.name))
    return pair is not None and pair.p_adjusted < ALPHA and pair.difference > 0


def _behind(best: ApproachSummary, summaries: Sequence[ApproachSummary], pairs: Pairs) -> set[str]:
    """Return the names that are measurably worse than the best, or than one of these, and so on.

    In a run that stops early, an approach dropped behind the second best has few examples in common with the best.
    """
    behind: set[str] = set()
    ahead = [best]
    while ahead:
        better = ahead.pop()
        further = [other for other in summaries if other.name not in behind and beats(better, other, pairs)]
        behind |= {other.name for other in further}
        ahead += further
    return behind


def _cheapest(leaders: Sequence[ApproachSummary], pairs: Pairs, scale: Scale) -> ApproachSummary | None:
    """Return the leader to choose on price.

    None if a price is unknown or too close to the lowest, if the cheapest might be too far behind, or if its mean is 0.
    """
    prices = {leader.name: leader.usd_per_1k for leader in leaders if leader.usd_per_1k is not None}
    if len(prices) < len(leaders):
        return None
    cheapest = min(leaders, key=lambda leader: prices[leader.name])
    price = prices.pop(cheapest.name)
    if not all(_clearly_cheaper(price, other) for other in prices.values()):
        return None
    return cheapest if _at_worst_slightly_behind(cheapest, leaders, pairs, scale) else None


def _simplest(
    leaders: Sequence[ApproachSummary], eligible: Sequence[ApproachSummary], pairs: Pairs, scale: Scale
) -> ApproachSummary | None:
    """Return the leader to choose for its simplicity.

    None if two are equally simple, if the simplest might be too far behind, if its mean is 0, if another is known to be
    clearly cheaper, or if it is a combination that is not measurably better than each of its parts.
    """
    name = simplest([leader.name for leader in leaders])
    chosen = next((leader for leader in leaders if leader.name == name), None)
    if chosen is None or not _at_worst_slightly_behind(chosen, leaders, pairs, scale):
        return None
    price = chosen.usd_per_1k
    if price is not None and any(_clearly_cheaper(leader.usd_per_1k, price) for leader in leaders):
        return None
    parts = set(parts_of(chosen.name, [summary.name for summary in eligible]))
    return chosen if all(beats(chosen, part, pairs) for part in eligible if part.name in parts) else None


def _clearly_cheaper(price: float | None, other: float) -> bool:
    return price is not None and price <= CLEARLY_CHEAPER * other and price <= other - CENT


def _at_worst_slightly_behind(
    chosen: ApproachSummary, leaders: Sequence[ApproachSummary], pairs: Pairs, scale: Scale
) -> bool:
    """Whether the intervals show that a leader is at worst 10 points behind each of the others, and its mean is not 0.

    Approaches without common examples cannot be compared.
    """
    if scale.is_share and not chosen.mean:
        return False
    for other in leaders:
        if other is chosen:
            continue
        pair = pairs.get((chosen.name, other.name))
        if pair is None or beats(other, chosen, pairs) or pair.low < -TOLERANCE * scale.unit:
            return False
    return True


def case_of(
    measured: Sequence[ApproachSummary],
    differences: Sequence[Difference],
    requirements: Requirements,
    *,
    primary: str,
    examples: int,
    prefer_simpler: bool = True,
    trainings: Trainings | None = None,
    machine: MachinePrices | None = None,
    errors_as_wrong: ErrorsAsWrong | None = None,
) -> "Case":
    """Return what a verdict is decided from.

    differences: every pair of approaches, p adjusted over all of them. examples: maximum number of rows of an approach.
    prefer_simpler: whether the simplest may be the choice. trainings: their cost is added to the prices. machine: its
    seconds are the price of what runs here. errors_as_wrong: None where no row is an error.
    """
    rules = Rules(both_orders(differences), requirements, examples, scale_of(measured, primary), prefer_simpler)
    return Case(measured, rules, trainings or Trainings(), machine or MachinePrices(), errors_as_wrong)


@dataclass(frozen=True, slots=True)
class Case:
    """All that a verdict is decided from."""

    measured: Sequence[ApproachSummary]
    """Their prices are what is billed for the requests."""
    rules: Rules
    trainings: Trainings
    machine: MachinePrices
    errors_as_wrong: ErrorsAsWrong | None
    """None where no row is an error."""

    @property
    def requests(self) -> list[ApproachSummary]:
        """The approaches with the prices of their requests."""
        return self.machine.priced(self.measured)

    @property
    def priced(self) -> list[ApproachSummary]:
        """The approaches with the prices that decide."""
        return self.trainings.priced(self.requests, self.rules.requirements.requests_per_month)

    @property
    def outcome(self) -> Outcome:
        """What follows from the rules."""
        return apply_rules(self.priced, self.rules)

    @property
    def counting_errors(self) -> "Case | None":
        """The case where every error counts as wrong; None without an error, and for scores of which 0 is not wrong."""
        if (found := self.errors_as_wrong) is None or not self.rules.scale.is_share:
            return None
        measured = [
            replace(each, mean=mean.mean, low=mean.low, high=mean.high, n=mean.n)
            if (mean := found.means.get(each.name))
            else each
            for each in self.measured
        ]
        rules = replace(self.rules, pairs=both_orders(found.differences))
        return replace(self, measured=measured, rules=rules, errors_as_wrong=None)

    def requiring(self, **changed: Any) -> "Case":
        """Return the case under other requirements."""
        requirements = replace(self.rules.requirements, **changed)
        return replace(self, rules=replace(self.rules, requirements=requirements))
