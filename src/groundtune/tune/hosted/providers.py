"""What is known of fine-tuning at providers, with source and date. Data; asks nobody. Unknown is None.

Where a date or price here has gone stale, the table [providers.NAME] corrects it: `provider` in `Job.details`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from groundtune.errors import UsageError
from groundtune.tune.job import Job


@dataclass(frozen=True, slots=True)
class Base:
    """A model that can be tuned."""

    usd_per_million: float | None = None
    """Training tokens, in US dollars."""
    ends: str | None = None
    """ISO date of its shutdown, and of all that was tuned from it."""
    max_example_tokens: int | None = None
    """Of one row, where it is another number than the provider's."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A service that tunes models. The defaults are what OpenAI's API asks for; of the rest nothing is known."""

    name: str
    base_url: str | None = None
    """None: differs by account, and has to be configured."""
    api_key_env: str | None = None
    own_api: str | None = None
    """Path of its fine-tuning API, where that is not OpenAI's."""
    min_examples: int = 10
    max_example_tokens: int | None = None
    """Of one row; what is longer the provider refuses or cuts."""
    max_file_mb: float | None = None
    no_new_jobs: str | None = None
    """ISO date from which no job can be created."""
    notice: str | None = None
    """What to know before money is spent."""
    bases: Mapping[str, Base] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    read: str | None = None
    """ISO date on which the sources were read."""


# Prices: the table "Fine-tuning" of the page pricing, in stored copies. Shutdowns: the page deprecations, notices of
# 2026-05-07 (self-serve fine-tuning), 2026-04-22 (gpt-4.1-nano) and 2026-10-14 (the others).
OPENAI = Provider(
    name="openai",
    base_url="https://api.openai.com/v1",
    api_key_env="OPENAI_API_KEY",
    max_example_tokens=65_536,
    max_file_mb=512,
    no_new_jobs="2027-01-06",
    notice="since 2026-07-02 only organisations that asked a tuned model within 60 days can create jobs there",
    bases={
        "gpt-4.1-2025-04-14": Base(25.0, ends="2027-01-14"),
        "gpt-4.1-mini-2025-04-14": Base(5.0, ends="2027-01-14"),
        "gpt-4.1-nano-2025-04-14": Base(1.5, ends="2026-10-23"),
        "gpt-4o-2024-08-06": Base(25.0, ends="2027-01-14"),
        "gpt-4o-mini-2024-07-18": Base(3.0, ends="2027-01-14"),
    },
    sources=(
        "https://developers.openai.com/api/docs/deprecations",
        "https://developers.openai.com/api/docs/pricing",
        "https://developers.openai.com/api/docs/guides/supervised-fine-tuning",
    ),
    read="2026-11-21",
)
AZURE = Provider(
    name="azure",
    api_key_env="AZURE_OPENAI_API_KEY",
    notice="a tuned model is asked through a deployment of its own, which costs by the hour; make it in the portal",
    sources=(
        "https://learn.microsoft.com/azure/foundry/reference/rest/fine-tuning-list-fine-tuning-events",
        "https://learn.microsoft.com/azure/foundry/fine-tuning/cost-management",
    ),
    read="2026-11-21",
)
TOGETHER = Provider(
    name="together",
    base_url="https://api.together.ai/v1",
    api_key_env="TOGETHER_API_KEY",
    own_api="/fine-tunes",
    notice="a tuned model needs a dedicated endpoint, billed by the minute, whether it is asked or not",
    sources=("https://docs.together.ai/docs/fine-tuning/pricing", "https://docs.together.ai/reference/post-fine-tunes"),
    read="2026-11-21",
)
FIREWORKS = Provider(
    name="fireworks",
    base_url="https://api.fireworks.ai/inference/v1",
    api_key_env="FIREWORKS_API_KEY",
    own_api="/v1/accounts/ACCOUNT/supervisedFineTuningJobs",
    min_examples=3,
    notice="a tuned model needs a dedicated deployment, billed by GPU second, whether it is asked or not",
    sources=(
        "https://docs.fireworks.ai/faq/billing-pricing-usage/pricing/cost-structure",
        "https://docs.fireworks.ai/api-reference/get-supervised-fine-tuning-job",
    ),
    read="2026-11-21",
)
PROVIDERS = {one.name: one for one in (OPENAI, AZURE, TOGETHER, FIREWORKS)}


