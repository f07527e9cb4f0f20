"""Run every approach on the same examples and write the matrix to disk; reporting.py computes the verdict."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any

from groundtune import build
from groundtune.advice.guides import Opinion
from groundtune.approaches.pipeline import Pipeline
from groundtune.build.approach_families import ROUTED
from groundtune.build.approach_registry import ApproachRegistry, build_registry, with_further_trainings
from groundtune.build.resources import Resources
from groundtune.build.router_file import read_router
from groundtune.build.task import primary_score, score_names, scorer
from groundtune.build.training_kinds import sees_history, training_kind
from groundtune.common.code_digest import code_digest
from groundtune.common.files import digest_file, digest_text, unused_folder, write_atomic, write_json
from groundtune.common.format_version import versioned
from groundtune.config import Config
from groundtune.config.fitted_values import Fitted
from groundtune.dataset.examples import example_key
from groundtune.decide.rules import Requirements
from groundtune.errors import FormatError, UsageError
from groundtune.extensions import Score
from groundtune.measure.approach_summaries import cluster_examples
from groundtune.measure.own_scorers import own_scorers, with_scorers
from groundtune.measure.results import RESULTS, read_results
from groundtune.measure.retrieval_quality import LocatedEvidence, locate_all
from groundtune.measure.runner import JudgeCall, open_matrix
from groundtune.measure.scoring import Scorer
from groundtune.models.builtin_models import model_note
from groundtune.protocols import Approach, Combination, Generator
from groundtune.tune.job import read_job
from groundtune.tune.preflight.leakage import row_key
from groundtune.types import Artifact, Example, Result
from groundtune.workflows.calibrating import (
    calibrate_all,
    describe_thresholds,
    plan_calibration,
    save_thresholds,
    with_thresholds,
)
from groundtune.workflows.choosing_prompts import choose_prompts, describe_prompts, plan_prompts, with_prompts
from groundtune.workflows.comparison_basis import comparison_basis, settings
from groundtune.workflows.runs import EXAMPLES, RUN, RUN_FORMAT, read_run_file
from groundtune.workflows.stopping import Stopping
from groundtune.workflows.until_decided import Race, ask_until_decided, most_cells
from groundtune.workspace import Workspace

PATIENCE_SECONDS = 600.0
"""Seconds that one call waits for rate limits before it fails."""


@dataclass(frozen=True, slots=True)
class CompareProgress:
    """Progress of a comparison after a cell."""

    done: int
    total: int
    approach: str
    spent_usd: float
    """Amount spent in this run, as far as prices are known; cached answers cost nothing."""
    preparing: str = ""
    """What these questions are for, before the run begins: `calibrating` or `choosing its prompt`."""


async def compare(
    workspace: Workspace,
    config: Config,
    resources: Resources,
    examples: Sequence[Example],
    *,
    fitted: Fitted,
    calibration: Sequence[Example] = (),
    split: str = "test",
    chosen: Sequence[str | Approach] = (),
    scorers: Sequence[str | Score] = (),
    primary: str | None = None,
    budget: "build.Budget | None" = None,
    until_decided: bool = False,
    fresh: bool = False,
    guides: Sequence[Opinion] = (),
    progress: Callable[[CompareProgress], None] = lambda _: None,
) -> Path:
    """Run every available approach, or the chosen ones, through the cache; return the folder of the run.

    The prompt of each approach is chosen first, then its confidence threshold is fitted, if they have not been on the
    same basis. calibration: examples for both; those of the test split and of `split` are left out. chosen: names, or
    objects of the caller's own. scorers: functions, or names that packages add. until_decided: ask the examples in
    random order, and drop approaches that are measurably behind. guides: what they say of this project, noted to be
    held against its figures. Raises MissingError when none can run, BudgetError when the next call might exceed the
    budget.
    """
    require_examples(examples, split)
    added = own_scorers(scorers)
    metric = _primary_metric(config, primary, added)
    budget = budget or build.budget(None)
    resources = _resources_of_run(config, resources, build.caching_wrapper(workspace.cache, budget))
    named = [choice for choice in chosen if isinstance(choice, str)]
    registry = (await build_registry(config, resources, only=named if chosen else None)).select(chosen)
    refuse_seen_questions(registry, resources, examples)
    score = scorer(config, resources.output_format, resources.root)

    def report(preparing: str, name: str, done: int, total: int) -> None:
        progress(CompareProgress(done, total, name, budget.known_spent_usd, preparing))

    plans = await plan_prompts(config, resources, registry, calibration, fitted, compared_on=split)
    step = partial(report, "choosing its prompt")
    fitted, reasons = await choose_prompts(workspace, config, registry, plans, fitted, score, progress=step)
    registry = with_prompts(config, resources, registry, fitted, named)
    registry = await with_further_trainings(config, resources, registry)
    step = partial(report, "calibrating")
    registry, fitted, thresholds = await _calibrated(
        workspace, config, resources, registry, calibration, fitted, split=split, score=score, step=step
    )
    basis = await _basis(config, resources, examples, fitted)
    examples, trained_on = await asyncio.to_thread(
        _without_training_examples, examples, registry, resources.model_folder
    )
    judge = build.judge(config, resources.embedder, resources.wrap_generator, patience_seconds=PATIENCE_SECONDS)
    context = {
        **_context(config, registry, named, len(calibration)),
        **basis,
        "primary": metric,
        "thresholds": thresholds,
        "prompts": describe_prompts(config, registry, plans, fitted, reasons),
        "trained_on": trained_on,
        "guides": [asdict(opinion) for opinion in guides],
        "split": split,
    }
    return await complete_matrix(
        workspace,
        registry,
        examples,
        about=await _conditions(config, resources, registry, fitted, thresholds) | code_digests(chosen, added),
        context=context,
        race=_race(context, examples) if until_decided else None,
        score=with_scorers(score, added),
        judge=judge.judge if judge else None,
        located=await _located(resources, examples),
        fresh=fresh,
        spent=lambda: budget.known_spent_usd,
        progress=progress,
    )


def _race(context: Mapping[str, Any], examples: Sequence[Example]) -> Race:
    return Race(
        context["primary"],
        Requirements(**context["requirements"]),
        {name: about["further"] for name, about in context["trainings"].items()},
        cluster_examples(examples),
    )


def _primary_metric(config: Config, primary: str | None, added: Mapping[str, Score]) -> str:
    """Return the name of the score that decides. Raises UsageError when the comparison does not compute it."""
    metric, available = primary or primary_score(config), [*score_names(config), *added]
    if metric not in available:
        raise UsageError(
            f"this comparison does not compute the score {metric!r}", hint=f"choose one of {', '.join(available)}"
        )
    return metric


def _resources_of_run(
    config: Config, resources: Resources, wrap_generator: Callable[[Generator], Generator]
) -> Resources:
    """Return the resources with the cache, the budget and the patience of a run."""
    return replace(
        resources,
        embedder=resources.batch_embedder,
        wrap_generator=wrap_generator,
        rate_limit_wait_seconds=PATIENCE_SECONDS,
        local_slots=asyncio.Semaphore(1) if config.embedder.kind != "openai" else None,
    )


async def _calibrated(
    workspace: Workspace,
    config: Config,
    resources: Resources,
    registry: ApproachRegistry,
    calibration: Sequence[Example],
    fitted: Fitted,
    *,
    split: str,
    score: Scorer,
    step: Callable[[str, int, int], None],
) -> tuple[ApproachRegistry, Fitted, dict[str, dict[str, Any]]]:
    """Fit and save the thresholds; return the approaches with them, the fitted values, and where each comes from."""
    plans = await plan_calibration(config, resources, registry, calibration, fitted, compared_on=split)
    calibrated = await calibrate_all(config, registry, plans, score, progress=step)
    fitted = save_thresholds(workspace, plans, calibrated)
    registry = with_thresholds(registry, calibrated).recombined()
    return registry, fitted, describe_thresholds(config, registry, plans, calibrated, fitted)


async def _located(resources: Resources, examples: Sequence[Example]) -> dict[str, list[LocatedEvidence]]:
    """Return where the evidence of each example is in the index; empty without an index."""
    index = resources.index
    if index is None:
        return {}
    golds = await locate_all(examples, index.document_by_source, index.passages)
    return {example.id: pieces for example, pieces in zip(examples, golds, strict=True)}


def code_digests(chosen: Sequence[str | Approach], scorers: Mapping[str, Score]) -> dict[str, Any]:
    """Return digests of the caller's own approaches and scorers: a run is resumed only with the same code."""
    own = {choice.name: code_digest(choice) for choice in chosen if not isinstance(choice, str)}
    added = {name: code_digest(function) for name, function in scorers.items()}
    return ({"own_approaches": own} if own else {}) | ({"own_scorers": added} if added else {})


