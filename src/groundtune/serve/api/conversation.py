"""Read the question and the history from the messages of OpenAI's protocols. Refuses what cannot be answered."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from groundtune.serve.errors import refused
from groundtune.types import Message

TEXT_PARTS = ("text", "input_text", "output_text")
ROLES: Mapping[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}


class ContentPart(BaseModel):
    """A part of a message; only text is read."""

    model_config = ConfigDict(extra="allow")

    type: str
    text: str | None = None


class Turn(BaseModel):
    """A message. Keys that a client returns with an earlier answer, such as `annotations`, are not read."""

    model_config = ConfigDict(extra="allow")

    role: str
    content: str | list[ContentPart] | None = None
    tool_calls: list[Any] | None = None
    function_call: Any = None


def read_conversation(
    turns: Sequence[Turn], *, param: str, instructions: str | None = None
) -> tuple[str, tuple[Message, ...]]:
    """Return the question, which is the last message, and the messages before it.

    param: where the messages stand, for errors. instructions: a system message before all others.
    """
    messages = [Message("system", instructions)] if instructions else []
    for at, turn in enumerate(turns):
        messages.append(_message(turn, f"{param}[{at}]"))
    last = messages[-1]
    if last.role != "user":
        raise refused("the last message must be the user's question", param=param)
    if not last.content.strip():
        raise refused("the question is empty", param=f"{param}[{len(turns) - 1}].content")
    return last.content, tuple(message for message in messages[:-1] if message.content.strip())


def _message(turn: Turn, place: str) -> Message:
    if turn.role in ("tool", "function") or turn.tool_calls or turn.function_call:
        message = "tools are not supported: answers come from the project's documents"
        raise refused(message, param=place, code="unsupported_tools")
    if turn.role not in ROLES:
        raise refused(f"unknown role {turn.role!r}", param=f"{place}.role")
    return Message(ROLES[turn.role], _text(turn.content, f"{place}.content"))


def _text(content: str | list[ContentPart] | None, place: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    for at, part in enumerate(content):
        if part.type not in TEXT_PARTS or part.text is None:
            message = f"content of the type {part.type!r} is not supported: only text is read"
            raise refused(message, param=f"{place}[{at}]", code="unsupported_content")
    return "\n\n".join(part.text or "" for part in content)
