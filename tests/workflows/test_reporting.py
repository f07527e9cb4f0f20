"""Verdicts, conditions and report files from a run folder, an interrupted run and a bare results file."""

import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest

from groundtune.build.approach_registry import ApproachRegistry
from groundtune.common.files import read_json
from groundtune.decide.diagnosis import WRONG
from groundtune.errors import ConfigError, JudgeError, MissingError, ProviderError, UsageError
from groundtune.measure.metrics import score_answer
from groundtune.measure.results import RESULTS, encode_result, write_result
from groundtune.measure.scoring import label_scorer
from groundtune.types import (
    Answer,
    ApproachSummary,
    Citation,
    Difference,
    Evidence,
    Example,
    Failure,
    Hit,
    Interval,
    Passage,
    Question,
    Result,
    Usage,
    Verdict,
)
from groundtune.workflows.comparing import complete_matrix
from groundtune.workflows.live_report import LiveComparison, LiveDifference, LiveReport
from groundtune.workflows.report_page import write_page, write_report
from groundtune.workflows.reporting import FIGURES, Condition, Report, evaluate_run
from groundtune.workflows.runs import EXAMPLES, RUN, Run, read_run
from groundtune.workspace import Workspace

TEXT = "A refund is paid within 30 days."
HIT = Hit(Passage("d:0", "d", "refunds.md", 0, 0, len(TEXT), TEXT, "Refunds", 2), 0.9)
CITED = Citation(1, "30 days [1].", "exact", "d:0", "d", "refunds.md", "Refunds", 2, "30 days", 24, 31)
QUESTIONS = [
    Example(
        f"q{at}",
        f"question {at}",
        "30 days" if at % 5 else None,
        (Evidence("refunds.md", "30 days"),) if at % 5 else (),
        tags=("money", f"odd {at % 2}"),
        groups=("hr",),
    )
    for at in range(20)
]
NEEDS: dict[str, Any] = {
    "citations": False,
    "min_quality": None,
    "max_asserted_wrong": None,
    "max_p95_seconds": None,
    "max_usd_per_1k": None,
    "max_usd_per_month": None,
    "requests_per_month": None,
}


@dataclass
class Scripted:
    """Answers the questions below `right` correctly and fails on those in `failing`."""

    name: str
    right: int = 20
    usd: float | None = 0.001
    failing: Sequence[int] = ()

    async def answer(self, question: Question) -> Answer:
        number = int(question.text.split()[1])
        if number in self.failing:
            raise ProviderError("on holiday", kind="server")
        usage = Usage(100, 0, 10, 0.25, self.usd)
        if (number % 5 == 0) == (number < self.right):
            return Answer("Not in your documents.", "abstained", usage=usage)
        text = "30 days [1]." if number < self.right else "90 days [1]."
        return Answer(text, "answered", citations=(CITED,), hits=(HIT,), usage=usage)


class CutShortError(Exception):
    """Interrupt a run in the middle."""


async def make_run(folder: Path, *approaches: Any, rows: int | None = None, **parts: Any) -> Path:
    seen: list[Result] = []

    def progress(result: Result) -> None:
        seen.append(result)
        if len(seen) == rows:
            raise CutShortError

    about = {"name": "shop", "task": "answer", "primary": "correct", "requirements": NEEDS, **parts.pop("about", {})}
    registry = ApproachRegistry(
        {approach.name: approach for approach in approaches},
        missing={"context": "does not fit: 30 passages"},
        forbidden={"prompt:far": "requirements.residency does not allow sending text to llm.invalid"},
    )
    workspace = Workspace(folder)
    with contextlib.suppress(CutShortError):
        await complete_matrix(
            workspace,
            registry,
            parts.pop("examples", QUESTIONS),
            about=about,
            score=parts.pop("score", score_answer),
            progress=progress,
            **parts,
        )
    (folder,) = (path.parent for path in workspace.runs.glob(f"*/{RUN}"))
    return folder


def bare(path: Path, *results: Result) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(map(encode_result, results)))
    return path


