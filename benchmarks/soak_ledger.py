"""Keep the truth of a soak: which marker word each document holds, where, for which groups, and since when.

A document passes through states. A state begins just before the files change, and is finished when an ingest that
started later has returned. From the beginning of a state until its successor is finished, its text may be shown; from
its finish until its successor begins, it must be found. Only the ingester writes the ledger.
"""

import json
import random
import re
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

FOLDERS = 8
GROUPS = ("alpha", "beta")
EVERYONE: tuple[str, ...] = ()
ACCESS = (EVERYONE, EVERYONE, ("alpha",), ("beta",), ("alpha", "beta"))
"""Groups that a folder may be restricted to; drawn with equal chances."""
MARKER = re.compile(r"mk\d{4}v\d{4}z")
_WORDS = (
    "the a of to and in for with on by from at after before each every new old team order price report customer "
    "delivery bicycle battery invoice week month office manager contract return repair workshop frame wheel is was "
    "must may can will needs takes keeps sends holds checks signs pays reads writes north south river market winter "
    "summer copper wooden silent early narrow public letter garden engine tunnel bridge station harbour museum"
).split()
_SCHEMA = """
CREATE TABLE IF NOT EXISTS states (
    id INTEGER PRIMARY KEY, document INTEGER NOT NULL, marker TEXT, path TEXT, groups TEXT NOT NULL,
    begun REAL NOT NULL, finished REAL
);
CREATE TABLE IF NOT EXISTS rules (folder TEXT PRIMARY KEY, groups TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS states_document ON states (document);
CREATE INDEX IF NOT EXISTS states_marker ON states (marker);
CREATE INDEX IF NOT EXISTS states_path ON states (path);
"""
_COLUMNS = """s.id, s.document, s.marker, s.path, s.groups, s.begun, s.finished,
    (SELECT min(begun) FROM states n WHERE n.document = s.document AND n.id > s.id),
    (SELECT min(finished) FROM states n WHERE n.document = s.document AND n.id > s.id)"""

Fault = Literal["ghost", "leak"]


@dataclass(frozen=True, slots=True)
class State:
    """One state of a document. All times are `time.monotonic()`, which processes of one machine share."""

    id: int
    document: int
    marker: str | None
    """None for a deleted document."""
    path: str | None
    groups: tuple[str, ...]
    """Empty: everyone."""
    begun: float
    finished: float | None
    replaced: float | None
    """When the next state began."""
    ended: float | None
    """When an ingest had finished the next state, or one after it."""

    def shown_between(self, start: float, end: float) -> bool:
        """Whether its text may be shown at some moment of the span."""
        return self.begun <= end and (self.ended is None or self.ended >= start)

    def held_between(self, start: float, end: float) -> bool:
        """Whether it must be in the index during the whole span."""
        return (
            self.path is not None
            and self.finished is not None
            and self.finished < start
            and (self.replaced is None or self.replaced > end)
        )

    def readable(self, groups: Sequence[str]) -> bool:
        return not self.groups or not set(self.groups).isdisjoint(groups)


