"""Collect the approaches a project can run, by name, and the reason why each of the others cannot run.

The one way to an approach: asking, comparing and distilling all get theirs here.
"""

import asyncio
import difflib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

from groundtune import build
from groundtune.build import approach_families as families
from groundtune.build.approach_families import Building
from groundtune.build.resources import Resources
from groundtune.build.router_file import read_router
from groundtune.config import Config
from groundtune.errors import MissingError, UsageError
from groundtune.extensions import adds_approach, load_extensions
from groundtune.protocols import Approach, Combination
from groundtune.types import Artifact


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
    further: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Maps each name to those of its trainings with other seeds, which are measured as the same approach."""
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Maps each combination, such as `cascade`, to the approaches that it asks."""
    known: Callable[[], list[str]] = list
    """Returns all names that this project may have, also of approaches that were not built; imports packages."""

    @property
    def asked(self) -> set[str]:
        """Names of the ready approaches, and of those that the combinations among them ask."""
        return {asked for name in self.ready for asked in self.asked_by(name)}

    def asked_by(self, name: str) -> tuple[str, ...]:
        """Return an approach with those that it asks, and those that these ask."""
        found = [name]
        for each in found:  # grows while it is read; no combination asks itself
            found += [part for part in self.parts.get(each, ()) if part not in found]
        return tuple(found)

    def recombined(self) -> "ApproachRegistry":
        """Return the registry with combinations that ask the approaches as they are now."""
        ready = dict(self.ready)
        for name, approach in self.ready.items():  # a combination comes after those that it asks
            if name in self.parts and isinstance(approach, Combination):
                ready[name] = approach.with_parts(ready)
        return replace(self, ready=ready)

    def select(self, chosen: Sequence[str | Approach]) -> "ApproachRegistry":
        """Return the chosen approaches, or all ready ones. Raises UsageError, or MissingError when none can run.

        chosen: names, and objects of the caller's own, which are used as they are.
        """
        if chosen:
            own = {approach.name: approach for approach in map(_own, chosen) if approach is not None}
            names = [choice if isinstance(choice, str) else choice.name for choice in chosen]
            if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1 and name in own]:
                raise UsageError(f"two approaches have the name {twice[0]!r}", hint="give them different names")
            registry = self.pick([name for name in names if name not in own])
            ready = {name: own.get(name) or registry.ready[name] for name in names}
            concurrency = {name: getattr(approach, "concurrency", 1) for name, approach in own.items()}
            return replace(registry, ready=ready, concurrency={**registry.concurrency, **concurrency})
        if not self.ready:
            reasons = {**self.forbidden, **self.missing}
            details = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
            raise MissingError(f"no approach can run: {details}", hint="groundtune check")
        return self

    def pick(self, names: Sequence[str]) -> "ApproachRegistry":
        """Return only these. Raises UsageError for unknown or forbidden names, MissingError if one cannot run."""
        for name in names:
            plain = families.plain_name(name)
            if name in self.ready:
                continue
            if plain in self.forbidden:
                raise UsageError(f"{name} is not allowed: {self.forbidden[plain]}")
            if plain in self.missing:
                reason, _, command = self.missing[plain].partition("; run ")
                hint = command or (f"available: {', '.join(self.ready)}" if self.ready else None)
                raise MissingError(f"{name} {reason}", hint=hint)
            known = self.known() or list(self.ready)
            close = difflib.get_close_matches(name, known, n=1)
            hint = f'did you mean "{close[0]}"?' if close else f"choose one of {', '.join(known)}"
            raise UsageError(f"no approach {name!r}", hint="; ".join([hint, *load_extensions().broken.values()]))
        ready = {name: self.ready[name] for name in names}
        return replace(self, ready=ready, missing={}, forbidden={})


