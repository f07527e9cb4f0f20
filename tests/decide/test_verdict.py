from dataclasses import replace
from typing import Any

import pytest

from groundtune.decide.rules import Requirements, case_of
from groundtune.decide.verdict import decide
from groundtune.measure.tables import ErrorsAsWrong
from groundtune.types import ApproachSummary, Difference, Interval, Verdict

FREE = Requirements()


def summary(name: str, mean: float | None = 0.8, *, n: int = 300, **facts: Any) -> ApproachSummary:
    fine: dict[str, Any] = {
        "answered": n, "abstained": 0, "errors": 0, "usd_per_1k": None, "p50_seconds": 0.5, "p95_seconds": 1.0,
        "cited": 1.0,
    }  # fmt: skip
    low, high = (None, None) if mean is None else (max(0.0, mean - 0.04), min(1.0, mean + 0.04))
    return ApproachSummary(
        name=name, n=n if mean is not None else 0, mean=mean, low=low, high=high, **{**fine, **facts}
    )


def pair(a: str, b: str, difference: float, p: float, *, half: float = 0.05, n: int = 300, **facts: Any) -> Difference:
    rest: dict[str, Any] = {"detectable": 0.08, "needed": 1200, "p": p / 2, **facts}
    return Difference(
        a, b, difference=difference, low=difference - half, high=difference + half, p_adjusted=p, n=n, **rest
    )


def verdict(
    summaries: list[ApproachSummary], differences: list[Difference], required: Requirements = FREE, **facts: Any
) -> Verdict:
    clusters = facts.pop("clusters", None)
    case = case_of(summaries, differences, required, **{"primary": "correct", "examples": 300, **facts})
    return decide(case, clusters=clusters)


def two(
    difference: float = 0.012,
    p: float = 0.5,
    *,
    large: float | None = 9.0,
    small: float | None = 1.0,
    **pair_facts: Any,
) -> tuple[list[ApproachSummary], list[Difference]]:
    summaries = [summary("large", 0.8 + difference, usd_per_1k=large), summary("small", 0.8, usd_per_1k=small)]
    return summaries, [pair("large", "small", difference, p, **pair_facts)]


def flips(result: Verdict) -> tuple[str, ...]:
    return tuple(flip.sentence for flip in result.flips)


# One leader


def test_the_measurably_best_is_the_choice() -> None:
    result = verdict(
        [summary("prompt", 0.6), summary("rag", 0.84), summary("fewshot", 0.7)],
        [pair("rag", "prompt", 0.24, 0.001), pair("rag", "fewshot", 0.14, 0.01), pair("fewshot", "prompt", 0.1, 0.04)],
    )
    assert result.choice == "rag"
    assert (
        result.sentence == "Use rag: it answers 84% of 300 examples correctly, measurably more than any other approach."
    )
    assert result.leaders == ("rag",)
    assert result.more_examples is None
    assert "rag vs fewshot: +14.0 points, 95% interval +9.0 to +19.0, adjusted p = 0.01" in result.reasons[-2]


def test_the_order_of_a_pair_does_not_matter() -> None:
    summaries = [summary("a", 0.6), summary("b", 0.8)]
    for difference in (pair("b", "a", 0.2, 0.001), pair("a", "b", -0.2, 0.001)):
        result = verdict(summaries, [difference])
        assert result.choice == "b"
        assert result.sentence.endswith("measurably more than a.")


def test_the_choice_is_not_called_better_than_a_ruled_out_approach() -> None:
    result = verdict(
        [summary("a", 0.9, p95_seconds=9.0), summary("b", 0.8), summary("c", 0.6), summary("d", 0.5)],
        [pair("b", "c", 0.2, 0.001), pair("b", "d", 0.3, 0.001), pair("a", "b", 0.1, 0.01)],
        Requirements(max_p95_seconds=2),
    )
    assert result.choice == "b"
    assert "any other eligible approach" in result.sentence


def test_a_single_approach_is_compared_with_nothing() -> None:
    result = verdict([summary("rag", 0.84)], [])
    assert result.choice == "rag"
    assert result.sentence == "Use rag: it answers 84% of 300 examples correctly; there was nothing to compare it with."


