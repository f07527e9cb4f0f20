"""Train one table [tune.NAME] on the project's examples, from rows to artifact, in a separate process."""

import asyncio
import contextlib
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from groundtune.approaches.output_formats import LabelFormat, ObjectFormat
from groundtune.build.prompt_defaults import training_wording
from groundtune.build.resources import Resources
from groundtune.build.training_kinds import sees_history, training_kind
from groundtune.build.training_kinds.decontamination import Decontaminator
from groundtune.build.training_kinds.inputs import TrainingInputs
from groundtune.build.training_kinds.labelled_rows import first_output
from groundtune.common.files import unused_folder
from groundtune.common.names import composed
from groundtune.config import Config
from groundtune.config.tune_tables import TuneConfig
from groundtune.dataset.examples import find_examples, read_examples, select_split
from groundtune.errors import MissingError, UsageError
from groundtune.ingest.access_rules import stricter
from groundtune.ingest.rules import DocumentRules
from groundtune.models.hub import BUNDLED
from groundtune.protocols import CompletesJobs, ControlsJobs, HasBase, TrainingKind
from groundtune.tune import resume
from groundtune.tune.artifacts import ARTIFACT, read_artifact
from groundtune.tune.job import (
    Bounds,
    Job,
    JobAction,
    TrainingRow,
    TrainingStep,
    TuneError,
    running_job,
    write_job,
    write_job_file,
)
from groundtune.tune.launcher import launch_training
from groundtune.tune.preflight import leakage
from groundtune.tune.preflight.run import PreflightInputs, PreflightReport, run_preflight
from groundtune.types import EVERYONE, Artifact, Example
from groundtune.workspace import Workspace


@dataclass(frozen=True, slots=True)
class PreparedTraining:
    """A training run whose rows are built; it is neither checked nor started."""

    job: Job
    seeds: int
    """Number of trainings, with the job's seed and those after it."""
    kind: TrainingKind
    train: Sequence[TrainingRow]
    validation: Sequence[TrainingRow]
    examples: Sequence[Example]
    """Examples of all splits."""
    removed: Mapping[str, str]
    """Examples left out of train and validation: their id to the test example with the same input."""
    skipped: Sequence[str]
    """Ids of train examples from which no row could be made."""
    leaking_sources: Mapping[str, Sequence[str]]
    """Sources of passages left out of the rows, to the test examples that they contain."""
    rules: DocumentRules
    """Tell which groups may read a document."""
    item_groups: Mapping[str, Sequence[str]]
    """Groups of the items of sources outside the project folder."""


async def prepare(
    workspace: Workspace,
    config: Config,
    resources: Resources,
    examples: Sequence[Example],
    name: str,
    *,
    allow_truncation: int | None = None,
) -> PreparedTraining:
    """Build the rows of a training run on the train split; writes nothing.

    examples: all splits; validation is for early stopping and calibration, and examples in test are removed from the
    other two. allow_truncation: overrides the table. Raises UsageError, MissingError.
    """
    kind = training_kind(tune_table(config, name).kind)
    resources, validation, removed = _without_test_examples(resources, examples, with_history=sees_history(kind))
    decontaminator = Decontaminator(select_split(examples, "test"))
    job, train, validation_rows = await build_job(
        workspace,
        config,
        resources,
        name,
        validation=validation,
        decontaminator=decontaminator,
        allow_truncation=allow_truncation,
    )
    trained_ids = {row.id for row in train}
    return PreparedTraining(
        job=job,
        seeds=tune_table(config, name).seeds,
        kind=kind,
        train=train,
        validation=validation_rows,
        examples=examples,
        removed=removed,
        skipped=[example.id for example in resources.train if example.id not in trained_ids],
        leaking_sources=decontaminator.leaks,
        rules=DocumentRules(config, resources.root),
        item_groups=await resources.index.item_groups() if resources.index else {},
    )


async def build_job(
    workspace: Workspace,
    config: Config,
    resources: Resources,
    name: str,
    *,
    validation: Sequence[Example],
    decontaminator: Decontaminator | None = None,
    allow_truncation: int | None = None,
) -> tuple[Job, list[TrainingRow], list[TrainingRow]]:
    """Return the job with its train and validation rows; writes nothing. Raises UsageError if there are none.

    decontaminator: keeps out passages that leak a test example. allow_truncation: overrides the table.
    """
    table = tune_table(config, name)
    if allow_truncation is not None:
        table = table.model_copy(update={"allow_truncation": allow_truncation})
    kind = training_kind(table.kind)
    if kind.tasks is not None and config.task not in kind.tasks:
        raise UsageError(
            f"tune.{name}: kind {table.kind!r} needs task {kind.tasks[0]}, but this project has task {config.task}"
        )
    if not resources.train:
        raise UsageError(
            f"tune.{name}: the train split has no examples",
            hint="add examples; groundtune examples stats shows the counts",
        )
    grounded = "tuned" not in kind.approaches(table, config.task)
    wording = training_wording(config, resources, getattr(table, "base", None), grounded=grounded)
    resources = replace(resources, output_format=resources.output_format.worded(wording))
    inputs = TrainingInputs(name, config, resources, decontaminator or Decontaminator())
    train = await kind.rows(inputs, table, resources.train, measured=False)
    if not train:
        raise UsageError(f"tune.{name}: no example of the train split is usable", hint="groundtune evaluate")
    validation_rows = await kind.rows(inputs, table, validation, measured=True)
    job = Job(
        folder=_new_folder(workspace, name),
        name=name,
        kind=table.kind,
        base=table.base or BUNDLED if hasattr(table, "base") else "",
        settings=table.model_dump(mode="json", exclude={"seeds"}),  # a job is one training
        details=_details(config, resources, train),
    )
    if isinstance(kind, CompletesJobs):
        job = kind.complete_job(inputs, table, job)
    return job, train, validation_rows


