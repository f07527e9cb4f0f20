"""Results files of other programs and people: every complete row counts, every fault is reported with its line."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from groundtune.errors import ConfigError
from groundtune.measure.results import MAX_PROBLEMS, decode_result, encode_result, read_results, repair_last_line
from groundtune.types import Citation, EvidenceUse, Failure, Grounding, Result, Usage

GROUNDING = {"passages": 6, "ids": ["d:0"], "evidence": [{"rank": None, "cited": False}]}
CITATION = {"marker": 1, "sentence": "30 days.", "support": "exact"}


def row(**fields: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "example": "e1",
        "approach": "rag",
        "status": "answered",
        "output": "30 days",
        "citations": [],
        "scores": {"correct": 1.0},
        "usage": {"seconds": 0.5, "usd": 0.001},
        "error": None,
    }
    return {**usual, **fields}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in row().items() if key != name}


# -- the last line -----------------------------------------------------------------------------------------------


def test_a_last_row_needs_no_line_feed(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    file.write_text("\n".join(json.dumps(row(example=f"e{at}")) for at in range(3)))
    assert [result.example for result in read_results(file)] == ["e0", "e1", "e2"]


def test_a_truncated_line_is_ignored_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "results.jsonl"
    file.write_text(f"{json.dumps(row())}\n{json.dumps(row(example='e2'))[:-1]}")
    with caplog.at_level(logging.WARNING):
        assert [result.example for result in read_results(file)] == ["e1"]
    assert f"{file}:2: ignored the truncated last line" in caplog.text


def test_a_complete_last_line_that_is_not_a_row_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    file.write_text(f"{json.dumps(row())}\n{json.dumps(without('usage'))}")
    with pytest.raises(ConfigError, match=r'results\.jsonl:2: missing "usage"'):
        read_results(file)


@pytest.mark.parametrize("complete", [True, False])
def test_repairing_the_file_loses_no_complete_row(tmp_path: Path, complete: bool) -> None:
    file = tmp_path / "results.jsonl"
    first, last = (encode_result(decode_result(json.dumps(row(example=example)))) for example in ("e1", "e2"))
    file.write_bytes(first + (last[:-1] if complete else last[:-2]))
    repair_last_line(file)
    assert file.read_bytes() == (first + last if complete else first)


# -- what is ignored ---------------------------------------------------------------------------------------------


def test_blank_lines_byte_order_marks_and_windows_line_ends_are_ignored(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    lines = [json.dumps(row()), "", "  ", json.dumps(row(example="e2")), ""]
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert [result.example for result in read_results(file)] == ["e1", "e2"]


def test_rows_of_older_versions_lack_the_signals_of_the_answer() -> None:
    old = decode_result(json.dumps(row()))
    assert (old.confidence, old.best_score, old.margin) == (None, None, None)
    new = decode_result(json.dumps(row(confidence=0.5, best_score=-1, margin=None)))
    assert (new.confidence, new.best_score, new.margin) == (0.5, -1, None)


def test_rows_of_older_versions_do_not_say_what_was_in_the_prompt() -> None:
    assert decode_result(json.dumps(row())).grounding is None
    new = decode_result(json.dumps(row(grounding={**GROUNDING, "scores": [0.9]})))
    assert new.grounding == Grounding(6, ("d:0",), (EvidenceUse(None, cited=False),))
    assert decode_result(encode_result(new)) == new


def test_why_evidence_is_missing_may_be_left_out() -> None:
    piece = {"rank": None, "cited": False, "missed": "no access"}
    new = decode_result(json.dumps(row(grounding={**GROUNDING, "evidence": [piece]})))
    assert new.grounding == Grounding(6, ("d:0",), (EvidenceUse(None, False, "no access"),))
    assert decode_result(encode_result(new)) == new


def test_unknown_keys_are_ignored_everywhere() -> None:
    line = row(
        note="mine",
        usage={"usd": 0.1, "watts": 3},
        citations=[{**CITATION, "colour": "red"}],
        status="error",
        error={"kind": "judge", "message": "no verdict", "code": 7},
    )
    assert decode_result(json.dumps(line)) == Result(
        "e1",
        "rag",
        "error",
        "30 days",
        (Citation(1, "30 days.", "exact"),),
        {"correct": 1.0},
        Usage(usd=0.1),
        Failure("judge", "no verdict"),
    )


# -- faults ------------------------------------------------------------------------------------------------------

FAULTS: list[tuple[Any, str]] = [
    (row(confidence="high"), '"confidence" must be a number or null'),
    ("hello", "not JSON: Expecting value at column 1"),
    ([1, 2], "not a JSON object"),
    *((without(name), f'missing "{name}"') for name in row()),
    ({"example": "e"}, 'missing "approach", "status", "output", "citations", "scores", "usage", "error"'),
    (row(example=1), '"example" must be a non-empty string'),
    (row(approach=""), '"approach" must be a non-empty string'),
    (row(status="fine"), '"status" must be one of answered, abstained, error'),
    (row(scores=None), '"scores" must be an object of numbers'),
    (row(scores={"f1": "0.5"}), "scores.f1 must be a number"),
    (row(scores={"f1": True}), "scores.f1 must be a number"),
    (row(scores={"f1": 10**400}), "scores.f1 must be a number"),
    (row(scores={"f1": float("nan")}), "NaN is not valid JSON"),
    (row(usage=None), '"usage" must be an object'),
    (row(usage={"usd": "0.1"}), '"usage.usd" must be a number or null'),
    (row(usage={"usd": -5}), "usage.usd is negative"),
    (row(usage={"seconds": -0.1}), "usage.seconds is negative"),
    (row(citations=None), '"citations" must be a list'),
    (row(citations=[CITATION, "x"]), "citations[1] must be an object"),
    (row(citations=[{"marker": 1}]), 'missing "citations[0].sentence", "citations[0].support"'),
    (row(citations=[{**CITATION, "marker": "[1]"}]), '"citations[0].marker" must be an integer'),
    (row(citations=[{**CITATION, "support": ""}]), '"citations[0].support" must be a non-empty string'),
    (row(citations=[{**CITATION, "start": 1.5}]), '"citations[0].start" must be an integer or null'),
    (row(grounding=[]), '"grounding" must be an object or null'),
    (row(grounding={"passages": 1}), 'missing "grounding.ids", "grounding.evidence"'),
    (row(grounding={**GROUNDING, "passages": -1}), '"grounding.passages" must be an integer of 0 or more, or null'),
    (row(grounding={**GROUNDING, "evidence": [{"rank": 1}]}), 'missing "grounding.evidence[0].cited"'),
    (row(grounding={**GROUNDING, "evidence": [3]}), "grounding.evidence[0] must be an object"),
    (row(status="error"), '"error" must be an object if "status" is "error", and null otherwise'),
    (
        row(error={"kind": "x", "message": "y"}),
        '"error" must be an object if "status" is "error", and null otherwise',
    ),
    (row(status="error", error="boom"), '"error" must be an object or null'),
    (row(status="error", error={"message": "x"}), 'missing "error.kind"'),
]


@pytest.mark.parametrize(("wrong", "message"), FAULTS)
def test_a_fault_names_the_key_in_the_file(tmp_path: Path, wrong: Any, message: str) -> None:
    file = tmp_path / "results.jsonl"
    line = wrong if isinstance(wrong, str) else json.dumps(wrong)
    file.write_text(f"{json.dumps(row())}\n{line}\n{json.dumps(row(example='e2'))}\n")
    with pytest.raises(ConfigError) as caught:
        read_results(file)
    assert str(caught.value).startswith(f"{file}:2: {message}")
    assert "docs/compare.md" in (caught.value.hint or "")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("line", [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000])
def test_deep_nesting_is_reported(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "results.jsonl").write_bytes(line + b"\n")
    with pytest.raises(ConfigError, match="nested too deeply"):
        read_results(tmp_path / "results.jsonl")


def test_faults_are_reported_at_once_up_to_a_limit(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    file.write_text(f"{json.dumps(without('usage'))}\n{json.dumps(row())}\n{json.dumps(row(status='fine'))}\n")
    with pytest.raises(ConfigError) as caught:
        read_results(file)
    assert [problem.line for problem in caught.value.problems] == [1, 3]
    file.write_text("hello\n" * 1000)
    with pytest.raises(ConfigError) as caught:
        read_results(file)
    assert len(caught.value.problems) == MAX_PROBLEMS
    assert "there may be more" in (caught.value.hint or "")
