"""Build generators, embedders and token prices from the tables of the project file."""

import os
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from groundtune.build.extension_parts import make_part, part_maker
from groundtune.config import Config, EmbedderConfig, ModelConfig
from groundtune.config.model_tables import BUILTIN_EMBEDDERS, BUILTIN_MODELS
from groundtune.errors import MissingError, UsageError
from groundtune.protocols import (
    Embedder,
    Generator,
    Prices,
)


def embedder(config: Config) -> Embedder:
    """Build the embedder of the project file.

    Raises MissingError when an extra, a key or a model is missing, UsageError when text may not be sent to its host.
    """
    chosen = config.embedder
    admit(config, "embedder", chosen)
    match chosen.kind:
        case "bundled":
            from groundtune.models.local_embedder import BundledEmbedder

            return BundledEmbedder()
        case "local":
            from groundtune.models.local_embedder import SentenceTransformerEmbedder

            return SentenceTransformerEmbedder(chosen.model or "", batch_size=chosen.batch_size or 16)
        case "openai":
            from groundtune.models.hosted_embedder import HostedEmbedder

            return HostedEmbedder(
                model=chosen.model or "",
                base_url=chosen.base_url or "",
                api_key=secret_from_env(chosen.api_key_env),
                api_key_env=chosen.api_key_env,
                dimension=chosen.dimension or 0,
                batch_size=chosen.batch_size or 64,
                passage_prefix=chosen.passage_prefix or "",
                query_prefix=chosen.query_prefix or "",
            )
        case kind:
            embedder: Embedder = make_part("embedder", kind, Embedder, place="embedder", options=chosen.options)
            return embedder


def prepare_for_many(embedder: Embedder) -> Embedder:
    """Return the embedder, set up to run at full speed from the first of many texts."""
    from groundtune.models.local_embedder import BundledEmbedder

    if isinstance(embedder, BundledEmbedder):
        embedder.use_torch()
    return embedder


def residency_violation(config: Config, model: ModelConfig | EmbedderConfig) -> str | None:
    """Why the requirements forbid sending text to this model, or None.

    The model of a package may send text anywhere, unless the function that makes it has the attribute `local = True`.
    """
    from groundtune.models.openai_client import is_local

    if model.kind not in {*BUILTIN_MODELS, *BUILTIN_EMBEDDERS}:
        noun = "embedder" if isinstance(model, EmbedderConfig) else "generator"
        return added_part_violation(config, noun, model.kind)
    allowed, url = config.requirements.residency, model.base_url or ""
    host = urlsplit(url).hostname or ""
    if model.kind != "openai" or allowed is None or is_local(url) or (allowed != "local" and host in allowed):
        return None
    return f"requirements.residency does not allow sending text to {host}"


def added_part_violation(config: Config, noun: str, name: str) -> str | None:
    """Why the requirements forbid a part that a package adds, or None. noun: what it is, such as "reranker"."""
    if config.requirements.residency is None or getattr(part_maker(noun, name), "local", False):
        return None
    return f'requirements.residency allows no {noun} "{name}" of a package, which may send text to any host'


def admit(config: Config, place: str, model: ModelConfig | EmbedderConfig) -> None:
    """Raise UsageError if the requirements forbid sending text to this model. place: its table, for the message."""
    if reason := residency_violation(config, model):
        raise UsageError(f"{place}: {reason}", hint="choose another endpoint, or allow the host under [requirements]")


