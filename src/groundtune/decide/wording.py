"""Figures of a verdict to words: shares, points, prices, lists of names. Decides nothing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groundtune.types import Difference, Standing

PRICE_HINT = "set it under [prices.MODEL]"

_PARTS = ("", "", "half", "a third", "a quarter", "a fifth", "a sixth", "a seventh", "an eighth", "a ninth", "a tenth")


@dataclass(frozen=True, slots=True)
class Scale:
    """How the primary score is spoken of: per cent and points where it lies between 0 and 1, else as it is."""

    primary: str
    share: bool
    unit: float
    """What 100 points are: 1 for shares, else the size of the best mean."""

    def value(self, mean: float) -> str:
        return f"{100 * mean:.0f} %" if self.share else f"{mean:.2f}"

    def gap(self, difference: float) -> str:
        size = abs(difference)
        return f"{100 * size:.1f} points" if self.share else f"{size:.2f}"

    def signed(self, difference: float) -> str:
        text = f"{100 * difference:+.1f}" if self.share else f"{difference:+.2f}"
        return ("±" + text[1:] if float(text) == 0 else text).replace("-", "−")

    def interval(self, pair: Difference) -> str:
        """`−1.2 points, 95 % interval −4.0 to +1.5`."""
        points = " points" if self.share else ""
        low, high = self.signed(pair.low), self.signed(pair.high)
        return f"{self.signed(pair.difference)}{points}, 95 % interval {low} to {high}"

    def standing(self, one: Standing) -> str:
        """`it is right in 84 % of 300 examples`."""
        mean, n = self.value(one.mean or 0.0), count(one.n, "example")
        return f"it is right in {mean} of {n}" if self._right else f"its {self.primary} is {mean} on {n}"

    def never(self, one: Standing) -> str:
        """`it is right in none of 300 examples`."""
        n = count(one.n, "example")
        return f"it is right in none of {n}" if self._right else f"its {self.primary} is 0 on each of {n}"

    @property
    def more(self) -> str:
        return "more" if self._right else "higher"

    @property
    def _right(self) -> bool:
        return self.share and self.primary == "correct"


def scale_of(standings: Sequence[Standing], primary: str) -> Scale:
    seen = [value for one in standings for value in (one.mean, one.low, one.high) if value is not None]
    share = all(-1e-9 <= value <= 1 + 1e-9 for value in seen)
    best = max((abs(one.mean) for one in standings if one.mean is not None), default=1.0)
    return Scale(primary, share, 1.0 if share else best or 1.0)


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""


def named(names: Sequence[str], *, most: int) -> str:
    """As `listed`, but of many names only the first: `a, b, c and 4 others`."""
    if len(names) <= most:
        return listed(names)
    return f"{', '.join(names[: most - 1])} and {count(len(names) - most + 1, 'other')}"


def count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def usd(price: float) -> str:
    """Dollars and cents; below a dollar two digits that say something."""
    if price >= 100:
        return f"${price:,.0f}"
    if price >= 1 or price == 0:
        return f"${price:,.2f}"
    return f"${price:.{1 - math.floor(math.log10(price))}f}"


def cheaper(price: float, other: float) -> str:
    """`costs a ninth`, or the prices where that is hard to imagine; `other` is the dearer one."""
    if price == 0:
        return "costs nothing"
    times = other / price
    if times < 1.8:
        return f"costs {100 * (1 - 1 / times):.0f} % less"
    if round(times) < len(_PARTS):
        return f"costs {_PARTS[round(times)]}"
    return f"costs {usd(price)} for 1,000 questions instead of {usd(other)}"


def often(failures: Mapping[str, int]) -> str:
    """` (most often timeout: 40)`; empty when no kind is known."""
    if not failures:
        return ""
    kind = max(failures, key=lambda name: failures[name])
    return f" (most often {kind}: {failures[kind]:,})"


def about(n: float) -> int:
    """Rounded up to two digits, as an estimate of examples is no better; at least 10."""
    step = int(10 ** max(1, math.floor(math.log10(max(n, 1))) - 1))
    return max(10, math.ceil(n / step) * step)
