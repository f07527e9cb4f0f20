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
    from groundtune.models.budget import Budget


GENERATIONS = "generations.sqlite"


def budget(limit_usd: float | None = None) -> "Budget":
    """Build the budget of a run; None = no limit."""
    from groundtune.models.budget import Budget

    return Budget(limit_usd)


def cache_lookup(cache: Path) -> Callable[[Generator, Prompt], Generation | None]:
    """Return a function that looks up cached generations; it returns None for a miss or an uncacheable generator."""
    from groundtune.models.generation_cache import GenerationCache, cache_key

    generations = GenerationCache(cache / GENERATIONS)

    def look(generator: Generator, prompt: Prompt) -> Generation | None:
        return (
            generations.get(cache_key(generator.request(prompt)))
            if isinstance(generator, RepeatableGenerator)
            else None
        )

    return look


def caching_wrapper(cache: Path, budget: "Budget") -> Callable[[Generator], Generator]:
    """Return a function that adds cache and budget to a generator; generators that cannot be cached stay unchanged."""
    from groundtune.models.generation_cache import CachedGenerator, GenerationCache

    generations = GenerationCache(cache / GENERATIONS)

    def around(generator: Generator) -> Generator:
        if not isinstance(generator, RepeatableGenerator):
            return generator
        return CachedGenerator(generator, generations, budget=budget)

    return around
