"""The abstention threshold comes from examples, never from the test split, and follows the demand that is set."""

from dataclasses import replace

import pytest

from groundtune.config import Config
from groundtune.types import Answer, Example, Question
from groundtune.workflows.abstention_threshold import calibrate, calibration_examples


class Knows:
    """Right with high confidence where it knows, wrong with low confidence elsewhere, with two slips."""

    name = "knows"

    async def answer(self, question: Question) -> Answer:
        confidence, _, text = question.text.partition(" ")
        return Answer(text, "answered", confidence=float(confidence))


def example(number: int, confidence: float, *, right: bool, answerable: bool = True, split: str = "train") -> Example:
    output = ("yes" if right else "no") if answerable else None
    return Example(f"e{number}", f"{confidence} yes", output, split=split)  # type: ignore[arg-type]


EXAMPLES = [
    *(example(n, 0.9 - n / 100, right=True) for n in range(10)),
    example(10, 0.85, right=False),
    *(example(20 + n, 0.3 - n / 100, right=False) for n in range(5)),
    *(example(30 + n, 0.4 - n / 100, right=False, answerable=False) for n in range(5)),
]


async def test_the_default_threshold_maximises_correct_outcomes() -> None:
    calibration = await calibrate(Knows(), EXAMPLES, Config(name="x"))
    assert calibration is not None
    assert 0.4 < calibration.point.threshold <= 0.81
    assert (calibration.n, calibration.rule) == (len(EXAMPLES), "most right outcomes")
    assert calibration.point.n == 11


@pytest.mark.parametrize(("demand", "threshold"), [({"max_risk": 0.0}, 0.86), ({"min_coverage": 1.0}, 0.26)])
async def test_a_risk_or_coverage_demand_is_met(demand: dict[str, float], threshold: float) -> None:
    config = Config.model_validate({"name": "x", "answers": demand})
    calibration = await calibrate(Knows(), EXAMPLES, config)
    assert calibration is not None
    assert calibration.point.threshold == pytest.approx(threshold)


async def test_an_approach_without_confidence_has_no_threshold() -> None:
    class Silent(Knows):
        async def answer(self, question: Question) -> Answer:
            return replace(await super().answer(question), confidence=None)

    assert await calibrate(Silent(), EXAMPLES, Config(name="x")) is None


def test_the_test_split_is_never_read() -> None:
    assert calibration_examples([replace(example, split="test") for example in EXAMPLES]) == []
    mixed = [*EXAMPLES, replace(EXAMPLES[0], id="t", split="test")]
    assert [example.id for example in calibration_examples(mixed)] == [example.id for example in EXAMPLES]
    assert calibration_examples(EXAMPLES[:10]) == [], "too few, and none unanswerable"
