"""Collect the approaches a project can run, by name, and the reason why each of the others cannot run."""

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
NEEDS_MODEL = "needs a text-generation model: add [models.default]"
NEEDS_SHOTS = 'needs examples in the train split: [examples] files = ["examples.jsonl"]'


@dataclass(frozen=True, slots=True)
class Resources:
    """Everything approaches are built from, besides the configuration."""

    root: Path
    embedder: Callable[[], Embedder]
    """Called when an embedder is needed."""
    output_format: OutputFormat
    """Output format of the task, with its labels or schema."""
    train: Sequence[Example] = ()
    index: OpenIndex | None = None
    no_index_reason: str = "needs an index; run groundtune ingest"
    """Why there is no index, worded to follow the name of an approach."""
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
        return [row for row in self.train if row.output is not None or not isinstance(self.output_format, TextFormat)]


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


async def build_registry(config: Config, resources: Resources) -> ApproachRegistry:
    """Build every approach that the task and the configuration allow; give a reason for the others."""
    registry = ApproachRegistry()
    has_model = config.models["default"].kind != "quote"
    for name, model in config.models.items():
        if model.kind != "quote" and not _only_judges(config, name):
            await _add_model(config, resources, name, registry)
    if config.task == "answer":
        _add_quotes(config, resources, registry)
    if config.task == "classify":
        _add_nearest(config, resources, registry, alone=not has_model)
    _add_tuned(config, resources, registry)
    if not has_model:
        for name in set(WITH_MODEL) - {*registry.ready, *registry.forbidden}:
            registry.missing.setdefault(name, NEEDS_MODEL)
    return registry


def default_approach(config: Config) -> str:
    """Return the approach that `ask` uses when none is named."""
    return "rag" if config.task == "answer" else "fewshot"


async def _add_model(config: Config, resources: Resources, model: str, registry: ApproachRegistry) -> None:
    """Add the five ways to use a generator: alone, with fixed or nearest shots, with the corpus, with passages."""
    ending = "" if model == "default" else f":{model}"
    names = [f"{name}{ending}" for name in WITH_MODEL]
    prompt, fewshot_fixed, fewshot, whole_corpus, rag = names
    chosen = config.models[model]
    if reason := build.residency_violation(config, chosen):
        registry.forbidden.update(dict.fromkeys(names, reason))
        return
    try:
        plain = build.generator(config, model, resources.embedder, patience_seconds=resources.rate_limit_wait_seconds)
        misfit = await _misfit(config, resources, plain, chosen)
        if isinstance(plain, RepeatableGenerator):
            registry.requests[model] = plain.request(Prompt(""))
    except MissingError as error:
        registry.missing.update(dict.fromkeys(names, f"cannot be used: {error.message}"))
        return
    generator = resources.wrap_generator(plain)
    embedder_barred = build.residency_violation(config, config.embedder)
    registry.concurrency.update(dict.fromkeys(names, chosen.concurrency))
    registry.model_tables.update(dict.fromkeys(names, model))

    def add(name: str, *, context: ContextProvider | None = None, shots: ShotChooser | None = None) -> None:
        registry.ready[name] = build.compose_approach(
            config,
            name,
            generator,
            output_format=resources.output_format,
            context=context,
            shots=shots,
            local_slots=resources.local_slots,
        )

    add(prompt)
    if resources.shot_candidates:
        add(fewshot_fixed, shots=_fixed(config, resources))
    else:
        registry.missing.update({fewshot_fixed: NEEDS_SHOTS, fewshot: NEEDS_SHOTS})
    if misfit:
        registry.missing[whole_corpus] = misfit
    elif resources.index:
        add(whole_corpus, context=CorpusContext(_everything(resources.index)))
    if embedder_barred:
        registry.missing.pop(fewshot, None)
        registry.forbidden.update(
            {
                fewshot: f"its few-shot examples need the embedder: {embedder_barred}",
                rag: f"its passages need the embedder: {embedder_barred}",
            }
        )
        return
    if resources.index:
        add(rag, context=_retrieved(config, resources.index))
    else:
        registry.missing[rag] = resources.no_index_reason
    if resources.shot_candidates:
        try:
            add(fewshot, shots=_near(config, resources))
        except MissingError as error:
            registry.missing[fewshot] = f"needs the embedder: {error.message}"


def _add_tuned(config: Config, resources: Resources, registry: ApproachRegistry) -> None:
    """Add trained models, alone and, if they generate text, over retrieved passages."""
    output_format = resources.output_format
    tables = {name: table for name, table in config.tune.items() if table.kind != "retriever"}
    for name, table in tables.items():
        ending = "" if len(tables) == 1 else f":{name}"
        grounded = getattr(table, "context", "none") == "retrieved"
        plain, hybrid = f"tuned{ending}", f"hybrid{ending}"
        names = [plain] * (not grounded) + [hybrid] * (output_format.cites and table.kind in ("lora", "hosted"))
        try:
            artifact = latest_artifact(resources.model_folder, name) if resources.model_folder else None
            if artifact is None or resources.model_folder is None:
                raise MissingError(
                    why_untrained(resources.model_folder, name) if resources.model_folder else f"groundtune tune {name}"
                )
            if reason := _outdated(artifact, output_format, grounded=grounded):
                raise MissingError(f"{reason}; run groundtune tune {name}")
            folder = resources.model_folder / artifact.id
            verify_artifact(folder, artifact)
            generator = resources.wrap_generator(
                build.tuned_generator(config, artifact, folder, patience_seconds=resources.rate_limit_wait_seconds)
            )
        except GroundtuneError as error:
            registry.missing.update(dict.fromkeys(names, error.message))
            continue
        registry.artifacts.update(dict.fromkeys(names, artifact))
        if plain in names:
            registry.ready[plain] = build.compose_approach(config, plain, generator, output_format=output_format)
        if hybrid in names and resources.index is None:
            registry.missing[hybrid] = resources.no_index_reason
        elif hybrid in names and resources.index:
            context = _retrieved(config, resources.index)
            registry.ready[hybrid] = build.compose_approach(
                config, hybrid, generator, output_format=output_format, context=context
            )


