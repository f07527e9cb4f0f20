"""Files of a project to its index: takes the lock, chooses the generation, runs the sync, swaps at the end."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from groundtune import build
from groundtune.config import PROJECT_FILE, Config
from groundtune.errors import BusyError, GroundtuneError
from groundtune.ingest.catalog import Catalog
from groundtune.ingest.index import IndexFolder
from groundtune.ingest.select import groups_for, select
from groundtune.ingest.sync import Progress, Sync, SyncReport
from groundtune.protocols import Embedder
from groundtune.workspace import Workspace

MEGABYTE = 1_000_000
FULL = ("no space left", "disk is full", "disk quota")
"""What the system, LanceDB and SQLite say of a full disk; LanceDB as a RuntimeError."""
LOOK_AGAIN = 0.1
"""Seconds between two attempts to get the lock; the event loop stays free meanwhile."""


async def ingest(
    workspace: Workspace,
    config: Config,
    embedder: Embedder,
    *,
    index: IndexFolder | None = None,
    rebuild: bool = False,
    wait_seconds: float = 0.0,
    progress: Callable[[Progress], None] = lambda _: None,
    complete: Callable[[], None] = lambda: None,
) -> SyncReport:
    """Bring the index up to date (the project's own, or another one, as for a sweep).

    complete: called under the lock when the index is whole, just before readers go over to it.
    Raises BusyError while another process writes, IndexMismatchError when the parts changed and `rebuild` is not set.
    """
    index = index or IndexFolder(workspace.index)
    async with _writer_lock(workspace, wait_seconds):
        manifest = index.begin(build.index_parts(config, embedder), rebuild=rebuild)
        folder = index.path(manifest)
        catalog = Catalog(folder / "catalog.sqlite")
        try:
            store = await build.store(folder, dimension=embedder.dimension, language=config.language)
            if index.current() is None:
                index.finish(manifest)  # a first index can be searched while it grows
            async with build.sandbox(config) as sandbox:
                run = Sync(
                    root=workspace.root,
                    catalog=catalog,
                    store=store,
                    embedder=embedder,
                    splitter=build.splitter(config, embedder),
                    loads=sandbox,
                    groups_for=_groups(config),
                    max_bytes=config.documents.max_mb * MEGABYTE,
                    progress=progress,
                )
                report = await run.run(_Selection(workspace, config))
        except (OSError, RuntimeError, sqlite3.Error) as error:
            if any(words in str(error).casefold() for words in FULL):
                raise GroundtuneError(
                    f"the disk of {workspace.folder} is full; what was indexed before stays as it is",
                    hint="make room and run groundtune ingest again; it goes on where it stopped",
                ) from error
            raise
        finally:
            catalog.close()
        complete()
        index.finish(manifest)
    return report


@contextlib.asynccontextmanager
async def _writer_lock(workspace: Workspace, wait_seconds: float) -> AsyncIterator[None]:
    """Raises BusyError, naming the holder, when it is not free in time."""
    deadline = time.monotonic() + wait_seconds
    with contextlib.ExitStack() as held:
        while True:
            try:
                held.enter_context(workspace.writer_lock())
                break
            except BusyError:
                if time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(LOOK_AGAIN)
        yield


class _Selection:
    """The files of the project, one walk; what could not be looked into is kept beside them. `Files`."""

    def __init__(self, workspace: Workspace, config: Config) -> None:
        self.unreadable: list[tuple[Path, str]] = []
        self.skipped: list[tuple[Path, str]] = []
        examples = select(workspace.root, include=config.examples.files) if config.examples.files else ()
        own = [path.relative_to(workspace.root).as_posix() for path in examples]
        self._walk = select(
            workspace.root,
            include=config.documents.include,
            exclude=config.documents.exclude,
            leave_out=[PROJECT_FILE, *own],
            follow_links=config.documents.follow_links,
            unreadable=lambda path, reason: self.unreadable.append((path, reason)),
            skipped=lambda path, reason: self.skipped.append((path, reason)),
        )

    def __iter__(self) -> Iterator[Path]:
        return self._walk


def _groups(config: Config) -> Callable[[str], tuple[str, ...]]:
    rules = [(rule.include, rule.groups) for rule in config.documents.access]
    return lambda source: groups_for(source, rules)