def provider_of(job: Job) -> Provider:
    """The provider, with the address and key that the job is configured with.

    A profile holds for its own address: behind another one, nothing is known but what the API asks for and what
    `Job.details` says, and no key of the profile is sent there. Raises UsageError.
    """
    name = str(job.settings.get("provider") or OPENAI.name)
    own: Mapping[str, Any] = job.details.get("provider") or {}
    base_url = job.settings.get("base_url") or own.get("base_url")
    if name not in PROVIDERS and not base_url:
        hint = f"one of {', '.join(PROVIDERS)}, or a table [providers.{name}] with base_url"
        raise UsageError(f"tune.{job.name}: no provider {name!r}", hint=hint)
    known = PROVIDERS.get(name, Provider(name))
    if base_url and known.base_url and _host(base_url) != _host(known.base_url):
        known = Provider(_host(base_url))
    bases = {model: replace(known.bases.get(model, Base()), **facts) for model, facts in own.get("bases", {}).items()}
    known = replace(known, **{**own, "bases": {**known.bases, **bases}})
    place = base_url or known.base_url
    if place is None:
        raise UsageError(f"the address of {name} differs by account", hint=f"set base_url under [tune.{job.name}]")
    if known.own_api:
        what = f"{name} has a fine-tuning API of its own ({known.own_api}), which is not OpenAI's"
        raise UsageError(what, hint="tune there by its own tools and ask the model under [models]; or kind = lora")
    return replace(known, base_url=place, api_key_env=job.settings.get("api_key_env") or known.api_key_env)


def base_of(provider: Provider, model: str) -> tuple[str, Base]:
    """Full name and facts of a base: `gpt-4o-mini` is its dated version, `ft:BASE:…` goes by its base."""
    name = model.split(":")[1] if model.startswith("ft:") and ":" in model[3:] else model
    found = next((one for one in provider.bases if one == name or one.startswith(f"{name}-20")), None)
    return (found, provider.bases[found]) if found else (name, Base())


def longest_example(provider: Provider, model: str) -> int | None:
    """Tokens that one row may have."""
    return base_of(provider, model)[1].max_example_tokens or provider.max_example_tokens


def closed(provider: Provider, model: str, *, today: date) -> str | None:
    """Why no job can be started any more; None where nothing is known against it."""
    name, base = base_of(provider, model)
    read = f" (read {provider.read})" if provider.read else ""
    if base.ends and date.fromisoformat(base.ends) <= today:
        return f"{name} is shut down since {base.ends}, and what is tuned from it with it{read}"
    if provider.no_new_jobs and date.fromisoformat(provider.no_new_jobs) <= today:
        return f"{provider.name} takes no new fine-tuning jobs since {provider.no_new_jobs}{read}"
    return None


def notices(provider: Provider, model: str, *, today: date) -> list[str]:
    """What to know before a job is started, one sentence each; what forbids it is `closed`."""
    name, base = base_of(provider, model)
    read = f" (read {provider.read})" if provider.read else ""
    found = []
    if base.ends and date.fromisoformat(base.ends) > today:
        found.append(f"{name} is shut down {_when(base.ends, today)}, and what is tuned from it with it{read}")
    if provider.no_new_jobs and date.fromisoformat(provider.no_new_jobs) > today:
        found.append(f"{provider.name} takes no new fine-tuning jobs {_when(provider.no_new_jobs, today)}{read}")
    if provider.notice:
        found.append(f"{provider.name}: {provider.notice}{read}")
    if base.usd_per_million is None:
        found.append(f"the price of training {name} at {provider.name} is not known")
    return found


def _when(day: str, today: date) -> str:
    return f"on {day}, in {(date.fromisoformat(day) - today).days} days"


def _host(base_url: str) -> str:
    return urlsplit(base_url).netloc.rpartition("@")[2]
