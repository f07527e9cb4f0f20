"""Check that a served model reproduces its training: with the local generator or an OpenAI-compatible server."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune import build
from groundtune.build.training_kinds import training_kind
from groundtune.config import Config, ModelConfig
from groundtune.errors import MissingError, UsageError
from groundtune.models.openai_client import open_client, provider_error, without_user
from groundtune.protocols import ChecksModels
from groundtune.tune.artifacts import verify_artifact, write_artifact
from groundtune.tune.lora import parity_gate, serving_check
from groundtune.types import Artifact

if TYPE_CHECKING:
    from openai import OpenAI

TIMEOUT_SECONDS = 300.0
"""Generous, because the first request may wait for the model to load."""
OWN_REASONS = (f"the {serving_check.GENERATOR}", f"the {serving_check.LEG}")
"""Beginnings of the reasons of a check with the local generator; earlier artifacts have the second one."""
TOP_LOGPROBS = 5
"""Number of top log-probabilities to request at each position."""


async def check_again(folder: Path, artifact: Artifact) -> Artifact:
    """Repeat the check that follows training, after a change of libraries or machine, and save the result.

    An artifact that failed an earlier check stays unusable. Raises GroundtuneError if its files have changed since
    training.
    """
    kind = _checking_kind(artifact)
    if artifact.unusable and not artifact.unusable.startswith(OWN_REASONS):
        return artifact
    verify_artifact(folder, replace(artifact, unusable=None))
    checked = await kind.check_model(folder, artifact)
    write_artifact(folder, checked)
    return checked


def _checking_kind(artifact: Artifact) -> ChecksModels:
    kind = training_kind(artifact.kind)
    if not isinstance(kind, ChecksModels):
        message = f"{artifact.id} is a {artifact.kind}: only causal models can be checked where they are served"
        raise UsageError(message)
    return kind


@dataclass(frozen=True, slots=True)
class Server:
    """An OpenAI-compatible server that serves an exported model."""

    url: str
    model: str | None = None
    """Model name on the server; None for its only model."""
    key_env: str | None = None
    """Environment variable that holds the API key."""
    tolerance: float = serving_check.NATS
    """Tolerance for log-probabilities, in nats."""


async def check_server(config: Config, folder: Path, artifact: Artifact, server: Server) -> serving_check.ServingCheck:
    """Send the inputs recorded with the artifact to a server, one by one, at temperature 0.

    Raises UsageError if the texts may not be sent there, MissingError if inputs, key or model are missing,
    ProviderError.
    """
    _checking_kind(artifact)
    chosen = ModelConfig.model_construct(kind="openai", base_url=server.url)
    if reason := build.residency_violation(config, chosen):
        raise UsageError(reason, hint="check it on a local server, or allow the host under [requirements]")
    inputs = serving_check.read_references(folder, artifact)
    key = build.secret_from_env(server.key_env) or ""
    place = without_user(server.url)

    def talk() -> serving_check.ServingCheck:
        from openai import OpenAIError

        client = open_client(server.url, api_key=key, timeout_seconds=TIMEOUT_SECONDS)
        try:
            name = server.model or _only_model(client, artifact, place)
            pairs = [(recorded, _ask(client, name, recorded)) for recorded in inputs]
        except OpenAIError as error:
            wrong_key = f"the environment variable {server.key_env} does not hold a valid key"
            hint = wrong_key if server.key_env else "--key-env NAME"
            raise provider_error(error, place=place, api_key=key, key_hint=hint) from error
        finally:
            client.close()
        return serving_check.compare_server(f"{name} at {place}", pairs, tolerance=server.tolerance)

    return await asyncio.to_thread(talk)


def _only_model(client: "OpenAI", artifact: Artifact, place: str) -> str:
    names = [model.id for model in client.models.list()]
    matching = [name for name in names if artifact.id in name] or names
    if len(matching) == 1:
        return matching[0]
    known = ", ".join(names[:10]) or "none"
    raise MissingError(f"{place} has {len(names)} models; name one", hint=f"--served-as NAME; available: {known}")


def _ask(client: "OpenAI", model: str, recorded: serving_check.ReferenceOutput) -> serving_check.ServerOutput:
    """Request a completion; without log-probabilities if the server rejects them."""
    from openai import APIStatusError

    request: dict[str, Any] = {
        "model": model,
        "messages": list(recorded.messages),
        "temperature": 0,
        "max_tokens": parity_gate.STEPS,
    }
    try:
        completion = client.chat.completions.create(**request, logprobs=True, top_logprobs=TOP_LOGPROBS)
    except APIStatusError as error:
        if error.status_code >= 500 or "logprob" not in str(error):
            raise
        completion = client.chat.completions.create(**request)
    choice, usage = completion.choices[0], completion.usage
    logprobs = choice.logprobs.content if choice.logprobs else None
    return serving_check.ServerOutput(
        prompt_tokens=usage.prompt_tokens if usage else None,
        text=choice.message.content or "",
        ended=choice.finish_reason == "stop",
        tokens=[{entry.token: entry.logprob, **_likeliest(entry.top_logprobs)} for entry in logprobs]
        if logprobs
        else None,
    )


def _likeliest(tops: Sequence[Any]) -> dict[str, float]:
    """Token text to log-probability; of two tokens with the same text, the likelier."""
    return {top.token: top.logprob for top in sorted(tops, key=lambda top: float(top.logprob))}
