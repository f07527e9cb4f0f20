"""Start a training in a process of its own, watch it, and say why it failed. Trains nothing itself."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from groundtune.errors import GroundtuneError, MissingError
from groundtune.tune.artifacts import read_artifact
from groundtune.tune.job import FAILURE, Step, TuneError, read_progress
from groundtune.types import Artifact

POLL_SECONDS = 0.25
STOP_SECONDS = 10.0
"""How long a training that is stopped may take to write its checkpoint."""


async def launch(folder: Path, *, progress: Callable[[Step], None] = lambda _: None) -> Artifact:
    """Trains what job.json in the folder says, or goes on with it. Cancelled, it stops the process.

    Raises TuneError or MissingError with the reason that the process left behind.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "groundtune.tune.worker", str(folder), env=_environment(), start_new_session=True
    )
    told = len(read_progress(folder))
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
    except BaseException:
        await _stop(process)
        raise
    if code:
        raise _reason(folder, code)
    return read_artifact(folder)


def _environment() -> dict[str, str]:
    """No progress bars in the log, no parallel tokenizers beside the trainer's own threads."""
    return {**os.environ, "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TOKENIZERS_PARALLELISM": "false"}


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


def _reason(folder: Path, code: int) -> GroundtuneError:
    try:
        said = json.loads((folder / FAILURE).read_bytes())
    except (OSError, ValueError):
        what = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        hint = f"{folder / 'log.txt'} says more; groundtune tune goes on from the last checkpoint"
        return TuneError(f"the training {what}", hint=hint)
    kind = MissingError if said.get("exit_code") == 3 else TuneError
    return kind(said["message"], hint=said.get("hint"))
