"""Erase what comes from documents out of runs, trainings and files of examples. Decides nothing, changes no index.

Each function returns what it erased; with `dry_run` it only counts.
"""

import json
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from groundtune.common.files import write_atomic
from groundtune.common.traces import Traces
from groundtune.errors import GroundtuneError
from groundtune.measure.results import RESULTS
from groundtune.tune.artifacts import ARTIFACT
from groundtune.tune.incomplete import remove_training
from groundtune.tune.job import LOG
from groundtune.workflows.runs import EXAMPLES, read_run_file
from groundtune.workspace import Workspace

DERIVED = ("figures.json", "report.html", "report.json", "verdict.json", "verdict.md")
"""Files of a run that are computed from its matrix; `groundtune report` writes them again."""
BLANK: Mapping[str, Any] = {"output": None, "citations": [], "warnings": [], "grounding": None}
"""What a cell of the matrix holds in place of its texts; scores, tokens, cost and time stay."""
PERSON = "person"
"""Origin of the examples that people wrote."""
LARGEST_SEARCHED = 50_000_000
"""Larger files are not searched for what is left."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ErasedRun:
    """What a run lost."""

    name: str
    examples: int
    """Examples that came from the documents, left out with their cells."""
    answers: int
    """Cells of other examples that keep their scores and lost their texts."""


@dataclass(frozen=True, slots=True)
class ErasedExamples:
    """What a file of examples lost, and what it keeps."""

    file: str
    dropped: tuple[str, ...]
    """Ids of the examples that a program made."""
    kept: tuple[str, ...]
    """Ids of those that people wrote."""


def run_folders(workspace: Workspace) -> list[Path]:
    """Return the folders of all runs, those of learning curves included."""
    return sorted([*workspace.runs.glob("*/"), *workspace.curve.glob("*/runs/*/")])


def erase_runs(workspace: Workspace, traces: Traces, models: Collection[str], *, dry_run: bool) -> list[ErasedRun]:
    """Erase examples and texts of runs. models: ids of the models that were trained on the documents."""
    erased = (_erase_run(folder, traces, models, dry_run=dry_run) for folder in run_folders(workspace))
    return [run for run in erased if run]


def _erase_run(folder: Path, traces: Traces, models: Collection[str], *, dry_run: bool) -> ErasedRun | None:
    gone = {row.get("id") for row in _rows(folder / EXAMPLES) if traces.in_value(row)}
    approaches = _approaches_of(folder, models)
    blanked: set[tuple[Any, Any]] = set()

    def cell(row: Row) -> Row | None:
        if row.get("example") in gone:
            return None
        if row.get("approach") not in approaches and not traces.in_value(row):
            return row
        blanked.add((row.get("example"), row.get("approach")))
        error = row.get("error")
        return {**row, **BLANK, "error": {**error, "message": ""} if isinstance(error, dict) else None}

    def note(row: Row) -> Row | None:
        about = row.get("example"), row.get("approach")
        return None if about[0] in gone or about in blanked or traces.in_value(row) else row

    changed = _rewrite(folder / RESULTS, traces, cell, dry_run=dry_run)
    for path in folder.glob("*.jsonl"):
        if path.name == EXAMPLES:
            changed |= _rewrite(path, traces, partial(_unless_id, gone), dry_run=dry_run)
        elif path.name != RESULTS:
            changed |= _rewrite(path, traces, note, dry_run=dry_run)
    if not changed:
        return None
    if not dry_run:
        for name in DERIVED:
            (folder / name).unlink(missing_ok=True)
    return ErasedRun(folder.name, len(gone), len(blanked))


def _approaches_of(folder: Path, models: Collection[str]) -> set[str]:
    """Return the approaches of a run that asked one of the models."""
    try:
        about = read_run_file(folder).get("about", {})
    except GroundtuneError:  # damaged, or of another version: its rows tell what they can
        return set()
    return {name for name, artifact in about.get("artifacts", {}).items() if artifact in models}


def trainings_on(workspace: Workspace, traces: Traces) -> list[Path]:
    """Return the folders of trainings whose rows come from the documents, complete or not."""
    folders = [path for models in workspace.model_folders for path in sorted(models.glob("*/"))]
    return [folder for folder in folders if any(map(traces.in_value, _training_rows(folder)))]


def erase_training(folder: Path, traces: Traces, *, dry_run: bool) -> int:
    """Erase rows, log and checkpoint of a training, or all of one that is not complete; return the number of rows.

    Raises BusyError while it goes on.
    """
    count = sum(map(traces.in_value, _training_rows(folder)))
    if dry_run:
        return count
    if not (folder / ARTIFACT).exists():
        remove_training(folder.parent, folder.name)
        return count
    for path in folder.glob("*.jsonl"):
        _rewrite(path, traces, lambda row: None if traces.in_value(row) else row, dry_run=False)
    (folder / LOG).unlink(missing_ok=True)
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)
    return count


def _training_rows(folder: Path) -> Iterator[Row]:
    for split in ("train", "validation"):
        yield from _rows(folder / f"{split}.jsonl")


def erase_examples(root: Path, paths: Sequence[Path], traces: Traces, *, dry_run: bool) -> list[ErasedExamples]:
    """Erase the examples that a program made from the documents; those of people are named and stay."""
    erased = []
    for path in paths:
        touched = [row for row in _rows(path) if traces.in_value(row)]
        made = {row["id"] for row in touched if "id" in row and row.get("origin", PERSON) != PERSON}
        kept = tuple(str(row.get("id")) for row in touched if row.get("id") not in made)
        if not touched:
            continue
        _rewrite(path, traces, partial(_unless_id, made), dry_run=dry_run)
        erased.append(ErasedExamples(path.relative_to(root).as_posix(), tuple(map(str, made)), kept))
    return erased


def _unless_id(ids: Collection[Any], row: Row) -> Row | None:
    return None if row.get("id") in ids else row


def search_files(paths: Iterable[Path], excerpts: Sequence[str]) -> list[Path]:
    """Return the files that hold one of the excerpts, as UTF-8 or as JSON writes it."""
    needles = {form.encode() for text in excerpts for form in (text, json.dumps(text)[1:-1])}
    return [path for path in paths if needles and _holds(path, needles)]


def _holds(path: Path, needles: Collection[bytes]) -> bool:
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST_SEARCHED:
            return False
        data = path.read_bytes()
    except OSError:
        return False
    return any(needle in data for needle in needles)


def _rows(path: Path) -> Iterator[Row]:
    """Yield the objects of a file of JSON lines, empty where it does not exist; what is no object is left out."""
    if path.is_file():
        for line in path.read_bytes().split(b"\n"):
            if (row := _object(line)) is not None:
                yield row


def _object(line: bytes) -> Row | None:
    try:
        row = json.loads(line.decode("utf-8-sig", "surrogatepass"))
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _rewrite(path: Path, traces: Traces, change: Callable[[Row], Row | None], *, dry_run: bool) -> bool:
    """Change or drop rows of a file; lines that stay are kept to the byte. Return whether any changed."""
    if not path.is_file():
        return False
    before = [line for line in path.read_bytes().split(b"\n") if line.strip()]
    after = [changed for line in before if (changed := _changed(line, traces, change)) is not None]
    if after != before and not dry_run:
        write_atomic(path, b"".join(line + b"\n" for line in after))
    return after != before


def _changed(line: bytes, traces: Traces, change: Callable[[Row], Row | None]) -> bytes | None:
    row = _object(line)
    if row is None:  # such as a line that was cut off by a kill
        return None if traces.in_text(line.decode("utf-8", "replace")) else line
    changed = change(row)
    if changed is row:
        return line
    return None if changed is None else json.dumps(changed).encode()
