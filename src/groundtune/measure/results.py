"""Read and write `results.jsonl`, the matrix on disk: one row per cell, appended and never changed.

One JSON object per line (ASCII with \\u escapes), each written in a single call:

    {"example": id, "approach": name, "status": "answered" | "abstained" | "error",
     "output": string, label or object (null if the approach failed),
     "citations": [{"marker", "sentence", "support", "passage_id", "document_id", "source", "heading",
                    "page", "quote", "start", "end", "added", "also_in"}],
     "scores": {metric: number, only those that apply},
     "usage": {"input_tokens", "cached_tokens", "output_tokens", "seconds", "usd", "reasoning_tokens",
               "machine_seconds"} (each null when unknown),
     "error": null | {"kind", "message"},
     "confidence", "best_score", "margin": number or null; older rows have none of the three,
     "cut": null | name of the limit at which the reply ended too early, "warnings": [string]; older rows lack both,
     "grounding": null | {"passages": number or null, "ids": [passage id], "evidence": [{"rank", "cited",
                  "missed"}]}; older rows lack it}

If a cell has several rows, the last one counts; a retry replaces an error this way. Unknown keys and blank lines are
ignored. A last line that is not JSON was cut off by a kill: it is ignored when reading, and removed before the next
row is appended. One process writes at a time; the caller holds the lock.
"""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from groundtune.errors import ConfigError, Problem
from groundtune.types import Citation, EvidenceUse, Failure, Grounding, Result, Usage

log = logging.getLogger(__name__)

RESULTS = "results.jsonl"
STATUSES = ("answered", "abstained", "error")
MAX_PROBLEMS = 10
"""Reading stops after this many unreadable lines."""
FORMAT_HINT = 'docs/compare.md, "The matrix", describes every field'

Cell = tuple[str, str]
"""Example id and approach name."""


def read_results(path: Path) -> list[Result]:
    """Return the last row of each cell, ordered by the first row of each; a truncated last line is ignored.

    A missing file has no results. Raises ConfigError with the line numbers of unreadable lines.
    """
    return list({cell_key(result): result for result in iter_results(path)}.values())


def write_result(file: BinaryIO, result: Result) -> Result:
    """Append one row and flush it; return the result as reading it back would.

    file: open for appending, unbuffered.
    A result that JSON cannot represent (a NaN score, an output that is not JSON) is written as an error row.
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
    except OSError:  # disk full: remove the partial line so it does not corrupt the next one
        file.truncate(start)
        raise
    return read


def encode_result(result: Result) -> bytes:
    """Return the row with its line feed. Raises TypeError or ValueError when JSON cannot represent it."""
    row = {
        "example": result.example,
        "approach": result.approach,
        "status": result.status,
        "output": result.output,
        "citations": [_plain(citation) for citation in result.citations],
        "scores": {name: float(value) for name, value in result.scores.items()},
        "usage": _plain(result.usage),
        "error": _plain(result.error) if result.error else None,
        **{name: _number(getattr(result, name)) for name in SIGNALS},
        "cut": result.cut,
        "warnings": list(result.warnings),
        "grounding": _plain_grounding(result.grounding) if result.grounding else None,
    }
    return (json.dumps(row, allow_nan=False) + "\n").encode()


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _plain_grounding(grounding: Grounding) -> dict[str, object]:
    return _plain(grounding) | {"evidence": [_plain(piece) for piece in grounding.evidence]}


def _plain(value: Citation | Usage | Failure | Grounding | EvidenceUse) -> dict[str, object]:
    """Return the fields by name. Avoids the deep copy of `asdict`, which takes half the time of writing a row."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


class _NotJSONError(ValueError):
    """A line that is not JSON, possibly cut off; complete JSON that is not a result raises plain ValueError."""


