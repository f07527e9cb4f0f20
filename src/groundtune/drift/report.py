"""Whether what is served has drifted, in one report. Computes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from groundtune.common.text import format_count, one_line
from groundtune.display import Block, Displayed, Line, Table
from groundtune.drift.advice import DriftAction, ToLabel
from groundtune.drift.canary import CanaryCheck
from groundtune.drift.signals import DriftSignal
from groundtune.stats.unlabelled import UnlabelledAccuracy
from groundtune.types import Interval

SHOWN = 40
"""Questions to label that are shown; the report has all."""


@dataclass(frozen=True, slots=True)
class DriftReport(Displayed):
    """Recent answers against earlier ones and against the comparison."""

    approach: str
    """The project's choice."""
    days: int
    """Recent answers are those of so many days."""
    recent: int
    """Recent answers in the audit log."""
    earlier: int
    """Answers of the weeks before."""
    run: str | None
    """The comparison; None without one."""
    compared: int
    """Examples of the comparison."""
    signals: tuple[DriftSignal, ...]
    """What was compared, measurable changes first."""
    actions: tuple[DriftAction, ...]
    """What to do; empty when nothing is measurable."""
    to_label: tuple[ToLabel, ...]
    """Recent questions that the examples cover least, far apart from each other."""
    accuracy: UnlabelledAccuracy
    """Estimated share of right answers among the recent ones."""
    compared_accuracy: float | None
    """Share of right answers in the comparison."""
    canary: CanaryCheck | None = None
    """None where no canary set is configured, or was asked for the first time."""
    notes: tuple[str, ...] = ()
    """What could not be compared, and why."""

    @property
    def measurable(self) -> bool:
        """Whether anything has changed measurably."""
        return any(signal.measurable for signal in self.signals)

    @property
    def summary(self) -> str:
        """What to do, on one line."""
        return "; ".join(action.text for action in self.actions) or "nothing measurable"

    def view(self) -> list[Block]:
        """Return the verdict, the signals, and the questions to label."""
        blocks: list[Block] = [Line(self.summary, tone="strong")]
        earlier = f"{self.earlier:,} before"
        compared = f"{format_count(self.compared, 'example')} of {self.run}" if self.run else "no comparison"
        days = format_count(self.days, "day")
        blocks.append(Line(f"{format_count(self.recent, 'answer')} of the last {days}, {earlier}; {compared}", "dim"))
        tested = [signal for signal in self.signals if signal.p is not None]
        columns = ["", "against", "before", "now", "change, 95% interval", "p, adjusted", "n"]
        if tested:
            blocks += [Line(""), Table(columns, [_row(signal) for signal in tested])]
        blocks += [Line(""), *self._accuracy()]
        if self.canary:
            blocks.append(Line(_canary(self.canary)))
        blocks += [Line(note, "dim") for note in self.notes]
        blocks += _untested(self.signals)
        for action in self.actions:
            blocks += [Line(""), Line(f"{action.text} ({', '.join(action.because)})"), Line(action.command, "dim", 1)]
            if action.kind == "label":
                blocks += [Line(f"{row.id[:8]}  {one_line(row.question, most=100)}", indent=1) for row in self.to_label]
        return blocks

    def _accuracy(self) -> list[Block]:
        if self.accuracy.accuracy is None:
            return [Line(f"accuracy of recent answers: unknown, {self.accuracy.unknown}")]
        compared = "" if self.compared_accuracy is None else f"; {self.compared_accuracy:.1%} in the comparison"
        estimate = _share(self.accuracy.accuracy)
        return [Line(f"accuracy of recent answers, estimated from their confidence: {estimate}{compared}")]


def _row(signal: DriftSignal) -> Sequence[object]:
    mark = "* " if signal.measurable else "  "
    p = "" if signal.p_adjusted is None else f"{signal.p_adjusted:.3f}" if signal.p_adjusted >= 0.001 else "<0.001"
    n = f"{signal.n:,} and {signal.reference_n:,}"
    values = [None if value is None else _figure(value, signal) for value in (signal.before, signal.now)]
    return [f"{mark}{signal.name}", signal.reference, *values, _effect(signal), p, n]


def _effect(signal: DriftSignal) -> str | None:
    if (effect := signal.effect) is None:
        return None
    if signal.unit == "separation":
        return f"told apart in {effect.mean:.0%} of pairs [{effect.low:.0%}, {effect.high:.0%}]"
    figures = [_figure(value, signal, sign=True) for value in (effect.mean, effect.low, effect.high)]
    return f"{figures[0]} [{figures[1]}, {figures[2]}]"


def _figure(value: float, signal: DriftSignal, *, sign: bool = False) -> str:
    plus = "+" if sign else ""
    if signal.unit == "share":
        return f"{value:{plus}.1%}"
    if signal.unit == "usd":
        return f"{value:{plus}.3g} USD"
    return f"{value:{plus}.3g} s" if signal.unit == "seconds" else f"{value:{plus}.3f}"


def _share(interval: Interval) -> str:
    return f"{interval.mean:.1%} [{interval.low:.1%}, {interval.high:.1%}] n={interval.n:,}"


def _canary(check: CanaryCheck) -> str:
    changed = f"{len(check.changed):,} of {check.n + check.failed:,} answers have changed since {check.frozen[:10]}"
    scores = "" if check.now is None else f", score {check.before:.3f} then and {check.now:.3f} now"
    failed = f", {check.failed:,} failed" if check.failed else ""
    index = "; the documents have changed too" if check.new_index else ""
    return f"canary: {changed}{scores}{failed}{index}"


def _untested(signals: Sequence[DriftSignal]) -> list[Block]:
    names: dict[str, list[str]] = {}
    for signal in signals:
        if signal.untested:
            names.setdefault(signal.untested, []).append(f"{signal.name} ({signal.reference})")
    return [Line(f"not tested: {', '.join(listed)}: {reason}", "dim") for reason, listed in names.items()]
