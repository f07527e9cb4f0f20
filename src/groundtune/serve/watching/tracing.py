"""Describe each answer as OpenTelemetry spans, by the conventions for generative AI. Sends text only where allowed.

A span for the answer (`invoke_workflow`) has one for each of its steps below it: `retrieval`, `chat` for the model, and
the citation check. They are made when the answer has ended, from the seconds that it noted itself, so that answering
never waits for them. Without a collector nothing is made: the API of OpenTelemetry then does nothing.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opentelemetry import context, propagate, trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from groundtune.config import Config
from groundtune.config.model_tables import ModelConfig
from groundtune.config.telemetry_table import COLLECTORS
from groundtune.errors import UsageError, need
from groundtune.models.openai_client import is_local
from groundtune.serve.observing import Ended
from groundtune.serve.watching.request_id import request_id
from groundtune.types import Answer, Message

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

NANOSECONDS = 1_000_000_000
OWN = "groundtune"
"""Provider of what this process computes itself."""


class Tracing:
    """Makes the spans of answers. config: says where they go; read once."""

    def __init__(self, config: Config) -> None:
        self._provider = _provider(config)
        self._tracer: Tracer = trace.get_tracer(OWN, tracer_provider=self._provider)

    def close(self) -> None:
        """Send what was not sent yet."""
        if self._provider:
            self._provider.shutdown()

    def ended(self, ended: Ended, config: Config) -> None:
        """Make the spans of a request that has ended just now. Never raises. config: the present one."""
        if ended.operation != "chat":
            return
        end = time.time_ns()
        name = ended.answer.approach if ended.answer else ended.model or config.name
        root = self._tracer.start_span(f"invoke_workflow {name}", start_time=end - _ns(ended.seconds))
        if root.is_recording():
            root.set_attributes(_known(_of_request(ended, name)))
            if ended.error:
                root.set_status(StatusCode.ERROR)
            if ended.answer:
                self._steps(root, ended.answer, end, config)
        root.end(end)

    def _steps(self, root: Span, answer: Answer, end: int, config: Config) -> None:
        """Make a span for each step, one after the other up to the end of the answer."""
        inside = trace.set_span_in_context(root)
        start = end - _ns(sum(answer.steps.values()))
        for step, seconds in answer.steps.items():
            name, kind, attributes = _step(step, answer, config)
            span = self._tracer.start_span(name, inside, kind, _known(attributes), start_time=start)
            start += _ns(seconds)
            span.end(start)


class TraceContext:
    """An ASGI application around another one: takes the trace that a client belongs to from its headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            context.attach(propagate.extract(Headers(scope=scope)))  # each request has a context of its own
        await self._app(scope, receive, send)


def _provider(config: Config) -> "TracerProvider | None":
    """Return what sends spans to the collector; None without one. Raises UsageError where text may not be sent there.

    None leaves it to the process around: one that sets a provider itself gets the spans.
    """
    endpoint = config.telemetry.endpoint
    if endpoint is None and not any(os.environ.get(name) for name in COLLECTORS):
        return None
    _check_residency(config, endpoint or next(os.environ[name] for name in COLLECTORS if os.environ.get(name)))
    sdk = need("opentelemetry.sdk.trace", extra="telemetry")
    export = need("opentelemetry.sdk.trace.export", extra="telemetry")
    otlp = need("opentelemetry.exporter.otlp.proto.http.trace_exporter", extra="telemetry")
    resources = need("opentelemetry.sdk.resources", extra="telemetry")
    exporter = otlp.OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None)
    provider: TracerProvider = sdk.TracerProvider(
        resource=resources.Resource.create({"service.name": OWN, "service.namespace": config.name}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(export.BatchSpanProcessor(exporter))
    return provider


def _check_residency(config: Config, endpoint: str) -> None:
    allowed, host = config.requirements.residency, urlsplit(endpoint).hostname or ""
    if not config.telemetry.text or allowed is None or is_local(endpoint) or (allowed != "local" and host in allowed):
        return
    raise UsageError(
        f"requirements.residency does not allow sending text to {host}", hint="write [telemetry] text = false"
    )


def _step(step: str, answer: Answer, config: Config) -> tuple[str, SpanKind, Mapping[str, Any]]:
    """Return name, kind and attributes of the span of a step."""
    if step == "retrieve":
        return "retrieval", SpanKind.INTERNAL, _retrieval(answer, config)
    if step == "generate" and answer.trace.model:
        remote = _remote(config, answer.trace.model)
        kind = SpanKind.CLIENT if remote else SpanKind.INTERNAL
        return f"chat {answer.trace.model}", kind, _chat(answer, config, remote)
    return f"{OWN}.{step}", SpanKind.INTERNAL, {}


def _of_request(ended: Ended, name: str) -> dict[str, Any]:
    answer = ended.answer
    found: dict[str, Any] = {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": name,
        "error.type": ended.error,
        f"{OWN}.request.id": request_id(),
        f"{OWN}.first_text.seconds": ended.first_text_seconds,
    }
    if answer is None:
        return found
    return found | {
        f"{OWN}.answer.id": answer.id,
        f"{OWN}.answer.status": answer.status,
        f"{OWN}.route": answer.route,
        f"{OWN}.degradation": answer.degradation,
        f"{OWN}.confidence": answer.confidence,
        f"{OWN}.cost.usd": answer.usage.usd if answer.paid else 0.0,
        f"{OWN}.citations.support": tuple(citation.support for citation in answer.citations),
    }


def _retrieval(answer: Answer, config: Config) -> dict[str, Any]:
    documents = [{"id": hit.passage.id, "score": hit.score} for hit in answer.hits]
    return {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.data_source.id": config.name,
        "gen_ai.retrieval.documents": json.dumps(documents) if documents else None,
        "gen_ai.retrieval.query.text": answer.trace.query if config.telemetry.text else None,
    }


def _chat(answer: Answer, config: Config, remote: ModelConfig | None) -> dict[str, Any]:
    usage, prompt = answer.usage, answer.trace.prompt
    found: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai" if remote else OWN,
        "gen_ai.request.model": answer.trace.model,
        "gen_ai.usage.input_tokens": usage.input_tokens,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
        "gen_ai.response.finish_reasons": ("length" if answer.cut else "stop",),
        "server.address": urlsplit(remote.base_url or "").hostname if remote else None,
    }
    if prompt:
        sampling = prompt.sampling
        found |= {
            "gen_ai.request.temperature": sampling.temperature,
            "gen_ai.request.max_tokens": sampling.max_output_tokens,
            "gen_ai.request.stop_sequences": sampling.stop or None,
        }
    if config.telemetry.text and prompt:
        sent = prompt.messages or (Message("user", prompt.question),)
        written = Message("assistant", answer.trace.reply or answer.text)
        found["gen_ai.input.messages"] = json.dumps(_messages(sent))
        found["gen_ai.output.messages"] = json.dumps(
            [message | {"finish_reason": "length" if answer.cut else "stop"} for message in _messages([written])]
        )
    return found


def _messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [{"role": each.role, "parts": [{"type": "text", "content": each.content}]} for each in messages]


def _remote(config: Config, model: str) -> ModelConfig | None:
    """Return the table of the endpoint that serves a model; None for one that runs in this process."""
    tables = [table for table in config.models.values() if table.kind == "openai"]
    return next((table for table in tables if table.model == model), None)


def _known(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}


def _ns(seconds: float) -> int:
    return round(seconds * NANOSECONDS)