def require_examples(examples: Sequence[Example], split: str) -> None:
    """Raise UsageError when the split has no examples."""
    if not examples:
        raise UsageError(f"the {split} split has no examples", hint=f'add examples, or set "split": "{split}" on some')


def refuse_seen_questions(registry: ApproachRegistry, resources: Resources, examples: Sequence[Example]) -> None:
    """Raise UsageError when a router is to be measured on examples that it was trained on."""
    router = read_router(resources.router_file) if ROUTED in registry.ready else None
    seen = {example.id for example in examples} & set(router.examples) if router else set()
    if seen:
        raise UsageError(
            f"{ROUTED} was trained on {len(seen):,} of these {len(examples):,} examples",
            hint="groundtune route says what it gains on questions that it was not trained on",
        )


def _without_training_examples(
    examples: Sequence[Example], registry: ApproachRegistry, models: Path | None
) -> tuple[Sequence[Example], dict[str, int]]:
    """Return the examples that no approach was trained on, and how many each trained approach has seen.

    An example counts as seen if its id or input was in the training rows, with its history if the model sees it: after
    training, rows can move to this split or be duplicated. Raises UsageError when no example remains.
    """
    seen: dict[str, set[str]] = {}
    for name, artifact in registry.artifacts.items():
        if name in registry.asked and models:
            job = read_job(models / artifact.id)
            rows = [*job.rows("train"), *job.rows("validation")]
            ids = {row.id for row in rows}
            keys = {row_key(row) for row in rows}
            key = partial(example_key, with_history=sees_history(training_kind(artifact.kind)))
            if overlap := {example.id for example in examples if example.id in ids or key(example) in keys}:
                seen[name] = overlap
    all_seen = set().union(*seen.values())
    unseen = [example for example in examples if example.id not in all_seen]
    if not unseen:
        commands = ", ".join(f"groundtune tune {registry.artifacts[name].name}" for name in seen)
        raise UsageError(
            f"{', '.join(seen)}: trained on every example of this split, so nothing is left to compare",
            hint=f"train again without them: {commands}",
        )
    further = {name for others in registry.further.values() for name in others}
    return unseen, {name: len(overlap) for name, overlap in seen.items() if name not in further}


