"""Turn one row of another format into a question and a reply. Pure; refuses rows it cannot represent fully."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal

from groundtune.dataset.examples import ReportProblem
from groundtune.types import Message

Format = Literal["examples", "chat", "prompt", "preference", "alpaca", "sharegpt", "csv", "tsv", "rows"]
"""examples: groundtune's own; rows: JSON objects with one column for the input and one for the output."""

INPUT_NAMES = (
    "input", "text", "question", "query", "prompt", "utterance", "sentence", "message", "ticket", "instruction",
    "content", "document", "body",
)  # fmt: skip
OUTPUT_NAMES = (
    "output", "label", "answer", "intent", "category", "class", "target", "completion", "response", "reply", "queue",
    "gold", "expected",
)  # fmt: skip
"""Column names to guess from, in order of preference."""
COPIED_COLUMNS = ("id", "split", "tags", "group", "origin", "source", "quote")
"""Table columns copied unchanged. `source` and `quote` form the evidence and are copied only together."""
EXAMPLE_KEYS = frozenset({
    "id", "input", "history", "output", "reasoning", "rejected", "evidence", "split", "tags", "groups", "group",
    "origin",
})  # fmt: skip
TURN_ORDER_HINT = "alternate user and assistant, with an optional system message first and the assistant last"

_ROLES: dict[str, Literal["system", "user", "assistant"]] = {
    "system": "system", "developer": "system", "user": "user", "human": "user", "assistant": "assistant",
    "gpt": "assistant", "chatgpt": "assistant", "model": "assistant", "bot": "assistant",
}  # fmt: skip
_TOOLS = ("tool", "function", "function_call", "function_response", "observation")
_CALLS = ("tool_calls", "function_call", "audio")


@dataclass(frozen=True, slots=True)
class Draft:
    """A parsed row; becomes an example once the rows of the whole file are known."""

    question: str
    reply: Any
    system: str | None = None
    """System message, or the instruction of a row that also has an input."""
    joins_system: bool = False
    """Whether `system` belongs in front of the input, as an instruction does."""
    earlier_turns: tuple[Message, ...] = ()
    """Turns before the last question."""
    rejected: Any = None
    """Rejected reply of a preference pair."""
    reasoning: str = ""
    """Thinking before the reply."""
    copied: Mapping[str, str] = field(default_factory=dict)
    omitted_keys: tuple[str, ...] = ()
    """Keys of the row that an example cannot represent."""


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """Assignment of columns to the keys of an example."""

    input: str
    output: str | None
    copied: Mapping[str, str] = field(default_factory=dict)
    """Column that holds each key of an example."""


def detect_row_format(values: Mapping[str, Any]) -> Format | None:
    """Return the format that the keys of a row indicate, or None."""
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
    if {"id", "input"} <= keys <= EXAMPLE_KEYS:
        return "examples"
    return "rows" if guess_columns(list(values)) else None


def guess_columns(names: Sequence[str], *, input: str | None = None, output: str | None = None) -> ColumnMapping | None:  # noqa: A002
    """Return the named columns, guessing unnamed ones by their name; None when a named or input column is missing."""
    folded = {name.casefold().strip(): name for name in reversed(names)}
    input_column = input or next(
        (folded[name] for name in INPUT_NAMES if name in folded and folded[name] != output), None
    )
    if input_column is None or input_column not in names or (output is not None and output not in names):
        return None
    guesses = (folded[name] for name in OUTPUT_NAMES if name in folded and folded[name] != input_column)
    output_column = output or next(guesses, None)
    copied = {
        key: folded[key] for key in COPIED_COLUMNS if key in folded and folded[key] not in (input_column, output_column)
    }
    if not {"source", "quote"} <= set(copied):
        copied = {key: column for key, column in copied.items() if key not in ("source", "quote")}
    return ColumnMapping(input_column, output_column, copied)


def parse_chat(values: Mapping[str, Any], report: ReportProblem) -> Draft | None:
    """Parse a chat in OpenAI's format: {"messages": [{"role", "content"}, …]}."""
    turns = _messages(values["messages"], report, role="role", content="content") if "messages" in values else None
    if "messages" not in values:
        report('no "messages"', 'add "messages": [{"role": "user", "content": "…"}, …]')
    if values.get("tools") or values.get("functions"):
        report("the chat uses tools", "remove the row: examples cannot hold tool calls")
        return None
    draft = _chat(turns, _others(values, "messages", "tools", "functions"), report)
    return draft and replace(draft, reasoning=_reasoning(values["messages"][-1]))


def _reasoning(turn: Mapping[str, Any]) -> str:
    """Return the thinking that a message holds beside its content."""
    texts = (turn.get(key) for key in ("reasoning_content", "reasoning", "thinking"))
    return next((text.strip() for text in texts if isinstance(text, str)), "")


