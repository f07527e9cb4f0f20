"""How far a run went that asks until it is decided: who was dropped when. Read from run.json; decides nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from groundtune.common.text import format_count

SEED = 0
"""Of the order of the examples, which does not depend on their order in the files."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """An approach that was not asked further."""

    approach: str
    asked: int
    """Number of examples that it was asked."""
    because: str
    """The reason, worded to follow its name."""
    behind: str | None = None
    """The approach that is measurably better; None when it measurably misses a requirement."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """How far a run went that asks until it is decided."""

    examples: int
    """Number of examples at hand."""
    asked: int = 0
    """Number of examples that the remaining approaches were asked."""
    dropped: tuple[Dropped, ...] = ()
    """In the order of dropping."""
    remaining: tuple[str, ...] = ()
    seed: int = SEED
    """Of the random order."""

    @property
    def decided(self) -> bool:
        """Whether approaches were dropped, and at most one is left."""
        return bool(self.dropped) and len(self.remaining) <= 1

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "Stopping":
        """Read what `asdict` wrote into run.json."""
        dropped = tuple(Dropped(**drop) for drop in values["dropped"])
        return cls(**{**values, "dropped": dropped, "remaining": tuple(values["remaining"])})


def stopping_sentences(stopping: Stopping) -> list[str]:
    """Say who was dropped when, and what that means for the figures."""
    every = format_count(stopping.examples, "example")
    holds = "Intervals and p-values hold at whatever moment a run stops, so they are wider than for a fixed number"
    if not stopping.dropped:
        why = f"No approach was dropped: none was measurably behind after {stopping.asked:,} of {every}. "
        return [f"{why}{holds}."]
    drops = "; ".join(f"{drop.approach} after {drop.asked:,}: {drop.because}" for drop in stopping.dropped)
    return [f"Dropped, of {every} in random order: {drops}. Their figures are of these examples alone. {holds}."]
