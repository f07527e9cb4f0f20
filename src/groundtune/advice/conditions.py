"""Evaluate a condition of a guide on a situation. What is not known makes a condition neither true nor false."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from groundtune.advice.situation import Situation

Condition = Mapping[str, Any]
"""Maps questions to what is asked of them, all of which must hold: a value, a list of values of which one must be the
answer, or a table of bounds such as `{below = 1}`."""
BOUNDS: Mapping[str, Callable[[Any, Any], bool]] = {"below": operator.lt, "from": operator.ge}


def holds(condition: Condition, situation: Situation) -> bool | None:
    """Whether the condition holds; None when a question that decides it has no answer."""
    results = [_holds(asked, getattr(situation, name)) for name, asked in condition.items()]
    if False in results:
        return False
    return None if None in results else True


def check_condition(condition: Condition) -> str | None:
    """Return what is wrong with a condition, or None."""
    for name, asked in condition.items():
        if name not in Situation.model_fields:
            return f"{name!r} is no question (questions: {', '.join(Situation.model_fields)})"
        if isinstance(asked, Mapping) and (not asked or set(asked) - set(BOUNDS)):
            return f"{name} takes the bounds {' and '.join(BOUNDS)}"
    return None


def _holds(asked: Any, answer: Any) -> bool | None:
    if answer is None:
        return None
    if isinstance(asked, Mapping):
        return all(BOUNDS[bound](answer, limit) for bound, limit in asked.items())
    wanted = list(asked) if isinstance(asked, Sequence) and not isinstance(asked, str) else [asked]
    given = answer if isinstance(answer, tuple) else (answer,)
    return any(value in wanted for value in given)
