"""Pipeline: one class, different parts; abstention is an answer of its own kind."""

from dataclasses import replace

import pytest

from groundtune.approaches import prompts
from groundtune.approaches.output_formats import AnswerFormat, TextFormat
from groundtune.approaches.pipeline import NOT_IN_DOCUMENTS, WITHOUT_DOCUMENTS, Pipeline
from groundtune.common.support import is_cited
from groundtune.display.answers import answer_doubts, answer_view
from groundtune.display.blocks import as_text
from groundtune.errors import ProviderError
from groundtune.models.hosted_generator import HostedGenerator
from groundtune.testing.scripted_server import Reply, ScriptedServer
from groundtune.types import Generation, Hit, Passage, Prompt, Question

TEXT = "A bike can be returned within 30 days of delivery. The customer pays the carriage."
HIT = Hit(Passage("d:0", "d", "returns.md", 0, 100, 100 + len(TEXT), TEXT, "Returns", 2), 0.8)
QUESTION = Question("How long is the refund window?")


class Given:
    """Evidence fixed by the test."""

    def __init__(self, *hits: Hit) -> None:
        self.hits = list(hits)

    async def gather(self, question: Question) -> list[Hit]:
        return self.hits


class Says:
    """A generator that always gives the same reply, and records its prompts."""

    name = "says"

    def __init__(self, text: str, confidence: float | None = None) -> None:
        self.generation = Generation(text, confidence=confidence)
        self.prompts: list[Prompt] = []

    async def generate(self, prompt: Prompt) -> Generation:
        self.prompts.append(prompt)
        return self.generation


async def test_a_supported_sentence_is_cited_with_offsets_into_the_document() -> None:
    answer = await Pipeline(
        "rag", Says("A bike can be returned within 30 days of delivery. [1]"), context=Given(HIT)
    ).answer(QUESTION)
    assert (answer.status, answer.approach, answer.route) == ("answered", "rag", ("rag",))
    (citation,) = answer.citations
    assert citation.support == "exact"
    assert (citation.source, citation.page, citation.heading) == ("returns.md", 2, "Returns")
    assert citation.start is not None
    assert TEXT[citation.start - 100 : citation.end - 100 if citation.end else None] == citation.quote
    assert answer.usage.seconds is not None
    assert set(answer.steps) == {"retrieve", "generate", "cite"}


async def test_an_answer_has_an_id_a_time_and_a_trace() -> None:
    model = Says("The customer pays the carriage. [1]")
    first, second = [await Pipeline("rag", model, context=Given(HIT)).answer(QUESTION) for _ in range(2)]
    assert first.id != second.id
    assert first.time <= second.time
    assert (first.trace.prompt, first.trace.query) == (model.prompts[0], None)  # these passages were not searched for
    assert first.trace.model == "says"
    assert first.trace.reply == "The customer pays the carriage. [1]"
    unasked = await Pipeline("rag", model, context=Given()).answer(QUESTION)
    assert (unasked.trace.prompt, unasked.trace.model, unasked.trace.reply) == (None, None, None)
    assert unasked.id
    assert (await Pipeline("prompt", model).answer(QUESTION)).trace.query is None


async def test_a_written_text_stays_as_it_is_with_the_evidence_of_its_sentences_beside_it() -> None:
    letter = "Dear Ann,\n\nA bike can be returned within 30 days of delivery. It costs £500 to send it.\n\nBest wishes"
    model = Says(letter)
    answer = await Pipeline("hybrid", model, output_format=TextFormat(), context=Given(HIT)).answer(QUESTION)
    assert answer.text == letter
    (found,) = answer.citations
    assert (found.marker, found.support, found.source, found.added) == (None, "exact", "returns.md", False)
    assert TEXT[(found.start or 0) - 100 : (found.end or 0) - 100] == found.quote
    assert is_cited(answer.citations) is None
    assert prompts.WRITTEN_FROM in model.prompts[0].messages[0].content
    shown = 'exact: returns.md > Returns, page 2: "A bike can be returned within 30 days of delivery."'
    assert shown in as_text(answer_view(answer)).splitlines()
    assert answer_doubts(answer) == []


