"""OpenAI's client reads the same text and the same citations in every protocol, whole and streamed."""

from typing import Any

from groundtune.serve.api.models import AUTO
from tests.serve.conftest import ANSWER, QUESTION, Running

Read = tuple[str, list[tuple[str, str, int, int]]]
"""Text, and URL, title and range of each citation."""


def citation(fields: Any) -> tuple[str, str, int, int]:
    return fields["url"], fields["title"], fields["start_index"], fields["end_index"]


def by_chat(server: Running, model: str, *, stream: bool) -> Read:
    messages: Any = [{"role": "user", "content": QUESTION}]
    reply: Any = server.client().chat.completions.create(model=model, messages=messages, stream=stream)
    if not stream:
        message = reply.choices[0].message
        return message.content, [citation(each.url_citation.to_dict()) for each in message.annotations]
    deltas = [choice.delta for chunk in reply for choice in chunk.choices]
    annotations = [each for delta in deltas for each in getattr(delta, "annotations", None) or []]
    return "".join(delta.content or "" for delta in deltas), [citation(each["url_citation"]) for each in annotations]


def by_responses(server: Running, model: str, *, stream: bool) -> Read:
    reply: Any = server.client().responses.create(model=model, input=QUESTION, stream=stream)
    if not stream:
        return reply.output_text, [citation(each.to_dict()) for each in reply.output[0].content[0].annotations]
    events = list(reply)
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    added = [event.annotation for event in events if event.type == "response.output_text.annotation.added"]
    last = events[-1].response
    assert (last.status, last.output_text) == ("completed", text)
    return text, [citation(each.to_dict()) for each in added]


def test_every_protocol_has_the_same_text_and_citations(modelled: Running) -> None:
    for model in ("acme", AUTO):
        read = [ask(modelled, model, stream=stream) for ask in (by_chat, by_responses) for stream in (False, True)]
        assert read == [read[0]] * 4
        text, citations = read[0]
        assert text == ANSWER
        assert [text[start:end] for _, _, start, end in citations] == ["[1]", "[1]"]
