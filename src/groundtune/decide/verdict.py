"""Turn approach summaries, paired differences and requirements into a verdict. Unknown figures decide nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Any, Literal

from groundtune.common.text import format_count
from groundtune.decide.simplicity import parts_of, simplest
from groundtune.decide.wording import (
    PRICE_HINT,
    Scale,
    join_names,
    most_common_failure,
    p_value,
    relative_cost,
    round_up_estimate,
    scale_of,
    shorten_names,
    usd,
)
from groundtune.measure.metric_names import ASSERTED_WRONG
from groundtune.types import ApproachSummary, Difference, Verdict

ALPHA = 0.05
"""Significance level: an adjusted p below it is a measurable difference."""
TOLERANCE = 0.10
"""Largest deficit (as a fraction, by the 95% interval) at which a cheaper or simpler approach is chosen over another
leader."""
CLEARLY_CHEAPER = 0.9
"""A price is clearly lower if it is at most this share of every other leader's price."""
MAX_ERRORS = 0.2
"""Largest share of failed rows; above it, the remaining rows are not representative."""
MIN_CITED = 0.9
NEGLIGIBLE = 0.01
"""Smallest observed difference (as a fraction) to base a choice on."""
RELEVANT = 0.05
"""Smallest difference worth detecting when none is observed."""
QUARTER_DIFFERS = 785.0
"""Examples needed to detect 5 points when the two approaches disagree on a quarter of the examples (Connor 1987).

It caps the estimate: few examples say little about how often two approaches disagree, and extrapolating from them would
ask for thousands.
"""
FEW_EXAMPLES = 100
FEW_CLUSTERS = 30
MAX_NAMED = 4
"""Approaches that a sentence lists by name."""
MAX_COMPARED = 6
"""Differences listed as reasons; the table has all of them."""

Pairs = Mapping[tuple[str, str], Difference]
"""Every pair in both orders."""


@dataclass(frozen=True, slots=True)
class Requirements:
    """Conditions an approach must meet to be considered at all; None = no requirement."""

    citations: bool = False
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
class _Rules:
    """What the approaches are judged by."""

    pairs: Pairs
    requirements: Requirements
    examples: int
    scale: Scale
    prefer_simpler: bool


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Result of the decision rules, before it is worded."""

    choice: ApproachSummary | None
    why: Literal["nothing", "alone", "best", "price", "simple", "open"]
    leaders: tuple[ApproachSummary, ...] = ()
    eligible: tuple[ApproachSummary, ...] = ()
    """Best first."""
    misses: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Approach to (requirement, reason) pairs; the requirement is empty if no setting would help."""


def decide(
    summaries: Sequence[ApproachSummary],
    differences: Sequence[Difference],
    requirements: Requirements,
    *,
    primary: str,
    examples: int,
    clusters: int | None = None,
    prefer_simpler: bool = True,
) -> Verdict:
    """Return the approach to use, or no clear winner, with the reasons and with what would change the verdict.

    Requirements come first and rule approaches out. The leaders are the best remaining approach and all that are not
    measurably worse (adjusted p of 0.05 or more); if every mean is 0, there are none. A single leader is the choice.
    Among several, the cheapest is the choice if all their prices are known, its own is at least 10% below every other,
    and it is at worst 10 points behind any of them. If price does not decide, the simplest (simplicity.py) is the
    choice under the same condition, unless another leader is known to be clearly cheaper; a combination only if it is
    measurably better than each of its parts. Otherwise there is no choice.

    differences: every pair of approaches, p adjusted over all of them. examples: maximum number of rows of an approach.
    clusters: independent groups among the examples, when the intervals are by group. prefer_simpler: whether the
    simplest may be the choice.
    """
    rules = _Rules(_both_orders(differences), requirements, examples, scale_of(summaries, primary), prefer_simpler)
    pairs, scale = rules.pairs, rules.scale
    outcome = _apply_rules(summaries, rules)
    sentence, more = _sentence(outcome, pairs, scale, len(summaries) + len(requirements.barred))
    ruled_out = {name: tuple(reason for _, reason in misses) for name, misses in outcome.misses.items()}
    return Verdict(
        choice=outcome.choice.name if outcome.choice else None,
        sentence=sentence,
        reasons=tuple(_reasons(outcome, pairs, scale)),
        leaders=tuple(leader.name for leader in outcome.leaders),
        ruled_out={**{name: (reason,) for name, reason in requirements.barred.items()}, **ruled_out},
        flips=tuple(_flips(summaries, rules, outcome)),
        caveats=tuple(_caveats(outcome, pairs, requirements, examples, clusters)),
        more_examples=more,
    )


