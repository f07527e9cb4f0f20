"""Train a model in its own process, started by `groundtune tune`.

    python -m groundtune.workflows.training_process FOLDER

Gives tune/worker.py, which knows no kind of training, the one that the folder's job names.
"""

import sys

from groundtune.build.training_kinds import training_kind
from groundtune.tune import worker

if __name__ == "__main__":
    sys.exit(worker.main(training_kind))
