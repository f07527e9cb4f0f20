from dataclasses import replace
from typing import Any

import pytest

from groundtune.decide.verdict import Requirements, decide
from groundtune.types import Difference, Standing, Verdict

FREE = Requirements()


def standing(name: str, mean: float | None = 0.8, *, n: int = 300, **facts: Any) -> Standing:
    fine: dict[str, Any] = {
        "answered": n, "abstained": 0, "errors": 0, "usd_per_1k": None, "p50_seconds": 0.5, "p95_seconds": 1.0,
        "cited": 1.0,
    }  # fmt: skip
    low, high = (None, None) if mean is None else (max(0.0, mean - 0.04), min(1.0, mean + 0.04))
    return Standing(name=name, n=n if mean is not None else 0, mean=mean, low=low, high=high, **{**fine, **facts})


def pair(a: str, b: str, difference: float, p: float, *, half: float = 0.05, n: int = 300, **facts: Any) -> Difference:
    rest: dict[str, Any] = {"detectable": 0.08, "needed": 1200, "p": p / 2, **facts}
    return Difference(
        a, b, difference=difference, low=difference - half, high=difference + half, p_adjusted=p, n=n, **rest
    )


def verdict(
    standings: list[Standing], differences: list[Difference], asked: Requirements = FREE, **facts: Any
) -> Verdict:
    return decide(standings, differences, asked, **{"primary": "correct", "examples": 300, **facts})


def two(
    difference: float = 0.012,
    p: float = 0.5,
    *,
    large: float | None = 9.0,
    small: float | None = 1.0,
    **pair_facts: Any,
) -> tuple[list[Standing], list[Difference]]:
    standings = [standing("large", 0.8 + difference, usd_per_1k=large), standing("small", 0.8, usd_per_1k=small)]
    return standings, [pair("large", "small", difference, p, **pair_facts)]


# One leader


def test_the_measurably_best_is_the_choice() -> None:
    found = verdict(
        [standing("prompt", 0.6), standing("rag", 0.84), standing("fewshot", 0.7)],
        [pair("rag", "prompt", 0.24, 0.001), pair("rag", "fewshot", 0.14, 0.01), pair("fewshot", "prompt", 0.1, 0.04)],
    )
    assert found.choice == "rag"
    assert found.sentence == "Use rag: it is right in 84 % of 300 examples, measurably more than every other."
    assert found.leaders == ("rag",)
    assert found.more_examples is None
    assert "rag against fewshot: +14.0 points, 95 % interval +9.0 to +19.0, adjusted p 0.01" in found.reasons[-2]


def test_the_order_of_a_pair_does_not_matter() -> None:
    standings = [standing("a", 0.6), standing("b", 0.8)]
    for one in (pair("b", "a", 0.2, 0.001), pair("a", "b", -0.2, 0.001)):
        found = verdict(standings, [one])
        assert found.choice == "b"
        assert found.sentence.endswith("measurably more than a.")


def test_who_is_ruled_out_is_not_said_to_be_worse() -> None:
    found = verdict(
        [standing("a", 0.9, p95_seconds=9.0), standing("b", 0.8), standing("c", 0.6), standing("d", 0.5)],
        [pair("b", "c", 0.2, 0.001), pair("b", "d", 0.3, 0.001), pair("a", "b", 0.1, 0.01)],
        Requirements(max_p95_seconds=2),
    )
    assert found.choice == "b"
    assert "every other that can be chosen" in found.sentence


def test_one_approach_alone_is_compared_with_nothing() -> None:
    found = verdict([standing("rag", 0.84)], [])
    assert found.choice == "rag"
    assert found.sentence == "Use rag: it is right in 84 % of 300 examples; nothing was there to compare it with."


def test_one_approach_alone_must_be_eligible_too() -> None:
    found = verdict([standing("rag", 0.84, cited=0.5)], [], Requirements(citations=True))
    assert found.choice is None
    assert found.sentence == "No approach can be chosen: the only one is ruled out."
    assert found.flips == ("Without citations = true rag would be the choice.",)


# Several leaders


