"""Each approach gets its own threshold, from examples that are neither compared on nor, if it was trained, learned."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from groundtune.approaches.output_formats import AnswerFormat
from groundtune.approaches.pipeline import Pipeline
from groundtune.build.approach_registry import ApproachRegistry
from groundtune.build.resources import Resources
from groundtune.config import Config
from groundtune.config.fitted_values import Fitted, FittedThreshold
from groundtune.errors import BudgetError
from groundtune.project import Project
from groundtune.testing.scripted_server import Reply, ScriptedServer
from groundtune.types import Artifact, Example, Generation, Prompt, Split
from groundtune.workflows.abstention_threshold import Calibration, Uncalibrated
from groundtune.workflows.calibrating import (
    CalibrationPlan,
    calibration_examples,
    describe_thresholds,
    has_trained_retriever,
    plan_calibration,
)
from groundtune.workflows.fitted_sentences import threshold_sentences
from tests.workflows.scripted_bench import town

CONFIG = Config(name="x")
UNFITTED = Fitted()


def example(number: int, split: Split = "train", *, answerable: bool = True) -> Example:
    return Example(f"e{number}", f"question {number}", "yes" if answerable else None, split=split)


def some(count: int, split: Split, *, unanswerable: int = 0, first: int = 0) -> list[Example]:
    return [example(first + n, split, answerable=n >= unanswerable) for n in range(count)]


EXAMPLES = [
    *some(30, "train", unanswerable=10),
    *some(24, "validation", unanswerable=6, first=100),
    *some(40, "test", unanswerable=20, first=200),
]


def splits(examples: Sequence[Example]) -> Counter[str]:
    return Counter(example.split for example in examples)


# -- which examples --------------------------------------------------------------------------------------------------


def test_the_test_split_is_never_used() -> None:
    assert splits(calibration_examples(EXAMPLES, most=1000)) == {"train": 30, "validation": 24}
    assert calibration_examples(some(40, "test", unanswerable=20), most=1000) == []


def test_what_was_trained_on_is_not_calibrated_on() -> None:
    assert splits(calibration_examples(EXAMPLES, most=1000, trained=True)) == {"validation": 24}


@pytest.mark.parametrize(("compared_on", "used"), [("validation", {"train": 30}), ("train", {"validation": 24})])
def test_what_is_compared_on_is_not_calibrated_on(compared_on: str, used: dict[str, int]) -> None:
    assert splits(calibration_examples(EXAMPLES, most=1000, compared_on=compared_on)) == used


def test_of_many_examples_a_fixed_sample_with_the_same_share_of_unanswerable_ones_is_used() -> None:
    sample = calibration_examples(EXAMPLES, most=27)
    assert len(sample) == 27
    assert sum(row.output is None for row in sample) == 8  # 16 of 54
    assert calibration_examples(EXAMPLES[::-1], most=27) == sample[::-1]
    added = calibration_examples([*EXAMPLES, *some(3, "train", first=500)], most=27)
    assert len({row.id for row in added} & {row.id for row in sample}) >= 24


@pytest.mark.parametrize(
    "examples", [some(19, "train", unanswerable=5), some(40, "train"), some(40, "train", unanswerable=40)]
)
def test_too_few_or_one_sided_examples_calibrate_nothing(examples: list[Example]) -> None:
    assert calibration_examples(examples, most=1000) == []


def test_too_few_questions_calibrate_nothing() -> None:
    assert calibration_examples(EXAMPLES, most=19) == []


# -- what is planned and told ----------------------------------------------------------------------------------------


class Unsure:
    """A generator that states a confidence, or says that it never does."""

    name = "unsure"

    def __init__(self, *, has_confidence: bool = True) -> None:
        self.has_confidence = has_confidence

    async def generate(self, prompt: Prompt) -> Generation:
        return Generation("yes", confidence=0.5)


def registry(**parts: Any) -> ApproachRegistry:
    ready = {"sure": Pipeline("sure", Unsure()), "silent": Pipeline("silent", Unsure(has_confidence=False))}
    return ApproachRegistry(ready, **parts)


def artifact(identifier: str) -> Artifact:
    return Artifact(identifier, "letters", "lora", "base", "", "", {}, {}, {}, {}, "", 0.0, 0.0)


def resources(**parts: Any) -> Resources:
    def embedder() -> Any:
        raise AssertionError("nothing is embedded")

    return Resources(Path(), embedder, AnswerFormat(), **parts)


async def plans(config: Config = CONFIG, fitted: Fitted = UNFITTED, **parts: Any) -> dict[str, CalibrationPlan]:
    return await plan_calibration(config, resources(), registry(**parts), EXAMPLES, fitted)


async def test_only_approaches_that_state_a_confidence_are_asked() -> None:
    planned = await plans()
    assert (len(planned["sure"].questions), planned["sure"].reason) == (54, "")
    assert (len(planned["silent"].questions), planned["silent"].reason) == (0, "no confidence is stated")


async def test_a_trained_model_has_its_own_threshold_from_validation() -> None:
    planned = (await plans(artifacts={"sure": artifact("letters-1")}))["sure"]
    assert (planned.key, splits(planned.questions)) == ("sure@letters-1", {"validation": 24})


def test_a_retriever_that_was_trained_here_has_learned_from_the_train_split(tmp_path: Path) -> None:
    models = tmp_path / "models"
    (models / "finder-1/model").mkdir(parents=True)
    trained = {"kind": "local", "model": str(models / "finder-1/model")}
    assert has_trained_retriever(Config.model_validate({"name": "x", "embedder": trained}), models)
    reranker = {"reranker": str(models / "finder-1/model")}
    assert has_trained_retriever(Config.model_validate({"name": "x", "retrieval": reranker}), models)
    assert not has_trained_retriever(CONFIG, models)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"calibration_questions": 0}, "calibration_questions = 0"),
        ({"calibration_questions": 12}, "calibration_questions = 12, but 20 are needed"),
        ({"threshold": 0.4}, "one is set under [answers]"),
    ],
)
async def test_settings_can_forbid_it(answers: dict[str, Any], reason: str) -> None:
    planned = await plans(Config.model_validate({"name": "x", "answers": answers}))
    assert (planned["sure"].questions, planned["sure"].reason) == ((), reason)


async def test_a_threshold_is_fitted_again_when_what_it_was_fitted_on_has_changed() -> None:
    basis = (await plans())["sure"].basis
    kept = FittedThreshold(0.4, 54, "r", 0.8, 0.1, basis)
    assert (await plans(fitted=Fitted(thresholds={"sure": kept})))["sure"].reason == "fitted already"
    other = {"sure": replace(kept, basis="")}
    assert (await plans(fitted=Fitted(thresholds=other)))["sure"].reason == ""
    assert (await plans(fitted=Fitted(dense_weight=0.4, thresholds={"sure": kept})))["sure"].reason == ""


def test_the_report_tells_each_threshold_or_why_there_is_none() -> None:
    names, values = ("a", "b", "c", "d"), (0.4, None, None, 0.3)
    ready = {name: Pipeline(name, Unsure(), threshold=value) for name, value in zip(names, values, strict=True)}
    planned = {name: CalibrationPlan(name, reason="because" if name == "d" else "") for name in names}
    results = {"b": Uncalibrated("no confidence is stated"), "c": Uncalibrated("no confidence is stated")}
    fitted = Fitted(thresholds={"a": FittedThreshold(0.4, 54, "most right", 0.75, 0.125)})
    described = describe_thresholds(CONFIG, ApproachRegistry(dict(ready)), planned, results, fitted)
    assert json.loads(json.dumps(described)) == described
    assert threshold_sentences(described) == [
        "Abstention threshold of a: 0.40, fitted on 54 train and validation examples (most right). "
        "It answers 75% of them; 12% of these answers are wrong.",
        "No abstention threshold for b and c: no confidence is stated.",
        "Abstention threshold of d: 0.30 (the default: because).",
    ]


# -- a project -------------------------------------------------------------------------------------------------------

TOML = 'name = "tolls"\n[examples]\nfiles = ["examples.jsonl"]\n[documents]\ninclude = ["docs/*"]\n'
MODEL = '[models.default]\nkind = "openai"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\n'


def make_project(folder: Path, toml: str = "") -> Path:
    (folder / "docs").mkdir(parents=True)
    sections = [
        f"## {town(n)}\n\nThe bridge toll in {town(n)} is {100 + 7 * n} pence. It is due on the north bank.\n"
        for n in range(24)
    ]
    (folder / "docs/tolls.md").write_text("# Tolls\n\n" + "\n".join(sections))
    rows = [
        {"input": f"How much is the bridge toll in {town(n)}?", "output": f"{100 + 7 * n} pence"} for n in range(24)
    ] + [{"input": f"Who built the bridge in {town(n)}?", "output": None} for n in range(24)]
    named = [{"id": f"e{n}", "split": ("train", "validation", "test")[n % 3], **row} for n, row in enumerate(rows)]
    (folder / "examples.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in named))
    (folder / "groundtune.toml").write_text(TOML + toml)
    return folder


QUOTES = ["quote-bm25", "quote-hybrid"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_project(tmp_path_factory.mktemp("without") / "project")
    with Project.open(folder) as project:
        project.ingest()
        project.compare(approaches=QUOTES)
    return folder


def test_a_comparison_gives_each_approach_its_own_threshold_which_ask_uses(compared: Path) -> None:
    with Project.open(compared) as project:
        report = project.report()
        thresholds = project.fitted.thresholds
        assert set(thresholds) == set(QUOTES)
        assert {threshold.n for threshold in thresholds.values()} == {32}
        assert thresholds["quote-bm25"].value != thresholds["quote-hybrid"].value
        values = {name: threshold.value for name, threshold in thresholds.items()}
        described = report.summary()["thresholds"]
        assert {name: facts["value"] for name, facts in described.items()} == values
        assert len(report.threshold_sentences) == 2
        asked = f"Who built the bridge in {town(2)}?"
        answers = {name: project.ask(asked, approach=name) for name in QUOTES}
        assert {name: answer.status for name, answer in answers.items()} == {
            name: "abstained" if (answer.confidence or 0) < values[name] else "answered"
            for name, answer in answers.items()
        }


def test_a_second_comparison_calibrates_nothing_and_resumes_the_run(compared: Path) -> None:
    steps = []
    with Project.open(compared) as project:
        before = project.report().run.name
        assert project.compare(approaches=QUOTES, progress=steps.append).run.name == before
    assert steps == []


def test_a_model_in_the_project_changes_no_threshold_of_quotes(compared: Path, tmp_path: Path) -> None:
    with Project.open(compared) as project:
        expected = {name: (facts.value, facts.n) for name, facts in project.fitted.thresholds.items()}
        scores = {summary.name: summary.mean for summary in project.report().approaches}
    with Project.open(make_project(tmp_path / "with", MODEL)) as project:
        project.ingest()
        report = project.compare(approaches=QUOTES)
        assert {name: (facts.value, facts.n) for name, facts in project.fitted.thresholds.items()} == expected
        assert {summary.name: summary.mean for summary in report.approaches} == scores


def test_the_estimate_counts_the_questions_of_the_calibration(tmp_path: Path) -> None:
    with Project.open(make_project(tmp_path / "p", "[answers]\ncalibration_questions = 20\n")) as project:
        project.ingest()
        calls = {row.approach: row.calls for row in project.estimate(approaches=QUOTES)}
        assert calls == {
            "quote-bm25 (calibration)": 20, "quote-bm25": 16, "quote-hybrid (calibration)": 20, "quote-hybrid": 16,
        }  # fmt: skip
        assert isinstance(project.calibrate("quote-bm25"), Calibration)
        assert project.fitted.thresholds["quote-bm25"].n == 20
        assert [row.approach for row in project.estimate(approaches=["quote-bm25"])] == ["quote-bm25"]


def test_without_enough_examples_the_default_stays_and_is_told(tmp_path: Path) -> None:
    folder = make_project(tmp_path / "p")
    rows = [json.loads(line) for line in (folder / "examples.jsonl").read_text().splitlines()]
    few = [row for row in rows if row["split"] == "test" or row["output"]]
    (folder / "examples.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in few))
    with Project.open(folder) as project:
        project.ingest()
        report = project.compare(approaches=["quote-bm25"])
        assert project.fitted.thresholds == {}
        assert report.threshold_sentences == [
            "Abstention threshold of quote-bm25: 0.30 (the default: 20 train and validation examples are needed, "
            "some of them without an answer; there are 16, 0 of them without one)."
        ]


# -- a hosted model --------------------------------------------------------------------------------------------------


def guesses(body: dict[str, Any]) -> Reply:
    """Answer every question with a toll: surely where there is one, and unsurely where another thing was asked."""
    question = str(body["messages"][-1]["content"])
    number = next(n for n in range(24) if town(n) in question)
    text = f"{100 + 7 * number} pence"
    return Reply(text, logprobs=[{"token": text, "logprob": math.log(0.9 if "toll" in question else 0.4)}])


def hosted_project(folder: Path, server: ScriptedServer) -> Path:
    toml = MODEL.replace("http://127.0.0.1:9/v1", server.base_url) + "max_output_tokens = 20\n"
    return make_project(folder, f"{toml}[prices.m]\ninput_per_million = 1\noutput_per_million = 1\n")


def test_a_hosted_model_is_calibrated_by_the_log_probabilities_of_its_answers(tmp_path: Path) -> None:
    with (
        ScriptedServer(guesses) as server,
        Project.open(hosted_project(tmp_path / "p", server)) as project,
    ):
        estimates = {row.approach: row for row in project.estimate(approaches=["prompt"])}
        assert {name: row.calls for name, row in estimates.items()} == {"prompt (calibration)": 32, "prompt": 16}
        assert all(row.usd and row.usd_at_most and row.seconds and row.input_tokens for row in estimates.values())
        ceiling = sum(row.usd_at_most or 0.0 for row in estimates.values())
        with pytest.raises(BudgetError):
            project.compare(approaches=["prompt"], budget_usd=ceiling / 25)
        paid = len(server.posts())
        assert 0 < paid < 32, "the budget ended the calibration"

        report = project.compare(approaches=["prompt"], budget_usd=ceiling)
        assert len(server.posts()) == 48, "what was paid for came from the cache"
        assert all(body["logprobs"] for body in server.posts())
        threshold = project.fitted.thresholds["prompt"]
        assert (0.4 < threshold.value < 0.9, threshold.n, threshold.coverage, threshold.risk) == (True, 32, 0.5, 0.0)
        assert (report.approaches[0].mean, report.approaches[0].abstained) == (1.0, 8)

        project.compare(approaches=["prompt"], fresh=True)
        assert len(server.posts()) == 48
        assert [row.calls - row.cached for row in project.estimate(approaches=["prompt"])] == [0]
        assert project.ask(f"Who owns {town(3)}?", approach="prompt").status == "abstained"


def test_a_server_without_log_probabilities_costs_one_more_call_and_is_told(tmp_path: Path) -> None:
    def silent(body: dict[str, Any]) -> Reply:
        return replace(guesses(body), logprobs=None)

    with (
        ScriptedServer(silent) as server,
        Project.open(hosted_project(tmp_path / "p", server)) as project,
    ):
        report = project.compare(approaches=["prompt"])
        assert [body.get("logprobs") for body in server.posts()] == [True] + [None] * 16
        assert report.threshold_sentences == ["No abstention threshold for prompt: no confidence is stated."]
        assert [row.approach for row in project.estimate(approaches=["prompt"])] == ["prompt"]
        assert project.fitted.thresholds == {}
