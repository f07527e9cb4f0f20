"""Choose the confidence threshold below which to abstain, from the project's own examples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from groundtune.common.conversations import question_of
from groundtune.config import Config
from groundtune.display import Block, Displayed, Line
from groundtune.measure.metrics import score_answer
from groundtune.protocols import Approach
from groundtune.stats.risk_coverage import OperatingPoint, choose_threshold, risk_coverage
from groundtune.types import Example

TOO_FEW = 20
"""Minimum number of examples for choosing a threshold."""


@dataclass(frozen=True, slots=True)
class Calibration(Displayed):
    """The risk-coverage curve of one approach and the point chosen on it."""

    point: OperatingPoint
    rule: str
    n: int
    curve: tuple[OperatingPoint, ...]

    def view(self) -> list[Block]:
        """Return the threshold and what follows from it."""
        point = self.point
        return [
            Line(f"Abstention threshold {point.threshold:.2f} from {self.n:,} examples ({self.rule})", "strong"),
            Line(f"answers {point.coverage:.0%} of them; {point.risk:.0%} of these answers are wrong", indent=1),
        ]


def calibration_examples(examples: Sequence[Example]) -> list[Example]:
    """Return the train and validation examples, or none if there are too few answerable or unanswerable ones.

    Never reads the test split.
    """
    chosen = [example for example in examples if example.split != "test"]
    unanswerable = sum(example.output is None for example in chosen)
    enough = len(chosen) >= TOO_FEW and 0 < unanswerable < len(chosen)
    return chosen if enough else []


async def calibrate(
    approach: Approach, examples: Sequence[Example], config: Config, *, progress: Callable[[int], None] = lambda _: None
) -> Calibration | None:
    """Answer every example without a threshold, then choose one; None when the approach gives no confidence."""
    confidences: list[float] = []
    right: list[float] = []
    for number, example in enumerate(examples, start=1):
        answer = await approach.answer(question_of(example))
        if answer.confidence is None:
            return None
        answered = answer.status == "answered" and example.output is not None
        confidences.append(answer.confidence)
        right.append(score_answer(answer, example)["correct"] if answered else 0.0)
        progress(number)
    curve = risk_coverage(confidences, right)
    point, rule = _choose(curve, [example.output is not None for example in examples], confidences, right, config)
    return Calibration(point, rule, len(examples), tuple(curve))


def _choose(
    curve: Sequence[OperatingPoint],
    answerable: Sequence[bool],
    confidences: Sequence[float],
    right: Sequence[float],
    config: Config,
) -> tuple[OperatingPoint, str]:
    answers = config.answers
    if answers.max_risk is not None and (point := choose_threshold(curve, max_risk=answers.max_risk)):
        return point, f"at most {answers.max_risk:.0%} of answers wrong"
    if answers.min_coverage is not None and (point := choose_threshold(curve, min_coverage=answers.min_coverage)):
        return point, f"at least {answers.min_coverage:.0%} of questions answered"

    def outcomes(point: OperatingPoint) -> float:
        """Correct answers given, plus abstentions on questions that the documents do not answer."""
        return sum(
            correct if confidence >= point.threshold else not has_answer
            for confidence, correct, has_answer in zip(confidences, right, answerable, strict=True)
        )

    return max(curve, key=outcomes), "most right outcomes"
