"""Turn approaches and examples into the matrix, one row a cell, appended to disk. Never loses or repeats a cell.

`results.jsonl` has one JSON object a line (ASCII, the rest as \\u escapes), written in one piece and never
changed afterwards:

    {"example": id, "approach": name, "status": "answered" | "abstained" | "error",
     "output": text or object (null after an error of the approach),
     "citations": [{"marker", "sentence", "support", "passage_id", "document_id", "source", "heading",
                    "page", "quote", "start", "end"}],
     "scores": {metric: 0 to 1, only those that apply},
     "usage": {"input_tokens", "cached_tokens", "output_tokens", "seconds", "usd"} (each null when unknown),
     "error": null | {"kind", "message"}}

Of several rows of one cell the last counts: that is how a retried error is replaced. A last line without its
line feed was cut off by a kill and is taken away before anything is added. One process writes at a time; the
caller holds the lock.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from groundtune.errors import GroundtuneError, ParseError, ProviderError, UsageError
from groundtune.measure.metrics import score_answer
from groundtune.measure.statistics import bootstrap_mean
from groundtune.protocols import Approach
from groundtune.types import Answer, Citation, Example, Failure, Interval, Question, Result, Scope, Usage

RESULTS = "results.jsonl"

Score = Callable[[Answer, Example], dict[str, float]]
Cell = tuple[str, str]
"""Example id and approach name."""


@dataclass(frozen=True, slots=True)
class ApproachSummary:
    """What one approach came to. n = answered + abstained + errors; nothing is dropped."""

    approach: str
    n: int
    """Rows."""
    n_errors: int
    """Rows without an answer: shown here, and in none of the figures below."""
    n_abstained: int
    metrics: Mapping[str, Interval]
    """Mean over the rows without error that have the metric; `Interval.n` says how many those are."""
    p50_seconds: float | None
    p95_seconds: float | None
    """Over the rows without error whose seconds are known; None when there are none."""
    usd_per_1000: float | None
    """1,000 times the mean price of the rows without error; None when any of them is unknown."""


async def run(
    approaches: Sequence[Approach],
    examples: Sequence[Example],
    *,
    folder: Path,
    concurrency: int = 8,
    progress: Callable[[Result], None] | None = None,
    score: Score = score_answer,
    retry_errors: bool = False,
) -> list[Result]:
    """Fill the matrix of examples x approaches; cells that `folder` already has are not asked again.

    Returns one result a cell, example by example, as it stands in the file; `progress` is called for new
    ones only. What an approach raises becomes a row: of kind `ProviderError.kind`, the error's class name in
    snake case, or `crash`. A cancelled run leaves complete lines, and goes on where it stopped.

    Raises UsageError when two approaches share a name or two examples an id, ParseError when a line of the
    file, other than a torn last one, cannot be read.
    """
    cells = _cells(approaches, examples)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RESULTS
    _cut_torn_line(path)
    done = {_cell(result): result for result in _read(path)}
    if retry_errors:
        done = {cell: result for cell, result in done.items() if result.error is None}
    waiting = iter([cell for cell in cells if cell not in done])

    with path.open("ab", buffering=0) as file:

        async def work() -> None:
            for cell in waiting:
                approach, example = cells[cell]
                result = write_result(file, await _fill(approach, example, score))
                done[cell] = result
                if progress:
                    progress(result)

        workers = [asyncio.ensure_future(work()) for _ in range(max(1, concurrency))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
    return [done[cell] for cell in cells]


def read_results(path: Path) -> list[Result]:
    """The last row of each cell, in the order in which cells first came; a torn last line is left out.

    A file that is not there has no results. Raises ParseError with the place of a line that cannot be read.
    """
    return list({_cell(result): result for result in _read(path)}.values())


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
        "citations": [asdict(citation) for citation in result.citations],
        "scores": {name: float(value) for name, value in result.scores.items()},
        "usage": asdict(result.usage),
        "error": asdict(result.error) if result.error else None,
    }
    return (json.dumps(row, allow_nan=False) + "\n").encode()


def decode_result(line: bytes | str) -> Result:
    """The result of one line. Raises ValueError when it is none."""
    try:
        row = json.loads(line)
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


def summarise(results: Sequence[Result]) -> list[ApproachSummary]:
    """Figures by approach, in the order in which approaches first come; the denominators stand at the fields."""
    rows: dict[str, list[Result]] = {}
    for result in results:
        rows.setdefault(result.approach, []).append(result)
    return [_summarise(approach, own) for approach, own in rows.items()]


def _summarise(approach: str, rows: Sequence[Result]) -> ApproachSummary:
    fine = [row for row in rows if row.error is None]
    columns: dict[str, list[float]] = {}
    for row in fine:
        for name, value in row.scores.items():
            columns.setdefault(name, []).append(value)
    seconds = [row.usage.seconds for row in fine if row.usage.seconds is not None]
    usd = [row.usage.usd for row in fine if row.usage.usd is not None]
    return ApproachSummary(
        approach=approach,
        n=len(rows),
        n_errors=len(rows) - len(fine),
        n_abstained=sum(row.status == "abstained" for row in fine),
        metrics={name: _interval(column) for name, column in columns.items()},
        p50_seconds=float(np.percentile(seconds, 50)) if seconds else None,
        p95_seconds=float(np.percentile(seconds, 95)) if seconds else None,
        usd_per_1000=1000 * sum(usd) / len(usd) if usd and len(usd) == len(fine) else None,
    )


def _interval(column: Sequence[float]) -> Interval:
    """Scores lie between 0 and 1, unless those of a score function of one's own do not."""
    return bootstrap_mean(column, bounds=(min(0.0, *column), max(1.0, *column)))


