"""The steps of training an encoder with a head: rates, early stopping, checkpoints to go on from. Knows no task.

Word embeddings stay as they are: it is half the memory, the accuracy is the same, and words that no row has keep their
meaning. The loss is a function of places of rows; what is good is a function of the metrics that `measure` finds.
"""

import contextlib
import math
import os
import pickle
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from groundtune.errors import need
from groundtune.tune.checkpoints import anew, claim
from groundtune.tune.disk import named_if_full
from groundtune.tune.encoders.encoder import Encoder, batches, fast
from groundtune.tune.job import Step, TuneError, Watch
from groundtune.workspace import digest_text

STATE = "state.pt"
SAVE_SECONDS = 60.0
"""Between two checkpoints."""
REPORT_SECONDS = 0.5
"""Between two reports inside an epoch."""
WARM_UP = 0.1
"""Share of the steps in which the rates rise; afterwards they fall to 0 in a straight line."""
LARGEST_NORM = 1.0
"""Of the gradients of a step, which are shortened to it."""
DECAY = 0.01
"""Weight decay of the encoder's matrices."""
LEAST_STEPS = 20
"""Of an epoch: with few rows, a step takes fewer tokens than it may."""
LEAST_TOKENS = 64
"""Of a step, whatever the number of rows."""


@dataclass(frozen=True, slots=True)
class Course:
    """What is trained, on what, and how it is told that it got better."""

    encoder: Encoder
    head: Any
    """A torch module on the encoder's device."""
    lengths: Sequence[int]
    """Tokens of each row of the train split."""
    loss: Callable[[Sequence[int]], Any]
    """Mean loss of the rows at these places, as a tensor with gradients."""
    measure: Callable[[], Mapping[str, float]]
    """On the validation rows; empty when there are none."""
    goal: Callable[[Mapping[str, float]], Any]
    """Of the metrics; larger is better."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How it is trained."""

    epochs: int
    rate: float
    """Highest learning rate of the encoder."""
    head_rate: float
    batch_tokens: int
    """Tokens of a step at most."""
    patience: int
    """Epochs without a better goal after which it stops."""
    seed: int
    max_minutes: float | None = None


@dataclass(slots=True)
class Progress:
    """How far a training is: what a checkpoint carries besides tensors."""

    epoch: int = 0
    """Whole epochs that are done."""
    place: int = 0
    """Batches of the epoch that are done."""
    step: int = 0
    loss: float | None = None
    """Of the last step."""
    best_step: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    """Of the best state."""
    waits: int = 0
    """Epochs since it."""
    stopped: str = ""
    """Why it ended before its last epoch: patience, max_minutes, loss."""
    seconds: float = 0.0
    resumed: list[int] = field(default_factory=list)
    """Steps after which it was continued."""
    history: list[dict[str, float]] = field(default_factory=list)


def fit(course: Course, pace: Pace, watch: Watch, *, folder: Path, fingerprint: str) -> Progress:
    """Trains to the end, or goes on from the checkpoint in the folder, and leaves the best weights in the modules.

    fingerprint: of all that makes the training what it is. Raises TuneError for the checkpoint of another training and
    for a loss that is not finite before anything was kept; SystemExit after SIGTERM, with a checkpoint.
    """
    claim(folder, fingerprint)
    need("torch", extra="local").manual_seed(pace.seed)
    run = _Run(course, pace, watch, folder)
    run.resume()
    with run.told_to_stop():
        while run.progress.epoch < pace.epochs and not run.progress.stopped:
            run.one_epoch()
    if run.best is None:
        raise TuneError(
            f"the loss was not finite at step {run.progress.step}, before any state was worth keeping",
            hint="a lower learning_rate, or a base that is not damaged",
        )
    run.put(run.best)
    return run.progress


def pace_of(settings: Mapping[str, Any], rates: tuple[float, float], *, batch_tokens: int, patience: int) -> Pace:
    """rates: of encoder and head; a `learning_rate` of the table is the former's, and the latter follows it."""
    rate, head_rate = rates
    if settings.get("learning_rate"):
        head_rate, rate = head_rate * settings["learning_rate"] / rate, settings["learning_rate"]
    return Pace(
        epochs=settings["epochs"],
        rate=rate,
        head_rate=head_rate,
        batch_tokens=batch_tokens,
        patience=patience,
        seed=settings["seed"],
        max_minutes=settings.get("max_minutes"),
    )


