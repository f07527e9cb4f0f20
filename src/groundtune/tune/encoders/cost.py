"""What training an encoder takes on this machine, before it begins: seconds, memory. Loads no weights."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.errors import need
from groundtune.tune.base import choose_device, has_fast_bfloat16, load_tokenizer
from groundtune.tune.encoders.encoder import find
from groundtune.tune.encoders.fit import step_tokens
from groundtune.tune.job import Bounds

MEASURED_SECONDS = 0.2
EFFICIENCY = 0.2
"""Share of the speed of a plain product of matrices that an encoder's steps reach at least."""
USEFUL_THREADS = 8
"""Of a processor; more do not make the small products of an encoder quicker."""
STEP_SECONDS = 0.05
"""Of a step, however small."""
START_SECONDS = 30.0
"""Libraries, weights, calibration, saving."""
LIBRARIES_MB = 700.0
EXTRA_TOKENS = 2
"""The special ones that most tokenizers put around a text."""


def bounds(
    base: str, *, texts: Sequence[str], held: Sequence[str], settings: Mapping[str, Any], frozen: bool = False
) -> Bounds:
    """At most. texts: of the rows that are trained on; held: of those that are looked at after each epoch.

    frozen: every text goes through the encoder once, and nothing of it is trained; the head is fitted several times,
    which takes as long again. Raises MissingError.
    """
    found = find(base)
    device = choose_device(settings.get("device"))
    tokenizer = load_tokenizer(found.source, revision=found.revision)
    each = [len(ids) for ids in tokenizer([*texts, *held], truncation=False)["input_ids"]] if texts else []
    trained, looked_at = each[: len(texts)], sum(each[len(texts) :])
    weights, words = _weights(found.config)
    speed = measured_speed(device) * EFFICIENCY
    epochs = 1 if frozen else int(settings["epochs"])
    passes = 4 if frozen else 6
    budget = step_tokens(trained, batch_tokens=settings.get("batch_tokens") or 1024)
    flops = (weights - words) * (passes * sum(trained) + 2 * looked_at) * epochs
    seconds = START_SECONDS + flops / speed + (0 if frozen else STEP_SECONDS * epochs * (sum(trained) / budget + 1))
    if settings.get("max_minutes"):
        seconds = min(seconds, START_SECONDS + 60 * settings["max_minutes"])
    state = 4 * weights if frozen else 4 * weights + 16 * (weights - words)
    inside = max(budget, max(trained, default=0)) * _activations(found.config)
    note = f"{weights:,} weights, {sum(trained):,} tokens an epoch, on {device}"
    return Bounds(seconds=seconds, memory_mb=LIBRARIES_MB + (state + inside) / 1e6, usd=0.0, note=note)


def measured_speed(device: str) -> float:
    """Operations a second of a product of matrices, in the precision that is trained in.

    A processor is measured on one thread: beside other work, several in this process would wait for each other far
    longer than the trainer's do, which do not spin.
    """
    torch = need("torch", extra="local")
    size = 4096 if device.startswith("cuda") else 512
    dtype = torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
    one = torch.ones((size, size), device=device, dtype=dtype)
    times, began, threads = 0, 0.0, torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        while times < 3 or time.perf_counter() - began < MEASURED_SECONDS:
            if times == 2:  # warm by now
                began = time.perf_counter()
            one @ one
            times += 1
            if device.startswith("cuda"):
                torch.cuda.synchronize()
        speed = float(2 * size**3 * (times - 2) / (time.perf_counter() - began))
    finally:
        torch.set_num_threads(threads)
    return speed if device.startswith("cuda") else speed * min(threads, USEFUL_THREADS)


def _weights(config: Any) -> tuple[int, int]:
    """All, and those of the word embeddings, through which no product goes."""
    torch, library = need("torch", extra="local"), need("transformers", extra="local")
    with torch.device("meta"):
        model = library.AutoModel.from_config(config)
    every = sum(weight.numel() for weight in model.parameters())
    return every, model.get_input_embeddings().weight.numel()


def _activations(config: Any) -> float:
    """Bytes that a token leaves behind for the way back, with a short text's attention."""
    hidden = config.hidden_size
    inner = getattr(config, "intermediate_size", None) or 4 * hidden
    return float(config.num_hidden_layers * (20 * hidden + 4 * inner) * 4)
