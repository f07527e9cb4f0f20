"""Train an encoder with a head: learning rates, early stopping, resumable checkpoints. Knows no task.

Word embeddings stay frozen: that halves the memory at the same accuracy, and words that no row contains keep their
meaning. The loss is a function of row indices; the goal is a function of the metrics that `measure` returns.
"""

import contextlib
import math
import os
import pickle
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from groundtune.common.batches import batches_by_length
from groundtune.common.files import digest_text
from groundtune.common.full_disk import name_full_disk
from groundtune.errors import need
from groundtune.tune.checkpoints import claim_checkpoint, fresh_start_hint, on_sigterm
from groundtune.tune.encoders.base_encoder import Encoder, autocast
from groundtune.tune.job import ProgressCallback, TrainingStep, TuneError

STATE = "state.pt"
SAVE_SECONDS = 60.0
"""Seconds between two checkpoints."""
REPORT_SECONDS = 0.5
"""Seconds between two reports within an epoch."""
WARM_UP = 0.1
"""Share of the steps in which the learning rates rise; afterwards they fall linearly to 0."""
MAX_GRADIENT_NORM = 1.0
"""Norm to which the gradients of a step are clipped."""
WEIGHT_DECAY = 0.01
"""Weight decay of the encoder's matrices."""
STEPS = 200
"""Steps to aim at where the settings name no epochs."""
EPOCHS = (3, 8)
"""Fewest and most epochs of such a training."""
MIN_STEPS_PER_EPOCH = 20
"""Minimum steps per epoch: with few rows, a step takes fewer tokens than allowed."""
PARITY_ROWS = 16
"""Rows on which the saved files are compared with the trained model."""
MIN_TOKENS_PER_STEP = 64
"""Minimum tokens per step, whatever the number of rows."""


@dataclass(frozen=True, slots=True)
class TrainingSetup:
    """The model to train, its rows, and the functions that measure progress."""

    encoder: Encoder
    head: Any
    """A torch module on the encoder's device."""
    lengths: Sequence[int]
    """Tokens of each training row."""
    loss: Callable[[Sequence[int]], Any]
    """Mean loss of the rows at these indices, as a tensor with gradients."""
    measure: Callable[[], Mapping[str, float]]
    """Metrics on the validation rows; empty when there are none."""
    goal: Callable[[Mapping[str, float]], Any]
    """Key for comparing checkpoints, computed from the metrics; larger is better."""
    through: Encoder | None = None
    """The encoder that the loss runs through: `training_copy(encoder)`; None: `encoder` itself."""


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """The hyperparameters of a training run."""

    epochs: int
    rate: float
    """Highest learning rate of the encoder."""
    head_rate: float
    batch_tokens: int
    """Maximum tokens per step."""
    patience: int | None
    """Epochs without a better goal after which training stops; None: it never stops before its last epoch."""
    seed: int
    max_minutes: float | None = None


@dataclass(slots=True)
class Progress:
    """The progress of a training run: the part of a checkpoint that is not tensors."""

    epoch: int = 0
    """Completed epochs."""
    place: int = 0
    """Completed batches of the current epoch."""
    step: int = 0
    loss: float | None = None
    """Loss of the last step."""
    best_step: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    """Metrics of the best weights."""
    waits: int = 0
    """Epochs since the best weights."""
    stopped: str = ""
    """Why it stopped before its last epoch: patience, max_minutes, loss."""
    seconds: float = 0.0
    resumed: list[int] = field(default_factory=list)
    """Steps after which it was resumed."""
    history: list[dict[str, float]] = field(default_factory=list)


def train_encoder(
    setup: TrainingSetup,
    hyperparameters: Hyperparameters,
    report_step: ProgressCallback,
    *,
    folder: Path,
    fingerprint: str,
) -> Progress:
    """Train to the end, resuming from a checkpoint in the folder, and leave the best weights in the modules.

    fingerprint: identifies everything that defines the training run. Raises TuneError for a checkpoint of a different
    training run and for a loss that becomes NaN or infinite before the first usable checkpoint; SystemExit after
    SIGTERM, with a checkpoint.
    """
    claim_checkpoint(folder, fingerprint)
    need("torch", extra="local").manual_seed(hyperparameters.seed)
    run = _EncoderTraining(setup, hyperparameters, report_step, folder)
    run.resume()
    with on_sigterm(run.stop):
        while run.progress.epoch < hyperparameters.epochs and not run.progress.stopped:
            run.one_epoch()
    if run.best is None:
        raise TuneError(
            f"the loss became NaN or infinite at step {run.progress.step}, before the first usable checkpoint",
            hint="lower learning_rate, or use a base model that is not damaged",
        )
    run.put(run.best)
    return run.progress


