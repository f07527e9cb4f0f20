"""Keep the catalog of an index in one SQLite file: the outcome of every file and the text of every document."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from groundtune.errors import MissingError
from groundtune.types import Document

FileStatus = Literal["indexed", "skipped", "failed"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    source TEXT PRIMARY KEY, digest TEXT, signature TEXT, groups TEXT NOT NULL,
    status TEXT NOT NULL, reason TEXT, documents INTEGER NOT NULL, passages INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS documents (
    id TEXT PRIMARY KEY, file TEXT NOT NULL, source TEXT NOT NULL, title TEXT, media_type TEXT NOT NULL,
    pages TEXT NOT NULL, digest TEXT NOT NULL, groups TEXT NOT NULL, metadata TEXT NOT NULL,
    passages INTEGER NOT NULL, text TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS unfinished (document TEXT PRIMARY KEY, file TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS documents_file ON documents (file);
CREATE INDEX IF NOT EXISTS documents_source ON documents (source);
CREATE INDEX IF NOT EXISTS unfinished_file ON unfinished (file);
"""
_DOCUMENT = "id, source, text, title, media_type, pages, digest, groups, metadata"


@dataclass(frozen=True, slots=True)
class FileRow:
    """Outcome of one file."""

    source: str
    status: FileStatus
    reason: str | None = None
    documents: int = 0
    passages: int = 0
    digest: str | None = None
    """SHA-256 of the bytes; None if they could not be read."""
    signature: str | None = None
    """Size, times and inode: while these are unchanged, the file need not be read again."""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentState:
    """The digest and passage count of a document in the index; another digest means that it must be indexed again."""

    digest: str
    passages: int


class Catalog:
    """The catalog of an index: many readers, one writer. Threads that share a catalog need a lock."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        if read_only:
            self._db = _open_to_read(path)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, timeout=30)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def files(self) -> dict[str, FileRow]:
        rows = self._db.execute(
            "SELECT source, status, reason, documents, passages, digest, signature, groups FROM files"
        )
        return {
            source: FileRow(source, status, reason, documents, passages, digest, signature, tuple(json.loads(groups)))
            for source, status, reason, documents, passages, digest, signature, groups in rows
        }

    def document(self, source: str) -> Document | None:
        """Return the document with this source; None if it is not in the index."""
        return next(self._documents("source = ?", source), None)

    def document_by_id(self, document_id: str) -> Document | None:
        return next(self._documents("id = ?", document_id), None)

    def document_states(self, file: str) -> dict[str, DocumentState]:
        """Return the digests and passage counts of a file's documents, by document id, without loading their texts."""
        rows = self._db.execute("SELECT id, digest, passages FROM documents WHERE file = ?", (file,))
        return {document: DocumentState(digest, passages) for document, digest, passages in rows}

    def unfinished(self) -> dict[str, set[str]]:
        """Return the ids of documents that an interrupted run may have changed in the store, by file."""
        ids_by_file: dict[str, set[str]] = {}
        for document, file in self._db.execute("SELECT document, file FROM unfinished"):
            ids_by_file.setdefault(file, set()).add(document)
        return ids_by_file

    def mark_unfinished(self, documents: Iterable[tuple[str, str]]) -> None:
        """Record (document id, file) before the store is written; `save` or `remove` of the file clears the entry."""
        with self._db:
            self._db.executemany("INSERT OR REPLACE INTO unfinished VALUES (?,?)", documents)

    def digest(self) -> str:
        """Return a digest that changes when a document is added, removed or edited, or when its groups change."""
        rows = self._db.execute("SELECT id, source, digest, groups, metadata FROM documents ORDER BY id")
        hasher = hashlib.sha256()
        for row in rows:
            hasher.update(json.dumps(row).encode())
        return hasher.hexdigest()[:16]

    def count(self) -> int:
        """Return the number of documents."""
        return int(self._db.execute("SELECT count(*) FROM documents").fetchone()[0])

    def save(self, rows: Iterable[tuple[FileRow, Sequence[tuple[Document, int]]]]) -> None:
        """Replace the rows of files and of their documents (with passage counts), in one transaction."""
        with self._db:
            for row, documents in rows:
                self._db.execute("DELETE FROM documents WHERE file = ?", (row.source,))
                self._db.executemany(
                    "INSERT OR REPLACE INTO documents VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                    (_document_row(row.source, document, passages) for document, passages in documents),
                )
                self._save_row(row)
                self._db.execute("DELETE FROM unfinished WHERE file = ?", (row.source,))

    def save_rows(self, rows: Iterable[FileRow]) -> None:
        """Update the rows of files whose documents are unchanged."""
        with self._db:
            for row in rows:
                self._save_row(row)

    def remove(self, sources: Iterable[str]) -> None:
        """Remove files and their documents."""
        with self._db:
            for source in sources:
                self._db.execute("DELETE FROM documents WHERE file = ?", (source,))
                self._db.execute("DELETE FROM files WHERE source = ?", (source,))
                self._db.execute("DELETE FROM unfinished WHERE file = ?", (source,))

    def _save_row(self, row: FileRow) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?,?)",
            (
                row.source,
                row.digest,
                row.signature,
                json.dumps(row.groups),
                row.status,
                row.reason,
                row.documents,
                row.passages,
            ),
        )

    def _documents(self, where: str, *values: str) -> Iterator[Document]:
        for row in self._db.execute(f"SELECT {_DOCUMENT} FROM documents WHERE {where}", values):
            yield Document(
                id=row[0],
                source=row[1],
                text=row[2],
                title=row[3],
                media_type=row[4],
                pages=tuple(json.loads(row[5])),
                digest=row[6],
                groups=tuple(json.loads(row[7])),
                metadata=json.loads(row[8]),
            )


def _open_to_read(path: Path) -> sqlite3.Connection:
    """Open a connection that cannot write; works in a read-only folder."""
    for mode in ("mode=ro", "immutable=1"):
        try:
            db = sqlite3.connect(f"{path.as_uri()}?{mode}", uri=True, check_same_thread=False, timeout=30)
        except sqlite3.OperationalError:
            continue
        try:
            db.execute("SELECT 1 FROM files LIMIT 1")
            return db
        except sqlite3.DatabaseError:
            db.close()
    raise MissingError(f"cannot read the catalog {path}", hint="groundtune ingest --rebuild")


def _document_row(file: str, document: Document, passages: int) -> tuple[str | int | None, ...]:
    return (
        document.id,
        file,
        document.source,
        document.title,
        document.media_type,
        json.dumps(document.pages),
        document.digest,
        json.dumps(document.groups),
        json.dumps(dict(document.metadata)),
        passages,
        document.text,
    )