def test_a_single_approach_must_be_eligible_too() -> None:
    result = verdict([summary("rag", 0.84, cited=0.5)], [], Requirements(citations=True))
    assert result.choice is None
    assert result.sentence == "No approach can be recommended: the only one is ruled out."
    assert flips(result) == ("Without citations = true, rag would be recommended.",)


# Several leaders


def test_among_equals_the_clearly_cheaper_is_the_choice() -> None:
    result = verdict(*two())
    assert result.choice == "small"
    assert result.leaders == ("large", "small")
    assert result.sentence == (
        "Use small: it is not measurably worse than large (−1.2 points, 95% interval −6.2 to +3.8) "
        "and costs a ninth as much."
    )
    unclear = "there would be no clear winner."
    assert f"If large cost $1.11 or less per 1,000 questions (now $9.00), {unclear}" in flips(result)
    assert f"If small cost $8.11 or more per 1,000 questions (now $1.00), {unclear}" in flips(result)


def test_the_cheaper_may_also_be_ahead() -> None:
    result = verdict(*two(large=1.0, small=2.0))
    assert result.choice == "large"
    assert result.sentence.startswith("Use large: it is ahead of small, though not measurably (+1.2 points")
    assert result.sentence.endswith("and costs half as much.")


@pytest.mark.parametrize(
    ("large", "small"), [(1.0, 1.0), (1.0, 0.95), (None, 1.0), (9.0, None), (None, None), (0.0, 0.0)]
)
def test_equal_near_or_unknown_prices_decide_nothing(large: float | None, small: float | None) -> None:
    result = verdict(*two(large=large, small=small))
    assert result.choice is None
    assert result.sentence == (
        "No clear winner yet: large and small differ by 1.2 points on 300 examples; "
        "about 900 more should decide between them."
    )
    assert result.more_examples == 900


@pytest.mark.parametrize(("half", "choice"), [(0.08, "small"), (0.087, "small"), (0.09, None), (0.2, None)])
def test_price_decides_only_where_at_most_ten_points_can_be_lost(half: float, choice: str | None) -> None:
    assert verdict(*two(half=half)).choice == choice


@pytest.mark.parametrize(("half", "choice"), [(0.10, "large"), (0.13, None)])
def test_the_same_limit_holds_for_a_cheaper_approach_that_is_ahead(half: float, choice: str | None) -> None:
    assert verdict(*two(large=1.0, small=9.0, half=half)).choice == choice


def test_a_free_leader_beats_a_paid_one() -> None:
    result = verdict(*two(small=0.0))
    assert result.choice == "small"
    assert result.sentence.endswith("and costs nothing.")


def test_a_measurably_worse_approach_is_not_a_leader_however_cheap() -> None:
    result = verdict(*two(0.09, 0.01))
    assert result.choice == "large"
    assert result.leaders == ("large",)


def test_two_equally_cheap_leaders_are_not_told_apart() -> None:
    summaries = [
        summary("a", 0.82, usd_per_1k=9.0),
        summary("b", 0.81, usd_per_1k=1.0),
        summary("c", usd_per_1k=1.0),
    ]
    pairs = [pair("a", "b", 0.01, 0.9), pair("a", "c", 0.02, 0.9), pair("b", "c", 0.01, 0.9)]
    result = verdict(summaries, pairs)
    assert result.choice is None
    assert result.sentence.startswith("No clear winner yet among a, b and c: the top two differ by 1.0 points")


def test_the_cheapest_leader_must_not_be_measurably_worse_than_any_leader() -> None:
    """b beats c measurably, a does not: a was scored with more noise."""
    summaries = [
        summary("a", 0.85, usd_per_1k=9.0),
        summary("b", 0.84, usd_per_1k=8.0),
        summary("c", usd_per_1k=1.0),
    ]
    pairs = [pair("a", "b", 0.01, 0.9), pair("a", "c", 0.05, 0.2), pair("b", "c", 0.04, 0.03)]
    assert verdict(summaries, pairs).choice is None


