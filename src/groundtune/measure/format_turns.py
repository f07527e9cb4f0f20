"""Turn one row of another format into what was asked and what was replied. Pure; refuses what it cannot read whole."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal

from groundtune.types import Message

Format = Literal["examples", "chat", "prompt", "preference", "alpaca", "sharegpt", "csv", "tsv", "rows"]
"""examples: our own; rows: JSON objects with one column for the input and one for the output."""
Complain = Callable[[str, str], None]
"""Takes what is wrong and how to fix it."""

INPUTS = (
    "input", "text", "question", "query", "prompt", "utterance", "sentence", "message", "ticket", "instruction",
    "content", "document", "body",
)  # fmt: skip
OUTPUTS = (
    "output", "label", "answer", "intent", "category", "class", "target", "completion", "response", "reply", "queue",
    "gold", "expected",
)  # fmt: skip
"""Names of columns, in the order in which they are guessed."""
KEPT = ("id", "split", "tags", "group", "origin", "source", "quote")
"""Columns of tables that are taken as they are; source and quote only together: the evidence."""
OWN = frozenset(("id", "input", "output", "rejected", "evidence", "split", "tags", "groups", "group", "origin"))
TURNS = "user and assistant in turn, a system message at most first, the assistant last"

_ROLES: dict[str, Literal["system", "user", "assistant"]] = {
    "system": "system", "developer": "system", "user": "user", "human": "user", "assistant": "assistant",
    "gpt": "assistant", "chatgpt": "assistant", "model": "assistant", "bot": "assistant",
}  # fmt: skip
_TOOLS = ("tool", "function", "function_call", "function_response", "observation")
_CALLS = ("tool_calls", "function_call", "audio")


@dataclass(frozen=True, slots=True)
class Draft:
    """One row, read: what becomes an example once it is clear what all rows of the file share."""

    asked: str
    replied: Any
    system: str | None = None
    """What stands before the input: a system message, or the instruction of a row that has an input too."""
    joins: bool = False
    """Whether `system` and input are one text by nature, as an instruction and its input are."""
    earlier: tuple[Message, ...] = ()
    """Turns before the last question."""
    rejected: Any = None
    """The reply that was not preferred."""
    kept: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    """Keys of the row that an example has no place for."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column holds what."""

    input: str
    output: str | None
    kept: Mapping[str, str] = field(default_factory=dict)
    """Key of an example to the column that holds it."""


def recognised(values: Mapping[str, Any]) -> Format | None:
    """The format that a row's keys speak of; None when they say nothing."""
    keys = set(values)
    if "messages" in keys:
        return "chat"
    if keys & {"conversations", "conversation"}:
        return "sharegpt"
    if "instruction" in keys and keys & {"output", "response"}:
        return "alpaca"
    if keys & {"preferred_output", "non_preferred_output"} or {"chosen", "rejected"} <= keys:
        return "preference"
    if "prompt" in keys and keys & {"completion", "chosen"}:
        return "prompt"
    if {"id", "input"} <= keys <= OWN:
        return "examples"
    return "rows" if columns(list(values)) else None


def columns(names: Sequence[str], *, input: str | None = None, output: str | None = None) -> Columns | None:  # noqa: A002
    """The named columns, else those with a name that says what they hold; None when there is none for the input."""
    folded = {name.casefold().strip(): name for name in reversed(names)}
    asked = input or next((folded[one] for one in INPUTS if one in folded and folded[one] != output), None)
    if asked is None or asked not in names or (output is not None and output not in names):
        return None
    said = output or next((folded[one] for one in OUTPUTS if one in folded and folded[one] != asked), None)
    kept = {key: folded[key] for key in KEPT if key in folded and folded[key] not in (asked, said)}
    if not {"source", "quote"} <= set(kept):
        kept = {key: column for key, column in kept.items() if key not in ("source", "quote")}
    return Columns(asked, said, kept)


def of_chat(values: Mapping[str, Any], complain: Complain) -> Draft | None:
    """{"messages": [{"role", "content"}, …]}"""
    turns = _messages(values["messages"], complain, role="role", said="content") if "messages" in values else None
    if "messages" not in values:
        complain('no "messages"', 'add "messages": [{"role": "user", "content": "…"}, …]')
    if values.get("tools") or values.get("functions"):
        complain("a chat with tools", "an example has no place for tool calls; leave the row out")
        return None
    return _chat(turns, _others(values, "messages", "tools", "functions"), complain)


