"""Follow each request to a model until it ends, however it ends. What wants to know of answers is called here."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from groundtune.errors import ProviderError
from groundtune.serve.doors.callers import Caller
from groundtune.serve.errors import ClientLeftError, RequestRefusedError
from groundtune.types import Answer, AnswerEvent, Done, TextDelta

Operation = Literal["chat", "task"]
"""An answer from the documents, or what a front end asks of the model beside questions."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a request ended: with an answer or with an error."""

    operation: Operation
    model: str | None
    """The approach that was asked; None: the project's choice."""
    caller: Caller
    seconds: float
    """From the request to the end of its answer, waiting for its turn included."""
    answer: Answer | None = None
    first_text_seconds: float | None = None
    """Until the first text of a stream; None for whole answers."""
    error: str | None = None
    """What kind of failure it was, in a word; None when there is an answer."""


Observer = Callable[[Ended], None]
"""Learns of the end of each request. It must not raise, and must not wait."""


class Following:
    """A request that is being worked on."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.first_text_seconds: float | None = None
        self.answer: Answer | None = None
        """Set once it is complete."""

    def note(self, event: AnswerEvent) -> None:
        """Note an event of a stream before it is sent."""
        if isinstance(event, Done):
            self.answer = event.answer
        elif isinstance(event, TextDelta) and self.first_text_seconds is None:
            self.first_text_seconds = time.perf_counter() - self.start


@contextmanager
def followed(
    operation: Operation, model: str | None, caller: Caller, observers: Sequence[Observer]
) -> Iterator[Following]:
    """Follow a request through the block, and tell the observers how it ended."""
    following, why = Following(), None
    try:
        yield following
    except BaseException as error:
        why = error_type(error) if following.answer is None else None
        raise
    finally:
        seconds = time.perf_counter() - following.start
        parts = following.answer, following.first_text_seconds, why
        for observe in observers:
            observe(Ended(operation, model, caller, seconds, *parts))


def error_type(error: BaseException) -> str:
    """Return a word for a failure, out of a small number of words."""
    match error:
        case RequestRefusedError():
            return error.reply.code or "refused"
        case ProviderError():
            return error.kind
        case TimeoutError():
            return "timeout"
        case GeneratorExit() | asyncio.CancelledError() | ClientLeftError():
            return "client_left"
        case _:
            return type(error).__name__
