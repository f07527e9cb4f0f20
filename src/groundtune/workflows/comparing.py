"""Every approach on the same examples, into one matrix on disk. Decides nothing; that reads the matrix later.

runs/<time>/run.json        what was run, under which conditions, and whether it is complete
            examples.jsonl  the examples as they were
            results.jsonl   the matrix; passages.jsonl and judgements.jsonl beside it
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

from groundtune import build
from groundtune.config import Config
from groundtune.errors import MissingError, UsageError
from groundtune.fitted import Fitted
from groundtune.lineup import Lineup, Material, line_up
from groundtune.measure.results import RESULTS, read_results
from groundtune.measure.runner import Filled, JudgeCall, run
from groundtune.measure.scoring import Score
from groundtune.task import primary_of, scorer, scores_of
from groundtune.tune.job import read_job
from groundtune.tune.preflight.findings import folded
from groundtune.types import Example
from groundtune.workspace import Workspace, digest_file, digest_text, read_json, unused, write_atomic, write_json

RUN = "run.json"
EXAMPLES = "examples.jsonl"
PATIENCE_SECONDS = 600.0
"""How long one call of a comparison waits for rate limits before it fails."""
_SETTINGS = {
    "task", "language", "instructions", "labels", "schema_file", "models", "embedder", "passages", "retrieval",
    "answers", "shots", "context", "checks", "judge", "prices",
}  # fmt: skip
"""Sections of the project file that an answer or its score depends on."""


@dataclass(frozen=True, slots=True)
class Step:
    """Where a comparison stands after a cell."""

    done: int
    total: int
    approach: str
    spent_usd: float
    """Paid in this run, as far as prices are known; what came out of the cache costs nothing."""


async def compare(
    workspace: Workspace,
    config: Config,
    material: Material,
    examples: Sequence[Example],
    *,
    fitted: Fitted,
    split: str = "test",
    names: Sequence[str] = (),
    primary: str | None = None,
    budget_usd: float | None = None,
    fresh: bool = False,
    progress: Callable[[Step], None] = lambda _: None,
) -> Path:
    """The folder of a run of every approach that can run, or of the named ones, through the cache.

    Raises MissingError when none can run, BudgetError when the next call might pass the budget.
    """
    require(examples, split)
    if (wanted := primary or primary_of(config)) not in (known := scores_of(config)):
        raise UsageError(f"no row will have the score {wanted!r}", hint=f"there are {', '.join(known)}")
    purse = build.purse(budget_usd)
    material = replace(
        material,
        embedder=material.for_many,
        keep=build.keeping(workspace.cache, purse),
        patience_seconds=PATIENCE_SECONDS,
        turn=asyncio.Semaphore(1) if config.embedder.kind != "openai" else None,
    )
    lineup = await line_up(config, material)
    lineup = lineup.chosen(names)
    examples, trained_on = _unseen(examples, lineup, material.models)
    judge = build.judge(config, material.embedder, material.keep, patience_seconds=PATIENCE_SECONDS)
    return await fill(
        workspace,
        lineup,
        examples,
        about={
            **_about(config, material, fitted),
            "form": repr(material.form),
            "checks": [digest_file(path) for path in _check_files(config, material.root)],
            "requests": {name: lineup.requests.get(name) for name in sorted(set(lineup.model.values()))},
            "artifacts": {name: one.id for name, one in lineup.artifacts.items() if name in lineup.ready},
        },
        told={**_told(config, lineup), "primary": wanted, "trained_on": trained_on},
        score=scorer(config, material.form, material.root),
        judge=judge.judge if judge else None,
        fresh=fresh,
        spent=lambda: purse.spent,
        progress=progress,
    )


def require(examples: Sequence[Example], split: str) -> None:
    """Raises UsageError when there is nothing to ask."""
    if not examples:
        raise UsageError(f"no example is in the {split} split", hint=f'add examples, or set "split": "{split}" on some')


def _unseen(
    examples: Sequence[Example], lineup: Lineup, models: Path | None
) -> tuple[Sequence[Example], dict[str, int]]:
    """The examples that no approach was trained on, and of how many each that was has seen the id or the input.

    Rows may have come to this split, or been written once more, since the training. Raises UsageError when none is
    left.
    """
    seen: dict[str, set[str]] = {}
    for name, artifact in lineup.artifacts.items():
        if name in lineup.ready and models:
            job = read_job(models / artifact.id)
            rows = [*job.rows("train"), *job.rows("validation")]
            inputs = {folded(row.input) for row in rows}
            ids = {row.id for row in rows}
            if found := {one.id for one in examples if one.id in ids or folded(one.input) in inputs}:
                seen[name] = found
    every = set().union(*seen.values())
    left = [one for one in examples if one.id not in every]
    if not left:
        again = ", ".join(f"groundtune tune {lineup.artifacts[name].name}" for name in seen)
        raise UsageError(f"{', '.join(seen)} had every example in training", hint=f"train again without them: {again}")
    return left, {name: len(found) for name, found in seen.items()}


async def fill(
    workspace: Workspace,
    lineup: Lineup,
    examples: Sequence[Example],
    *,
    about: Mapping[str, Any],
    score: Score,
    told: Mapping[str, Any] | None = None,
    judge: JudgeCall | None = None,
    fresh: bool = False,
    spent: Callable[[], float] = lambda: 0.0,
    progress: Callable[[Step], None] = lambda _: None,
) -> Path:
    """The folder of a run whose matrix is complete.

    A run under the same conditions is used again: what it lacks is asked, its errors once more, nothing else.
    about: what the outcome depends on besides the examples and the approaches' names; plain JSON values. told: what
    only its reading depends on. fresh: begin a new run in any case. Raises what `measure.runner.run` raises; the run
    so far stays readable.
    """
    identity = digest_text(json.dumps([sorted(lineup.ready), [repr(e) for e in examples], about], sort_keys=True))
    folder = None if fresh else _same(workspace, identity)
    folder = folder or _new(workspace, identity, lineup, examples)
    now = {"about": {**about, **(told or {})}, "used": datetime.now(UTC).isoformat()}
    write_json(folder / RUN, {**read_json(folder / RUN), **now})
    total = len(lineup.ready) * len(examples)
    done = sum(row.error is None for row in read_results(folder / RESULTS))

    def step(filled: Filled) -> None:
        nonlocal done
        done += 1
        progress(Step(done, total, filled.result.approach, spent()))

    by_pace = sorted(lineup.ready.values(), key=lambda approach: lineup.concurrency.get(approach.name, 1))
    for concurrency, approaches in groupby(by_pace, key=lambda approach: lineup.concurrency.get(approach.name, 1)):
        await run(
            list(approaches),
            examples,
            folder=folder,
            concurrency=concurrency,
            progress=step,
            score=score,
            judge=judge,
            retry_errors=True,
        )
    write_json(folder / RUN, {**read_json(folder / RUN), "complete": True})
    return folder


def run_folder(workspace: Workspace, name: str | None = None) -> Path:
    """The folder of a run by its name, or of the latest one that has a row. Raises MissingError."""
    runs = sorted(path.parent for path in workspace.runs.glob(f"*/{RUN}"))
    if name is None:
        begun = [folder for folder in runs if (folder / RESULTS).is_file() and (folder / RESULTS).stat().st_size]
        if not begun:
            raise MissingError("there is no run yet", hint="groundtune compare")
        return max(begun, key=lambda folder: (read_json(folder / RUN).get("used", ""), folder.name))
    found = [folder for folder in runs if folder.name == name]
    if not found:
        known = ", ".join(folder.name for folder in runs[-5:])
        raise MissingError(f"no run {name!r}", hint=f"there are: {known}" if known else "groundtune compare")
    return found[0]


def _check_files(config: Config, root: Path) -> list[Path]:
    """What the checks of the project file are made of, as far as it lies in the project."""
    named = [root / check.schema_file for check in config.checks if check.schema_file]
    modules = [check.function.partition(":")[0].replace(".", "/") for check in config.checks if check.function]
    return [path for path in (*named, *(root / f"{module}.py" for module in modules)) if path.is_file()]


def _about(config: Config, material: Material, fitted: Fitted) -> dict[str, Any]:
    """What the outcome depends on."""
    manifest = material.index.manifest if material.index else None
    return {
        "version": version("groundtune"),
        "task": config.task,
        "settings": config.model_dump(mode="json", include=_SETTINGS),
        "index": [manifest.generation, manifest.parts] if manifest else None,
        "documents": material.index.catalog.digest() if material.index else None,
        "fitted": asdict(fitted),
        "shown": digest_text("".join(map(repr, material.train))),
    }


def _told(config: Config, lineup: Lineup) -> dict[str, Any]:
    """What the verdict must know and no row depends on: changed, it is judged anew and nothing is asked again."""
    needs = config.requirements
    trained = {name: one for name, one in lineup.artifacts.items() if name in lineup.ready}
    return {
        "name": config.name,
        "requirements": {
            "citations": needs.citations,
            "max_p95_seconds": needs.max_p95_seconds,
            "max_usd_per_1k": needs.max_usd_per_1k,
            "max_usd_per_month": needs.max_usd_per_month,
            "requests_per_month": config.costs.requests_per_month,
        },
        "months": config.costs.months,
        "training_usd": {name: one.usd for name, one in trained.items()},
        "forgetting": {
            name: one.details["probes"]["line"] for name, one in trained.items() if one.details.get("probes")
        },
    }


def _same(workspace: Workspace, identity: str) -> Path | None:
    for path in sorted(workspace.runs.glob(f"*/{RUN}"), reverse=True):
        if read_json(path).get("identity") == identity:
            return path.parent
    return None


def _new(workspace: Workspace, identity: str, lineup: Lineup, examples: Sequence[Example]) -> Path:
    started = datetime.now(UTC)
    folder = unused(workspace.runs / started.strftime("%Y%m%d-%H%M%S"))
    rows = [json.dumps(asdict(example), ensure_ascii=False) for example in examples]
    write_atomic(folder / EXAMPLES, "".join(f"{row}\n" for row in rows).encode("utf-8", "backslashreplace"))
    write_json(
        folder / RUN,
        {
            "identity": identity,
            "started": started.isoformat(timespec="seconds"),
            "approaches": list(lineup.ready),
            "missing": lineup.missing,
            "barred": lineup.barred,
            "examples": len(examples),
            "complete": False,
        },
    )
    return folder