def row(example: str, approach: str = "a", correct: float = 1.0, **more: Any) -> Result:
    return Result(example, approach, "answered", "x", scores={"correct": correct}, **more)


def embedded(page: Path, name: str) -> Any:
    """Return the data that a browser would read from an embedded JSON element."""
    match = re.search(rf'<script type="application/json" id="{name}">(.*?)</script', page.read_text("utf-8"), re.DOTALL)
    assert match
    return json.loads(match[1])


# -- reading -----------------------------------------------------------------------------------------------------


def test_a_results_file_alone_is_enough(tmp_path: Path) -> None:
    for name in (RESULTS, "mine.jsonl"):
        results = [row("e0"), row("e1", correct=0.0), row("e0", "b")]
        file = bare(tmp_path / name / name, *results)
        run = read_run(file)
        assert (run.results, run.file) == (tuple(results), file)
        assert (run.name, run.started, run.examples, run.about, run.missing, run.barred) == (None, None, (), {}, {}, {})
        assert run.complete
        report = evaluate_run(run)
        assert (report.primary, report.n, report.figures.classes, report.figures.tags) == ("correct", 2, {}, ())
        assert [summary.name for summary in report.approaches] == ["a", "b"]


def test_a_folder_with_a_results_file_can_be_read(tmp_path: Path) -> None:
    bare(tmp_path / RESULTS, row("e0"))
    assert read_run(tmp_path) == read_run(tmp_path / RESULTS)


async def test_a_run_folder_has_all_metadata(tmp_path: Path) -> None:
    folder = await make_run(tmp_path, Scripted("rag"), Scripted("prompt", right=10))
    run = read_run(folder)
    assert read_run(folder / RESULTS) == run, "its results file stands for the folder"
    assert (run.name, run.complete, len(run.results)) == (folder.name, True, 40)
    assert run.started == read_json(folder / RUN)["started"]
    assert run.examples == tuple(QUESTIONS), "groups, tags and evidence included"
    assert run.about["name"] == "shop"
    assert run.missing == {"context": "does not fit: 30 passages"}
    assert list(run.barred) == ["prompt:far"]
    copy = tmp_path / "elsewhere.jsonl"
    copy.write_bytes((folder / RESULTS).read_bytes())
    assert read_run(copy).results == run.results
    other = folder / "other.jsonl"
    other.write_bytes((folder / RESULTS).read_bytes())
    assert read_run(other).about == {}, "another file in the folder is not the run"


async def test_an_interrupted_run_can_be_read(tmp_path: Path) -> None:
    folder = await make_run(tmp_path, Scripted("rag"), Scripted("prompt", right=5), rows=25)
    with (folder / RESULTS).open("ab") as file:
        file.write(encode_result(row("q19", "rag"))[:-20])
    run = read_run(folder)
    assert (run.complete, len(run.results), len(run.examples)) == (False, 25, 20)
    report = evaluate_run(run)
    assert report.n == 13
    assert sum(summary.n for summary in report.approaches) == 25
    assert report.summary()["complete"] is False
    assert write_report(report, folder).file == folder / "report.html"


def test_an_incomplete_last_line_is_ignored_and_kept(tmp_path: Path) -> None:
    file = bare(tmp_path / RESULTS, row("e0"), row("e1"))
    whole = file.read_bytes() + encode_result(row("e2"))[:30]
    file.write_bytes(whole)
    assert [result.example for result in read_run(file).results] == ["e0", "e1"]
    assert file.read_bytes() == whole


