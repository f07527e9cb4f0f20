"""Read an examples file (JSON Lines) and report every problem in it at once. Never drops a row."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, cast, get_args

from groundtune.common.drawing import place_of
from groundtune.errors import ConfigError, MissingError, Problem, UsageError
from groundtune.types import Evidence, Example, Message, Review, Split

_KEYS = (
    "id", "input", "history", "output", "reasoning", "rejected", "evidence", "split", "tags", "groups", "group",
    "origin", "facts", "review",
)  # fmt: skip
_EVIDENCE_KEYS = ("source", "quote", "start", "end")
_SPLITS = get_args(Split)
STATES = ("accepted", "edited", "rejected")
"""What a person may decide about a draft."""
_ROLES = ("user", "assistant")

ReportProblem = Callable[[str, str], None]
"""Takes a problem message and a hint."""


def read_examples(path: Path, *, content: bytes | None = None) -> list[Example]:
    """Return the examples in file order: one JSON object per line, UTF-8, empty lines skipped.

    Keys: `id` and `input` (string), `history` (list of {"role", "content"}, the turns of user and assistant before the
    input, oldest first), `output` (string; a list of equally correct strings; an object; null or absent
    when the correct answer is to abstain), `rejected` (string or object that a model wrote instead of `output`, for
    preference training), `evidence` (list of {"source", "quote"}, with the offsets "start" and "end" where somebody
    recorded them), `split` (train, validation or test; if absent, see `assign_split`), `tags` (list of strings),
    `groups` (list of strings: access groups of the user), `group` (string, unrelated to `groups`; examples with the
    same value are not independent), `origin` (string), `reasoning` (string: the thinking before `output`), `facts`
    (list of strings, or of lists of equally right wordings: what a written text must say), `review` ({"state", "by",
    "time"}: what a person decided about a drafted example).

    content: bytes to read instead of the file's.
    Raises MissingError when the file does not exist, ConfigError with every problem of the file.
    """
    if content is None and not path.is_file():
        raise MissingError(f"examples file not found: {path}", hint='create it, or fix "files" under [examples]')
    try:
        lines = (path.read_bytes() if content is None else content).decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(path, f"not UTF-8 (byte {error.start})", hint="save it as UTF-8")]) from error
    problems: list[Problem] = []
    examples: list[Example] = []
    first_line: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue

        def report(message: str, hint: str, line: int = number) -> None:
            problems.append(Problem(path, message, line, hint))

        row = _object(line, report)
        if row is None:
            continue
        example = _example(row, report)
        if example.id and (seen := first_line.setdefault(example.id, number)) != number:
            report(f'duplicate id "{example.id}", first used on line {seen}', "give each example a unique id")
        examples.append(example)
    if not examples and not problems:
        problems.append(Problem(path, "contains no examples", hint='add rows like {"id": …, "input": …, "output": …}'))
    if problems:
        raise ConfigError(problems)
    return examples


def find_examples(root: Path, patterns: Sequence[str]) -> list[Path]:
    """Return the files that match the patterns, each once, in the order of the patterns."""
    return list(dict.fromkeys(path for pattern in patterns for path in sorted(root.glob(pattern))))


def select_split(examples: Sequence[Example], split: str) -> list[Example]:
    """Return the examples of a split. Raises UsageError when the split is unknown."""
    if split not in _SPLITS:
        raise UsageError(f"unknown split {split!r}", hint="use train, validation or test")
    return [example for example in examples if example.split == split]


def normalise_input(text: str) -> str:
    """Normalise case and white space, for comparing inputs."""
    return " ".join(text.casefold().split())


def input_key(text: str, earlier: Iterable[str] = ()) -> str:
    """Return what equal inputs have in common, ignoring case and white space.

    earlier: the conversation before the text; the same text after another conversation is another input.
    """
    return "\n".join(map(normalise_input, [*earlier, text]))


def example_key(example: Example, *, with_history: bool = True) -> str:
    """Return the key of an example's input, with or without its history."""
    return input_key(example.input, (turn.content for turn in example.history) if with_history else ())