class Ledger:
    """The ledger in an SQLite file. Use one object per thread."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=60, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    # -- writing -------------------------------------------------------------------------------------------------

    def begin(
        self, states: Iterable[tuple[int, str | None, str | None]], rules: dict[str, tuple[str, ...]] | None = None
    ) -> None:
        """Note new states, as (document, marker, path), and new rules, before any file changes."""
        self._db.execute("BEGIN IMMEDIATE")
        for folder, groups in (rules or {}).items():
            self._db.execute("INSERT OR REPLACE INTO rules VALUES (?, ?)", (folder, json.dumps(groups)))
        current = self.rules()
        for document, marker, path in states:
            groups = current[path.split("/")[1]] if path else ()
            self._db.execute(
                "INSERT INTO states (document, marker, path, groups, begun) VALUES (?, ?, ?, ?, ?)",
                (document, marker, path, json.dumps(groups), time.monotonic()),
            )
        self._db.execute("COMMIT")

    def finish(self, *, begun_before: float) -> None:
        """Note that an ingest, which started at that time, has returned."""
        self._db.execute(
            "UPDATE states SET finished = ? WHERE finished IS NULL AND begun < ?", (time.monotonic(), begun_before)
        )

    # -- reading -------------------------------------------------------------------------------------------------

    def rules(self) -> dict[str, tuple[str, ...]]:
        """Return the groups of each folder."""
        rows = self._db.execute("SELECT folder, groups FROM rules")
        return {folder: tuple(json.loads(groups)) for folder, groups in rows}

    def latest(self) -> dict[int, State]:
        """Return the newest state of each document."""
        return {state.document: state for state in self._states("1 ORDER BY s.id")}

    def history(self, document: int) -> list[State]:
        return self._states("s.document = ? ORDER BY s.id", document)

    def state(self, number: int) -> State:
        return self._states("s.id = ?", number)[0]

    def unfinished(self) -> bool:
        return self._db.execute("SELECT 1 FROM states WHERE finished IS NULL LIMIT 1").fetchone() is not None

    def draw(self, random_number: random.Random, *, gone: bool) -> State | None:
        """Return a random finished state: one that is current, or a recent one whose end an ingest has finished."""
        if gone:
            states = [
                state
                for state in self._states("s.path IS NOT NULL AND s.finished IS NOT NULL ORDER BY s.id DESC LIMIT 300")
                if state.ended is not None
            ]
        else:
            states = [state for state in self.latest().values() if state.finished is not None and state.path]
        return random_number.choice(states) if states else None

    def fault(
        self, text: str, source: str | None, groups: Sequence[str], *, start: float, end: float
    ) -> tuple[Fault, str] | None:
        """Return why a text must not have been shown to a user of these groups in this span; None if it may have been.

        source: the document it is from; None for the text of a whole answer, of which only the markers are checked.
        """
        for marker in set(MARKER.findall(text)):
            states = [state for state in self._states("s.marker = ?", marker) if source in (None, state.path)]
            if fault := _fault(states, groups, start, end):
                return fault, marker
        if source is not None and (fault := _fault(self._states("s.path = ?", source), groups, start, end)):
            return fault, source
        return None

    def span(self, text: str, source: str) -> tuple[float, float]:
        """Return the time during which this source may have shown this text; empty spans end before they start."""
        begun, ended = 0.0, float("inf")
        for marker in set(MARKER.findall(text)) or {None}:
            states = self._states("s.marker = ?", marker) if marker else self._states("s.path = ?", source)
            states = [state for state in states if state.path == source]
            if not states:
                return float("inf"), 0.0
            begun = max(begun, min(state.begun for state in states))
            ended = min(ended, max(float("inf") if state.ended is None else state.ended for state in states))
        return begun, ended

    def _states(self, where: str, *values: object) -> list[State]:
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM states s WHERE {where}", values)
        return [State(*row[:4], tuple(json.loads(row[4])), *row[5:]) for row in rows]


def _fault(states: Sequence[State], groups: Sequence[str], start: float, end: float) -> Fault | None:
    shown = [state for state in states if state.shown_between(start, end)]
    if not shown:
        return "ghost"
    return None if any(state.readable(groups) for state in shown) else "leak"


# -- documents ---------------------------------------------------------------------------------------------------------


def name_word(document: int) -> str:
    """Return the word that every version of a document contains."""
    return f"dk{document:04}z"


def marker_word(document: int, version: int) -> str:
    return f"mk{document:04}v{version:04}z"


def document_text(document: int, marker: str) -> str:
    """Return three paragraphs of about 130 tokens under one heading: the first is the same in every version."""
    draw = random.Random(document)
    name = name_word(document)
    first, second, third = (_prose(draw, 7) for _ in range(3))
    return (
        f"# Notice {name}\n\nThe notice {name} is about a {draw.choice(_WORDS)} matter. {first}\n\n"
        f"The current code of the notice {name} is {marker}. {second}\n\n"
        f"Whoever sends the code {marker} to the office gets the goods of {name}. {third}\n"
    )


def question_about(state: State) -> str:
    return f"What is the current code {state.marker} of the notice {name_word(state.document)}?"


def _prose(draw: random.Random, sentences: int) -> str:
    return " ".join(" ".join(draw.sample(_WORDS, 12)).capitalize() + "." for _ in range(sentences))
