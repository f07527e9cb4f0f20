"""Rows to a model tuned by a provider's OpenAI-style fine-tuning API. Never starts a second job for the same rows.

`state.json` in the job's folder holds the ids of files and job before anything is waited for: killed at any time, the
next run goes on. Ending this process does not end the job at the provider; `steer` pauses, resumes and cancels it.
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
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from uuid import uuid4

from groundtune.errors import MissingError, ProviderError
from groundtune.openai_client import failure, open_client, retry_after, without_user
from groundtune.tune.artifacts import dataset_digest
from groundtune.tune.hosted.cost import bounds, epochs_of
from groundtune.tune.hosted.providers import Provider, base_of, notices, provider_of
from groundtune.tune.hosted.rows import write_files
from groundtune.tune.job import FAILURE, Bounds, Job, Step, Trained, TuneError, Watch
from groundtune.workspace import digest_text, read_json, write_json

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

T = TypeVar("T")

STATE = "state.json"
MARK = "groundtune_job"
"""Key of the metadata by which a job is found again."""
TRIES = 8
"""In a row that may fail for reasons that pass."""
TIMEOUT_SECONDS = 60.0
UPLOAD_SECONDS = 1800.0
POLL_SECONDS = 5.0
"""First pause between two looks; each is half as long again as the one before, up to twelve times the first."""
POLL_VARIABLE = "GROUNDTUNE_POLL_SECONDS"
LONGEST_WAIT = 600.0
"""What a server may ask to wait before the next try."""
BEGIN = Step(0, 0, 0)
CREATED_WITH = ("method", "epochs", "suffix", "seed")
"""Settings that make another job; the others say how to wait for it, and what it may cost."""


@dataclass(frozen=True, slots=True)
class State:
    """How far a job is, on disk before anything is waited for."""

    digest: str
    """Of rows and settings: another one is another job."""
    mark: str
    """In the metadata of the job, unique."""
    files: Mapping[str, str]
    """Split to the id of its uploaded file."""
    asked: bool = False
    """The job may have been created, whether its id came back or not."""
    job: str | None = None
    event: str | None = None
    """The last one that was told."""


@dataclass(frozen=True, slots=True)
class _Service:
    """The provider's API, asked again where that can help."""

    client: "OpenAI"
    place: str
    api_key: str
    key_hint: str
    pause: float

    def ask(self, call: Callable[[], T]) -> T:
        """Raises ProviderError: at once for what no second try fixes, else after `TRIES` failures in a row."""
        from openai import APIError

        for attempt in range(TRIES):
            try:
                return call()
            except (APIError, ValueError) as error:
                failed = failure(error, place=self.place, api_key=self.api_key, key_hint=self.key_hint)
                asked = retry_after(error) or 0.0
                if not failed.retryable or attempt + 1 == TRIES or asked > LONGEST_WAIT:
                    raise failed from error
                time.sleep(max(asked, min(self.pause * 2**attempt / 5, self.pause * 12)))
        raise AssertionError


def estimate(job: Job) -> Bounds:
    """The price at most. Raises TuneError when it may be above `max_usd`, or no job is taken any more."""
    return bounds(job, today=date.today())


def warnings(job: Job, *, today: date | None = None) -> list[str]:
    """What to know before money is spent: shutdown dates, hosting, unknown prices. Raises UsageError."""
    return notices(provider_of(job), job.base, today=today or date.today())


def train(job: Job, watch: Watch) -> Trained:
    """Starts the job, or goes on waiting for it.

    Raises TuneError when it failed, was cancelled, or has not ended after `max_minutes` (it is left running),
    MissingError without a key, ProviderError when the provider cannot be asked.
    """
    provider = provider_of(job)
    with _service(job, provider) as service:
        state = _state(job, provider)
        if state.job is None:
            state = _start(job, provider, service, state)
            watch(_note(f"job {state.job} at {service.place}; ending this process does not end it"))
        else:
            watch(_note(f"goes on waiting for job {state.job} at {service.place}"))
        done = _wait(job, service, state, watch)
        checkpoints = _checkpoints(service, done.id)
    return _trained(job, provider, done, checkpoints)


