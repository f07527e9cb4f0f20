"""Load the server steadily with all that clients do, and watch its memory, handles and threads."""

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from benchmarks.common import percentile, table
from benchmarks.serving import place
from benchmarks.serving.client import arrivals, ask, open_client
from benchmarks.serving.place import Place, Running

KINDS = {"whole": 8, "streamed": 8, "leaves": 1, "search": 3, "quotes": 2, "feedback": 2, "models": 1, "invalid": 1}
"""Kinds of requests, with their shares."""
GROWTH = 0.05
MORE_HANDLES = 10
"""How many handles may come and go: connections that clients and the model's server keep open."""
WARM_SHARE = 1 / 3
"""Share of the time after which memory must have settled."""
CHANGES = 4
"""How often the project changes meanwhile: a document is edited and ingested, the project file is written again."""


@dataclass(slots=True)
class Measured:
    """What was seen of the server, once a second, and of the requests."""

    times: list[float] = field(default_factory=list)
    memory_mib: list[float] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def between(self, start: float, end: float, values: Sequence[float]) -> float:
        return statistics.median(value for at, value in zip(self.times, values, strict=True) if start <= at < end)


def run(folder: Path, options: argparse.Namespace) -> bool:
    made = place.make_place(folder, passages=options.passages)
    seconds = options.minutes * 60
    log = folder / "server.log"
    with place.model() as model:
        place.write_project_file(folder, model_url=model.url, more="[fallback]\nmax_seconds = 60\n")
        with place.groundtune(folder, log=log) as ours:
            measured = asyncio.run(_soak(made, model, ours, seconds, options.rate))
    return _report(measured, seconds)


async def _soak(made: Place, model: Running, ours: Running, seconds: float, rate: float) -> Measured:
    measured = Measured()
    draw = random.Random(place.SEED)
    start = time.monotonic()

    async def watch() -> None:
        while True:
            measured.times.append(time.monotonic() - start)
            measured.memory_mib.append(ours.memory_mib())
            measured.handles.append(ours.handles())
            measured.threads.append(ours.threads())
            await asyncio.sleep(1)

    async def change() -> None:
        for number in range(CHANGES):
            await asyncio.sleep(seconds / (CHANGES + 1))
            await asyncio.to_thread(_change, made.folder, model.url, number)

    async def send(number: int, at: float, kind: str, client: httpx2.AsyncClient) -> None:
        await asyncio.sleep(max(0.0, start + at - time.monotonic()))
        problem = await _do(kind, made.question(number), client, ours.url)
        measured.done[kind] += 1
        measured.seconds.append(time.monotonic() - start - at)
        if problem:
            measured.problems.append(f"{at:.0f} s, {kind}: {problem}")

    background = [asyncio.create_task(watch()), asyncio.create_task(change())]
    due = arrivals(rate, seconds, seed=place.SEED)
    kinds = draw.choices(list(KINDS), weights=list(KINDS.values()), k=len(due))
    async with open_client() as client:
        for kind in KINDS:  # once each, before anything is counted
            await _do(kind, made.question(len(due)), client, ours.url)
        start = time.monotonic()
        jobs = enumerate(zip(due, kinds, strict=True))
        await asyncio.gather(*(send(number, at, kind, client) for number, (at, kind) in jobs))
    for task in background:
        task.cancel()
    return measured


async def _do(kind: str, question: str, client: httpx2.AsyncClient, url: str) -> str:
    """Send one request of a kind; return what is wrong with its reply, or nothing."""
    body = {"model": "served", "messages": [{"role": "user", "content": question}]}
    try:
        match kind:
            case "whole" | "streamed" | "quotes":
                model = "quote-hybrid" if kind == "quotes" else "served"
                outcome = await ask(client, f"{url}/v1", question, stream=kind == "streamed", model=model)
                is_good = outcome.is_answered and outcome.fields["citations"] and not outcome.fields["degradation"]
                return "" if is_good else f"{outcome.status} {outcome.error} {outcome.fields.get('degradation')}"
            case "leaves":
                async with client.stream("POST", f"{url}/v1/chat/completions", json={**body, "stream": True}):
                    return ""
            case "search":
                reply = await client.post(f"{url}/api/search", json={"query": question})
                return "" if reply.status_code == 200 and reply.json()["hits"] else reply.text
            case "feedback":
                reply = await client.post(f"{url}/v1/feedback", json={"answer": "a" * 32, "rating": "up"})
                return "" if reply.status_code in (200, 404) else reply.text
            case "models":
                reply = await client.get(f"{url}/v1/models")
                return "" if reply.status_code == 200 else reply.text
            case _:
                reply = await client.post(f"{url}/v1/chat/completions", json={**body, "n": 2})
                return "" if reply.status_code == 400 else reply.text
    except (httpx2.HTTPError, OSError, json.JSONDecodeError) as error:
        return f"{type(error).__name__}: {error}"


def _change(folder: Path, model_url: str, number: int) -> None:
    """Edit a document and ingest it, or write the project file with another setting."""
    if number % 2:
        more = f"[fallback]\nmax_seconds = {60 + number}\n"
        place.write_project_file(folder, model_url=model_url, more=more)
        return
    path = folder / "docs/00000.md"
    path.write_text(path.read_text(encoding="utf-8") + f"\n## Change {number}\n\nIt was changed.\n", encoding="utf-8")
    subprocess.run([sys.executable, "-m", "groundtune", "ingest", "-C", str(folder)], check=True, capture_output=True)


def _report(measured: Measured, seconds: float) -> bool:
    warm, width = seconds * WARM_SHARE, seconds / 10
    print(
        f"{sum(measured.done.values()):,} requests in {seconds / 60:.1f} minutes ({dict(measured.done)}): "
        f"median {percentile(measured.seconds, 0.5):.2f} s, p99 {percentile(measured.seconds, 0.99):.2f} s"
    )
    for problem in measured.problems[:20]:
        print(problem[:200])
    tenths = (measured.between(at * width, (at + 1) * width, measured.memory_mib) for at in range(10))
    print(f"memory by tenth of the time, MiB: {' '.join(f'{each:.0f}' for each in tenths)}")
    rows = [("", f"at {warm:.0f} s", "at the end", "growth", "")]
    first, last = (measured.between(at, at + width, measured.memory_mib) for at in (warm, measured.times[-1] - width))
    is_met = last <= first * (1 + GROWTH)
    rows.append(
        ("memory, MiB", f"{first:.0f}", f"{last:.0f}", f"{last / first - 1:+.1%}", "met" if is_met else "missed")
    )
    for name, values in (("handles", measured.handles), ("threads", measured.threads)):
        first, last = (measured.between(at, at + width, values) for at in (warm, measured.times[-1] - width))
        is_held = last <= first + MORE_HANDLES
        rows.append((name, f"{first:.0f}", f"{last:.0f}", f"{last - first:+.0f}", "met" if is_held else "missed"))
        is_met &= is_held
    table(rows)
    print(f"requests without a good reply: {len(measured.problems)}: {'missed' if measured.problems else 'met'}")
    return is_met and not measured.problems
