"""Bring an index up to date with files and other sources: process what changed, delete what is gone, report all.

The documents about to change are recorded in the catalog first, then the store is written, then the catalog. A process
killed at any point therefore leaves its files marked as unfinished, even if they change or disappear before the next
run, and the next run ends in the same state as an uninterrupted one. The cursor of a source is saved after its items,
so that none is lost.
"""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol, get_args

from groundtune.common.files import digest_text
from groundtune.common.text import format_count, one_line
from groundtune.display import Block, Displayed, Fold, Line, Table
from groundtune.errors import GroundtuneError, ParseError, ProviderError
from groundtune.ingest.chunker import Chunker, ContextualPassage, embedded_text
from groundtune.ingest.forgotten import NOTHING_FORGOTTEN, Forgotten
from groundtune.ingest.loaders import MEDIA_TYPES
from groundtune.ingest.notes import INDEXED_WITH_NOTES, describe_notes, merge_notes, summarize_notes
from groundtune.ingest.parsed import ParsedDocument
from groundtune.ingest.parser_rules import ParserChoice
from groundtune.ingest.removal import gone, remove_sources
from groundtune.ingest.rules import RuleNote
from groundtune.ingest.scan import FileWalk, ScannedFile, Scanner, SyncPlan, current_signature, loader_of
from groundtune.ingest.source_items import (
    ConfiguredSource,
    described,
    failed_source,
    is_item,
    owner,
    readable_paths,
)
from groundtune.ingest.source_run import update_source
from groundtune.protocols import Catalog, Embedder, Store, TolerantEmbedder, VectorCache
from groundtune.types import Document, DocumentState, FileRow, IndexEntry, Passage, Vectors

BATCH_FILES = 128
BATCH_BYTES = 16_000_000
EMBED_CHUNK_SIZE = 2_048
"""Number of texts embedded between progress reports."""
UNSTORABLE = (ValueError, TypeError, OverflowError)
"""What a store raises for a value that it cannot keep; anything else is a failure of the store itself."""
SHOWN = 500
"""Files with notes that a notebook lists; `rows` has all."""
COMPACT_EVERY = 32
"""Batches after which the store compacts its small writes."""

_UNSTORABLE_TEXT = re.compile("[\0\ud800-\udfff]")
"""Zero bytes and halves of surrogate pairs, which JSON can spell and no encoding can hold."""

_Record = tuple[FileRow, list[tuple[Document, int]]]
"""The row of a file, and its documents with their passage counts."""

Change = Literal["added", "changed", "renamed", "unchanged", "removed"]


class Loader(Protocol):
    """Read files: the sandbox does, and a plain class in tests."""

    async def load_many(
        self, paths: Sequence[Path], parsers: Sequence[str] = ()
    ) -> list[list[ParsedDocument] | ParseError]: ...


@dataclass(frozen=True, slots=True)
class FileReport:
    """The outcome of one run for one file."""

    row: FileRow
    change: Change


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """Progress of a run; `passages` counts those embedded so far."""

    files_done: int
    files_total: int
    passages_embedded: int
    current_source: str


