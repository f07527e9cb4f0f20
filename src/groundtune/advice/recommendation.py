"""Recommend an approach for a situation, with reasons, and find the answers on which the recommendation hangs."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from groundtune.advice.conditions import holds
from groundtune.advice.situation import Situation, alternatives

RecommendedApproach = Literal["prompt", "rag", "fine-tune", "both"]
WITHOUT_DOCUMENTS = ("classify", "extract", "write")
"""Tasks that need no documents by themselves: without any reason prompting comes first."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason with its source."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Flip:
    """Another answer to one question, and the recommendation that it would lead to."""

    question: str
    answer: Any
    approach: RecommendedApproach
    known: bool
    """Whether the question has been answered."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """An approach for a situation."""

    approach: RecommendedApproach
    reasons: tuple[Reason, ...]
    """Empty where nothing decides: the approach is then only where to start."""
    against: tuple[Reason, ...]
    """Why training is not recommended now, although something speaks for it."""
    steps: tuple[str, ...]
    flips: tuple[Flip, ...]

    @property
    def hangs_on(self) -> tuple[str, ...]:
        """The questions of which another answer changes the recommendation, those without an answer first."""
        return tuple(dict.fromkeys(flip.question for flip in self.flips))


def recommend(situation: Situation) -> Recommendation:
    """Weigh what speaks for retrieval and for training."""
    approach, reasons, against = _weigh(situation)
    return Recommendation(approach, reasons, against, _steps(approach, situation), tuple(_flips(situation, approach)))


def applying(section: Literal["mistakes", "conflicts", "options"], situation: Situation) -> list[dict[str, str]]:
    """Return the entries of a section of recommendation.toml whose condition holds, without the condition."""
    return [
        {key: value for key, value in entry.items() if key != "when"}
        for entry in _table()[section]
        if holds(entry["when"], situation)
    ]


@cache
def _table() -> dict[str, list[dict[str, Any]]]:
    return tomllib.loads((files("groundtune.advice") / "recommendation.toml").read_text(encoding="utf-8"))


def _weigh(situation: Situation) -> tuple[RecommendedApproach, tuple[Reason, ...], tuple[Reason, ...]]:
    entries = [entry for entry in _table()["reasons"] if holds(entry["when"], situation)]
    sides = {
        side: tuple(Reason(entry["because"], entry["source"]) for entry in entries if entry["for"] == side)
        for side in ("retrieval", "training")
    }
    retrieval, training = sides["retrieval"], sides["training"]
    held = tuple(
        Reason(entry["because"], entry["source"]) for entry in _table()["holds"] if holds(entry["when"], situation)
    )
    if training and not held:
        return ("both", retrieval + training, ()) if retrieval else ("fine-tune", training, ())
    against = held if training else ()
    if retrieval:
        return "rag", retrieval, against
    return ("prompt" if situation.task in WITHOUT_DOCUMENTS or training else "rag"), (), against


def _flips(situation: Situation, approach: RecommendedApproach) -> Iterator[Flip]:
    """Change one answer at a time. Questions without an answer come first."""
    known = situation.known()
    for name in sorted(Situation.model_fields, key=lambda name: name in known):
        for value in alternatives(name):
            if value == known.get(name):
                continue
            other, _, _ = _weigh(situation.model_copy(update={name: value}))
            if other != approach:
                yield Flip(name, value, other, name in known)


def _steps(approach: RecommendedApproach, situation: Situation) -> tuple[str, ...]:
    first = "Keep your best prompt as the baseline" if situation.prompting_exhausted else "Prompt first"
    prompting = f"{first}: clear rules, the nearest examples in the prompt (fewshot)"
    prompting += ", and decoding held to the schema (constrained)." if situation.task == "extract" else "."
    steps = [prompting]
    if approach in ("rag", "both"):
        steps.append("Retrieve: index the documents and measure retrieval on its own before any model.")
    if approach in ("fine-tune", "both"):
        steps.append(_training_step(approach, situation))
    if approach == "both":
        steps.append("Combine only if each alone has hit its limit: the comparison shows what the combination adds.")
    elif approach == "rag":
        steps.append("Add training only when you can say what it would add, and let the comparison show that it does.")
    steps.append("Compare all of them on the same questions, and use what the verdict recommends.")
    return tuple(steps)


def _training_step(approach: RecommendedApproach, situation: Situation) -> str:
    if situation.task == "classify":
        return "Train a small encoder on the labelled examples: seconds for a probe, minutes for all weights."
    if approach == "both":
        return "Train on replies over retrieved passages, so that form is learnt and facts stay in the documents."
    return "Train a small model on replies (LoRA), with examples held back to measure it."
