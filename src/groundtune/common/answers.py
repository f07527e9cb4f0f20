"""Fill in what every answer has, whoever made it, and add up what it took. Changes nothing that is set."""

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from groundtune.types import Answer, Usage


def complete_answer(answer: Answer, approach: str, *, seconds: float | None = None) -> Answer:
    """Return the answer with id, time, approach and seconds, where the approach left them out.

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
        id=answer.id or uuid4().hex,
        time=answer.time or datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


def total_usage(usages: Sequence[Usage]) -> Usage:
    """Return the sum; a field unknown in any usage is None. An empty list gives all 0."""

    def add(name: str) -> Any:
        values = [getattr(usage, name) for usage in usages]
        return None if None in values else sum(values)

    return Usage(**{field.name: add(field.name) for field in fields(Usage)})