async def complete_matrix(
    workspace: Workspace,
    registry: ApproachRegistry,
    examples: Sequence[Example],
    *,
    about: Mapping[str, Any],
    score: Scorer,
    context: Mapping[str, Any] | None = None,
    judge: JudgeCall | None = None,
    located: Mapping[str, Sequence[LocatedEvidence]] = MappingProxyType({}),
    race: Race | None = None,
    fresh: bool = False,
    spent: Callable[[], float] = lambda: 0.0,
    progress: Callable[[CompareProgress], None] = lambda _: None,
) -> Path:
    """Complete the matrix of a run and return its folder.

    A run under the same conditions is resumed: only its missing cells and errors are run. about: conditions that affect
    the results, besides the examples and the names of the approaches; plain JSON values. context: values that affect
    the verdict. located: where the evidence of each example is in the index. race: ask only until it is decided. fresh:
    always start a new run. Raises what `Matrix.fill` raises; the partial run stays readable.
    """
    about = {**about, **({"until_decided": True} if race else {})}
    folder = await asyncio.to_thread(_find_or_begin_run, workspace, registry, examples, about, fresh=fresh)
    with workspace.lock("running", folder=folder, action="is running this comparison in"):
        _write_examples(folder, examples)  # somebody may have reviewed them since the run began
        now = {"about": {**about, **(context or {})}, "used": datetime.now(UTC).isoformat()}
        _write_run_file(folder, {**read_run_file(folder), **now})
        await _fill(
            registry, examples, folder, race, score=score, judge=judge, located=located, spent=spent, progress=progress
        )
        _write_run_file(folder, {**read_run_file(folder), "complete": True})
    return folder


