"""Keep what the last `groundtune drift` said, in `.groundtune/drift.json`. Keeps no question: none has to be erased."""

import contextlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from groundtune.common.files import read_json, write_json
from groundtune.common.format_version import check_version, versioned
from groundtune.drift.report import DriftReport
from groundtune.errors import MissingError
from groundtune.workspace import Workspace

FILE = "drift.json"
FILE_VERSION = 1


@dataclass(frozen=True, slots=True)
class KeptDrift:
    """What a report of drift said."""

    time: str
    """When it was made: ISO 8601, UTC."""
    approach: str
    days: int
    recent: int
    """Answers that it looked at."""
    summary: str
    changed: tuple[str, ...]
    """Names of the signals that have changed measurably."""
    commands: tuple[str, ...]
    """What to do about it."""


def keep_drift(workspace: Workspace, report: DriftReport) -> None:
    """Keep a report instead of the one before; without write permission nothing is kept."""
    changed = tuple(dict.fromkeys(signal.name for signal in report.signals if signal.measurable))
    kept = KeptDrift(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        approach=report.approach,
        days=report.days,
        recent=report.recent,
        summary=report.summary,
        changed=changed,
        commands=tuple(action.command for action in report.actions),
    )
    with contextlib.suppress(MissingError, OSError):
        workspace.create()
        write_json(workspace.folder / FILE, versioned(asdict(kept), FILE_VERSION))


def read_kept_drift(workspace: Workspace) -> KeptDrift | None:
    """Return what the last report said; None before the first. Raises MissingError for a damaged file."""
    path = workspace.folder / FILE
    if not path.exists():
        return None
    rebuild = "delete it; groundtune drift writes it again"
    values: Mapping[str, Any] = check_version(read_json(path), path=path, supported=FILE_VERSION, rebuild=rebuild)
    return KeptDrift(**{**values, **{name: tuple(values[name]) for name in ("changed", "commands")}})
