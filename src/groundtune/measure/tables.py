"""Scores by label and by field. score_tables.py computes them."""

from dataclasses import dataclass


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