async def _fill(
    registry: ApproachRegistry,
    examples: Sequence[Example],
    folder: Path,
    race: Race | None,
    *,
    score: Scorer,
    judge: JudgeCall | None,
    located: Mapping[str, Sequence[LocatedEvidence]],
    spent: Callable[[], float],
    progress: Callable[[CompareProgress], None],
) -> None:
    """Fill the matrix; with a race, as far as it goes.

    Approaches of the same concurrency are asked together, so that models on this machine get full batches, but each
    trained model for itself, so that there is one at work at a time.
    """
    total = len(registry.ready) * len(examples)
    earlier = await asyncio.to_thread(read_results, folder / RESULTS)
    done = sum(row.error is None for row in earlier)

    def step(result: Result) -> None:
        nonlocal done
        done += 1
        progress(CompareProgress(done, total, result.approach, spent()))

    def record(stopping: Stopping) -> None:
        nonlocal total
        total = most_cells(stopping, race) if race else total
        values = read_run_file(folder)
        if stopping.asked or "stopping" not in values:  # a run that is repeated is not back at its start
            _write_run_file(folder, {**values, "stopping": asdict(stopping)})

    def concurrency_of(name: str) -> int:
        return registry.concurrency.get(name, 1)

    def asked_with(name: str) -> tuple[int, str]:
        return concurrency_of(name), registry.artifacts[name].id if name in registry.artifacts else ""

    opened = await open_matrix(folder, score=score, judge=judge, located=located, progress=step, retry_errors=True)
    with opened as matrix:

        async def ask(names: Sequence[str], batch: Sequence[Example]) -> list[Result]:
            rows: list[Result] = []
            for (concurrency, _), group in groupby(sorted(names, key=asked_with), key=asked_with):
                rows += await matrix.fill([registry.ready[name] for name in group], batch, concurrency=concurrency)
            return rows

        if race is None:
            await ask(list(registry.ready), examples)
        else:
            highest = max(map(concurrency_of, registry.ready))
            await ask_until_decided(ask, list(registry.ready), examples, race, concurrency=highest, record=record)


def _write_run_file(folder: Path, values: Mapping[str, Any]) -> None:
    write_json(folder / RUN, versioned(values, RUN_FORMAT))


def _check_files(config: Config, root: Path) -> list[Path]:
    """Return the schema and Python files inside the project that its checks use."""
    named = [root / check.schema_file for check in config.checks if check.schema_file]
    modules = [check.function.partition(":")[0].replace(".", "/") for check in config.checks if check.function]
    return [path for path in (*named, *(root / f"{module}.py" for module in modules)) if path.is_file()]


