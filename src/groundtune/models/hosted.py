"""Prompt to text by any OpenAI-compatible chat endpoint. Never imports the SDK before the first question."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Unpack

from groundtune.errors import ProviderError
from groundtune.json_values import strict
from groundtune.models.endpoint import Asked, Connection
from groundtune.protocols import Prices
from groundtune.types import Generation, Message, Prompt, Usage

PATH = "/chat/completions"
OPTIONAL = {
    "temperature": None,
    "stream_options": None,
    "response_format": None,
    "max_tokens": "max_completion_tokens",
}
"""Parameters that some models refuse, and what they are sent as then; None leaves them out."""
MESSAGE_TOKENS = 16
"""At most, for the role of a message and the marks around it."""
REQUEST_TOKENS = 128
"""At most, for what a chat template adds to a request of its own accord."""

log = logging.getLogger(__name__)


class HostedGenerator:
    """One chat model: OpenAI, vLLM, Ollama, llama.cpp, … Use it from one event loop; the client is made at first use.

    `temperature` None leaves it to the server, and a model that refuses the parameter is asked without it.
    `prices` None leaves `usd` unknown. `window`: tokens that prompt and answer may have together, as far as known; it
    is told, not enforced. A `Prompt.schema` is sent as `response_format`, and left out where the server refuses that.
    See `endpoint.Connection` for timeouts, retries, concurrency and patience.
    """

    def __init__(
        self,
        model: str,
        *,
        temperature: float | None = 0.0,
        max_output_tokens: int | None = None,
        concurrency: int = 8,
        prices: Prices | None = None,
        window: int | None = None,
        **asked: Unpack[Asked],
    ) -> None:
        self.name = model
        self.window = window
        self._temperature = temperature
        self._max_output_tokens = max_output_tokens
        self._prices = prices
        self._free = False
        self._connection = Connection(model, concurrency=concurrency, **asked)

    async def generate(self, prompt: Prompt) -> Generation:
        """The text with usage as the server reports it.

        `usage.seconds` runs from the moment a slot was free, retries included, but for what was waited under
        `patience_seconds`. Raises ProviderError.
        """
        answer, seconds = await self._connection.post(PATH, self._body(prompt), optional=OPTIONAL)
        self._warn_if_free()
        match answer:
            case {"choices": [{"message": {**message}, **choice}, *_]}:
                text, reason = _text(message.get("content")), choice.get("finish_reason")
                refusal = message.get("refusal")
            case _:
                raise self._connection.malformed("no choices in it")
        if not text.strip():
            raise self._empty(reason, refusal)
        self._warn_if_cut(reason)
        return Generation(text=text, usage=await self._usage(answer, seconds))

    async def stream(self, prompt: Prompt, *, on_usage: Callable[[Usage], None] | None = None) -> AsyncIterator[str]:
        """Pieces of text as they come; `on_usage` is called at the end (`seconds`: from this call to the last piece).

        Raises ProviderError: of kind `bad_response` when the stream breaks or ends before the model said that it was
        finished, `timeout` when it falls silent. What was handed out before stays handed out.
        """
        body = self._body(prompt)
        if on_usage:
            body["stream_options"] = {"include_usage": True}
        reason = usage = refusal = None
        written, begin = False, time.perf_counter()
        async with aclosing(self._connection.stream(PATH, body, optional=OPTIONAL)) as events:
            async for event in events:
                if isinstance(event, dict) and event.get("usage"):
                    usage = event
                match event:
                    case {"choices": [{**choice}, *_]}:
                        delta = choice.get("delta")
                        delta = delta if isinstance(delta, dict) else {}
                        reason = choice.get("finish_reason") or reason
                        refusal = refusal or delta.get("refusal")
                        if text := _text(delta.get("content")):
                            written = written or not text.isspace()
                            yield text
        self._warn_if_free()
        if reason is None:
            raise self._connection.malformed("the stream ended before the model had finished", retryable=True)
        if not written:
            raise self._empty(reason, refusal)
        self._warn_if_cut(reason)
        if on_usage:
            on_usage(await self._usage(usage, time.perf_counter() - begin))

    def request(self, prompt: Prompt) -> Mapping[str, Any]:
        """Where the prompt goes, without user and password, and the body that is sent."""
        return {"base_url": self._connection.place, **self._body(prompt)}

    def ceiling_usd(self, prompt: Prompt) -> float | None:
        """The most that one try of `generate` can cost: a token for each byte, all output tokens.

        A try that times out or breaks off may be billed, though nothing came back: `purse.Purse` counts it.
        None when a price is unknown, or without `max_output_tokens`: also for a server on this machine, which may be a
        gateway that bills. Say that it is free: prices of 0. The first call imports the table of prices (about 0.8 s).
        """
        if self._prices is None or self._max_output_tokens is None:
            return None
        body = self._body(prompt)
        given = sum(len(_utf8(message["content"])) + MESSAGE_TOKENS for message in body["messages"]) + REQUEST_TOKENS
        if form := body.get("response_format"):
            given += len(_utf8(json.dumps(form, ensure_ascii=False)))
        tokens = {"input_tokens": given, "output_tokens": self._max_output_tokens}
        return self._prices.usd(self.name, tokens)

    async def aclose(self) -> None:
        """Close the sockets. The next question opens new ones."""
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
            held = strict(prompt.schema)
            form = {"name": "output", "schema": held or dict(prompt.schema), "strict": held is not None}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        return body

    def _empty(self, reason: object, refusal: object) -> ProviderError:
        if refusal or reason == "content_filter":
            what, hint = f"the model refused: {refusal or 'content filter'}", "ask otherwise, or use another model"
        elif reason == "length":
            what = "no text: all output tokens were used before the first word"
            hint = "raise max_output_tokens; a reasoning model spends them on thinking first"
        else:
            what, hint = "the text is empty", "ask again, or use another model"
        return self._connection.malformed(what, hint=hint)

    def _warn_if_cut(self, reason: object) -> None:
        if reason == "length":
            log.warning("%s: the answer was cut at the limit of output tokens", self.name)

    def _warn_if_free(self) -> None:
        if not self._free and "response_format" in self._connection.refused:
            self._free = True
            log.warning("%s refuses response_format: nothing but the prompt holds it to the schema", self.name)

    async def _usage(self, answer: object, seconds: float) -> Usage:
        counts = answer.get("usage") if isinstance(answer, dict) else None
        counts = counts if isinstance(counts, dict) else {}
        details = counts.get("prompt_tokens_details")
        given = _count(counts.get("prompt_tokens"))
        cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
        made = _count(counts.get("completion_tokens"))
        usd = None
        if self._prices and given is not None and made is not None:
            tokens: Mapping[str, int] = {"input_tokens": given, "output_tokens": made, "cached_tokens": cached or 0}
            # In a thread: the first call reads the price table, which takes most of a second.
            usd = await asyncio.to_thread(self._prices.usd, self.name, tokens)
        return Usage(input_tokens=given, cached_tokens=cached, output_tokens=made, seconds=seconds, usd=usd)


def _text(content: object) -> str:
    """A string, or the text parts that some servers send."""
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
