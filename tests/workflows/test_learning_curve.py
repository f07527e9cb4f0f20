"""A learning curve trains on nested parts of the train split, keeps what it trained, and says what more would bring."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from groundtune.build.approach_registry import ApproachRegistry
from groundtune.cli import main
from groundtune.config import load_config
from groundtune.measure.metrics import score_answer
from groundtune.project import Project
from groundtune.tune.artifacts import list_artifacts
from groundtune.types import Example, Forecast, Interval
from groundtune.workflows.comparing import complete_matrix
from groundtune.workflows.curve_file import (
    ApproachCurve,
    CurvePoint,
    LearningCurve,
    curve_sentences,
    read_curve,
    write_curve,
)
from groundtune.workflows.learning_curve import learning_curve, learns, nested_subsets
from groundtune.workflows.reporting import evaluate_run
from groundtune.workflows.runs import read_run
from groundtune.workspace import Workspace
from tests.build.test_training_kinds import site
from tests.workflows.scripted_bench import LABELS, ticket
from tests.workflows.test_until_decided import Knows

__all__ = ["site"]


def test_parts_are_nested_and_have_the_share_of_each_label() -> None:
    examples = [Example(f"e{place}", f"text {place}", "rare" if place % 10 == 0 else "often") for place in range(200)]
    quarter, half, whole = nested_subsets(examples, stratified=True)
    assert whole == examples
    assert {example.id for example in quarter} < {example.id for example in half}
    assert Counter(example.output for example in quarter) == {"rare": 5, "often": 45}
    again = nested_subsets(examples[::-1], stratified=True)[0]
    assert {example.id for example in again} == {example.id for example in quarter}
    assert len(nested_subsets(examples[:3], stratified=True)[0]) == 2, "one of each label"
    assert quarter[:10] != examples[:10]


def test_only_what_learns_from_examples_is_asked_again(tmp_path: Path) -> None:
    (tmp_path / "groundtune.toml").write_text('name = "x"\ntask = "classify"\n[tune.probe]\nkind = "classifier"\n')
    config = load_config(tmp_path / "groundtune.toml", environ={})
    names = ["tuned", "nearest", "fewshot", "fewshot:large", "prompt", "tuned@probe-1", "fewshot/short", "rag"]
    assert [name for name in names if learns(config, name)] == ["tuned", "nearest", "fewshot", "fewshot:large"]


def _curve(means: list[float], unknown: str | None = None) -> LearningCurve:
    points = [CurvePoint(n, Interval(0.6, 0.5, 0.7, 100), 1, "runs/1") for n in (100, 200, 400)]
    rows = [
        Forecast(n, Interval(mean, mean - 0.02, mean + 0.02, 100), Interval(mean - 0.6, mean - 0.62, mean - 0.58, 100))
        for n, mean in zip((500, 600, 700), means, strict=False)
    ]
    return LearningCurve("correct", 400, {"tuned": ApproachCurve(tuple(points), tuple(rows), unknown)})


def test_the_sentences_say_when_it_would_be_level_with_the_best(tmp_path: Path) -> None:
    best = {"rag": Interval(0.7, 0.6, 0.8, 100), "tuned": Interval(0.6, 0.5, 0.7, 100)}
    grows = _curve([0.65, 0.69, 0.73])
    write_curve(tmp_path, grows)
    assert read_curve(tmp_path) == grows
    assert read_curve(tmp_path / "other") is None
    bring, level = curve_sentences(grows, best)
    assert "300 more examples would bring about +0.130 (95% interval +0.110 to +0.150), to 0.730." in bring
    assert (
        level == "tuned would be level with rag (0.700) with about 300 more examples (from 200 on; at the latest: 300)."
    )
    *_, never = curve_sentences(_curve([0.61, 0.62, 0.63]), best)
    assert never == "tuned would not be level with rag (0.700) with 300 more examples either."
    flat = curve_sentences(_curve([0.6, 0.6, 0.6]), {"tuned": best["tuned"]})
    assert "cannot be told" in flat[1]
    (unknown,) = curve_sentences(_curve([], "it fell"), best)
    assert unknown.endswith("what more would bring cannot be said, because it fell.")


async def test_the_curve_is_computed_from_the_runs(tmp_path: Path) -> None:
    examples = [Example(f"e{number:03}", f"question {number:03}", "yes") for number in range(60)]
    runs = {}
    for number, share in ((100, 0.5), (200, 0.6), (400, 0.7)):
        registry = ApproachRegistry({"fewshot": Knows("fewshot", share)})
        conditions: dict[str, Any] = {"about": {"shown": number}, "score": score_answer}
        runs[number] = read_run(await complete_matrix(Workspace(tmp_path), registry, examples, **conditions))
    curve = learning_curve(runs, {"fewshot": ()}, tmp_path)
    found = curve.approaches["fewshot"]
    assert [(point.examples, point.score.n, point.trainings) for point in found.points] == [
        (100, 60, 0),
        (200, 60, 0),
        (400, 60, 0),
    ]
    assert (found.unknown, [row.examples for row in found.forecast][::19]) == (None, [420, 800])
    write_curve(runs[400].file.parent, curve)
    report = evaluate_run(read_run(runs[400].file.parent))
    assert "400 more examples would bring about" in report.curve_sentences[0]
    assert report.summary()["curve"]["examples"] == 400


@pytest.mark.slow
def test_a_curve_trains_once_and_is_stored_in_the_run(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    rows = []
    for place in range(72):
        text, label = ticket(place)
        rows.append({"id": f"e{place}", "input": text, "output": label, "split": "test" if place < 40 else "train"})
    (folder / "examples.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    labels = "".join(f'{label} = "about {label}"\n' for label in LABELS)
    tables = f'[tune.most]\nkind = "majority"\nmin_rows = 10\n[labels]\n{labels}'
    (folder / "groundtune.toml").write_text(
        f'name = "curve"\ntask = "classify"\n[examples]\nfiles = ["examples.jsonl"]\n{tables}'
    )
    arguments = ["compare", "-C", str(folder), "--curve", "--approach", "tuned", "--json"]
    assert main(["compare", "-C", str(folder), "--curve", "--estimate", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)["trainings"]
    assert [(plan["examples"], plan["trainings"]) for plan in planned] == [(8, 0), (16, 1), (32, 1)]
    main(arguments)
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    curve = report["curve"]["approaches"]["tuned"]
    points = [(point["examples"], point["trainings"], point["score"]["n"]) for point in curve["points"]]
    assert points == [(16, 1, 40), (32, 1, 40)]
    assert curve["skipped"] == ["with 8: train: 8 rows; at least 10 are needed"]
    assert curve["unknown"] == "it was measured with 2 numbers of examples; 3 are needed"
    with Project.open(folder) as project:
        assert [(plan.kept, plan.trainings) for plan in project.plan_curve(approaches=["tuned"])] == [
            (0, 0),
            (1, 0),
            (1, 0),
        ]
        workspace = project.workspace
        assert len(project.artifacts()) == 1, "models of fewer examples answer nobody"
        assert sum(len(list_artifacts(models)) for models in workspace.model_folders) == 2
    main(["models", "seen", "-C", str(folder), str(folder / "examples.jsonl"), "--json"])
    assert len(json.loads(capsys.readouterr().out)["models"]) == 2, "they have seen it too"
    main(arguments)
    again = json.loads(capsys.readouterr().out)
    assert (again["run"], again["curve"]) == (report["run"], report["curve"])
