"""Runs are listed by what their files say, also those that cannot be read."""

import json
from pathlib import Path

from groundtune.workflows.listing_runs import list_runs
from groundtune.workspace import Workspace


def test_every_run_is_listed_the_newest_first(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    verdict = {
        "format": 1,
        "verdict": {"choice": "rag", "sentence": "Use rag."},
        "evidence": {"n": 40},
    }
    for name, run, files in (
        ("a", {"format": 1, "started": "2026-11-01T00:00:00Z", "complete": True, "about": {"split": "test"}}, verdict),
        ("b", {"format": 1, "started": "2026-11-03T00:00:00Z"}, None),
        ("c", {"format": 99, "started": "2026-11-02T00:00:00Z"}, None),
        ("d", {"format": 1, "started": "2026-10-02T00:00:00Z"}, {"format": 1, "verdict": {}}),
    ):
        (workspace.runs / name).mkdir(parents=True)
        (workspace.runs / name / "run.json").write_text(json.dumps(run))
        if files is not None:
            (workspace.runs / name / "verdict.json").write_text(json.dumps(files))
    runs = list_runs(workspace)
    assert [run.name for run in runs] == ["b", "a", "d", "c"]
    assert (runs[1].complete, runs[1].n, runs[1].split, runs[1].sentence) == (True, 40, "test", "Use rag.")
    assert (runs[0].complete, runs[0].sentence, runs[0].problem) == (False, None, None)
    assert runs[2].problem == "verdict.json lacks 'evidence'"
    assert runs[3].problem is not None
    assert "newer" in runs[3].problem


def test_a_project_without_runs_lists_none(tmp_path: Path) -> None:
    assert list_runs(Workspace(tmp_path)) == ()
