"""`GET /costs`: what each approach costs, with sliders: `groundtune costs` as a page. For operators."""

import asyncio
from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response

from groundtune.errors import GroundtuneError
from groundtune.project import Project
from groundtune.serve.pages.frame import COSTS, entered, failed_page, show
from groundtune.serve.serving import By
from groundtune.workflows.costing import CostTerms, assumed_costs
from groundtune.workflows.report_page import costs_content
from groundtune.workflows.stored_report import latest_report

router = APIRouter(include_in_schema=False)


@router.get("/costs", response_model=None)
async def show_costs(request: Request, serving: By, hosting: Literal["per_use", "reserved"] | None = None) -> Response:
    """Show the costs on the terms of the project. hosting: instead of that of the project file."""
    caller = await entered(request, COSTS)
    if isinstance(caller, Response):
        return caller
    async with serving.live.lease() as project:
        try:
            content = await asyncio.to_thread(_content, project, hosting)
        except GroundtuneError as error:
            return failed_page(request, caller, COSTS, error)
    draws = content.pop("draws")
    return await show(request, COSTS, data={"page": content, "draws": draws})


def _content(project: Project, hosting: str | None) -> dict[str, Any]:
    report = latest_report(project.workspace)
    terms = CostTerms.of_project(project.config, len(project.session.examples()))
    if hosting is not None:
        terms = replace(terms, hosting=hosting)
    costs = report.costs_on(terms) if report else assumed_costs(terms)
    is_hosted = any(each.is_hosted for each in costs.costed)
    return {
        **costs_content(costs, report),
        "task": project.config.task,
        "made": report.run.started if report else None,
        "is_hosted": is_hosted,
    }
