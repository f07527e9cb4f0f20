"""Train one table [tune.NAME] on the project's examples, from rows to an artifact. Trains in another process."""

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
from groundtune.approaches.forms import Form, LabelForm, ObjectForm, rules_digest
from groundtune.config import Config, ModelConfig
from groundtune.config_tune import HostedTuneConfig, LoraConfig, ProviderConfig, RetrieverConfig, TuneConfig
from groundtune.errors import MissingError, UsageError
from groundtune.ingest.select import groups_for
from groundtune.lineup import Material
from groundtune.measure.examples import find_examples, of_split, read_examples
from groundtune.tune import earlier, worker
from groundtune.tune.artifacts import ARTIFACT, read_artifact
from groundtune.tune.base import find_base, load_tokenizer, model_ends
from groundtune.tune.encoders import encoder
from groundtune.tune.hosted import trainer as hosted
from groundtune.tune.hosted.providers import longest_example, provider_of
from groundtune.tune.hosted.rows import example_tokens
from groundtune.tune.job import Bounds, Job, Row, Step, TuneError, write_about, write_job
from groundtune.tune.launch import launch
from groundtune.tune.preflight import leakage
from groundtune.tune.preflight.check import Inputs, Preflight, preflight
from groundtune.types import Artifact, Example
from groundtune.workflows import grounding
from groundtune.workflows.withheld import Withheld
from groundtune.workspace import Workspace, unused

Act = Literal["pause", "resume", "cancel"]
TASKS = {"classifier": ("classify",), "extractor": ("extract",)}
"""Kinds that only some tasks can use."""


async def begin(
    workspace: Workspace,
    config: Config,
    material: Material,
    examples: Sequence[Example],
    name: str,
    *,
    allow_truncation: int | None = None,
    fresh: bool = False,
) -> Path:
    """The folder of a training on the train split, ready to be launched; one that was cut short under the same
    conditions goes on in its own, and one that came to an artifact under them is not trained again.

    examples: of all splits; validation is for early stopping and calibration, what stands in test is left out of both
    others. fresh: begin anew in any case, but beside a job that may run at a provider. Raises UsageError, MissingError,
    TuneError.
    """
    material, validation, _ = _apart(material, examples)
    test = Withheld(of_split(examples, "test"))
    job, train, held = await prepare(
        workspace, config, material, name, validation=validation, test=test, allow_truncation=allow_truncation
    )
    if fresh and (running := next(earlier.under_way(workspace.models, name), None)):
        what = (
            f"job {hosted.under_way(running.folder)} of tune.{name} may still be under way: --fresh would pay for two"
        )
        raise UsageError(what, hint=f"groundtune tune {name} --job cancel, then again")
    same = None if fresh else _same(workspace, job, train, held)
    try:
        if same is not None and (same / ARTIFACT).exists():
            return same
        if same is None:
            write_job(job, train, held)
        elif job.kind == "hosted":  # the limits may be others than before, the job is the same
            write_about(replace(job, folder=same))
    except OSError as error:
        if same is None:
            shutil.rmtree(job.folder, ignore_errors=True)
        what = f"cannot write {same or job.folder}: {(error.strerror or str(error)).lower()}"
        raise TuneError(what, hint="make room, or fix the rights of the folder") from error
    return same or job.folder


async def train(folder: Path, *, progress: Callable[[Step], None] = lambda _: None) -> Artifact:
    """What comes of the folder, trained in another process, or came of it before. Raises what `launch` does."""
    if (folder / ARTIFACT).exists():
        return await asyncio.to_thread(read_artifact, folder)
    return await launch(folder, module="groundtune.workflows.training", progress=progress)