@pytest.mark.parametrize("line", ["{}", "[]", "null", "what", '{"example": "e"}', '{"example": '])
def test_an_invalid_line_is_reported_with_its_number(tmp_path: Path, line: str) -> None:
    file = bare(tmp_path / RESULTS, row("e0"))
    file.write_bytes(file.read_bytes() + f"{line}\n".encode() + encode_result(row("e1")))
    with pytest.raises(ConfigError, match=rf"{RESULTS}:2: ") as caught:
        read_run(file)
    assert caught.value.hint is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"scores": None},
        {"scores": {"correct": "1.0"}},
        {"scores": {"correct": float("nan")}},
        {"example": ["e1"]},
        {"usage": {**asdict(Usage()), "usd": "0.1"}},
    ],
)
def test_an_invalid_row_is_reported_with_its_number(tmp_path: Path, wrong: dict[str, Any]) -> None:
    good = json.loads(encode_result(row("e1")))
    (tmp_path / RESULTS).write_text(json.dumps({**good, **wrong}) + "\n")
    with pytest.raises(ConfigError, match=f"{RESULTS}:1: "):
        write_report(evaluate_run(read_run(tmp_path)), tmp_path)


def test_missing_results_are_reported(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no.jsonl", tmp_path / "no" / "folder"):
        with pytest.raises(MissingError, match="no results file") as caught:
            read_run(path)
        assert caught.value.hint == "groundtune compare writes one"
    (tmp_path / RESULTS).write_bytes(b'{"example')
    with pytest.raises(MissingError, match="no results yet"):
        read_run(tmp_path)


async def test_files_beside_the_matrix_are_optional(tmp_path: Path) -> None:
    folder = await make_run(tmp_path, Scripted("a"), about={"task": "classify"}, score=label_scorer(["30 days"]))
    (folder / EXAMPLES).unlink()
    assert evaluate_run(read_run(folder)).n == 20


# -- judging -----------------------------------------------------------------------------------------------------


async def test_the_requirements_are_those_of_the_run(tmp_path: Path) -> None:
    needs = {**NEEDS, "max_usd_per_1k": 0.5}
    folder = await make_run(tmp_path, Scripted("dear"), Scripted("cheap", 5, usd=0.0001), about={"requirements": needs})
    report = evaluate_run(read_run(folder))
    assert report.verdict.choice == "cheap"
    assert set(report.verdict.ruled_out) == {"dear", "prompt:far"}
    assert "max_usd_per_1k = 0.5" in report.verdict.ruled_out["dear"][0]
    alone = tmp_path / "alone.jsonl"
    alone.write_bytes((folder / RESULTS).read_bytes())
    assert evaluate_run(read_run(alone)).verdict.ruled_out == {}


async def test_another_score_can_decide(tmp_path: Path) -> None:
    folder = await make_run(tmp_path, Scripted("rag"), about={"primary": "abstention"})
    assert evaluate_run(read_run(folder)).primary == "abstention"
    assert evaluate_run(read_run(folder), primary="f1").primary == "f1"
    with pytest.raises(UsageError, match="no row has the score 'corect'") as caught:
        evaluate_run(read_run(folder), primary="corect")
    assert "correct" in (caught.value.hint or "")


async def test_a_run_with_only_errors_has_a_report(tmp_path: Path) -> None:
    folder = await make_run(tmp_path, Scripted("a", failing=range(20)))
    report = write_report(evaluate_run(read_run(folder)), folder)
    assert (report.verdict.choice, report.n) == (None, 20)
    assert report.approaches[0].failures == {"server": 20}
    assert report.unmet_by([Condition("p95_seconds", at_least=False, value=9.0)]) == ["p95_seconds<=9"]


async def test_tags_and_clusters_come_from_the_examples(tmp_path: Path) -> None:
    folder = await make_run(tmp_path, Scripted("a", 15))
    report = evaluate_run(read_run(folder))
    assert [(tag, n) for tag, n, _ in report.figures.tags] == [("money", 20), ("odd 0", 10), ("odd 1", 10)]
    assert any("The examples fall into 5 groups" in caveat for caveat in report.verdict.caveats)
    apart = [replace(question, group=question.id) for question in QUESTIONS]
    other = await make_run(tmp_path / "apart", Scripted("a", 15), examples=apart)
    assert not any("groups" in caveat for caveat in evaluate_run(read_run(other)).verdict.caveats)


async def test_labels_have_a_table_by_class(tmp_path: Path) -> None:
    class Sorts(Scripted):
        async def answer(self, question: Question) -> Answer:
            at = int(question.text.split()[1])
            return Answer("", "answered", ("x", "y", "w")[at % 3], usage=Usage())

    examples = [Example(f"q{at}", f"question {at}", "xyz"[at % 3]) for at in range(9)]
    folder = await make_run(
        tmp_path, Sorts("a"), examples=examples, about={"task": "classify"}, score=label_scorer(["x", "y", "z"])
    )
    report = evaluate_run(read_run(folder))
    assert report.figures.classes["a"].macro_f1 == pytest.approx(2 / 3)
    shown = report.summary()["classes"]["a"]
    assert set(shown) >= {"labels", "confusion", "per_class", "macro_f1"}
    assert [(label["label"], label["f1"], label["n"]) for label in shown["per_class"]] == [
        ("x", 1, 3),
        ("y", 1, 3),
        ("z", 0, 3),
    ]


# -- conditions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("correct>=0.8", Condition("correct", at_least=True, value=0.8)),
        (" p95_seconds <= 2 ", Condition("p95_seconds", at_least=False, value=2.0)),
        ("check:no-dash>=1", Condition("check:no-dash", at_least=True, value=1.0)),
        ("usd_per_1k<=0.05", Condition("usd_per_1k", at_least=False, value=0.05)),
    ],
)
def test_a_condition_is_parsed(text: str, condition: Condition) -> None:
    assert Condition.parse(text) == condition
    assert Condition.parse(str(condition)) == condition
    assert str(condition) == text.replace(" ", "")


