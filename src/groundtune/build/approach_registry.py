"""Collect the approaches a project can run, by name, and the reason for each one it cannot. Calls no model."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from groundtune import build
from groundtune.approaches.context import MAX_CORPUS_PASSAGES, CorpusContext, RetrievedContext
from groundtune.approaches.few_shot import FixedShots, NearestShots, choose_fixed
from groundtune.approaches.output_formats import LabelFormat, ObjectFormat, OutputFormat, TextFormat, rules_digest
from groundtune.build.open_index import OpenIndex
from groundtune.config import Config, ModelConfig
from groundtune.errors import GroundtuneError, MissingError, UsageError
from groundtune.protocols import Approach, ContextProvider, Embedder, Generator, RepeatableGenerator, ShotChooser
from groundtune.tune.artifacts import latest_artifact, verify_artifact
from groundtune.tune.incomplete import why_untrained
from groundtune.types import Artifact, Example, Passage, Prompt, Question, Scope, Stage

CHARACTERS_PER_TOKEN = 3
"""Estimate used to decide whether a corpus fits a window. Conservative: English text has about four."""
WITH_MODEL = ("prompt", "fewshot-fixed", "fewshot", "context", "rag")
"""Approaches that are set up for every model that generates text."""
NEEDS_MODEL = "needs a model that generates text: [models.default]"
NEEDS_SHOTS = 'needs examples in the train split: [examples] files = ["examples.jsonl"]'


@dataclass(frozen=True, slots=True)
class Resources:
    """Everything approaches are built from, besides the configuration."""

    root: Path
    embedder: Callable[[], Embedder]
    """Called when an embedder is needed."""
    form: OutputFormat
    """Form of the task, with its labels or schema."""
    train: Sequence[Example] = ()
    index: OpenIndex | None = None
    no_index_reason: str = "needs an index: groundtune ingest"
    """Why there is no index, as it follows the name of an approach."""
    model_folder: Path | None = None
    """Folder of trained artifacts."""
    vector_folder: Path | None = None
    """Folder for cached vectors of examples."""
    rate_limit_wait_seconds: float = 0.0
    """How long one request may wait for rate limits."""
    local_slots: asyncio.Semaphore | None = None
    """Limits local work before a model call when many questions run concurrently; None for no limit."""
    wrap_generator: Callable[[Generator], Generator] = lambda generator: generator
    """Wraps every generator of a configured model, for example in a cache."""

    def batch_embedder(self) -> Embedder:
        """Return the embedder set up for many texts."""
        return build.prepare_for_many(self.embedder())

    @property
    def shot_candidates(self) -> list[Example]:
        """Train examples that can serve as shots. Examples without a gold output are left out for text tasks."""
        return [row for row in self.train if row.output is not None or not isinstance(self.form, TextFormat)]


@dataclass(frozen=True, slots=True)
class ApproachRegistry:
    """Approaches by name."""

    ready: dict[str, Approach] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Maps each name to what it lacks."""
    forbidden: dict[str, str] = field(default_factory=dict)
    """Maps each name to the requirement that forbids it."""
    concurrency: dict[str, int] = field(default_factory=dict)
    """Concurrent questions per name. Absent means 1: local approaches run one by one, so that their times are valid."""
    model_tables: dict[str, str] = field(default_factory=dict)
    """Maps each name to its table under [models]; absent when it uses none."""
    requests: dict[str, Any] = field(default_factory=dict)
    """Maps each table under [models] to everything its generations depend on besides the prompt."""
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    """Maps each name to the trained artifact it uses."""

    def select(self, names: Sequence[str]) -> "ApproachRegistry":
        """Return the named approaches, or all ready ones. Raises UsageError, or MissingError when none can run."""
        if names:
            return self.pick(names)
        if not self.ready:
            reasons = {**self.forbidden, **self.missing}
            details = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
            raise MissingError(f"no approach can run: {details}", hint="groundtune check")
        return self

    def pick(self, names: Sequence[str]) -> "ApproachRegistry":
        """Return only these. Raises UsageError for unknown or forbidden names, MissingError if one cannot run."""
        for name in names:
            if name in self.forbidden:
                raise UsageError(f"{name} is not allowed: {self.forbidden[name]}")
            if name in self.missing:
                hint = f"available: {', '.join(self.ready)}" if self.ready else None
                raise MissingError(f"{name} {self.missing[name]}", hint=hint)
            if name not in self.ready:
                raise UsageError(f"no approach {name!r}", hint=f"available: {', '.join(self.ready)}")
        ready = {name: self.ready[name] for name in names}
        return replace(self, ready=ready, missing={}, forbidden={})


