"""What stands between an approach and a generator that costs money: the cache and the purse."""

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
    """What a run may spend; None = no limit."""
    from groundtune.models.purse import Purse

    return Purse(limit_usd)


def kept(cache: Path) -> Callable[[Generator, Prompt], Generation | None]:
    """What looks a generation up in the cache; None for one that is not there, or cannot be kept."""
    from groundtune.models.cache import GenerationCache, key_of

    found = GenerationCache(cache / GENERATIONS)

    def look(generator: Generator, prompt: Prompt) -> Generation | None:
        return found.get(key_of(generator.request(prompt))) if isinstance(generator, RepeatableGenerator) else None

    return look


def keeping(cache: Path, purse: "Purse") -> Callable[[Generator], Generator]:
    """What puts the cache and the purse around a generator; one whose work cannot be kept stays as it is."""
    from groundtune.models.cache import CachedGenerator, GenerationCache

    kept = GenerationCache(cache / GENERATIONS)

    def around(generator: Generator) -> Generator:
        if not isinstance(generator, RepeatableGenerator):
            return generator
        return CachedGenerator(generator, kept, purse=purse)

    return around
