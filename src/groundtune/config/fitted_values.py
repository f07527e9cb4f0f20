"""Read and write the values fitted on the project's examples, with the number of examples behind them."""

from dataclasses import asdict, dataclass
from pathlib import Path

from groundtune.common.files import read_json, write_json


@dataclass(frozen=True, slots=True)
class Fitted:
    """Fitted values. None means not fitted: the package default applies."""

    dense_weight: float | None = None
    dense_weight_n: int = 0
    """Number of train questions behind the weight."""
    threshold: float | None = None
    threshold_n: int = 0
    """Number of train and validation questions behind the threshold."""
    threshold_rule: str = ""
    coverage: float | None = None
    """Share of those questions that are answered at the threshold."""
    risk: float | None = None
    """Share of wrong answers among those given at the threshold."""


def read_fitted(path: Path) -> Fitted:
    """Read the fitted values; empty when the file does not exist. Raises MissingError when it is damaged."""
    return Fitted(**read_json(path)) if path.exists() else Fitted()


def write_fitted(path: Path, fitted: Fitted) -> None:
    write_json(path, asdict(fitted))
