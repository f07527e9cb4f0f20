"""Serve a fine-tuning API for tests on a `ScriptedServer`: files, jobs, events, checkpoints. Never trains anything.

    tuning = ScriptedTuning([JobScript(), JobScript(error="the data violates the policy")])
    with ScriptedServer(tuning.reply, extra=tuning.answer) as server:
        ...  # upload files and create jobs at server.base_url: the first job succeeds, all later ones fail

A job advances by one status each time it is retrieved, so no clock is involved. A tuned model is called under its name
and repeats the answers of its training file.
"""

import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qs, urlsplit

from groundtune.testing.scripted_models import ModelScript, count_tokens
from groundtune.testing.scripted_server import CREATED, Received, Reply

MIN_EXAMPLES = 10
"""Minimum rows of a training file."""
ENDED = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class JobScript:
    """Script of one job."""

    statuses: Sequence[str] = ("validating_files", "queued", "running", "running", "running", "succeeded")
    """Statuses in order; the last one stays, so a script that ends with `running` never finishes."""
    error: str | None = None
    """Reason for which the files are rejected: the job fails after `validating_files`."""
    losses: Sequence[float] = (2.0, 1.0, 0.5)
    """Training losses; one is reported each time the running job is retrieved."""


@dataclass(slots=True, eq=False)
class FailingRequest:
    """A request that fails the first `times` times."""

    request: str
    """Regular expression for the full method and path, such as `POST /v1/fine_tuning/jobs`."""
    reply: Reply
    """Reply to send, such as status 429; `broken_stream_after=0` cuts the connection, `stall=True` sends no reply."""
    times: int = 1
    takes_effect: bool = False
    """Whether the request still takes effect, without the client learning of it."""


@dataclass(slots=True, eq=False)
class MemorizedModel:
    """A model that repeats the answers of its training file and does not know any others."""

    name: str
    rows: Sequence[Mapping[str, Any]]

    def reply(self, body: dict[str, Any]) -> Reply:
        for row in self.rows:
            messages, answer = _chat(row)
            if messages[-1:] == body["messages"][-1:]:
                return Reply(answer)
        return Reply("I do not know.")


