"""What can be asked and compared on a project by name, and why the rest cannot. Asks nothing itself."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from groundtune import build
from groundtune.approaches.evidence import MAX_CORPUS_PASSAGES, Retrieved, WholeCorpus
from groundtune.approaches.forms import Form, LabelForm, ObjectForm, TextForm, rules_digest
from groundtune.approaches.shots import FixedShots, NearestShots, fixed
from groundtune.config import Config, ModelConfig
from groundtune.errors import GroundtuneError, MissingError, UsageError
from groundtune.opened import OpenIndex
from groundtune.protocols import Approach, Embedder, Gatherer, Generator, RepeatableGenerator, ShotChooser
from groundtune.tune.artifacts import latest, verify
from groundtune.tune.leftovers import untrained
from groundtune.types import Artifact, Example, Passage, Prompt, Question, Scope, Stage

CHARACTERS_PER_TOKEN = 3
"""Of a corpus that must fit a window: on the safe side, English text has about four."""
WITH_MODEL = ("prompt", "fewshot-fixed", "fewshot", "context", "rag")
"""What every model that writes is tried with."""
NEEDS_MODEL = "needs a model that writes: [models.default]"
NEEDS_SHOTS = 'needs examples in the train split: [examples] files = ["examples.jsonl"]'


@dataclass(frozen=True, slots=True)
class Material:
    """What approaches are made of, besides the configuration."""

    root: Path
    embedder: Callable[[], Embedder]
    """Made when it is needed."""
    form: Form
    """Of the task."""
    train: Sequence[Example] = ()
    index: OpenIndex | None = None
    no_index: str = "needs an index: groundtune ingest"
    """Why there is no index."""
    models: Path | None = None
    """Where artifacts lie."""
    vectors: Path | None = None
    """Where vectors of examples are kept."""
    patience_seconds: float = 0.0
    """How long one request may wait for rate limits."""
    turn: asyncio.Semaphore | None = None
    """Taken for what this machine does before a model is asked, where many questions are asked at a time."""
    keep: Callable[[Generator], Generator] = lambda generator: generator
    """What is put around every generator of a configured model: the cache, where there is one."""

    def for_many(self) -> Embedder:
        """The embedder, told that many texts will come."""
        return build.for_many(self.embedder())

    @property
    def shown(self) -> list[Example]:
        """Examples that a model may be shown; a text that must not be written cannot be."""
        return [one for one in self.train if one.output is not None or not isinstance(self.form, TextForm)]


@dataclass(frozen=True, slots=True)
class Lineup:
    """Approaches by name."""

    ready: dict[str, Approach] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Name to what it needs that is not there."""
    barred: dict[str, str] = field(default_factory=dict)
    """Name to the requirement that forbids to run it at all."""
    concurrency: dict[str, int] = field(default_factory=dict)
    """Questions at a time; 1 for what runs on this machine one by one, so that its seconds mean something."""
    model: dict[str, str] = field(default_factory=dict)
    """Name to the table under [models] that it asks; absent for what asks none."""
    requests: dict[str, Any] = field(default_factory=dict)
    """Table under [models] to all that its generations depend on besides the prompt."""
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    """Name to the training that it rests on."""

    def chosen(self, names: Sequence[str]) -> "Lineup":
        """The named ones, without names all that can run. Raises UsageError, and MissingError when none can."""
        if names:
            return self.pick(names)
        if not self.ready:
            reasons = {**self.barred, **self.missing}
            why = "; ".join(f"{name} {reason}" for name, reason in reasons.items())
            raise MissingError(f"no approach can run: {why}", hint="groundtune check")
        return self

    def pick(self, names: Sequence[str]) -> "Lineup":
        """Only these. Raises UsageError for an unknown name, MissingError for one that cannot run."""
        for name in names:
            if name in self.barred:
                raise UsageError(f"{name} must not run: {self.barred[name]}")
            if name in self.missing:
                hint = f"there are: {', '.join(self.ready)}" if self.ready else None
                raise MissingError(f"{name} {self.missing[name]}", hint=hint)
            if name not in self.ready:
                raise UsageError(f"no approach {name!r}", hint=f"there are: {', '.join(self.ready)}")
        ready = {name: self.ready[name] for name in names}
        return replace(self, ready=ready, missing={}, barred={})


