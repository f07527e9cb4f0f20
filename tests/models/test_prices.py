"""Test the price of tokens: the table, the overrides, and None for unknown prices."""

import pytest

from groundtune.errors import UsageError
from groundtune.models.prices import TokenPrices, context_window

OPENAI = "https://api.openai.com/v1"
MILLION = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}


def test_the_table_knows_hosted_models_and_cached_tokens() -> None:
    prices = TokenPrices(base_url=OPENAI)
    assert prices.usd("gpt-4o-mini", MILLION) == pytest.approx(0.75)
    assert prices.usd("gpt-4o-mini", {**MILLION, "cached_tokens": 500_000}) == pytest.approx(0.7125)


def test_an_embedding_has_no_output() -> None:
    assert TokenPrices(base_url=OPENAI).usd("text-embedding-3-small", {"input_tokens": 1_000_000}) == pytest.approx(
        0.02
    )


@pytest.mark.parametrize("tokens", [{}, {"output_tokens": 5}, {"input_tokens": 5, "cached_tokens": 6}])
def test_counts_that_do_not_add_up_have_no_price(tokens: dict[str, int]) -> None:
    assert TokenPrices(base_url=OPENAI).usd("gpt-4o-mini", tokens) is None


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_local_server_is_not_assumed_free(host: str) -> None:
    assert TokenPrices(base_url=f"http://{host}:8000/v1").usd("gpt-4o-mini", MILLION) is None


@pytest.mark.parametrize("base_url", ["https://llm.example.com/v1", "https://api.githubcopilot.com"])
def test_unknown_hosts_and_models_without_a_price_are_none(base_url: str) -> None:
    # github-copilot lists gpt-4o without a price, which the table adds up to 0
    assert TokenPrices(base_url=base_url).usd("gpt-4o", MILLION) is None


def test_an_unknown_model_is_none() -> None:
    assert TokenPrices(base_url=OPENAI).usd("no-such-model", MILLION) is None


def test_overrides_win_everywhere() -> None:
    price = {"input_per_million": 2.0, "cached_per_million": 0.5, "output_per_million": 8.0}
    for base_url in (OPENAI, "http://localhost:11434/v1"):
        prices = TokenPrices(base_url=base_url, overrides={"gpt-4o-mini": price})
        assert prices.usd("gpt-4o-mini", {**MILLION, "cached_tokens": 400_000}) == pytest.approx(1.2 + 0.2 + 8.0)


def test_a_partial_override_leaves_the_rest_unknown() -> None:
    prices = TokenPrices(
        base_url=OPENAI, overrides={"m": {"input_per_million": 2.0}, "free": {"output_per_million": 0.0}}
    )
    assert prices.usd("m", {"input_tokens": 1_000_000, "cached_tokens": 1_000_000}) == pytest.approx(2.0)
    assert prices.usd("m", MILLION) is None
    assert prices.usd("free", MILLION) is None


@pytest.mark.parametrize("price", [{"input": 1.0}, {"input_per_million": -1.0}, {"output_per_million": float("nan")}])
def test_an_invalid_override_is_an_error(price: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="price of m"):
        TokenPrices(base_url=OPENAI, overrides={"m": price})


@pytest.mark.parametrize(
    ("model", "base_url", "window"),
    [
        ("gpt-4o-mini", OPENAI, 128_000),
        ("no-such-model", OPENAI, None),
        ("", OPENAI, None),
        ("gpt-4o-mini", "https://llm.example.com/v1", None),
        ("gpt-4o-mini", "http://localhost:11434/v1", None),
    ],
)
def test_the_window_of_a_model_is_what_the_table_lists(model: str, base_url: str, window: int | None) -> None:
    assert context_window(model, base_url) == window
