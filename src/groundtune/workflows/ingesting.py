"""Update the index from the project's files and sources: take the lock, pick the generation, sync, then swap."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from groundtune import build
from groundtune.common.full_disk import is_disk_full
from groundtune.common.memory import release_free_memory
from groundtune.config import Config
from groundtune.errors import ConfigError, FormatError, GroundtuneError, MissingError
from groundtune.ingest import removal
from groundtune.ingest.forgotten import read_forgotten
from groundtune.ingest.loaders import loader_version
from groundtune.ingest.parser_rules import ParserChoice, choose_parser
from groundtune.ingest.rules import DocumentRules
from groundtune.ingest.scan import Scanner, source_name
from groundtune.ingest.select_files import select_files
from groundtune.ingest.shared_reading import SharedReading
from groundtune.ingest.source_items import ConfiguredSource, is_item, owner
from groundtune.ingest.sync import IndexSync, SyncProgress, SyncReport
from groundtune.protocols import Catalog, Embedder, IndexGeneration, IndexStorage
from groundtune.types import IndexManifest
from groundtune.workspace import Workspace

MEGABYTE = 1_000_000


async def ingest(
    workspace: Workspace,
    config: Config,
    embedder: Embedder,
    *,
    storage: IndexStorage | None = None,
    reading: SharedReading | None = None,
    rebuild: bool = False,
    wait_seconds: float = 0.0,
    progress: Callable[[SyncProgress], None] = lambda _: None,
    complete: Callable[[], None] = lambda: None,
) -> SyncReport:
    """Bring an index up to date: the project's own, or a separate one, as in a sweep.

    reading: what this index shares with others that are built in turn; None: it reads everything itself.
    complete: called under the lock when the index is complete, just before readers switch to it.
    A source that fails is among the `failed_sources` of the report; its documents stay as they were.
    Raises GroundtuneError if a rebuild would lose them, UsageError if the options of a source do not fit its kind,
    BusyError while another process writes, IndexMismatchError if the index was built with a different configuration and
    `rebuild` is not set, ConfigError if an access rule misses files by their spelling alone. What is gone or restricted
    now has left the index that readers use by then.
    """
    storage = storage or build.index_storage(config, workspace)
    async with storage.writer_lock(wait_seconds=wait_seconds):
        parts = build.index_parts(config, embedder)
        try:
            sources = build.sources(config, workspace.root)
            sources = [reading.source(source) for source in sources] if reading else sources
        except GroundtuneError:
            await _remove_gone(workspace, config, storage)
            raise
        if rebuild or not await _is_current(storage, parts):
            await _remove_gone(workspace, config, storage)
        manifest = await storage.begin_generation(parts, rebuild=rebuild)
        try:
            generation = await storage.open(manifest, read_only=False)
            try:
                if await _is_first(storage):
                    await storage.finish_generation(manifest)  # the first index can be searched while it is built
                rules = DocumentRules(config, workspace.root)
                async with _sync(workspace, config, embedder, generation, sources, rules, reading, progress) as run:
                    report = await run.run(_Selection(workspace, config, rules, reading))
            finally:
                await generation.close()
        except (OSError, RuntimeError, sqlite3.Error) as error:  # LanceDB raises a RuntimeError
            if is_disk_full(error):
                raise GroundtuneError(
                    f"the disk of {workspace.folder} is full; what was indexed before can be searched",
                    hint="free some space and run groundtune ingest again; it resumes where it stopped",
                ) from error
            raise
        if report.failed_sources:
            await _check_nothing_is_lost(storage, manifest, report)
        complete()
        await storage.finish_generation(manifest)
    for row in report.rows:
        if is_item(row):
            rules.match(row.source)
    report = replace(report, rule_notes=tuple(rules.notes))
    if report.embedded:  # a service that ingests again and again grew by 300 MB
        await asyncio.to_thread(release_free_memory)
    return report


async def _check_nothing_is_lost(storage: IndexStorage, manifest: IndexManifest, report: SyncReport) -> None:
    """Raise GroundtuneError if readers would lose the documents of a source that could not be read."""
    try:
        current = await storage.current()
        if current is None or current.generation == manifest.generation:
            return
        generation = await storage.open(current, read_only=True)
    except MissingError:  # readers cannot use the current index either
        return
    try:
        rows = await generation.catalog.files()
    finally:
        await generation.close()
    owners = {owner(source, row) for source, row in rows.items() if row.documents}
    for name, reason in report.failed_sources.items():
        if name in owners:
            raise GroundtuneError(
                f"the source {name} could not be read ({reason}); the previous index is unchanged",
                hint=f"groundtune ingest --rebuild once it can, or remove [sources.{name}]",
            )


async def _is_first(storage: IndexStorage) -> bool:
    try:
        return await storage.current() is None
    except FormatError:  # a rebuild replaces an index that a newer groundtune wrote
        return False


async def remove_gone(workspace: Workspace, config: Config, *, wait_seconds: float = 0.0) -> None:
    """Remove what is gone or restricted now, where nothing else can be done, for example without an embedder.

    Raises BusyError while another process writes, ConfigError if an access rule misses files by their spelling alone.
    """
    storage = build.index_storage(config, workspace)
    async with storage.writer_lock(wait_seconds=wait_seconds):
        await _remove_gone(workspace, config, storage)


async def _is_current(storage: IndexStorage, parts: Mapping[str, str | int]) -> bool:
    """Whether the run goes into the index that readers use, or there is none."""
    try:
        current = await storage.current()
    except MissingError:  # of a newer groundtune, or damaged
        return True
    return current is None or current.parts == dict(parts)


async def files_to_ingest(workspace: Workspace, config: Config, catalog: Catalog) -> int:
    """Return how many files of the project `ingest` would index again or remove. Changes nothing."""
    rules = DocumentRules(config, workspace.root)
    known = {source: row for source, row in (await catalog.files()).items() if not is_item(row)}
    selection = _Selection(workspace, config, rules)
    plan = await asyncio.to_thread(_scanner(workspace, config, rules).plan, selection, known, {})
    new = [
        file
        for file in (*plan.pending, *plan.renamed, *plan.restricted)
        if file.source not in known or (file.digest is not None and file.digest != known[file.source].digest)
    ]
    return len(new) + len(plan.removed)


def _scanner(workspace: Workspace, config: Config, rules: DocumentRules) -> Scanner:
    return Scanner(
        workspace.root,
        rules.groups_for,
        config.documents.max_mb * MEGABYTE,
        tuple(config.sources),
        _parsers(config),
        rules.withheld,
        read_forgotten(workspace),
    )


async def _remove_gone(workspace: Workspace, config: Config, storage: IndexStorage) -> None:
    """Remove what is gone or restricted now from the index that readers use."""
    rules = DocumentRules(config, workspace.root)
    try:
        current = await storage.current()
        generation = await storage.open(current, read_only=False) if current else None
    except Exception:  # noqa: BLE001  readers cannot open it either, and a rebuild must be able to replace it
        return
    if generation is None:
        return
    try:
        await removal.remove_gone(
            _Selection(workspace, config, rules),
            catalog=generation.catalog,
            store=generation.store,
            scanner=_scanner(workspace, config, rules),
        )
    finally:
        await generation.close()


@asynccontextmanager
async def _sync(
    workspace: Workspace,
    config: Config,
    embedder: Embedder,
    generation: IndexGeneration,
    sources: Sequence[ConfiguredSource],
    rules: DocumentRules,
    reading: SharedReading | None,
    progress: Callable[[SyncProgress], None],
) -> AsyncIterator[IndexSync]:
    async with build.sandbox(config) as sandbox:
        yield IndexSync(
            root=workspace.root,
            catalog=generation.catalog,
            store=generation.store,
            vector_cache=generation.vector_cache,
            embedder=embedder,
            chunker=build.chunker(config, embedder),
            loader=reading.loader(sandbox) if reading else sandbox,
            groups_for=rules.groups_for,
            max_bytes=config.documents.max_mb * MEGABYTE,
            sources=sources,
            withheld=rules.withheld,
            parser_for=_parsers(config),
            forgotten=read_forgotten(workspace),
            progress=progress,
        )


def _parsers(config: Config) -> Callable[[str, str], ParserChoice]:
    documents = config.documents
    return partial(
        choose_parser,
        rules=[(rule.include, rule.parser) for rule in documents.parsers],
        ocr=documents.ocr,
        package_version=partial(loader_version, replaced=documents.loaders),
    )


class _Selection:
    """The files of the project from one walk, and the paths that could not be read. Implements `FileWalk`."""

    def __init__(
        self, workspace: Workspace, config: Config, rules: DocumentRules, reading: SharedReading | None = None
    ) -> None:
        self._rules, self._root, self._reading = rules, workspace.root, reading
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
            excluded=rules.excluded,
            nearly_included=rules.nearly_included,
        )

    def __iter__(self) -> Iterator[Path]:
        admitted = (path for path in self._walk if self._rules.admit(source_name(path, self._root)))
        return (
            admitted
            if (reading := self._reading) is None
            else (path for path in admitted if reading.keep(source_name(path, self._root)))
        )

    @property
    def refusal(self) -> ConfigError | None:
        return self._rules.refusal
