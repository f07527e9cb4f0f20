"""A model trained here, exported, and served by a real server: the check must say whether it is what was trained."""

import json
import os
from pathlib import Path

import pytest

from groundtune.cli import main
from groundtune.models.builtin_models import builtin_models
from groundtune.project import Project
from groundtune.types import Artifact
from groundtune.workflows.checking_servers import Server
from tests.real.conftest import MODEL
from tests.real.llama_cpp import LlamaCpp
from tests.real.vllm import COMMAND, Vllm

pytestmark = pytest.mark.slow

TOML = f"""\
name = "orders"
task = "extract"
[examples]
files = ["orders.jsonl"]
[models.default]
kind = "openai"
model = "orders"
base_url = "http://127.0.0.1:1/v1"
[tune.orders]
kind = "lora"
base = "{MODEL}"
epochs = 1
batch_size = 4
accumulate = 1
learning_rate = 1e-3
device = "cpu"
"""
NAMES, ITEMS = ("Anna", "Ben", "Carla", "Dev", "Erik"), ("lamp", "chair", "desk", "rug")
SPLITS = ("train",) * 16 + ("validation",) * 2 + ("test",) * 2


@pytest.fixture(scope="module")
def project(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a project with a small adapter of the built-in model, trained for four steps."""
    folder = tmp_path_factory.mktemp("orders")
    rows = []
    for n, split in enumerate(SPLITS):
        name, item, count = NAMES[n % 5], ITEMS[n % 4], 7 * n % 90 + 2
        output = {"name": name, "item": item, "count": count}
        rows.append(
            {"id": f"r{n}", "input": f"{name} orders {count} of the item {item}.", "output": output, "split": split}
        )
    (folder / "orders.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (folder / "groundtune.toml").write_text(TOML)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OMP_NUM_THREADS", "1")
        with Project.open(folder) as opened:
            opened.tune("orders")
    return folder


def trained(project: Path) -> Artifact:
    with Project.open(project) as opened:
        (artifact,) = opened.artifacts()
    assert artifact.unusable is None
    return artifact


def export(project: Path, to: str, target: Path) -> Path:
    assert main(["models", "export", "orders", "-C", str(project), "--to", to, "--target", str(target)]) == 0
    return target


def test_llama_cpp_serves_what_was_trained(project: Path, tmp_path: Path) -> None:
    if not os.environ.get("LLAMA_CPP"):
        pytest.skip("llama.cpp's converter is not here: make test-real")
    artifact = trained(project)
    exported = export(project, "gguf", tmp_path / "orders.gguf")
    with LlamaCpp(exported) as server, Project.open(project) as opened:
        check = opened.check_model(artifact, Server(server.url))
    assert not isinstance(check, Artifact)
    assert check.reasons == ()
    assert check.same_words + len(check.notes) == len(check.rows), "nothing but a near tie may change the words"
    for row in check.rows:
        assert row.prompt_tokens[0] == row.prompt_tokens[1]
        assert row.difference is not None
        assert row.difference < 0.2, "both are in bfloat16"


def test_llama_cpp_with_the_untrained_model_is_told_apart(project: Path, model_file: Path) -> None:
    artifact = trained(project)
    with LlamaCpp(model_file) as server, Project.open(project) as opened:
        check = opened.check_model(artifact, Server(server.url))
    assert not isinstance(check, Artifact)
    assert check.same_words == 0
    assert any("the untrained base model answers like this" in reason for reason in check.reasons)
    assert any("; token 1 is " in reason for reason in check.reasons), "the first token that differs is named"
    assert all(ours == theirs for row in check.rows for ours, theirs in [row.prompt_tokens])


@pytest.mark.skipif(COMMAND not in os.environ, reason=f"{COMMAND} does not name the command of a vLLM")
def test_vllm_serves_the_adapter(project: Path, tmp_path: Path) -> None:
    artifact = trained(project)
    adapter = export(project, "adapter", tmp_path / "adapter")
    base = builtin_models()[MODEL].folder / "transformers"
    with Vllm(base, adapters={"orders": adapter}) as server, Project.open(project) as opened:
        tuned = opened.check_model(artifact, Server(server.url, model="orders"))
        untuned = opened.check_model(artifact, Server(server.url, model="base"))
    assert not isinstance(tuned, Artifact)
    assert not isinstance(untuned, Artifact)
    assert tuned.reasons == ()
    assert untuned.reasons
