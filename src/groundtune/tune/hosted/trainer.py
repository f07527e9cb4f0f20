"""Fine-tune a model through a provider's OpenAI-style API. Never starts a second job for the same rows.

`state.json` in the job's folder records the ids of files and job before any wait, so that a killed run can be resumed.
Stopping this process does not stop the job at the provider; `control_job` pauses, resumes and cancels it.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from groundtune.common.files import digest_text, read_json, write_json
from groundtune.common.text import one_line
from groundtune.errors import MissingError, ProviderError
from groundtune.models.dialects import dialects
from groundtune.models.openai_client import (
    open_client,
    provider_error,
    retry_after_seconds,
    told_provider_error,
    without_user,
    words_of,
)
from groundtune.models.server_errors import ToldError, error_in
from groundtune.tune.artifacts import dataset_digest
from groundtune.tune.hosted.providers import Provider, find_hosted_base, provider_caveats, provider_of
from groundtune.tune.hosted.training_cost import epochs_of, estimate_bounds
from groundtune.tune.hosted.upload_files import write_files
from groundtune.tune.job import (
    FAILURE,
    STATE,
    Bounds,
    Job,
    JobAction,
    ProgressCallback,
    TrainingResult,
    TrainingStep,
    TuneError,
)

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types import FileObject
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

T = TypeVar("T")

MARK = "groundtune_job"
"""Metadata key by which a job is found again."""
TRIES = 8
"""Attempts in a row at a request that fails for a temporary reason."""
TIMEOUT_SECONDS = 60.0
UPLOAD_SECONDS = 1800.0
POLL_SECONDS = 5.0
"""First pause between polls; each is 1.5 times the one before, up to twelve times the first."""
POLL_VARIABLE = "GROUNDTUNE_POLL_SECONDS"
LONGEST_WAIT = 600.0
"""Longest wait before the next attempt that a server may ask for."""
NO_API = "set kind = lora, or tune with the provider's own tools and use the model under [models]"
FIX = "fix the reported problem, then start again"
BEGIN = TrainingStep(0, 0, 0)
CREATED_WITH = ("method", "epochs", "suffix", "seed")
"""Settings that define a job; the others say how long to wait for it, and what it may cost."""


@dataclass(frozen=True, slots=True)
class HostedJobState:
    """Progress of a job, saved before any wait."""

    digest: str
    """Digest of rows and settings; a different digest means a different job."""
    mark: str
    """Unique mark in the job's metadata."""
    files: Mapping[str, str]
    """Id of the uploaded file by split."""
    asked: bool = False
    """Whether a job was requested; it may exist even if its id was never received."""
    job: str | None = None
    event: str | None = None
    """Id of the last event that was reported."""


@dataclass(frozen=True, slots=True)
class _Service:
    """The provider's API, with retries for temporary failures."""

    client: "OpenAI"
    place: str
    api_key: str
    key_hint: str
    pause: float

    def ask(self, call: Callable[[], T]) -> T:
        """Call the API. Raises ProviderError: at once when retries cannot help, else after `TRIES` failures."""
        from openai import APIError

        for attempt in range(TRIES):
            try:
                return call()
            except (APIError, ValueError, ToldError) as error:
                problem, server_wait = self._problem(error)
                if not problem.retryable or attempt + 1 == TRIES or server_wait > LONGEST_WAIT:
                    raise problem from error
                time.sleep(max(server_wait, min(self.pause * 2**attempt / 5, self.pause * 12)))
        raise AssertionError

    def _problem(self, error: Exception) -> tuple[ProviderError, float]:
        """Return why a call failed, and the seconds that the server asks to wait."""
        about = {"place": self.place, "api_key": self.api_key, "key_hint": self.key_hint}
        if isinstance(error, ToldError):
            told = error.error
            return told_provider_error(told.status, told.words, told.code, **about), told.wait_seconds or 0.0
        return provider_error(error, **about), retry_after_seconds(error) or 0.0


def estimate(job: Job) -> Bounds:
    """Return the highest price. Raises TuneError if it may exceed `max_usd`, or if no more jobs are accepted."""
    return estimate_bounds(job, today=date.today())


def warnings(job: Job, *, today: date | None = None) -> list[str]:
    """Return caveats before money is spent: shutdown dates, hosting, unknown prices. Raises UsageError."""
    return provider_caveats(provider_of(job), job.base, today=today or date.today())


def train(job: Job, report_step: ProgressCallback) -> TrainingResult:
    """Start the job, or resume waiting for it.

    Raises TuneError when it failed, was cancelled, has a status that is unknown here, or has not ended after
    `max_minutes` (it is left running), MissingError if there is no key, ProviderError when the provider cannot be
    reached or has no such jobs.
    """
    provider = provider_of(job)
    with _service(job, provider) as service:
        state = _state(job, provider)
        if state.job is None:
            state = _start(job, provider, service, state)
            report_step(_note(f"job {state.job} at {service.place}; stopping this process does not stop the job"))
        else:
            report_step(_note(f"resumed waiting for job {state.job} at {service.place}"))
        done = _wait(job, service, state, report_step)
        checkpoints = _checkpoints(service, done.id)
    return _trained(job, provider, done, checkpoints)


