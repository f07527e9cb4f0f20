"""The matrix on disk: one row a cell, appended, never changed. Reads and writes `results.jsonl`; fills nothing.

One JSON object a line (ASCII, the rest as \\u escapes), written in one piece:

    {"example": id, "approach": name, "status": "answered" | "abstained" | "error",
     "output": text, label or object (null after an error of the approach),
     "citations": [{"marker", "sentence", "support", "passage_id", "document_id", "source", "heading",
                    "page", "quote", "start", "end"}],
     "scores": {metric: number, only those that apply},
     "usage": {"input_tokens", "cached_tokens", "output_tokens", "seconds", "usd"} (each null when unknown),
     "error": null | {"kind", "message"}}

Of several rows of one cell the last counts: that is how a retried error is replaced. A last line without its
line feed was cut off by a kill and is taken away before anything is added. One process writes at a time; the
caller holds the lock.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO

from groundtune.errors import ParseError
from groundtune.types import Citation, Failure, Result, Usage

RESULTS = "results.jsonl"
STATUSES = ("answered", "abstained", "error")

Cell = tuple[str, str]
"""Example id and approach name."""


def read_results(path: Path) -> list[Result]:
    """The last row of each cell, in the order in which cells first came; a torn last line is left out.

    A file that is not there has no results. Raises ParseError with the place of a line that cannot be read.
    """
    return list({cell_of(result): result for result in rows_of(path)}.values())


def write_result(file: BinaryIO, result: Result) -> Result:
    """Append one line in one piece and flush it; returns the result as reading it back gives it.

    file: open for appending, unbuffered.
    A result that JSON cannot hold (a score that is NaN, an output of another kind) becomes a row of error.
    """
    try:
        line = encode_result(result)
    except (TypeError, ValueError, RecursionError) as error:
        failure = Failure("crash", f"the result cannot be written as JSON: {error}")
        result = Result(result.example, result.approach, "error", usage=result.usage, error=failure)
        line = encode_result(result)
    start, view = file.seek(0, 2), memoryview(line)
    try:
        while view:
            view = view[file.write(view) :]
        file.flush()
    except OSError:  # the disk is full: no half line may stay in front of the next one
        file.truncate(start)
        raise
    return decode_result(line)


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


def _fault(row: Any) -> str | None:
    """What is wrong with a row that other programs wrote."""
    if not isinstance(row, dict):
        return "no JSON object"
    if not (isinstance(row["example"], str) and isinstance(row["approach"], str)):
        return '"example" and "approach" must be texts'
    if row["status"] not in STATUSES:
        return f'"status" must be one of {", ".join(STATUSES)}'
    scores, usage = row["scores"], row["usage"]
    if not isinstance(scores, dict) or not all(map(_is_number, scores.values())):
        return '"scores" must be numbers by name'
    if not isinstance(usage, dict) or not all(value is None or _is_number(value) for value in usage.values()):
        return '"usage" must be numbers or null by name'
    return None if (row["error"] is None) == (row["status"] != "error") else '"error" and "status" contradict'


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _plain(value: Citation | Usage | Failure) -> dict[str, object]:
    """Fields by name; `asdict` copies deeply, which takes half the time of writing a row."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def decode_result(line: bytes | str) -> Result:
    """The result of one line. Raises ValueError when it is none."""
    try:
        row = json.loads(line)
        if (fault := _fault(row)) is not None:
            raise ValueError(f"not a result: {fault}")
        return Result(
            example=row["example"],
            approach=row["approach"],
            status=row["status"],
            output=row["output"],
            citations=tuple(Citation(**citation) for citation in row["citations"]),
            scores=row["scores"],
            usage=Usage(**row["usage"]),
            error=Failure(**row["error"]) if row["error"] else None,
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a result: {error!r}") from error


def cell_of(result: Result) -> Cell:
    return result.example, result.approach


def rows_of(path: Path) -> Iterator[Result]:
    """Every complete line, oldest first."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            try:
                yield decode_result(line)
            except ValueError as error:
                raise ParseError(f"{path}:{number}: {error}", hint="delete this line") from error


def cut_torn_line(path: Path) -> None:
    """Take away what stands behind the last line feed."""
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
        if at < size:
            file.truncate(at)
