"""Bound what a job at a provider costs, or say why none can be started. Sends nothing."""

from datetime import date

from groundtune.common.text import format_count
from groundtune.tune.hosted.providers import find_hosted_base, provider_of, why_closed
from groundtune.tune.hosted.upload_files import count_tokens
from groundtune.tune.job import Bounds, Job, TuneError

EPOCHS = 3
"""Default of `epochs`: sent to the provider, so that the price is known in advance."""


def epochs_of(job: Job) -> int:
    return int(job.settings.get("epochs") or EPOCHS)


def estimate_bounds(job: Job, *, today: date) -> Bounds:
    """Return the highest price: one token per byte, all epochs.

    Raises TuneError if it may exceed `max_usd`, or if the provider no longer accepts jobs or no longer for this model.
    """
    provider, limit = provider_of(job), job.settings.get("max_usd")
    if reason := why_closed(provider, job.base, today=today):
        correct = f"if this is out of date, correct it under [providers.{provider.name}]"
        hint = f"use a different base model or provider; {correct}"
        raise TuneError(reason, hint=hint)
    name, base = find_hosted_base(provider, job.base)
    likely_tokens, most_tokens = count_tokens(job.rows("train"), method=job.settings["method"])
    epochs, rate = epochs_of(job), base.usd_per_million
    passes = format_count(epochs, "epoch")
    note = f"about {likely_tokens * epochs:,} training tokens ({passes}), at most {most_tokens * epochs:,}"
    if rate is None:
        if limit is not None:
            message = f"the price of training {name} at {provider.name} is unknown, so it may cost more than ${limit:g}"
            raise TuneError(message, hint=f"remove max_usd from [tune.{job.name}]; {note}")
        return Bounds(None, None, None, note)
    likely, usd = (tokens * epochs * rate / 1e6 for tokens in (likely_tokens, most_tokens))
    note += f"; about ${likely:.2f} at ${rate:g} per million"
    if limit is not None and usd > limit:
        message = f"training {name} may cost ${usd:.2f}, which is above max_usd = {limit:g}"
        raise TuneError(
            message, hint=f"raise max_usd under [tune.{job.name}], or train on fewer rows or epochs; {note}"
        )
    return Bounds(None, None, usd, note)
