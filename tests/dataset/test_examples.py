import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.dataset.examples import assign_split, example_key, read_examples
from groundtune.dataset.importing.convert import encode_example
from groundtune.dataset.summary import summarise
from groundtune.errors import ConfigError, MissingError
from groundtune.types import Evidence, Example, Message


def write(folder: Path, *rows: Any) -> Path:
    path = folder / "examples.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def problems(path: Path) -> list[tuple[int | None, str]]:
    with pytest.raises(ConfigError) as caught:
        read_examples(path)
    assert all(problem.path == path and problem.hint for problem in caught.value.problems)
    return [(problem.line, problem.message) for problem in caught.value.problems]


def test_a_full_row_and_a_short_row(tmp_path: Path) -> None:
    evidence = [{"source": "a.md", "quote": "30 days"}]
    full = {"id": "q1", "input": "How long?", "output": "30 days", "evidence": evidence, "split": "train"}
    full |= {"tags": ["billing"], "groups": ["hr"], "origin": "review"}
    path = write(tmp_path, full, "", {"id": "q2", "input": "Why?"}, {"id": "q3", "input": "!\u2028", "output": None})
    first, second, third = read_examples(path)
    assert first == Example(
        "q1", "How long?", "30 days", (Evidence("a.md", "30 days"),), "train", ("billing",), ("hr",), "review"
    )
    assert second == Example("q2", "Why?", None, split=assign_split("q2"))
    assert third.output is None
    assert third.input == "!\u2028"


USER, ASSISTANT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}


def test_a_history_is_read(tmp_path: Path) -> None:
    (example,) = read_examples(write(tmp_path, {"id": "q", "input": "Why?", "history": [USER, ASSISTANT]}))
    assert example.history == (Message("user", "Hi"), Message("assistant", "Hello!"))
    (again,) = read_examples(write(tmp_path, encode_example(example)))
    assert again == example


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ("Hi", '"history" is not a list: "Hi"'),
        (["Hi"], 'turn 1 of the history is not an object: "Hi"'),
        ([{"role": "system", "content": "x"}, ASSISTANT], 'turn 1 of the history has the role "system"'),
        ([{"content": "x"}, ASSISTANT], "turn 1 of the history has the role null"),
        ([{"role": "user", "content": " "}, ASSISTANT], 'turn 1 of the history has no "content": '),
        ([USER, {"role": "assistant", "content": ["x"]}], 'turn 2 of the history has no "content": '),
        ([USER, USER, ASSISTANT], "turns 1 and 2 of the history are both by the user"),
        ([{**USER, "name": "Ann"}, ASSISTANT], 'unknown key "name" in turn 1 of the history'),
        ([USER, ASSISTANT, USER], "the history ends with the user"),
    ],
)
def test_a_wrong_history_is_reported(tmp_path: Path, history: Any, message: str) -> None:
    ((line, reported),) = problems(write(tmp_path, {"id": "q", "input": "Why?", "history": history}))
    assert line == 1
    assert reported.startswith(message)


def test_the_same_input_after_another_conversation_is_another_input() -> None:
    plain, later = Example("a", "And  to Iceland?"), Example("b", "and to iceland?", history=(Message("user", "Hi"),))
    assert example_key(plain) == example_key(replace(later, history=())) == example_key(later, with_history=False)
    assert example_key(plain) != example_key(later)
    assert example_key(later) == example_key(replace(later, history=(Message("user", " hi"),)))
    counts = summarise([plain, later, replace(plain, id="c")])
    assert (counts.twice.rows, counts.twice.ids) == (1, (("a", "c"),))


@pytest.mark.parametrize("output", ["text", {"total": 30}, ["30 days", "a month"]])
def test_accepted_outputs(tmp_path: Path, output: Any) -> None:
    assert read_examples(write(tmp_path, {"id": "q", "input": "?", "output": output}))[0].output == output


