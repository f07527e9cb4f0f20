"""The official client against a real server: responses, streamed and whole."""

from typing import Any

import pytest
from openai import BadRequestError
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.serve.conftest import ANSWER, QUESTION, Running

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


@pytest.fixture(params=["quotes", "modelled"])
def server(request: pytest.FixtureRequest) -> Running:
    running: Running = request.getfixturevalue(request.param)
    return running


def test_the_stream_ends_in_the_whole_response(server: Running) -> None:
    client = server.client()
    whole = client.responses.create(model="acme", input=QUESTION)
    Response.model_validate(whole.to_dict())
    events: list[Any] = list(client.responses.create(model="acme", input=QUESTION, stream=True))
    for event in events:
        EVENT.validate_python(event.to_dict())
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    last = events[-1].response
    part, message = last.output[0].content[0], whole.output[0]
    assert message.type == "message"
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == part.text
    assert part.to_dict() == message.content[0].to_dict()
    added = [event.annotation for event in events if event.type == "response.output_text.annotation.added"]
    assert [each.to_dict() for each in added] == [each.to_dict() for each in part.annotations]
    for each in part.annotations:
        assert (each.type, part.text[each.start_index : each.end_index]) == ("url_citation", "[1]")
    assert last.usage == whole.usage
    assert last.groundtune["citations"] == whole.groundtune["citations"]  # type: ignore[attr-defined]
    assert part.annotations


def test_the_client_collects_the_stream(modelled: Running) -> None:
    with modelled.client().responses.stream(model="rag", input=QUESTION) as stream:
        assert stream.get_final_response().output_text == ANSWER


def test_input_is_a_conversation(modelled: Running) -> None:
    first = modelled.client().responses.create(model="rag", input=QUESTION)
    items: list[Any] = [
        {"role": "user", "content": [{"type": "input_text", "text": QUESTION}]},
        *(item.to_dict() for item in first.output),
        {"type": "message", "role": "user", "content": "And carriage?"},
    ]
    modelled.client().responses.create(model="rag", input=items, instructions="Be brief.", metadata={"a": "b"})
    assert modelled.model is not None
    sent = modelled.model.posts()[-1]["messages"]
    assert sent[0]["content"].endswith("Be brief.")
    assert ANSWER in [turn["content"] for turn in sent]


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"store": True}, "store"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"input": []}, "input"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "input[0].content[0]"),
    ],
)
def test_what_cannot_be_done_is_refused(quotes: Running, options: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        quotes.client().responses.create(**{"model": "acme", "input": QUESTION, **options})
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["param"] == param


def test_a_failure_after_the_text_ends_the_stream(modelled: Running) -> None:
    events: list[Any] = list(modelled.client().responses.create(model="rag", input="break, please", stream=True))
    assert events[-1].type == "response.failed"
    assert "broken reply" in events[-1].response.error.message


def test_a_reply_that_was_cut_off_is_incomplete(modelled: Running) -> None:
    reply = modelled.client().responses.create(model="rag", input="cut, please")
    assert reply.status == "incomplete"
    assert reply.incomplete_details
    assert reply.incomplete_details.reason == "max_output_tokens"


def test_sampling_goes_to_the_model(modelled: Running) -> None:
    reply = modelled.client().responses.create(model="rag", input=QUESTION, temperature=0.5, max_output_tokens=100)
    assert modelled.model is not None
    sent = modelled.model.posts()[-1]
    assert (sent["temperature"], sent["max_tokens"]) == (0.5, 100) == (reply.temperature, reply.max_output_tokens)
