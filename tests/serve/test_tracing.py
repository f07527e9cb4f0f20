"""Spans of answers, as a collector gets them over OTLP, by the conventions for generative AI."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from openai import APIError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

from groundtune import Project, UsageError
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.serve.doors.callers import Caller
from groundtune.serve.observing import Ended
from groundtune.serve.watching.tracing import Tracing
from groundtune.testing.scripted_server import ScriptedServer
from tests.serve.conftest import ANSWER, QUESTION, Running, model_table, running, script, write_project

CONVENTIONS = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Collector:
    """A collector that keeps what it is sent."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        collector.spans += scope.spans
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


@contextmanager
def serving(folder: Path, embedder: BundledEmbedder, collector: Collector, toml: str = "") -> Iterator[Running]:
    """Serve a project whose spans go to the collector; they are all there after the block."""
    with ScriptedServer(script) as model:
        table = f'[telemetry]\nendpoint = "{collector.url}"\n{toml}'
        with running(write_project(folder / "project", model_table(model) + table), embedder, model) as server:
            yield server


def ask(server: Running, question: str = QUESTION, **options: Any) -> Any:
    messages: Any = [{"role": "user", "content": question}]
    return server.client().chat.completions.create(**{"model": "acme", "messages": messages, **options})


def attributes(span: Span) -> Mapping[str, Any]:
    def value(found: Any) -> Any:
        kind = found.WhichOneof("value")
        return [value(each) for each in found.array_value.values] if kind == "array_value" else getattr(found, kind)

    return {pair.key: value(pair.value) for pair in span.attributes}


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_a_span_with_one_for_each_step(
    tmp_path: Path, embedder: BundledEmbedder, collector: Collector, stream: bool
) -> None:
    with serving(tmp_path, embedder, collector) as server:
        headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "X-Request-ID": "r-1"}
        reply = ask(server, stream=stream, extra_headers=headers)
        field = (list(reply)[-1] if stream else reply).groundtune
    spans = {span.name: span for span in collector.spans}
    assert set(spans) == {"invoke_workflow rag", "retrieval", "chat m", "groundtune.cite"}
    root, chat, retrieval = spans["invoke_workflow rag"], spans["chat m"], spans["retrieval"]
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    assert root.parent_span_id.hex() == "b7ad6b7169203331"
    assert {span.parent_span_id for span in (chat, retrieval)} == {root.span_id}
    assert (chat.kind, retrieval.kind) == (Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_INTERNAL)
    assert retrieval.end_time_unix_nano == chat.start_time_unix_nano
    assert root.start_time_unix_nano <= retrieval.start_time_unix_nano + 1_000_000
    assert abs(root.end_time_unix_nano - time.time_ns()) < 60e9
    of_root, of_chat, of_retrieval = attributes(root), attributes(chat), attributes(retrieval)
    assert of_root["groundtune.answer.id"] == field["id"]
    assert (of_root["groundtune.request.id"], of_root["groundtune.route"]) == ("r-1", ["rag"])
    assert of_root["groundtune.citations.support"] == ["exact", "exact", "uncited"]
    assert of_chat["gen_ai.provider.name"] == "openai"
    assert of_chat["gen_ai.usage.output_tokens"] == len(ANSWER.split())
    assert of_chat["server.address"] == "127.0.0.1"
    assert json.loads(of_retrieval["gen_ai.retrieval.documents"])[0].keys() == {"id", "score"}
    named = {name for found in (of_root, of_chat, of_retrieval) for name in found if name.startswith("gen_ai.")}
    assert named <= CONVENTIONS
    everything = json.dumps([attributes(span) for span in collector.spans], default=str)
    assert QUESTION not in everything
    assert "Carriage" not in everything


def test_text_is_sent_only_where_it_is_allowed(tmp_path: Path, embedder: BundledEmbedder, collector: Collector) -> None:
    with serving(tmp_path, embedder, collector, "text = true\n") as server:
        ask(server)
    chat = next(attributes(span) for span in collector.spans if span.name == "chat m")
    assert QUESTION in json.loads(chat["gen_ai.input.messages"])[-1]["parts"][0]["content"]
    (written,) = json.loads(chat["gen_ai.output.messages"])
    assert (written["role"], written["finish_reason"]) == ("assistant", "stop")
    assert written["parts"] == [{"type": "text", "content": ANSWER}]


def test_a_failure_is_a_span_with_its_kind(tmp_path: Path, embedder: BundledEmbedder, collector: Collector) -> None:
    with serving(tmp_path, embedder, collector) as server, pytest.raises(APIError):
        ask(server, "fail, please")
    (span,) = collector.spans
    assert attributes(span)["error.type"] == "bad_request"
    assert span.status.code == 2


def test_text_does_not_go_where_residency_forbids_it(tmp_path: Path) -> None:
    toml = '[telemetry]\nendpoint = "https://collector.example.com"\ntext = true\n[requirements]\nresidency = "local"\n'
    with (
        Project.open(write_project(tmp_path, toml)) as project,
        pytest.raises(UsageError, match=r"does not allow sending text to collector\.example\.com"),
    ):
        Tracing(project.config)


def test_without_a_collector_nothing_is_sent(quotes: Running, collector: Collector) -> None:
    tracing = Tracing(quotes.project.config)
    tracing.ended(Ended("chat", None, Caller("anna"), 0.1, error="timeout"), quotes.project.config)
    tracing.close()
    assert collector.spans == []
