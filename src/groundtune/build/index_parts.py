"""Build the parts that create an index and search it."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.build.extension_parts import make_part
from groundtune.build.models import added_part_violation
from groundtune.config import Config
from groundtune.config.fitted_values import Fitted
from groundtune.config.project_file import PassagesConfig
from groundtune.errors import MissingError, UsageError
from groundtune.extensions import how_to_get, load_extensions
from groundtune.protocols import Embedder, Reranker, Store

if TYPE_CHECKING:
    from groundtune.ingest.chunker import Chunker
    from groundtune.ingest.sandbox import Sandbox
    from groundtune.ingest.splitting.spans import Strategy
    from groundtune.retrieve.retriever import HybridRetriever


def index_parts(config: Config, embedder: Embedder) -> dict[str, str | int]:
    """Return the settings that cannot change without rebuilding the index."""
    from groundtune.ingest.chunker import CHUNKER_VERSION
    from groundtune.ingest.loaders import PARSER_VERSION

    return {
        "parser": PARSER_VERSION,
        "splitter": f"{CHUNKER_VERSION}/{_splitting(config.passages)}",
        "embedder": embedder.name,
        "embedder_digest": embedder.digest,
        "dimension": embedder.dimension,
        "language": config.language,
    }


def chunker(config: Config, embedder: Embedder) -> "Chunker":
    from groundtune.ingest.chunker import Chunker

    return Chunker(
        count_tokens=embedder.count_tokens,
        limit=embedder.max_tokens,
        max_tokens=config.passages.max_tokens,
        strategy=_strategy(config.passages),
        context=config.passages.context,
        language=config.language,
    )


def _strategy(passages: PassagesConfig) -> "Strategy":
    from groundtune.ingest.splitting import fixed_tokens, paragraphs, parent_child, sentence_window, whole_document

    least, parent = passages.min_tokens, passages.parent_tokens
    match passages.strategy:
        case "paragraph":
            return partial(paragraphs.split, min_tokens=least)
        case "fixed":
            return partial(fixed_tokens.split, overlap_tokens=passages.overlap_tokens)
        case "sentence-window":
            return partial(sentence_window.split, window=passages.window)
        case "parent-child":
            return partial(parent_child.split, min_tokens=least, parent_tokens=parent)
        case "document":
            return partial(whole_document.split, min_tokens=least, parent_tokens=parent)


def _splitting(passages: PassagesConfig) -> str:
    """Return the settings that the passages depend on: `220/60` for paragraphs with the usual context."""
    keys = {
        "paragraph": ("min_tokens",),
        "fixed": ("overlap_tokens",),
        "sentence-window": ("window",),
        "parent-child": ("min_tokens", "parent_tokens"),
        "document": ("min_tokens", "parent_tokens"),
    }[passages.strategy]
    sizes = [passages.max_tokens, *(getattr(passages, key) for key in keys)]
    return "/".join(
        [
            *([] if passages.strategy == "paragraph" else [passages.strategy]),
            *map(str, sizes),
            *([] if passages.context == "headings" else [passages.context]),
        ]
    )


def sandbox(config: Config) -> "Sandbox":
    from groundtune.ingest.sandbox import Sandbox

    return Sandbox(
        workers=min(4, os.cpu_count() or 1),
        timeout_seconds=config.documents.parser_seconds,
        memory_mb=config.documents.parser_memory_mb,
        replaced=config.documents.loaders,
    )


def retriever(config: Config, store: Store, embedder: Embedder, fitted: Fitted) -> "HybridRetriever":
    from groundtune.retrieve.fusion import DEFAULT_DENSE_WEIGHT
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
        language=config.language,
    )


def _reranker(config: Config) -> Reranker | None:
    if config.retrieval.reranker is None:
        return None
    name = config.retrieval.reranker
    if is_added_reranker(name):
        if reason := added_part_violation(config, "reranker", name):
            raise UsageError(f"retrieval.reranker: {reason}", hint="choose another one")
        reranker: Reranker = make_part("reranker", name, Reranker, place="retrieval.reranker")
        return reranker
    from groundtune.retrieve.reranker import CrossEncoderReranker

    return CrossEncoderReranker(config.retrieval.reranker)


def is_added_reranker(name: str) -> bool:
    """Whether a package adds this reranker; otherwise it is a model. Raises MissingError when it is neither."""
    if "/" in name or Path(name).is_dir():
        return False
    if name not in load_extensions().rerankers:
        why = how_to_get("reranker", name)
        raise MissingError(f'there is no reranker "{name}" ({why}; a model on the hub is written OWNER/NAME)')
    return True
