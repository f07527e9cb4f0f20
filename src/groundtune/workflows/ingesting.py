"""Update the index from the project's files: take the lock, pick the generation, sync, then swap."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from groundtune import build
from groundtune.config import Config
from groundtune.errors import BusyError, GroundtuneError
from groundtune.ingest.access_rules import groups_for
from groundtune.ingest.catalog import Catalog
from groundtune.ingest.index_generations import IndexFolder
from groundtune.ingest.select_files import select_files
from groundtune.ingest.sync import IndexSync, SyncProgress, SyncReport
from groundtune.protocols import Embedder
from groundtune.workspace import Workspace

MEGABYTE = 1_000_000
DISK_FULL_TEXTS = ("no space left", "disk is full", "disk quota")
"""Error texts of the system, LanceDB and SQLite for a full disk; LanceDB raises a RuntimeError."""
LOCK_RETRY_SECONDS = 0.1
"""Seconds between attempts to take the lock; the event loop stays free meanwhile."""


async def ingest(
    workspace: Workspace,
    config: Config,
    embedder: Embedder,
    *,
    index: IndexFolder | None = None,
    rebuild: bool = False,
    wait_seconds: float = 0.0,
    progress: Callable[[SyncProgress], None] = lambda _: None,
    complete: Callable[[], None] = lambda: None,
) -> SyncReport:
    """Bring an index up to date: the project's own, or a separate one, as in a sweep.

    complete: called under the lock when the index is complete, just before readers switch to it.
    Raises BusyError while another process writes, IndexMismatchError if the index was built with a
    different configuration and `rebuild` is not set.
    """
    index = index or IndexFolder(workspace.index)
    async with _writer_lock(workspace, wait_seconds):
        manifest = index.begin_generation(build.index_parts(config, embedder), rebuild=rebuild)
        folder = index.generation_path(manifest)
        catalog = Catalog(folder / "catalog.sqlite")
        try:
            store = await build.store(folder, dimension=embedder.dimension, language=config.language)
            if index.current() is None:
                index.finish_generation(manifest)  # the first index can be searched while it is built
            async with build.sandbox(config) as sandbox:
                run = IndexSync(
                    root=workspace.root,
                    catalog=catalog,
                    store=store,
                    embedder=embedder,
                    chunker=build.chunker(config, embedder),
                    loader=sandbox,
                    groups_for=_groups(config),
                    max_bytes=config.documents.max_mb * MEGABYTE,
                    progress=progress,
                )
                report = await run.run(_Selection(workspace, config))
        except (OSError, RuntimeError, sqlite3.Error) as error:
            if any(words in str(error).casefold() for words in DISK_FULL_TEXTS):
                raise GroundtuneError(
                    f"the disk of {workspace.folder} is full; the previous index is unchanged",
                    hint="free some space and run groundtune ingest again; it resumes where it stopped",
                ) from error
            raise
        finally:
            catalog.close()
        complete()
        index.finish_generation(manifest)
    return report


@contextlib.asynccontextmanager
async def _writer_lock(workspace: Workspace, wait_seconds: float) -> AsyncIterator[None]:
    """Hold the writer lock. Raises BusyError, naming the holder, if it is not free in time."""
    deadline = time.monotonic() + wait_seconds
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(workspace.writer_lock())
                break
            except BusyError:
                if time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(LOCK_RETRY_SECONDS)
        yield


class _Selection:
    """The files of the project from one walk, and the paths that could not be read. Implements `FileWalk`."""

    def __init__(self, workspace: Workspace, config: Config) -> None:
        self.unreadable: list[tuple[Path, str]] = []
        self.skipped: list[tuple[Path, str]] = []
        examples = select_files(workspace.root, include=config.examples.files) if config.examples.files else ()
        example_files = [path.relative_to(workspace.root).as_posix() for path in examples]
        self._walk = select_files(
            workspace.root,
            include=config.documents.include,
            exclude=config.documents.exclude,
            leave_out=example_files,
            follow_links=config.documents.follow_links,
            unreadable=lambda path, reason: self.unreadable.append((path, reason)),
            skipped=lambda path, reason: self.skipped.append((path, reason)),
        )

    def __iter__(self) -> Iterator[Path]:
        return self._walk


def _groups(config: Config) -> Callable[[str], tuple[str, ...]]:
    rules = [(rule.include, rule.groups) for rule in config.documents.access]
    return lambda source: groups_for(source, rules)
