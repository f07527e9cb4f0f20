"""Read a chat completion, whole or as a stream, in any dialect: text, thinking, and why it ended. Never sends anything.

Where the parts are is data, in `dialects.toml`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from groundtune.models.dialects import dialects
from groundtune.models.reasoning import ReasoningSeparator
from groundtune.models.token_confidence import ScoredToken, read_logprobs

Usage = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChatReply:
    """A reply as far as the server told it."""

    text: str
    reasoning: str = ""
    finish: str | None = None
    """Why it ended, in the server's words; None when it did not say."""
    refusal: str = ""
    tool: str = ""
    """Name of a tool that the model called instead of answering."""
    usage: Usage = field(default_factory=dict)
    """Token counts as reported; empty when there are none."""
    fingerprint: str = ""
    model: str = ""
    """Model that answered, by its own name; empty when the server does not say."""
    unfinished: bool = False
    """Whether it ends inside a thought, so that there is no answer."""
    unmarked: bool = False
    """Whether a thought in the text has no opening mark."""
    tokens: tuple[ScoredToken, ...] = ()
    """Tokens of the content with their log-probabilities; empty when they were not asked for, or not told."""


class ReplyReader:
    """Collects the events of a stream, or the one body of a whole reply.

    hold: see `ReasoningSeparator`.
    """

    def __init__(self, *, hold: bool) -> None:
        self.has_choice = False
        """Whether any part was a choice."""
        self._separator = ReasoningSeparator(hold=hold)
        self._beside = ""
        """Thinking outside of the content."""
        self._finish: str | None = None
        self._refusal = ""
        self._tool = ""
        self._usage: Usage = {}
        self._fingerprint = ""
        self._model = ""
        self._tokens: list[ScoredToken] = []

    def add(self, answer: object) -> str:
        """Read a body or an event; return the text that it adds to the answer."""
        if not isinstance(answer, Mapping):
            return ""
        self._usage = {**self._usage, **_usage(answer)}
        self._fingerprint = str(answer.get("system_fingerprint") or self._fingerprint)
        self._model = _string(answer.get("model")) or self._model
        message = _message(answer)
        if message is None:
            return ""
        self.has_choice = True
        self._finish = _finish(answer) or self._finish
        self._tokens += read_logprobs(answer["choices"][0])
        self._refusal += _string(message.get("refusal"))
        self._tool = self._tool or _tool(message)
        text, thoughts, refusal = _content(message.get("content"))
        self._refusal += refusal
        self._beside += _reasoning(message) or thoughts
        return self._separator.add(text)

    def finish(self) -> tuple[str, ChatReply]:
        """Return the rest of the text, and the whole reply."""
        rest, separated = self._separator.finish()
        return rest, ChatReply(
            separated.text,
            "\n\n".join(part for part in (self._beside.strip(), separated.reasoning) if part),
            self._finish,
            self._refusal,
            self._tool,
            self._usage,
            self._fingerprint,
            self._model,
            separated.unfinished,
            separated.unmarked,
            tuple(self._tokens),
        )


def begins_reply(event: object) -> bool:
    """Whether an event holds a part of the reply, or its end; the first events of a stream may hold neither."""
    if not isinstance(event, Mapping) or (message := _message(event)) is None:
        return False
    return bool(_finish(event) or any(_content(message.get("content"))) or _reasoning(message) or _tool(message))


def _message(answer: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the message of a body, or the delta of an event; None without a choice."""
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, Mapping):
        return None
    message = choice.get("message") or choice.get("delta")
    if isinstance(message, Mapping):
        return message
    return {} if choice.get("finish_reason") else None


def _finish(answer: Mapping[str, Any]) -> str | None:
    match answer.get("choices"):
        case [{"finish_reason": str(reason)}, *_]:
            return reason
        case _:
            return None


def _content(content: object) -> tuple[str, str, str]:
    """Return text, thinking and refusal of a content, which may be a list of parts."""
    if isinstance(content, str):
        return content, "", ""
    texts, thoughts, refusals = [], [], []
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            texts.append(part)
        elif not isinstance(part, Mapping):
            continue
        elif part.get("type") in dialects().thinking_parts:
            thoughts.append(_inner(part))
        elif part.get("type") == "refusal":
            refusals.append(_string(part.get("refusal")) or _inner(part))
        else:
            text = part.get("text")
            texts.append(_string(text.get("value") if isinstance(text, Mapping) else text))
    return "".join(texts), "".join(thoughts), "".join(refusals)


def _inner(part: Mapping[str, Any]) -> str:
    """Return the text of a part that holds thinking: a text, or a list of parts."""
    inner = next((part[key] for key in ("thinking", "text", "reasoning", "summary") if part.get(key)), "")
    return _string(inner) or "".join(_content(inner))


def _reasoning(message: Mapping[str, Any]) -> str:
    for key in dialects().reasoning_keys:
        if text := _string(message.get(key)):
            return text
    return _content(message.get("reasoning_details"))[1]  # OpenRouter


def _tool(message: Mapping[str, Any]) -> str:
    match message:
        case {"tool_calls": [{"function": {"name": str(name)}}, *_]} | {"function_call": {"name": str(name)}}:
            return name
        case _:
            return ""


def _usage(answer: Mapping[str, Any]) -> Usage:
    """Return the counts that are not zero; a stream may tell some at its start and others at its end."""
    own = answer.get("x_groq")
    for usage in (answer.get("usage"), own.get("usage") if isinstance(own, Mapping) else None):
        if isinstance(usage, Mapping):
            return {name: value for name, value in usage.items() if value}
    return {}


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
