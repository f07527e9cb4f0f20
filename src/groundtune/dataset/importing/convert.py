"""Convert files of other formats to examples and report every problem at once. Never drops a row silently.

Rows that an example cannot represent are refused, unless the caller says how to handle them.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from groundtune.common.files import write_atomic
from groundtune.common.text import format_count
from groundtune.dataset.examples import ReportProblem, read_examples
from groundtune.dataset.importing import assembly
from groundtune.dataset.importing.assembly import ImportOptions, ImportRow
from groundtune.dataset.importing.parsers import (
    ColumnMapping,
    Draft,
    Format,
    detect_row_format,
    guess_columns,
    parse_alpaca,
    parse_chat,
    parse_preference,
    parse_prompt,
    parse_sharegpt,
    parse_table,
)
from groundtune.dataset.importing.records import (
    Record,
    ReportLineProblem,
    is_table,
    json_records,
    read_text,
    table_records,
)
from groundtune.errors import ConfigError, Problem, UsageError
from groundtune.types import Example

DETECTION_ROWS = 50
"""Number of rows that decide the format of a file."""
_OPEN = ImportOptions()
_READERS: Mapping[str, Callable[[Mapping[str, Any], ReportProblem], Draft | None]] = {
    "chat": parse_chat,
    "sharegpt": parse_sharegpt,
    "prompt": parse_prompt,
    "preference": parse_preference,
    "alpaca": parse_alpaca,
}


@dataclass(frozen=True, slots=True)
class ImportResult:
    """Result of importing a file."""

    examples: tuple[Example, ...]
    format: Format
    notes: tuple[str, ...] = ()
    """Decisions and omissions to show to the user."""
    instructions: str | None = None
    """System message that all inputs share; belongs in `instructions` of the project file."""


def detect_format(path: Path) -> Format:
    """Detect the format from the suffix and the keys of the first rows.

    Raises MissingError when there is no such file, ConfigError when no format fits.
    """
    text = read_text(path)
    if is_table(path, text):
        return "tsv" if path.suffix.lower() in (".tsv", ".tab") else "csv"
    records = [record for record, _ in zip(json_records(text, lambda *_: None), range(DETECTION_ROWS), strict=False)]
    counts = Counter(kind for kind in (detect_row_format(record.values) for record in records) if kind)
    if counts:
        return counts.most_common(1)[0][0]
    if records:
        keys = ", ".join(list(records[0].values)[:8])
        hint = "name the columns: --input NAME --output NAME"
        raise ConfigError([Problem(path, f"unknown format; the keys are {keys}", records[0].line, hint)])
    raise ConfigError([Problem(path, "contains no readable rows", hint="use JSON lines, a JSON list or a table")])


def import_file(
    path: Path,
    format: Format | None = None,  # noqa: A002
    *,
    options: ImportOptions = _OPEN,
) -> ImportResult:
    """Return the examples in file order, and notes on what was decided.

    Ids are digests of the input, so importing a file again gives the same ids, even after an output was fixed; an
    `id` column of a table takes precedence. Equal inputs go into the same split.

    Raises MissingError, UsageError, ConfigError with every problem of the file.
    """
    if format is not None and format not in get_args(Format):
        raise UsageError(f"unknown format {format!r}", hint=f"use one of {', '.join(get_args(Format))}")
    kind = format or ("rows" if options.input and not is_table(path, read_text(path)) else detect_format(path))
    if kind == "examples" and options.split:
        message = f"{path} is already an examples file, so --split does not apply: its rows set their own split"
        raise UsageError(message, hint="remove --split")
    if kind == "examples":
        return ImportResult(tuple(read_examples(path)), kind)
    problems: list[Problem] = []

    def report(line: int, message: str, hint: str) -> None:
        problems.append(Problem(path, message, line or None, hint))

    rows, notes = _rows(read_text(path), kind, options, report)
    rows, instructions, on_system = assembly.resolve_system_messages(rows, options, report)
    rows, on_turns = assembly.reduce_turns(rows, options, report)
    outputs, on_outputs = assembly.parse_outputs(rows, options, report)
    examples = assembly.build_examples(rows, outputs, options=options, origin=path.name, report=report)
    if not examples and not problems:
        report(0, "contains no rows", "choose a file with at least one row")
    if problems:
        raise ConfigError(sorted(problems, key=lambda problem: problem.line or 0))
    return ImportResult(tuple(examples), kind, (*notes, *on_system, *on_turns, *on_outputs), instructions)


def write_examples(path: Path, examples: Sequence[Example]) -> None:
    """Write an examples file atomically, with explicit splits. Raises OSError."""
    write_atomic(path, encode_lines(encode_example(example) for example in examples))


def encode_example(example: Example) -> str:
    """Return an example as a line of an examples file, without empty keys except `output`."""
    row: dict[str, Any] = {
        "id": example.id,
        "input": example.input,
        "history": [{"role": turn.role, "content": turn.content} for turn in example.history],
        "reasoning": example.reasoning,
        "output": example.output,
        "rejected": example.rejected,
        "facts": [fact[0] if len(fact) == 1 else fact for fact in example.facts],
        "review": asdict(example.review) if example.review else None,
        "evidence": [_without_unknown(asdict(item)) for item in example.evidence],
        "split": example.split,
        "tags": example.tags,
        "groups": example.groups,
        "group": example.group,
        "origin": None if example.origin == "person" else example.origin,
    }
    return json.dumps({key: value for key, value in row.items() if value or key == "output"}, ensure_ascii=False)


def _without_unknown(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def encode_lines(lines: Iterable[str]) -> bytes:
    """Encode the lines as UTF-8; lone surrogates become JSON escapes."""
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")


def _rows(
    text: str, kind: Format, options: ImportOptions, report: ReportLineProblem
) -> tuple[list[ImportRow], list[str]]:
    """Return the readable rows and notes on the columns used and the keys omitted."""
    table = kind in ("csv", "tsv")
    delimiter = "\t" if kind == "tsv" else None
    records = list(table_records(text, report, delimiter=delimiter) if table else json_records(text, report))
    table_columns = _columns(records, options, report) if table or kind == "rows" else None
    if table_columns is None and kind not in _READERS:
        return [], []
    rows: list[ImportRow] = []
    omitted: Counter[str] = Counter()
    for record in records:

        def report_here(message: str, hint: str, line: int = record.line) -> None:
            report(line, message, hint)

        draft = (
            parse_table(record.values, table_columns, report_here)
            if table_columns
            else _READERS[kind](record.values, report_here)
        )
        if draft:
            rows.append(assembly.make_row(record.line, draft))
            omitted.update(draft.omitted_keys)
    notes = [f'input from "{table_columns.input}", output from "{table_columns.output}"'] if table_columns else []
    return rows, [
        *notes,
        *(f'"{key}" is omitted: {format_count(number)}' for key, number in sorted(omitted.items())),
    ]


def _columns(records: Sequence[Record], options: ImportOptions, report: ReportLineProblem) -> ColumnMapping | None:
    """Return the input and output columns; None after reporting a problem."""
    if not records:
        return None
    names = list(dict.fromkeys(name for record in records for name in record.values))
    guess = guess_columns(names, input=options.input, output=options.output)
    if guess is not None and guess.output is not None:
        return guess
    hint = f"use --input NAME --output NAME; the columns are {', '.join(names[:12])}"
    if guess is None:
        missing = next((name for name in (options.input, options.output) if name and name not in names), None)
        report(records[0].line, f'no column "{missing}"' if missing else "no column that looks like an input", hint)
    else:
        report(records[0].line, "no column that looks like an output", hint)
    return None