def steer(job: Job, act: Literal["pause", "resume", "cancel"]) -> tuple[str, str]:
    """Pauses, resumes or cancels the job at the provider, and returns its id and status.

    Raises MissingError where no job was started, ProviderError where the provider refuses.
    """
    provider = provider_of(job)
    state = _state(job, provider)
    if state.job is None:
        raise MissingError(f"no job was started in {job.folder}", hint=f"groundtune tune {job.name}")
    with _service(job, provider) as service:
        jobs = service.client.fine_tuning.jobs
        call = {"pause": jobs.pause, "resume": jobs.resume, "cancel": jobs.cancel}[act]
        found = _sound(service.ask(partial(call, state.job)), "status")
        if found.status == "cancelled":
            ended = _ended(job, service, found)
            said = {"message": ended.message, "hint": ended.hint, "exit_code": ended.exit_code}
            write_json(job.folder / FAILURE, said)  # what the last wait said is not so any more
    return found.id, found.status


def under_way(folder: Path) -> str | None:
    """Id of the job that was started in a folder and has not come to an end, as far as is known here."""
    try:
        return State(**read_json(folder / STATE)).job
    except MissingError:
        return None


# -- the job ----------------------------------------------------------------------------------------------------------


def _start(job: Job, provider: Provider, service: _Service, state: State) -> State:
    """Uploads and creates what is not there yet; each id is on disk before the next step."""
    found = service.ask(lambda: _find(service.client, state)) if state.asked else None
    if found is None:
        estimate(job)
        state = replace(_upload(job, provider, service, state), asked=False)
        found = _create(job, service, state)
    state = replace(state, asked=True, job=found.id)
    _save(job, state)
    return state


def _upload(job: Job, provider: Provider, service: _Service, state: State) -> State:
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


def _create(job: Job, service: _Service, state: State) -> "FineTuningJob":
    """Before a second try it looks whether the first one came through, though its answer did not."""
    method, suffix = job.settings["method"], job.settings.get("suffix")
    how: Any = {"type": method, method: {"hyperparameters": {"n_epochs": epochs_of(job)}}}
    more = {"suffix": suffix} if suffix else {}
    if "validation" in state.files:
        more["validation_file"] = state.files["validation"]

    def create() -> "FineTuningJob":
        nonlocal state
        if state.asked and (found := _find(service.client, state)):
            return found
        state = replace(state, asked=True)
        _save(job, state)
        made = service.client.fine_tuning.jobs.create(
            model=job.base,
            training_file=state.files["train"],
            method=how,
            seed=job.settings["seed"],
            metadata={MARK: state.mark},
            **more,
        )
        return _sound(made)

    return service.ask(create)


def _find(client: "OpenAI", state: State) -> "FineTuningJob | None":
    """The job with our mark, or on our file where the provider keeps no metadata. None: there is none."""
    for found in client.fine_tuning.jobs.list(limit=100, metadata={MARK: state.mark}):
        if (found.metadata or {}).get(MARK) == state.mark or found.training_file == state.files.get("train"):
            return found
    return None


def _wait(job: Job, service: _Service, state: State, watch: Watch) -> "FineTuningJob":
    """Tells the events until the job has succeeded."""
    minutes, began = job.settings.get("max_minutes"), time.monotonic()
    pause, last, status = service.pause, BEGIN, ""
    look = partial(service.client.fine_tuning.jobs.retrieve, str(state.job))
    while True:
        found = _sound(service.ask(look), "status")
        for event in _events(service, state):
            last = _step(event, last, epochs=epochs_of(job))
            watch(last)
            state = replace(state, event=event.id)
            _save(job, state)
        if found.status != status:
            status = found.status
            watch(_note(f"status {status}", last))
        if status == "succeeded":
            return found
        if status in ("failed", "cancelled"):
            raise _ended(job, service, found)
        left = float("inf") if minutes is None else minutes * 60 - (time.monotonic() - began)
        if left <= 0:
            what = f"job {found.id} at {service.place} is {status} after {minutes:g} minutes; it was left running there"
            raise TuneError(what, hint=f"groundtune tune {job.name} goes on waiting for it")
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, service.pause * 12)


def _ended(job: Job, service: _Service, found: "FineTuningJob") -> TuneError:
    """Why there is no model. The state goes, so that the next run is a new job."""
    (job.folder / STATE).unlink(missing_ok=True)
    where = f"job {found.id} at {service.place}"
    if found.status == "cancelled":
        return TuneError(f"{where} was cancelled", hint=f"groundtune tune {job.name} starts another one")
    error = found.error
    reason = (error and error.message) or "the provider gives no reason"
    about = f" ({', '.join(filter(None, (error.code, error.param)))})" if error and error.code else ""
    return TuneError(f"{where} failed: {reason}{about}", hint="fix what it names, then start again")


def _events(service: _Service, state: State) -> list["FineTuningJobEvent"]:
    """Those after the last one that was told, oldest first. None where the provider does not list them."""

    def new() -> list["FineTuningJobEvent"]:
        found = []
        for event in service.client.fine_tuning.jobs.list_events(str(state.job), limit=100):  # newest first
            if event.id == state.event:
                break
            found.append(event)
        return found[::-1]

    return _optional(service, new)


