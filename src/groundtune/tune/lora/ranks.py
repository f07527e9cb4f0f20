"""One of the processes that train on several GPUs: `accelerate launch -m groundtune.tune.lora.ranks FOLDER`.

It trains; trainer.py, which started it, merges and writes the artifact.
"""

import contextlib
import os
import sys
from pathlib import Path

from filelock import FileLock

from groundtune.errors import GroundtuneError, need
from groundtune.tune.job import read_job, watcher
from groundtune.tune.lora.fit import fit, is_first, quiet
from groundtune.tune.lora.plan import prepare
from groundtune.tune.lora.trainer import FAILED, lock_of
from groundtune.workspace import write_json


def main() -> int:
    quiet()
    folder = Path(sys.argv[1])
    job = read_job(folder)
    try:
        torch = need("torch", extra="local")
        if torch.cuda.is_available() and job.settings.get("device") != "cpu":
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        with FileLock(lock_of(job)) if is_first() else contextlib.nullcontext():
            fit(prepare(job), watcher(folder))
    except GroundtuneError as error:
        told = {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
        write_json(job.checkpoint / FAILED, told)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