def decode_result(line: bytes | str) -> Result:
    """Parse one line. Raises ValueError that names the problem."""
    row = _json(line)
    if fault := _row_fault(row):
        raise ValueError(fault)
    return Result(
        example=row["example"],
        approach=row["approach"],
        status=row["status"],
        output=row["output"],
        citations=tuple(map(_citation, row["citations"])),
        scores=row["scores"],
        usage=Usage(**_known(row["usage"], USAGE)),
        error=Failure(row["error"]["kind"], row["error"]["message"]) if row["error"] else None,
        **_known(row, SIGNALS),
        cut=row.get("cut"),
        warnings=tuple(row.get("warnings", ())),
        grounding=_grounding(row["grounding"]) if row.get("grounding") else None,
    )


def _grounding(row: dict[str, Any]) -> Grounding:
    evidence = tuple(EvidenceUse(**_known(piece, EVIDENCE)) for piece in row["evidence"])
    return Grounding(row["passages"], tuple(row["ids"]), evidence)


def _citation(row: dict[str, Any]) -> Citation:
    return Citation(**{**_known(row, CITATION), "also_in": tuple(row.get("also_in", ()))})


def _json(line: bytes | str) -> Any:
    try:
        text = line.decode("utf-8-sig", "surrogatepass") if isinstance(line, bytes) else line
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise _NotJSONError(f"not JSON: {error.msg} at column {error.colno}") from None
    except UnicodeDecodeError:
        raise _NotJSONError("not JSON: the line is not UTF-8") from None
    except RecursionError:
        raise ValueError("cannot parse the JSON: nested too deeply") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not valid JSON: write null for unknown values, or omit the score")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _or_null(holds: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or holds(value)


Shape = Mapping[str, tuple[str, Callable[[object], bool]]]
"""Expected value of each field, in words and as a predicate."""
_TEXT, _TEXT_OR_NULL = ("a string", _is_text), ("a string or null", _or_null(_is_text))
_WHOLE_OR_NULL = ("an integer or null", _or_null(_is_whole))
_OBJECT = ("an object", lambda value: isinstance(value, dict))
_OBJECT_OR_NULL = ("an object or null", lambda value: value is None or isinstance(value, dict))
_TRUE_OR_FALSE = ("true or false", lambda value: isinstance(value, bool))
_COUNT_OR_NULL = ("an integer of 0 or more, or null", _or_null(_is_count))
ROW_NEEDS = ("example", "approach", "status", "output", "citations", "scores", "usage", "error")
"""Fields that every row has; rows written by an older groundtune lack those added since."""
ROW: Shape = {
    "example": ("a non-empty string", lambda value: _is_text(value) and value != ""),
    "approach": ("a non-empty string", lambda value: _is_text(value) and value != ""),
    "status": (f"one of {', '.join(STATUSES)}", lambda value: value in STATUSES),
    "output": ("any JSON value", lambda _: True),
    "citations": ("a list", lambda value: isinstance(value, list)),
    "scores": ("an object of numbers", _OBJECT[1]),
    "usage": _OBJECT,
    "error": _OBJECT_OR_NULL,
    "cut": _TEXT_OR_NULL,
    "warnings": ("a list of strings", _are_texts),
    "grounding": _OBJECT_OR_NULL,
}
SIGNALS: Shape = {name: ("a number or null", _or_null(_is_number)) for name in ("confidence", "best_score", "margin")}
"""Optional fields of a row, from which a router or a threshold can be fitted."""
USAGE: Shape = {field.name: ("a number or null", _or_null(_is_number)) for field in fields(Usage)}
ERROR: Shape = {"kind": _TEXT, "message": _TEXT}
CITATION_NEEDS = ("marker", "sentence", "support")
CITATION: Shape = {
    "marker": _WHOLE_OR_NULL,
    "sentence": _TEXT,
    "support": ("a non-empty string", lambda value: _is_text(value) and value != ""),
    "passage_id": _TEXT_OR_NULL,
    "document_id": _TEXT_OR_NULL,
    "source": _TEXT_OR_NULL,
    "heading": _TEXT,
    "page": _WHOLE_OR_NULL,
    "quote": _TEXT,
    "start": _WHOLE_OR_NULL,
    "end": _WHOLE_OR_NULL,
    "added": _TRUE_OR_FALSE,
    "also_in": ("a list of strings", _are_texts),
}
GROUNDING: Shape = {
    "passages": _COUNT_OR_NULL,
    "ids": ("a list of strings", _are_texts),
    "evidence": ("a list", lambda value: isinstance(value, list)),
}
EVIDENCE_NEEDS = ("rank", "cited")
EVIDENCE: Shape = {"rank": _COUNT_OR_NULL, "cited": _TRUE_OR_FALSE, "missed": _TEXT_OR_NULL}