async def line_up(config: Config, material: Material) -> Lineup:
    """Every approach that the task and the configured parts allow; the others with the reason."""
    found = Lineup()
    has_model = config.models["default"].kind != "quote"
    for name, model in config.models.items():
        if model.kind != "quote" and not _only_judges(config, name):
            await _of_model(config, material, name, found)
    if config.task == "answer":
        _quotes(config, material, found)
    if config.task == "classify":
        _nearest(config, material, found, alone=not has_model)
    _tuned(config, material, found)
    if not has_model:
        for name in set(WITH_MODEL) - {*found.ready, *found.barred}:
            found.missing.setdefault(name, NEEDS_MODEL)
    return found


def default_approach(config: Config) -> str:
    """What `ask` uses when no approach is named."""
    return "rag" if config.task == "answer" else "fewshot"


async def _of_model(config: Config, material: Material, model: str, found: Lineup) -> None:
    """The five ways to use a model that writes: alone, with fixed or nearest shots, with the corpus, with passages."""
    ending = "" if model == "default" else f":{model}"
    names = [f"{name}{ending}" for name in WITH_MODEL]
    prompt, few, near, context, rag = names
    chosen = config.models[model]
    if reason := build.forbidden(config, chosen):
        found.barred.update(dict.fromkeys(names, reason))
        return
    try:
        plain = build.generator(config, model, material.embedder, patience_seconds=material.patience_seconds)
        misfit = await _misfit(config, material, plain, chosen)
        if isinstance(plain, RepeatableGenerator):
            found.requests[model] = plain.request(Prompt(""))
    except MissingError as error:
        found.missing.update(dict.fromkeys(names, f"cannot be asked: {error.message}"))
        return
    generator, closed = material.keep(plain), build.forbidden(config, config.embedder)
    found.concurrency.update(dict.fromkeys(names, chosen.concurrency))
    found.model.update(dict.fromkeys(names, model))

    def add(name: str, *, evidence: Gatherer | None = None, shots: ShotChooser | None = None) -> None:
        found.ready[name] = build.composed(
            config, name, generator, form=material.form, evidence=evidence, shots=shots, turn=material.turn
        )

    add(prompt)
    if material.shown:
        add(few, shots=_fixed(config, material))
    else:
        found.missing.update({few: NEEDS_SHOTS, near: NEEDS_SHOTS})
    if misfit:
        found.missing[context] = misfit
    elif material.index:
        add(context, evidence=WholeCorpus(_everything(material.index)))
    if closed:
        found.missing.pop(near, None)
        found.barred.update({near: f"its shots need the embedder: {closed}", rag: f"its passages need it: {closed}"})
        return
    if material.index:
        add(rag, evidence=_retrieved(config, material.index))
    else:
        found.missing[rag] = material.no_index
    if material.shown:
        try:
            add(near, shots=_near(config, material))
        except MissingError as error:
            found.missing[near] = f"needs the embedder: {error.message}"


def _tuned(config: Config, material: Material, found: Lineup) -> None:
    """What was trained, alone and, where it writes text, over retrieved passages."""
    form = material.form
    tables = {name: table for name, table in config.tune.items() if table.kind != "retriever"}
    for name, table in tables.items():
        ending = "" if len(tables) == 1 else f":{name}"
        grounded = getattr(table, "context", "none") == "retrieved"
        plain, hybrid = f"tuned{ending}", f"hybrid{ending}"
        wanted = [plain] * (not grounded) + [hybrid] * (form.cites and table.kind in ("lora", "hosted"))
        try:
            artifact = latest(material.models, name) if material.models else None
            if artifact is None or material.models is None:
                raise MissingError(untrained(material.models, name) if material.models else f"groundtune tune {name}")
            if reason := _outdated(artifact, form, grounded=grounded):
                raise MissingError(f"{reason}: groundtune tune {name}")
            folder = material.models / artifact.id
            verify(folder, artifact)
            generator = material.keep(build.tuned(config, artifact, folder, patience_seconds=material.patience_seconds))
        except GroundtuneError as error:
            found.missing.update(dict.fromkeys(wanted, error.message))
            continue
        found.artifacts.update(dict.fromkeys(wanted, artifact))
        if plain in wanted:
            found.ready[plain] = build.composed(config, plain, generator, form=form)
        if hybrid in wanted and material.index is None:
            found.missing[hybrid] = material.no_index
        elif hybrid in wanted and material.index:
            evidence = _retrieved(config, material.index)
            found.ready[hybrid] = build.composed(config, hybrid, generator, form=form, evidence=evidence)


