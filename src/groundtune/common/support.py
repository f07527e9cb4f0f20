"""Name the states of a citation's support, and what each counts as. Does not check citations.

An open set: another checker may report more states. A state that is not named here counts like `unchecked`.
"""

from groundtune.types import Support

EXACT = "exact"
"""The sentence is in the passage word for word."""
CLOSE = "close"
"""Its numbers, names and most of its words are together in the passage, and nothing in it contradicts them."""
MISSING = "missing"
"""The passage does not say so, or the marker refers to no passage."""
UNCITED = "uncited"
"""The sentence states something, and has no marker."""
UNCHECKED = "unchecked"
"""Its words differ from the passage's, and nothing here can tell whether the meaning does."""

SUPPORTED = frozenset({EXACT, CLOSE})
UNSUPPORTED = frozenset({MISSING, UNCITED})


def is_supported(support: Support) -> bool | None:
    """Whether the state counts as supported; None when it counts neither way."""
    if support in SUPPORTED:
        return True
    return False if support in UNSUPPORTED else None