def assign_split(example_id: str) -> Split:
    """Assign a split to an example that names none: train 60%, validation 15%, test 25%, by SHA-256 of its id.

    The split depends on the id alone, so a row never moves when others are added or removed.
    """
    share = place_of(example_id)
    return "train" if share < 0.60 else "validation" if share < 0.75 else "test"


def _object(line: str, report: ReportProblem) -> dict[str, Any] | None:
    try:
        row = json.loads(line, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        report(f"not JSON: {json_fault(error)}", "write one JSON object per line")
        return None
    if not isinstance(row, dict):
        report("not a JSON object", 'write {"id": …, "input": …, "output": …}')
        return None
    return row


def json_fault(error: Exception) -> str:
    """Return what is wrong with a line of JSON, with the column where it is known."""
    return f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)


def refuse_constant(name: str) -> NoReturn:
    """Raise ValueError: NaN and infinity, which `json` would accept, are not JSON."""
    raise ValueError(f"{name} is not JSON")


def _example(row: dict[str, Any], report: ReportProblem) -> Example:
    """Build the example of a row; report each invalid value and replace it with a placeholder."""
    for key in sorted(row.keys() - set(_KEYS)):
        report(f'unknown key "{key}"', f"known keys: {', '.join(_KEYS)}")
    example_id = _text(row, "id", report)
    split = row.get("split")
    if split is not None and split not in _SPLITS:
        report(f"unknown split {_show(split)}", f"use one of {', '.join(_SPLITS)}, or omit it")
    return Example(
        id=example_id,
        input=_text(row, "input", report),
        history=_history(row.get("history"), report),
        output=_output(row.get("output"), report),
        evidence=_evidence(row.get("evidence"), report),
        split=cast(Split, split) if split in _SPLITS else assign_split(example_id),
        tags=_texts(row, "tags", report),
        groups=_texts(row, "groups", report),
        group=_text(row, "group", report) if row.get("group") is not None else None,
        origin=_text(row, "origin", report) if row.get("origin") is not None else "person",
        rejected=_rejected(row, report),
        reasoning=_text(row, "reasoning", report) if row.get("reasoning") is not None else "",
        facts=_facts(row.get("facts"), report),
        review=_review(row.get("review"), report),
    )


def _text(row: dict[str, Any], key: str, report: ReportProblem) -> str:
    value = row.get(key)
    if isinstance(value, str) and value.strip():
        return value
    if value is None or isinstance(value, str):
        report(f'no "{key}"', f'add "{key}": "…"')
    elif isinstance(value, int | float):
        report(f'"{key}" is not a string: {_show(value)}', f'write "{key}": "{_show(value)}"')
    else:
        report(f'"{key}" is not a string: {_show(value)}', f'write "{key}": "…"')
    return ""


def _history(value: Any, report: ReportProblem) -> tuple[Message, ...]:
    hint = 'write "history": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]'
    if value is None:
        return ()
    if not isinstance(value, list):
        report(f'"history" is not a list: {_show(value)}', hint)
        return ()
    turns: list[Message] = []
    for number, turn in enumerate(value, start=1):
        if not isinstance(turn, dict):
            report(f"turn {number} of the history is not an object: {_show(turn)}", hint)
            continue
        role, content = turn.get("role"), turn.get("content")
        if role not in _ROLES:
            instead = 'put what applies to every question under "instructions" in groundtune.toml'
            report(f"turn {number} of the history has the role {_show(role)}", instead if role == "system" else hint)
        elif not (isinstance(content, str) and content.strip()):
            report(f'turn {number} of the history has no "content": {_show(turn)}', hint)
        elif turns and turns[-1].role == role:
            report(f"turns {number - 1} and {number} of the history are both by the {role}", "join them into one turn")
        for key in sorted(turn.keys() - {"role", "content"}):
            report(f'unknown key "{key}" in turn {number} of the history', "known keys: role, content")
        turns.append(Message(cast(Literal["user", "assistant"], role), str(content)))
    if turns and turns[-1].role == "user":
        report("the history ends with the user", 'end it with the assistant: "input" is what the user says next')
    return tuple(turns)


