"""`GET /advice`: the questions of `groundtune advise` as a form, and the advice that follows from each answer at once.

What the folder shows is looked at once for each visit; the page sends it back with the answers. For operators.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, get_args

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from groundtune.advice.advice import advise
from groundtune.advice.guides import Says, published_guides, team_guides
from groundtune.advice.questions import questions
from groundtune.advice.situation import read_situation
from groundtune.errors import GroundtuneError
from groundtune.project import Project
from groundtune.project.kept_advice import keep_answers, kept_answers
from groundtune.project.surroundings import look_around
from groundtune.serve.doors.roles import Operator
from groundtune.serve.errors import told, told_in_full
from groundtune.serve.pages.frame import ADVICE, show
from groundtune.serve.serving import By
from groundtune.workflows.stored_report import latest_report

router = APIRouter(include_in_schema=False)


class Answers(BaseModel):
    """Answers to questions, by name; what is left out is not known."""

    model_config = ConfigDict(extra="forbid")

    answers: dict[str, Any]


@router.get("/advice", response_model=None)
async def show_advice(request: Request) -> Response:
    """Show the form, or the page that asks for a key."""
    return await show(request, ADVICE)


@router.get("/api/advice")
async def start(serving: By, operator: Operator) -> dict[str, Any]:
    """Return the questions, what the folder shows, the kept answers, and what the latest comparison found."""
    async with serving.live.lease() as project:
        with told_in_full():
            return await asyncio.to_thread(_start, project)


@router.post("/api/advice")
async def advice(body: Answers, serving: By, operator: Operator) -> dict[str, Any]:
    """Return the advice for a situation; what the folder shows is among the answers."""
    async with serving.live.lease() as project:
        with told_in_full():
            return await asyncio.to_thread(_advice, project, body.answers)


@router.post("/api/advice/keep")
async def keep(body: Answers, serving: By, operator: Operator) -> dict[str, Any]:
    """Keep the answers where `groundtune advise` keeps them."""
    async with serving.live.lease() as project:
        with told_in_full():
            read_situation(body.answers, origin="answers")
            await asyncio.to_thread(keep_answers, project.root, body.answers)
    return {"kept": len(body.answers)}


def _start(project: Project) -> dict[str, Any]:
    around = look_around(project.root)
    return {
        "questions": questions(),
        "further": questions("further"),
        "around": around.answers,
        "seen": around.seen,
        "next": around.commands,
        "kept": kept_answers(project.root),
        "measured": _measured(project),
    }


def _measured(project: Project) -> dict[str, Any] | None:
    """Return what the latest comparison found, and how it judges a guide by what it says; None without one."""
    try:
        report = latest_report(project.workspace)
    except GroundtuneError as error:
        return {"problem": told(error)}
    if report is None:
        return None
    measured = report.measured
    judged = {says: measured.judge(says) for says in get_args(Says)}
    return {"run": measured.run, "sentence": measured.sentence, "judged": judged}


def _advice(project: Project, answers: Mapping[str, Any]) -> dict[str, Any]:
    situation = read_situation(answers, origin="answers")
    return advise(situation, [*published_guides(), *team_guides(project.root)]).summary()
