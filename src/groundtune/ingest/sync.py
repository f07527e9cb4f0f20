"""Bring an index up to date with the files of a project: only what changed, deletions too, every file accounted for.

The store is written before the catalog and emptied before it, so a process killed at any point leaves files that the
next run sees as still to do; running it again ends where an uninterrupted run would have ended.
"""

import asyncio
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from groundtune.errors import ParseError
from groundtune.ingest.catalog import Catalog, FileRow
from groundtune.ingest.loaders import MEDIA_TYPES
from groundtune.ingest.parsed import Parsed
from groundtune.ingest.split import Split, Splitter, embedded_text
from groundtune.protocols import Embedder, Store
from groundtune.types import Document, IndexEntry, Vectors
from groundtune.workspace import digest_file, digest_text

BATCH_FILES = 128
BATCH_BYTES = 16_000_000
EMBED_CHUNK = 2_048
"""Texts that are embedded between two progress reports."""
RACY_SECONDS = 2.0
"""A file changed this shortly before it was looked at may change again under the same time stamp."""

Change = Literal["added", "changed", "renamed", "unchanged", "removed"]


class Loads(Protocol):
    """What reads files: the sandbox, or a plain function in tests."""

    async def load_many(self, paths: Sequence[Path]) -> list[list[Parsed] | ParseError]: ...


class Files(Protocol):
    """A walk over the files of a project; the two lists are full once it has ended."""

    @property
    def unreadable(self) -> Sequence[tuple[Path, str]]: ...

    @property
    def skipped(self) -> Sequence[tuple[Path, str]]: ...

    def __iter__(self) -> Iterator[Path]: ...


