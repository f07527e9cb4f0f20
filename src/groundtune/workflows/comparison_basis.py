"""Digest what a comparison, and a choice made from it, depends on; say what has changed since. Asks no model."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from groundtune import build
from groundtune.approaches.wordings import Wording
from groundtune.build.prompt_defaults import USUAL
from groundtune.common.files import digest_text
from groundtune.config import Config
from groundtune.config.fitted_values import Fitted
from groundtune.types import Example

SETTINGS = {
    "task", "language", "instructions", "labels", "schema_file", "models", "embedder", "passages", "retrieval",
    "answers", "shots", "context", "checks", "judge", "prices", "combined", "cascade",
}  # fmt: skip
"""Sections of the project file that affect answers or their scores."""
CHANGED = {
    "documents": "the documents have changed",
    "examples": "the examples have changed",
    "prices": "the prices of the models have changed",
    "settings": "the settings of the project have changed",
    "artifact": "another model has been trained",
}
"""Parts of a basis, each with what is said when it differs."""
MILLION = 1_000_000


def settings(config: Config) -> dict[str, Any]:
    """Return the sections of the project file that affect answers, without the choice of the approach."""
    values = config.model_dump(mode="json", include=SETTINGS)
    del values["answers"]["approach"]
    for name in ("combined", "cascade"):
        if values[name] is None:  # as in projects from before there were any
            del values[name]
    return values


def comparison_basis(
    config: Config,
    documents: str | None,
    examples: Sequence[Example],
    train: Sequence[Example],
    fitted: Fitted,
    wordings: Mapping[str, Wording],
) -> dict[str, Any]:
    """Return digests of documents, examples, prices and settings.

    documents: the digest of the catalog; None without an index. examples: those that are compared on. wordings: by
    name. Thresholds and chosen prompts are not part of it: they follow from the rest.
    """
    return {
        "documents": documents,
        "examples": _digest([repr(example) for example in (*examples, *train)]),
        "prices": _digest(_prices(config)),
        "settings": _digest([settings(config), fitted.dense_weight, *_prompts(config, wordings)]),
    }


def changes_since(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Describe what has changed; parts that the earlier basis does not have are not compared."""
    return [text for key, text in CHANGED.items() if key in before and before[key] != now.get(key)]


def _prompts(config: Config, wordings: Mapping[str, Wording]) -> list[list[str]]:
    """Return the digests of the prompts that the project names; none for the one that needs no naming."""
    names = config.compare.prompt_names
    return [] if names == (USUAL,) else [[name, wordings[name].digest(config.task)] for name in names]


def _prices(config: Config) -> dict[str, list[float | None]]:
    """Return the price of a million input and output tokens of each hosted model, in US dollars."""
    prices: dict[str, list[float | None]] = {}
    for name, model in config.models.items():
        if model.kind == "openai" and model.model:
            table = build.token_prices(config, model)
            costs = [{"input_tokens": MILLION}, {"input_tokens": 0, "output_tokens": MILLION}]
            prices[name] = [table.usd(model.model, cost) for cost in costs]
    return prices


def _digest(value: Any) -> str:
    return digest_text(json.dumps(value, sort_keys=True))[:16]