@pytest.mark.parametrize(
    "text",
    ["", "correct", "correct=0.8", "correct>0.8", ">=0.8", "correct>=", "correct>=high", "correct>=-1"],
)
def test_an_invalid_condition_is_reported(text: str) -> None:
    with pytest.raises(UsageError, match="invalid condition") as caught:
        Condition.parse(text)
    assert "correct>=0.8" in (caught.value.hint or "")
    assert caught.value.exit_code == 2


def test_a_check_with_a_space_in_its_name_can_be_conditioned() -> None:
    assert Condition.parse("check:no dash>=1").metric == "check:no dash"


@pytest.mark.parametrize(("text", "value"), [("correct>=.8", 0.8), ("usd_per_1k<=5e-3", 0.005)])
def test_a_number_may_use_any_common_notation(text: str, value: float) -> None:
    assert Condition.parse(text).value == value


def report_of(choice: str | None, leaders: Sequence[str], *results: Result) -> Report:
    report = evaluate_run(Run(results, Path()))
    return replace(report, verdict=replace(report.verdict, choice=choice, leaders=tuple(leaders)))


def test_a_condition_is_checked_against_scores_and_figures() -> None:
    usage = Usage(seconds=2.0, usd=0.001)
    report = report_of("a", ["a"], row("e0", usage=usage), row("e1", correct=0.0, usage=usage))
    (only,) = report.approaches
    for text, met in (
        ("correct>=0.5", True),
        ("correct>=0.51", False),
        ("correct<=0.5", True),
        ("p50_seconds<=2", True),
        ("p95_seconds<=1.9", False),
        ("usd_per_1k<=1", True),
        ("cited>=0.1", False),
        ("f1>=0", False),
    ):
        assert Condition.parse(text).met_by(only) is met, text


def test_an_unknown_figure_meets_nothing() -> None:
    (only,) = report_of("a", ["a"], row("e0")).approaches
    for text in ("usd_per_1k<=1000", "usd_per_1k>=0", "p95_seconds<=1000", "p50_seconds>=0"):
        assert not Condition.parse(text).met_by(only), text


def results_of(**means: float) -> list[Result]:
    return [row(f"e{at}", name, float(at < 10 * mean)) for name, mean in means.items() for at in range(10)]