@dataclass(frozen=True, slots=True)
class SyncReport(Displayed):
    """The outcome of one run: one entry per file and per item of another source, sorted by source."""

    files: tuple[FileReport, ...]
    documents: int
    passages: int
    embedded: int
    """Passages embedded in this run; the others already had vectors."""
    seconds: float
    rule_notes: tuple[RuleNote, ...] = ()
    """Patterns of the project file that match nothing, or fewer files than it seems."""

    @property
    def failed_sources(self) -> dict[str, str]:
        """Names of sources that could not be read to the end, with the reason; their documents stay as they were."""
        return {name: file.row.reason or "" for file in self.files if (name := failed_source(file.row))}

    @property
    def summary(self) -> str:
        """How many files and items of other sources there are, and what happened to them."""
        files = [file for file in self.files if not failed_source(file.row)]
        items = sum(is_item(file.row) for file in files)
        changes = Counter(file.change for file in files)
        counts = ", ".join(f"{changes[change]:,} {change}" for change in get_args(Change) if changes[change])
        counted = format_count(len(files) - items, "file") + (f", {format_count(items, 'item')}" if items else "")
        noted = sum(bool(row.notes) for row in self.rows)
        return f"{counted}: {counts or 'none'}" + (f"; {noted:,} {INDEXED_WITH_NOTES}" if noted else "")

    @property
    def rows(self) -> list[FileRow]:
        """The ledger as it is now: the rows of all files and items that still exist."""
        return [file.row for file in self.files if file.change != "removed"]

    @property
    def notes(self) -> list[str]:
        """What indexed files hold that is not in their text, or was guessed: one line per kind."""
        return [summary.text for summary in summarize_notes(self.rows)]

    def view(self) -> list[Block]:
        """Return what changed, and what is not indexed, wholly or in part, with the reason."""
        noted = [[row.source, describe_notes(row.notes)] for row in self.rows if row.notes]
        left_out = [[row.status, row.source, row.reason] for row in self.rows if row.reason]
        return [
            Line(self.summary),
            Line(
                f"{format_count(self.documents, 'document')}, {format_count(self.passages, 'passage')} in the index; "
                f"{self.embedded:,} embedded now, in {self.seconds:.1f} s"
            ),
            *([Table(["status", "file", "reason"], left_out)] if left_out else []),
            *map(Line, [*self.notes, *(note.text for note in self.rule_notes)]),
            *([_noted(noted)] if noted else []),
        ]


@dataclass(slots=True)
class _Changes:
    """The changes that one batch makes to the store."""

    documents: dict[str, Document] = field(default_factory=dict)
    passages: list[ContextualPassage] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    """Document id to its file."""
    deleted: dict[str, str] = field(default_factory=dict)
    """The same for documents to delete."""

    def leave_out(self, texts: "_EmbeddedTexts") -> set[str]:
        """Delete documents with a refused text, leave alone those without all vectors, and return the latter's files.

        The documents of one file change together or not at all.
        """
        without = {passage.document_id for passage in self._passages() if texts.keys[passage.id] not in texts.vectors}
        waiting = {self.files[document] for document in without - texts.refused.keys()}
        for document in texts.refused.keys() & self.files.keys():
            self.deleted[document] = self.files.pop(document)
        self.files = {document: file for document, file in self.files.items() if file not in waiting}
        self.deleted = {document: file for document, file in self.deleted.items() if file not in waiting}
        self.passages = [contextual for contextual in self.passages if contextual.passage.document_id in self.files]
        return waiting

    def _passages(self) -> Iterator[Passage]:
        return (contextual.passage for contextual in self.passages)


@dataclass(slots=True)
class _EmbeddedTexts:
    """The vectors of the passages of one batch."""

    keys: Mapping[str, str]
    """Key of the embedded text by passage id."""
    vectors: dict[str, Vectors]
    """Vector by key."""
    refused: dict[str, str] = field(default_factory=dict)
    """Reason by document, for documents with a text that the model refuses; several may have the same text."""
    failure: ProviderError | None = None
    """Why texts that come later have no vector."""


