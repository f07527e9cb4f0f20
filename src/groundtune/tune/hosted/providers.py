"""Facts about fine-tuning at providers, with source and date. Data only; sends nothing. Unknown is None.

When a date or price here is out of date, the table [providers.NAME] corrects it (passed as `provider` in
`Job.details`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from groundtune.common.text import format_count
from groundtune.errors import UsageError
from groundtune.models.connection import server_at
from groundtune.tune.job import Job


@dataclass(frozen=True, slots=True)
class HostedBase:
    """A model that can be fine-tuned."""

    usd_per_million: float | None = None
    """Price of a million training tokens, in US dollars."""
    ends: str | None = None
    """ISO date of its shutdown, and of all models tuned from it."""
    max_example_tokens: int | None = None
    """Longest row in tokens, where it differs from the provider's."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A service that fine-tunes models. The defaults are those of OpenAI's API."""

    name: str
    base_url: str | None = None
    """None when it depends on the account and has to be configured."""
    api_key_env: str | None = None
    own_api: str | None = None
    """Path of its fine-tuning API, when that is not OpenAI's and `dialects.toml` does not name it."""
    min_examples: int = 10
    max_example_tokens: int | None = None
    """Longest row in tokens; the provider rejects or truncates longer ones."""
    max_file_mb: float | None = None
    no_new_jobs: str | None = None
    """ISO date from which no jobs can be created."""
    notice: str | None = None
    """Caveat to read before money is spent."""
    bases: Mapping[str, HostedBase] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    read: str | None = None
    """ISO date on which the sources were read."""


