"""Start a training in a process of its own, watch it, and say why it failed. Trains nothing itself."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from groundtune.errors import GroundtuneError, MissingError, ProviderError, UsageError
from groundtune.tune.artifacts import read_artifact
from groundtune.tune.job import FAILURE, LOG, Step, TuneError, read_progress
from groundtune.types import Artifact

POLL_SECONDS = 0.25
WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "5000"}
"""How threads of OpenMP wait, unless the environment says it. A step of the encoder on two cores: 0.33 s, as with the
default, and 1.2 s beside three busy processes instead of 2.4; without the second variable 0.39 s and 1.0 s."""
STOP_SECONDS = 10.0
"""How long a training that is stopped may take to write its checkpoint."""


async def launch(
    folder: Path, *, module: str = "groundtune.tune.worker", progress: Callable[[Step], None] = lambda _: None
) -> Artifact:
    """Trains what job.json in the folder says, or goes on with it. Cancelled, it stops the process.

    module: what is run in it, the worker or one that checks more.
    Raises the reason that the process left behind: TuneError, MissingError, UsageError, ProviderError.
    """
    told = len(read_progress(folder))
    heard, says = os.pipe()
    os.set_blocking(heard, False)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, str(folder), stdout=says, env=_environment(), start_new_session=True
        )
    except BaseException:
        os.close(heard)
        raise
    finally:
        os.close(says)
    try:
        while True:
            try:
                code = await asyncio.wait_for(process.wait(), POLL_SECONDS)
            except TimeoutError:
                code = None
            steps = read_progress(folder)
            for step in steps[told:]:
                progress(step)
            told = len(steps)
            if code is not None:
                break
        if code:
            raise _reason(folder, code, _read(heard))
    except BaseException:
        await _stop(process)
        raise
    finally:
        os.close(heard)
    return read_artifact(folder)


def _environment() -> dict[str, str]:
    """No progress bars in the log, no parallel tokenizers beside the trainer's own threads, and no threads that spin
    for long while they wait for each other: beside other work that made a step several times as slow.
    """
    own = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TOKENIZERS_PARALLELISM": "false"}
    told = any(name in os.environ for name in WAITING)
    return {**({} if told else WAITING), **os.environ, **own}


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
    """What the process has said before it ended; a pipe holds more than a reason is long."""
    try:
        return os.read(pipe, 1 << 16)
    except BlockingIOError:
        return b""


def _reason(folder: Path, code: int, heard: bytes) -> GroundtuneError:
    try:
        said = json.loads(heard or (folder / FAILURE).read_bytes())
    except (OSError, ValueError):
        what = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        memory = " (the system does that where memory runs out)" if -code == signal.SIGKILL else ""
        hint = f"{folder / LOG} says more; groundtune tune goes on from the last checkpoint"
        return TuneError(f"the training {what}{memory}", hint=hint)
    if "failure" in said:
        return ProviderError(said["message"], kind=said["failure"], retryable=said["retryable"], hint=said["hint"])
    kind = {2: UsageError, 3: MissingError}.get(said["exit_code"], TuneError)
    return kind(said["message"], hint=said["hint"])