def _both_orders(differences: Sequence[Difference]) -> Pairs:
    pairs: dict[tuple[str, str], Difference] = {}
    for pair in differences:
        pairs[pair.a, pair.b] = pair
        pairs[pair.b, pair.a] = replace(
            pair, a=pair.b, b=pair.a, difference=-pair.difference, low=-pair.high, high=-pair.low
        )  # fmt: skip
    return pairs


def _apply_rules(summaries: Sequence[ApproachSummary], rules: _Rules) -> _Outcome:
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
        return _Outcome(None, "nothing", misses=misses)
    unbeaten = [summary for summary in eligible if not any(_beats(other, summary, pairs) for other in eligible)]
    best = (unbeaten or eligible)[0]
    behind = _behind(best, summaries, pairs)
    leaders = (best, *(other for other in eligible if other is not best and other.name not in behind))
    if len(leaders) == 1:
        return _Outcome(best, "best" if len(eligible) > 1 else "alone", leaders, tuple(eligible), misses)
    if cheapest := _cheapest(leaders, pairs, scale):
        return _Outcome(cheapest, "price", leaders, tuple(eligible), misses)
    chosen = _simplest(leaders, eligible, pairs, scale) if rules.prefer_simpler else None
    return _Outcome(chosen, "simple" if chosen else "open", leaders, tuple(eligible), misses)


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
                f"its 95th-percentile latency is {summary.p95_seconds:.3g} s; max_p95_seconds = {limit:g}",
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


def _beats(summary: ApproachSummary, other: ApproachSummary, pairs: Pairs) -> bool:
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
        further = [other for other in summaries if other.name not in behind and _beats(better, other, pairs)]
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
    return chosen if all(_beats(chosen, part, pairs) for part in eligible if part.name in parts) else None


def _clearly_cheaper(price: float | None, other: float) -> bool:
    return price is not None and price < other and price <= CLEARLY_CHEAPER * other


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
        if pair is None or _beats(other, chosen, pairs) or pair.low < -TOLERANCE * scale.unit:
            return False
    return True


def _sentence(outcome: _Outcome, pairs: Pairs, scale: Scale, compared: int) -> tuple[str, int | None]:
    """Return the verdict, and about how many more examples are needed if that is what it asks for."""
    choice, leaders = outcome.choice, outcome.leaders
    if choice is None:
        return _none_eligible(compared) if outcome.why == "nothing" else _no_clear_winner(leaders, pairs, scale)
    name, figures = choice.name, scale.describe_score(choice)
    if outcome.why == "alone":
        rest = "it is the only eligible approach" if compared > 1 else "there was nothing to compare it with"
        return f"Use {name}: {figures}; {rest}.", None
    if outcome.why == "best":
        others = outcome.eligible[1:]
        any_other = "any other approach" if compared == len(outcome.eligible) else "any other eligible approach"
        comparison = scale.comparative(others[0].name if len(others) == 1 else any_other)
        return f"Use {name}: {figures}, measurably {comparison}.", None
    other = leaders[0] if leaders[0] is not choice else leaders[1]
    if outcome.why == "simple":
        return _simpler(choice, leaders, pairs, scale), None
    price = relative_cost(choice.usd_per_1k or 0.0, other.usd_per_1k or 0.0)
    pair = pairs[name, other.name]
    if leaders[0] is choice and pair.difference > 0:
        return (
            f"Use {name}: it is ahead of {other.name}, though not measurably ({scale.interval(pair)}), and {price}.",
            None,
        )
    return f"Use {name}: it is not measurably worse than {other.name} ({scale.interval(pair)}) and {price}.", None