def test_more_approaches_need_more_examples() -> None:
    pair_alone = verdict(*two(large=None)).more_examples
    summaries, pairs = two(large=None)
    summaries.append(summary("third", 0.79))
    pairs += [pair("large", "third", 0.02, 0.5), pair("small", "third", 0.01, 0.5)]
    more = verdict(summaries, pairs).more_examples
    assert set(verdict(summaries, pairs).leaders) == {"large", "small", "third"}
    assert pair_alone == 900
    assert more is not None
    assert 1200 <= more <= 1600  # 1,200 times 1.34 for three pairs, less 300


def test_a_small_observed_difference_that_is_surely_small_is_no_reason_to_ask_for_more() -> None:
    result = verdict(*two(0.004, large=None, half=0.03))
    assert result.choice is None
    assert result.more_examples is None
    assert result.sentence == (
        "No clear winner: large and small differ by 0.4 points on 300 examples, "
        "and by at most 3.4 points according to the 95% interval; let price and speed decide."
    )


def test_a_small_observed_difference_that_may_be_large_asks_for_what_shows_five_points() -> None:
    result = verdict(*two(0.004, large=None, half=0.2, n=50, detectable=0.2, needed=90_000))
    assert result.more_examples == 740  # as if a quarter differed, less 50
    assert (
        "too few to tell them apart; about 740 more examples would be enough to detect a difference of 5.0 points"
        in result.sentence
    )
    unknown = verdict(*two(0.0, large=None, half=0.9, n=3, detectable=None, needed=None))
    assert unknown.more_examples == 790


@pytest.mark.parametrize("n", [3, 10, 30, 50])
def test_a_tie_on_few_examples_never_asks_for_more_than_the_prior_guess(n: int) -> None:
    result = verdict(*two(0.0, large=None, half=0.4, n=n, detectable=0.5, needed=None), examples=n)
    assert result.more_examples is not None
    assert result.more_examples <= 790


def test_an_approach_that_is_never_right_is_not_chosen() -> None:
    free, paid = summary("free", 0.0, usd_per_1k=0.0), summary("paid", 0.0, usd_per_1k=9.0)
    result = verdict([free, paid], [pair("free", "paid", 0.0, 1.0, half=0.01)])
    assert (result.choice, result.leaders) == (None, ())
    assert result.sentence == "No approach can be recommended: both are ruled out."
    assert result.ruled_out["free"] == ("it answers none of 300 examples correctly",)
    assert verdict([free], []).ruled_out == {"free": ("it answers none of 300 examples correctly",)}


def test_price_does_not_decide_for_an_approach_that_is_never_right() -> None:
    some = summary("some", 0.01, usd_per_1k=9.0)
    result = verdict([some, summary("free", 0.0, usd_per_1k=0.0)], [pair("some", "free", 0.01, 0.3, half=0.02)])
    assert (result.choice, result.leaders) == (None, ("some", "free"))


def test_judge_errors_rule_out_no_approach_that_has_the_primary_score() -> None:
    judged = summary("judged", 0.8, errors=90, failures={"judge": 90})
    assert verdict([judged], []).choice == "judged"
    lost = summary("lost", 0.8, n=210, answered=300, errors=90, failures={"judge": 90})
    assert verdict([lost], [], primary="judge").ruled_out["lost"][0].startswith("90 of 300 rows failed")


def test_an_interval_that_excludes_zero_without_a_measurable_difference_is_explained() -> None:
    reasons = verdict(*two(0.05, 0.06, half=0.03)).reasons
    assert reasons[-1].endswith("not measurably different (the test is stricter than the interval).")


def test_a_pair_that_just_fails_asks_for_a_tenth_more() -> None:
    assert verdict(*two(0.05, 0.06, large=None, needed=200)).more_examples == 30


def test_without_common_examples_there_is_no_winner() -> None:
    result = verdict([summary("a", 0.9, usd_per_1k=1.0), summary("b", 0.5, usd_per_1k=9.0)], [])
    assert result.choice is None
    assert result.sentence == "No clear winner: a and b have no examples in common."
    assert result.caveats[-1] == "a has no examples in common with b, so no comparison was possible."


def test_the_best_is_not_beaten_on_common_examples() -> None:
    """a has the higher mean, on other examples; where both were scored b is measurably better."""
    result = verdict([summary("a", 0.9, n=40), summary("b", 0.85)], [pair("b", "a", 0.1, 0.01)])
    assert result.choice == "b"