def test_a_report_shows_the_verdict_and_a_table_of_the_approaches() -> None:
    report = report_of("a", ["a"], *results_of(a=0.9, b=0.2))
    sentence, *lines = str(replace(report, run=replace(report.run, complete=False, missing={"c": "<no model>"}))).split(
        "\n"
    )
    assert sentence == report.verdict.sentence
    at = lines.index("")
    assert lines[at - 1] == "This run is incomplete; compare resumes it."
    assert lines[at + 1].split() == ["approach", "correct", "abstained", "errors", "p95", "s", "usd/1k"]
    assert lines[at + 2].split()[:2] == ["a", "0.900"]
    assert lines[at + 3].split()[:2] == ["b", "0.200"]
    assert lines[at + 4] == WRONG
    assert lines[at + 5].startswith(
        "  unknown: a 10% [1%, 46%] of 10, such as e9; b 80% [44%, 95%] of 10, such as e2, e3 and e4. "
    )
    assert lines[at + 6 : at + 8] == ["All causes: diagnoses", "c was not run: <no model>"]
    assert "<td" in report._repr_html_()
    assert str(report.verdict) in str(report)


def test_conditions_apply_to_the_choice() -> None:
    report = report_of("b", ["a", "b"], *results_of(a=0.9, b=0.8, c=0.1))
    assert report.unmet_by([Condition.parse("correct>=0.8")]) == []
    assert report.unmet_by([Condition.parse("correct<=0.85")]) == []
    assert report.unmet_by([Condition.parse("correct>=0.85"), Condition.parse("correct>=0.1")]) == ["correct>=0.85"]


def test_without_a_choice_every_leader_must_meet_the_conditions() -> None:
    report = report_of(None, ["a", "b"], *results_of(a=0.9, b=0.8, c=0.1))
    assert report.unmet_by([Condition.parse("correct>=0.8"), Condition.parse("correct>=0.85")]) == ["correct>=0.85"]
    nobody = report_of(None, [], *results_of(a=0.9))
    assert nobody.unmet_by([Condition.parse("correct>=0.1")]) == ["correct>=0.1"]


def test_a_condition_on_an_unknown_score_is_an_error() -> None:
    report = report_of("a", ["a"], row("e0"))
    with pytest.raises(UsageError, match="no approach has 'corect'") as caught:
        report.unmet_by([Condition.parse("corect>=0.8")])
    assert caught.value.hint == f"choose one of {', '.join(('correct', *FIGURES))}"


# -- writing -----------------------------------------------------------------------------------------------------

KEYS = {
    "choice", "sentence", "primary", "n", "approaches", "comparisons", "verdict", "unavailable", "thresholds",
    "prompts", "unreviewed", "unreviewed_sentence", "tags", "classes", "fields", "run", "complete", "results", "html",
    "diagnosis", "guides", "stopping", "curve", "routing_sentence", "costs", "flips",
    "live",
}  # fmt: skip


async def test_guides_are_held_against_the_figures(tmp_path: Path) -> None:
    opinion = {"title": "", "because": "", "place": "", "remarks": [], "by_default": False, "source": ""}
    said = {"A": "rag", "B": "fine-tune", "C": "both", "D": "undecided", "E": "prompt"}
    guides = [{"guide": name, "says": says, **opinion} for name, says in said.items()]
    alone = [replace(question, evidence=()) for question in QUESTIONS]
    approaches = (Scripted("rag"), Scripted("prompt", 4))
    folder = await make_run(tmp_path, *approaches, examples=alone, context={"guides": guides})
    report = evaluate_run(read_run(folder))
    judged = {each["guide"]: each["figures"] for each in report.summary()["guides"]}
    assert judged == {"A": "right", "B": "not measured", "C": "not measured", "D": "left it open", "E": "wrong"}
    line = "Guides, by these figures: A: right; B, C: not measured; D: left it open; E: wrong."
    assert line in str(report)


