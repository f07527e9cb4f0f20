"""The ledger of an index: every file with its fate, every document with its text. One SQLite file, many readers."""

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
    """One row of the ledger."""

    source: str
    status: FileStatus
    reason: str | None = None
    documents: int = 0
    passages: int = 0
    digest: str | None = None
    """SHA-256 of the bytes; None when they could not be read."""
    signature: str | None = None
    """Size, times and inode: while it stays, the bytes need not be read again."""
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What tells whether a document has to be indexed again."""

    digest: str
    passages: int


class Catalog:
    """Open for reading and, by the one writer, for writing. Not shared between threads without a lock of its own."""

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
        """The document with this source; None when it is not in the index."""
        return next(self._documents("source = ?", source), None)

    def document_by_id(self, document_id: str) -> Document | None:
        return next(self._documents("id = ?", document_id), None)

    def known_of(self, file: str) -> dict[str, Known]:
        """What a file's documents were, by document id; their texts stay on disk."""
        rows = self._db.execute("SELECT id, digest, passages FROM documents WHERE file = ?", (file,))
        return {document: Known(digest, passages) for document, digest, passages in rows}

    def unfinished(self) -> dict[str, set[str]]:
        """File to the ids of its documents that a run which was cut short may have changed in the store."""
        found: dict[str, set[str]] = {}
        for document, file in self._db.execute("SELECT document, file FROM unfinished"):
            found.setdefault(file, set()).add(document)
        return found

    def intend(self, documents: Iterable[tuple[str, str]]) -> None:
        """Note (document id, file) before the store is written; `record` or `forget` of the file strikes it out."""
        with self._db:
            self._db.executemany("INSERT OR REPLACE INTO unfinished VALUES (?,?)", documents)

    def documents(self) -> Iterator[Document]:
        """All documents in order of their source, one at a time."""
        return self._documents("1 ORDER BY source")

    def digest(self) -> str:
        """Changes with every document that comes, goes or says something else, and with who may see it."""
        rows = self._db.execute("SELECT id, source, digest, groups, metadata FROM documents ORDER BY id")
        found = hashlib.sha256()
        for row in rows:
            found.update(json.dumps(row).encode())
        return found.hexdigest()[:16]

    def count(self) -> int:
        """Number of documents."""
        return int(self._db.execute("SELECT count(*) FROM documents").fetchone()[0])

    def record(self, rows: Iterable[tuple[FileRow, Sequence[tuple[Document, int]]]]) -> None:
        """Put files and their documents (with the number of passages) in the place of what stood there, all or none."""
        with self._db:
            for row, documents in rows:
                self._db.execute("DELETE FROM documents WHERE file = ?", (row.source,))
                self._db.executemany(
                    "INSERT OR REPLACE INTO documents VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                    (_document_row(row.source, document, passages) for document, passages in documents),
                )
                self._put(row)
                self._db.execute("DELETE FROM unfinished WHERE file = ?", (row.source,))

    def touch(self, rows: Iterable[FileRow]) -> None:
        """Write the rows of files whose documents stay as they are."""
        with self._db:
            for row in rows:
                self._put(row)

    def forget(self, sources: Iterable[str]) -> None:
        """Remove files and their documents."""
        with self._db:
            for source in sources:
                self._db.execute("DELETE FROM documents WHERE file = ?", (source,))
                self._db.execute("DELETE FROM files WHERE source = ?", (source,))
                self._db.execute("DELETE FROM unfinished WHERE file = ?", (source,))

    def _put(self, row: FileRow) -> None:
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
    """A connection that cannot write; works in a folder that may not be written to."""
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
    raise MissingError(f"the catalog {path} cannot be read", hint="groundtune ingest --rebuild")


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
