"""Keep the catalog of an index in one SQLite file. All SQLite work runs in worker threads, never on the event loop."""

import asyncio
import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from groundtune.common.format_version import check_number
from groundtune.errors import BusyError, MissingError
from groundtune.retrieve.stores.generations import REBUILD
from groundtune.retrieve.stores.json_columns import decode_boxes, decode_notes, encode_boxes, encode_notes
from groundtune.types import Document, DocumentState, FileRow

P = ParamSpec("P")
T = TypeVar("T")

CATALOG_FORMAT = 2
"""Version of the tables, in `PRAGMA user_version`. 0 had neither cursors nor the number of changes, 1 neither notes
nor boxes."""
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS files (
    source TEXT PRIMARY KEY, digest TEXT, signature TEXT, groups TEXT NOT NULL,
    status TEXT NOT NULL, reason TEXT, documents INTEGER NOT NULL, passages INTEGER NOT NULL,
    notes TEXT NOT NULL DEFAULT '[]'
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS documents (
    id TEXT PRIMARY KEY, file TEXT NOT NULL, source TEXT NOT NULL, title TEXT, media_type TEXT NOT NULL,
    pages TEXT NOT NULL, digest TEXT NOT NULL, groups TEXT NOT NULL, metadata TEXT NOT NULL,
    passages INTEGER NOT NULL, text TEXT NOT NULL, boxes TEXT NOT NULL DEFAULT '[]'
);
CREATE TABLE IF NOT EXISTS unfinished (document TEXT PRIMARY KEY, file TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cursors (source TEXT PRIMARY KEY, cursor TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (number INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS documents_file ON documents (file);
CREATE INDEX IF NOT EXISTS documents_source ON documents (source);
CREATE INDEX IF NOT EXISTS unfinished_file ON unfinished (file);
INSERT INTO changes SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM changes);
PRAGMA user_version = {CATALOG_FORMAT};
"""
ERASE_MILLISECONDS = 10_000
"""How long an erasure waits for readers."""
_DOCUMENT = "id, source, text, title, media_type, pages, digest, groups, metadata"


class SqliteCatalog:
    """`Catalog` in one file. Create it with `SqliteCatalog.open`; any event loop and any thread may use it."""

    def __init__(self, db: sqlite3.Connection, *, read_only: bool) -> None:
        self._db = db
        self._read_only = read_only
        self._lock = threading.Lock()

    @classmethod
    async def open(cls, path: Path, *, read_only: bool = False) -> "SqliteCatalog":
        """Open the file; create or migrate it unless it is only read.

        Raises FormatError when a newer groundtune wrote it, MissingError when it is missing or damaged.
        """
        db = await asyncio.to_thread(_open_to_read if read_only else _open_to_write, path)
        return cls(db, read_only=read_only)

    @classmethod
    async def open_snapshot(cls, path: Path) -> "SqliteCatalog":
        """Open the file as it is now; later writes are not seen until it is closed. Errors are those of `open`."""
        return cls(await asyncio.to_thread(_open_snapshot, path), read_only=True)

    async def close(self) -> None:
        """Close the file; the writer also empties its write-ahead log, unless a reader still needs it."""
        await self._run(_close, read_only=self._read_only)

    async def copy_to(self, path: Path) -> None:
        """Write everything into a new file, without a write-ahead log and without what was deleted."""
        await self._run(_copy_to, path)

    async def erase(self) -> None:
        """Rewrite the file without what was deleted, and empty its log. Raises BusyError while a snapshot needs it."""
        await self._run(_erase)

    async def files(self) -> dict[str, FileRow]:
        return await self._run(_files)

    async def document(self, source: str) -> Document | None:
        return await self._run(_document, "source = ?", source)

    async def document_by_id(self, document_id: str) -> Document | None:
        return await self._run(_document, "id = ?", document_id)

    async def document_states(self, file: str) -> dict[str, DocumentState]:
        return await self._run(_document_states, file)

    async def unfinished(self) -> dict[str, set[str]]:
        return await self._run(_unfinished)

    async def mark_unfinished(self, documents: Iterable[tuple[str, str]]) -> None:
        await self._run(_mark_unfinished, list(documents))

    async def digest(self) -> str:
        return await self._run(_digest)

    async def count(self) -> int:
        return await self._run(_count)

    async def changes(self) -> int:
        """Return how many transactions have changed the catalog; 0 for one written before these were counted."""
        return await self._run(_changes)

    async def save(self, rows: Iterable[tuple[FileRow, Sequence[tuple[Document, int]]]]) -> None:
        await self._run(_save, list(rows))

    async def save_rows(self, rows: Iterable[FileRow]) -> None:
        await self._run(_save_rows, list(rows))

    async def remove(self, sources: Iterable[str]) -> None:
        await self._run(_remove, list(sources))

    async def cursors(self) -> dict[str, str]:
        return await self._run(_cursors)

    async def save_cursor(self, source: str, cursor: str | None) -> None:
        await self._run(_save_cursor, source, cursor)

    async def _run(self, work: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the work in a thread; one thread at a time uses the connection."""

        def locked() -> T:
            with self._lock:
                return work(self._db, *args, **kwargs)

        return await asyncio.to_thread(locked)


# -- opening -----------------------------------------------------------------------------------------------------------


def _open_to_write(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, check_same_thread=False, timeout=30)
    try:
        _check_format(db, path)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA secure_delete=ON")  # deleted texts are overwritten in the file
        db.executescript(f"BEGIN; {_migration(db)} {_SCHEMA} COMMIT;")
    except BaseException:
        db.close()
        raise
    return db


def _migration(db: sqlite3.Connection) -> str:
    """Return the SQL that adds what a catalog of an older format lacks, beyond missing tables."""
    added = {"files": "notes", "documents": "boxes"}
    columns = {table: {row[1] for row in db.execute(f"PRAGMA table_info({table})")} for table in added}
    return " ".join(
        f"ALTER TABLE {table} ADD COLUMN {column} TEXT NOT NULL DEFAULT '[]';"
        for table, column in added.items()
        if columns[table] and column not in columns[table]
    )


def _open_to_read(path: Path) -> sqlite3.Connection:
    """Open a connection that cannot write; works in a read-only folder."""
    for mode in ("mode=ro", "immutable=1"):
        try:
            db = sqlite3.connect(f"{path.as_uri()}?{mode}", uri=True, check_same_thread=False, timeout=30)
        except sqlite3.OperationalError:
            continue
        try:
            _check_format(db, path)
            db.execute("SELECT 1 FROM files LIMIT 1")
            return db
        except sqlite3.DatabaseError:
            db.close()
        except BaseException:
            db.close()
            raise
    raise MissingError(f"cannot read the catalog {path}", hint=REBUILD)


def _open_snapshot(path: Path) -> sqlite3.Connection:
    db = _open_to_read(path)
    try:
        db.execute("BEGIN")
        db.execute("SELECT 1 FROM files LIMIT 1").fetchall()  # only a read fixes the state that is seen
    except BaseException:
        db.close()
        raise
    return db


def _close(db: sqlite3.Connection, *, read_only: bool) -> None:
    try:
        if not read_only:
            db.execute("PRAGMA busy_timeout=0")  # a snapshot may keep the log for hours
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        db.close()


def _erase(db: sqlite3.Connection) -> None:
    db.execute("VACUUM")
    db.execute(f"PRAGMA busy_timeout={ERASE_MILLISECONDS}")
    (busy, _, _) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise BusyError("another process reads from an older state of the index", hint="run the command again later")


def _copy_to(db: sqlite3.Connection, path: Path) -> None:
    db.execute("VACUUM INTO ?", (str(path),))


def _format(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _check_format(db: sqlite3.Connection, path: Path) -> None:
    check_number(_format(db), path=path, supported=CATALOG_FORMAT, rebuild=REBUILD)


# -- reading -----------------------------------------------------------------------------------------------------------


def _files(db: sqlite3.Connection) -> dict[str, FileRow]:
    column = "notes" if _format(db) >= 2 else "'[]'"
    rows = db.execute(
        f"SELECT source, status, reason, documents, passages, digest, signature, groups, {column} FROM files"
    )
    return {
        source: FileRow(
            source, status, reason, documents, passages, digest, signature, _texts(groups), decode_notes(notes)
        )
        for source, status, reason, documents, passages, digest, signature, groups, notes in rows
    }


def _texts(column: str) -> tuple[str, ...]:
    return tuple(json.loads(column))


def _document(db: sqlite3.Connection, where: str, *values: str) -> Document | None:
    return next(_documents(db, where, *values), None)


def _documents(db: sqlite3.Connection, where: str, *values: str) -> Iterator[Document]:
    boxes = "boxes" if _format(db) >= 2 else "'[]'"
    for row in db.execute(f"SELECT {_DOCUMENT}, {boxes} FROM documents WHERE {where}", values):
        yield Document(
            id=row[0],
            source=row[1],
            text=row[2],
            title=row[3],
            media_type=row[4],
            pages=tuple(json.loads(row[5])),
            digest=row[6],
            groups=_texts(row[7]),
            metadata=json.loads(row[8]),
            boxes=decode_boxes(row[9]),
        )


def _document_states(db: sqlite3.Connection, file: str) -> dict[str, DocumentState]:
    rows = db.execute("SELECT id, digest, passages FROM documents WHERE file = ?", (file,))
    return {document: DocumentState(digest, passages) for document, digest, passages in rows}


def _unfinished(db: sqlite3.Connection) -> dict[str, set[str]]:
    ids_by_file: dict[str, set[str]] = {}
    for document, file in db.execute("SELECT document, file FROM unfinished"):
        ids_by_file.setdefault(file, set()).add(document)
    return ids_by_file


def _digest(db: sqlite3.Connection) -> str:
    hasher = hashlib.sha256()
    for row in db.execute("SELECT id, source, digest, groups, metadata FROM documents ORDER BY id"):
        hasher.update(json.dumps(row).encode())
    return hasher.hexdigest()[:16]


def _count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM documents").fetchone()[0])


def _changes(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT number FROM changes").fetchone()[0]) if _format(db) else 0


def _cursors(db: sqlite3.Connection) -> dict[str, str]:
    return dict(db.execute("SELECT source, cursor FROM cursors").fetchall()) if _format(db) else {}


# -- writing -----------------------------------------------------------------------------------------------------------


def _mark_unfinished(db: sqlite3.Connection, documents: Sequence[tuple[str, str]]) -> None:
    with db:
        db.executemany("INSERT OR REPLACE INTO unfinished VALUES (?,?)", documents)


def _save(db: sqlite3.Connection, rows: Sequence[tuple[FileRow, Sequence[tuple[Document, int]]]]) -> None:
    if not rows:
        return
    with db:
        for row, documents in rows:
            db.execute("DELETE FROM documents WHERE file = ?", (row.source,))
            db.executemany(
                "INSERT OR REPLACE INTO documents VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                (_document_row(row.source, document, passages) for document, passages in documents),
            )
            _save_row(db, row)
            db.execute("DELETE FROM unfinished WHERE file = ?", (row.source,))
        _count_change(db)


def _save_rows(db: sqlite3.Connection, rows: Sequence[FileRow]) -> None:
    if not rows:
        return
    with db:
        for row in rows:
            _save_row(db, row)
        _count_change(db)


def _remove(db: sqlite3.Connection, sources: Sequence[str]) -> None:
    if not sources:
        return
    with db:
        for source in sources:
            db.execute("DELETE FROM documents WHERE file = ?", (source,))
            db.execute("DELETE FROM files WHERE source = ?", (source,))
            db.execute("DELETE FROM unfinished WHERE file = ?", (source,))
        _count_change(db)


def _save_cursor(db: sqlite3.Connection, source: str, cursor: str | None) -> None:
    with db:
        if cursor is None:
            db.execute("DELETE FROM cursors WHERE source = ?", (source,))
        else:
            db.execute("INSERT OR REPLACE INTO cursors VALUES (?,?)", (source, cursor))
        _count_change(db)


def _count_change(db: sqlite3.Connection) -> None:
    db.execute("UPDATE changes SET number = number + 1")


def _save_row(db: sqlite3.Connection, row: FileRow) -> None:
    db.execute(
        "INSERT OR REPLACE INTO files VALUES (?,?,?,?,?,?,?,?,?)",
        (
            row.source,
            row.digest,
            row.signature,
            json.dumps(row.groups),
            row.status,
            row.reason,
            row.documents,
            row.passages,
            encode_notes(row.notes),
        ),
    )


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
        encode_boxes(document.boxes),
    )
