"""`POST /v1/feedback`: keep what people think of an answer, in `.groundtune/feedback.sqlite`. Changes no answer."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from groundtune.common.text import storable
from groundtune.serve.callers import From
from groundtune.serve.serving import By
from groundtune.workspace import Workspace

FORMAT_VERSION = 1
BUSY_SECONDS = 10.0
TABLE = """
CREATE TABLE IF NOT EXISTS feedback (
    id INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    answer TEXT NOT NULL,
    rating TEXT NOT NULL,
    comment TEXT NOT NULL,
    caller TEXT NOT NULL
)
"""

router = APIRouter(tags=["groundtune"])


class Feedback(BaseModel):
    """What somebody thinks of an answer. The latest of a caller counts."""

    model_config = ConfigDict(extra="forbid")

    answer: Annotated[str, Field(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
    """`groundtune.id` of the answer."""
    rating: Literal["up", "down"]
    comment: Annotated[str, Field(max_length=4_000)] = ""


@router.post("/v1/feedback")
async def give_feedback(body: Feedback, serving: By, caller: From) -> dict[str, Any]:
    """Keep the feedback; it is on disk when the reply comes."""
    async with serving.live.lease() as project:
        await asyncio.to_thread(save_feedback, project.workspace, body, caller.name)
    return {"status": "ok"}


def save_feedback(workspace: Workspace, feedback: Feedback, caller: str) -> None:
    """Append a row. Several processes may do so at once."""
    workspace.create()
    row = (_now(), feedback.answer, feedback.rating, storable(feedback.comment), caller)
    with closing(_open(workspace.folder / "feedback.sqlite")) as database, database:
        database.execute("INSERT INTO feedback (time, answer, rating, comment, caller) VALUES (?, ?, ?, ?, ?)", row)


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=BUSY_SECONDS)
    database.execute("PRAGMA synchronous = FULL")
    database.execute(TABLE)
    database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
    return database


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
