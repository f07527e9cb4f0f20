"""Claim: `lora` teaches a causal model a format in under 2 minutes on two cores, and resumes after being killed.

    python benchmarks/tune_lora.py [--repeats 3]
    python benchmarks/tune_lora.py --peer [--repeats 5] [--rows 512] [--hidden 256] [--layers 4] [--base MODEL]
    python benchmarks/tune_lora.py --peer --base smollm2-135m --rows 32 --retrieved

End to end, each time in its own process as with `groundtune tune`: a randomly initialised model of 100,000 weights
learns to answer "red 3" with {"colour":"red","n":3}. It trains on 192 pairs, 24 others select the checkpoint, and 24
held-out pairs are asked as by `groundtune ask`. Then the same training is killed with SIGKILL in the middle and started
again.

With --peer, and always on a machine with a GPU: compares tokens/s (without padding) of one epoch with a plain TRL
script with the same model, rows, adapter, batch, accumulation and precision. Both run alternately in this process; on a
CPU the seconds are those of the processor, so other work does not count. Before that both train on the rows in the same
order, and the largest difference of a step's loss is shown. --retrieved: prompts of about 900 tokens with replies of
about 60, as with `context = "retrieved"`. On a GPU choose a model that fills it, with --base, or with --hidden and
--layers.
"""

import argparse
import asyncio
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from common import machine, spread, table, verdict
from groundtune.models.local_generator import LocalGenerator
from groundtune.models.torch_device import choose_device
from groundtune.tune.checkpoints import TrainingState
from groundtune.tune.job import Job, TrainingRow, read_progress, write_job
from groundtune.tune.launcher import launch_training
from groundtune.tune.lora import training_loop
from groundtune.tune.lora.plan import LoraPlan, prepare
from groundtune.types import Prompt

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.models.tiny import SENTENCES, WINDOW, tiny_tokenizer
from tests.tune.extraction import SCHEMA, chat, extraction_job, extraction_rows, tiny_base

