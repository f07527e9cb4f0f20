"""Save and read how far a causal training is: complete checkpoints, the best state, the result. Trains nothing.

checkpoint/about.json            the rows, settings and base that it belongs to
           steps/checkpoint-N/   the trainer's own files; complete once state.json, written last, is there
           best-N/               adapter or weights after step N, with the logits of the parity gate
           fit.json              result; written when the training is over
"""

import contextlib
import math
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from groundtune.common.files import read_json, write_json
from groundtune.errors import MissingError, need
from groundtune.tune.job import TuneError, read_job

ABOUT = "about.json"
STEPS = "steps"
STATE = "state.json"
FIT = "fit.json"


@dataclass(slots=True)
class TrainingState:
    """State that a checkpoint holds besides the trainer's own files."""

    step: int = 0
    loss: float | None = None
    """Loss of the last step."""
    optimizer: Sequence[float] = ()
    """Steps and moments of the optimiser; if they differ after loading, its state was not restored."""
    before: Mapping[str, float] = field(default_factory=dict)
    """Validation metrics of the untrained model."""
    best: str | None = None
    """Folder of the best state."""
    best_step: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Metrics of the best state."""
    waits: int = 0
    """Evaluations since the best state."""
    stopped: str = ""
    """Why the training ended before its last epoch."""
    seconds: float = 0.0
    step_seconds: float = 0.0
    """Seconds spent in training steps alone."""
    tokens: int = 0
    resumed: list[int] = field(default_factory=list)
    """Steps from which it was resumed."""
    history: list[dict[str, float]] = field(default_factory=list)


def claim_checkpoint(folder: Path, fingerprint: str) -> None:
    """Claim the folder for one training; delete incomplete checkpoints. Raises TuneError for another training's."""
    about = folder / ABOUT
    if about.exists() and read_json(about).get("fingerprint") != fingerprint:
        raise TuneError(
            f"the checkpoint in {folder} belongs to other rows, other settings or another base",
            hint=fresh_start_hint(folder),
        )
    write_json(about, {"fingerprint": fingerprint})
    for path in (folder / STEPS).glob("checkpoint-*"):
        if not (path / STATE).exists():
            shutil.rmtree(path)


def latest_checkpoint(folder: Path) -> tuple[Path, TrainingState] | None:
    """Return the last complete checkpoint, or None. Raises TuneError when one of its files is damaged."""
    complete = [path for path in (folder / STEPS).glob("checkpoint-*") if (path / STATE).exists()]
    if not complete:
        return None
    path = max(complete, key=lambda candidate: int(candidate.name.rpartition("-")[2]))
    for file in sorted(path.iterdir()):
        if not _sound(file):
            raise TuneError(f"{file} is damaged: the training cannot resume from it", hint=fresh_start_hint(folder))
    return path, TrainingState(**read_json(path / STATE))


def fresh_start_hint(folder: Path) -> str:
    """Hint for starting over when there is nothing to resume from. folder: `checkpoint` of a training."""
    name = "NAME"
    with contextlib.suppress(MissingError, TypeError):
        name = read_job(folder.parent).name
    return f"start over: groundtune tune {name} --fresh"


def _sound(file: Path) -> bool:
    """Whether a file of the trainer is intact, as far as its format tells; a truncated one is not."""
    if file.suffix in (".pt", ".pth"):
        return zipfile.is_zipfile(file)
    if file.suffix == ".safetensors":
        library = need("safetensors", extra="local")
        try:
            with library.safe_open(file, framework="pt"):
                return True
        except library.SafetensorError:
            return False
    return True


def write_state(path: Path, state: TrainingState) -> None:
    """Write state.json, the last file of a checkpoint; delete best states that no checkpoint names any more."""
    write_json(path / STATE, asdict(state))
    folder = path.parent.parent
    named = {read_json(file)["best"] for file in (folder / STEPS).glob(f"checkpoint-*/{STATE}")}
    for best in folder.glob("best-*"):
        if best.name not in named and best.name != state.best:
            shutil.rmtree(best)


def write_result(folder: Path, state: TrainingState) -> None:
    write_json(folder / FIT, asdict(state))


def read_result(folder: Path) -> TrainingState | None:
    """Return the result; None while the training goes on."""
    path = folder / FIT
    return TrainingState(**read_json(path)) if path.exists() else None


def summarise_optimizer(optimizer: Any) -> list[float]:
    """Summarise the optimiser's state in a few sums that differ for another state."""
    entries = list(optimizer.state_dict()["state"].values())
    names = sorted({name for entry in entries for name, value in entry.items() if hasattr(value, "float")})
    sums = [sum(float(entry[name].float().abs().sum()) for entry in entries if name in entry) for name in names]
    return [float(len(entries)), *sums]


def check_optimizer(loaded: Sequence[float], saved: Sequence[float], *, step: int, folder: Path) -> None:
    """Raise TuneError when the loaded optimiser is not the one that was saved."""
    same = len(loaded) == len(saved) and all(
        math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-12) for a, b in zip(loaded, saved, strict=True)
    )
    if not same or not saved:
        raise TuneError(
            f"the optimiser's state at step {step} could not be restored: resumed, it would be another training",
            hint=fresh_start_hint(folder),
        )
