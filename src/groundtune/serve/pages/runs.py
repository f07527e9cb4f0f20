"""`GET /runs`: the comparisons of the project, and the report of each in the frame of the server. For operators."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from groundtune.errors import GroundtuneError
from groundtune.report.html import served_page
from groundtune.serve.api.wire_citations import passage_url
from groundtune.serve.doors.roles import Operator
from groundtune.serve.errors import told_in_full
from groundtune.serve.pages.frame import RUNS, entered, failed_page, navigation, show
from groundtune.serve.serving import By
from groundtune.workflows.listing_runs import list_runs
from groundtune.workflows.stored_report import current_page

router = APIRouter(include_in_schema=False)


@router.get("/runs", response_model=None)
async def show_runs(request: Request) -> Response:
    """Show the list, or the page that asks for a key."""
    return await show(request, RUNS)


@router.get("/runs/{name}", response_model=None)
async def show_run(name: str, request: Request, serving: By) -> Response:
    """Show verdict, matrix and examples of a run: its report.html, with the navigation of the server."""
    caller = await entered(request, RUNS)
    if isinstance(caller, Response):
        return caller
    links = navigation(request, caller, RUNS)
    async with serving.live.lease() as project:
        try:
            file = await asyncio.to_thread(current_page, project.workspace, name)
        except GroundtuneError as error:
            return failed_page(request, caller, RUNS, error)
        page, policy = await asyncio.to_thread(_in_frame, file, links)
    headers = {"Content-Security-Policy": f"{policy}; frame-ancestors 'none'"}
    return Response(page, media_type="text/html; charset=utf-8", headers=headers)


def _in_frame(file: Path, links: str) -> tuple[bytes, str]:
    return served_page(file.read_bytes(), links, passages=passage_url("", ""))


@router.get("/api/runs")
async def runs(serving: By, operator: Operator) -> dict[str, Any]:
    """Return all runs, the newest first."""
    async with serving.live.lease() as project:
        listed = await asyncio.to_thread(list_runs, project.workspace)
    return {"runs": [asdict(run) for run in listed]}


@router.get("/api/runs/{name}/state")
async def state(name: str, serving: By, operator: Operator) -> dict[str, Any]:
    """Return whether the recorded verdict of a run still holds, as `groundtune report --verify` says."""
    async with serving.live.lease() as project:
        with told_in_full():
            verification = await project.averify(name)
    return verification.summary()
