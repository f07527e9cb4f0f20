"""Tokens to US dollars, and model to window, by the table of genai-prices. Never guesses: unknown is None."""

from collections.abc import Mapping
from math import isfinite

from groundtune.errors import UsageError
from groundtune.openai_client import is_local

PRICE_KEYS = ("input_per_million", "cached_per_million", "output_per_million")


class TokenPrices:
    """Prices of the models at one endpoint, in US dollars.

    `overrides`: model name to `input_per_million`, `cached_per_million` (default: the input price) and
    `output_per_million`; they win over the table. The table is looked up by the host of `base_url`, so a gateway or a
    local server has no price unless it is overridden: its tokens are paid for otherwise, not free.
    Raises UsageError for an override that is not understood.
    """

    def __init__(self, *, base_url: str, overrides: Mapping[str, Mapping[str, float]] | None = None) -> None:
        self._base_url = base_url
        self._overrides = dict(overrides or {})
        for model, price in self._overrides.items():
            if unknown := price.keys() - set(PRICE_KEYS):
                raise UsageError(f"price of {model}: unknown {', '.join(sorted(unknown))}", hint=", ".join(PRICE_KEYS))
            if bad := [key for key, value in price.items() if not isfinite(value) or value < 0]:
                raise UsageError(f"price of {model}: {bad[0]} is not 0 or more", hint="US dollars per million tokens")

    def usd(self, model: str, tokens: Mapping[str, int]) -> float | None:
        """Price of `input_tokens` (`cached_tokens` are a part of them) and `output_tokens`; None when unknown.

        Absent `cached_tokens` and `output_tokens` count as none; without `input_tokens` the price is unknown.
        The first look into the table imports it (about 0.8 s).
        """
        given, cached, made = (tokens.get(f"{name}_tokens") for name in ("input", "cached", "output"))
        if given is None or (cached or 0) > given:
            return None
        if model in self._overrides:
            return _by_override(self._overrides[model], given, cached or 0, made or 0)
        if is_local(self._base_url):
            return None
        return _by_table(model, self._base_url, given, cached or 0, made or 0)


def context_window(model: str, base_url: str) -> int | None:
    """Tokens that prompt and answer may have together, by the table; None for what it does not list.

    None for a server on this machine: there its own settings decide. The first look imports the table (about 0.8 s).
    """
    if is_local(base_url):
        return None
    from genai_prices import Usage, calc_price

    try:
        return calc_price(Usage(), model, provider_api_url=base_url).model.context_window
    except (LookupError, ValueError):
        return None


def _by_override(price: Mapping[str, float], given: int, cached: int, made: int) -> float | None:
    fresh_price = price.get("input_per_million")
    total = 0.0
    for count, each in (
        (given - cached, fresh_price),
        (cached, price.get("cached_per_million", fresh_price)),
        (made, price.get("output_per_million")),
    ):
        if count and each is None:
            return None
        total += count * (each or 0.0) / 1_000_000
    return total


def _by_table(model: str, base_url: str, given: int, cached: int, made: int) -> float | None:
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=given, cache_read_tokens=cached, output_tokens=made)
    try:
        price = calc_price(usage, model, provider_api_url=base_url)
    except (LookupError, ValueError):
        return None
    # The table sums what it knows: a model listed without a price would come out as free.
    unknown_input = given and price.model_price.input_mtok is None
    unknown_output = made and price.model_price.output_mtok is None
    return None if unknown_input or unknown_output else float(price.total_price)
