"""Standings, paired differences and requirements to a verdict. Measures nothing; what cannot be told stays open."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Any, Literal

from groundtune.decide.wording import PRICE_HINT, Scale, about, cheaper, count, listed, named, often, scale_of, usd
from groundtune.types import Difference, Standing, Verdict

ALPHA = 0.05
"""An adjusted p below it is a measurable difference."""
TOLERANCE = 0.10
"""How much worse than any other leader a cheaper one may be at worst: points / 100, by the 95 % interval."""
CHEAPER = 0.9
"""At most this share of every other leader's price is clearly lower."""
MAX_ERRORS = 0.2
"""Share of rows without an answer above which the answered rest says too little."""
MIN_CITED = 0.9
SMALL = 0.01
"""Points / 100 under which an observed difference is nobody's reason to choose."""
MATTERS = 0.05
"""The difference that is worth finding where none is seen."""
QUARTER_DIFFERS = 785.0
"""Examples that show 5 points where a quarter of the answers are right for one alone (Connor 1987). With few seen, how
many differ is not known, and to go on from what they show would ask for thousands."""
FEW_EXAMPLES = 100
FEW_CLUSTERS = 30
MOST_NAMED = 4
"""Approaches that a sentence names one by one."""
MOST_COMPARED = 6
"""Differences that are reasons; the table has all."""

Pairs = Mapping[tuple[str, str], Difference]
"""Both orders of every pair."""


