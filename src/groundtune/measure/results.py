"""The matrix on disk: one row a cell, appended, never changed. Reads and writes `results.jsonl`; fills nothing.

One JSON object a line (ASCII, the rest as \\u escapes), written in one piece:

    {"example": id, "approach": name, "status": "answered" | "abstained" | "error",
     "output": text, label or object (null after an error of the approach),
     "citations": [{"marker", "sentence", "support", "passage_id", "document_id", "source", "heading",
                    "page", "quote", "start", "end"}],
     "scores": {metric: number, only those that apply},
     "usage": {"input_tokens", "cached_tokens", "output_tokens", "seconds", "usd"} (each null when unknown),
     "error": null | {"kind", "message"}}

Of several rows of one cell the last counts: that is how a retried error is replaced. Unknown keys and blank lines are
passed over. A last line that is no JSON was cut off by a kill: it is left out, and taken away before anything is added.
One process writes at a time; the caller holds the lock.
"""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from groundtune.errors import ConfigError, Problem
from groundtune.types import Citation, Failure, Result, Usage

log = logging.getLogger(__name__)

RESULTS = "results.jsonl"
STATUSES = ("answered", "abstained", "error")
SUPPORTS = ("exact", "close", "missing")
MOST_PROBLEMS = 10
"""So many lines that cannot be read are named; then reading ends."""
FORMAT = 'every field is described in docs/compare.md, "The matrix"'

Cell = tuple[str, str]
"""Example id and approach name."""


def read_results(path: Path) -> list[Result]:
    """The last row of each cell, in the order in which cells first came; a torn last line is left out.

    A file that is not there has no results. Raises ConfigError with the places of lines that cannot be read.
    """
    return list({cell_of(result): result for result in rows_of(path)}.values())


def write_result(file: BinaryIO, result: Result) -> Result:
    """Append one line in one piece and flush it; returns the result as reading it back gives it.

    file: open for appending, unbuffered.
    A result that cannot be read back (a score that is NaN, an output that is no JSON) becomes a row of error.
    """
    try:
        line = encode_result(result)
        read = decode_result(line)
    except (TypeError, ValueError, RecursionError) as error:
        failure = Failure("crash", f"the result cannot be written as JSON: {error}")
        result = Result(result.example, result.approach, "error", usage=result.usage, error=failure)
        line = encode_result(result)
        read = decode_result(line)
    start, view = file.seek(0, 2), memoryview(line)
    try:
        while view:
            view = view[file.write(view) :]
        file.flush()
    except OSError:  # the disk is full: no half line may stay in front of the next one
        file.truncate(start)
        raise
    return read


def encode_result(result: Result) -> bytes:
    """One line, line feed included. Raises TypeError or ValueError when JSON cannot hold it."""
    row = {
        "example": result.example,
        "approach": result.approach,
        "status": result.status,
        "output": result.output,
        "citations": [_plain(citation) for citation in result.citations],
        "scores": {name: float(value) for name, value in result.scores.items()},
        "usage": _plain(result.usage),
        "error": _plain(result.error) if result.error else None,
    }
    return (json.dumps(row, allow_nan=False) + "\n").encode()


