"""Keep a record of every answer in `.groundtune/audit.sqlite`, each with a digest that includes the one before it.

What people decide about an answer is a record too, with the id of the answer and the key `event`.

Whoever changes, removes or inserts a record breaks the chain, which `verify` notices. Texts lie beside the records,
which hold only a salted digest of each: a text can be erased with its salt, and the chain stays whole. Nothing but
`append`, `expire` and `erase` writes.
"""

import hashlib
import json
import secrets
import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from groundtune.common.text import storable
from groundtune.errors import MissingError
from groundtune.records.database import opened, overwrite_erased
from groundtune.workspace import Workspace

FORMAT_VERSION = 1
SHADOW_OF = "shadow_of"
"""Key of an answer that nobody saw, with the id of the one that was sent instead."""
BEGINNING = "0" * 64
"""What the first record follows."""
TABLES = """
CREATE TABLE IF NOT EXISTS records (
    number INTEGER PRIMARY KEY, answer TEXT NOT NULL, time TEXT NOT NULL, record TEXT NOT NULL, digest TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS records_of_answers ON records (answer);
CREATE TABLE IF NOT EXISTS texts (
    number INTEGER NOT NULL, name TEXT NOT NULL, salt TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (number, name)
);
CREATE TABLE IF NOT EXISTS expired (number INTEGER PRIMARY KEY, digest TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One record, with those of its texts that were not erased."""

    number: int
    record: Mapping[str, Any]
    texts: Mapping[str, str]
    digest: str

    @property
    def is_event(self) -> bool:
        """Whether it is no answer, but what somebody decided about one."""
        return "event" in self.record

    @property
    def is_shadow(self) -> bool:
        """Whether it is an answer that nobody saw, to be compared with the one that was sent."""
        return SHADOW_OF in self.record


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """Whether the chain is whole."""

    records: int
    head: str
    """Digest of the last record. Noted elsewhere, it proves later that nothing was cut off the end."""
    problem: str | None = None
    """The first mistake; None when the chain is whole."""
    expired: int = 0
    """How many records before the first one were deleted for their age, as the log says."""


