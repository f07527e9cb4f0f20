"""The one place where configuration becomes objects. Imports of what is heavy happen inside the functions.

Nothing else reads the configuration to decide which class to use; classes take plain values.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.config import Config, ModelConfig
from groundtune.errors import MissingError, UsageError
from groundtune.fitted import Fitted
from groundtune.protocols import Approach, Embedder, Gatherer, Generator, Prices, Reranker, Store
from groundtune.types import Passage, Question

if TYPE_CHECKING:
    from groundtune.approaches.evidence import DocumentById
    from groundtune.ingest.sandbox import Sandbox
    from groundtune.ingest.split import Splitter
    from groundtune.retrieve.retriever import HybridRetriever


def embedder(config: Config) -> Embedder:
    """What turns text into vectors. Raises MissingError when an extra, a key or a model is not there."""
    chosen = config.embedder
    match chosen.kind:
        case "bundled":
            from groundtune.models.embed import BundledEmbedder

            return BundledEmbedder()
        case "local":
            from groundtune.models.embed import SentenceTransformerEmbedder

            return SentenceTransformerEmbedder(chosen.model or "", batch_size=chosen.batch_size or 16)
        case "openai":
            from groundtune.models.hosted_embed import HostedEmbedder

            return HostedEmbedder(
                model=chosen.model or "",
                base_url=chosen.base_url or "",
                api_key=key(chosen.api_key_env),
                api_key_env=chosen.api_key_env,
                dimension=chosen.dimension or 0,
                batch_size=chosen.batch_size or 64,
            )


def index_parts(config: Config, embedder: Embedder) -> dict[str, str | int]:
    """What must not change under an index without rebuilding it."""
    from groundtune.ingest.loaders import PARSER_VERSION
    from groundtune.ingest.split import SPLITTER_VERSION

    sizes = config.passages
    return {
        "parser": PARSER_VERSION,
        "splitter": f"{SPLITTER_VERSION}/{sizes.max_tokens}/{sizes.min_tokens}",
        "embedder": embedder.name,
        "embedder_digest": embedder.digest,
        "dimension": embedder.dimension,
        "language": config.language,
    }


async def store(folder: Path, *, dimension: int, language: str) -> Store:
    """The passages of one generation of the index."""
    from groundtune.retrieve.stores.lance import LanceStore

    return await LanceStore.open(folder, dimension=dimension, language=language)


def splitter(config: Config, embedder: Embedder) -> "Splitter":
    from groundtune.ingest.split import Splitter

    return Splitter(
        count_tokens=embedder.count_tokens,
        limit=embedder.max_tokens,
        max_tokens=config.passages.max_tokens,
        min_tokens=config.passages.min_tokens,
        language=config.language,
    )


def sandbox(config: Config) -> "Sandbox":
    from groundtune.ingest.sandbox import Sandbox

    return Sandbox(
        workers=min(4, os.cpu_count() or 1),
        timeout_seconds=config.documents.parser_seconds,
        memory_mb=config.documents.parser_memory_mb,
    )


def retriever(config: Config, store: Store, embedder: Embedder, fitted: Fitted) -> "HybridRetriever":
    from groundtune.retrieve.fuse import DEFAULT_DENSE_WEIGHT
    from groundtune.retrieve.retriever import HybridRetriever

    chosen = config.retrieval
    weight = chosen.dense_weight if chosen.dense_weight is not None else fitted.dense_weight
    return HybridRetriever(
        store,
        embedder,
        dense_weight=DEFAULT_DENSE_WEIGHT if weight is None else weight,
        candidates=chosen.candidates,
        reranker=_reranker(config),
        rerank_candidates=chosen.rerank_candidates,
    )


def generator(config: Config, name: str, embedder: Embedder) -> Generator:
    """The model `name` of the project file. Raises UsageError when there is none of that name."""
    if name not in config.models:
        known = ", ".join(sorted(config.models))
        raise UsageError(f"no model {name!r} in the project file", hint=f"models there: {known}")
    chosen = config.models[name]
    match chosen.kind:
        case "quote":
            return quotes(config, embedder)
        case "openai":
            return _hosted(config, chosen)
        case "local":
            raise UsageError(
                f'models.{name}: kind "local" generates nothing yet',
                hint='serve the model with vLLM, llama.cpp or Ollama and use kind = "openai" with its base_url',
            )


def quotes(config: Config, embedder: Embedder) -> Generator:
    """The generator that needs no model: sentences of the documents, verbatim."""
    from groundtune.models.quote import QuoteGenerator

    return QuoteGenerator(embedder, language=config.language)


def rag(
    config: Config, retriever: "HybridRetriever", embedder: Embedder, document: "DocumentById", fitted: Fitted
) -> Approach:
    """What `ask` uses: the default model over retrieved passages."""
    from groundtune.approaches.evidence import Retrieved

    evidence = Retrieved(retriever, document, passages=config.answers.max_passages)
    return composed(config, "rag", generator(config, "default", embedder), evidence, fitted)


def composed(config: Config, name: str, generator: Generator, evidence: Gatherer | None, fitted: Fitted) -> Approach:
    """One approach from its parts, with the project's threshold and strictness."""
    from groundtune.approaches.composed import Composed

    chosen = config.answers
    threshold = chosen.threshold if chosen.threshold is not None else fitted.threshold
    if threshold is None:
        threshold = DEFAULT_THRESHOLD
    return Composed(name, generator, evidence=evidence, threshold=threshold, strict=chosen.strict)