def control_job(job: Job, action: JobAction) -> tuple[str, str]:
    """Pause, resume or cancel the job at the provider, and return its id and status.

    Raises MissingError if no job was started, ProviderError if the provider rejects the request.
    """
    provider = provider_of(job)
    state = _state(job, provider)
    if state.job is None:
        raise MissingError(f"no job was started in {job.folder}", hint=f"groundtune tune {job.name}")
    with _service(job, provider) as service:
        jobs = service.client.fine_tuning.jobs
        call = {"pause": jobs.pause, "resume": jobs.resume, "cancel": jobs.cancel}[action]
        remote = service.ask(lambda: _sound(call(str(state.job)), "status"))
        if remote.status == "cancelled":
            error = _ended(job, service, remote)
            failed = {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
            write_json(job.folder / FAILURE, failed)  # replaces what the last wait reported
    return remote.id, remote.status


def created_with(job: Job) -> Job:
    """Return the job with only what defines it at the provider, not how long to wait for it or what it may cost."""
    settings = {key: job.settings.get(key) for key in CREATED_WITH} | {"at": provider_of(job).base_url}
    return replace(job, settings=settings, details={k: v for k, v in job.details.items() if k != "provider"})


# -- the job ----------------------------------------------------------------------------------------------------------


def _start(job: Job, provider: Provider, service: _Service, state: HostedJobState) -> HostedJobState:
    """Upload and create what is missing; each id is on disk before the next step."""
    remote = service.ask(lambda: _find(service.client, state)) if state.asked else None
    if remote is None:
        estimate(job)
        if not state.files:
            _require_tuning_api(service)
        state = replace(_upload(job, provider, service, state), asked=False)
        _wait_for_files(job, service, state)
        remote = _create(job, service, state)
    state = replace(state, asked=True, job=remote.id)
    _save(job, state)
    return state


def _require_tuning_api(service: _Service) -> None:
    """Ask for the list of jobs before any row is sent. Raises ProviderError where there is none."""

    def ask_for_jobs() -> None:
        text = service.client.get("/fine_tuning/jobs", cast_to=str, options={"params": {"limit": 1}})
        try:
            answer = json.loads(text)
        except ValueError:
            answer = text
        if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
            raise _not_tuning(answer)

    try:
        service.ask(ask_for_jobs)
    except ProviderError as error:
        if error.kind not in ("bad_request", "bad_response"):
            raise
        message = f"no fine-tuning jobs at {service.place}, and nothing was sent there: {error.message}"
        raise ProviderError(message, kind=error.kind, hint=NO_API) from error


def _wait_for_files(job: Job, service: _Service, state: HostedJobState) -> None:
    """Wait until the files can be trained on. Raises TuneError when the provider refuses one."""
    pause = service.pause
    for split, number in state.files.items():
        while files := _optional(service, partial(_look_at_file, service.client, number)):
            status = _status(files[0].status)
            if status in dialects().file_failed:
                raise _refused_file(job, service, split, number, files[0].status_details)
            if status not in dialects().file_waiting:
                break
            time.sleep(pause)
            pause = min(pause * 1.5, service.pause * 12)


def _look_at_file(client: "OpenAI", number: str) -> list["FileObject"]:
    return [_sound(client.files.retrieve(number))]


def _refused_file(job: Job, service: _Service, split: str, number: str, details: object) -> TuneError:
    """Return why a file cannot be trained on. Deletes the state, so that the next run uploads again."""
    (job.folder / STATE).unlink(missing_ok=True)
    reason = words_of(details) if details else "the provider gives no reason"
    return TuneError(f"the {split} file, {number} at {service.place}, was refused: {reason}", hint=FIX)


def _upload(job: Job, provider: Provider, service: _Service, state: HostedJobState) -> HostedJobState:
    _save(job, state)
    for split, path in write_files(job, provider).items():
        if split not in state.files:
            number = service.ask(partial(_send, service.client, path, f"{job.folder.name}-{path.name}"))
            state = replace(state, files={**state.files, split: number})
            _save(job, state)
    return state


def _send(client: "OpenAI", path: Path, name: str) -> str:
    with path.open("rb") as file:
        return _sound(client.files.create(file=(name, file), purpose="fine-tune", timeout=UPLOAD_SECONDS)).id


def _create(job: Job, service: _Service, state: HostedJobState) -> "FineTuningJob":
    """Create the job. A retry first checks whether an earlier attempt created it although no reply was received."""
    method, suffix = job.settings["method"], job.settings.get("suffix")
    how: Any = {"type": method, method: {"hyperparameters": {"n_epochs": epochs_of(job)}}}
    options = {"suffix": suffix} if suffix else {}
    if "validation" in state.files:
        options["validation_file"] = state.files["validation"]

    def create() -> "FineTuningJob":
        nonlocal state
        if state.asked and (existing := _find(service.client, state)):
            return existing
        state = replace(state, asked=True)
        _save(job, state)
        created = service.client.fine_tuning.jobs.create(
            model=job.base,
            training_file=state.files["train"],
            method=how,
            seed=job.settings["seed"],
            metadata={MARK: state.mark},
            **options,
        )
        return _sound(created)

    return service.ask(create)


def _find(client: "OpenAI", state: HostedJobState) -> "FineTuningJob | None":
    """Return the job with our mark, or with our file where the provider keeps no metadata; None when there is none."""
    for candidate in client.fine_tuning.jobs.list(limit=100, metadata={MARK: state.mark}):
        if (candidate.metadata or {}).get(MARK) == state.mark or candidate.training_file == state.files.get("train"):
            return candidate
    return None


def _wait(job: Job, service: _Service, state: HostedJobState, report_step: ProgressCallback) -> "FineTuningJob":
    """Report events until the job has succeeded."""
    minutes, began = job.settings.get("max_minutes"), time.monotonic()
    pause, last, status = service.pause, BEGIN, ""
    number, retrieve = str(state.job), service.client.fine_tuning.jobs.retrieve
    while True:
        remote = service.ask(lambda: _sound(retrieve(number), "status"))
        for event in _events(service, state):
            last = _step(event, last, epochs=epochs_of(job))
            report_step(last)
            state = replace(state, event=event.id)
            _save(job, state)
        if remote.status != status:
            status = remote.status
            report_step(_note(f"status {status}", last))
        match dialects().job_statuses.get(_status(status)):
            case "succeeded":
                return remote
            case "failed" | "cancelled":
                raise _ended(job, service, remote)
            case None:
                message = f"job {remote.id} at {service.place} has a status that is unknown here: {status!r}"
                hint = f"look it up on the provider's site; groundtune tune {job.name} resumes waiting"
                raise TuneError(f"{message}; it was left alone", hint=hint)
        remaining = float("inf") if minutes is None else minutes * 60 - (time.monotonic() - began)
        if remaining <= 0:
            message = f"job {remote.id} at {service.place} is {status} after {minutes:g} min; it was left running there"
            raise TuneError(message, hint=f"groundtune tune {job.name} resumes waiting for it")
        time.sleep(min(pause, remaining))
        pause = min(pause * 1.5, service.pause * 12)


def _ended(job: Job, service: _Service, remote: "FineTuningJob") -> TuneError:
    """Return why there is no model. Deletes the state, so that the next run starts a new job."""
    (job.folder / STATE).unlink(missing_ok=True)
    where = f"job {remote.id} at {service.place}"
    if dialects().job_statuses.get(_status(remote.status)) == "cancelled":
        return TuneError(f"{where} was cancelled", hint=f"groundtune tune {job.name} starts a new one")
    told = remote.to_dict(warnings=False).get("error")
    row = {key: value for key, value in told.items() if value} if isinstance(told, dict) else {}
    reason = words_of(row or told) if row or isinstance(told, str) else ""
    about = f" ({', '.join(filter(None, (row.get('code'), row.get('param'))))})" if row.get("code") else ""
    return TuneError(f"{where} failed: {reason or 'the provider gives no reason'}{about}", hint=FIX)


def _events(service: _Service, state: HostedJobState) -> list["FineTuningJobEvent"]:
    """Return the events since the last reported one, oldest first; none where the provider does not list them."""

    def new() -> list["FineTuningJobEvent"]:
        events = []
        for event in service.client.fine_tuning.jobs.list_events(str(state.job), limit=100):  # newest first
            if event.id == state.event:
                break
            events.append(event)
        return events[::-1]

    return _optional(service, new)


def _checkpoints(service: _Service, number: str) -> list[dict[str, Any]]:
    """Return name, step and metrics of each checkpoint, by step."""
    jobs = service.client.fine_tuning.jobs
    checkpoints = _optional(service, lambda: list(jobs.checkpoints.list(number)))
    rows = [
        {
            "model": checkpoint.fine_tuned_model_checkpoint,
            "step": checkpoint.step_number,
            "metrics": _figures(checkpoint.metrics),
        }
        for checkpoint in checkpoints
    ]
    return sorted(rows, key=lambda row: int(row["step"]))


def _optional(service: _Service, call: Callable[[], list[T]]) -> list[T]:
    try:
        return service.ask(call)
    except ProviderError as error:
        if error.kind == "bad_request":
            return []
        raise


def _step(event: "FineTuningJobEvent", last: TrainingStep, *, epochs: int) -> TrainingStep:
    data = event.data if isinstance(event.data, dict) else {}
    if not isinstance(data.get("step"), int):
        return _note(event.message, last)
    step, steps = data["step"], data.get("total_steps") or last.steps
    figures = _figures(data)
    epoch = epochs * step / steps if steps else last.epoch
    return TrainingStep(epoch, step, steps, loss=figures.get("train_loss"), metrics=_validation(figures))


def _figures(metrics: Any) -> dict[str, float]:
    """Return the losses and accuracies among the metrics."""
    values = metrics if isinstance(metrics, dict) else metrics.model_dump()
    figures = {name: value for name, value in values.items() if name.endswith(("loss", "accuracy"))}
    return {name: float(value) for name, value in figures.items() if isinstance(value, int | float) and isfinite(value)}


def _validation(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if "valid" in name}


def _trained(job: Job, provider: Provider, done: "FineTuningJob", checkpoints: list[dict[str, Any]]) -> TrainingResult:
    if not done.fine_tuned_model:
        message = f"job {done.id} succeeded, but the provider returned no model name"
        raise TuneError(message, hint="look it up on the provider's site")
    name, base = find_hosted_base(provider, done.model)
    rate, tokens = base.usd_per_million, done.trained_tokens
    details = {
        "model": done.fine_tuned_model,
        "provider": provider.name,
        "base_url": provider.base_url,
        "api_key_env": provider.api_key_env,
        "job": done.id,
        "ends": base.ends,
        "hosting": provider.notice,
        "trained_tokens": tokens,
        "checkpoints": checkpoints,
    }
    return TrainingResult(
        files=(),
        metrics=_validation(checkpoints[-1]["metrics"]) if checkpoints else {},
        base_digest=name,
        details=details,
        usd=None if rate is None or tokens is None else tokens * rate / 1e6,
    )


# -- access to the API and its state ----------------------------------------------------------------------------------


@contextmanager
def _service(job: Job, provider: Provider) -> Iterator[_Service]:
    """Open the API. Raises MissingError if the key is missing."""
    base_url, variable = str(provider.base_url), provider.api_key_env
    place = without_user(base_url)
    key = os.environ.get(variable, "").strip() if variable else ""
    if variable and not key:
        raise MissingError(f"no key for {place}: {variable} is not set", hint=f"export {variable}=…")
    hint = f"set {variable} to a valid key for {place}" if variable else f"set api_key_env under [tune.{job.name}]"
    pause = float(os.environ.get(POLL_VARIABLE, POLL_SECONDS))
    with open_client(base_url, api_key=key, timeout_seconds=TIMEOUT_SECONDS) as client:
        yield _Service(client, place, key, hint, pause)


def _state(job: Job, provider: Provider) -> HostedJobState:
    """Return the state on disk, or a new one. Raises TuneError when it belongs to different data or settings."""
    settings = {name: job.settings.get(name) for name in CREATED_WITH}
    about = [dataset_digest(job.folder), job.base, provider.base_url, settings]
    digest = digest_text(json.dumps(about, sort_keys=True))
    path = job.folder / STATE
    if not path.exists():
        return HostedJobState(digest, mark=uuid4().hex, files={})
    state = HostedJobState(**read_json(path))
    if state.digest != digest:
        running = f" (job {state.job})" if state.job else ""
        message = f"{path} belongs to a job with different data or settings{running}"
        raise TuneError(message, hint="groundtune tune starts a new training run in a separate folder")
    return state


def _save(job: Job, state: HostedJobState) -> None:
    write_json(job.folder / STATE, asdict(state))


def _sound(answer: T, *names: str) -> T:
    """Return a file or job that has an id. Raises ToldError for an error, ProviderError for anything else."""
    from openai import BaseModel

    if all(isinstance(getattr(answer, name, None), str) for name in ("id", *names)):
        return answer
    raise _not_tuning(answer.to_dict(warnings=False) if isinstance(answer, BaseModel) else answer)


def _not_tuning(answer: object) -> Exception:
    """Return what is wrong with an answer that is neither job nor file: the error that it tells, if it does."""
    if told := error_in(answer):
        return ToldError(told)
    hint = "check that base_url is an OpenAI-compatible endpoint with fine-tuning; it usually ends in /v1"
    shown = one_line(str(answer), most=200)
    return ProviderError(f"not a fine-tuning API: it answered {shown!r}", kind="bad_response", hint=hint)


def _status(status: object) -> str:
    """Return a status in lower case and without signs."""
    return "".join(char for char in str(status).lower() if char.isalpha())


def _note(text: str, at: TrainingStep = BEGIN) -> TrainingStep:
    return replace(at, loss=None, metrics={}, note=text)
