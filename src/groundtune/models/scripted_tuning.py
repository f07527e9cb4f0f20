"""A fine-tuning API for tests on a `ScriptedServer`: files, jobs, events, checkpoints; never trains anything.

    tuning = ScriptedTuning([Course(), Course(error="the data breaks the rules")])
    with ScriptedServer(tuning.reply, extra=tuning.answer) as server: …

A job goes one status further each time it is asked for, so that no clock is involved. A tuned model answers under its
name with what its file says.
"""

import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qs, urlsplit

from groundtune.models.scripted import CREATED, Received, Reply
from groundtune.models.scripted_models import Playable, count_tokens

MIN_EXAMPLES = 10
ENDED = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Course:
    """What becomes of one job."""

    statuses: Sequence[str] = ("validating_files", "queued", "running", "running", "running", "succeeded")
    """The last one stays; a job that never ends stops at `running`."""
    error: str | None = None
    """Why the files are refused: the job fails after `validating_files`."""
    losses: Sequence[float] = (2.0, 1.0, 0.5)
    """One a look at a running job."""


@dataclass(slots=True, eq=False)
class Trouble:
    """A request that goes wrong, as often as `times`."""

    request: str
    """Regular expression over method and path, as `POST /v1/fine_tuning/jobs$`."""
    reply: Reply
    """Status 429; `broken_stream_after=0` cuts the connection; `stall` never answers."""
    times: int = 1
    done: bool = False
    """Whether it took effect, though the client is not told."""


@dataclass(slots=True, eq=False)
class Rote:
    """A model that says what its file says, and nothing to all else."""

    name: str
    rows: Sequence[Mapping[str, Any]]

    def reply(self, body: dict[str, Any]) -> Reply:
        for row in self.rows:
            asked, said = _chat(row)
            if asked[-1:] == body["messages"][-1:]:
                return Reply(said)
        return Reply("I do not know.")


