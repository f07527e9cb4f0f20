"""Generate text with any OpenAI-compatible chat endpoint. Never imports the SDK before the first call."""

import asyncio
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Unpack

from groundtune.common.json_schema import satisfies, strict_schema
from groundtune.common.text import one_line
from groundtune.errors import ProviderError
from groundtune.models.budget import mark_output_received
from groundtune.models.chat_reply import ChatReply, ReplyReader, begins_reply
from groundtune.models.connection import Connection, ConnectionOptions, server_at
from groundtune.models.dialects import Server, dialects
from groundtune.models.reasoning import begins_as_thought
from groundtune.models.refused_parameters import Alternatives, CallerChoices
from groundtune.models.repetition import LOOP_CHARACTERS, REPETITION, end_before_loop
from groundtune.models.reported_usage import TokenUsage, read_usage
from groundtune.models.token_confidence import text_confidence
from groundtune.protocols import Prices
from groundtune.types import Generation, Message, Prompt, Usage

PATH = "/chat/completions"
OPTIONAL: Alternatives = {
    "temperature": [None],
    "stream": [None],
    "stream_options": [None],
    "response_format": [None],
    "logprobs": [None],
    "max_tokens": ["max_completion_tokens", None],
}
"""Parameters that some servers refuse, with the names to try instead; None omits the parameter."""
CUT = "max_output_tokens"
UNHELD = "the server does not support response_format, so nothing held the reply to the JSON Schema"
"""Warning of a text whose prompt has a schema."""
IGNORED = "the server took the JSON Schema, but its reply does not satisfy it"
"""The same; servers drop keywords that their decoder cannot express."""
MESSAGE_TOKENS = 16
"""Upper bound on the tokens that the role and delimiters of a message take."""
REQUEST_TOKENS = 128
"""Upper bound on the tokens that a chat template adds to a request."""

log = logging.getLogger(__name__)


