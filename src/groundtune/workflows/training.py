"""The process that `groundtune tune` starts: `python -m groundtune.workflows.training FOLDER`.

It is tune/worker.py, and asks a causal model once as `ask` and `compare` will, before its artifact is written.
"""

import asyncio
import sys
from pathlib import Path

from groundtune.tune import worker
from groundtune.types import Artifact
from groundtune.workflows import checking


def check(folder: Path, artifact: Artifact) -> Artifact:
    """Marked as not usable where our own generator does not give what was trained."""
    if artifact.kind != "lora" or artifact.unusable:
        return artifact
    # The training has left this process but one GPU, whatever its number was before.
    device = "cuda" if str(artifact.recipe.get("device")).startswith("cuda") else None
    return asyncio.run(checking.check_here(folder, artifact, device=device))


if __name__ == "__main__":
    sys.exit(worker.main(check=check))
