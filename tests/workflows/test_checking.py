"""What serves a tuned model is held against what was trained: our own generator always, other servers on demand."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from groundtune.cli import main
from groundtune.models import local
from groundtune.models.scripted import Reply, ScriptedServer
from groundtune.tune.artifacts import read_artifact, write_artifact
from groundtune.tune.lora import serving
from groundtune.tune.worker import work
from groundtune.workflows import checking, training
from tests.tune.extraction import extraction_job, tiny_base
from tests.tune.serving import serve

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model in a project, trained and checked as `groundtune tune` does it."""
    root = tmp_path_factory.mktemp("checked")
    (root / "groundtune.toml").write_text('name = "colours"\ntask = "extract"\n[requirements]\nresidency = "local"\n')
    job = extraction_job(root / ".groundtune/models/colours-1", tiny_base(root / "base"), epochs=6, learning_rate=5e-3)
    assert work(job.folder, check=training.check) == 0
    return job.folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy that may be spoilt."""
    return shutil.copytree(trained, tmp_path / trained.name)


@pytest.fixture
def call(trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["models", "check", "colours", *arguments, "--project", str(trained.parents[2])])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@contextmanager
def server(script: Any, **more: Any) -> Iterator[str]:
    with ScriptedServer(script, **more) as made:
        yield made.base_url


# -- our own generator ---------------------------------------------------------------------------------------------


def test_after_training_our_own_generator_was_asked(trained: Path) -> None:
    artifact = read_artifact(trained)
    leg = artifact.details["parity"][serving.LEG]
    assert artifact.unusable is None
    assert leg["difference"] <= leg["allowed"] < leg["effect"]
    assert {"parity/inputs.json", "parity/logits.safetensors"} <= set(artifact.files)
    asked = serving.read(trained, artifact)
    assert [one.messages[-1]["role"] for one in asked] == ["user"] * 4
    assert all(one.text.startswith("{") for one in asked)


def test_a_generator_that_asks_otherwise_makes_it_unusable(
    folder: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = local._rendered
    monkeypatch.setattr(local, "_rendered", lambda *rest, **more: real(*rest, **more).removesuffix("<|assistant|>"))
    assert work(folder, check=training.check) == 0
    assert "prompt tokens that are not the" in (read_artifact(folder).unusable or "")


def other_weights(merged: Path) -> str:
    from safetensors.torch import load_file, save_file

    weights = load_file(merged / "model.safetensors")
    weights["model.layers.1.mlp.down_proj.weight"] += 0.5
    save_file(weights, merged / "model.safetensors", metadata={"format": "pt"})
    return f"the {serving.LEG} gives other logits than the trainer's model"


def the_base(merged: Path) -> str:
    base = read_artifact(merged.parent).base
    shutil.copy(Path(base) / "model.safetensors", merged / "model.safetensors")
    return "no nearer to them than to the base's"


def no_end(merged: Path) -> str:
    template = merged / "chat_template.jinja"
    text = template.read_text()
    template.write_text(text.replace("<|end|>", "{% if m.role == 'assistant' %}</s>{% else %}<|end|>{% endif %}"))
    return "does not end its answer where"


def no_template(merged: Path) -> str:
    (merged / "chat_template.jinja").unlink()
    return "cannot ask it"


@pytest.mark.parametrize("spoil", [other_weights, the_base, no_end, no_template])
def test_our_generator_is_told_from_what_was_trained(folder: Path, spoil: Callable[[Path], str]) -> None:
    said = spoil(folder / "merged")
    found = asyncio.run(checking.check_here(folder, read_artifact(folder)))
    assert said in (found.unusable or "")


def test_it_can_be_checked_again(trained: Path, call: Call) -> None:
    artifact = read_artifact(trained)
    write_artifact(trained, replace(artifact, unusable=f"the {serving.LEG} gives other logits"))
    code, out, _ = call()
    assert (code, read_artifact(trained).unusable) == (0, None)
    assert "our own generator gives what was trained" in out
    write_artifact(trained, replace(artifact, unusable="the merged model gives other logits"))
    assert call("--json")[0] == 1
    write_artifact(trained, artifact)


# -- another server ------------------------------------------------------------------------------------------------


def test_a_server_that_serves_it_agrees(trained: Path, call: Call) -> None:
    with server(serve(trained / "merged")) as url:
        code, out, err = call("--url", url)
        assert (code, err) == (0, "")
        assert f"scripted at {url} gives what was trained (4 inputs, 0.5 nats allowed)" in out
        found = json.loads(call("--url", url, "--json")[1])
    assert found["agrees"]
    assert max(row["difference"] for row in found["check"]["rows"]) < 1e-4
    assert all(ours == theirs for row in found["check"]["rows"] for ours, theirs in [row["prompt_tokens"]])


def test_a_server_without_the_chat_template_is_found_out(trained: Path, call: Call) -> None:
    with server(serve(trained / "merged", template=False)) as url:
        code, out, err = call("--url", url)
    assert code == 1
    assert "another chat template, or none" in err
    assert "without the training" not in err
    assert "gives something else than what was trained" in out


def test_a_server_of_the_base_is_found_out(trained: Path, call: Call) -> None:
    with server(serve(Path(read_artifact(trained).base))) as url:
        code, _, err = call("--url", url)
    assert code == 1
    assert "prompt tokens" not in err
    assert "so answers the base, without the training" in err


def test_a_server_that_tells_little_is_compared_by_its_words(trained: Path, call: Call) -> None:
    with server(serve(trained / "merged", tells=False)) as url:
        code, _, err = call("--url", url)
    assert code == 0
    assert "it tells no usage.prompt_tokens" in err
    assert "it tells no logprobs" in err


def test_a_server_that_refuses_logprobs_is_asked_without(trained: Path, call: Call) -> None:
    script = serve(trained / "merged")

    def refuses(body: dict[str, Any]) -> Reply:
        return Reply("logprobs are not supported", status=400) if body.get("logprobs") else script(body)

    with server(refuses) as url:
        code, _, err = call("--url", url)
    assert (code, "it tells no logprobs" in err) == (0, True)


def test_a_server_that_never_ends_its_turn_is_found_out(trained: Path, call: Call) -> None:
    script = serve(trained / "merged")

    def goes_on(body: dict[str, Any]) -> Reply:
        made = script(body)
        return (
            replace(made, text=f"{made.text} and so on", finish_reason="length")
            if made.finish_reason == "stop"
            else made
        )

    with server(goes_on) as url:
        code, _, err = call("--url", url)
    assert code == 1
    assert "it does not end its answer behind" in err


def test_what_cannot_be_asked_is_said(trained: Path, call: Call) -> None:
    with server(serve(trained / "merged"), models=["a", "b"]) as url:
        code, _, err = call("--url", url)
        assert (code, "--served-as NAME; there: a, b" in err) == (3, True)
        assert call("--url", url, "--served-as", "b")[0] == 0
    assert call("--url", "http://127.0.0.1:1/v1", "--served-as", "a")[0] == 4
    assert call("--url", "nonsense")[0] == 2
    code, _, err = call("--url", "https://example.com/v1")
    assert (code, "requirements.residency" in err) == (2, True)


def test_only_what_was_trained_with_its_inputs_can_be_checked(folder: Path, trained: Path, call: Call) -> None:
    artifact = read_artifact(trained)
    write_artifact(trained, replace(artifact, kind="classifier"))
    assert "only causal models are checked" in call()[2]
    write_artifact(trained, artifact)
    shutil.rmtree(folder / "parity")
    with pytest.raises(checking.MissingError, match="to compare with"):
        serving.read(folder, artifact)


def test_another_rounding_is_not_another_model() -> None:
    asked = serving.Asked(
        id="1",
        messages=[],
        prompt_tokens=5,
        first={" yes": -0.3, " no": -1.5},
        untrained={" maybe": -0.1},
        steps=[{" yes": 0.0, " no": -0.8}, {".": 0.0}],
        text=" yes.",
        ended=True,
    )
    close = serving.Served(5, "no.", True, [{"no": -0.8, "yes": -0.75}, {".": -0.1}])
    assert serving.judge_server("here", [(asked, close)], tolerance=0.75).reasons == ()
    (said,) = serving.judge_server("here", [(asked, close)], tolerance=0.3).reasons[:1]
    assert said.startswith("row 1: the first token ' no' is of log-probability -0.80 there, -1.50 as trained")
    (other,) = serving.judge_server("here", [(asked, replace(close, prompt_tokens=6, tokens=None))]).reasons[:1]
    assert "a second token before them that begins a text" in other
