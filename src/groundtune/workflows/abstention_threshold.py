"""Choose the confidence below which one approach abstains, from its answers to examples. Saves nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from groundtune.common.answers import request_answer
from groundtune.common.conversations import question_of
from groundtune.common.event_loop import run_workers
from groundtune.config import Config
from groundtune.config.fitted_values import MOST_RIGHT
from groundtune.dataset.reviewing import unreviewed_sentence
from groundtune.display import Block, Displayed, Line
from groundtune.errors import BudgetError, GroundtuneError
from groundtune.measure.scoring import Scorer
from groundtune.protocols import Approach, HasThreshold
from groundtune.stats.inputs import Floats
from groundtune.stats.logits import logistic
from groundtune.stats.platt import fit_platt
from groundtune.stats.risk_coverage import OperatingPoint, choose_threshold, risk_coverage
from groundtune.types import Answer, Example
from groundtune.workflows.fitted_sentences import threshold_sentence

TOO_FEW = 20
"""Minimum number of examples for choosing a threshold."""
NO_CONFIDENCE = "no confidence is stated"
HALF = 0.5
"""Score from which an answer counts as right."""
LEAST = 1e-6
"""Confidences are taken as at least this, and at most 1 less this."""
MAX_FAILED = 0.2
"""Largest share of failed questions; above it, the others are not representative."""

Progress = Callable[[str, int, int], None]
"""Called after each question with the approach, the questions done, and their total."""


@dataclass(frozen=True, slots=True)
class Calibration(Displayed):
    """The risk-coverage curve of one approach and the point chosen on it."""

    point: OperatingPoint
    rule: str
    n: int
    curve: tuple[OperatingPoint, ...]
    approach: str
    unreviewed_sentence: str | None = None
    """That nobody looked at some of the questions, which a program drafted; None if that is not so."""

    @property
    def sentence(self) -> str:
        """The threshold, what follows from it, and whether nobody looked at its questions."""
        point = self.point
        fitted = threshold_sentence(
            self.approach, point.threshold, n=self.n, rule=self.rule, coverage=point.coverage, risk=point.risk
        )
        return f"{fitted} {self.unreviewed_sentence}" if self.unreviewed_sentence else fitted

    def view(self) -> list[Block]:
        return [Line(self.sentence)]


@dataclass(frozen=True, slots=True)
class Uncalibrated(Displayed):
    """Why no threshold can be chosen."""

    reason: str
    """Worded to follow "No abstention threshold: "."""

    def view(self) -> list[Block]:
        return [Line(f"No abstention threshold: {self.reason}")]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How an approach answered one example without a threshold."""

    confidence: float
    answered: bool
    """Whether it answered rather than abstained by itself."""
    correct: float
    """Whether the answer, or the abstention, is right."""
    has_answer: bool
    """Whether the example has an answer, so that abstaining would be wrong."""


async def calibrate(
    approach: Approach,
    examples: Sequence[Example],
    config: Config,
    score: Scorer,
    *,
    concurrency: int = 1,
    progress: Progress = lambda *_: None,
) -> Calibration | Uncalibrated:
    """Answer every example without a threshold, then choose one. Failed questions are left out.

    The first answer of a model says whether there is a confidence at all; if not, nothing more is asked. Raises
    BudgetError when the next call might exceed the budget, after waiting for the calls in progress.
    """
    if isinstance(approach, HasThreshold):
        approach = approach.with_threshold(0.0)
    outcomes: list[_Outcome] = []
    failures: list[GroundtuneError] = []
    stopped: list[BudgetError] = []
    waiting = iter(examples)

    async def ask(example: Example) -> Answer | None:
        try:
            answer = await request_answer(approach, question_of(example))
        except BudgetError as error:
            stopped.append(error)
            return None
        except GroundtuneError as error:
            failures.append(error)
            return None
        if answer.confidence is not None:
            right = score(answer, example).get("correct", 0.0)
            answered = answer.status == "answered"
            outcomes.append(_Outcome(answer.confidence, answered, right, example.output is not None))
        progress(approach.name, len(outcomes) + len(failures), len(examples))
        return answer

    def ends() -> bool:
        return bool(stopped) or len(failures) > MAX_FAILED * len(examples)

    for example in waiting:
        answer = await ask(example)
        if answer and answer.confidence is None:
            return Uncalibrated(NO_CONFIDENCE)
        if ends() or (answer and answer.trace.model):
            break

    async def work() -> None:
        for example in waiting:
            if ends():
                return
            await ask(example)

    await run_workers(work, max(1, concurrency))
    if stopped:
        raise stopped[0]
    if ends():
        asked = len(outcomes) + len(failures)
        return Uncalibrated(f"{len(failures):,} of {asked:,} questions failed, the first: {failures[0].message}")
    return _calibration(approach.name, outcomes, config, unreviewed_sentence(examples))


def _calibration(
    name: str, outcomes: Sequence[_Outcome], config: Config, unreviewed: str | None
) -> Calibration | Uncalibrated:
    answered = [outcome for outcome in outcomes if outcome.answered]
    if len(outcomes) < TOO_FEW:
        return Uncalibrated(f"only {len(outcomes):,} answers state a confidence, and {TOO_FEW} are needed")
    if not answered:
        return Uncalibrated(f"it answered none of the {len(outcomes):,} questions")
    curve = [
        replace(point, coverage=point.n / len(outcomes))
        for point in risk_coverage([each.confidence for each in answered], [each.correct for each in answered])
    ]
    point, rule = _choose(curve, answered, config)
    return Calibration(point, rule, len(outcomes), tuple(curve), name, unreviewed)


def _choose(
    curve: Sequence[OperatingPoint], answered: Sequence[_Outcome], config: Config
) -> tuple[OperatingPoint, str]:
    answers = config.answers
    if answers.max_risk is not None and (point := choose_threshold(curve, max_risk=answers.max_risk)):
        return point, f"at most {answers.max_risk:.0%} of answers wrong"
    if answers.min_coverage is not None and (point := choose_threshold(curve, min_coverage=answers.min_coverage)):
        return point, f"at least {answers.min_coverage:.0%} of questions answered"

    return _most_right(curve, answered), MOST_RIGHT


def _most_right(curve: Sequence[OperatingPoint], answered: Sequence[_Outcome]) -> OperatingPoint:
    """Return the point from which on an answer is more likely to be right than the question to have no answer.

    Wrong answers to other questions do not matter: they are not right at any threshold. The likelihood is a logistic
    curve, because which of many thresholds is the best on a hundred examples is largely a matter of chance.
    """
    right = _log_odds([each for each in answered if each.has_answer and each.correct >= HALF])
    no_answer = _log_odds([each for each in answered if not each.has_answer])
    slope, intercept = fit_platt(right, no_answer) if right.size and no_answer.size else (0.0, 0.0)
    all_or_none = float(len(right) < len(no_answer))  # where the confidence does not tell them apart
    threshold = float(logistic(-intercept / slope)) if slope > 0 else all_or_none
    point = [point for point in curve if point.threshold >= threshold][-1:] or [curve[0]]
    everything = point[0].n == len(answered)
    return replace(point[0], threshold=0.0 if everything else min(threshold, point[0].threshold))


def _log_odds(outcomes: Sequence[_Outcome]) -> Floats:
    confidences = np.clip([each.confidence for each in outcomes], LEAST, 1 - LEAST)
    return cast(Floats, np.log(confidences / (1 - confidences)))