async def _conditions(
    config: Config,
    resources: Resources,
    registry: ApproachRegistry,
    fitted: Fitted,
    thresholds: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the conditions that affect the results."""
    manifest = resources.index.manifest if resources.index else None
    packages = build.used_parts(config, registry.ready)
    return {
        "version": version("groundtune"),
        "task": config.task,
        "settings": settings(config),
        "index": [manifest.generation, manifest.parts] if manifest else None,
        "documents": await resources.index.catalog.digest() if resources.index else None,
        "shown": digest_text("".join(map(repr, resources.train))),
        "fitted": {
            "dense_weight": fitted.dense_weight,
            "thresholds": {name: threshold["value"] for name, threshold in thresholds.items()},
        },
        "form": repr(resources.output_format),
        "checks": [digest_file(path) for path in _check_files(config, resources.root)],
        "requests": {name: registry.requests.get(name) for name in sorted(set(registry.model_tables.values()))},
        "artifacts": {name: artifact.id for name, artifact in registry.artifacts.items() if name in registry.asked},
        "wordings": {
            name: approach.wording.digest(config.task)
            for name, approach in registry.ready.items()
            if isinstance(approach, Pipeline)
        },
        **({"packages": packages} if packages else {}),
        **({"parts": parts} if (parts := _parts(config, registry)) else {}),
    }


def _parts(config: Config, registry: ApproachRegistry) -> dict[str, list[Any]]:
    """Return what the approaches that combinations ask depend on, whether or not they are compared themselves."""
    return {
        combination.name: [
            [
                part.name,
                getattr(part, "threshold", None),
                part.wording.digest(config.task) if isinstance(part, Pipeline) else None,
            ]
            for part in combination.parts
        ]
        for name, approach in registry.ready.items()
        if name in registry.parts and isinstance(approach, Combination)
        for combination in (approach, *(part for part in approach.parts if isinstance(part, Combination)))
    }


async def _basis(config: Config, resources: Resources, examples: Sequence[Example], fitted: Fitted) -> dict[str, Any]:
    """Return what a choice made from this comparison is based on, and the version of the index."""
    index = resources.index
    documents = await index.catalog.digest() if index else None
    snapshot = await index.generation.version() if index else None
    basis = await asyncio.to_thread(
        comparison_basis, config, documents, examples, resources.train, fitted, resources.wordings
    )
    return {"basis": basis, "index_version": snapshot}


def _context(config: Config, registry: ApproachRegistry, named: Sequence[str], labelled: int) -> dict[str, Any]:
    """Return what only the verdict depends on: changing it needs a new verdict but no new answers.

    named: approaches that were asked for by name, each of which is reported. labelled: number of all examples.
    """
    further = {name for others in registry.further.values() for name in others} - set(named)
    trained = {
        name: artifact
        for name, artifact in registry.artifacts.items()
        if name in registry.asked and name not in further
    }
    return {
        "name": config.name,
        "requirements": required(config),
        "prefer_simpler": config.compare.prefer_simpler,
        "rules": rules(config),
        "months": config.costs.months,
        "costs": {
            "documents_change": config.costs.documents_change,
            "hosting": config.costs.hosting,
            "assumptions": dict(config.costs.assumptions),
            "labelled": labelled or None,
        },
        "trainings": {
            name: {
                "table": artifact.name,
                "seeds": 1 if "@" in name else config.tune[artifact.name].seeds,
                "further": list(registry.further.get(name, ())),
                "kind": artifact.kind,
                "seconds": artifact.seconds,
                "compared": name in registry.ready,
            }
            for name, artifact in trained.items()
        },
        "training_usd": {name: _training_usd(registry, name) for name in trained},
        "model_tables": {name: table for name, table in registry.model_tables.items() if name in registry.asked},
        "model_notes": _model_notes(config, registry, trained),
        "forgetting": {
            name: artifact.details["probes"]["line"]
            for name, artifact in trained.items()
            if artifact.details.get("probes")
        },
    }


def required(config: Config) -> dict[str, Any]:
    """Return the requirements of the project file, as a run keeps them."""
    needed = config.requirements
    return {
        "citations": needed.citations,
        "min_quality": needed.min_quality,
        "max_asserted_wrong": needed.max_asserted_wrong,
        "max_p95_seconds": needed.max_p95_seconds,
        "max_usd_per_1k": needed.max_usd_per_1k,
        "max_usd_per_month": needed.max_usd_per_month,
        "requests_per_month": config.costs.requests_per_month,
    }


def rules(config: Config) -> dict[str, Any]:
    """Return what else of the project file the verdict goes by, as a run keeps it: plain JSON values."""
    residency = config.requirements.residency
    return {
        "residency": list(residency) if isinstance(residency, tuple) else residency,
        "primary": config.compare.primary,
    }


def _model_notes(config: Config, registry: ApproachRegistry, trained: Mapping[str, Artifact]) -> dict[str, list[str]]:
    """Return what must be said about built-in models: each note with the approaches that answer with the model."""
    models = {
        name: config.models[table].model for name, table in registry.model_tables.items() if name in registry.ready
    }
    notes: dict[str, list[str]] = {}
    for name, model in (models | {name: artifact.base for name, artifact in trained.items()}).items():
        if note := model_note(model):
            notes.setdefault(note, []).append(name)
    return notes


def _training_usd(registry: ApproachRegistry, name: str) -> float | None:
    """Return what all trainings of an approach cost; None if the price of one is unknown."""
    costs = [registry.artifacts[training].usd for training in (name, *registry.further.get(name, ()))]
    known = [usd for usd in costs if usd is not None]
    return sum(known) if len(known) == len(costs) else None


def _matching_run(workspace: Workspace, identity: str) -> Path | None:
    for path in sorted(workspace.runs.glob(f"*/{RUN}"), reverse=True):
        with contextlib.suppress(FormatError):  # another version's run is left alone
            if read_run_file(path.parent).get("identity") == identity:
                return path.parent
    return None


def _find_or_begin_run(
    workspace: Workspace,
    registry: ApproachRegistry,
    examples: Sequence[Example],
    about: Mapping[str, Any],
    *,
    fresh: bool,
) -> Path:
    """Return the folder of the run under these conditions, or of a new one."""
    identity = digest_text(json.dumps([sorted(registry.ready), [repr(e) for e in examples], about], sort_keys=True))
    folder = None if fresh else _matching_run(workspace, identity)
    return folder or _new_run(workspace, identity, registry, examples)


def _write_examples(folder: Path, examples: Sequence[Example]) -> None:
    rows = [json.dumps(asdict(example), ensure_ascii=False) for example in examples]
    write_atomic(folder / EXAMPLES, "".join(f"{row}\n" for row in rows).encode("utf-8", "backslashreplace"))


def _new_run(workspace: Workspace, identity: str, registry: ApproachRegistry, examples: Sequence[Example]) -> Path:
    started = datetime.now(UTC)
    folder = unused_folder(workspace.runs / started.strftime("%Y%m%d-%H%M%S"))
    _write_run_file(
        folder,
        {
            "identity": identity,
            "started": started.isoformat(timespec="seconds"),
            "approaches": list(registry.ready),
            "missing": registry.missing,
            "barred": registry.forbidden,
            "examples": len(examples),
            "complete": False,
        },
    )
    return folder