class IndexSync:
    """Update one index; `run` does the work."""

    def __init__(
        self,
        *,
        root: Path,
        catalog: Catalog,
        store: Store,
        vector_cache: VectorCache,
        embedder: Embedder,
        chunker: Chunker,
        loader: Loader,
        groups_for: Callable[[str], tuple[str, ...]],
        max_bytes: int,
        sources: Sequence[ConfiguredSource] = (),
        parser_for: Callable[[str, str], ParserChoice] = lambda source, suffix: ParserChoice(),
        withheld: Callable[[str], str | None] = lambda source: None,
        forgotten: Forgotten = NOTHING_FORGOTTEN,
        progress: Callable[[SyncProgress], None] = lambda _: None,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._vector_cache = vector_cache
        self._embedder = embedder
        self._chunker = chunker
        self._loader = loader
        names = {source.name for source in sources}
        self._scan = Scanner(root, groups_for, max_bytes, names, parser_for, withheld, forgotten)
        self._sources = sources
        self._report_progress = progress
        self._unfinished: dict[str, set[str]] = {}
        """File to the documents that an interrupted run may have left in the store."""
        self._known: dict[str, FileRow] = {}
        """The rows of the catalog before this run."""
        self._processed: dict[str, Change] = {}
        """Sources that were read in this run: "renamed", or "changed" in whatever way."""
        self._removed: list[str] = []
        self._items: set[str] = set()
        """Items indexed in this run, which their source may report again."""
        self._embedded_count = 0
        self._done = 0
        self._total = 0

    async def run(self, files: FileWalk) -> SyncReport:
        """Index `files` and the items of all sources, and remove everything else that the catalog knows.

        What is gone, or restricted now, leaves the index whatever happens. Raises the refusal of `files` after that.
        """
        started = time.perf_counter()
        plan = await self._plan(files)
        await self._catalog.save_rows(plan.touched)
        self._total = len(plan.renamed) + len(plan.restricted) + len(plan.pending)
        try:  # these keep their vectors, so they come before the removal
            await self._process(plan.renamed, "renamed")
            await self._process(plan.restricted)
        finally:
            await self._remove(await gone(plan, self._known, self._catalog))
        await self._process(plan.pending)
        await self._read_sources()
        await self._store.optimize()
        return SyncReport(
            files=await self._ledger(),
            documents=await self._catalog.count(),
            passages=await self._store.count(),
            embedded=self._embedded_count,
            seconds=time.perf_counter() - started,
        )

    async def _plan(self, files: FileWalk) -> SyncPlan:
        self._known = await self._catalog.files()
        self._unfinished = await self._catalog.unfinished()
        known = {source: row for source, row in self._known.items() if not self._owner(source)}
        unfinished = {source: ids for source, ids in self._unfinished.items() if not self._owner(source)}
        plan = await asyncio.to_thread(self._scan.plan, files, known, unfinished)
        if files.refusal:
            await self._remove(await gone(plan, self._known, self._catalog))
            raise files.refusal
        return plan

    async def _ledger(self) -> tuple[FileReport, ...]:
        reports = []
        for source, now in (await self._catalog.files()).items():
            change, before = self._processed.get(source, "unchanged"), self._known.get(source)
            if change == "changed":
                same = before and _outcome(before) == _outcome(now)  # read again, with the same outcome
                change = "unchanged" if same else "changed" if before else "added"
            reports.append(FileReport(now, change))
        listed = {report.row.source for report in reports}
        for source in dict.fromkeys(self._removed):
            row = self._known.get(source)
            if row and source not in listed and not failed_source(row):
                reports.append(FileReport(row, "removed"))
        return tuple(sorted(reports, key=lambda report: report.row.source))

    # -- other sources -------------------------------------------------------------------------------------------

    def _owner(self, source: str) -> str | None:
        """Return the configured source that an item belongs to; None for files and for sources that are gone."""
        name = owner(source, self._known.get(source))
        return name if name in self._scan.other_sources else None

    async def _read_sources(self) -> None:
        """Update the items of every source; a source that fails does not stop the others."""
        cursors = await self._catalog.cursors()
        for name in cursors.keys() - self._scan.other_sources:
            await self._catalog.save_cursor(name, None)
        for source in self._sources:
            failure = await update_source(
                source,
                cursors.get(source.name),
                known={item: row for item, row in self._known.items() if self._owner(item) == source.name},
                unfinished={item: ids for item, ids in self._unfinished.items() if self._owner(item) == source.name},
                catalog=self._catalog,
                scanner=self._scan,
                index=self._process_more,
                remove=self._remove,
            )
            if failure:
                self._processed[failure.source] = "changed"

    async def _process_more(self, items: Sequence[ScannedFile]) -> None:
        self._total += len(items)
        await self._process(items)
        self._items.update(item.source for item in items)

    # -- work ----------------------------------------------------------------------------------------------------

    async def _process(self, files: Sequence[ScannedFile], change: Change = "changed") -> None:
        """Read the next batch while the current one is embedded."""
        self._processed.update(dict.fromkeys((file.source for file in files), change))
        batches = list(_batches(files))
        ahead: asyncio.Task[list[list[ParsedDocument] | ParseError]] | None = None
        try:
            for index, batch in enumerate(batches):
                loaded = await (ahead or self._load(batch))
                ahead = asyncio.create_task(self._load(batches[index + 1])) if index + 1 < len(batches) else None
                await self._index(batch, loaded)
                if index % COMPACT_EVERY == COMPACT_EVERY - 1:
                    await self._store.optimize()
        finally:
            if ahead:
                ahead.cancel()
                await asyncio.gather(ahead, return_exceptions=True)

    async def _load(self, batch: Sequence[ScannedFile]) -> list[list[ParsedDocument] | ParseError]:
        readable = [file for file in batch if file.reason is None]
        with readable_paths(readable) as paths:
            loaded = iter(await self._loader.load_many(paths, [file.parser for file in readable]))
        return [ParseError(file.reason, skip=not file.failed) if file.reason else next(loaded) for file in batch]

    async def _index(self, batch: Sequence[ScannedFile], loaded: Sequence[list[ParsedDocument] | ParseError]) -> None:
        await self._index_together(batch, loaded, {})
        self._done += len(batch)
        self._notify(batch[-1].source)

    async def _index_together(
        self,
        batch: Sequence[ScannedFile],
        loaded: Sequence[list[ParsedDocument] | ParseError],
        vectors: Mapping[str, Vectors],
    ) -> None:
        """Index the files in one commit; if the store refuses what is in one of them, each on its own.

        vectors: those that were embedded before the store refused them, by key.
        """
        records: list[_Record] = []
        changes = _Changes()
        for file, parsed in zip(batch, loaded, strict=True):
            before = await self._known_documents(file.source)
            if isinstance(parsed, ParseError):
                status: Literal["skipped", "failed"] = "skipped" if parsed.skip else "failed"
                row = FileRow(file.source, status, parsed.message, 0, 0, file.digest, file.signature, file.groups)
                records.append((row, []))
                changes.deleted |= dict.fromkeys(before, file.source)
                continue
            if (
                file.scan_signature and current_signature(file.path) != file.scan_signature
            ):  # changed since the scan: the digest is unknown
                file.digest, file.signature = None, ""
            documents = await self._split_or_fail(file, parsed, before, changes)
            if isinstance(documents, FileRow):
                records.append((documents, []))
                changes.deleted |= dict.fromkeys(before, file.source)
                continue
            ids = {document.id for document, _ in documents}
            changes.deleted |= {stale_id: file.source for stale_id in before if stale_id not in ids}
            records.append((_indexed(file, documents, parsed), documents))
        texts = await self._embedded(changes.passages, vectors)
        records = _without_refused(records, texts.refused)
        unembedded = changes.leave_out(texts)
        try:
            await self._write(changes, texts)
            await self._catalog.save([record for record in records if record[0].source not in unembedded])
        except UNSTORABLE as error:
            if len(batch) == 1:
                await self._fail(batch[0], f"cannot be stored ({_cause(error)})")
                return
            for file, parsed in zip(batch, loaded, strict=True):
                await self._index_together([file], [parsed], texts.vectors)
        if texts.failure:  # what was embedded before is kept
            raise texts.failure

    async def _fail(self, file: ScannedFile, reason: str) -> None:
        """Leave nothing of a file in the index, and say why."""
        before = await self._known_documents(file.source)
        if before:
            await self._catalog.mark_unfinished([(document, file.source) for document in before])
            await self._store.delete(list(before))
        await self._catalog.save([(_failed(file, reason), [])])

    async def _known_documents(self, source: str) -> dict[str, DocumentState]:
        """Return the documents that store or catalog may hold for a file; only the ids of unfinished ones are known."""
        unknown = dict.fromkeys(self._unfinished.get(source, ()), DocumentState("", 0))
        recorded = await self._catalog.document_states(source) if source in self._known or source in self._items else {}
        return {**recorded, **unknown}

    async def _split_or_fail(
        self,
        file: ScannedFile,
        parsed: Sequence[ParsedDocument],
        before: dict[str, DocumentState],
        changes: _Changes,
    ) -> list[tuple[Document, int]] | FileRow:
        """Return a file's documents with their passage counts, or the row that says why they cannot be split."""
        own = _Changes()
        try:
            documents = await asyncio.to_thread(self._split, file, parsed, before, own)
        except GroundtuneError:  # the embedder cannot take any text
            raise
        except Exception as error:  # noqa: BLE001  one document must not stop the others
            return _failed(file, f"cannot be split into passages ({_cause(error)})")
        changes.documents |= own.documents
        changes.files |= own.files
        changes.passages += own.passages
        return documents

    def _split(
        self, file: ScannedFile, parsed: Sequence[ParsedDocument], before: dict[str, DocumentState], changes: _Changes
    ) -> list[tuple[Document, int]]:
        """Return a file's documents with their passage counts; split those that changed, into `changes`."""
        counted = []
        for document, part in zip(_documents(file, parsed), parsed, strict=True):
            known = before.get(document.id)
            if known and known.digest == document.digest:
                counted.append((document, known.passages))
                continue
            passages = self._chunker.split(document, part)
            changes.documents[document.id] = document
            changes.files[document.id] = file.source
            changes.passages.extend(passages)
            counted.append((document, len(passages)))
        return counted

    async def _write(self, changes: _Changes, texts: "_EmbeddedTexts") -> None:
        touched = {**changes.files, **changes.deleted}
        if not touched:
            return
        entries = []
        for contextual in changes.passages:
            document, key = changes.documents[contextual.passage.document_id], texts.keys[contextual.passage.id]
            vector = texts.vectors[key]
            entries.append(
                IndexEntry(contextual.passage, contextual.context, key, vector, document.groups, document.metadata)
            )
        await self._catalog.mark_unfinished(touched.items())
        await self._store.replace(list(touched), entries)

    async def _embedded(self, passages: Sequence[ContextualPassage], known: Mapping[str, Vectors]) -> "_EmbeddedTexts":
        """Return the vectors of the passages: the known ones, those in the cache, and those embedded now."""
        keys = {
            contextual.passage.id: digest_text(f"{self._embedder.digest}\n{embedded_text(contextual)}")
            for contextual in passages
        }
        wanted = set(keys.values())
        vectors = {key: vector for key, vector in known.items() if key in wanted}
        vectors |= await self._vector_cache.vectors(wanted - vectors.keys())
        missing = {keys[contextual.passage.id]: contextual for contextual in passages}
        missing = {key: contextual for key, contextual in missing.items() if key not in vectors}
        texts = _EmbeddedTexts(keys, vectors)
        refused: dict[str, str] = {}
        waiting = list(missing)
        for start in range(0, len(waiting), EMBED_CHUNK_SIZE):
            chunk = waiting[start : start + EMBED_CHUNK_SIZE]
            results = await self._embed_each([embedded_text(missing[key]) for key in chunk])
            for key, result in zip(chunk, results, strict=True):
                if not isinstance(result, ProviderError):
                    vectors[key] = result
                    self._embedded_count += 1
                elif result.kind == "refused_text":
                    refused[key] = result.message
                else:
                    texts.failure = texts.failure or result
            self._notify("")
            if texts.failure:
                break
        texts.refused |= {
            contextual.passage.document_id: refused[key]
            for contextual in passages
            if (key := keys[contextual.passage.id]) in refused
        }
        return texts

    async def _embed_each(self, texts: Sequence[str]) -> Sequence[Vectors | ProviderError]:
        if isinstance(self._embedder, TolerantEmbedder):
            return await self._embedder.embed_each(texts)
        return list(await self._embedder.embed(texts))

    async def _remove(self, sources: Sequence[str]) -> None:
        await remove_sources(sources, self._unfinished, catalog=self._catalog, store=self._store)
        self._removed.extend(sources)

    def _notify(self, current: str) -> None:
        self._report_progress(SyncProgress(self._done, self._total, self._embedded_count, current))


def _noted(rows: Sequence[Sequence[str | None]]) -> Fold:
    """Return the files with notes, for a notebook to show after a click."""
    more = f"; the first {SHOWN:,} are listed" if rows[SHOWN:] else ""
    title = f"{format_count(len(rows), 'file')} {INDEXED_WITH_NOTES}{more}"
    return Fold(title, [Table(["file", "notes"], rows[:SHOWN])])


def document_id(source: str) -> str:
    """Return the document id for a source: stable across edits, different after a rename."""
    return digest_text(source)[:16]


def _documents(file: ScannedFile, parsed: Sequence[ParsedDocument]) -> list[Document]:
    documents = []
    taken: dict[str, int] = {}
    for part in (_storable(described(part, file.item)) for part in parsed):
        name = source = file.source if part.row_id is None else f"{file.source}#{part.row_id}"
        while source in taken:  # a repeated row id must not hide a row
            taken[name] += 1
            source = f"{name}~{taken[name]}"
        taken[source] = 1
        content = f"{file.digest}{file.loader}" if file.digest and part.row_id is None else None
        content = content or repr((part.text, part.title, sorted(part.metadata.items())))
        documents.append(
            Document(
                id=document_id(source),
                source=source,
                text=part.text,
                title=part.title,
                media_type=MEDIA_TYPES.get(file.path.suffix.lower(), "application/octet-stream"),
                pages=part.pages,
                digest=digest_text(f"{content}{file.groups}"),
                groups=file.groups,
                metadata=part.metadata,
                boxes=part.boxes,
            )
        )
    return documents


def _storable(part: ParsedDocument) -> ParsedDocument:
    """Return the document with `\ufffd` for what no store can keep; offsets stay, since each is one character."""

    def clean(text: str) -> str:
        return _UNSTORABLE_TEXT.sub("\ufffd", text)

    return replace(
        part,
        text=clean(part.text),
        title=part.title and clean(part.title),
        row_id=part.row_id and clean(part.row_id),
        metadata={clean(key): clean(value) for key, value in part.metadata.items()},
    )


def _failed(file: ScannedFile, reason: str) -> FileRow:
    return FileRow(file.source, "failed", reason, 0, 0, None, "", file.groups)


def _cause(error: Exception) -> str:
    return one_line(f"{type(error).__name__}: {error}", most=200)


def _without_refused(records: Sequence[_Record], refused: Mapping[str, str]) -> list[_Record]:
    """Return the records without documents that have a refused text; their files are read again in the next run."""
    result: list[_Record] = []
    for row, documents in records:
        kept = [(document, count) for document, count in documents if document.id not in refused]
        if lost := [document.id for document, _ in documents if document.id in refused]:
            reason = f"a text cannot be embedded: {refused[lost[0]]}"
            row = replace(
                row,
                status="indexed" if kept else "failed",
                reason=f"{len(lost):,} of {format_count(len(documents), 'document')}: {reason}" if kept else reason,
                documents=len(kept),
                passages=sum(count for _, count in kept),
                digest=None,
                signature="",
            )
        result.append((row, kept))
    return result


def _indexed(file: ScannedFile, documents: Sequence[tuple[Document, int]], parsed: Sequence[ParsedDocument]) -> FileRow:
    return FileRow(
        file.source,
        "indexed",
        documents=len(documents),
        passages=sum(count for _, count in documents),
        digest=file.digest,
        signature=file.signature,
        groups=file.groups,
        notes=merge_notes(note for document in parsed for note in document.notes),
    )


def _outcome(row: FileRow) -> FileRow:
    """Return the row without what differs between runs that end the same way: size, times and inode."""
    return replace(row, signature=None if is_item(row) else loader_of(row))


def _batches(files: Sequence[ScannedFile]) -> Iterator[list[ScannedFile]]:
    batch: list[ScannedFile] = []
    size = 0
    for file in files:
        if batch and (len(batch) >= BATCH_FILES or size + file.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size
    if batch:
        yield batch