def parse_sharegpt(values: Mapping[str, Any], report: ReportProblem) -> Draft | None:
    """Parse a ShareGPT chat: {"conversations": [{"from", "value"}, …], "system": …}."""
    key = "conversations" if "conversations" in values else "conversation"
    if key not in values:
        report('no "conversations"', 'add "conversations": [{"from": "human", "value": "…"}, …]')
        return None
    first = values[key][0] if isinstance(values[key], list) and values[key] else None
    has_roles = isinstance(first, dict) and "role" in first
    names = ("role", "content") if has_roles else ("from", "value")
    turns = _messages(values[key], report, role=names[0], content=names[1])
    system = values.get("system")
    if turns is not None and isinstance(system, str) and system.strip():
        turns = [Message("system", system.strip()), *turns]
    return _chat(turns, _others(values, key, "system", "id"), report)


def parse_prompt(values: Mapping[str, Any], report: ReportProblem) -> Draft | None:
    """Parse a pair {"prompt": text or messages, "completion": text or messages}."""
    if "chosen" in values or "rejected" in values:
        report("the preference pair is incomplete", 'give all of "prompt", "chosen" and "rejected"')
        return None
    prompt, completion = values.get("prompt"), values.get("completion")
    if isinstance(prompt, list) and isinstance(completion, list):
        turns = _messages([*prompt, *completion], report, role="role", content="content")
        return _chat(turns, _others(values, "prompt", "completion"), report)
    question = required_text(prompt, "prompt", report)
    return Draft(question, completion, omitted_keys=_others(values, "prompt", "completion")) if question else None


def parse_preference(values: Mapping[str, Any], report: ReportProblem) -> Draft | None:
    """Parse two replies to one chat, in OpenAI's format or as {"prompt", "chosen", "rejected"}, each text or messages.

    OpenAI's: {"input": {"messages": […]}, "preferred_output": [reply], "non_preferred_output": [reply]}. `chosen` and
    `rejected` may also be complete chats, with or without `prompt`.
    """
    request = values.get("input")
    is_openai = isinstance(request, dict) and "messages" in request
    keys = ("input", "preferred_output", "non_preferred_output") if is_openai else ("prompt", "chosen", "rejected")
    if isinstance(request, dict) and request.get("tools"):
        report("the chat uses tools", "remove the row: examples cannot hold tool calls")
        return None
    context = request["messages"] if isinstance(request, dict) and is_openai else values.get("prompt")
    before = _as_turns(context, "user")
    drafts: list[Draft] = []
    for key in keys[1:]:
        reply = _as_turns(values.get(key), "assistant")
        if not isinstance(reply, list) or not reply:
            verdict = "preferred" if key == keys[1] else "rejected"
            report(f'no "{key}"', f'add "{key}": "…", the {verdict} reply')
            continue
        is_complete = isinstance(reply[0], dict) and reply[0].get("role") != "assistant"
        turns = reply if is_complete or not isinstance(before, list) else [*before, *reply]
        draft = _chat(_messages(turns, report, role="role", content="content"), _others(values, *keys), report)
        drafts += [draft] if draft else []
    if len(drafts) < 2:
        return None
    chosen, rejected = drafts
    if (chosen.system, chosen.earlier_turns, chosen.question) != (
        rejected.system,
        rejected.earlier_turns,
        rejected.question,
    ):
        report(
            "the two replies answer different questions", f'make "{keys[1]}" and "{keys[2]}" differ only in the reply'
        )
        return None
    if chosen.reply == rejected.reply:
        report("both replies are the same", "remove the row: a pair needs two different replies")
        return None
    return replace(chosen, rejected=rejected.reply)


def _as_turns(value: Any, role: str) -> Any:
    return [{"role": role, "content": value}] if isinstance(value, str) else value


def parse_alpaca(values: Mapping[str, Any], report: ReportProblem) -> Draft | None:
    """Parse {"instruction", "input", "output"}, or Dolly's {"instruction", "context", "response"}."""
    output_key = "output" if "output" in values else "response"
    input_key = "input" if "input" in values else "context"
    instruction = required_text(values.get("instruction"), "instruction", report)
    input_text = values.get(input_key) or ""
    if not isinstance(input_text, str):
        report(f'"{input_key}" is not a string', f'write "{input_key}": "…"')
        return None
    if values.get("history"):
        report('the row has earlier turns ("history")', "convert the row to a chat")
        return None
    if values.get("system"):
        report("the row has both a system prompt and an instruction", "convert the row to a chat")
        return None
    omitted = _others(values, "instruction", input_key, output_key, "history", "system", "text")
    if not instruction:
        return None
    if input_text.strip():
        return Draft(
            input_text.strip(), values.get(output_key), system=instruction, joins_system=True, omitted_keys=omitted
        )
    return Draft(instruction, values.get(output_key), omitted_keys=omitted)


