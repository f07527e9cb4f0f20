"""Train a model in its own process, started by `groundtune tune`.

    python -m groundtune.workflows.training_process FOLDER

Wraps tune/worker.py. Before the artifact of a causal model is written, checks the model with the same generator that
`ask` and `compare` use.
"""

import asyncio
import sys
from pathlib import Path

from groundtune.tune import worker
from groundtune.types import Artifact
from groundtune.workflows import checking_servers


def check_causal_model(folder: Path, artifact: Artifact) -> Artifact:
    """Mark the artifact unusable if the local generator does not reproduce the trained model."""
    if artifact.kind != "lora" or artifact.unusable:
        return artifact
    # Training left this process with a single visible GPU, whatever its number was before.
    device = "cuda" if str(artifact.recipe.get("device")).startswith("cuda") else None
    return asyncio.run(checking_servers.check_here(folder, artifact, device=device))


if __name__ == "__main__":
    sys.exit(worker.main(check=check_causal_model))
