"""Every approach on the same test examples, into one matrix on disk. Decides nothing; that reads the matrix later."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from groundtune.errors import UsageError
from groundtune.measure.runner import RESULTS, ApproachSummary, run, summarise
from groundtune.protocols import Approach
from groundtune.types import Example, Result
from groundtune.workspace import Workspace, digest_text, read_json, write_json

HOSTED_CONCURRENCY = 8
"""Calls at a time to an endpoint; what runs on this machine runs one at a time, so that its seconds mean something."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A filled matrix: where it lies, its cells, and one summary an approach."""

    run: str
    results_file: Path
    examples: int
    results: tuple[Result, ...]
    summaries: tuple[ApproachSummary, ...]


async def compare(
    workspace: Workspace,
    approaches: Mapping[str, Approach],
    examples: Sequence[Example],
    *,
    conditions: Mapping[str, object],
    remote: Sequence[str] = (),
    progress: Callable[[Result], None] = lambda _: None,
) -> Comparison:
    """Fill the matrix; a run that was cut short under the same `conditions` goes on where it stopped.

    conditions: what the outcome depends on besides the examples (index, models, settings); plain JSON values.
    remote: names of the approaches that call an endpoint.
    """
    if not examples:
        raise UsageError("no example is in the test split", hint='add examples, or set "split": "test" on some')
    identity = digest_text(json.dumps([sorted(approaches), [repr(e) for e in examples], conditions], sort_keys=True))
    folder = _unfinished(workspace, identity) or _new(workspace, identity, approaches, examples, conditions)
    here = [approach for name, approach in approaches.items() if name not in remote]
    away = [approach for name, approach in approaches.items() if name in remote]
    results = await run(here, examples, folder=folder, concurrency=1, progress=progress)
    results += await run(away, examples, folder=folder, concurrency=HOSTED_CONCURRENCY, progress=progress)
    write_json(folder / "run.json", {**read_json(folder / "run.json"), "complete": True})
    order = list(approaches)
    summaries = sorted(summarise(results), key=lambda summary: order.index(summary.approach))
    return Comparison(folder.name, folder / RESULTS, len(examples), tuple(results), tuple(summaries))


def _unfinished(workspace: Workspace, identity: str) -> Path | None:
    for path in sorted(workspace.runs.glob("*/run.json"), reverse=True):
        about = read_json(path)
        if about.get("identity") == identity and not about.get("complete"):
            return path.parent
    return None


def _new(
    workspace: Workspace,
    identity: str,
    approaches: Mapping[str, Approach],
    examples: Sequence[Example],
    conditions: Mapping[str, object],
) -> Path:
    started = datetime.now(UTC)
    name = started.strftime("%Y%m%d-%H%M%S")
    number = 1
    while (folder := workspace.runs / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    write_json(
        folder / "run.json",
        {
            "identity": identity,
            "started": started.isoformat(timespec="seconds"),
            "approaches": list(approaches),
            "examples": [example.id for example in examples],
            "conditions": dict(conditions),
            "complete": False,
        },
    )
    return folder
