"""`GET /v1/answers/ID`: what a person decided about an answer that had to wait, for whoever asked. Decides nothing."""

from typing import Any

from fastapi import APIRouter

from groundtune.errors import MissingError
from groundtune.serve.doors.callers import From
from groundtune.serve.errors import refused
from groundtune.serve.serving import By

router = APIRouter(tags=["groundtune"])


@router.get("/v1/answers/{answer}")
async def get_answer(answer: str, serving: By, caller: From) -> dict[str, Any]:
    """Return what may be sent of an answer by now; null while nobody has decided. The same 404 for anybody else's."""
    async with serving.live.lease() as project:
        try:
            outcome = await project.areview_outcome(answer)
        except MissingError:
            outcome = None
    if outcome is None or outcome.answer != answer or (outcome.asker, outcome.key) != (caller.name, caller.key):
        raise refused("there is no such answer in the review, or somebody else asked for it", status=404)
    return {"id": answer, "state": outcome.state, "text": outcome.text}
