"""Freeze the answers to a few examples, and ask them again later. Keeps them in `.groundtune/canary.json`.

They are frozen for one choice of the project: after another choice, other examples or another number of them, the next
run freezes anew. The kept answers are those of the comparison that the choice came from, where it has them all; else
they are asked for.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, get_args

from groundtune.build.task import primary_score
from groundtune.common.answers import request_answer
from groundtune.common.conversations import question_of
from groundtune.common.files import digest_text, read_json, write_json
from groundtune.common.format_version import check_version, versioned
from groundtune.config import Config
from groundtune.config.project_file import Metric
from groundtune.drift.canary import CanaryAnswer, CanaryCheck, check_canary
from groundtune.errors import GroundtuneError, MissingError
from groundtune.measure.scoring import Scorer
from groundtune.protocols import Approach
from groundtune.types import Example, Interval
from groundtune.workflows.calibrating import sampled_ids
from groundtune.workflows.choosing import Choice
from groundtune.workflows.runs import read_run, run_folder
from groundtune.workspace import Workspace

FILE_VERSION = 1
FILE = "canary.json"
AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class CanarySet:
    """The frozen answers, and how the last check of them went."""

    key: str
    """Digest of the choice and of the examples."""
    approach: str
    frozen: str
    """ISO 8601, UTC."""
    index: str | None
    """State of the index when they were frozen; None where it is not known."""
    answers: tuple[CanaryAnswer, ...]
    last: CanaryCheck | None = None


@dataclass(frozen=True, slots=True)
class CanaryParts:
    """What asking the canary set needs."""

    workspace: Workspace
    config: Config
    examples: Sequence[Example]
    """All examples of the project."""
    choice: Choice | None
    """The recorded choice, where it is the one in the project file."""
    name: str
    """The approach that answers when none is named."""
    score: Scorer
    index: str | None
    approach: AbstractAsyncContextManager[Approach]


def read_canary(workspace: Workspace) -> CanarySet | None:
    """Return the frozen answers; None before they were frozen. Raises MissingError for a damaged file."""
    path = workspace.folder / FILE
    if not path.exists():
        return None
    rebuild = "delete it; groundtune drift freezes the answers anew"
    values = check_version(read_json(path), path=path, supported=FILE_VERSION, rebuild=rebuild)
    answers = tuple(CanaryAnswer(**answer) for answer in values["answers"])
    return CanarySet(**{**values, "answers": answers, "last": values["last"] and _check(values["last"])})


def _check(values: Mapping[str, Any]) -> CanaryCheck:
    difference = values["difference"] and Interval(**values["difference"])
    lists = {name: tuple(values[name]) for name in ("changed", "worse")}
    return CanaryCheck(**{**values, **lists, "difference": difference})


def canary_examples(examples: Sequence[Example], number: int) -> list[Example]:
    """Return the examples of the canary set: a sample of the test split that others, added later, hardly change."""
    test = [example for example in examples if example.split == "test"]
    chosen = set(sampled_ids(test, number))
    return [example for example in test if example.id in chosen]


def canary_key(choice: Choice | None, name: str, examples: Sequence[Example]) -> str:
    """Return what the frozen answers hold for."""
    return digest_text(repr([name, choice.time if choice else None, [repr(example) for example in examples]]))[:16]


async def ask_canary(parts: CanaryParts) -> CanarySet:
    """Ask the canary set and compare, or freeze it where it is not; `last` is None if it was only frozen now.

    Raises MissingError when there is no example to ask, and what an approach raises that answers nothing at all.
    """
    examples = canary_examples(parts.examples, parts.config.drift.canary)
    if not examples:
        raise MissingError("the canary set needs examples of the test split", hint="groundtune examples split")
    key = canary_key(parts.choice, parts.name, examples)
    kept = await asyncio.to_thread(read_canary, parts.workspace)
    if kept is None or kept.key != key:
        kept = await asyncio.to_thread(_compared, parts, examples, key)
    asked = await _asked(parts, examples)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if kept is None:
        kept = CanarySet(key, parts.name, now, parts.index, tuple(asked.values()))
    else:
        check = check_canary(
            kept.answers,
            asked,
            time=now,
            approach=parts.name,
            frozen=kept.frozen,
            new_index=kept.index is not None and kept.index != parts.index,
        )
        kept = CanarySet(kept.key, kept.approach, kept.frozen, kept.index, kept.answers, check)
    await asyncio.to_thread(_write, parts.workspace, kept)
    return kept


def _write(workspace: Workspace, kept: CanarySet) -> None:
    workspace.create()
    write_json(workspace.folder / FILE, versioned(asdict(kept), FILE_VERSION))


def _compared(parts: CanaryParts, examples: Sequence[Example], key: str) -> CanarySet | None:
    """Return the answers of the comparison that the choice came from; None where it lacks one."""
    if parts.choice is None or parts.choice.run is None:
        return None
    try:
        run = read_run(run_folder(parts.workspace, parts.choice.run))
    except GroundtuneError:
        return None
    named = {parts.name, parts.name.partition("@")[0]}
    rows = {result.example: result for result in run.results if result.approach in named}
    if any(example.id not in rows or rows[example.id].status == "error" for example in examples):
        return None
    answers = [
        CanaryAnswer(row.example, row.status, _digest(row.output), _score(row.scores, parts.config))
        for row in (rows[example.id] for example in examples)
    ]
    return CanarySet(key, parts.name, run.started or parts.choice.time, None, tuple(answers))


async def _asked(parts: CanaryParts, examples: Sequence[Example]) -> dict[str, CanaryAnswer]:
    turns = asyncio.Semaphore(AT_ONCE)
    failures: list[GroundtuneError] = []

    async def ask(approach: Approach, example: Example) -> CanaryAnswer:
        async with turns:
            try:
                answer = await request_answer(approach, question_of(example))
            except GroundtuneError as error:
                failures.append(error)
                return CanaryAnswer(example.id, "error")
        output = answer.text if answer.output is None else answer.output
        return CanaryAnswer(
            example.id, answer.status, _digest(output), _score(parts.score(answer, example), parts.config)
        )

    async with parts.approach as approach:
        answers = await asyncio.gather(*(ask(approach, example) for example in examples))
    if len(failures) == len(examples):
        raise failures[0]
    return {answer.example: answer for answer in answers}


def _digest(output: Any) -> str:
    return digest_text(json.dumps(output, sort_keys=True))


def _score(scores: Mapping[str, float], config: Config) -> float | None:
    """Return the deciding score, or where only a judge or a package can tell it, that of the rules."""
    unasked = {*get_args(Metric), *config.compare.scorers}
    primary = primary_score(config)
    return scores.get(primary if primary not in unasked else "chrf" if config.task == "write" else "correct")