def hyperparameters_of(
    settings: Mapping[str, Any], rates: tuple[float, float], *, epochs: int, batch_tokens: int, patience: int | None
) -> Hyperparameters:
    """Read the hyperparameters from the settings.

    rates: defaults for encoder and head. A `learning_rate` in the settings replaces the encoder's; the head's is scaled
    with it.
    """
    rate, head_rate = rates
    if settings.get("learning_rate"):
        head_rate, rate = head_rate * settings["learning_rate"] / rate, settings["learning_rate"]
    return Hyperparameters(
        epochs=epochs,
        rate=rate,
        head_rate=head_rate,
        batch_tokens=batch_tokens,
        patience=patience,
        seed=settings["seed"],
        max_minutes=settings.get("max_minutes"),
    )


def parity_record(difference: float, *, allowed: float, inputs: int, what: str) -> tuple[dict[str, Any], str | None]:
    """Return how far the saved files differ from the trained model, and why that is too much, or None.

    difference: the largest between two of `what`, such as logits. inputs: number of rows they were computed for.
    """
    record = {"difference": difference, "allowed": allowed, "inputs": inputs}
    if difference <= allowed:
        return record, None
    gap = f"{difference:.2g}, more than the tolerance {allowed:.2g}"
    return record, f"the saved model's {what} differ from the trained model's by {gap}"


def training_record(progress: Progress, hyperparameters: Hyperparameters) -> dict[str, Any]:
    """Return what an artifact records about its training."""
    return {
        "learning_rate": hyperparameters.rate,
        "epochs": hyperparameters.epochs,
        "history": progress.history,
        "best_step": progress.best_step,
        "steps": progress.step,
        "stopped": progress.stopped or None,
        "resumed": progress.resumed,
        "final_loss": progress.loss,
    }


def training_fingerprint(settings: Mapping[str, Any], encoder: Encoder, data: object) -> str:
    """Return a digest that depends on settings, base model and rows. data: its repr must show every row."""
    return digest_text(repr((sorted((key, repr(value)) for key, value in settings.items()), encoder.digest, data)))


def choose_epochs(lengths: Sequence[int], *, batch_tokens: int) -> int:
    """Return how often all rows are read: as often as makes STEPS, within EPOCHS."""
    steps = math.ceil(sum(lengths) / step_tokens(lengths, batch_tokens=batch_tokens))
    fewest, most = EPOCHS
    return max(fewest, min(most, math.ceil(STEPS / max(1, steps))))


