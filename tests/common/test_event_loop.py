"""Each verb is written once and has a sync form and an async form that works from any loop."""

import asyncio
import inspect
import threading
from collections.abc import Iterator

import pytest

from groundtune import Project
from groundtune.common.event_loop import Loop, sync_and_async


class Owner:
    """An object with its own loop."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.cancelled = threading.Event()
        self.under_way = threading.Event()

    async def _add(self, first: int, *, second: int = 2) -> tuple[int, str]:
        """Add two numbers, and return the name of the thread."""
        await asyncio.sleep(0)
        return first + second, threading.current_thread().name

    add, aadd = sync_and_async(_add)

    async def _fail(self) -> None:
        """Fail."""
        raise LookupError("nothing there")

    fail, afail = sync_and_async(_fail)

    async def _wait(self) -> None:
        """Wait until cancelled."""
        self.under_way.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    wait, await_ = sync_and_async(_wait)

    async def _nested(self) -> tuple[int, str]:
        """Await the async form on the owner's own loop."""
        return await self.aadd(1)

    nested, anested = sync_and_async(_nested)

    async def _stuck(self) -> None:
        """Call the sync form on the owner's own loop."""
        self.add(1)

    stuck, astuck = sync_and_async(_stuck)


@pytest.fixture
def owner() -> Iterator[Owner]:
    instance = Owner()
    yield instance
    instance.loop.stop()


VERBS = ("ingest", "search", "ask", "document", "evaluate", "sweep", "fit", "calibrate", "compare", "estimate", "judge")


@pytest.mark.parametrize("verb", VERBS)
def test_both_forms_keep_signature_name_and_docstring_of_the_method(verb: str) -> None:
    work, waits, awaits = (getattr(Project, f"{start}{verb}") for start in ("_", "", "a"))
    assert inspect.signature(waits) == inspect.signature(awaits) == inspect.signature(work)
    assert (waits.__name__, awaits.__name__) == (verb, f"a{verb}")
    assert waits.__doc__ == awaits.__doc__ == work.__doc__
    assert waits.__doc__
    assert waits.__module__ == awaits.__module__ == "groundtune.project.api"
    assert inspect.get_annotations(waits) == inspect.get_annotations(work)


@pytest.mark.parametrize("verb", VERBS)
def test_only_the_async_form_is_a_coroutine(verb: str) -> None:
    waits, awaits = getattr(Project, verb), getattr(Project, f"a{verb}")
    assert (inspect.iscoroutinefunction(waits), inspect.iscoroutinefunction(awaits)) == (False, True)


def test_every_public_coroutine_of_a_project_has_a_sync_form() -> None:
    awaited = [name for name, member in vars(Project).items() if inspect.iscoroutinefunction(member) and name[0] != "_"]
    assert {f"a{verb}" for verb in VERBS} <= set(awaited)
    for name in awaited:
        assert name.startswith("a")
        assert inspect.signature(getattr(Project, name[1:])) == inspect.signature(getattr(Project, name))


def test_tracebacks_and_errors_show_the_public_name() -> None:
    assert (Owner.add.__qualname__, Owner.aadd.__qualname__) == ("Owner.add", "Owner.aadd")


def test_both_forms_run_on_the_owners_thread(owner: Owner) -> None:
    assert owner.add(1) == (3, "groundtune")
    assert owner.add(1, second=5) == (6, "groundtune")
    assert asyncio.run(owner.aadd(1, second=5)) == (6, "groundtune")


async def test_both_forms_can_be_called_inside_another_loop(owner: Owner) -> None:
    mine = threading.current_thread().name
    results = await asyncio.gather(*(owner.aadd(number) for number in range(20)))
    assert [total for total, _ in results] == list(range(2, 22))
    assert {name for _, name in results} == {"groundtune"} != {mine}
    assert owner.add(1)[0] == 3


def test_loops_that_come_and_go_use_one_thread(owner: Owner) -> None:
    assert {asyncio.run(owner.aadd(number))[1] for number in range(3)} == {"groundtune"}
    totals: list[int] = []
    threads = [threading.Thread(target=lambda: totals.append(asyncio.run(owner.aadd(1))[0])) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert totals == [3] * 5


async def test_on_the_owners_own_loop_only_the_async_form_works(owner: Owner) -> None:
    assert (await owner.anested())[0] == 3
    with pytest.raises(RuntimeError, match="await its async version"):
        await owner.astuck()


async def test_both_forms_raise_the_errors_of_the_work(owner: Owner) -> None:
    with pytest.raises(LookupError, match="nothing there"):
        owner.fail()
    with pytest.raises(LookupError, match="nothing there"):
        await owner.afail()
    with pytest.raises(TypeError, match="third"):
        owner.add(1, third=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="third"):
        await owner.aadd(1, third=3)  # type: ignore[call-arg]


async def test_cancelling_the_awaiting_task_cancels_the_work(owner: Owner) -> None:
    task = asyncio.create_task(owner.await_())
    assert await asyncio.to_thread(owner.under_way.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(owner.cancelled.wait, 5)


async def test_a_stopped_instanceends_its_work_and_takes_no_more(owner: Owner) -> None:
    task = asyncio.create_task(owner.await_())
    assert await asyncio.to_thread(owner.under_way.wait, 5)
    await asyncio.to_thread(owner.loop.stop)
    assert owner.cancelled.is_set()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(RuntimeError, match="closed"):
        owner.add(1)
    with pytest.raises(RuntimeError, match="closed"):
        await owner.aadd(1)
    owner.loop.stop()


def test_nothing_runs_before_the_first_call() -> None:
    before = threading.active_count()
    Owner()
    assert threading.active_count() == before
