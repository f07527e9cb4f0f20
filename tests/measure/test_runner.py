import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from groundtune.errors import ConfigError, MissingError, ProviderError, UsageError
from groundtune.measure.results import RESULTS, decode_result, encode_result, read_results, write_result
from groundtune.measure.runner import fill_matrix
from groundtune.types import Answer, Citation, Example, Failure, Hit, Passage, Question, Result, Usage

EXAMPLES = [Example(f"q{at}", f"question {at}", f"answer {at}", groups=("hr",)) for at in range(6)]


class Echo:
    """Answers `question N` with `answer N`, counts, and fails where told."""

    def __init__(self, name: str = "echo", errors: dict[str, BaseException] | None = None, wait: float = 0) -> None:
        self.name = name
        self.errors = errors or {}
        self.wait = wait
        self.asked: list[Question] = []
        self.at_once = self.most_at_once = 0

    async def answer(self, question: Question) -> Answer:
        self.asked.append(question)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(self.wait)
        self.at_once -= 1
        if question.text in self.errors:
            raise self.errors[question.text]
        return Answer(question.text.replace("question", "answer"), "answered", usage=Usage(usd=0.001))


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / RESULTS).read_bytes().split(b"\n")[:-1]]


async def test_the_matrix_is_filled_and_each_line_has_the_documented_shape(tmp_path: Path) -> None:
    seen: list[Result] = []
    approaches = [Echo("a"), Echo("b")]
    results = await fill_matrix(approaches, EXAMPLES, folder=tmp_path / "run", progress=seen.append)
    assert [(row.example, row.approach) for row in results] == [(f"q{n}", name) for n in range(6) for name in "ab"]
    assert len(seen) == 12
    assert approaches[0].asked[0].scope.groups == ("hr",)
    row = lines(tmp_path / "run")[0]
    assert list(row) == [
        "example", "approach", "status", "output", "citations", "scores", "usage", "error",
        "confidence", "best_score", "margin", "cut", "warnings", "grounding",
    ]  # fmt: skip
    assert list(row["usage"]) == [
        "input_tokens", "cached_tokens", "output_tokens", "seconds", "usd", "reasoning_tokens", "machine_seconds",
    ]  # fmt: skip
    assert (row["output"], row["error"], row["usage"]["input_tokens"]) == ("answer 0", None, None)
    assert row["scores"]["correct"] == 1.0
    assert row["usage"]["seconds"] >= 0
    assert results == sorted(read_results(tmp_path / "run" / RESULTS), key=lambda row: (row.example, row.approach))


class Found:
    """Answers with the hits it is given, and a confidence."""

    name = "found"

    def __init__(self, *hits: Hit) -> None:
        self.hits = hits

    async def answer(self, question: Question) -> Answer:
        return Answer("x", "abstained", hits=self.hits, confidence=0.25)


@pytest.mark.parametrize(
    ("hits", "signals"),
    [
        ([], (None, None)),
        ([(0.75, {"fused": 0.75})], (0.75, None)),
        ([(0.75, {"fused": 0.75}), (0.5, {"fused": 0.5}), (0.1, {})], (0.75, 0.25)),
        ([(-2.5, {"reranked": -2.5}), (0.5, {"fused": 0.5})], (-2.5, None)),  # scores on two scales
        ([(0.0, {}), (0.0, {})], (None, None)),  # the whole corpus, not searched
    ],
)
async def test_a_row_has_confidence_best_score_and_margin(
    tmp_path: Path, hits: list[tuple[float, dict[str, float]]], signals: tuple[float | None, float | None]
) -> None:
    found = [Hit(Passage(str(at), "d", "a.md", at, 0, 1, "x"), *hit) for at, hit in enumerate(hits)]
    await fill_matrix([Found(*found)], EXAMPLES[:1], folder=tmp_path)
    (row,) = read_results(tmp_path / RESULTS)
    assert (row.confidence, row.best_score, row.margin) == (0.25, *signals)


def test_a_result_comes_back_as_it_was() -> None:
    citation = Citation(1, "Yes [1].", "close", "p", "d", "a.md", "A > B", 2, "quote “x”", 3, 9)
    usage = Usage(1, 2, 3, 4.0, 5.0)
    result = Result(
        "q\u2028", "rag", "answered", {"total": [1, None]}, (citation,), {"f1": 0.5}, usage,
        confidence=0.5, best_score=0.75, margin=0.25,
    )  # fmt: skip
    line = encode_result(result)
    assert decode_result(line) == result
    assert line.count(b"\n") == 1
    assert len(line.decode().splitlines()) == 1


