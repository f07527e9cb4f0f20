"""Run approaches on examples and append the results to the matrix on disk. Never loses or repeats a cell.

A run folder holds `results.jsonl` (see results.py), `passages.jsonl` with the text of every cited passage, and
`judgements.jsonl` with the judge's reasons.
"""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable

from groundtune.common.answers import request_answer, retrieval_scores
from groundtune.common.conversations import question_of, transcript
from groundtune.common.event_loop import run_workers
from groundtune.common.files import read_json_lines
from groundtune.errors import BudgetError, GroundtuneError, ProviderError, UsageError
from groundtune.measure.grounding import grounding_of
from groundtune.measure.metrics import score_answer
from groundtune.measure.results import RESULTS, Cell, cell_key, iter_results, repair_last_line, write_result
from groundtune.measure.retrieval_quality import LocatedEvidence
from groundtune.measure.scoring import Scorer, ScorerError
from groundtune.protocols import Approach
from groundtune.types import Answer, Example, Failure, Question, Result, Usage

PASSAGES = "passages.jsonl"
JUDGEMENTS = "judgements.jsonl"


@runtime_checkable
class SupportsPrepare(Protocol):
    """An approach with one-time work before its first answer."""

    async def prepare(self, question: Question) -> None: ...


class JudgeScores(Protocol):
    """Scores and reasons of a judge."""

    @property
    def scores(self) -> Mapping[str, float]: ...

    @property
    def reasons(self) -> Mapping[str, str]: ...


JudgeCall = Callable[[str, Answer, Example], Awaitable[JudgeScores]]
"""Judges an answer, given question (history included), answer and example; raises instead of inventing a score."""


async def fill_matrix(
    approaches: Sequence[Approach],
    examples: Sequence[Example],
    *,
    folder: Path,
    concurrency: int = 8,
    progress: Callable[[Result], None] = lambda _: None,
    score: Scorer = score_answer,
    judge: JudgeCall | None = None,
    located: Mapping[str, Sequence[LocatedEvidence]] = MappingProxyType({}),
    retry_errors: bool = False,
) -> list[Result]:
    """Fill the matrix of examples x approaches and return one result per cell, example by example.

    As `Matrix.fill`, once.
    """
    opened = await open_matrix(
        folder, score=score, judge=judge, located=located, progress=progress, retry_errors=retry_errors
    )
    with opened as matrix:
        return await matrix.fill(approaches, examples, concurrency=concurrency)


