"""What retrieval searches for when a question follows others: joined, rewritten or alone, in one answer's cost."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from groundtune.approaches import prompts
from groundtune.approaches.context import RetrievedContext, SearchingContext
from groundtune.approaches.pipeline import Pipeline
from groundtune.approaches.search_query import MakeQuery, RewriteHistory, ignore_history, join_history
from groundtune.errors import BudgetError, MissingError
from groundtune.models.budget import Budget
from groundtune.models.generation_cache import CachedGenerator, GenerationCache
from groundtune.models.hosted_generator import HostedGenerator
from groundtune.models.prices import TokenPrices
from groundtune.protocols import Generator
from groundtune.testing.scripted_server import Reply, ScriptedServer
from groundtune.types import Document, Done, Generation, Hit, Message, Passage, Prompt, Question, Stage, Usage

TEXT = "A parcel to Iceland takes nine days."
HIT = Hit(Passage("d:0", "d", "shipping.md", 0, 0, len(TEXT), TEXT), 0.8, {"fused": 0.8})
HISTORY = (Message("user", "How long does a parcel to Norway take?"), Message("assistant", "Five days [1]."))
QUESTION = Question("And to Iceland?", HISTORY)
JOINED = "How long does a parcel to Norway take?\nAnd to Iceland?"
ALONE = "How long does a parcel to Iceland take?"
ANSWER = f"{TEXT} [1]"


class Finds:
    """A retriever that records what it searches for."""

    def __init__(self) -> None:
        self.searched: list[Question] = []

    async def search(self, question: Question, *, k: int, stage: Stage | None = None) -> list[Hit]:
        self.searched.append(question)
        return [HIT]


class Says:
    """A generator that always gives the same reply."""

    name = "says"

    def __init__(self, text: str, **more: object) -> None:
        self.generation = Generation(text, Usage(10, 0, 5, 0.5, 0.001), **more)  # type: ignore[arg-type]
        self.prompts: list[Prompt] = []

    async def generate(self, prompt: Prompt) -> Generation:
        self.prompts.append(prompt)
        return self.generation


async def no_document(_: str) -> Document | None:
    return None


def rag(make_query: MakeQuery, retriever: Finds, model: Generator | None = None) -> Pipeline:
    context = RetrievedContext(retriever, no_document, make_query=make_query)
    assert isinstance(context, SearchingContext)
    return Pipeline("rag", model or Says(ANSWER), context=context)


@pytest.mark.parametrize(("make_query", "searched"), [(join_history, JOINED), (ignore_history, "And to Iceland?")])
async def test_history_is_joined_or_ignored(make_query: MakeQuery, searched: str) -> None:
    retriever, model = Finds(), Says(ANSWER)
    answer = await rag(make_query, retriever, model).answer(QUESTION)
    assert [question.text for question in retriever.searched] == [searched]
    assert (answer.trace.query, answer.trace.notes) == (searched, ())
    (prompt,) = model.prompts
    assert prompt.messages[1:3] == HISTORY
    assert prompt.messages[-1].content.endswith("Question: And to Iceland?")
    assert prompt.question == searched  # for generators that read no messages
    assert "rewrite" not in answer.steps


async def test_a_context_used_alone_searches_for_the_history_too() -> None:
    retriever = Finds()
    await RetrievedContext(retriever, no_document).gather(QUESTION)
    assert retriever.searched[0].text == JOINED


async def test_a_question_is_rewritten_and_its_cost_counted() -> None:
    retriever, rewriter = Finds(), Says(f"  {ALONE}\n")
    answer = await rag(RewriteHistory(lambda: rewriter), retriever).answer(QUESTION)
    assert [question.text for question in retriever.searched] == [ALONE]
    assert (answer.trace.query, answer.trace.notes, answer.paid) == (ALONE, (), True)
    assert answer.citations[0].support == "exact"
    usage = answer.usage
    assert (usage.input_tokens, usage.output_tokens, usage.usd) == (20, 10, 0.002)
    assert usage.seconds is not None
    assert usage.seconds > 1.0
    assert answer.steps["rewrite"] == 0.5
    system, user = rewriter.prompts[0].messages
    assert system.content == prompts.REWRITTEN
    assert user.content == (
        "User: How long does a parcel to Norway take?\n\nAssistant: Five days [1].\n\nUser: And to Iceland?"
    )


async def test_a_stream_rewrites_as_well() -> None:
    events = [event async for event in rag(RewriteHistory(lambda: Says(ALONE)), Finds()).stream(QUESTION)]
    assert isinstance(events[-1], Done)
    assert (events[-1].answer.trace.query, events[-1].answer.usage.usd) == (ALONE, 0.002)


async def test_a_first_question_is_not_rewritten() -> None:
    rewriter = Says(ALONE)
    approach = rag(RewriteHistory(lambda: rewriter), Finds())
    answer = await approach.answer(replace(QUESTION, history=()))
    await approach.prepare(QUESTION)  # preparing calls no model either
    assert (answer.trace.query, rewriter.prompts) == ("And to Iceland?", [])


@pytest.mark.parametrize("reply", ["", " \n", "word " * 500])
async def test_a_reply_that_is_no_question_is_paid_but_not_searched_for(reply: str) -> None:
    retriever = Finds()
    answer = await rag(RewriteHistory(lambda: Says(reply)), retriever).answer(QUESTION)
    assert retriever.searched[0].text == JOINED
    assert answer.usage.usd == 0.002
    assert answer.trace.notes == ("the question was not rewritten, but joined: says wrote no question",)


async def test_a_question_that_was_cut_off_is_not_searched_for() -> None:
    retriever = Finds()
    rewriter = Says("How long does a", cut="max_output_tokens")
    answer = await rag(RewriteHistory(lambda: rewriter), retriever).answer(QUESTION)
    assert retriever.searched[0].text == JOINED
    assert answer.trace.notes[0].endswith("says was cut off at max_output_tokens")


def unavailable() -> Generator:
    raise MissingError("the environment variable KEY is not set")


async def test_a_failing_model_costs_the_rewriting_but_not_the_answer() -> None:
    retriever = Finds()
    answer = await rag(RewriteHistory(unavailable), retriever).answer(QUESTION)
    assert (answer.status, retriever.searched[0].text) == ("answered", JOINED)
    assert answer.trace.notes == (
        "the question was not rewritten, but joined: the environment variable KEY is not set",
    )
    with ScriptedServer(Reply(status=500)) as server:
        model = HostedGenerator("m", base_url=server.base_url, retries=0)
        answer = await rag(RewriteHistory(lambda: model), retriever).answer(QUESTION)
        await model.aclose()
    assert (answer.status, answer.trace.query, answer.usage.usd) == ("answered", JOINED, 0.001)
    assert "500" in answer.trace.notes[0]


async def test_cache_and_budget_apply_to_rewriting(tmp_path: Path) -> None:
    def script(body: dict[str, Any]) -> Reply:
        return Reply(ALONE if body["messages"][0]["content"] == prompts.REWRITTEN else ANSWER)

    prices = TokenPrices(
        base_url="https://example.com", overrides={"m": {"input_per_million": 1.0, "output_per_million": 1.0}}
    )
    with ScriptedServer(script) as server:
        plain = HostedGenerator("m", base_url=server.base_url, prices=prices, max_output_tokens=50)
        cache, budget = GenerationCache(tmp_path / "c.sqlite"), Budget(1.0)
        model = CachedGenerator(plain, cache, budget=budget)
        approach = rag(RewriteHistory(lambda: model), Finds(), model)
        first, second = [await approach.answer(QUESTION) for _ in range(2)]
        assert len(server.posts()) == 2
        assert (first.paid, second.paid, first.trace.query) == (True, False, ALONE)
        assert (first.cached, second.cached, second.usage) == (
            False,
            True,
            replace(first.usage, seconds=second.usage.seconds),
        )
        assert budget.known_spent_usd == pytest.approx(first.usage.usd)
        poor = CachedGenerator(plain, GenerationCache(tmp_path / "d.sqlite"), budget=Budget(0.0))
        with pytest.raises(BudgetError):
            await rag(RewriteHistory(lambda: poor), Finds()).answer(QUESTION)
        await plain.aclose()
