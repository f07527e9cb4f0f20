from groundtune.decide.wording import about, cheaper, listed, usd


def test_words() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert [usd(price) for price in (0, 0.00012, 0.031, 0.5, 3, 1234.4)] == [
        "$0.00", "$0.00012", "$0.031", "$0.50", "$3.00", "$1,234",
    ]  # fmt: skip
    assert cheaper(1, 3.1) == "costs a third as much"
    assert cheaper(8, 10) == "costs 20% less"
    assert cheaper(0.1, 5) == "costs $0.10 instead of $5.00 per 1,000 questions"
    assert [about(n) for n in (0.4, 11, 99, 101, 864, 12_345)] == [10, 20, 100, 110, 870, 13_000]
