"""Read and write the folder of one training run: its rows, its progress, its outcome. Trains nothing.

models/<id>/job.json          the request; written first
            train.jsonl       rows {"id", "input", "output", …}; validation.jsonl the same
            progress.jsonl    one line per report of the trainer
            log.txt           output of the trainer and its libraries
            checkpoint/       the trainer's own files, to resume from
            failure.json      why it ended without an artifact
            state.json        the job at a provider, if there is one: {"job": its id, …}
            training.lock     locked by the process that trains
            artifact.json     written last, see artifacts.py
"""

import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from groundtune.common.files import read_json, write_atomic, write_json
from groundtune.common.format_version import check_version, versioned
from groundtune.errors import GroundtuneError, MissingError

JOB = "job.json"
JOB_FORMAT = 1
PROGRESS = "progress.jsonl"
FAILURE = "failure.json"
LOCK = "training.lock"
LOG = "log.txt"
STATE = "state.json"

JobAction = Literal["pause", "resume", "cancel"]
"""What can be done to a job at a provider."""


class TuneError(GroundtuneError):
    """A training run failed, or cannot be started."""


@dataclass(frozen=True, slots=True)
class BaselineRanking:
    """Passages that the project's own retriever finds for a question: the baseline of a tuned one."""

    found: tuple[str, ...] = ()
    """Ids of passages, best first; for validation rows only."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Texts by id, as they are trained on; texts given by an earlier row are not repeated."""
    lexical: Mapping[str, float] = field(default_factory=dict)
    """BM25 scores of passages by id, 0 to 1; all others have `floor`."""
    floor: float = 0.0
    groups: tuple[str, ...] = ()
    """Access groups of the user, who may not see passages that other users find."""


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """One example in the form a trainer takes."""

    id: str
    input: str
    output: Any
    """A label, None (out of scope), an object, or a text; for chats the last reply."""
    messages: tuple[Mapping[str, str], ...] = ()
    """The whole chat, `role` and `content`, the reply last; for causal models."""
    rejected: str | None = None
    """The rejected reply of a preference pair."""
    history: tuple[Mapping[str, str], ...] = ()
    """The conversation before the input, which `messages` contain; empty if the model does not see it."""
    positives: tuple[str, ...] = ()
    """Passages that answer the input; for retrievers."""
    negatives: tuple[str, ...] = ()
    ranking: BaselineRanking | None = None
    """Ranking of the question by the project's own retriever; for retrievers."""
    sources: tuple[str, ...] = ()
    """Documents whose text is in the row."""
    reasoning: str = ""
    """Thinking before the reply; for causal models trained on this machine."""


@dataclass(frozen=True, slots=True)
class Job:
    """Input of a trainer."""

    folder: Path
    name: str
    kind: str
    base: str
    """Folder, name on the Hugging Face Hub or provider's name of the base model."""
    settings: Mapping[str, Any]
    """The table [tune.NAME], defaults filled in."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Labels with descriptions, JSON Schema: whatever the kind needs to know of the project."""

    def rows(self, split: str) -> list[TrainingRow]:
        """Return the rows of train or validation. Raises MissingError when they are missing."""
        path = self.folder / f"{split}.jsonl"
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise MissingError(f"no file {path}", hint="start a training run: groundtune tune NAME") from None
        return [_row(json.loads(line)) for line in lines]

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint"


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """Progress of a training run."""

    epoch: float
    step: int
    steps: int
    """Total number of steps, as far as is known."""
    loss: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Metrics on the validation split, if they were measured."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """Result of a trainer; its files are in the job's folder."""

    files: Sequence[str]
    """Paths, inside the folder, of all files that are loaded for inference."""
    metrics: Mapping[str, float]
    base_digest: str
    details: Mapping[str, Any] = field(default_factory=dict)
    usd: float | None = 0.0
    unusable: str | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """Upper bounds on the cost of a training run, known before it begins; None when unknown."""

    seconds: float | None
    memory_mb: float | None
    usd: float | None
    note: str = ""
    steps: int | None = None
    """Optimiser steps, if the trainer decides them."""


ProgressCallback = Callable[[TrainingStep], None]


def write_job(job: Job, train: Sequence[TrainingRow], validation: Sequence[TrainingRow]) -> None:
    """Write the rows, then job.json, so that the rows are complete if job.json exists."""
    for split, rows in (("train", train), ("validation", validation)):
        lines = [json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows]
        write_atomic(job.folder / f"{split}.jsonl", "".join(lines).encode("utf-8", "backslashreplace"))
    write_job_file(job)


def write_job_file(job: Job) -> None:
    """Write job.json alone."""
    values = {key: value for key, value in asdict(job).items() if key != "folder"}
    write_json(job.folder / JOB, versioned(values, JOB_FORMAT))


def read_job(folder: Path) -> Job:
    """Read job.json.

    Raises MissingError when it does not exist or is damaged, FormatError when another version of groundtune wrote it.
    """
    path, retrain = folder / JOB, "train it again: groundtune tune NAME"
    values = check_version(read_json(path), path=path, supported=JOB_FORMAT, rebuild=retrain)
    try:
        return Job(folder=folder, **values)
    except TypeError as error:
        raise MissingError(f"{path} is damaged: {error}", hint=retrain) from None


def running_job(folder: Path) -> str | None:
    """Return the id of the job at a provider that was started in a folder and is not known to have ended."""
    try:
        job: str | None = read_json(folder / STATE).get("job")
    except MissingError:
        return None
    return job


def progress_writer(folder: Path) -> ProgressCallback:
    """Return a function that appends every step to progress.jsonl."""

    def report_step(step: TrainingStep) -> None:
        line = json.dumps({**asdict(step), "at": time.time()}, allow_nan=True) + "\n"
        with (folder / PROGRESS).open("a", encoding="utf-8") as file:
            file.write(line)

    return report_step


def read_progress(folder: Path) -> list[TrainingStep]:
    """Return the steps of all complete lines; empty when nothing was reported yet."""
    path = folder / PROGRESS
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        with contextlib.suppress(ValueError):  # half a line of a killed process, with the next one's appended
            rows.append(json.loads(line))
    return [TrainingStep(**{key: value for key, value in row.items() if key != "at"}) for row in rows]


def _row(values: dict[str, Any]) -> TrainingRow:
    row = TrainingRow(**values)
    ranking = values.get("ranking")
    return replace(
        row,
        ranking=BaselineRanking(**{**ranking, "found": tuple(ranking["found"]), "groups": tuple(ranking["groups"])})
        if ranking
        else None,
        messages=tuple(row.messages),
        history=tuple(row.history),
        positives=tuple(row.positives),
        negatives=tuple(row.negatives),
        sources=tuple(row.sources),
    )
