"""Decide whether a router pays: what it gains over the best single approach, on questions that it was not fitted on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from groundtune.approaches.families import Family, family_of
from groundtune.common.text import format_count
from groundtune.decide.rules import ALPHA
from groundtune.decide.wording import Scale, p_value, usd
from groundtune.display import Block, Displayed, Line, Table
from groundtune.measure.best_of_each import BestOfEach
from groundtune.stats.inputs import Floats
from groundtune.stats.intervals import bootstrap_mean
from groundtune.stats.routing import (
    WEIGHTS,
    CurveAreas,
    Indices,
    OutOfFold,
    curve_areas,
    curve_points,
    mix_frontier,
    out_of_fold,
)
from groundtune.stats.significance import PairedDifference, paired_difference
from groundtune.types import Interval

FEWEST = 50
"""Questions below which no router is trained."""
CLASSES: Mapping[Family, str] = {"fine-tune": "standard", "rag": "complex", "both": "otherwise"}
"""Classes of questions in guides that describe routers, by the kind of approach that they send them to."""
WORTH_A_ROUTER = 0.02
"""How far the best approach for each question must be above the best single one: a router reaches a part of it."""
SHOWN_POINTS = 6
"""Points of the curve that are shown."""


def routing_room(best: BestOfEach, scale: Scale) -> str:
    """Say what a router could gain at most, before one is trained."""
    over = f"{scale.unsigned(best.mean - best.single_mean)} above {best.single} alone"
    most = f"the best approach for each question would reach {scale.value(best.mean)}, {over}"
    on = f"n = {best.n:,}"
    if best.mean - best.single_mean < WORTH_A_ROUTER * scale.unit:
        return f"No router: even {most} ({on})."
    if best.n < FEWEST:
        return f"Asking {most} ({on}); a router needs {format_count(FEWEST, 'example')}."
    return f"Asking {most} ({on}); groundtune route finds out whether a router pays."


@dataclass(frozen=True, slots=True)
class ScoredQuestions:
    """What a router is trained on: a comparison as arrays."""

    approaches: tuple[str, ...]
    signals: Floats
    """(questions, signals), those of the embedding first, then the logarithm of 1 + the length in characters."""
    embedded: int
    """Number of signals that are those of the embedding."""
    scores: Floats
    """(questions, approaches), from 0 to 1."""
    costs: Floats | None
    """(questions, approaches), in US dollars; None where any is unknown."""
    groups: Sequence[str]
    """Questions in the same group are not independent."""
    ids: Sequence[str] = ()
    """The example of each question."""
    tags: Sequence[Sequence[str]] = ()
    """The tags of each question."""

    @property
    def group_numbers(self) -> Indices:
        """The number of the group of each question."""
        return np.unique(np.array(self.groups), return_inverse=True)[1].astype(np.intp)


@dataclass(frozen=True, slots=True)
class CostQualityPoint:
    """A router that gives cost a certain weight."""

    usd_per_1k: float
    quality: float
    over_mix: float
    """Quality above that of a random mix of approaches at the same cost."""


@dataclass(frozen=True, slots=True)
class Routing(Displayed):
    """What a router would gain, measured on questions that it was not fitted on (five folds)."""

    run: str
    primary: str
    n: int
    groups: int
    """Independent groups of questions."""
    adopted: bool
    """Whether it is measurably better than the best single approach."""
    single: str
    """The best single approach, at this value of a right answer."""
    gain: PairedDifference
    """Of the router over that approach: score, less the cost at this value."""
    over_mix: PairedDifference
    """The same over asking the approaches at random, in the shares in which the router asks them."""
    quality: Interval
    """Mean score of the router."""
    single_quality: Interval
    oracle: float
    """Mean score, less cost, of whoever always knew the best approach: the most that any router can reach."""
    usd_per_1k: float | None
    single_usd_per_1k: float | None
    shares: Mapping[str, float]
    """Share of the questions that each approach gets."""
    shares_by_tag: Mapping[str, Mapping[str, float]]
    lengths: Mapping[str, float | None]
    """Median length, in characters, of the questions that each approach gets; None where it gets none."""
    expected: float
    """Mean success that the router predicted for the approaches that it chose."""
    right_answer_usd: float | None
    curve: tuple[CostQualityPoint, ...] = ()
    areas: CurveAreas | None = None

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        scale = Scale(self.primary, True, 1.0)
        gain = _points(scale, self.gain.difference, self.gain.low, self.gain.high)
        cost = "" if not self.right_answer_usd else f", less cost at {usd(self.right_answer_usd)} for a right answer"
        figures = f"{gain} over {self.single} alone{cost}, {p_value(self.gain.p)}, n = {self.n:,}"
        if self.adopted:
            return f"A router pays: {figures}."
        if self.gain.difference < 0 and self.gain.p < ALPHA and self.gain.high < 0:
            return f"No router: it is measurably worse, {figures}."
        return f"No router: its gain is not measurable, {figures}."

    def view(self) -> list[Block]:
        """Return the verdict, who gets which questions, and the curve of cost and quality."""
        scale = Scale(self.primary, True, 1.0)
        rows: list[list[object]] = [
            ["router", self.quality, self.usd_per_1k],
            [f"{self.single} alone", self.single_quality, self.single_usd_per_1k],
        ]
        mix = _points(scale, self.over_mix.difference, self.over_mix.low, self.over_mix.high)
        shares = [
            [name, CLASSES.get(family_of(name)), f"{share:.0%}", None if length is None else f"{length:.0f}"]
            for name, share in self.shares.items()
            for length in [self.lengths[name]]
        ]
        by_tag = [[tag, *(f"{share:.0%}" for share in shares.values())] for tag, shares in self.shares_by_tag.items()]
        blocks: list[Block] = [
            Line(self.sentence, "strong"),
            Line(""),
            Table(["", self.primary, "usd/1k"], rows),
            Line(f"over a random mix in the same shares: {mix}"),
            Line(f"the best approach for each question would reach {scale.value(self.oracle)}"),
            Line(f"expected of the chosen approaches: {self.expected:.1%}; observed: {self.quality.mean:.1%}"),
            Line(""),
            Table(["approach", "questions", "share", "median length"], shares),
        ]
        if by_tag:
            blocks += [Line(""), Table(["tag", *self.shares], by_tag)]
        if self.areas:
            areas = self.areas
            over_mix, over_single = _points(scale, *areas.over_mix), _points(scale, *areas.over_single)
            points = [
                [point.usd_per_1k, scale.value(point.quality), scale.signed(point.over_mix)] for point in self.curve
            ]
            blocks += [
                Line(""),
                Table(["usd/1k", self.primary, "over a random mix"], points),
                Line(f"mean over all budgets: {over_mix} over a random mix, {over_single} over single approaches"),
            ]
        return blocks


def _points(scale: Scale, difference: float, low: float, high: float) -> str:
    return f"{scale.signed(difference)} points [{scale.signed(low)}, {scale.signed(high)}]"


def decide_routing(
    questions: ScoredQuestions, *, run: str, primary: str, right_answer_usd: float | None = None, seed: int = 0
) -> Routing:
    """Return what a router gains, out of fold. right_answer_usd: what a right answer is worth; None: cost is no matter.

    A router is adopted if it is better than the best single approach with p below 0.05 and an interval above 0. That
    approach is chosen with hindsight, which counts against the router. Raises ValueError for a score outside 0 to 1.
    """
    scores, costs, groups = questions.scores, questions.costs, questions.group_numbers
    if scores.min() < 0 or scores.max() > 1:
        raise ValueError("a score is outside 0 to 1")
    weight = 1 / right_answer_usd if right_answer_usd else 0.0
    spread = 0.0 if costs is None else float(np.ptp(costs.mean(axis=0)))
    weights = [weight, *(WEIGHTS / spread if spread else ())]
    found = out_of_fold(
        questions.signals, scores, costs, groups, weights=weights, embedded=questions.embedded, seed=seed
    )
    curve, areas = _curve(found, scores, costs, groups) if costs is not None and spread else ((), None)
    rows, choice = np.arange(len(scores)), found.choices[0]
    lengths = np.expm1(questions.signals[:, questions.embedded])
    values = scores if costs is None or not weight else scores - weight * costs
    best = int(values.mean(axis=0).argmax())
    gain = paired_difference(values[rows, choice].tolist(), values[:, best].tolist(), clusters=questions.groups)
    shares = np.bincount(choice, minlength=scores.shape[1]) / len(scores)
    return Routing(
        run=run,
        primary=primary,
        n=len(scores),
        groups=int(groups.max()) + 1,
        adopted=gain.difference > 0 and gain.p < ALPHA and gain.low > 0,
        single=questions.approaches[best],
        gain=gain,
        over_mix=paired_difference(
            values[rows, choice].tolist(), (values @ shares).tolist(), clusters=questions.groups
        ),
        quality=bootstrap_mean(scores[rows, choice].tolist(), clusters=questions.groups),
        single_quality=bootstrap_mean(scores[:, best].tolist(), clusters=questions.groups),
        oracle=float(values.max(axis=1).mean()),
        usd_per_1k=None if costs is None else 1000 * float(costs[rows, choice].mean()),
        single_usd_per_1k=None if costs is None else 1000 * float(costs[:, best].mean()),
        shares=_shares(questions.approaches, shares),
        shares_by_tag={
            tag: _shares(questions.approaches, np.bincount(choice[has], minlength=scores.shape[1]) / has.sum())
            for tag in sorted({tag for tags in questions.tags for tag in tags})
            for has in [np.array([tag in tags for tags in questions.tags])]
        },
        lengths={
            name: float(np.median(lengths[choice == at])) if (choice == at).any() else None
            for at, name in enumerate(questions.approaches)
        },
        expected=float(found.success[rows, choice].mean()),
        right_answer_usd=right_answer_usd,
        curve=curve,
        areas=areas,
    )


def _curve(
    found: OutOfFold, scores: Floats, costs: Floats, groups: Indices
) -> tuple[tuple[CostQualityPoint, ...], CurveAreas]:
    """Return points of the curve of cost and quality, the cheapest first, and the areas under it."""
    choices = found.choices[1:]
    paid, reached = (values.mean(axis=0) for values in curve_points(choices, scores, costs))
    mix = np.interp(paid, *mix_frontier(costs.mean(axis=0), scores.mean(axis=0)))
    budgets = np.linspace(paid.min(), paid.max(), SHOWN_POINTS)
    shown = sorted({int(np.abs(paid - budget).argmin()) for budget in budgets}, key=lambda at: float(paid[at]))
    points = [
        CostQualityPoint(1000 * float(paid[at]), float(reached[at]), float(reached[at] - mix[at])) for at in shown
    ]
    return tuple(points), curve_areas(choices, scores, costs, groups)


def _shares(approaches: Sequence[str], shares: Floats) -> dict[str, float]:
    return {name: float(share) for name, share in zip(approaches, shares, strict=True)}