async def open_matrix(
    folder: Path,
    *,
    score: Scorer = score_answer,
    judge: JudgeCall | None = None,
    located: Mapping[str, Sequence[LocatedEvidence]] = MappingProxyType({}),
    progress: Callable[[Result], None] = lambda _: None,
    retry_errors: bool = False,
) -> "Matrix":
    """Open the matrix in a folder, which is created, to add cells to it; cells already there are reused.

    located: where the evidence of each example is in the index, by the id of the example. progress: called for new
    cells only. Raises ConfigError when a line of the file, other than a truncated last one, cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RESULTS
    repair_last_line(path)
    done = await asyncio.to_thread(_done_cells, path, retry_errors=retry_errors)
    return Matrix(folder, done, score, judge, located, progress)


class Matrix:
    """A matrix on disk that is being filled; leaving its context closes the files."""

    def __init__(
        self,
        folder: Path,
        done: dict[Cell, Result],
        score: Scorer,
        judge: JudgeCall | None,
        located: Mapping[str, Sequence[LocatedEvidence]],
        progress: Callable[[Result], None],
    ) -> None:
        self._done = done
        self._score, self._judge, self._located, self._progress = score, judge, located, progress
        self._prepared: set[str] = set()
        self._file = (folder / RESULTS).open("ab", buffering=0)
        self._notes = _Notes(folder)

    def __enter__(self) -> "Matrix":
        return self

    def __exit__(self, *_: object) -> None:
        self._notes.close()
        self._file.close()

    async def fill(
        self, approaches: Sequence[Approach], examples: Sequence[Example], *, concurrency: int = 8
    ) -> list[Result]:
        """Fill the cells of these approaches and examples; return one result per cell, example by example, as stored.

        An exception of an approach becomes an error row, whose kind is `ProviderError.kind`, the class name of the
        error in snake case, or `crash`; an exception of the scorer one of kind `scoring`; an exception of the judge
        one of kind `judge`. The last two keep the other scores. A cancelled run leaves only complete lines and can be
        resumed.

        Raises BudgetError when the next call might exceed the budget, after calls in progress have finished. Raises
        UsageError when two approaches share a name or two examples an id.
        """
        cells = _cells(approaches, examples)
        open_cells = [cell for cell in cells if cell not in self._done]
        waiting = iter(open_cells)
        stopped: list[BudgetError] = []

        async def work() -> None:
            for cell in waiting:
                approach, example = cells[cell]
                try:
                    evidence = self._located.get(example.id, ())
                    result, answer = await _fill(approach, example, evidence, self._score, self._judge, self._notes)
                except BudgetError as error:
                    stopped.append(error)
                    return
                if answer:
                    self._notes.passages(answer)
                result = write_result(self._file, result)
                self._done[cell] = result
                self._progress(result)
                if stopped:
                    return

        for approach, example in {name: cells[example, name] for example, name in reversed(open_cells)}.values():
            await self._prepare(approach, example)
        await run_workers(work, max(1, concurrency))
        if stopped:
            raise stopped[0]
        return [self._done[cell] for cell in cells]

    async def _prepare(self, approach: Approach, example: Example) -> None:
        """Prepare an approach that supports it, once. Errors are ignored: they recur in the cells and become rows."""
        if isinstance(approach, SupportsPrepare) and approach.name not in self._prepared:
            self._prepared.add(approach.name)
            with contextlib.suppress(Exception):
                await approach.prepare(question_of(example))


def _done_cells(path: Path, *, retry_errors: bool) -> dict[Cell, Result]:
    """Return the cells in the file; of several rows for one cell the last one counts."""
    done = {cell_key(result): result for result in iter_results(path)}
    return {cell: result for cell, result in done.items() if result.error is None or not retry_errors}


def _cells(approaches: Sequence[Approach], examples: Sequence[Example]) -> dict[Cell, tuple[Approach, Example]]:
    """Return all cells, example by example, so that an interrupted run has all approaches on the same examples."""
    cells: dict[Cell, tuple[Approach, Example]] = {}
    for example in examples:
        for approach in approaches:
            cell = (example.id, approach.name)
            if cell in cells:
                raise UsageError(f'example "{cell[0]}" occurs more than once for approach "{cell[1]}"')
            cells[cell] = (approach, example)
    return cells


async def _fill(
    approach: Approach,
    example: Example,
    located: Sequence[LocatedEvidence],
    score: Scorer,
    judge: JudgeCall | None,
    notes: "_Notes",
) -> tuple[Result, Answer | None]:
    """Return the result of one cell; any failure becomes part of the result."""
    question = question_of(example)
    start = time.perf_counter()
    try:
        answer = await request_answer(approach, question)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise  # the run itself was cancelled
        return _failed(approach, example, error, time.perf_counter() - start), None
    except BudgetError:
        raise
    except Exception as error:  # noqa: BLE001  a failure becomes a row, not a crash
        return _failed(approach, example, error, time.perf_counter() - start), None
    best_score, margin = retrieval_scores(answer.hits)
    result = Result(
        example.id,
        approach.name,
        answer.status,
        answer.text if answer.output is None else answer.output,
        answer.citations,
        usage=answer.usage,
        confidence=answer.confidence,
        best_score=best_score,
        margin=margin,
        cut=answer.cut,
        warnings=answer.warnings,
        grounding=grounding_of(answer, example, located),
    )
    try:
        result = replace(result, scores=score(answer, example))
    except ScorerError as error:
        result = replace(result, status="error", error=Failure("scoring", str(error)), scores=error.scores)
    except Exception as error:  # noqa: BLE001  keep the paid answer even if scoring fails
        failure = Failure("scoring", f"{type(error).__name__}: {error}")
        return replace(result, status="error", error=failure), answer
    if judge:
        result = await _judged(result, answer, example, judge, notes)
    return result, answer


async def _judged(result: Result, answer: Answer, example: Example, judge: JudgeCall, notes: "_Notes") -> Result:
    try:
        judged = await judge(transcript(example.input, example.history), answer, example)
    except BudgetError:
        raise
    except Exception as error:  # noqa: BLE001  a judge failure becomes a row, never a score
        message = error.message if isinstance(error, GroundtuneError) else f"{type(error).__name__}: {error}"
        return replace(result, status="error", error=Failure("judge", message))
    notes.judgement(result, judged.reasons)
    return replace(result, scores={**result.scores, **judged.scores})


def _failed(approach: Approach, example: Example, error: BaseException, seconds: float) -> Result:
    usage, cut = Usage(), None
    if isinstance(error, ProviderError):
        failure, usage, cut = Failure(error.kind, error.message), error.usage or usage, error.cut
    elif isinstance(error, GroundtuneError):
        failure = Failure(re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).lower(), error.message)
    else:
        failure = Failure("crash", f"{type(error).__name__}: {error}")
    return Result(example.id, approach.name, "error", usage=replace(usage, seconds=seconds), error=failure, cut=cut)


class _Notes:
    """Writes the cited passages and the judge's reasons; stores each passage once."""

    def __init__(self, folder: Path) -> None:
        repair_last_line(folder / PASSAGES)
        repair_last_line(folder / JUDGEMENTS)
        self._known = {note["id"] for note in read_json_lines(folder / PASSAGES)}
        self._passages = (folder / PASSAGES).open("ab", buffering=0)
        self._judgements = (folder / JUDGEMENTS).open("ab", buffering=0)

    def close(self) -> None:
        self._passages.close()
        self._judgements.close()

    def passages(self, answer: Answer) -> None:
        """Store the passages that an answer cites."""
        cited = {citation.passage_id for citation in answer.citations}
        for hit in answer.hits:
            passage = hit.passage
            if passage.id in cited and passage.id not in self._known:
                self._known.add(passage.id)
                keys = ("id", "source", "heading", "page", "start", "text")
                self._passages.write(_line({key: getattr(passage, key) for key in keys}))

    def judgement(self, result: Result, reasons: Mapping[str, str]) -> None:
        if reasons:
            note = {"example": result.example, "approach": result.approach, "reasons": dict(reasons)}
            self._judgements.write(_line(note))


def _line(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value) + "\n").encode()