def of_sharegpt(values: Mapping[str, Any], complain: Complain) -> Draft | None:
    """{"conversations": [{"from", "value"}, …], "system": …}"""
    key = "conversations" if "conversations" in values else "conversation"
    if key not in values:
        complain('no "conversations"', 'add "conversations": [{"from": "human", "value": "…"}, …]')
        return None
    first = values[key][0] if isinstance(values[key], list) and values[key] else None
    plain = isinstance(first, dict) and "role" in first
    names = ("role", "content") if plain else ("from", "value")
    turns = _messages(values[key], complain, role=names[0], said=names[1])
    own = values.get("system")
    if turns is not None and isinstance(own, str) and own.strip():
        turns = [Message("system", own.strip()), *turns]
    return _chat(turns, _others(values, key, "system", "id"), complain)


def of_prompt(values: Mapping[str, Any], complain: Complain) -> Draft | None:
    """{"prompt": text or messages, "completion": text or messages}"""
    if "chosen" in values or "rejected" in values:
        complain("half a preference pair", 'add the other: "prompt", "chosen" and "rejected"')
        return None
    prompt, completion = values.get("prompt"), values.get("completion")
    if isinstance(prompt, list) and isinstance(completion, list):
        turns = _messages([*prompt, *completion], complain, role="role", said="content")
        return _chat(turns, _others(values, "prompt", "completion"), complain)
    asked = text_of(prompt, "prompt", complain)
    return Draft(asked, completion, left_out=_others(values, "prompt", "completion")) if asked else None


def of_preference(values: Mapping[str, Any], complain: Complain) -> Draft | None:
    """Two replies to one chat, as OpenAI writes them or as {"prompt", "chosen", "rejected"}, texts or messages.

    OpenAI's: {"input": {"messages": […]}, "preferred_output": [reply], "non_preferred_output": [reply]}. `chosen` and
    `rejected` may also be whole chats, with or without `prompt`.
    """
    given = values.get("input")
    hosted = isinstance(given, dict) and "messages" in given
    keys = ("input", "preferred_output", "non_preferred_output") if hosted else ("prompt", "chosen", "rejected")
    if isinstance(given, dict) and given.get("tools"):
        complain("a chat with tools", "an example has no place for tool calls; leave the row out")
        return None
    before = _as_turns(given["messages"] if isinstance(given, dict) and hosted else values.get("prompt"), "user")
    found: list[Draft] = []
    for key in keys[1:]:
        reply = _as_turns(values.get(key), "assistant")
        if not isinstance(reply, list) or not reply:
            complain(f'no "{key}"', f'add "{key}": "…", the reply that was {"preferred" if key == keys[1] else "not"}')
            continue
        whole = isinstance(reply[0], dict) and reply[0].get("role") != "assistant"
        turns = reply if whole or not isinstance(before, list) else [*before, *reply]
        draft = _chat(_messages(turns, complain, role="role", said="content"), _others(values, *keys), complain)
        found += [draft] if draft else []
    if len(found) < 2:
        return None
    chosen, other = found
    if (chosen.system, chosen.earlier, chosen.asked) != (other.system, other.earlier, other.asked):
        complain(
            "the two replies are not to the same question", f'"{keys[1]}" and "{keys[2]}" must differ in the reply'
        )
        return None
    if chosen.replied == other.replied:
        complain("both replies are the same", "leave the row out: there is nothing to prefer")
        return None
    return replace(chosen, rejected=other.replied)


def _as_turns(value: Any, role: str) -> Any:
    return [{"role": role, "content": value}] if isinstance(value, str) else value


def of_alpaca(values: Mapping[str, Any], complain: Complain) -> Draft | None:
    """{"instruction", "input", "output"}; Dolly's {"instruction", "context", "response"} too."""
    said = "output" if "output" in values else "response"
    extra = "input" if "input" in values else "context"
    instruction = text_of(values.get("instruction"), "instruction", complain)
    more = values.get(extra) or ""
    if not isinstance(more, str):
        complain(f'"{extra}" is not text', f'write "{extra}": "…"')
        return None
    if values.get("history"):
        complain("earlier turns in history", "write the row as a chat")
        return None
    if values.get("system"):
        complain("a system prompt beside an instruction", "write the row as a chat")
        return None
    left = _others(values, "instruction", extra, said, "history", "system", "text")
    if not instruction:
        return None
    if more.strip():
        return Draft(more.strip(), values.get(said), system=instruction, joins=True, left_out=left)
    return Draft(instruction, values.get(said), left_out=left)


