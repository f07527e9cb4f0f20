"""Fill in what every answer has, whoever made it: id, time, name of the approach. Changes nothing that is set."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

from groundtune.types import Answer


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
