"""Know the prefixes that well-known embedding models expect. Never adds them: the project file says which to use."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class EmbeddingFamily:
    """Prefixes that a family of models was trained with, and where they are documented."""

    name: str
    passage: str
    query: str
    source: str


def embedding_family(model: str) -> EmbeddingFamily | None:
    """Return the family of a model, by its name at an endpoint such as `nomic-embed-text:v1.5`; None if unknown."""
    plain = "-" + re.sub(r"[/_\s]", "-", model.lower())
    return next((family for family in _families() if f"-{family.name}" in plain), None)


@cache
def _families() -> tuple[EmbeddingFamily, ...]:
    table = tomllib.loads(files(__package__).joinpath("embedding_families.toml").read_text("utf-8"))
    return tuple(EmbeddingFamily(**family) for family in table["family"])
