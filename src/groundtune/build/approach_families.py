"""Build the approaches of a project, one function per family. Each notes why an approach cannot run."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune import build
from groundtune.approaches.cascade import Cascade
from groundtune.approaches.combined import Combined
from groundtune.approaches.context import MAX_CORPUS_PASSAGES, CorpusContext, without_overlap
from groundtune.approaches.few_shot import FixedShots, NearestShots, choose_fixed
from groundtune.approaches.group_gate import GroupGate
from groundtune.approaches.output_formats import LabelFormat, ObjectFormat, OutputFormat, rules_digest
from groundtune.approaches.question_signals import QuestionSignals
from groundtune.approaches.routed import Routed
from groundtune.approaches.wordings import BUILT_IN, Wording
from groundtune.build.approach_parts import ApproachParts
from groundtune.build.open_index import OpenIndex
from groundtune.build.prompt_defaults import USUAL, default_wording
from groundtune.build.resources import Resources
from groundtune.build.router_file import COMMAND as ROUTER_COMMAND
from groundtune.build.router_file import StoredRouter
from groundtune.build.training_access import TrainingAccess
from groundtune.build.training_kinds import training_kind, tuned_tables
from groundtune.config import Config, ModelConfig
from groundtune.errors import GroundtuneError, MissingError
from groundtune.extensions import adds_approach, load_extensions
from groundtune.protocols import (
    Approach,
    ContextProvider,
    Generator,
    RepeatableGenerator,
    SchemaGenerator,
    ShotChooser,
    SupportChecker,
)
from groundtune.tune.artifacts import find_artifact, latest_artifact, list_artifacts, other_seeds, verify_artifact
from groundtune.tune.incomplete import why_untrained
from groundtune.types import Artifact, Passage, Prompt, Question, Scope, Stage, TunedApproach

if TYPE_CHECKING:
    from groundtune.build.approach_registry import ApproachRegistry

WITH_MODEL = ("prompt", "fewshot-fixed", "fewshot", "context", "rag")
"""Approaches that are set up for every model that generates text."""
TRAINED_TOGETHER = 8
"""Questions that a trained model is asked at a time; on this machine it answers them in one batch."""
COMBINED, CASCADE, ROUTED = "combined", "cascade", "routed"
"""Approaches that ask others."""
WITH_SCHEMA = ("constrained", "fewshot-constrained")
"""Those that are added for objects: `prompt` and `fewshot`, with the schema of the task held in the decoder."""
QUOTE_STAGES: dict[str, Stage | None] = {"quote-bm25": "bm25", "quote-dense": "dense", "quote-hybrid": None}
"""Approaches that quote what one stage of retrieval, or all of it (None), finds."""
NEEDS_MODEL = "needs a text-generation model: add [models.default]"
NEEDS_SHOTS = 'needs examples in the train split: [examples] files = ["examples.jsonl"]'


@dataclass(frozen=True, slots=True)
class Building:
    """What a family reads, and the registry that it fills."""

    config: Config
    resources: Resources
    registry: "ApproachRegistry"
    only: frozenset[str] | None = None
    """Names to build; None: all."""
    named: frozenset[str] = frozenset()
    """Names that somebody asked for: some approaches, such as `tuned@ID`, are never built unasked."""
    checker: SupportChecker | None = None
    """Decides about citations, where the project names one."""
    tuned_generators: dict[str, Generator] = field(default_factory=dict)
    """Generators of trained models by id, each loaded once."""
    generators: dict[str, Generator] = field(default_factory=dict)
    """Generators of the tables under [models], by name."""

    def wants(self, *names: str) -> bool:
        """Whether any of these is to be built, in any wording."""
        return self.only is None or any(plain_name(name) in names for name in self.only)

    def worded_names(self, name: str, table: str) -> dict[str, Wording]:
        """Map an approach of a model, and each of its wordings to build, to the wording. table: under [models].

        The plain name has the default one.
        """
        wordings, listed = self.resources.wordings, self.config.compare.prompt_names
        asked = listed if len(listed) > 1 and self.only is None else ()
        asked = (*asked, *(each.partition("/")[2] for each in self.named if each != name and plain_name(each) == name))
        chosen = {f"{name}/{wording}": wordings[wording] for wording in asked if wording in wordings}
        return {name: default_wording(self.config, self.resources, name, table), **chosen}

    def add_worded(self, name: str, table: str, generator: Generator, **parts: Any) -> None:
        """Compose an approach of a model in its default wording, and in each further one to build."""
        for worded, wording in self.worded_names(name, table).items():
            self.registry.concurrency[worded] = self.config.models[table].concurrency
            self.registry.model_tables[worded] = table
            self.add(worded, generator, wording=wording, **parts)

    def add(
        self,
        name: str,
        generator: Generator,
        *,
        context: ContextProvider | None = None,
        shots: ShotChooser | None = None,
        constrained: bool = False,
        wording: Wording | None = None,
        artifact: Artifact | None = None,
        default_threshold: float | None = None,
        access: TrainingAccess | None = None,
    ) -> None:
        """Compose an approach from its parts and note it as ready.

        constrained: the schema of the task holds in the decoder. wording: of its prompts; None where it sends none.
        artifact: the trained model that it uses. default_threshold: applies until one is fitted. access: who may ask
        it; None: everyone.
        """
        if self.only is not None and name not in self.only:
            return
        output_format = self.resources.output_format
        fitted = self.resources.fitted.thresholds.get(threshold_key(name, artifact))
        chosen = (self.config.answers.threshold, fitted.value if fitted else None, default_threshold)
        approach = build.compose_approach(
            self.config,
            name,
            generator,
            output_format=output_format.worded(wording) if wording else output_format,
            context=context,
            shots=shots,
            constrained=constrained,
            threshold=next((threshold for threshold in chosen if threshold is not None), None),
            checker=self.checker,
            local_slots=self.resources.local_slots if name in self.registry.model_tables else None,
        )
        self.registry.ready[name] = GroupGate(approach, access.readers) if access else approach


def threshold_key(name: str, artifact: Artifact | None) -> str:
    """Return the name under which the threshold of an approach is kept; a trained model has its own."""
    return name if artifact is None or "@" in name else f"{name}@{artifact.id}"


def plain_name(name: str) -> str:
    """Return the name of an approach without its wording: `rag:large` for `rag:large/short`."""
    return name.partition("/")[0]


def known_names(config: Config) -> list[str]:
    """Return the names of all approaches that the task and the configuration may have, whether they can run or not."""
    listed = config.compare.prompt_names
    wordings = ["", *(f"/{name}" for name in listed if len(listed) > 1)]
    models = [name for name, model in config.models.items() if model.kind != "quote" and not only_judges(config, name)]
    endings = [""] + [f":{name}" for name in models if name != "default"]
    prompted = names_with_model(config)
    names = [f"{name}{ending}{wording}" for ending in endings for name in prompted for wording in wordings]
    names += [*QUOTE_STAGES, "quote-corpus"] if config.task == "answer" else []
    names += ["nearest"] if config.task == "classify" else []
    names += [name for names_of_table in tuned_tables(config).values() for name in names_of_table.values()]
    names += [COMBINED] if config.combined else []
    names += [CASCADE, ROUTED] if config.cascade else [ROUTED]
    return [*names, *load_extensions().approaches]


def parts_of(config: Config, name: str, router: StoredRouter | None = None) -> tuple[str, ...]:
    """Return the approaches that a combination asks; none for any other approach."""
    if name == COMBINED and config.combined:
        return config.combined.facts, config.combined.form
    if name == CASCADE and config.cascade:
        return config.cascade.approaches
    return router.approaches if name == ROUTED and router else ()


def with_parts(config: Config, names: Collection[str], router: StoredRouter | None = None) -> tuple[str, ...]:
    """Return the names with the approaches that the combinations among them ask, and those that these ask."""
    found = list(dict.fromkeys(names))
    for name in found:  # grows while it is read; no combination asks itself
        found += [part for part in parts_of(config, name, router) if part not in found]
    return tuple(found)


def names_with_model(config: Config) -> tuple[str, ...]:
    """Return the approaches that are set up for every model that generates text."""
    return (*WITH_MODEL, *(WITH_SCHEMA if config.task == "extract" else ()))


def is_worded_name(config: Config, name: str) -> bool:
    """Whether a name such as `rag/short` is that of an approach with a model, in a wording that the project has."""
    plain, _, wording = name.partition("/")
    exists = wording in BUILT_IN or wording in config.compare.prompt_names
    return exists and plain in known_names(config) and plain.partition(":")[0] in names_with_model(config)


async def add_model(building: Building, model: str) -> None:
    """Add the ways to use a generator: alone, with fixed or nearest shots, with the corpus, with passages.

    For objects, the first and the third are added once more with the schema in the decoder.
    """
    config, resources, registry = building.config, building.resources, building.registry
    ending = "" if model == "default" else f":{model}"
    names = [f"{name}{ending}" for name in names_with_model(config)]
    if not building.wants(*names):
        return
    prompt, fewshot_fixed, fewshot, whole_corpus, rag, *constrained = names
    chosen, index = config.models[model], resources.index
    if reason := build.residency_violation(config, chosen):
        registry.forbidden.update(dict.fromkeys(names, reason))
        return
    try:
        plain = build.generator(config, model, resources.embedder, patience_seconds=resources.rate_limit_wait_seconds)
        if isinstance(plain, RepeatableGenerator):
            registry.requests[model] = plain.request(Prompt(""))
    except MissingError as error:
        registry.missing.update(dict.fromkeys(names, f"cannot be used: {error.message}"))
        return
    generator = building.generators[model] = resources.wrap_generator(plain)
    registry.concurrency.update(dict.fromkeys(names, chosen.concurrency))
    registry.model_tables.update(dict.fromkeys(names, model))
    building.add_worded(prompt, model, generator)
    if unheld := _unheld(resources, plain):
        registry.missing.update(dict.fromkeys(constrained, unheld))
    elif constrained:
        building.add_worded(constrained[0], model, generator, constrained=True)
    if building.wants(whole_corpus):
        if misfit := await _misfit(resources, plain, chosen):
            registry.missing[whole_corpus] = misfit
        elif index:
            building.add_worded(whole_corpus, model, generator, context=CorpusContext(_everything(index)))
    barred = build.residency_violation(config, config.embedder)
    if barred:
        registry.forbidden[rag] = f"its passages need the embedder: {barred}"
    elif index is None:
        registry.missing[rag] = resources.no_index_reason
    else:
        building.add_worded(rag, model, generator, context=_retrieved(building, index))
    with_shots = [fewshot_fixed, fewshot, *(name for name in constrained[1:] if name not in registry.missing)]
    if building.wants(*with_shots):
        _add_shots(building, model, generator, *with_shots, barred=barred)


def _unheld(resources: Resources, generator: Generator) -> str | None:
    """Why a generator cannot be held to the schema of the task, worded to follow the name of an approach."""
    if (schema := resources.output_format.schema) is None:
        return None
    if not isinstance(generator, SchemaGenerator):
        return f"needs a model that can be held to a schema, which {generator.name} does not say it can"
    reason = generator.why_not_held(schema)
    return f"cannot hold {generator.name} to the schema: {reason}" if reason else None


def _add_shots(
    building: Building,
    table: str,
    generator: Generator,
    fixed: str,
    nearest: str,
    *constrained: str,
    barred: str | None,
) -> None:
    """Add the approaches with examples in their prompts. barred: why the embedder may not be used.

    constrained: the name of that with the nearest ones and the schema in the decoder, if it can be.
    """
    resources, registry = building.resources, building.registry
    near = (nearest, *constrained)
    if barred:
        registry.forbidden.update(dict.fromkeys(near, f"its few-shot examples need the embedder: {barred}"))
    if not resources.shot_candidates:
        registry.missing.update({name: NEEDS_SHOTS for name in (fixed, *near) if name not in registry.forbidden})
        return
    building.add_worded(fixed, table, generator, shots=_fixed(building.config, resources))
    if not barred:
        try:
            shots = _near(building.config, resources)
        except MissingError as error:
            registry.missing.update(dict.fromkeys(near, f"needs the embedder: {error.message}"))
            return
        for name in near:
            building.add_worded(name, table, generator, shots=shots, constrained=name in constrained)


def tune_table_of(config: Config, name: str) -> str | None:
    """Return the table [tune.NAME] behind an approach such as `tuned`, `hybrid:letters` or `tuned@ID`, or None."""
    plain = name.partition("@")[0]
    return next((table for table, names in tuned_tables(config).items() if plain in names.values()), None)


async def add_tuned(building: Building) -> None:
    """Add trained models, alone and, if they generate text, over retrieved passages.

    A plain name stands for the newest model of its table, `NAME@ID` for the model with that id.
    """
    tables = tuned_tables(building.config)
    for table, roles in tables.items():
        await _add_artifact(building, table, roles, None)
    for name in building.named:
        pinned_table = tune_table_of(building.config, name)
        artifact_id = name.partition("@")[2]
        if pinned_table and artifact_id:
            plain = name.partition("@")[0]
            roles = {role: name for role, named in tables[pinned_table].items() if named == plain}
            await _add_artifact(building, pinned_table, roles, artifact_id)


def further_trainings(config: Config, models: Path | None, artifacts: Mapping[str, Artifact]) -> dict[str, list[str]]:
    """Map each approach with its newest model to the names of its trainings with other seeds, where there are any.

    artifacts: approach to its model.
    """
    found: dict[str, list[str]] = {}
    trained: list[Artifact] | None = None
    for name, artifact in artifacts.items():
        table = config.tune.get(artifact.name)
        if models is None or table is None or table.seeds == 1 or "@" in name:
            continue
        trained = list_artifacts(models) if trained is None else trained
        if others := other_seeds(trained, artifact, range(table.seed, table.seed + table.seeds)):
            found[name] = [f"{name}@{other.id}" for other in others]
    return found


async def _add_artifact(
    building: Building, name: str, roles: Mapping[TunedApproach, str], artifact_id: str | None
) -> None:
    """Add a trained model. roles: `tuned` and its like to the names of the approaches to add."""
    config, resources, registry = building.config, building.resources, building.registry
    models = resources.model_folder
    if not building.wants(*roles.values()):
        return
    grounded = "tuned" not in tuned_tables(config)[name]
    try:
        if models is None:
            raise MissingError(f"groundtune tune {name}")
        artifact = find_artifact(models, artifact_id) if artifact_id else latest_artifact(models, name)
        if artifact is None:
            raise MissingError(why_untrained(models, name))
        if artifact.name != name:
            raise MissingError(f"{artifact.id} is a model of [tune.{artifact.name}]")
        wording = resources.wordings.get(artifact.details.get("wording", USUAL))
        if reason := _outdated(artifact, resources.output_format, wording, grounded=grounded):
            raise MissingError(f"{reason}; run groundtune tune {name}")
        access = TrainingAccess(config, resources, artifact)
        await access.readers()
        await asyncio.to_thread(verify_artifact, models / artifact.id, artifact)
        if artifact.id not in building.tuned_generators:
            building.tuned_generators[artifact.id] = training_kind(artifact.kind).load(
                config, artifact, models / artifact.id, patience_seconds=resources.rate_limit_wait_seconds
            )
    except GroundtuneError as error:
        registry.missing.update(dict.fromkeys(roles.values(), error.message))
        return
    tuned = building.tuned_generators[artifact.id]
    generator = resources.wrap_generator(tuned)
    registry.artifacts.update(dict.fromkeys(roles.values(), artifact))
    registry.concurrency.update(dict.fromkeys(roles.values(), TRAINED_TOGETHER))
    if plain := roles.get("tuned"):
        building.add(plain, generator, wording=wording, artifact=artifact, access=access)
    if held := roles.get("tuned-constrained"):
        if unheld := _unheld(resources, tuned):
            registry.missing[held] = unheld
        else:
            building.add(held, generator, constrained=True, wording=wording, artifact=artifact, access=access)
    if hybrid := roles.get("hybrid"):
        if resources.index is None:
            registry.missing[hybrid] = resources.no_index_reason
        else:
            context = _retrieved(building, resources.index)
            building.add(hybrid, generator, context=context, wording=wording, artifact=artifact, access=access)


def _outdated(
    artifact: Artifact, output_format: OutputFormat, wording: Wording | None, *, grounded: bool
) -> str | None:
    """Return why the artifact no longer matches the task, or None. wording: that of its training, if it still exists"""
    trained = artifact.details
    if wording is None:
        return f"was trained with the prompt {trained['wording']!r}, which is not listed under [compare] prompts"
    output_format = output_format.worded(wording)
    if trained.get("rules", rules_digest(output_format, grounded=grounded)) != rules_digest(
        output_format, grounded=grounded
    ):
        return "was trained with instructions, a prompt, labels or a schema that differ from the project's"
    if isinstance(output_format, LabelFormat) and (
        changed := set(trained.get("labels", output_format.labels)) ^ set(output_format.labels)
    ):
        return f"was trained with different labels than the project now has ({', '.join(sorted(changed))})"
    if isinstance(output_format, ObjectFormat) and trained.get("schema", output_format.schema) != output_format.schema:
        return "was trained with a different schema than the project now has"
    return None


def add_quotes(building: Building) -> None:
    """Add approaches that quote sentences verbatim: from each retrieval stage, and from the whole corpus."""
    config, resources, registry = building.config, building.resources, building.registry
    names = (*QUOTE_STAGES, "quote-corpus")
    if not building.wants(*names):
        return
    if resources.index is None:
        registry.missing.update(dict.fromkeys(names, resources.no_index_reason))
        return
    if reason := build.residency_violation(config, config.embedder):
        registry.forbidden.update(dict.fromkeys(names, reason))
        return
    contexts: dict[str, ContextProvider] = {
        name: _retrieved(building, resources.index, stage=stage) for name, stage in QUOTE_STAGES.items()
    }
    contexts["quote-corpus"] = CorpusContext(_everything(resources.index))
    for name, context in contexts.items():
        # separate generators, since each caches vectors that would speed up another
        generator = build.quote_generator(config, resources.index.embedder)
        building.add(name, generator, context=context, default_threshold=build.QUOTE_THRESHOLD)


def add_nearest(building: Building, *, alone: bool) -> None:
    """Add classification by the embedder. If there is a generator, add only the best of the three, as the cheap one."""
    config, resources, registry = building.config, building.resources, building.registry
    names = ("prompt", "fewshot-fixed", "fewshot") if alone else ("nearest",)
    if not building.wants(*names):
        return
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
        building.add(name, generator, shots=chooser)
    registry.missing.update({name: NEEDS_SHOTS for name in names if name not in shots})


def add_extensions(building: Building) -> None:
    """Add the approaches of packages, where they are named."""
    config, registry = building.config, building.registry
    for name in filter(adds_approach, building.named):
        if reason := build.added_part_violation(config, "approach", name):
            registry.forbidden[name] = reason
            continue
        try:
            parts = ApproachParts(config, building.resources)
            approach: Approach = build.make_part("approach", name, Approach, parts, place=f"the approach {name!r}")
        except MissingError as error:
            registry.missing[name] = error.message
            continue
        registry.ready[name] = approach
        registry.concurrency[name] = getattr(approach, "concurrency", 1)


def add_combined(building: Building) -> None:
    """Add the merged answer of two approaches, if the project has one. Call it after these were added."""
    config, registry = building.config, building.registry
    if config.combined is None or not building.wants(COMBINED):
        return
    if parts := _ready_parts(building, COMBINED, (config.combined.facts, config.combined.form)):
        facts, form = parts
        registry.ready[COMBINED] = Combined(
            COMBINED,
            facts,
            form,
            task=config.task,
            strict=config.answers.strict,
            language=config.language,
            checker=building.checker,
        )


def add_cascade(building: Building) -> None:
    """Add the approach that asks others in turn, if the project has one. Call it after these were added."""
    config, registry = building.config, building.registry
    if config.cascade is None or not building.wants(CASCADE):
        return
    if parts := _ready_parts(building, CASCADE, config.cascade.approaches):
        cites = building.resources.output_format.cites
        registry.ready[CASCADE] = Cascade(CASCADE, parts, cites=cites, min_confidence=config.cascade.min_confidence)


def add_routed(building: Building, router: StoredRouter | None) -> None:
    """Add the trained router, where it is named. Call it after the approaches that it asks were added."""
    config, resources, registry = building.config, building.resources, building.registry
    if ROUTED not in building.named:
        return
    if router is None:
        registry.missing[ROUTED] = f"needs a router that pays; run {ROUTER_COMMAND}"
        return
    if reason := build.residency_violation(config, config.embedder):
        registry.forbidden[ROUTED] = f"it reads the embedder's vectors of questions: {reason}"
        return
    index = resources.index
    if router.retrieval and index is None:
        registry.missing[ROUTED] = resources.no_index_reason
        return
    try:
        embedder = resources.embedder()
    except MissingError as error:
        registry.missing[ROUTED] = f"needs the embedder: {error.message}"
        return
    if embedder.digest != router.embedder:
        registry.missing[ROUTED] = f"was trained with another embedder; run groundtune compare, then {ROUTER_COMMAND}"
        return
    if parts := _ready_parts(building, ROUTED, router.approaches):
        signals = QuestionSignals(embedder, index.retriever if index and router.retrieval else None)
        registry.ready[ROUTED] = Routed(ROUTED, parts, signals=signals, policy=router.policy)


def _ready_parts(building: Building, name: str, parts: Sequence[str]) -> list[Approach]:
    """Return the approaches that a combination asks, and note them; empty, with the reason noted, if one cannot run."""
    registry = building.registry
    for part in parts:
        if reason := registry.forbidden.get(plain_name(part)):
            registry.forbidden[name] = f"it asks {part}: {reason}"
            return []
        if part not in registry.ready:
            reason = registry.missing.get(part) or registry.missing.get(plain_name(part)) or "is no approach"
            registry.missing[name] = f"asks {part}, which {reason}"
            return []
    registry.parts[name] = tuple(parts)
    registry.concurrency[name] = min(registry.concurrency.get(part, 1) for part in parts)
    return [registry.ready[part] for part in parts]


def _fixed(config: Config, resources: Resources) -> ShotChooser:
    count = config.shots.count
    return FixedShots(choose_fixed(resources.shot_candidates, count=count, each_label=config.task == "classify"))


def _near(config: Config, resources: Resources) -> ShotChooser:
    return NearestShots(
        resources.embedder(),
        resources.shot_candidates,
        count=config.shots.count,
        folder=resources.vector_folder,
        use_history=config.retrieval.history != "ignore",
    )


def _retrieved(building: Building, index: OpenIndex, *, stage: Stage | None = None) -> ContextProvider:
    def model() -> Generator:
        """Return the model that rewrites questions: that of the approaches, if they use it."""
        config, resources = building.config, building.resources
        return building.generators.get("default") or resources.wrap_generator(
            build.generator(config, "default", resources.embedder, patience_seconds=resources.rate_limit_wait_seconds)
        )

    return build.retrieved_context(building.config, index.retriever, index.document, model=model, stage=stage)


def _everything(index: OpenIndex) -> Callable[[Question], Awaitable[list[Passage]]]:
    async def passages(question: Question) -> list[Passage]:
        return await index.store.scan(question.scope)

    return passages


async def _misfit(resources: Resources, generator: Generator, model: ModelConfig) -> str | None:
    """Why the corpus does not fit in a model's prompt, worded to follow the name of an approach; None if it does."""
    if (index := resources.index) is None:
        return resources.no_index_reason
    from groundtune.models.token_counts import likely_tokens

    window = build.context_window(generator, model)
    if window is None:
        return f"needs to know the context window of {generator.name}: set `window` in its [models] table"
    count = await index.store.count()
    if count > MAX_CORPUS_PASSAGES:
        most = f"at most {MAX_CORPUS_PASSAGES:,} are supported"
        return f"cannot hold the corpus in its prompt: {count:,} passages, but {most}"
    passages = without_overlap(await index.store.scan(Scope()))
    tokens = sum(likely_tokens(f"{passage.heading}\n{passage.text}") for passage in passages)
    room = window - model.max_output_tokens
    if tokens <= room:
        return None
    return f"cannot hold the corpus in its prompt: about {tokens:,} tokens, but only {room:,} are available"


def only_judges(config: Config, name: str) -> bool:
    return config.judge is not None and name == config.judge.model and name != "default"