def test_equal_means_are_ordered_by_price() -> None:
    result = verdict(*two(0.0, large=9.0, small=1.0, half=0.03))
    assert result.leaders == ("small", "large")
    assert result.choice == "small"


# The simplest of equals


def simple_and_combined(
    difference: float = 0.012, p: float = 0.5, *, rag: float | None = 1.0, hybrid: float | None = 1.0, **facts: Any
) -> tuple[list[ApproachSummary], list[Difference]]:
    summaries = [summary("hybrid", 0.8 + difference, usd_per_1k=hybrid), summary("rag", 0.8, usd_per_1k=rag)]
    return summaries, [pair("hybrid", "rag", difference, p, **facts)]


@pytest.mark.parametrize(("rag", "hybrid"), [(1.0, 1.0), (1.0, 0.95), (None, 1.0), (9.0, None), (None, None)])
def test_where_price_does_not_decide_the_simplest_is_the_choice(rag: float | None, hybrid: float | None) -> None:
    result = verdict(*simple_and_combined(rag=rag, hybrid=hybrid))
    assert (result.choice, result.leaders, result.more_examples) == ("rag", ("hybrid", "rag"), None)
    assert result.sentence == (
        "Use rag: hybrid is not measurably better (+1.2 points, 95% interval −3.8 to +6.2), and rag is simpler."
    )
    assert "With prefer_simpler = false, there would be no clear winner." in flips(result)


def test_the_simplest_may_also_be_ahead() -> None:
    result = verdict(*simple_and_combined(-0.012))
    assert result.sentence.startswith("Use rag: hybrid is not measurably better (−1.2 points")


def test_several_that_are_not_better_are_named() -> None:
    summaries = [summary("hybrid", 0.82), summary("tuned", 0.81), summary("prompt", 0.8)]
    pairs = [
        pair("hybrid", "tuned", 0.01, 0.9),
        pair("hybrid", "prompt", 0.02, 0.9),
        pair("tuned", "prompt", 0.01, 0.9),
    ]
    assert verdict(summaries, pairs).sentence == (
        "Use prompt: hybrid and tuned are not measurably better (hybrid: +2.0 points, 95% interval −3.0 to +7.0), "
        "and prompt is simpler."
    )


@pytest.mark.parametrize(("half", "choice"), [(0.08, "rag"), (0.09, None), (0.2, None)])
def test_simplicity_decides_only_where_at_most_ten_points_can_be_lost(half: float, choice: str | None) -> None:
    result = verdict(*simple_and_combined(half=half))
    assert result.choice == choice
    assert choice or result.sentence.startswith("No clear winner yet: hybrid and rag differ")


def test_simplicity_can_be_switched_off() -> None:
    assert verdict(*simple_and_combined(), prefer_simpler=False).choice is None


def test_price_comes_before_simplicity() -> None:
    result = verdict(*simple_and_combined(rag=9.0))
    assert result.choice == "hybrid"
    assert result.sentence.endswith("and costs a ninth as much.")


def test_the_simplest_is_not_chosen_where_a_clearly_cheaper_one_may_win_with_more_examples() -> None:
    """The cheaper one might be 11 points behind, so neither price nor simplicity decides."""
    result = verdict(*simple_and_combined(-0.05, rag=9.0, half=0.06))
    assert (result.choice, result.leaders) == (None, ("rag", "hybrid"))


@pytest.mark.parametrize("names", [("rag", "rag:large"), ("rag", "our-own")])
def test_between_equally_simple_and_unknown_approaches_simplicity_decides_nothing(names: tuple[str, str]) -> None:
    first, second = names
    result = verdict([summary(first), summary(second)], [pair(first, second, 0.0, 0.9)])
    assert (result.choice, result.leaders) == (None, names)


def test_the_measurably_better_combination_is_the_choice() -> None:
    assert verdict(*simple_and_combined(0.09, 0.01)).choice == "hybrid"


def test_a_combination_that_does_not_beat_its_part_is_not_chosen_for_its_simplicity() -> None:
    """routed beats rag, which hybrid does not; hybrid is simpler than routed, but not better than its part."""
    summaries = [summary("routed", 0.85), summary("hybrid", 0.84), summary("rag", 0.8)]
    pairs = [pair("routed", "hybrid", 0.01, 0.9), pair("routed", "rag", 0.05, 0.01), pair("hybrid", "rag", 0.04, 0.2)]
    result = verdict(summaries, pairs)
    assert (result.choice, result.leaders) == (None, ("routed", "hybrid"))
    better = [*pairs[:2], pair("hybrid", "rag", 0.04, 0.04)]
    assert verdict(summaries, better).choice == "hybrid"


