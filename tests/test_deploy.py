"""The files in deploy/ name what there is, and the tools that check such files find no mistake. Builds nothing."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from groundtune.serve.running import GRACE_SECONDS

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
UNIT = (ROOT / "deploy/groundtune.service").read_text()
COPIED = [
    source
    for arguments in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    for source in arguments.split()[:-1]
]


def test_the_dockerfile_has_no_mistake() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    run = subprocess.run([str(hadolint), str(ROOT / "deploy/Dockerfile")], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


def test_the_image_gets_what_the_package_is_built_from() -> None:
    ignored = (ROOT / "deploy/Dockerfile.dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert kept == set(COPIED)
    assert all((ROOT / source).exists() for source in COPIED)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = [*project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"], project["project"]["readme"]]
    assert all(any(Path(path).is_relative_to(source) for source in COPIED) for path in needed)
    (extras,) = re.findall(r"^ARG EXTRAS=(.+)$", DOCKERFILE, re.MULTILINE)
    assert set(extras.split(",")) <= set(project["project"]["optional-dependencies"])


def test_the_image_runs_as_nobody_special_and_tells_its_health() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER (?!0|root)\d+$", last, re.MULTILINE)
    assert "/healthz" in last
    assert "pip install" not in last


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_unit_has_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "groundtune.service"
    path.write_text(UNIT.replace("/opt/groundtune/bin/groundtune", sys.executable))  # the program must exist
    run = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def test_the_unit_waits_until_the_server_has_ended() -> None:
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    assert int(seconds) > 2 * GRACE_SECONDS