class AuditLog:
    """The audit log of a project. Several processes may append at once."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._path = workspace.folder / "audit.sqlite"
        self._appending = threading.Lock()
        """Makes the threads of a process wait in turn: SQLite lets them try by chance until they give up."""

    @property
    def exists(self) -> bool:
        """Whether anything was ever recorded."""
        return self._path.exists()

    def append(self, record: Mapping[str, Any], texts: Mapping[str, str]) -> None:
        """Add a record with the keys `id` and `time`; it is on disk when this returns. texts: by name."""
        salted = {name: (secrets.token_hex(16), storable(text)) for name, text in texts.items()}
        self._workspace.create()
        with self._appending, self._opened() as database:
            database.execute("BEGIN IMMEDIATE")
            number, before = _last(database)
            digests = {name: _digest(salt, text) for name, (salt, text) in salted.items()}
            line = _canonical({**record, "number": number + 1, "texts": digests})
            digest = _digest(before, line)
            row = (number + 1, record["id"], record["time"], line, digest)
            database.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?)", row)
            rows = [(number + 1, name, salt, text) for name, (salt, text) in salted.items()]
            database.executemany("INSERT INTO texts VALUES (?, ?, ?, ?)", rows)
            database.execute("COMMIT")

    @contextmanager
    def held_open(self) -> Iterator[None]:
        """Keep the file open, so that `append` takes half the time: closing it writes everything a second time."""
        self._workspace.create()
        with self._opened():
            yield

    def expire(self, *, days: int, now: datetime | None = None) -> int:
        """Delete records that are older than so many days, the oldest first; return how many."""
        if not self._path.exists():
            return 0
        before = ((now or datetime.now(UTC)) - timedelta(days=days)).isoformat(timespec="milliseconds")
        with self._opened() as database:
            database.execute("BEGIN IMMEDIATE")
            (kept,) = database.execute("SELECT min(number) FROM records WHERE time >= ?", (before,)).fetchone()
            last = _last(database)[0] if kept is None else kept - 1
            found = database.execute("SELECT number, digest FROM records WHERE number = ?", (last,)).fetchone()
            if found is None:
                database.execute("ROLLBACK")
                return 0
            deleted = database.execute("DELETE FROM records WHERE number <= ?", (last,)).rowcount
            database.execute("DELETE FROM texts WHERE number <= ?", (last,))
            database.execute("DELETE FROM expired")
            database.execute("INSERT INTO expired VALUES (?, ?)", found)
            database.execute("COMMIT")
            overwrite_erased(database)
        return int(deleted)

    def erase(self, answers: Collection[str], *, dry_run: bool = False) -> int:
        """Erase the texts of these answers; the chain stays whole. Return how many had any."""
        if not answers or not self._path.exists():
            return 0
        with self._opened() as database:
            database.execute("BEGIN IMMEDIATE")
            found = database.execute("SELECT DISTINCT number, answer FROM records JOIN texts USING (number)").fetchall()
            numbers = [(number,) for number, answer in found if answer in answers]
            if not dry_run:
                database.executemany("DELETE FROM texts WHERE number = ?", numbers)
            database.execute("COMMIT")
            if not dry_run:
                database.execute("VACUUM")
                overwrite_erased(database)
        return len({answer for _, answer in found if answer in answers})

    def find(self, answer: str) -> AuditEntry:
        """Return the record of an answer, given its id or the beginning of it. Raises MissingError."""
        found = list(self.entries(answer, shadows=True)) if answer else []
        if len(found) != 1:
            what = f"{len(found):,} records begin with" if found else "there is no record of"
            raise MissingError(f"{what} {answer!r}", hint="groundtune audit export lists all")
        return found[0]

    def entries(
        self, answer: str = "", *, since: str = "", events: bool = False, shadows: bool = False
    ) -> Iterator[AuditEntry]:
        """Yield the records of all answers that were sent, oldest first, or of those whose id begins like this.

        since: ISO 8601, UTC. events: with the records of what people decided. shadows: with answers that nobody saw.
        """
        wanted = "substr(answer, 1, ?) = ? AND time >= ?"
        for entry in self._entries(wanted, len(answer), answer, since):
            if (events or not entry.is_event) and (shadows or not entry.is_shadow):
                yield entry

    def compared(self, *, since: str = "") -> list[AuditEntry]:
        """Return the answers that were drawn to be compared with those of another approach, and their shadows.

        since: ISO 8601, UTC.
        """
        drawn = "(instr(record, '\"shadow') OR instr(record, '\"split\":{'))"
        return [entry for entry in self._entries(f"{drawn} AND time >= ?", since) if not entry.is_event]

    def records(self, *, since: str) -> Iterator[Mapping[str, Any]]:
        """Yield the records of answers that were sent since a time (ISO 8601, UTC), without texts: to count them."""
        if not self._path.exists():
            return
        with self._opened() as database:
            query = "SELECT record FROM records WHERE time >= ? ORDER BY number"
            for (line,) in database.execute(query, (since,)):
                record = json.loads(line)
                if "event" not in record and SHADOW_OF not in record:
                    yield record

    def entries_after(self, number: int, digest: str | None) -> Iterator[AuditEntry]:
        """Yield the records beyond one that was read before, oldest first, with those of what people decided.

        digest: that of the record that was read; where it is another one now, the log was moved away, and all records
        of this one are yielded.
        """
        if not self._path.exists():
            return
        with self._opened() as database:
            found = database.execute("SELECT digest FROM records WHERE number = ?", (number,)).fetchone()
            same = found == (digest,) if found else number <= _anchor(database)[0]
            yield from _read(database, "number > ?", number if same else 0)

    def entries_of(self, answer: str) -> list[AuditEntry]:
        """Return the record of an answer, by its whole id, and those of what people decided about it."""
        return list(self._entries("answer = ?", answer))

    def _entries(self, condition: str, *values: object) -> Iterator[AuditEntry]:
        if not self._path.exists():
            return
        with self._opened() as database:
            yield from _read(database, condition, *values)

    def verify(self, *, head: str | None = None, expires: bool = True) -> AuditCheck:
        """Check the chain, and the texts that are left.

        head: a digest noted earlier, which must be in the chain: that of a record that is left, or of the last one that
        expired. expires: whether old records are deleted; where not, none may be missing.
        """
        if not self._path.exists():
            problem = None if head is None else "there are no records"
            return AuditCheck(0, BEGINNING, problem)
        with self._opened() as database:
            number, digest = _anchor(database)
            expired = number
            if expired and not expires:
                problem = f"records 1 to {expired:,} are missing, though [serve] audit_days is not set"
                return AuditCheck(0, digest, problem, expired)
            seen, count = {digest}, 0
            columns = "number, answer, time, record, digest"
            for row, answer, moment, line, stated in database.execute(f"SELECT {columns} FROM records ORDER BY number"):
                count += 1
                if row != number + 1:
                    return AuditCheck(count, digest, f"record {number + 1:,} is missing", expired)
                if _digest(digest, line) != stated or not _is_of(json.loads(line), row, answer, moment):
                    return AuditCheck(count, digest, f"record {row:,} was changed, or a record before it", expired)
                if name := _changed_text(database, row, json.loads(line)["texts"]):
                    return AuditCheck(count, digest, f"the text {name!r} of record {row:,} was changed", expired)
                number, digest = row, stated
                seen.add(digest)
        if head is None or head in seen:
            return AuditCheck(count, digest, None, expired)
        more = ", unless its record is among those that have expired" if expired else ""
        return AuditCheck(count, digest, f"the digest noted earlier is not in the chain{more}", expired)

    def _opened(self) -> AbstractContextManager[sqlite3.Connection]:
        return opened(self._path, tables=TABLES, version=FORMAT_VERSION)


def _read(database: sqlite3.Connection, condition: str, *values: object) -> Iterator[AuditEntry]:
    texts = "SELECT name, text FROM texts WHERE number = ?"
    query = f"SELECT number, record, digest FROM records WHERE {condition} ORDER BY number"
    for number, record, digest in database.execute(query, values):
        yield AuditEntry(number, json.loads(record), dict(database.execute(texts, (number,)).fetchall()), digest)


def _last(database: sqlite3.Connection) -> tuple[int, str]:
    """Return number and digest of the last record."""
    found = database.execute("SELECT number, digest FROM records ORDER BY number DESC LIMIT 1").fetchone()
    return found or _anchor(database)


def _anchor(database: sqlite3.Connection) -> tuple[int, str]:
    """Return number and digest of what the first record follows."""
    found: tuple[int, str] | None = database.execute("SELECT number, digest FROM expired").fetchone()
    return found or (0, BEGINNING)


def _is_of(record: Mapping[str, Any], number: int, answer: str, moment: str) -> bool:
    """Whether a record belongs to the columns beside it, by which it is found and expires."""
    return (record.get("number"), record.get("id"), record.get("time")) == (number, answer, moment)


def _changed_text(database: sqlite3.Connection, number: int, digests: Mapping[str, str]) -> str | None:
    rows = database.execute("SELECT name, salt, text FROM texts WHERE number = ?", (number,))
    return next((name for name, salt, text in rows if digests.get(name) != _digest(salt, text)), None)


def _canonical(record: Mapping[str, Any]) -> str:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(before: str, text: str) -> str:
    return hashlib.sha256(f"{before}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()