async def test_the_summary_has_the_documented_keys(tmp_path: Path) -> None:
    folder = await make_run(tmp_path, Scripted("rag"), Scripted("prompt", 10))
    summary = evaluate_run(read_run(folder)).summary()
    assert set(summary) == KEYS
    assert (summary["primary"], summary["n"], summary["complete"], summary["run"]) == ("correct", 20, True, folder.name)
    assert summary["unavailable"] == {"context": "does not fit: 30 passages"}
    assert [(each["approach"], each["n"], each["failures"]) for each in summary["diagnosis"]] == [
        ("rag", 20, 0),
        ("prompt", 20, 10),
    ]
    causes = {found["cause"]: found for found in summary["diagnosis"][1]["causes"]}
    assert {cause: found["count"] for cause, found in causes.items()} == {
        "abstained wrongly": 8,
        "should have abstained": 2,
    }
    assert set(causes["should have abstained"]) == {"cause", "count", "share", "gain_at_most", "examples", "advice"}
    for approach in summary["approaches"]:
        assert set(approach) == {field.name for field in fields(ApproachSummary)}
    for comparison in summary["comparisons"]:
        assert set(comparison) == {field.name for field in fields(Difference)}
    assert set(summary["verdict"]) == {field.name for field in fields(Verdict)} - {"choice", "sentence"}
    assert set(summary["tags"][0]) == {"tag", "n", "approaches", "asserted_wrong"}
    assert set(summary["tags"][0]["approaches"]["rag"]) == {"mean", "low", "high", "n"}
    assert (summary["results"], summary["html"]) == (str(folder / RESULTS), None)


def test_the_summary_names_the_file_that_was_read(tmp_path: Path) -> None:
    file = bare(tmp_path / "mine.jsonl", row("e0"))
    assert evaluate_run(read_run(file)).summary()["results"] == str(file)


async def test_the_report_is_written_as_json_and_as_a_page(tmp_path: Path) -> None:
    folder = await make_run(tmp_path, Scripted("rag"), Scripted("prompt", 10))
    report = write_report(evaluate_run(read_run(folder)), folder)
    assert report.file == folder / "report.html"
    assert read_json(folder / "report.json") == json.loads(json.dumps(report.summary()))
    assert read_json(folder / "report.json")["html"] == str(folder / "report.html")
    assert report.file.read_text(encoding="utf-8").startswith("<!doctype html>")
    again = write_report(evaluate_run(read_run(folder)), folder)
    assert again == report


async def test_a_page_can_be_written_anywhere(tmp_path: Path) -> None:
    folder = await make_run(tmp_path, Scripted("rag"))
    report = write_page(evaluate_run(read_run(folder)), tmp_path / "pages" / "mine.html")
    assert report.file == tmp_path / "pages" / "mine.html"
    assert report.file.is_file()
    assert not (folder / "report.json").exists()


async def test_the_page_holds_every_example_cell_and_cited_passage(tmp_path: Path) -> None:
    folder = await make_run(tmp_path, Scripted("rag", failing=[3]), Scripted("prompt", 10))
    report = write_report(evaluate_run(read_run(folder)), folder)
    assert report.file is not None
    content = embedded(report.file, "page")
    assert content.keys() == KEYS | {
        "title",
        "made",
        "task",
        "threshold_sentences",
        "prompt_sentences",
        "curve_sentences",
        "moves",
    }
    assert (content["title"], content["task"], content["made"]) == ("shop", "answer", report.run.started)
    examples = embedded(report.file, "examples")
    assert [example["id"] for example in examples] == [example.id for example in QUESTIONS]
    assert examples[1] == {
        "id": "q1",
        "input": "question 1",
        "output": "30 days",
        "tags": ["money", "odd 1"],
        "evidence": [{"source": "refunds.md", "quote": "30 days", "start": None, "end": None}],
    }
    cells = embedded(report.file, "cells")
    assert {name: set(row) for name, row in cells.items()} == {question.id: {"rag", "prompt"} for question in QUESTIONS}
    assert cells["q1"]["rag"] == {
        "status": "answered",
        "output": "30 days [1].",
        "citations": [{**asdict(CITED), "also_in": []}],
        "scores": cells["q1"]["rag"]["scores"],
        "usage": asdict(Usage(100, 0, 10, 0.25, 0.001)),
        "error": None,
    }
    assert cells["q3"]["rag"]["error"] == {"kind": "server", "message": "on holiday"}
    passages = embedded(report.file, "passages")
    assert list(passages) == ["d:0"]
    assert passages["d:0"]["text"] == TEXT
    assert report.verdict.sentence in report.file.read_text(encoding="utf-8").replace("&#x27;", "'")


