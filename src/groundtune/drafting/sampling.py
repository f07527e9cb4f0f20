"""Take items of many files in turn, so that large files do not drown small ones. Deterministic for a seed."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import TypeVar

Item = TypeVar("Item")


def shuffled(items: Iterable[Item], seed: str, key: Callable[[Item], str]) -> list[Item]:
    """Return the items in an order that depends on the seed and on their keys alone."""
    return sorted(items, key=lambda item: sha256(f"{seed}\n{key(item)}".encode(errors="surrogatepass")).digest())


def in_turn(files: Sequence[str], items_of: Callable[[str], Sequence[Item]]) -> Iterator[Item]:
    """Yield the first item of every file, then the second of every file that has one, and so on."""
    place = 0
    while files:
        files = [file for file in files if place < len(items_of(file))]
        for file in files:
            yield items_of(file)[place]
        place += 1


def spread(
    items: Iterable[Item], seed: str, *, stratum: Callable[[Item], str], key: Callable[[Item], str]
) -> list[Item]:
    """Return all items, taking the strata in turn; both strata and the items of each are shuffled."""
    strata: defaultdict[str, list[Item]] = defaultdict(list)
    for item in shuffled(items, seed, key):
        strata[stratum(item)].append(item)
    return list(in_turn(shuffled(strata, seed, str), strata.__getitem__))
