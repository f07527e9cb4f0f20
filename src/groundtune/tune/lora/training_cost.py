"""Estimate the memory and time of a training run on this machine. Loads no weights."""

import math
import time
from typing import Any

import psutil

from groundtune.common.text import format_count
from groundtune.errors import need
from groundtune.tune.job import Bounds
from groundtune.tune.lora import forgetting
from groundtune.tune.lora.plan import LoraPlan
from groundtune.tune.lora.score import BATCH, validation_sample

MEASURED_SECONDS = 0.2
EFFICIENCY = 0.25
"""Share of a plain matrix product's speed that training reaches at least, once batches are full."""
STEP_SECONDS = 0.02
"""Overhead of one batch, however small."""
FULL_BATCH = 512
"""Tokens from which a batch is as fast per token as any larger one, on a CPU."""
START_SECONDS = 20.0
"""Time for libraries, weights, merging and the parity gate."""


def count_parameters(plan: LoraPlan) -> int:
    """Return the number of weights of the base model."""
    torch, library = need("torch", extra="local"), need("transformers", extra="local")
    with torch.device("meta"):
        model = library.AutoModelForCausalLM.from_config(plan.base.config)
    return sum(weight.numel() for weight in model.parameters())


def estimate_bounds(plan: LoraPlan) -> Bounds:
    """Return upper bounds, measured on a matrix product and not on the model."""
    weights, tokens, schedule = count_parameters(plan), _tokens(plan), plan.recipe.schedule
    epochs = schedule.epochs
    recompute = needs_gradient_checkpointing(plan, weights)
    passes = (4 if plan.recipe.adapter else 6) + (2 if recompute else 0)
    flops = passes * weights * tokens * epochs * (1.5 if plan.recipe.mode == "dpo" else 1.0)
    speed = _speed(plan) * plan.recipe.gpus * EFFICIENCY
    batches = math.ceil(len(plan.train) / split_step(plan, weights)[0]) * epochs
    rows = validation_sample(plan)
    longest_reply = max((len(chat.token_ids) - chat.reply_start for chat, _ in rows), default=0)
    decode_steps = math.ceil(len(rows) / BATCH) * longest_reply * 1.25 * (epochs + 1)
    prompt_tokens = sum(chat.reply_start for chat, _ in rows) * (epochs + 1)
    general_tokens = sum(len(prompt.ids) + forgetting.ROOM for prompt in forgetting.load_general_prompts(plan))
    decode_steps, prompt_tokens = decode_steps + 2 * forgetting.ROOM, prompt_tokens + 4 * general_tokens
    answering = decode_steps * STEP_SECONDS + (2 * weights * (prompt_tokens + decode_steps * BATCH)) / speed
    seconds = START_SECONDS + flops / speed + batches * STEP_SECONDS + answering
    if plan.recipe.max_minutes is not None:
        seconds = min(seconds, START_SECONDS + 60 * plan.recipe.max_minutes + answering)
    length = f"{format_count(schedule.steps, 'step')} in {format_count(epochs, 'epoch')}"
    note = f"{weights:,} weights, {tokens:,} tokens per epoch, on {plan.device}"
    note += f"; {length}, learning rate {schedule.learning_rate:g}"
    memory = _state_bytes(plan, weights) + _activation_bytes(plan, split_step(plan, weights)[0], kept=not recompute)
    return Bounds(seconds=seconds, memory_mb=memory / 1e6, usd=0.0, note=note, steps=schedule.steps)


def split_step(plan: LoraPlan, weights: int | None = None) -> tuple[int, int]:
    """Return rows per batch and batches per step. A step has the rows of its settings, which decide its gradient.

    Batches become smaller where that saves padding, or memory, and costs nothing: on a CPU few tokens fill a batch.
    """
    recipe = plan.recipe
    batch = recipe.batch_size
    if recipe.mode != "dpo" and recipe.gpus == 1:
        room = _activation_room(plan, count_parameters(plan) if weights is None else weights)
        mean = _tokens(plan) / len(plan.train)
        while batch % 2 == 0 and (
            (plan.device == "cpu" and mean * batch / 2 >= FULL_BATCH)
            or _activation_bytes(plan, batch, kept=True) > room
        ):
            batch //= 2
    return batch, recipe.schedule.accumulate * recipe.batch_size // batch


def needs_gradient_checkpointing(plan: LoraPlan, weights: int | None = None) -> bool:
    """Whether activations are recomputed because memory cannot hold those of one batch: a quarter slower."""
    weights = count_parameters(plan) if weights is None else weights
    return _activation_bytes(plan, split_step(plan, weights)[0], kept=True) > _activation_room(plan, weights)


def _activation_room(plan: LoraPlan, weights: int) -> float:
    """Return the bytes that are left for activations."""
    return 0.8 * _memory(plan.device) - _state_bytes(plan, weights)


def _tokens(plan: LoraPlan) -> int:
    return sum(
        len(chat.token_ids) + (chat.reply_start + len(chat.rejected_ids) if chat.rejected_ids else 0)
        for chat in plan.train
    )


def _state_bytes(plan: LoraPlan, weights: int) -> float:
    """Bytes of weights, gradients and optimiser moments."""
    if not plan.recipe.adapter:
        return 16.0 * weights
    each = 0.6 if plan.recipe.mode == "qlora" else 2 if plan.dtype == "bfloat16" else 4
    text = plan.base.config.get_text_config()
    # Each of about seven matrices per layer gets two thin ones, as wide as the rank.
    trained = 7 * text.num_hidden_layers * plan.recipe.rank * 2 * _inner(text)
    return float(each * weights + 16 * trained)


def _activation_bytes(plan: LoraPlan, batch: int, *, kept: bool) -> float:
    """Bytes of activations of the largest batch. batch: its rows; kept: not recomputed."""
    text = plan.base.config.get_text_config()
    longest = max(chat.longest for chat in plan.train) * batch
    longest *= 2 if plan.recipe.mode == "dpo" else 1
    layer = (16 * text.hidden_size + 4 * _inner(text)) * (2 if plan.bfloat16 else 4)
    layers = text.num_hidden_layers
    return float(longest * (layers * layer if kept else layer + layers * text.hidden_size * 4)) * 1.5


def _inner(text: Any) -> int:
    return int(getattr(text, "intermediate_size", None) or 4 * text.hidden_size)


def _memory(device: str) -> float:
    """Return the free memory in bytes."""
    if device == "cuda":
        return float(need("torch", extra="local").cuda.mem_get_info()[0])
    return float(psutil.virtual_memory().available)


def _speed(plan: LoraPlan) -> float:
    """Return the operations per second of a matrix product like those of this model."""
    torch = need("torch", extra="local")
    size = 4096 if plan.device == "cuda" else 512
    matrix = torch.ones((size, size), device=plan.device, dtype=torch.bfloat16 if plan.bfloat16 else torch.float32)
    times, began = 0, 0.0
    while times < 3 or time.perf_counter() - began < MEASURED_SECONDS:
        if times == 2:  # warm by now
            began = time.perf_counter()
        matrix @ matrix
        times += 1
        if plan.device == "cuda":
            torch.cuda.synchronize()
    return float(2 * size**3 * (times - 2) / (time.perf_counter() - began))