def test_of_equals_the_clearly_cheaper_is_the_choice() -> None:
    found = verdict(*two())
    assert found.choice == "small"
    assert found.leaders == ("large", "small")
    assert found.sentence == (
        "Use small: it is not measurably worse than large (−1.2 points, 95 % interval −6.2 to +3.8) and costs a ninth."
    )
    assert found.flips == (
        "If 1,000 questions to large cost $0.90 or less (now $9.00), it would be the choice.",
        "If 1,000 questions to small cost over $8.10 (now $1.00), there would be no clear winner.",
    )


def test_the_cheaper_may_also_be_ahead() -> None:
    found = verdict(*two(large=1.0, small=2.0))
    assert found.choice == "large"
    assert found.sentence.startswith("Use large: it is ahead, though not measurably, of small (+1.2 points")
    assert found.sentence.endswith("and costs half.")


@pytest.mark.parametrize(
    ("large", "small"), [(1.0, 1.0), (1.0, 0.95), (None, 1.0), (9.0, None), (None, None), (0.0, 0.0)]
)
def test_equal_near_or_unknown_prices_decide_nothing(large: float | None, small: float | None) -> None:
    found = verdict(*two(large=large, small=small))
    assert found.choice is None
    assert (
        found.sentence
        == "No clear winner yet: large and small are 1.2 points apart on 300 examples; about 900 more would decide it."
    )
    assert found.more_examples == 900


@pytest.mark.parametrize(("half", "choice"), [(0.08, "small"), (0.087, "small"), (0.09, None), (0.2, None)])
def test_price_decides_only_where_at_most_ten_points_can_be_lost(half: float, choice: str | None) -> None:
    assert verdict(*two(half=half)).choice == choice


@pytest.mark.parametrize(("half", "choice"), [(0.10, "large"), (0.13, None)])
def test_that_holds_for_a_cheaper_one_that_is_ahead_as_well(half: float, choice: str | None) -> None:
    assert verdict(*two(large=1.0, small=9.0, half=half)).choice == choice


def test_a_free_leader_beats_a_paid_one() -> None:
    found = verdict(*two(small=0.0))
    assert found.choice == "small"
    assert found.sentence.endswith("and costs nothing.")


def test_a_measurably_worse_one_is_no_leader_however_cheap() -> None:
    found = verdict(*two(0.09, 0.01))
    assert found.choice == "large"
    assert found.leaders == ("large",)


def test_two_equally_cheap_leaders_are_not_told_apart() -> None:
    standings = [
        standing("a", 0.82, usd_per_1k=9.0),
        standing("b", 0.81, usd_per_1k=1.0),
        standing("c", usd_per_1k=1.0),
    ]
    pairs = [pair("a", "b", 0.01, 0.9), pair("a", "c", 0.02, 0.9), pair("b", "c", 0.01, 0.9)]
    found = verdict(standings, pairs)
    assert found.choice is None
    assert found.sentence.startswith("No clear winner yet among a, b and c: the best two are 1.0 points apart")


def test_the_cheapest_leader_must_not_be_measurably_worse_than_any_leader() -> None:
    """b beats c measurably, a does not: a was scored with more noise."""
    standings = [
        standing("a", 0.85, usd_per_1k=9.0),
        standing("b", 0.84, usd_per_1k=8.0),
        standing("c", usd_per_1k=1.0),
    ]
    pairs = [pair("a", "b", 0.01, 0.9), pair("a", "c", 0.05, 0.2), pair("b", "c", 0.04, 0.03)]
    assert verdict(standings, pairs).choice is None


def test_more_approaches_need_more_examples() -> None:
    one = verdict(*two(large=None)).more_examples
    standings, pairs = two(large=None)
    standings.append(standing("third", 0.79))
    pairs += [pair("large", "third", 0.02, 0.5), pair("small", "third", 0.01, 0.5)]
    more = verdict(standings, pairs).more_examples
    assert set(verdict(standings, pairs).leaders) == {"large", "small", "third"}
    assert one == 900
    assert more is not None
    assert 1200 <= more <= 1600  # 1,200 times 1.34 for three pairs, less 300


def test_a_small_observed_difference_that_is_surely_small_is_no_reason_to_ask_for_more() -> None:
    found = verdict(*two(0.004, large=None, half=0.03))
    assert found.choice is None
    assert found.more_examples is None
    assert found.sentence == (
        "No clear winner: large and small are 0.4 points apart on 300 examples, by the interval at most 3.4 points; "
        "let price and speed decide."
    )


