"""Turn the rows of one file into examples, once it is clear what all of them share. Pure; refuses, never guesses."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args

from groundtune.json_values import read_json
from groundtune.measure.examples import place
from groundtune.measure.format_rows import Say
from groundtune.measure.format_turns import Draft, show
from groundtune.types import Evidence, Example, Message, Split
from groundtune.workspace import digest_text

_SPLITS = {"val": "validation", "valid": "validation", "dev": "validation", "eval": "validation"}


@dataclass(frozen=True, slots=True)
class Choices:
    """What the caller decides where a file leaves it open."""

    input: str | None = None
    """Column of a table; None guesses by name. `output` the same."""
    output: str | None = None
    split: Split | None = None
    """Of all rows that name none; None lets the input decide."""
    abstain: tuple[str, ...] = ()
    """Outputs that stand for "there is no right output": they become null."""
    system: Literal["refuse", "join", "drop"] = "refuse"
    """Of system messages that differ between the rows. join: put before the input."""
    turns: Literal["refuse", "join", "last"] = "refuse"
    """Of chats with several questions. join: all turns into the input; last: only the last question."""


@dataclass(frozen=True, slots=True)
class Row:
    """A draft with the line on which it stands and a digest of all that was asked there."""

    line: int
    draft: Draft
    digest: str


def row(line: int, draft: Draft) -> Row:
    turns = [[turn.role, turn.content] for turn in draft.earlier]
    return Row(line, draft, digest_text(json.dumps([draft.system, turns, draft.asked], ensure_ascii=False)))


def shared_system(rows: Sequence[Row], choices: Choices, say: Say) -> tuple[list[Row], str | None, list[str]]:
    """What stands before all inputs alike is handed back; what differs is put before them, dropped or refused."""
    said = {one.draft.system for one in rows}
    if len(said) <= 1:
        shared = next(iter(said), None)
        note = 'what stands before every input alike is left out: put it under "instructions" in groundtune.toml'
        plain = [replace(one, draft=replace(one.draft, system=None)) for one in rows]
        return plain, shared, [note] if shared else []
    made: list[Row] = []
    done: Counter[str] = Counter()
    for one in rows:
        system, draft = one.draft.system, replace(one.draft, system=None)
        how = "join" if draft.joins and choices.system == "refuse" else choices.system
        if system is not None:
            done[how] += 1
            if how == "refuse":
                hint = "--system join puts it before the input, --system drop leaves it out"
                say(one.line, "a system message that not all rows share", hint)
            elif how == "join":
                draft = replace(draft, asked=f"{system}\n\n{draft.asked}")
        made.append(replace(one, draft=draft))
    words = {"join": "put before the input", "drop": "left out"}
    notes = [f"system message or instruction {words[how]}: {done[how]:,} rows" for how in words if done[how]]
    return made, None, notes


def single_turns(rows: Sequence[Row], choices: Choices, say: Say) -> tuple[list[Row], list[str]]:
    """Chats with several questions become one input, or are refused."""
    made: list[Row] = []
    several = 0
    for one in rows:
        draft = replace(one.draft, earlier=())
        if one.draft.earlier:
            several += 1
            if choices.turns == "refuse":
                hint = "--turns last keeps the last question alone, --turns join writes all turns into the input"
                say(one.line, "a chat with several questions; an example has one", hint)
            elif choices.turns == "join":
                draft = replace(draft, asked=_transcript((*one.draft.earlier, Message("user", draft.asked))))
        made.append(replace(one, draft=draft))
    words = {"join": "all turns were written into the input", "last": "the turns before the last question are left out"}
    return made, [f"{words[choices.turns]}: {several:,} rows"] if several and choices.turns in words else []


def outputs(rows: Sequence[Row], choices: Choices, say: Say) -> tuple[list[Any], list[str]]:
    """What is right for each row; None where that is to abstain."""
    found = [_output(one, choices, say) for one in rows]
    texts = [one for one in found if isinstance(one, str)]
    if texts and len(texts) == sum(one is not None for one in found):
        objects = [None if one is None else _as_object(one) for one in found]
        if all(isinstance(one, dict) for one, text in zip(objects, found, strict=True) if text is not None):
            return objects, ["every output is a JSON object and is kept as one"]
    return found, []


def examples(rows: Sequence[Row], found: Sequence[Any], *, choices: Choices, origin: str, say: Say) -> list[Example]:
    """Each with an id that importing again gives again; equal inputs share their split."""
    used: dict[str, int] = {}
    copies: Counter[str] = Counter()
    made: list[Example] = []
    for one, output in zip(rows, found, strict=True):
        kept = one.draft.kept
        name = one.digest[:16]
        copies[name] += 1
        name = kept.get("id") or (name if copies[name] == 1 else f"{name}-{copies[name]}")
        if (seen := used.setdefault(name, one.line)) != one.line:
            say(one.line, f'id "{name}" is already on line {seen}', "give each row its own id, or none any")
        made.append(
            Example(
                id=name,
                input=one.draft.asked,
                output=output,
                evidence=(Evidence(kept["source"], kept["quote"]),) if {"source", "quote"} <= set(kept) else (),
                split=_split(one, choices, say),
                tags=tuple(tag.strip() for tag in kept.get("tags", "").split(",") if tag.strip()),
                group=kept.get("group"),
                origin=kept.get("origin", origin),
                rejected=_like(output, one.draft.rejected),
            )
        )
    return made


def folded(text: str) -> str:
    """The text as it counts when two are held to be the same: case and white space do not."""
    return " ".join(text.casefold().split())


def _split(one: Row, choices: Choices, say: Say) -> Split:
    named = one.draft.kept.get("split", "").casefold()
    named = _SPLITS.get(named, named)
    if named and named not in get_args(Split):
        say(one.line, f'unknown split "{named}"', f"one of {', '.join(get_args(Split))}")
    if named in get_args(Split):
        return cast(Split, named)
    return choices.split or place(digest_text(folded(one.draft.asked)))


def _output(one: Row, choices: Choices, say: Say) -> Any:
    value = one.draft.replied
    value = json.dumps(value) if isinstance(value, int | float) else value
    if isinstance(value, str):
        value = value.strip()
        if value in choices.abstain:
            return None
        if value:
            return value
    if isinstance(value, dict) and value:
        return value
    if isinstance(value, list) and value and all(isinstance(part, str) and part.strip() for part in value):
        return value
    if value in (None, "", [], {}):
        hint = 'fill it in, or --abstain "" where that means that there is no right output'
        if value in (None, "") and "" in choices.abstain:
            return None
        say(one.line, "an empty output", hint)
    else:
        say(one.line, f"the output is no text, list of texts or object: {show(value)}", "write it as text")
    return None


def _as_object(text: str) -> Any:
    try:
        return read_json(text) if text.startswith("{") else None
    except ValueError:
        return None


def _like(output: Any, rejected: Any) -> Any:
    """An object where the output is one; else the text that the model wrote, whatever it is."""
    made = _as_object(rejected.strip()) if isinstance(output, dict) and isinstance(rejected, str) else None
    return made if isinstance(made, dict) else rejected


def _transcript(turns: Sequence[Message]) -> str:
    return "\n\n".join(f"{turn.role.capitalize()}: {turn.content}" for turn in turns)
