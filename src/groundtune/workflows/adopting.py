"""Switch a project to a tuned retriever: build its index, then edit the project file. Can undo the last switch."""

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from groundtune import build
from groundtune.build.training_kinds import training_kind
from groundtune.common.files import read_json, write_atomic, write_json
from groundtune.common.format_version import check_version, versioned
from groundtune.config import PROJECT_FILE, Config, load_config
from groundtune.config.fitted_values import Fitted, fitted_from, read_fitted, write_fitted
from groundtune.config.toml_edit import set_keys
from groundtune.errors import MissingError, UsageError
from groundtune.ingest.sync import SyncProgress, SyncReport
from groundtune.protocols import ReplacesRetriever
from groundtune.tune.artifacts import choose_artifact, list_artifacts, verify_artifact
from groundtune.types import Artifact
from groundtune.workflows.ingesting import ingest
from groundtune.workspace import Workspace

TableValues = Mapping[str, str | int | None]

ADOPTED_FORMAT = 2
SETTINGS_SECONDS = 10.0
"""How long to wait for another command that changes the project file."""
KEYS = {"embedder": ("kind", "model", "base_url", "api_key_env", "dimension"), "retrieval": ("reranker",)}
"""Table of the project file to the keys that adoption changes."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """The changes that an adoption made."""

    table: str
    """Table of the project file: embedder or retrieval."""
    values: TableValues
    """New values in that table; None = key removed."""
    report: SyncReport | None
    """Report on building the new index; None if the current index is still used."""
    forgotten: tuple[str, ...]
    """Values that were fitted for the previous embedder and were discarded."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """The changes to make."""

    table: str
    values: TableValues
    fitted: Fitted | None
    """New fitted values; None leaves them unchanged."""


async def adopt(
    workspace: Workspace,
    fitted: Path,
    name: str | None,
    *,
    wait_seconds: float = 0.0,
    progress: Callable[[SyncProgress], None] = lambda _: None,
) -> Adoption:
    """Switch the project to a tuned embedder or reranker; a name of None undoes the last adoption.

    If the process is killed, calling it again completes the change. fitted: the file of fitted values. Raises
    MissingError when there is no artifact of that name, UsageError for an artifact that is not a retriever or a project
    file that cannot be changed, GroundtuneError for an unusable artifact, BusyError.
    """
    plan = (
        _plan_undo(workspace)
        if name is None
        else _plan_adoption(workspace, choose_artifact(list_artifacts(workspace.models), name))
    )
    done = await _apply(workspace, plan, fitted=fitted, wait_seconds=wait_seconds, progress=progress)
    if name is None:
        _record_file(workspace).unlink()
    return done


def _plan_adoption(workspace: Workspace, artifact: Artifact) -> _Plan:
    kind = training_kind(artifact.kind)
    if not isinstance(kind, ReplacesRetriever):
        hint = "use it with groundtune ask -a tuned, or compare it with groundtune compare"
        raise UsageError(f"{artifact.id} is a {artifact.kind}: only retrievers can be adopted", hint=hint)
    verify_artifact(workspace.models / artifact.id, artifact)
    folder = (workspace.models / artifact.id).relative_to(workspace.root).as_posix()
    table, values = kind.adoption(artifact, folder)
    fitted = _fitted_values(artifact) if table == "embedder" else None
    return _Plan(table, {**dict.fromkeys(KEYS[table]), **values}, fitted)


def _plan_undo(workspace: Workspace) -> _Plan:
    record = _record_file(workspace)
    if not record.exists():
        raise MissingError("there is no adoption to undo", hint="groundtune models list")
    by_hand = "edit [embedder] or [retrieval] in groundtune.toml by hand"
    adopted = check_version(read_json(record), path=record, supported=ADOPTED_FORMAT, rebuild=by_hand)
    try:
        return _Plan(adopted["table"], adopted["values"], fitted_from(adopted["fitted"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise MissingError(f"{record} is damaged: {error}", hint=by_hand) from None


def key_naming_model(config: Config, folder: Path) -> str | None:
    """Return the key of the project file that names a model in this folder, or None."""
    if (config.answers.approach or "").partition("@")[2] == folder.name:
        return "[answers] approach"
    named = {"[embedder] model": config.embedder.model, "[retrieval] reranker": config.retrieval.reranker}
    for key, model in named.items():
        if model and folder.resolve() in Path(model).resolve().parents:
            return key
    return None


def _fitted_values(artifact: Artifact) -> Fitted:
    """Fitted values for the new embedder: only its dense weight is known, so values fitted for another are dropped."""
    if artifact.details.get("dense_weight_fitted"):
        return Fitted(artifact.details["dense_weight"], artifact.details["questions"])
    return Fitted()


async def _apply(
    workspace: Workspace,
    plan: _Plan,
    *,
    fitted: Path,
    wait_seconds: float,
    progress: Callable[[SyncProgress], None],
) -> Adoption:
    """Build the new index alongside the current one, then switch project file, fitted values and index together."""
    file = workspace.root / PROJECT_FILE
    config = load_config(file, text=_edited(file, plan))
    _check_environment(config, plan, workspace.root)
    before, report = read_fitted(fitted), None

    def write() -> None:
        with workspace.lock("settings", timeout_seconds=SETTINGS_SECONDS):
            write_locked()

    def write_locked() -> None:
        text = _edited(file, plan)  # the file may have changed while the index was built
        present = tomllib.loads(file.read_bytes().decode("utf-8-sig")).get(plan.table, {})
        previous = {key: present.get(key) for key in KEYS[plan.table]}
        # If they are equal, an earlier call was interrupted after writing the file.
        if previous != {**dict.fromkeys(previous), **plan.values}:
            record = {"table": plan.table, "values": previous, "fitted": asdict(before)}
            write_json(_record_file(workspace), versioned(record, ADOPTED_FORMAT))
        if plan.fitted:
            write_fitted(fitted, plan.fitted)
        write_atomic(file, text)

    if plan.table == "embedder":
        embedder = build.prepare_for_many(build.embedder(config))
        storage = build.index_storage(config, workspace)
        current = await storage.current()
        rebuild = current is not None and current.parts != build.index_parts(config, embedder)
        report = await ingest(
            workspace,
            config,
            embedder,
            storage=storage,
            rebuild=rebuild,
            wait_seconds=wait_seconds,
            progress=progress,
            complete=write,
        )
    else:
        with workspace.writer_lock(timeout_seconds=wait_seconds):
            write()
    after = plan.fitted or before
    kinds = {"thresholds": (before.thresholds, after.thresholds), "prompts": (before.prompts, after.prompts)}
    forgotten = tuple(kind for kind, (had, has) in kinds.items() if had and not has)
    return Adoption(plan.table, plan.values, report, forgotten)


def _edited(file: Path, plan: _Plan) -> str:
    """Return the changed project file. Raises UsageError with the lines to write by hand if it cannot be edited."""
    try:
        return set_keys(file.read_bytes().decode("utf-8"), plan.table, plan.values)
    except ValueError as error:
        lines = [f"{key} = {json.dumps(value)}" for key, value in plan.values.items() if value is not None]
        raise UsageError(
            f"{file.name} cannot be edited automatically: {error}",
            hint=f"edit it by hand: under [{plan.table}], write {', '.join(lines)}",
        ) from error


def _check_environment(config: Config, plan: _Plan, root: Path) -> None:
    """Raise UsageError if an environment variable would override the new value."""
    effective = config.embedder.model if plan.table == "embedder" else config.retrieval.reranker
    new = plan.values.get("model" if plan.table == "embedder" else "reranker")
    if effective != new and effective != str(root / str(new)):
        raise UsageError(
            f"the environment sets {effective!r} for [{plan.table}], which overrides the project file",
            hint=f"unset the environment variable that begins with GROUNDTUNE_{plan.table.upper()}",
        )


def _record_file(workspace: Workspace) -> Path:
    return workspace.folder / "adopted.json"
