"""`GET /setup`: the page on which operators set up the project, and what it asks for under `/api/setup`.

Long work is a command of ours in a process of its own (`jobs.py`). The commands are those of `words_of`; the browser
chooses one and gives numbers and names, which are checked, and never a text for a shell.
"""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from groundtune.project import Project
from groundtune.serve.doors.roles import Operator, only_own_pages
from groundtune.serve.errors import refused, told_in_full
from groundtune.serve.pages.frame import SET_UP, show
from groundtune.serve.pages.jobs import Job, Jobs, shown
from groundtune.serve.pages.set_up_steps import missing_model, steps_of
from groundtune.serve.pages.uploads import plain_name, upload_folder
from groundtune.serve.serving import By
from groundtune.workflows.naming_examples import name_examples_file

DRAFTED = "drafted.jsonl"
"""File of the project that drafts are written to."""
JobId = Annotated[str, Field(pattern=r"^[0-9-]{1,40}$")]
Command = Literal["check", "ingest", "get-model", "draft", "import", "estimate", "compare", "use"]

router = APIRouter(include_in_schema=False, dependencies=[Depends(only_own_pages)])


class Start(BaseModel):
    """Asks for a command, and what it may be told."""

    model_config = ConfigDict(extra="forbid")

    command: Command
    number: Annotated[int, Field(ge=10, le=500)] = 60
    """Examples to draft."""
    by_model: bool = False
    """Whether the project's model drafts them, instead of templates."""
    file: Annotated[str, Field(max_length=200)] | None = None
    """Name of an uploaded file of examples."""
    budget_usd: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] | None = None
    """The most that drafting or comparing may cost."""
    approach: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9:@._+-]{0,99}$")] | None = None
    """Approach to use; None: the one that the comparison recommends."""


class NamedFile(BaseModel):
    """Names a file of examples in the project folder."""

    model_config = ConfigDict(extra="forbid")

    file: str


def jobs_of(request: Request) -> Jobs:
    """Return the jobs of an app."""
    jobs = request.app.state.jobs
    assert isinstance(jobs, Jobs)
    return jobs


Running = Annotated[Jobs, Depends(jobs_of)]
"""Parameter of an endpoint: the jobs of the project."""


@router.get("/setup", response_model=None)
async def show_set_up(request: Request) -> Response:
    """Show the page, or the one that asks for a key."""
    return await show(request, SET_UP)


@router.get("/api/setup")
async def state(serving: By, jobs: Running, _: Operator) -> dict[str, Any]:
    """Return the steps with their states, and the last job of each command."""
    latest = await asyncio.to_thread(jobs.latest)
    async with serving.live.lease() as project:
        steps = await steps_of(project, jobs, latest.get("check"))
        hosted = any(model.kind == "openai" for model in project.config.models.values())
    return {
        "steps": [asdict(step) for step in steps],
        "hosted": hosted,
        "trouble": serving.live.trouble,
        "jobs": {command: await asyncio.to_thread(fields, jobs, job) for command, job in latest.items()},
    }


@router.post("/api/setup/jobs")
async def start(body: Start, serving: By, jobs: Running, operator: Operator) -> dict[str, Any]:
    """Start a command. 409 while another runs."""
    with told_in_full():
        async with serving.live.lease() as project:
            words = words_of(body, project)
        job = await asyncio.to_thread(jobs.start, body.command, words, by=operator.name)
    return await asyncio.to_thread(fields, jobs, job)


@router.get("/api/setup/jobs/{job_id}")
def look(job_id: JobId, jobs: Running, _: Operator) -> dict[str, Any]:
    """Return a job with what it has printed so far."""
    with told_in_full():
        return fields(jobs, jobs.find(job_id))


@router.post("/api/setup/jobs/{job_id}/stop")
def stop(job_id: JobId, jobs: Running, _: Operator) -> dict[str, Any]:
    """Stop a job as Ctrl-C does."""
    with told_in_full():
        return fields(jobs, jobs.stop(job_id))


@router.post("/api/setup/examples")
async def use_examples(body: NamedFile, serving: By, _: Operator) -> dict[str, Any]:
    """Name a file of examples in the project file."""
    with told_in_full():
        async with serving.live.lease() as project:
            changed = await asyncio.to_thread(name_examples_file, project.workspace, plain_name(body.file))
    return {"changed": changed}


def words_of(start: Start, project: Project) -> list[str]:
    """Return the words of a command. Raises RequestRefusedError when something is missing."""
    budget = [] if start.budget_usd is None else ["--budget-usd", f"{start.budget_usd:g}"]
    match start.command:
        case "check":
            return ["check", "--json"]
        case "ingest":
            return ["ingest"]
        case "get-model":
            if (model := missing_model(project.config)) is None:
                raise refused("no model is missing")
            return ["models", "get", model.name]
        case "draft":
            writer = ["--with", "default", *budget] if start.by_model else []
            return ["examples", "draft", "--number", str(start.number), "--to", DRAFTED, *writer]
        case "import":
            file = upload_folder(project.workspace) / plain_name(start.file or "")
            if not file.is_file():
                raise refused("the uploaded file is gone: choose it again", status=404)
            return ["examples", "import", str(file)]
        case "estimate":
            return ["compare", "--estimate", "--json"]
        case "compare":
            return ["compare", *budget]
        case "use":
            return ["use", start.approach] if start.approach else ["use", "--verdict"]


def fields(jobs: Jobs, job: Job) -> dict[str, Any]:
    """Return a job as the page shows it."""
    lines, progress = jobs.output(job.id)
    result = jobs.result(job.id) if job.state != "running" else None
    return {
        "id": job.id,
        "command": job.command,
        "words": shown(job.words),
        "by": job.by,
        "started": job.started,
        "ended": job.ended,
        "state": job.state,
        "code": job.code,
        "told": job.told,
        "lines": lines,
        "progress": asdict(progress) if progress else None,
        "result": result,
    }
