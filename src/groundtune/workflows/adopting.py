"""Take a tuned retriever into use: the index beside the present one first, then the project file, and the way back."""

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from groundtune import build
from groundtune.config import PROJECT_FILE, Config, load_config
from groundtune.errors import MissingError, UsageError
from groundtune.fitted import Fitted, read_fitted, write_fitted
from groundtune.ingest.index import IndexFolder
from groundtune.ingest.sync import Progress, SyncReport
from groundtune.toml_lines import put
from groundtune.tune.artifacts import artifacts, pick, verify
from groundtune.types import Artifact
from groundtune.workflows.ingesting import ingest
from groundtune.workspace import Workspace, read_json, write_atomic, write_json

Values = Mapping[str, str | int | None]

KEYS = {"embedder": ("kind", "model", "base_url", "api_key_env", "dimension"), "retrieval": ("reranker",)}
"""By table of the project file: the keys that are changed."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """What was changed."""

    table: str
    """Of the project file: embedder or retrieval."""
    values: Values
    """That stand in it now; None = taken out."""
    report: SyncReport | None
    """Of the new index; None where the present one serves on."""
    forgotten: tuple[str, ...]
    """What was fitted for the former embedder and holds no longer."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be changed."""

    table: str
    values: Values
    fitted: Fitted | None
    """What is fitted from then on; None: as it is."""


async def adopt(
    workspace: Workspace,
    fitted: Path,
    name: str | None,
    *,
    wait_seconds: float = 0.0,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Adoption:
    """Makes a tuned embedder or reranker the project's own; None undoes the last adoption.

    Killed anywhere, it goes on when it is called again. fitted: the file of fitted values. Raises MissingError when
    there is nothing of that name, UsageError for what is no retriever or a project file that cannot be changed,
    GroundtuneError for an artifact that must not be used, BusyError.
    """
    plan = _back(workspace) if name is None else _forth(workspace, pick(artifacts(workspace.models), name))
    done = await _change(workspace, plan, fitted=fitted, wait_seconds=wait_seconds, progress=progress)
    if name is None:
        _record(workspace).unlink()
    return done


def _forth(workspace: Workspace, artifact: Artifact) -> _Plan:
    if artifact.kind != "retriever":
        hint = "groundtune compare holds it against the others, groundtune ask -a tuned asks it"
        raise UsageError(f"{artifact.id} is a {artifact.kind}: only retrievers are adopted", hint=hint)
    verify(workspace.models / artifact.id, artifact)
    model = f"{(workspace.models / artifact.id).relative_to(workspace.root).as_posix()}/model"
    if artifact.details.get("part") == "reranker":
        return _Plan("retrieval", {"reranker": model}, None)
    return _Plan("embedder", {**dict.fromkeys(KEYS["embedder"]), "kind": "local", "model": model}, _fitted(artifact))


def _back(workspace: Workspace) -> _Plan:
    record = _record(workspace)
    if not record.exists():
        raise MissingError("nothing was adopted that could be undone", hint="groundtune models list")
    found = read_json(record)
    return _Plan(found["table"], found["values"], Fitted(**found["fitted"]))


def in_use(config: Config, folder: Path) -> str | None:
    """The key of the project file that names a model in this folder; None when none does."""
    named = {"[embedder] model": config.embedder.model, "[retrieval] reranker": config.retrieval.reranker}
    for key, model in named.items():
        if model and folder.resolve() in Path(model).resolve().parents:
            return key
    return None


def _fitted(artifact: Artifact) -> Fitted:
    """Only the weight is known of the new embedder: what was fitted for another one holds no longer."""
    if artifact.details.get("dense_weight_fitted"):
        return Fitted(artifact.details["dense_weight"], artifact.details["questions"])
    return Fitted()


async def _change(
    workspace: Workspace,
    plan: _Plan,
    *,
    fitted: Path,
    wait_seconds: float,
    progress: Callable[[Progress], None],
) -> Adoption:
    """The new index is made beside the present one; then project file, fitted values and index change together."""
    file = workspace.root / PROJECT_FILE
    config = load_config(file, text=_edited(file, plan))
    _heed_environment(config, plan, workspace.root)
    before, report = read_fitted(fitted), None

    def write() -> None:
        text = _edited(file, plan)  # it may have been changed while the index was made
        present = tomllib.loads(file.read_bytes().decode("utf-8-sig")).get(plan.table, {})
        was = {key: present.get(key) for key in KEYS[plan.table]}
        if was != {**dict.fromkeys(was), **plan.values}:  # else this was cut short after the file was written
            write_json(_record(workspace), {"table": plan.table, "values": was, "fitted": asdict(before)})
        if plan.fitted:
            write_fitted(fitted, plan.fitted)
        write_atomic(file, text)

    if plan.table == "embedder":
        embedder = build.for_many(build.embedder(config))
        current = IndexFolder(workspace.index).current()
        other = current is not None and current.parts != build.index_parts(config, embedder)
        report = await ingest(
            workspace,
            config,
            embedder,
            rebuild=other,
            wait_seconds=wait_seconds,
            progress=progress,
            complete=write,
        )
    else:
        with workspace.writer_lock(timeout_seconds=wait_seconds):
            write()
    forgotten = plan.fitted is not None and before.threshold is not None and plan.fitted.threshold is None
    return Adoption(plan.table, plan.values, report, ("threshold",) if forgotten else ())


def _edited(file: Path, plan: _Plan) -> str:
    """The text of the project file after the change. Raises UsageError with the lines where a person must do it."""
    try:
        return put(file.read_bytes().decode("utf-8"), plan.table, plan.values)
    except ValueError as error:
        lines = [f"{key} = {json.dumps(value)}" for key, value in plan.values.items() if value is not None]
        raise UsageError(
            f"{file.name} cannot be changed here: {error}",
            hint=f"write it as a table, a line a key: [{plan.table}] {', '.join(lines)}",
        ) from error


def _heed_environment(config: Config, plan: _Plan, root: Path) -> None:
    """Raises UsageError where a variable of the environment would go before what is written."""
    found = config.embedder.model if plan.table == "embedder" else config.retrieval.reranker
    wanted = plan.values.get("model" if plan.table == "embedder" else "reranker")
    if found != wanted and found != str(root / str(wanted)):
        raise UsageError(
            f"the environment says {found!r} for [{plan.table}], which goes before the project file",
            hint=f"unset the variable that begins with GROUNDTUNE_{plan.table.upper()}",
        )


def _record(workspace: Workspace) -> Path:
    return workspace.folder / "adopted.json"
