from groundtune.decide.wording import join_names, relative_cost, round_up_estimate, usd


def test_words() -> None:
    assert join_names(["a"]) == "a"
    assert join_names(["a", "b", "c"]) == "a, b and c"
    assert [usd(price) for price in (0, 0.00012, 0.031, 0.5, 3, 1234.4)] == [
        "$0.00", "$0.00012", "$0.031", "$0.50", "$3.00", "$1,234",
    ]  # fmt: skip
    assert relative_cost(1, 3.1) == "costs a third as much"
    assert relative_cost(8, 10) == "costs 20% less"
    assert relative_cost(0.1, 5) == "costs $0.10 instead of $5.00 per 1,000 questions"
    assert [round_up_estimate(n) for n in (0.4, 11, 99, 101, 864, 12_345)] == [10, 20, 100, 110, 870, 13_000]
