"""Choose where a project's index is kept."""

from pathlib import Path

from groundtune.config import Config
from groundtune.protocols import IndexStorage
from groundtune.workspace import Workspace


def index_storage(config: Config, workspace: Workspace) -> IndexStorage:
    """Return the storage of the project's own index."""
    return local_index(workspace, workspace.index)


def local_index(workspace: Workspace, folder: Path) -> IndexStorage:
    """Return an index in a folder, written under the project's lock."""
    from groundtune.retrieve.stores.local_index import LocalIndex

    return LocalIndex(folder, lock=workspace.writer_lock)
