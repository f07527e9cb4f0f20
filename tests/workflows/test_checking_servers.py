"""A served model must match its training: the local generator is always checked, other servers on demand."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from groundtune.build.training_kinds import training_kind
from groundtune.build.training_kinds.lora import Lora
from groundtune.cli import main
from groundtune.models import local_generator
from groundtune.testing.scripted_server import Reply, ScriptedServer
from groundtune.tune.artifacts import read_artifact, write_artifact
from groundtune.tune.lora import serving_check
from groundtune.tune.worker import run_training
from groundtune.workflows import checking_servers
from tests.tune.extraction import extraction_job, tiny_base
from tests.tune.serving import serve

pytestmark = pytest.mark.slow

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model in a project, trained and checked the way `groundtune tune` does."""
    root = tmp_path_factory.mktemp("checked")
    (root / "groundtune.toml").write_text('name = "colours"\ntask = "extract"\n[requirements]\nresidency = "local"\n')
    job = extraction_job(root / ".groundtune/models/colours-1", tiny_base(root / "base"), epochs=6, learning_rate=5e-3)
    assert run_training(job.folder, training_kind) == 0
    return job.folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(trained, tmp_path / trained.name)


@pytest.fixture
def call(trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["models", "check", "colours", *arguments, "--project", str(trained.parents[2])])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@contextmanager
def server(script: Any, **more: Any) -> Iterator[str]:
    with ScriptedServer(script, **more) as server:
        yield server.base_url


# -- our own generator ---------------------------------------------------------------------------------------------


def test_the_local_generator_is_checked_after_training(trained: Path) -> None:
    artifact = read_artifact(trained)
    leg = artifact.details["parity"][serving_check.LEG]
    assert artifact.unusable is None
    assert leg["difference"] <= leg["allowed"] < leg["effect"]
    assert {"parity/inputs.json", "parity/logits.safetensors"} <= set(artifact.files)
    inputs = serving_check.read_references(trained, artifact)
    assert [recorded.messages[-1]["role"] for recorded in inputs] == ["user"] * 4
    assert all(recorded.text.startswith("{") for recorded in inputs)


def test_a_generator_with_a_different_prompt_makes_the_artifact_unusable(
    folder: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = local_generator._rendered
    monkeypatch.setattr(
        local_generator, "_rendered", lambda *rest, **more: real(*rest, **more).removesuffix("<|assistant|>")
    )
    assert run_training(folder, training_kind) == 0
    assert "prompt tokens that differ from the" in (read_artifact(folder).unusable or "")


def other_weights(merged: Path) -> str:
    from safetensors.torch import load_file, save_file

    weights = load_file(merged / "model.safetensors")
    weights["model.layers.1.mlp.down_proj.weight"] += 0.5
    save_file(weights, merged / "model.safetensors", metadata={"format": "pt"})
    return f"the {serving_check.GENERATOR}'s logits differ from the trained model's"


def the_base(merged: Path) -> str:
    base = read_artifact(merged.parent).base
    shutil.copy(Path(base) / "model.safetensors", merged / "model.safetensors")
    return "no closer to the trained model's than to the base model's"


def no_end(merged: Path) -> str:
    template = merged / "chat_template.jinja"
    text = template.read_text()
    template.write_text(text.replace("<|end|>", "{% if m.role == 'assistant' %}</s>{% else %}<|end|>{% endif %}"))
    return "does not end its answer where"


def no_template(merged: Path) -> str:
    (merged / "chat_template.jinja").unlink()
    return f"the {serving_check.GENERATOR} failed"


@pytest.mark.parametrize("spoil", [other_weights, the_base, no_end, no_template])
def test_differences_from_the_trained_model_are_detected(folder: Path, spoil: Callable[[Path], str]) -> None:
    reason = spoil(folder / "merged")
    artifact = asyncio.run(Lora().check_model(folder, read_artifact(folder)))
    assert reason in (artifact.unusable or "")


def test_the_check_can_be_repeated(trained: Path, call: Call) -> None:
    artifact = read_artifact(trained)
    for leg in (serving_check.LEG, serving_check.GENERATOR):
        write_artifact(trained, replace(artifact, unusable=f"the {leg} gives other logits"))
        code, out, _ = call()
        assert (code, read_artifact(trained).unusable) == (0, None)
    assert "the local generator matches the trained model" in out
    write_artifact(trained, replace(artifact, unusable="the merged model gives other logits"))
    assert call("--json")[0] == 1
    write_artifact(trained, artifact)


# -- another server ------------------------------------------------------------------------------------------------


def test_a_server_of_the_tuned_model_agrees(trained: Path, call: Call) -> None:
    with server(serve(trained / "merged")) as url:
        code, out, err = call("--url", url)
        assert (code, err) == (0, "")
        assert (
            f"scripted at {url} matches the trained model (4 inputs, 4 answered in the same words, tolerance 0.5 nats)"
            in out
        )
        result = json.loads(call("--url", url, "--json")[1])
    assert result["agrees"]
    assert max(row["difference"] for row in result["check"]["rows"]) < 1e-4
    assert all(ours == theirs for row in result["check"]["rows"] for ours, theirs in [row["prompt_tokens"]])


def test_a_server_without_the_chat_template_is_detected(trained: Path, call: Call) -> None:
    with server(serve(trained / "merged", template=False)) as url:
        code, out, err = call("--url", url)
    assert code == 1
    assert "a different chat template, or none" in err
    assert "untrained base model" not in err
    assert "differs from the trained model" in out


def test_a_server_of_the_base_model_is_detected(trained: Path, call: Call) -> None:
    with server(serve(Path(read_artifact(trained).base))) as url:
        code, _, err = call("--url", url)
    assert code == 1
    assert "prompt tokens" not in err
    assert "the untrained base model answers like this" in err


def test_a_server_without_logprobs_is_compared_by_its_text(trained: Path, call: Call) -> None:
    with server(serve(trained / "merged", tells=False)) as url:
        code, _, err = call("--url", url)
    assert code == 0
    assert "the server reports no usage.prompt_tokens" in err
    assert "the server reports no logprobs" in err


def test_a_server_that_refuses_logprobs_is_called_without(trained: Path, call: Call) -> None:
    script = serve(trained / "merged")

    def refuses(body: dict[str, Any]) -> Reply:
        return Reply("logprobs are not supported", status=400) if body.get("logprobs") else script(body)

    with server(refuses) as url:
        code, _, err = call("--url", url)
    assert (code, "the server reports no logprobs" in err) == (0, True)


@pytest.mark.parametrize("words", ["logprobs are not supported", "unexpected argument"])
def test_the_words_of_a_refusal_do_not_matter(trained: Path, call: Call, words: str) -> None:
    script = serve(trained / "merged")

    def refuses(body: dict[str, Any]) -> Reply:
        return Reply(words, status=422) if body.keys() & {"logprobs", "top_logprobs"} else script(body)

    with server(refuses) as url:
        code, _, err = call("--url", url)
    assert (code, "the server reports no logprobs" in err) == (0, True)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"error": {"message": "the model is gone", "code": 400}}', "the model is gone"),
        ('{"error": "Unexpected endpoint"}', "Unexpected endpoint"),
        ('{"id": "x", "object": "chat.completion", "choices": []}', "it has no choices"),
        ("<html>", "it is not JSON"),
    ],
)
def test_an_error_inside_a_200_is_reported(trained: Path, call: Call, body: str, words: str) -> None:
    with server(Reply(raw_body=body)) as url:
        code, _, err = call("--url", url)
    assert code == 4
    assert words in err


