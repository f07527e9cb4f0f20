"""Train a causal language model on chats: LoRA, QLoRA, full or DPO. Truncates a row only if allowed.

    [tune.replies]
    kind = "lora"
    base = "OWNER/NAME"        # or the path of a folder
    mode = "lora"              # qlora: 4 bits, CUDA only; full: every weight; dpo: prefer the reply to the rejected one

After each epoch it answers validation rows, and the best checkpoint is kept. Inference uses the folder `merged`;
`adapter` is for servers that hold one base model and many adapters.
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

from groundtune.common.full_disk import name_full_disk
from groundtune.errors import MissingError, need
from groundtune.models.torch_device import hide_other_gpus
from groundtune.tune.checkpoints import claim_checkpoint, on_sigterm, read_result
from groundtune.tune.job import LOG, Bounds, Job, ProgressCallback, TrainingResult, TrainingStep, TuneError
from groundtune.tune.lora.merge_and_save import save_outputs
from groundtune.tune.lora.plan import LoraPlan, prepare
from groundtune.tune.lora.training_cost import estimate_bounds
from groundtune.tune.lora.training_loop import PARENT, disable_telemetry, train_weights

FAILED = "ranks.json"
"""File with the reason of the first of several processes that failed."""
ONE_MACHINE = {"PET_STANDALONE": "1", "PET_LOCAL_ADDR": "localhost"}
"""For torch's launcher, which accelerate starts: it opens a port itself, where accelerate would name one that was free
a moment ago; and no host name of this machine is looked up."""
FORMER_SECONDS = 120.0
LOG_LINES = 400
ERROR_LINE = re.compile(r"(\[rank\d+\]: ?)?[\w.]+(Error|Exception|Interrupt): .")


def estimate(job: Job) -> Bounds:
    """Return upper bounds of time and memory, measured on this machine in a moment; also find untrainable rows.

    Raises MissingError and TuneError as `train` does.
    """
    return estimate_bounds(prepare(job))


def train(job: Job, report_step: ProgressCallback) -> TrainingResult:
    """Train, or resume from `job.checkpoint`, and write `merged/` (and `adapter/`).

    Raises MissingError if the base model, the extra or the device is missing; TuneError for rows that cannot be trained
    on, a checkpoint of a different training run, an optimiser that could not be restored, or a loss that becomes NaN or
    infinite before the first usable checkpoint; OSError when the disk is full.
    """
    disable_telemetry()
    with name_full_disk(job.folder):
        return _train(job, report_step)


def _train(job: Job, report_step: ProgressCallback) -> TrainingResult:
    alone = job.settings.get("gpus", 1) == 1
    if alone:
        hide_other_gpus(job.settings.get("device"))
    plan = prepare(job)
    if not alone:
        _wait_for_previous(job)
    claim_checkpoint(job.checkpoint, plan.fingerprint)
    if read_result(job.checkpoint) is None:
        report_step(TrainingStep(0, 0, plan.recipe.schedule.steps, note=f"loading {job.base}"))
        if alone:
            train_weights(plan, report_step)
        else:
            _launch(plan)
    state = read_result(job.checkpoint)
    if state is None:
        raise TuneError("training ended without a result", hint=f"see {job.folder / LOG}")
    report_step(TrainingStep(plan.recipe.schedule.epochs, state.step, state.step, note="checking the saved model"))
    return save_outputs(plan, state)


def launch_command(plan: LoraPlan) -> list[str]:
    """Return the command that starts one process per GPU."""
    single = ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu"]
    count = ["--num_processes", str(plan.recipe.gpus)]
    return [*launcher, *count, *single, "-m", "groundtune.tune.lora.distributed", str(plan.job.folder)]


def _wait_for_previous(job: Job) -> None:
    """Wait for processes whose parent was killed; they finish their step and write a checkpoint."""
    try:
        with FileLock(training_lock_path(job), timeout=FORMER_SECONDS):
            pass
    except Timeout:
        raise TuneError(
            f"another training run is still writing to {job.checkpoint}",
            hint="wait for it to finish, or stop its processes",
        ) from None


def training_lock_path(job: Job) -> Path:
    """Return the lock that the first of several processes holds while they train."""
    job.checkpoint.mkdir(parents=True, exist_ok=True)
    return job.checkpoint / "ranks.lock"


def _launch(plan: LoraPlan) -> None:
    """Run the processes. Raises their failure, or SystemExit when this one is told to stop. If fit.json exists,
    training is complete, whatever the exit codes of the processes.
    """
    if plan.device == "cuda" and (available := need("torch", extra="local").cuda.device_count()) < plan.recipe.gpus:
        raise MissingError(f"gpus = {plan.recipe.gpus}, but torch finds {available}", hint=f"set gpus = {available}")
    failed = plan.job.checkpoint / FAILED
    failed.unlink(missing_ok=True)
    code = _run(launch_command(plan))
    if code and read_result(plan.job.checkpoint) is None:
        _raise(failed, code)


def _run(words: Sequence[str]) -> int:
    """Run a command; pass SIGTERM on, so that its processes write their checkpoint."""
    environment = {**os.environ, **ONE_MACHINE, "TOKENIZERS_PARALLELISM": "false", PARENT: str(os.getpid())}
    process = subprocess.Popen(words, env=environment)
    stopped = []

    def stop() -> None:
        stopped.append(True)
        process.send_signal(signal.SIGTERM)

    with on_sigterm(stop):
        code = process.wait()
    if stopped:
        raise SystemExit(128 + signal.SIGTERM)
    return code


def _raise(failed: Path, code: int) -> None:
    try:
        failure = json.loads(failed.read_bytes())
    except (OSError, ValueError):
        reason = _last_error(failed.parents[1] / LOG)
        message = f"the training processes exited with code {code}" + (f": {reason}" if reason else "")
        raise TuneError(message, hint=f"see {LOG}") from None
    kind = MissingError if failure["exit_code"] == 3 else TuneError
    raise kind(failure["message"], hint=failure["hint"])


def _last_error(log: Path) -> str:
    """Return the last line of the log that ends a traceback; "" where there is none."""
    try:
        lines = log.read_text("utf-8", "replace").splitlines()[-LOG_LINES:]
    except OSError:
        return ""
    return next((line.strip()[:500] for line in reversed(lines) if ERROR_LINE.match(line)), "")
