"""Wordings: the built-in ones suit every task; those of files are checked with the line of each mistake."""

from pathlib import Path
from typing import get_args

import pytest

from groundtune.approaches import prompts
from groundtune.approaches.output_formats import (
    AnswerFormat,
    LabelFormat,
    ObjectFormat,
    OutputFormat,
    TextFormat,
    prompt_messages,
    rules_digest,
)
from groundtune.approaches.wordings import BUILT_IN, FULL, PLACEHOLDERS, Wording, read_wording
from groundtune.config.values import BUILT_IN_PROMPTS
from groundtune.errors import ConfigError, MissingError
from groundtune.types import Hit, Passage, Task

HITS = [Hit(Passage("a:0", "a", "returns.md", 0, 0, 4, "Thirty days.", "Returns"), 0.9)]
FORMATS: tuple[OutputFormat, ...] = (
    AnswerFormat("We sell bikes."),
    LabelFormat({"billing": "money", "returns": ""}, "We sell bikes."),
    ObjectFormat({"type": "object", "properties": {"total": {"type": "number"}}}, "We sell bikes."),
    TextFormat("We sell bikes."),
)
OURS = "Answer from the passages, or reply {abstention}."


def own(folder: Path, content: str | bytes, task: Task = "answer") -> Wording:
    path = folder / "ours.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_wording(path, task)


def problems(folder: Path, content: str | bytes, task: Task = "answer") -> list[str]:
    with pytest.raises(ConfigError) as error:
        own(folder, content, task)
    return [str(problem).removeprefix(f"{folder}/") for problem in error.value.problems]


def test_the_project_file_names_the_built_in_wordings() -> None:
    assert tuple(BUILT_IN) == BUILT_IN_PROMPTS
    assert set(FULL.tasks) == set(PLACEHOLDERS) == set(get_args(Task))


@pytest.mark.parametrize("output_format", FORMATS, ids=lambda each: each.task)
@pytest.mark.parametrize("wording", BUILT_IN.values(), ids=lambda each: each.name)
@pytest.mark.parametrize("grounded", [False, True])
def test_every_wording_fills_in_what_the_task_needs(
    wording: Wording, output_format: OutputFormat, grounded: bool
) -> None:
    rules = output_format.worded(wording).rules(grounded=grounded)
    assert rules.startswith("We sell bikes.\n\n")
    assert not any(f"{{{name}}}" in rules for name in ("abstention", "labels", "schema"))
    if output_format.task == "classify":
        assert "- billing: money\n- returns\n" in rules
    if output_format.task == "extract":
        assert '"total"' in rules
    if output_format.task == "answer":
        assert prompts.NOT_FOUND in rules
    assert ("passage" in rules) == grounded


def test_short_rules_are_short() -> None:
    for output_format in FORMATS:
        for grounded in (False, True):
            short, full = (output_format.worded(BUILT_IN[name]) for name in ("short", "full"))
            assert len(short.rules(grounded=grounded)) < len(full.rules(grounded=grounded))


def test_the_worked_example_is_a_turn_before_the_question() -> None:
    messages = prompt_messages(AnswerFormat(wording=BUILT_IN["example"]), "How long?", hits=HITS)
    assert [message.role for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[1].content.startswith("[1] <passage>")
    assert messages[2].content.endswith("[2].")
    assert "Thirty days." in messages[3].content
    assert len(prompt_messages(AnswerFormat(wording=BUILT_IN["short"]), "How long?", hits=HITS)) == 2


def test_rules_and_example_decide_the_digest() -> None:
    digests = {rules_digest(AnswerFormat(wording=wording), grounded=True) for wording in BUILT_IN.values()}
    assert len(digests) == 3


def test_a_file_with_one_text_serves_every_approach(tmp_path: Path) -> None:
    wording = own(tmp_path, f"\ufeff{OURS}\nWrite {{{{abstention}}}} and {{braces }} as they are.\n")
    assert wording.name == "ours"
    output_format = AnswerFormat(wording=wording)
    assert output_format.rules(grounded=True) == output_format.rules(grounded=False)
    assert output_format.rules(grounded=True) == (
        f"Answer from the passages, or reply {prompts.NOT_FOUND}.\nWrite {{abstention}} and {{braces }} as they are."
    )


def test_a_file_can_have_a_part_for_each(tmp_path: Path) -> None:
    wording = own(tmp_path, f"# Without passages\nSay {{abstention}}.\n\n# with passages\n{OURS}\n")
    output_format = AnswerFormat(wording=wording)
    assert output_format.rules(grounded=False) == f"Say {prompts.NOT_FOUND}."
    assert output_format.rules(grounded=True) == f"Answer from the passages, or reply {prompts.NOT_FOUND}."


def test_json_in_the_rules_is_text(tmp_path: Path) -> None:
    text = 'Fill in {schema}, as {"a": {"b": 1}}, or {abstention}.'
    rules = ObjectFormat({"type": "object"}, wording=own(tmp_path, text, "extract")).rules(grounded=False)
    assert rules == 'Fill in {"type": "object"}, as {"a": {"b": 1}}, or null.'


@pytest.mark.parametrize(
    ("task", "content", "expected"),
    [
        (
            "answer",
            "Be brief.\nSay {abstenton}",
            ["ours.txt:2: unknown placeholder {abstenton} (did you mean {abstention}?"],
        ),
        (
            "answer",
            "\nSay {passages} {abstention}",
            ["ours.txt:2: unknown placeholder {passages} (task answer has {abstention}"],
        ),
        ("write", "Dear {name}", ["ours.txt:1: unknown placeholder {name} (task write has none; write {{name}}"]),
        ("answer", "Be brief.", ["ours.txt:1: the rules that begin here lack {abstention}"]),
        ("classify", "Sort.", ["ours.txt:1: the rules that begin here lack {labels}, {abstention}"]),
        ("answer", f"# with passages\n{OURS}", ['ours.txt: no line "# without passages"']),
        ("answer", f"# with passages\n{OURS}\n# without passages\n", ["ours.txt:4: no rules"]),
        ("answer", "  \n", ["ours.txt:1: no rules"]),
        ("answer", b"Say {abstention}.\nCaf\xe9", ["ours.txt:2: not UTF-8 (save it as UTF-8)"]),
        (
            "answer",
            "# with passages\n{a}\n{abstention}\n# without passages\n{b}",
            ["ours.txt:2: unknown", "ours.txt:5: the rules", "ours.txt:5: unknown"],
        ),
        ("answer", f"# with passages\n{OURS}\n# with passages\n{OURS}", ["ours.txt:3: a second"]),
        ("answer", f"Hello.\n# with passages\n{OURS}\n# without passages\n{OURS}", ["ours.txt:1: text before"]),
    ],
)
def test_every_mistake_in_a_file_is_named_with_its_line(
    tmp_path: Path, task: Task, content: str | bytes, expected: list[str]
) -> None:
    found = problems(tmp_path, content, task)
    assert len(found) >= len(expected)
    for text in expected:
        assert any(problem.startswith(text) for problem in found), found


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"cannot read .*ours.txt: no such file"):
        read_wording(tmp_path / "ours.txt", "answer")
