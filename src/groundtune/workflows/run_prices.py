"""Say what approaches of a run are paid by: by what is billed, or by the seconds of this machine. Measures nothing."""

from collections.abc import Mapping
from typing import Any

from groundtune.approaches.families import Parts, asked_by
from groundtune.decide.machine_prices import MachinePrices
from groundtune.workflows.figures import Figures, MeanUse


def parts_of_run(about: Mapping[str, Any]) -> Parts:
    """Return the approaches that the combinations of a run ask. about: the conditions of the run."""
    return {name: [part[0] for part in parts] for name, parts in about.get("parts", {}).items()}


def machine_prices(figures: Figures, about: Mapping[str, Any], usd_per_hour: float) -> MachinePrices:
    """Return the prices of the approaches that run on this machine. about: the conditions of the run."""
    seconds = {name: use.machine_seconds for name, use in figures.use.items() if runs_here(name, use, about)}
    return MachinePrices(usd_per_hour, seconds)


def runs_here(name: str, use: MeanUse, about: Mapping[str, Any]) -> bool:
    """Whether this machine does the work: quotes, models that are trained here, and tables of the kind `local`.

    A combination runs here if all that it asks does. An approach whose price is assumed is paid by that.
    """
    if f"usd_per_1k.{name}" in about.get("assumed_prices", {}):
        return False
    where = [_is_of_here(asked, about) for asked in asked_by(name, parts_of_run(about))]
    if False in where:
        return False
    return use.usd == 0 or None not in where


def _is_of_here(name: str, about: Mapping[str, Any]) -> bool | None:
    """Return whether an approach runs here, by its training, its model or its embedder; None where none says it."""
    if (kind := about.get("trainings", {}).get(name, {}).get("kind")) is not None:
        return bool(kind != "hosted")
    settings = about.get("settings", {})
    if name.startswith("quote-") or name == "nearest":
        return True if settings.get("embedder", {}).get("kind", "openai") != "openai" else None
    table = settings.get("models", {}).get(about.get("model_tables", {}).get(name), {})
    return True if table.get("kind") == "local" else None
