"""Values fitted on the project's own examples, with what they were fitted on. Reads and writes one small file."""

from dataclasses import asdict, dataclass
from pathlib import Path

from groundtune.workspace import read_json, write_json


@dataclass(frozen=True, slots=True)
class Fitted:
    """None means not fitted: the default of the package holds."""

    dense_weight: float | None = None
    dense_weight_n: int = 0
    """Questions of the train split behind the weight."""
    threshold: float | None = None
    threshold_n: int = 0
    """Questions of the train and validation splits behind the threshold."""
    threshold_rule: str = ""
    coverage: float | None = None
    """Share of those questions that the threshold lets through."""
    risk: float | None = None
    """Share of the answers let through that were wrong."""


def read_fitted(path: Path) -> Fitted:
    """Nothing is fitted when there is no such file. Raises MissingError when it is damaged."""
    return Fitted(**read_json(path)) if path.exists() else Fitted()


def write_fitted(path: Path, fitted: Fitted) -> None:
    write_json(path, asdict(fitted))
