"""How far a causal training is, on disk: checkpoints that are complete, the best state, the result. Trains nothing.

checkpoint/about.json            the rows, settings and base that it belongs to
           steps/checkpoint-N/   the trainer's own; with state.json, written last, it is complete
           best-N/               adapter or weights after step N, with the logits of the parity gate
           fit.json              the training is over; what came of it
"""

import contextlib
import math
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from groundtune.errors import MissingError, need
from groundtune.tune.job import TuneError, read_job
from groundtune.workspace import read_json, write_json

ABOUT = "about.json"
STEPS = "steps"
STATE = "state.json"
FIT = "fit.json"


@dataclass(slots=True)
class State:
    """What a checkpoint carries besides the trainer's own files."""

    step: int = 0
    loss: float | None = None
    """Of the last step."""
    optimizer: Sequence[float] = ()
    """Steps, moments: equal after loading, or the optimiser was not carried on."""
    before: Mapping[str, float] = field(default_factory=dict)
    """Of the validation rows, untrained."""
    best: str | None = None
    """Folder of the best state."""
    best_step: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Of the best state."""
    waits: int = 0
    """Evaluations since it."""
    stopped: str = ""
    """Why it ended before its last epoch."""
    seconds: float = 0.0
    step_seconds: float = 0.0
    """Of training steps alone."""
    tokens: int = 0
    resumed: list[int] = field(default_factory=list)
    """Steps after which it was continued."""
    history: list[dict[str, float]] = field(default_factory=list)


def claim(folder: Path, fingerprint: str) -> None:
    """Makes the folder this training's own. Raises TuneError for the checkpoint of another; clears what is half."""
    about = folder / ABOUT
    if about.exists() and read_json(about).get("fingerprint") != fingerprint:
        raise TuneError(
            f"the checkpoint in {folder} is of other rows, other settings or another base", hint=anew(folder)
        )
    write_json(about, {"fingerprint": fingerprint})
    for path in (folder / STEPS).glob("checkpoint-*"):
        if not (path / STATE).exists():
            shutil.rmtree(path)


def latest(folder: Path) -> tuple[Path, State] | None:
    """The last complete checkpoint. Raises TuneError when a file of it is damaged."""
    complete = [path for path in (folder / STEPS).glob("checkpoint-*") if (path / STATE).exists()]
    if not complete:
        return None
    path = max(complete, key=lambda one: int(one.name.rpartition("-")[2]))
    for file in sorted(path.iterdir()):
        if not _sound(file):
            raise TuneError(f"{file} is damaged: the training cannot go on from there", hint=anew(folder))
    return path, State(**read_json(path / STATE))


def anew(folder: Path) -> str:
    """What begins again where nothing can be gone on from. folder: `checkpoint` of a training."""
    name = "NAME"
    with contextlib.suppress(MissingError, TypeError):
        name = read_job(folder.parent).name
    return f"groundtune tune {name} --fresh trains from the start"


def _sound(file: Path) -> bool:
    """Whether a file of the trainer is whole, as far as its form tells; one that is cut off is not."""
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


def write_state(path: Path, state: State) -> None:
    """The last file of a checkpoint; best states that no checkpoint names any more go."""
    write_json(path / STATE, asdict(state))
    folder = path.parent.parent
    named = {read_json(one)["best"] for one in (folder / STEPS).glob(f"checkpoint-*/{STATE}")}
    for one in folder.glob("best-*"):
        if one.name not in named and one.name != state.best:
            shutil.rmtree(one)


def write_fit(folder: Path, state: State) -> None:
    write_json(folder / FIT, asdict(state))


def read_fit(folder: Path) -> State | None:
    """None while the training goes on."""
    path = folder / FIT
    return State(**read_json(path)) if path.exists() else None


def moments(optimizer: Any) -> list[float]:
    """A few sums over the optimiser's state, that differ when it is another one."""
    entries = list(optimizer.state_dict()["state"].values())
    names = sorted({name for entry in entries for name, value in entry.items() if hasattr(value, "float")})
    sums = [sum(float(entry[name].float().abs().sum()) for entry in entries if name in entry) for name in names]
    return [float(len(entries)), *sums]


def check_moments(found: Sequence[float], wanted: Sequence[float], *, step: int, folder: Path) -> None:
    """Raises TuneError when the optimiser that was loaded is not the one that was saved."""
    same = len(found) == len(wanted) and all(
        math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-12) for a, b in zip(found, wanted, strict=True)
    )
    if not same or not wanted:
        raise TuneError(
            f"the state of the optimiser at step {step} did not come back: continued, it would be another training",
            hint=anew(folder),
        )