def _checkpoints(service: _Service, number: str) -> list[dict[str, Any]]:
    """Name, step and metrics of each, by step."""
    jobs = service.client.fine_tuning.jobs
    found = _optional(service, lambda: list(jobs.checkpoints.list(number)))
    rows = [
        {"model": one.fine_tuned_model_checkpoint, "step": one.step_number, "metrics": _figures(one.metrics)}
        for one in found
    ]
    return sorted(rows, key=lambda row: int(row["step"]))


def _optional(service: _Service, call: Callable[[], list[T]]) -> list[T]:
    try:
        return service.ask(call)
    except ProviderError as error:
        if error.kind == "bad_request":
            return []
        raise


def _step(event: "FineTuningJobEvent", last: Step, *, epochs: int) -> Step:
    data = event.data if isinstance(event.data, dict) else {}
    if not isinstance(data.get("step"), int):
        return _note(event.message, last)
    step, steps = data["step"], data.get("total_steps") or last.steps
    figures = _figures(data)
    epoch = epochs * step / steps if steps else last.epoch
    return Step(epoch, step, steps, loss=figures.get("train_loss"), metrics=_validation(figures))


def _figures(metrics: Any) -> dict[str, float]:
    """The losses and accuracies among them."""
    given = metrics if isinstance(metrics, dict) else metrics.model_dump()
    figures = {name: value for name, value in given.items() if name.endswith(("loss", "accuracy"))}
    return {name: float(value) for name, value in figures.items() if isinstance(value, int | float) and isfinite(value)}


def _validation(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if "valid" in name}


def _trained(job: Job, provider: Provider, done: "FineTuningJob", checkpoints: list[dict[str, Any]]) -> Trained:
    if not done.fine_tuned_model:
        raise TuneError(f"job {done.id} succeeded, but names no model", hint="look for it at the provider")
    name, base = base_of(provider, done.model)
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
    return Trained(
        files=(),
        metrics=_validation(checkpoints[-1]["metrics"]) if checkpoints else {},
        base_digest=name,
        details=details,
        usd=None if rate is None or tokens is None else tokens * rate / 1e6,
    )


# -- what it stands on ------------------------------------------------------------------------------------------------


@contextmanager
def _service(job: Job, provider: Provider) -> Iterator[_Service]:
    """Raises MissingError without the key."""
    base_url, variable = str(provider.base_url), provider.api_key_env
    place = without_user(base_url)
    key = os.environ.get(variable, "").strip() if variable else ""
    if variable and not key:
        raise MissingError(f"no key for {place}: {variable} is not set", hint=f"export {variable}=…")
    hint = f"set {variable} to a valid key of {place}" if variable else f"set api_key_env under [tune.{job.name}]"
    pause = float(os.environ.get(POLL_VARIABLE, POLL_SECONDS))
    with open_client(base_url, api_key=key, timeout_seconds=TIMEOUT_SECONDS) as client:
        yield _Service(client, place, key, hint, pause)


def _state(job: Job, provider: Provider) -> State:
    """The one on disk, or a new one. Raises TuneError for that of other rows or settings."""
    settings = {name: job.settings.get(name) for name in CREATED_WITH}
    about = [dataset_digest(job.folder), job.base, provider.base_url, settings]
    digest = digest_text(json.dumps(about, sort_keys=True))
    path = job.folder / STATE
    if not path.exists():
        return State(digest, mark=uuid4().hex, files={})
    state = State(**read_json(path))
    if state.digest != digest:
        running = f" (job {state.job})" if state.job else ""
        what = f"{path} is of a job with other rows or settings{running}"
        raise TuneError(what, hint="groundtune tune starts a new training in a folder of its own")
    return state


def _save(job: Job, state: State) -> None:
    write_json(job.folder / STATE, asdict(state))


def _sound(found: T, *names: str) -> T:
    """A file or a job has an id; what answers with something else is no fine-tuning API. Raises ProviderError."""
    if all(isinstance(getattr(found, name, None), str) for name in ("id", *names)):
        return found
    hint = "check that base_url is an OpenAI-compatible endpoint with fine-tuning; it usually ends in /v1"
    raise ProviderError(f"no fine-tuning API: it answers {str(found)[:200]!r}", kind="bad_response", hint=hint)


def _note(text: str, at: Step = BEGIN) -> Step:
    return replace(at, loss=None, metrics={}, note=text)
