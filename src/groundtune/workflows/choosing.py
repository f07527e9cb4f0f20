"""Make an approach the project's choice, return to the one before, and say when a choice is out of date.

`[answers] approach` in the project file is the choice; `.groundtune/choice.json` records what it was based on, and the
choices before it. Adopting a retriever (adopting.py) changes how passages are found, not what answers.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from groundtune.build.approach_families import tune_table_of
from groundtune.build.approach_registry import build_registry
from groundtune.build.resources import Resources
from groundtune.common.files import read_json, write_atomic, write_json
from groundtune.common.format_version import check_version, versioned
from groundtune.config import PROJECT_FILE, Config, load_config
from groundtune.config.fitted_values import Fitted
from groundtune.config.toml_edit import set_keys
from groundtune.dataset.examples import select_split
from groundtune.errors import GroundtuneError, MissingError, UsageError
from groundtune.tune.artifacts import latest_artifact
from groundtune.types import Example
from groundtune.workflows import reporting
from groundtune.workflows.comparison_basis import changes_since, comparison_basis
from groundtune.workflows.runs import read_run, run_folder
from groundtune.workspace import Workspace

FILE_VERSION = 1
RECORD = "choice.json"
SETTINGS_SECONDS = 10.0
"""How long to wait for another command that changes the project file."""
KEPT = 20
"""Number of earlier choices that are recorded."""


@dataclass(frozen=True, slots=True)
class Choice:
    """An approach in use."""

    approach: str | None
    """`NAME` or `NAME@ID`; None: the usual approach of the task."""
    time: str = ""
    """When it was chosen: ISO 8601, UTC."""
    run: str | None = None
    """The comparison that recommended it; None when it was named by hand."""
    split: str = "test"
    """Split of the examples that it was compared on."""
    basis: Mapping[str, Any] = field(default_factory=dict)
    """Digests of what it was based on, see comparison_basis.py, and the trained model."""


@dataclass(frozen=True, slots=True)
class Choosing:
    """What choosing reads and changes."""

    workspace: Workspace
    config: Config
    resources: Resources
    examples: Sequence[Example]
    """All examples of the project."""
    fitted: Fitted

    async def basis(self, name: str, split: str) -> dict[str, Any]:
        """Return what the choice of an approach would be based on now; a comparison uses the examples of a split."""
        resources = self.resources
        documents = await resources.index.catalog.digest() if resources.index else None
        examples = select_split(self.examples, split)
        basis = await asyncio.to_thread(
            comparison_basis, self.config, documents, examples, resources.train, self.fitted, resources.wordings
        )
        return {**basis, "artifact": newest_artifact_id(self.workspace, self.config, name)}

    async def require(self, name: str) -> str | None:
        """Return the id of the trained model of an approach, or None. Raises MissingError when it cannot run."""
        registry = (await build_registry(self.config, self.resources, only=[name])).select([name])
        artifact = registry.artifacts.get(name)
        return artifact.id if artifact else None


def read_choices(workspace: Workspace) -> list[Choice]:
    """Return the recorded choices, the latest last. Raises MissingError when the record is damaged."""
    path = workspace.folder / RECORD
    if not path.exists():
        return []
    values = check_version(read_json(path), path=path, supported=FILE_VERSION, rebuild="groundtune use NAME")
    return [Choice(**choice) for choice in values["choices"]]


def recorded_choice(workspace: Workspace, name: str | None) -> Choice | None:
    """Return the latest choice if it is this approach; None where the project file was written by hand since.

    name: None where the project file names no approach, so that nothing was chosen. Raises MissingError when the record
    is damaged.
    """
    choices = read_choices(workspace)
    return choices[-1] if choices and name is not None and choices[-1].approach == name else None


async def choose(choosing: Choosing, name: str) -> Choice:
    """Make an approach the project's choice, pinned to the trained model that it uses now.

    Raises UsageError for an unknown or forbidden approach and when the project file cannot be edited, MissingError
    when the approach cannot run.
    """
    if not isinstance(name, str):
        raise UsageError("only an approach with a name in the project can be used", hint="see docs/extend.md")
    artifact_id = await choosing.require(name)
    basis = await choosing.basis(name, "test")
    return _write(choosing, Choice(_pinned(name, artifact_id), _now(), None, "test", basis))


async def choose_verdict(choosing: Choosing) -> Choice:
    """Make the recommendation of the latest comparison the project's choice.

    Raises GroundtuneError when there is no comparison or no clear winner, or when something has changed since.
    """
    again = "groundtune compare"
    try:
        folder = run_folder(choosing.workspace)
    except MissingError as error:
        raise GroundtuneError("there is no comparison to take the choice from", hint=again) from error
    run = read_run(folder)
    if not run.complete:
        raise GroundtuneError(f"the comparison {folder.name} is not complete", hint=again)
    verdict = reporting.evaluate_run(run).verdict
    if verdict.choice is None:
        raise GroundtuneError(
            f"the comparison {folder.name} recommends no approach: {verdict.sentence}", hint="groundtune use NAME"
        )
    if "basis" not in run.about:
        raise GroundtuneError(f"the comparison {folder.name} does not say what it was based on", hint=again)
    name, split = verdict.choice, run.about["split"]
    artifact_id = run.about["artifacts"].get(name)
    basis = {**run.about["basis"], "artifact": artifact_id}
    if changed := changes_since(basis, await choosing.basis(name, split)):
        raise GroundtuneError(f"the comparison {folder.name} is out of date: {'; '.join(changed)}", hint=again)
    await choosing.require(_pinned(name, artifact_id))
    return _write(choosing, Choice(_pinned(name, artifact_id), _now(), folder.name, split, basis))


async def undo_choice(choosing: Choosing) -> Choice:
    """Return to the previous choice. Raises MissingError when there is none or it can no longer run."""
    choices = read_choices(choosing.workspace)
    if not choices:
        raise MissingError("there is no choice to undo")
    before = choices[-2] if len(choices) > 1 else Choice(None)
    if before.approach is not None:
        await choosing.require(before.approach)
    return _write(choosing, before, history=choices[:-1])


def newest_artifact_id(workspace: Workspace, config: Config, name: str) -> str | None:
    """Return the id of the newest model of the table that an approach uses; None when it uses none."""
    table = tune_table_of(config, name)
    artifact = latest_artifact(workspace.models, table) if table else None
    return artifact.id if artifact else None


def _pinned(name: str, artifact_id: str | None) -> str:
    return f"{name}@{artifact_id}" if artifact_id and "@" not in name else name


def _write(choosing: Choosing, choice: Choice, *, history: list[Choice] | None = None) -> Choice:
    """Write the choice into the project file, then the record. history: the choices to record; None: one more."""
    file = choosing.workspace.root / PROJECT_FILE
    with choosing.workspace.lock("settings", timeout_seconds=SETTINGS_SECONDS):
        if history is None:
            history = read_choices(choosing.workspace)
            if not history and choosing.config.answers.approach is not None:
                history = [Choice(choosing.config.answers.approach)]  # written by hand
            again = bool(history) and history[-1].approach == choice.approach
            history = [*(history[:-1] if again else history), choice]
        try:
            text = set_keys(file.read_bytes().decode("utf-8"), "answers", {"approach": choice.approach})
        except ValueError as error:
            raise UsageError(
                f"{file.name} cannot be edited automatically: {error}",
                hint=f"edit it by hand: under [answers], write approach = {json.dumps(choice.approach)}",
            ) from error
        if (effective := load_config(file, text=text).answers.approach) != choice.approach:
            raise UsageError(
                f"the environment sets {effective!r} for answers.approach, which overrides the project file",
                hint="unset GROUNDTUNE_ANSWERS__APPROACH",
            )
        write_atomic(file, text)
        write_json(
            choosing.workspace.folder / RECORD,
            versioned({"choices": [asdict(chosen) for chosen in history[-KEPT:]]}, FILE_VERSION),
        )
    return choice


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
