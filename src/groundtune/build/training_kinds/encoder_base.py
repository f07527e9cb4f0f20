"""Look at the base encoder of a job without loading its weights."""

from functools import partial
from typing import Any

from groundtune.tune.job import Job


def encoder_limits(job: Job) -> dict[str, Any]:
    """Return the inputs of the preflight that count tokens as the trainer will."""
    from groundtune.tune.base_model import load_tokenizer
    from groundtune.tune.encoders import base_encoder

    base = base_encoder.find_encoder(job.base)
    tokenizer = load_tokenizer(base.located)
    count = partial(base_encoder.text_token_counts, tokenizer)
    return {"count_tokens": count, "window": base_encoder.token_limit(base.located, tokenizer, wanted=None)}


def encoder_digest(job: Job) -> str | None:
    """Return the digest of the base encoder as it is now."""
    from groundtune.tune.encoders.base_encoder import find_encoder

    return find_encoder(job.base).located.digest
