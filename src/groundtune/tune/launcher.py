"""Start a training run in a separate process, watch it, and report why it failed. Trains nothing itself."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from groundtune.errors import GroundtuneError, MissingError, ProviderError, UsageError
from groundtune.tune.artifacts import read_artifact
from groundtune.tune.job import FAILURE, LOG, TrainingStep, TuneError, read_progress
from groundtune.types import Artifact

POLL_SECONDS = 0.25
WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "5000"}
"""Wait policy of OpenMP threads, unless the environment sets one. An encoder step on two cores takes 0.33 s, as with
the default, and 1.2 s instead of 2.4 s beside three busy processes; without the second variable, 0.39 s and 1.0 s."""
STOP_SECONDS = 120.0
"""Seconds that a stopped training run may take to finish its step and write its checkpoint."""


async def launch_training(
    folder: Path, *, module: str, progress: Callable[[TrainingStep], None] = lambda _: None
) -> Artifact:
    """Run the training that job.json in the folder describes, or resume it. Stops the process when cancelled.

    module: what the process runs, with the folder as its argument; it calls `worker.main`.
    Raises the error that the process reported: TuneError, MissingError, UsageError, ProviderError.
    """
    reported = len(read_progress(folder))
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, str(folder), stdout=writer, env=_environment(), start_new_session=True
        )
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    try:
        while True:
            try:
                code = await asyncio.wait_for(process.wait(), POLL_SECONDS)
            except TimeoutError:
                code = None
            steps = read_progress(folder)
            for step in steps[reported:]:
                progress(step)
            reported = len(steps)
            if code is not None:
                break
        if code:
            raise _reason(folder, code, _read(reader))
    except BaseException:
        await _stop(process)
        raise
    finally:
        os.close(reader)
    return read_artifact(folder)


def _environment() -> dict[str, str]:
    """Disable progress bars and parallel tokenizers, and keep OpenMP threads from spinning while they wait: beside
    other work, spinning made a step several times as slow. Modules are never looked for in the folder that a training
    is started from, where a document may be named json.py.
    """
    fixed = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "PYTHONSAFEPATH": "1", "TOKENIZERS_PARALLELISM": "false"}
    configured = any(name in os.environ for name in WAITING)
    return {**({} if configured else WAITING), **os.environ, **fixed}


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


def _read(pipe: int) -> bytes:
    """Read what the process reported before it exited; a failure report always fits in the pipe buffer."""
    try:
        return os.read(pipe, 1 << 16)
    except BlockingIOError:
        return b""


def _reason(folder: Path, code: int, reported: bytes) -> GroundtuneError:
    try:
        failed = json.loads(reported or (folder / FAILURE).read_bytes())
    except (OSError, ValueError):
        how = f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
        memory = " (usually because memory ran out)" if -code == signal.SIGKILL else ""
        hint = f"see {folder / LOG}; groundtune tune resumes from the last checkpoint"
        return TuneError(f"the training process {how}{memory}", hint=hint)
    if "failure" in failed:
        return ProviderError(
            failed["message"], kind=failed["failure"], retryable=failed["retryable"], hint=failed["hint"]
        )
    kind = {2: UsageError, 3: MissingError}.get(failed["exit_code"], TuneError)
    return kind(failed["message"], hint=failed["hint"])
