"""General prompts before and after a training: what was lost is measured, said and kept."""

import math
from pathlib import Path

import pytest

from groundtune.tune.lora import probes
from groundtune.tune.lora import trainer as lora
from groundtune.tune.lora.plan import prepare
from tests.tune.extraction import extraction_job, tiny_base


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("base"))


def test_a_training_that_does_nothing_forgets_nothing(base: Path, tmp_path: Path) -> None:
    found = lora.train(extraction_job(tmp_path / "job", base, epochs=1, learning_rate=1e-9), lambda _: None)
    told = found.details["probes"]
    assert told["kept"] == pytest.approx(1, abs=1e-3)
    assert told["interval"][0] <= told["kept"] <= told["interval"][1]
    assert told["same"] == told["n"] > 8
    assert told["tokens"] <= told["n"] * probes.ROOM
    assert [one["before"] for one in told["answers"]] == [one["after"] for one in told["answers"]]
    assert found.details["notes"] == [found.details["no_gain"]], "it gained nothing either, and that is all"
    assert "times as likely as before the training" in told["line"]


def test_a_training_that_takes_all_is_said(base: Path, tmp_path: Path) -> None:
    found = lora.train(extraction_job(tmp_path / "job", base, epochs=3, learning_rate=5e-3), lambda _: None)
    told = found.details["probes"]
    assert told["kept"] < probes.MUCH
    assert told["same"] < told["n"]
    assert found.details["notes"][-1] == told["line"]
    assert told["line"].startswith("forgetting: much was lost: on ")


def test_prompts_that_leave_no_room_are_left_out(tmp_path: Path) -> None:
    short = tiny_base(tmp_path / "base", window=90)
    plan = prepare(extraction_job(tmp_path / "job", short))
    asked = probes.asked(plan)
    assert 0 < len(asked) < 12
    assert all(len(one.ids) + probes.ROOM <= 90 for one in asked)
    assert probes.compare([], None, probes.Said((), (), ())) == {}


def test_the_figure_is_a_mean_over_tokens() -> None:
    asked = [probes.Probe(name, "facts", name, (1, 2)) for name in ("a", "b")]
    before = probes.Said(((1,), (1, 2, 3)), ("x", "y"), ((-0.1,), (-0.2, -0.2, -0.2)))
    after = probes.Said(((1,), (4, 5)), ("x", "z"), ((-0.1,), (-1.2, -1.2, -1.2)))
    told = probes.compare(asked, before, after)
    assert told["kept"] == pytest.approx(math.exp(-3 / 4))
    assert told["interval"] == pytest.approx([math.exp(-1), 1.0])
    assert (told["same"], told["tokens"]) == (1, 4)
    assert [one["kept"] for one in told["answers"]] == pytest.approx([1.0, math.exp(-1)])
    assert probes.warnings(told) == [told["line"]]
    assert probes.warnings({**told, "kept": 0.6}) == []
