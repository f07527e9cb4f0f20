"""List the approaches of a project as models, and find the approach that a model id means."""

from typing import Any

from fastapi import APIRouter

from groundtune.project import Project
from groundtune.serve.callers import From
from groundtune.serve.errors import refused
from groundtune.serve.serving import By

CREATED = 0
"""`created` of every model: approaches have no date."""

router = APIRouter(tags=["models"])


@router.get("/v1/models")
async def list_models(serving: By, _: From) -> dict[str, Any]:
    """List the model ids: the project's choice under the name of the project, and every approach that can run."""
    async with serving.live.lease() as project:
        ids = await model_ids(project)
    return {"object": "list", "data": [_model(name) for name in ids]}


@router.get("/v1/models/{name:path}")
async def get_model(name: str, serving: By, _: From) -> dict[str, Any]:
    """Describe one model id."""
    async with serving.live.lease() as project:
        await approach_of(project, name)
    return _model(name)


async def model_ids(project: Project) -> list[str]:
    """Return the project's choice and the approaches that can run."""
    names = [name for name, reason in (await project.aapproaches()).items() if reason is None]
    return list(dict.fromkeys([project.config.name, *names]))


async def approach_of(project: Project, model: str) -> str | None:
    """Return the approach of a model id, None for the project's choice. Refuses one that does not exist or run."""
    if model == project.config.name:
        return None
    reasons = await project.aapproaches()
    plain = model.partition("@")[0].partition("/")[0]
    if model not in reasons and plain not in reasons:
        names = ", ".join([project.config.name, *(name for name, reason in reasons.items() if reason is None)])
        raise refused(
            f"the model {model!r} does not exist; choose one of {names}",
            param="model",
            code="model_not_found",
            status=404,
        )
    if reason := reasons.get(model) or reasons.get(plain):
        raise refused(f"{model} cannot be asked: {reason}", param="model", code="model_not_ready")
    return model


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "groundtune"}
