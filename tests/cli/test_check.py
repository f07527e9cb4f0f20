import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

COMMAND = Path(sys.executable).with_name("groundtune")


def check(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("GROUNDTUNE_", "OPENAI_"))}
    return subprocess.run([COMMAND, "check", *arguments], cwd=cwd, env=environ, capture_output=True, text=True)


def test_streams_and_exit_codes(tmp_path: Path) -> None:
    none = check(tmp_path)
    assert (none.returncode, none.stdout) == (3, "")
    assert none.stderr.endswith("hint: groundtune init\n")
    (tmp_path / "a.md").write_text("# A")
    (tmp_path / os.fsdecode(b"\xff\n.md")).write_text("# B")
    (tmp_path / "groundtune.toml").write_text('name = "[bold]p[/bold] 😀"\n')
    fine = check(tmp_path)
    assert (fine.returncode, fine.stderr) == (0, "next: groundtune ingest\n")
    assert "project    [bold]p[/bold] 😀 (answer)" in fine.stdout
    assert "2 files (2 md)" in fine.stdout
    (tmp_path / "groundtune.toml").write_text('name = "p"\n[documents]\ninclude = ["x/*"]\nk = 1\n')
    wrong = check(tmp_path, "--json")
    assert wrong.returncode == 2
    report = json.loads(wrong.stdout)
    assert report["ok"] is False
    assert report["findings"][0]["place"] == "groundtune.toml:4"


def test_a_project_that_is_only_read(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A")
    (tmp_path / "groundtune.toml").write_text('name = "p"\n[models.x]\nkind = "openai"\nmodel = "m"\n')
    report = check(tmp_path)
    assert report.returncode == 3
    assert (
        "1 missing thing\n  OPENAI_API_KEY: the API key for models.x is not set\n    hint: export OPENAI_API_KEY=…"
        in report.stdout
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.md", "groundtune.toml"]
