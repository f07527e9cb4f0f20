"""Ask further approaches where the chosen one fails or takes too long. Says so, and ends within its time budget."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace

from groundtune.approaches.answering import require_admission, stream_answer
from groundtune.common.answers import request_answer, total_usage
from groundtune.common.circuit_breaker import CircuitBreaker
from groundtune.common.event_loop import closing
from groundtune.common.time_limit import time_limit
from groundtune.errors import AccessError, ConfigError, GroundtuneError, MissingError, ProviderError, UsageError
from groundtune.protocols import Approach
from groundtune.types import Answer, AnswerEvent, Done, Question, Reset, Retrieved, Sampling, Usage

log = logging.getLogger(__name__)

OF_THE_ENDPOINT = frozenset(
    {"no_server", "timeout", "server", "rate_limit", "bad_key", "unknown_model", "bad_response"}
)
"""Kinds of failures that say something about the endpoint, and not about one question."""
WITHOUT_COST = frozenset({"no_server", "rate_limit", "bad_key", "unknown_model", "bad_request"})
"""Kinds of failures for which nobody is charged."""
UNSAMPLED = "the approach that stood in takes no temperature, no limit of output tokens and no stop texts"


@dataclass(frozen=True, slots=True)
class Link:
    """An approach of a chain."""

    name: str
    approach: Approach | None
    """None when it cannot run."""
    breaker: CircuitBreaker
    """Shared by all that ask the same endpoint."""
    lacks: str = ""
    """What it lacks, worded to follow its name."""
    asks_endpoint: bool = True
    """False for what runs here: it is slow when the machine is busy, and leaving it out would leave no answer."""


class Fallback:
    """`StreamingApproach` that asks its links in order until one answers. An abstention is an answer.

    A link that fails, that takes longer than its share of the time, that cannot run, or that the user may not ask is
    replaced by the next one, and `Answer.degradation` says so. A link gets half of the time that is left, the last one
    all of it. No link is asked twice. Cost and tokens include failed calls; where they are unknown, the sum is unknown.

    max_seconds: for the whole request.
    """

    def __init__(self, links: Sequence[Link], *, max_seconds: float) -> None:
        self.name = links[0].name
        self._links = tuple(links)
        self._max_seconds = max_seconds

    @property
    def samples(self) -> bool:
        """Whether the chosen approach honours the sampling of a question; one that stands in may not."""
        return bool(getattr(self._links[0].approach, "samples", False))

    async def admit(self, groups: Sequence[str]) -> None:
        """Raise MissingError when the chosen approach cannot run, AccessError when these groups may not ask it."""
        chosen = self._links[0]
        if chosen.approach is None:
            raise MissingError(f"{chosen.name} {chosen.lacks}")
        await require_admission(chosen.approach, groups)

    async def answer(self, question: Question) -> Answer:
        """Answer the question. Raises the error of the first link when every link fails; an invalid call at once."""
        request = _Request(question, self._max_seconds)
        for link in self._links:
            share = request.share(last=link is self._links[-1])
            with request.attempt(link) as approach:
                if approach:
                    async with asyncio.timeout(share):
                        with time_limit(share):
                            answer = await request_answer(approach, question)
                    return request.whole(answer, approach)
        raise request.error()

    async def stream(self, question: Question) -> AsyncIterator[AnswerEvent]:
        """Stream the answer; raises as `answer` does. `Reset` takes back the text of a link that failed in it."""
        request = _Request(question, self._max_seconds)
        has_passages = has_begun = False
        for link in self._links:
            end = asyncio.get_running_loop().time() + request.share(last=link is self._links[-1])
            with request.attempt(link) as approach:
                if approach is None:
                    continue
                if has_begun:
                    yield Reset()
                passages: Retrieved | None = None
                async with closing(stream_answer(approach, question)) as events:
                    while event := await _next(events, end):
                        if isinstance(event, Retrieved):
                            passages = event
                            continue
                        if passages and not has_passages:
                            yield passages  # with the first text, so that those of a link that fails are never shown
                            has_passages = True
                        has_begun = True
                        yield Done(request.whole(event.answer, approach)) if isinstance(event, Done) else event
                return
        raise request.error()


async def _next(events: AsyncIterator[AnswerEvent], end: float) -> AnswerEvent | None:
    """Return the next event, or None after the last. Raises TimeoutError at `end`, in seconds of the loop."""
    async with asyncio.timeout_at(end):
        with time_limit(end - asyncio.get_running_loop().time()):
            return await anext(events, None)


class _Request:
    """What has happened to one question so far."""

    def __init__(self, question: Question, max_seconds: float) -> None:
        self._asks_sampling = question.sampling != Sampling()
        self._start = time.perf_counter()
        self._max_seconds = max_seconds
        self._failed: list[str] = []
        """What happened to each link, for the user: it names no address."""
        self._notes: list[str] = []
        """The same in full."""
        self._spent: list[Usage] = []
        self._asked: list[str] = []
        self._lost_seconds = 0.0
        self._first: GroundtuneError | None = None

    def share(self, *, last: bool) -> float:
        """Return the seconds that the next link may take."""
        left = self._max_seconds - (time.perf_counter() - self._start)
        return max(0.0, left if last else left / 2)

    @contextlib.contextmanager
    def attempt(self, link: Link) -> Iterator[Approach | None]:
        """Give the approach to ask, or None when it must not be asked; note its failure instead of raising it."""
        if link.approach is None:
            self._note(link, "cannot run", MissingError(f"{link.name} {link.lacks}"))
            yield None
            return
        admission = link.breaker.admit()
        if admission is None:
            message = f"{link.name} has failed several times in a row and is not asked for a while"
            self._note(link, "has failed repeatedly", ProviderError(message, kind="server", retryable=True))
            yield None
            return
        start = time.perf_counter()
        self._asked.append(link.name)
        try:
            yield link.approach
        except (UsageError, ConfigError):
            link.breaker.left(admission)
            raise
        except (GroundtuneError, TimeoutError, OSError) as error:
            seconds = time.perf_counter() - start
            failure = error if isinstance(error, GroundtuneError) else _failure(link, error, seconds)
            of_endpoint = link.asks_endpoint and isinstance(failure, ProviderError) and failure.kind in OF_THE_ENDPOINT
            (link.breaker.failed if of_endpoint else link.breaker.left)(admission)
            self._lost_seconds += seconds
            self._spend(failure)
            self._note(link, _reason(failure), failure)
        except BaseException:  # the caller has gone
            link.breaker.left(admission)
            raise
        else:
            link.breaker.succeeded(admission)

    def whole(self, answer: Answer, approach: Approach) -> Answer:
        """Return the answer of an approach with what the links before it took, and how it is degraded."""
        if not self._failed:
            return answer
        usage = total_usage([*self._spent, answer.usage])
        seconds = None if answer.usage.seconds is None else answer.usage.seconds + self._lost_seconds
        ignores = self._asks_sampling and not getattr(approach, "samples", False)
        return replace(
            answer,
            warnings=(*answer.warnings, *([UNSAMPLED] if ignores else [])),
            route=(*self._asked[:-1], *answer.route),
            usage=replace(usage, seconds=seconds, machine_seconds=answer.usage.machine_seconds),
            degradation=f"{'; '.join(self._failed)}; {answer.approach} answered instead",
            trace=replace(answer.trace, notes=(*self._notes, *answer.trace.notes)),
        )

    def error(self) -> GroundtuneError:
        """Return the error of the first link, after all have failed."""
        assert self._first is not None
        return self._first

    def _spend(self, failure: GroundtuneError) -> None:
        if isinstance(failure, ProviderError) and not (failure.usage is None and failure.kind in WITHOUT_COST):
            self._spent.append(failure.usage or Usage())

    def _note(self, link: Link, reason: str, error: GroundtuneError) -> None:
        self._first = self._first or error
        self._failed.append(f"{link.name} {reason}")
        self._notes.append(f"{link.name}: {error.message}")
        log.warning("%s is replaced: %s", link.name, error.message)


def _failure(link: Link, error: Exception, seconds: float) -> ProviderError:
    if isinstance(error, TimeoutError):
        message = f"{link.name} gave no answer within its {seconds:.3g} seconds of [fallback] max_seconds"
        return ProviderError(message, kind="timeout", retryable=True)
    return ProviderError(f"{link.name}: {error}", kind="server")


def _reason(error: GroundtuneError) -> str:
    """Say in a few words what happened, without addresses, paths or names of documents."""
    if isinstance(error, AccessError):
        return "may not be asked by this user"
    return f"failed ({error.kind})" if isinstance(error, ProviderError) else "failed"
