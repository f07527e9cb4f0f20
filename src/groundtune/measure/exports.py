"""Turn examples into the rows of other formats. Refuses nothing; says what a format has no place for."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from groundtune.errors import UsageError
from groundtune.measure.formats import as_line
from groundtune.types import Example

ExportFormat = Literal["examples", "chat", "prompt", "preference", "alpaca", "sharegpt", "csv", "tsv"]
COLUMNS = ("id", "input", "output", "split", "tags", "group", "origin")


@dataclass(frozen=True, slots=True)
class Export:
    """Examples as text, and what was lost on the way."""

    text: str
    rows: int
    notes: tuple[str, ...] = ()


def export(
    examples: Sequence[Example],
    format: ExportFormat,  # noqa: A002
    *,
    instructions: str | None = None,
    abstain: str = "",
) -> Export:
    """instructions: what is put before each input as system message (Alpaca: as instruction); None: nothing.

    abstain: what is written where the right output is to abstain. Raises UsageError for an unknown format.
    """
    if format not in get_args(ExportFormat):
        raise UsageError(f"no format {format!r}", hint=f"one of {', '.join(get_args(ExportFormat))}")
    if format == "examples":
        return Export("".join(f"{as_line(one)}\n" for one in examples), len(examples))
    notes = tuple(_notes(examples, format, instructions, abstain))
    if format in ("csv", "tsv"):
        return Export(_table(examples, "\t" if format == "tsv" else ",", abstain), len(examples), notes)
    if format == "preference":
        pairs = [one for one in examples if one.rejected is not None]
        lines = [_preference(_chat(one.input, _reply(one.output, abstain), instructions), one) for one in pairs]
    else:
        row = _ROWS[format]
        lines = [row(one.input, _reply(one.output, abstain), instructions) for one in examples]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    return Export(text, len(lines), notes)


def _chat(asked: str, reply: str, system: str | None) -> dict[str, Any]:
    first = [{"role": "system", "content": system}] if system else []
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": reply}]
    return {"messages": [*first, *turns]}


def _preference(chat: dict[str, Any], one: Example) -> dict[str, Any]:
    """As OpenAI's API takes it."""
    return {
        "input": {"messages": chat["messages"][:-1]},
        "preferred_output": chat["messages"][-1:],
        "non_preferred_output": [{"role": "assistant", "content": _reply(one.rejected, "")}],
    }


def _prompt(asked: str, reply: str, system: str | None) -> dict[str, Any]:
    return {"prompt": f"{system}\n\n{asked}" if system else asked, "completion": reply}


def _alpaca(asked: str, reply: str, system: str | None) -> dict[str, Any]:
    return {"instruction": system or asked, "input": asked if system else "", "output": reply}


def _sharegpt(asked: str, reply: str, system: str | None) -> dict[str, Any]:
    first = [{"from": "system", "value": system}] if system else []
    return {"conversations": [*first, {"from": "human", "value": asked}, {"from": "gpt", "value": reply}]}


_ROWS: dict[str, Callable[[str, str, str | None], dict[str, Any]]] = {
    "chat": _chat,
    "prompt": _prompt,
    "alpaca": _alpaca,
    "sharegpt": _sharegpt,
}


def _table(examples: Sequence[Example], delimiter: str, abstain: str) -> str:
    """With a header; line ends as RFC 4180 has them."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(COLUMNS)
    for one in examples:
        reply = _reply(one.output, abstain)
        writer.writerow([one.id, one.input, reply, one.split, ",".join(one.tags), one.group or "", one.origin])
    return out.getvalue()


def _reply(output: Any, abstain: str) -> str:
    if output is None:
        return abstain
    if isinstance(output, list):
        return str(output[0])
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)


def _notes(examples: Sequence[Example], format: str, instructions: str | None, abstain: str) -> list[str]:  # noqa: A002
    counts = {
        "with several right outputs: the first is written": sum(isinstance(one.output, list) for one in examples),
        "with evidence: it is left out": sum(bool(one.evidence) for one in examples),
    }
    empty = f'where the right output is to abstain: "{abstain}" is written'
    counts[empty] = sum(one.output is None for one in examples)
    if format == "preference":
        counts["without a rejected output: left out"] = sum(one.rejected is None for one in examples)
    else:
        counts["with a rejected output: it is left out"] = sum(one.rejected is not None for one in examples)
    if format in ("csv", "tsv") and instructions:
        counts["without the instructions: a table has no place for them"] = len(examples)
    return [
        f"{number:,} {'example' if number == 1 else 'examples'} {what}" for what, number in counts.items() if number
    ]
