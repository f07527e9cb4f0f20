"""`groundtune costs` before there is a comparison; with one: test_verbs.py."""

import json
from pathlib import Path

import pytest

from groundtune.cli import main

PROJECT = 'name = "x"\n[documents]\ninclude = ["*.md"]\n[costs]\n'


def costs(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(("costs", "-C", str(folder), *words))
    return code, *capsys.readouterr()


def test_outside_a_project_assumptions_are_used_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = costs(tmp_path, capsys, "--json")
    assert code == 0
    report = json.loads(out)
    assert [each["name"] for each in report["approaches"]] == ["prompt", "rag", "fine-tune", "both"]
    for approach in report["approaches"]:
        for figure in ("setup_usd", "per_request_usd", "monthly_usd"):
            assert 0 < approach[figure]["low"] < approach[figure]["likely"] < approach[figure]["high"]
        assert approach["per_correct_usd"] is None, "no quality is measured"
    assert len(report["crossovers"]) == 6
    assert all(
        bool(each["requests_per_month"]) is bool(each["cheaper_above"]) is not bool(each["cheaper_always"])
        for each in report["crossovers"]
    )
    assert all(each["origin"] and each["unit"] for each in report["assumptions"])
    assert "groundtune compare" in err


def test_the_project_file_overrides_assumptions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "groundtune.toml").write_text(
        f"{PROJECT}requests_per_month = 70_000\n[costs.assumptions]\nperson_usd_per_hour = 0\n"
        "storage_usd_per_month = 0\ntuned_hosting_usd_per_month = 0\noutput_tokens = [10, 20, 30]\n"
    )
    code, out, _ = costs(tmp_path, capsys, "--json")
    assert code == 0
    report = json.loads(out)
    known = {each["name"]: each for each in report["assumptions"]}
    assert (known["requests_per_month"]["value"], known["requests_per_month"]["origin"]) == (70_000, "project file")
    assert (known["output_tokens"]["low"], known["output_tokens"]["high"]) == (10, 30)
    prompt = report["approaches"][0]
    assert prompt["setup_usd"]["high"] == 0
    assert prompt["monthly_usd"]["likely"] == pytest.approx(70_000 * prompt["per_request_usd"]["likely"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("coffee_usd = 3", "coffee_usd: no such assumption"),
        ("review_rate = 5", "review_rate: a share is at most 1"),
        ("label_minutes = [3, 2, 5]", "label_minutes must be a number of 0 or more, or three that rise"),
        ("label_minutes = -1", "label_minutes must be a number of 0 or more"),
    ],
)
def test_a_wrong_assumption_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    (tmp_path / "groundtune.toml").write_text(f"{PROJECT}[costs.assumptions]\n{line}\n")
    code, out, err = costs(tmp_path, capsys)
    assert (code, out) == (2, "")
    assert message in err


def test_a_run_that_does_not_exist_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "groundtune.toml").write_text(PROJECT)
    code, _, err = costs(tmp_path, capsys, "nowhere")
    assert code == 3
    assert "nowhere" in err


def test_a_folder_inside_a_project_has_its_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "groundtune.toml").write_text(f"{PROJECT}months = 7\n")
    (tmp_path / "docs").mkdir()
    code, out, _ = costs(tmp_path / "docs", capsys, "--json")
    assert (code, json.loads(out)["months"]) == (0, 7)


def test_a_folder_that_does_not_exist_has_no_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = costs(tmp_path / "nowhere", capsys)
    assert (code, out) == (3, "")
    assert "nowhere" in err
