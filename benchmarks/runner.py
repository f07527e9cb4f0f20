"""Claim: a call takes under 5 ms of local processor time; a repeated comparison is at least 50 times as fast.

    python benchmarks/runner.py [--calls 2000] [--repeats 3] [--profile]

A scripted model server in its own process answers over HTTP. The first part measures the processor time per call of the
runner and client alone, with and without the generation cache (every call misses it), 64 calls at a time, against a
server without latency. The second part times a complete `groundtune compare`, verdict and report included, of `prompt`
and `fewshot-fixed` on generated tickets, with 100 ms per answer: the first time, again with --fresh (a new run whose
generations come from the cache), and again unchanged (the same run).
"""

import argparse
import asyncio
import cProfile
import json
import multiprocessing
import pstats
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import machine, spread, table, verdict
from groundtune import build
from groundtune.approaches.output_formats import LabelFormat
from groundtune.approaches.pipeline import Pipeline
from groundtune.measure.runner import fill_matrix
from groundtune.measure.scoring import label_scorer
from groundtune.models.hosted_generator import HostedGenerator
from groundtune.models.prices import TokenPrices
from groundtune.project import Project
from groundtune.testing.scripted_models import ScriptedModel, script_of
from groundtune.testing.scripted_server import ScriptedServer
from groundtune.types import Example
from groundtune.workflows.reporting import Report

