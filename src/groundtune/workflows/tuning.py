"""Train one table [tune.NAME] on the project's examples, from rows to artifact, in a separate process."""

import asyncio
import contextlib
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import psutil

from groundtune import build
from groundtune.approaches import prompts
from groundtune.approaches.output_formats import LabelFormat, ObjectFormat, OutputFormat, rules_digest
from groundtune.build.resources import Resources
from groundtune.common.files import unused_folder
from groundtune.config import Config, ModelConfig
from groundtune.config.tune_tables import HostedTuneConfig, LoraConfig, ProviderConfig, RetrieverConfig, TuneConfig
from groundtune.dataset.examples import find_examples, read_examples, select_split
from groundtune.errors import MissingError, UsageError
from groundtune.ingest.access_rules import groups_for
from groundtune.models.hub import BUNDLED
from groundtune.tune import resume, worker
from groundtune.tune.artifacts import ARTIFACT, read_artifact
from groundtune.tune.base_model import find_base, load_tokenizer, model_end_ids
from groundtune.tune.encoders import base_encoder
from groundtune.tune.hosted import trainer as hosted
from groundtune.tune.hosted.providers import longest_example, provider_of
from groundtune.tune.hosted.upload_files import example_tokens
from groundtune.tune.job import Bounds, Job, TrainingRow, TrainingStep, TuneError, write_job, write_job_file
from groundtune.tune.launcher import launch_training
from groundtune.tune.preflight import leakage
from groundtune.tune.preflight.run import PreflightInputs, PreflightReport, run_preflight
from groundtune.types import Artifact, Example
from groundtune.workflows import retrieved_rows
from groundtune.workflows.decontamination import Decontaminator
from groundtune.workspace import Workspace

JobAction = Literal["pause", "resume", "cancel"]
TASKS = {"classifier": ("classify",), "extractor": ("extract",)}
"""Kinds that are limited to certain tasks."""


async def prepare_folder(
    workspace: Workspace,
    config: Config,
    resources: Resources,
    examples: Sequence[Example],
    name: str,
    *,
    allow_truncation: int | None = None,
    fresh: bool = False,
) -> Path:
    """Prepare a training run on the train split and return its folder, ready to launch.

    An interrupted training run under the same conditions is resumed in its own folder, and a finished one is reused.
    examples: all splits; validation is for early stopping and calibration, and examples in test are removed from the
    other two. fresh: always start a new training run, except while a job may still run at a provider. Raises
    UsageError, MissingError, TuneError.
    """
    resources, validation, _ = _without_test_examples(resources, examples)
    test = Decontaminator(select_split(examples, "test"))
    job, train, validation_rows = await build_job(
        workspace,
        config,
        resources,
        name,
        validation=validation,
        decontaminator=test,
        allow_truncation=allow_truncation,
    )
    if fresh and (running := next(resume.running_jobs(workspace.models, name), None)):
        job_id = hosted.running_job(running.folder)
        message = f"job {job_id} of tune.{name} may still be running; --fresh would pay for a second one"
        raise UsageError(message, hint=f"run groundtune tune {name} --job cancel first")
    previous = None if fresh else _matching_training(workspace, job, train, validation_rows)
    try:
        if previous is not None and (previous / ARTIFACT).exists():
            return previous
        if previous is None:
            write_job(job, train, validation_rows)
        elif job.kind == "hosted":  # same job, but its limits may have changed
            write_job_file(replace(job, folder=previous))
    except OSError as error:
        if previous is None:
            shutil.rmtree(job.folder, ignore_errors=True)
        message = f"cannot write {previous or job.folder}: {(error.strerror or str(error)).lower()}"
        raise TuneError(message, hint="free some space, or fix the permissions of the folder") from error
    return previous or job.folder