def _simpler(choice: ApproachSummary, leaders: Sequence[ApproachSummary], pairs: Pairs, scale: Scale) -> str:
    """`Use rag: hybrid is not measurably better (+1.2 points, 95% interval −1.5 to +4.0), and rag is simpler.`"""
    others = [leader.name for leader in leaders if leader is not choice]
    names, are = shorten_names(others, most=MAX_NAMED), "is" if len(others) == 1 else "are"
    best = f"{others[0]}: " if len(others) > 1 else ""
    figures = f"{best}{scale.interval(pairs[others[0], choice.name])}"
    return f"Use {choice.name}: {names} {are} not measurably better ({figures}), and {choice.name} is simpler."


def _none_eligible(compared: int) -> tuple[str, None]:
    if not compared:
        return "No approach can be recommended: none was run.", None
    which = {1: "the only one is", 2: "both are"}.get(compared, f"all {compared:,} are")
    return f"No approach can be recommended: {which} ruled out.", None


def _no_clear_winner(leaders: Sequence[ApproachSummary], pairs: Pairs, scale: Scale) -> tuple[str, int | None]:
    first, second = leaders[:2]
    pair = pairs.get((first.name, second.name))
    names = shorten_names([leader.name for leader in leaders], most=MAX_NAMED)
    if pair is None:
        return f"No clear winner: {first.name} and {second.name} have no examples in common.", None
    among, subject = ("", names) if len(leaders) == 2 else (f" among {names}", "the top two")
    differ = f"{subject} differ by {scale.unsigned(pair.difference)} on {format_count(pair.n, 'example')}"
    if abs(pair.difference) >= NEGLIGIBLE * scale.unit and pair.needed is not None:
        more = round_up_estimate(max(pair.needed * _multiplicity(pairs) - pair.n, pair.n / 10))
        return f"No clear winner yet{among}: {differ}; about {more:,} more should decide between them.", more
    if (largest := max(-pair.low, pair.high)) <= RELEVANT * scale.unit:
        limit = f"by at most {scale.unsigned(largest)} according to the 95% interval; let price and speed decide"
        return f"No clear winner{among}: {differ}, and {limit}.", None
    more = round_up_estimate(max(_needed_to_detect(pair, scale) * _multiplicity(pairs) - pair.n, pair.n / 10))
    size = scale.unsigned(RELEVANT * scale.unit)
    detect = f"about {more:,} more examples would be enough to detect a difference of {size}"
    return f"No clear winner yet{among}: {differ}, which is too few to tell them apart; {detect}.", more


