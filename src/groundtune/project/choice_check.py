"""Check the approaches that a project file names; of the chosen one, that it is not out of date. Asks no model."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Literal

from groundtune import build
from groundtune.build.approach_families import is_worded_name, known_names, tune_table_of
from groundtune.build.task import task_wordings
from groundtune.common.event_loop import Loop
from groundtune.config import Config
from groundtune.config.fitted_values import read_fitted
from groundtune.dataset.examples import select_split
from groundtune.errors import GroundtuneError, MissingError
from groundtune.tune.artifacts import find_artifact, verify_artifact
from groundtune.types import Example
from groundtune.workflows.choosing import newest_artifact_id, recorded_choice
from groundtune.workflows.comparison_basis import changes_since, comparison_basis
from groundtune.workspace import Workspace

Finding = tuple[Literal["problem", "missing", "warning"], str, str | None]
"""Level, message, hint."""


def check_choice(workspace: Workspace, config: Config, examples: Sequence[Example]) -> Iterator[Finding]:
    """Yield what is wrong with `[answers] approach`, or has changed since it was chosen."""
    name = config.answers.approach
    if name is None:
        return
    if unknown := unknown_approach(config, name):
        yield unknown
        return
    artifact_id = name.partition("@")[2]
    if artifact_id:
        try:
            artifact = find_artifact(workspace.models, artifact_id)
            verify_artifact(workspace.models / artifact.id, artifact)
        except MissingError as error:
            yield "missing", f"{name} cannot run: {error.message}", "groundtune use --back, or choose another model"
            return
        except GroundtuneError as error:
            yield "problem", f"{name} cannot run: {error.message}", error.hint
    yield from _stale(workspace, config, name, examples)


def named_approaches(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the approaches that the project file names besides the chosen one, each after the key that names it."""
    yield from (("compare.approaches", name) for name in config.compare.approaches)
    if config.combined:
        yield "combined.facts", config.combined.facts
        yield "combined.form", config.combined.form
    yield from (("cascade.approaches", name) for name in (config.cascade.approaches if config.cascade else ()))
    yield from (
        (f"serve.{key}.approach", second.approach)
        for key, second in (("shadow", config.serve.shadow), ("split", config.serve.split))
        if second
    )
    yield from (("fallback.approaches", name) for name in (config.fallback.approaches if config.fallback else ()))


def unknown_approach(config: Config, name: str) -> Finding | None:
    """Return a finding for a name that no approach of this project can have, or None."""
    plain, _, artifact_id = name.partition("@")
    known = known_names(config)
    exists = plain in known or is_worded_name(config, plain)
    if exists and not (artifact_id and tune_table_of(config, plain) is None):
        return None
    close = difflib.get_close_matches(plain, known, n=1)
    hint = f'did you mean "{close[0]}"?' if close and close[0] != plain else f"choose one of {', '.join(known)}"
    return "problem", f'there is no approach "{name}"', hint


async def documents_digest(workspace: Workspace, config: Config) -> str | None:
    """Return the digest of the catalog; None without an index."""
    storage = build.index_storage(config, workspace)
    if (manifest := await storage.current()) is None:
        return None
    generation = await storage.open(manifest, read_only=True)
    try:
        return await generation.catalog.digest()
    finally:
        await generation.close()


def _stale(workspace: Workspace, config: Config, name: str, examples: Sequence[Example]) -> Iterator[Finding]:
    choice = recorded_choice(workspace, name)
    if choice is None:
        return  # written by hand: nothing is known about what it was based on
    try:
        wordings = task_wordings(config, workspace.root)
    except GroundtuneError:
        return  # what is wrong with a prompt is said where the task is checked
    loop = Loop()  # `check` may be called where an event loop is running
    try:
        documents = loop.run(documents_digest(workspace, config))
    except GroundtuneError as error:
        yield "warning", f"cannot tell whether the documents have changed: {error.message}", error.hint
        return
    finally:
        loop.stop()
    now = comparison_basis(
        config,
        documents,
        select_split(examples, choice.split),
        select_split(examples, "train"),
        read_fitted(workspace.fitted),
        wordings,
    )
    changed = changes_since(choice.basis, {**now, "artifact": newest_artifact_id(workspace, config, name)})
    if changed:
        when = f"since {name} was chosen on {choice.time[:10]}, {' and '.join(changed)}"
        yield "warning", when, "groundtune compare, then groundtune use --verdict or groundtune use NAME"