@dataclass
class Judgement:
    scores: dict[str, float]
    reasons: dict[str, str]


async def test_the_page_shows_the_reasons_of_the_judge(tmp_path: Path) -> None:
    async def judge(question: str, answer: Answer, example: Example) -> Judgement:
        if example.id == "q2":
            raise JudgeError("gave no usable reply")
        return Judgement({"judge": 1.0, "faithfulness": 0.5}, {"judge": "As the gold.", "faithfulness": "1 of 2."})

    folder = await make_run(tmp_path, Scripted("rag"), judge=judge)
    report = write_report(evaluate_run(read_run(folder)), folder)
    assert report.file is not None
    cells = embedded(report.file, "cells")
    assert cells["q1"]["rag"]["judge"] == {"score": 1.0, "reason": "judge: As the gold.; faithfulness: 1 of 2."}
    assert "judge" not in cells["q2"]["rag"]
    assert cells["q2"]["rag"]["error"]["kind"] == "judge"
    assert cells["q2"]["rag"]["output"] == "30 days [1]."
    (only,) = report.approaches
    assert (only.n, only.metrics["judge"].n) == (20, 19)


def test_the_page_of_a_bare_file_has_its_cells(tmp_path: Path) -> None:
    file = bare(tmp_path / RESULTS, row("e0"), row("e0", "b", 0.0), row("e1"))
    report = write_page(evaluate_run(read_run(file)), tmp_path / "page.html")
    assert report.file is not None
    assert embedded(report.file, "examples") == []
    assert set(embedded(report.file, "cells")["e0"]) == {"a", "b"}
    assert embedded(report.file, "page")["title"] == "groundtune"


def test_lone_surrogates_do_not_break_the_page(tmp_path: Path) -> None:
    broken = Result("e0", "a", "answered", "half a \ud83d sign", scores={"correct": 1.0})
    failed = Result("e1", "a", "error", error=Failure("crash", "\udcff"))
    report = write_page(evaluate_run(read_run(bare(tmp_path / RESULTS, broken, failed))), tmp_path / "page.html")
    assert report.file is not None
    assert embedded(report.file, "cells")["e0"]["a"]["output"] == "half a \ud83d sign"


async def test_lone_surrogates_do_not_break_the_report(tmp_path: Path) -> None:
    """compare has paid by then; report.html is written, report.json is not."""
    examples = [replace(question, tags=("half \ud83d",)) for question in QUESTIONS]
    folder = await make_run(tmp_path, Scripted("a"), examples=examples)
    write_report(evaluate_run(read_run(folder)), folder)
    assert read_json(folder / "report.json")["tags"][0]["tag"] == "half \ud83d"


async def test_a_later_row_of_a_cell_replaces_the_earlier_one(tmp_path: Path) -> None:
    folder = await make_run(tmp_path, Scripted("a", failing=[1]))
    with (folder / RESULTS).open("ab", buffering=0) as file:
        write_result(file, row("q1", "a"))
    report = evaluate_run(read_run(folder))
    assert (report.approaches[0].errors, report.n, len(report.run.results)) == (0, 20, 20)


def test_forgetting_is_reported_once_per_training(tmp_path: Path) -> None:
    line = "forgetting: on 12 general prompts, tokens of the base model's answers are 0.71 times as likely"
    rows = [Result("q1", name, "answered", "30 days", scores={"correct": 1.0}) for name in ("tuned", "hybrid", "rag")]
    about = {"forgetting": {"tuned": line, "hybrid": line}}
    assert f"{line} (tuned, hybrid)" in evaluate_run(Run(tuple(rows), tmp_path / RESULTS, about=about)).verdict.caveats
    assert line not in "".join(evaluate_run(Run(tuple(rows), tmp_path / RESULTS)).verdict.caveats)


