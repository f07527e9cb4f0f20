"""Build objects from the configuration. Heavy imports happen inside the functions.

No other module chooses classes from the configuration; the classes take plain values.
"""

from groundtune.build.answering import (
    DEFAULT_THRESHOLD,
    composed,
    judge,
    rag,
    unhesitating,
)
from groundtune.build.caching import (
    GENERATIONS,
    keeping,
    kept,
    purse,
)
from groundtune.build.index import (
    index_parts,
    retriever,
    sandbox,
    splitter,
    store,
)
from groundtune.build.models import (
    BUNDLED,
    embedder,
    for_many,
    forbidden,
    generator,
    key,
    nearest,
    prices,
    quotes,
    tuned,
    tuned_here,
    tuned_there,
    window,
)

__all__ = [
    "BUNDLED",
    "DEFAULT_THRESHOLD",
    "GENERATIONS",
    "composed",
    "embedder",
    "for_many",
    "forbidden",
    "generator",
    "index_parts",
    "judge",
    "keeping",
    "kept",
    "key",
    "nearest",
    "prices",
    "purse",
    "quotes",
    "rag",
    "retriever",
    "sandbox",
    "splitter",
    "store",
    "tuned",
    "tuned_here",
    "tuned_there",
    "unhesitating",
    "window",
]