async def train(folder: Path, *, progress: Callable[[TrainingStep], None] = lambda _: None) -> Artifact:
    """Train the folder in another process, or return its finished artifact. Raises what `launch_training` raises."""
    if (folder / ARTIFACT).exists():
        return await asyncio.to_thread(read_artifact, folder)
    return await launch_training(folder, module="groundtune.workflows.training_process", progress=progress)


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
    chosen = tune_table(config, name)
    if allow_truncation is not None:
        chosen = chosen.model_copy(update={"allow_truncation": allow_truncation})
    allowed = TASKS.get(chosen.kind, (config.task,))
    if config.task not in allowed:
        raise UsageError(
            f"tune.{name}: kind {chosen.kind!r} needs task {allowed[0]}, but this project has task {config.task}"
        )
    if not resources.train:
        raise UsageError(
            f"tune.{name}: the train split has no examples",
            hint="add examples; groundtune examples stats shows the counts",
        )
    output_format = resources.output_format
    if getattr(chosen, "context", "none") == "retrieved" and _uses_preferences(chosen):
        raise UsageError(f'tune.{name}: context = "retrieved" cannot be combined with dpo', hint="remove it")
    if getattr(chosen, "context", "none") == "retrieved" and config.task != "answer":
        raise UsageError(f'tune.{name}: context = "retrieved" needs task answer', hint="remove it")
    train = await _rows(config, resources, chosen, output_format, resources.train, decontaminator)
    if not train and _uses_preferences(chosen):
        hint = (
            'add "rejected": "what the model wrote" next to "output", or import preference pairs with '
            "groundtune examples import"
        )
        message = f"tune.{name}: dpo needs a rejected reply next to each output, and no train example has one"
        raise UsageError(message, hint=hint)
    if not train:
        raise UsageError(f"tune.{name}: no example of the train split is usable", hint="groundtune evaluate")
    validation_rows = await _rows(config, resources, chosen, output_format, validation, decontaminator, measured=True)
    job = Job(
        folder=unused_folder(workspace.models / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"),
        name=name,
        kind=chosen.kind,
        base=chosen.base or BUNDLED,
        settings=chosen.model_dump(mode="json"),
        details=_details(config, chosen, resources, train),
    )
    if isinstance(chosen, RetrieverConfig):
        ranking = retrieved_rows.ranking_settings(config, resources)
        base = chosen.base or (chosen.part == "embedder" and ranking["embedder"]) or BUNDLED
        job = replace(job, base=base, details={**job.details, **ranking})
    if isinstance(chosen, HostedTuneConfig):
        provider = config.providers.get(chosen.provider)
        job = replace(job, details={**job.details, "provider": _provider_settings(provider)})
        _admit(config, job)
    return job, train, validation_rows


def _provider_settings(provider: ProviderConfig | None) -> dict[str, Any]:
    return provider.model_dump(mode="json", exclude_none=True) if provider else {}


def _admit(config: Config, job: Job) -> None:
    """Raise UsageError if the rows may not be sent to the provider."""
    place = ModelConfig(kind="openai", model=job.base, base_url=provider_of(job).base_url)
    if reason := build.residency_violation(config, place):
        hint = "tune a local model (kind = lora), or allow the host under [requirements]"
        raise UsageError(f"tune.{job.name}: {reason}", hint=hint)


async def preflight(
    workspace: Workspace,
    config: Config,
    resources: Resources,
    examples: Sequence[Example],
    name: str,
    *,
    allow_truncation: int | None = None,
) -> PreflightReport:
    """Check a training run before it starts, in seconds. examples: all splits."""
    resources, validation, left_out = _without_test_examples(resources, examples)
    test = Decontaminator(select_split(examples, "test"))
    job, train, validation_rows = await build_job(
        workspace,
        config,
        resources,
        name,
        validation=validation,
        decontaminator=test,
        allow_truncation=allow_truncation,
    )
    documents = _documents(examples, [*train, *validation_rows])
    with _quiet():
        kit, notices = await asyncio.to_thread(_token_counters, job)
    notices = [
        *notices,
        *resume.describe_unfinished(workspace.models, job, _matching_training(workspace, job, train, validation_rows)),
    ]
    bounds, refusal = await asyncio.to_thread(_estimate_bounds, job, train, validation_rows)
    trained_ids = {row.id for row in train}
    return run_preflight(
        PreflightInputs(
            kind=job.kind,
            settings=job.settings,
            train=train,
            validation=validation_rows,
            test=[
                TrainingRow(example.id, example.input, _first_output(example.output))
                for example in select_split(examples, "test")
            ],
            removed_examples=left_out,
            leaking_sources=test.leaks,
            skipped_examples=[example.id for example in resources.train if example.id not in trained_ids],
            base=job.base,
            labels=job.details.get("labels", ()),
            schema=job.details.get("schema"),
            documents=documents,
            access=_access(config, documents),
            groups={example.id: example.group for example in examples if example.group is not None},
            bounds=bounds,
            trainer_error=refusal,
            caveats=notices,
            free_memory_mb=psutil.virtual_memory().available / 1e6,
            **kit,
        )
    )


def _without_test_examples(
    resources: Resources, examples: Sequence[Example]
) -> tuple[Resources, list[Example], dict[str, str]]:
    """Remove examples of the test split from train and validation; also return removed ids with the test id."""
    test = select_split(examples, "test")
    train, train_duplicates = leakage.remove_test_examples(resources.train, test)
    validation, validation_duplicates = leakage.remove_test_examples(select_split(examples, "validation"), test)
    if resources.train and not train:
        message = "every example of the train split is also in the test split, so nothing is left to train on"
        raise UsageError(message, hint="add examples; groundtune examples stats shows the counts")
    return replace(resources, train=train), validation, train_duplicates | validation_duplicates


def control_job(workspace: Workspace, config: Config, name: str, action: JobAction) -> tuple[str, str]:
    """Pause, resume or cancel the newest job in progress of a hosted table; return its id and status.

    Raises UsageError for another kind, MissingError when no job is in progress, ProviderError.
    """
    if (kind := tune_table(config, name).kind) != "hosted":
        message = f'tune.{name} has kind = "{kind}", so it has no hosted job'
        raise UsageError(message, hint="stop its command with Ctrl-C")
    for job in resume.running_jobs(workspace.models, name):
        return hosted.control_job(job, action)
    raise MissingError(f"tune.{name} has no job in progress", hint=f"groundtune tune {name}")


def _matching_training(
    workspace: Workspace, job: Job, train: Sequence[TrainingRow], validation_rows: Sequence[TrainingRow]
) -> Path | None:
    """Return the folder of a training run under the same conditions, including its base model, or None."""

    def digest() -> str | None:
        return (
            None
            if job.kind == "hosted"
            else (find_base if job.kind == "lora" else base_encoder.find_encoder)(job.base).located.digest
        )

    return resume.find_same_training(workspace.models, job, train, validation_rows, base_digest=digest)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the log line for each attempt to reach the Hugging Face Hub; the final error is enough."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _token_counters(job: Job) -> tuple[dict[str, Any], list[str]]:
    """Return inputs that count tokens as the trainer will, and warnings about the base model."""
    if job.kind == "hosted":
        provider = provider_of(job)
        about = partial(example_tokens, method=job.settings["method"])
        limits = {"window": longest_example(provider, job.base), "least_rows": provider.min_examples}
        return {"row_tokens": about, **limits}, hosted.warnings(job)
    if job.kind == "lora":
        base = find_base(job.base)
        tokenizer = load_tokenizer(base.located)
        return {"tokenizer": tokenizer, "model_ends": model_end_ids(base), "window": base.located.window}, []
    base = base_encoder.find_encoder(job.base)
    tokenizer = load_tokenizer(base.located)
    count = partial(base_encoder.text_token_counts, tokenizer)
    return {"count_tokens": count, "window": base_encoder.token_limit(base.located, tokenizer, wanted=None)}, []


def _estimate_bounds(
    job: Job, train: Sequence[TrainingRow], validation_rows: Sequence[TrainingRow]
) -> tuple[Bounds | None, TuneError | None]:
    """Return the trainer's cost estimate, or the error why it refuses; uses a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="groundtune-look-") as scratch:
        scratch_job = replace(job, folder=Path(scratch))
        write_job(scratch_job, train, validation_rows)
        try:
            return worker.load_trainer(job.kind).estimate(scratch_job), None
        except TuneError as error:
            return None, error


def _documents(examples: Sequence[Example], rows: Sequence[TrainingRow]) -> dict[str, list[str]]:
    """Map each row id to the documents that its text or evidence comes from."""
    documents = {example.id: [proof.source for proof in example.evidence] for example in examples}
    for row in rows:
        documents[row.id] = list(dict.fromkeys([*documents.get(row.id, ()), *row.sources]))
    return documents


def _access(config: Config, documents: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]] | None:
    """Map each source to the groups that may read it, by the access rules of the project; None without rules."""
    rules = config.documents.access
    if not rules:
        return None
    sources = {source for sources_of_row in documents.values() for source in sources_of_row}
    pairs = [(rule.include, rule.groups) for rule in rules]
    return {source: groups_for(source.partition("#")[0], pairs) for source in sources}


def tune_table(config: Config, name: str) -> TuneConfig:
    """Return the table [tune.NAME]. Raises UsageError when there is none."""
    if name not in config.tune:
        known = ", ".join(config.tune)
        raise UsageError(f"no table [tune.{name}]", hint=f"choose one of {known}" if known else f"add [tune.{name}]")
    return config.tune[name]


async def _rows(
    config: Config,
    resources: Resources,
    chosen: TuneConfig,
    output_format: OutputFormat,
    examples: Sequence[Example],
    test: Decontaminator | None,
    *,
    measured: bool = False,
) -> list[TrainingRow]:
    match chosen.kind:
        case "classifier" | "extractor":
            return [TrainingRow(example.id, example.input, _first_output(example.output)) for example in examples]
        case "retriever":
            return await retrieved_rows.retrieval_rows(
                resources,
                examples,
                negatives=chosen.hard_negatives,
                part=chosen.part,
                measured=measured,
                decontaminator=test,
            )
        case _:
            if _uses_preferences(chosen):
                return [_chat_row(output_format, example) for example in examples if example.rejected is not None]
            if isinstance(chosen, LoraConfig) and chosen.context == "retrieved":
                return await retrieved_rows.grounded_rows(
                    config, resources, output_format, examples, seed=chosen.seed, decontaminator=test
                )
            return [_chat_row(output_format, example) for example in examples]


def _chat_row(output_format: OutputFormat, example: Example) -> TrainingRow:
    """Build the messages of the approach `prompt`, with the gold reply."""
    messages = prompts.messages(
        rules=output_format.rules(grounded=False), kind=output_format.input_name, text=example.input
    )
    reply = output_format.gold_reply(example.output)
    turns = [asdict(message) for message in messages] + [{"role": "assistant", "content": reply}]
    worse = example.rejected  # text is kept as the model wrote it
    rejected = worse if worse is None or isinstance(worse, str) else output_format.gold_reply(worse)
    return TrainingRow(example.id, example.input, reply, tuple(turns), rejected=rejected)


def _uses_preferences(chosen: TuneConfig) -> bool:
    """Whether the table trains on preferences, with two replies per input."""
    return "dpo" in (getattr(chosen, "mode", None), getattr(chosen, "method", None))


def _details(config: Config, chosen: TuneConfig, resources: Resources, train: Sequence[TrainingRow]) -> dict[str, Any]:
    """Return what the trainer and the resulting model need to know about the project."""
    details, output_format = dict[str, Any](task=config.task), resources.output_format
    if isinstance(chosen, LoraConfig | HostedTuneConfig):
        grounded = getattr(chosen, "context", "none") == "retrieved"
        details["rules"] = rules_digest(output_format, grounded=grounded)
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
    return details


def _first_output(output: Any) -> Any:
    """Return the first of several gold outputs."""
    return output[0] if isinstance(output, list) and output else output
