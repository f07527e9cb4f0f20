"""Look up token prices and context windows in the genai-prices table. Never guesses: unknown is None."""

from collections.abc import Mapping
from math import isfinite

from groundtune.errors import UsageError
from groundtune.models.openai_client import is_local

PRICE_KEYS = ("input_per_million", "cached_per_million", "output_per_million")


class TokenPrices:
    """Prices of the models at one endpoint, in US dollars.

    overrides: model name to `input_per_million`, `cached_per_million` (default: the input price) and
    `output_per_million`; they take precedence over the table. The table is searched by the host of `base_url`. A
    gateway or local server therefore has no known price without an override: unknown, not free.
    Raises UsageError for an invalid override.
    """

    def __init__(self, *, base_url: str, overrides: Mapping[str, Mapping[str, float]] | None = None) -> None:
        self._base_url = base_url
        self._overrides = dict(overrides or {})
        for model, price in self._overrides.items():
            if unknown := price.keys() - set(PRICE_KEYS):
                raise UsageError(f"price of {model}: unknown {', '.join(sorted(unknown))}", hint=", ".join(PRICE_KEYS))
            if bad := [key for key, value in price.items() if not isfinite(value) or value < 0]:
                raise UsageError(f"price of {model}: {bad[0]} must be 0 or more", hint="US dollars per million tokens")

    def usd(self, model: str, tokens: Mapping[str, int]) -> float | None:
        """Return the price of `input_tokens` (which include `cached_tokens`) and `output_tokens`; None when unknown.

        Missing `cached_tokens` and `output_tokens` count as 0; without `input_tokens` the price is unknown.
        The first lookup imports the table (about 0.8 s).
        """
        input_tokens, cached_tokens, output_tokens = (
            tokens.get(f"{name}_tokens") for name in ("input", "cached", "output")
        )
        if input_tokens is None or (cached_tokens or 0) > input_tokens:
            return None
        if model in self._overrides:
            return _by_override(self._overrides[model], input_tokens, cached_tokens or 0, output_tokens or 0)
        if is_local(self._base_url):
            return None
        return _by_table(model, self._base_url, input_tokens, cached_tokens or 0, output_tokens or 0)


def context_window(model: str, base_url: str) -> int | None:
    """Return the context window in tokens, prompt and answer together, from the table; None when not listed.

    None for a server on this machine, whose own settings decide. The first lookup imports the table (about 0.8 s).
    """
    if is_local(base_url):
        return None
    from genai_prices import Usage, calc_price

    try:
        return calc_price(Usage(), model, provider_api_url=base_url).model.context_window
    except (LookupError, ValueError):
        return None


def _by_override(price: Mapping[str, float], input_tokens: int, cached_tokens: int, output_tokens: int) -> float | None:
    input_price = price.get("input_per_million")
    total = 0.0
    for count, price_per_million in (
        (input_tokens - cached_tokens, input_price),
        (cached_tokens, price.get("cached_per_million", input_price)),
        (output_tokens, price.get("output_per_million")),
    ):
        if count and price_per_million is None:
            return None
        total += count * (price_per_million or 0.0) / 1_000_000
    return total


def _by_table(model: str, base_url: str, input_tokens: int, cached_tokens: int, output_tokens: int) -> float | None:
    from genai_prices import Usage, calc_price

    usage = Usage(input_tokens=input_tokens, cache_read_tokens=cached_tokens, output_tokens=output_tokens)
    try:
        price = calc_price(usage, model, provider_api_url=base_url)
    except (LookupError, ValueError):
        return None
    # The table adds up the prices it knows, so a model listed without a price would appear free.
    unknown_input = input_tokens and price.model_price.input_mtok is None
    unknown_output = output_tokens and price.model_price.output_mtok is None
    return None if unknown_input or unknown_output else float(price.total_price)