def _texts(row: dict[str, Any], key: str, report: ReportProblem) -> tuple[str, ...]:
    value = row.get(key)
    if value is None:
        return ()
    if isinstance(value, list) and all(isinstance(text, str) and text.strip() for text in value):
        return tuple(value)
    report(f'"{key}" is not a list of strings: {_show(value)}', f'write "{key}": ["…"]')
    return ()


def _facts(value: Any, report: ReportProblem) -> tuple[tuple[str, ...], ...]:
    if value is None:
        return ()
    wordings = [[fact] if isinstance(fact, str) else fact for fact in value] if isinstance(value, list) else [None]
    if not all(
        isinstance(fact, list) and fact and all(isinstance(text, str) and text.strip() for text in fact)
        for fact in wordings
    ):
        hint = 'write "facts": ["£40", ["7 days", "one week"]]; a list within it holds equally right wordings'
        report(f'"facts" is not a list of strings or of lists of strings: {_show(value)}', hint)
        return ()
    return tuple(tuple(fact) for fact in wordings if fact)


def _output(value: Any, report: ReportProblem) -> Any:
    if value is None or (isinstance(value, str) and value.strip()) or (isinstance(value, dict) and value):
        return value
    if isinstance(value, list) and value and all(isinstance(text, str) and text.strip() for text in value):
        return value
    if isinstance(value, int | float):
        report(f'"output" is not a string: {_show(value)}', f'write "output": "{_show(value)}"')
    elif not value or isinstance(value, str):
        report(f'"output" is empty: {_show(value)}', "write null if the correct answer is to abstain")
    else:
        report(f'"output" is a list with items that are not strings: {_show(value)}', 'write "output": ["…"]')
    return None


def _rejected(row: dict[str, Any], report: ReportProblem) -> Any:
    value, output = row.get("rejected"), row.get("output")
    if value is None:
        return None
    if not (isinstance(value, str) and value.strip()) and not (isinstance(value, dict) and value):
        report(f'"rejected" must be a string or an object: {_show(value)}', "write the model's reply, or omit the key")
        return None
    if value in (output if isinstance(output, list) else [output]):
        report('"rejected" equals "output"', "omit it: a pair needs two different replies")
    return value


def _evidence(value: Any, report: ReportProblem) -> tuple[Evidence, ...]:
    hint = 'write "evidence": [{"source": "…", "quote": "…"}]'
    if value is None:
        return ()
    if not isinstance(value, list):
        report(f'"evidence" is not a list: {_show(value)}', hint)
        return ()
    for item in value:
        if not isinstance(item, dict):
            report(f"evidence is not an object: {_show(item)}", hint)
            continue
        for key in ("source", "quote"):
            if not (isinstance(item.get(key), str) and item[key].strip()):
                report(f'evidence is missing "{key}": {_show(item)}', hint)
        for key in ("start", "end"):
            if not (item.get(key) is None or (type(item[key]) is int and item[key] >= 0)):
                report(f'"{key}" of evidence is not an offset: {_show(item[key])}', "write a whole number, or omit it")
        for key in sorted(item.keys() - set(_EVIDENCE_KEYS)):
            report(f'unknown key "{key}" in evidence', f"known keys: {', '.join(_EVIDENCE_KEYS)}")
    return tuple(
        Evidence(str(item.get("source", "")), str(item.get("quote", "")), item.get("start"), item.get("end"))
        for item in value
        if isinstance(item, dict)
    )


def _review(value: Any, report: ReportProblem) -> Review | None:
    hint = 'write "review": {"state": "accepted", "by": "…", "time": "2026-01-31T12:00:00Z"}'
    if value is None:
        return None
    if not isinstance(value, dict) or not all(isinstance(value.get(key), str) for key in ("state", "by", "time")):
        report(f'"review" does not say "state", "by" and "time": {_show(value)}', hint)
        return None
    if value["state"] not in STATES:
        report(f"unknown state of a review: {_show(value['state'])}", f"use one of {', '.join(STATES)}")
    for key in sorted(value.keys() - {"state", "by", "time"}):
        report(f'unknown key "{key}" in the review', "known keys: state, by, time")
    return Review(value["state"], value["by"], value["time"])


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"