@dataclass(slots=True, eq=False)
class ScriptedTuning:
    """A fine-tuning API whose jobs follow `job_scripts` in order; the last one repeats. Thread-safe."""

    job_scripts: Sequence[JobScript] = (JobScript(),)
    failing_requests: Sequence[FailingRequest] = ()
    """Requests that fail; the first match applies."""
    base_models: Sequence[str] | None = None
    """Models that can be tuned; None allows any."""
    file_statuses: Sequence[str] = ("processed",)
    """Statuses of each file in order, one each time that it is retrieved; a job takes only processed files."""
    metadata: bool = True
    """Whether jobs keep their metadata, and lists of jobs can be filtered by it."""
    make_model: Callable[[str, Sequence[Mapping[str, Any]]], ModelScript] = MemorizedModel
    """Function that makes the tuned model from its name and training rows."""
    fallback: Callable[[dict[str, Any]], Reply] = lambda _: Reply("no such model", status=404, code="model_not_found")
    """Script for all models that were not tuned here."""
    files: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Rows of each uploaded file, by id."""
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Jobs in the API's format, by id."""
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Events of each job, oldest first."""
    _file_looks: dict[str, int] = field(init=False, default_factory=dict)
    """How often each file was retrieved."""
    _models: dict[str, ModelScript] = field(init=False, default_factory=dict)
    _ahead: dict[str, list[str]] = field(init=False, default_factory=dict)
    """Remaining statuses of each job, the current one first."""
    _losses: dict[str, list[float]] = field(init=False, default_factory=dict)
    _lock: threading.RLock = field(init=False, default_factory=threading.RLock)

    def reply(self, body: dict[str, Any]) -> Reply:
        """Answer a chat completion with a tuned model, or with `fallback`. Use it as the `reply` of the server."""
        model = self._models.get(str(body.get("model")))
        return model.reply(body) if model else self.fallback(body)

    def answer(self, request: Received) -> Reply | None:
        """Answer a request for files or fine-tuning; None for all others. Use it as the `extra` of the server."""
        url = urlsplit(request.path)
        if not url.path.startswith(("/v1/files", "/v1/fine_tuning")):
            return None
        line = f"{request.method} {url.path}"
        with self._lock:
            failing_request = next(
                (
                    candidate
                    for candidate in self.failing_requests
                    if candidate.times and re.fullmatch(candidate.request, line)
                ),
                None,
            )
            if failing_request is None:
                return self._do(line, parse_qs(url.query), request)
            failing_request.times -= 1
            if failing_request.takes_effect:
                self._do(line, parse_qs(url.query), request)
            return failing_request.reply

    def _do(self, line: str, query: Mapping[str, list[str]], request: Received) -> Reply:
        method, _, path = line.partition(" ")
        match method, path.split("/")[2:]:
            case "POST", ["files"]:
                return self._upload(request)
            case "GET", ["files", file_id] if file_id in self.files:
                self._file_looks[file_id] += 1
                return _json(self._file(file_id))
            case "POST", ["fine_tuning", "jobs"]:
                return self._create(request.body)
            case "GET", ["fine_tuning", "jobs"]:
                metadata = {key[9:-1]: values[0] for key, values in query.items() if key.startswith("metadata[")}
                matches = [job for job in self.jobs.values() if metadata.items() <= job["metadata"].items()]
                return _page((matches if self.metadata else list(self.jobs.values()))[::-1], query)
            case "GET", ["fine_tuning", "jobs", job_id] if job_id in self.jobs:
                return _json(self._look(job_id))
            case "GET", ["fine_tuning", "jobs", job_id, "events"] if job_id in self.jobs:
                return _page(self.events[job_id][::-1], query)
            case "GET", ["fine_tuning", "jobs", job_id, "checkpoints"] if job_id in self.jobs:
                return _page(self._checkpoints(job_id), query)
            case "POST", ["fine_tuning", "jobs", job_id, action] if job_id in self.jobs:
                return self._steer(job_id, action)
        return Reply(f"no such path: {path}", status=404)

    def _upload(self, request: Received) -> Reply:
        name, content = _file_in(request)
        file_id = f"file-{len(self.files) + 1}"
        self.files[file_id] = [json.loads(row) for row in content.decode().splitlines() if row]
        self._file_looks[file_id] = 0
        return _json({**self._file(file_id), "bytes": len(content), "filename": name})

    def _file(self, file_id: str) -> dict[str, Any]:
        status = self.file_statuses[min(self._file_looks[file_id], len(self.file_statuses) - 1)]
        about = {"object": "file", "created_at": CREATED, "purpose": "fine-tune", "status": status}
        return {"id": file_id, **about, "status_details": "line 1 is no JSON" if status == "error" else None}

    def _create(self, body: dict[str, Any]) -> Reply:
        model, file, method = body["model"], body["training_file"], body["method"]
        if file not in self.files:
            return Reply(f"no such File object: {file}", status=400, code="invalid_file")
        if self._file(file)["status"] not in ("processed", "uploaded"):
            return Reply("the file must point to a completed import", status=400, code="invalidPayload")
        if self.base_models is not None and model not in self.base_models:
            return Reply(f"Model {model} is not available for fine-tuning.", status=400, code="model_not_available")
        job_id = f"ftjob-{len(self.jobs) + 1}"
        script = self.job_scripts[min(len(self.jobs), len(self.job_scripts) - 1)]
        error = script.error or _wrong(self.files[file], method["type"])
        self._ahead[job_id] = ["validating_files", "failed"] if error else list(script.statuses)
        self._losses[job_id] = list(script.losses)
        self.events[job_id] = []
        self.jobs[job_id] = {
            **{key: body.get(key) for key in ("model", "training_file", "validation_file", "method", "seed", "suffix")},
            "id": job_id,
            "object": "fine_tuning.job",
            "created_at": CREATED,
            "metadata": (body.get("metadata") or {}) if self.metadata else {},
            "status": self._ahead[job_id][0],
            "error": {"code": None, "message": error, "param": None},
            "fine_tuned_model": None,
            "hyperparameters": method[method["type"]]["hyperparameters"],
            "organization_id": "org-scripted",
            "result_files": [],
            "trained_tokens": None,
        }
        self._tell(job_id, f"Created fine-tuning job: {job_id}")
        return _json(self.jobs[job_id])

    def _look(self, job_id: str) -> dict[str, Any]:
        """Return the job after advancing it by one status."""
        job, ahead = self.jobs[job_id], self._ahead[job_id]
        if job["status"] == "pausing":
            job["status"] = "paused"
        if job["status"] in ("paused", *ENDED):
            return job
        if len(ahead) > 1:
            ahead.pop(0)
        if job["status"] != ahead[0]:
            job["status"] = ahead[0]
            self._tell(job_id, f"The job is {ahead[0]}")
        if job["status"] == "running" and self._losses[job_id]:
            self._learn(job_id, self._losses[job_id].pop(0))
        if job["status"] == "failed":
            job["error"] |= {"code": "invalid_training_file", "param": "training_file"}
        if job["status"] == "succeeded":
            self._finish(job_id)
        return job

    def _learn(self, job_id: str, loss: float) -> None:
        step = 1 + sum(event["type"] == "metrics" for event in self.events[job_id])
        metrics = {"train_loss": loss, "train_mean_token_accuracy": 1 / (1 + loss), "valid_loss": loss + 0.1}
        steps = step + len(self._losses[job_id])
        self._tell(job_id, f"Step {step}/{steps}: training loss={loss}", step=step, total_steps=steps, **metrics)

    def _finish(self, job_id: str) -> None:
        job = self.jobs[job_id]
        rows = self.files[job["training_file"]]
        name = f"ft:{job['model']}:scripted:{job['suffix'] or ''}:{job_id}"
        tokens = sum(count_tokens(answer) + count_tokens(json.dumps(messages)) for messages, answer in map(_chat, rows))
        job |= {"fine_tuned_model": name, "trained_tokens": tokens * int(job["hyperparameters"].get("n_epochs", 3))}
        self._models[name] = self.make_model(name, rows)

    def _checkpoints(self, job_id: str) -> list[dict[str, Any]]:
        name = self.jobs[job_id]["fine_tuned_model"]
        return [
            {
                "id": f"ftckpt-{event['data']['step']}",
                "object": "fine_tuning.job.checkpoint",
                "created_at": CREATED,
                "fine_tuning_job_id": job_id,
                "fine_tuned_model_checkpoint": f"{name}:ckpt-step-{event['data']['step']}",
                "step_number": event["data"]["step"],
                "metrics": {key: value for key, value in event["data"].items() if key != "total_steps"},
            }
            for event in reversed(self.events[job_id])
            if name and event["type"] == "metrics"
        ]

    def _steer(self, job_id: str, action: str) -> Reply:
        job = self.jobs[job_id]
        statuses = {"cancel": "cancelled", "pause": "pausing", "resume": self._ahead[job_id][0]}
        if action not in statuses or job["status"] in ENDED:
            return Reply(f"Job {job_id} is {job['status']} and cannot {action}.", status=400, code="invalid_status")
        job["status"] = statuses[action]
        self._tell(job_id, f"The job is {job['status']}")
        return _json(job)

    def _tell(self, job_id: str, message: str, **data: float) -> None:
        events = self.events[job_id]
        event = {"id": f"ftevent-{job_id}-{len(events)}", "object": "fine_tuning.job.event", "created_at": CREATED}
        kind = "metrics" if data else "message"
        events.append({**event, "level": "info", "message": message, "type": kind, "data": data})


def _json(value: Mapping[str, Any]) -> Reply:
    return Reply(raw_body=json.dumps(value))


def _page(rows: Sequence[Mapping[str, Any]], query: Mapping[str, list[str]]) -> Reply:
    """Return up to `limit` rows that follow the row with id `after`."""
    after, limit = query.get("after", [None])[0], int(query.get("limit", ["20"])[0])
    start = next((place + 1 for place, row in enumerate(rows) if row["id"] == after), 0)
    end = start + limit
    return _json({"object": "list", "data": rows[start:end], "has_more": end < len(rows)})


def _file_in(request: Received) -> tuple[str, bytes]:
    """Return name and content of the file in a multipart form."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    part = next(part for part in message_from_bytes(head + request.body).walk() if part.get_filename())
    return str(part.get_filename()), bytes(part.get_payload(decode=True))


def _chat(row: Mapping[str, Any]) -> tuple[list[dict[str, str]], str]:
    """Return the prompt messages and the answer of a training row, supervised or DPO."""
    if "messages" in row:
        return row["messages"][:-1], row["messages"][-1]["content"]
    return row["input"]["messages"], row["preferred_output"][0]["content"]


def _wrong(rows: Sequence[Mapping[str, Any]], method: str) -> str | None:
    """Return the error a provider would report for a training file, or None."""
    if len(rows) < MIN_EXAMPLES:
        return f"Training file has {len(rows)} example(s), but must have at least {MIN_EXAMPLES} examples"
    keys = {"input", "preferred_output", "non_preferred_output"} if method == "dpo" else {"messages"}
    bad = next((line for line, row in enumerate(rows, 1) if row.keys() != keys), None)
    return f"Line {bad} does not have the keys {', '.join(sorted(keys))}" if bad else None
