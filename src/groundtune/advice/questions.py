"""Read the questions that are asked of a person. Asks nobody."""

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, Literal

Question = dict[str, Any]
"""`name` of a field of Situation, `text`, and `choices`, each with `label` and `value`."""


def questions(kind: Literal["questions", "further"] = "questions") -> Sequence[Question]:
    """Return the questions, the most telling first. further: those that a terminal leaves out."""
    text = (files("groundtune.advice") / "questions.toml").read_text(encoding="utf-8")
    return list(tomllib.loads(text)[kind])
