"""Generate text with any OpenAI-compatible chat endpoint. Never imports the SDK before the first call."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Unpack

from groundtune.common.json_schema import strict_schema
from groundtune.errors import ProviderError
from groundtune.models.connection import Connection, ConnectionOptions
from groundtune.protocols import Prices
from groundtune.types import Generation, Message, Prompt, Usage

PATH = "/chat/completions"
OPTIONAL = {
    "temperature": None,
    "stream": None,
    "stream_options": None,
    "response_format": None,
    "max_tokens": "max_completion_tokens",
}
"""Parameters that some models reject, with the name to use instead; None omits the parameter."""
MESSAGE_TOKENS = 16
"""Upper bound on the tokens that the role and delimiters of a message take."""
REQUEST_TOKENS = 128
"""Upper bound on the tokens that a chat template adds to a request."""

log = logging.getLogger(__name__)


class HostedGenerator:
    """One chat model: OpenAI, vLLM, Ollama, llama.cpp, … For one event loop; the client is created on first use.

    With `temperature` None, the server decides; a model that rejects the parameter is called without it. With `prices`
    None, `usd` is unknown. `window` is the context window in tokens, prompt and answer together, if known; it is not
    enforced here. A `Prompt.schema` is sent as `response_format`, which is omitted if the server rejects it. See
    `connection.Connection` for timeouts, retries, concurrency and patience.
    """

    has_confidence = False
    """No generation carries a confidence."""

    def __init__(
        self,
        model: str,
        *,
        temperature: float | None = 0.0,
        max_output_tokens: int | None = None,
        concurrency: int = 8,
        prices: Prices | None = None,
        window: int | None = None,
        **options: Unpack[ConnectionOptions],
    ) -> None:
        self.name = model
        self.window = window
        self._temperature = temperature
        self._max_output_tokens = max_output_tokens
        self._prices = prices
        self._free = False
        self._connection = Connection(model, concurrency=concurrency, **options)

    async def generate(self, prompt: Prompt) -> Generation:
        """Return the text, with the usage that the server reports.

        `usage.seconds` starts when a slot is free and includes retries, but not the time waited under
        `patience_seconds`. Raises ProviderError.
        """
        answer, seconds = await self._connection.post(PATH, self._body(prompt), optional=OPTIONAL)
        self._warn_if_free()
        match answer:
            case {"choices": [{"message": {**message}, **choice}, *_]}:
                text, reason = _text(message.get("content")), choice.get("finish_reason")
                refusal = message.get("refusal")
            case _:
                raise self._connection.bad_response("it has no choices")
        if not text.strip():
            raise self._empty(reason, refusal)
        self._warn_if_cut(reason)
        return Generation(text=text, usage=await self._usage(answer, seconds))

    async def stream(self, prompt: Prompt) -> AsyncIterator[str | Generation]:
        """Yield pieces of text as they arrive, and at the end the generation (`seconds`: up to the last piece).

        A server that cannot stream is asked for the whole text. Raises ProviderError: `bad_response` when the stream
        breaks or ends without a finish reason, `timeout` when no more data arrives. Pieces yielded before the error
        stay valid.
        """
        body = {**self._body(prompt), "stream_options": {"include_usage": True}}
        reason = usage = refusal = None
        text, start = "", time.perf_counter()
        async with aclosing(self._connection.stream(PATH, body, optional=OPTIONAL)) as events:
            async for event in events:
                if isinstance(event, dict) and event.get("usage"):
                    usage = event
                match event:
                    case {"choices": [{**choice}, *_]}:
                        delta = choice.get("delta") or choice.get("message")  # a message: all at once
                        delta = delta if isinstance(delta, dict) else {}
                        reason = choice.get("finish_reason") or reason
                        refusal = refusal or delta.get("refusal")
                        if piece := _text(delta.get("content")):
                            text += piece
                            yield piece
        seconds = time.perf_counter() - start
        self._warn_if_free()
        if reason is None:
            raise self._connection.bad_response("the stream ended before the model finished", retryable=True)
        if not text.strip():
            raise self._empty(reason, refusal)
        self._warn_if_cut(reason)
        yield Generation(text=text, usage=await self._usage(usage, seconds))

    def request(self, prompt: Prompt) -> Mapping[str, Any]:
        """Return the body that is sent, with `base_url`, without user and password."""
        return {"base_url": self._connection.public_url, **self._body(prompt)}

    def ceiling_usd(self, prompt: Prompt) -> float | None:
        """Return the most that one attempt of `generate` can cost: one token per byte, all output tokens.

        An attempt that times out or breaks off may still be billed; `Budget` accounts for that. None when a price is
        unknown or `max_output_tokens` is not set. That includes servers on this machine, which may be a gateway to a
        paid service: set prices of 0 if it is free. The first call imports the price table (about 0.8 s).
        """
        if self._prices is None or self._max_output_tokens is None:
            return None
        body = self._body(prompt)
        input_tokens = (
            sum(len(_utf8(message["content"])) + MESSAGE_TOKENS for message in body["messages"]) + REQUEST_TOKENS
        )
        if response_format := body.get("response_format"):
            input_tokens += len(_utf8(json.dumps(response_format, ensure_ascii=False)))
        tokens = {"input_tokens": input_tokens, "output_tokens": self._max_output_tokens}
        return self._prices.usd(self.name, tokens)

    async def aclose(self) -> None:
        """Close the connections. The next call opens new ones."""
        await self._connection.aclose()

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        messages = prompt.messages or (Message("user", prompt.question),)
        body: dict[str, Any] = {
            "model": self.name,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
        }
        if self._temperature is not None:
            body["temperature"] = self._temperature
        if self._max_output_tokens is not None:
            body["max_tokens"] = self._max_output_tokens
        if prompt.schema is not None:
            strict = strict_schema(prompt.schema)
            json_schema = {
                "name": "output",
                "schema": strict or dict(prompt.schema),
                "strict": strict is not None,
            }
            body["response_format"] = {"type": "json_schema", "json_schema": json_schema}
        return body

    def _empty(self, reason: object, refusal: object) -> ProviderError:
        if refusal or reason == "content_filter":
            what, hint = (
                f"the model refused: {refusal or 'content filter'}",
                "rephrase the question, or use another model",
            )
        elif reason == "length":
            what = "the reply is empty: the output token limit was reached before any text"
            hint = "raise max_output_tokens; a reasoning model uses them for thinking first"
        else:
            what, hint = "the text is empty", "try again, or use another model"
        return self._connection.bad_response(what, hint=hint)

    def _warn_if_cut(self, reason: object) -> None:
        if reason == "length":
            log.warning("%s: the answer was truncated at the output token limit", self.name)

    def _warn_if_free(self) -> None:
        if not self._free and "response_format" in self._connection.refused_parameters:
            self._free = True
            log.warning("%s does not support response_format; the schema is now in the prompt only", self.name)

    async def _usage(self, answer: object, seconds: float) -> Usage:
        counts = answer.get("usage") if isinstance(answer, dict) else None
        counts = counts if isinstance(counts, dict) else {}
        details = counts.get("prompt_tokens_details")
        input_tokens = _count(counts.get("prompt_tokens"))
        cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
        output_tokens = _count(counts.get("completion_tokens"))
        usd = None
        if self._prices and input_tokens is not None and output_tokens is not None:
            tokens: Mapping[str, int] = {
                "input_tokens": input_tokens,
                "output_tokens": output_tokens,
                "cached_tokens": cached or 0,
            }
            # In a thread: the first call imports the price table (about 0.8 s).
            usd = await asyncio.to_thread(self._prices.usd, self.name, tokens)
        return Usage(
            input_tokens=input_tokens, cached_tokens=cached, output_tokens=output_tokens, seconds=seconds, usd=usd
        )


def _text(content: object) -> str:
    """Return the content as text; some servers send a list of parts."""
    match content:
        case str():
            return content
        case list():
            parts = [part.get("text") for part in content if isinstance(part, dict)]
            return "".join(part for part in parts if isinstance(part, str))
        case _:
            return ""


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
