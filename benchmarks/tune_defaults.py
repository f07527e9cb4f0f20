"""Which settings let a `lora` training on few rows learn: rows × settings × seeds on a task, by exact objects.

    python benchmarks/tune_defaults.py /data/snips --rows 50 200 1000 --seeds 3 --base smollm2-135m
    python benchmarks/tune_defaults.py /data/snips --rows 72 --settings former chosen

The task is SNIPS as objects: an utterance becomes {"field": ["value", …]} of its intent, one intent a run (--intent).
`chosen` is what groundtune chooses from the number of rows; `former` is 3 epochs of 16 rows a step at 2e-4, whatever
the number of rows; the others change one thing of `chosen`. Every training selects its checkpoint on 24 rows of its
own, and its merged model answers --tested rows of the validate file as `groundtune ask` does. The interval is that of a
mean over rows, by bootstrap, of all seeds together.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common import machine, table
from groundtune.models.local_generator import LocalGenerator
from groundtune.stats.intervals import bootstrap_mean
from groundtune.tune.job import Job, TrainingRow, TrainingStep, write_job
from groundtune.tune.lora.trainer import train
from groundtune.types import Message, Prompt

VALIDATION = 24
RULES = "Reply with a JSON object of the fields that the text names, each with a list of its words as they stand: {}"
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "chosen": {},
    "former": {"epochs": 3, "accumulate": 4, "learning_rate": 2e-4},
    "half the epochs": {"epochs": 6},
    "rate 2e-4": {"learning_rate": 2e-4},
    "rate 5e-4": {"learning_rate": 5e-4},
    "rate 2e-3": {"learning_rate": 2e-3},
    "16 rows a step": {"accumulate": 4},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of SNIPS")
    parser.add_argument("--intent", default="AddToPlaylist")
    parser.add_argument("--rows", type=int, nargs="+", default=[50, 200, 1000])
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--tested", type=int, default=100)
    parser.add_argument("--base", default="smollm2-135m")
    options = parser.parse_args()
    print(f"{options.intent} on {options.base}; {machine()}", flush=True)
    learned, tested = (_rows(options.data / options.intent / name) for name in _files(options.intent))
    random.Random(0).shuffle(learned)
    validation, tested = learned[:VALIDATION], tested[: options.tested]
    lines: list[Sequence[str]] = [("rows", "settings", "steps", f"exact, n = {len(tested)}", "95% interval", "seconds")]
    for count in options.rows:
        for name in options.settings:
            lines.append(_cell(learned[VALIDATION : VALIDATION + count], validation, tested, name, options))
            print("  ".join(lines[-1]), flush=True)
    table(lines)


def _files(intent: str) -> tuple[str, str]:
    return f"train_{intent}_full.json", f"validate_{intent}.json"


def _rows(path: Path) -> list[TrainingRow]:
    """Read the utterances of one intent as chats."""
    (utterances,) = json.loads(path.read_text(encoding="utf-8", errors="replace")).values()
    parts = [utterance["data"] for utterance in utterances]
    fields = sorted({part["entity"] for pieces in parts for part in pieces if "entity" in part})
    return [_row(f"{path.stem}-{at}", pieces, fields) for at, pieces in enumerate(parts)]


def _row(name: str, pieces: Sequence[Mapping[str, str]], fields: Sequence[str]) -> TrainingRow:
    text, found = "".join(piece["text"] for piece in pieces).strip(), defaultdict[str, list[str]](list)
    for piece in pieces:
        if "entity" in piece:
            found[piece["entity"]].append(piece["text"].strip())
    reply = json.dumps(found, ensure_ascii=False)
    turns = [("system", RULES.format(", ".join(fields))), ("user", text), ("assistant", reply)]
    return TrainingRow(name, text, dict(found), tuple({"role": role, "content": content} for role, content in turns))


def _cell(
    rows: Sequence[TrainingRow],
    validation: Sequence[TrainingRow],
    tested: Sequence[TrainingRow],
    name: str,
    options: argparse.Namespace,
) -> Sequence[str]:
    """Train with every seed, and return the line of the table."""
    right: list[list[float]] = []
    began, steps = time.perf_counter(), 0
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory(prefix="groundtune-benchmark-") as folder:
            details = {"schema": {"type": "object"}}
            job = Job(Path(folder) / "job", "objects", "lora", options.base, {**SETTINGS[name], "seed": seed}, details)
            job.folder.mkdir()
            write_job(job, rows, validation)
            steps = train(job, _watch).details["schedule"]["steps"]
            right.append(asyncio.run(_exact(job.folder / "merged", tested)))
    scores = [sum(of_row) / len(of_row) for of_row in zip(*right, strict=True)]
    interval = bootstrap_mean(scores)
    share = " ".join(f"{sum(seed) / len(seed):.3f}" for seed in right)
    seconds = f"{(time.perf_counter() - began) / options.seeds:.0f}"
    return (str(len(rows)), name, str(steps), share, f"[{interval.low:.3f}, {interval.high:.3f}]", seconds)


def _watch(step: TrainingStep) -> None:
    if step.metrics:
        print(f"    step {step.step}: { {key: round(value, 3) for key, value in step.metrics.items()} }", flush=True)


async def _exact(model: Path, rows: Sequence[TrainingRow]) -> list[float]:
    """Return for each row whether the reply is the expected object."""
    generator = LocalGenerator(str(model), max_output_tokens=160)
    prompts = [Prompt(row.input, tuple(Message(**turn) for turn in row.messages[:-1])) for row in rows]
    replies = await asyncio.gather(*map(generator.generate, prompts), return_exceptions=True)
    return [
        float(not isinstance(reply, BaseException) and _object(reply.text) == row.output)
        for row, reply in zip(rows, replies, strict=True)
    ]


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


if __name__ == "__main__":
    main()