class HostedGenerator:
    """One chat model: OpenAI, vLLM, Ollama, llama.cpp, … For one event loop; the client is created on first use.

    Servers differ in how they answer; `dialects.toml` says how, and what no dialect explains is an error. Thinking is
    separated from the text, and a text that was cut off in a loop ends after its first cycle (repetition.py). A
    parameter that the server refuses is omitted from then on; where a caller chose its value, for that request alone.
    With `temperature` None, the server decides. With
    `prices` None, `usd` is unknown. `window` is the context window in tokens, prompt and answer together, if known; it
    is not enforced here. A `Prompt.schema` is sent as `response_format`. Where a prompt asks for a confidence,
    log-probabilities are requested (token_confidence.py). See `connection.Connection` for timeouts, retries,
    concurrency and patience.
    """

    samples = True
    """It honours the sampling of a prompt."""

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
        self._warned: set[str] = set()
        """Kinds of warnings that have been logged: one of a kind is enough."""
        self._may_be_unmarked = any(part in model.lower() for part in dialects().unmarked_models)
        """Whether its thoughts may have no opening mark, by its name."""
        self._is_unmarked = False
        """Whether one of its thoughts had none."""
        self._connection = Connection(model, concurrency=concurrency, **options)

    @property
    def has_confidence(self) -> bool:
        """Whether a generation may carry a confidence: the server has not refused to tell log-probabilities."""
        return "logprobs" not in self._connection.refused

    async def generate(self, prompt: Prompt) -> Generation:
        """Return the text, with the usage that the server reports.

        `usage.seconds` starts when a slot is free and includes retries, but not the time waited under
        `patience_seconds`. Raises ProviderError.
        """
        choices = self._choices(prompt)
        answer, seconds = await self._connection.post(PATH, self._body(prompt), optional=OPTIONAL, choices=choices)
        reader = ReplyReader(hold=True)
        reader.add(answer)
        if not reader.has_choice:
            raise self._connection.bad_response(f"it has no choices: {one_line(json.dumps(answer))}")
        _, reply = reader.finish()
        return await self._generation(prompt, reply, seconds, choices)

    async def stream(self, prompt: Prompt) -> AsyncIterator[str | Generation]:
        """Yield pieces of text as they arrive, and at the end the generation (`seconds`: up to the last piece).

        A server that cannot stream is asked for the whole text. Raises ProviderError: `bad_response` when the stream
        breaks or ends without a finish reason, `timeout` when no more data arrives, and the kind that fits an error
        that the stream tells. A model may turn out to think without an opening mark: the pieces so far were a thought
        then, the text comes with the generation alone, and later streams are held back until the thought has ended.
        """
        body = {**self._body(prompt), "stream_options": {"include_usage": True}}
        reader, start = ReplyReader(hold=self._may_be_unmarked or self._is_unmarked), time.perf_counter()
        choices = self._choices(prompt)
        events = self._connection.stream(PATH, body, optional=OPTIONAL, choices=choices, begins=begins_reply)
        async with aclosing(events):
            async for event in events:
                if piece := reader.add(event):
                    yield piece
        seconds = time.perf_counter() - start
        rest, reply = reader.finish()
        if reply.finish is None:
            mark_output_received()
            raise self._connection.bad_response("the stream ended before the model finished", retryable=True)
        generation = await self._generation(prompt, reply, seconds, choices)
        if rest:
            yield rest
        yield generation

    def request(self, prompt: Prompt) -> Mapping[str, Any]:
        """Return the body that is sent, with `base_url`, without user and password."""
        return {"base_url": self._connection.public_url, **self._body(prompt)}

    def why_not_held(self, schema: Mapping[str, Any]) -> None:
        """Return None: only the server can tell, and where it refuses or breaks one, the generation has a warning."""

    def ceiling_usd(self, prompt: Prompt) -> float | None:
        """Return the most that one attempt of `generate` can cost: one token per byte, all output tokens.

        An attempt that times out or breaks off may still be billed; `Budget` accounts for that. None when a price is
        unknown or `max_output_tokens` is not set. That includes servers on this machine, which may be a gateway to a
        paid service: set prices of 0 if it is free. The first call imports the price table (about 0.8 s).
        """
        most = self._most_tokens(prompt)
        if self._prices is None or most is None:
            return None
        if self._connection.refused.get("max_tokens", "") is None:  # the server takes no limit
            return None
        body = self._body(prompt)
        input_tokens = (
            sum(len(_utf8(message["content"])) + MESSAGE_TOKENS for message in body["messages"]) + REQUEST_TOKENS
        )
        if response_format := body.get("response_format"):
            input_tokens += len(_utf8(json.dumps(response_format, ensure_ascii=False)))
        tokens = {"input_tokens": input_tokens, "output_tokens": most}
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
        asked = prompt.sampling
        temperature = self._temperature if asked.temperature is None else asked.temperature
        if temperature is not None:
            body["temperature"] = temperature
        if (most := self._most_tokens(prompt)) is not None:
            body["max_tokens"] = most
        if asked.stop:
            body["stop"] = list(asked.stop)
        if prompt.schema is not None:
            schema, is_strict = _sent_schema(prompt.schema)
            json_schema = {"name": "output", "schema": schema, "strict": is_strict}
            body["response_format"] = {"type": "json_schema", "json_schema": json_schema}
        if prompt.confidence:
            body["logprobs"] = True
        return body

    def _most_tokens(self, prompt: Prompt) -> int | None:
        """Return the lower of the limits of the project file and of the caller."""
        limits = (self._max_output_tokens, prompt.sampling.max_output_tokens)
        return min((limit for limit in limits if limit is not None), default=None)

    @staticmethod
    def _choices(prompt: Prompt) -> CallerChoices:
        """Return the parameters that the caller chose."""
        asked = prompt.sampling
        given = {"temperature": asked.temperature, "max_tokens": asked.max_output_tokens}
        return CallerChoices(frozenset(name for name, value in given.items() if value is not None))

    async def _generation(self, prompt: Prompt, reply: ChatReply, seconds: float, choices: CallerChoices) -> Generation:
        """Turn a reply into a generation. Raises ProviderError if it is no whole answer."""
        if self._ends_in_thought(reply):
            reply = replace(reply, text="", reasoning=reply.text, unfinished=True)
        tokens = read_usage(reply.usage, sent=_sent(prompt), text=reply.text, thinking=reply.reasoning)
        usage = Usage(
            input_tokens=tokens.input,
            cached_tokens=tokens.cached,
            output_tokens=tokens.output,
            seconds=seconds,
            usd=await self._usd(tokens),
            reasoning_tokens=tokens.reasoning,
        )
        self._warn_if_free()
        self._warn_if_other_model(reply)
        self._is_unmarked = self._is_unmarked or reply.unmarked
        cut = self._limit(tokens, self._most_tokens(prompt)) if _ended(reply, "cut") else None
        if cut and (end := end_before_loop(reply.text or reply.reasoning, shortest=LOOP_CHARACTERS)):
            reply, cut = replace(reply, text=reply.text[:end]), REPETITION
        if problem := self._problem(reply):
            problem.usage, problem.cut = usage, cut
            mark_output_received(usage.usd)
            raise problem
        return Generation(
            text=reply.text,
            usage=usage,
            confidence=text_confidence(reply.tokens, reply.text) if prompt.confidence else None,
            reasoning=reply.reasoning,
            cut=cut,
            warnings=(
                *self._warnings(tokens, reply),
                *self._schema_warnings(prompt, reply, cut),
                *(f"the server did not take this {name}" for name in sorted(choices.omitted)),
            ),
        )

    def _schema_warnings(self, prompt: Prompt, reply: ChatReply, cut: str | None) -> tuple[str, ...]:
        """Say whether the server held the reply to the schema of the prompt; a reply that was cut tells nothing."""
        if prompt.schema is None:
            return ()
        if "response_format" in self._connection.refused:
            return (UNHELD,)
        schema, _ = _sent_schema(prompt.schema)
        return () if cut or satisfies(reply.text, schema) is not False else (IGNORED,)

    def _ends_in_thought(self, reply: ChatReply) -> bool:
        """Whether a reply without any mark was cut within a thought."""
        if reply.reasoning or not _ended(reply, "cut"):
            return False
        return self._is_unmarked or (self._may_be_unmarked and begins_as_thought(reply.text))

    def _problem(self, reply: ChatReply) -> ProviderError | None:
        """Return why the reply is no answer, in the server's words; None if it is one."""
        finish, hint = reply.finish or "", "try again, or use another model"
        is_empty, cut, refused = not reply.text.strip(), _ended(reply, "cut"), _ended(reply, "refused")
        if refused or (is_empty and reply.refusal):
            what = f"the model refused: {reply.refusal or ('content filter' if finish == 'content_filter' else finish)}"
            return self._connection.bad_response(what, hint="rephrase the question, or use another model")
        if is_empty and cut:
            thinking = "all output tokens were used for thinking: " if reply.reasoning or reply.unfinished else ""
            what = f"the reply is empty: {thinking}the output token limit was reached before any text"
            hint = f"raise {CUT}; a reasoning model uses output tokens for thinking first"
            return self._connection.bad_response(what, hint=hint)
        if is_empty and (reply.tool or _ended(reply, "tool")):
            what = f"the text is empty: the model called a tool, {reply.tool or 'without a name'}"
            return self._connection.bad_response(
                what, hint="no tools were offered: use another model, or its chat variant"
            )
        if is_empty and (reply.reasoning or reply.unfinished):
            what = f"the text is empty: the reply holds only thinking: {one_line(reply.reasoning, most=120)!r}"
            return self._connection.bad_response(what, hint="check the reasoning parser of the server, or try again")
        if is_empty:
            server = server_at(self._connection.base_url)
            longer = (
                f"; if the prompt may not fit the context window: {server.context}" if server and server.context else ""
            )
            return self._connection.bad_response("the text is empty", hint=hint + longer)
        if not any(_ended(reply, kind) for kind in ("whole", "cut", "tool")):
            what = f"it ended for an unknown reason, {finish!r}, after: {one_line(reply.text, most=120)!r}"
            return self._connection.bad_response(what, hint=hint)
        return None

    def _limit(self, tokens: TokenUsage, most: int | None) -> str:
        """Return the name of the limit that cut a reply: the context window if that is full. most: output tokens."""
        if self.window is None or tokens.input is None or tokens.output is None:
            return CUT
        all_written = most is not None and tokens.output >= most
        return "window" if not all_written and tokens.input + tokens.output >= self.window else CUT

    def _warnings(self, tokens: TokenUsage, reply: ChatReply) -> tuple[str, ...]:
        if tokens.read_least is None:
            return ()
        server = self._server(reply)
        known = server.context if server else ""
        others = "; ".join(f"{each.name}: {each.context}" for each in dialects().servers if each.context)
        return (
            f"the server counted {tokens.input:,} prompt tokens, but at least {tokens.read_least:,} were sent: "
            f"it cut the prompt without a word ({known or others})",
        )

    def _server(self, reply: ChatReply) -> Server | None:
        """Return the kind of server, by its reply or its address; None when neither tells."""
        known = (each for each in dialects().servers if each.fingerprint)
        told = next((each for each in known if re.fullmatch(each.fingerprint, reply.fingerprint)), None)
        return told or server_at(self._connection.base_url)

    def _warn_if_other_model(self, reply: ChatReply) -> None:
        """Log once that a server with one model answered to another name."""
        server = self._server(reply)
        if server and server.any_name and reply.model and self.name.casefold() not in reply.model.casefold():
            self._warn("model", f"{server.name} answers to any name: the model behind it is {reply.model}")

    def _warn_if_free(self) -> None:
        if "response_format" in self._connection.refused:
            self._warn("format", "it does not support response_format; the schema is now in the prompt only")
        if self._connection.refused.get("max_tokens", "") is None:
            self._warn("limit", f"it takes no limit on output tokens; {CUT} is not enforced")

    def _warn(self, kind: str, message: str) -> None:
        """Log one warning of each kind."""
        if kind not in self._warned:
            self._warned.add(kind)
            log.warning("%s: %s", self.name, message)

    async def _usd(self, tokens: TokenUsage) -> float | None:
        """Return the price; None when a count is unknown or cannot be true, unless the model is free."""
        if self._prices is None:
            return None
        counts: Mapping[str, int] = {"input_tokens": 1, "output_tokens": 1}
        is_known = tokens.input is not None and tokens.output is not None and tokens.read_least is None
        if tokens.input is not None and tokens.output is not None and is_known:
            counts = {
                "input_tokens": tokens.input,
                "output_tokens": tokens.output,
                "cached_tokens": tokens.cached or 0,
            }
        # In a thread: the first call imports the price table (about 0.8 s).
        usd = await asyncio.to_thread(self._prices.usd, self.name, counts)
        return usd if is_known or usd == 0 else None


def _ended(reply: ChatReply, kind: str) -> bool:
    """Whether the reply ended for a reason of this kind."""
    return (reply.finish or "").lower().replace("-", "_") in dialects().finish_reasons[kind]


def _sent_schema(schema: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return a schema as it is sent, in strict form if it has one, and whether it has."""
    strict = strict_schema(schema)
    return (dict(schema), False) if strict is None else (strict, True)


def _sent(prompt: Prompt) -> str:
    """Return the texts of the prompt."""
    return "\n\n".join(message.content for message in prompt.messages) or prompt.question


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
