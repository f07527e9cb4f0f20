"""Read JSON lines, a JSON list or a delimited table into rows with line numbers. Drops no row."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.common.delimiters import split_lines
from groundtune.dataset.examples import json_fault, refuse_constant
from groundtune.errors import ConfigError, MissingError, Problem

_BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_SPACE = re.compile(r"[ \t\r\n]*")

ReportLineProblem = Callable[[int, str, str], None]
"""Takes a line number, a problem message and a hint."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a file, unchanged; `line` is the line on which it begins, counted from 1."""

    line: int
    values: dict[str, Any]


def read_text(path: Path) -> str:
    """Read the file as UTF-8, or as UTF-16 if it has that byte order mark. Raises MissingError, ConfigError."""
    if not path.is_file():
        raise MissingError(f"file not found: {path}", hint="check the path")
    data = path.read_bytes()
    try:
        return data.decode(_BOMS.get(data[:2], "utf-8-sig"))
    except UnicodeDecodeError as error:
        problem = Problem(path, f"not UTF-8 (byte {error.start})", hint="save it as UTF-8")
        raise ConfigError([problem]) from error


def is_table(path: Path, text: str) -> bool:
    """Whether the file is delimited text, judged by its suffix, else by not starting like JSON."""
    if path.suffix.lower() in (".csv", ".tsv", ".tab"):
        return True
    return path.suffix.lower() not in (".json", ".jsonl", ".ndjson") and text.lstrip()[:1] not in ("{", "[")


def json_records(text: str, report: ReportLineProblem) -> Iterator[Record]:
    """Yield the objects of JSON lines or of one JSON list; report and skip anything else."""
    if text.lstrip()[:1] == "[" and not _is_line(text.lstrip().partition("\n")[0]):
        yield from _of_list(text, report)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = _decoder().decode(line)
        except (ValueError, RecursionError) as error:
            report(number, f"not JSON: {json_fault(error)}", "write one JSON object per line")
            continue
        yield from _object(value, number, report)


def table_records(text: str, report: ReportLineProblem, *, delimiter: str | None = None) -> Iterator[Record]:
    """Yield the rows under the header, cells as stripped text; a title or a comment above the header is no row.

    delimiter: None detects it.
    """
    lines: list[tuple[int, list[str]]] = []
    try:
        lines.extend(split_lines(text, delimiter=delimiter))
    except csv.Error as error:
        report(lines[-1][0] + 1 if lines else 1, f"not a valid table: {error}", "fix the quotes")
    title = min(1, max((_filled(cells) for _, cells in lines), default=0) - 1)
    header: list[str] = []
    for line, cells in lines:
        if not header and _filled(cells) > title:
            header = _header(cells, line, report)
        elif not header or not cells:
            continue
        elif len(cells) > len(header):
            report(line, f"{len(cells)} cells but {len(header)} columns", "quote cells that contain the delimiter")
        else:
            yield Record(line, dict(zip(header, (cell.strip() for cell in cells), strict=False)))


def _filled(cells: list[str]) -> int:
    return sum(bool(cell.strip()) for cell in cells)


def _header(cells: list[str], line: int, report: ReportLineProblem) -> list[str]:
    names = [" ".join(cell.split()) for cell in cells]
    for name in sorted({name for name in names if name and names.count(name) > 1}):
        report(line, f'duplicate column "{name}"', "give each column a unique name")
    return [name or f"column {position}" for position, name in enumerate(names, start=1)]


def _of_list(text: str, report: ReportLineProblem) -> Iterator[Record]:
    """Yield the elements of a JSON list, decoded one at a time so that each has its line number."""
    decoder, place, line, counted_to = _decoder(), text.index("[") + 1, 1, 0
    while True:
        place = _skip(text, place)
        if text[place : place + 1] in ("]", ""):
            break
        line, counted_to = line + text.count("\n", counted_to, place), place
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            error_line = error.lineno if isinstance(error, json.JSONDecodeError) else line
            report(error_line, f"not JSON: {json_fault(error)}", "fix the list here; the rest was not read")
            return
        yield from _object(value, line, report)
        place = _skip(text, place)
        if text[place : place + 1] not in (",", "]"):
            break
        place += text[place] == ","
    if text[place : place + 1] != "]":
        report(line, "the list is cut off after this row", "end it with ]")


def _object(value: Any, line: int, report: ReportLineProblem) -> Iterator[Record]:
    if isinstance(value, dict):
        yield Record(line, value)
    else:
        report(line, "not a JSON object", "write one JSON object per row")


def _is_line(text: str) -> bool:
    """Whether the line is complete JSON but not a list of objects, as in JSON lines with a bad first row."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return not (isinstance(value, list) and all(isinstance(item, dict) for item in value))


def _skip(text: str, place: int) -> int:
    match = _SPACE.match(text, place)
    return match.end() if match else place


def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(parse_constant=refuse_constant)
