"""The figures of a run, kept beside its matrix: all that does not depend on what is required of the approaches.

`figures.json` holds them with a digest of the matrix, of its examples and conditions, and of the code that computed
them. Where any of these has changed, they are computed again: the matrix decides.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from groundtune.common.files import read_json, write_atomic
from groundtune.common.format_version import versioned
from groundtune.errors import GroundtuneError
from groundtune.measure.best_of_each import BestOfEach
from groundtune.measure.tables import (
    CauseShare,
    ClassScore,
    ClassTable,
    ErrorsAsWrong,
    Failures,
    FieldScore,
    FieldTable,
)
from groundtune.types import ApproachSummary, Difference, Interval

FILE = "figures.json"
FORMAT = 1
CODE = ("groundtune.measure", "groundtune.stats", "groundtune.workflows")
"""Packages that compute figures; of the last, two modules do."""
MODULES = ("figures.py", "measuring.py")

TagRow = tuple[str, int, Mapping[str, Interval]]
"""A tag, its number of examples, and the mean of each approach on them."""


@dataclass(frozen=True, slots=True)
class MeanUse:
    """What an approach uses for a request, on average over its answers; None where that of any is unknown."""

    usd: float | None
    machine_seconds: float | None
    """Seconds of a machine: of a batch, the share of one answer."""
    input_tokens: float | None
    cached_tokens: float | None
    """Those among `input_tokens` that were cached."""
    output_tokens: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What the rows of a matrix say."""

    primary: str
    n: int
    """Examples in the matrix."""
    groups: int | None
    """Independent groups of examples, where the intervals are by group."""
    approaches: tuple[ApproachSummary, ...]
    """Their prices are those of the requests, without trainings."""
    differences: tuple[Difference, ...]
    use: Mapping[str, MeanUse]
    """By approach."""
    errors: Mapping[str, str]
    """The message of the first error of each approach that has any."""
    errors_as_wrong: ErrorsAsWrong | None
    """The deciding score where every error scores 0; None without an error."""
    training_means: Mapping[str, Sequence[float]]
    """Approach to the mean of each of its trainings, where there are several."""
    failures: Mapping[str, Failures] = field(default_factory=dict)
    """By approach; of several trainings, those of the newest."""
    wording_caveats: tuple[str, ...] = ()
    """What is to be known about a score that compares words."""
    warning_caveats: tuple[str, ...] = ()
    """Warnings of the rows."""
    unreviewed: int = 0
    """Number of examples that a program drafted and nobody looked at."""
    unreviewed_sentence: str | None = None
    tags: tuple[TagRow, ...] = ()
    wrong_tags: tuple[TagRow, ...] = ()
    """Of `asserted_wrong`."""
    classes: Mapping[str, ClassTable] = field(default_factory=dict)
    """Tables of the classify task, by approach."""
    fields: Mapping[str, FieldTable] = field(default_factory=dict)
    """Tables of the extract task, by approach."""
    best_of_each: BestOfEach | None = None
    """What asking the best approach for each question would reach."""


def figures_key(folder: Path, about: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return a digest of all that figures are computed from. names: of the files of the run that are read."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for package in CODE:
        for module in sorted(files(package).iterdir(), key=lambda module: module.name):
            if module.name.endswith(".py") and (package != CODE[-1] or module.name in MODULES):
                digest.update(module.read_bytes())
    for path in (folder / name for name in names):
        digest.update(path.read_bytes() if path.exists() else b"none")
    return digest.hexdigest()


def read_figures(folder: Path, key: str) -> Figures | None:
    """Return the figures that were kept, or None when there are none that were computed from the same."""
    try:
        kept = read_json(folder / FILE)
        if kept["format"] != FORMAT or kept["key"] != key:
            return None
        return _figures(kept["figures"])
    except (GroundtuneError, KeyError, TypeError):  # absent or damaged: they are computed again
        return None


def keep_figures(folder: Path, key: str, figures: Figures) -> None:
    """Write figures beside the matrix; a folder that cannot be written keeps none."""
    kept = json.dumps(versioned({"key": key, "figures": asdict(figures)}, FORMAT))  # approaches stay in their order
    with contextlib.suppress(OSError):
        write_atomic(folder / FILE, kept)


def _figures(kept: Mapping[str, Any]) -> Figures:
    return Figures(
        **{
            **kept,
            "approaches": tuple(
                ApproachSummary(**{**row, "metrics": _each(_interval, row["metrics"])}) for row in kept["approaches"]
            ),
            "differences": tuple(Difference(**row) for row in kept["differences"]),
            "errors_as_wrong": _errors_as_wrong(kept["errors_as_wrong"]),
            "use": _each(lambda row: MeanUse(**row), kept["use"]),
            "failures": _each(_failures, kept["failures"]),
            "wording_caveats": tuple(kept["wording_caveats"]),
            "warning_caveats": tuple(kept["warning_caveats"]),
            **{name: tuple(map(_tag_row, kept[name])) for name in ("tags", "wrong_tags")},
            "classes": _each(_class_table, kept["classes"]),
            "fields": _each(_field_table, kept["fields"]),
            "best_of_each": BestOfEach(**kept["best_of_each"]) if kept["best_of_each"] else None,
        }
    )


def _each(read: Callable[[Any], Any], rows: Mapping[str, Any]) -> dict[str, Any]:
    return {name: read(row) for name, row in rows.items()}


def _errors_as_wrong(row: Mapping[str, Any] | None) -> ErrorsAsWrong | None:
    if row is None:
        return None
    return ErrorsAsWrong(_each(_interval, row["means"]), tuple(Difference(**each) for each in row["differences"]))


def _interval(row: Mapping[str, Any]) -> Interval:
    return Interval(**row)


def _tag_row(row: Sequence[Any]) -> TagRow:
    tag, n, means = row
    return tag, n, _each(_interval, means)


def _failures(row: Mapping[str, Any]) -> Failures:
    causes = (
        CauseShare(**{**cause, "share": _interval(cause["share"]), "examples": tuple(cause["examples"])})
        for cause in row["causes"]
    )
    return Failures(**{**row, "causes": tuple(causes)})


def _class_table(row: Mapping[str, Any]) -> ClassTable:
    scores = tuple(ClassScore(**score) for score in row["per_class"])
    confusion = tuple(map(tuple, row["confusion"]))
    return ClassTable(**{**row, "labels": tuple(row["labels"]), "confusion": confusion, "per_class": scores})


def _field_table(row: Mapping[str, Any]) -> FieldTable:
    return FieldTable(**{**row, "per_field": tuple(FieldScore(**score) for score in row["per_field"])})
