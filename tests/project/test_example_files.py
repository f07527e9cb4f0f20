"""Examples as the project sees them: thinking in their texts is set apart, and nothing else is touched."""

import json
from pathlib import Path
from typing import Any

import pytest

from groundtune.project.example_files import ExampleFiles
from groundtune.types import Example


def read(folder: Path, **keys: Any) -> Example:
    (folder / "e.jsonl").write_text(json.dumps({"id": "a", "input": "how long?", **keys}) + "\n")
    (example,) = ExampleFiles(folder, ["*.jsonl"]).read()
    return example


@pytest.mark.parametrize(
    "output",
    ["<think>\n14 or 30?\n</think>\n\n14 days", "14 or 30?\n</think>\n\n14 days", "[THINK]14 or 30?[/THINK]14 days"],
)
def test_thinking_in_an_output_becomes_its_reasoning(tmp_path: Path, output: str) -> None:
    example = read(tmp_path, output=output)
    assert (example.output, example.reasoning) == ("14 days", "14 or 30?")
    example = read(tmp_path, output=[output, "two weeks"])
    assert (example.output, example.reasoning) == (["14 days", "two weeks"], "14 or 30?")


def test_the_key_wins_and_stands_beside_labels_and_objects(tmp_path: Path) -> None:
    example = read(tmp_path, output={"days": 14}, reasoning="14 or 30?")
    assert (example.output, example.reasoning) == ({"days": 14}, "14 or 30?")
    assert read(tmp_path, output="<think>no</think>14", reasoning="yes").reasoning == "yes"


def test_rejected_replies_and_earlier_turns_lose_theirs(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "<think>greet</think>hello"}]
    example = read(tmp_path, output="14", rejected="<think>hm</think>30", history=turns)
    assert (example.rejected, example.history[1].content, example.reasoning) == ("30", "hello", "")


@pytest.mark.parametrize("output", ["14 days", "the tag <think> opens one", "<think>never closed", None, {"a": 1}])
def test_other_outputs_stay_as_they_are(tmp_path: Path, output: Any) -> None:
    example = read(tmp_path, output=output)
    assert (example.output, example.reasoning) == (output, "")
