"""A coroutine method runs on its owner's loop, whichever loop awaits it; a sync method waits for it."""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing

import pytest

from groundtune.common.event_loop import Loop, on_project_loop


class Owner:
    """An object with its own loop."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.cancelled = threading.Event()
        self.under_way = threading.Event()

    @on_project_loop
    async def aadd(self, first: int, *, second: int = 2) -> tuple[int, str]:
        """Add two numbers, and return the name of the thread."""
        await asyncio.sleep(0)
        return first + second, threading.current_thread().name

    def add(self, first: int, *, second: int = 2) -> tuple[int, str]:
        """Wait for `aadd`."""
        return self.loop.run(self.aadd(first, second=second))

    @on_project_loop
    async def afail(self) -> None:
        """Fail."""
        raise LookupError("nothing there")

    def fail(self) -> None:
        """Wait for `afail`."""
        self.loop.run(self.afail())

    @on_project_loop
    async def await_(self) -> None:
        """Wait until cancelled."""
        self.under_way.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    @on_project_loop
    async def anested(self) -> tuple[int, str]:
        """Await the async form on the owner's own loop."""
        return await self.aadd(1)

    @on_project_loop
    async def astuck(self) -> None:
        """Call the sync form on the owner's own loop."""
        self.add(1)

    @on_project_loop
    async def atasks(self) -> int:
        """Return how many tasks run on the owner's loop."""
        return len(asyncio.all_tasks())

    def tasks(self) -> int:
        """Wait for `atasks`."""
        return self.loop.run(self.atasks())


@pytest.fixture
def owner() -> Iterator[Owner]:
    instance = Owner()
    yield instance
    instance.loop.stop()


def test_the_decorator_keeps_name_signature_and_docstring() -> None:
    assert Owner.aadd.__qualname__ == "Owner.aadd"
    assert str(inspect.signature(Owner.aadd)) == "(self, first: int, *, second: int = 2) -> tuple[int, str]"
    assert inspect.getdoc(Owner.aadd) == "Add two numbers, and return the name of the thread."
    assert inspect.iscoroutinefunction(Owner.aadd)


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


def test_the_sync_form_submits_its_work_once(owner: Owner) -> None:
    assert owner.tasks() == 1


async def test_both_forms_raise_the_errors_of_the_work(owner: Owner) -> None:
    with pytest.raises(LookupError, match="nothing there"):
        owner.fail()
    with pytest.raises(LookupError, match="nothing there"):
        await owner.afail()
    with pytest.raises(TypeError, match="third"):
        await owner.aadd(1, third=3)  # type: ignore[call-arg]


async def test_cancelling_the_awaiting_task_cancels_the_work(owner: Owner) -> None:
    task = asyncio.create_task(owner.await_())
    assert await asyncio.to_thread(owner.under_way.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(owner.cancelled.wait, 5)


async def test_a_stopped_instance_ends_its_work_and_takes_no_more(owner: Owner) -> None:
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


# -- iterators ---------------------------------------------------------------------------------------------------


class Counter:
    """Yields numbers, and notes where it runs and that it was closed."""

    def __init__(self, owner: Owner, most: int = 3, *, error: Exception | None = None) -> None:
        self.owner, self.most, self.error = owner, most, error
        self.closed = threading.Event()
        self.threads: set[str] = set()

    async def count(self) -> AsyncIterator[int]:
        task = asyncio.current_task()
        try:
            for number in range(self.most):
                self.threads.add(threading.current_thread().name)
                assert asyncio.current_task() is task
                yield number
                await asyncio.sleep(0)
            if self.error:
                raise self.error
        finally:
            self.closed.set()


async def test_an_iterator_runs_on_the_loop_of_its_owner(owner: Owner) -> None:
    counter = Counter(owner)
    assert [item async for item in owner.loop.aiterate(counter.count())] == [0, 1, 2]
    assert await asyncio.to_thread(list, owner.loop.iterate(counter.count())) == [0, 1, 2]
    assert counter.threads == {"groundtune"}


async def test_an_iterator_may_be_used_on_that_loop(owner: Owner) -> None:
    async def total() -> int:
        return sum([item async for item in owner.loop.aiterate(Counter(owner).count())])

    async def stuck() -> None:
        list(owner.loop.iterate(Counter(owner).count()))

    assert await owner.loop.await_(total()) == 3
    with pytest.raises(RuntimeError, match="deadlock"):
        await owner.loop.await_(stuck())


async def test_items_come_before_an_error(owner: Owner) -> None:
    for items in (
        owner.loop.aiterate(Counter(owner, error=LookupError("no more")).count()),
        in_async(owner.loop.iterate(Counter(owner, error=LookupError("no more")).count())),
    ):
        assert [await anext(items) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(LookupError, match="no more"):
            await anext(items)


async def in_async(items: Iterator[int]) -> AsyncIterator[int]:
    for item in items:
        yield item


async def test_leaving_an_iterator_cancels_its_work(owner: Owner) -> None:
    counter = Counter(owner, 10**9)
    async with aclosing(owner.loop.aiterate(counter.count())) as items:
        assert await anext(items) == 0
    assert await asyncio.to_thread(counter.closed.wait, 5)
    counter = Counter(owner, 10**9)
    with closing(owner.loop.iterate(counter.count())) as numbers:
        assert next(numbers) == 0
    assert await asyncio.to_thread(counter.closed.wait, 5)


async def test_a_stopped_loop_ends_its_iterators(owner: Owner) -> None:
    items = owner.loop.aiterate(Counter(owner, 10**9).count())
    assert await anext(items) == 0
    await asyncio.to_thread(owner.loop.stop)

    async def rest() -> None:
        async for _ in items:
            pass

    with pytest.raises(asyncio.CancelledError):
        await rest()
    with pytest.raises(RuntimeError, match="closed"):
        await anext(owner.loop.aiterate(Counter(owner).count()))
