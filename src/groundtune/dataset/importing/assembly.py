"""Turn parsed rows of a file into examples, resolving system messages and ids across rows.

Pure; rejects ambiguous rows instead of guessing.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args

from groundtune.common.conversations import transcript
from groundtune.common.files import digest_text
from groundtune.common.json_schema import parse_json
from groundtune.common.text import format_count
from groundtune.dataset.examples import assign_split, input_key
from groundtune.dataset.importing.parsers import Draft, json_excerpt
from groundtune.dataset.importing.records import ReportLineProblem
from groundtune.types import Evidence, Example, Split

_SPLITS = {"val": "validation", "valid": "validation", "dev": "validation", "eval": "validation"}


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How to handle what a file leaves ambiguous."""

    input: str | None = None
    """Input column of a table; None guesses by name. Same for `output`."""
    output: str | None = None
    split: Split | None = None
    """Split of rows that name none; None derives it from the input."""
    abstain: tuple[str, ...] = ()
    """Outputs that mean abstain; they become null."""
    system: Literal["refuse", "join", "drop"] = "refuse"
    """Handling of system messages that differ between rows. join: put before the input."""
    turns: Literal["refuse", "history", "join", "last"] = "refuse"
    """Handling of multi-turn chats. history: the turns before the last question become its history; join: all turns
    become the input; last: only the last question."""


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A draft with its line number and a digest of its system message, turns and question."""

    line: int
    draft: Draft
    input_digest: str


def make_row(line: int, draft: Draft) -> ImportRow:
    turns = [[turn.role, turn.content] for turn in draft.earlier_turns]
    return ImportRow(line, draft, digest_text(json.dumps([draft.system, turns, draft.question], ensure_ascii=False)))


def resolve_system_messages(
    rows: Sequence[ImportRow], options: ImportOptions, report: ReportLineProblem
) -> tuple[list[ImportRow], str | None, list[str]]:
    """Return a system message that all rows share; join, drop or refuse messages that differ."""
    systems = {item.draft.system for item in rows}
    if len(systems) <= 1:
        shared = next(iter(systems), None)
        note = 'the shared system message or instruction is omitted: put it under "instructions" in groundtune.toml'
        plain = [replace(item, draft=replace(item.draft, system=None)) for item in rows]
        return plain, shared, [note] if shared else []
    resolved: list[ImportRow] = []
    counts: Counter[str] = Counter()
    for item in rows:
        system, draft = item.draft.system, replace(item.draft, system=None)
        action = "join" if draft.joins_system and options.system == "refuse" else options.system
        if system is not None:
            counts[action] += 1
            if action == "refuse":
                hint = "--system join puts it before the input, --system drop omits it"
                report(item.line, "the system message differs between rows", hint)
            elif action == "join":
                draft = replace(draft, question=f"{system}\n\n{draft.question}")
        resolved.append(replace(item, draft=draft))
    words = {"join": "put before the input", "drop": "omitted"}
    notes = [
        f"system message or instruction {words[action]}: {format_count(counts[action])}"
        for action in words
        if counts[action]
    ]
    return resolved, None, notes


def reduce_turns(
    rows: Sequence[ImportRow], options: ImportOptions, report: ReportLineProblem
) -> tuple[list[ImportRow], list[str]]:
    """Reduce multi-turn chats to a single input, with or without its history, or refuse them."""
    reduced: list[ImportRow] = []
    multi_turn = 0
    for item in rows:
        draft = replace(item.draft, earlier_turns=())
        if item.draft.earlier_turns:
            multi_turn += 1
            if options.turns == "refuse":
                hint = "--turns history keeps the turns before the last question, --turns last leaves them out"
                report(item.line, "the chat has several user turns, but an example holds one question", hint)
            elif options.turns == "history":
                draft = item.draft
            elif options.turns == "join":
                draft = replace(draft, question=transcript(draft.question, item.draft.earlier_turns))
        reduced.append(replace(item, draft=draft))
    words = {
        "history": "turns before the last question kept as its history",
        "join": "all turns written into the input",
        "last": "turns before the last question omitted",
    }
    return reduced, [
        f"{words[options.turns]}: {format_count(multi_turn)}"
    ] if multi_turn and options.turns in words else []


def parse_outputs(
    rows: Sequence[ImportRow], options: ImportOptions, report: ReportLineProblem
) -> tuple[list[Any], list[str]]:
    """Return the gold output of each row; None where the row abstains."""
    values = [_output(item, options, report) for item in rows]
    texts = [value for value in values if isinstance(value, str)]
    if texts and len(texts) == sum(value is not None for value in values):
        objects = [None if text is None else _as_object(text) for text in values]
        if all(isinstance(parsed, dict) for parsed, text in zip(objects, values, strict=True) if text is not None):
            return objects, ["every output is a JSON object and is kept as an object"]
    return values, []


def build_examples(
    rows: Sequence[ImportRow], outputs: Sequence[Any], *, options: ImportOptions, origin: str, report: ReportLineProblem
) -> list[Example]:
    """Build the examples. Importing the file again gives the same ids; equal inputs share their split."""
    used: dict[str, int] = {}
    copies: Counter[str] = Counter()
    result: list[Example] = []
    for item, output in zip(rows, outputs, strict=True):
        cells = item.draft.copied
        example_id = item.input_digest[:16]
        copies[example_id] += 1
        copy = copies[example_id]
        example_id = cells.get("id") or (example_id if copy == 1 else f"{example_id}-{copy}")
        if (seen := used.setdefault(example_id, item.line)) != item.line:
            message = f'duplicate id "{example_id}", first used on line {seen}'
            report(item.line, message, "give every row a unique id, or remove all ids")
        result.append(
            Example(
                id=example_id,
                input=item.draft.question,
                history=item.draft.earlier_turns,
                output=output,
                evidence=(Evidence(cells["source"], cells["quote"]),) if {"source", "quote"} <= set(cells) else (),
                split=_split(item, options, report),
                tags=tuple(tag.strip() for tag in cells.get("tags", "").split(",") if tag.strip()),
                group=cells.get("group"),
                origin=cells.get("origin", origin),
                rejected=_rejected(output, item.draft.rejected),
                reasoning=item.draft.reasoning,
            )
        )
    return result


def _split(item: ImportRow, options: ImportOptions, report: ReportLineProblem) -> Split:
    named = item.draft.copied.get("split", "").casefold()
    named = _SPLITS.get(named, named)
    if named and named not in get_args(Split):
        report(item.line, f'unknown split "{named}"', f"use one of {', '.join(get_args(Split))}")
    if named in get_args(Split):
        return cast(Split, named)
    turns = (turn.content for turn in item.draft.earlier_turns)
    return options.split or assign_split(digest_text(input_key(item.draft.question, turns)))


def _output(item: ImportRow, options: ImportOptions, report: ReportLineProblem) -> Any:
    value = item.draft.reply
    value = json.dumps(value) if isinstance(value, int | float) else value
    if isinstance(value, str):
        value = value.strip()
        if value in options.abstain:
            return None
        if value:
            return value
    if isinstance(value, dict) and value:
        return value
    if isinstance(value, list) and value and all(isinstance(part, str) and part.strip() for part in value):
        return value
    if value in (None, "", [], {}):
        hint = 'fill it in, or use --abstain "" if empty means abstain'
        if value in (None, "") and "" in options.abstain:
            return None
        report(item.line, "the output is empty", hint)
    else:
        report(
            item.line,
            f"the output is not a string, a list of strings or an object: {json_excerpt(value)}",
            "write it as a string",
        )
    return None


def _as_object(text: str) -> Any:
    try:
        return parse_json(text) if text.startswith("{") else None
    except ValueError:
        return None


def _rejected(output: Any, rejected: Any) -> Any:
    """Parse the rejected reply as an object if the output is one; otherwise return it as the model wrote it."""
    parsed = _as_object(rejected.strip()) if isinstance(output, dict) and isinstance(rejected, str) else None
    return parsed if isinstance(parsed, dict) else rejected
