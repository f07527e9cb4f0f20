"""What a job at a provider costs at most, or why none can be started. Asks nobody."""

from datetime import date

from groundtune.tune.hosted.providers import base_of, closed, provider_of
from groundtune.tune.hosted.rows import count_tokens
from groundtune.tune.job import Bounds, Job, TuneError

EPOCHS = 3
"""Without `epochs`: said to the provider, so that the price is known before."""


def epochs_of(job: Job) -> int:
    return int(job.settings.get("epochs") or EPOCHS)


def bounds(job: Job, *, today: date) -> Bounds:
    """The price at most: a token for each byte, all epochs.

    Raises TuneError when it may be above `max_usd`, or when the base or the provider takes no job any more.
    """
    provider, limit = provider_of(job), job.settings.get("max_usd")
    if reason := closed(provider, job.base, today=today):
        hint = f"another base or provider; where that is not so any more, correct it under [providers.{provider.name}]"
        raise TuneError(reason, hint=hint)
    name, base = base_of(provider, job.base)
    about, most = count_tokens(job.rows("train"), method=job.settings["method"])
    epochs, rate = epochs_of(job), base.usd_per_million
    note = f"about {about * epochs:,} training tokens ({epochs} epochs), at most {most * epochs:,}"
    if rate is None:
        if limit is not None:
            what = f"the price of training {name} at {provider.name} is not known, so it may cost more than ${limit:g}"
            raise TuneError(what, hint=f"take max_usd out of [tune.{job.name}]; {note}")
        return Bounds(None, None, None, note)
    likely, usd = (tokens * epochs * rate / 1e6 for tokens in (about, most))
    note += f"; about ${likely:.2f} at ${rate:g} a million"
    if limit is not None and usd > limit:
        what = f"training {name} may cost ${usd:.2f}, which is above max_usd = {limit:g}"
        raise TuneError(what, hint=f"raise max_usd under [tune.{job.name}], or train on fewer rows or epochs; {note}")
    return Bounds(None, None, usd, note)
