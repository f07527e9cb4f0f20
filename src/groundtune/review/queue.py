"""Keep which served answers wait for a person, in `.groundtune/review.sqlite`. Holds ids alone, never a text.

Everything in it follows from two logs, and is read from them up to a place that is kept in the same transaction: the
audit log, which also has each decision, and the feedback. A process that is killed at any point loses nothing and
doubles nothing. Only who has an item open at this moment is known here alone.
"""

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from groundtune.common.format_version import check_number
from groundtune.config.review_table import ReviewConfig
from groundtune.errors import BusyError, MissingError, QuestionError
from groundtune.records.audit_log import SHADOW_OF, AuditEntry, AuditLog
from groundtune.records.feedback import FeedbackLog
from groundtune.review.reasons import WORDS, Reason, reasons_of
from groundtune.workspace import Workspace

FORMAT_VERSION = 1
QUEUE_FILE = "review.sqlite"
REBUILD = "remove it: it is made anew"
BUSY_SECONDS = 30.0
OPEN_SECONDS = 300.0
"""How long an item that somebody has open is offered to nobody else."""
ERASED = "its text was erased"
"""Note of an item that nobody can decide any more."""
NOBODY = "groundtune"
"""Who declines such an item."""
State = Literal["pending", "accepted", "edited", "rejected", "declined"]
Decided = Literal["accepted", "edited", "rejected", "declined"]
STATES: tuple[State, ...] = get_args(State)
TABLES = """
CREATE TABLE IF NOT EXISTS items (
    answer TEXT PRIMARY KEY, time TEXT NOT NULL, groups TEXT NOT NULL, state TEXT NOT NULL, assignee TEXT,
    decided TEXT, promoted TEXT
);
CREATE INDEX IF NOT EXISTS items_by_state ON items (state, time);
CREATE TABLE IF NOT EXISTS reasons (answer TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (answer, reason));
CREATE TABLE IF NOT EXISTS decisions (
    answer TEXT NOT NULL, reviewer TEXT NOT NULL, state TEXT NOT NULL, time TEXT NOT NULL, record INTEGER NOT NULL,
    PRIMARY KEY (answer, reviewer)
);
CREATE TABLE IF NOT EXISTS opened (answer TEXT PRIMARY KEY, reviewer TEXT NOT NULL, until REAL NOT NULL);
CREATE TABLE IF NOT EXISTS places (log TEXT PRIMARY KEY, number INTEGER NOT NULL, digest TEXT);
"""
_RANK = "CASE reason " + " ".join(f"WHEN '{reason}' THEN {rank}" for rank, reason in enumerate(WORDS)) + " END"
_RANKED = f"LEFT JOIN (SELECT answer AS of, min({_RANK}) AS rank FROM reasons GROUP BY answer) ON of = answer"
_ORDER = "rank, time, answer"
_COLUMNS = "answer, time, state, assignee, decided, promoted"


@dataclass(frozen=True, slots=True)
class Vote:
    """What one person decided about an answer."""

    by: str
    state: Decided
    time: str
    record: int
    """Number of the record in the audit log, with which the text of an edit lies."""


@dataclass(frozen=True, slots=True)
class QueueItem:
    """An answer in the queue."""

    answer: str
    """Id of the answer, as in the audit log."""
    time: str
    state: State
    assignee: str | None
    decided: str | None
    """When the last decision was made; None while nobody has decided."""
    promoted: str | None
    """Id of the example that was made of it; None where none was."""
    reasons: tuple[Reason, ...]
    votes: tuple[Vote, ...]
    """The latest decision of each person, oldest first."""