def _row_fault(row: Any) -> str | None:
    """Return the first problem of a row, or None. Other programs write rows too."""
    if not isinstance(row, dict):
        return "not a JSON object"
    if fault := _fault(row, ROW, "", needs=ROW_NEEDS):
        return fault
    if fault := _fault(row, SIGNALS, ""):
        return fault
    for name, score in row["scores"].items():
        if not _is_number(score):
            return f"scores.{name} must be a number"
    if fault := _fault(row["usage"], USAGE, "usage."):
        return fault
    for name in USAGE:
        if (row["usage"].get(name) or 0) < 0:
            return f"usage.{name} is negative"
    for index, citation in enumerate(row["citations"]):
        if not isinstance(citation, dict):
            return f"citations[{index}] must be an object"
        if fault := _fault(citation, CITATION, f"citations[{index}].", needs=CITATION_NEEDS):
            return fault
    if row.get("grounding") is not None and (fault := _grounding_fault(row["grounding"])):
        return fault
    if (row["error"] is not None) != (row["status"] == "error"):
        return '"error" must be an object if "status" is "error", and null otherwise'
    return _fault(row["error"], ERROR, "error.", needs=tuple(ERROR)) if row["error"] is not None else None


def _grounding_fault(grounding: dict[str, Any]) -> str | None:
    if fault := _fault(grounding, GROUNDING, "grounding.", needs=tuple(GROUNDING)):
        return fault
    for index, piece in enumerate(grounding["evidence"]):
        where = f"grounding.evidence[{index}]"
        if not isinstance(piece, dict):
            return f"{where} must be an object"
        if fault := _fault(piece, EVIDENCE, f"{where}.", needs=EVIDENCE_NEEDS):
            return fault
    return None


def _fault(value: dict[str, Any], shape: Shape, where: str, *, needs: tuple[str, ...] = ()) -> str | None:
    if missing := [name for name in needs if name not in value]:
        return "missing " + ", ".join(f'"{where}{name}"' for name in missing)
    for name, (expected, holds) in shape.items():
        if name in value and not holds(value[name]):
            return f'"{where}{name}" must be {expected}'
    return None


def _known(value: dict[str, Any], shape: Shape) -> dict[str, Any]:
    return {name: value[name] for name in shape if name in value}


def cell_key(result: Result) -> Cell:
    return result.example, result.approach


def iter_results(path: Path) -> Iterator[Result]:
    """Yield every row, oldest first; a truncated last line is skipped and logged.

    Raises ConfigError with the line numbers of unreadable lines after the last row.
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
                    log.warning("%s:%d: ignored the truncated last line", path, number)
                    continue
                problems.append(Problem(path, str(error), line=number))
                if len(problems) == MAX_PROBLEMS:
                    break
    if problems:
        more = " (there may be more)" if len(problems) == MAX_PROBLEMS else ""
        raise ConfigError(problems, hint=f"fix or delete these lines{more}; {FORMAT_HINT}")


def repair_last_line(path: Path) -> None:
    """Repair the end of the file: remove a truncated last line, or add the line feed to a complete JSON object."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        line_start = size
        while line_start > 0:
            start = max(0, line_start - 65536)
            file.seek(start)
            line_feed = file.read(line_start - start).rfind(b"\n")
            if line_feed >= 0:
                line_start = start + line_feed + 1
                break
            line_start = start
        if line_start == size:
            return
        file.seek(line_start)
        if _is_object(file.read()):
            file.write(b"\n")
        else:
            file.truncate(line_start)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(_json(line), dict)
    except ValueError as error:
        return not isinstance(error, _NotJSONError)
