"""The figures that are kept beside a matrix are those of the matrix, or they are computed again."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from groundtune.measure.results import RESULTS, encode_result
from groundtune.types import Evidence, Example, Failure, Result, Usage
from groundtune.workflows.figures import FILE
from groundtune.workflows.measuring import measure
from groundtune.workflows.reporting import evaluate_run
from groundtune.workflows.runs import EXAMPLES, RUN, Run, read_run

LABELS = ("refund", "delivery", "other")


def stored(folder: Path, task: str, **about: Any) -> Path:
    """Two approaches on thirty examples of a task, as compare leaves them."""
    outputs: dict[str, Any] = {"answer": "30 days", "classify": LABELS[0], "extract": {"total": 3}}
    examples = [
        {
            "id": f"e{at}",
            "input": f"question {at}",
            "output": outputs[task],
            "evidence": [{"source": f"d{at % 12}.md", "quote": "30 days"}],
            "split": "test",
            "tags": [f"odd {at % 2}"],
            "groups": [],
            "origin": "drafted" if at < 3 else "person",
            "group": None,
            "rejected": None,
        }
        for at in range(30)
    ]
    scores = [
        {"correct": float(at % 3 > 0), "f1": at / 30, "asserted_wrong": float(at % 7 == 0), "valid": 1.0, "exact": 1.0}
        for at in range(30)
    ]
    rows = [
        Result(
            f"e{at}",
            name,
            "answered",
            outputs[task] if at % 3 else LABELS[1],
            scores=scores[at] if name == "rag" else {**scores[at], "correct": float(at % 2)},
            usage=Usage(100 + at, 0, 10, 0.2, 0.001),
            warnings=("it read 3 of 9 tokens",) if at == 4 else (),
        )
        for at in range(30)
        for name in ("rag", "prompt")
    ]
    folder.mkdir()
    (folder / RESULTS).write_bytes(b"".join(map(encode_result, rows)))
    (folder / EXAMPLES).write_text("".join(f"{json.dumps(example)}\n" for example in examples))
    metadata = {"approaches": ["rag", "prompt"], "complete": True, "about": {"task": task, **about}, "format": 1}
    (folder / RUN).write_text(json.dumps(metadata))
    return folder


@pytest.mark.parametrize("task", ["answer", "classify", "extract"])
def test_kept_figures_are_those_of_the_rows(tmp_path: Path, task: str) -> None:
    folder = stored(tmp_path / "run", task)
    first = read_run(folder)
    assert first.figures is None
    report = evaluate_run(first)
    again = read_run(folder)
    assert again.figures == report.figures == measure(again)
    assert evaluate_run(again).summary() == report.summary()
    assert report.figures.unreviewed == 3
    assert bool(report.figures.classes) == (task == "classify")
    assert bool(report.figures.fields) == (task == "extract")
    assert again == first, "rows and examples are read when they are asked for"


def test_errors_as_wrong_answers_are_figures_of_their_own(tmp_path: Path) -> None:
    folder = stored(tmp_path / "run", "answer")
    assert evaluate_run(read_run(folder)).figures.errors_as_wrong is None
    failed = [Result(f"e{at}", "rag", "error", error=Failure("timeout", "no answer")) for at in range(1, 30, 3)]
    with (folder / RESULTS).open("ab") as file:
        file.writelines(map(encode_result, failed))
    figures = evaluate_run(read_run(folder)).figures
    counted = figures.errors_as_wrong
    assert counted is not None
    assert {each.name: each.mean for each in figures.approaches} == {"rag": 0.5, "prompt": 0.5}
    assert {name: (mean.mean, mean.n) for name, mean in counted.means.items()} == {
        "rag": (pytest.approx(1 / 3), 30),
        "prompt": (0.5, 30),
    }
    (pair,) = counted.differences
    assert (pair.a, pair.n, pair.difference) == ("prompt", 30, pytest.approx(1 / 6))
    assert read_run(folder).figures == figures


def test_nothing_is_kept_for_another_score(tmp_path: Path) -> None:
    folder = stored(tmp_path / "run", "answer")
    assert evaluate_run(read_run(folder), primary="f1").primary == "f1"
    assert not (folder / FILE).exists()
    evaluate_run(read_run(folder))
    assert evaluate_run(read_run(folder), primary="f1").primary == "f1"
    assert evaluate_run(read_run(folder)).primary == "correct"


def test_figures_are_computed_again_where_the_matrix_has_changed(tmp_path: Path) -> None:
    folder = stored(tmp_path / "run", "answer")
    before = evaluate_run(read_run(folder))
    with (folder / RESULTS).open("ab") as file:
        file.write(encode_result(Result("e0", "rag", "answered", "x", scores={"correct": 1.0})))
    run = read_run(folder)
    assert run.figures is None
    after = evaluate_run(run)
    assert after.approaches[0].mean != before.approaches[0].mean
    assert evaluate_run(read_run(folder)).figures == after.figures


@pytest.mark.parametrize("name", [EXAMPLES, RUN])
def test_figures_are_computed_again_where_examples_or_conditions_have_changed(tmp_path: Path, name: str) -> None:
    folder = stored(tmp_path / "run", "answer")
    evaluate_run(read_run(folder))
    text = (folder / name).read_text()
    (folder / name).write_text(text.replace("odd 0", "even").replace('"answer"', '"write"'))
    assert read_run(folder).figures is None


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"format": 99}', '{"format": 1, "key": 3}'])
def test_damaged_figures_are_computed_again(tmp_path: Path, damage: str) -> None:
    folder = stored(tmp_path / "run", "answer")
    report = evaluate_run(read_run(folder))
    (folder / FILE).write_text(damage)
    assert evaluate_run(read_run(folder)).figures == report.figures


def test_rows_in_memory_are_measured() -> None:
    rows = [Result(str(at), "rag", "answered", "x", scores={"correct": 1.0}) for at in range(9)]
    example = Example("0", "question", "x", (Evidence("a.md", "x"),))
    run = Run(rows, Path("results.jsonl"), examples=[example])
    assert evaluate_run(run).n == 9
    assert evaluate_run(replace(run, results=rows[:4])).n == 4
