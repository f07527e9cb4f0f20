"""Estimate the time and memory of training an encoder on this machine. Loads no weights."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.errors import need
from groundtune.models.torch_device import choose_device, has_fast_bfloat16
from groundtune.tune.base_model import load_tokenizer
from groundtune.tune.encoders.base_encoder import find_encoder, text_token_counts
from groundtune.tune.encoders.training_loop import choose_epochs, step_tokens
from groundtune.tune.job import Bounds

MEASURED_SECONDS = 0.2
EFFICIENCY = 0.2
"""Lower bound on an encoder step's speed, as a share of a plain matrix product's."""
USEFUL_THREADS = 8
"""CPU threads that speed up an encoder's small matrix products; more do not help."""
STEP_SECONDS = 0.05
"""Minimum duration of a step."""
START_SECONDS = 30.0
"""Time for loading libraries and weights, calibrating and saving."""
LIBRARIES_MB = 700.0


def estimate_bounds(
    base: str, *, texts: Sequence[str], validation: Sequence[str], settings: Mapping[str, Any], frozen: bool = False
) -> Bounds:
    """Return upper bounds. texts: rows to train on. validation: rows to evaluate after each epoch.

    frozen: every text goes through the encoder once and only the head is trained; fitting it several times takes as
    long again. Raises MissingError.
    """
    encoder_base = find_encoder(base)
    device = choose_device(settings.get("device"))
    counts = text_token_counts(load_tokenizer(encoder_base.located), [*texts, *validation]) if texts else []
    trained, evaluated = counts[: len(texts)], sum(counts[len(texts) :])
    weights, embedding_weights = _weights(encoder_base.config)
    speed = measured_speed(device) * EFFICIENCY
    batch_tokens = settings.get("batch_tokens") or 1024
    epochs = 1 if frozen else settings["epochs"] or choose_epochs(trained, batch_tokens=batch_tokens)
    passes = 4 if frozen else 6
    budget = step_tokens(trained, batch_tokens=batch_tokens)
    flops = (weights - embedding_weights) * (passes * sum(trained) + 2 * evaluated) * epochs
    seconds = START_SECONDS + flops / speed + (0 if frozen else STEP_SECONDS * epochs * (sum(trained) / budget + 1))
    if settings.get("max_minutes"):
        seconds = min(seconds, START_SECONDS + 60 * settings["max_minutes"])
    state = 4 * weights if frozen else 6 * weights + 18 * (weights - embedding_weights)  # with a copy in bfloat16
    inside = max(budget, max(trained, default=0)) * _activations(encoder_base.config)
    note = f"{weights:,} weights, {sum(trained):,} tokens an epoch, on {device}"
    return Bounds(seconds=seconds, memory_mb=LIBRARIES_MB + (state + inside) / 1e6, usd=0.0, note=note)


def measured_speed(device: str) -> float:
    """Return the speed of a matrix product in the training precision, in operations per second.

    A CPU is measured on one thread: under other load, several threads of this process would wait for each other far
    longer than the trainer's threads, which do not busy-wait.
    """
    torch = need("torch", extra="local")
    size = 4096 if device.startswith("cuda") else 512
    dtype = torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
    matrix = torch.ones((size, size), device=device, dtype=dtype)
    count, began, threads = 0, 0.0, torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        while count < 3 or time.perf_counter() - began < MEASURED_SECONDS:
            if count == 2:  # warmed up
                began = time.perf_counter()
            matrix @ matrix
            count += 1
            if device.startswith("cuda"):
                torch.cuda.synchronize()
        speed = float(2 * size**3 * (count - 2) / (time.perf_counter() - began))
    finally:
        torch.set_num_threads(threads)
    return speed if device.startswith("cuda") else speed * min(threads, USEFUL_THREADS)


def _weights(config: Any) -> tuple[int, int]:
    """Return the number of all weights, and of the word embeddings, which take part in no product."""
    torch, library = need("torch", extra="local"), need("transformers", extra="local")
    with torch.device("meta"):
        model = library.AutoModel.from_config(config)
    total = sum(weight.numel() for weight in model.parameters())
    return total, model.get_input_embeddings().weight.numel()


def _activations(config: Any) -> float:
    """Return the bytes of activations kept per token for the backward pass, including attention over a short text."""
    hidden = config.hidden_size
    inner = getattr(config, "intermediate_size", None) or 4 * hidden
    return float(config.num_hidden_layers * (20 * hidden + 4 * inner) * 4)
