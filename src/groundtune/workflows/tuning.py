"""Train one table [tune.NAME] on the project's examples, from rows to an artifact. Trains in another process."""

import asyncio
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from groundtune import build
from groundtune.approaches import prompts
from groundtune.approaches.forms import Form, LabelForm, ObjectForm
from groundtune.config import Config
from groundtune.config_tune import LoraConfig, RetrieverConfig, TuneConfig
from groundtune.errors import MissingError, UsageError
from groundtune.ingest.select import groups_for
from groundtune.lineup import Material
from groundtune.measure.examples import find_examples, read_examples
from groundtune.tune import worker
from groundtune.tune.artifacts import ARTIFACT
from groundtune.tune.base import find_base, load_tokenizer, model_ends
from groundtune.tune.encoders import encoder
from groundtune.tune.hosted import trainer as hosted
from groundtune.tune.job import JOB, Bounds, Job, Row, Step, read_job, write_job
from groundtune.tune.launch import launch
from groundtune.tune.preflight.check import Inputs, Preflight, preflight
from groundtune.types import Artifact, Example
from groundtune.workflows import grounding
from groundtune.workspace import Workspace, digest_text

TASKS = {"classifier": ("classify",), "extractor": ("extract",)}
"""Kinds that only some tasks can use."""


async def tune(
    workspace: Workspace,
    config: Config,
    material: Material,
    name: str,
    *,
    validation: Sequence[Example],
    fresh: bool = False,
    progress: Callable[[Step], None] = lambda _: None,
) -> Artifact:
    """The artifact of a training on the train split; one that was cut short goes on under the same conditions.

    validation: for early stopping and calibration; the test split takes no part. fresh: begin anew in any case.
    Raises UsageError, MissingError, TuneError.
    """
    job, train, held = await prepare(workspace, config, material, name, validation=validation)
    same = None if fresh else _unfinished(workspace, job, train, held)
    if same is None:
        write_job(job, train, held)
    return await launch(same or job.folder, module="groundtune.workflows.training", progress=progress)


async def prepare(
    workspace: Workspace, config: Config, material: Material, name: str, *, validation: Sequence[Example]
) -> tuple[Job, list[Row], list[Row]]:
    """The job with its rows, nothing written yet. Raises UsageError when the project has nothing to train it on."""
    chosen = table(config, name)
    allowed = TASKS.get(chosen.kind, (config.task,))
    if config.task not in allowed:
        raise UsageError(f"tune.{name}: kind {chosen.kind!r} is for task {allowed[0]}, this project's is {config.task}")
    if not material.train:
        raise UsageError(
            f"tune.{name}: no example is in the train split", hint="add examples; groundtune examples stats"
        )
    form = material.form
    if getattr(chosen, "context", "none") == "retrieved" and _prefers(chosen):
        raise UsageError(f'tune.{name}: context = "retrieved" is not for preferences', hint="leave it out")
    if getattr(chosen, "context", "none") == "retrieved" and config.task != "answer":
        raise UsageError(f'tune.{name}: context = "retrieved" is for task answer', hint="leave it out")
    train = await _rows(config, material, chosen, form, material.train)
    if not train and _prefers(chosen):
        what = f"tune.{name}: dpo learns from two replies to one input, and no example to train on has a rejected one"
        raise UsageError(what, hint='"rejected": "what the model wrote" beside "output"; groundtune examples import')
    if not train:
        raise UsageError(f"tune.{name}: no example of the train split can be learnt from", hint="groundtune evaluate")
    held = await _rows(config, material, chosen, form, validation, measured=True)
    job = Job(
        folder=workspace.models / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}",
        name=name,
        kind=chosen.kind,
        base=chosen.base or build.BUNDLED,
        settings=chosen.model_dump(mode="json"),
        details=_details(config, form, material, train),
    )
    if isinstance(chosen, RetrieverConfig):
        served = grounding.served(config, material)
        base = chosen.base or (chosen.part == "embedder" and served["embedder"]) or build.BUNDLED
        job = replace(job, base=base, details={**job.details, **served})
    return job, train, held


async def look(
    workspace: Workspace,
    config: Config,
    material: Material,
    name: str,
    *,
    validation: Sequence[Example],
    test: Sequence[Example],
) -> Preflight:
    """Everything about a training that can be found out in seconds. test: looked at for leakage alone."""
    job, train, held = await prepare(workspace, config, material, name, validation=validation)
    every = [*material.train, *validation, *test]
    documents = _documents(every, [*train, *held])
    kit, notices = await asyncio.to_thread(_kit, job)
    bounds = await asyncio.to_thread(_bounds, job, train, held)
    return preflight(
        Inputs(
            kind=job.kind,
            settings=job.settings,
            train=train,
            validation=held,
            test=[Row(one.id, one.input, _first(one.output)) for one in test],
            base=job.base,
            labels=job.details.get("labels", ()),
            documents=documents,
            access=_access(config, documents),
            groups={one.id: one.group for one in every if one.group is not None},
            bounds=bounds,
            notices=notices,
            free_memory_mb=psutil.virtual_memory().available / 1e6,
            **kit,
        )
    )


