"""Count and time what the server does, for Prometheus at `GET /metrics`. Holds no text of questions or documents.

Names are those of OpenTelemetry's conventions for generative models and HTTP where they have one, with underscores and
units as Prometheus spells them. Labels have few values: nothing that callers make up becomes one.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import psutil
from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client import disable_created_metrics as leave_out_start_times
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from groundtune.serve.doors.callers import From
from groundtune.serve.errors import ErrorReply, RequestRefusedError
from groundtune.serve.observing import Ended
from groundtune.types import Answer

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of prometheus-client: the folder in which several processes count together."""
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Buckets that OpenTelemetry advises for the duration of an operation."""
FIRST_TEXT_SECONDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
TOKENS = tuple(4.0**power for power in range(14))
MODEL = ("gen_ai_operation_name", "gen_ai_request_model", "gen_ai_response_model")
OTHER = "other"
"""Endpoint of requests that none was declared for."""

router = APIRouter(tags=["health"])


class Metrics:
    """What is counted in one process, or together with other workers of the same server."""

    def __init__(self) -> None:
        leave_out_start_times()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        if folder := os.environ.get(FOLDER):
            _forget_dead_processes(Path(folder))
        self._requests = Counter(
            "groundtune_requests", "Requests by endpoint.", ("endpoint", "model", "status"), registry=registry
        )
        self._seconds = Histogram(
            "gen_ai_server_request_duration_seconds",
            "Time until the end of an answer, waiting included.",
            (*MODEL, "error_type"),
            buckets=SECONDS,
            registry=registry,
        )
        self._first_text = Histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "Time until the first checked text of a stream.",
            MODEL,
            buckets=FIRST_TEXT_SECONDS,
            registry=registry,
        )
        self._tokens = Histogram(
            "gen_ai_client_token_usage",
            "Tokens of an answer, where the model's server counts them.",
            (*MODEL, "gen_ai_token_type"),
            buckets=TOKENS,
            registry=registry,
        )
        self._usd = Counter("groundtune_cost_usd", "Known cost in US dollars.", MODEL, registry=registry)
        self._unpriced = Counter("groundtune_cost_unknown", "Answers of unknown cost.", MODEL, registry=registry)
        self._answers = Counter(
            "groundtune_answers", "Answers by status.", ("model", "approach", "status"), registry=registry
        )
        self._degradations = Counter(
            "groundtune_degradations",
            "Answers that another approach gave than the one asked.",
            ("model", "approach"),
            registry=registry,
        )
        self._shadows = Counter(
            "groundtune_shadow_answers",
            "Questions that a second approach was to answer unseen.",
            ("approach", "outcome"),
            registry=registry,
        )
        self._citations = Counter(
            "groundtune_citations", "Checked sentences by support.", ("model", "approach", "support"), registry=registry
        )
        self._running = Gauge(
            "groundtune_requests_running", "Requests at work.", registry=registry, multiprocess_mode="livesum"
        )
        self._waiting = Gauge(
            "groundtune_requests_waiting", "Requests in the queue.", registry=registry, multiprocess_mode="livesum"
        )
        self._circuits = Gauge(
            "groundtune_circuit_open",
            "1 while a model is left alone because it keeps failing.",
            ("model",),
            registry=registry,
            multiprocess_mode="livemax",
        )

    def text(self) -> bytes:
        """Return all values, of every worker, in the format of Prometheus."""
        registry = self._registry
        if FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def request(self, endpoint: str, model: str, status: int) -> None:
        """Count a request. endpoint: as it was declared, such as `/passages/{passage_id}`."""
        self._requests.labels(endpoint, model, str(status)).inc()

    def load(self, running: int, waiting: int) -> None:
        """Note how many requests are at work and in the queue."""
        self._running.set(running)
        self._waiting.set(waiting)

    def shadow(self, approach: str, outcome: str) -> None:
        """Count a question for a second approach by what became of it, such as `answered` or `dropped`."""
        self._shadows.labels(model_label(approach), outcome).inc()

    def circuits(self, open_: Mapping[str, bool]) -> None:
        """Note which endpoints are left alone. Shows their models, not their addresses."""
        models: dict[str, bool] = {}
        for endpoint, is_open in open_.items():
            model = endpoint.rpartition(" ")[2]
            models[model] = is_open or models.get(model, False)
        for model, is_open in models.items():
            self._circuits.labels(model).set(is_open)

    def ended(self, ended: Ended, *, choice: str) -> None:
        """Count an answer, or a failure. choice: the model id of the project's choice."""
        model = model_label(ended.model or choice)
        answer = ended.answer
        by = answer.approach if answer and ended.operation == "chat" else ""
        labels = (ended.operation, model, by)
        self._seconds.labels(*labels, ended.error or "").observe(ended.seconds)
        if ended.first_text_seconds is not None:
            self._first_text.labels(*labels).observe(ended.first_text_seconds)
        if answer is None:
            return
        self._used(labels, answer)
        if ended.operation == "task":
            return
        self._answers.labels(model, by, answer.status).inc()
        if answer.degradation:
            self._degradations.labels(model, by).inc()
        for citation in answer.citations:
            self._citations.labels(model, by, citation.support).inc()

    def _used(self, labels: tuple[str, ...], answer: Answer) -> None:
        usage = answer.usage
        for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            if tokens is not None:
                self._tokens.labels(*labels, kind).observe(tokens)
        usd = usage.usd if answer.paid else 0.0
        if usd is None:
            self._unpriced.labels(*labels).inc()
        else:
            self._usd.labels(*labels).inc(usd)


def model_label(model: str) -> str:
    """Return the label of a model id that exists: without the id of a trained model, which callers can make up."""
    return model.partition("@")[0]


class CountedRequests:
    """An ASGI application around another one, whose requests it counts: by `request.state.model`, where that is set."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            if scope["type"] == "http":
                endpoint = getattr(scope.get("route"), "path", OTHER)
                self._metrics.request(endpoint, scope.get("state", {}).get("model", ""), status)


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(request: Request, caller: From) -> Response:
    """Return what is measured, for a caller with a key, or on a machine that nobody else reaches."""
    if caller.key is None and not request.app.state.doors.lets_everybody_in:
        raise RequestRefusedError(ErrorReply(403, "metrics are for callers with a key", "permission_error", "no_key"))
    return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _forget_dead_processes(folder: Path) -> None:
    """Drop what workers that were killed had at work: nobody else takes it back."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = int(file.stem.rpartition("_")[2])
        if not psutil.pid_exists(pid):
            mark_process_dead(pid)  # type: ignore[no-untyped-call]