class ReviewQueue:
    """The queue of a project. Several processes may use it at once."""

    def __init__(self, workspace: Workspace, settings: ReviewConfig) -> None:
        self._workspace = workspace
        self._settings = settings
        self._path = workspace.folder / QUEUE_FILE
        self._audit = AuditLog(workspace)
        self._feedback = FeedbackLog(workspace)

    def items(self, *states: State) -> list[QueueItem]:
        """Return the items in these states, or all: by their most pressing reason, then oldest first."""
        with self._writing() as database:
            chosen = states or STATES
            marks = ", ".join("?" * len(chosen))
            query = f"SELECT {_COLUMNS} FROM items {_RANKED} WHERE state IN ({marks}) ORDER BY {_ORDER}"
            return _items(database, database.execute(query, chosen).fetchall())

    def item(self, answer: str) -> QueueItem:
        """Return an item, given the id of its answer or the beginning of it. Raises MissingError."""
        with self._writing() as database:
            return self._find(database, answer)

    def waiting_for(self, reviewer: str) -> list[tuple[str, tuple[str, ...]]]:
        """Return the answers that a person may still decide and nobody else has open, in the order of `items`.

        With each come the access groups of whoever asked.
        """
        with self._writing() as database:
            query = (
                f"SELECT answer, groups FROM items {_RANKED} WHERE state = 'pending' AND coalesce(assignee, :by) = :by "
                "AND answer NOT IN (SELECT answer FROM decisions WHERE reviewer = :by) "
                "AND (:many OR answer NOT IN (SELECT answer FROM opened WHERE reviewer != :by AND until > :now)) "
                f"ORDER BY {_ORDER}"
            )
            values = {"by": reviewer, "many": self._settings.reviewers > 1, "now": time.time()}
            return [(answer, tuple(json.loads(groups))) for answer, groups in database.execute(query, values)]

    def open(self, answer: str, reviewer: str) -> QueueItem | None:
        """Keep an item for a person for a while; None when it does not wait any more, or somebody else has it.

        Several may have it where several must decide.
        """
        with self._writing(follow=False) as database:
            now = time.time()
            database.execute("DELETE FROM opened WHERE until < ?", (now,))
            free = (
                "SELECT 1 FROM items WHERE answer = :answer AND state = 'pending' AND (:many OR NOT EXISTS "
                "(SELECT 1 FROM opened WHERE opened.answer = :answer AND reviewer != :by))"
            )
            values = {"answer": answer, "by": reviewer, "many": self._settings.reviewers > 1}
            if database.execute(free, values).fetchone() is None:
                return None
            database.execute("DELETE FROM opened WHERE reviewer = ?", (reviewer,))
            row = (answer, reviewer, now + OPEN_SECONDS)
            database.execute("INSERT OR REPLACE INTO opened VALUES (?, ?, ?)", row)
            return self._find(database, answer)

    def entry(self, answer: str) -> AuditEntry | None:
        """Return the record of an answer, by its whole id; None when it broke off, and when its texts were erased."""
        found = next((entry for entry in self._audit.entries_of(answer) if not entry.is_event), None)
        whole = found is not None and found.record["status"] in ("answered", "abstained")
        return found if found and whole and {"question", "answer"} <= found.texts.keys() else None

    def close_erased(self, answer: str) -> None:
        """Decline an item that nobody can decide, because its text was erased."""
        self.decide(answer, "declined", by=NOBODY, note=ERASED)

    def decide(self, answer: str, state: State, *, by: str, text: str | None = None, note: str = "") -> QueueItem:
        """Record what a person decided; it is on disk when this returns. Nothing changes when it is said again.

        state: `pending` takes the person's decision back. text: of an edited answer. Raises QuestionError for an edit
        without text and for an item that others have decided or that was promoted, MissingError.
        """
        if (state == "edited") != (text is not None and bool(text.strip())):
            raise QuestionError("an edited answer needs its text, and no other has one")
        with self._writing() as database:
            item = self._find(database, answer)
            self._check_open(item, by)
            event = {"event": "reviewed", "state": state, "by": by}
            texts = {name: value for name, value in (("edited", text), ("note", note)) if value}
            self._append(database, item.answer, event, texts)
            database.execute("DELETE FROM opened WHERE answer = ?", (item.answer,))
            return self._find(database, item.answer)

    def assign(self, answer: str, to: str | None, *, by: str) -> QueueItem:
        """Give an item to a person, or to nobody in particular. Raises MissingError."""
        with self._writing() as database:
            item = self._find(database, answer)
            self._append(database, item.answer, {"event": "assigned", "to": to, "by": by}, {})
            database.execute("DELETE FROM opened WHERE answer = ? AND reviewer IS NOT ?", (item.answer, to))
            return self._find(database, item.answer)

    def promoted(self, examples: Mapping[str, str], *, file: str, by: str) -> None:
        """Record which example was made of which answer."""
        with self._writing() as database:
            for answer, example in examples.items():
                self._append(database, answer, {"event": "promoted", "example": example, "file": file, "by": by}, {})

    def fill(self) -> None:
        """Take in what the logs have new: before old records are deleted, and before anything is shown."""
        with self._writing():
            pass

    def _check_open(self, item: QueueItem, by: str) -> None:
        if item.promoted is not None:
            raise QuestionError(f"the answer is an example already: {item.promoted}", hint="edit the example instead")
        others = [vote.by for vote in item.votes if vote.by != by]
        own = len(others) < len(item.votes)
        if item.state != "pending" and not own:
            raise QuestionError(f"{', '.join(others)} decided meanwhile: {item.state}")

    def _find(self, database: sqlite3.Connection, answer: str) -> QueueItem:
        query = f"SELECT {_COLUMNS} FROM items WHERE answer >= ? AND answer < ?"  # by the index: all that begin so
        rows = database.execute(query, (answer, f"{answer}\U0010ffff")).fetchall() if answer else []
        found = _items(database, rows)
        if len(found) != 1:
            what = f"{len(found):,} items begin with" if found else "there is no item"
            raise MissingError(f"{what} {answer!r}", hint="groundtune review --list")
        return found[0]

    # -- following the logs ----------------------------------------------------------------------------------------

    @contextmanager
    def _writing(self, *, follow: bool = True) -> Iterator[sqlite3.Connection]:
        """Have the queue, as the logs say it is now, until the end of the block; one process at a time."""
        self._workspace.create()
        try:
            with closing(self._connect()) as database:
                database.execute("BEGIN IMMEDIATE")
                try:
                    if follow:
                        self._follow(database)
                    yield database
                except BaseException:
                    database.execute("ROLLBACK")
                    raise
                database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            raise BusyError("another process is changing the review queue", hint="try again") from error

    def _connect(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        database = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            check_number(version, path=self._path, supported=FORMAT_VERSION, rebuild=REBUILD)
            if version == 0:
                _set_wal(database)
                database.executescript(f"{TABLES} PRAGMA user_version = {FORMAT_VERSION};")
        except BaseException:
            database.close()
            raise
        return database

    def _append(
        self, database: sqlite3.Connection, answer: str, event: Mapping[str, Any], texts: Mapping[str, str]
    ) -> None:
        """Record an event in the audit log, and follow it. A process that is killed in between follows it later."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._audit.append({"id": answer, "time": moment, **event}, texts)
        self._follow(database)

    def _follow(self, database: sqlite3.Connection) -> None:
        self._follow_audit(database)
        self._follow_feedback(database)

    def _follow_audit(self, database: sqlite3.Connection) -> None:
        place = number, digest = _place(database, "audit")
        for entry in self._audit.entries_after(number, digest):
            self._take(database, entry)
            number, digest = entry.number, entry.digest
        _keep_place(database, "audit", place, (number, digest))

    def _take(self, database: sqlite3.Connection, entry: AuditEntry) -> None:
        record, answer = entry.record, str(entry.record["id"])
        match record.get("event"):
            case None if entry.is_shadow:
                self._take_pair(database, entry)
            case None:
                for reason in reasons_of(record, self._settings):
                    _add(database, entry, reason)
            case "reviewed":
                _vote(database, answer, Vote(record["by"], record["state"], record["time"], entry.number))
                self._settle(database, answer)
            case "assigned":
                database.execute("UPDATE items SET assignee = ? WHERE answer = ?", (record["to"], answer))
            case "promoted":
                database.execute("UPDATE items SET promoted = ? WHERE answer = ?", (record["example"], answer))

    def _take_pair(self, database: sqlite3.Connection, shadow: AuditEntry) -> None:
        """Have both answers to a question judged: at the time of the one that was sent, so that none comes first."""
        sent = self.entry(shadow.record[SHADOW_OF])
        if sent is None or self.entry(shadow.record["id"]) is None:
            return  # the shadow broke off, or a text was erased
        for entry in (sent, shadow):
            _add(database, entry, "compared", moment=sent.record["time"])

    def _settle(self, database: sqlite3.Connection, answer: str) -> None:
        """Bring the state of an item up to date with its decisions."""
        votes = database.execute("SELECT state, time, reviewer FROM decisions WHERE answer = ?", (answer,)).fetchall()
        erased = any(by == NOBODY for _, _, by in votes)
        state = "declined" if erased else settled([state for state, _, _ in votes], self._settings.reviewers)
        decided = max((moment for _, moment, _ in votes), default=None)
        database.execute("UPDATE items SET state = ?, decided = ? WHERE answer = ?", (state, decided, answer))

    def _follow_feedback(self, database: sqlite3.Connection) -> None:
        place = number, _ = _place(database, "feedback")
        for row in self._feedback.rows(after=number):
            number = row.number
            if row.rating == "down" and (entry := self.entry(row.answer)):
                _add(database, entry, "thumbs_down")
        _keep_place(database, "feedback", place, (number, None))


def read_states(workspace: Workspace) -> dict[str, State]:
    """Return the state of each answer, as the queue was last brought up to date. Writes nothing."""
    path = workspace.folder / QUEUE_FILE
    if not path.exists():
        return {}
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        check_number(version, path=path, supported=FORMAT_VERSION, rebuild=REBUILD)
        return dict(database.execute("SELECT answer, state FROM items"))


def _set_wal(database: sqlite3.Connection) -> None:
    """Switch a new database to write-ahead logging, which stays; SQLite itself does not wait for others here."""
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


def settled(votes: Sequence[State], reviewers: int) -> State:
    """Return the state that so many people have to agree on: the one most of them chose, pending while two lead."""
    ranked = Counter(votes).most_common()
    if len(votes) < reviewers or (len(ranked) > 1 and ranked[0][1] == ranked[1][1]):
        return "pending"
    return ranked[0][0]


def _add(database: sqlite3.Connection, entry: AuditEntry, reason: Reason, *, moment: str | None = None) -> None:
    record = entry.record
    row = (record["id"], moment or record["time"], json.dumps(list(record["groups"])))
    database.execute("INSERT OR IGNORE INTO items VALUES (?, ?, ?, 'pending', NULL, NULL, NULL)", row)
    database.execute("INSERT OR IGNORE INTO reasons VALUES (?, ?)", (record["id"], reason))


def _vote(database: sqlite3.Connection, answer: str, vote: Vote) -> None:
    if vote.state not in get_args(Decided):
        database.execute("DELETE FROM decisions WHERE answer = ? AND reviewer = ?", (answer, vote.by))
        return
    row = (answer, vote.by, vote.state, vote.time, vote.record)
    database.execute("INSERT OR REPLACE INTO decisions VALUES (?, ?, ?, ?, ?)", row)


def _place(database: sqlite3.Connection, log: str) -> tuple[int, str | None]:
    """Return how far a log was followed, and the digest of that record."""
    found = database.execute("SELECT number, digest FROM places WHERE log = ?", (log,)).fetchone()
    return found or (0, None)


def _keep_place(
    database: sqlite3.Connection, log: str, before: tuple[int, str | None], now: tuple[int, str | None]
) -> None:
    if now != before:
        database.execute("INSERT OR REPLACE INTO places VALUES (?, ?, ?)", (log, *now))


def _items(database: sqlite3.Connection, rows: Sequence[Sequence[Any]]) -> list[QueueItem]:
    def of(answer: str) -> tuple[tuple[Reason, ...], tuple[Vote, ...]]:
        reasons = database.execute(f"SELECT reason FROM reasons WHERE answer = ? ORDER BY {_RANK}", (answer,))
        query = "SELECT reviewer, state, time, record FROM decisions WHERE answer = ? ORDER BY record"
        votes = tuple(Vote(*vote) for vote in database.execute(query, (answer,)))
        return tuple(reason for (reason,) in reasons), votes

    items: list[QueueItem] = []
    for answer, moment, state, assignee, decided, promoted in rows:
        reasons, votes = of(answer)
        items.append(QueueItem(answer, moment, state, assignee, decided, promoted, reasons, votes))
    return items