def of_table(values: Mapping[str, Any], found: Columns, complain: Complain) -> Draft | None:
    """A row whose columns are known."""
    asked = text_of(values.get(found.input), found.input, complain)
    kept: dict[str, str] = {}
    for key, column in found.kept.items():
        value = values.get(column)
        value = ",".join(map(str, value)) if isinstance(value, list) else value
        if value is not None and str(value).strip():
            kept[key] = str(value).strip()
    left = _others(values, found.input, found.output or "", *found.kept.values())
    replied = values.get(found.output) if found.output else None
    return Draft(asked, replied, kept=kept, left_out=left) if asked else None


def text_of(value: Any, key: str, complain: Complain) -> str:
    """Without white space at its ends; empty after complaining."""
    if isinstance(value, str) and value.strip():
        return value.strip()
    if value is None or value == "" or isinstance(value, str):
        complain(f'no "{key}"', f'fill in "{key}"')
    else:
        complain(f'"{key}" is not text: {show(value)}', f'write "{key}": "…"')
    return ""


def show(value: Any) -> str:
    """The beginning of a value, as JSON."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"


def _chat(turns: list[Message] | None, left_out: tuple[str, ...], complain: Complain) -> Draft | None:
    """The last reply is the output, the question before it the input."""
    if turns is None:
        return None
    system = turns[0].content if turns and turns[0].role == "system" else None
    rest = turns[1:] if system is not None else turns
    if any(turn.role == "system" for turn in rest):
        complain("a system message between the turns", TURNS)
        return None
    if not rest or rest[-1].role != "assistant":
        complain("the chat does not end with the assistant", "end it with the reply that is to be learnt")
        return None
    doubled = next((one.role for one, other in pairwise(rest) if one.role == other.role), None)
    if doubled:
        complain(f"two {doubled} turns in a row", f"join them; {TURNS}")
        return None
    if len(rest) < 2:
        complain("no user turn before the reply", TURNS)
        return None
    return Draft(rest[-2].content, rest[-1].content, system or None, earlier=tuple(rest[:-2]), left_out=left_out)


def _messages(value: Any, complain: Complain, *, role: str, said: str) -> list[Message] | None:
    """The turns; None after complaining about each that cannot be read."""
    if not isinstance(value, list) or not value:
        complain("no list of turns", f'write [{{"{role}": "…", "{said}": "…"}}, …]')
        return None
    turns: list[Message] = []
    for number, one in enumerate(value, start=1):
        problem = _wrong_turn(one, role, said, last=number == len(value))
        if problem:
            complain(f"turn {number}: {problem[0]}", problem[1])
        else:
            turns.append(Message(_ROLES[one[role].casefold()], _content(one[said]).strip()))
    return turns if len(turns) == len(value) else None


def _wrong_turn(turn: Any, role: str, said: str, *, last: bool) -> tuple[str, str] | None:
    if not isinstance(turn, dict) or not isinstance(turn.get(role), str):
        return f'no "{role}"', f'write {{"{role}": "user", "{said}": "…"}}'
    if turn[role].casefold() in _TOOLS or any(turn.get(key) for key in _CALLS):
        return "a tool call", "an example has no place for tool calls; leave the row out"
    if turn[role].casefold() not in _ROLES:
        return f"unknown role {show(turn[role])}", f"one of {', '.join(_ROLES)}"
    content = turn.get(said)
    if isinstance(content, list) and any(not isinstance(part, dict) or "text" not in part for part in content):
        return "something other than text", "an example holds text only; leave the row out"
    if content is not None and not isinstance(content, str | list):
        return f'"{said}" is not text: {show(content)}', f'write "{said}": "…"'
    if not _content(content).strip() and _ROLES[turn[role].casefold()] != "system":
        return f"an empty {_ROLES[turn[role].casefold()]} turn", "fill it in, or leave the row out"
    if last and turn.get("weight") == 0:
        return "the reply has weight 0: it is not to be learnt", "leave the row out, or end the chat before it"
    return None


def _content(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(str(part["text"]) for part in content)
    return content or ""


def _others(values: Mapping[str, Any], *known: str) -> tuple[str, ...]:
    return tuple(key for key, value in values.items() if key not in known and value not in (None, "", [], {}))
