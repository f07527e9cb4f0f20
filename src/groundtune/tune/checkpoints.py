"""Save and read the progress of a training run: checkpoints, the best weights, the result. Trains nothing.

checkpoint/about.json            the rows, settings and base model that it belongs to
           steps/checkpoint-N/   the trainer's own files; complete once state.json, written last, is there
           best-N/               adapter or weights after step N, with the logits of the parity gate
           fit.json              result; written when training is over
"""

import contextlib
import math
import shutil
import signal
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    """Summary of the optimiser state (steps and moments), to verify that it was restored."""
    before: Mapping[str, float] = field(default_factory=dict)
    """Validation metrics of the untrained model."""
    best: str | None = None
    """Folder of the best weights."""
    best_step: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Metrics of the best weights."""
    waits: int = 0
    """Evaluations since the best weights."""
    stopped: str = ""
    """Why training ended before its last epoch."""
    seconds: float = 0.0
    step_seconds: float = 0.0
    """Seconds spent in training steps alone."""
    tokens: int = 0
    resumed: list[int] = field(default_factory=list)
    """Steps from which it was resumed."""
    history: list[dict[str, float]] = field(default_factory=list)


@contextlib.contextmanager
def on_sigterm(act: Callable[[], None]) -> Iterator[None]:
    """Call `act` on SIGTERM instead of ending the process. Has an effect in the main thread only."""
    try:
        before = signal.signal(signal.SIGTERM, lambda *_: act())
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def claim_checkpoint(folder: Path, fingerprint: str) -> None:
    """Claim the folder for one training run; delete incomplete checkpoints. Raises TuneError if it belongs to another
    run.
    """
    about = folder / ABOUT
    if about.exists() and read_json(about).get("fingerprint") != fingerprint:
        raise TuneError(
            f"the checkpoint in {folder} was made with different data, settings or base model",
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
            raise TuneError(f"{file} is damaged, so training cannot resume from it", hint=fresh_start_hint(folder))
    return path, TrainingState(**read_json(path / STATE))


def fresh_start_hint(folder: Path) -> str:
    """Hint for starting over when there is nothing to resume from. folder: `checkpoint` of a training run."""
    name = "NAME"
    with contextlib.suppress(MissingError, TypeError):
        name = read_job(folder.parent).name
    return f"start over: groundtune tune {name} --fresh"


def _sound(file: Path) -> bool:
    """Whether a file of the trainer appears intact, judging by its format."""
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
    """Write state.json, the last file of a checkpoint; delete saved best weights that no checkpoint refers to."""
    write_json(path / STATE, asdict(state))
    folder = path.parent.parent
    named = {read_json(file)["best"] for file in (folder / STEPS).glob(f"checkpoint-*/{STATE}")}
    for best in folder.glob("best-*"):
        if best.name not in named and best.name != state.best:
            shutil.rmtree(best)


def write_result(folder: Path, state: TrainingState) -> None:
    write_json(folder / FIT, asdict(state))


def read_result(folder: Path) -> TrainingState | None:
    """Return the result; None while training is in progress."""
    path = folder / FIT
    return TrainingState(**read_json(path)) if path.exists() else None


def summarise_optimizer(optimizer: Any) -> list[float]:
    """Summarise the optimiser's state in a few sums, which change if the state does."""
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
            f"the optimiser state at step {step} could not be restored, so resuming would not continue the same run",
            hint=fresh_start_hint(folder),
        )
