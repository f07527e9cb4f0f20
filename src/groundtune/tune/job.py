"""One training on disk: what to train on, how far it is, what came of it. Trains nothing.

models/<id>/job.json          what was asked for; written first
            train.jsonl       rows {"id", "input", "output", …}; validation.jsonl the same
            progress.jsonl    one line a report of the trainer
            log.txt           what trainer and libraries print
            checkpoint/       the trainer's own, to go on from
            failure.json      why it ended without an artifact
            training.lock     held by the process that trains
            artifact.json     written last, see artifacts.py
"""

import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from groundtune.errors import GroundtuneError, MissingError
from groundtune.workspace import read_json, write_atomic, write_json

JOB = "job.json"
PROGRESS = "progress.jsonl"
FAILURE = "failure.json"
LOCK = "training.lock"
LOG = "log.txt"


class TuneError(GroundtuneError):
    """A training ended without anything that may be used."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """What the project's own retriever makes of a question: what a tuned one is held against."""

    found: tuple[str, ...] = ()
    """Ids of passages, best first; of validation rows alone."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """By id, as the part that is trained reads them; those that a row before has given are not repeated."""
    lexical: Mapping[str, float] = field(default_factory=dict)
    """What BM25 says of passages, 0 to 1, by id; `floor` of all others."""
    floor: float = 0.0
    groups: tuple[str, ...] = ()
    """Of the asker: what another one finds may be closed to this one."""


@dataclass(frozen=True, slots=True)
class Row:
    """One example as a trainer takes it."""

    id: str
    input: str
    output: Any
    """A label, None (out of scope), an object, a text; for chats the last reply."""
    messages: tuple[Mapping[str, str], ...] = ()
    """The whole chat, `role` and `content`, the reply last; for causal models."""
    rejected: str | None = None
    """The reply that a person replaced; for preferences."""
    positives: tuple[str, ...] = ()
    """Passages that answer the input; for retrievers."""
    negatives: tuple[str, ...] = ()
    ranking: Ranking | None = None
    """Of a question for retrievers."""
    sources: tuple[str, ...] = ()
    """Documents whose text stands in the row."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a trainer is given."""

    folder: Path
    name: str
    kind: str
    base: str
    """Folder, hub name or provider's name of the model to start from."""
    settings: Mapping[str, Any]
    """The table [tune.NAME], defaults filled in."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Labels with descriptions, JSON Schema: what the kind needs to know of the project."""

    def rows(self, split: str) -> list[Row]:
        """train or validation. Raises MissingError when they are not there."""
        path = self.folder / f"{split}.jsonl"
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise MissingError(f"no file {path}", hint="groundtune tune starts a training") from None
        return [_row(json.loads(line)) for line in lines]

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint"


@dataclass(frozen=True, slots=True)
class Step:
    """Where a training stands."""

    epoch: float
    step: int
    steps: int
    """In all, as far as is known."""
    loss: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    """On the validation split, where it was measured."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a trainer hands back; its files lie in the job's folder."""

    files: Sequence[str]
    """Paths inside the folder of all that is loaded to ask the model."""
    metrics: Mapping[str, float]
    base_digest: str
    details: Mapping[str, Any] = field(default_factory=dict)
    usd: float | None = 0.0
    unusable: str | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a training takes at most, before it begins; None = unknown."""

    seconds: float | None
    memory_mb: float | None
    usd: float | None
    note: str = ""


Watch = Callable[[Step], None]


def write_job(job: Job, train: Sequence[Row], validation: Sequence[Row]) -> None:
    """Rows first, then job.json: where it is, the rows are whole."""
    for split, rows in (("train", train), ("validation", validation)):
        lines = [json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows]
        write_atomic(job.folder / f"{split}.jsonl", "".join(lines).encode("utf-8", "backslashreplace"))
    write_about(job)


def write_about(job: Job) -> None:
    """job.json alone."""
    write_json(job.folder / JOB, {key: value for key, value in asdict(job).items() if key != "folder"})


def read_job(folder: Path) -> Job:
    """Raises MissingError."""
    return Job(folder=folder, **read_json(folder / JOB))


def watcher(folder: Path) -> Watch:
    """Appends every step to progress.jsonl."""

    def watch(step: Step) -> None:
        line = json.dumps({**asdict(step), "at": time.time()}, allow_nan=True) + "\n"
        with (folder / PROGRESS).open("a", encoding="utf-8") as file:
            file.write(line)

    return watch


def read_progress(folder: Path) -> list[Step]:
    """The complete lines; none when nothing was reported yet."""
    path = folder / PROGRESS
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        with contextlib.suppress(ValueError):  # half a line of a process that was killed, and the next one's behind it
            rows.append(json.loads(line))
    return [Step(**{key: value for key, value in row.items() if key != "at"}) for row in rows]


def _row(values: dict[str, Any]) -> Row:
    row = Row(**values)
    found = values.get("ranking")
    return replace(
        row,
        ranking=Ranking(**{**found, "found": tuple(found["found"]), "groups": tuple(found["groups"])})
        if found
        else None,
        messages=tuple(row.messages),
        positives=tuple(row.positives),
        negatives=tuple(row.negatives),
        sources=tuple(row.sources),
    )
