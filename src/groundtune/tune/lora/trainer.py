"""Chats to a causal model that replies as they do: LoRA, QLoRA, full, or DPO. Never cuts a row without leave.

    [tune.replies]
    kind = "lora"
    base = "OWNER/NAME"        # or the path of a folder
    mode = "lora"              # qlora: 4 bits, CUDA only; full: every weight; dpo: the reply over the rejected one

After each epoch it answers validation rows and keeps the state that answers best. What is asked afterwards is the
folder `merged`; `adapter` is for servers that hold one base and many adapters.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from groundtune.errors import MissingError, need
from groundtune.tune.base import hide_other_gpus
from groundtune.tune.checkpoints import claim, read_fit
from groundtune.tune.disk import named_if_full
from groundtune.tune.job import LOG, Bounds, Job, Trained, TuneError, Watch
from groundtune.tune.lora.cost import bounds
from groundtune.tune.lora.finish import finish
from groundtune.tune.lora.fit import PARENT, fit, quiet
from groundtune.tune.lora.plan import Plan, prepare, read_recipe

FAILED = "ranks.json"
"""Why the first of several processes that failed did."""
ONE_MACHINE = {"PET_STANDALONE": "1", "PET_LOCAL_ADDR": "localhost"}
"""For torch's launcher below accelerate's: it opens a port of its own, where accelerate would name one that was free a
moment ago; and no name of this machine is looked up."""
FORMER_SECONDS = 120.0
LOG_LINES = 400
ERROR_LINE = re.compile(r"(\[rank\d+\]: ?)?[\w.]+(Error|Exception|Interrupt): .")


def estimate(job: Job) -> Bounds:
    """Time and memory at most, measured on this machine in a moment; also finds rows that cannot be trained on.

    Raises MissingError and TuneError as `train` does.
    """
    return bounds(prepare(job))


def train(job: Job, watch: Watch) -> Trained:
    """Trains, or goes on from `job.checkpoint`, and writes `merged/` (and `adapter/`).

    Raises MissingError without base, extra or device; TuneError for rows that cannot be trained on, a checkpoint of
    another training, an optimiser that did not come back, or a loss that is not finite before anything was kept;
    OSError when the disk is full.
    """
    quiet()
    with named_if_full(job.folder):
        return _train(job, watch)


def _train(job: Job, watch: Watch) -> Trained:
    recipe = read_recipe(job)
    if recipe.gpus == 1:
        hide_other_gpus(recipe.device)
    plan = prepare(job)
    if recipe.gpus > 1:
        _wait_for_former(job)
    claim(job.checkpoint, plan.fingerprint)
    if read_fit(job.checkpoint) is None:
        if recipe.gpus == 1:
            fit(plan, watch)
        else:
            _launch(plan)
    state = read_fit(job.checkpoint)
    if state is None:
        raise TuneError("the training left no result", hint=f"{job.folder / LOG} says more")
    return finish(plan, state)


def command(plan: Plan) -> list[str]:
    """What starts one process for each GPU."""
    single = ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    count = ["--num_processes", str(plan.recipe.gpus)]
    return [*launcher, *count, *single, "-m", "groundtune.tune.lora.ranks", str(plan.job.folder)]


def _wait_for_former(job: Job) -> None:
    """Processes whose starter was killed end after their step, and write a checkpoint until then."""
    try:
        with FileLock(lock_of(job), timeout=FORMER_SECONDS):
            pass
    except Timeout:
        raise TuneError(
            f"another training still writes into {job.checkpoint}", hint="wait for it, or end its processes"
        ) from None


def lock_of(job: Job) -> Path:
    """Held by the first of several processes while they train."""
    job.checkpoint.mkdir(parents=True, exist_ok=True)
    return job.checkpoint / "ranks.lock"


def _launch(plan: Plan) -> None:
    """Raises what the processes say, SystemExit when this one is told to stop. With fit.json the training is over,
    however its processes ended.
    """
    if plan.device == "cuda" and (found := need("torch", extra="local").cuda.device_count()) < plan.recipe.gpus:
        raise MissingError(f"gpus = {plan.recipe.gpus}, and torch finds {found}", hint=f"gpus = {found}")
    failed = plan.job.checkpoint / FAILED
    failed.unlink(missing_ok=True)
    code = _run(command(plan))
    if code and read_fit(plan.job.checkpoint) is None:
        _raise(failed, code)


def _run(words: Sequence[str]) -> int:
    """SIGTERM is handed on, so that the processes write their checkpoint."""
    environment = {**os.environ, **ONE_MACHINE, "TOKENIZERS_PARALLELISM": "false", PARENT: str(os.getpid())}
    process = subprocess.Popen(words, env=environment)
    told = []

    def stop(*_: object) -> None:
        told.append(True)
        process.send_signal(signal.SIGTERM)

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread
        return process.wait()
    try:
        code = process.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
    if told:
        raise SystemExit(128 + signal.SIGTERM)
    return code


def _raise(failed: Path, code: int) -> None:
    try:
        said = json.loads(failed.read_bytes())
    except (OSError, ValueError):
        reason = _last_error(failed.parents[1] / LOG)
        what = f"the processes of the training ended with code {code}" + (f": {reason}" if reason else "")
        raise TuneError(what, hint=f"{LOG} says more") from None
    kind = MissingError if said["exit_code"] == 3 else TuneError
    raise kind(said["message"], hint=said["hint"])


def _last_error(log: Path) -> str:
    """The last line that ends a traceback, of what the processes and their launcher printed; "" where there is none."""
    try:
        lines = log.read_text("utf-8", "replace").splitlines()[-LOG_LINES:]
    except OSError:
        return ""
    return next((line.strip()[:500] for line in reversed(lines) if ERROR_LINE.match(line)), "")
