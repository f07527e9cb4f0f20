"""Read and write the values fitted on the project's examples, with the number of examples behind them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from groundtune.common.files import read_json, write_json
from groundtune.common.format_version import check_version, versioned
from groundtune.errors import MissingError

FITTED_FORMAT = 3
MOST_RIGHT = "most questions answered correctly or rightly left unanswered"
"""Rule of a threshold when no other is set."""
_REFIT = "delete it, then groundtune evaluate --fit"
_OLD_RULES = {"most right outcomes": MOST_RIGHT}
_OLD_APPROACH = "quote-hybrid"
"""The approach whose threshold format 1 kept: the only one that was calibrated and used."""


@dataclass(frozen=True, slots=True)
class FittedThreshold:
    """Confidence below which one approach abstains."""

    value: float
    n: int
    """Number of train and validation questions behind it."""
    rule: str
    """What it was chosen for."""
    coverage: float
    """Share of those questions that are answered at the threshold."""
    risk: float
    """Share of wrong answers among those given at the threshold."""
    basis: str = ""
    """Digest of what it was fitted on; empty when unknown."""


@dataclass(frozen=True, slots=True)
class FittedPrompt:
    """The wording in which one approach tells its model the task."""

    name: str
    n: int
    """Number of validation questions behind it."""
    score: str
    """Name of the score that decided."""
    means: Mapping[str, float]
    """Maps each wording that was tried to its mean score."""
    made_for: str
    """Digest of the model, the task and the text of this wording: it applies only to these."""
    basis: str
    """Digest of all that it was chosen on."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Fitted values. None means not fitted: the package default applies."""

    dense_weight: float | None = None
    dense_weight_n: int = 0
    """Number of train questions behind the weight."""
    thresholds: Mapping[str, FittedThreshold] = field(default_factory=dict)
    """Maps each calibrated approach to its threshold; those of trained models are named `NAME@ID`."""
    prompts: Mapping[str, FittedPrompt] = field(default_factory=dict)
    """Maps each approach whose prompt was chosen among several to that prompt."""


def read_fitted(path: Path) -> Fitted:
    """Read the fitted values; empty when the file does not exist.

    Raises MissingError when it is damaged, FormatError when another version of groundtune wrote it.
    """
    if not path.exists():
        return Fitted()
    values = check_version(read_json(path), path=path, supported=FITTED_FORMAT, rebuild=_REFIT)
    try:
        return fitted_from(values)
    except (KeyError, TypeError, AttributeError) as error:
        raise MissingError(f"{path} is damaged: {error}", hint=_REFIT) from None


def fitted_from(values: Mapping[str, Any]) -> Fitted:
    """Return the values of a JSON object, also of one that format 1 wrote.

    Raises KeyError, TypeError or AttributeError when it is damaged.
    """
    if "threshold" in values:
        values = _from_format_1(**values)
    thresholds = {name: FittedThreshold(**threshold) for name, threshold in values.get("thresholds", {}).items()}
    prompts = {name: FittedPrompt(**prompt) for name, prompt in values.get("prompts", {}).items()}
    return Fitted(**{**values, "thresholds": thresholds, "prompts": prompts})


def _from_format_1(
    *,
    dense_weight: float | None,
    dense_weight_n: int,
    threshold: float | None,
    threshold_n: int,
    threshold_rule: str,
    coverage: float | None,
    risk: float | None,
) -> dict[str, Any]:
    rule = _OLD_RULES.get(threshold_rule, threshold_rule)
    facts = {"value": threshold, "n": threshold_n, "rule": rule, "coverage": coverage, "risk": risk}
    thresholds = {} if threshold is None else {_OLD_APPROACH: facts}
    return {"dense_weight": dense_weight, "dense_weight_n": dense_weight_n, "thresholds": thresholds}


def write_fitted(path: Path, fitted: Fitted) -> None:
    write_json(path, versioned(asdict(fitted), FITTED_FORMAT))
