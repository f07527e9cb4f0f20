"""Name the states of a citation's support, and what each counts as. Does not check citations.

An open set: another checker may report more states. A state that is not named here counts like `unchecked`.
"""

from collections.abc import Iterable

from groundtune.types import Citation, Support

EXACT = "exact"
"""The sentence is in the passage word for word."""
CLOSE = "close"
"""Its numbers, names and most of its words are together in the passage, and nothing in it contradicts them."""
MISSING = "missing"
"""The passage does not say so, or the marker refers to no passage."""
UNCITED = "uncited"
"""The sentence states something, has no marker, and not exactly one passage supports it."""
UNCHECKED = "unchecked"
"""Its words differ from the passage's, and nothing here can tell whether the meaning does."""

SUPPORTED = frozenset({EXACT, CLOSE})
UNSUPPORTED = frozenset({MISSING, UNCITED})


def is_supported(support: Support) -> bool | None:
    """Whether the state counts as supported; None when it counts neither way."""
    if support in SUPPORTED:
        return True
    return False if support in UNSUPPORTED else None


def sentence_supports(citations: Iterable[Citation]) -> dict[str, bool | None]:
    """Map each cited or uncited sentence to whether it is supported: by any of its citations, else by none.

    None where nothing counts either way.
    """
    supports: dict[str, bool | None] = {}
    for citation in citations:
        known, new = supports.get(citation.sentence), is_supported(citation.support)
        supports[citation.sentence] = True if True in (known, new) else False if False in (known, new) else None
    return supports


def is_cited(citations: Iterable[Citation]) -> bool | None:
    """Whether passages support at least half the sentences of an answer that count; None if none counts.

    An answer without any citation is not cited. Evidence beside a written text, which has no markers, does not count.
    """
    citations = list(citations)
    if citations and all(citation.marker is None and citation.source is not None for citation in citations):
        return None
    supports = sentence_supports(citations)
    counted = [supported for supported in supports.values() if supported is not None]
    if supports and not counted:
        return None
    return bool(counted) and 2 * sum(counted) >= len(counted)
