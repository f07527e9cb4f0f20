"""Build objects from the configuration. Heavy imports happen inside the functions.

No other module chooses classes from the configuration; the classes take plain values.
"""

from typing import TYPE_CHECKING

from groundtune.build.approaches import (
    QUOTE_THRESHOLD,
    compose_approach,
    judge,
    retrieved_context,
    support_checker,
)
from groundtune.build.cache_and_budget import (
    GENERATIONS,
    budget,
    cache_lookup,
    caching_wrapper,
)
from groundtune.build.extension_parts import make_part, used_parts
from groundtune.build.index_parts import (
    chunker,
    index_parts,
    is_added_reranker,
    retriever,
    sandbox,
)
from groundtune.build.index_storage import (
    index_storage,
    local_index,
    scratch_index,
)
from groundtune.build.models import (
    added_part_violation,
    context_window,
    embedder,
    generator,
    nearest_generator,
    prepare_for_many,
    quote_generator,
    residency_violation,
    secret_from_env,
    token_prices,
    usd_of_vectors,
)
from groundtune.build.sources import configured_source, source_folders, sources

if TYPE_CHECKING:
    from groundtune.models.budget import Budget as Budget

__all__ = [
    "GENERATIONS",
    "QUOTE_THRESHOLD",
    "added_part_violation",
    "budget",
    "cache_lookup",
    "caching_wrapper",
    "chunker",
    "compose_approach",
    "configured_source",
    "context_window",
    "embedder",
    "generator",
    "index_parts",
    "index_storage",
    "is_added_reranker",
    "judge",
    "local_index",
    "make_part",
    "nearest_generator",
    "prepare_for_many",
    "quote_generator",
    "residency_violation",
    "retrieved_context",
    "retriever",
    "sandbox",
    "scratch_index",
    "secret_from_env",
    "source_folders",
    "sources",
    "support_checker",
    "token_prices",
    "usd_of_vectors",
    "used_parts",
]
