"""Put other requirements, volumes or prices in place of those of a run, to see what its verdict would be."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from groundtune.approaches.families import asked_by
from groundtune.decide.costs import CHANGES_PER_YEAR, HOSTING, default_assumptions
from groundtune.errors import UsageError
from groundtune.workflows.figures import Figures, MeanUse
from groundtune.workflows.run_prices import parts_of_run
from groundtune.workflows.runs import Run

APPROACH, MODEL = "usd_per_1k.", "prices."
"""Beginnings of the keys of prices: of 1,000 requests of an approach, and of the tokens of a model."""
MOST = 1e15
"""Largest number that can be assumed; products of several stay finite."""
TOKEN_PRICES = ("input_per_million", "cached_per_million", "output_per_million")


def assume(run: Run, assumptions: Mapping[str, str]) -> Run:
    """Return the run under other assumptions. Its answers and scores stay; nothing is asked again.

    assumptions: values as text, by key; `none` removes a requirement. Raises UsageError that names a wrong one.
    """
    about = dict(run.about)
    required, costs = dict(about.get("requirements", {})), dict(about.get("costs", {}))
    prices: dict[str, Any] = {}
    stated = dict(costs.get("assumptions", {}))
    for key, text in assumptions.items():
        value = _read(run, key, text)
        if key in ("months", "prefer_simpler"):
            about[key] = value
        elif key in ("documents_change", "hosting"):
            costs[key] = value
        elif key in REQUIREMENTS:
            required[key] = value
        elif "." in key:
            prices[key] = value
        else:
            stated[key] = value
    if "requests_per_month" in assumptions:
        stated.pop("requests_per_month", None)
    costs |= {"assumptions": stated} if stated or "assumptions" in costs else {}
    return replace(run, about={**about, "requirements": required, "costs": costs, "assumed_prices": prices})


def under_assumed_prices(figures: Figures, about: Mapping[str, Any]) -> Figures:
    """Return the figures with the prices that are assumed: of the requests of an approach, or of a model's tokens.

    The price of a combination is unknown if it asks several models, of one of which the tokens have another price.
    Raises UsageError when a price that the assumed one needs beside it is not known.
    """
    assumed: Mapping[str, float] = about.get("assumed_prices", {})
    usd: dict[str, float | None] = {}
    for name, use in figures.use.items():
        asked = asked_by(name, parts_of_run(about))
        models = {_model(part, about) for part in asked}
        if moved := [prices for model in models if (prices := _token_prices(model, about, assumed))]:
            usd[name] = _token_usd(use, moved[0], name) if len(models) == 1 else None
        if (price := assumed.get(f"{APPROACH}{name}")) is not None:
            usd[name] = price / 1000
    if not usd:
        return figures
    summaries = [
        replace(each, usd_per_1k=None if (price := usd[each.name]) is None else 1000 * price)
        if each.name in usd
        else each
        for each in figures.approaches
    ]
    uses = {name: replace(use, usd=usd[name]) if name in usd else use for name, use in figures.use.items()}
    return replace(figures, approaches=tuple(summaries), use=uses)


def unknown_prices(about: Mapping[str, Any], figures: Figures) -> list[str]:
    """Say which prices the assumed ones of tokens leave unknown, and what to assume instead."""
    tokens = any(key.startswith(MODEL) for key in about.get("assumed_prices", {}))
    parts = parts_of_run(about) if tokens else {}
    return [
        f"The price of {name} under these prices of tokens is unknown, as its tokens are counted together with those "
        f"of other models: assume {APPROACH}{name} as well."
        for name in parts
        if name in figures.use and figures.use[name].usd is None
    ]


def _model(name: str, about: Mapping[str, Any]) -> str | None:
    """Return the name of the model that an approach asks; None for none, and for one that was trained."""
    table = about.get("model_tables", {}).get(name)
    model: str | None = about.get("settings", {}).get("models", {}).get(table, {}).get("model")
    return model


def _token_prices(model: str | None, about: Mapping[str, Any], assumed: Mapping[str, float]) -> dict[str, float]:
    """Return the prices of a million tokens of a model, where any is assumed."""
    prefix = f"{MODEL}{model}."
    stated = {key.removeprefix(prefix): price for key, price in assumed.items() if key.startswith(prefix)}
    return {**about.get("settings", {}).get("prices", {}).get(model, {}), **stated} if stated else {}


def _token_usd(use: MeanUse, prices: Mapping[str, float], name: str) -> float | None:
    """Return the mean price of a request at these prices of a million tokens; None where its tokens are unknown."""
    for key in ("input_per_million", "output_per_million"):
        if prices.get(key) is None:
            raise UsageError(f"the price of the model of {name} also needs {key}", hint="assume it as well")
    if use.input_tokens is None or use.output_tokens is None:
        return None
    cached = use.cached_tokens or 0.0
    full, reduced = prices["input_per_million"], prices.get("cached_per_million", prices["input_per_million"])
    return (
        (use.input_tokens - cached) * full + cached * reduced + use.output_tokens * prices["output_per_million"]
    ) / 1e6


def _read(run: Run, key: str, text: str) -> Any:
    """Return the value of an assumption. Raises UsageError that names the key."""
    reader = KEYS.get(key)
    if reader is None and key.startswith(APPROACH):
        names = sorted({result.approach for result in run.results})
        if key.removeprefix(APPROACH) not in names:
            raise UsageError(f"--what-if {key}: no such approach", hint=f"approaches: {', '.join(names)}")
        reader = _number
    elif reader is None and key.startswith(MODEL):
        models = sorted({str(table["model"]) for table in _models(run) if table.get("model")})
        model, _, price = key.removeprefix(MODEL).rpartition(".")
        if model not in models or price not in TOKEN_PRICES:
            known = f"models: {', '.join(models) or 'none'}; prices: {', '.join(TOKEN_PRICES)}"
            raise UsageError(f"--what-if {key}: no such price", hint=known)
        reader = _number
    elif reader is None and key in default_assumptions():
        reader = _range
    if reader is None:
        known = ", ".join((*KEYS, f"{APPROACH}NAME", f"{MODEL}MODEL.{TOKEN_PRICES[0]}"))
        raise UsageError(f"--what-if {key}: there is no such key", hint=f"keys: {known}, and the assumptions of costs")
    try:
        return reader(text.strip())
    except ValueError as error:
        raise UsageError(f"--what-if {key}={text}: {error}") from None


def _models(run: Run) -> Sequence[Mapping[str, Any]]:
    tables: Mapping[str, Mapping[str, Any]] = run.about.get("settings", {}).get("models", {})
    return list(tables.values())


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("must be a number, such as 250000 or 1e6") from None
    if not math.isfinite(number) or number < 0:
        raise ValueError("must be a number of 0 or more")
    if number > MOST:
        raise ValueError(f"must be at most {MOST:g}")
    return number


def _count(text: str) -> int:
    if re.fullmatch(r"\d{1,3}(\.\d{3})+", text):
        raise ValueError(f"may mean two numbers: write {text.replace('.', '')} or {text.split('.')[0]}")
    number = _number(text)
    if number < 1 or number != int(number):
        raise ValueError("must be a whole number of 1 or more")
    return int(number)


def _share(text: str) -> float:
    number = _number(text)
    if number > 1:
        raise ValueError("must lie between 0 and 1")
    return number


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


def _range(text: str) -> tuple[float, float, float]:
    numbers = [_number(part) for part in text.split(",")]
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3 or sorted(numbers) != numbers:
        raise ValueError("must be one number, or three that rise, such as 1,2,4")
    return numbers[0], numbers[1], numbers[2]


def _frequency(text: str) -> str:
    if text not in CHANGES_PER_YEAR:
        raise ValueError(f"must be one of {', '.join(CHANGES_PER_YEAR)}")
    return text


def _hosting(text: str) -> str:
    if text not in HOSTING:
        raise ValueError(f"must be one of {', '.join(HOSTING)}")
    return text


def _or_none(read: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: None if text.lower() == "none" else read(text)


REQUIREMENTS: Mapping[str, Callable[[str], Any]] = {
    "requests_per_month": _or_none(_count),
    "citations": _truth,
    "min_quality": _or_none(_number),
    "max_asserted_wrong": _or_none(_share),
    "max_p95_seconds": _or_none(_number),
    "max_usd_per_1k": _or_none(_number),
    "max_usd_per_month": _or_none(_number),
}
KEYS: Mapping[str, Callable[[str], Any]] = {
    **REQUIREMENTS,
    "months": _count,
    "documents_change": _or_none(_frequency),
    "hosting": _or_none(_hosting),
    "prefer_simpler": _truth,
}
"""What can be assumed of every run, and how its text is read."""
