"""The fallback of a project file, over real HTTP: dead, failing, stalling and cut-off servers."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from groundtune import Done, Project, ProviderError, Reset, TextDelta
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.testing.scripted_server import Reply, ScriptedServer
from tests.conftest import MakeProject

FILES = {"docs/refunds.md": "# Refunds\n\nA refund is paid within 30 days of delivery. Carriage is not refunded.\n"}
QUESTION = "When is a refund paid?"
MODEL = '[models.default]\nkind = "openai"\nmodel = "m"\nbase_url = "{url}"\n'
CUT = Reply(
    "A refund is paid within 30 days of delivery [1]. Carriage is not refunded [1]. So it is.", broken_stream_after=18
)

Open = Callable[[str], Project]


@pytest.fixture
def open_project(make_project: MakeProject, embedder: BundledEmbedder) -> Iterator[Open]:
    with ExitStack() as stack:

        def open_(toml: str) -> Project:
            project = stack.enter_context(Project.open(make_project(FILES, toml=toml)))
            project.session.embedder = embedder
            project.ingest()
            return project

        yield open_


@pytest.mark.parametrize(
    ("reply", "kind", "seconds"),
    [
        (Reply("wrong key", status=401), "bad_key", 60),
        (Reply(stall=True), "timeout", 4),
        (Reply("", raw_body="<html>"), "bad_response", 60),
    ],
    ids=["key", "stall", "html"],
)
def test_quotes_stand_in_for_a_server_that_fails(open_project: Open, reply: Reply, kind: str, seconds: int) -> None:
    with ScriptedServer(reply) as server:
        project = open_project(MODEL.format(url=server.base_url) + f"[fallback]\nmax_seconds = {seconds}\n")
        start = time.perf_counter()
        answer = project.ask(QUESTION)
        assert time.perf_counter() - start < seconds + 4
        assert answer.approach == "quote-hybrid"
        assert answer.degradation == f"rag failed ({kind}); quote-hybrid answered instead"
        assert "30 days" in answer.text
        assert answer.degradation in str(answer)
        assert server.base_url not in answer.degradation


def test_another_model_stands_in_first(open_project: Open) -> None:
    with ScriptedServer(Reply("gone", status=404)) as dead, ScriptedServer(Reply("Within 30 days [1].")) as alive:
        small = MODEL.format(url=alive.base_url).replace("models.default", "models.small")
        project = open_project(MODEL.format(url=dead.base_url) + small + '[fallback]\napproaches = ["rag:small"]\n')
        assert project.ask(QUESTION).approach == "rag:small"
        asked = len(dead.requests)
        for _ in range(4):
            project.ask(QUESTION)
        assert len(dead.requests) <= 3 * asked, "a dead server is left alone after three failures"


def test_a_stream_that_breaks_begins_again(open_project: Open) -> None:
    with ScriptedServer(CUT) as server:
        project = open_project(MODEL.format(url=server.base_url) + "[fallback]\nmax_seconds = 20\n")
        events = list(project.stream(QUESTION))
        last = events[-1]
        assert isinstance(last, Done)
        assert last.answer.approach == "quote-hybrid"
        since = max((at for at, event in enumerate(events) if isinstance(event, Reset)), default=-1)
        assert "".join(each.text for each in events[since + 1 :] if isinstance(each, TextDelta)) == last.answer.text


def test_without_the_table_nothing_stands_in(open_project: Open) -> None:
    with ScriptedServer(Reply("wrong key", status=401)) as server:
        project = open_project(MODEL.format(url=server.base_url))
        with pytest.raises(ProviderError):
            project.ask(QUESTION)


def test_what_cannot_run_yet_is_stood_in_for(open_project: Open) -> None:
    project = open_project('[tune.replies]\nkind = "lora"\nbase = "smollm2-135m"\n[fallback]\n')
    answer = project.ask(QUESTION, approach="tuned")
    assert answer.degradation == "tuned cannot run; quote-hybrid answered instead"
