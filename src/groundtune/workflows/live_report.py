"""What people think of two approaches on real questions, beside each other. Reads nothing, and computes nothing."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from groundtune.common.text import format_count
from groundtune.display import Block, Displayed, Line, Table
from groundtune.types import Interval

ALPHA = 0.05
FEWEST = 10
"""Values on each side below which nobody says how many more are needed."""
HOLDS = "The intervals and p-values hold at whatever moment you look, so you may stop as soon as one decides."


@dataclass(frozen=True, slots=True)
class LiveDifference:
    """The second approach minus the choice. Interval and p-value hold at every moment of a growing sample."""

    difference: float
    low: float
    high: float
    p: float
    needed: int | None
    """About how many values find it with 80% power; None when it is 0."""


@dataclass(frozen=True, slots=True)
class LiveComparison:
    """Two approaches on real questions: both on the same ones (`shadow`), or each on those of others (`split`)."""

    kind: Literal["shadow", "split"]
    choice: str
    """The approach that was the project's choice."""
    second: str
    choice_share: Interval | None
    """Share of its answers that people accepted, or found helpful; None while nobody has judged one."""
    second_share: Interval | None
    difference: LiveDifference | None
    """None while either was not judged."""
    notes: tuple[str, ...] = ()
    """What does not count, and why."""

    @property
    def judged(self) -> str:
        """What the shares are of."""
        return "accepted" if self.kind == "shadow" else "helpful"

    @property
    def n(self) -> int:
        """Pairs that were judged, or ratings on both sides."""
        sizes = [share.n for share in (self.choice_share, self.second_share) if share]
        return sum(sizes) if self.kind == "split" else max(sizes, default=0)

    @property
    def decided(self) -> bool:
        """Whether one is measurably better."""
        return self.difference is not None and self.difference.p < ALPHA

    @property
    def more(self) -> int | None:
        """About how many more pairs or ratings are needed; None when it is decided or cannot be said."""
        difference, shares = self.difference, (self.choice_share, self.second_share)
        if difference is None or self.decided or difference.needed is None:
            return None
        return max(1, difference.needed - self.n) if all(share and share.n >= FEWEST for share in shares) else None

    @property
    def sentence(self) -> str:
        """What the figures say."""
        if self.difference is None:
            return f"{self.second} beside {self.choice}: cannot tell yet, too little was judged"
        if self.decided:
            how = "better" if self.difference.difference > 0 else "worse"
            return f"{self.second} is measurably {how} than {self.choice} on real questions"
        more = "" if self.more is None else f", about {format_count(self.more, f'more {self._unit}')}"
        return f"{self.second} beside {self.choice}: cannot tell yet{more}"

    @property
    def difference_sentence(self) -> str | None:
        """How far the two are apart; None while either was not judged."""
        if self.difference is None:
            return None
        apart, *limits = (
            f"{100 * value:+.0f}".replace("-", "−")
            for value in (self.difference.difference, self.difference.low, self.difference.high)
        )
        p = "p < 0.001" if self.difference.p < 0.001 else f"p = {self.difference.p:.2g}"
        return f"{self.second} minus {self.choice}: {apart} points [{limits[0]}, {limits[1]}], {p}"

    @property
    def _unit(self) -> str:
        return "pair" if self.kind == "shadow" else "rating"

    def summary(self) -> dict[str, Any]:
        """Return the content of `--json`."""
        return {
            "kind": self.kind,
            "choice": self.choice,
            "second": self.second,
            "judged": self.judged,
            "n": self.n,
            "choice_share": self.choice_share and asdict(self.choice_share),
            "second_share": self.second_share and asdict(self.second_share),
            "difference": self.difference and asdict(self.difference),
            "decided": self.decided,
            "more": self.more,
            "sentence": self.sentence,
            "difference_sentence": self.difference_sentence,
            "notes": list(self.notes),
        }

    def blocks(self) -> Iterator[Block]:
        """Yield the sentence, the shares and what does not count."""
        yield Line(f"{self.kind}: {self.sentence}", "strong")
        shares = ((self.choice, self.choice_share), (self.second, self.second_share))
        rows = [(name, _share(share), share and share.n) for name, share in shares]
        yield Table(("approach", self.judged, "n"), rows)
        if self.difference_sentence:
            yield Line(self.difference_sentence)
        yield from (Line(note, "dim") for note in self.notes)


@dataclass(frozen=True, slots=True)
class LiveReport(Displayed):
    """What people think of approaches on real questions, from what the server has recorded."""

    comparisons: tuple[LiveComparison, ...]
    since: str | None = None
    """Only answers from this day on count; None: all."""

    def view(self) -> list[Block]:
        """Return each comparison, and what its intervals promise."""
        return [*(block for each in self.comparisons for block in each.blocks()), Line(HOLDS, "dim")]

    def summary(self) -> dict[str, Any]:
        """Return the content of `--json`."""
        return {"since": self.since, "comparisons": [each.summary() for each in self.comparisons]}


def _share(share: Interval | None) -> str | None:
    return f"{share.mean:.0%} [{share.low:.0%}, {share.high:.0%}]" if share else None
