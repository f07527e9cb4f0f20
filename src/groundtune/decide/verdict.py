"""Turn approach summaries, paired differences and requirements into a verdict. Unknown figures decide nothing."""

from collections.abc import Iterator, Sequence
from statistics import NormalDist

from groundtune.common.text import format_count
from groundtune.decide.flips import find_flips
from groundtune.decide.rules import ALPHA, Case, Outcome, Pairs, Requirements, beats
from groundtune.decide.wording import (
    PRICE_HINT,
    Scale,
    in_batches,
    join_names,
    most_common_failure,
    p_value,
    relative_cost,
    round_up_estimate,
    shorten_names,
    usd,
)
from groundtune.measure.metric_names import ASSERTED_WRONG
from groundtune.types import ApproachSummary, Difference, Flip, Verdict

NEGLIGIBLE = 0.01
"""Smallest observed difference (as a fraction) to base a choice on."""
RELEVANT = 0.05
"""Smallest difference worth detecting when none is observed."""
QUARTER_DIFFERS = 785.0
"""Examples needed to detect 5 points when the two approaches disagree on a quarter of the examples (Connor 1987).

It caps the estimate: few examples say little about how often two approaches disagree, and extrapolating from them would
ask for thousands.
"""
WORTH_ASKING = 10
"""More examples than so many times those at hand settle nothing that matters."""
FEW_EXAMPLES = 100
FEW_CLUSTERS = 30
MAX_NAMED = 4
"""Approaches that a sentence lists by name."""
MAX_COMPARED = 6
"""Differences listed as reasons; the table has all of them."""


def decide(case: Case, *, clusters: int | None = None) -> Verdict:
    """Return the approach to use, or no clear winner, with the reasons and with what would change the verdict.

    Requirements come first and rule approaches out. The leaders are the best remaining approach and all that are not
    measurably worse (adjusted p of 0.05 or more); if every mean is 0, there are none. A single leader is the choice.
    Among several, the cheapest is the choice if all their prices are known, its own is at least 10% below every other,
    and it is at worst 10 points behind any of them. If price does not decide, the simplest (simplicity.py) is the
    choice under the same condition, unless another leader is known to be clearly cheaper; a combination only if it is
    measurably better than each of its parts. Otherwise there is no choice.

    clusters: independent groups among the examples, when the intervals are by group.
    """
    pairs, scale, requirements = case.rules.pairs, case.rules.scale, case.rules.requirements
    outcome = case.outcome
    sentence, more = _sentence(outcome, pairs, scale, len(case.measured) + len(requirements.barred))
    ruled_out = {name: tuple(reason for _, reason in misses) for name, misses in outcome.misses.items()}
    return Verdict(
        choice=outcome.choice.name if outcome.choice else None,
        sentence=sentence,
        reasons=tuple(_reasons(outcome, pairs, scale)),
        leaders=tuple(leader.name for leader in outcome.leaders),
        ruled_out={**{name: (reason,) for name, reason in requirements.barred.items()}, **ruled_out},
        flips=(*find_flips(case), *_more_examples(outcome, pairs, scale, more)),
        caveats=tuple(_caveats(outcome, pairs, requirements, case.rules.examples, clusters)),
        more_examples=more,
    )


def _sentence(outcome: Outcome, pairs: Pairs, scale: Scale, compared: int) -> tuple[str, int | None]:
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


def _more_examples(outcome: Outcome, pairs: Pairs, scale: Scale, more: int | None) -> Iterator[Flip]:
    """Say how many more examples could settle what price or simplicity settles now, or nothing does.

    more: the number that the verdict asks for.
    """
    if len(outcome.leaders) < 2:
        return
    first = outcome.leaders[0] if outcome.leaders[0] is not outcome.choice else outcome.leaders[1]
    second = outcome.choice or outcome.leaders[1]
    pair = pairs.get((first.name, second.name))
    if pair is None:
        return
    if outcome.choice is None:
        needed, what = more, f"the verdict between {first.name} and {second.name} could be settled"
    else:
        real = pair.difference >= NEGLIGIBLE * scale.unit and pair.needed is not None
        total = (pair.needed or 0) * _multiplicity(pairs)
        needed = round_up_estimate(max(total - pair.n, pair.n / 10)) if real else None
        what = f"{first.name} could be measurably better than {second.name}, if it is as far ahead as it seems"
    if needed is not None and needed <= WORTH_ASKING * pair.n:
        sentence = f"With about {needed:,} more examples, {what}."
        yield Flip("examples", pair.n, pair.n + needed, "or more", None, sentence)


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


def _price(summary: ApproachSummary) -> str:
    if summary.usd_per_1k is not None:
        return f"{usd(summary.usd_per_1k)} per 1,000 questions"
    if summary.machine_seconds is not None:  # nobody bills it; the costs of a report price its seconds
        return f"{1000 * summary.machine_seconds / 3600:.2g} hours of this machine per 1,000 questions"
    return "price unknown"


def _reasons(outcome: Outcome, pairs: Pairs, scale: Scale) -> Iterator[str]:
    for leader in outcome.leaders[:MAX_NAMED]:
        mean, low, high = (scale.value(value or 0.0) for value in (leader.mean, leader.low, leader.high))
        speed = "" if leader.p50_seconds is None else f", median latency {leader.p50_seconds:.3g} s{in_batches(leader)}"
        score = f"{scale.primary} {mean} (95% interval {low} to {high}, n = {leader.n:,})"
        yield f"{leader.name}: {score}{_asserted_wrong(leader)}, {_price(leader)}{speed}."
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
        worse = sum(beats(reference, other, pairs) for other in rest)
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


def _caveats(
    outcome: Outcome, pairs: Pairs, requirements: Requirements, examples: int, clusters: int | None
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
    if batched := [leader.name for leader in outcome.leaders if leader.answers_per_batch is not None]:
        shown = shorten_names(batched, most=MAX_NAMED)
        yield f"The latencies of {shown} are those of whole batches on this machine: alone, each answer comes sooner."
    unpriced = [each.name for each in outcome.leaders if each.usd_per_1k is None and each.machine_seconds is None]
    if unpriced:
        shown = shorten_names(unpriced, most=MAX_NAMED)
        yield f"The price of {shown} is unknown: {PRICE_HINT}, or the server reports no usable token counts."
    if requirements.max_usd_per_month is not None and requirements.requests_per_month is None:
        yield "max_usd_per_month was not checked: requests_per_month is not set."
    names = [leader.name for leader in outcome.leaders]
    if disjoint := [other for other in names[1:] if (names[0], other) not in pairs]:
        yield f"{names[0]} has no examples in common with {join_names(disjoint)}, so no comparison was possible."
