"""The demo adds a model and two trainings to the example; without the model it writes nothing."""

from pathlib import Path

import pytest

from groundtune.build.training_kinds import tuned_tables
from groundtune.cli import demo
from groundtune.config import PROJECT_FILE, load_config
from groundtune.dataset.examples import read_examples
from groundtune.errors import MissingError


def test_without_the_model_the_demo_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(MissingError, match="is not on this machine yet"):
        demo.run(tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_it_adds_what_gives_each_approach_its_plain_name(tmp_path: Path) -> None:
    demo._copy(demo.EXAMPLE, tmp_path / "demo")
    demo._add_model(tmp_path / "demo")
    config = load_config(tmp_path / "demo" / PROJECT_FILE)
    names = {name for names in tuned_tables(config).values() for name in names.values()}
    assert names == {"tuned", "hybrid", "hybrid:closed_book"}
    assert {"tuned", "hybrid"} < set(config.compare.approaches) == set(demo.APPROACHES)
    assert set(config.tune) == set(demo.TRAININGS)
    assert config.models["default"].model == demo.MODEL


def test_it_trains_on_no_example_of_people_with_more_access(tmp_path: Path) -> None:
    demo._copy(demo.EXAMPLE, tmp_path / "demo")
    before = read_examples(tmp_path / "demo" / "examples.jsonl")
    demo._add_model(tmp_path / "demo")
    kept = read_examples(tmp_path / "demo" / "examples.jsonl")
    assert kept == [example for example in before if not example.groups]
    assert 0 < len(kept) < len(before)
    assert sum(example.split == "test" for example in kept) == 52