def _kit(job: Job) -> tuple[dict[str, Any], list[str]]:
    """What counts the tokens of a job as its trainer will, and what there is to know of its base."""
    if job.kind == "hosted":
        return {}, hosted.warnings(job)
    if job.kind == "lora":
        base = find_base(job.base)
        tokenizer = load_tokenizer(base.source, revision=base.revision)
        return {"tokenizer": tokenizer, "model_ends": model_ends(base), "window": base.window}, []
    base = encoder.find(job.base)
    tokenizer = load_tokenizer(base.source, revision=base.revision)

    def count(texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(list(texts), truncation=False)["input_ids"]] if texts else []

    return {"count_tokens": count, "window": encoder.limit_of(base, tokenizer, wanted=None)}, []


def _bounds(job: Job, train: Sequence[Row], held: Sequence[Row]) -> Bounds:
    """What the trainer says it takes; it reads the rows from a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="groundtune-look-") as scratch:
        there = replace(job, folder=Path(scratch))
        write_job(there, train, held)
        found: Bounds = worker.trainer(job.kind).estimate(there)
        return found


def _documents(examples: Sequence[Example], rows: Sequence[Row]) -> dict[str, list[str]]:
    """Id of a row to the documents whose text stands in it, or that its evidence is of."""
    found = {one.id: [proof.source for proof in one.evidence] for one in examples}
    for row in rows:
        found[row.id] = list(dict.fromkeys([*found.get(row.id, ()), *row.sources]))
    return found


def _access(config: Config, documents: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]] | None:
    """Source to the groups that may read it, by the rules of the project file; None where there are none."""
    rules = config.documents.access
    if not rules:
        return None
    sources = {source for own in documents.values() for source in own}
    pairs = [(rule.include, rule.groups) for rule in rules]
    return {source: groups_for(source.partition("#")[0], pairs) for source in sources}


def table(config: Config, name: str) -> TuneConfig:
    """Raises UsageError when there is no [tune.NAME]."""
    if name not in config.tune:
        known = ", ".join(config.tune)
        raise UsageError(f"no table [tune.{name}]", hint=f"there are {known}" if known else f"add [tune.{name}]")
    return config.tune[name]


async def _rows(
    config: Config,
    material: Material,
    chosen: TuneConfig,
    form: Form,
    examples: Sequence[Example],
    *,
    measured: bool = False,
) -> list[Row]:
    match chosen.kind:
        case "classifier" | "extractor":
            return [Row(one.id, one.input, _first(one.output)) for one in examples]
        case "retriever":
            negatives, part = chosen.hard_negatives, chosen.part
            return await grounding.retrieval_rows(material, examples, negatives=negatives, part=part, measured=measured)
        case _:
            if _prefers(chosen):
                return [_chat(form, one) for one in examples if one.rejected is not None]
            if isinstance(chosen, LoraConfig) and chosen.context == "retrieved":
                return await grounding.grounded_rows(config, material, form, examples, seed=chosen.seed)
            return [_chat(form, one) for one in examples]


def _chat(form: Form, example: Example) -> Row:
    """The messages of the approach `prompt`, with the reply that was right."""
    messages = prompts.messages(rules=form.rules(grounded=False), kind=form.kind, text=example.input)
    reply = form.reply(example.output)
    turns = [asdict(message) for message in messages] + [{"role": "assistant", "content": reply}]
    worse = example.rejected  # a text stands as the model wrote it
    rejected = worse if worse is None or isinstance(worse, str) else form.reply(worse)
    return Row(example.id, example.input, reply, tuple(turns), rejected=rejected)


def _prefers(chosen: TuneConfig) -> bool:
    """Whether it learns from two replies to one input."""
    return "dpo" in (getattr(chosen, "mode", None), getattr(chosen, "method", None))


def _details(config: Config, form: Form, material: Material, train: Sequence[Row]) -> dict[str, Any]:
    """What a trainer and the model it makes must know of the project."""
    details: dict[str, Any] = {"task": config.task}
    if isinstance(form, LabelForm):
        details["labels"] = list(form.labels)
    if isinstance(form, ObjectForm):
        details["schema"] = form.schema
    own = {row.id for row in train}
    files = [
        path.relative_to(material.root).as_posix()
        for path in find_examples(material.root, config.examples.files)
        if any(one.id in own for one in read_examples(path))
    ]
    evidence = {proof.source for one in material.train for proof in one.evidence}
    details["documents"] = sorted({*files, *evidence, *(source for row in train for source in row.sources)})
    return details


def _unfinished(workspace: Workspace, job: Job, train: Sequence[Row], held: Sequence[Row]) -> Path | None:
    """The newest training of the same rows and settings that has no artifact yet."""
    wanted = _identity(job, train, held)
    for path in sorted(workspace.models.glob(f"{job.name}-*/{JOB}"), reverse=True):
        if (path.parent / ARTIFACT).exists():
            continue
        try:
            before = read_job(path.parent)
        except MissingError:  # damaged: nothing to go on with
            continue
        if _identity(before, before.rows("train"), before.rows("validation")) == wanted:
            return path.parent
    return None


def _identity(job: Job, train: Sequence[Row], held: Sequence[Row]) -> str:
    about: list[Any] = [job.name, job.kind, job.base, job.settings, job.details]
    rows = [[asdict(row) for row in split] for split in (train, held)]
    return digest_text(json.dumps([about, rows], sort_keys=True))


def _first(output: Any) -> Any:
    """Of several right outputs the first."""
    return output[0] if isinstance(output, list) and output else output
