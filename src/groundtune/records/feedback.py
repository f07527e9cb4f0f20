"""Keep what people think of served answers, in `.groundtune/feedback.sqlite`. Changes no answer."""

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from groundtune.common.text import storable
from groundtune.records.database import opened, overwrite_erased
from groundtune.workspace import Workspace

FORMAT_VERSION = 1
TABLE = """
CREATE TABLE IF NOT EXISTS feedback (
    id INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    answer TEXT NOT NULL,
    rating TEXT NOT NULL,
    comment TEXT NOT NULL,
    caller TEXT NOT NULL
);
"""
Rating = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class FeedbackRow:
    """What somebody thinks of an answer. The latest of a caller counts."""

    number: int
    """Rows are numbered in the order in which they were kept."""
    time: str
    answer: str
    rating: Rating
    comment: str
    caller: str


class FeedbackLog:
    """The feedback of a project. Several processes may append at once."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._path = workspace.folder / "feedback.sqlite"

    def append(self, answer: str, rating: Rating, *, comment: str, caller: str) -> None:
        """Add a row; it is on disk when this returns."""
        self._workspace.create()
        row = (_now(), answer, rating, storable(comment), caller)
        with self._opened() as database:
            database.execute("INSERT INTO feedback (time, answer, rating, comment, caller) VALUES (?, ?, ?, ?, ?)", row)

    def rows(self, *, after: int = 0, answer: str | None = None) -> Iterator[FeedbackRow]:
        """Yield the rows beyond a number, oldest first; with `answer` those about one answer.

        All are yielded where there is no row with this number: the log was moved away, and this is another one.
        """
        if not self._path.exists():
            return
        query = "SELECT id, time, answer, rating, comment, caller FROM feedback WHERE id > ? AND ? IN (answer, '')"
        with self._opened() as database:
            known = database.execute("SELECT 1 FROM feedback WHERE id = ?", (after,)).fetchone()
            for row in database.execute(f"{query} ORDER BY id", (after if known else 0, answer or "")):
                yield FeedbackRow(*row)

    def latest(self) -> list[FeedbackRow]:
        """Return the latest row of each caller about each answer, oldest first."""
        rows = {(row.answer, row.caller): row for row in self.rows()}
        return sorted(rows.values(), key=lambda row: row.number)

    def erase_comments(self, numbers: Collection[int]) -> None:
        """Erase the comments of these rows, whose ratings stay."""
        if not numbers or not self._path.exists():
            return
        with self._opened() as database:
            database.execute("BEGIN IMMEDIATE")
            database.executemany("UPDATE feedback SET comment = '' WHERE id = ?", [(number,) for number in numbers])
            database.execute("COMMIT")
            database.execute("VACUUM")
            overwrite_erased(database)

    def _opened(self) -> AbstractContextManager[sqlite3.Connection]:
        return opened(self._path, tables=TABLE, version=FORMAT_VERSION)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