def trainings(workspace: Workspace, prepared: PreparedTraining) -> Iterator[PreparedTraining]:
    """Yield a training of the same rows for each seed."""
    job = prepared.job
    for seed in range(job.settings["seed"], job.settings["seed"] + prepared.seeds):
        settings = {**job.settings, "seed": seed}
        yield replace(prepared, job=replace(job, settings=settings, folder=_new_folder(workspace, job.name)))


def is_trained(workspace: Workspace, prepared: PreparedTraining) -> bool:
    """Whether a finished training under the same conditions can be reused."""
    previous = _matching_training(workspace, prepared.job, prepared.train, prepared.validation)
    return previous is not None and (previous / ARTIFACT).exists()


def _new_folder(workspace: Workspace, name: str) -> Path:
    return unused_folder(workspace.models / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}")


async def preflight(workspace: Workspace, prepared: PreparedTraining) -> PreflightReport:
    """Check a training run before it starts, in seconds."""
    job, train, validation = prepared.job, prepared.train, prepared.validation
    documents = _documents(prepared.examples, [*train, *validation])
    with _quiet():
        kit, notices = await asyncio.to_thread(prepared.kind.preflight, job)
    previous = _matching_training(workspace, job, train, validation)
    unfinished = resume.describe_unfinished(workspace.models, job, previous)
    bounds, refusal = await asyncio.to_thread(_estimate_bounds, prepared)
    test = select_split(prepared.examples, "test")
    return run_preflight(
        PreflightInputs(
            settings=job.settings,
            train=train,
            validation=validation,
            test=[_test_row(example, with_history=sees_history(prepared.kind)) for example in test],
            removed_examples=prepared.removed,
            leaking_sources=prepared.leaking_sources,
            skipped_examples=prepared.skipped,
            base=job.base,
            labels=job.details.get("labels", ()),
            schema=job.details.get("schema"),
            documents=documents,
            access=_access(prepared, documents),
            groups={example.id: example.group for example in prepared.examples if example.group is not None},
            bounds=bounds,
            trainings=prepared.seeds,
            trainer_error=refusal,
            caveats=[*notices, *unfinished],
            free_memory_mb=psutil.virtual_memory().available / 1e6,
            **kit,
        )
    )


def write_folder(workspace: Workspace, prepared: PreparedTraining, *, fresh: bool = False) -> Path:
    """Write the folder of a training run, ready to launch, and return it.

    An interrupted training run under the same conditions is resumed in its own folder, and a finished one is reused.
    fresh: always start a new training run, except while a job may still run at a provider. Raises UsageError,
    TuneError.
    """
    job, name = prepared.job, prepared.job.name
    if fresh and (running := next(resume.running_jobs(workspace.models, name), None)):
        job_id = running_job(running.folder)
        message = f"job {job_id} of tune.{name} may still be running; --fresh would pay for a second one"
        raise UsageError(message, hint=f"run groundtune tune {name} --job cancel first")
    previous = None if fresh else _matching_training(workspace, job, prepared.train, prepared.validation)
    if previous is not None and (previous / ARTIFACT).exists():
        return previous
    # Another process may have taken the folder since the rows were built.
    job = replace(job, folder=previous or unused_folder(job.folder))
    try:
        if previous is None:
            write_job(job, prepared.train, prepared.validation)
        elif isinstance(prepared.kind, ControlsJobs):  # same job, but its limits may have changed
            write_job_file(job)
    except OSError as error:
        if previous is None:
            shutil.rmtree(job.folder, ignore_errors=True)
        message = f"cannot write {job.folder}: {(error.strerror or str(error)).lower()}"
        raise TuneError(message, hint="free some space, or fix the permissions of the folder") from error
    return job.folder


async def train(folder: Path, *, progress: Callable[[TrainingStep], None] = lambda _: None) -> Artifact:
    """Train the folder in another process, or return its finished artifact. Raises what `launch_training` raises."""
    if (folder / ARTIFACT).exists():
        return await asyncio.to_thread(read_artifact, folder)
    return await launch_training(folder, module="groundtune.workflows.training_process", progress=progress)