def _outdated(artifact: Artifact, form: Form, *, grounded: bool) -> str | None:
    """What of the task is not any more as the model learnt it; None where everything is."""
    learnt = artifact.details
    if learnt.get("rules", rules_digest(form, grounded=grounded)) != rules_digest(form, grounded=grounded):
        return "was trained under other instructions, labels or schema than the project's"
    if isinstance(form, LabelForm) and (changed := set(learnt.get("labels", form.labels)) ^ set(form.labels)):
        return f"was trained for other labels than the project's ({', '.join(sorted(changed))})"
    if isinstance(form, ObjectForm) and learnt.get("schema", form.schema) != form.schema:
        return "was trained for another schema than the project's"
    return None


def _quotes(config: Config, material: Material, found: Lineup) -> None:
    """Verbatim sentences of what each stage of retrieval finds, and of everything."""
    stages: dict[str, Stage | None] = {"quote-bm25": "bm25", "quote-dense": "dense", "quote-hybrid": None}
    if material.index is None:
        found.missing.update(dict.fromkeys((*stages, "quote-corpus"), material.no_index))
        return
    if reason := build.forbidden(config, config.embedder):
        found.barred.update(dict.fromkeys((*stages, "quote-corpus"), reason))
        return
    gatherers: dict[str, Gatherer] = {
        name: _retrieved(config, material.index, stage=stage) for name, stage in stages.items()
    }
    gatherers["quote-corpus"] = WholeCorpus(_everything(material.index))
    for name, gatherer in gatherers.items():  # a generator each, as it keeps vectors that another would find ready
        generator = build.quotes(config, material.index.embedder)
        found.ready[name] = build.composed(config, name, generator, evidence=gatherer, fitted=material.index.fitted)


def _nearest(config: Config, material: Material, found: Lineup, *, alone: bool) -> None:
    """Labels by the embedder; beside a model that writes only the best of the three, as the cheap alternative."""
    names = ("prompt", "fewshot-fixed", "fewshot") if alone else ("nearest",)
    if reason := build.forbidden(config, config.embedder):
        found.barred.update(dict.fromkeys(names, reason))
        return
    if not isinstance(material.form, LabelForm):
        return
    try:
        generator = build.nearest(config, material.embedder(), material.form.labels)
    except MissingError as error:
        found.missing.update(dict.fromkeys(names, f"needs the embedder: {error.message}"))
        return
    shots: dict[str, ShotChooser | None] = {"prompt": None} if alone else {}
    if material.shown:
        shots |= {"fewshot-fixed": _fixed(config, material)} if alone else {}
        shots[names[-1]] = _near(config, material)
    for name, chooser in shots.items():
        found.ready[name] = build.composed(config, name, generator, form=material.form, shots=chooser)
    found.missing.update({name: NEEDS_SHOTS for name in names if name not in shots})


def _fixed(config: Config, material: Material) -> ShotChooser:
    count = config.shots.count
    return FixedShots(fixed(material.shown, count=count, each_label=config.task == "classify"))


def _near(config: Config, material: Material) -> ShotChooser:
    return NearestShots(material.embedder(), material.shown, count=config.shots.count, folder=material.vectors)


def _retrieved(config: Config, index: OpenIndex, *, stage: Stage | None = None) -> Gatherer:
    return Retrieved(index.retriever, index.document, passages=config.answers.max_passages, stage=stage)


def _everything(index: OpenIndex) -> Callable[[Question], Awaitable[list[Passage]]]:
    async def passages(question: Question) -> list[Passage]:
        return await index.store.scan(question.scope)

    return passages


async def _misfit(config: Config, material: Material, generator: Generator, model: ModelConfig) -> str | None:
    """Why the corpus cannot stand in the prompt of a model; None when it can."""
    if (index := material.index) is None:
        return material.no_index
    window = build.window(generator, model)
    if window is None:
        return f"needs to know the window of {generator.name}: set `window` beside its `model`"
    count = await index.store.count()
    if count > MAX_CORPUS_PASSAGES:
        return f"does not fit: {count:,} passages"
    passages = await index.store.scan(Scope())
    tokens = sum(len(passage.text) + len(passage.heading) for passage in passages) // CHARACTERS_PER_TOKEN
    room = window - model.max_output_tokens
    return f"does not fit: about {tokens:,} tokens, room for {room:,}" if tokens > room else None


def _only_judges(config: Config, name: str) -> bool:
    return config.judge is not None and name == config.judge.model and name != "default"