# -- replies that were cut off or are doubtful -------------------------------------------------------------------------


def test_cut_replies_and_warnings_are_told_once_with_their_number(tmp_path: Path) -> None:
    cut = [replace(row(f"e{at}"), cut="max_output_tokens") for at in range(3)]
    short = [
        replace(row(f"e{at}"), warnings=(f"the server read {at} of 9,000 tokens", "it refused a parameter"))
        for at in range(3, 6)
    ]
    run = read_run(bare(tmp_path / RESULTS, *cut, *short))
    run = replace(run, about={"model_tables": {run.results[0].approach: "large"}})
    report = evaluate_run(run)
    name = run.results[0].approach
    assert [caveat for caveat in report.verdict.caveats if "cut off" in caveat] == [
        f"{name}: 3 replies of 6 cut off at max_output_tokens: raise max_output_tokens in [models.large]."
    ]
    assert [caveat for caveat in report.verdict.caveats if "rows)" in caveat] == [
        f"the server read 3 of 9,000 tokens ({name} 3 rows).",
        f"it refused a parameter ({name} 3 rows).",
    ]
    assert report.summary()["approaches"][0]["cut"] == {"max_output_tokens": 3}
    written = write_page(report, tmp_path / "report.html")
    assert written.file is not None
    cells = embedded(written.file, "cells")
    assert cells["e0"][name]["cut"] == "max_output_tokens"
    assert cells["e3"][name]["warnings"] == ["the server read 3 of 9,000 tokens", "it refused a parameter"]
    trained = evaluate_run(replace(run, about={"artifacts": {name: "a1"}}))
    assert any("train it on longer replies" in caveat for caveat in trained.verdict.caveats)
    bare_run = evaluate_run(replace(run, about={}))
    assert any("of its model in groundtune.toml" in caveat for caveat in bare_run.verdict.caveats)


async def test_gold_answers_that_words_tell_little_about_advise_a_judge(tmp_path: Path) -> None:
    golds = ["No", "Yes, but only with the written consent of both managers", "30 days", "red, blue and green"]
    examples = [Example(f"q{at}", f"question {at}", gold, tags=("a",)) for at, gold in enumerate(golds)]
    folder = await make_run(tmp_path, Scripted("rag"), examples=examples)
    report = evaluate_run(read_run(folder))
    assert any(caveat.startswith("Among 4 gold answers are 2 yes or no") for caveat in report.verdict.caveats)
    assert [(tag, n) for tag, n, _ in report.figures.wrong_tags] == [("a", 4)]
    assert report.summary()["tags"][0]["asserted_wrong"]["rag"]["n"] == 4
    with pytest.raises(UsageError, match="lower is better"):
        evaluate_run(read_run(folder), primary="asserted_wrong")


async def test_figures_on_real_questions_stand_in_a_section_of_their_own(tmp_path: Path) -> None:
    folder = await make_run(tmp_path, Scripted("rag"), Scripted("prompt", 10))
    report = evaluate_run(read_run(folder))
    assert "real questions" not in str(report)
    shares = Interval(0.6, 0.4, 0.8, 30), Interval(0.9, 0.7, 1.0, 30)
    difference = LiveDifference(0.3, 0.01, 0.5, 0.03, 30)
    live = LiveReport((LiveComparison("shadow", "rag", "tuned", *shares, difference),))
    shown = replace(report, live=live)
    assert str(shown).index("On real questions, apart from the figures above:") > str(shown).index("approach")
    assert "tuned is measurably better than rag on real questions" in str(shown)
    assert shown.verdict == report.verdict
    assert [summary["name"] for summary in shown.summary()["approaches"]] == ["rag", "prompt"]
    assert shown.summary()["live"]["comparisons"][0]["decided"]
    page = write_page(shown, tmp_path / "report.html").file
    assert page is not None
    assert '"live":{"since":null' in page.read_text(encoding="utf-8")