def test_a_small_observed_difference_that_may_be_large_asks_for_what_shows_five_points() -> None:
    found = verdict(*two(0.004, large=None, half=0.2, n=50, detectable=0.2, needed=90_000))
    assert found.more_examples == 740  # as if a quarter differed, less 50
    assert "too few to tell; about 740 more would show a difference of 5.0 points" in found.sentence
    unknown = verdict(*two(0.0, large=None, half=0.9, n=3, detectable=None, needed=None))
    assert unknown.more_examples == 790


@pytest.mark.parametrize("n", [3, 10, 30, 50])
def test_a_tie_of_few_never_asks_for_more_than_if_nothing_were_known(n: int) -> None:
    found = verdict(*two(0.0, large=None, half=0.4, n=n, detectable=0.5, needed=None), examples=n)
    assert found.more_examples is not None
    assert found.more_examples <= 790


def test_who_is_never_right_is_not_chosen() -> None:
    free, paid = standing("free", 0.0, usd_per_1k=0.0), standing("paid", 0.0, usd_per_1k=9.0)
    found = verdict([free, paid], [pair("free", "paid", 0.0, 1.0, half=0.01)])
    assert (found.choice, found.leaders) == (None, ())
    assert found.sentence == "No approach can be chosen: both are ruled out."
    assert found.ruled_out["free"] == ("it is right in none of 300 examples",)
    assert verdict([free], []).ruled_out == {"free": ("it is right in none of 300 examples",)}


def test_price_does_not_decide_for_who_is_never_right() -> None:
    some = standing("some", 0.01, usd_per_1k=9.0)
    found = verdict([some, standing("free", 0.0, usd_per_1k=0.0)], [pair("some", "free", 0.01, 0.3, half=0.02)])
    assert (found.choice, found.leaders) == (None, ("some", "free"))


def test_errors_of_the_judge_rule_nobody_out_who_has_the_primary_score() -> None:
    judged = standing("judged", 0.8, errors=90, failures={"judge": 90})
    assert verdict([judged], []).choice == "judged"
    lost = standing("lost", 0.8, n=210, answered=300, errors=90, failures={"judge": 90})
    assert verdict([lost], [], primary="judge").ruled_out["lost"][0].startswith("90 of 300 rows are errors")


def test_an_interval_without_zero_beside_no_measurable_difference_is_explained() -> None:
    reasons = verdict(*two(0.05, 0.06, half=0.03)).reasons
    assert reasons[-1].endswith("not measurably different, by the test, which is stricter than the interval.")


def test_a_pair_that_just_fails_asks_for_a_tenth_more() -> None:
    assert verdict(*two(0.05, 0.06, large=None, needed=200)).more_examples == 30


def test_without_a_common_example_nothing_is_told() -> None:
    found = verdict([standing("a", 0.9, usd_per_1k=1.0), standing("b", 0.5, usd_per_1k=9.0)], [])
    assert found.choice is None
    assert found.sentence == "No clear winner: a and b have no example in common."
    assert found.caveats[-1] == "a has no example in common with b, so nothing was compared."


def test_the_best_is_not_beaten_on_common_examples() -> None:
    """a has the higher mean, on other examples; where both were scored b is measurably better."""
    found = verdict([standing("a", 0.9, n=40), standing("b", 0.85)], [pair("b", "a", 0.1, 0.01)])
    assert found.choice == "b"


def test_equal_means_stand_in_the_order_of_price() -> None:
    found = verdict(*two(0.0, large=9.0, small=1.0, half=0.03))
    assert found.leaders == ("small", "large")
    assert found.choice == "small"


# Requirements


