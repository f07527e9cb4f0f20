"""Switch a project to other retrieval: build its index, then edit the project file. Can undo the last switch."""

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
from groundtune.protocols import Embedder, ReplacesRetriever
from groundtune.tune.artifacts import choose_artifact, list_artifacts, verify_artifact
from groundtune.types import Artifact
from groundtune.workflows.ingesting import ingest
from groundtune.workspace import Workspace

TableValues = Mapping[str, str | float | None]
Tables = Mapping[str, TableValues]
"""Tables of the project file to the new values of keys; None = key removed."""

ADOPTED_FORMAT = 3
SETTINGS_SECONDS = 10.0
"""How long to wait for another command that changes the project file."""
EMBEDDER_KEYS = (
    "kind", "model", "base_url", "api_key_env", "dimension", "batch_size", "passage_prefix", "query_prefix",
)  # fmt: skip
KEYS = {"embedder": EMBEDDER_KEYS, "retrieval": ("reranker",)}
"""Table of the project file to the keys that the adoption of a trained model changes."""
INDEX_TABLES = frozenset({"embedder", "passages"})
"""Tables that an index depends on."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """The changes that an adoption made."""

    tables: Tables
    """What was changed in the project file."""
    report: SyncReport | None
    """Report on building the new index; None if the current index is still used."""
    forgotten: tuple[str, ...]
    """Values that were fitted for the previous index and were discarded."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """The changes to make."""

    tables: Tables
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


async def adopt_settings(
    workspace: Workspace,
    tables: Tables,
    embedder: Embedder,
    *,
    wait_seconds: float = 0.0,
    progress: Callable[[SyncProgress], None] = lambda _: None,
) -> Adoption:
    """Switch the project to other settings of retrieval. What was fitted for the present ones is discarded.

    embedder: the one of the new settings. Raises UsageError for a project file that cannot be changed, BusyError.
    """
    parts = workspace, _Plan(tables, Fitted())
    return await _apply(
        *parts, fitted=workspace.fitted, wait_seconds=wait_seconds, progress=progress, embedder=embedder
    )


def _plan_adoption(workspace: Workspace, artifact: Artifact) -> _Plan:
    kind = training_kind(artifact.kind)
    if not isinstance(kind, ReplacesRetriever):
        hint = "use it with groundtune ask -a tuned, or compare it with groundtune compare"
        raise UsageError(f"{artifact.id} is a {artifact.kind}: only retrievers can be adopted", hint=hint)
    verify_artifact(workspace.models / artifact.id, artifact)
    folder = (workspace.models / artifact.id).relative_to(workspace.root).as_posix()
    table, values = kind.adoption(artifact, folder)
    fitted = _fitted_values(artifact) if table == "embedder" else None
    return _Plan({table: {**dict.fromkeys(KEYS[table]), **values}}, fitted)


def _plan_undo(workspace: Workspace) -> _Plan:
    record = _record_file(workspace)
    if not record.exists():
        raise MissingError("there is no adoption to undo", hint="groundtune models list")
    by_hand = "edit [embedder], [passages] or [retrieval] in groundtune.toml by hand"
    adopted = check_version(read_json(record), path=record, supported=ADOPTED_FORMAT, rebuild=by_hand)
    try:
        tables = adopted["tables"] if "tables" in adopted else {adopted["table"]: adopted["values"]}
        return _Plan(tables, fitted_from(adopted["fitted"]))
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
    embedder: Embedder | None = None,
) -> Adoption:
    """Build the new index alongside the current one, then switch project file, fitted values and index together."""
    file = workspace.root / PROJECT_FILE
    config = load_config(file, text=_edited(file, plan.tables))
    _check_environment(config, plan.tables, workspace.root)
    before, report = read_fitted(fitted), None

    def write() -> None:
        with workspace.lock("settings", timeout_seconds=SETTINGS_SECONDS):
            write_locked()

    def write_locked() -> None:
        text = _edited(file, plan.tables)  # the file may have changed while the index was built
        present = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
        previous = {
            table: {key: present.get(table, {}).get(key) for key in values} for table, values in plan.tables.items()
        }
        # If they are equal, an earlier call was interrupted after writing the file.
        if previous != plan.tables:
            record = {"tables": previous, "fitted": asdict(before)}
            write_json(_record_file(workspace), versioned(record, ADOPTED_FORMAT))
        if plan.fitted:
            write_fitted(fitted, plan.fitted)
        write_atomic(file, text)

    if plan.tables.keys() & INDEX_TABLES:
        embedder = embedder or build.prepare_for_many(build.embedder(config))
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
    return Adoption(plan.tables, report, forgotten)


def _edited(file: Path, tables: Tables) -> str:
    """Return the changed project file. Raises UsageError with the lines to write by hand if it cannot be edited."""
    try:
        text = file.read_bytes().decode("utf-8")
        for table, values in tables.items():
            text = set_keys(text, table, values)
    except ValueError as error:
        by_hand = "; ".join(f"under [{table}], write {_lines(values)}" for table, values in tables.items())
        raise UsageError(
            f"{file.name} cannot be edited automatically: {error}", hint=f"edit it by hand: {by_hand}"
        ) from error
    return text


def _lines(values: TableValues) -> str:
    return ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None)


def _check_environment(config: Config, tables: Tables, root: Path) -> None:
    """Raise UsageError if an environment variable would override a new value."""
    for table, values in tables.items():
        for key, new in values.items():
            if new is None and key not in ("model", "reranker"):  # the default may depend on other keys
                continue
            effective = getattr(getattr(config, table), key)
            if effective not in (new, str(root / str(new))):
                raise UsageError(
                    f"the environment sets {effective!r} for [{table}], which overrides the project file",
                    hint=f"unset the environment variable that begins with GROUNDTUNE_{table.upper()}",
                )


def _record_file(workspace: Workspace) -> Path:
    return workspace.folder / "adopted.json"
