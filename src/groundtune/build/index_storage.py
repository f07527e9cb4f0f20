"""Choose where a project's index is kept."""

from pathlib import Path

from groundtune.build.extension_parts import make_part
from groundtune.build.models import added_part_violation
from groundtune.config import Config
from groundtune.config.model_tables import BUILTIN_STORES
from groundtune.errors import UsageError
from groundtune.protocols import IndexStorage
from groundtune.workspace import Workspace


def index_storage(config: Config, workspace: Workspace) -> IndexStorage:
    """Return the storage of the project's own index. Raises UsageError if that of a package cannot be used."""
    if config.store.kind not in BUILTIN_STORES:
        return _added_index(config, workspace.root)
    if config.store.kind == "postgres" and config.store.dsn_env:
        return postgres_index(config.store.dsn_env, project=config.name)
    if config.store.uri:
        return object_index(config.store.uri, workspace)
    return local_index(workspace, workspace.index)


def object_index(uri: str, workspace: Workspace) -> IndexStorage:
    """Return an index on object storage, with copies of its catalog in the project's cache."""
    from groundtune.retrieve.stores.object_index import ObjectIndex

    return ObjectIndex(uri, cache=workspace.cache / "index")


def local_index(workspace: Workspace, folder: Path) -> IndexStorage:
    """Return an index in a folder, written under the project's lock."""
    from groundtune.retrieve.stores.local_index import LocalIndex

    return LocalIndex(folder, lock=workspace.writer_lock)


def scratch_index(folder: Path) -> IndexStorage:
    """Return an index in a temporary folder, with a lock of its own, so that the project's index can be written."""
    from groundtune.retrieve.stores.local_index import LocalIndex

    return LocalIndex(folder)


def postgres_index(variable: str, *, project: str) -> IndexStorage:
    """Return an index in the database whose address is in this environment variable."""
    from groundtune.retrieve.stores.postgres.address import read_dsn
    from groundtune.retrieve.stores.postgres.schema import default_schema
    from groundtune.retrieve.stores.postgres.storage import PostgresIndex

    return PostgresIndex(lambda: read_dsn(variable), schema=default_schema(project))


def _added_index(config: Config, root: Path) -> IndexStorage:
    kind = config.store.kind
    if reason := added_part_violation(config, "store", kind):
        raise UsageError(f"store: {reason}", hint="choose another one")
    storage: IndexStorage = make_part("store", kind, IndexStorage, root, place="store", options=config.store.options)
    return storage