@pytest.mark.parametrize("beside", [True, False])
def test_thinking_is_no_part_of_the_words(trained: Path, call: Call, beside: bool) -> None:
    script = serve(trained / "merged", tells=False)

    def thinks(body: dict[str, Any]) -> Reply:
        reply = script(body)
        if beside:
            return replace(reply, message={"reasoning_content": "Hm."})
        return replace(reply, text=f"<think>Hm.</think>\n\n{reply.text}")

    with server(thinks) as url:
        assert call("--url", url)[0] == 0


def test_a_server_that_never_ends_its_turn_is_detected(trained: Path, call: Call) -> None:
    script = serve(trained / "merged")

    def goes_on(body: dict[str, Any]) -> Reply:
        reply = script(body)
        return (
            replace(reply, text=f"{reply.text} and so on", finish_reason="length")
            if reply.finish_reason == "stop"
            else reply
        )

    with server(goes_on) as url:
        code, _, err = call("--url", url)
    assert code == 1
    assert "it does not end its answer after" in err


def test_an_unreachable_server_or_model_is_reported(trained: Path, call: Call) -> None:
    with server(serve(trained / "merged"), models=["a", "b"]) as url:
        code, _, err = call("--url", url)
        assert (code, "--served-as NAME; available: a, b" in err) == (3, True)
        assert call("--url", url, "--served-as", "b")[0] == 0
    assert call("--url", "http://127.0.0.1:1/v1", "--served-as", "a")[0] == 4
    assert call("--url", "nonsense")[0] == 2
    code, _, err = call("--url", "https://example.com/v1")
    assert (code, "requirements.residency" in err) == (2, True)


def test_only_artifacts_with_recorded_inputs_can_be_checked(folder: Path, trained: Path, call: Call) -> None:
    artifact = read_artifact(trained)
    write_artifact(trained, replace(artifact, kind="classifier"))
    assert "only causal models can be checked" in call()[2]
    write_artifact(trained, artifact)
    shutil.rmtree(folder / "parity")
    with pytest.raises(checking_servers.MissingError, match="to compare with"):
        serving_check.read_references(folder, artifact)


def test_rounding_differences_are_tolerated_and_named() -> None:
    recorded = serving_check.ReferenceOutput(
        id="1",
        messages=[],
        prompt_tokens=5,
        first={" yes": -0.3, " no": -1.5},
        untrained={" maybe": -0.1},
        steps=[{" yes": 0.0, " no": -0.8}, {".": 0.0}],
        text=" yes.",
        ended=True,
    )
    close = serving_check.ServerOutput(5, "no.", True, [{"no": -0.8, "yes": -0.75}, {".": -0.1}])
    check = serving_check.compare_server("here", [(recorded, close)], tolerance=0.75)
    assert (check.reasons, check.same_words) == ((), 0)
    divergence = "token 1 is 'no', where ' yes' is 0.80 nats likelier in the trained model"
    assert check.notes == (f"row 1: other words after a near tie: {divergence}",)
    first_token, words = serving_check.compare_server("here", [(recorded, close)], tolerance=0.3).reasons
    first = "the first token ' no' has log-probability -0.80 on the server but -1.50 in the trained model"
    assert first_token.startswith(f"row 1: {first}")
    assert words == f"row 1: it answers 'no.', the trained model 'yes.'; {divergence}"
    unlikely = replace(close, text="maybe", tokens=[{"maybe": -0.1, "yes": -0.3}])
    assert (
        "token 1 is 'maybe', where ' yes' is far likelier"
        in serving_check.compare_server("here", [(recorded, unlikely)]).reasons[-1]
    )
    (other,) = serving_check.compare_server("here", [(recorded, replace(close, prompt_tokens=6, tokens=None))]).reasons[
        :1
    ]
    assert "a second beginning-of-text token" in other
