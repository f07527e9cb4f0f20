"""Compare with a quarter, half and all of the train examples: train, ask the same test examples, and fit how it grows.

Each number of examples has models, runs and fitted values of its own under `.groundtune/curve/<number>/`; all of them
are the models and the run of the project. So finished trainings and answers are reused, interrupted ones resumed, and a
model that was trained on fewer examples never answers a question of a user.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from groundtune.build.approach_families import tune_table_of
from groundtune.build.resources import Resources
from groundtune.build.training_kinds import tuned_tables
from groundtune.build.training_kinds.labelled_rows import first_output
from groundtune.config import Config
from groundtune.config.fitted_values import Fitted, read_fitted, write_fitted
from groundtune.errors import UsageError
from groundtune.measure.approach_summaries import cluster_examples, group_by_approach, row_score
from groundtune.measure.trainings import pool_trainings
from groundtune.protocols import Approach
from groundtune.stats.learning_curve import FURTHEST, forecast
from groundtune.tune.job import TrainingStep
from groundtune.tune.preflight.run import raise_errors
from groundtune.types import Example, Interval
from groundtune.workflows import tuning
from groundtune.workflows.curve_file import ApproachCurve, CurvePoint, LearningCurve, write_curve
from groundtune.workflows.measuring import measure
from groundtune.workflows.runs import Run, read_run
from groundtune.workspace import Workspace

SHARES = (0.25, 0.5, 1.0)
"""Of the train split."""
SEED = 0
"""Of the order in which train examples are taken."""
STEPS = 20
"""Numbers of examples that are forecast, up to FURTHEST times those at hand."""
LOCK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class PlannedTraining:
    """What has to be trained for one table with one number of examples."""

    table: str
    examples: int
    trainings: int
    """Trainings still to run; 0 when all are kept from before."""
    kept: int
    seconds: float | None
    """At most, for those to run; None when unknown."""
    usd: float | None


@dataclass(frozen=True, slots=True)
class Size:
    """One number of train examples, and where what belongs to it is kept."""

    workspace: Workspace
    resources: Resources
    examples: Sequence[Example]
    """Those of the project without the train examples that are left out."""

    @property
    def number(self) -> int:
        return len(self.resources.train)


def curve_sizes(workspace: Workspace, config: Config, resources: Resources, examples: Sequence[Example]) -> list[Size]:
    """Return the numbers of train examples, fewest first; the last one is the project itself.

    Raises UsageError when there are too few train examples to tell a quarter from a half.
    """
    sizes = []
    for subset in nested_subsets(resources.train, stratified=config.task == "classify"):
        part = workspace if len(subset) == len(resources.train) else workspace.with_examples(len(subset))
        ids = {example.id for example in subset}
        kept = [example for example in examples if example.split != "train" or example.id in ids]
        sizes.append(Size(part, replace(resources, train=subset, model_folder=part.models), kept))
    if len({size.number for size in sizes}) < len(SHARES):
        hint = "add examples; groundtune examples stats shows the counts"
        raise UsageError(f"{len(resources.train)} train examples are too few for a learning curve", hint=hint)
    return sizes


def nested_subsets(examples: Sequence[Example], *, stratified: bool) -> list[list[Example]]:
    """Return each share of the examples, each subset inside the next, always the same ones.

    stratified: take the share of each label, at least one of each.
    """
    by_label: dict[Hashable, list[Example]] = {}
    for example in sorted(examples, key=lambda example: example.id):
        by_label.setdefault(str(first_output(example.output)) if stratified else None, []).append(example)
    for label, same in by_label.items():
        random.Random(f"{SEED} {label}").shuffle(same)
    subsets = []
    for share in SHARES:
        ids = {example.id for same in by_label.values() for example in same[: math.ceil(share * len(same))]}
        subsets.append([example for example in examples if example.id in ids])
    return subsets


async def plan_trainings(config: Config, sizes: Sequence[Size], tables: Sequence[str]) -> list[PlannedTraining]:
    """Return what will be trained, and what is kept from before.

    Raises TuneError when the rows of all examples are rejected, and what `prepare` raises.
    """
    planned = []
    for size in reversed(sizes):
        for table in tables:
            prepared = await tuning.prepare(size.workspace, config, size.resources, size.examples, table)
            report = await tuning.preflight(size.workspace, prepared)
            if size is sizes[-1]:
                raise_errors(report)
            all_trainings = [] if report.errors else list(tuning.trainings(size.workspace, prepared))
            kept = sum([tuning.is_trained(size.workspace, training) for training in all_trainings])
            bounds = report.bounds
            share = (len(all_trainings) - kept) / (len(all_trainings) or 1)
            seconds, usd = (bounds.seconds, bounds.usd) if bounds else (None, None)
            planned.append(
                PlannedTraining(
                    table,
                    size.number,
                    len(all_trainings) - kept,
                    kept,
                    None if seconds is None else seconds * share,
                    None if usd is None else usd * share,
                )
            )
    return planned[::-1]


def tables_to_train(config: Config, chosen: Sequence[str]) -> list[str]:
    """Return the tables [tune.NAME] behind the chosen approaches, or behind all when none is chosen."""
    tables = [table for table, names in tuned_tables(config).items() if names]
    wanted = {tune_table_of(config, name) for name in chosen}
    return [table for table in tables if not chosen or table in wanted]


async def compare_with_curve(
    config: Config,
    sizes: Sequence[Size],
    tables: Sequence[str],
    compare: Callable[..., Awaitable[Path]],
    *,
    chosen: Sequence[str | Approach],
    fitted: Fitted,
    trained: Callable[[], Awaitable[None]],
    progress: Callable[[str, int, TrainingStep], None],
) -> Path:
    """Train what is missing, compare with all train examples and then with fewer; return the folder of the run.

    compare: `comparing.compare`, which gets what differs between the numbers of examples. chosen: what to compare with
    all of them. trained: called after each training. progress: called with table and number of examples. Raises what
    `compare` raises, and TuneError when a training fails.
    """
    untrained: dict[tuple[int, str | None], str] = {}
    for size in sizes:
        for table in tables:
            if reason := await _train(config, size, table, trained, progress):
                untrained[size.number, table] = reason
    whole = sizes[-1]
    folder = await compare(
        whole.workspace, resources=whole.resources, chosen=chosen, fitted=fitted, calibration=whole.examples
    )
    runs = {whole.number: read_run(folder)}
    names = [name for name in group_by_approach(runs[whole.number].results) if learns(config, name)]
    for size in sizes[:-1]:
        own = [name for name in names if (size.number, tune_table_of(config, name)) not in untrained]
        if own:
            now = replace(fitted, thresholds=read_fitted(size.workspace.fitted).thresholds)
            write_fitted(size.workspace.fitted, now)
            resources = replace(size.resources, fitted=now)
            below = await compare(
                size.workspace, resources=resources, chosen=own, fitted=now, calibration=size.examples
            )
            runs[size.number] = read_run(below)
    skipped = {
        name: tuple(
            f"with {size.number:,}: {untrained[size.number, table]}"
            for size in sizes
            if (size.number, table) in untrained
        )
        for name in names
        for table in [tune_table_of(config, name)]
    }
    write_curve(folder, await asyncio.to_thread(learning_curve, runs, skipped, whole.workspace.root))
    return folder


def learns(config: Config, name: str) -> bool:
    """Whether an approach depends on the number of train examples. Those for one model or one wording do not count."""
    if "@" in name or "/" in name:
        return False
    return tune_table_of(config, name) is not None or name == "nearest" or name.startswith("fewshot")


async def _train(
    config: Config,
    size: Size,
    table: str,
    trained: Callable[[], Awaitable[None]],
    progress: Callable[[str, int, TrainingStep], None],
) -> str | None:
    """Train a table with one number of examples. Return why there is no usable model, or None."""
    prepared = await tuning.prepare(size.workspace, config, size.resources, size.examples, table)
    report = await tuning.preflight(size.workspace, prepared)
    if report.errors:
        return report.errors[0].message
    for training in tuning.trainings(size.workspace, prepared):
        with size.workspace.lock("models", timeout_seconds=LOCK_SECONDS):
            folder = tuning.write_folder(size.workspace, training)
        artifact = await tuning.train(folder, progress=partial(progress, table, size.number))
        await trained()
    return artifact.unusable or None


def learning_curve(runs: Mapping[int, Run], skipped: Mapping[str, tuple[str, ...]], root: Path) -> LearningCurve:
    """Return the curve of each approach. runs: by number of train examples. skipped: approach to why points miss."""
    numbers = sorted(runs)
    measured = {number: _measured(runs[number]) for number in numbers}
    whole = measured[numbers[-1]]
    curves = {}
    for name, reasons in skipped.items():
        points = tuple(
            CurvePoint(
                number,
                score,
                measured[number].trainings.get(name, 0),
                runs[number].file.parent.relative_to(root).as_posix(),
            )
            for number in numbers
            if (score := measured[number].scores.get(name)) is not None
        )
        curve = _with_forecast(points, [measured[point.examples] for point in points], name, whole)
        curves[name] = replace(curve, skipped=reasons)
    return LearningCurve(whole.primary, numbers[-1], curves)


@dataclass(frozen=True, slots=True)
class _Measured:
    """What one run says of its approaches."""

    primary: str
    scores: Mapping[str, Interval]
    columns: Mapping[str, Mapping[str, float]]
    """Approach to example to score."""
    reaches: Mapping[str, float]
    trainings: Mapping[str, int]
    clusters: Mapping[str, str]


def _measured(run: Run) -> _Measured:
    figures, about = measure(run), run.about.get("trainings", {})
    rows, spread = pool_trainings(run.results, {name: training["further"] for name, training in about.items()})
    return _Measured(
        figures.primary,
        {
            summary.name: Interval(summary.mean, summary.low, summary.high, summary.n)
            for summary in figures.approaches
            if summary.mean is not None and summary.low is not None and summary.high is not None
        },
        {
            name: {
                example: score for example, row in own.items() if (score := row_score(row, figures.primary)) is not None
            }
            for name, own in group_by_approach(rows).items()
        },
        {name: spread.reach(name, figures.primary) for name in about},
        {name: 1 + len(training["further"]) for name, training in about.items()},
        cluster_examples(run.examples),
    )


def _with_forecast(
    points: tuple[CurvePoint, ...], measured: Sequence[_Measured], name: str, whole: _Measured
) -> ApproachCurve:
    if not points:
        return ApproachCurve((), unknown="it could not be measured")
    columns = [each.columns[name] for each in measured]
    common = [example for example in columns[-1] if all(example in column for column in columns)]
    at_hand = points[-1].examples
    numbers = sorted({round(at_hand * (1 + (FURTHEST - 1) * step / STEPS)) for step in range(1, STEPS + 1)})
    found = forecast(
        [point.examples for point in points],
        [[column[example] for example in common] for column in columns],
        numbers,
        clusters=[whole.clusters.get(example) for example in common],
        reach=max(each.reaches.get(name, 0.0) for each in measured),
    )
    return ApproachCurve(points, unknown=found) if isinstance(found, str) else ApproachCurve(points, tuple(found))