@dataclass(slots=True, eq=False)
class ScriptedTuning:
    """Jobs that follow their `courses` in order (the last one repeats). Safe to use from many threads."""

    courses: Sequence[Course] = (Course(),)
    troubles: Sequence[Trouble] = ()
    bases: Sequence[str] | None = None
    """Models that can be tuned; None is any."""
    metadata: bool = True
    """Whether jobs keep what they are marked with."""
    tuned: Callable[[str, Sequence[Mapping[str, Any]]], Playable] = Rote
    """Name and rows to the model that comes out."""
    others: Callable[[dict[str, Any]], Reply] = lambda _: Reply("no such model", status=404, code="model_not_found")
    """Answers for all models that were not tuned here."""
    files: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Oldest first."""
    _models: dict[str, Playable] = field(init=False, default_factory=dict)
    _ahead: dict[str, list[str]] = field(init=False, default_factory=dict)
    """Statuses of each job, the present one first."""
    _losses: dict[str, list[float]] = field(init=False, default_factory=dict)
    _lock: threading.RLock = field(init=False, default_factory=threading.RLock)

    def reply(self, body: dict[str, Any]) -> Reply:
        """The script of the server: a tuned model, or one of the `others`."""
        model = self._models.get(str(body.get("model")))
        return model.reply(body) if model else self.others(body)

    def answer(self, request: Received) -> Reply | None:
        """`extra` of the server."""
        place = urlsplit(request.path)
        if not place.path.startswith(("/v1/files", "/v1/fine_tuning")):
            return None
        line = f"{request.method} {place.path}"
        with self._lock:
            trouble = next((one for one in self.troubles if one.times and re.fullmatch(one.request, line)), None)
            if trouble is None:
                return self._do(line, parse_qs(place.query), request)
            trouble.times -= 1
            if trouble.done:
                self._do(line, parse_qs(place.query), request)
            return trouble.reply

    def _do(self, line: str, query: Mapping[str, list[str]], request: Received) -> Reply:
        method, _, path = line.partition(" ")
        match method, path.split("/")[2:]:
            case "POST", ["files"]:
                return self._upload(request)
            case "POST", ["fine_tuning", "jobs"]:
                return self._create(request.body)
            case "GET", ["fine_tuning", "jobs"]:
                marks = {key[9:-1]: values[0] for key, values in query.items() if key.startswith("metadata[")}
                marked = [one for one in self.jobs.values() if marks.items() <= one["metadata"].items()]
                return _page((marked if self.metadata else list(self.jobs.values()))[::-1], query)
            case "GET", ["fine_tuning", "jobs", number] if number in self.jobs:
                return _json(self._look(number))
            case "GET", ["fine_tuning", "jobs", number, "events"] if number in self.jobs:
                return _page(self.events[number][::-1], query)
            case "GET", ["fine_tuning", "jobs", number, "checkpoints"] if number in self.jobs:
                return _page(self._checkpoints(number), query)
            case "POST", ["fine_tuning", "jobs", number, act] if number in self.jobs:
                return self._steer(number, act)
        return Reply(f"no such path: {path}", status=404)

    def _upload(self, request: Received) -> Reply:
        name, content = _file(request)
        number = f"file-{len(self.files) + 1}"
        self.files[number] = [json.loads(row) for row in content.decode().splitlines() if row]
        about = {"id": number, "object": "file", "bytes": len(content), "created_at": CREATED, "status": "processed"}
        return _json({**about, "filename": name, "purpose": "fine-tune"})

    def _create(self, body: dict[str, Any]) -> Reply:
        model, file, method = body["model"], body["training_file"], body["method"]
        if file not in self.files:
            return Reply(f"no such File object: {file}", status=400, code="invalid_file")
        if self.bases is not None and model not in self.bases:
            return Reply(f"Model {model} is not available for fine-tuning.", status=400, code="model_not_available")
        number = f"ftjob-{len(self.jobs) + 1}"
        course = self.courses[min(len(self.jobs), len(self.courses) - 1)]
        error = course.error or _wrong(self.files[file], method["type"])
        self._ahead[number] = ["validating_files", "failed"] if error else list(course.statuses)
        self._losses[number] = list(course.losses)
        self.events[number] = []
        self.jobs[number] = {
            **{key: body.get(key) for key in ("model", "training_file", "validation_file", "method", "seed", "suffix")},
            "id": number,
            "object": "fine_tuning.job",
            "created_at": CREATED,
            "metadata": (body.get("metadata") or {}) if self.metadata else {},
            "status": self._ahead[number][0],
            "error": {"code": None, "message": error, "param": None},
            "fine_tuned_model": None,
            "hyperparameters": method[method["type"]]["hyperparameters"],
            "organization_id": "org-scripted",
            "result_files": [],
            "trained_tokens": None,
        }
        self._tell(number, f"Created fine-tuning job: {number}")
        return _json(self.jobs[number])

    def _look(self, number: str) -> dict[str, Any]:
        """The job, one status further."""
        job, ahead = self.jobs[number], self._ahead[number]
        if job["status"] == "pausing":
            job["status"] = "paused"
        if job["status"] in ("paused", *ENDED):
            return job
        if len(ahead) > 1:
            ahead.pop(0)
        if job["status"] != ahead[0]:
            job["status"] = ahead[0]
            self._tell(number, f"The job is {ahead[0]}")
        if job["status"] == "running" and self._losses[number]:
            self._learn(number, self._losses[number].pop(0))
        if job["status"] == "failed":
            job["error"] |= {"code": "invalid_training_file", "param": "training_file"}
        if job["status"] == "succeeded":
            self._finish(number)
        return job

    def _learn(self, number: str, loss: float) -> None:
        step = 1 + sum(event["type"] == "metrics" for event in self.events[number])
        figures = {"train_loss": loss, "train_mean_token_accuracy": 1 / (1 + loss), "valid_loss": loss + 0.1}
        steps = step + len(self._losses[number])
        self._tell(number, f"Step {step}/{steps}: training loss={loss}", step=step, total_steps=steps, **figures)

    def _finish(self, number: str) -> None:
        job = self.jobs[number]
        rows = self.files[job["training_file"]]
        name = f"ft:{job['model']}:scripted:{job['suffix'] or ''}:{number}"
        tokens = sum(count_tokens(said) + count_tokens(json.dumps(asked)) for asked, said in map(_chat, rows))
        job |= {"fine_tuned_model": name, "trained_tokens": tokens * int(job["hyperparameters"].get("n_epochs", 3))}
        self._models[name] = self.tuned(name, rows)

    def _checkpoints(self, number: str) -> list[dict[str, Any]]:
        name = self.jobs[number]["fine_tuned_model"]
        return [
            {
                "id": f"ftckpt-{event['data']['step']}",
                "object": "fine_tuning.job.checkpoint",
                "created_at": CREATED,
                "fine_tuning_job_id": number,
                "fine_tuned_model_checkpoint": f"{name}:ckpt-step-{event['data']['step']}",
                "step_number": event["data"]["step"],
                "metrics": {key: value for key, value in event["data"].items() if key != "total_steps"},
            }
            for event in reversed(self.events[number])
            if name and event["type"] == "metrics"
        ]

    def _steer(self, number: str, act: str) -> Reply:
        job = self.jobs[number]
        steered = {"cancel": "cancelled", "pause": "pausing", "resume": self._ahead[number][0]}
        if act not in steered or job["status"] in ENDED:
            return Reply(f"Job {number} is {job['status']} and cannot {act}.", status=400, code="invalid_status")
        job["status"] = steered[act]
        self._tell(number, f"The job is {job['status']}")
        return _json(job)

    def _tell(self, number: str, message: str, **data: float) -> None:
        events = self.events[number]
        event = {"id": f"ftevent-{number}-{len(events)}", "object": "fine_tuning.job.event", "created_at": CREATED}
        kind = "metrics" if data else "message"
        events.append({**event, "level": "info", "message": message, "type": kind, "data": data})


def _json(value: Mapping[str, Any]) -> Reply:
    return Reply(raw_body=json.dumps(value))


def _page(rows: Sequence[Mapping[str, Any]], query: Mapping[str, list[str]]) -> Reply:
    """`limit` rows from the one after `after`."""
    after, limit = query.get("after", [None])[0], int(query.get("limit", ["20"])[0])
    start = next((place + 1 for place, row in enumerate(rows) if row["id"] == after), 0)
    end = start + limit
    return _json({"object": "list", "data": rows[start:end], "has_more": end < len(rows)})


def _file(request: Received) -> tuple[str, bytes]:
    """Name and content of the file in a form."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    part = next(part for part in message_from_bytes(head + request.body).walk() if part.get_filename())
    return str(part.get_filename()), bytes(part.get_payload(decode=True))


def _chat(row: Mapping[str, Any]) -> tuple[list[dict[str, str]], str]:
    """What is asked and said in a row of either method."""
    if "messages" in row:
        return row["messages"][:-1], row["messages"][-1]["content"]
    return row["input"]["messages"], row["preferred_output"][0]["content"]


def _wrong(rows: Sequence[Mapping[str, Any]], method: str) -> str | None:
    """What a provider finds wrong with a file."""
    if len(rows) < MIN_EXAMPLES:
        return f"Training file has {len(rows)} example(s), but must have at least {MIN_EXAMPLES} examples"
    wanted = {"input", "preferred_output", "non_preferred_output"} if method == "dpo" else {"messages"}
    bad = next((number for number, row in enumerate(rows, 1) if row.keys() != wanted), None)
    return f"Line {bad} does not have the keys {', '.join(sorted(wanted))}" if bad else None
