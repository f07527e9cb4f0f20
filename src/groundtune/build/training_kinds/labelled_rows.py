"""Build rows that pair an input with its gold output, for models that do not generate text."""

from collections.abc import Sequence
from typing import Any

from groundtune.tune.job import TrainingRow
from groundtune.types import Example


def labelled_rows(examples: Sequence[Example]) -> list[TrainingRow]:
    """Return one row per example, with its label or object."""
    return [TrainingRow(example.id, example.input, first_output(example.output)) for example in examples]


def first_output(output: Any) -> Any:
    """Return the first of several gold outputs."""
    return output[0] if isinstance(output, list) and output else output