@dataclass(frozen=True, slots=True)
class Requirements:
    """What an approach must meet before anybody asks how good it is; None = no demand."""

    citations: bool = False
    max_p95_seconds: float | None = None
    max_usd_per_1k: float | None = None
    max_usd_per_month: float | None = None
    requests_per_month: int | None = None
    """Without it `max_usd_per_month` cannot be held against anybody."""
    barred: Mapping[str, str] = field(default_factory=dict)
    """Approaches that were not run, and why."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What the rules come to, before it is put into words."""

    choice: Standing | None
    why: Literal["nothing", "alone", "best", "price", "open"]
    leaders: tuple[Standing, ...] = ()
    eligible: tuple[Standing, ...] = ()
    """Best first."""
    misses: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Approach to (requirement, reason); requirement is empty for what no setting would fix."""


def decide(
    standings: Sequence[Standing],
    differences: Sequence[Difference],
    requirements: Requirements,
    *,
    primary: str,
    examples: int,
    clusters: int | None = None,
) -> Verdict:
    """The approach to use, or that there is no clear winner, with reasons and with what would change it.

    Requirements rule out first. The leaders are the best of the rest and all that are not measurably worse (adjusted
    p of 0.05 or more); where none is ever right, there are none. One leader is the choice. Of several it is the
    cheapest, where all their prices are known, its own is at least 10 % below every other, and it is at worst 10
    points behind any of them. Otherwise nobody is.

    differences: every pair of approaches, p adjusted over all of them. examples: rows an approach can have.
    clusters: independent groups that the examples fall into, where the intervals are by group.
    """
    pairs = _both_ways(differences)
    scale = scale_of(standings, primary)
    outcome = _settle(standings, pairs, requirements, examples, scale)
    sentence, more = _sentence(outcome, pairs, scale, len(standings) + len(requirements.barred))
    ruled_out = {name: tuple(text for _, text in found) for name, found in outcome.misses.items()}
    return Verdict(
        choice=outcome.choice.name if outcome.choice else None,
        sentence=sentence,
        reasons=tuple(_reasons(outcome, pairs, scale)),
        leaders=tuple(one.name for one in outcome.leaders),
        ruled_out={**{name: (why,) for name, why in requirements.barred.items()}, **ruled_out},
        flips=tuple(_flips(standings, pairs, requirements, examples, scale, outcome)),
        caveats=tuple(_caveats(outcome, pairs, requirements, examples, clusters)),
        more_examples=more,
    )


def _both_ways(differences: Sequence[Difference]) -> Pairs:
    pairs: dict[tuple[str, str], Difference] = {}
    for one in differences:
        pairs[one.a, one.b] = one
        pairs[one.b, one.a] = replace(
            one, a=one.b, b=one.a, difference=-one.difference, low=-one.high, high=-one.low
        )  # fmt: skip
    return pairs


def _settle(
    standings: Sequence[Standing], pairs: Pairs, requirements: Requirements, examples: int, scale: Scale
) -> _Outcome:
    run = [one for one in standings if one.name not in requirements.barred]
    misses = {one.name: found for one in run if (found := tuple(_misses(one, requirements, examples, scale.primary)))}
    eligible = [one for one in run if one.name not in misses]
    eligible.sort(key=lambda one: (-(one.mean or 0.0), one.usd_per_1k is None, one.usd_per_1k or 0.0))
    if eligible and scale.share and not eligible[0].mean:
        misses |= {one.name: (("", scale.never(one)),) for one in eligible}
        eligible = []
    if not eligible:
        return _Outcome(None, "nothing", misses=misses)
    unbeaten = [one for one in eligible if not any(_beats(other, one, pairs) for other in eligible)]
    best = (unbeaten or eligible)[0]
    leaders = (best, *(one for one in eligible if one is not best and not _beats(best, one, pairs)))
    if len(leaders) == 1:
        return _Outcome(best, "best" if len(eligible) > 1 else "alone", leaders, tuple(eligible), misses)
    cheapest = _cheapest(leaders, pairs, scale)
    return _Outcome(cheapest, "price" if cheapest else "open", leaders, tuple(eligible), misses)


def _misses(one: Standing, asked: Requirements, examples: int, primary: str) -> Iterator[tuple[str, str]]:
    rows = one.answered + one.abstained + one.errors
    rows = min(rows, examples) if examples else rows
    if one.mean is None or one.n == 0:
        yield "", f"none of its {count(rows, 'row')} has the score {primary}{often(one.failures)}"
        return
    if (lost := min(one.errors, rows - one.n)) > MAX_ERRORS * rows:  # a judge that failed leaves the other scores
        yield "", f"{lost:,} of {count(rows, 'row')} are errors{often(one.failures)}; at most 20 % may be"
    if asked.citations and (one.cited is None or one.cited < MIN_CITED):
        cited = "it answered nothing, so cited nothing" if one.cited is None else f"{one.cited:.0%} of its answers cite"
        yield "citations", f"{cited.replace('%', ' %')}; citations = true asks for 90 %"
    if (most := asked.max_p95_seconds) is not None:
        if one.p95_seconds is None:
            yield "max_p95_seconds", f"its speed is unknown, so max_p95_seconds = {most:g} cannot be checked"
        elif one.p95_seconds > most:
            yield "max_p95_seconds", f"5 % take longer than {one.p95_seconds:.3g} s; max_p95_seconds = {most:g}"
    if (most := asked.max_usd_per_1k) is not None:
        if one.usd_per_1k is None:
            yield (
                "max_usd_per_1k",
                f"its price is unknown, so max_usd_per_1k = {most:g} cannot be checked: {PRICE_HINT}",
            )
        elif one.usd_per_1k > most:
            yield "max_usd_per_1k", f"1,000 questions cost {usd(one.usd_per_1k)}; max_usd_per_1k = {most:g}"
    if (most := asked.max_usd_per_month) is not None and asked.requests_per_month is not None:
        if one.usd_per_1k is None:
            yield (
                "max_usd_per_month",
                f"its price is unknown, so max_usd_per_month = {most:g} cannot be checked: {PRICE_HINT}",
            )
        elif (monthly := one.usd_per_1k / 1000 * asked.requests_per_month) > most:
            month = f"{asked.requests_per_month:,} questions a month cost {usd(monthly)}"
            yield "max_usd_per_month", f"{month}; max_usd_per_month = {most:g}"


def _beats(one: Standing, other: Standing, pairs: Pairs) -> bool:
    """Measurably better; approaches without a common example cannot be told apart."""
    pair = pairs.get((one.name, other.name))
    return pair is not None and pair.p_adjusted < ALPHA and pair.difference > 0


def _cheapest(leaders: Sequence[Standing], pairs: Pairs, scale: Scale) -> Standing | None:
    """The leader that price decides for; None where a price is unknown or too near, too much might be lost, or it is
    never right.
    """
    prices = {one.name: one.usd_per_1k for one in leaders if one.usd_per_1k is not None}
    if len(prices) < len(leaders):
        return None
    cheapest = min(leaders, key=lambda one: prices[one.name])
    price = prices.pop(cheapest.name)
    if not all(price < other and price <= CHEAPER * other for other in prices.values()):
        return None
    if scale.share and not cheapest.mean:
        return None
    for other in leaders:
        if other is cheapest:
            continue
        pair = pairs.get((cheapest.name, other.name))
        if pair is None or _beats(other, cheapest, pairs) or pair.low < -TOLERANCE * scale.unit:
            return None
    return cheapest


def _sentence(outcome: _Outcome, pairs: Pairs, scale: Scale, compared: int) -> tuple[str, int | None]:
    """With about how many more examples would decide, where that is the answer."""
    choice, leaders = outcome.choice, outcome.leaders
    if choice is None:
        return _nobody(outcome, compared) if outcome.why == "nothing" else _open(leaders, pairs, scale)
    name, figures = choice.name, scale.standing(choice)
    if outcome.why == "alone":
        rest = "it is the only one that can be chosen" if compared > 1 else "nothing was there to compare it with"
        return f"Use {name}: {figures}; {rest}.", None
    if outcome.why == "best":
        others = outcome.eligible[1:]
        every = "every other" if compared == len(outcome.eligible) else "every other that can be chosen"
        than = others[0].name if len(others) == 1 else every
        return f"Use {name}: {figures}, measurably {scale.more} than {than}.", None
    best = leaders[0] if leaders[0] is not choice else leaders[1]
    price = cheaper(choice.usd_per_1k or 0.0, best.usd_per_1k or 0.0)
    pair = pairs[name, best.name]
    ahead = leaders[0] is choice and pair.difference > 0
    state = "ahead, though not measurably," if ahead else "not measurably worse"
    than = f"of {best.name}" if ahead else f"than {best.name}"
    return f"Use {name}: it is {state} {than} ({scale.interval(pair)}) and {price}.", None


def _nobody(outcome: _Outcome, compared: int) -> tuple[str, None]:
    if not compared:
        return "No approach can be chosen: none was run.", None
    which = {1: "the only one is", 2: "both are"}.get(compared, f"all {compared:,} are")
    return f"No approach can be chosen: {which} ruled out.", None


def _open(leaders: Sequence[Standing], pairs: Pairs, scale: Scale) -> tuple[str, int | None]:
    first, second = leaders[:2]
    pair = pairs.get((first.name, second.name))
    names = named([one.name for one in leaders], most=MOST_NAMED)
    if pair is None:
        return f"No clear winner: {first.name} and {second.name} have no example in common.", None
    two, between, it = (names, f"{names} are", "it") if len(leaders) == 2 else ("", "the best two are", "between them")
    among = "" if two else f" among {names}"
    apart = f"{between} {scale.gap(pair.difference)} apart on {count(pair.n, 'example')}"
    if abs(pair.difference) >= SMALL * scale.unit and pair.needed is not None:
        more = about(max(pair.needed * _for_all(pairs) - pair.n, pair.n / 10))
        return f"No clear winner yet{among}: {apart}; about {more:,} more would decide {it}.", more
    if (most := max(-pair.low, pair.high)) <= MATTERS * scale.unit:
        little = f"by the interval at most {scale.gap(most)}; let price and speed decide"
        return f"No clear winner{among}: {apart}, {little}.", None
    more = about(max(_for_what_matters(pair, scale) * _for_all(pairs) - pair.n, pair.n / 10))
    show = f"too few to tell; about {more:,} more would show a difference of {scale.gap(MATTERS * scale.unit)}"
    return f"No clear winner yet{among}: {apart}, {show}.", more


def _for_all(pairs: Pairs) -> float:
    """How many times the examples it takes for one pair, as p is adjusted for all pairs not yet told apart."""
    waiting = max(1, sum(pair.p_adjusted >= ALPHA for pair in pairs.values()) // 2)
    normal, power = NormalDist(), NormalDist().inv_cdf(0.8)
    return ((normal.inv_cdf(1 - ALPHA / 2 / waiting) + power) / (normal.inv_cdf(1 - ALPHA / 2) + power)) ** 2


def _for_what_matters(pair: Difference, scale: Scale) -> float:
    """Examples that show a difference of 5 points; of right and wrong answers at most as if a quarter differed."""
    if pair.detectable is None:
        return QUARTER_DIFFERS
    needed = pair.n * (pair.detectable / (MATTERS * scale.unit)) ** 2
    return min(needed, QUARTER_DIFFERS) if scale.share else needed


def _reasons(outcome: _Outcome, pairs: Pairs, scale: Scale) -> Iterator[str]:
    for one in outcome.leaders[:MOST_NAMED]:
        mean, low, high = (scale.value(value or 0.0) for value in (one.mean, one.low, one.high))
        price = "price unknown" if one.usd_per_1k is None else f"{usd(one.usd_per_1k)} for 1,000 questions"
        speed = "" if one.p50_seconds is None else f", median {one.p50_seconds:.3g} s"
        yield f"{one.name}: {scale.primary} {mean} (95 % interval {low} to {high}, n = {one.n:,}), {price}{speed}."
    if not outcome.eligible:
        return
    against = outcome.choice or outcome.leaders[0]
    others = [other for other in outcome.eligible if other is not against]
    for other in others[:MOST_COMPARED]:
        if pair := pairs.get((against.name, other.name)):
            told = "measurably different" if pair.p_adjusted < ALPHA else "not measurably different"
            if pair.p_adjusted >= ALPHA and not pair.low <= 0 <= pair.high:
                alone = "by the test, which is stricter than the interval"
                many = "as the test counts every pair and the interval is of this one alone"
                told += f", {many if len(pairs) > 2 else alone}"
            figures = f"{scale.interval(pair)}, adjusted p {pair.p_adjusted:.2g}, n = {pair.n:,}"
            yield f"{against.name} against {other.name}: {figures}: {told}."
    if rest := others[MOST_COMPARED:]:
        measured = sum(_beats(against, other, pairs) for other in rest)
        yield f"{count(len(rest), 'other')} behind these, {measured:,} of them measurably worse."


def _flips(
    standings: Sequence[Standing],
    pairs: Pairs,
    requirements: Requirements,
    examples: int,
    scale: Scale,
    outcome: _Outcome,
) -> Iterator[str]:
    def again(approaches: Sequence[Standing] = standings, **changed: Any) -> _Outcome:
        return _settle(approaches, pairs, replace(requirements, **changed), examples, scale)

    asked = list(dict.fromkeys(key for found in outcome.misses.values() for key, _ in found if key))
    nothing: dict[str, Any] = {key: False if key == "citations" else None for key in asked}
    said = False
    for key in asked:
        if text := _changed(outcome, again(**{key: nothing[key]})):
            said = True
            value = getattr(requirements, key)
            yield f"Without {key} = {'true' if value is True else f'{value:g}'} {text}."
    if len(asked) > 1 and not said and (text := _changed(outcome, again(**nothing))):
        yield f"Without {listed(asked)} {text}."
    if scale.share:
        yield from _errors_as_wrong(outcome, scale)

    for one in outcome.leaders:
        others = [other.usd_per_1k for other in outcome.leaders if other is not one]
        limit = CHEAPER * min((price for price in others if price is not None), default=0.0)
        if limit == 0 or len(outcome.leaders) == 1:
            continue
        own = "unknown" if one.usd_per_1k is None else usd(one.usd_per_1k)
        at, over = (_repriced(standings, one, limit * by) for by in (1 - 1e-9, 1 + 1e-9))
        if one is outcome.choice and (text := _changed(outcome, again(over))):
            yield f"If 1,000 questions to {one.name} cost over {usd(limit)} (now {own}), {text}."
        elif one is not outcome.choice and (new := again(at).choice) and new.name == one.name:
            yield f"If 1,000 questions to {one.name} cost {usd(limit)} or less (now {own}), it would be the choice."


def _repriced(standings: Sequence[Standing], one: Standing, price: float) -> list[Standing]:
    return [replace(other, usd_per_1k=price) if other is one else other for other in standings]


def _changed(before: _Outcome, after: _Outcome) -> str:
    """What would be the verdict instead; empty when it is the same."""
    old, new = (found.choice.name if found.choice else None for found in (before, after))
    if old == new and (old is not None or bool(before.eligible) == bool(after.eligible)):
        return ""
    return f"{new} would be the choice" if new else "there would be no clear winner"


def _errors_as_wrong(outcome: _Outcome, scale: Scale) -> Iterator[str]:
    """Says who would pass the choice, the best of them, with its errors and theirs counted as 0."""
    choice = outcome.choice
    if choice is None or choice.mean is None:
        return
    means = {
        one.name: (one.mean or 0.0) * one.n / max(1, one.answered + one.abstained + one.errors)
        for one in outcome.eligible
    }
    own = means[choice.name]
    passing = [
        one for one in outcome.eligible if (one.mean or 0.0) <= choice.mean and means[one.name] > own
    ]  # fmt: skip
    if passing:
        name = max(passing, key=lambda one: means[one.name]).name
        ahead = f"{name} ({scale.value(means[name])}) would be ahead of {choice.name} ({scale.value(own)})"
        yield f"If every error counted as wrong, {ahead}."


def _caveats(
    outcome: _Outcome, pairs: Pairs, requirements: Requirements, examples: int, clusters: int | None
) -> Iterator[str]:
    eligible = outcome.eligible
    if examples < FEW_EXAMPLES:
        yield f"{count(examples, 'example')} are few: under {FEW_EXAMPLES} only large differences show."
    if clusters is not None and clusters < examples:
        few = "; under 30 the intervals are rough" if clusters < FEW_CLUSTERS else ""
        yield f"The examples fall into {count(clusters, 'group')}, which the intervals count instead of examples{few}."
    for one in eligible:
        if one.errors:
            judged = one.failures.get("judge", 0)
            kept = "; those of the judge keep their other scores" if judged else ""
            yield f"{one.name}: {count(one.errors, 'error')}{often(one.failures)}, in none of its figures{kept}."
    if len({one.n for one in eligible}) > 1:
        sizes = listed([f"{one.name} {one.n:,}" for one in eligible])
        yield f"Not all were scored on the same examples ({sizes}); differences are over those in common."
    if unknown := [one.name for one in outcome.leaders if one.usd_per_1k is None]:
        yield f"The price of {named(unknown, most=MOST_NAMED)} is unknown: {PRICE_HINT}."
    if requirements.max_usd_per_month is not None and requirements.requests_per_month is None:
        yield "max_usd_per_month was not checked: requests_per_month is unknown."
    names = [one.name for one in outcome.leaders]
    if apart := [other for other in names[1:] if (names[0], other) not in pairs]:
        yield f"{names[0]} has no example in common with {listed(apart)}, so nothing was compared."