async def test_a_reply_that_cannot_be_read_was_paid_for(tmp_path: Path) -> None:
    usage = Usage(10, 0, 5, 0.2, 0.001)
    error = ProviderError("it names 2 labels: 'a or b'", kind="unreadable", usage=usage, cut="window")
    row, *_ = await fill_matrix([Echo(errors={"question 0": error})], EXAMPLES, folder=tmp_path)
    assert row.error == Failure("unreadable", "it names 2 labels: 'a or b'")
    assert (row.usage.input_tokens, row.usage.output_tokens, row.usage.usd) == (10, 5, 0.001)
    assert row.usage.seconds is not None
    assert row.cut == "window"


async def test_failures_become_rows(tmp_path: Path) -> None:
    errors = {
        "question 0": ProviderError("too fast", kind="rate_limit"),
        "question 1": MissingError("no index"),
        "question 2": ZeroDivisionError("by zero"),
        "question 3": asyncio.CancelledError(),  # of its own making: the run was not cancelled
    }
    results = await fill_matrix([Echo(errors=errors)], EXAMPLES, folder=tmp_path)
    assert [row.error for row in results] == [
        Failure("rate_limit", "too fast"),
        Failure("missing_error", "no index"),
        Failure("crash", "ZeroDivisionError: by zero"),
        Failure("crash", "CancelledError: "),
        None,
        None,
    ]
    assert {row.status for row in results[:4]} == {"error"}
    assert results[0].scores == {}
    assert results[0].usage.seconds is not None


async def test_a_failing_scorer_keeps_the_output_and_an_invalid_score_is_an_error(tmp_path: Path) -> None:
    def score(answer: Answer, example: Example) -> dict[str, float]:
        return {"x": 1 / 0} if example.id == "q0" else {"x": float("nan")}

    broken, unknown = await fill_matrix([Echo()], EXAMPLES[:2], folder=tmp_path, score=score)
    assert (broken.status, broken.output) == ("error", "answer 0")
    assert broken.error == Failure("scoring", "ZeroDivisionError: division by zero")
    assert unknown.error is not None
    assert unknown.error.message.startswith("the result cannot be written as JSON")


async def test_finished_cells_are_not_run_again(tmp_path: Path) -> None:
    first = await fill_matrix([Echo("a")], EXAMPLES[:3], folder=tmp_path)
    again, other = Echo("a"), Echo("b")
    second = await fill_matrix([again, other], EXAMPLES[:4], folder=tmp_path)
    assert [question.text for question in again.asked] == ["question 3"]
    assert len(other.asked) == 4
    assert [row for row in second if row.approach == "a"][:3] == first
    assert len(lines(tmp_path)) == 8


async def test_errors_are_retried_only_on_request(tmp_path: Path) -> None:
    await fill_matrix([Echo(errors={"question 1": RuntimeError("once")})], EXAMPLES[:3], folder=tmp_path)
    calm = Echo()
    assert (await fill_matrix([calm], EXAMPLES[:3], folder=tmp_path))[1].status == "error"
    assert calm.asked == []
    assert (await fill_matrix([calm], EXAMPLES[:3], folder=tmp_path, retry_errors=True))[1].status == "answered"
    assert len(calm.asked) == 1
    assert len(lines(tmp_path)) == 4
    assert [row.status for row in read_results(tmp_path / RESULTS)] == ["answered"] * 3  # the last row counts


@pytest.mark.parametrize("torn", [b'{"example": "q', b"x" * 200_000, b'{"example": "q1"'])
async def test_a_truncated_last_line_is_removed(tmp_path: Path, torn: bytes) -> None:
    await fill_matrix([Echo()], EXAMPLES[:1], folder=tmp_path)
    whole = (tmp_path / RESULTS).read_bytes()
    (tmp_path / RESULTS).write_bytes(whole + torn)
    assert len(read_results(tmp_path / RESULTS)) == 1
    await fill_matrix([Echo()], EXAMPLES[:1], folder=tmp_path)
    assert (tmp_path / RESULTS).read_bytes() == whole
    (tmp_path / RESULTS).write_bytes(torn)
    assert len(await fill_matrix([Echo()], EXAMPLES[:1], folder=tmp_path)) == 1
    assert len(lines(tmp_path)) == 1


@pytest.mark.parametrize("line", ["not JSON", "[]", '{"example": "q"}'])
async def test_an_invalid_line_further_up_is_reported(tmp_path: Path, line: str) -> None:
    (tmp_path / RESULTS).write_text(f"{line}\n")
    with pytest.raises(ConfigError, match=r"results\.jsonl:1: "):
        await fill_matrix([Echo()], EXAMPLES, folder=tmp_path)


