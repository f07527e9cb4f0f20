"""Train as one of several processes, one per GPU: `accelerate launch -m groundtune.tune.lora.distributed FOLDER`.

It only trains; trainer.py, which started it, merges and writes the artifact.
"""

import contextlib
import os
import sys
from pathlib import Path

from filelock import FileLock

from groundtune.common.files import write_json
from groundtune.common.text import one_line
from groundtune.errors import GroundtuneError, need
from groundtune.tune.job import LOG, Job, progress_writer, read_job
from groundtune.tune.lora.plan import prepare
from groundtune.tune.lora.trainer import FAILED, training_lock_path
from groundtune.tune.lora.training_loop import disable_telemetry, is_main_process, train_weights


def main() -> int:
    disable_telemetry()
    folder = Path(sys.argv[1])
    job = read_job(folder)
    try:
        torch = need("torch", extra="local")
        if torch.cuda.is_available() and job.settings.get("device") != "cpu":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        with FileLock(training_lock_path(job)) if is_main_process() else contextlib.nullcontext():
            train_weights(prepare(job), progress_writer(folder))
        _end_together()
    except GroundtuneError as error:
        _record_failure(job, error.message, error.hint, error.exit_code)
        return 1
    except Exception as error:
        message = f"{type(error).__name__}: {one_line(str(error), most=500)}"
        _record_failure(job, message, f"{folder / LOG} has the traceback", 1)
        raise
    return 0


def _end_together() -> None:
    """Wait for all processes before exiting: the first still writes when the others are done, over their connection."""
    distributed = need("torch.distributed", extra="local")
    distributed.barrier()
    distributed.destroy_process_group()


def _record_failure(job: Job, message: str, hint: str | None, exit_code: int) -> None:
    """Record the failure of the first process that fails; the others only fail because of it."""
    failed = job.checkpoint / FAILED
    if not failed.exists():
        write_json(failed, {"message": message, "hint": hint, "exit_code": exit_code})


if __name__ == "__main__":
    sys.exit(main())