def parse_table(values: Mapping[str, Any], layout: ColumnMapping, report: ReportProblem) -> Draft | None:
    """Parse a row with known columns."""
    question = required_text(values.get(layout.input), layout.input, report)
    copied: dict[str, str] = {}
    for key, column in layout.copied.items():
        value = values.get(column)
        value = ",".join(map(str, value)) if isinstance(value, list) else value
        if value is not None and str(value).strip():
            copied[key] = str(value).strip()
    omitted = _others(values, layout.input, layout.output or "", *layout.copied.values())
    reply = values.get(layout.output) if layout.output else None
    return Draft(question, reply, copied=copied, omitted_keys=omitted) if question else None


def required_text(value: Any, key: str, report: ReportProblem) -> str:
    """Return the text stripped; empty after reporting a problem."""
    if isinstance(value, str) and value.strip():
        return value.strip()
    if value is None or value == "" or isinstance(value, str):
        report(f'no "{key}"', f'fill in "{key}"')
    else:
        report(f'"{key}" is not a string: {json_excerpt(value)}', f'write "{key}": "…"')
    return ""


def json_excerpt(value: Any) -> str:
    """Return the value as JSON, truncated to 60 characters."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"


def _chat(turns: list[Message] | None, left_out: tuple[str, ...], report: ReportProblem) -> Draft | None:
    """Build a draft whose output is the last reply and whose input is the question before it."""
    if turns is None:
        return None
    system = turns[0].content if turns and turns[0].role == "system" else None
    rest = turns[1:] if system is not None else turns
    if any(turn.role == "system" for turn in rest):
        report("a system message appears after the first turn", TURN_ORDER_HINT)
        return None
    if not rest or rest[-1].role != "assistant":
        report("the chat does not end with an assistant turn", "end it with the assistant's reply to train on")
        return None
    doubled = next((turn.role for turn, following in pairwise(rest) if turn.role == following.role), None)
    if doubled:
        report(f"two {doubled} turns in a row", f"merge them; {TURN_ORDER_HINT}")
        return None
    if len(rest) < 2:
        report("no user turn before the reply", TURN_ORDER_HINT)
        return None
    return Draft(
        rest[-2].content, rest[-1].content, system or None, earlier_turns=tuple(rest[:-2]), omitted_keys=left_out
    )


def _messages(value: Any, report: ReportProblem, *, role: str, content: str) -> list[Message] | None:
    """Return the turns; None after reporting every invalid turn. role, content: keys of a turn."""
    if not isinstance(value, list) or not value:
        report("no list of turns", f'write [{{"{role}": "…", "{content}": "…"}}, …]')
        return None
    turns: list[Message] = []
    for number, turn in enumerate(value, start=1):
        problem = _turn_problem(turn, role, content, last=number == len(value))
        if problem:
            report(f"turn {number}: {problem[0]}", problem[1])
        else:
            turns.append(Message(_ROLES[turn[role].casefold()], _content_text(turn[content]).strip()))
    return turns if len(turns) == len(value) else None


def _turn_problem(turn: Any, role: str, content: str, *, last: bool) -> tuple[str, str] | None:
    if not isinstance(turn, dict) or not isinstance(turn.get(role), str):
        return f'no "{role}"', f'write {{"{role}": "user", "{content}": "…"}}'
    if turn[role].casefold() in _TOOLS or any(turn.get(key) for key in _CALLS):
        return "contains a tool call", "remove the row: examples cannot hold tool calls"
    if turn[role].casefold() not in _ROLES:
        return f"unknown role {json_excerpt(turn[role])}", f"use one of {', '.join(_ROLES)}"
    value = turn.get(content)
    if isinstance(value, list) and any(not isinstance(part, dict) or "text" not in part for part in value):
        return "contains something that is not text", "remove the row: examples hold text only"
    if value is not None and not isinstance(value, str | list):
        return f'"{content}" is not a string: {json_excerpt(value)}', f'write "{content}": "…"'
    if not _content_text(value).strip() and _ROLES[turn[role].casefold()] != "system":
        return f"the {_ROLES[turn[role].casefold()]} turn is empty", "fill it in, or remove the row"
    if last and turn.get("weight") == 0:
        return "the reply has weight 0, so it is excluded from training", "remove the row, or end the chat earlier"
    return None


def _content_text(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(str(part["text"]) for part in value)
    return value or ""


def _others(values: Mapping[str, Any], *known: str) -> tuple[str, ...]:
    return tuple(key for key, value in values.items() if key not in known and value not in (None, "", [], {}))