def test_facts_are_kept_when_a_file_is_written_again(tmp_path: Path) -> None:
    row = {"id": "q", "input": "?", "output": "It is £40 a week.", "facts": ["£40", ["7 days", "one week"]]}
    (example,) = read_examples(write(tmp_path, row))
    assert example.facts == (("£40",), ("7 days", "one week"))
    assert json.loads(encode_example(example))["facts"] == row["facts"]


@pytest.mark.parametrize("facts", ["£40", [30], [[]], [["£40", " "]], [None], {}])
def test_wrong_facts_are_reported(tmp_path: Path, facts: Any) -> None:
    ((line, message),) = problems(write(tmp_path, {"id": "q", "input": "?", "facts": facts}))
    assert (line, message.startswith('"facts" is not a list')) == (1, True)


def test_all_problems_of_a_file_come_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '{"id": "q1", "input": ',
        "[1]",
        {"input": "?", "output": 30},
        {"id": "q1", "output": ""},
        {"id": "q1", "input": "?", "splt": "test", "split": "tset"},
        {"id": "q2", "input": "?", "evidence": [{"source": "a.md"}, "b", {"source": "a", "quote": "b", "page": 1}]},
        {"id": 7, "input": "?", "output": [], "tags": "billing", "evidence": {}},
        '{"id": "q9", "input": "?", "output": NaN}',
    )
    reported = problems(path)
    assert [line for line, _ in reported] == [1, 2, 3, 3, 4, 4, 5, 5, 5, 6, 6, 6, 7, 7, 7, 7, 8]
    text = "\n".join(message for _, message in reported)
    for part in (
        "not JSON: Expecting value at column",
        "not a JSON object",
        'no "id"',
        '"output" is not a string: 30',
        'no "input"',
        '"output" is empty',
        'unknown key "splt"',
        'unknown split "tset"',
        'duplicate id "q1", first used on line 4',
        'evidence is missing "quote"',
        'evidence is not an object: "b"',
        'unknown key "page" in evidence',
        '"id" is not a string: 7',
        '"tags" is not a list of strings',
        '"evidence" is not a list',
        "NaN is not JSON",
    ):
        assert part in text


@pytest.mark.parametrize("output", ["", "   ", "\n", [], {}])
def test_an_empty_output_is_reported_as_empty(tmp_path: Path, output: Any) -> None:
    path = write(tmp_path, {"id": "a", "input": "x", "output": output})
    ((_, message),) = problems(path)
    assert message.startswith('"output" is empty')
    assert problems(write(tmp_path, {"id": "a", "input": "  "})) == [(1, 'no "input"')]


def test_files_that_hold_no_examples(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        read_examples(tmp_path / "none.jsonl")
    assert problems(write(tmp_path, "")) == [(None, "contains no examples")]
    path = tmp_path / "latin.jsonl"
    path.write_bytes('{"id": "q", "input": "é"}'.encode("latin-1"))
    assert problems(path)[0][1].startswith("not UTF-8")


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "examples.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": "q1", "input": "?"}\r\n\r\n{"id": "q2", "input": "?"}\r\n')
    assert [example.id for example in read_examples(path)] == ["q1", "q2"]


def test_splits_are_60_15_25_and_never_move() -> None:
    counts = Counter(assign_split(f"q{at}") for at in range(20_000))
    assert counts["train"] / 20_000 == pytest.approx(0.60, abs=0.015)
    assert counts["validation"] / 20_000 == pytest.approx(0.15, abs=0.015)
    assert counts["test"] / 20_000 == pytest.approx(0.25, abs=0.015)
    assert [assign_split(f"q{at}") for at in range(6)] == PINNED


PINNED = ["train", "test", "validation", "train", "train", "train"]
"""Changing the rule would move examples people have trained on into their test split."""


@settings(max_examples=30)
@given(st.text(max_size=20))
def test_every_id_has_a_split(example_id: str) -> None:
    assert assign_split(example_id) in ("train", "validation", "test")