async def build_registry(
    config: Config, resources: Resources, *, only: Collection[str] | None = None
) -> ApproachRegistry:
    """Build every approach that the task and the configuration allow; give a reason for the others.

    only: build just these with the parts of combinations among them, and add those of packages and pinned ones
    (`NAME@ID`), which are never built unasked.
    """
    registry = ApproachRegistry(known=partial(families.known_names, config))
    checker = build.support_checker(config) if resources.output_format.cites else None
    router = read_router(resources.router_file) if only and families.ROUTED in only else None
    asked = (families.COMBINED, families.CASCADE) if only is None else only
    named = families.with_parts(config, asked, router)
    building = Building(
        config, resources, registry, None if only is None else frozenset(named), frozenset(named), checker
    )
    has_model = config.models["default"].kind != "quote"
    for name, model in config.models.items():
        if model.kind != "quote" and not families.only_judges(config, name):
            await families.add_model(building, name)
    if config.task == "answer":
        families.add_quotes(building)
    if config.task == "classify":
        families.add_nearest(building, alone=not has_model)
    await families.add_tuned(building)
    families.add_extensions(building)
    if not has_model:
        for name in set(families.names_with_model(config)) - {*registry.ready, *registry.forbidden}:
            registry.missing.setdefault(name, families.NEEDS_MODEL)
    families.add_combined(building)
    families.add_cascade(building)
    families.add_routed(building, router)
    return registry


async def with_further_trainings(config: Config, resources: Resources, registry: ApproachRegistry) -> ApproachRegistry:
    """Add the trainings with other seeds of each ready approach whose table has several `seeds`."""
    ready = {name: artifact for name, artifact in registry.artifacts.items() if name in registry.ready}
    pinned = await asyncio.to_thread(families.further_trainings, config, resources.model_folder, ready)
    names = [name for others in pinned.values() for name in others]
    if not names:
        return registry
    added = await build_registry(config, resources, only=names)
    further = {name: tuple(other for other in others if other in added.ready) for name, others in pinned.items()}
    return replace(
        registry,
        ready=registry.ready | {name: added.ready[name] for name in names if name in added.ready},
        missing=registry.missing | {name: added.missing[name] for name in names if name in added.missing},
        concurrency=registry.concurrency | added.concurrency,
        artifacts=registry.artifacts | added.artifacts,
        further={name: others for name, others in further.items() if others},
    )


def default_approach(config: Config) -> str:
    """Return the approach that answers when none is named: the project's choice, else the usual one of the task."""
    if config.answers.approach:
        return config.answers.approach
    if config.task != "answer":
        is_held = config.task == "extract" and config.models["default"].kind == "openai"
        return "fewshot-constrained" if is_held else "fewshot"
    return "rag" if config.models["default"].kind != "quote" else "quote-hybrid"


def calibrated_unasked(config: Config) -> str | None:
    """Return the approach that is calibrated when none is named, because that costs nothing; None if there is none.

    In task answer it is one that quotes, so that a project with a model has the same threshold as one without.
    """
    name = default_approach(config)
    if config.task == "answer":
        return name if name in families.QUOTE_STAGES or name == "quote-corpus" else "quote-hybrid"
    is_free = config.models["default"].kind == "quote" and name in families.WITH_MODEL
    return name if is_free and config.task == "classify" else None


def needs_examples(config: Config, name: str) -> bool:
    """Whether an approach can be built only from the project's examples: its shots, labels or schema."""
    task_needs = (config.task == "classify" and not config.labels) or (
        config.task == "extract" and config.schema_file is None
    )
    asked = families.with_parts(config, [name])
    return task_needs or any(
        each == families.ROUTED or each.startswith("fewshot") or each == "nearest" or adds_approach(each)
        for each in asked
    )


def _own(choice: object) -> Approach | None:
    """Return an approach of the caller's own, or None for a name. Raises UsageError for anything else."""
    if isinstance(choice, str):
        return None
    name, answer = getattr(choice, "name", None), getattr(choice, "answer", None)
    if isinstance(choice, type):
        raise UsageError(f"{choice.__name__} is a class", hint=f"pass an object of it: {choice.__name__}()")
    if not isinstance(name, str) or not name.strip() or not callable(answer):
        lacking = "a name" if not isinstance(name, str) or not name.strip() else "a method answer(question)"
        raise UsageError(
            f"{choice!r} is no approach: it lacks {lacking}",
            hint="an approach has a `name` and `async def answer(self, question) -> Answer`",
        )
    return cast(Approach, choice)
