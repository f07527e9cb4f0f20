"""Measure what the server adds to the model's own time, the rate that it can take, and streams side by side."""

import argparse
import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2
from benchmarks.common import percentile, table, verdict
from benchmarks.serving import place
from benchmarks.serving.client import Outcome, arrivals, ask, open_client, send_all
from benchmarks.serving.place import Place, Running

RATE = 10.0
MEDIAN_MS, HIGH_MS = 40, 120
MOST_MS = 500
"""The added 95th percentile at which a server counts as overloaded."""
SIDES = ("model", "proxy", "groundtune")
ROUNDS = 3
WARM_UP = 40
TRIAL_SECONDS = 8
HIGHEST_RATE = 320
BISECTIONS = 3
STREAMS = 50
PIECE_SECONDS = 0.05


@dataclass(slots=True)
class Questions:
    """Numbers every question, so that none is asked twice."""

    place: Place
    used: int = 0

    def take(self, count: int) -> Sequence[str]:
        self.used += count
        return [self.place.question(number) for number in range(self.used - count, self.used)]


def run(folder: Path, options: argparse.Namespace) -> bool:
    made = place.make_place(folder, passages=options.passages)
    with place.model() as model:
        place.write_project_file(folder, model_url=model.url)
        with place.proxy(model.url) as proxy, place.groundtune(folder) as ours:
            urls = {"model": model.url, "proxy": f"{proxy.url}/v1", "groundtune": f"{ours.url}/v1"}
            is_fast = asyncio.run(_measure(urls, ours, Questions(made), options.seconds))
    with place.model("--piece-seconds", str(PIECE_SECONDS)) as model:
        place.write_project_file(folder, model_url=model.url)
        with place.groundtune(folder) as ours:
            is_whole = asyncio.run(_streams(model, ours, Questions(made)))
    return is_fast and is_whole


async def _measure(urls: dict[str, str], ours: Running, questions: Questions, seconds: float) -> bool:
    async with open_client() as client:
        for url in urls.values():
            for question in questions.take(WARM_UP):
                await ask(client, url, question)
        is_met = True
        for stream in (False, True):
            is_met &= await _at_rate(client, urls, ours, questions, seconds, stream=stream)
        own = percentile([(await ask(client, urls["model"], q)).seconds for q in questions.take(20)], 0.5)
        rows = [("whole answers from", f"requests a second at which p95 passes {MOST_MS} ms added")]
        for side in ("proxy", "groundtune"):
            rows.append((side, await _capacity(client, urls[side], questions, own)))
        print()
        table(rows)
    return is_met


async def _at_rate(
    client: httpx2.AsyncClient,
    urls: dict[str, str],
    ours: Running,
    questions: Questions,
    seconds: float,
    *,
    stream: bool,
) -> bool:
    """Ask model, proxy and server in turn, at the same rate; print what the latter two add to the model's median."""
    outcomes: dict[str, list[Outcome]] = {side: [] for side in SIDES}
    processor = 0.0
    for turn in range(ROUNDS):
        for side in SIDES:
            due = arrivals(RATE, seconds / ROUNDS, seed=turn)
            asked = questions.take(len(due))
            before = ours.cpu_seconds()
            outcomes[side] += await send_all(client, urls[side], due, asked.__getitem__, stream=stream)
            processor += ours.cpu_seconds() - before if side == "groundtune" else 0
    own = percentile([outcome.seconds for outcome in outcomes["model"]], 0.5)
    kind = "streamed" if stream else "whole"
    print(f"\n{kind} answers at {RATE:.0f} requests a second; the model's own time is {own * 1e3:.0f} ms")
    rows = [("side", "n", "failed", "added p50", "added p95", "added p99")]
    for side in SIDES:
        added = [(outcome.seconds - own) * 1e3 for outcome in outcomes[side]]
        failed = sum(not outcome.is_answered for outcome in outcomes[side])
        shares = [f"{percentile(added, share):.0f} ms" for share in (0.5, 0.95, 0.99)]
        rows.append((side, str(len(added)), str(failed), *shares))
    table(rows)
    median, high = (
        percentile([(o.seconds - own) * 1e3 for o in outcomes["groundtune"]], share) for share in (0.5, 0.95)
    )
    failed = sum(not outcome.is_answered for outcome in outcomes["groundtune"])
    print(
        f"p50 < {MEDIAN_MS} ms: {verdict(median, MEDIAN_MS, at_least=False)}; "
        f"p95 < {HIGH_MS} ms: {verdict(high, HIGH_MS, at_least=False)}; "
        f"processor time {processor / len(outcomes['groundtune']) * 1e3:.0f} ms a request"
    )
    return median < MEDIAN_MS and high < HIGH_MS and not failed


async def _capacity(client: httpx2.AsyncClient, url: str, questions: Questions, own: float) -> str:
    """Return the rate at which the added 95th percentile passes the limit, by doubling, then halving the interval."""

    async def passes(rate: float) -> bool:
        due = arrivals(rate, TRIAL_SECONDS, seed=int(rate))
        outcomes = await send_all(client, url, due, questions.take(len(due)).__getitem__)
        late = sum((o.seconds - own) * 1e3 > MOST_MS or not o.is_answered for o in outcomes)
        await asyncio.sleep(1)
        return late > 0.05 * len(outcomes)

    low, high = RATE, RATE * 2
    while not await passes(high):
        low, high = high, high * 2
        if high > HIGHEST_RATE:
            return f"above {low:.0f}"
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if await passes(middle) else (middle, high)
    return f"{low:.0f} to {high:.0f}"


async def _streams(model: Running, ours: Running, questions: Questions) -> bool:
    """Hold streams at once, and compare each with what the model wrote."""
    asked = questions.take(STREAMS)
    async with open_client() as client:
        await ask(client, f"{ours.url}/v1", questions.take(1)[0])
        outcomes = await send_all(client, f"{ours.url}/v1", [0.0] * STREAMS, asked.__getitem__, stream=True)
        written = (await client.get(f"{model.url}/replies")).json()
    whole = sum(o.is_answered and _words(o.text) == _words(written[o.question]) for o in outcomes)
    print(f"\n{whole} of {STREAMS} streams at once arrived whole, in {max(o.seconds for o in outcomes):.1f} s at most")
    for error, count in Counter(outcome.error for outcome in outcomes if outcome.error).items():
        print(f"{count} × {error}")
    return whole == STREAMS


def _words(text: str) -> list[str]:
    """Return the words without markers, which are numbered again."""
    return re.sub(r"\s*\[\d+\]", "", text).split()