LABELS = ("delivery", "refund", "billing", "defect", "advice", "theft", "app", "battery")
PRICES = {"m": {"input_per_million": 1.0, "output_per_million": 4.0}}
APPROACHES = ("prompt", "fewshot-fixed")
AT_ONCE = 64
LATENCY = 0.1
CPU_MS = 5.0
FASTER = 50.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="also print a profile of the processor time")
    options = parser.parse_args()

    print(f"{options.calls:,} calls, {machine()}", flush=True)
    rows: list[Sequence[str]] = [("CPU of one call, 64 at a time", "ms, median (range)", "calls/s", "target")]
    with _served(options.calls, 0.0) as url:
        for cached in (False, True):
            measured = [_calls(url, options.calls, cached=cached) for _ in range(options.repeats)]
            cpu = [1000 * seconds for seconds, _ in measured]
            met = verdict(sorted(cpu)[len(cpu) // 2], CPU_MS, at_least=False)
            rate = f"{options.calls / min(wall for _, wall in measured):,.0f}"
            name = "runner, cache, client" if cached else "runner and client"
            rows.append((name, spread(cpu), rate, f"< {CPU_MS:g} ms: {met}"))
        if options.profile:
            profile = cProfile.Profile(time.process_time)
            profile.runcall(_calls, url, options.calls, cached=True)
            _show(profile, "runner, cache and client")
    table(rows)

    print(flush=True)
    rows = [
        ("compare, 100 ms per answer", "first, s", "--fresh, s", "first/fresh", "again, s", "first/again", "target")
    ]
    for concurrency in (8, AT_ONCE):
        with _served(options.calls // 2, LATENCY) as url, _project(url, options.calls // 2, concurrency) as folder:
            first = _compare(folder, fresh=False, expected=options.calls)
            fresh = [_compare(folder, fresh=True, expected=0) for _ in range(options.repeats)]
            again = [_compare(folder, fresh=False, expected=0) for _ in range(options.repeats)]
            if options.profile:
                profile = cProfile.Profile(time.process_time)
                _compare(folder, fresh=True, expected=0, profile=profile)
                _show(profile, f"--fresh, {concurrency} at a time")
        ratios = [first / min(seconds) for seconds in (fresh, again)]
        met = verdict(ratios[0], FASTER, at_least=True)
        figures = (f"{first:.2f}", spread(fresh), f"{ratios[0]:.0f}", spread(again), f"{ratios[1]:.0f}")
        rows.append((f"{concurrency} at a time", *figures, f"≥ {FASTER:g}: {met}"))
    table(rows)


def _calls(url: str, count: int, *, cached: bool) -> tuple[float, float]:
    """Return processor seconds per call and total wall-clock seconds."""
    prices = TokenPrices(base_url=url, overrides=PRICES)
    examples = [Example(f"e{number}", text, label) for number, (text, label) in enumerate(_tickets(count))]
    output_format = LabelFormat(dict.fromkeys(LABELS, ""))

    async def work(folder: Path) -> tuple[float, float]:
        hosted = HostedGenerator("m", base_url=url, concurrency=AT_ONCE, prices=prices, max_output_tokens=32)
        generator: Any = build.caching_wrapper(folder, build.budget())(hosted) if cached else hosted
        approach = Pipeline("prompt", generator, output_format=output_format)
        await fill_matrix(
            [approach], examples[:AT_ONCE], folder=folder / "warm", concurrency=AT_ONCE, score=label_scores
        )
        rest = [Example(f"n{example.id}", f"{example.input} Please.", example.output) for example in examples]
        cpu, wall = time.process_time(), time.perf_counter()
        results = await fill_matrix([approach], rest, folder=folder / "run", concurrency=AT_ONCE, score=label_scores)
        spent = (time.process_time() - cpu) / count, time.perf_counter() - wall
        await hosted.aclose()
        if len(results) != count or any(result.error for result in results):
            raise SystemExit(f"{sum(result.error is not None for result in results)} of {len(results)} calls failed")
        return spent

    label_scores = label_scorer(LABELS)
    with tempfile.TemporaryDirectory(prefix="groundtune-benchmark-") as name:
        return asyncio.run(work(Path(name)))


def _compare(folder: Path, *, fresh: bool, expected: int, profile: cProfile.Profile | None = None) -> float:
    """Return the seconds of a comparison by a newly opened project; check that it paid only if calls were expected."""
    paid = 0.0

    def step(now: Any) -> None:
        nonlocal paid
        paid = now.spent_usd

    async def work(project: Project) -> Report:
        """Run on the project's own thread, where the profile must be enabled."""
        if profile:
            profile.enable()
        try:
            return await project._compare(approaches=APPROACHES, fresh=fresh, progress=step)
        finally:
            if profile:
                profile.disable()

    with Project.open(folder) as project:
        started = time.perf_counter()
        report = project.loop.run(work(project))
        seconds = time.perf_counter() - started
    if bool(paid) != bool(expected) or any(summary.errors for summary in report.approaches):
        raise SystemExit(f"expected {expected} paid calls; ${paid} were paid, {report.approaches}")
    return seconds


def _tickets(count: int) -> Iterator[tuple[str, str]]:
    for number in range(count):
        label = LABELS[number * 7 % len(LABELS)]
        yield (
            f"Ticket {number}: a customer in branch {number % 97} writes about {label} of order {9000 + number}.",
            label,
        )


@contextmanager
def _project(url: str, examples: int, concurrency: int) -> Iterator[Path]:
    model = f'kind = "openai"\nmodel = "m"\nbase_url = "{url}"\nconcurrency = {concurrency}'
    prices = '[prices."m"]\ninput_per_million = 1.0\noutput_per_million = 4.0'
    with tempfile.TemporaryDirectory(prefix="groundtune-benchmark-") as name:
        folder = Path(name)
        (folder / "groundtune.toml").write_text(
            'name = "benchmark"\ntask = "classify"\n[examples]\nfiles = ["e.jsonl"]\n'
            f"[models.default]\n{model}\n{prices}\n"
        )
        rows = [
            {"id": f"e{number}", "input": text, "output": label, "split": "test" if number < examples else "train"}
            for number, (text, label) in enumerate(_tickets(examples + 16))
        ]
        (folder / "e.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        yield folder


@contextmanager
def _served(examples: int, seconds: float) -> Iterator[str]:
    """Start a scripted model server in another process and yield its base URL."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, examples, seconds), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join(10)


def _serve(pipe: Any, examples: int, seconds: float) -> None:
    gold = {ending: label for text, label in _tickets(examples + 16) for ending in (text, f"{text} Please.")}
    model = ScriptedModel("m", gold, task="classify", right=0.9, seconds=(seconds, seconds))
    with ScriptedServer(script_of(model)) as server:
        pipe.send(server.base_url)
        pipe.recv()


def _show(profile: cProfile.Profile, subject: str) -> None:
    print(f"\nprofile of {subject}, in seconds of processor time")
    pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(20)


if __name__ == "__main__":
    main()