def step_tokens(lengths: Sequence[int], *, batch_tokens: int) -> int:
    """Return the tokens per step: what is allowed, or fewer so that an epoch has at least a few steps."""
    return min(batch_tokens, max(MIN_TOKENS_PER_STEP, sum(lengths) // MIN_STEPS_PER_EPOCH))


class _EncoderTraining:
    """A training run in progress."""

    def __init__(
        self, setup: TrainingSetup, hyperparameters: Hyperparameters, report_step: ProgressCallback, folder: Path
    ) -> None:
        self.setup, self.hyperparameters, self.report_step, self.folder = setup, hyperparameters, report_step, folder
        self.torch = need("torch", extra="local")
        self.through = setup.through or setup.encoder
        for encoder in (setup.encoder, self.through):
            encoder.model.get_input_embeddings().requires_grad_(False)
        self.weights = {
            f"{part}.{name}": weight
            for part, module in (("encoder", setup.encoder.model), ("head", setup.head))
            for name, weight in module.named_parameters()
            if weight.requires_grad
        }
        copied = self.through.model.named_parameters() if self.through is not setup.encoder else ()
        self.copies = [(self.weights[f"encoder.{name}"], copy) for name, copy in copied if copy.requires_grad]
        self.optimizer = self.torch.optim.AdamW(self._groups(), lr=hyperparameters.rate, fused=True)
        self.steps = hyperparameters.epochs * len(self._plan(0))
        self.progress = Progress()
        self.best: dict[str, Any] | None = None
        self.stop_signal = ""
        self.began = self.saved = self.reported = time.monotonic()

    def _groups(self) -> list[dict[str, Any]]:
        """Group the weights by learning rate and decay."""
        matrices: list[Any] = []
        others: list[Any] = []
        head: list[Any] = []
        for name, weight in self.weights.items():
            (head if name.startswith("head.") else matrices if weight.ndim > 1 else others).append(weight)
        return [
            {"params": matrices, "weight_decay": WEIGHT_DECAY, "highest": self.hyperparameters.rate},
            {"params": others, "weight_decay": 0.0, "highest": self.hyperparameters.rate},
            {"params": head, "weight_decay": 0.0, "highest": self.hyperparameters.head_rate},
        ]

    def _plan(self, epoch: int) -> list[list[int]]:
        """Return the batches of an epoch, the same ones every time."""
        budget = step_tokens(self.setup.lengths, batch_tokens=self.hyperparameters.batch_tokens)
        return batches_by_length(
            self.setup.lengths, budget=budget, rng=random.Random(f"{self.hyperparameters.seed}-{epoch}")
        )

    def one_epoch(self) -> None:
        """Finish the epoch, then measure on the validation rows."""
        progress = self.progress
        self.through.model.train()
        self.setup.head.train()
        for places in self._plan(progress.epoch)[progress.place :]:
            if not self.one_step(places):
                progress.stopped = "loss"
                self.report("stopped: the loss became NaN or infinite")
                return
            if self.stop_signal:
                self.checkpoint()
                raise SystemExit(128 + signal.SIGTERM)
            if self.hyperparameters.max_minutes is not None and self.seconds > 60 * self.hyperparameters.max_minutes:
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
        """Train on one batch; False, with the weights unchanged, when the loss or the gradients are not finite."""
        progress = self.progress
        for group in self.optimizer.param_groups:
            group["lr"] = group["highest"] * self._share(progress.step)
        with autocast(self.through):
            loss = self.setup.loss(places)
        self.optimizer.zero_grad()
        loss.backward()
        for weight, copy in self.copies:
            if copy.grad is not None:
                weight.grad, copy.grad = copy.grad.float(), None
        norm = self.torch.nn.utils.clip_grad_norm_(list(self.weights.values()), MAX_GRADIENT_NORM)
        if not (math.isfinite(value := loss.item()) and math.isfinite(norm.item())):
            return False
        self.optimizer.step()
        self._update_copies()
        progress.step, progress.place, progress.loss = progress.step + 1, progress.place + 1, value
        return True

    def _update_copies(self) -> None:
        """Copy the weights into the encoder that the loss runs through."""
        with self.torch.no_grad():
            for weight, copy in self.copies:
                copy.copy_(weight)

    def _share(self, step: int) -> float:
        """Return the learning rate of a step as a share of the highest."""
        warm = max(1, round(WARM_UP * self.steps))
        return min((step + 1) / warm, (self.steps - step) / max(1, self.steps - warm))

    def measured(self) -> None:
        """Measure, and keep the weights if they are the best so far; without validation rows, always keep them."""
        progress = self.progress
        metrics = {name: float(value) for name, value in self.setup.measure().items()}
        if not (all(map(math.isfinite, metrics.values())) and self._sound()):
            progress.stopped = "loss"
            self.report("stopped: the loss became NaN or infinite")
            return
        progress.history.append({"step": progress.step, **metrics})
        goal = self.setup.goal
        if progress.best_step is None or not metrics or goal(metrics) > goal(progress.metrics):
            progress.best_step, progress.metrics, progress.waits = progress.step, metrics, 0
            self.best = {name: weight.detach().cpu().clone() for name, weight in self.weights.items()}
        else:
            progress.waits += 1
            patience = self.hyperparameters.patience
            if patience is not None and progress.waits >= patience:
                progress.stopped = progress.stopped or "patience"
        self.report(metrics=metrics)

    def _sound(self) -> bool:
        """Whether every weight is finite; the loss of the last step was computed before its update and would not show
        this.
        """
        return all(bool(self.torch.isfinite(weight).all()) for weight in self.weights.values())

    @property
    def seconds(self) -> float:
        return self.progress.seconds + time.monotonic() - self.began

    def report(self, note: str = "", *, metrics: Mapping[str, float] = {}) -> None:
        self.reported = time.monotonic()
        epoch = self.progress.step / self.steps * self.hyperparameters.epochs
        self.report_step(
            TrainingStep(
                epoch, self.progress.step, self.steps, loss=self.progress.loss, metrics=dict(metrics), note=note
            )
        )

    def put(self, weights: Mapping[str, Any]) -> None:
        """Copy weights into the modules. Raises TuneError when they belong to another model."""
        if weights.keys() != self.weights.keys():
            raise TuneError(
                f"the checkpoint in {self.folder} belongs to another model", hint=fresh_start_hint(self.folder)
            )
        with self.torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(weights[name])
        self._update_copies()

    def checkpoint(self) -> None:
        """Write everything needed to resume exactly; all or nothing. Raises OSError."""
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
        partial = self.folder / f"{STATE}.writing"
        try:
            with name_full_disk(self.folder), partial.open("wb") as file:
                self.torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                partial.unlink()  # free the disk space that the partial file takes
            raise
        partial.replace(self.folder / STATE)
        self.saved = time.monotonic()

    def resume(self) -> None:
        """Restore the checkpoint, if there is one. Raises TuneError when it cannot be read."""
        path = self.folder / STATE
        if not path.exists():
            return
        try:
            state = self.torch.load(path, map_location=self.setup.encoder.device, weights_only=True)
        except (RuntimeError, ValueError, EOFError, KeyError, OSError, pickle.UnpicklingError) as error:
            raise TuneError(
                f"the checkpoint {path} cannot be read: {error}", hint=fresh_start_hint(self.folder)
            ) from error
        self.put(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.torch.set_rng_state(state["random"].cpu())
        if state["random_cuda"] and self.torch.cuda.is_available():
            self.torch.cuda.set_rng_state_all([device_state.cpu() for device_state in state["random_cuda"]])
        self.progress, self.best = Progress(**state["progress"]), state["best"]
        self.progress.resumed.append(self.progress.step)
        self.report(
            f"resumed after step {self.progress.step} with weights, optimiser, learning rates and random state restored"
        )

    def stop(self) -> None:
        """Finish the current step, write a checkpoint and end."""
        self.stop_signal = "SIGTERM"