@dataclass(frozen=True, slots=True)
class FileReport:
    """What one run made of one file."""

    row: FileRow
    change: Change


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands."""

    files_done: int
    files_total: int
    passages: int
    current: str


@dataclass(frozen=True, slots=True)
class SyncReport:
    """The ledger of one run, one row a file in order of their source."""

    files: tuple[FileReport, ...]
    documents: int
    passages: int
    embedded: int
    """Passages that had to be embedded; the rest had their vectors already."""
    seconds: float


@dataclass(slots=True)
class _Found:
    """A file as the scan saw it."""

    path: Path
    source: str
    size: int
    signature: str
    groups: tuple[str, ...]
    digest: str | None = None
    reason: str | None = None
    """Why it cannot be read; decided before any parser sees it."""
    failed: bool = False
    """Whether that reason is a failure rather than a choice."""


@dataclass(slots=True)
class _Plan:
    """What is to be done, in this order: renamed files, removals, the rest."""

    touched: list[FileRow] = field(default_factory=list)
    renamed: list[_Found] = field(default_factory=list)
    pending: list[_Found] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


class Sync:
    """One run over one index; the parts are plain values, `run` does the work."""

    def __init__(
        self,
        *,
        root: Path,
        catalog: Catalog,
        store: Store,
        embedder: Embedder,
        splitter: Splitter,
        loads: Loads,
        groups_for: Callable[[str], tuple[str, ...]],
        max_bytes: int,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        self._root = root
        self._catalog = catalog
        self._store = store
        self._embedder = embedder
        self._splitter = splitter
        self._loads = loads
        self._groups_for = groups_for
        self._max_bytes = max_bytes
        self._report_progress = progress
        self._embedded = 0
        self._passages = 0
        self._done = 0
        self._total = 0

    async def run(self, files: Files) -> SyncReport:
        """Index `files`; whatever the catalog knows beyond them is removed."""
        started = time.perf_counter()
        known = self._catalog.files()
        plan = await asyncio.to_thread(self._plan, files, known)
        self._catalog.touch(plan.touched)
        self._total = len(plan.renamed) + len(plan.pending)
        await self._process(plan.renamed)
        await self._remove(plan.removed)
        await self._process(plan.pending)
        await self._store.optimize()
        return SyncReport(
            files=self._ledger(known, plan),
            documents=self._catalog.count(),
            passages=await self._store.count(),
            embedded=self._embedded,
            seconds=time.perf_counter() - started,
        )

    def _ledger(self, known: dict[str, FileRow], plan: _Plan) -> tuple[FileReport, ...]:
        changes: dict[str, Change] = {found.source: "renamed" for found in plan.renamed}
        changes |= {found.source: "changed" if found.source in known else "added" for found in plan.pending}
        rows = self._catalog.files()
        reports = [FileReport(row, changes.get(source, "unchanged")) for source, row in rows.items()]
        reports += [FileReport(known[source], "removed") for source in plan.removed]
        return tuple(sorted(reports, key=lambda report: report.row.source))

    # -- scan ----------------------------------------------------------------------------------------------------

    def _plan(self, files: Files, known: dict[str, FileRow]) -> _Plan:
        plan = _Plan()
        seen: set[str] = set()
        for path in files:
            found = self._look(path)
            seen.add(found.source)
            self._place(found, known.get(found.source), plan)
        for reasons, status in ((files.unreadable, "failed"), (files.skipped, "skipped")):
            for path, reason in reasons:
                found = _Found(path, source_of(path, self._root), 0, "", (), reason=reason, failed=status == "failed")
                seen.add(found.source)
                plan.pending.append(found)
        hidden = tuple(f"{source_of(path, self._root)}/" for path, _ in files.unreadable)
        seen.update(source for source in known if source.startswith(hidden))  # not lost, only out of sight
        plan.removed = [source for source in known if source not in seen]
        gone = {known[source].digest for source in plan.removed if known[source].status == "indexed"}
        plan.renamed = [found for found in plan.pending if found.digest in gone and found.reason is None]
        moved = {found.source for found in plan.renamed}
        plan.pending = [found for found in plan.pending if found.source not in moved]
        return plan

    def _place(self, found: _Found, row: FileRow | None, plan: _Plan) -> None:
        same_place = row is not None and row.groups == found.groups and row.status != "failed"
        if row and same_place and not found.reason and row.signature == found.signature:
            return
        if not found.reason:
            try:
                found.digest = digest_file(found.path)
            except OSError as error:
                found.reason, found.failed = _os_reason(error), True
        if row and same_place and found.digest and row.digest == found.digest:
            plan.touched.append(replace(row, signature=found.signature))
            return
        plan.pending.append(found)

    def _look(self, path: Path) -> _Found:
        source = source_of(path, self._root)
        groups = self._groups_for(source)
        try:
            info = path.stat()
        except OSError as error:
            return _Found(path, source, 0, "", groups, reason=_os_reason(error), failed=True)
        found = _Found(path, source, info.st_size, _signature(info), groups)
        if not stat.S_ISREG(info.st_mode):
            found.reason = "not a regular file"
        elif info.st_size > self._max_bytes:
            limit = self._max_bytes // 1_000_000
            found.reason = (
                f"{info.st_size // 1_000_000} MB is over documents.max_mb = {limit}; raise it to index the file"
            )
        return found

    # -- work ----------------------------------------------------------------------------------------------------

    async def _process(self, files: Sequence[_Found]) -> None:
        """Read the next batch while the present one is embedded."""
        batches = list(_batches(files))
        ahead: asyncio.Task[list[list[Parsed] | ParseError]] | None = None
        try:
            for index, batch in enumerate(batches):
                loaded = await (ahead or self._load(batch))
                ahead = asyncio.create_task(self._load(batches[index + 1])) if index + 1 < len(batches) else None
                await self._index(batch, loaded)
        finally:
            if ahead:
                ahead.cancel()

    async def _load(self, batch: Sequence[_Found]) -> list[list[Parsed] | ParseError]:
        readable = [found for found in batch if found.reason is None]
        loaded = iter(await self._loads.load_many([found.path for found in readable]))
        return [ParseError(found.reason, skip=not found.failed) if found.reason else next(loaded) for found in batch]

    async def _index(self, batch: Sequence[_Found], loaded: Sequence[list[Parsed] | ParseError]) -> None:
        records: list[tuple[FileRow, list[Document]]] = []
        changed: list[Document] = []
        splits: list[Split] = []
        gone: list[str] = []
        for found, parsed in zip(batch, loaded, strict=True):
            before = {document.id: document for document in self._catalog.documents_of(found.source)}
            if isinstance(parsed, ParseError):
                status: Literal["skipped", "failed"] = "skipped" if parsed.skip else "failed"
                row = FileRow(found.source, status, parsed.message, 0, 0, found.digest, found.signature, found.groups)
                records.append((row, []))
                gone.extend(before)
                continue
            documents = _documents(found, parsed)
            passages = 0
            for document, part in zip(documents, parsed, strict=True):
                pieces = await asyncio.to_thread(self._splitter.split, document, part)
                passages += len(pieces)
                if document.id not in before or before[document.id].digest != document.digest:
                    changed.append(document)
                    splits.extend(pieces)
            gone.extend(set(before) - {document.id for document in documents})
            row = _indexed(found, len(documents), passages)
            records.append((row, documents))
        await self._write(changed, splits, gone)
        self._catalog.record(records)
        self._done += len(batch)
        self._say(batch[-1].source)

    async def _write(self, changed: Sequence[Document], splits: Sequence[Split], gone: Sequence[str]) -> None:
        texts = [embedded_text(split) for split in splits]
        keys = [digest_text(f"{self._embedder.digest}\n{text}") for text in texts]
        vectors = await self._store.vectors(set(keys))
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in vectors}
        await self._embed(missing, vectors)
        by_id = {document.id: document for document in changed}
        entries = [
            IndexEntry(split.passage, split.context, key, vectors[key], document.groups, document.metadata)
            for split, key in zip(splits, keys, strict=True)
            if (document := by_id[split.passage.document_id])
        ]
        touched = [*by_id, *gone]
        if touched:
            await self._store.replace(touched, entries)
        self._passages += len(entries)

    async def _embed(self, missing: dict[str, str], vectors: dict[str, Vectors]) -> None:
        keys = list(missing)
        for start in range(0, len(keys), EMBED_CHUNK):
            chunk = keys[start : start + EMBED_CHUNK]
            made = await self._embedder.embed([missing[key] for key in chunk])
            vectors.update(zip(chunk, made, strict=True))
            self._embedded += len(chunk)
            self._say("")

    async def _remove(self, sources: Sequence[str]) -> None:
        ids = [document.id for source in sources for document in self._catalog.documents_of(source)]
        if ids:
            await self._store.delete(ids)
        self._catalog.forget(sources)

    def _say(self, current: str) -> None:
        self._report_progress(Progress(self._done, self._total, self._embedded, current))


def source_of(path: Path, root: Path) -> str:
    """Path relative to the project with forward slashes; bytes that are no UTF-8 are shown as `\\xNN`."""
    return os.fsencode(path.relative_to(root).as_posix()).decode("utf-8", "backslashreplace")


def document_id(source: str) -> str:
    """Stable over edits; another one after a rename."""
    return digest_text(source)[:16]


def _documents(found: _Found, parsed: Sequence[Parsed]) -> list[Document]:
    documents = []
    taken: dict[str, int] = {}
    for part in parsed:
        source = found.source if part.row is None else f"{found.source}#{part.row}"
        taken[source] = taken.get(source, 0) + 1
        if taken[source] > 1:
            source = f"{source}~{taken[source]}"  # a repeated row id must not hide a row
        content = found.digest if part.row is None else repr((part.text, part.title, sorted(part.metadata.items())))
        documents.append(
            Document(
                id=document_id(source),
                source=source,
                text=part.text,
                title=part.title,
                media_type=MEDIA_TYPES.get(found.path.suffix.lower(), "application/octet-stream"),
                pages=part.pages,
                digest=digest_text(f"{content}{found.groups}"),
                groups=found.groups,
                metadata=part.metadata,
            )
        )
    return documents


def _indexed(found: _Found, documents: int, passages: int) -> FileRow:
    return FileRow(found.source, "indexed", None, documents, passages, found.digest, found.signature, found.groups)


def _batches(files: Sequence[_Found]) -> Iterator[list[_Found]]:
    batch: list[_Found] = []
    size = 0
    for found in files:
        if batch and (len(batch) >= BATCH_FILES or size + found.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(found)
        size += found.size
    if batch:
        yield batch


def _signature(info: os.stat_result) -> str:
    """Empty, and so never equal, for a file that changed a moment ago."""
    if time.time() - info.st_mtime < RACY_SECONDS:
        return f"racy-{time.time_ns()}"
    return f"{info.st_size}-{info.st_mtime_ns}-{info.st_ctime_ns}-{info.st_ino}"


def _os_reason(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "no permission to read it"
    return (error.strerror or type(error).__name__).lower()