def test_the_simplest_is_not_chosen_if_it_is_never_right() -> None:
    some, never = summary("rag", 0.01), summary("prompt", 0.0)
    assert verdict([some, never], [pair("rag", "prompt", 0.01, 0.3, half=0.02)]).choice is None


# Requirements


@pytest.mark.parametrize(
    ("required", "facts", "why"),
    [
        (
            {"citations": True},
            {"cited": 0.5},
            "50% of its answers are supported by the passages that they cite; citations = true requires 90%",
        ),
        (
            {"citations": True},
            {"cited": None},
            "it answered nothing, so it cited nothing; citations = true requires 90%",
        ),
        (
            {"citations": True},
            {"cited": 0.5, "unchecked": 0.25},
            "50% of its answers are supported by the passages that they cite (25% of their sentences could not be "
            "checked); citations = true requires 90%",
        ),
        (
            {"citations": True},
            {"cited": None, "unchecked": 1.0},
            "nothing could check the citations of its answers (docs/citations.md); citations = true requires 90%",
        ),
        ({"max_p95_seconds": 2}, {"p95_seconds": 3.44}, "its 95th-percentile latency is 3.44 s; max_p95_seconds = 2"),
        (
            {"max_p95_seconds": 2},
            {"p95_seconds": None},
            "its latency is unknown, so max_p95_seconds = 2 cannot be checked",
        ),
        ({"max_usd_per_1k": 2.5}, {"usd_per_1k": 3.1}, "it costs $3.10 per 1,000 questions; max_usd_per_1k = 2.5"),
        (
            {"max_usd_per_1k": 2.5},
            {"usd_per_1k": None},
            "its price is unknown, so max_usd_per_1k = 2.5 cannot be checked: set it under [prices.MODEL]",
        ),
        (
            {"max_usd_per_month": 100, "requests_per_month": 50_000},
            {"usd_per_1k": 3.1},
            "it costs $155 a month at 50,000 questions a month; max_usd_per_month = 100",
        ),
        (
            {"max_usd_per_month": 100, "requests_per_month": 50_000},
            {"usd_per_1k": None},
            "its price is unknown, so max_usd_per_month = 100 cannot be checked: set it under [prices.MODEL]",
        ),
    ],
)
def test_a_requirement_rules_out_and_gives_the_figure(
    required: dict[str, Any], facts: dict[str, Any], why: str
) -> None:
    fine = summary("fine", 0.6, usd_per_1k=1.0)
    result = verdict(
        [summary("best", 0.9, **{"usd_per_1k": 1.0, **facts}), fine],
        [pair("best", "fine", 0.3, 0.001)],
        Requirements(**required),
    )
    assert result.ruled_out == {"best": (why,)}
    assert result.choice == "fine"
    assert result.sentence.endswith("it is the only eligible approach.")
    assert flips(result)[0].endswith("best would be recommended.")


@pytest.mark.parametrize(
    ("required", "facts"),
    [
        ({"citations": True}, {"cited": 0.9}),
        ({"max_p95_seconds": 2}, {"p95_seconds": 2.0}),
        ({"max_usd_per_1k": 2.5}, {"usd_per_1k": 2.5}),
        ({"max_usd_per_month": 125, "requests_per_month": 50_000}, {"usd_per_1k": 2.5}),
        ({"max_usd_per_month": 100}, {"usd_per_1k": 3.1}),
        ({}, {"cited": 0.0, "p95_seconds": None, "usd_per_1k": None}),
    ],
)
def test_a_requirement_that_is_just_met_rules_out_nothing(required: dict[str, Any], facts: dict[str, Any]) -> None:
    assert verdict([summary("a", **facts)], [], Requirements(**required)).ruled_out == {}


