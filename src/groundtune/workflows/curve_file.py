"""The learning curve of a run: scores by number of train examples, in curve.json beside its matrix. Trains nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from groundtune.common.files import read_json, write_json
from groundtune.common.format_version import check_version, versioned
from groundtune.types import Forecast, Interval

CURVE = "curve.json"
CURVE_FORMAT = 1


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The score of an approach with a number of train examples."""

    examples: int
    score: Interval
    trainings: int
    """Number of trainings behind it; 0 for an approach that is shown examples and not trained."""
    run: str
    """Folder of its matrix, relative to the project."""


@dataclass(frozen=True, slots=True)
class ApproachCurve:
    """Scores of one approach by number of train examples."""

    points: tuple[CurvePoint, ...]
    """Fewest examples first."""
    forecast: tuple[Forecast, ...] = ()
    """For more examples than there are, fewest first; empty when nothing can be said."""
    unknown: str | None = None
    """Why nothing can be said; None with a forecast."""
    skipped: tuple[str, ...] = ()
    """Why it was not measured with a number of examples, one reason each."""


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """What a comparison with ever more of the train examples found."""

    primary: str
    """Name of the score."""
    examples: int
    """Number of train examples at hand."""
    approaches: Mapping[str, ApproachCurve] = field(default_factory=dict)


def write_curve(folder: Path, curve: LearningCurve) -> None:
    write_json(folder / CURVE, versioned(asdict(curve), CURVE_FORMAT))


def read_curve(folder: Path) -> LearningCurve | None:
    """Return the learning curve of a run; None where none was measured.

    Raises MissingError when the file is damaged, FormatError when another version of groundtune wrote it.
    """
    path = folder / CURVE
    if not path.exists():
        return None
    values = check_version(read_json(path), path=path, supported=CURVE_FORMAT, rebuild="groundtune compare --curve")
    approaches = {name: _approach_curve(row) for name, row in values["approaches"].items()}
    return LearningCurve(values["primary"], values["examples"], approaches)


def curve_sentences(curve: LearningCurve, means: Mapping[str, Interval]) -> list[str]:
    """Say what was measured and what more examples may bring. means: the score of each approach of the run."""
    if not curve.approaches:
        return ["No approach of this run depends on the number of train examples, so there is no learning curve."]
    return [sentence for name, found in curve.approaches.items() for sentence in _sentences(curve, name, found, means)]


def _sentences(curve: LearningCurve, name: str, found: ApproachCurve, means: Mapping[str, Interval]) -> list[str]:
    if not found.points:
        return [f"{name}: no learning curve, because {found.unknown}."]
    skipped = [f"{name} was not measured {reason}" for reason in found.skipped]
    scores = ", ".join(f"{point.score.mean:.3f} with {point.examples:,}" for point in found.points)
    said = f"{name}: {curve.primary} {scores} train examples (n = {found.points[-1].score.n:,})"
    if not found.forecast:
        return [f"{said}; what more would bring cannot be said, because {found.unknown}.", *skipped]
    last = found.forecast[-1]
    more = f"{last.examples - curve.examples:,} more examples"
    gain = f"{last.gain.mean:+.3f} (95% interval {last.gain.low:+.3f} to {last.gain.high:+.3f})"
    sentences = [
        *skipped,
        f"{said}. If it goes on like this, {more} would bring about {gain}, to {last.score.mean:.3f}.",
    ]
    if last.gain.low <= 0:
        sentences.append(f"{name}: whether {more} would bring anything at all cannot be told from this curve.")
    best = max(means, key=lambda other: means[other].mean, default=name)
    if best != name and name in means:
        sentences.append(_catching_up(curve.examples, name, best, means[best].mean, found.forecast))
    return sentences


def _catching_up(examples: int, name: str, best: str, target: float, forecast: Sequence[Forecast]) -> str:
    """Say with how many more examples an approach would be level with the best one as it is now."""

    def first(values: Sequence[float]) -> int | None:
        return next(
            (row.examples - examples for row, value in zip(forecast, values, strict=True) if value >= target), None
        )

    furthest = forecast[-1].examples - examples
    soonest, likely, latest = (first([getattr(row.score, end) for row in forecast]) for end in ("high", "mean", "low"))
    level = f"level with {best} ({target:.3f})"
    if soonest is None:
        return f"{name} would not be {level} with {furthest:,} more examples either."
    until = "cannot be said" if latest is None else f"{latest:,}"
    if likely is None:
        return f"{name} could be {level} with {furthest:,} more examples, but this is not likely."
    return f"{name} would be {level} with about {likely:,} more examples (from {soonest:,} on; at the latest: {until})."


def _approach_curve(row: Mapping[str, Any]) -> ApproachCurve:
    points = (CurvePoint(**{**point, "score": Interval(**point["score"])}) for point in row["points"])
    forecast = (
        Forecast(each["examples"], Interval(**each["score"]), Interval(**each["gain"])) for each in row["forecast"]
    )
    return ApproachCurve(tuple(points), tuple(forecast), row["unknown"], tuple(row["skipped"]))
