"""Claim: a step of LoRA training takes at most 1/1.5 of the time of TRL's trainer on the same rows, with the same loss.

    python -m benchmarks.training_step demo-handbook/.groundtune/models/over_passages-… [--steps 7]

The rows, the model and the settings are those of a training that was made before. Both losses run in one process on the
same model, in turns, forward and backward; the optimiser and the reading of rows, which they share, are not timed.
Counted is processor time of all threads, so that other work on the machine matters less. OMP_NUM_THREADS=1 makes the
figures of a busy machine steadier. In bfloat16 a loss also depends on how rows are cut and put together, whoever
computes it; the losses of the same steps in float32 tell rounding from a difference.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from benchmarks.common import machine, table

from groundtune.tune.job import read_job
from groundtune.tune.lora.plan import prepare
from groundtune.tune.lora.training_loop import disable_telemetry, make_trainer

ROWS = 4
TIMES = 1.5
TOLERANCE = 1e-2
FILES = ("job.json", "train.jsonl", "validation.jsonl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("training", type=Path, help="folder of a model trained with kind = lora")
    parser.add_argument("--steps", type=int, default=7)
    options = parser.parse_args()
    disable_telemetry()
    with tempfile.TemporaryDirectory() as name:
        for file in FILES:
            shutil.copy(options.training / file, name)
        plan = prepare(read_job(Path(name)))
        trainer = make_trainer(plan, fresh=True)
        trainer.model.train()
        ours, theirs = type(trainer).compute_loss, type(trainer).__mro__[1].compute_loss
        if ours is theirs:
            raise SystemExit("this model is left to TRL: there is nothing to compare")
        print(f"{ROWS} rows a step, {torch.get_num_threads()} threads; {machine()}", flush=True)
        measured = [_both(trainer, ours, theirs, step, bfloat16=plan.bfloat16) for step in range(-1, options.steps)][1:]
        trainer.model.float()
        exact = [_both(trainer, ours, theirs, step, bfloat16=False) for step in range(options.steps)]
    rows = [["step", "tokens", "loss", "loss of TRL", "tokens a second", "of TRL", "ratio"]]
    for step, (tokens, (loss, seconds), (their_loss, their_seconds)) in enumerate(measured, 1):
        figures = [f"{loss:.5f}", f"{their_loss:.5f}", f"{tokens / seconds:.0f}", f"{tokens / their_seconds:.0f}"]
        rows.append([str(step), str(tokens), *figures, f"{their_seconds / seconds:.2f}"])
    table(rows)
    ratios = [theirs[1] / ours[1] for _, ours, theirs in measured]
    apart = [ours[0] - theirs[0] for _, ours, theirs in measured]
    print(
        f"TRL takes {statistics.median(ratios):.2f} times as long ({min(ratios):.2f} to {max(ratios):.2f}, "
        f"n = {len(ratios)}; claimed: {TIMES}); losses differ by {statistics.mean(apart):+.1g} in the mean, by at most "
        f"{max(map(abs, apart)):.1g} in a step (claimed: {TOLERANCE}), in float32 by at most "
        f"{max(abs(ours[0] - theirs[0]) for _, ours, theirs in exact):.1g}"
    )


def _both(
    trainer: Any, ours: Any, theirs: Any, step: int, *, bfloat16: bool
) -> tuple[int, tuple[float, float], tuple[float, float]]:
    """Return the tokens of a step, and loss and processor seconds of both."""
    rows = [trainer.train_dataset[(ROWS * step + n) % len(trainer.train_dataset)] for n in range(ROWS)]
    batch = trainer.data_collator(rows)
    first, second = (_timed(trainer, batch, loss, bfloat16=bfloat16) for loss in (ours, theirs))
    return int(batch["attention_mask"].sum()), first, second


def _timed(trainer: Any, batch: dict[str, Any], compute_loss: Any, *, bfloat16: bool) -> tuple[float, float]:
    trainer.compute_loss = compute_loss.__get__(trainer)
    began = time.process_time()
    with torch.autocast(trainer.model.device.type, dtype=torch.bfloat16, enabled=bfloat16):
        loss = trainer.training_step(trainer.model, dict(batch), int((batch["labels"] != -100).sum()))
    seconds = time.process_time() - began
    trainer.model.zero_grad()
    return float(loss), seconds


if __name__ == "__main__":
    main()
