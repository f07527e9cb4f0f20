"""Send the events of an answer as a stream in one of OpenAI's protocols. Knows none of them."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Protocol

from groundtune.serve.api.markdown import answer_as_markdown, markdown_pieces
from groundtune.serve.errors import SERVER, ErrorReply, RequestRefusedError, error_reply
from groundtune.types import Answer, AnswerEvent, Done, Reset, TextDelta


class StreamForm(Protocol):
    """How a protocol writes the parts of a stream, each as complete events."""

    def begin(self) -> Iterable[str]: ...

    def text(self, text: str) -> str: ...

    def end(self, answer: Answer) -> Iterable[str]: ...

    def failed(self, error: ErrorReply) -> str:
        """Return the event that ends a stream which has begun, and cannot be completed."""
        ...


async def wire_stream(form: StreamForm, events: AsyncGenerator[AnswerEvent, None]) -> AsyncGenerator[str, None]:
    """Yield the events of an answer in the form of a protocol.

    An error after the first text is an event, since the status is sent by then. So is a text that is taken back, which
    these protocols cannot do.
    """
    for line in form.begin():
        yield line
    has_text, pieces = False, markdown_pieces()
    try:
        async with aclosing(events):
            async for event in events:
                match event:
                    case TextDelta():
                        has_text = True
                        if text := pieces.add(event.text):
                            yield form.text(text)
                    case Reset() if has_text:
                        raise _taken_back()
                    case Done():
                        if rest := pieces.finish():
                            yield form.text(rest)
                        for line in form.end(answer_as_markdown(event.answer)):
                            yield line
    except Exception as error:  # noqa: BLE001 (the reply has begun: whatever happened, the client must read it there)
        yield form.failed(error_reply(error))


def _taken_back() -> RequestRefusedError:
    message = (
        "the text so far no longer holds: the model failed in it, or it was a thought that nothing marked; ask again"
    )
    return RequestRefusedError(ErrorReply(502, message, SERVER, "unreadable"))
