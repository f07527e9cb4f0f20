"""List the runs of a project with what was recorded of each. Computes no verdict, and says nothing of its validity."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from groundtune.common.files import read_json
from groundtune.common.format_version import check_version
from groundtune.errors import GroundtuneError
from groundtune.workflows.runs import RUN, read_run_file
from groundtune.workflows.verdict_files import FILE, FORMAT, REBUILD
from groundtune.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run as its files describe it."""

    name: str
    started: str | None = None
    """ISO 8601."""
    complete: bool = False
    split: str | None = None
    n: int | None = None
    """Examples of the recorded verdict; None without one."""
    choice: str | None = None
    sentence: str | None = None
    """The recorded verdict; None where there is none."""
    problem: str | None = None
    """Why the run cannot be read."""


def list_runs(workspace: Workspace) -> tuple[ListedRun, ...]:
    """Return all runs, the newest first."""
    return tuple(sorted(_runs(workspace), key=lambda run: (run.started or "", run.name), reverse=True))


def _runs(workspace: Workspace) -> Iterator[ListedRun]:
    for path in workspace.runs.glob(f"*/{RUN}"):
        try:
            yield _listed(path.parent)
        except (GroundtuneError, KeyError) as error:
            problem = error.message if isinstance(error, GroundtuneError) else f"{FILE} lacks {error}"
            yield ListedRun(path.parent.name, problem=problem)


def _listed(folder: Path) -> ListedRun:
    about = read_run_file(folder)
    run = ListedRun(folder.name, about.get("started"), bool(about.get("complete")), about.get("about", {}).get("split"))
    path = folder / FILE
    if not path.exists():
        return run
    record = check_version(read_json(path), path=path, supported=FORMAT, rebuild=REBUILD)
    verdict, evidence = record["verdict"], record["evidence"]
    return replace(run, n=evidence["n"], choice=verdict["choice"], sentence=verdict["sentence"])