async def test_a_written_text_keeps_the_markers_that_the_model_gave() -> None:
    report = "A bike can be returned within 30 days of delivery [2]. (1) Read it."
    hits = Given(replace(HIT, passage=replace(HIT.passage, id="o", text="Nothing.")), HIT)
    answer = await Pipeline("rag", Says(report), output_format=TextFormat(), context=hits).answer(QUESTION)
    assert answer.text.startswith("A bike can be returned within 30 days of delivery [1].")
    assert (answer.citations[0].marker, answer.citations[0].support) == (1, "exact")
    listed = "(1) A bike can be returned within 30 days of delivery."
    plain = await Pipeline("rag", Says(listed), output_format=TextFormat(), context=hits).answer(QUESTION)
    assert plain.text == listed


async def test_an_invented_number_is_flagged_and_with_strict_dropped() -> None:
    text = "A bike can be returned within 90 days of delivery. [1] The customer pays the carriage. [1]"
    flagged = await Pipeline("rag", Says(text), context=Given(HIT)).answer(QUESTION)
    assert [citation.support for citation in flagged.citations] == ["missing", "exact"]
    strict = await Pipeline("rag", Says(text), context=Given(HIT), strict=True).answer(QUESTION)
    assert "90 days" not in strict.text
    assert "carriage" in strict.text


async def test_strict_abstains_when_nothing_is_left() -> None:
    answer = await Pipeline("rag", Says("It takes 90 days [1]."), context=Given(HIT), strict=True).answer(QUESTION)
    assert (answer.status, answer.text) == ("abstained", NOT_IN_DOCUMENTS)


@pytest.mark.parametrize(
    "reply", [prompts.NOT_FOUND, f"{prompts.NOT_FOUND}.", f'"{prompts.NOT_FOUND.lower()}"', "", "  "]
)
async def test_the_agreed_refusal_is_an_abstention_with_the_nearest_passages(reply: str) -> None:
    answer = await Pipeline("rag", Says(reply), context=Given(HIT)).answer(QUESTION)
    assert (answer.status, answer.text, answer.hits, answer.citations) == ("abstained", NOT_IN_DOCUMENTS, (HIT,), ())


async def test_without_passages_no_model_is_called() -> None:
    model = Says("anything")
    answer = await Pipeline("rag", model, context=Given()).answer(QUESTION)
    assert answer.status == "abstained"
    assert model.prompts == []


@pytest.mark.parametrize(("confidence", "status"), [(0.49, "abstained"), (0.5, "answered"), (None, "answered")])
async def test_the_threshold_applies_only_to_a_reported_confidence(confidence: float | None, status: str) -> None:
    model = Says("The customer pays the carriage. [1]", confidence)
    answer = await Pipeline("rag", model, context=Given(HIT), threshold=0.5).answer(QUESTION)
    assert (answer.status, answer.confidence) == (status, confidence)


async def test_without_documents_nothing_is_checked_and_one_line_says_so() -> None:
    model = Says("Hello! It is 30 days [1].")
    answer = await Pipeline("prompt", model).answer(QUESTION)
    assert (answer.status, answer.text, answer.hits) == ("answered", "Hello! It is 30 days [1].", ())
    assert (answer.citations, answer.warnings) == ((), (WITHOUT_DOCUMENTS,))
    assert str(answer).split("\n")[1:2] == [WITHOUT_DOCUMENTS]
    assert (await Pipeline("prompt", model, output_format=TextFormat()).answer(QUESTION)).warnings == ()
    assert (await Pipeline("prompt", Says(prompts.NOT_FOUND)).answer(QUESTION)).text == AnswerFormat().abstention


async def test_over_real_http_the_model_sees_numbered_passages_and_the_question_last() -> None:
    with ScriptedServer(Reply("The customer pays the carriage [1].")) as server:
        model = HostedGenerator("m", base_url=server.base_url)
        answer = await Pipeline("rag", model, context=Given(HIT)).answer(QUESTION)
        await model.aclose()
        body = server.posts()[0]
    assert answer.citations[0].support == "exact"
    messages = body["messages"]
    assert [message["role"] for message in messages] == ["system", "user"]
    assert f"[1] <passage>\nreturns.md > Returns\n{TEXT}" in messages[1]["content"]
    assert messages[1]["content"].endswith("Question: How long is the refund window?")


async def test_a_failing_endpoint_is_raised_not_answered() -> None:
    with ScriptedServer(Reply(status=401)) as server:
        model = HostedGenerator("m", base_url=server.base_url, api_key="wrong", retries=0)
        with pytest.raises(ProviderError) as caught:
            await Pipeline("rag", model, context=Given(HIT)).answer(QUESTION)
        await model.aclose()
    assert (caught.value.kind, caught.value.exit_code) == ("bad_key", 4)
