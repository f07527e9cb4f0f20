"""A threshold follows the demand that is set, and counts what an approach abstains from by itself."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from groundtune.config import Config
from groundtune.config.fitted_values import MOST_RIGHT
from groundtune.errors import BudgetError, ProviderError
from groundtune.measure.metrics import score_answer
from groundtune.types import Answer, Example, Question, Trace
from groundtune.workflows.abstention_threshold import Calibration, Uncalibrated, calibrate

CONFIG = Config(name="x")


class Knows:
    """Right with high confidence where it knows, wrong with low confidence elsewhere, with two slips."""

    name = "knows"

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def answer(self, question: Question) -> Answer:
        self.asked.append(question.text)
        confidence, _, text = question.text.partition(" ")
        return Answer(text, "answered", confidence=float(confidence), trace=Trace(model="m"))


def example(number: int, confidence: float, *, right: bool, answerable: bool = True) -> Example:
    output = ("yes" if right else "no") if answerable else None
    return Example(f"e{number}", f"{confidence} yes", output, split="train")


EXAMPLES = [
    *(example(n, 0.9 - n / 100, right=True) for n in range(10)),
    example(10, 0.85, right=False),
    *(example(20 + n, 0.3 - n / 100, right=False) for n in range(5)),
    *(example(30 + n, 0.4 - n / 100, right=False, answerable=False) for n in range(5)),
]


async def calibrated(approach: Knows, examples: Sequence[Example] = EXAMPLES, config: Config = CONFIG) -> Calibration:
    calibration = await calibrate(approach, examples, config, score_answer, concurrency=3)
    assert isinstance(calibration, Calibration)
    return calibration


async def reason(approach: Knows, examples: Sequence[Example] = EXAMPLES) -> str:
    calibration = await calibrate(approach, examples, CONFIG, score_answer)
    assert isinstance(calibration, Uncalibrated)
    return calibration.reason


async def test_the_default_threshold_gets_most_questions_right() -> None:
    calibration = await calibrated(Knows())
    assert 0.4 < calibration.point.threshold <= 0.81
    assert (calibration.n, calibration.rule) == (len(EXAMPLES), MOST_RIGHT)
    assert (calibration.point.n, calibration.point.coverage) == (11, pytest.approx(11 / 21))


@pytest.mark.parametrize(("demand", "threshold"), [({"max_risk": 0.0}, 0.86), ({"min_coverage": 1.0}, 0.26)])
async def test_a_risk_or_coverage_demand_is_met(demand: dict[str, float], threshold: float) -> None:
    config = Config.model_validate({"name": "x", "answers": demand})
    assert (await calibrated(Knows(), config=config)).point.threshold == pytest.approx(threshold)


async def test_what_an_approach_abstains_from_by_itself_is_right_at_every_threshold() -> None:
    """It refuses all questions without an answer, so no confidence is too low to answer the others."""

    class Refuses(Knows):
        async def answer(self, question: Question) -> Answer:
            answer = await super().answer(question)
            assert answer.confidence is not None
            return replace(answer, status="abstained") if 0.35 < answer.confidence < 0.41 else answer

    sure = [row for row in EXAMPLES if row.output != "no"]
    sure += [example(40 + n, 0.2 - n / 100, right=True) for n in range(10)]
    calibration = await calibrated(Refuses(), sure)
    assert calibration.point.threshold == 0.0
    assert (calibration.point.n, calibration.point.risk, calibration.n) == (20, 0.0, 25)
    assert calibration.point.coverage == pytest.approx(0.8)


async def test_without_a_confidence_only_the_first_answer_is_asked_for() -> None:
    class Silent(Knows):
        async def answer(self, question: Question) -> Answer:
            return replace(await super().answer(question), confidence=None)

    approach = Silent()
    assert await reason(approach) == "no confidence is stated"
    assert len(approach.asked) == 1


async def test_an_abstention_without_a_model_says_nothing_about_its_confidence() -> None:
    class FindsNothing(Knows):
        async def answer(self, question: Question) -> Answer:
            answer = await super().answer(question)
            if len(self.asked) == 1:
                return Answer("", "abstained", confidence=0.0)
            return replace(answer, confidence=None)

    approach = FindsNothing()
    assert await reason(approach) == "no confidence is stated"
    assert len(approach.asked) == 2


async def test_few_failures_are_left_out_and_many_are_the_reason() -> None:
    class Fails(Knows):
        below = 0.27

        async def answer(self, question: Question) -> Answer:
            answer = await super().answer(question)
            assert answer.confidence is not None
            if answer.confidence < self.below:
                raise ProviderError("the server is down", kind="server_error")
            return answer

    assert (await calibrated(Fails())).n == len(EXAMPLES) - 1
    Fails.below = 1.0
    approach = Fails()
    assert await reason(approach) == "5 of 5 questions failed, the first: the server is down"


async def test_a_budget_that_is_used_up_ends_it() -> None:
    class Dear(Knows):
        async def answer(self, question: Question) -> Answer:
            raise BudgetError("used up")

    with pytest.raises(BudgetError):
        await calibrate(Dear(), EXAMPLES, CONFIG, score_answer)
