"""Find trained models whose documents are gone or forgotten, and so answer nobody. Changes nothing, asks no model."""

from collections.abc import Iterator

from groundtune import build
from groundtune.common.event_loop import Loop
from groundtune.config import Config
from groundtune.errors import GroundtuneError
from groundtune.ingest.forgotten import read_forgotten
from groundtune.ingest.sync import document_id
from groundtune.project.choice_check import Finding
from groundtune.tune.artifacts import list_artifacts
from groundtune.types import Artifact
from groundtune.workspace import Workspace

SHOWN = 3
"""Documents that a finding names."""


def check_models(workspace: Workspace, config: Config) -> Iterator[tuple[str, Finding]]:
    """Yield the id of each model that was trained on documents which no longer exist, with what to do."""
    artifacts = [artifact for artifact in list_artifacts(workspace.models) if artifact.seen_documents]
    if not artifacts:
        return
    forgotten = read_forgotten(workspace)
    loop = Loop()  # `check` may be called where an event loop is running
    try:
        gone = loop.run(_gone(workspace, config, artifacts))
    except GroundtuneError as error:
        yield "models", ("warning", f"cannot tell whether their documents still exist: {error.message}", error.hint)
        return
    finally:
        loop.stop()
    for artifact in artifacts:
        missing = [source for source in artifact.seen_documents if source in gone]
        kept = [entry for source in missing if (entry := forgotten.find(source)) and artifact.id in entry.kept_models]
        if missing and len(kept) < len(missing):
            more = f" and {len(missing) - SHOWN:,} more" if len(missing) > SHOWN else ""
            erased = any(forgotten.find(source) for source in missing)
            why = f"was trained on {', '.join(missing[:SHOWN])}{more}, {'forgotten' if erased else 'gone'} since then"
            hint = f"groundtune tune {artifact.name}, or groundtune models remove {artifact.id}"
            yield artifact.id, ("warning", f"{why}; it answers nobody", hint)


async def _gone(workspace: Workspace, config: Config, artifacts: list[Artifact]) -> set[str]:
    """Return the documents of the models that are neither in the index nor, as files of examples, in the project."""
    seen = {source for artifact in artifacts for source in artifact.seen_documents}
    forgotten = read_forgotten(workspace)
    missing = {source for source in seen if not (workspace.root / source.partition("#")[0]).is_file()}
    erased = {source for source in seen if forgotten.find(source)}
    storage = build.index_storage(config, workspace)
    if (manifest := await storage.current()) is None:
        return missing | erased
    generation = await storage.open(manifest, read_only=True)
    try:
        for source in sorted(missing):
            states = await generation.catalog.document_states(source.partition("#")[0])
            if document_id(source) in states or ("#" not in source and states):
                missing.discard(source)
    finally:
        await generation.close()
    return missing | erased