async def build_registry(config: Config, material: Resources) -> ApproachRegistry:
    """Build every approach that the task and the configuration allow; give a reason for the others."""
    lineup = ApproachRegistry()
    has_model = config.models["default"].kind != "quote"
    for name, model in config.models.items():
        if model.kind != "quote" and not _only_judges(config, name):
            await _add_model(config, material, name, lineup)
    if config.task == "answer":
        _add_quotes(config, material, lineup)
    if config.task == "classify":
        _add_nearest(config, material, lineup, alone=not has_model)
    _add_tuned(config, material, lineup)
    if not has_model:
        for name in set(WITH_MODEL) - {*lineup.ready, *lineup.forbidden}:
            lineup.missing.setdefault(name, NEEDS_MODEL)
    return lineup


def default_approach(config: Config) -> str:
    """Return the approach that `ask` uses when none is named."""
    return "rag" if config.task == "answer" else "fewshot"


async def _add_model(config: Config, material: Resources, model: str, lineup: ApproachRegistry) -> None:
    """Add the five ways to use a generator: alone, with fixed or nearest shots, with the corpus, with passages."""
    ending = "" if model == "default" else f":{model}"
    names = [f"{name}{ending}" for name in WITH_MODEL]
    prompt, few, near, context, rag = names
    chosen = config.models[model]
    if reason := build.residency_violation(config, chosen):
        lineup.forbidden.update(dict.fromkeys(names, reason))
        return
    try:
        plain = build.generator(config, model, material.embedder, patience_seconds=material.rate_limit_wait_seconds)
        misfit = await _misfit(config, material, plain, chosen)
        if isinstance(plain, RepeatableGenerator):
            lineup.requests[model] = plain.request(Prompt(""))
    except MissingError as error:
        lineup.missing.update(dict.fromkeys(names, f"cannot be used: {error.message}"))
        return
    generator = material.wrap_generator(plain)
    embedder_barred = build.residency_violation(config, config.embedder)
    lineup.concurrency.update(dict.fromkeys(names, chosen.concurrency))
    lineup.model_tables.update(dict.fromkeys(names, model))

    def add(name: str, *, evidence: ContextProvider | None = None, shots: ShotChooser | None = None) -> None:
        lineup.ready[name] = build.compose_approach(
            config,
            name,
            generator,
            form=material.form,
            evidence=evidence,
            shots=shots,
            local_slots=material.local_slots,
        )

    add(prompt)
    if material.shot_candidates:
        add(few, shots=_fixed(config, material))
    else:
        lineup.missing.update({few: NEEDS_SHOTS, near: NEEDS_SHOTS})
    if misfit:
        lineup.missing[context] = misfit
    elif material.index:
        add(context, evidence=CorpusContext(_everything(material.index)))
    if embedder_barred:
        lineup.missing.pop(near, None)
        lineup.forbidden.update(
            {
                near: f"its shots need the embedder: {embedder_barred}",
                rag: f"its passages need the embedder: {embedder_barred}",
            }
        )
        return
    if material.index:
        add(rag, evidence=_retrieved(config, material.index))
    else:
        lineup.missing[rag] = material.no_index_reason
    if material.shot_candidates:
        try:
            add(near, shots=_near(config, material))
        except MissingError as error:
            lineup.missing[near] = f"needs the embedder: {error.message}"


def _add_tuned(config: Config, material: Resources, lineup: ApproachRegistry) -> None:
    """Add trained models, alone and, if they generate text, over retrieved passages."""
    form = material.form
    tables = {name: table for name, table in config.tune.items() if table.kind != "retriever"}
    for name, table in tables.items():
        ending = "" if len(tables) == 1 else f":{name}"
        grounded = getattr(table, "context", "none") == "retrieved"
        plain, hybrid = f"tuned{ending}", f"hybrid{ending}"
        names = [plain] * (not grounded) + [hybrid] * (form.cites and table.kind in ("lora", "hosted"))
        try:
            artifact = latest_artifact(material.model_folder, name) if material.model_folder else None
            if artifact is None or material.model_folder is None:
                raise MissingError(
                    why_untrained(material.model_folder, name) if material.model_folder else f"groundtune tune {name}"
                )
            if reason := _outdated(artifact, form, grounded=grounded):
                raise MissingError(f"{reason}: groundtune tune {name}")
            folder = material.model_folder / artifact.id
            verify_artifact(folder, artifact)
            generator = material.wrap_generator(
                build.tuned_generator(config, artifact, folder, patience_seconds=material.rate_limit_wait_seconds)
            )
        except GroundtuneError as error:
            lineup.missing.update(dict.fromkeys(names, error.message))
            continue
        lineup.artifacts.update(dict.fromkeys(names, artifact))
        if plain in names:
            lineup.ready[plain] = build.compose_approach(config, plain, generator, form=form)
        if hybrid in names and material.index is None:
            lineup.missing[hybrid] = material.no_index_reason
        elif hybrid in names and material.index:
            evidence = _retrieved(config, material.index)
            lineup.ready[hybrid] = build.compose_approach(config, hybrid, generator, form=form, evidence=evidence)


