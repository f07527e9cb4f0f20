"""Whether what serves a tuned model gives what was trained: our own generator, or any OpenAI-compatible server."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune import build
from groundtune.config import Config, ModelConfig
from groundtune.errors import GroundtuneError, MissingError, UsageError, need
from groundtune.openai_client import failure, open_client, without_user
from groundtune.tune.artifacts import verify, write_artifact
from groundtune.tune.lora import parity, serving
from groundtune.types import Artifact, Message, Prompt

if TYPE_CHECKING:
    from openai import OpenAI

TIMEOUT_SECONDS = 300.0
"""The first request may wait for the model to be loaded."""
LIKELIEST = 5
"""Tokens whose log-probability is asked for at each place."""


async def check_here(folder: Path, artifact: Artifact, *, device: str | None = None) -> Artifact:
    """The artifact of a causal model after it was asked as `ask` and `compare` do: with the figures of that leg, and
    marked as not usable where it gives something else than what was trained. Raises MissingError without its inputs.
    """
    asked = serving.read(folder, artifact)
    prompts = [Prompt(one.messages[-1]["content"], _messages(one.messages)) for one in asked]
    generator = build.tuned_here(artifact, folder, device=device)
    try:
        made = await generator.trace(prompts, tokens=parity.STEPS)
    except (GroundtuneError, RuntimeError, IndexError, ValueError) as error:  # RuntimeError: also out of memory
        told: dict[str, Any] = {}
        reason: str | None = f"the {serving.LEG} cannot ask it: {' '.join(str(error).split())[:300]}"
    else:
        logits = need("torch", extra="local").stack([one.logits for one in made])
        found = parity.Trace(logits, tuple(tuple(one.made) for one in made))
        told, reason = serving.judge_ours(folder, [one.prompt for one in made], found, dtype=made[0].dtype)
    legs = {**artifact.details["parity"], serving.LEG: told}
    return replace(artifact, unusable=reason, details={**artifact.details, "parity": legs})


async def check_again(folder: Path, artifact: Artifact) -> Artifact:
    """`check_here` of one that is written already, as after a change of libraries or machine; writes what came of it.

    One that an earlier leg made unusable stays so. Raises GroundtuneError when its files are not those of the training.
    """
    _only_causal(artifact)
    if artifact.unusable and not artifact.unusable.startswith(f"the {serving.LEG}"):
        return artifact
    verify(folder, replace(artifact, unusable=None))
    found = await check_here(folder, artifact)
    write_artifact(folder, found)
    return found


def _only_causal(artifact: Artifact) -> None:
    if artifact.kind != "lora":
        raise UsageError(f"{artifact.id} is a {artifact.kind}: only causal models are checked where they are served")


@dataclass(frozen=True, slots=True)
class Server:
    """An OpenAI-compatible server that a model was exported to."""

    url: str
    model: str | None = None
    """Its name there; None: the only one that the server has."""
    key_env: str | None = None
    """The variable that holds the key."""
    tolerance: float = serving.NATS
    """Of log-probabilities, in nats."""


async def check_server(config: Config, folder: Path, artifact: Artifact, server: Server) -> serving.Check:
    """Asks a server the inputs that are kept beside the artifact, one by one, at temperature 0.

    Raises UsageError when the texts must not go there, MissingError without inputs, key or model, ProviderError.
    """
    _only_causal(artifact)
    chosen = ModelConfig.model_construct(kind="openai", base_url=server.url)
    if reason := build.forbidden(config, chosen):
        raise UsageError(reason, hint="check it on a server of this machine, or allow the host under [requirements]")
    asked = serving.read(folder, artifact)
    key = build.key(server.key_env) or ""
    place = without_user(server.url)

    def talk() -> serving.Check:
        from openai import OpenAIError

        client = open_client(server.url, api_key=key, timeout_seconds=TIMEOUT_SECONDS)
        try:
            name = server.model or _only_model(client, artifact, place)
            pairs = [(one, _ask(client, name, one)) for one in asked]
        except OpenAIError as error:
            hint = f"the variable {server.key_env} holds the wrong key" if server.key_env else "--key-env NAME"
            raise failure(error, place=place, api_key=key, key_hint=hint) from error
        finally:
            client.close()
        return serving.judge_server(f"{name} at {place}", pairs, tolerance=server.tolerance)

    return await asyncio.to_thread(talk)


def _only_model(client: "OpenAI", artifact: Artifact, place: str) -> str:
    names = [one.id for one in client.models.list()]
    own = [name for name in names if artifact.id in name] or names
    if len(own) == 1:
        return own[0]
    known = ", ".join(names[:10]) or "none"
    raise MissingError(f"{place} has {len(names)} models: which one is it?", hint=f"--served-as NAME; there: {known}")


def _ask(client: "OpenAI", model: str, asked: serving.Asked) -> serving.Served:
    """Without log-probabilities where the server refuses to tell them."""
    from openai import APIStatusError

    request: dict[str, Any] = {
        "model": model,
        "messages": list(asked.messages),
        "temperature": 0,
        "max_tokens": parity.STEPS,
    }
    try:
        made = client.chat.completions.create(**request, logprobs=True, top_logprobs=LIKELIEST)
    except APIStatusError as error:
        if error.status_code >= 500 or "logprob" not in str(error):
            raise
        made = client.chat.completions.create(**request)
    choice, usage = made.choices[0], made.usage
    told = choice.logprobs.content if choice.logprobs else None
    return serving.Served(
        prompt_tokens=usage.prompt_tokens if usage else None,
        text=choice.message.content or "",
        ended=choice.finish_reason == "stop",
        tokens=[{one.token: one.logprob, **_likeliest(one.top_logprobs)} for one in told] if told else None,
    )


def _likeliest(tops: Sequence[Any]) -> dict[str, float]:
    """The likelier of two tokens with one text stays."""
    return {top.token: top.logprob for top in sorted(tops, key=lambda top: float(top.logprob))}


def _messages(turns: Sequence[Any]) -> tuple[Message, ...]:
    return tuple(Message(turn["role"], turn["content"]) for turn in turns)
