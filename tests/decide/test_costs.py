"""The arithmetic of costs: unknown stays unknown, figures rise with prices and volume, lines cross where they say."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.approaches.families import Family
from groundtune.decide.costs import (
    CostedApproach,
    CostModel,
    MeasuredUse,
    all_crossovers,
    default_assumptions,
)
from groundtune.types import Interval

CORRECT = Interval(0.8, 0.7, 0.9, 100)
PAID = MeasuredUse(usd=0.01, seconds=1.0, runs_here=False, correct=CORRECT)
LOCAL = MeasuredUse(usd=0.0, seconds=2.0, runs_here=True, correct=CORRECT)
EQUAL: tuple[tuple[Family, float], ...] = (("rag", 1e-4), ("fine-tune", 1e-4 + 2e-20))
prices = st.floats(0.0001, 1.0)


def model(**fixed: float) -> CostModel:
    """Return a model in which some assumptions are single numbers."""
    known = default_assumptions()
    for name, value in fixed.items():
        known[name] = replace(known[name], low=value, likely=value, high=value)
    return CostModel(known)


def costed(name: str, family: Family, use: MeasuredUse | None = None, *, labelled: int | None = None) -> CostedApproach:
    return CostedApproach(name, frozenset((family,)), use, labelled)


def flat(**fixed: float) -> CostModel:
    """Return a model without uncertainty, and without anything to pay but what is named."""
    return model(**dict.fromkeys(default_assumptions(), 0.0) | fixed)


def test_a_request_here_costs_its_seconds() -> None:
    cost = flat(machine_usd_per_hour=0.36, requests_per_month=1_000).cost(costed("rag", "rag", LOCAL))
    assert cost.per_request_usd is not None
    assert cost.per_request_usd.likely == pytest.approx(0.0002)  # 2 s of 0.36 dollars an hour
    assert cost.monthly_usd is not None
    assert cost.monthly_usd.likely == pytest.approx(0.2)


def test_a_correct_answer_costs_more_than_a_request() -> None:
    cost = flat(requests_per_month=1).cost(costed("rag", "rag", replace(PAID, correct=Interval(0.5, 0.5, 0.5, 9))))
    assert cost.per_correct_usd is not None
    assert cost.per_correct_usd.likely == pytest.approx(0.02)


def test_an_approach_that_is_never_right_has_no_price_of_a_correct_answer() -> None:
    use = replace(PAID, correct=Interval(0.0, 0.0, 0.0, 50))
    assert model().cost(costed("prompt", "prompt", use)).per_correct_usd is None


@pytest.mark.parametrize(
    ("use", "unknown"),
    [
        (replace(PAID, usd=None), "price of a request"),
        (replace(PAID, training_usd=None), "price of its training"),
        (replace(LOCAL, seconds=None), "seconds of a request"),
    ],
)
def test_an_unknown_price_makes_the_month_unknown_and_says_which(use: MeasuredUse, unknown: str) -> None:
    approach = costed("hybrid", "both", use)
    cost = model().cost(approach)
    assert cost.monthly_usd is None
    assert cost.unknown == (unknown,)
    crossing = model().crossover(approach, costed("rag", "rag", PAID))
    assert crossing.requests_per_month is None


@settings(max_examples=40, deadline=None)
@given(low=prices, more=prices, volume=st.integers(1, 10**7))
def test_months_rise_with_price_and_volume(low: float, more: float, volume: int) -> None:
    here, twice = model(requests_per_month=volume), model(requests_per_month=2 * volume)
    cheap, dear = (costed("rag", "rag", replace(PAID, usd=price)) for price in (low, low + more))
    costs = [each.cost(approach).monthly_usd for each, approach in ((here, cheap), (here, dear), (twice, dear))]
    assert costs[0].likely < costs[1].likely < costs[2].likely  # type: ignore[union-attr]


@settings(max_examples=40, deadline=None)
@given(
    usd=st.tuples(prices, prices),
    seed=st.integers(0, 9),
    families=st.sampled_from([("rag", "fine-tune"), ("prompt", "both")]),
)
def test_below_a_crossover_the_other_is_cheaper(usd: tuple[float, float], seed: int, families: tuple[Any, Any]) -> None:
    known = default_assumptions()
    a, b = (costed(family, family, replace(PAID, usd=price)) for family, price in zip(families, usd, strict=True))
    crossing = CostModel(known, seed=seed).crossover(a, b)
    if crossing.requests_per_month is None:
        return
    volume = crossing.requests_per_month
    assert volume.low <= volume.likely <= volume.high
    dear_above = a if crossing.cheaper_above == b.name else b
    cheap_above = b if dear_above is a else a

    def month(approach: CostedApproach, requests: float) -> float:
        fixed = replace(known["requests_per_month"], low=requests, likely=requests, high=requests)
        cost = CostModel({**known, "requests_per_month": fixed}, seed=seed).cost(approach).monthly_usd
        assert cost is not None
        return cost.likely

    assert month(cheap_above, 20 * volume.high) < month(dear_above, 20 * volume.high)
    assert month(cheap_above, volume.low / 20) > month(dear_above, volume.low / 20)


def test_lines_that_do_not_cross_never_do() -> None:
    cheap = costed("prompt", "prompt", replace(PAID, usd=0.001))
    (crossing,) = all_crossovers(model(), [cheap, costed("both", "both", PAID)])
    assert (crossing.requests_per_month, crossing.cheaper_above) == (None, None)
    assert crossing.cheaper_always == "prompt"
    equal = [costed(family, family, replace(PAID, usd=usd)) for family, usd in EQUAL]
    (crossing,) = all_crossovers(model(), equal)
    assert (crossing.requests_per_month, crossing.cheaper_always) == (None, "rag"), "they differ by rounding alone"


def test_the_parts_of_a_month_add_up() -> None:
    cost = flat(requests_per_month=100, upkeep_hours_prompt=2, person_usd_per_hour=50, prompt_weeks=1).cost(
        costed("prompt", "prompt", PAID)
    )
    parts = {name: part.likely for name, part in cost.parts.items() if part and name.endswith("monthly")}
    assert parts == pytest.approx({"upkeep, monthly": 100, "set-up, monthly": 40 * 50 / 12, "requests, monthly": 1})
    assert cost.monthly_usd is not None
    assert cost.monthly_usd.likely == pytest.approx(sum(parts.values()))


def test_a_closed_book_model_is_trained_again_when_its_facts_change() -> None:
    use = replace(LOCAL, training_usd=100.0)
    approaches = [costed("tuned", "fine-tune", use), costed("hybrid", "both", use)]
    stable, moving = (CostModel(default_assumptions(), changes=changes) for changes in ("never", "weekly"))
    for approach, dearer in zip(approaches, (True, False), strict=True):
        parts = [each.cost(approach).parts["retraining, monthly"] for each in (stable, moving)]
        assert (parts[1].likely > parts[0].likely) is dearer  # type: ignore[union-attr]


def test_an_update_trains_a_closed_book_model_again_and_embeds_what_changed() -> None:
    known = flat(person_usd_per_hour=60, update_hours=0.5, embedding_usd=20, updated_share=0.1, training_usd=100)
    costs = {family: known.cost(costed(family, family)).update_usd for family in get_args(Family)}
    assert {family: cost and cost.likely for family, cost in costs.items()} == {
        "prompt": pytest.approx(30),
        "rag": pytest.approx(32),
        "fine-tune": pytest.approx(130),
        "both": pytest.approx(32),
    }
    unknown = replace(PAID, training_usd=None)
    assert known.cost(costed("tuned", "fine-tune", unknown)).update_usd is None


def test_labelled_examples_at_hand_are_not_paid_again() -> None:
    parts = [
        model().cost(costed("tuned", "fine-tune", LOCAL, labelled=labelled)).parts["labelling"]
        for labelled in (None, 500)
    ]
    assert parts[0].likely > 0 == parts[1].likely  # type: ignore[union-attr]


def test_draws_follow_their_range() -> None:
    known = default_assumptions()
    drawn = CostModel(known)._draws
    for name, draws in drawn.items():
        assert known[name].low <= draws.min() <= draws.max() <= known[name].high
        expected = (known[name].low + known[name].likely + known[name].high) / 3
        assert np.mean(draws) == pytest.approx(expected, rel=0.05, abs=1e-9)


def test_every_assumption_has_unit_and_origin() -> None:
    assert all(
        each.unit and each.origin and 0 <= each.low <= each.likely <= each.high
        for each in default_assumptions().values()
    )


@pytest.mark.parametrize("use", [None, replace(PAID, hosted=True)])
def test_a_reserved_endpoint_is_paid_by_the_month_and_not_by_the_request(use: MeasuredUse | None) -> None:
    tuned = costed("tuned", "fine-tune", use, labelled=100)
    per_use, reserved = (CostModel(default_assumptions(), reserved=reserved) for reserved in (False, True))
    assert reserved.request(tuned) is not None
    assert np.all(reserved.request(tuned) == 0)
    paid = per_use.request(tuned)
    assert paid is not None
    assert np.all(paid > 0)
    of_month = [model.cost(tuned).parts["hosting, monthly"] for model in (per_use, reserved)]
    assert of_month[0] is not None
    assert of_month[1] is not None
    assert (of_month[0].high, of_month[1].low > 300) == (0, True)
    rag = costed("rag", "rag", use, labelled=100)
    assert reserved.cost(rag) == per_use.cost(rag), "nothing in it is tuned"


def test_an_unknown_price_of_tokens_does_not_matter_to_a_reserved_endpoint() -> None:
    tuned = costed("tuned", "fine-tune", replace(PAID, usd=None, hosted=True))
    assert CostModel(default_assumptions()).cost(tuned).unknown == ("price of a request",)
    cost = CostModel(default_assumptions(), reserved=True).cost(tuned)
    assert cost.unknown == ()
    assert cost.monthly_usd is not None


def test_another_price_of_the_machine_follows_from_its_hours() -> None:
    tuned = costed("tuned", "fine-tune", replace(LOCAL, training_seconds=7_200.0), labelled=100)
    cheap, dear = (model(machine_usd_per_hour=price) for price in (0.5, 3.0))
    before, after = cheap.draws(tuned), dear.draws(tuned)
    assert before is not None
    assert after is not None
    for part in ("setup", "monthly", "model"):
        hours = getattr(before, f"{part}_hours")
        assert np.all(hours > 0)
        assert getattr(before, part) + 2.5 * hours == pytest.approx(getattr(after, part))