def test_every_unmet_requirement_is_reported() -> None:
    required = Requirements(citations=True, max_p95_seconds=2, max_usd_per_1k=1)
    result = verdict(
        [summary("a", cited=0.1, p95_seconds=9.0, usd_per_1k=5.0), summary("b", 0.5, cited=0.2)], [], required
    )
    assert len(result.ruled_out["a"]) == 3
    assert result.choice is None
    assert result.sentence == "No approach can be recommended: both are ruled out."
    assert flips(result) == ("Without citations, max_p95_seconds and max_usd_per_1k, there would be no clear winner.",)


def test_a_requirement_that_changes_nothing_is_not_a_flip() -> None:
    result = verdict(
        [summary("a", 0.9), summary("b", 0.5, cited=0.1)],
        [pair("a", "b", 0.4, 0.001)],
        Requirements(citations=True),
    )
    assert result.choice == "a"
    assert not any("citations" in flip for flip in flips(result))


def test_without_a_requirement_the_winner_may_be_unclear() -> None:
    summaries, pairs = two(large=None, small=None)
    summaries[0] = replace(summaries[0], p95_seconds=9.0)
    result = verdict(summaries, pairs, Requirements(max_p95_seconds=2))
    assert result.choice == "small"
    assert flips(result)[0] == (
        "With a latency ceiling (max_p95_seconds) of 9 s or more (now 2 s), there would be no clear winner."
    )


def test_a_barred_approach_is_named_with_its_reason() -> None:
    required = Requirements(barred={"cloud": "sends text to api.example.com"})
    result = verdict([summary("rag", 0.84)], [], required)
    assert result.ruled_out == {"cloud": ("sends text to api.example.com",)}
    assert result.choice == "rag"
    assert result.sentence.endswith("it is the only eligible approach.")


@pytest.mark.parametrize("barred", [{}, {"a": "x"}, {"a": "x", "b": "y", "c": "z"}])
def test_nothing_to_choose_from_does_not_crash(barred: dict[str, str]) -> None:
    result = verdict([], [], Requirements(barred=barred))
    assert result.choice is None
    assert result.sentence.startswith("No approach can be recommended")


# Errors


def test_too_many_errors_rule_out() -> None:
    broken = summary("a", 0.9, n=40, answered=40, errors=20, failures={"server": 5, "timeout": 15})
    result = verdict([broken, summary("b", 0.5)], [pair("a", "b", 0.4, 0.001)], Requirements(), examples=60)
    assert result.ruled_out == {"a": ("20 of 60 rows failed (most common: timeout, 15); at most 20% may fail",)}
    assert result.choice == "b"


def test_rows_that_a_judge_failed_on_are_not_counted_twice() -> None:
    """Such a row counts as an answer and as an error."""
    judged = summary("a", n=239, answered=300, errors=61, failures={"judge": 61})
    assert "61 of 300 rows" in verdict([judged], []).ruled_out["a"][0]


def test_no_score_at_all_rules_out() -> None:
    broken = summary("a", None, answered=0, errors=40, failures={"bad_key": 40})
    result = verdict([broken], [], examples=40)
    assert result.ruled_out == {"a": ("none of its 40 rows has the score correct (most common: bad_key, 40)",)}


@pytest.mark.parametrize(
    ("mean", "measurable", "becomes"),
    [(0.6, True, "b would be recommended"), (0.74, False, "there would be no clear winner"), (0.84, True, None)],
)
def test_errors_that_would_change_the_choice_are_reported(mean: float, measurable: bool, becomes: str | None) -> None:
    summaries = [summary("a", 0.85, n=260, answered=260, errors=40), summary("b", 0.8)]
    differ = pair("a", "b", mean - 0.8, 0.01 if measurable else 0.5)
    counted = ErrorsAsWrong(
        {"a": Interval(mean, mean - 0.05, mean + 0.05, 300), "b": Interval(0.8, 0.7, 0.9, 300)}, (differ,)
    )
    result = verdict(summaries, [pair("a", "b", 0.05, 0.01, n=260)], errors_as_wrong=counted)
    assert result.choice == "a"
    assert "a: 40 errors, excluded from its figures." in result.caveats
    said = [flip for flip in flips(result) if "error" in flip]
    assert said == ([f"If every error counted as wrong, {becomes}."] if becomes else [])


# Flips, caveats, words


