"""Ask a second approach the questions of some answers that were sent, unseen. Never delays or breaks those answers.

What it answers is recorded as the shadow of the answer that was sent, and costs the budget of the day alone.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from groundtune.build.approach_registry import default_approach
from groundtune.common.drawing import place_of
from groundtune.config import Config
from groundtune.errors import AccessError, GroundtuneError, QuestionError
from groundtune.project import Project
from groundtune.records.spending import SHADOW, Spending
from groundtune.serve.admission import Admission
from groundtune.serve.auditing import Auditor
from groundtune.serve.charging import charged, cost_of
from groundtune.serve.day_budget import DayBudget
from groundtune.serve.doors.callers import Caller
from groundtune.serve.errors import told
from groundtune.serve.live_project import LiveProject
from groundtune.serve.observing import error_type
from groundtune.types import Answer, Message, Sampling

PAUSE_SECONDS = 0.1
"""Before a second answer is begun, so that the first one is on its way."""
Outcome = Literal["answered", "failed", "refused", "dropped", "over_budget"]
"""`refused`: to this caller, or for what was asked of the model. `dropped`: the server was busy for too long."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shadowed:
    """A question whose answer was sent."""

    answer: str
    """Id of the answer."""
    approach: str
    """The approach that is asked as well."""
    question: str
    caller: Caller
    history: Sequence[Message]
    filters: Mapping[str, str | Sequence[str]]
    sampling: Sampling | None


def shadow_approach(config: Config, asked: str | None, answer: Answer) -> str | None:
    """Return the approach that is to be the shadow of an answer; None for an answer that was not drawn.

    asked: the approach that the client named. Drawn are answers of the project's choice, where nothing stood in for it.
    """
    shadow, choice = config.serve.shadow, default_approach(config)
    if shadow is None or asked is not None or answer.degradation is not None or shadow.approach == choice:
        return None
    if answer.split not in (None, choice):
        return None
    return shadow.approach if place_of(f"shadow {answer.id}") < shadow.share else None


class Shadowing:
    """The questions that wait for a second answer, in a bounded queue of this process. For one event loop.

    on_outcome: called with the approach and what became of each question.
    """

    def __init__(
        self,
        live: LiveProject,
        admission: Admission,
        auditor: Auditor,
        spending: Spending,
        *,
        on_outcome: Callable[[str, Outcome], None] = lambda approach, outcome: None,
    ) -> None:
        self._live = live
        self._admission = admission
        self._auditor = auditor
        self._spending = spending
        self._budget = DayBudget(spending)
        self._on_outcome = on_outcome
        self._queue: deque[Shadowed] = deque()
        self._workers: set[asyncio.Task[None]] = set()

    def follow(self, shadowed: Shadowed) -> None:
        """Put a question in the queue, or drop it when the queue is full. Returns at once."""
        settings = self._live.project.config.serve.shadow
        if settings is None or (len(self._queue) >= settings.waiting and len(self._workers) >= settings.running):
            self._on_outcome(shadowed.approach, "dropped")
            return
        self._queue.append(shadowed)
        if len(self._workers) < settings.running:
            worker = asyncio.get_running_loop().create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def close(self) -> None:
        """Drop what waits, and end what is under way."""
        self._queue.clear()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self) -> None:
        while self._queue:
            shadowed = self._queue.popleft()
            self._on_outcome(shadowed.approach, await self._answer(shadowed))

    async def _answer(self, shadowed: Shadowed) -> Outcome:
        if not await self._is_quiet():
            return "dropped"
        try:
            async with self._live.lease() as project:
                if await self._budget.is_spent(project.config):
                    return "over_budget"
                return await self._ask(project, shadowed)
        except Exception as error:  # noqa: BLE001 (nobody waits for it, and the next question must be asked)
            log.warning("the shadow of answer %s failed: %s", shadowed.answer, _reason(error))
            return "failed"

    async def _ask(self, project: Project, shadowed: Shadowed) -> Outcome:
        marks = {"shadow_of": shadowed.answer}
        parts = shadowed.caller, shadowed.approach, shadowed.question
        try:
            async with asyncio.timeout(self._seconds), charged(self._spending, SHADOW) as cost:
                answer = await project.aask(
                    shadowed.question,
                    approach=shadowed.approach,
                    groups=shadowed.caller.groups,
                    filters=shadowed.filters,
                    history=shadowed.history,
                    sampling=shadowed.sampling,
                )
                cost.usd = cost_of(answer)
        except (AccessError, QuestionError):
            return "refused"
        except Exception as error:
            self._auditor.broken_off(*parts, "", (), _reason(error), marks=marks)
            raise
        await self._auditor.answered(
            project, *parts, answer, history=shadowed.history, filters=shadowed.filters, marks=marks
        )
        return "answered"

    async def _is_quiet(self) -> bool:
        """Wait until few requests are at work; False when that takes too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                await asyncio.sleep(PAUSE_SECONDS)
                if settings := self._live.project.config.serve.shadow:
                    await self._admission.until_below(settings.busy)
                    return True
        return False

    @property
    def _seconds(self) -> float:
        return self._live.project.config.serve.seconds


def _reason(error: Exception) -> str:
    return told(error) if isinstance(error, GroundtuneError) else error_type(error)
