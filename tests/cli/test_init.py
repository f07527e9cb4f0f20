import json
from pathlib import Path

import pytest

from groundtune import cli
from groundtune.config import load_config
from groundtune.models import discover
from groundtune.models.discover import Endpoint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# A")
    return tmp_path


def offer(monkeypatch: pytest.MonkeyPatch, *endpoints: Endpoint) -> None:
    async def fake(environ: object) -> list[Endpoint]:
        return list(endpoints)

    monkeypatch.setattr(discover, "discover", fake)


def test_init_then_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["init", str(folder), "--name", "Acme", "--no-network"]) == 0
    shown = capsys.readouterr()
    assert "documents  1 md in docs/**/*" in shown.out
    assert shown.err == f"next: groundtune check -C {folder}\n"
    config = load_config(folder / "groundtune.toml", environ={})
    assert (config.name, config.documents.include) == ("Acme", ("docs/**/*",))
    assert cli.main(["check", "-C", str(folder)]) == 0


def test_nothing_is_overwritten_without_force(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "groundtune.toml").write_text("mine")
    assert cli.main(["init", str(folder), "--no-network"]) == 2
    assert (folder / "groundtune.toml").read_text() == "mine"
    assert "--force" in capsys.readouterr().err
    assert cli.main(["init", str(folder), "--no-network", "--force", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["documents"]["kinds"] == {".md": 1}
    assert cli.main(["init", str(folder / "nowhere")]) == 3


def test_a_local_model_is_used_and_a_hosted_one_only_when_agreed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hosted = Endpoint("OpenAI", "https://api.openai.com/v1", "OPENAI_API_KEY", ("gpt-5-mini",))
    offer(monkeypatch, hosted)
    assert cli.main(["init", str(folder)]) == 0
    assert "nothing is sent to api.openai.com without your consent" in capsys.readouterr().err
    path = folder / "groundtune.toml"
    assert load_config(path, environ={}).models["default"].kind == "quote"
    assert cli.main(["init", str(folder), "--force", "--yes"]) == 0
    assert load_config(path, environ={}).models["default"].model == "gpt-5-mini"
    offer(monkeypatch, hosted, Endpoint("Ollama", "http://localhost:11434/v1", None, ("bge-m3", "qwen3:8b")))
    assert cli.main(["init", str(folder), "--force"]) == 0
    model = load_config(path, environ={}).models["default"]
    assert (model.model, model.base_url, model.api_key_env) == ("qwen3:8b", "http://localhost:11434/v1", None)