def test_a_price_flips_an_open_verdict() -> None:
    result = verdict(*two(large=None, small=2.0))
    assert result.choice is None
    assert "If large cost $1.80 or less per 1,000 questions (now unknown), large would be recommended." in flips(result)


def test_no_price_helps_where_too_much_might_be_lost() -> None:
    assert not any("cost" in flip for flip in flips(verdict(*two(large=None, small=2.0, half=0.2))))


def test_caveats_name_what_weakens_the_verdict() -> None:
    summaries = [summary("a", n=60), summary("b", n=50, answered=50, errors=10, failures={"timeout": 10})]
    result = verdict(
        summaries, [pair("a", "b", 0.02, 0.9, n=50)], Requirements(max_usd_per_month=5), examples=60, clusters=12
    )
    assert result.caveats == (
        "Only 60 examples: with fewer than 100, only large differences are detectable.",
        "The examples fall into 12 groups, and the intervals treat each group as one unit; "
        "with fewer than 30 groups they are rough.",
        "b: 10 errors (most common: timeout, 10), excluded from its figures.",
        "The approaches were not all scored on the same examples (a: 60 and b: 50); "
        "each difference uses the examples both have in common.",
        "The price of a and b is unknown: set it under [prices.MODEL], or the server reports no usable token counts.",
        "max_usd_per_month was not checked: requests_per_month is not set.",
    )


def test_a_clean_comparison_has_no_caveats() -> None:
    assert verdict(*two(), clusters=300).caveats == ()


def test_other_scores_are_shown_as_they_are() -> None:
    grades = [replace(summary("a"), mean=4.2, low=4.1, high=4.3), replace(summary("b"), mean=3.1, low=3.0, high=3.2)]
    result = verdict(grades, [pair("a", "b", 1.1, 0.001)], primary="grade")
    assert result.sentence == "Use a: its mean grade is 4.20 on 300 examples, measurably higher than that of b."
    share = verdict([summary("a", 0.9), summary("b", 0.5)], [pair("a", "b", 0.4, 0.001)], primary="f1")
    assert share.sentence == "Use a: its mean f1 is 90% on 300 examples, measurably higher than that of b."


def test_an_approach_that_asserts_too_much_wrong_is_ruled_out() -> None:
    summaries = [
        summary(name, mean, metrics={"asserted_wrong": Interval(wrong, wrong / 2, wrong * 2, 300)})
        for name, mean, wrong in (("bold", 0.9, 0.1), ("careful", 0.8, 0.02))
    ]
    summaries.append(summary("unknown", 0.7))
    pairs = [
        pair("bold", "careful", 0.1, 0.001),
        pair("bold", "unknown", 0.2, 0.001),
        pair("careful", "unknown", 0.1, 0.001),
    ]
    result = verdict(summaries, pairs, Requirements(max_asserted_wrong=0.05))
    assert result.choice == "careful"
    assert result.ruled_out == {
        "bold": ("10.0% of the questions get a wrong answer without a word of doubt; max_asserted_wrong = 0.05",),
        "unknown": ("how often it asserts what is wrong is unknown; max_asserted_wrong = 0.05",),
    }
    assert "wrong without doubt 2.0% (1.0% to 4.0%)" in result.reasons[0]
    assert flips(result)[0] == "With max_asserted_wrong at 10% or more (now 5%), bold would be recommended."


def test_answers_in_batches_are_said_to_be_and_machine_time_stands_for_their_price() -> None:
    local = summary("rag", 0.9, p50_seconds=12.0, p95_seconds=16.0, machine_seconds=1.8, answers_per_batch=7.6)
    found = verdict([local, summary("prompt", 0.5)], [pair("rag", "prompt", 0.4, 0.001)])
    reasons = "\n".join(found.reasons)
    assert "0.5 hours of this machine per 1,000 questions, median latency 12 s in batches of about 8." in reasons
    assert any("alone, each answer comes sooner" in caveat for caveat in found.caveats)
    assert not any("The price of rag" in caveat for caveat in found.caveats)
    limited = Requirements(max_p95_seconds=2)
    missed = verdict([local], [], limited).ruled_out["rag"]
    assert missed == ("its 95th-percentile latency is 16 s in batches of about 8; max_p95_seconds = 2",)