def _outdated(artifact: Artifact, form: OutputFormat, *, grounded: bool) -> str | None:
    """Return why the artifact no longer matches the task, or None."""
    trained = artifact.details
    if trained.get("rules", rules_digest(form, grounded=grounded)) != rules_digest(form, grounded=grounded):
        return "was trained with other instructions, labels or schema than the project's"
    if isinstance(form, LabelFormat) and (changed := set(trained.get("labels", form.labels)) ^ set(form.labels)):
        return f"was trained for other labels than the project's ({', '.join(sorted(changed))})"
    if isinstance(form, ObjectFormat) and trained.get("schema", form.schema) != form.schema:
        return "was trained for another schema than the project's"
    return None


def _add_quotes(config: Config, material: Resources, lineup: ApproachRegistry) -> None:
    """Add approaches that quote sentences verbatim: from each retrieval stage, and from the whole corpus."""
    stages: dict[str, Stage | None] = {"quote-bm25": "bm25", "quote-dense": "dense", "quote-hybrid": None}
    if material.index is None:
        lineup.missing.update(dict.fromkeys((*stages, "quote-corpus"), material.no_index_reason))
        return
    if reason := build.residency_violation(config, config.embedder):
        lineup.forbidden.update(dict.fromkeys((*stages, "quote-corpus"), reason))
        return
    gatherers: dict[str, ContextProvider] = {
        name: _retrieved(config, material.index, stage=stage) for name, stage in stages.items()
    }
    gatherers["quote-corpus"] = CorpusContext(_everything(material.index))
    for (
        name,
        gatherer,
    ) in gatherers.items():  # separate generators, since each caches vectors that would speed up another
        generator = build.quote_generator(config, material.index.embedder)
        lineup.ready[name] = build.compose_approach(
            config, name, generator, evidence=gatherer, fitted=material.index.fitted
        )


def _add_nearest(config: Config, material: Resources, lineup: ApproachRegistry, *, alone: bool) -> None:
    """Add classification by the embedder. Next to a generator only the best of the three, as the cheap alternative."""
    names = ("prompt", "fewshot-fixed", "fewshot") if alone else ("nearest",)
    if reason := build.residency_violation(config, config.embedder):
        lineup.forbidden.update(dict.fromkeys(names, reason))
        return
    if not isinstance(material.form, LabelFormat):
        return
    try:
        generator = build.nearest_generator(config, material.embedder(), material.form.labels)
    except MissingError as error:
        lineup.missing.update(dict.fromkeys(names, f"needs the embedder: {error.message}"))
        return
    shots: dict[str, ShotChooser | None] = {"prompt": None} if alone else {}
    if material.shot_candidates:
        shots |= {"fewshot-fixed": _fixed(config, material)} if alone else {}
        shots[names[-1]] = _near(config, material)
    for name, chooser in shots.items():
        lineup.ready[name] = build.compose_approach(config, name, generator, form=material.form, shots=chooser)
    lineup.missing.update({name: NEEDS_SHOTS for name in names if name not in shots})


def _fixed(config: Config, material: Resources) -> ShotChooser:
    count = config.shots.count
    return FixedShots(choose_fixed(material.shot_candidates, count=count, each_label=config.task == "classify"))


def _near(config: Config, material: Resources) -> ShotChooser:
    return NearestShots(
        material.embedder(), material.shot_candidates, count=config.shots.count, folder=material.vector_folder
    )


def _retrieved(config: Config, index: OpenIndex, *, stage: Stage | None = None) -> ContextProvider:
    return RetrievedContext(index.retriever, index.document, passages=config.answers.max_passages, stage=stage)


def _everything(index: OpenIndex) -> Callable[[Question], Awaitable[list[Passage]]]:
    async def passages(question: Question) -> list[Passage]:
        return await index.store.scan(question.scope)

    return passages


async def _misfit(config: Config, material: Resources, generator: Generator, model: ModelConfig) -> str | None:
    """Return why the corpus does not fit into the prompt of a model, or None."""
    if (index := material.index) is None:
        return material.no_index_reason
    window = build.context_window(generator, model)
    if window is None:
        return f"needs the context window of {generator.name}: set `window` next to its `model`"
    count = await index.store.count()
    if count > MAX_CORPUS_PASSAGES:
        return f"does not fit: {count:,} passages"
    passages = await index.store.scan(Scope())
    tokens = sum(len(passage.text) + len(passage.heading) for passage in passages) // CHARACTERS_PER_TOKEN
    room = window - model.max_output_tokens
    return f"does not fit: about {tokens:,} tokens, room for {room:,}" if tokens > room else None


def _only_judges(config: Config, name: str) -> bool:
    return config.judge is not None and name == config.judge.model and name != "default"
