"""Import and export of other formats: accepted and refused rows, stable ids and splits."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.dataset.editing import freeze_splits, merge_examples
from groundtune.dataset.examples import assign_split, read_examples
from groundtune.dataset.exporting import export_examples
from groundtune.dataset.importing.assembly import ImportOptions
from groundtune.dataset.importing.convert import detect_format, import_file, write_examples
from groundtune.dataset.summary import summarise
from groundtune.errors import ConfigError, MissingError, UsageError
from groundtune.types import Evidence, Example, Message

NATIVE = {"id": "q1", "input": "How long?", "output": "30 days", "split": "train"}


def lines(folder: Path, *rows: Any, name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def text(folder: Path, content: str, name: str) -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8", newline="")
    return path


def chat(*turns: str, system: str | None = None) -> dict[str, Any]:
    """Return a chat with alternating user and assistant turns."""
    first = [] if system is None else [{"role": "system", "content": system}]
    roles = ("user", "assistant")
    return {"messages": [*first, *({"role": roles[n % 2], "content": content} for n, content in enumerate(turns))]}


def problems(path: Path, format: Any = None, options: ImportOptions = ImportOptions()) -> list[tuple[int | None, str]]:  # noqa: A002, B008
    with pytest.raises(ConfigError) as caught:
        import_file(path, format, options=options)
    assert all(problem.path == path and problem.hint for problem in caught.value.problems)
    return [(problem.line, problem.message) for problem in caught.value.problems]


def pairs(path: Path, options: ImportOptions = ImportOptions()) -> list[tuple[str, Any]]:  # noqa: B008
    return [(example.input, example.output) for example in import_file(path, options=options).examples]


ALPACA = {"instruction": "Sum up.", "input": "Long text", "output": "Short"}
SHAREGPT = {"conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]}


@pytest.mark.parametrize(
    ("row", "name", "kind", "question", "reply"),
    [
        (chat("Why?", "So."), "chat", "chat", "Why?", "So."),
        ({"prompt": " Why? ", "completion": " So."}, "prompt", "prompt", "Why?", "So."),
        ({"prompt": chat("Why?")["messages"], "completion": [{"role": "assistant", "content": "So."}]}, "p", "prompt",
         "Why?", "So."),
        (ALPACA, "alpaca", "alpaca", "Long text", "Short"),
        ({"instruction": "Why?", "context": "", "response": "So."}, "dolly", "alpaca", "Why?", "So."),
        (SHAREGPT, "sharegpt", "sharegpt", "Why?", "So."),
        ({"text": "I lost my card", "label": 3}, "hub", "rows", "I lost my card", "3"),
        (NATIVE, "own", "examples", "How long?", "30 days"),
    ],
)  # fmt: skip
def test_each_format_is_recognised_and_read(
    tmp_path: Path, row: Any, name: str, kind: str, question: str, reply: str
) -> None:
    path = lines(tmp_path, row, name=f"{name}.jsonl")
    assert detect_format(path) == kind
    assert pairs(path) == [(question, reply)]
    listed = text(tmp_path, json.dumps([row, row], indent=1), f"{name}.json")
    if kind != "examples":
        assert pairs(listed) == [(question, reply)] * 2


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("text,label\nmy card,lost\n", "a.csv"),
        ("\ufeffQuestion;Answer\r\nmy card;lost\r\n", "a.csv"),
        ('Intent\tUtterance\nlost\t"my card"\n', "a.tsv"),
        ("id|text|label\n7|my card|lost\n", "a.txt"),
    ],
)
def test_columns_are_guessed(tmp_path: Path, content: str, name: str) -> None:
    assert pairs(text(tmp_path, content, name)) == [("my card", "lost")]


def test_columns_are_named_and_kept(tmp_path: Path) -> None:
    content = (
        "id,split,tags,group,origin,source,quote,notes,a,b\n"
        'x1,dev,"short, odd",c9,crm,docs/a.md,thirty days,mine,"Line\n1",queue\n'
    )
    imported = import_file(text(tmp_path, content, "a.csv"), options=ImportOptions(input="a", output="b"))
    evidence = (Evidence("docs/a.md", "thirty days"),)
    assert imported.examples == (
        Example("x1", "Line\n1", "queue", evidence, "validation", ("short", "odd"), (), "crm", "c9"),
    )
    assert imported.notes == ('input from "a", output from "b"', '"notes" is omitted: 1 row')


def test_utf16_from_spreadsheets_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text\tlabel\nWo ist mein Schlüssel?\tverloren\n".encode("utf-16"))
    assert pairs(path) == [("Wo ist mein Schlüssel?", "verloren")]
    path.write_bytes("text,label\nSchlüssel,x\n".encode("latin-1"))
    assert problems(path) == [(None, "not UTF-8 (byte 15)")]


@pytest.mark.parametrize("above", ["sep=;\n", "Tickets 2025\n\n", "# made by export\n", "\ufeff"])
def test_lines_above_a_table_are_no_rows(tmp_path: Path, above: str) -> None:
    assert pairs(text(tmp_path, f"{above}text;label\nMy bike, red, is late;delivery\n", "t.csv")) == [
        ("My bike, red, is late", "delivery")
    ]


def test_ids_depend_on_the_input_and_are_reproducible(tmp_path: Path) -> None:
    path = lines(tmp_path, chat("Why?", "So."), chat("Who?", "Me."), chat("Why?", "Thus."))
    first = import_file(path).examples
    lines(tmp_path, chat("New?", "Yes."), chat("Who?", "Mended."), chat("Why?", "So."), chat("Why?", "Thus."))
    again = {example.input: example.id for example in import_file(path).examples}
    assert again["Who?"] == first[1].id
    assert first[2].id == f"{first[0].id}-2"
    assert first[2].split == first[0].split
    assert {example.origin for example in first} == {"rows.jsonl"}
    assert {example.split for example in import_file(path, options=ImportOptions(split="train")).examples} == {"train"}


def test_equal_inputs_share_their_split_in_every_format(tmp_path: Path) -> None:
    questions = [f"Question number {n}?" for n in range(60)]
    chats = import_file(lines(tmp_path, *(chat(q, "a", system="s") for q in questions))).examples
    cells = import_file(
        text(tmp_path, "text,label\n" + "".join(f"{q.upper()} ,b\n" for q in questions), "a.csv")
    ).examples
    assert [example.split for example in chats] == [example.split for example in cells]
    assert len({example.split for example in chats}) == 3


def test_all_problems_of_a_chat_file_come_at_once(tmp_path: Path) -> None:
    called = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    image = [{"type": "image_url", "image_url": {"url": "x"}}]
    quiet = {"role": "assistant", "content": "b", "weight": 0}
    path = lines(
        tmp_path,
        chat("Why?", "So."),
        "{",
        "[1]",
        chat("Why?"),
        chat("Why?", " "),
        chat("", "So."),
        {"messages": []},
        {"messages": [{"role": "user", "content": "a"}, called]},
        {"messages": [{"role": "user", "content": image}, {"role": "assistant", "content": "b"}]},
        {"messages": [{"role": "wizard", "content": "a"}, {"role": "assistant"}]},
        {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, quiet]},
        {"messages": [{"role": "assistant", "content": "b"}]},
        {"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "s"}, {"role": "assistant",
                      "content": "b"}]},
        {**chat("Why?", "So."), "tools": [{"type": "function"}]},
        chat("a", "b", "c", "d"),
    )  # fmt: skip
    reported = problems(path)
    assert [line for line, _ in reported] == [2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 11, 12, 13, 14, 15]
    messages = dict(reported)
    assert messages[4] == "the chat does not end with an assistant turn"
    assert messages[5] == "turn 2: the assistant turn is empty"
    assert messages[8] == "turn 2: contains a tool call"
    assert messages[9] == "turn 1: contains something that is not text"
    assert messages[11] == "turn 3: the reply has weight 0, so it is excluded from training"
    assert messages[12] == "no user turn before the reply"
    assert messages[13] == "a system message appears after the first turn"
    assert messages[15] == "the chat has several user turns, but an example holds one question"


def test_two_turns_of_one_role_are_refused(tmp_path: Path) -> None:
    turns = [("user", "a"), ("user", "b"), ("assistant", "c")]
    path = lines(tmp_path, {"messages": [{"role": role, "content": content} for role, content in turns]})
    assert problems(path) == [(1, "two user turns in a row")]


def test_a_shared_system_message_is_returned_separately(tmp_path: Path) -> None:
    path = lines(tmp_path, chat("a", "b", system="Be brief."), chat("c", "d", system="Be brief."))
    imported = import_file(path)
    assert imported.instructions == "Be brief."
    assert [example.input for example in imported.examples] == ["a", "c"]
    assert "instructions" in imported.notes[0]


def test_system_messages_that_differ_are_refused_joined_or_dropped(tmp_path: Path) -> None:
    path = lines(tmp_path, chat("a", "b", system="Be brief."), chat("c", "d"))
    assert problems(path) == [(1, "the system message differs between rows")]
    assert pairs(path, ImportOptions(system="join")) == [("Be brief.\n\na", "b"), ("c", "d")]
    assert pairs(path, ImportOptions(system="drop")) == [("a", "b"), ("c", "d")]


def test_instructions_that_differ_become_part_of_the_input(tmp_path: Path) -> None:
    path = lines(tmp_path, ALPACA, {"instruction": "Name a bird.", "input": "", "output": "Tern"})
    assert pairs(path) == [("Sum up.\n\nLong text", "Short"), ("Name a bird.", "Tern")]


def test_several_turns_are_kept_only_on_request(tmp_path: Path) -> None:
    path = lines(tmp_path, chat("Do you ship?", "Yes.", "To Iceland?", "No."))
    assert pairs(path, ImportOptions(turns="last")) == [("To Iceland?", "No.")]
    joined = "User: Do you ship?\n\nAssistant: Yes.\n\nUser: To Iceland?"
    assert pairs(path, ImportOptions(turns="join")) == [(joined, "No.")]


def test_earlier_turns_become_the_history_on_request(tmp_path: Path) -> None:
    path = lines(tmp_path, chat("Do you ship?", "Yes.", "To Iceland?", "No."), chat("To Iceland?", "No.", system=None))
    imported = import_file(path, options=ImportOptions(turns="history"))
    first, second = imported.examples
    assert (first.input, first.output, second.history) == ("To Iceland?", "No.", ())
    assert first.history == (Message("user", "Do you ship?"), Message("assistant", "Yes."))
    assert first.id != second.id
    assert "turns before the last question kept as its history: 1 row" in imported.notes


@pytest.mark.parametrize("kind", ["chat", "sharegpt", "preference", "examples"])
def test_a_history_survives_an_export_and_an_import(tmp_path: Path, kind: Any) -> None:
    history = (Message("user", "Do you ship?"), Message("assistant", "Yes."))
    example = Example("q", "To Iceland?", "No.", history=history, rejected="Yes." if kind == "preference" else None)
    exported = export_examples([example], kind, instructions=None if kind == "examples" else "Be brief.")
    assert not any("history" in note for note in exported.notes)
    path = text(tmp_path, exported.text, "back.jsonl")
    (back,) = import_file(path, options=ImportOptions(turns="history")).examples
    assert (back.history, back.input, back.output) == (history, "To Iceland?", "No.")


@pytest.mark.parametrize("kind", ["prompt", "alpaca", "csv", "tsv"])
def test_formats_of_one_text_hold_the_conversation_in_it(kind: Any) -> None:
    history = (Message("user", "Do you ship?"), Message("assistant", "Yes."))
    exported = export_examples([Example("q", "To Iceland?", "No.", history=history), Example("p", "Why?", "So.")], kind)
    assert "1 example with a history: it is written into the input" in exported.notes
    assert "To Iceland?" in exported.text
    assert "Assistant: Yes." in exported.text


def test_outputs_that_mean_abstain_become_null(tmp_path: Path) -> None:
    path = text(tmp_path, "text,label\na,oos\nb,\nc,x\n", "a.csv")
    assert problems(path) == [(3, "the output is empty")]
    assert pairs(path, ImportOptions(abstain=("oos", ""))) == [("a", None), ("b", None), ("c", "x")]


def test_replies_that_are_all_objects_become_objects(tmp_path: Path) -> None:
    path = lines(tmp_path, chat("a", '{"total": 3}'), chat("b", '{"total": 4}'))
    imported = import_file(path)
    assert [example.output for example in imported.examples] == [{"total": 3}, {"total": 4}]
    assert imported.notes == ("every output is a JSON object and is kept as an object",)
    lines(tmp_path, chat("a", '{"total": 3}'), chat("b", "none"))
    assert [output for _, output in pairs(path)] == ['{"total": 3}', "none"]


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "how long?", "chosen": "30 days", "rejected": "a year"},
        {"prompt": [turn("user", "how long?")], "chosen": [turn("assistant", "30 days")],
         "rejected": [turn("assistant", "a year")]},
        {"prompt": "how long?", "chosen": [turn("user", "how long?"), turn("assistant", "30 days")],
         "rejected": [turn("user", "how long?"), turn("assistant", "a year")]},
        {"input": {"messages": [turn("user", "how long?")]}, "preferred_output": [turn("assistant", "30 days")],
         "non_preferred_output": [turn("assistant", "a year")]},
    ],
)  # fmt: skip
def test_preferences_become_an_output_and_a_rejected_one(tmp_path: Path, row: Any) -> None:
    path = lines(tmp_path, row)
    imported = import_file(path)
    assert imported.format == "preference"
    (example,) = imported.examples
    assert (example.input, example.output, example.rejected) == ("how long?", "30 days", "a year")
    again = import_file(text(tmp_path, export_examples([example], "examples").text, "own.jsonl"))
    assert again.examples == (example,)
    sent = export_examples([example, replace(example, rejected=None)], "preference")
    assert (sent.rows, sent.notes) == (1, ("1 example without a rejected output: skipped",))
    assert import_file(text(tmp_path, sent.text, "sent.jsonl")).examples[0].rejected == "a year"
    assert export_examples([example], "chat").notes == (
        "1 example with a rejected output: the rejected output is omitted",
    )


def test_edits_of_an_existing_example_are_not_lost(tmp_path: Path) -> None:
    path = lines(tmp_path, {"id": "1", "input": "how long?", "output": "30 days", "tags": ["refund"]}, name="own.jsonl")
    edited = Example("1", "how long?", "30 days", rejected="a year")
    assert merge_examples(path, [edited]).differing == ("1",)
    merge_examples(path, [edited], overwrite=True)
    (example,) = read_examples(path)
    assert (example.output, example.rejected, example.tags) == ("30 days", "a year", ("refund",))
    assert merge_examples(path, [edited]).same == ("1",)
    assert merge_examples(path, [replace(edited, rejected=None)]).same == ("1",)


def test_a_rejected_object_is_parsed_if_the_model_wrote_one(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a", "chosen": '{"n": 1}', "rejected": '{"n": 2}'},
        {"prompt": "b", "chosen": '{"n": 3}', "rejected": "3"},
    ]
    assert [example.rejected for example in import_file(lines(tmp_path, *rows)).examples] == [{"n": 2}, "3"]


@pytest.mark.parametrize(
    ("rejected", "says"), [(3, '"rejected" must be a string or an object: 3'), ("b", '"rejected" equals "output"')]
)
def test_a_rejected_output_must_differ_from_the_output(tmp_path: Path, rejected: Any, says: str) -> None:
    row = {"id": "1", "input": "a", "output": "b", "rejected": rejected}
    assert problems(lines(tmp_path, row)) == [(1, says)]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"prompt": "a", "completion": "b", "rejected": "c"}, "the preference pair is incomplete"),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "both replies are the same"),
        ({"prompt": "a", "chosen": "b", "rejected": ""}, "turn 2: the assistant turn is empty"),
        ({"input": {"messages": [turn("user", "a")]}, "preferred_output": [],
          "non_preferred_output": [turn("assistant", "b")]}, 'no "preferred_output"'),
        ({"chosen": [turn("user", "a"), turn("assistant", "b")],
          "rejected": [turn("user", "c"), turn("assistant", "d")]}, "the two replies answer different questions"),
        ({"instruction": "a", "input": "b", "output": "c", "history": [["d", "e"]]},
         'the row has earlier turns ("history")'),
        ({"instruction": "a", "input": 3, "output": "c"}, '"input" is not a string'),
        ({"conversations": [{"from": "human", "value": "a"}, {"from": "observation", "value": "b"}]},
         "turn 2: contains a tool call"),
        ({"text": ["a"], "label": "b"}, '"text" is not a string: ["a"]'),
        ({"text": "a", "label": {"x": [1.5, {}]}, "split": "prod"}, 'unknown split "prod"'),
    ],
)  # fmt: skip
def test_rows_that_an_example_cannot_represent_are_refused(tmp_path: Path, row: Any, says: str) -> None:
    assert problems(lines(tmp_path, row)) == [(1, says)]


def test_bad_files_say_what_is_wrong(tmp_path: Path) -> None:
    assert problems(text(tmp_path, '[{"prompt": "a",\n "completion": "b"},\n{"prompt": }]', "a.json")) == [
        (3, "not JSON: Expecting value at column 12")
    ]
    cut = text(tmp_path, '[\n{"prompt": "a", "completion": "b"}', "b.json")
    assert problems(cut) == [(2, "the list is cut off after this row")]
    assert problems(text(tmp_path, "", "c.jsonl")) == [(None, "contains no readable rows")]
    assert problems(lines(tmp_path, {"x": 1, "y": 2})) == [(1, "unknown format; the keys are x, y")]
    assert problems(text(tmp_path, "x,y\n1,2\n", "d.csv")) == [(2, "no column that looks like an input")]
    assert problems(text(tmp_path, "text,y\n1,2\n", "e.csv")) == [(2, "no column that looks like an output")]
    wide = text(tmp_path, "text,label\na,b\nc,d,e\nf\n", "f.csv")
    assert problems(wide) == [(3, "3 cells but 2 columns"), (4, "the output is empty")]
    assert problems(text(tmp_path, "text,label\n", "g.csv")) == [(None, "contains no rows")]
    assert problems(text(tmp_path, "id,text,label\n1,a,b\n1,c,d\n", "h.csv")) == [
        (3, 'duplicate id "1", first used on line 2')
    ]
    named = ImportOptions(input="q", output="a")
    assert problems(text(tmp_path, "text,label\na,b\n", "i.csv"), options=named) == [(2, 'no column "q"')]
    with pytest.raises(MissingError):
        detect_format(tmp_path / "none.csv")
    with pytest.raises(UsageError):
        import_file(wide, "excel")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="rows set their own split"):
        import_file(lines(tmp_path, NATIVE), options=ImportOptions(split="train"))


def test_a_wrong_format_is_a_list_of_problems(tmp_path: Path) -> None:
    path = lines(tmp_path, chat("a", "b"), chat("c", "d"))
    for kind in ("prompt", "alpaca", "sharegpt"):
        assert [line for line, _ in problems(path, kind)] == [1, 2]
    assert [line for line, _ in problems(lines(tmp_path, ALPACA), "chat")] == [1]


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), min_size=1, max_size=8))
@settings(max_examples=60)
def test_written_examples_are_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]) -> None:
    nonempty = [(question, reply) for question, reply in rows if question.strip() and reply.strip()]
    examples = [
        Example(f"q{n}", question, reply, split="train", tags=("a",)) for n, (question, reply) in enumerate(nonempty)
    ]
    if not examples:
        return
    path = tmp_path_factory.mktemp("rows") / "examples.jsonl"
    write_examples(path, examples)
    assert read_examples(path) == examples


def test_exports_can_be_imported(tmp_path: Path) -> None:
    examples = [
        Example("q1", "Why, then?", "So\nit is", split="train", tags=("a", "b"), group="g", origin="crm"),
        Example("q2", "Who?", None, split="test"),
    ]
    for kind in ("chat", "prompt", "alpaca", "sharegpt", "csv", "tsv"):
        exported = export_examples(examples, kind, instructions="Be brief." if kind == "chat" else None, abstain="NONE")
        path = text(tmp_path, exported.text, f"{kind}.{kind if kind in ('csv', 'tsv') else 'jsonl'}")
        again = import_file(path, options=ImportOptions(abstain=("NONE",)))
        assert [(example.input, example.output) for example in again.examples] == [
            ("Why, then?", "So\nit is"),
            ("Who?", None),
        ]
        assert again.format == kind
        assert any("abstain" in note for note in exported.notes)
        if kind in ("csv", "tsv"):
            assert list(again.examples) == examples
    assert import_file(text(tmp_path, export_examples(examples, "examples").text, "own.jsonl")).examples == tuple(
        examples
    )
    with pytest.raises(UsageError):
        export_examples(examples, "rows")  # type: ignore[arg-type]


def test_merging_keeps_existing_examples(tmp_path: Path) -> None:
    path = text(tmp_path, '{"id":"a", "input":"x",  "output":"1"}\n\n{"id": "b", "input": "y"}', "e.jsonl")
    new = [Example("a", "x", "2", split="train"), Example("b", "y", None), Example("c", "z", "3", split="train")]
    merged = merge_examples(path, new)
    assert (merged.new, merged.same, merged.differing) == (("c",), ("b",), ("a",))
    assert path.read_text().startswith(
        '{"id":"a", "input":"x",  "output":"1"}\n\n{"id": "b", "input": "y"}\n{"id": "c"'
    )
    assert merge_examples(path, new).new == ()
    assert merge_examples(path, new, overwrite=True).differing == ("a",)
    assert [example.output for example in read_examples(path)] == ["2", None, "3"]
    fresh = tmp_path / "sub" / "new.jsonl"
    assert merge_examples(fresh, new).new == ("a", "b", "c")
    assert read_examples(fresh) == new


def test_a_known_input_takes_its_split(tmp_path: Path) -> None:
    lines = [
        {"id": "t", "input": "Where is my order?", "output": "delivery", "split": "test"},
        {"id": "a", "input": "twice", "output": "x", "split": "train"},
        {"id": "b", "input": "Twice", "output": "x", "split": "test"},
        {"id": "c", "input": "TWICE", "output": "x", "split": "validation"},
    ]
    path = text(tmp_path, "".join(json.dumps(line) + "\n" for line in lines), "e.jsonl")
    rows = "where is  my ORDER?,delivery,train\ntwice,y,train\nelsewhere,y,train\nnew,y,train\n"
    imported = import_file(text(tmp_path, f"text,label,split\n{rows}", "new.csv")).examples
    assert [example.split for example in imported] == ["train"] * 4
    merged = merge_examples(path, imported, other_examples=[Example("o", "Elsewhere", "y", split="validation")])
    assert [example.split for example in read_examples(path)][4:] == ["test", "test", "validation", "train"]
    assert merged.known == merged.new[:3]
    again = merge_examples(path, imported)
    assert (again.new, again.known, len(again.same)) == ((), (), 4)


def test_freezing_writes_splits_and_moves_nothing(tmp_path: Path) -> None:
    rows = [{"id": f"q{n}", "input": "x", "output": "y"} for n in range(20)]
    rows[3]["split"] = "test" if assign_split("q3") != "test" else "train"
    path = lines(tmp_path, *rows)
    before = read_examples(path)
    assert (freeze_splits(path).frozen, freeze_splits(path).frozen) == (19, 0)
    assert read_examples(path) == before
    assert all("split" in json.loads(line) for line in path.read_text().splitlines())
    assert path.read_text().splitlines()[3] == json.dumps(rows[3])
    lines(tmp_path, {"id": "q"})
    with pytest.raises(ConfigError):
        freeze_splits(path)


def test_stats_count_everything() -> None:
    labels = ["billing", "returns"]
    examples = [
        Example(
            f"q{n}", f"input {n}", labels[n % 2], split="train" if n < 10 else "test", tags=("a",), group=f"g{n // 2}"
        )
        for n in range(12)
    ]
    examples += [Example("r", "Input  3", "billing", split="test"), Example("s", "?", None, split="validation")]
    summary = summarise(examples)
    assert summary.splits == {"train": 10, "validation": 1, "test": 3}
    assert summary.kinds == {"text": 13, "none": 1}
    assert summary.labels["billing"] == {"train": 5, "validation": 0, "test": 2}
    assert (summary.tags, summary.groups, summary.with_evidence) == ({"a": 12}, 6, 0)
    assert (summary.twice.rows, summary.twice.across_splits, summary.twice.conflicting) == (1, 1, 1)
    assert summary.twice.ids == (("q3", "r"),)
    assert summary.inputs is not None
    assert (summary.inputs.median, summary.inputs.longest) == (7, 8)
    assert summarise([]).inputs is None
    assert summarise([Example("q", "a", {"x": 1})]).labels == {}


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_the_thinking_of_a_reply_is_kept(tmp_path: Path, key: str) -> None:
    row = {"messages": [turn("user", "how long?"), {**turn("assistant", "30 days"), key: "14 or 30?"}]}
    (tmp_path / "chat.jsonl").write_text(json.dumps(row) + "\n")
    (example,) = import_file(tmp_path / "chat.jsonl").examples
    assert (example.output, example.reasoning) == ("30 days", "14 or 30?")
    write_examples(tmp_path / "examples.jsonl", [example])
    assert read_examples(tmp_path / "examples.jsonl") == [example]
