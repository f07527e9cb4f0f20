"""Turn a file of JSON lines, a JSON list or a delimited table into rows with their line numbers. Drops no row."""

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from groundtune.errors import ConfigError, MissingError, Problem

DELIMITERS = ",;\t|"
_BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_SPACE = re.compile(r"[ \t\r\n]*")

Say = Callable[[int, str, str], None]
"""Takes the line, what is wrong there and how to fix it."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a file as it stands there; `line` is that on which it begins, counted from 1."""

    line: int
    values: dict[str, Any]


def read_text(path: Path) -> str:
    """UTF-8, or UTF-16 where the file says so. Raises MissingError, ConfigError."""
    if not path.is_file():
        raise MissingError(f"no file {path}", hint="name the file that is to be imported")
    data = path.read_bytes()
    try:
        return data.decode(_BOMS.get(data[:2], "utf-8-sig"))
    except UnicodeDecodeError as error:
        problem = Problem(path, f"not UTF-8 (byte {error.start})", hint="save it as UTF-8")
        raise ConfigError([problem]) from error


def is_table(path: Path, text: str) -> bool:
    """Whether it is delimited text: by the ending, else by not beginning as JSON does."""
    if path.suffix.lower() in (".csv", ".tsv", ".tab"):
        return True
    return path.suffix.lower() not in (".json", ".jsonl", ".ndjson") and text.lstrip()[:1] not in ("{", "[")


def json_records(text: str, say: Say) -> Iterator[Record]:
    """Objects of JSON lines, or of one list; what is no object is said and left out."""
    if text.lstrip()[:1] == "[" and not _is_line(text.lstrip().partition("\n")[0]):
        yield from _of_list(text, say)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = _decoder().decode(line)
        except (ValueError, RecursionError) as error:
            say(number, f"not JSON: {_where(error)}", "one JSON object a line")
            continue
        yield from _object(value, number, say)


def table_records(text: str, say: Say, *, delimiter: str | None = None) -> Iterator[Record]:
    """Rows under a header; cells are text, without white space at their ends. delimiter: None finds it."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # the default of 128 KiB refuses long texts
    reader = csv.reader(io.StringIO(text.replace("\x00", ""), newline=""), delimiter=delimiter or _delimiter(text))
    header: list[str] = []
    began = 1
    try:
        for cells in reader:
            line, began = began, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = _header(cells, line, say)
                continue
            if len(cells) > len(header):
                hint = "put cells that hold the delimiter in double quotes"
                say(line, f"{len(cells)} cells under {len(header)} columns", hint)
                continue
            yield Record(line, dict(zip(header, (cell.strip() for cell in cells), strict=False)))
    except csv.Error as error:
        say(began, f"is not a table: {error}", "fix the quotes")


def _header(cells: list[str], line: int, say: Say) -> list[str]:
    names = [" ".join(cell.split()) for cell in cells]
    for name in sorted({name for name in names if name and names.count(name) > 1}):
        say(line, f'two columns "{name}"', "give each its own name")
    return [name or f"column {place}" for place, name in enumerate(names, start=1)]


def _of_list(text: str, say: Say) -> Iterator[Record]:
    """The elements of a JSON list, decoded one by one, so that each has its line."""
    decoder, place, line, counted = _decoder(), text.index("[") + 1, 1, 0
    while True:
        place = _skip(text, place)
        if text[place : place + 1] in ("]", ""):
            break
        line, counted = line + text.count("\n", counted, place), place
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            at = error.lineno if isinstance(error, json.JSONDecodeError) else line
            say(at, f"not JSON: {_where(error)}", "fix the list from here on; what follows was not read")
            return
        yield from _object(value, line, say)
        place = _skip(text, place)
        if text[place : place + 1] not in (",", "]"):
            break
        place += text[place] == ","
    if text[place : place + 1] != "]":
        say(line, "the list breaks off after this row", "end it with ]")


def _object(value: Any, line: int, say: Say) -> Iterator[Record]:
    if isinstance(value, dict):
        yield Record(line, value)
    else:
        say(line, "not a JSON object", "one JSON object a row")


def _is_line(text: str) -> bool:
    """Whether the first line is JSON for itself, as in a file of lines of which the first is a wrong one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return not (isinstance(value, list) and all(isinstance(one, dict) for one in value))


def _skip(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(parse_constant=_no_constant)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _where(error: Exception) -> str:
    return f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)


def _delimiter(text: str) -> str:
    """The one that cuts the first rows into the most equal number of cells, more than one; else the comma."""
    sample = text[:65_536]
    best, score = ",", 0.0
    for delimiter in DELIMITERS:
        rows = zip(csv.reader(io.StringIO(sample), delimiter=delimiter), range(50), strict=False)
        widths = [len(row) for row, _ in rows if row]
        if not widths or widths[0] < 2:
            continue
        same = sum(width == widths[0] for width in widths) / len(widths)
        if same > score:
            best, score = delimiter, same
    return best
