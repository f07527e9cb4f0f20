"""List the approaches of a project as models, and find the approach that a model id means."""

import logging
from typing import Any

from fastapi import APIRouter, Request

from groundtune.build.approach_families import ROUTED
from groundtune.errors import ConfigError, MissingError, UsageError
from groundtune.project import Project
from groundtune.serve.api.reply_schemas import Model, ModelList, described
from groundtune.serve.api.wire_citations import base_url
from groundtune.serve.doors.callers import From
from groundtune.serve.errors import refused, told
from groundtune.serve.serving import By, Serving
from groundtune.serve.watching.metrics import model_label
from groundtune.serve.watching.request_id import logged

CREATED = 0
"""`created` of every model: approaches have no date."""
AUTO = "auto"
"""Model id of the router, if the project keeps one, else of its choice."""

log = logging.getLogger(__name__)
router = APIRouter(tags=["models"])


@router.get("/v1/models", response_model=None, responses=described(ModelList))
async def list_models(serving: By, _: From) -> dict[str, Any]:
    """List the model ids: the project's choice under its name, `auto`, and every approach that can run."""
    async with serving.live.lease() as project:
        ids = await model_ids(project)
    return {"object": "list", "data": [_model(name) for name in ids]}


@router.get("/v1/models/{name:path}", response_model=None, responses=described(Model))
async def get_model(name: str, serving: By, _: From) -> dict[str, Any]:
    """Describe one model id."""
    async with serving.live.lease() as project:
        await approach_of(project, name)
    return _model(name)


async def model_ids(project: Project) -> list[str]:
    """Return the project's choice, `auto`, and the approaches that can run."""
    names = [name for name, reason in (await project.aapproaches()).items() if reason is None]
    return list(dict.fromkeys([project.config.name, AUTO, *names]))


async def resolved(request: Request, serving: Serving, model: str | None) -> tuple[str | None, str]:
    """Return the approach of a model id, and the address of the server as the client sees it; count the request there.

    model: None for the project's choice.
    """
    async with serving.live.lease() as project:
        approach = None if model is None else await approach_of(project, model)
        request.state.model = model_label(model or project.config.name)
        return approach, base_url(request, project.config.serve.public_url)


async def approach_of(project: Project, model: str) -> str | None:
    """Return the approach of a model id, None for the project's choice. Refuses one that does not exist or run."""
    if model == project.config.name:
        return None
    if model == AUTO:
        return ROUTED if (await project.aapproaches()).get(ROUTED, "") is None else None
    try:
        await project.arequire(model)
    except UsageError as error:
        names = ", ".join(await model_ids(project))
        message = f"the model {model!r} does not exist; choose one of {names}"
        raise refused(message, param="model", code="model_not_found", status=404) from error
    except (ConfigError, MissingError) as error:
        log.warning(logged(told(error)))
        message = f"the model {model!r} cannot be asked now; the log of the server says why"
        raise refused(message, param="model", code="model_not_ready") from error
    return model


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "groundtune"}