async def prepare(
    workspace: Workspace,
    config: Config,
    material: Material,
    name: str,
    *,
    validation: Sequence[Example],
    test: Withheld | None = None,
    allow_truncation: int | None = None,
) -> tuple[Job, list[Row], list[Row]]:
    """The job with its rows, nothing written yet. Raises UsageError when the project has nothing to train it on.

    test: what no passage of a row may give away. allow_truncation: goes before that of the table.
    """
    chosen = table(config, name)
    if allow_truncation is not None:
        chosen = chosen.model_copy(update={"allow_truncation": allow_truncation})
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
    train = await _rows(config, material, chosen, form, material.train, test)
    if not train and _prefers(chosen):
        what = f"tune.{name}: dpo learns from two replies to one input, and no example to train on has a rejected one"
        raise UsageError(what, hint='"rejected": "what the model wrote" beside "output"; groundtune examples import')
    if not train:
        raise UsageError(f"tune.{name}: no example of the train split can be learnt from", hint="groundtune evaluate")
    held = await _rows(config, material, chosen, form, validation, test, measured=True)
    job = Job(
        folder=unused(workspace.models / f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"),
        name=name,
        kind=chosen.kind,
        base=chosen.base or build.BUNDLED,
        settings=chosen.model_dump(mode="json"),
        details=_details(config, chosen, material, train),
    )
    if isinstance(chosen, RetrieverConfig):
        served = grounding.served(config, material)
        base = chosen.base or (chosen.part == "embedder" and served["embedder"]) or build.BUNDLED
        job = replace(job, base=base, details={**job.details, **served})
    if isinstance(chosen, HostedTuneConfig):
        known = config.providers.get(chosen.provider)
        job = replace(job, details={**job.details, "provider": _stated(known)})
        _admit(config, job)
    return job, train, held


def _stated(known: ProviderConfig | None) -> dict[str, Any]:
    return known.model_dump(mode="json", exclude_none=True) if known else {}


def _admit(config: Config, job: Job) -> None:
    """Raises UsageError where the rows may not go to the provider."""
    place = ModelConfig(kind="openai", model=job.base, base_url=provider_of(job).base_url)
    if reason := build.forbidden(config, place):
        hint = "tune a model on this machine (kind = lora), or allow the host under [requirements]"
        raise UsageError(f"tune.{job.name}: {reason}", hint=hint)


async def look(
    workspace: Workspace,
    config: Config,
    material: Material,
    examples: Sequence[Example],
    name: str,
    *,
    allow_truncation: int | None = None,
) -> Preflight:
    """Everything about a training that can be found out in seconds. examples: of all splits."""
    material, validation, left_out = _apart(material, examples)
    test = Withheld(of_split(examples, "test"))
    job, train, held = await prepare(
        workspace, config, material, name, validation=validation, test=test, allow_truncation=allow_truncation
    )
    documents = _documents(examples, [*train, *held])
    with _quiet():
        kit, notices = await asyncio.to_thread(_kit, job)
    notices = [*notices, *earlier.others(workspace.models, job, _same(workspace, job, train, held))]
    bounds, refusal = await asyncio.to_thread(_bounds, job, train, held)
    learnt = {row.id for row in train}
    return preflight(
        Inputs(
            kind=job.kind,
            settings=job.settings,
            train=train,
            validation=held,
            test=[Row(one.id, one.input, _first(one.output)) for one in of_split(examples, "test")],
            left_out=left_out,
            given_away=test.found,
            unlearnt=[one.id for one in material.train if one.id not in learnt],
            base=job.base,
            labels=job.details.get("labels", ()),
            schema=job.details.get("schema"),
            documents=documents,
            access=_access(config, documents),
            groups={one.id: one.group for one in examples if one.group is not None},
            bounds=bounds,
            refusal=refusal,
            notices=notices,
            free_memory_mb=psutil.virtual_memory().available / 1e6,
            **kit,
        )
    )


def _apart(material: Material, examples: Sequence[Example]) -> tuple[Material, list[Example], dict[str, str]]:
    """Train and validation without what stands in the test split, and which rows these are: theirs to the test row."""
    test = of_split(examples, "test")
    train, known = leakage.apart(material.train, test)
    held, more = leakage.apart(of_split(examples, "validation"), test)
    if material.train and not train:
        what = "every example of the train split is in the test split as well: nothing is left to train on"
        raise UsageError(what, hint="add examples; groundtune examples stats")
    return replace(material, train=train), held, known | more


def steer(workspace: Workspace, config: Config, name: str, act: Act) -> tuple[str, str]:
    """Pauses, resumes or cancels the newest job of a hosted table that is under way; its id and status.

    Raises UsageError for another kind, MissingError where no job is under way, ProviderError.
    """
    if (kind := table(config, name).kind) != "hosted":
        raise UsageError(f"tune.{name} is a {kind}: it has no job at a provider", hint="stop its command with Ctrl-C")
    for job in earlier.under_way(workspace.models, name):
        return hosted.steer(job, act)
    raise MissingError(f"tune.{name} has no job under way", hint=f"groundtune tune {name}")


def _same(workspace: Workspace, job: Job, train: Sequence[Row], held: Sequence[Row]) -> Path | None:
    """What there is of a training under the same conditions, its base included."""

    def digest() -> str | None:
        return None if job.kind == "hosted" else (find_base if job.kind == "lora" else encoder.find)(job.base).digest

    return earlier.same(workspace.models, job, train, held, base_digest=digest)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without a line for each try to reach the hub: in the end there is an answer or an error."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _kit(job: Job) -> tuple[dict[str, Any], list[str]]:
    """What counts the tokens of a job as its trainer will, and what there is to know of its base."""
    if job.kind == "hosted":
        provider = provider_of(job)
        about = partial(example_tokens, method=job.settings["method"])
        limits = {"window": longest_example(provider, job.base), "least_rows": provider.min_examples}
        return {"row_tokens": about, **limits}, hosted.warnings(job)
    if job.kind == "lora":
        base = find_base(job.base)
        tokenizer = load_tokenizer(base.source, revision=base.revision)
        return {"tokenizer": tokenizer, "model_ends": model_ends(base), "window": base.window}, []
    base = encoder.find(job.base)
    tokenizer = load_tokenizer(base.source, revision=base.revision)

    def count(texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(list(texts), truncation=False)["input_ids"]] if texts else []

    return {"count_tokens": count, "window": encoder.limit_of(base, tokenizer, wanted=None)}, []


def _bounds(job: Job, train: Sequence[Row], held: Sequence[Row]) -> tuple[Bounds | None, TuneError | None]:
    """What the trainer says it takes, or why it refuses; it reads the rows from a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="groundtune-look-") as scratch:
        there = replace(job, folder=Path(scratch))
        write_job(there, train, held)
        try:
            return worker.trainer(job.kind).estimate(there), None
        except TuneError as error:
            return None, error


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
    test: Withheld | None,
    *,
    measured: bool = False,
) -> list[Row]:
    match chosen.kind:
        case "classifier" | "extractor":
            return [Row(one.id, one.input, _first(one.output)) for one in examples]
        case "retriever":
            return await grounding.retrieval_rows(
                material, examples, negatives=chosen.hard_negatives, part=chosen.part, measured=measured, withheld=test
            )
        case _:
            if _prefers(chosen):
                return [_chat(form, one) for one in examples if one.rejected is not None]
            if isinstance(chosen, LoraConfig) and chosen.context == "retrieved":
                return await grounding.grounded_rows(config, material, form, examples, seed=chosen.seed, withheld=test)
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


def _details(config: Config, chosen: TuneConfig, material: Material, train: Sequence[Row]) -> dict[str, Any]:
    """What a trainer and the model it makes must know of the project."""
    details, form = dict[str, Any](task=config.task), material.form
    if isinstance(chosen, LoraConfig | HostedTuneConfig):
        grounded = getattr(chosen, "context", "none") == "retrieved"
        details["rules"] = rules_digest(form, grounded=grounded)
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


def _first(output: Any) -> Any:
    """Of several right outputs the first."""
    return output[0] if isinstance(output, list) and output else output
