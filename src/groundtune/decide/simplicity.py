"""Say which of several approaches is simpler, and what a combination is made of. Knows names only, measures nothing."""

import re
from collections.abc import Iterator, Sequence

SIMPLEST_FIRST = (
    ("prompt",),
    ("constrained",),
    ("fewshot-fixed",),
    ("fewshot",),
    ("fewshot-constrained",),
    ("nearest", "quote-bm25", "quote-dense"),
    ("quote-corpus", "quote-hybrid"),
    ("context",),
    ("rag",),
    ("tuned",),
    ("tuned-constrained",),
    ("hybrid",),
    ("combined",),
    ("cascade", "routed"),
)
"""Kinds of approaches by how much has to be built, run and kept up to date. Those in one row are equally simple."""
COMBINATIONS = ("hybrid", "combined", "cascade", "routed")
PARTS = {"hybrid": ("tuned", "rag")}
"""What a combination is made of. Those that are not listed choose among all other approaches."""


def simplest(names: Sequence[str]) -> str | None:
    """Return the simplest of several approaches; None if two are equally simple, or the place of one is not known.

    A further model or prompt is as simple as the first: `rag:large` and `rag/short` are a `rag`, `tuned@ID` a `tuned`.
    """
    places = {name: _place(name) for name in names}
    known = [place for place in places.values() if place is not None]
    if len(known) < len(names) or known.count(min(known)) > 1:
        return None
    return min(places, key=lambda name: places[name] or 0)


def parts_of(name: str, others: Sequence[str]) -> Iterator[str]:
    """Yield the approaches that a combination is made of; none for any other approach."""
    kind = _kind(name)
    if kind in COMBINATIONS:
        made_of = PARTS.get(kind)
        for other in others:
            if (_kind(other) not in COMBINATIONS) if made_of is None else (_kind(other) in made_of):
                yield other


def _place(name: str) -> int | None:
    kind = _kind(name)
    return next((place for place, kinds in enumerate(SIMPLEST_FIRST) if kind in kinds), None)


def _kind(name: str) -> str:
    return re.split(r"[@:/]", name, maxsplit=1)[0]
