"""Fill in what every answer has, whoever made it, and add up what it took. Changes nothing that is set."""

import inspect
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import uuid4

from groundtune.errors import UsageError
from groundtune.types import Answer, Hit, Question, Status, Usage


async def request_answer(approach: Any, question: Question) -> Answer:
    """Return the complete answer of an `Approach`, whoever wrote it.

    Raises what the approach raises, UsageError when it does not return an answer.
    """
    start = time.perf_counter()
    pending = approach.answer(question)
    if not inspect.isawaitable(pending):
        raise UsageError(f"{approach.name}: answer is not a coroutine", hint="write `async def answer(self, question)`")
    answer = await pending
    if not isinstance(answer, Answer):
        message = f"{approach.name} returned {type(answer).__name__}, not an Answer"
        raise UsageError(message, hint='return Answer(text=…, status="answered")')
    if answer.status not in get_args(Status):
        statuses = " or ".join(map(repr, get_args(Status)))
        raise UsageError(f"{approach.name} returned the status {answer.status!r}", hint=f"use {statuses}")
    return complete_answer(answer, approach.name, seconds=time.perf_counter() - start)


def complete_answer(answer: Answer, approach: str, *, seconds: float | None = None) -> Answer:
    """Return the answer with id, time, approach and seconds, where the approach left them out, and whether it was paid.

    seconds: measured duration of the call.
    """
    usage = answer.usage
    if usage.seconds is None and seconds is not None:
        usage = replace(usage, seconds=seconds)
    return replace(
        answer,
        approach=answer.approach or approach,
        route=answer.route or (approach,),
        usage=usage,
        paid=answer.paid and not answer.cached and usage.usd != 0,
        id=answer.id or uuid4().hex,
        time=answer.time or datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


def combined_answer(approach: str, answers: Sequence[Answer]) -> Answer:
    """Return the last of several answers as that of an approach that asked for all of them, with what they all took."""
    last = answers[-1]
    steps: dict[str, float] = {}
    for answer in answers:
        for step, seconds in answer.steps.items():
            steps[step] = steps.get(step, 0.0) + seconds
    return replace(
        last,
        approach=approach,
        route=(approach, *(name for answer in answers for name in answer.route)),
        usage=total_usage([answer.usage for answer in answers]),
        steps=steps,
        paid=any(answer.paid for answer in answers),
        cached=all(answer.cached for answer in answers),
    )


def total_usage(usages: Sequence[Usage]) -> Usage:
    """Return the sum; a field unknown in any usage is None. An empty list gives all 0."""

    def add(name: str) -> Any:
        values = [getattr(usage, name) for usage in usages]
        return None if None in values else sum(values)

    return Usage(**{field.name: add(field.name) for field in fields(Usage)})


def retrieval_scores(hits: Sequence[Hit]) -> tuple[float | None, float | None]:
    """Return the score of the best passage, and its distance to the second; None where there is no score."""
    scored = [hit for hit in hits[:2] if hit.stages or hit.score]  # a passage that was not searched for has neither
    if not scored:
        return None, None
    comparable = len(scored) == 2 and ("reranked" in scored[0].stages) == ("reranked" in scored[1].stages)
    return scored[0].score, scored[0].score - scored[1].score if comparable else None