# Prices: the table "Fine-tuning" of the pricing page, in stored copies. Shutdowns: the deprecations page, notices of
# 2026-05-07 (self-serve fine-tuning), 2026-04-22 (gpt-4.1-nano) and 2026-10-14 (the others).
OPENAI = Provider(
    name="openai",
    base_url="https://api.openai.com/v1",
    api_key_env="OPENAI_API_KEY",
    max_example_tokens=65_536,
    max_file_mb=512,
    no_new_jobs="2027-01-06",
    notice="since 2026-07-02 only organisations that used a tuned model within 60 days can create jobs there",
    bases={
        "gpt-4.1-2025-04-14": HostedBase(25.0, ends="2027-01-14"),
        "gpt-4.1-mini-2025-04-14": HostedBase(5.0, ends="2027-01-14"),
        "gpt-4.1-nano-2025-04-14": HostedBase(1.5, ends="2026-10-23"),
        "gpt-4o-2024-08-06": HostedBase(25.0, ends="2027-01-14"),
        "gpt-4o-mini-2024-07-18": HostedBase(3.0, ends="2027-01-14"),
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
    notice="a tuned model needs a deployment of its own, billed by the hour; create it in the portal",
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
    notice="a tuned model needs a dedicated endpoint, billed by the minute, whether it is used or not",
    sources=("https://docs.together.ai/docs/fine-tuning/pricing", "https://docs.together.ai/reference/post-fine-tunes"),
    read="2026-11-21",
)
FIREWORKS = Provider(
    name="fireworks",
    base_url="https://api.fireworks.ai/inference/v1",
    api_key_env="FIREWORKS_API_KEY",
    own_api="/v1/accounts/ACCOUNT/supervisedFineTuningJobs",
    min_examples=3,
    notice="a tuned model needs a dedicated deployment, billed by GPU second, whether it is used or not",
    sources=(
        "https://docs.fireworks.ai/faq/billing-pricing-usage/pricing/cost-structure",
        "https://docs.fireworks.ai/api-reference/get-supervised-fine-tuning-job",
    ),
    read="2026-11-21",
)
MISTRAL = Provider(
    name="mistral",
    base_url="https://api.mistral.ai/v1",
    api_key_env="MISTRAL_API_KEY",
    sources=("https://docs.mistral.ai/api/endpoint/fine-tuning",),
    read="2026-11-28",
)
PROVIDERS = {profile.name: profile for profile in (OPENAI, AZURE, TOGETHER, MISTRAL, FIREWORKS)}


def provider_of(job: Job) -> Provider:
    """Return the provider, with the address and key that the job is configured with.

    A profile applies only to its own base URL. At any other URL, only OpenAI's API and the values in `Job.details` are
    assumed, and the profile's API key is not sent. Raises UsageError.
    """
    name = str(job.settings.get("provider") or OPENAI.name)
    configured: Mapping[str, Any] = job.details.get("provider") or {}
    base_url = job.settings.get("base_url") or configured.get("base_url")
    if name not in PROVIDERS and not base_url:
        hint = f"use one of {', '.join(PROVIDERS)}, or add a table [providers.{name}] with base_url"
        raise UsageError(f"tune.{job.name}: unknown provider {name!r}", hint=hint)
    known = PROVIDERS.get(name, Provider(name))
    if base_url and known.base_url and _host(base_url) != _host(known.base_url):
        known = Provider(_host(base_url))
    bases = {
        model: replace(known.bases.get(model, HostedBase()), **facts)
        for model, facts in configured.get("bases", {}).items()
    }
    known = replace(known, **{**configured, "bases": {**known.bases, **bases}})
    address = base_url or known.base_url
    if address is None:
        raise UsageError(f"the base URL of {name} depends on the account", hint=f"set base_url under [tune.{job.name}]")
    server = server_at(address)
    if own_api := known.own_api or (server and server.own_tuning_api):
        message = f"{known.name} has a fine-tuning API of its own ({own_api}), which is not OpenAI's"
        raise UsageError(
            message, hint="tune there with its own tools and use the model under [models]; or set kind = lora"
        )
    return replace(known, base_url=address, api_key_env=job.settings.get("api_key_env") or known.api_key_env)


def find_hosted_base(provider: Provider, model: str) -> tuple[str, HostedBase]:
    """Return the full name and facts of a base model: `gpt-4o-mini` is its dated version, `ft:BASE:…` is BASE."""
    name = model.split(":")[1] if model.startswith("ft:") and ":" in model[3:] else model
    known = next((base for base in provider.bases if base == name or base.startswith(f"{name}-20")), None)
    return (known, provider.bases[known]) if known else (name, HostedBase())


def longest_example(provider: Provider, model: str) -> int | None:
    """Return the maximum number of tokens of one row."""
    return find_hosted_base(provider, model)[1].max_example_tokens or provider.max_example_tokens


def why_closed(provider: Provider, model: str, *, today: date) -> str | None:
    """Why no job can be started any more; None when nothing known forbids it."""
    name, base = find_hosted_base(provider, model)
    read = f" (read {provider.read})" if provider.read else ""
    if base.ends and date.fromisoformat(base.ends) <= today:
        return f"{name} was shut down on {base.ends}, and with it everything tuned from it{read}"
    if provider.no_new_jobs and date.fromisoformat(provider.no_new_jobs) <= today:
        return f"{provider.name} has taken no new fine-tuning jobs since {provider.no_new_jobs}{read}"
    return None


def provider_caveats(provider: Provider, model: str, *, today: date) -> list[str]:
    """Return caveats to know before a job is started, one sentence each; `why_closed` says whether jobs can be started
    at all.
    """
    name, base = find_hosted_base(provider, model)
    read = f" (read {provider.read})" if provider.read else ""
    caveats = []
    if base.ends and date.fromisoformat(base.ends) > today:
        caveats.append(
            f"{name} will be shut down on {_when(base.ends, today)}, and with it everything tuned from it{read}"
        )
    if provider.no_new_jobs and date.fromisoformat(provider.no_new_jobs) > today:
        caveats.append(
            f"{provider.name} will take no new fine-tuning jobs from {_when(provider.no_new_jobs, today)}{read}"
        )
    if provider.notice:
        caveats.append(f"{provider.name}: {provider.notice}{read}")
    if base.usd_per_million is None:
        caveats.append(f"the price of training {name} at {provider.name} is unknown")
    return caveats


def _when(day: str, today: date) -> str:
    return f"{day}, in {format_count((date.fromisoformat(day) - today).days, 'day')}"


def _host(base_url: str) -> str:
    return urlsplit(base_url).netloc.rpartition("@")[2]