PROCESS = "groundtune.workflows.training_process"
"""Module that `groundtune tune` starts."""
SECONDS, VALID, SAME, FASTER = 120.0, 0.95, 1e-3, 1.5
SAME_LOSS = 1e-2
KILLED_AT = 100
"""Step, of 288, after which the training is killed."""
WARM = 3
"""Number of initial steps that are not timed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--base", help="a causal model instead of a randomly initialised one")
    parser.add_argument("--retrieved", action="store_true")
    options = parser.parse_args()
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="groundtune-benchmark-") as folder:
        if options.peer:
            _peer(Path(folder), options)
        else:
            _end_to_end(Path(folder), options.repeats)
            if choose_device(None) == "cuda":
                (Path(folder) / "peer").mkdir()
                _peer(Path(folder) / "peer", options)
            else:
                print(
                    "no GPU: tokens/s compared with a plain TRL script were not measured (--peer measures on the CPU)"
                )


def _end_to_end(folder: Path, repeats: int) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # on matrices this small two threads only wait for each other
    base = tiny_base(folder / "base")
    _, others = extraction_rows()
    validation, tested = others[::2], others[1::2]
    seconds, after, exact = [], [], []
    before, _ = asyncio.run(_replies(base, tested))
    for number in range(repeats):
        job = extraction_job(folder / f"whole{number}", base, validation=validation)
        began = time.perf_counter()
        artifact = asyncio.run(launch_training(job.folder, module=PROCESS))
        seconds.append(time.perf_counter() - began)
        assert artifact.unusable is None, artifact.unusable
        valid, same = asyncio.run(_replies(job.folder / "merged", tested))
        after.append(valid)
        exact.append(same)
    whole = artifact
    job = extraction_job(folder / "killed", base, validation=validation)
    at = _killed(job)
    resumed = asyncio.run(launch_training(job.folder, module=PROCESS))
    ours, theirs = (_losses(folder / name) for name in ("killed", f"whole{repeats - 1}"))
    largest = max(abs(ours[step] - theirs[step]) for step in theirs if step > at)
    final = abs(resumed.metrics["train_loss"] - whole.metrics["train_loss"])
    rows: list[Sequence[str]] = [("lora, 100,000 weights, 24 epochs of 192 rows", "measured", "target")]
    rows.append(
        ("seconds, start to artifact", spread(seconds, unit=" s", digits=1), _met(max(seconds), SECONDS, False))
    )
    rows.append(("valid JSON before, 24 held-out rows", f"{before:.2f}", "near 0"))
    rows.append(("valid JSON after", spread(after), _met(min(after), VALID, True)))
    rows.append(("exact object", spread(exact), ""))
    label = f"killed after step {at} of {whole.details['steps']}, resumed: final loss differs by"
    rows.append((label, f"{final:.1e}", _met(final, SAME, False)))
    rows.append(("largest difference of any later step", f"{largest:.1e}", ""))
    table(rows)


async def _replies(model: Path, rows: Sequence[TrainingRow]) -> tuple[float, float]:
    """Return the share of replies that satisfy the schema, and the share that are the exact object."""
    generator = LocalGenerator(str(model), max_output_tokens=64)
    replies = await asyncio.gather(*(generator.generate(Prompt(row.input)) for row in rows), return_exceptions=True)
    objects = [None if isinstance(reply, BaseException) else _object(reply.text) for reply in replies]
    right = [value == row.output for value, row in zip(objects, rows, strict=True)]
    return sum(map(Draft202012Validator(SCHEMA).is_valid, objects)) / len(objects), sum(right) / len(objects)


def _object(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _met(value: float, target: float, at_least: bool) -> str:
    return f"{target:g}: {verdict(value, target, at_least=at_least)}"


def _killed(job: Job) -> int:
    """Start the training, kill it, and return the step of the remaining checkpoint."""
    command = [sys.executable, "-m", PROCESS, str(job.folder)]
    with subprocess.Popen(command) as process:
        while not any(step.step >= KILLED_AT for step in read_progress(job.folder)):
            assert process.poll() is None
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    steps = [int(path.parent.name.rpartition("-")[2]) for path in job.checkpoint.glob("steps/*/state.json")]
    return max(steps)


def _losses(folder: Path) -> dict[int, float]:
    return {
        step.step: step.loss
        for step in read_progress(folder)
        if step.loss is not None and not step.metrics and not step.note
    }


def _peer(folder: Path, options: argparse.Namespace) -> None:
    rows = _retrieved_rows(options.rows) if options.retrieved else _rows(options.rows)
    base = options.base or str(_base(folder / "base", rows, options.hidden, options.layers))
    device = choose_device(None)
    settings = {"epochs": 1, "batch_size": 4, "rank": 16, "device": device, "learning_rate": 2e-4}
    settings["accumulate"] = 1 if options.retrieved else 4
    job = Job(folder / "job", "peer", "lora", base, settings)
    job.folder.mkdir()
    write_job(job, rows, [])
    training_loop.disable_telemetry()
    plan = prepare(job)
    tokens = sum(len(example.token_ids) for example in plan.train)
    print(f"{len(rows)} rows, {tokens:,} tokens, on {device}, weights in {plan.dtype}, compute in "
          f"{'bfloat16' if plan.bfloat16 else 'float32'}", flush=True)  # fmt: skip
    ours, theirs = (_step_losses(make(plan, folder / make.__name__)) for make in (_ours, _plain))
    largest = max(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    print(f"largest difference of a step's loss, {len(ours)} steps: {largest:.1e}; {_met(largest, SAME_LOSS, False)}")
    measured: dict[str, list[float]] = {"groundtune": [], "plain trl": []}
    for number in range(options.repeats):
        for name, make in (("groundtune", _ours), ("plain trl", _plain)):
            measured[name].append(_speed(make(plan, folder / f"{name}{number}"), plan))
    ratios = [a / b for a, b in zip(measured["groundtune"], measured["plain trl"], strict=True)]
    table([("tokens/s", "median (range)"), *((name, spread(speeds, digits=0)) for name, speeds in measured.items())])
    print(f"ratio {spread(ratios)}; {_met(sorted(ratios)[len(ratios) // 2], FASTER, True)}")


def _rows(count: int) -> list[TrainingRow]:
    """Generate chats of very different lengths, like real ones."""
    draw = random.Random(0)
    words = " ".join(SENTENCES).split()

    def text(mean: float) -> str:
        return " ".join(draw.choices(words, k=max(1, min(90, int(draw.lognormvariate(mean, 0.8))))))

    return [chat(str(number), text(3.0), text(2.3)) for number in range(count)]


def _retrieved_rows(count: int) -> list[TrainingRow]:
    """Generate chats of long prompts with short replies."""
    draw = random.Random(0)
    words = " ".join(SENTENCES).split()

    def text(mean: int) -> str:
        return " ".join(draw.choices(words, k=draw.randint(int(0.8 * mean), int(1.2 * mean))))

    return [chat(str(number), text(860), text(55)) for number in range(count)]


def _base(folder: Path, rows: Sequence[TrainingRow], hidden: int, layers: int) -> Path:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = tiny_tokenizer([row.input for row in rows])
    heads = max(4, hidden // 64)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=4 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        max_position_embeddings=4 * WINDOW,
        dtype="bfloat16" if torch.cuda.is_available() else "float32",
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).to(config.dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _ours(plan: LoraPlan, folder: Path) -> Any:
    import transformers

    trainer = training_loop.make_trainer(plan, fresh=True)
    trainer.args.save_strategy = transformers.trainer_utils.SaveStrategy.NO
    monitor = training_loop.TrainingMonitor(plan, lambda _: None, TrainingState(), resumed=False)
    trainer.add_callback(type("Callback", (training_loop.MonitorCallback, transformers.TrainerCallback), {})(monitor))
    return trainer


def _plain(plan: LoraPlan, folder: Path) -> Any:
    """Build a trainer as in TRL's own examples, with groundtune's settings where TRL's defaults differ."""
    import peft
    import torch
    from datasets import Dataset, disable_progress_bars
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
    from trl import SFTConfig, SFTTrainer

    disable_progress_bars()

    split = [(list(row.messages[:-1]), list(row.messages[-1:])) for row in plan.job.rows("train")]
    rows = Dataset.from_list([{"prompt": prompt, "completion": completion} for prompt, completion in split])
    recipe = plan.recipe
    config = SFTConfig(
        output_dir=str(folder),
        num_train_epochs=1,
        learning_rate=recipe.schedule.learning_rate,
        per_device_train_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.schedule.accumulate,
        gradient_checkpointing=training_loop.needs_gradient_checkpointing(plan),
        max_length=None,
        bf16=plan.bfloat16,
        use_cpu=plan.device == "cpu",
        seed=recipe.seed,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    adapter = peft.LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    model = AutoModelForCausalLM.from_pretrained(plan.base.located.source, dtype=getattr(torch, plan.dtype))
    tokenizer = AutoTokenizer.from_pretrained(plan.base.located.source)
    trainer = SFTTrainer(model=model, args=config, train_dataset=rows, processing_class=tokenizer, peft_config=adapter)
    trainer.remove_callback(PrinterCallback)
    return trainer


def _step_losses(trainer: Any) -> list[float]:
    """Train on the rows in their order, and return the loss of each step."""
    trainer.args.train_sampling_strategy, trainer.args.logging_steps = "sequential", 1
    trainer.state.logging_steps = 1
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def _seconds() -> float:
    """Seconds of the processor, of all threads."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _speed(trainer: Any, plan: LoraPlan) -> float:
    """Return tokens/s from the end of step WARM to the end of the last one, counting what the trainer actually read."""
    import torch
    from transformers import TrainerCallback

    times: list[float] = []
    read: list[int] = []
    done: Callable[[], None] = torch.cuda.synchronize if plan.device == "cuda" else lambda: None
    collate = trainer.data_collator

    def counted(rows: Any) -> Any:
        read.append(sum(len(row["input_ids"]) for row in rows))
        return collate(rows)

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            done()
            times.append(time.perf_counter() if plan.device == "cuda" else _seconds())

    trainer.data_collator = counted
    trainer.add_callback(Clock())
    trainer.train()
    steps = len(times)
    assert sum(read) >= sum(len(example.token_ids) for example in plan.train)
    per_step = sum(read) / steps
    return per_step * (steps - WARM) / (times[-1] - times[WARM - 1])


if __name__ == "__main__":
    main()