def _multiplicity(pairs: Pairs) -> float:
    """Factor by which correcting for all undecided pairs increases the examples needed for one pair."""
    undecided = max(1, sum(pair.p_adjusted >= ALPHA for pair in pairs.values()) // 2)
    normal, power = NormalDist(), NormalDist().inv_cdf(0.8)
    return ((normal.inv_cdf(1 - ALPHA / 2 / undecided) + power) / (normal.inv_cdf(1 - ALPHA / 2) + power)) ** 2


def _needed_to_detect(pair: Difference, scale: Scale) -> float:
    """Examples needed to detect 5 points; for scores between 0 and 1, at most QUARTER_DIFFERS."""
    if pair.detectable is None:
        return QUARTER_DIFFERS
    needed = pair.n * (pair.detectable / (RELEVANT * scale.unit)) ** 2
    return min(needed, QUARTER_DIFFERS) if scale.is_share else needed


def _reasons(outcome: _Outcome, pairs: Pairs, scale: Scale) -> Iterator[str]:
    for leader in outcome.leaders[:MAX_NAMED]:
        mean, low, high = (scale.value(value or 0.0) for value in (leader.mean, leader.low, leader.high))
        price = "price unknown" if leader.usd_per_1k is None else f"{usd(leader.usd_per_1k)} per 1,000 questions"
        speed = "" if leader.p50_seconds is None else f", median latency {leader.p50_seconds:.3g} s"
        score = f"{scale.primary} {mean} (95% interval {low} to {high}, n = {leader.n:,})"
        yield f"{leader.name}: {score}{_asserted_wrong(leader)}, {price}{speed}."
    if not outcome.eligible:
        return
    reference = outcome.choice or outcome.leaders[0]
    others = [other for other in outcome.eligible if other is not reference]
    for other in others[:MAX_COMPARED]:
        if pair := pairs.get((reference.name, other.name)):
            figures = f"{scale.interval(pair)}, adjusted {p_value(pair.p_adjusted)}, n = {pair.n:,}"
            finding = _finding(pair, len(pairs) // 2)
            if reference is outcome.leaders[0] and other not in outcome.leaders and pair.p_adjusted >= ALPHA:
                finding = f"measurably behind an approach that is behind {reference.name}"
            yield f"{reference.name} vs {other.name}: {figures}: {finding}."
    if rest := others[MAX_COMPARED:]:
        worse = sum(_beats(reference, other, pairs) for other in rest)
        yield f"Not listed: {format_count(len(rest), 'other')} ({worse:,} measurably worse)."


def _asserted_wrong(summary: ApproachSummary) -> str:
    """`, wrong without doubt 3.1% (1.4% to 6.0%)`; empty when the rows have no such score."""
    wrong = summary.metrics.get(ASSERTED_WRONG)
    return f", wrong without doubt {wrong.mean:.1%} ({wrong.low:.1%} to {wrong.high:.1%})" if wrong else ""


def _finding(pair: Difference, compared_pairs: int) -> str:
    if pair.p_adjusted < ALPHA:
        return "measurably different"
    if pair.low <= 0 <= pair.high:
        return "not measurably different"
    if compared_pairs > 1:
        return "not measurably different (the test corrects for all pairs; the interval is for this pair alone)"
    return "not measurably different (the test is stricter than the interval)"


def _flips(summaries: Sequence[ApproachSummary], rules: _Rules, outcome: _Outcome) -> Iterator[str]:
    requirements, scale = rules.requirements, rules.scale

    def redecide(changed_summaries: Sequence[ApproachSummary] = summaries, **changed: Any) -> _Outcome:
        return _apply_rules(changed_summaries, replace(rules, requirements=replace(requirements, **changed)))

    unmet = list(dict.fromkeys(key for misses in outcome.misses.values() for key, _ in misses if key))
    dropped: dict[str, Any] = {key: False if key == "citations" else None for key in unmet}
    any_flips = False
    for key in unmet:
        if change := _change(outcome, redecide(**{key: dropped[key]})):
            any_flips = True
            value = getattr(requirements, key)
            yield f"Without {key} = {'true' if value is True else f'{value:g}'}, {change}."
    if len(unmet) > 1 and not any_flips and (change := _change(outcome, redecide(**dropped))):
        yield f"Without {join_names(unmet)}, {change}."
    if scale.is_share:
        yield from _errors_as_wrong(outcome, scale)
    if outcome.why == "simple":
        yield "With prefer_simpler = false, there would be no clear winner."

    for leader in outcome.leaders:
        other_prices = [other.usd_per_1k for other in outcome.leaders if other is not leader]
        limit = CLEARLY_CHEAPER * min((price for price in other_prices if price is not None), default=0.0)
        if limit == 0 or len(outcome.leaders) == 1:
            continue
        now = "unknown" if leader.usd_per_1k is None else usd(leader.usd_per_1k)
        below, above = (_repriced(summaries, leader, limit * factor) for factor in (1 - 1e-9, 1 + 1e-9))
        if leader is outcome.choice and (change := _change(outcome, redecide(above))):
            yield f"If {leader.name} cost more than {usd(limit)} per 1,000 questions (now {now}), {change}."
        elif leader is not outcome.choice and (choice := redecide(below).choice) and choice.name == leader.name:
            price = f"{usd(limit)} or less per 1,000 questions (now {now})"
            yield f"If {leader.name} cost {price}, it would be recommended."


def _repriced(summaries: Sequence[ApproachSummary], target: ApproachSummary, price: float) -> list[ApproachSummary]:
    return [replace(summary, usd_per_1k=price) if summary is target else summary for summary in summaries]


def _change(before: _Outcome, after: _Outcome) -> str:
    """Describe the new verdict; empty if it is the same."""
    old, new = (outcome.choice.name if outcome.choice else None for outcome in (before, after))
    if old == new and (old is not None or bool(before.eligible) == bool(after.eligible)):
        return ""
    return f"{new} would be recommended" if new else "there would be no clear winner"


def _errors_as_wrong(outcome: _Outcome, scale: Scale) -> Iterator[str]:
    """Name the best approach that would overtake the choice if errors scored 0."""
    choice = outcome.choice
    if choice is None or choice.mean is None:
        return
    means = {
        summary.name: (summary.mean or 0.0) * summary.n / max(1, summary.answered + summary.abstained + summary.errors)
        for summary in outcome.eligible
    }
    choice_mean = means[choice.name]
    overtaking = [
        summary
        for summary in outcome.eligible
        if (summary.mean or 0.0) <= choice.mean and means[summary.name] > choice_mean
    ]
    if overtaking:
        name = max(overtaking, key=lambda summary: means[summary.name]).name
        ahead = f"{name} ({scale.value(means[name])}) would be ahead of {choice.name} ({scale.value(choice_mean)})"
        yield f"If every error counted as wrong, {ahead}."


def _caveats(
    outcome: _Outcome, pairs: Pairs, requirements: Requirements, examples: int, clusters: int | None
) -> Iterator[str]:
    eligible = outcome.eligible
    if examples < FEW_EXAMPLES:
        n = format_count(examples, "example")
        yield f"Only {n}: with fewer than {FEW_EXAMPLES}, only large differences are detectable."
    if clusters is not None and clusters < examples:
        few = f"; with fewer than {FEW_CLUSTERS} groups they are rough" if clusters < FEW_CLUSTERS else ""
        yield (
            f"The examples fall into {format_count(clusters, 'group')}, "
            f"and the intervals treat each group as one unit{few}."
        )
    for summary in eligible:
        if summary.errors:
            judge = (
                "; rows where only the judge or a scorer failed keep their other scores"
                if summary.failures.keys() & {"judge", "scoring"}
                else ""
            )
            errors = f"{format_count(summary.errors, 'error')}{most_common_failure(summary.failures)}"
            yield f"{summary.name}: {errors}, excluded from its figures{judge}."
    if len({summary.n for summary in eligible}) > 1:
        sizes = join_names([f"{summary.name}: {summary.n:,}" for summary in eligible])
        yield (
            f"The approaches were not all scored on the same examples ({sizes}); "
            "each difference uses the examples both have in common."
        )
    if unpriced := [leader.name for leader in outcome.leaders if leader.usd_per_1k is None]:
        shown = shorten_names(unpriced, most=MAX_NAMED)
        yield f"The price of {shown} is unknown: {PRICE_HINT}, or the server reports no usable token counts."
    if requirements.max_usd_per_month is not None and requirements.requests_per_month is None:
        yield "max_usd_per_month was not checked: requests_per_month is not set."
    names = [leader.name for leader in outcome.leaders]
    if disjoint := [other for other in names[1:] if (names[0], other) not in pairs]:
        yield f"{names[0]} has no examples in common with {join_names(disjoint)}, so no comparison was possible."
