"""Read and write the values fitted on the project's examples, with the number of examples behind them."""

from dataclasses import asdict, dataclass
from pathlib import Path

from groundtune.common.files import read_json, write_json
from groundtune.common.format_version import check_version, versioned
from groundtune.errors import MissingError

FITTED_FORMAT = 1
_REFIT = "delete it, then groundtune evaluate --fit"


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
    """Read the fitted values; empty when the file does not exist.

    Raises MissingError when it is damaged, FormatError when another version of groundtune wrote it.
    """
    if not path.exists():
        return Fitted()
    values = check_version(read_json(path), path=path, supported=FITTED_FORMAT, rebuild=_REFIT)
    try:
        return Fitted(**values)
    except TypeError as error:
        raise MissingError(f"{path} is damaged: {error}", hint=_REFIT) from None


def write_fitted(path: Path, fitted: Fitted) -> None:
    write_json(path, versioned(asdict(fitted), FITTED_FORMAT))
