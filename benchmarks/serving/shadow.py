"""Measure whether a second approach, which answers every question unseen, delays the answers that are sent.

Two servers of the same project get each question one after the other, in random order: one without a shadow, one with a
shadow of every answer by the scripted model. The second answer is under way when the next question comes.
"""

import argparse
import asyncio
import math
import random
import shutil
import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.serving.client import ask, open_client
from benchmarks.serving.place import Place, groundtune, make_place, model, write_project_file

from groundtune.records.audit_log import AuditLog
from groundtune.workspace import Workspace

SEED = 11
WARM_UP = 5
PAUSE_SECONDS = 0.3
"""Between two questions: less than the second answer takes, which begins 0.1 s after the first one."""
LAST_SECONDS = 5
CHOICE = '[answers]\napproach = "quote-hybrid"\n'
SHADOW = '[serve.shadow]\napproach = "rag"\nshare = 1.0\nwaiting = 1000\n'


def run(folder: Path, options: argparse.Namespace) -> bool:
    """Print the latencies and their paired difference; return whether no delay is measurable."""
    place = make_place(folder / "plain", passages=options.passages)
    shutil.copytree(folder / "plain", folder / "shadow", dirs_exist_ok=True)
    with model() as scripted:
        for name, more in (("plain", CHOICE), ("shadow", CHOICE + SHADOW)):
            write_project_file(folder / name, model_url=scripted.url, more=more)
        with groundtune(folder / "plain") as plain, groundtune(folder / "shadow") as shadow:
            seconds = asyncio.run(_in_turns([plain.url, shadow.url], place, options.requests))
    recorded = sum(entry.is_shadow for entry in AuditLog(Workspace(folder / "shadow")).entries(shadows=True))
    for name, values in zip(("without", "with"), seconds, strict=True):
        p95 = sorted(values)[math.ceil(0.95 * len(values)) - 1]
        print(f"{name} a shadow: median {1000 * statistics.median(values):.0f} ms, 95th percentile {1000 * p95:.0f} ms")
    middle, low, high = _median_with_interval([b - a for a, b in zip(*seconds, strict=True)])
    is_met = low <= 0 and recorded > 0
    print(f"difference of a pair: median {middle:+.1f} ms [{low:+.1f}, {high:+.1f}], n = {len(seconds[0]):,}")
    print(f"{recorded:,} second answers; {'PASS' if is_met else 'FAIL'}: no measurable delay", flush=True)
    return is_met


async def _in_turns(urls: Sequence[str], place: Place, requests: int) -> list[list[float]]:
    """Return the seconds of each request to each server, after some that do not count."""
    draw, seconds = random.Random(SEED), [[0.0] * (WARM_UP + requests) for _ in urls]
    async with open_client() as client:
        for number in range(WARM_UP + requests):
            for at in draw.sample(range(len(urls)), len(urls)):
                outcome = await ask(client, f"{urls[at]}/v1", place.question(number))
                assert outcome.is_answered, outcome.error
                seconds[at][number] = outcome.seconds
                await asyncio.sleep(PAUSE_SECONDS)
        await asyncio.sleep(LAST_SECONDS)
    return [values[WARM_UP:] for values in seconds]


def _median_with_interval(seconds: Sequence[float]) -> tuple[float, float, float]:
    """Return the median in milliseconds with its 95% interval, from the order of the values."""
    values, n = sorted(1000 * value for value in seconds), len(seconds)
    place = max(0, math.floor(n / 2 - 1.96 * math.sqrt(n) / 2))
    return statistics.median(values), values[place], values[n - 1 - place]