def generator(
    config: Config, name: str, embedder: Callable[[], Embedder], *, patience_seconds: float = 0.0
) -> Generator:
    """Build the model `name` of the project file; `embedder` is called only if needed.

    patience_seconds: how long one request may wait for rate limits beyond the usual retries. Raises UsageError when
    there is no model of that name or text may not be sent to its host, MissingError without its key or extra.
    """
    if name not in config.models:
        known = ", ".join(sorted(config.models))
        raise UsageError(f"no model {name!r} in the project file", hint=f"choose one of {known}")
    chosen = config.models[name]
    admit(config, f"models.{name}", chosen)
    match chosen.kind:
        case "quote":
            return quote_generator(config, embedder())
        case "openai":
            return hosted_generator(config, chosen, patience_seconds)
        case "local":
            from groundtune.models.local_generator import LocalGenerator

            return LocalGenerator(
                chosen.model or "",
                device=chosen.device,
                batch_size=chosen.concurrency,
                max_output_tokens=chosen.max_output_tokens,
                temperature=chosen.temperature,
                window=chosen.window,
            )
        case kind:
            place = f"models.{name}"
            generator: Generator = make_part("generator", kind, Generator, place=place, options=chosen.options)
            return generator


def context_window(generator: Generator, model: ModelConfig) -> int | None:
    """Return the context window of a model in tokens, prompt and answer together; None if unknown."""
    from groundtune.models.prices import context_window

    known = model.window or getattr(generator, "window", None)
    return known or (context_window(model.model or "", model.base_url or "") if model.kind == "openai" else None)


def quote_generator(config: Config, embedder: Embedder) -> Generator:
    """Build the generator that quotes sentences of the documents verbatim and needs no language model."""
    from groundtune.models.quote_generator import QuoteGenerator

    return QuoteGenerator(embedder, language=config.language, usd=usd_of_vectors(config))


def nearest_generator(config: Config, embedder: Embedder, labels: Mapping[str, str]) -> Generator:
    """Build the nearest-neighbour label generator, which needs no language model."""
    from groundtune.approaches.prompts import NO_LABEL
    from groundtune.models.nearest_generator import NearestGenerator

    return NearestGenerator(embedder, labels, nothing=NO_LABEL, usd=usd_of_vectors(config))


def usd_of_vectors(config: Config) -> float | None:
    """Return the cost of an answer computed from embeddings: 0 if they are computed locally, otherwise unknown."""
    kind = config.embedder.kind
    local = kind != "openai" if kind in BUILTIN_EMBEDDERS else getattr(part_maker("embedder", kind), "local", False)
    return 0.0 if local else None


def usd_of_tokens(config: Config, tokens: int) -> float | None:
    """Return what vectors of texts with so many tokens cost: 0 if they are computed locally; None when unknown."""
    chosen = config.embedder
    if chosen.kind != "openai":
        return usd_of_vectors(config)
    return token_prices(config, chosen).usd(chosen.model or "", {"input_tokens": tokens})


def secret_from_env(variable: str | None) -> str | None:
    """Read a secret from an environment variable; None if none is named. Raises MissingError when it is not set."""
    if variable is None:
        return None
    value = os.environ.get(variable)
    if not value:
        raise MissingError(f"the environment variable {variable} is not set", hint=f"export {variable}=…")
    return value


def token_prices(config: Config, model: ModelConfig | EmbedderConfig) -> Prices:
    """Return the token prices of a model; a local model is looked up as http://localhost."""
    from groundtune.models.prices import TokenPrices

    overrides = {name: price.model_dump(exclude_none=True) for name, price in config.prices.items()}
    return TokenPrices(base_url=model.base_url or "http://localhost", overrides=overrides)


def hosted_generator(config: Config, chosen: ModelConfig, patience_seconds: float) -> Generator:
    """Build a generator that calls an OpenAI-compatible endpoint. Raises MissingError without its key."""
    from groundtune.models.hosted_generator import HostedGenerator

    return HostedGenerator(
        model=chosen.model or "",
        base_url=chosen.base_url or "",
        api_key=secret_from_env(chosen.api_key_env),
        api_key_env=chosen.api_key_env,
        timeout_seconds=chosen.timeout_seconds,
        temperature=chosen.temperature,
        max_output_tokens=chosen.max_output_tokens,
        concurrency=chosen.concurrency,
        prices=token_prices(config, chosen),
        patience_seconds=patience_seconds,
        window=chosen.window,
    )
