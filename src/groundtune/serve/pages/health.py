"""`GET /health`: what an operator looks at each morning. What takes longer comes by itself, after the rest.

`GET /healthz` and `GET /readyz`, for machines, are in watching/probes.py. Changes nothing and asks no model.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from groundtune.build.approach_registry import default_approach
from groundtune.config import Config
from groundtune.config.model_tables import StoreConfig
from groundtune.errors import GroundtuneError
from groundtune.project import Project
from groundtune.records.spending import Spending
from groundtune.review.queue import ReviewQueue
from groundtune.serve.doors.roles import Operator
from groundtune.serve.errors import told
from groundtune.serve.pages.frame import HEALTH, show
from groundtune.serve.serving import By, Serving
from groundtune.workflows.canary import read_canary
from groundtune.workflows.choosing import recorded_choice
from groundtune.workflows.kept_drift import read_kept_drift
from groundtune.workflows.traffic import read_traffic
from groundtune.workspace import Workspace

SPENDING_DAYS = 14

router = APIRouter(include_in_schema=False)


@router.get("/health", response_model=None)
async def show_health(request: Request) -> Response:
    """Show the page, or the one that asks for a key."""
    return await show(request, HEALTH)


@router.get("/api/health")
async def health(serving: By, operator: Operator) -> dict[str, Any]:
    """Return what can be told at once: readiness, index, models, traffic, spending, review, drift and canary.

    A part that cannot be read is `{"problem": why}`.
    """
    is_ready = await serving.live.is_ready()
    async with serving.live.lease() as project:
        config, workspace = project.config, project.workspace
        parts: dict[str, Callable[[], Awaitable[Any]]] = {
            "choice": lambda: asyncio.to_thread(_choice, workspace, config),
            "index": lambda: _index(project),
            "traffic": lambda: asyncio.to_thread(_traffic, workspace),
            "spending": lambda: asyncio.to_thread(_spending, serving.spending, config),
            "review": lambda: asyncio.to_thread(_review, workspace, config),
            "drift": lambda: asyncio.to_thread(_drift, workspace),
            "canary": lambda: asyncio.to_thread(_canary, workspace, config),
        }
        found = {name: await _told(look) for name, look in parts.items()}
    live = serving.live
    return {
        "now": datetime.now(UTC).isoformat(timespec="seconds"),
        "ready": is_ready,
        "lacks": None if is_ready else live.lacks,
        "trouble": live.trouble,
        "models": _models(serving, config),
        "recorded": config.serve.audit,
        **found,
    }


@router.get("/api/health/verdict")
async def verdict(serving: By, operator: Operator) -> dict[str, Any]:
    """Return whether the verdict that the choice came from still holds, else that of the latest comparison."""

    async def look() -> dict[str, Any]:
        async with serving.live.lease() as project:
            choice = await asyncio.to_thread(recorded_choice, project.workspace, default_approach(project.config))
            found = await project.averify(choice.run if choice else None)
        return {**found.summary(), "sentence": found.recorded["sentence"]}

    part: dict[str, Any] = await _told(look)
    return part


@router.get("/api/health/ship")
async def ship(serving: By, operator: Operator) -> dict[str, Any]:
    """Return the items of `groundtune check --ship`."""

    async def look() -> dict[str, Any]:
        async with serving.live.lease() as project:
            report = await project.acheck_ship()
        return {"ready": report.ready, "items": [asdict(item) for item in report.items]}

    part: dict[str, Any] = await _told(look)
    return part


async def _told(look: Callable[[], Awaitable[Any]]) -> Any:
    """Return a part of the page, or why it cannot be read."""
    try:
        return await look()
    except GroundtuneError as error:
        return {"problem": told(error)}


def _choice(workspace: Workspace, config: Config) -> dict[str, Any]:
    name = default_approach(config)
    choice = recorded_choice(workspace, name)
    return {"approach": name, "time": choice.time if choice else None, "run": choice.run if choice else None}


async def _index(project: Project) -> dict[str, Any]:
    rows = await project.aledger()
    version = await project.aindex_version()
    states = Counter(row.status for row in rows)
    return {
        "files": len(rows),
        "states": {state: states[state] for state in ("indexed", "skipped", "failed")},
        "notes": sum(bool(row.notes) for row in rows),
        "passages": sum(row.passages for row in rows),
        "version": version,
        "changed": await asyncio.to_thread(_changed, project, version or ""),
    }


def _changed(project: Project, version: str) -> str | None:
    """Return when the index last changed; None where it is not kept in the folder of the project."""
    if project.config.store != StoreConfig():
        return None
    catalog = project.workspace.index / version.partition("@")[0] / "catalog.sqlite"
    try:
        return datetime.fromtimestamp(catalog.stat().st_mtime, UTC).isoformat(timespec="seconds")
    except OSError:
        return None


def _models(serving: Serving, config: Config) -> list[dict[str, Any]]:
    """Return the models of the project file, and whether they are left alone because they keep failing."""
    circuits = serving.live.project.session.circuits
    named = [(name, model.kind, model.model) for name, model in config.models.items() if model.kind != "quote"]
    return [
        {
            "name": name,
            "kind": kind,
            "model": model,
            "open": next((open_ for endpoint, open_ in circuits.items() if endpoint.rpartition(" ")[2] == model), None),
        }
        for name, kind, model in named
    ]


def _traffic(workspace: Workspace) -> dict[str, Any]:
    return asdict(read_traffic(workspace))


def _spending(spending: Spending, config: Config) -> dict[str, Any]:
    today = spending.spent(None, "day")
    return {
        **asdict(today),
        "is_enforceable": today.is_enforceable,
        "budget": config.serve.budget_usd_per_day,
        "when_spent": config.serve.when_spent,
        "days": [asdict(day) for day in spending.by_day(SPENDING_DAYS)],
    }


def _review(workspace: Workspace, config: Config) -> dict[str, Any] | None:
    """Return how many answers wait for a person, and since when the oldest does; None where none is recorded."""
    if not config.serve.audit:
        return None
    waiting = ReviewQueue(workspace, config.review).items("pending")
    return {"waiting": len(waiting), "oldest": min((item.time for item in waiting), default=None)}


def _drift(workspace: Workspace) -> dict[str, Any] | None:
    kept = read_kept_drift(workspace)
    return None if kept is None else asdict(kept)


def _canary(workspace: Workspace, config: Config) -> dict[str, Any] | None:
    """Return how the frozen answers compared when they were last asked again; None where none are to be frozen."""
    if not config.drift.canary:
        return None
    kept = read_canary(workspace)
    if kept is None:
        return {"frozen": None, "answers": 0, "last": None}
    last = kept.last
    fields = None if last is None else {**asdict(last), "passed": last.passed, "changed": len(last.changed)}
    return {"frozen": kept.frozen, "answers": len(kept.answers), "last": fields}
