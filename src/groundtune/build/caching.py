"""Wrap paid generators in the generation cache and the budget."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.protocols import (
    Generator,
    RepeatableGenerator,
)
from groundtune.types import Generation, Prompt

if TYPE_CHECKING:
    from groundtune.models.purse import Purse


GENERATIONS = "generations.sqlite"


def purse(limit_usd: float | None = None) -> "Purse":
    """Build the budget of a run; None = no limit."""
    from groundtune.models.purse import Purse

    return Purse(limit_usd)


def kept(cache: Path) -> Callable[[Generator, Prompt], Generation | None]:
    """Return a function that looks up cached generations; it returns None for a miss or an uncacheable generator."""
    from groundtune.models.cache import GenerationCache, key_of

    generations = GenerationCache(cache / GENERATIONS)

    def look(generator: Generator, prompt: Prompt) -> Generation | None:
        return (
            generations.get(key_of(generator.request(prompt))) if isinstance(generator, RepeatableGenerator) else None
        )

    return look


def keeping(cache: Path, purse: "Purse") -> Callable[[Generator], Generator]:
    """Return a function that adds cache and budget to a generator; generators that cannot be cached stay unchanged."""
    from groundtune.models.cache import CachedGenerator, GenerationCache

    generations = GenerationCache(cache / GENERATIONS)

    def around(generator: Generator) -> Generator:
        if not isinstance(generator, RepeatableGenerator):
            return generator
        return CachedGenerator(generator, generations, purse=purse)

    return around