@pytest.mark.parametrize(
    ("asked", "facts", "why"),
    [
        ({"citations": True}, {"cited": 0.5}, "50 % of its answers cite; citations = true asks for 90 %"),
        ({"citations": True}, {"cited": None}, "it answered nothing, so cited nothing; citations = true asks for 90 %"),
        ({"max_p95_seconds": 2}, {"p95_seconds": 3.44}, "5 % take longer than 3.44 s; max_p95_seconds = 2"),
        (
            {"max_p95_seconds": 2},
            {"p95_seconds": None},
            "its speed is unknown, so max_p95_seconds = 2 cannot be checked",
        ),
        ({"max_usd_per_1k": 2.5}, {"usd_per_1k": 3.1}, "1,000 questions cost $3.10; max_usd_per_1k = 2.5"),
        (
            {"max_usd_per_1k": 2.5},
            {"usd_per_1k": None},
            "its price is unknown, so max_usd_per_1k = 2.5 cannot be checked: set it under [prices.MODEL]",
        ),
        (
            {"max_usd_per_month": 100, "requests_per_month": 50_000},
            {"usd_per_1k": 3.1},
            "50,000 questions a month cost $155; max_usd_per_month = 100",
        ),
        (
            {"max_usd_per_month": 100, "requests_per_month": 50_000},
            {"usd_per_1k": None},
            "its price is unknown, so max_usd_per_month = 100 cannot be checked: set it under [prices.MODEL]",
        ),
    ],
)
def test_a_requirement_rules_out_with_its_figures(asked: dict[str, Any], facts: dict[str, Any], why: str) -> None:
    fine = standing("fine", 0.6, usd_per_1k=1.0)
    found = verdict(
        [standing("best", 0.9, **{"usd_per_1k": 1.0, **facts}), fine],
        [pair("best", "fine", 0.3, 0.001)],
        Requirements(**asked),
    )
    assert found.ruled_out == {"best": (why,)}
    assert found.choice == "fine"
    assert found.sentence.endswith("it is the only one that can be chosen.")
    assert found.flips[0].endswith("best would be the choice.")


@pytest.mark.parametrize(
    ("asked", "facts"),
    [
        ({"citations": True}, {"cited": 0.9}),
        ({"max_p95_seconds": 2}, {"p95_seconds": 2.0}),
        ({"max_usd_per_1k": 2.5}, {"usd_per_1k": 2.5}),
        ({"max_usd_per_month": 125, "requests_per_month": 50_000}, {"usd_per_1k": 2.5}),
        ({"max_usd_per_month": 100}, {"usd_per_1k": 3.1}),
        ({}, {"cited": 0.0, "p95_seconds": None, "usd_per_1k": None}),
    ],
)
def test_a_requirement_that_is_just_met_rules_nobody_out(asked: dict[str, Any], facts: dict[str, Any]) -> None:
    assert verdict([standing("a", **facts)], [], Requirements(**asked)).ruled_out == {}


def test_all_that_an_approach_misses_is_said() -> None:
    asked = Requirements(citations=True, max_p95_seconds=2, max_usd_per_1k=1)
    found = verdict(
        [standing("a", cited=0.1, p95_seconds=9.0, usd_per_1k=5.0), standing("b", 0.5, cited=0.2)], [], asked
    )
    assert len(found.ruled_out["a"]) == 3
    assert found.choice is None
    assert found.sentence == "No approach can be chosen: both are ruled out."
    assert found.flips == ("Without citations, max_p95_seconds and max_usd_per_1k there would be no clear winner.",)


def test_a_requirement_that_changes_nothing_is_no_flip() -> None:
    found = verdict(
        [standing("a", 0.9), standing("b", 0.5, cited=0.1)],
        [pair("a", "b", 0.4, 0.001)],
        Requirements(citations=True),
    )
    assert found.choice == "a"
    assert found.flips == ()


def test_without_a_requirement_the_winner_may_be_unclear() -> None:
    standings, pairs = two(large=None, small=None)
    standings[0] = replace(standings[0], p95_seconds=9.0)
    found = verdict(standings, pairs, Requirements(max_p95_seconds=2))
    assert found.choice == "small"
    assert found.flips == ("Without max_p95_seconds = 2 there would be no clear winner.",)


def test_a_barred_approach_is_named_with_its_reason() -> None:
    asked = Requirements(barred={"cloud": "sends text to api.example.com"})
    found = verdict([standing("rag", 0.84)], [], asked)
    assert found.ruled_out == {"cloud": ("sends text to api.example.com",)}
    assert found.choice == "rag"
    assert found.sentence.endswith("it is the only one that can be chosen.")


