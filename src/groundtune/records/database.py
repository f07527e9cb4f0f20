"""Open the SQLite files of the records, to which several processes write at once. Knows none of their tables."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from groundtune.common.format_version import check_number

BUSY_SECONDS = 30.0
"""How long a writer waits for the others."""


@contextmanager
def opened(path: Path, *, tables: str, version: int, lasting: bool = True) -> Iterator[sqlite3.Connection]:
    """Open a file of records; a new one gets its tables, and only its owner may read it.

    What is committed is on disk, and what is deleted is overwritten. Readers never keep writers waiting. Begin
    transactions by hand, with BEGIN IMMEDIATE where what is written depends on what is read. tables: IF NOT EXISTS.
    lasting: whether each commit waits for the disk; without it a power failure may take back the last ones.
    Raises FormatError when a newer groundtune wrote the file.
    """
    path.touch(mode=0o600)
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as database:
        (found,) = database.execute("PRAGMA user_version").fetchone()
        check_number(found, path=path, supported=version, rebuild="move it away")
        if found == 0:
            database.executescript(f"PRAGMA journal_mode = WAL; {tables} PRAGMA user_version = {version};")
        database.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
        database.execute("PRAGMA secure_delete = ON")
        yield database


def overwrite_erased(database: sqlite3.Connection) -> None:
    """Empty the write-ahead log, which still holds what was just deleted."""
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