def _outdated(artifact: Artifact, output_format: OutputFormat, *, grounded: bool) -> str | None:
    """Return why the artifact no longer matches the task, or None."""
    trained = artifact.details
    if trained.get("rules", rules_digest(output_format, grounded=grounded)) != rules_digest(
        output_format, grounded=grounded
    ):
        return "was trained with instructions, labels or a schema that differ from the project's"
    if isinstance(output_format, LabelFormat) and (
        changed := set(trained.get("labels", output_format.labels)) ^ set(output_format.labels)
    ):
        return f"was trained with different labels than the project now has ({', '.join(sorted(changed))})"
    if isinstance(output_format, ObjectFormat) and trained.get("schema", output_format.schema) != output_format.schema:
        return "was trained with a different schema than the project now has"
    return None


def _add_quotes(config: Config, resources: Resources, registry: ApproachRegistry) -> None:
    """Add approaches that quote sentences verbatim: from each retrieval stage, and from the whole corpus."""
    stages: dict[str, Stage | None] = {"quote-bm25": "bm25", "quote-dense": "dense", "quote-hybrid": None}
    if resources.index is None:
        registry.missing.update(dict.fromkeys((*stages, "quote-corpus"), resources.no_index_reason))
        return
    if reason := build.residency_violation(config, config.embedder):
        registry.forbidden.update(dict.fromkeys((*stages, "quote-corpus"), reason))
        return
    contexts: dict[str, ContextProvider] = {
        name: _retrieved(config, resources.index, stage=stage) for name, stage in stages.items()
    }
    contexts["quote-corpus"] = CorpusContext(_everything(resources.index))
    for name, context in contexts.items():
        # separate generators, since each caches vectors that would speed up another
        generator = build.quote_generator(config, resources.index.embedder)
        registry.ready[name] = build.compose_approach(
            config, name, generator, context=context, fitted=resources.index.fitted
        )


def _add_nearest(config: Config, resources: Resources, registry: ApproachRegistry, *, alone: bool) -> None:
    """Add classification by the embedder. If there is a generator, add only the best of the three, as the cheap one."""
    names = ("prompt", "fewshot-fixed", "fewshot") if alone else ("nearest",)
    if reason := build.residency_violation(config, config.embedder):
        registry.forbidden.update(dict.fromkeys(names, reason))
        return
    if not isinstance(resources.output_format, LabelFormat):
        return
    try:
        generator = build.nearest_generator(config, resources.embedder(), resources.output_format.labels)
    except MissingError as error:
        registry.missing.update(dict.fromkeys(names, f"needs the embedder: {error.message}"))
        return
    shots: dict[str, ShotChooser | None] = {"prompt": None} if alone else {}
    if resources.shot_candidates:
        shots |= {"fewshot-fixed": _fixed(config, resources)} if alone else {}
        shots[names[-1]] = _near(config, resources)
    for name, chooser in shots.items():
        registry.ready[name] = build.compose_approach(
            config, name, generator, output_format=resources.output_format, shots=chooser
        )
    registry.missing.update({name: NEEDS_SHOTS for name in names if name not in shots})


def _fixed(config: Config, resources: Resources) -> ShotChooser:
    count = config.shots.count
    return FixedShots(choose_fixed(resources.shot_candidates, count=count, each_label=config.task == "classify"))


def _near(config: Config, resources: Resources) -> ShotChooser:
    return NearestShots(
        resources.embedder(), resources.shot_candidates, count=config.shots.count, folder=resources.vector_folder
    )


def _retrieved(config: Config, index: OpenIndex, *, stage: Stage | None = None) -> ContextProvider:
    return RetrievedContext(index.retriever, index.document, passages=config.answers.max_passages, stage=stage)


def _everything(index: OpenIndex) -> Callable[[Question], Awaitable[list[Passage]]]:
    async def passages(question: Question) -> list[Passage]:
        return await index.store.scan(question.scope)

    return passages


async def _misfit(config: Config, resources: Resources, generator: Generator, model: ModelConfig) -> str | None:
    """Why the corpus does not fit in a model's prompt, worded to follow the name of an approach; None if it does."""
    if (index := resources.index) is None:
        return resources.no_index_reason
    window = build.context_window(generator, model)
    if window is None:
        return f"needs to know the context window of {generator.name}: set `window` in its [models] table"
    count = await index.store.count()
    if count > MAX_CORPUS_PASSAGES:
        most = f"at most {MAX_CORPUS_PASSAGES:,} are supported"
        return f"cannot hold the corpus in its prompt: {count:,} passages, but {most}"
    passages = await index.store.scan(Scope())
    tokens = sum(len(passage.text) + len(passage.heading) for passage in passages) // CHARACTERS_PER_TOKEN
    room = window - model.max_output_tokens
    if tokens <= room:
        return None
    return f"cannot hold the corpus in its prompt: about {tokens:,} tokens, but only {room:,} are available"


def _only_judges(config: Config, name: str) -> bool:
    return config.judge is not None and name == config.judge.model and name != "default"
