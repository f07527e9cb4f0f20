"""Turn files of other formats into our examples, or into all of their problems at once. Never drops a row unsaid.

What an example cannot hold is refused with its row, unless the caller says what is to become of it.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from groundtune.errors import ConfigError, Problem, UsageError
from groundtune.measure import format_join
from groundtune.measure.examples import read_examples
from groundtune.measure.format_join import Choices, Row
from groundtune.measure.format_rows import Record, Say, is_table, json_records, read_text, table_records
from groundtune.measure.format_turns import (
    Columns,
    Complain,
    Draft,
    Format,
    columns,
    of_alpaca,
    of_chat,
    of_preference,
    of_prompt,
    of_sharegpt,
    of_table,
    recognised,
)
from groundtune.types import Example
from groundtune.workspace import write_atomic

SEEN = 50
"""Rows that decide which format a file has."""
_OPEN = Choices()
_READERS: Mapping[str, Callable[[Mapping[str, Any], Complain], Draft | None]] = {
    "chat": of_chat,
    "sharegpt": of_sharegpt,
    "prompt": of_prompt,
    "preference": of_preference,
    "alpaca": of_alpaca,
}


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a file came to."""

    examples: tuple[Example, ...]
    format: Format
    notes: tuple[str, ...] = ()
    """What was decided or left out on the way; to be shown to a person."""
    instructions: str | None = None
    """What stands before every input alike: for `instructions` of the project file."""


def detect(path: Path) -> Format:
    """By the ending and the keys of the first rows. Raises MissingError, ConfigError when no format fits."""
    text = read_text(path)
    if is_table(path, text):
        return "tsv" if path.suffix.lower() in (".tsv", ".tab") else "csv"
    records = [record for record, _ in zip(json_records(text, lambda *_: None), range(SEEN), strict=False)]
    found = Counter(one for one in (recognised(record.values) for record in records) if one)
    if found:
        return found.most_common(1)[0][0]
    if records:
        keys = ", ".join(list(records[0].values)[:8])
        hint = "name the columns: --input NAME --output NAME"
        raise ConfigError([Problem(path, f"no known format; the keys are {keys}", records[0].line, hint)])
    raise ConfigError([Problem(path, "has no rows that can be read", hint="JSON lines, a JSON list, or a table")])


def convert(
    path: Path,
    format: Format | None = None,  # noqa: A002
    *,
    choices: Choices = _OPEN,
) -> list[Example]:
    """Examples in file order. Raises MissingError, UsageError, ConfigError with every problem of the file."""
    return list(conversion(path, format, choices=choices).examples)


def conversion(
    path: Path,
    format: Format | None = None,  # noqa: A002
    *,
    choices: Choices = _OPEN,
) -> Conversion:
    """Examples, and what was decided on the way.

    Ids are digests of what is asked, so that importing a file again gives the same ids, also after an output was
    fixed; a table's column `id` goes before them. Equal inputs are put into the same split.
    """
    if format is not None and format not in get_args(Format):
        raise UsageError(f"no format {format!r}", hint=f"one of {', '.join(get_args(Format))}")
    kind = format or ("rows" if choices.input and not is_table(path, read_text(path)) else detect(path))
    if kind == "examples" and choices.split:
        raise UsageError(f"{path} is in our own format, whose rows name their split", hint="leave --split out")
    if kind == "examples":
        return Conversion(tuple(read_examples(path)), kind)
    problems: list[Problem] = []

    def say(line: int, message: str, hint: str) -> None:
        problems.append(Problem(path, message, line or None, hint))

    rows, notes = _rows(read_text(path), kind, choices, say)
    rows, instructions, on_system = format_join.shared_system(rows, choices, say)
    rows, on_turns = format_join.single_turns(rows, choices, say)
    outputs, on_outputs = format_join.outputs(rows, choices, say)
    made = format_join.examples(rows, outputs, choices=choices, origin=path.name, say=say)
    if not made and not problems:
        say(0, "has no rows", "name a file that has some")
    if problems:
        raise ConfigError(sorted(problems, key=lambda one: one.line or 0))
    return Conversion(tuple(made), kind, (*notes, *on_system, *on_turns, *on_outputs), instructions)


def write_examples(path: Path, examples: Sequence[Example]) -> None:
    """Our own format, splits written out; whole or not at all. Raises OSError."""
    write_atomic(path, encoded(as_line(one) for one in examples))


def as_line(example: Example) -> str:
    """One example as it stands in a file; keys with nothing in them are left out, but for `output`."""
    row: dict[str, Any] = {
        "id": example.id,
        "input": example.input,
        "output": example.output,
        "rejected": example.rejected,
        "evidence": [{"source": one.source, "quote": one.quote} for one in example.evidence],
        "split": example.split,
        "tags": example.tags,
        "groups": example.groups,
        "group": example.group,
        "origin": None if example.origin == "person" else example.origin,
    }
    return json.dumps({key: value for key, value in row.items() if value or key == "output"}, ensure_ascii=False)


def encoded(lines: Iterable[str]) -> bytes:
    """The lines of a file; what is no text in UTF-8 (half a character) is written as JSON escapes it."""
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")


def _rows(text: str, kind: Format, choices: Choices, say: Say) -> tuple[list[Row], list[str]]:
    """All rows that can be read, and which keys had no place."""
    table = kind in ("csv", "tsv")
    delimiter = "\t" if kind == "tsv" else None
    records = list(table_records(text, say, delimiter=delimiter) if table else json_records(text, say))
    found = _columns(records, choices, say) if table or kind == "rows" else None
    if found is None and kind not in _READERS:
        return [], []
    rows: list[Row] = []
    left: Counter[str] = Counter()
    for record in records:

        def complain(message: str, hint: str, line: int = record.line) -> None:
            say(line, message, hint)

        draft = of_table(record.values, found, complain) if found else _READERS[kind](record.values, complain)
        if draft:
            rows.append(format_join.row(record.line, draft))
            left.update(draft.left_out)
    notes = [f'input from "{found.input}", output from "{found.output}"'] if found else []
    return rows, [*notes, *(f'"{key}" is left out: {number:,} rows' for key, number in sorted(left.items()))]


def _columns(records: Sequence[Record], choices: Choices, say: Say) -> Columns | None:
    """Which column holds what; None after complaining."""
    if not records:
        return None
    names = list(dict.fromkeys(name for record in records for name in record.values))
    found = columns(names, input=choices.input, output=choices.output)
    if found is not None and found.output is not None:
        return found
    hint = f"--input NAME --output NAME; there are {', '.join(names[:12])}"
    if found is None:
        missing = next((one for one in (choices.input, choices.output) if one and one not in names), None)
        say(records[0].line, f'no column "{missing}"' if missing else "no column that looks like an input", hint)
    else:
        say(records[0].line, "no column that looks like an output", hint)
    return None
