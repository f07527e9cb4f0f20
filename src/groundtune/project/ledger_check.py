"""Tell what the ledger of an index in the project folder notes about files. Changes nothing, connects to nothing."""

from groundtune import build
from groundtune.common.event_loop import Loop
from groundtune.config import Config
from groundtune.config.model_tables import StoreConfig
from groundtune.ingest.notes import NoteSummary, summarize_notes
from groundtune.types import FileRow
from groundtune.workspace import Workspace


def ledger_notes(workspace: Workspace, config: Config) -> tuple[NoteSummary, ...]:
    """Return the notes of the ledger, one per kind; none without an index that can be read here.

    Raises GroundtuneError if the ledger cannot be read.
    """
    if config.store != StoreConfig():
        return ()
    loop = Loop()  # `check` may be called where an event loop is running
    try:
        return tuple(summarize_notes(loop.run(_rows(workspace, config))))
    finally:
        loop.stop()


async def _rows(workspace: Workspace, config: Config) -> list[FileRow]:
    storage = build.index_storage(config, workspace)
    if (manifest := await storage.current()) is None:
        return []
    generation = await storage.open(manifest, read_only=True)
    try:
        return list((await generation.catalog.files()).values())
    finally:
        await generation.close()
