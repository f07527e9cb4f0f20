"""A causal model from the command line: import edits, train, check serving, ask and compare."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundtune.cli import main
from groundtune.models.local_generator import LocalGenerator
from groundtune.project import Project
from groundtune.tune.artifacts import read_artifact
from groundtune.tune.lora import serving_check
from groundtune.types import Generation, Prompt
from tests.tune.extraction import tiny_base

pytestmark = pytest.mark.slow

Call = Callable[..., tuple[int, str, str]]
TABLE = """\
name = "letters"
task = "write"
[examples]
files = ["examples.jsonl"]
[tune.edits]
kind = "lora"
mode = "dpo"
base = "{base}"
epochs = 1
learning_rate = 1e-3
batch_size = 8
accumulate = 1
device = "cpu"
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(arguments))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def edits(folder: Path, *, base: Path) -> Path:
    """A project and a file of letters edited by people."""
    (folder / "groundtune.toml").write_text(TABLE.format(base=base))
    rows = [
        {
            "input": {"messages": [{"role": "user", "content": f"red {n}"}]},
            "preferred_output": [{"role": "assistant", "content": f"no {n}"}],
            "non_preferred_output": [{"role": "assistant", "content": f"yes {n}"}],
        }
        for n in range(24)
    ]
    path = folder / "edits.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_dpo_from_edits_to_a_served_model(base: Path, tmp_path: Path, call: Call) -> None:
    path = edits(tmp_path, base=base)
    assert call("examples", "import", str(path), "--split", "train")[0] == 0
    with (tmp_path / "examples.jsonl").open("a") as file:
        file.write('{"id": "plain", "input": "blue 1", "output": "yes 1", "split": "train"}\n')
        file.write('{"id": "asked", "input": "blue 2", "output": "no 2", "split": "test"}\n')
    code, out, err = call("tune", "edits")
    assert code == 0, err
    assert " preferred over ⟦yes 0⟧" in out, "both replies are shown before the training"
    (folder,) = (tmp_path / ".groundtune/models").iterdir()
    artifact = read_artifact(folder)
    assert artifact.unusable is None
    assert len(artifact.seen_examples) == 24, "the row without a rejected reply teaches no preference"
    assert {"reloaded adapter", "merged model", serving_check.LEG} <= set(artifact.details["parity"])
    learnt = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    assert {(row["output"], row["rejected"]) for row in learnt} == {(f"no {n}", f"yes {n}") for n in range(24)}
    assert_asked_as_trained(tmp_path, learnt[0])
    shown = call("models", "show", "edits")[1]
    assert "forgetting: " in shown
    assert f"{serving_check.GENERATOR}: difference 0." in shown
    code, out, _ = call("compare", "--json")
    caveats = json.loads(out)["verdict"]["caveats"]
    assert [caveat for caveat in caveats if caveat.startswith("forgetting: ")] == [
        f"{artifact.details['probes']['line']} (tuned)"
    ]
    project_file = tmp_path / "groundtune.toml"
    project_file.write_text(f'instructions = "Be brief."\n{project_file.read_text()}')
    code, _, err = call("ask", "-a", "tuned", "blue 2")
    assert code == 3
    assert "tuned was trained with instructions, a prompt, labels or a schema that differ" in err


def assert_asked_as_trained(root: Path, row: dict[str, Any]) -> None:
    """The approach sends exactly the prompt that the model was trained on."""
    prompts: list[Prompt] = []

    async def generate(_: LocalGenerator, prompt: Prompt) -> Generation:
        prompts.append(prompt)
        return Generation("no 1")

    with pytest.MonkeyPatch.context() as patch, Project.open(root) as project:
        patch.setattr(LocalGenerator, "generate", generate)
        project.ask(row["input"], approach="tuned")
    (sent,) = prompts
    assert [(message.role, message.content) for message in sent.messages] == [
        (turn["role"], turn["content"]) for turn in row["messages"][:-1]
    ]


def test_without_a_rejected_reply_dpo_is_refused(base: Path, tmp_path: Path, call: Call) -> None:
    edits(tmp_path, base=base)
    row = {"id": "plain", "input": "blue 1", "output": "yes 1", "split": "train"}
    (tmp_path / "examples.jsonl").write_text(json.dumps(row))
    code, _, err = call("tune", "edits")
    assert code == 2
    assert "no train example has one" in err
    assert '"rejected": "what the model wrote"' in err
