"""Answers of a project as streams, from scripts and from event loops, over real HTTP."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, aclosing, closing

import pytest

from groundtune import CitationChecked, Done, Project, ProviderError, Retrieved, TextDelta, UsageError
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.testing.scripted_server import Reply, Script, ScriptedServer
from groundtune.types import AnswerEvent, Message
from tests.conftest import MakeProject

FILES = {"docs/refunds.md": "# Refunds\n\nA refund is paid within 30 days of delivery. Carriage is not refunded.\n"}
FIRST, SECOND = "A refund is paid within 30 days of delivery [1].", "Carriage is not refunded [1]."
ANSWER = Reply(f"{FIRST} {SECOND} So it is said there.")
LONG = Reply(pieces=[f"{FIRST} {SECOND} "] * 400, piece_seconds=0.01)

Open = Callable[[Script], tuple[Project, ScriptedServer]]


@pytest.fixture
def open_project(make_project: MakeProject, embedder: BundledEmbedder) -> Iterator[Open]:
    with ExitStack() as stack:

        def open_(script: Script) -> tuple[Project, ScriptedServer]:
            server = stack.enter_context(ScriptedServer(script))
            toml = f'[models.default]\nkind = "openai"\nmodel = "m"\nbase_url = "{server.base_url}"\n'
            project = stack.enter_context(Project.open(make_project(FILES, toml=toml)))
            project.session.embedder = embedder
            project.ingest()
            return project, server

        yield open_


def text_of(events: Sequence[AnswerEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def assert_complete(events: Sequence[AnswerEvent]) -> None:
    first, *_, last = events
    assert isinstance(first, Retrieved)
    assert isinstance(last, Done)
    assert text_of(events) == last.answer.text == ANSWER.text
    cited = tuple(event.citation for event in events if isinstance(event, CitationChecked))
    assert cited == last.answer.citations
    assert [citation.support for citation in cited] == ["exact", "exact", "uncited"]
    assert (last.answer.approach, bool(last.answer.id)) == ("rag", True)
    assert [hit.passage.source for hit in first.hits] == ["docs/refunds.md"]


async def test_an_answer_is_streamed_to_any_loop_and_to_scripts(open_project: Open) -> None:
    project, _ = await asyncio.to_thread(open_project, ANSWER)
    assert_complete([event async for event in project.astream("When is a refund paid?")])
    assert_complete(await asyncio.to_thread(list, project.stream("When is a refund paid?")))


def test_sentences_come_before_the_end(open_project: Open) -> None:
    project, server = open_project(LONG)
    with closing(project.stream("When is a refund paid?")) as events:
        for event in events:
            if isinstance(event, TextDelta):
                assert event.text.startswith(FIRST)
                assert len(event.text) < 4 * len(FIRST)
                break
    wait_until(lambda: server.hang_ups == 1)  # leaving closed the stream of the model


async def test_leaving_an_async_stream_closes_that_of_the_model(open_project: Open) -> None:
    project, server = await asyncio.to_thread(open_project, LONG)
    async with aclosing(project.astream("When is a refund paid?")) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break
    await asyncio.to_thread(wait_until, lambda: server.hang_ups == 1)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_an_error_half_way_comes_after_what_was_released(open_project: Open) -> None:
    project, _ = open_project(Reply(ANSWER.text, broken_stream_after=20))
    events: list[AnswerEvent] = []
    with pytest.raises(ProviderError, match="broke"):
        events.extend(event for event in project.stream("When is a refund paid?") if not events.append(event))  # type: ignore[func-returns-value]
    assert text_of(events).startswith(FIRST)
    assert not any(isinstance(event, Done) for event in events)


def test_mistakes_are_reported_at_once(open_project: Open) -> None:
    project, server = open_project(ANSWER)
    with pytest.raises(UsageError, match="empty"):
        project.stream("  ")
    with pytest.raises(UsageError, match="no approach"):
        next(project.stream("When?", approach="nonsense"))
    assert server.posts() == []


def test_a_quote_is_streamed_whole(make_project: MakeProject, embedder: BundledEmbedder) -> None:
    with Project.open(make_project(FILES)) as project:
        project.session.embedder = embedder
        project.ingest()
        events = list(project.stream("How many days until a refund is paid?"))
    assert [type(event) for event in events] == [Retrieved, TextDelta, CitationChecked, Done]


def test_the_history_reaches_the_model(open_project: Open) -> None:
    project, server = open_project(ANSWER)
    history = [Message("user", "When is a refund paid?"), Message("assistant", FIRST)]
    answer = project.ask("And carriage?", history=history)
    (done,) = [event for event in project.stream("And carriage?", history=history) if isinstance(event, Done)]
    assert answer.text == done.answer.text
    for post in server.posts():
        assert [message["content"] for message in post["messages"][1:3]] == [turn.content for turn in history]
