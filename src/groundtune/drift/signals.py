"""Compare what is served now with what was served before, or with a comparison: one test for each signal.

A question that was asked several times counts once in each sample, with its latest answer: the answers to one question
are not independent, and a program that repeats one is no change of what people ask.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from groundtune.drift.served import Served
from groundtune.stats.inputs import Floats
from groundtune.stats.significance import holm
from groundtune.stats.two_samples import shift_of_shares, shift_of_values, shift_of_vectors
from groundtune.types import Interval

LEAST = 10
"""Values of a sample below which nothing is tested."""
MEASURABLE = 0.05
Reference = Literal["earlier traffic", "comparison", "kept answers"]
Unit = Literal["share", "score", "seconds", "usd", "separation"]
T = TypeVar("T", float, bool)


@dataclass(frozen=True, slots=True)
class DriftSignal:
    """One thing that was compared."""

    name: str
    unit: Unit
    reference: Reference
    n: int
    """Values now."""
    reference_n: int
    now: float | None = None
    """Share, or median; None where nothing was tested, and for questions."""
    before: float | None = None
    effect: Interval | None = None
    """Difference of the two with its 95% interval; of questions how well they can be told apart, 0.5: not at all."""
    p: float | None = None
    p_adjusted: float | None = None
    """Adjusted by Holm over all signals; below 0.05: measurable."""
    untested: str | None = None
    """Why it was not tested."""

    @property
    def measurable(self) -> bool:
        """Whether it has changed measurably."""
        return self.p_adjusted is not None and self.p_adjusted < MEASURABLE

    @property
    def rises(self) -> bool:
        """Whether it is higher than before."""
        return self.effect is not None and self.unit != "separation" and self.effect.mean > 0


def distinct(rows: Sequence[Served]) -> list[Served]:
    """Return the latest answer to each question, in order; those whose question was erased all stay."""
    latest = {row.id if row.question is None else " ".join(row.question.casefold().split()): row for row in rows}
    return list(latest.values())


def value_signals(now: Sequence[Served], before: Sequence[Served], reference: Reference) -> list[DriftSignal]:
    """Compare everything but the questions. Both samples hold distinct questions."""
    values: tuple[tuple[str, Unit, Callable[[Served], float | None]], ...] = (
        ("retrieval score", "score", lambda row: row.best_score),
        ("confidence", "score", lambda row: row.confidence),
        ("seconds", "seconds", lambda row: row.seconds),
        ("cost", "usd", lambda row: row.usd),
    )
    shares: tuple[tuple[str, Callable[[Served], bool | None]], ...] = (
        ("abstained", _abstained),
        ("unsupported citation", lambda row: row.unsupported),
        ("rated down", lambda row: "down" in row.ratings if row.ratings else None),
        ("another stood in", lambda row: row.degraded),
        ("broken off", lambda row: row.status == "broken off"),
    )
    signals = [
        _values(name, unit, reference, _known(value, now), _known(value, before)) for name, unit, value in values
    ]
    return signals + [_share(name, reference, _known(flag, now), _known(flag, before)) for name, flag in shares]


def question_signal(
    now: Floats, before: Floats, reference: Reference, *, seed: int = 0
) -> tuple[DriftSignal, Floats | None]:
    """Compare the vectors of distinct questions; return how far each one now leans away from those before too."""
    signal = DriftSignal("questions", "separation", reference, len(now), len(before))
    if min(len(now), len(before)) < LEAST:
        return replace(signal, untested=_too_few(len(now), len(before))), None
    shift = shift_of_vectors(now, before, seed=seed)
    return replace(signal, effect=shift.separation, p=shift.p), shift.leaning


def adjusted(signals: Sequence[DriftSignal]) -> list[DriftSignal]:
    """Return the signals with p-values adjusted over all of them."""
    p_values = iter(holm([signal.p for signal in signals if signal.p is not None]))
    return [replace(signal, p_adjusted=None if signal.p is None else next(p_values)) for signal in signals]


def _abstained(row: Served) -> bool | None:
    return row.status == "abstained" if row.status in ("answered", "abstained") else None


def _known(value: Callable[[Served], T | None], rows: Sequence[Served]) -> list[T]:
    return [known for row in rows if (known := value(row)) is not None]


def _values(name: str, unit: Unit, reference: Reference, now: list[float], before: list[float]) -> DriftSignal:
    signal = DriftSignal(name, unit, reference, len(now), len(before))
    if reason := _untestable(now, before):
        return replace(signal, untested=reason)
    shift = shift_of_values(now, before)
    effect = Interval(shift.difference, shift.low, shift.high, len(now) + len(before))
    return replace(signal, now=_median(now), before=_median(before), effect=effect, p=shift.p)


def _share(name: str, reference: Reference, now: list[bool], before: list[bool]) -> DriftSignal:
    signal = DriftSignal(name, "share", reference, len(now), len(before))
    if reason := _untestable(now, before):
        return replace(signal, untested=reason)
    shift = shift_of_shares(sum(now), len(now), sum(before), len(before))
    effect = Interval(shift.difference, shift.low, shift.high, len(now) + len(before))
    return replace(signal, now=sum(now) / len(now), before=sum(before) / len(before), effect=effect, p=shift.p)


def _untestable(now: Sequence[float], before: Sequence[float]) -> str | None:
    """Say why two samples cannot be told apart by any test, or return None."""
    if min(len(now), len(before)) < LEAST:
        return _too_few(len(now), len(before))
    return "the same in every case" if len({*now, *before}) == 1 else None


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _too_few(now: int, before: int) -> str:
    return f"{now:,} values now and {before:,} before; {LEAST} each are needed"