def control_job(workspace: Workspace, config: Config, name: str, action: JobAction) -> tuple[str, str]:
    """Pause, resume or cancel the newest job in progress of a hosted table; return its id and status.

    Raises UsageError for another kind, MissingError when no job is in progress, ProviderError.
    """
    kind = training_kind(tune_table(config, name).kind)
    if not isinstance(kind, ControlsJobs):
        message = f'tune.{name} has kind = "{kind.kind}", so it has no hosted job'
        raise UsageError(message, hint="stop its command with Ctrl-C")
    for job in resume.running_jobs(workspace.models, name):
        return kind.control_job(job, action)
    raise MissingError(f"tune.{name} has no job in progress", hint=f"groundtune tune {name}")


def tune_table(config: Config, name: str) -> TuneConfig:
    """Return the table [tune.NAME]. Raises UsageError when there is none."""
    if name not in config.tune:
        known = ", ".join(config.tune)
        raise UsageError(f"no table [tune.{name}]", hint=f"choose one of {known}" if known else f"add [tune.{name}]")
    return config.tune[name]


def _test_row(example: Example, *, with_history: bool) -> TrainingRow:
    history = tuple(map(asdict, example.history)) if with_history else ()
    return TrainingRow(example.id, example.input, first_output(example.output), history=history)


def _without_test_examples(
    resources: Resources, examples: Sequence[Example], *, with_history: bool
) -> tuple[Resources, list[Example], dict[str, str]]:
    """Remove examples of the test split from train and validation; also return removed ids with the test id."""
    test = select_split(examples, "test")
    train, train_duplicates = leakage.remove_test_examples(resources.train, test, with_history=with_history)
    validation = select_split(examples, "validation")
    validation, validation_duplicates = leakage.remove_test_examples(validation, test, with_history=with_history)
    if resources.train and not train:
        message = "every example of the train split is also in the test split, so nothing is left to train on"
        raise UsageError(message, hint="add examples; groundtune examples stats shows the counts")
    return replace(resources, train=train), validation, train_duplicates | validation_duplicates


def _matching_training(
    workspace: Workspace, job: Job, train: Sequence[TrainingRow], validation_rows: Sequence[TrainingRow]
) -> Path | None:
    """Return the folder of a training run under the same conditions, including its base model, or None."""
    kind = training_kind(job.kind)
    return resume.find_same_training(
        workspace.models,
        job,
        train,
        validation_rows,
        base_digest=lambda: kind.base_digest(job) if isinstance(kind, HasBase) else None,
        created_with=kind.created_with if isinstance(kind, ControlsJobs) else lambda job: job,
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the log line for each attempt to reach the Hugging Face Hub; the final error is enough."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _estimate_bounds(prepared: PreparedTraining) -> tuple[Bounds | None, TuneError | None]:
    """Return the trainer's cost estimate, or the error why it refuses; uses a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="groundtune-look-") as scratch:
        job = replace(prepared.job, folder=Path(scratch))
        write_job(job, prepared.train, prepared.validation)
        try:
            return prepared.kind.estimate(job), None
        except TuneError as error:
            return None, error


def _documents(examples: Sequence[Example], rows: Sequence[TrainingRow]) -> dict[str, list[str]]:
    """Map each row id to the documents that its text or evidence comes from, with composed names."""
    documents = {example.id: [composed(proof.source) for proof in example.evidence] for example in examples}
    for row in rows:
        documents[row.id] = list(dict.fromkeys([*documents.get(row.id, ()), *map(composed, row.sources)]))
    return documents


def _access(prepared: PreparedTraining, documents: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]] | None:
    """Map each source to the groups that may read it; None if nothing in the project is restricted."""
    rules = prepared.rules
    items = {composed(source): groups for source, groups in prepared.item_groups.items()}
    if not rules.restricting and all(EVERYONE in groups for groups in items.values()):
        return None
    sources = {source for sources_of_row in documents.values() for source in sources_of_row}
    files = {source: source.partition("#")[0] for source in sources}
    return {source: stricter(items.get(file, (EVERYONE,)), rules.groups_for(file)) for source, file in files.items()}


def _details(config: Config, resources: Resources, train: Sequence[TrainingRow]) -> dict[str, Any]:
    """Return what the trainer and the resulting model need to know about the project."""
    details, output_format = dict[str, Any](task=config.task), resources.output_format
    if isinstance(output_format, LabelFormat):
        details["labels"] = list(output_format.labels)
    if isinstance(output_format, ObjectFormat):
        details["schema"] = output_format.schema
    trained_ids = {row.id for row in train}
    files = [
        path.relative_to(resources.root).as_posix()
        for path in find_examples(resources.root, config.examples.files)
        if any(example.id in trained_ids for example in read_examples(path))
    ]
    evidence = {proof.source for example in resources.train for proof in example.evidence}
    details["documents"] = sorted({*files, *evidence, *(source for row in train for source in row.sources)})
    if groups := {example.groups for example in resources.train if example.id in trained_ids and example.groups}:
        details["example_groups"] = sorted(map(list, groups))
    return details