@pytest.mark.parametrize("barred", [{}, {"a": "x"}, {"a": "x", "b": "y", "c": "z"}])
def test_nothing_to_choose_from_is_no_crash(barred: dict[str, str]) -> None:
    found = verdict([], [], Requirements(barred=barred))
    assert found.choice is None
    assert found.sentence.startswith("No approach can be chosen")


# Errors


def test_too_many_errors_rule_out() -> None:
    broken = standing("a", 0.9, n=40, answered=40, errors=20, failures={"server": 5, "timeout": 15})
    found = verdict([broken, standing("b", 0.5)], [pair("a", "b", 0.4, 0.001)], Requirements(), examples=60)
    assert found.ruled_out == {"a": ("20 of 60 rows are errors (most often timeout: 15); at most 20 % may be",)}
    assert found.choice == "b"


def test_rows_that_a_judge_failed_on_are_not_counted_twice() -> None:
    """Such a row is an answer and an error."""
    judged = standing("a", n=239, answered=300, errors=61, failures={"judge": 61})
    assert "61 of 300 rows" in verdict([judged], []).ruled_out["a"][0]


def test_no_score_at_all_rules_out() -> None:
    broken = standing("a", None, answered=0, errors=40, failures={"bad_key": 40})
    found = verdict([broken], [], examples=40)
    assert found.ruled_out == {"a": ("none of its 40 rows has the score correct (most often bad_key: 40)",)}


def test_errors_that_would_turn_the_order_are_said() -> None:
    standings = [standing("a", 0.85, n=260, answered=260, errors=40), standing("b", 0.8)]
    found = verdict(standings, [pair("a", "b", 0.05, 0.01, n=260)])
    assert found.choice == "a"
    assert found.flips == ("If every error counted as wrong, b (80 %) would be ahead of a (74 %).",)
    assert "a: 40 errors, in none of its figures." in found.caveats
    few = [standing("a", 0.85, n=295, answered=295, errors=5), standing("b", 0.8)]
    assert verdict(few, [pair("a", "b", 0.05, 0.01, n=295)]).flips == ()


# Flips, caveats, words


def test_a_price_flips_an_open_verdict() -> None:
    found = verdict(*two(large=None, small=2.0))
    assert found.choice is None
    assert found.flips == ("If 1,000 questions to large cost $1.80 or less (now unknown), it would be the choice.",)


def test_no_price_helps_where_too_much_might_be_lost() -> None:
    assert verdict(*two(large=None, small=2.0, half=0.2)).flips == ()


def test_caveats_say_what_weakens_the_verdict() -> None:
    standings = [standing("a", n=60), standing("b", n=50, answered=50, errors=10, failures={"timeout": 10})]
    found = verdict(
        standings, [pair("a", "b", 0.02, 0.9, n=50)], Requirements(max_usd_per_month=5), examples=60, clusters=12
    )
    assert found.caveats == (
        "60 examples are few: under 100 only large differences show.",
        "The examples fall into 12 groups, which the intervals count instead of examples; "
        "under 30 the intervals are rough.",
        "b: 10 errors (most often timeout: 10), in none of its figures.",
        "Not all were scored on the same examples (a 60 and b 50); differences are over those in common.",
        "The price of a and b is unknown: set it under [prices.MODEL].",
        "max_usd_per_month was not checked: requests_per_month is unknown.",
    )


def test_a_clean_comparison_has_no_caveats() -> None:
    assert verdict(*two(), clusters=300).caveats == ()


def test_other_scores_are_shown_as_they_are() -> None:
    grades = [replace(standing("a"), mean=4.2, low=4.1, high=4.3), replace(standing("b"), mean=3.1, low=3.0, high=3.2)]
    found = verdict(grades, [pair("a", "b", 1.1, 0.001)], primary="grade")
    assert found.sentence == "Use a: its grade is 4.20 on 300 examples, measurably higher than b."
    share = verdict([standing("a", 0.9), standing("b", 0.5)], [pair("a", "b", 0.4, 0.001)], primary="f1")
    assert share.sentence == "Use a: its f1 is 90 % on 300 examples, measurably higher than b."
