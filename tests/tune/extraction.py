"""An extraction task that a causal model of 100,000 weights learns in seconds: "red 3" → {"colour":"red","n":3}.

The base is built from a configuration with random weights, so it writes no JSON at all before training. Its embeddings
are ten times the usual size: an adapter leaves them unchanged, and small ones could not be told apart.
"""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from groundtune.tune.job import Job, TrainingRow, write_job
from tests.models.tiny import TEMPLATE, tiny_model

COLOURS = (
    "red green blue black white brown pink grey violet orange teal gold mint plum rust sand jade navy ruby rose lime "
    "coral amber ivory"
).split()
SCHEMA = {
    "type": "object",
    "properties": {"colour": {"enum": COLOURS}, "n": {"type": "integer"}},
    "required": ["colour", "n"],
    "additionalProperties": False,
}
TRAINED = 192
"""Training rows of the 240; the others are held out."""
SETTINGS = {
    "mode": "lora",
    "rank": 32,
    "epochs": 24,
    "learning_rate": 3e-3,
    "batch_size": 16,
    "accumulate": 1,
    "device": "cpu",
    "seed": 0,
    "max_tokens": 64,
    "patience": 24,
}


def chat(name: str, question: str, reply: str, *, output: Any = None, rejected: str | None = None) -> TrainingRow:
    turns = ({"role": "user", "content": question}, {"role": "assistant", "content": reply})
    return TrainingRow(name, question, output, messages=turns, rejected=rejected)


def extraction_rows() -> tuple[list[TrainingRow], list[TrainingRow]]:
    """Return training and held-out rows; every colour and number is in the former, no pair is in both."""
    rows = []
    for colour in COLOURS:
        for number in range(10):
            value = {"colour": colour, "n": number}
            reply = json.dumps(value, separators=(",", ":"))
            rows.append(chat(f"{colour}-{number}", f"{colour} {number}", reply, output=value))
    random.Random(0).shuffle(rows)
    return rows[:TRAINED], rows[TRAINED:]


def few_rows() -> dict[str, list[TrainingRow]]:
    """Return `train` and `validation` for tests that are not about what is learned: an epoch of four steps."""
    learned, held_out = extraction_rows()
    return {"train": learned[:64], "validation": held_out[:8]}


def tiny_base(folder: Path, *, template: str | None = TEMPLATE, dtype: str = "float32", window: int = 256) -> Path:
    """Write a base with random weights for training an adapter; always the same ones."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    rows = [row for part in extraction_rows() for row in part]
    answers = {row.input: row.messages[-1]["content"] for row in rows}
    tiny_model(folder, answers=answers, steps=0, window=window)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(10)
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    if template != TEMPLATE:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.chat_template = template
        (folder / "chat_template.jinja").unlink()
        tokenizer.save_pretrained(folder)
    return folder


def extraction_job(
    folder: Path,
    base: Path,
    *,
    train: Sequence[TrainingRow] | None = None,
    validation: Sequence[TrainingRow] | None = None,
    schema: bool = True,
    **settings: Any,
) -> Job:
    """Write a job to disk, untrained."""
    learned, held_out = extraction_rows()
    details = {"schema": SCHEMA} if schema else {}
    job = Job(folder, "colours", "lora", str(base), {**SETTINGS, **settings}, details)
    folder.mkdir(parents=True, exist_ok=True)
    write_job(job, learned if train is None else train, held_out if validation is None else validation)
    return job
