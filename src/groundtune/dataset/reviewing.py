"""What people decided about examples that a program drafted: who has looked at what. Never decides anything itself."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from groundtune.common.text import format_count
from groundtune.dataset.examples import STATES
from groundtune.dataset.new_examples import DRAFTED
from groundtune.errors import ConfigError, MissingError, Problem
from groundtune.types import Example, Review


def is_unreviewed(example: Example) -> bool:
    """Whether a program drafted the example and nobody has looked at it."""
    return example.origin == DRAFTED and example.review is None


def is_rejected(example: Example) -> bool:
    """Whether a person rejected the example, so that nothing may be measured or trained with it."""
    return example.review is not None and example.review.state == "rejected"


def unreviewed_sentence(examples: Sequence[Example]) -> str | None:
    """Return the sentence that every figure on drafted examples which nobody looked at must carry; None without any."""
    count = sum(map(is_unreviewed, examples))
    if not count:
        return None
    verb = "was" if count == 1 else "were"
    questions = format_count(len(examples), "question")
    return f"{count:,} of {questions} {verb} drafted by a program and not looked at by anyone."


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided about one draft."""

    id: str
    review: Review
    input: str | None = None
    """Of an edited draft; None keeps the drafted one. `output` of one that is not edited is ignored."""
    output: str | None = None


def decide(example: Example, decision: Decision) -> Example:
    """Return the draft with the decision, and with what an edit changed."""
    if decision.review.state != "edited":
        return replace(example, review=decision.review)
    return replace(
        example, review=decision.review, input=decision.input or example.input, output=decision.output or None
    )


def read_decisions(path: Path) -> list[Decision]:
    """Read the decisions that the page of a review saved. Raises MissingError, ConfigError with every problem."""
    if not path.is_file():
        raise MissingError(f"no file with decisions {path}", hint="save them with the button of the page")
    try:
        rows = json.loads(path.read_bytes().decode("utf-8-sig"))["decisions"]
        rows = list(rows)
    except (ValueError, KeyError, TypeError) as error:
        problem = Problem(path, "not the decisions of a review", hint="save them with the button of the page")
        raise ConfigError([problem]) from error
    problems: list[Problem] = []
    decisions: list[Decision] = []
    for number, row in enumerate(rows, start=1):
        try:
            state, texts = row["state"], [row["id"], row["by"], row["time"], row.get("input") or ""]
            if state not in STATES or not all(isinstance(text, str) for text in (*texts, row.get("output") or "")):
                raise ValueError(state)
        except (ValueError, KeyError, TypeError, AttributeError):
            hint = f'write {{"id": …, "state": …, "by": …, "time": …}}; state: {", ".join(STATES)}'
            problems.append(Problem(path, f"decision {number} is not one", hint=hint))
            continue
        decisions.append(
            Decision(row["id"], Review(state, row["by"], row["time"]), row.get("input"), row.get("output"))
        )
    if problems:
        raise ConfigError(problems)
    return decisions
