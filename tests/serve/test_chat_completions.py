"""The official client against a real server: chat completions, streamed and whole."""

from typing import Any

import pytest
from openai import APIError, APIStatusError, BadRequestError, InternalServerError
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from groundtune.records.audit_log import AuditLog
from tests.serve.conftest import ANSWER, FIRST, QUESTION, SECOND, Running, Serve, script


def ask(server: Running, question: str = QUESTION, *, model: str = "acme", **options: Any) -> Any:
    messages = options.pop("messages", [{"role": "user", "content": question}])
    return server.client().chat.completions.create(model=model, messages=messages, **options)


def text_of(chunks: list[Any]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def annotations_of(chunks: list[Any]) -> list[Any]:
    return [
        annotation
        for chunk in chunks
        for choice in chunk.choices
        for annotation in getattr(choice.delta, "annotations", None) or []
    ]


@pytest.fixture(params=["quotes", "modelled"])
def server(request: pytest.FixtureRequest) -> Running:
    running: Running = request.getfixturevalue(request.param)
    return running


def test_an_answer_has_its_citations_on_the_wire(server: Running) -> None:
    reply = ask(server)
    ChatCompletion.model_validate(reply.to_dict())
    message = reply.choices[0].message
    assert "within 30 days of delivery" in message.content
    assert reply.choices[0].finish_reason == "stop"
    for annotation in message.annotations:
        cited = annotation.url_citation
        assert message.content[cited.start_index : cited.end_index] == "[1]"
        assert cited.url.startswith(f"{server.url}/passages/")
        assert cited.title == "docs/refunds.md > Refunds"
    assert len({annotation.url_citation.url for annotation in message.annotations}) == 1
    field = reply.groundtune
    assert field["status"] == "answered"
    assert field["degradation"] is None
    assert {citation["support"] for citation in field["citations"]} >= {"exact"}
    first = field["citations"][0]
    assert (first["quote"], first["start"]) == ("A refund is paid within 30 days of delivery.", 9)
    assert first["url"] == message.annotations[0].url_citation.url


def test_a_stream_has_the_same_text_and_citations(server: Running) -> None:
    whole = ask(server)
    chunks = list(ask(server, stream=True, stream_options={"include_usage": True}))
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk.to_dict())
    assert text_of(chunks) == whole.choices[0].message.content
    assert annotations_of(chunks) == [each.to_dict() for each in whole.choices[0].message.annotations]
    with_annotations, ending, usage = chunks[-3:]
    assert with_annotations.choices[0].delta.annotations
    assert ending.choices[0].finish_reason == "stop"
    assert usage.choices == []
    assert usage.usage == whole.usage
    assert usage.groundtune["citations"] == whole.groundtune["citations"]
    assert [hasattr(chunk, "groundtune") for chunk in chunks].count(True) == 1
    assert len({chunk.id for chunk in chunks}) == 1


def test_without_usage_the_field_comes_with_the_finish_reason(modelled: Running) -> None:
    *_, last = ask(modelled, stream=True)
    assert last.choices[0].finish_reason == "stop"
    assert last.groundtune["approach"] == "rag"
    assert last.usage is None


def test_usage_is_that_of_the_model(modelled: Running, quotes: Running) -> None:
    usage = ask(modelled).usage
    assert usage.completion_tokens == len(ANSWER.split())
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert ask(quotes).usage is None  # no model counted any


@pytest.mark.parametrize("stream", [False, True])
def test_an_abstention_cites_nothing(modelled: Running, stream: bool) -> None:
    reply = ask(modelled, "Do you deliver to Iceland?", stream=stream)
    text, last = (text_of(chunks := list(reply)), None) if stream else (reply.choices[0].message.content, reply)
    field = (last or chunks[-1]).groundtune
    assert text == "Not in your documents."
    assert (field["status"], field["citations"]) == ("abstained", [])
    assert [passage["source"] for passage in field["passages"]] == ["docs/refunds.md"]


def test_open_webui_gets_the_passages_on_request(modelled: Running) -> None:
    chunks = list(ask(modelled, stream=True, extra_body={"groundtune": {"sources": True}}))
    events = [chunk for chunk in chunks if hasattr(chunk, "event")]
    assert [chunk.choices for chunk in events] == [[]]
    data = events[0].event["data"]
    assert events[0].event["type"] == "source"
    assert data["source"]["name"] == "docs/refunds.md > Refunds"
    assert "30 days" in data["document"][0]
    assert data["metadata"][0]["url"] == data["source"]["id"]


def test_the_conversation_reaches_the_model(modelled: Running) -> None:
    messages = [
        {"role": "system", "content": "Answer like a lawyer."},
        {"role": "user", "content": [{"type": "text", "text": "Do you take things back?"}]},
        {"role": "assistant", "content": "Yes.", "annotations": []},
        {"role": "user", "content": QUESTION},
    ]
    ask(modelled, messages=messages)
    assert modelled.model is not None
    sent = modelled.model.posts()[-1]["messages"]
    assert sent[0]["role"] == "system"
    assert sent[0]["content"].endswith("Answer like a lawyer.")
    assert [turn["role"] for turn in sent].count("system") == 1
    assert "Do you take things back?" in [turn["content"] for turn in sent]


