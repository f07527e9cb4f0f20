"""Say what kind of approach a name is, in the words of decision guides. Knows names only."""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

Family = Literal["prompt", "rag", "fine-tune", "both"]
FAMILIES: Mapping[str, Family] = {
    "rag": "rag",
    "quote-bm25": "rag",
    "quote-dense": "rag",
    "quote-hybrid": "rag",
    "tuned": "fine-tune",
    "tuned-constrained": "fine-tune",
    "hybrid": "both",
    "combined": "both",
}
"""All others are prompts, unless they ask other approaches."""
Parts = Mapping[str, Sequence[str]]
"""Each approach that asks others, such as `cascade`, to the names of those that it asks."""


def asked_by(name: str, parts: Parts) -> tuple[str, ...]:
    """Return the approaches that answer when this one is asked, each once: itself, unless it asks others."""
    if not parts.get(name):
        return (name,)
    return tuple(dict.fromkeys(asked for part in parts[name] for asked in asked_by(part, parts)))


def family_of(name: str, parts: Parts | None = None) -> Family:
    """Return the family of an approach: `rag/short` and `rag:large` are a `rag`, `tuned@ID` is a `tuned`.

    An approach that asks others is of the family of all of them together.
    """
    families = {FAMILIES.get(re.split("[:/@]", asked)[0], "prompt") for asked in asked_by(name, parts or {})}
    retrieves, trained = not families.isdisjoint(("rag", "both")), not families.isdisjoint(("fine-tune", "both"))
    if retrieves:
        return "both" if trained else "rag"
    return "fine-tune" if trained else "prompt"
