"""`POST /v1/feedback`: keep what people think of an answer. Changes no answer."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from groundtune.records.feedback import FeedbackLog, Rating
from groundtune.serve.api.reply_schemas import Status, described
from groundtune.serve.doors.callers import From
from groundtune.serve.serving import By

router = APIRouter(tags=["groundtune"])


class Feedback(BaseModel):
    """What somebody thinks of an answer."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    answer: Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
    """`groundtune.id` of the answer."""
    rating: Rating
    comment: Annotated[str, Field(max_length=4_000)] = ""


@router.post("/v1/feedback", response_model=None, responses=described(Status))
async def give_feedback(body: Feedback, serving: By, caller: From) -> dict[str, Any]:
    """Keep the feedback; it is on disk when the reply comes."""
    async with serving.live.lease() as project:
        log = FeedbackLog(project.workspace)
        await asyncio.to_thread(log.append, body.answer, body.rating, comment=body.comment, caller=caller.name)
    return {"status": "ok"}
