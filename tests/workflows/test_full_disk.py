"""A disk that fills during an ingest gives one clear message, and the next run completes normally."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundtune import GroundtuneError, Project

pytestmark = pytest.mark.slow


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 kB; needs permission to mount."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system takes root")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def test_a_full_disk_is_said_and_recovered_from(small_disk: Path) -> None:
    (small_disk / "groundtune.toml").write_text('name = "full"\n')
    for number in range(12):
        text = f"# Rule {number}\n\n" + f"Rule number {number} says that bikes of kind {number} stay indoors. " * 40
        (small_disk / f"rule{number}.md").write_text(text)
    with Project.open(small_disk) as project:
        with pytest.raises(GroundtuneError, match="is full") as caught:
            project.ingest()
        assert "groundtune ingest again" in (caught.value.hint or "")
        subprocess.run(["mount", "-o", "remount,size=60M", str(small_disk)], check=True)
        report = project.ingest()
        assert [entry.row.status for entry in report.files] == ["indexed"] * 12
        assert report.documents == 12
        assert project.search("bikes of kind 7", k=1)[0].passage.source == "rule7.md"


def test_a_disk_that_is_full_before_the_run(small_disk: Path) -> None:
    (small_disk / "groundtune.toml").write_text('name = "full"\n')
    (small_disk / "first.md").write_text("The Wren costs 3,200 euros.\n")
    (small_disk / "second.md").write_text("The Alba costs 4,100 euros.\n")
    subprocess.run(["mount", "-o", "remount,size=60M", str(small_disk)], check=True)
    with Project.open(small_disk) as project:
        project.ingest()
    (small_disk / "second.md").unlink()
    with contextlib.suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(b"0" * 4096)
    command = [sys.executable, "-m", "groundtune", "ingest", "--project", str(small_disk)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "full" in run.stderr
    assert "run again with --debug" not in run.stderr
    (small_disk / "filler").unlink()
    with Project.open(small_disk) as project:
        assert project.ingest().documents == 1
