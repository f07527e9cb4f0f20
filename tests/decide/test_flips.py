"""At each stated flip the verdict really changes, one per cent before it does not, and no change is nearer."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.decide.costs import CHANGES_PER_YEAR
from groundtune.decide.flips import find_flips, moves, stretches
from groundtune.decide.machine_prices import MachinePrices
from groundtune.decide.rules import Case, Outcome, Requirements, Rules, both_orders
from groundtune.decide.trainings import TrainingCost, Trainings
from groundtune.decide.wording import scale_of
from groundtune.measure.tables import ErrorsAsWrong
from groundtune.types import ApproachSummary, Difference, Flip, Interval

NAMES = ("prompt", "rag", "tuned", "hybrid")


def state(outcome: Outcome) -> tuple[str | None, bool]:
    return outcome.choice.name if outcome.choice else None, bool(outcome.eligible)


def moved(case: Case, flip: Flip, value: Any) -> Case:
    """Return the case with another value of what a flip names, by its key alone."""
    if flip.key.startswith("usd_per_1k."):
        name = flip.key.partition(".")[2]
        measured = [replace(each, usd_per_1k=value) if each.name == name else each for each in case.measured]
        seconds = {each: known for each, known in case.machine.seconds.items() if each != name}
        return replace(case, measured=measured, machine=replace(case.machine, seconds=seconds))
    if flip.key == "machine_usd_per_hour":
        return replace(case, machine=replace(case.machine, usd_per_hour=value))
    if flip.key == "errors":
        assert case.counting_errors is not None
        return case.counting_errors
    if flip.key == "months":
        return replace(case, trainings=replace(case.trainings, months=value))
    if flip.key == "documents_change":
        return replace(case, trainings=replace(case.trainings, changes=value))
    if flip.key == "prefer_simpler":
        return replace(case, rules=replace(case.rules, prefer_simpler=value))
    return case.requiring(**{flip.key: value})


def approach(
    name: str, mean: float, usd: float | None, p95: float | None, wrong: float, cited: float
) -> ApproachSummary:
    metrics = {"asserted_wrong": Interval(wrong, wrong / 2, min(1.0, 2 * wrong), 300)}
    return ApproachSummary(name, 300, mean, mean - 0.04, mean + 0.04, 300, 0, 0, usd, 0.5, p95, cited, metrics)


def case_of(
    approaches: list[ApproachSummary],
    differ: dict[tuple[str, str], bool],
    requirements: Requirements,
    trainings: Trainings | None = None,
    machine: MachinePrices | None = None,
    errors_as_wrong: ErrorsAsWrong | None = None,
) -> Case:
    rules = Rules(
        both_orders(differences(approaches, differ)), requirements, 300, scale_of(approaches, "correct"), True
    )
    return Case(approaches, rules, trainings or Trainings(), machine or MachinePrices(), errors_as_wrong)


def differences(approaches: list[ApproachSummary], differ: dict[tuple[str, str], bool]) -> list[Difference]:
    pairs = []
    for (a, b), real in differ.items():
        first, second = (next(each for each in approaches if each.name == name) for name in (a, b))
        gap = (first.mean or 0) - (second.mean or 0)
        p = 0.001 if real else 0.5
        pairs.append(Difference(a, b, gap, gap - 0.05, gap + 0.05, p, p, 300, 0.08, 1200))
    return pairs


prices = st.sampled_from([None, 0.0, 0.5, 0.9, 1.0, 1.07, 2.0, 2.9, 3.1, 9.0, 30.0])
limits = {
    "citations": st.booleans(),
    "min_quality": st.sampled_from([None, 0.72, 0.75, 0.9]),
    "max_asserted_wrong": st.sampled_from([None, 0.05, 0.1]),
    "max_p95_seconds": st.sampled_from([None, 0.7, 2.0]),
    "max_usd_per_1k": st.sampled_from([None, 1.0, 3.0]),
    "max_usd_per_month": st.sampled_from([None, 50.0, 500.0]),
    "requests_per_month": st.sampled_from([None, 100, 20_000, 3_000_000]),
}


@st.composite
def cases(draw: st.DrawFn) -> Case:
    approaches = [
        approach(
            name,
            draw(st.sampled_from([0.7, 0.74, 0.75, 0.8])),
            draw(prices),
            draw(st.sampled_from([None, 0.5, 1.0, 1.53, 4.0])),
            draw(st.sampled_from([0.02, 0.068, 0.12])),
            draw(st.sampled_from([0.5, 0.95])),
        )
        for name in NAMES
    ]
    differ = {(a, b): draw(st.booleans()) for at, a in enumerate(NAMES) for b in NAMES[at + 1 :]}
    paid = st.sampled_from([0.0, 40.0, 320.0, 5_000.0])
    trainings = Trainings(
        {name: TrainingCost(draw(paid)) for name in ("tuned", "hybrid")},
        draw(st.sampled_from([1, 12, 36])),
        draw(st.sampled_from([None, *CHANGES_PER_YEAR])),
    )
    requirements = Requirements(**{key: draw(values) for key, values in limits.items()})
    here = draw(st.sets(st.sampled_from(NAMES)))
    machine = MachinePrices(
        draw(st.sampled_from([0.2, 3.0])), {name: draw(st.sampled_from([None, 0.004, 1.0, 1.07, 9.0])) for name in here}
    )
    errors = draw(st.none() | st.lists(st.sampled_from([0.4, 0.7, 0.75]), min_size=4, max_size=4))
    if errors is None:
        return case_of(approaches, differ, requirements, trainings, machine)
    lowered = [replace(each, mean=min(each.mean or 0, mean)) for each, mean in zip(approaches, errors, strict=True)]
    found = ErrorsAsWrong(
        {each.name: Interval(each.mean or 0, 0.1, 0.9, 300) for each in lowered},
        tuple(differences(lowered, {names: draw(st.booleans()) for names in differ})),
    )
    return case_of(approaches, differ, requirements, trainings, machine, found)


def between(now: float, value: float, *, whole: bool) -> list[float]:
    """Return twenty values between the present one and just short of another, evenly by ratio."""
    steps = [now * (value / now) ** (at / 21) for at in range(1, 21)]
    if whole:
        steps = [float(round(step)) for step in steps]
    return [step for step in steps if min(now, value) < step < max(now, value) and abs(step / value - 1) > 0.01]


@settings(max_examples=30, deadline=None)
@given(cases())
def test_a_flip_changes_the_verdict_and_nothing_nearer_does(case: Case) -> None:
    before = state(case.outcome)
    for flip in find_flips(case):
        if flip.key == "requirements":
            continue
        after = state(moved(case, flip, flip.value).outcome)
        assert after != before, flip
        assert after[0] == flip.choice, flip
        if not isinstance(flip.value, int | float) or isinstance(flip.value, bool) or not flip.now:
            continue
        whole = flip.key in ("months", "requests_per_month")
        for value in between(float(flip.now), float(flip.value), whole=whole):
            nearer = moved(case, flip, int(value) if whole else value)
            assert state(nearer.outcome) == before, (flip, value)


@settings(max_examples=25, deadline=None)
@given(cases(), st.lists(st.floats(0.01, 100), min_size=5, max_size=5))
def test_within_a_stretch_the_verdict_is_the_same(case: Case, values: list[float]) -> None:
    for move in moves(case):
        if not (found := stretches(move)):
            continue
        for value in [*(each.low for each in found[1:]), *(found[-1].low * value for value in values), *values]:
            number = float(max(1, round(value))) if move.whole else value
            if not 0 < number <= move.most:
                continue
            within = [each for each in found if each.low < number or (each.low == number and each.includes_low)]
            assert state(move.case(number).outcome) == (within[-1].choice, within[-1].eligible), (move.key, number)


def test_training_pays_above_a_volume() -> None:
    approaches = [approach("rag", 0.75, 3.0, 1.0, 0.02, 1.0), approach("tuned", 0.75, 0.5, 1.0, 0.02, 1.0)]
    trainings = Trainings({"tuned": TrainingCost(3_000.0)}, 12)
    case = case_of(approaches, {("rag", "tuned"): False}, Requirements(requests_per_month=20_000), trainings)
    assert case.outcome.choice is not None
    assert case.outcome.choice.name == "rag"
    (flip,) = (flip for flip in find_flips(case) if flip.key == "requests_per_month" and flip.side == "or more")
    # above, tuned costs 0.5 + 250,000 / volume for 1,000 questions: as much as 90% of rag at 113,636
    assert flip.value in (96_200, 114_000)
    assert "requests a month or more (now 20,000)" in flip.sentence


def test_a_dear_machine_flips_to_what_is_billed() -> None:
    approaches = [approach("rag", 0.75, 3.0, 1.0, 0.02, 1.0), approach("tuned", 0.75, None, 1.0, 0.02, 1.0)]
    case = case_of(approaches, {("rag", "tuned"): False}, Requirements(), None, MachinePrices(0.2, {"tuned": 1.0}))
    assert case.outcome.choice is not None
    assert case.outcome.choice.name == "tuned"
    assert case.priced[1].usd_per_1k == pytest.approx(1000 * 0.2 / 3600)
    flip = next(flip for flip in find_flips(case) if flip.key == "machine_usd_per_hour")
    # a second of it costs 0.278 dollars for 1,000 questions and dollar an hour: 2.70, which is 90% of rag, at 9.72
    assert (flip.value, flip.side, flip.choice) == (9.73, "or more", "rag")
    assert flip.sentence.startswith("If an hour of this machine cost $9.73 or more (now $0.20), rag")


def test_a_difference_below_a_cent_decides_nothing() -> None:
    approaches = [approach("rag", 0.75, 0.004, 1.0, 0.02, 1.0), approach("tuned", 0.75, 0.001, 1.0, 0.02, 1.0)]
    case = case_of(approaches, {("rag", "tuned"): False}, Requirements())
    assert (case.outcome.choice and case.outcome.choice.name, case.outcome.why) == ("rag", "simple")


def test_a_name_with_braces_stays_as_it_is() -> None:
    approaches = [approach("{side}", 0.75, 3.0, 1.0, 0.02, 1.0), approach("b", 0.75, 0.5, 1.0, 0.02, 1.0)]
    case = case_of(approaches, {("{side}", "b"): False}, Requirements())
    assert any(flip.sentence.startswith("If {side} cost $") for flip in find_flips(case))


def test_facts_that_change_often_make_a_closed_book_dear() -> None:
    approaches = [approach("rag", 0.75, 3.0, 1.0, 0.02, 1.0), approach("tuned", 0.75, 0.5, 1.0, 0.02, 1.0)]
    trainings = Trainings({"tuned": TrainingCost(300.0)}, 12, "never")
    case = case_of(approaches, {("rag", "tuned"): False}, Requirements(requests_per_month=20_000), trainings)
    assert case.outcome.choice is not None
    assert case.outcome.choice.name == "tuned"
    (flip,) = (flip for flip in find_flips(case) if flip.key == "documents_change")
    assert (flip.value, flip.side) == ("yearly", "or more")
    assert flip.sentence.startswith("If the facts changed yearly or more often (now never)")


@pytest.mark.parametrize("limit", [None, 2.0])
def test_a_ceiling_flips_where_the_choice_is_as_slow(limit: float | None) -> None:
    approaches = [approach("rag", 0.8, 3.0, 1.535, 0.02, 1.0), approach("prompt", 0.6, 0.5, 0.7, 0.02, 1.0)]
    case = case_of(approaches, {("rag", "prompt"): True}, Requirements(max_p95_seconds=limit))
    (flip,) = (flip for flip in find_flips(case) if flip.key == "max_p95_seconds")
    assert (flip.value, flip.side, flip.choice) == (1.53, "or less", "prompt")
    assert f"1.53 s or less (now {'2 s' if limit else 'not set'}), prompt would be recommended" in flip.sentence


@pytest.mark.parametrize(("least", "now"), [(None, "not set"), (0.5, "50%")])
def test_a_higher_gate_flips_where_the_choice_no_longer_passes(least: float | None, now: str) -> None:
    approaches = [approach("rag", 0.8, 3.0, 1.0, 0.02, 1.0), approach("prompt", 0.75, 0.5, 1.0, 0.02, 1.0)]
    case = case_of(approaches, {("rag", "prompt"): False}, Requirements(min_quality=least))
    (flip,) = (flip for flip in find_flips(case) if flip.key == "min_quality")
    assert (flip.value, flip.side, flip.choice) == (0.751, "or more", "rag")
    assert flip.sentence == f"With min_quality at 75.1% or more (now {now}), rag would be recommended."


def test_a_gate_that_nobody_passes_says_how_low_it_would_have_to_be() -> None:
    case = case_of([approach("rag", 0.8, 3.0, 1.0, 0.02, 1.0)], {}, Requirements(min_quality=0.9))
    assert case.outcome.misses["rag"] == (("min_quality", "its mean correct is 0.8; min_quality = 0.9"),)
    assert [(flip.key, flip.value, flip.side) for flip in find_flips(case)] == [("min_quality", 0.8, "or less")]
