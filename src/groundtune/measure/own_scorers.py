"""Add scorers of packages and of the caller to those of the task."""

import math
from collections.abc import Mapping, Sequence

from groundtune.errors import UsageError
from groundtune.extensions import Score, load_extensions
from groundtune.measure.scoring import Scorer, ScorerError
from groundtune.types import Answer, Example


def own_scorers(chosen: Sequence[str | Score]) -> dict[str, Score]:
    """Map the names of scores to their functions. A function is named by its `name`, else by its `__name__`.

    Raises UsageError for a name that no package adds, for two of one name, and for what is no function.
    """
    scorers: dict[str, Score] = {}
    for choice in chosen:
        if isinstance(choice, str):
            known = (extensions := load_extensions()).scorers
            if choice not in known:
                installed = f"installed: {', '.join(sorted(known)) or 'none'}"
                raise UsageError(f"no scorer {choice!r}", hint="; ".join([installed, *extensions.broken.values()]))
            name, function = choice, known[choice]
        else:
            name, function = str(getattr(choice, "name", "") or getattr(choice, "__name__", "")), choice
        if not callable(function) or not name.isidentifier():
            raise UsageError(
                f"{choice!r} is no scorer", hint="a scorer is a named function (answer, example) -> 0 to 1, or None"
            )
        if scorers.get(name, function) is not function:
            raise UsageError(f"two scorers have the name {name!r}", hint="give them different names")
        scorers[name] = function
    return scorers


def with_scorers(score: Scorer, added: Mapping[str, Score]) -> Scorer:
    """Return a scorer that also computes the added scores.

    If one fails or returns a value outside 0 to 1, the scorer raises ScorerError with the other scores.
    """
    if not added:
        return score

    def both(answer: Answer, example: Example) -> dict[str, float]:
        scores = score(answer, example)
        failures: list[str] = []
        for name, function in added.items():
            if name in scores:
                raise UsageError(f"the scorer {name!r} has the name of a score of the task", hint="rename it")
            try:
                value = function(answer, example)
            except Exception as error:  # noqa: BLE001  the caller's code may raise anything
                failures.append(f"the scorer {name!r} failed: {type(error).__name__}: {error}")
                continue
            if value is None:
                continue
            if not isinstance(value, bool | int | float) or not math.isfinite(value) or not 0 <= value <= 1:
                failures.append(f"the scorer {name!r} returned {value!r}, which is not between 0 and 1")
                continue
            scores[name] = float(value)
        if failures:
            raise ScorerError("; ".join(failures), scores)
        return scores

    return both
