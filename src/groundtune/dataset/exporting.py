"""Convert examples to other formats. Refuses nothing; notes what a format cannot represent."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from groundtune.common.conversations import transcript
from groundtune.common.text import format_count
from groundtune.dataset.importing.convert import encode_example
from groundtune.errors import UsageError
from groundtune.types import Example, Message

ExportFormat = Literal["examples", "chat", "prompt", "preference", "alpaca", "sharegpt", "csv", "tsv"]
_MULTI_TURN = ("chat", "preference", "sharegpt")
"""Formats that hold several turns."""
COLUMNS = ("id", "input", "output", "split", "tags", "group", "origin")


@dataclass(frozen=True, slots=True)
class Export:
    """Examples as text, with notes on what was lost."""

    text: str
    rows: int
    notes: tuple[str, ...] = ()


def export_examples(
    examples: Sequence[Example],
    format: ExportFormat,  # noqa: A002
    *,
    instructions: str | None = None,
    abstain: str = "",
) -> Export:
    """Convert the examples to a format.

    instructions: system message put before each input (in Alpaca, the instruction); None for none.
    abstain: text written when the correct output is to abstain. Raises UsageError for an unknown format.
    """
    if format not in get_args(ExportFormat):
        raise UsageError(f"unknown format {format!r}", hint=f"use one of {', '.join(get_args(ExportFormat))}")
    if format == "examples":
        return Export("".join(f"{encode_example(example)}\n" for example in examples), len(examples))
    notes = tuple(_notes(examples, format, instructions, abstain))
    if format in ("csv", "tsv"):
        return Export(_table(examples, "\t" if format == "tsv" else ",", abstain), len(examples), notes)
    if format == "preference":
        pairs = [example for example in examples if example.rejected is not None]
        lines = [
            _preference(_chat(example, _reply(example.output, abstain), instructions), example) for example in pairs
        ]
    else:
        row = _ROWS[format]
        lines = [row(example, _reply(example.output, abstain), instructions) for example in examples]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    return Export(text, len(lines), notes)


def _chat(example: Example, reply: str, system: str | None) -> dict[str, Any]:
    first = [Message("system", system)] if system else []
    turns = [*first, *example.history, Message("user", example.input), Message("assistant", reply)]
    return {"messages": [{"role": turn.role, "content": turn.content} for turn in turns]}


def _preference(chat: dict[str, Any], example: Example) -> dict[str, Any]:
    """Return the row in the format of OpenAI's API."""
    return {
        "input": {"messages": chat["messages"][:-1]},
        "preferred_output": chat["messages"][-1:],
        "non_preferred_output": [{"role": "assistant", "content": _reply(example.rejected, "")}],
    }


def _prompt(example: Example, reply: str, system: str | None) -> dict[str, Any]:
    question = _question(example)
    return {"prompt": f"{system}\n\n{question}" if system else question, "completion": reply}


def _alpaca(example: Example, reply: str, system: str | None) -> dict[str, Any]:
    question = _question(example)
    return {"instruction": system or question, "input": question if system else "", "output": reply}


def _sharegpt(example: Example, reply: str, system: str | None) -> dict[str, Any]:
    names = {"user": "human", "assistant": "gpt"}
    turns = _chat(example, reply, system)["messages"]
    return {
        "conversations": [{"from": names.get(turn["role"], turn["role"]), "value": turn["content"]} for turn in turns]
    }


def _question(example: Example) -> str:
    """Return the input for a format that holds a single text: the whole conversation if there is one."""
    return transcript(example.input, example.history)


_ROWS: dict[str, Callable[[Example, str, str | None], dict[str, Any]]] = {
    "chat": _chat,
    "prompt": _prompt,
    "alpaca": _alpaca,
    "sharegpt": _sharegpt,
}


def _table(examples: Sequence[Example], delimiter: str, abstain: str) -> str:
    """Return the table with a header and CRLF line ends (RFC 4180)."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(COLUMNS)
    for example in examples:
        reply, tags = _reply(example.output, abstain), ",".join(example.tags)
        row = [example.id, _question(example), reply, example.split, tags, example.group or "", example.origin]
        writer.writerow(row)
    return out.getvalue()


def _reply(output: Any, abstain: str) -> str:
    if output is None:
        return abstain
    if isinstance(output, list):
        return str(output[0])
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)


def _notes(examples: Sequence[Example], format: str, instructions: str | None, abstain: str) -> list[str]:  # noqa: A002
    counts = {
        "with several correct outputs: only the first is written": sum(
            isinstance(example.output, list) for example in examples
        ),
        "with evidence: the evidence is omitted": sum(bool(example.evidence) for example in examples),
        "with facts: the facts are omitted": sum(bool(example.facts) for example in examples),
        "with a reasoning: the reasoning is omitted": sum(bool(example.reasoning) for example in examples),
    }
    abstaining = f'whose correct output is to abstain: written as "{abstain}"'
    counts[abstaining] = sum(example.output is None for example in examples)
    if format == "preference":
        counts["without a rejected output: skipped"] = sum(example.rejected is None for example in examples)
    else:
        counts["with a rejected output: the rejected output is omitted"] = sum(
            example.rejected is not None for example in examples
        )
    if format not in _MULTI_TURN:
        counts["with a history: it is written into the input"] = sum(bool(example.history) for example in examples)
    if format in ("csv", "tsv") and instructions:
        counts["written without the instructions, which a table cannot hold"] = len(examples)
    return [f"{format_count(number, 'example')} {note}" for note, number in counts.items() if number]