REFUSED = [
    ({"n": 2}, "n"),
    ({"n": True}, "n"),
    ({"temperature": 3}, "temperature"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"top_p": 0.5}, "top_p"),
    ({"seed": 1}, "seed"),
    ({"response_format": {"type": "json_object"}}, "response_format"),
    ({"tools": [{"type": "function", "function": {"name": "look"}}]}, "tools"),
    ({"extra_body": {"best_of": 2}}, "best_of"),
    ({"extra_body": {"groundtune": {"source": True}}}, "groundtune.source"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "assistant", "content": "Hello"}]}, "messages"),
    ({"messages": [{"role": "user", "content": " "}]}, "messages[0].content"),
    ({"messages": [{"role": "tool", "content": "4", "tool_call_id": "1"}]}, "messages[0]"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
        "messages[0].content[0]",
    ),
]


@pytest.mark.parametrize(("options", "param"), REFUSED, ids=[param for _, param in REFUSED])
def test_what_cannot_be_done_is_refused(quotes: Running, options: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        ask(quotes, **options)
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["param"] == param
    assert caught.value.body["type"] == "invalid_request_error"
    assert caught.value.body["message"]


def test_values_that_change_nothing_are_accepted(quotes: Running) -> None:
    reply = ask(quotes, n=1, top_p=1, presence_penalty=0, user="u", metadata={"a": "b"}, tools=[], store=False)
    assert reply.choices[0].message.content


@pytest.mark.parametrize("stream", [False, True])
def test_a_failure_before_the_text_is_a_status(modelled: Running, stream: bool) -> None:
    with pytest.raises(InternalServerError) as caught:
        ask(modelled, "fail, please", stream=stream)
    assert caught.value.status_code == 502
    assert caught.value.code == "bad_request"


def test_a_failure_after_the_text_is_an_error_in_the_stream(modelled: Running) -> None:
    assert_breaks(modelled, "break, please", "broken reply")


def test_a_thought_that_nothing_marked_is_an_error_in_the_stream(serve: Serve) -> None:
    server = serve(reply=script)
    assert_breaks(server, "a thought, please", "ask again")
    assert text_of(list(ask(server, "a thought, please", stream=True))) == f"{FIRST} {SECOND}"


def assert_breaks(server: Running, question: str, message: str) -> None:
    seen: list[Any] = []
    with pytest.raises(APIError, match=message) as caught:
        seen.extend(chunk for chunk in ask(server, question, stream=True) if not seen.append(chunk))  # type: ignore[func-returns-value]
    assert not isinstance(caught.value, APIStatusError)
    assert text_of(seen).startswith("A refund is paid")


def test_a_reply_that_was_cut_off_says_so(modelled: Running) -> None:
    reply = ask(modelled, "cut, please")
    assert reply.choices[0].finish_reason == "length"
    assert reply.groundtune["cut"] == "max_output_tokens"


def test_restricted_documents_stay_hidden(quotes: Running) -> None:
    reply = ask(quotes, "Where does the pay band of grade nine end?")
    assert "91,000" not in reply.to_json()


@pytest.mark.parametrize("stream", [False, True])
def test_sampling_goes_to_the_model(modelled: Running, stream: bool) -> None:
    reply = ask(modelled, temperature=0.3, max_tokens=500, stop=["END"], stream=stream)
    assert list(reply) if stream else reply
    assert modelled.model is not None
    sent = modelled.model.posts()[-1]
    assert (sent["temperature"], sent["max_tokens"], sent["stop"]) == (0.3, 500, ["END"])
    ask(modelled, max_completion_tokens=5_000)
    assert modelled.model.posts()[-1]["max_tokens"] == 1024  # that of the project file


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("options", [{"temperature": 0.3}, {"stop": "."}, {"max_tokens": 5}])
def test_sampling_is_refused_where_nothing_honours_it(quotes: Running, options: dict[str, Any], stream: bool) -> None:
    with pytest.raises(BadRequestError, match="quote-hybrid takes no temperature"):
        ask(quotes, stream=stream, **options)


@pytest.mark.parametrize("stream", [False, True])
def test_tasks_of_front_ends_are_answered_without_documents(modelled: Running, stream: bool) -> None:
    headers = {"X-Groundtune-Task": "title_generation"}
    log = AuditLog(modelled.project.workspace)
    before = log.verify().records
    reply = ask(modelled, "Write a title.", extra_headers=headers, stream=stream, max_tokens=50)
    chunks = list(reply) if stream else []
    assert (text_of(chunks) if stream else reply.choices[0].message.content) == ANSWER
    field = (chunks[-1] if stream else reply).groundtune
    assert (field["approach"], field["citations"]) == ("task:title_generation", [])
    assert modelled.model is not None
    sent = modelled.model.posts()[-1]
    assert sent["messages"] == [{"role": "user", "content": "Write a title."}]
    assert sent["max_tokens"] == 50
    assert log.verify().records == before


def test_a_task_needs_a_model_and_a_name(quotes: Running) -> None:
    with pytest.raises(BadRequestError, match="only quotes"):
        ask(quotes, "Write a title.", extra_headers={"X-Groundtune-Task": "title_generation"})
    for value in ("", "{{TASK}}"):
        assert ask(quotes, extra_headers={"X-Groundtune-Task": value}).groundtune["approach"] == "quote-hybrid"
