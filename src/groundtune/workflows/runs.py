"""Find and read the runs of a project. Never writes one: comparing.py does.

runs/<time>/run.json        what was run, the conditions, and whether it is complete
            examples.jsonl  the examples at that time
            results.jsonl   the matrix, with passages.jsonl and judgements.jsonl beside it
            figures.json    what was computed from them, see figures.py
            curve.json      scores by number of train examples, see curve_file.py
            routing.json    whether a router pays, see routing_file.py
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

from groundtune.common.files import read_json, read_json_lines
from groundtune.common.format_version import check_version
from groundtune.errors import MissingError
from groundtune.measure.results import RESULTS, read_results
from groundtune.types import Evidence, Example, Message, Result, Review
from groundtune.workflows.curve_file import LearningCurve, read_curve
from groundtune.workflows.figures import Figures, figures_key, read_figures
from groundtune.workflows.routing_file import RoutingNote, read_routing
from groundtune.workflows.stopping import Stopping
from groundtune.workspace import Workspace

RUN = "run.json"
RUN_FORMAT = 1
EXAMPLES = "examples.jsonl"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Run:
    """A matrix with its metadata; a bare results file has none."""

    results: Sequence[Result]
    file: Path
    """The matrix."""
    name: str | None = None
    started: str | None = None
    complete: bool = True
    about: Mapping[str, Any] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    barred: Mapping[str, str] = field(default_factory=dict)
    examples: Sequence[Example] = ()
    stopping: Stopping | None = None
    """How far a run went that asks until it is decided; None for a run of the whole matrix."""
    curve: LearningCurve | None = None
    """Scores by number of train examples; None where they were not measured."""
    routing: RoutingNote | None = None
    """Whether a router pays; None where none was tried."""
    figures: Figures | None = field(default=None, compare=False)
    """What was computed from the matrix earlier; None: it has to be computed."""
    key: str | None = None
    """Digest of what figures are computed from; None: they are not kept."""


class ReadLater(Sequence[T], Generic[T]):
    """Rows of a file that are read when the first of them is asked for."""

    def __init__(self, read: Callable[[], Sequence[T]]) -> None:
        self._read = read

    @cached_property
    def _rows(self) -> tuple[T, ...]:
        return tuple(self._read())

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[T]: ...
    def __getitem__(self, at: int | slice) -> T | Sequence[T]:
        return self._rows[at]

    def __len__(self) -> int:
        return len(self._rows)

    def __eq__(self, other: object) -> bool:
        return self._rows == (other._rows if isinstance(other, ReadLater) else other)

    __hash__ = None  # type: ignore[assignment]


def read_run(path: Path) -> Run:
    """Read a run from its folder or its results file, with the metadata beside it if present.

    Rows are read later, if ever, where the figures that were kept are still theirs. Raises MissingError when there are
    no results, ConfigError for invalid lines, FormatError for a run of another version of groundtune.
    """
    file = path / RESULTS if path.is_dir() else path
    if not file.is_file():
        raise MissingError(f"no results file {file}", hint="groundtune compare writes one")
    folder = file.parent
    if file.name != RESULTS or not (folder / RUN).is_file():
        return Run(_read_rows(file), file)
    metadata = read_run_file(folder)
    about = metadata.get("about", {})
    key = figures_key(folder, about, (RESULTS, EXAMPLES))
    figures = read_figures(folder, key)
    examples = ReadLater(lambda: tuple(map(_example, read_json_lines(folder / EXAMPLES))))
    order = metadata.get("approaches", ())
    results = ReadLater(lambda: _sorted_results(_read_rows(file), [example.id for example in examples], order))
    return Run(
        results if figures else tuple(results),
        file,
        name=folder.name,
        started=metadata.get("started"),
        complete=bool(metadata.get("complete")),
        about=about,
        missing=metadata.get("missing", {}),
        barred=metadata.get("barred", {}),
        examples=examples,
        stopping=Stopping.read(metadata["stopping"]) if "stopping" in metadata else None,
        curve=read_curve(folder),
        routing=read_routing(folder),
        figures=figures,
        key=key,
    )


def _read_rows(file: Path) -> tuple[Result, ...]:
    results = tuple(read_results(file))
    if not results:
        raise MissingError(f"{file} has no results yet", hint="resume it with groundtune compare")
    return results


def _sorted_results(
    results: Sequence[Result], examples: Sequence[str], approaches: Sequence[str]
) -> tuple[Result, ...]:
    """Sort rows by example and approach; the order in the file is the order of completion, which varies."""
    row, column = ({name: place for place, name in enumerate(names)} for names in (examples, approaches))
    last = len(results)
    return tuple(sorted(results, key=lambda result: (row.get(result.example, last), column.get(result.approach, last))))


def read_run_file(folder: Path) -> dict[str, Any]:
    """Read run.json.

    Raises MissingError when it is damaged, FormatError when another version of groundtune wrote it.
    """
    path = folder / RUN
    return check_version(read_json(path), path=path, supported=RUN_FORMAT, rebuild="groundtune compare --fresh")


def run_folder(workspace: Workspace, name: str | None = None) -> Path:
    """Return the folder of a run by name, or of the latest run with results. Raises MissingError."""
    runs = sorted(path.parent for path in workspace.runs.glob(f"*/{RUN}"))
    if name is None:
        with_rows = [folder for folder in runs if (folder / RESULTS).is_file() and (folder / RESULTS).stat().st_size]
        if not with_rows:
            raise MissingError("there is no run yet", hint="groundtune compare")
        return max(with_rows, key=lambda folder: (_used(folder), folder.name))
    matching = [folder for folder in runs if folder.name == name]
    if not matching:
        known = ", ".join(folder.name for folder in runs[-5:])
        raise MissingError(f"no run {name!r}", hint=f"latest runs: {known}" if known else "groundtune compare")
    return matching[0]


def _used(folder: Path) -> str:
    """Return when a run was last used, also for a run that only a newer groundtune can read."""
    values = read_json(folder / RUN)
    return str(values.get("used", "")) if isinstance(values, dict) else ""


def _example(row: Mapping[str, Any]) -> Example:
    lists = {
        "tags": tuple(row["tags"]),
        "groups": tuple(row["groups"]),
        "evidence": tuple(Evidence(**item) for item in row["evidence"]),
        "history": tuple(Message(**turn) for turn in row.get("history", ())),  # older runs have none
        "facts": tuple(map(tuple, row.get("facts", ()))),
        "review": Review(**row["review"]) if row.get("review") else None,
    }
    return Example(**{**row, **lists})