def unhesitating(
    config: Config, retriever: "HybridRetriever", embedder: Embedder, document: "DocumentById"
) -> Approach:
    """`rag` that answers at any confidence, to calibrate the threshold with."""
    answers = config.answers.model_copy(update={"threshold": 0.0})
    return rag(config.model_copy(update={"answers": answers}), retriever, embedder, document, Fitted())


def remote(config: Config) -> tuple[str, ...]:
    """Names of the approaches that call an endpoint."""
    return ("prompt", "rag") if config.models["default"].kind == "openai" else ()


DEFAULT_THRESHOLD = 0.3
"""Confidence of a verbatim quote below which it is held back until the project's own examples calibrate it."""


def approaches(
    config: Config,
    retriever: "HybridRetriever",
    store: Store,
    embedder: Embedder,
    document: "DocumentById",
    fitted: Fitted,
) -> dict[str, Approach]:
    """Everything that `compare` can run on this project, by name."""
    from groundtune.approaches.evidence import Retrieved, WholeCorpus

    async def everything(question: Question) -> list[Passage]:
        return await store.scan(question.scope)

    passages = config.answers.max_passages
    verbatim = quotes(config, embedder)
    evidence: Mapping[str, Gatherer] = {
        "quote-bm25": Retrieved(retriever, document, passages=passages, stage="bm25"),
        "quote-dense": Retrieved(retriever, document, passages=passages, stage="dense"),
        "quote-hybrid": Retrieved(retriever, document, passages=passages),
        "quote-corpus": WholeCorpus(everything),
    }
    found = {name: composed(config, name, verbatim, gatherer, fitted) for name, gatherer in evidence.items()}
    if config.models["default"].kind != "quote":
        model = generator(config, "default", embedder)
        found["prompt"] = composed(config, "prompt", model, None, fitted)
        found["rag"] = rag(config, retriever, embedder, document, fitted)
    return found


def key(variable: str | None) -> str | None:
    """The secret in an environment variable; None when no variable is named. Raises MissingError when it is not set."""
    if variable is None:
        return None
    value = os.environ.get(variable)
    if not value:
        raise MissingError(f"the environment variable {variable} is not set", hint=f"export {variable}=…")
    return value


def _hosted(config: Config, chosen: ModelConfig) -> Generator:
    from groundtune.models.hosted import HostedGenerator

    return HostedGenerator(
        model=chosen.model or "",
        base_url=chosen.base_url or "",
        api_key=key(chosen.api_key_env),
        api_key_env=chosen.api_key_env,
        timeout_seconds=chosen.timeout_seconds,
        temperature=chosen.temperature,
        max_output_tokens=chosen.max_output_tokens,
        prices=_prices(config, chosen.base_url or ""),
    )


def _prices(config: Config, base_url: str) -> Prices:
    from groundtune.models.prices import TokenPrices

    overrides = {name: price.model_dump(exclude_none=True) for name, price in config.prices.items()}
    return TokenPrices(base_url=base_url, overrides=overrides)


def _reranker(config: Config) -> Reranker | None:
    if config.retrieval.reranker is None:
        return None
    from groundtune.retrieve.rerank import CrossEncoderReranker

    return CrossEncoderReranker(config.retrieval.reranker)
