"""Say what kind of approach a name is, in the words of decision guides. Knows names only."""

import re
from collections.abc import Mapping
from typing import Literal

Family = Literal["prompt", "rag", "fine-tune", "both"]
FAMILIES: Mapping[str, Family] = {
    "rag": "rag",
    "quote-bm25": "rag",
    "quote-dense": "rag",
    "quote-hybrid": "rag",
    "cascade": "rag",
    "routed": "rag",
    "tuned": "fine-tune",
    "tuned-constrained": "fine-tune",
    "hybrid": "both",
}
"""All others are prompts."""


def family_of(name: str) -> Family:
    """Return the family of an approach: `rag/short` and `rag:large` are a `rag`, `tuned@ID` is a `tuned`."""
    return FAMILIES.get(re.split("[:/@]", name)[0], "prompt")
