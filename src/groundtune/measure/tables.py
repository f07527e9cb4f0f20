"""Scores by label and by field, which score_tables.py computes, and failures by cause, which failures.py counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from groundtune.types import Difference, Interval


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Scores of one label; n = examples with this gold label."""

    label: str
    precision: float
    recall: float
    f1: float
    n: int


@dataclass(frozen=True, slots=True)
class ClassTable:
    """Gold labels against predicted labels."""

    labels: tuple[str, ...]
    """Order of rows and columns: labels that occur as gold or predicted, then ABSTAINED, then OTHER."""
    confusion: tuple[tuple[int, ...], ...]
    """Rows are gold, columns predicted; the row of OTHER is all 0."""
    per_class: tuple[ClassScore, ...]
    """Scores of each label, and of ABSTAINED if any example should abstain. OTHER is not a class."""
    accuracy: float | None
    """Share of correct rows; abstaining is correct if the gold output is None. None when n is 0."""
    macro_f1: float | None
    """Mean F1 over `per_class`; None when n is 0."""
    n: int
    """Rows with an answer or abstention; those whose judge failed are among them."""
    errors: int
    """Rows left out of all other figures."""


@dataclass(frozen=True, slots=True)
class FieldScore:
    """Scores of one field, with a path like `lines[].price`; n = gold leaves at that path."""

    field: str
    precision: float
    recall: float
    f1: float
    n: int


@dataclass(frozen=True, slots=True)
class FieldTable:
    """Fields of the gold objects against fields of the outputs."""

    per_field: tuple[FieldScore, ...]
    """Scores of every field in any gold object or output, ordered by path."""
    precision: float
    """Micro-averaged precision, over the leaves of all rows; `recall` and `f1` too."""
    recall: float
    f1: float
    macro_f1: float | None
    """Mean F1 over `per_field`; None when there is no field."""
    exact: float | None
    """Share of rows that match exactly, or abstain if the gold output is None. None when n is 0."""
    valid: float | None
    """Share of answered rows that satisfy the schema; None when nothing was answered or validity was not scored."""
    answered: int
    n: int
    """Rows with an answer or abstention; those whose judge failed are among them."""
    errors: int
    """Rows left out of all other figures."""


Cause = Literal[
    "cut off",
    "format wrong",
    "error",
    "should have abstained",
    "unknown",
    "evidence not retrieved",
    "abstained wrongly",
    "retrieved but not used",
    "used but the answer wrong",
    "answer wrong",
    "right but uncited",
]
CAUSES: tuple[Cause, ...] = get_args(Cause)
"""In the order in which they are looked for."""


@dataclass(frozen=True, slots=True)
class CauseShare:
    """The rows of an approach that fail for one cause."""

    cause: Cause
    count: int
    share: Interval
    """Share of all rows of the approach."""
    examples: tuple[str, ...]
    """Ids of the first three."""


@dataclass(frozen=True, slots=True)
class ErrorsAsWrong:
    """The figures of the deciding score where every error scores 0."""

    means: Mapping[str, Interval]
    """By approach."""
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Failures:
    """Why an approach fails. The causes exclude each other, and their counts add up."""

    n: int
    """All rows of the approach, errors included."""
    causes: tuple[CauseShare, ...]
    """Those that occur, most frequent first."""
    takes_passages: bool | None
    """Whether passages are part of its prompts; None where the rows, of an older version, do not say it."""
    states_confidence: bool
    missed: str | None = None
    """Why evidence is missing from its prompts most often, in the words of `groundtune evaluate`."""

    @property
    def count(self) -> int:
        """Number of rows that fail."""
        return sum(each.count for each in self.causes)
