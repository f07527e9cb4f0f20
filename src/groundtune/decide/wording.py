"""Put the figures of a verdict into words: percentages, points, prices, lists of names. Decides nothing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groundtune.common.text import format_count
from groundtune.types import ApproachSummary, Difference

PRICE_HINT = "set it under [prices.MODEL]"

_FRACTIONS = (
    "", "", "half", "a third", "a quarter", "a fifth", "a sixth", "a seventh", "an eighth", "a ninth", "a tenth",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scale:
    """How the primary score is written.

    Percentages and percentage points if the score is between 0 and 1, otherwise the plain number.
    """

    primary: str
    is_share: bool
    unit: float
    """The size of 100 points: 1 for scores between 0 and 1, otherwise the best mean."""

    def value(self, mean: float) -> str:
        return f"{100 * mean:.0f}%" if self.is_share else f"{mean:.2f}"

    def unsigned(self, difference: float) -> str:
        size = abs(difference)
        return f"{100 * size:.1f} points" if self.is_share else f"{size:.2f}"

    def signed(self, difference: float) -> str:
        text = f"{100 * difference:+.1f}" if self.is_share else f"{difference:+.2f}"
        return ("±" + text[1:] if float(text) == 0 else text).replace("-", "−")

    def interval(self, pair: Difference) -> str:
        """`−1.2 points, 95% interval −4.0 to +1.5`."""
        points = " points" if self.is_share else ""
        low, high = self.signed(pair.low), self.signed(pair.high)
        return f"{self.signed(pair.difference)}{points}, 95% interval {low} to {high}"

    def describe_score(self, summary: ApproachSummary) -> str:
        """`it answers 84% of 300 examples correctly`."""
        mean, n = self.value(summary.mean or 0.0), format_count(summary.n, "example")
        return (
            f"it answers {mean} of {n} correctly" if self._is_accuracy else f"its mean {self.primary} is {mean} on {n}"
        )

    def zero_score(self, summary: ApproachSummary) -> str:
        """`it answers none of 300 examples correctly`."""
        n = format_count(summary.n, "example")
        return f"it answers none of {n} correctly" if self._is_accuracy else f"its mean {self.primary} is 0 on {n}"

    def comparative(self, other: str) -> str:
        """`more than rag`, or `higher than that of rag`."""
        return f"more than {other}" if self._is_accuracy else f"higher than that of {other}"

    @property
    def _is_accuracy(self) -> bool:
        return self.is_share and self.primary == "correct"


def scale_of(summaries: Sequence[ApproachSummary], primary: str) -> Scale:
    values = [
        value
        for summary in summaries
        for value in (summary.mean, summary.low, summary.high)
        if value is not None
    ]  # fmt: skip
    share = all(-1e-9 <= value <= 1 + 1e-9 for value in values)
    best = max((abs(summary.mean) for summary in summaries if summary.mean is not None), default=1.0)
    return Scale(primary, share, 1.0 if share else best or 1.0)


def join_names(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""


def shorten_names(names: Sequence[str], *, most: int) -> str:
    """Join names as `join_names` does, but shorten a long list: `a, b, c and 4 others`."""
    if len(names) <= most:
        return join_names(names)
    return f"{', '.join(names[: most - 1])} and {format_count(len(names) - most + 1, 'other')}"


def usd(price: float) -> str:
    """Dollars and cents; below a dollar, two significant digits."""
    if price >= 100:
        return f"${price:,.0f}"
    if price >= 1 or price == 0:
        return f"${price:,.2f}"
    return f"${price:.{1 - math.floor(math.log10(price))}f}"


def relative_cost(price: float, other: float) -> str:
    """`costs a ninth as much`, or both prices where the ratio is too large to picture; `other` is the higher price."""
    if price == 0:
        return "costs nothing"
    ratio = other / price
    if ratio < 1.8:
        return f"costs {100 * (1 - 1 / ratio):.0f}% less"
    if round(ratio) < len(_FRACTIONS):
        return f"costs {_FRACTIONS[round(ratio)]} as much"
    return f"costs {usd(price)} instead of {usd(other)} per 1,000 questions"


def in_batches(summary: ApproachSummary) -> str:
    """` in batches of about 8`, where its latencies are those of whole batches; else empty."""
    size = summary.answers_per_batch
    return "" if size is None else f" in batches of about {size:.0f}"


def p_value(p: float) -> str:
    """`p = 0.017`, or `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def most_common_failure(failures: Mapping[str, int]) -> str:
    """` (most common: timeout, 40)`; empty when no kind is known."""
    if not failures:
        return ""
    kind = max(failures, key=lambda name: failures[name])
    return f" (most common: {kind}, {failures[kind]:,})"


def round_up_estimate(n: float) -> int:
    """Round up to two digits, because an estimated number of examples is no more precise; at least 10."""
    step = int(10 ** max(1, math.floor(math.log10(max(n, 1))) - 1))
    return max(10, math.ceil(n / step) * step)
