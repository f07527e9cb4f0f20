"""Say what would change a verdict: one thing at a time moves, and the verdict is decided again. Measures nothing.

What moves as a number changes the verdict only where two figures that the rules compare become equal. These places
are computed, and the verdict is decided at and between them, so that no change is missed. A flip is stated at a round
number just beyond its place: there the verdict is another one, and one per cent before it is not.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise, permutations
from typing import Any, Literal

from groundtune.decide.costs import CHANGES_PER_YEAR
from groundtune.decide.machine_prices import MachinePrices
from groundtune.decide.rules import CENT, CLEARLY_CHEAPER, Case, Outcome
from groundtune.decide.wording import join_names, usd
from groundtune.measure.metric_names import ASSERTED_WRONG
from groundtune.types import Flip

Side = Literal["or more", "or less"]

MOST_REQUESTS = 10_000_000_000
MOST_MONTHS = 120
DIGITS = (3, 4, 5, 6, 9, 12, 15)
"""Digits of a stated number: as few as state it exactly enough."""
FEW, EXACT = 3, 15
"""Digits of a value now, and of one that is stated: it was rounded before."""
TIGHT = 1e-10
"""Share of its value within which a place is found."""
NEAR = 0.01
"""Within this share of a flip, the verdict may not have changed yet."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Values of a number, from the lowest to where the next stretch begins, with which the verdict stays the same."""

    low: float
    includes_low: bool
    choice: str | None
    eligible: bool
    """Whether any approach meets the requirements."""


@dataclass(frozen=True, slots=True)
class Move:
    """A number that moves."""

    key: str
    now: float | None
    """None: no limit where `open_ended`, else unknown."""
    places: Sequence[float]
    """Where the verdict may change."""
    case: Callable[[float], Case]
    """The case under another value."""
    words: str
    """The condition, with places for `value` and `side`."""
    write: Callable[[float, int], str]
    """Writes a value with so many digits at most."""
    most: float = math.inf
    whole: bool = False
    open_ended: bool = True
    """Whether no value means that any is enough."""
    loosens: Side = "or more"
    """The side on which more is allowed."""


def find_flips(case: Case) -> list[Flip]:
    """Return what would change the verdict: requirements first, then the numbers by how near the change is."""
    before = case.outcome
    numbers = [flip for move in moves(case) for flip in _number_flips(move, before)]
    numbers.sort(key=_distance)
    required = set(_unmet(before))
    limits = [flip for flip in numbers if flip.key in required]
    limits.sort(key=lambda flip: not _loosens(flip))
    rest = [flip for flip in numbers if flip.key not in required]
    return [
        *_dropped(case, before, {flip.key for flip in limits if _loosens(flip)}),
        *limits,
        *_errors_as_wrong(case, before),
        *_other_rules(case, before),
        *rest,
        *_changes(case, before),
    ]


def stretches(move: Move) -> list[Stretch]:
    """Return between which values of a number the verdict stays the same, from the smallest value on.

    Empty when it is the same with all of them.
    """
    found: list[Stretch] = []
    states: list[tuple[str | None, bool]] = []
    places, points = set(move.places), _points(move)
    for at, point in enumerate(points):
        outcome = move.case(point).outcome
        states.append(_state(outcome))
        if not found:
            found.append(Stretch(0.0, True, *states[-1]))
        elif states[-1] != states[-2]:
            includes = move.whole or point in places
            found.append(Stretch(point if includes else points[at - 1], includes, *states[-1]))
    return found


def moves(case: Case) -> Iterator[Move]:
    """Yield the numbers that can move, as far as any of their values could matter."""
    needed, priced = case.rules.requirements, case.priced
    seconds, words = [each.p95_seconds for each in priced], "With a latency ceiling (max_p95_seconds) of {value} {side}"
    yield _limit(case, "max_p95_seconds", seconds, lambda value, digits: f"{value:,.{digits}g} s", words)
    wrong = [each.metrics[ASSERTED_WRONG].mean for each in priced if ASSERTED_WRONG in each.metrics]
    words = "With max_asserted_wrong at {value} {side}"
    yield _limit(case, "max_asserted_wrong", wrong, lambda value, digits: f"{100 * value:.{digits}g}%", words, most=1.0)
    yield _quality(case)
    prices = [each.usd_per_1k for each in priced]
    if needed.max_usd_per_1k is not None:
        yield _limit(case, "max_usd_per_1k", prices, _dollars, "With a budget of {value} {side} per 1,000 questions")
    if needed.max_usd_per_month is not None and (requests := needed.requests_per_month):
        monthly = [None if price is None else price / 1000 * requests for price in prices]
        yield _limit(case, "max_usd_per_month", monthly, _dollars, "With a budget of {value} {side} a month")
    yield from _prices(case)
    if case.machine.seconds:
        yield _machine(case)
    if any(case.trainings.usd(each.name) for each in priced) or needed.max_usd_per_month is not None:
        yield _volume(case)
    if needed.requests_per_month and any(case.trainings.usd(each.name) for each in priced):
        yield Move(
            "months",
            float(case.trainings.months),
            [float(months) for months in range(1, MOST_MONTHS + 1)],
            lambda value: replace(case, trainings=replace(case.trainings, months=int(value))),
            "With trainings spread over {value} months {side}",
            lambda value, _: f"{value:,.0f}",
            most=float(MOST_MONTHS),
            whole=True,
            open_ended=False,
        )


