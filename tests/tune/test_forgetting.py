"""General prompts before and after a training: what was lost is measured, reported and recorded."""

import math
from pathlib import Path

import pytest

from groundtune.tune.lora import forgetting
from groundtune.tune.lora import trainer as lora
from groundtune.tune.lora.plan import prepare
from tests.tune.extraction import extraction_job, few_rows, tiny_base

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base(training_libraries: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("base"))


def test_a_training_that_does_nothing_forgets_nothing(base: Path, tmp_path: Path) -> None:
    trained = lora.train(
        extraction_job(tmp_path / "job", base, **few_rows(), epochs=1, learning_rate=1e-9), lambda _: None
    )
    summary = trained.details["probes"]
    assert summary["kept"] == pytest.approx(1, abs=1e-3)
    assert summary["interval"][0] <= summary["kept"] <= summary["interval"][1]
    assert summary["same"] == summary["n"] > 8
    assert summary["tokens"] <= summary["n"] * forgetting.ROOM
    assert [entry["before"] for entry in summary["answers"]] == [entry["after"] for entry in summary["answers"]]
    assert trained.details["notes"] == [trained.details["no_gain"]], "it gained nothing either, and that is all"
    assert "times as likely as before training" in summary["line"]


def test_a_training_that_forgets_much_is_reported(base: Path, tmp_path: Path) -> None:
    trained = lora.train(
        extraction_job(tmp_path / "job", base, **few_rows(), epochs=3, learning_rate=5e-3), lambda _: None
    )
    summary = trained.details["probes"]
    assert summary["kept"] < forgetting.MUCH
    assert summary["same"] < summary["n"]
    assert trained.details["notes"][-1] == summary["line"]
    assert summary["line"].startswith("forgetting: much was lost: on ")


def test_prompts_that_leave_no_room_are_left_out(tmp_path: Path) -> None:
    short = tiny_base(tmp_path / "base", window=90)
    plan = prepare(extraction_job(tmp_path / "job", short))
    usable = forgetting.load_general_prompts(plan)
    assert 0 < len(usable) < 12
    assert all(len(prompt.ids) + forgetting.ROOM <= 90 for prompt in usable)
    assert forgetting.measure_forgetting([], None, forgetting.GeneralAnswers((), (), ())) == {}


def test_the_figure_is_a_mean_over_tokens() -> None:
    questions = [forgetting.GeneralPrompt(name, "facts", name, (1, 2)) for name in ("a", "b")]
    before = forgetting.GeneralAnswers(((1,), (1, 2, 3)), ("x", "y"), ((-0.1,), (-0.2, -0.2, -0.2)))
    after = forgetting.GeneralAnswers(((1,), (4, 5)), ("x", "z"), ((-0.1,), (-1.2, -1.2, -1.2)))
    summary = forgetting.measure_forgetting(questions, before, after)
    assert summary["kept"] == pytest.approx(math.exp(-3 / 4))
    assert summary["interval"] == pytest.approx([math.exp(-1), 1.0])
    assert (summary["same"], summary["tokens"]) == (1, 4)
    assert [entry["kept"] for entry in summary["answers"]] == pytest.approx([1.0, math.exp(-1)])
    assert forgetting.forgetting_warnings(summary) == [summary["line"]]
    assert forgetting.forgetting_warnings({**summary, "kept": 0.6}) == []
