"""Say what to do about signals that have changed. Decides by names and directions alone; computes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from groundtune.drift.signals import DriftSignal

Kind = Literal["label", "re-index", "retrain", "compare", "look"]


@dataclass(frozen=True, slots=True)
class ToLabel:
    """A served question that is worth a gold answer."""

    id: str
    """Id of its answer."""
    time: str
    question: str


@dataclass(frozen=True, slots=True)
class DriftAction:
    """One thing to do."""

    kind: Kind
    text: str
    command: str
    because: tuple[str, ...]
    """Names of the signals."""


WORSE = {
    "retrieval score": False,
    "confidence": False,
    "canary": False,
    "abstained": True,
    "unsupported citation": True,
    "rated down": True,
    "seconds": True,
    "cost": True,
    "another stood in": True,
    "broken off": True,
}
"""Whether a higher value is the worse one."""
OF_QUALITY = ("confidence", "canary", "abstained", "unsupported citation", "rated down")
OF_SERVICE = ("seconds", "cost", "another stood in", "broken off")


def advise(signals: Sequence[DriftSignal], *, trained: bool, to_label: int) -> list[DriftAction]:
    """Return what to do, the first thing first.

    trained: whether the approach has a model that was trained here. to_label: questions that are listed for labelling.
    """
    changed = [signal for signal in signals if signal.measurable]
    asked = [signal.reference for signal in changed if signal.name == "questions"]
    worse = [signal.name for signal in changed if signal.name in WORSE and signal.rises == WORSE[signal.name]]
    actions = []
    if asked:
        others = "those that were compared" if "comparison" in asked else "before"
        actions.append(
            DriftAction(
                "label",
                f"label these {to_label:,}: people ask other questions than {others}",
                "groundtune examples import FILE",
                ("questions",),
            )
        )
    if "retrieval score" in worse and not asked:
        text = "re-index: the same kind of question finds less in the documents"
        actions.append(DriftAction("re-index", text, "groundtune ingest", ("retrieval score",)))
    elif "retrieval score" in worse:
        text = "the documents hold less about the questions of today: see which they do not answer"
        actions.append(DriftAction("look", text, "groundtune gaps", ("retrieval score", "questions")))
    if quality := tuple(name for name in OF_QUALITY if name in worse):
        if trained:
            actions.append(
                DriftAction("retrain", "retrain: answers have become worse", "groundtune tune NAME", quality)
            )
        else:
            actions.append(
                DriftAction("compare", "compare again: answers have become worse", "groundtune compare", quality)
            )
    if service := tuple(name for name in OF_SERVICE if name in worse):
        text = "look at the model's server: answers take longer, cost more, or break off"
        actions.append(DriftAction("look", text, "groundtune check", service))
    named = {name for action in actions for name in action.because}
    if better := tuple(dict.fromkeys(signal.name for signal in changed if signal.name not in named)):
        text = "a change for the better; know where it comes from, since the comparison does not hold for it"
        actions.append(DriftAction("look", text, "groundtune report --verify", better))
    return actions