def _limit(
    case: Case,
    key: str,
    figures: Sequence[float | None],
    write: Callable[[float, int], str],
    words: str,
    *,
    most: float = math.inf,
) -> Move:
    """Move a limit: it matters where it is the figure of an approach."""
    places = [figure for figure in figures if figure is not None]
    return Move(key, getattr(case.rules.requirements, key), places, lambda value: case.requiring(**{key: value}), words,
                write, most=most)  # fmt: skip


def _quality(case: Case) -> Move:
    """Move the least mean score: it matters where it is that of an approach."""
    means = [each.mean for each in case.priced if each.mean is not None]
    share = case.rules.scale.is_share

    def write(value: float, digits: int) -> str:
        return f"{100 * value:.{digits}g}%" if share else f"{value:,.{digits}g}"

    return Move("min_quality", case.rules.requirements.min_quality, means,
                lambda value: case.requiring(min_quality=value), "With min_quality at {value} {side}",
                write, most=1.0 if share else math.inf, loosens="or less")  # fmt: skip


def _volume(case: Case) -> Move:
    """Move the requests a month: over them trainings are spread, and a month's budget is."""
    needed = case.rules.requirements
    lines = [
        (each.usd_per_1k, 1000 * (case.trainings.usd(each.name) or 0.0) / case.trainings.months)
        for each in case.requests
        if each.usd_per_1k is not None
    ]
    places = [1 / shared for shared in _meetings(lines) if shared]
    for request, once in lines:
        if (limit := needed.max_usd_per_1k) is not None and request != limit:
            places.append(once / (limit - request))
        if (limit := needed.max_usd_per_month) is not None and request:
            places.append((1000 * limit - once) / request)
    return Move(
        "requests_per_month",
        needed.requests_per_month,
        places,
        lambda value: case.requiring(requests_per_month=int(value)),
        "At {value} requests a month {side}",
        lambda value, _: f"{value:,.0f}",
        most=float(MOST_REQUESTS),
        whole=True,
        open_ended=needed.max_usd_per_month is None,
    )


def _machine(case: Case) -> Move:
    """Move what an hour of this machine costs: the price of what runs here grows with it."""
    needed, machine = case.rules.requirements, case.machine
    fixed = replace(case, machine=replace(machine, usd_per_hour=0.0)).priced
    hourly = {each.name: each.usd_per_1k for each in MachinePrices(1.0, machine.seconds).priced(case.measured)}
    lines = [
        (each.usd_per_1k, (hourly[each.name] or 0.0) if each.name in machine.seconds else 0.0)
        for each in fixed
        if each.usd_per_1k is not None
    ]
    limits = [needed.max_usd_per_1k]
    if needed.max_usd_per_month is not None and needed.requests_per_month:
        limits.append(1000 * needed.max_usd_per_month / needed.requests_per_month)
    places = [*_meetings(lines)]
    places += [(limit - price) / hour for price, hour in lines for limit in limits if limit is not None and hour]
    return Move(
        "machine_usd_per_hour",
        machine.usd_per_hour,
        places,
        lambda value: replace(case, machine=replace(machine, usd_per_hour=value)),
        "If an hour of this machine cost {value} {side}",
        _dollars,
        open_ended=False,
    )


def _meetings(lines: Sequence[tuple[float, float]]) -> Iterator[float]:
    """Yield where prices become equal, or clearly apart. lines: price at 0, and what it grows by."""
    for (price, growth), (other, other_growth) in permutations(lines, 2):
        for share, apart in ((1.0, 0.0), (CLEARLY_CHEAPER, 0.0), (1.0, CENT)):
            if growth != share * other_growth:
                yield (share * other - apart - price) / (growth - share * other_growth)