def _cells(approaches: Sequence[Approach], examples: Sequence[Example]) -> dict[Cell, tuple[Approach, Example]]:
    """All cells, example by example, so that an interrupted run has whole rows to compare."""
    cells: dict[Cell, tuple[Approach, Example]] = {}
    for example in examples:
        for approach in approaches:
            cell = (example.id, approach.name)
            if cell in cells:
                raise UsageError(f'example "{cell[0]}" and approach "{cell[1]}" come twice')
            cells[cell] = (approach, example)
    return cells


async def _fill(approach: Approach, example: Example, score: Score) -> Result:
    """The result of one cell; whatever goes wrong in it is part of the result."""
    question = Question(example.input, scope=Scope(groups=example.groups))
    began = time.perf_counter()
    try:
        answer = await approach.answer(question)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise  # the run itself was cancelled
        return _failed(approach, example, error, time.perf_counter() - began)
    except Exception as error:  # noqa: BLE001  a failure is a row, never a crash
        return _failed(approach, example, error, time.perf_counter() - began)
    seconds = time.perf_counter() - began
    usage = answer.usage if answer.usage.seconds is not None else replace(answer.usage, seconds=seconds)
    output = answer.text if answer.output is None else answer.output
    try:
        scores = score(answer, example)
    except Exception as error:  # noqa: BLE001  what was paid for is kept, though it could not be scored
        failure = Failure("scoring", f"{type(error).__name__}: {error}")
        return Result(example.id, approach.name, "error", output, answer.citations, usage=usage, error=failure)
    return Result(example.id, approach.name, answer.status, output, answer.citations, scores, usage)


def _failed(approach: Approach, example: Example, error: BaseException, seconds: float) -> Result:
    if isinstance(error, ProviderError):
        failure = Failure(error.kind, error.message)
    elif isinstance(error, GroundtuneError):
        failure = Failure(re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower(), error.message)
    else:
        failure = Failure("crash", f"{type(error).__name__}: {error}")
    return Result(example.id, approach.name, "error", usage=Usage(seconds=seconds), error=failure)


def _cell(result: Result) -> Cell:
    return result.example, result.approach


def _read(path: Path) -> Iterator[Result]:
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


def _cut_torn_line(path: Path) -> None:
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