def outcome(progress: Progress, pace: Pace, *, tokens: int) -> dict[str, Any]:
    """What an artifact says of its training. tokens: of a step."""
    return {
        "learning_rate": pace.rate,
        "step_tokens": tokens,
        "history": progress.history,
        "best_step": progress.best_step,
        "steps": progress.step,
        "stopped": progress.stopped or None,
        "resumed": progress.resumed,
        "final_loss": progress.loss,
    }


def fingerprint_of(settings: Mapping[str, Any], encoder: Encoder, data: object) -> str:
    """Of a training: another table, base or other rows give another one. data: what prints all that is trained on."""
    return digest_text(repr((sorted((key, repr(value)) for key, value in settings.items()), encoder.digest, data)))


def step_tokens(lengths: Sequence[int], *, batch_tokens: int) -> int:
    """Tokens of a step: what is allowed, or less, so that an epoch has a few steps."""
    return min(batch_tokens, max(LEAST_TOKENS, sum(lengths) // LEAST_STEPS))


class _Run:
    """A training while it runs."""

    def __init__(self, course: Course, pace: Pace, watch: Watch, folder: Path) -> None:
        self.course, self.pace, self.watch, self.folder = course, pace, watch, folder
        self.torch = need("torch", extra="local")
        course.encoder.model.get_input_embeddings().requires_grad_(False)
        self.weights = {
            f"{part}.{name}": weight
            for part, module in (("encoder", course.encoder.model), ("head", course.head))
            for name, weight in module.named_parameters()
            if weight.requires_grad
        }
        self.optimizer = self.torch.optim.AdamW(self._groups(), lr=pace.rate, fused=True)
        self.steps = pace.epochs * len(self._plan(0))
        self.progress = Progress()
        self.best: dict[str, Any] | None = None
        self.told = ""
        self.began = self.saved = self.reported = time.monotonic()

    def _groups(self) -> list[dict[str, Any]]:
        """Weights by learning rate and decay."""
        matrices: list[Any] = []
        others: list[Any] = []
        head: list[Any] = []
        for name, weight in self.weights.items():
            (head if name.startswith("head.") else matrices if weight.ndim > 1 else others).append(weight)
        return [
            {"params": matrices, "weight_decay": DECAY, "highest": self.pace.rate},
            {"params": others, "weight_decay": 0.0, "highest": self.pace.rate},
            {"params": head, "weight_decay": 0.0, "highest": self.pace.head_rate},
        ]

    def _plan(self, epoch: int) -> list[list[int]]:
        """The batches of an epoch: the same ones whenever they are made."""
        budget = step_tokens(self.course.lengths, batch_tokens=self.pace.batch_tokens)
        return batches(self.course.lengths, budget=budget, rng=random.Random(f"{self.pace.seed}-{epoch}"))

    def one_epoch(self) -> None:
        """What is left of the epoch, and what the validation rows say after it."""
        progress = self.progress
        self.course.encoder.model.train()
        self.course.head.train()
        for places in self._plan(progress.epoch)[progress.place :]:
            if not self.one_step(places):
                progress.stopped = "loss"
                self.report("the loss is not finite: stopped")
                return
            if self.told:
                self.checkpoint()
                raise SystemExit(128 + signal.SIGTERM)
            if self.pace.max_minutes is not None and self.seconds > 60 * self.pace.max_minutes:
                progress.stopped = "max_minutes"
                break
            if time.monotonic() - self.saved > SAVE_SECONDS:
                self.checkpoint()
            if time.monotonic() - self.reported > REPORT_SECONDS:
                self.report()
        else:
            progress.epoch, progress.place = progress.epoch + 1, 0
        self.measured()

    def one_step(self, places: Sequence[int]) -> bool:
        """False when loss or gradients are not finite; the weights are then as before."""
        progress = self.progress
        for group in self.optimizer.param_groups:
            group["lr"] = group["highest"] * self._share(progress.step)
        with fast(self.course.encoder):
            loss = self.course.loss(places)
        self.optimizer.zero_grad()
        loss.backward()
        norm = self.torch.nn.utils.clip_grad_norm_(list(self.weights.values()), LARGEST_NORM)
        if not (math.isfinite(found := loss.item()) and math.isfinite(norm.item())):
            return False
        self.optimizer.step()
        progress.step, progress.place, progress.loss = progress.step + 1, progress.place + 1, found
        return True

    def _share(self, step: int) -> float:
        """Of the highest learning rate."""
        warm = max(1, round(WARM_UP * self.steps))
        return min((step + 1) / warm, (self.steps - step) / max(1, self.steps - warm))

    def measured(self) -> None:
        """The state is kept when it is the best so far; without validation rows, the last one is."""
        progress = self.progress
        found = {name: float(value) for name, value in self.course.measure().items()}
        if not (all(map(math.isfinite, found.values())) and self._sound()):
            progress.stopped = "loss"
            self.report("the loss is not finite: stopped")
            return
        progress.history.append({"step": progress.step, **found})
        goal = self.course.goal
        if progress.best_step is None or not found or goal(found) > goal(progress.metrics):
            progress.best_step, progress.metrics, progress.waits = progress.step, found, 0
            self.best = {name: weight.detach().cpu().clone() for name, weight in self.weights.items()}
        else:
            progress.waits += 1
            if progress.waits >= self.pace.patience:
                progress.stopped = progress.stopped or "patience"
        self.report(metrics=found)

    def _sound(self) -> bool:
        """Whether every weight is a number: the last step may have been one too far, and its loss is that before it."""
        return all(bool(self.torch.isfinite(weight).all()) for weight in self.weights.values())

    @property
    def seconds(self) -> float:
        return self.progress.seconds + time.monotonic() - self.began

    def report(self, note: str = "", *, metrics: Mapping[str, float] = {}) -> None:
        self.reported = time.monotonic()
        epoch = self.progress.step / self.steps * self.pace.epochs
        self.watch(
            Step(epoch, self.progress.step, self.steps, loss=self.progress.loss, metrics=dict(metrics), note=note)
        )

    def put(self, weights: Mapping[str, Any]) -> None:
        """Into the modules. Raises TuneError when they are not those of this model."""
        if weights.keys() != self.weights.keys():
            raise TuneError(f"the checkpoint in {self.folder} is of another model", hint=anew(self.folder))
        with self.torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(weights[name])

    def checkpoint(self) -> None:
        """All that it takes to go on as if nothing had happened; whole or not there. Raises OSError."""
        self.progress.seconds, self.began = self.seconds, time.monotonic()
        cuda = self.torch.cuda
        state = {
            "progress": asdict(self.progress),
            "weights": {name: weight.detach() for name, weight in self.weights.items()},
            "optimizer": self.optimizer.state_dict(),
            "random": self.torch.get_rng_state(),
            "random_cuda": cuda.get_rng_state_all() if cuda.is_available() else [],
            "best": self.best,
        }
        beside = self.folder / f"{STATE}.writing"
        try:
            with named_if_full(self.folder), beside.open("wb") as file:
                self.torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                beside.unlink()  # what is half takes room from the reason why
            raise
        beside.replace(self.folder / STATE)
        self.saved = time.monotonic()

    def resume(self) -> None:
        """Where a checkpoint is. Raises TuneError when it cannot be read."""
        path = self.folder / STATE
        if not path.exists():
            return
        try:
            state = self.torch.load(path, map_location=self.course.encoder.device, weights_only=True)
        except (RuntimeError, ValueError, EOFError, KeyError, OSError, pickle.UnpicklingError) as error:
            raise TuneError(f"the checkpoint {path} cannot be read: {error}", hint=anew(self.folder)) from error
        self.put(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.torch.set_rng_state(state["random"].cpu())
        if state["random_cuda"] and self.torch.cuda.is_available():
            self.torch.cuda.set_rng_state_all([one.cpu() for one in state["random_cuda"]])
        self.progress, self.best = Progress(**state["progress"]), state["best"]
        self.progress.resumed.append(self.progress.step)
        self.report(f"goes on after step {self.progress.step}: weights, optimiser, rates and dropout as they were")

    @contextlib.contextmanager
    def told_to_stop(self) -> Iterator[None]:
        """SIGTERM lets the step end and a checkpoint be written. Only where this is the main thread."""

        def told(*_: object) -> None:
            self.told = "SIGTERM"

        try:
            before = signal.signal(signal.SIGTERM, told)
        except ValueError:
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