def _plain(value: Citation | Usage | Failure) -> dict[str, object]:
    """Fields by name; `asdict` copies deeply, which takes half the time of writing a row."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


class _NotJSONError(ValueError):
    """What a line that was cut off raises; one that is whole, but no result, raises ValueError alone."""


def decode_result(line: bytes | str) -> Result:
    """The result of one line. Raises ValueError that says what is wrong with it."""
    row = _json(line)
    if fault := _row_fault(row):
        raise ValueError(fault)
    return Result(
        example=row["example"],
        approach=row["approach"],
        status=row["status"],
        output=row["output"],
        citations=tuple(Citation(**_known(one, CITATION)) for one in row["citations"]),
        scores=row["scores"],
        usage=Usage(**_known(row["usage"], USAGE)),
        error=Failure(row["error"]["kind"], row["error"]["message"]) if row["error"] else None,
    )


def _json(line: bytes | str) -> Any:
    try:
        text = line.decode("utf-8-sig", "surrogatepass") if isinstance(line, bytes) else line
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _NotJSONError(f"not JSON: {error.msg} at column {error.colno}") from None
    except UnicodeDecodeError:
        raise _NotJSONError("not JSON: the line is not UTF-8") from None
    except RecursionError:
        raise ValueError("not JSON that can be read: nested too deep") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON: write null for what is unknown, or leave out the score")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _or_null(holds: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or holds(value)


Shape = Mapping[str, tuple[str, Callable[[object], bool]]]
"""Field to what must stand in it, in words and as a check."""
_TEXT, _TEXT_OR_NULL = ("a text", _is_text), ("a text or null", _or_null(_is_text))
_WHOLE_OR_NULL = ("a whole number or null", _or_null(_is_whole))
_OBJECT = ("an object", lambda value: isinstance(value, dict))
ROW: Shape = {
    "example": ("a text that is not empty", lambda value: _is_text(value) and value != ""),
    "approach": ("a text that is not empty", lambda value: _is_text(value) and value != ""),
    "status": (f"one of {', '.join(STATUSES)}", lambda value: value in STATUSES),
    "output": ("any JSON", lambda _: True),
    "citations": ("a list", lambda value: isinstance(value, list)),
    "scores": ("an object of numbers", _OBJECT[1]),
    "usage": _OBJECT,
    "error": ("an object or null", lambda value: value is None or isinstance(value, dict)),
}
USAGE: Shape = {field.name: ("a number or null", _or_null(_is_number)) for field in fields(Usage)}
ERROR: Shape = {"kind": _TEXT, "message": _TEXT}
CITATION_NEEDS = ("marker", "sentence", "support")
CITATION: Shape = {
    "marker": ("a whole number", _is_whole),
    "sentence": _TEXT,
    "support": (f"one of {', '.join(SUPPORTS)}", lambda value: value in SUPPORTS),
    "passage_id": _TEXT_OR_NULL,
    "document_id": _TEXT_OR_NULL,
    "source": _TEXT_OR_NULL,
    "heading": _TEXT,
    "page": _WHOLE_OR_NULL,
    "quote": _TEXT,
    "start": _WHOLE_OR_NULL,
    "end": _WHOLE_OR_NULL,
}


def _row_fault(row: Any) -> str | None:
    """The first thing that is wrong with a row; other programs write them too."""
    if not isinstance(row, dict):
        return "not a JSON object"
    if fault := _fault(row, ROW, "", needs=tuple(ROW)):
        return fault
    for name, score in row["scores"].items():
        if not _is_number(score):
            return f"scores.{name} must be a number"
    if fault := _fault(row["usage"], USAGE, "usage."):
        return fault
    for name in USAGE:
        if (row["usage"].get(name) or 0) < 0:
            return f"usage.{name} is negative"
    for place, citation in enumerate(row["citations"]):
        if not isinstance(citation, dict):
            return f"citations[{place}] must be an object"
        if fault := _fault(citation, CITATION, f"citations[{place}].", needs=CITATION_NEEDS):
            return fault
    if (row["error"] is not None) != (row["status"] == "error"):
        return '"error" must be null, unless "status" is "error"; then it must not be'
    return _fault(row["error"], ERROR, "error.", needs=tuple(ERROR)) if row["error"] is not None else None


def _fault(value: dict[str, Any], shape: Shape, where: str, *, needs: tuple[str, ...] = ()) -> str | None:
    if missing := [name for name in needs if name not in value]:
        return "no " + ", ".join(f'"{where}{name}"' for name in missing)
    for name, (wanted, holds) in shape.items():
        if name in value and not holds(value[name]):
            return f'"{where}{name}" must be {wanted}'
    return None


def _known(value: dict[str, Any], shape: Shape) -> dict[str, Any]:
    return {name: value[name] for name in shape if name in value}


def cell_of(result: Result) -> Cell:
    return result.example, result.approach


def rows_of(path: Path) -> Iterator[Result]:
    """Every row, oldest first; a last line that was cut off is left out, which the log says.

    Raises ConfigError with the places of lines that cannot be read, once the last row was given.
    """
    if not path.exists():
        return
    problems = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield decode_result(line)
            except ValueError as error:
                if isinstance(error, _NotJSONError) and not line.endswith(b"\n"):
                    log.warning("%s:%d: the last line is cut off, and left out", path, number)
                    continue
                problems.append(Problem(path, str(error), line=number))
                if len(problems) == MOST_PROBLEMS:
                    break
    if problems:
        more = " (there may be more)" if len(problems) == MOST_PROBLEMS else ""
        raise ConfigError(problems, hint=f"fix or delete these lines{more}; {FORMAT}")


def cut_torn_line(path: Path) -> None:
    """End the file with a whole line: take away what was cut off, give a whole JSON object its line feed."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        at = size
        while at > 0:
            start = max(0, at - 65536)
            file.seek(start)
            found = file.read(at - start).rfind(b"\n")
            if found >= 0:
                at = start + found + 1
                break
            at = start
        if at == size:
            return
        file.seek(at)
        if _is_object(file.read()):
            file.write(b"\n")
        else:
            file.truncate(at)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(_json(line), dict)
    except ValueError as error:
        return not isinstance(error, _NotJSONError)
