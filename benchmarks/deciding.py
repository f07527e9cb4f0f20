"""Claim: 6 approaches on 5,000 examples take under 20 s and 1.5 GiB to verdict and page.

    python benchmarks/deciding.py [--examples 5000] [--repeats 3] [--profile]

Generates a results.jsonl with the rows of a typical comparison: two sentences, two citations, eight scores, usage, some
abstentions and errors. Then runs `groundtune report --results … --html …` in its own process, timed from start to exit:
once decided by `correct` (0 or 1), once by `f1` (fractional, which needs other tests), and once by `f1` on a larger run
with twelve fractional scores in each row and 55 tags on the examples.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

from common import machine, spread, table, verdict
from groundtune.common.files import write_atomic, write_json
from groundtune.measure.results import read_results, write_result
from groundtune.types import Citation, Example, Failure, Result, Usage
from groundtune.workflows.runs import EXAMPLES, RUN

SEED = 5
RIGHT = {"prompt": 0.41, "fewshot": 0.47, "context": 0.83, "rag": 0.84, "rag:large": 0.86, "quote-hybrid": 0.62}
WORDS = (
    "the a of to and in for with on by from at after before each every new old team order price report customer "
    "delivery bicycle battery invoice week month office manager contract return repair workshop frame wheel is was"
).split()
SCORES = ("citation_precision", "citation_recall", "supported", "judge", "faithfulness", "relevancy", "chrf")
SECONDS = 20.0
GIB = 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=5_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="also print a profile")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="groundtune-benchmark-") as name:
        file = Path(name) / "results.jsonl"
        _write(file, options.examples)
        size = file.stat().st_size / 1e6
        print(f"{len(RIGHT)} approaches, {options.examples:,} examples, {size:.0f} MB; {machine()}", flush=True)
        rows = [("decided by", "seconds, median (range)", "target", "peak GiB, most", "target", "page, MB")]
        for primary, more in (("correct", ""), ("f1", ""), ("f1", ", 12 scores, 55 tags")):
            if more:
                _widen(file, options.examples)
            runs = [_report(file, primary) for _ in range(options.repeats)]
            seconds, peak = [elapsed for elapsed, _ in runs], max(memory for _, memory in runs)
            rows.append(
                (
                    primary + more,
                    spread(seconds),
                    f"< {SECONDS:g} s: {verdict(statistics.median(seconds), SECONDS, at_least=False)}",
                    f"{peak:.2f}",
                    f"< {GIB:g} GiB: {verdict(peak, GIB, at_least=False)}",
                    f"{_page(file).stat().st_size / 1e6:.0f}",
                )
            )
        table(rows)
        if options.profile:
            profiled = [sys.executable, "-m", "cProfile", "-s", "tottime", "-m", "groundtune"]
            done = subprocess.run([*profiled, *_arguments(file, "f1")], capture_output=True, text=True, check=True)
            at = done.stdout.find("function calls")
            print("\n" + "\n".join(done.stdout[at:].splitlines()[:30]))


def _report(file: Path, primary: str) -> tuple[float, float]:
    """Return seconds and peak GiB of the command."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "groundtune", *_arguments(file, primary)], stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0 or not _page(file).exists():
        raise SystemExit(f"the report failed with exit code {process.returncode}")
    return seconds, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 2**30


def _arguments(file: Path, primary: str) -> list[str]:
    return ["report", "--results", str(file), "--html", str(_page(file)), "--primary", primary, "--json"]


def _page(file: Path) -> Path:
    return file.with_name("report.html")


def _write(file: Path, examples: int) -> None:
    draw = random.Random(SEED)
    with file.open("ab", buffering=0) as opened:
        for number in range(examples):
            hard = draw.random()
            for name, share in RIGHT.items():
                write_result(opened, _row(draw, f"question-{number:05}", name, (hard + draw.random()) / 2 < share))


def _widen(file: Path, examples: int) -> None:
    """Give each answer more scores, all fractional, and write the files of a run with its examples."""
    draw = random.Random(SEED)
    results = read_results(file)
    file.unlink()
    with file.open("ab", buffering=0) as opened:
        for result in results:
            names = (*SCORES, *result.scores) if result.error is None else ()
            write_result(opened, replace(result, scores={name: draw.random() for name in names}))
    rows = (
        Example(f"question-{number:05}", "What is it?", "That.", tags=(f"area {number % 5}", f"kind {number % 50}"))
        for number in range(examples)
    )
    write_atomic(file.with_name(EXAMPLES), b"".join(json.dumps(asdict(row)).encode() + b"\n" for row in rows))
    write_json(file.with_name(RUN), {"about": {"task": "answer", "primary": "f1"}, "complete": True})


def _row(draw: random.Random, example: str, approach: str, right: bool) -> Result:
    usage = Usage(
        input_tokens=draw.randrange(200, 3_000),
        cached_tokens=draw.randrange(200),
        output_tokens=draw.randrange(10, 120),
        seconds=draw.lognormvariate(0, 0.5),
        usd=draw.uniform(0.0002, 0.002),
    )
    chance = draw.random()
    if chance < 0.01:
        message = "large at https://models.example.com/v1 did not answer within 60 s"
        return Result(example, approach, "error", usage=Usage(seconds=60.0), error=Failure("timeout", message))
    if chance < 0.06:
        scores = dict.fromkeys(("correct", "exact", "contains", "abstention", "f1"), 0.0)
        return Result(example, approach, "abstained", "Not in your documents.", scores=scores, usage=usage)
    claims = [" ".join(draw.choices(WORDS, k=draw.randrange(8, 24))).capitalize() for _ in range(2)]
    cites = approach not in ("prompt", "fewshot")
    citations = tuple(
        Citation(
            marker=marker,
            sentence=f"{sentence}.",
            support=draw.choice(("exact", "close", "close", "missing")),
            passage_id=f"{draw.getrandbits(64):016x}:{draw.randrange(40)}",
            document_id=f"{draw.getrandbits(64):016x}",
            source=f"handbook/chapter-{draw.randrange(90)}.md",
            heading="Handbook > Section",
            quote=f"{sentence}.",
            start=draw.randrange(20_000),
            end=draw.randrange(20_000, 20_200),
        )
        for marker, sentence in enumerate(claims if cites else (), start=1)
    )
    scores = dict.fromkeys(("correct", "contains"), float(right)) | {"abstention": 1.0}
    scores |= {"exact": float(right and draw.random() < 0.2), "f1": min(1.0, draw.random() / 2 + right / 2)}
    if cites:
        scores |= {name: draw.choice((0.0, 0.5, 1.0)) for name in ("citation_precision", "citation_recall")}
        scores["supported"] = sum(citation.support != "missing" for citation in citations) / 2
    text = " ".join(f"{sentence} [{marker}]." for marker, sentence in enumerate(claims, start=1))
    return Result(example, approach, "answered", text, citations, scores, usage)


if __name__ == "__main__":
    main()