def _prices(case: Case) -> Iterator[Move]:
    """Move the price of the requests of each approach that leads; that of its training stays."""
    needed, leaders = case.rules.requirements, case.outcome.leaders
    requests = {each.name: each.usd_per_1k for each in case.requests}
    for leader in leaders if len(leaders) > 1 else ():
        others = [each.usd_per_1k for each in leaders if each is not leader and each.usd_per_1k is not None]
        places = [factor * price for price in others for factor in (CLEARLY_CHEAPER, 1.0, 1 / CLEARLY_CHEAPER)]
        places += [price + apart for price in others for apart in (-CENT, CENT)]
        if needed.max_usd_per_1k is not None:
            places.append(needed.max_usd_per_1k)
        if needed.max_usd_per_month is not None and needed.requests_per_month:
            places.append(1000 * needed.max_usd_per_month / needed.requests_per_month)
        name, now = leader.name, requests[leader.name]
        training = 0.0 if now is None or leader.usd_per_1k is None else leader.usd_per_1k - now
        apart = ", its training apart" if training else ""
        literal = name.replace("{", "{{").replace("}", "}}")
        words = f"If {literal} cost {{value}} {{side}} per 1,000 questions{apart}"
        moved = [place - training for place in places]
        yield Move(f"usd_per_1k.{name}", now, moved, partial(_repriced, case, name), words, _dollars, open_ended=False)


def _repriced(case: Case, name: str, price: float) -> Case:
    measured = [replace(each, usd_per_1k=price) if each.name == name else each for each in case.measured]
    seconds = {each: seconds for each, seconds in case.machine.seconds.items() if each != name}
    return replace(case, measured=measured, machine=replace(case.machine, seconds=seconds))


def _points(move: Move) -> list[float]:
    """Return the values at and between the places where the verdict may change."""
    places = sorted({place for place in move.places if 0 < place <= move.most and math.isfinite(place)})
    if move.whole:
        near = {math.floor(place) + further for place in places for further in (0, 1)}
        numbers = sorted({1.0, move.most, *(float(number) for number in near if 1 <= number <= move.most)})
        return sorted({*numbers, *(float(int((a + b) / 2)) for a, b in pairwise(numbers))})
    between = [(a + b) / 2 for a, b in pairwise(places)]
    ends = [places[0] / 2, min(2 * places[-1], move.most)] if places else []
    return sorted({*places, *between, *ends})


def _number_flips(move: Move, before: Outcome) -> Iterator[Flip]:
    """Yield the nearest change above and below the value now."""
    points, now, state = _points(move), move.now, _state(before)
    below: list[float]
    above: list[float]
    if now is None and move.open_ended:
        below, above = ([], points) if move.loosens == "or less" else (points, [])
    elif now is None:  # unknown: what holds from 0 on, and what holds up to any number
        below, above = _unknown_sides(move, points, state)
    else:
        below, above = [point for point in points if point < now], [point for point in points if point > now]
    sides: tuple[tuple[Side, list[float]], ...] = (("or less", below[::-1]), ("or more", above))
    for side, outward in sides:
        last = now
        for point in outward:
            outcome = move.case(point).outcome
            if _state(outcome) != state:
                yield _stated(move, side, last, point, state)
                break
            last = point


def _unknown_sides(move: Move, points: list[float], state: tuple[Any, ...]) -> tuple[list[float], list[float]]:
    """Return the points below and above the middle where the verdict is as it is without a value."""
    same = [point for point in points if _state(move.case(point).outcome) == state]
    if not same:
        return [], []
    return [point for point in points if point <= same[-1]], [point for point in points if point >= same[0]]


def _stated(move: Move, side: Side, last: float | None, point: float, state: Any) -> Flip:
    """State a change between the last value without it and the first with it, at a round number beyond it."""
    up = side == "or more"
    inside, outside = last, point
    if inside is not None:
        inside, outside = _narrowed(move, inside, outside, state)
    for digits in DIGITS:
        value = _outward(outside, up, digits, whole=move.whole)
        if value > move.most or (move.now is not None and (value <= move.now if up else value >= move.now)):
            continue
        outcome = move.case(value).outcome
        if _state(outcome) != state and (inside is None or _is_just_beyond(move, value, inside, up)):
            break
    else:
        value, outcome = outside, move.case(outside).outcome
    now = ("not set" if move.open_ended else "unknown") if move.now is None else move.write(move.now, FEW)
    condition = move.words.format(value=move.write(value, EXACT), side=side)
    sentence = f"{condition} (now {now}), {_become(outcome)}."
    stated: float = int(value) if move.whole else value
    return Flip(move.key, move.now, stated, side, _choice(outcome), sentence)


def _narrowed(move: Move, inside: float, outside: float, state: tuple[Any, ...]) -> tuple[float, float]:
    """Narrow down between which two values the verdict changes, by bisection."""
    while abs(outside - inside) > (1 if move.whole else TIGHT * outside):
        middle = (inside + outside) // 2 if move.whole else (inside + outside) / 2
        inside, outside = (middle, outside) if _state(move.case(middle).outcome) == state else (inside, middle)
    return inside, outside


