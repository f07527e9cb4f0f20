"""Streamed answers: the same content as whole ones, sentence by sentence, and only thoughts are taken back."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from groundtune.approaches import prompts
from groundtune.approaches.answering import stream_answer
from groundtune.approaches.output_formats import AnswerFormat, LabelFormat, ObjectFormat, OutputFormat, TextFormat
from groundtune.approaches.pipeline import ABSTAINED_AFTER, NOT_IN_DOCUMENTS, Pipeline
from groundtune.citations import unfinished_text
from groundtune.citations.answer_sentences import split_answer
from groundtune.citations.checking import check_citations
from groundtune.citations.unfinished_text import UnfinishedText
from groundtune.common.answers import request_answer
from groundtune.errors import ProviderError
from groundtune.languages.text import sentences
from groundtune.models.hosted_generator import HostedGenerator
from groundtune.protocols import StreamingApproach
from groundtune.testing.scripted_server import Reply, ScriptedServer
from groundtune.types import (
    Answer,
    AnswerEvent,
    CitationChecked,
    Done,
    Generation,
    Hit,
    Prompt,
    Question,
    Reset,
    Retrieved,
    TextDelta,
    Usage,
)
from tests.citations.test_checking import HITS, ORDERS, RETURNS, TABLE, UNICODE

QUESTION = Question("How long?")
DAYS = "You can return a bike within 30 days of delivery"
MONTHS = "The warranty lasts 24 months"
SENT = "Orders are sent within two working days"


class Given:
    """Evidence fixed by the test."""

    async def gather(self, question: Question) -> list[Hit]:
        return list(HITS)


class Types:
    """A model that writes a text in these pieces, and counts how many it has handed out."""

    name = "types"

    def __init__(self, pieces: Sequence[str], *, confidence: float | None = None, error: Exception | None = None):
        self.pieces = pieces
        self.generation = Generation("".join(pieces), Usage(seconds=0.5), confidence=confidence)
        self.error = error
        self.typed = 0
        self.has_confidence = confidence is not None
        self.closed = False

    async def generate(self, prompt: Prompt) -> Generation:
        return self.generation

    async def stream(self, prompt: Prompt) -> AsyncIterator[str | Generation]:
        try:
            for piece in self.pieces:
                self.typed += 1
                yield piece
            if self.error:
                raise self.error
            yield self.generation
        finally:
            self.closed = True


def content(events: Sequence[AnswerEvent]) -> tuple[str, list[Any]]:
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    return text, [event.citation for event in events if isinstance(event, CitationChecked)]


def comparable(answer: Answer) -> Answer:
    """Return the answer without what differs each time."""
    return replace(answer, id="", time="", usage=replace(answer.usage, seconds=None), steps={})


async def assert_same(approach: Pipeline) -> list[AnswerEvent]:
    events = [event async for event in approach.stream(QUESTION)]
    answer = await approach.answer(QUESTION)
    assert isinstance(events[0], Retrieved)
    assert isinstance(events[-1], Done)
    assert comparable(events[-1].answer) == comparable(answer)
    assert content(events) == (answer.text, list(answer.citations))
    assert all(event.text for event in events if isinstance(event, TextDelta))
    return events


# -- the same as a whole answer ----------------------------------------------------------------------------------

PASSAGES = [[text[start:end] for start, end in sentences(text)] for text in (RETURNS, ORDERS, TABLE, UNICODE)]
PLAIN_MARKERS = st.sampled_from(["[1]", "[2]", "[3]", "[4]", "[1][2]", "[1], [2]", "[2, 3]", "[ 1 ]", "[9]", "[0]"])
STYLES = st.sampled_from(
    [
        "【1】", "［2］", "【1†source】", "[^1]", "[Passage 1]", "[passages 1 and 2]", "[Quelle 2]", "[doc_3]", "[1:0]",
        "[#1]", "(1)", "(Passage 2)", "¹", "²,³", "①", "[1](#1)", "[[1]]", "[[1], [2]]", "**[1]**", "<sup>1</sup>",
        "^1", "$^{2}$", "([1])", "[１]", "\\[1\\]", "[1, p. 3]", "[Source 1: Returns]", "Sources: 1, 2", "[來源1]",
        "\\cite{1}",
    ]
)  # fmt: skip
MARKERS = st.one_of(PLAIN_MARKERS, STYLES)
ODD = st.sampled_from(
    [
        "The bike is fine.", "It costs 49 euros", "See", "Sources:", "Note that this is only a guess.", "For example:",
        "Yes.", "No. 5 is open.", "in 2019", "Dr. Berg said so.", "- ", "* ", "1. ", "2. ", "a) ", "I. ", "\n", "\n\n",
        "```", "`x y`", "`", "``", '"', "(", ")", "“", "”", "**", "_", "[2024]", "rows[2]", "[1](http://x)", "[ 1",
        "[1, 2]", "[1-3]", "1 ", "12.", "and then", "But", "lower case goes on", "however, the warranty", "  ", "\t",
        "...", "!", "The rules are:", "**Returns**", "## Fees", "Hello!", "Is it free?", "m²", "x[1]", "| a | b |",
        "|---|---|", "(1) ", "— Passage 1", "“",
        "The warranty lasts 24 months.", "Helmets are not refunded",
        "that is more than enough words here", prompts.NOT_FOUND, "not_in", "\u200b", "😀",
        "NOT\\_IN\\_DOCUMENTS", "Answer: ", "not in the documents", "\n\nNOT_IN_DOCUMENTS", "n", "Not",
    ]
)  # fmt: skip


@st.composite
def claims(draw: st.DrawFn) -> str:
    """Draw one to three adjacent sentences of a passage, with a marker somewhere."""
    passage = draw(st.sampled_from(PASSAGES))
    start = draw(st.integers(0, len(passage) - 1))
    claim = " ".join(passage[start : start + draw(st.integers(1, 3))])
    marker = draw(MARKERS)
    places = [f"{claim.removesuffix('.')} {marker}.", f"{claim} {marker}", f"{claim}\n{marker}", f"{marker} {claim}"]
    return draw(st.sampled_from([*places, claim]))


@st.composite
def texts(draw: st.DrawFn) -> str:
    parts = draw(st.lists(st.one_of(claims(), ODD, MARKERS), min_size=1, max_size=9))
    gaps = st.sampled_from([" "] * 8 + ["", "\n", "\n\n"])
    return "".join(part + draw(gaps) for part in parts)


def cut(text: str, sizes: Sequence[int]) -> list[str]:
    """Cut the text into pieces of these sizes, over and over."""
    pieces, at = [], 0
    while text:
        size = sizes[at % len(sizes)]
        pieces.append(text[:size])
        text, at = text[size:], at + 1
    return pieces


SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=6)


@pytest.mark.parametrize("strict", [False, True])
@settings(max_examples=150, deadline=None)
@given(texts(), SIZES)
@example(f"{DAYS}. {MONTHS}. Refunds go to the card that was used. [1]", [1])
@example(f"{DAYS} [1]. {MONTHS} [1].\n\nIt is 90 days [1]. {MONTHS} [1].", [3])
@example(f"“{DAYS} [1]. {MONTHS} and that is all” [1].", [2])
@example(f"{MONTHS} [1]. See [2]. Sources\n[3]\nSee: [2]\nIt opened in 2019 [2].", [1])
@example(f"[1]{MONTHS} [1]. {SENT} [2]. Answer: \n\n\n because {SENT} [2].", [1])
@example(f"[1]{MONTHS} [1]. {SENT} [2]. The rules are:\n\nIt is 90 days [2].", [1])
@example(f"[1]{MONTHS} [1].  {SENT} [2]. The rules are:\n- {DAYS} [1].\n- {MONTHS} [1].", [1])
async def test_a_streamed_answer_is_the_whole_answer(strict: bool, text: str, sizes: list[int]) -> None:
    await assert_same(Pipeline("rag", Types(cut(text, sizes)), context=Given(), strict=strict))


def test_a_long_line_is_looked_at_where_a_sentence_may_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0

    def counting(*args: Any, **options: Any) -> Any:
        nonlocal looked
        looked += 1
        return split_answer(*args, **options)

    monkeypatch.setattr(unfinished_text, "split_answer", counting)
    unfinished = UnfinishedText(HITS)
    for _ in range(20):  # after a quotation mark no sentence of the line is certain before its end
        for word in f'The manual says "{DAYS}" [1]. '.split():
            unfinished.add(f"{word} ")
    assert 20 <= looked <= 60


@pytest.mark.slow
@pytest.mark.parametrize("strict", [False, True])
@settings(max_examples=300, deadline=None)
@given(texts())
@example(f"[1]{MONTHS} [1]. {SENT} [2]. Answer: \n\n\n because  {SENT} [2].\n")
@example(f"[1]{MONTHS} [1]. {SENT} [2]. The rules are:\n\nIt is 90 days [2].\n")
def test_what_is_released_begins_the_checked_text(strict: bool, text: str) -> None:
    """Every text is its own beginning of many others, so each character is a place where the stream might stop."""
    whole, all_citations = check_citations(text.strip(), HITS, strict=strict)
    unfinished, released, cited = UnfinishedText(HITS, strict=strict), "", ()
    for char in text:
        piece, citations = unfinished.add(char)
        released, cited = released + piece, (*cited, *citations)
        assert whole.startswith(released)
        assert all_citations[: len(cited)] == cited


FORMATS: list[OutputFormat] = [
    AnswerFormat(),
    TextFormat(),
    LabelFormat({"billing": "", "other": ""}),
    ObjectFormat({"type": "object", "properties": {"a": {"type": "string"}}}),
]


@pytest.mark.parametrize("output_format", FORMATS, ids=lambda each: type(each).__name__)
@settings(max_examples=40, deadline=None)
@given(st.one_of(texts(), st.sampled_from(["  Billing \n", '{"a": "b"}', "NONE", "null", ""])), SIZES)
async def test_without_passages_as_well(output_format: OutputFormat, text: str, sizes: list[int]) -> None:
    await assert_same(Pipeline("prompt", Types(cut(text, sizes)), output_format=output_format))


# -- when text is released ---------------------------------------------------------------------------------------


async def released(text: str, **options: Any) -> list[tuple[str, str]]:
    """Return what is released with the text written until then."""
    model = Types(cut(text, [1]))
    approach = Pipeline("rag", model, context=Given(), **options)
    pieces = [
        (event.text, text[: model.typed]) async for event in approach.stream(QUESTION) if isinstance(event, TextDelta)
    ]
    await assert_same(approach)
    return pieces


@pytest.mark.parametrize("strict", [False, True])
async def test_a_sentence_is_released_when_the_next_one_has_begun(strict: bool) -> None:
    text = f"{DAYS} [1]. {MONTHS} [1]. {SENT} [2]. {DAYS} [1]."
    (first, seen), (second, seen_then), (last, _) = await released(text, strict=strict)
    assert (first.strip(), second.strip()) == (f"{DAYS} [1]. {MONTHS} [1].", f"{SENT} [2].")
    assert seen == f"{DAYS} [1]. {MONTHS} [1]. Orders are sent "
    assert seen_then.endswith("You can return ")
    assert last.strip() == f"{DAYS} [1]."


@pytest.mark.parametrize("strict", [False, True])
async def test_nothing_is_released_before_passages_support_two_sentences(strict: bool) -> None:
    """One related fact is often the beginning of an explanation why there is no answer."""
    text = f"The passages do not speak of Iceland. {DAYS} [1]. {DAYS} [1]. It is 90 days [1]. {MONTHS} [1]. {SENT} [2]."
    (_, seen), *_ = await released(text, strict=strict)
    assert seen.endswith(f"{MONTHS} [1]. Orders are sent ")


@pytest.mark.parametrize("strict", [False, True])
async def test_the_items_of_a_list_are_released_one_by_one(strict: bool) -> None:
    text = f"- {DAYS} [1].\n- {MONTHS} (parts too)\n[1]\n- “Helmets cost €49.50 and are not refunded” [1].\n"
    pieces = [piece for piece, _ in await released(text.replace(" (parts too)", ""), strict=strict)]
    assert [piece.strip()[:8] for piece in pieces] == ["- You ca", "- “Helme"]


async def test_paragraphs_are_released_one_by_one_with_strict_as_well() -> None:
    text = f"{DAYS} [1].\n\n{MONTHS} [1].\n\n{SENT} [2].\n\nGuess what [1]."
    pieces = [piece for piece, _ in await released(text, strict=True)]
    assert [piece.strip() for piece in pieces] == [f"{DAYS} [1].\n\n{MONTHS} [1].", f"{SENT} [2]."]


@pytest.mark.parametrize(
    "text",
    [
        f"{DAYS}. {MONTHS}. [1]",  # one quote of two sentences
        f"[1] {DAYS}. {MONTHS}.",  # markers before or after: the end decides
        f"“{DAYS}. {MONTHS}.” [1]",
        f"`code {DAYS}. {MONTHS}` [1]. And so on it goes.",
    ],
)
async def test_what_the_line_may_still_change_is_held(text: str) -> None:
    assert len(await released(text)) == 1


async def test_strict_releases_only_what_is_supported() -> None:
    text = f"It takes 90 days in all [1]. {DAYS} [1]. {MONTHS} [1]. Nobody knows [2]. {SENT} [2]. Nobody [1]."
    pieces = await released(text, strict=True)
    assert [piece.strip() for piece, _ in pieces] == [f"{DAYS} [1]. {MONTHS} [1].", f"{SENT} [2]."]


@pytest.mark.parametrize(
    "reply",
    [
        *(prompts.NOT_FOUND, f"{prompts.NOT_FOUND}. The passages are about bikes.", f" **{prompts.NOT_FOUND}**\n"),
        f"The passages speak only of bikes [1].\n\n{prompts.NOT_FOUND}",
        f"{DAYS} [1]. It does not say how long scooters take.\n\nAnswer: NOT\\_IN\\_DOCUMENTS [1]",
        f"{prompts.NOT_FOUND}\n\n{DAYS} [1]. {MONTHS} [1]. {SENT} [2].",
    ],
)
@pytest.mark.parametrize("sizes", [[1], [3], [100]])
async def test_the_agreed_refusal_never_leaks(reply: str, sizes: list[int]) -> None:
    events = await assert_same(Pipeline("rag", Types(cut(reply, sizes)), context=Given()))
    assert content(events) == (NOT_IN_DOCUMENTS, [])
    plain = await assert_same(Pipeline("prompt", Types(cut(reply, sizes))))
    assert content(plain) == (AnswerFormat().abstention, [])


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("sizes", [[1], [3], [100]])
async def test_an_abstention_after_a_supported_answer_is_a_warning(strict: bool, sizes: list[int]) -> None:
    text = f"{DAYS} [1]. {MONTHS} [1]. {SENT} [2].\n\n{prompts.NOT_FOUND}"
    events = await assert_same(Pipeline("rag", Types(cut(text, sizes)), context=Given(), strict=strict))
    done = events[-1]
    assert isinstance(done, Done)
    assert done.answer.text == f"{DAYS} [1]. {MONTHS} [1]. {SENT} [2]."
    assert (done.answer.status, done.answer.warnings) == ("answered", (ABSTAINED_AFTER,))


async def test_without_passages_an_answer_is_held_to_its_end() -> None:
    model = Types(cut("I know bikes. I know their parts. I know no scooters.\n\nNOT_IN_DOCUMENTS", [4]))
    assert content(await assert_same(Pipeline("prompt", model))) == (AnswerFormat().abstention, [])


async def test_a_thought_that_was_taken_for_the_answer_is_taken_back() -> None:
    thought = f"{DAYS} [1]. {MONTHS} [1]. So it is 30 days, as far as I know."
    with ScriptedServer(Reply(f"{thought}\n</think>\n\n{DAYS} [1].")) as server:
        model = HostedGenerator("m", base_url=server.base_url)
        pipeline = Pipeline("rag", model, context=Given())
        first, second = [[event async for event in pipeline.stream(QUESTION)] for _ in range(2)]
        await model.aclose()
    assert content(first[: first.index(Reset())])[0].rstrip() == f"{DAYS} [1]. {MONTHS} [1]."
    assert Reset() not in second, "later streams of the model are held back"
    for events in (first[first.index(Reset()) :], second):
        done = events[-1]
        assert isinstance(done, Done)
        assert (done.answer.text, done.answer.reasoning) == (f"{DAYS} [1].", thought)
        assert content(events) == (done.answer.text, list(done.answer.citations))


async def test_what_cannot_be_read_fails_streamed_or_not() -> None:
    approach = Pipeline("prompt", Types(["a or b"]), output_format=LabelFormat({"a": "", "b": ""}))
    with pytest.raises(ProviderError, match="names 2 labels") as whole:
        await approach.answer(QUESTION)
    with pytest.raises(ProviderError, match="names 2 labels") as streamed:
        [event async for event in approach.stream(QUESTION)]
    for error in (whole.value, streamed.value):
        assert (error.kind, error.retryable) == ("unreadable", False)
        assert "'a or b'" in error.message
        assert error.usage is not None
        assert error.usage.seconds == 0.5


async def test_a_text_without_citations_is_released_piece_by_piece() -> None:
    model = Types(["  ", "Dear", " ", "Anna", ",\n", "\n"])
    approach = Pipeline("prompt", model, output_format=TextFormat())
    assert [event.text for event in await assert_same(approach) if isinstance(event, TextDelta)] == [
        "Dear", " Anna,",
    ]  # fmt: skip


@pytest.mark.parametrize(("confidence", "count"), [(0.4, 1), (0.6, 1), (None, 2)])
async def test_below_a_threshold_everything_is_held(confidence: float | None, count: int) -> None:
    model = Types(cut(f"{DAYS} [1]. {MONTHS} [1]. {SENT} [2].", [5]), confidence=confidence)
    events = await assert_same(Pipeline("rag", model, context=Given(), threshold=0.5))
    assert sum(isinstance(event, TextDelta) for event in events) == count


# -- streams of any approach -------------------------------------------------------------------------------------


class Bare:
    """An approach of somebody else, without `stream`."""

    name = "bare"

    async def answer(self, question: Question) -> Answer:
        text, citations = check_citations(f"{DAYS} [1].", HITS)
        return Answer(text, "answered", citations=citations, hits=HITS)


async def test_an_approach_without_stream_is_answered_first() -> None:
    assert not isinstance(Bare(), StreamingApproach)
    events = [event async for event in stream_answer(Bare(), QUESTION)]
    assert [type(event) for event in events] == [Retrieved, TextDelta, CitationChecked, Done]
    assert isinstance(events[-1], Done)
    answer = events[-1].answer
    assert (answer.approach, bool(answer.id)) == ("bare", True)
    assert (await request_answer(Bare(), QUESTION)).usage.seconds is not None


async def test_a_pipeline_streams() -> None:
    approach = Pipeline("rag", Types(cut(f"{DAYS} [1]. {MONTHS} [1]. {SENT} [2].", [4])), context=Given())
    assert isinstance(approach, StreamingApproach)
    events = [event async for event in stream_answer(approach, QUESTION)]
    assert [type(event) for event in events] == [
        Retrieved, TextDelta, CitationChecked, CitationChecked, TextDelta, CitationChecked, Done,
    ]  # fmt: skip


async def test_leaving_early_closes_the_stream_of_the_model() -> None:
    model = Types(cut(f"{DAYS} [1]. {MONTHS} [1]. {SENT} [2].", [4]))
    async with aclosing(stream_answer(Pipeline("rag", model, context=Given()), QUESTION)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break
    assert model.closed
    assert model.typed < len(model.pieces)


async def test_an_error_half_way_comes_after_what_was_released() -> None:
    model = Types([f"{DAYS} [1]. {MONTHS} [1]. Orders are sent "], error=ProviderError("broke", kind="bad_response"))
    events: list[AnswerEvent] = []

    async def collect() -> None:
        async for event in stream_answer(Pipeline("rag", model, context=Given()), QUESTION):
            events.append(event)

    with pytest.raises(ProviderError, match="broke"):
        await collect()
    assert content(events)[0].strip() == f"{DAYS} [1]. {MONTHS} [1]."


@pytest.mark.parametrize("write_bytes", [None, 1, 5])
async def test_over_real_http_in_awkward_pieces(write_bytes: int | None) -> None:
    text = f"Das Café „Zum Löwen“ öffnet um 9:30 – außer montags [4].\n{DAYS} [1]. {MONTHS} [1]."
    reply = Reply(text, pieces=cut(text, [3]), write_bytes=write_bytes)
    with ScriptedServer(reply) as server:
        model = HostedGenerator("m", base_url=server.base_url)
        events = await assert_same(Pipeline("rag", model, context=Given()))
        await model.aclose()
    assert [event.citation.support for event in events if isinstance(event, CitationChecked)] == ["exact"] * 3
    assert sum(isinstance(event, TextDelta) for event in events) == 2


@pytest.mark.parametrize(("threshold", "texts"), [(None, 2), (0.0, 2), (0.3, 1)])
async def test_only_a_threshold_holds_the_text_of_a_hosted_model(threshold: float | None, texts: int) -> None:
    text = f"{DAYS} [1]. {MONTHS} [1]. {SENT} [2]."
    reply = Reply(text, pieces=cut(text, [3]), logprobs=[{"token": text, "logprob": -0.5}])
    with ScriptedServer(reply) as server:
        model = HostedGenerator("m", base_url=server.base_url)
        events = await assert_same(Pipeline("rag", model, context=Given(), threshold=threshold))
        await model.aclose()
        assert {body.get("logprobs") for body in server.posts()} == {None if threshold is None else True}
    assert min(sum(isinstance(event, TextDelta) for event in events), 2) == texts
