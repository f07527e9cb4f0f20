"""Check that a served model reproduces its training: with the local generator or an OpenAI-compatible server."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from groundtune import build
from groundtune.build.training_kinds import training_kind
from groundtune.common.text import one_line
from groundtune.config import Config, ModelConfig
from groundtune.errors import MissingError, ProviderError, UsageError
from groundtune.models.chat_reply import ReplyReader
from groundtune.models.connection import Connection, ConnectionOptions
from groundtune.models.dialects import dialects
from groundtune.models.openai_client import without_user
from groundtune.models.refused_parameters import Alternatives
from groundtune.protocols import ChecksModels
from groundtune.tune.artifacts import verify_artifact, write_artifact
from groundtune.tune.lora import parity_gate, serving_check
from groundtune.types import Artifact

PATH = "/chat/completions"
OPTIONAL: Alternatives = {"logprobs": [None], "temperature": [None], "max_tokens": ["max_completion_tokens", None]}
"""Parameters that some servers refuse, as in hosted_generator.py."""
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
    options: ConnectionOptions = {
        "base_url": server.url,
        "api_key": key,
        "api_key_env": server.key_env,
        "timeout_seconds": TIMEOUT_SECONDS,
    }
    offered = None if server.model else await _models(artifact, options)
    name = server.model or _only_model(offered, artifact, without_user(server.url))
    connection = Connection(name, concurrency=1, **options)
    try:
        pairs = [(recorded, await _ask(connection, recorded)) for recorded in inputs]
    except ProviderError as error:
        if error.kind == "bad_key" and not server.key_env:
            error.hint = "--key-env NAME"
        raise
    finally:
        await connection.aclose()
    return serving_check.compare_server(f"{name} at {connection.public_url}", pairs, tolerance=server.tolerance)


async def _models(artifact: Artifact, options: ConnectionOptions) -> list[str] | None:
    """Return the names of the server's models; None when it does not list them."""
    connection = Connection(artifact.id, **options)
    try:
        return await connection.models()
    finally:
        await connection.aclose()


def _only_model(names: Sequence[str] | None, artifact: Artifact, place: str) -> str:
    """Return the name of the artifact's model; a server that lists none may take any, or says why it does not."""
    if names is None:
        return artifact.id
    matching = [name for name in names if artifact.id in name] or names
    if len(matching) == 1:
        return matching[0]
    known = ", ".join(names[:10]) or "none"
    raise MissingError(f"{place} has {len(names)} models; name one", hint=f"--served-as NAME; available: {known}")


async def _ask(connection: Connection, recorded: serving_check.ReferenceOutput) -> serving_check.ServerOutput:
    """Request a completion, without the parameters that the server refuses. Raises ProviderError."""
    request: dict[str, Any] = {
        "model": connection.model,
        "messages": list(recorded.messages),
        "temperature": 0,
        "max_tokens": parity_gate.STEPS,
        "logprobs": True,
        "top_logprobs": TOP_LOGPROBS,
    }
    answer, _ = await connection.post(PATH, request, optional=OPTIONAL)
    reader = ReplyReader(hold=True)
    reader.add(answer)
    if not reader.has_choice:
        raise connection.bad_response(f"it has no choices: {one_line(json.dumps(answer))}")
    _, reply = reader.finish()
    return serving_check.ServerOutput(
        prompt_tokens=reply.usage.get("prompt_tokens"),
        text=reply.text,
        ended=(reply.finish or "").lower() in dialects().finish_reasons["whole"],
        tokens=_tokens(answer) or None,
    )


def _tokens(answer: object) -> list[dict[str, float]]:
    """Return the log-probabilities of each token by text: of the token itself, then of the likeliest others."""
    match answer:
        case {"choices": [{"logprobs": {"content": [*entries]}}, *_]}:
            return [
                {**_logprobs([entry]), **_logprobs(entry.get("top_logprobs") or ())}
                for entry in entries
                if isinstance(entry, Mapping)
            ]
        case _:
            return []


def _logprobs(entries: Sequence[Any]) -> dict[str, float]:
    """Return token text to log-probability; of two tokens with the same text, the likelier."""
    known = [
        (float(logprob), token)
        for entry in entries
        for token, logprob in [(entry.get("token"), entry.get("logprob"))]
        if isinstance(token, str) and isinstance(logprob, float | int)
    ]
    return {token: logprob for logprob, token in sorted(known)}