async def test_duplicate_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        await fill_matrix([Echo(), Echo()], EXAMPLES, folder=tmp_path)
    with pytest.raises(UsageError):
        await fill_matrix([Echo()], [EXAMPLES[0], EXAMPLES[0]], folder=tmp_path)


async def test_concurrency_is_limited(tmp_path: Path) -> None:
    echo = Echo(wait=0.01)
    await fill_matrix([echo], EXAMPLES, folder=tmp_path, concurrency=3)
    assert echo.most_at_once == 3


async def test_a_cancelled_run_leaves_complete_lines_and_resumes(tmp_path: Path) -> None:
    slow, one_done = Echo(wait=0.05), asyncio.Event()
    work = fill_matrix([slow], EXAMPLES, folder=tmp_path, concurrency=2, progress=lambda _: one_done.set())
    task = asyncio.create_task(work)
    await one_done.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    done = len(lines(tmp_path))
    assert 0 < done < 6
    await asyncio.sleep(0.06)
    assert len(lines(tmp_path)) == done  # nothing goes on behind our back
    assert all(row.error is None for row in await fill_matrix([Echo()], EXAMPLES, folder=tmp_path))


async def test_an_exception_of_progress_ends_the_run(tmp_path: Path) -> None:
    def stop(_: Result) -> None:
        raise KeyError("stop")

    with pytest.raises(KeyError):
        await fill_matrix([Echo()], EXAMPLES, folder=tmp_path, progress=stop)


def test_a_full_disk_leaves_no_partial_line(tmp_path: Path) -> None:
    class Full:
        """A file that accepts ten bytes and then fails."""

        def __init__(self, path: Path) -> None:
            self.file = path.open("ab", buffering=0)
            self.left = 10

        def write(self, data: memoryview) -> int:
            if not self.left:
                raise OSError("no space left on device")
            taken, self.left = self.file.write(data[: self.left]), 0
            return taken

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    path = tmp_path / RESULTS
    path.write_bytes(b"before\n")
    full: Any = Full(path)
    with full.file, pytest.raises(OSError, match="no space"):
        write_result(full, Result("q", "a", "answered"))
    assert path.read_bytes() == b"before\n"


HALTED_RUN = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from measure.test_runner import Echo
from groundtune.measure.runner import fill_matrix
from groundtune.types import Example
class Halting(Echo):
    async def answer(self, question):
        self.wait = 0.002 if len(self.asked) < 50 else 3600
        return await super().answer(question)
examples = [Example(f"q{at}", f"question {at}", "x" * 5000) for at in range(500)]
asyncio.run(fill_matrix([Halting("a"), Halting("b")], examples, folder=Path(sys.argv[1]), concurrency=4))
"""
"""Script of a run that stalls after about a hundred of its thousand cells."""


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
async def test_a_killed_run_resumes_where_it_stopped(tmp_path: Path, how: signal.Signals) -> None:
    tests = Path(__file__).parents[1]
    process = subprocess.Popen([sys.executable, "-c", HALTED_RUN, str(tmp_path), str(tests)], stderr=subprocess.PIPE)  # noqa: ASYNC220
    path = tmp_path / RESULTS
    deadline = time.monotonic() + 120
    while not path.exists() or path.read_bytes().count(b"\n") < 40:
        assert process.poll() is None, "the run ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)  # noqa: ASYNC251
    os.kill(process.pid, how)
    process.communicate(timeout=120)
    before = path.read_bytes()
    if how == signal.SIGINT:
        assert before.endswith(b"\n")
    kept = before[: before.rfind(b"\n") + 1]
    done = {(row["example"], row["approach"]) for row in map(json.loads, kept.splitlines())}
    assert 40 <= len(done) <= 100
    examples = [Example(f"q{at}", f"question {at}", "x") for at in range(500)]
    approaches = [Echo("a"), Echo("b")]
    results = await fill_matrix(approaches, examples, folder=tmp_path, concurrency=32)
    assert path.read_bytes().startswith(kept)
    assert sum(len(approach.asked) for approach in approaches) == 1000 - len(done)
    cells = [(row["example"], row["approach"]) for row in lines(tmp_path)]
    assert len(cells) == len(set(cells)) == len(results) == 1000


def cell(approach: str, at: int, **fields: Any) -> Result:
    return Result(f"q{at}", approach, **{"status": "answered", **fields})


def test_a_missing_file_has_no_results(tmp_path: Path) -> None:
    assert read_results(tmp_path / RESULTS) == []