def _is_just_beyond(move: Move, value: float, inside: float, up: bool) -> bool:
    """Whether the verdict has not changed yet one per cent before, or, of whole numbers, one before."""
    before = value * (1 - NEAR if up else 1 + NEAR)
    if move.whole and abs(before - value) < 1:
        before = value - 1 if up else value + 1
    return before <= inside if up else before >= inside


def _outward(value: float, up: bool, digits: int, *, whole: bool) -> float:
    """Round away from where the verdict is now."""
    step = 10.0 ** (math.floor(math.log10(value)) - digits + 1)
    if whole:
        step = max(1.0, step)
    count = value / step
    rounded = math.ceil(count - 1e-12) if up else math.floor(count + 1e-12)
    return float(f"{rounded * step:.{max(digits, 1)}g}") if not whole else float(round(rounded * step))


def _state(outcome: Outcome) -> tuple[str | None, bool]:
    """Return what a reader calls the verdict: the choice, and whether there is anything to choose from."""
    return (outcome.choice.name if outcome.choice else None, bool(outcome.eligible))


def _become(outcome: Outcome) -> str:
    if outcome.choice:
        return f"{outcome.choice.name} would be recommended"
    return "there would be no clear winner" if outcome.eligible else "no approach would be eligible"


def _unmet(outcome: Outcome) -> list[str]:
    """Return the requirements that rule any approach out."""
    return list(dict.fromkeys(key for misses in outcome.misses.values() for key, _ in misses if key))


def _dropped(case: Case, before: Outcome, moved: set[str]) -> Iterator[Flip]:
    """Drop requirements that rule approaches out, one at a time; all together where none alone changes the verdict.

    moved: those of which another number is known to change it.
    """
    unmet = _unmet(before)
    dropped: dict[str, Any] = {key: False if key == "citations" else None for key in unmet}
    found = bool(moved)
    for key in unmet:
        value, after = getattr(case.rules.requirements, key), case.requiring(**{key: dropped[key]}).outcome
        if key not in moved and _state(after) != _state(before):
            found = True
            written = "true" if value is True else f"{value:g}"
            yield Flip(
                key, value, dropped[key], "exactly", _choice(after), f"Without {key} = {written}, {_become(after)}."
            )
    if not case.rules.requirements.citations:
        after = case.requiring(citations=True).outcome
        if _state(after) != _state(before):
            found = True
            sentence = f"If citations were required, {_become(after)}."
            yield Flip("citations", False, True, "exactly", _choice(after), sentence)
    after = case.requiring(**dropped).outcome
    if len(unmet) > 1 and not found and _state(after) != _state(before):
        sentence = f"Without {join_names(unmet)}, {_become(after)}."
        yield Flip("requirements", None, None, "exactly", _choice(after), sentence)


def _errors_as_wrong(case: Case, before: Outcome) -> Iterator[Flip]:
    strict = case.counting_errors
    if strict and _state(after := strict.outcome) != _state(before):
        yield Flip(
            "errors", None, None, "exactly", _choice(after), f"If every error counted as wrong, {_become(after)}."
        )


def _other_rules(case: Case, before: Outcome) -> Iterator[Flip]:
    if before.why == "simple":
        sentence = "With prefer_simpler = false, there would be no clear winner."
        yield Flip("prefer_simpler", True, False, "exactly", None, sentence)


def _changes(case: Case, before: Outcome) -> Iterator[Flip]:
    """Let the facts change more or less often."""
    order = list(CHANGES_PER_YEAR)[::-1]
    now = case.trainings.changes
    at = order.index(now) if now else 0
    for side, outward in (("or less often", order[:at][::-1]), ("or more often", order[at + 1 :])):
        for changes in outward:
            after = replace(case, trainings=replace(case.trainings, changes=changes)).outcome
            if _state(after) != _state(before):
                sentence = f"If the facts changed {changes} {side} (now {now or 'unknown'}), {_become(after)}."
                bound: Side = "or more" if side == "or more often" else "or less"
                yield Flip("documents_change", now, changes, bound, _choice(after), sentence)
                break


def _loosens(flip: Flip) -> bool:
    """Whether a flip of a limit allows more."""
    return flip.side == ("or less" if flip.key == "min_quality" else "or more")


def _choice(outcome: Outcome) -> str | None:
    return outcome.choice.name if outcome.choice else None


def _distance(flip: Flip) -> float:
    """Return by how much a number has to move, as the logarithm of its ratio."""
    if not isinstance(flip.now, int | float) or not isinstance(flip.value, int | float):
        return math.inf
    return abs(math.log(flip.value / flip.now)) if flip.now > 0 and flip.value > 0 else math.inf


def _dollars(value: float, digits: int) -> str:
    """Write dollars, with cents at least."""
    if digits == FEW:
        return usd(value)
    return f"${value:,.2f}" if round(value, 2) == value else f"${value:,.{digits}g}"
