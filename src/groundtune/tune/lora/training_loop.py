"""Train the weights of a plan: run TRL's trainer, watch it, evaluate after each epoch, resume where it stopped.

TRL is given tokens and labels, never text: it truncates nothing, and trains on the reply alone.
"""

import math
import os
import signal
import time
from functools import partial
from typing import Any

import psutil

from groundtune.errors import need
from groundtune.tune.base_model import load_model
from groundtune.tune.checkpoints import (
    STEPS,
    TrainingState,
    check_optimizer,
    latest_checkpoint,
    on_sigterm,
    summarise_optimizer,
    write_result,
    write_state,
)
from groundtune.tune.job import ProgressCallback, TrainingStep, TuneError
from groundtune.tune.lora import parity_gate
from groundtune.tune.lora.loss_mask import EncodedChat
from groundtune.tune.lora.plan import LoraPlan
from groundtune.tune.lora.reply_loss import continues_alike, runs_at_positions, with_reply_loss
from groundtune.tune.lora.score import score, state_sort_key, validation_sample
from groundtune.tune.lora.training_cost import needs_gradient_checkpointing, split_step

PARENT = "GROUNDTUNE_PARENT"
"""Environment variable with the id of the process that started several; set in each of these."""
SAVE_SECONDS = 300.0
"""An epoch that takes longer is saved midway too."""
WARM_UP = 0.03
"""Share of the steps in which the learning rate warms up."""
PACK_TOKENS = 2048
"""Longest pack, unless a row is longer. Attention memory grows with the square of the pack length."""


def train_weights(plan: LoraPlan, report_step: ProgressCallback) -> None:
    """Train to the end; leave the best checkpoint and fit.json in the job's checkpoint folder.

    Raises TuneError when the optimiser's state could not be restored, or the loss became NaN or infinite before the
    first usable checkpoint; SystemExit after SIGTERM, with a checkpoint.
    """
    disable_telemetry()
    folder = plan.job.checkpoint
    checkpoint = latest_checkpoint(folder)
    path, state = checkpoint or (None, TrainingState())
    if not state.stopped:
        trainer = make_trainer(plan, fresh=path is None)
        monitor = TrainingMonitor(plan, report_step, state, resumed=path is not None)
        base = need("transformers", extra="local").TrainerCallback
        trainer.add_callback(type("Callback", (MonitorCallback, base), {})(monitor))
        with on_sigterm(lambda: monitor.stop("signal")):  # the step ends, then a checkpoint is written
            trainer.train(resume_from_checkpoint=None if path is None else str(path))
        state = monitor.state
        if state.stopped == "signal":
            raise SystemExit(128 + signal.SIGTERM)
    if state.best is None:
        raise TuneError(
            f"the loss became NaN or infinite at step {state.step}, before the first usable checkpoint",
            hint="lower learning_rate, or use a base model that is not damaged",
        )
    if is_main_process():
        write_result(folder, state)


def disable_telemetry() -> None:
    """Disable telemetry; otherwise TRL reports every training run to its developers."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    vars(need("huggingface_hub.constants", extra="local"))["HF_HUB_DISABLE_TELEMETRY"] = True


def is_main_process() -> bool:
    """Whether this is the first of several processes, the one that writes."""
    return os.environ.get("RANK", "0") == "0"


def make_trainer(plan: LoraPlan, *, fresh: bool) -> Any:
    """Return TRL's trainer on our tokens. Raises TuneError if its tokens differ from those it was given."""
    trl, datasets = need("trl", extra="local"), need("datasets", extra="local")
    recipe, preferences = plan.recipe, plan.recipe.mode == "dpo"
    four_bit = recipe.mode == "qlora"
    model = load_model(plan.base.located, dtype=plan.dtype, device=plan.device, four_bit=four_bit)
    if recipe.packing and not preferences:
        parity_gate.check_packing(model, plan)
    tokenizer = plan.format.tokenizer
    tokenizer.pad_token_id = plan.format.pad_id
    shape = _pairs if preferences else _labelled
    rows = datasets.Dataset.from_list(shape(plan.train))
    validation = datasets.Dataset.from_list(shape(plan.validation)) if plan.validation else None
    kind = _prepared(trl.DPOTrainer) if preferences else trl.SFTTrainer
    if not preferences and runs_at_positions(model, plan.train[0].token_ids):
        kind = with_reply_loss(kind, shares_beginnings=continues_alike(model, plan.train[0].token_ids))
    config = trl.DPOConfig if preferences else trl.SFTConfig
    trainer = kind(
        model=model,
        args=config(**_arguments(plan, fresh=fresh)),
        train_dataset=rows,
        eval_dataset=validation,
        processing_class=tokenizer,
        peft_config=_adapter(plan) if recipe.adapter else None,
    )
    trainer.remove_callback(need("transformers", extra="local").PrinterCallback)  # progress.jsonl has it all
    _check_rows(trainer, rows, "completion_mask" if preferences else "labels")
    return trainer


def _check_rows(trainer: Any, rows: Any, name: str) -> None:
    """Raise TuneError if the trainer holds, or trains on, tokens that differ from those it was given."""
    columns = ("chosen_ids", "rejected_ids") if name == "completion_mask" else ("input_ids",)
    given, stored = (
        sum(len(ids) for key in columns for ids in dataset[key]) for dataset in (rows, trainer.train_dataset)
    )
    few = [trainer.train_dataset[n] for n in range(min(8, len(trainer.train_dataset)))]
    if name == "labels":
        expected = sum(label != -100 for row in few for label in row["labels"])
        trained = int((trainer.data_collator(few)["labels"] != -100).sum())
    else:
        expected = sum(len(row[key]) for row in few for key in columns)
        trained = int(trainer.data_collator(few)["completion_mask"].sum())
    if given != stored or expected != trained:
        raise TuneError(
            f"TRL kept {stored} of {given} tokens, and trains on {trained} instead of {expected} of the first rows",
            hint="pip install --upgrade 'groundtune[local]'",
        )


def _prepared(trainer: type) -> type:
    """Skip the tokenization of DPOTrainer: our rows are tokenized already."""
    return type(trainer.__name__, (trainer,), {"_prepare_dataset": lambda _, rows, *__, **___: rows})


def _labelled(chats: list[EncodedChat]) -> list[dict[str, list[int]]]:
    return [
        {
            "input_ids": list(chat.token_ids),
            "labels": [-100] * chat.reply_start + list(chat.token_ids[chat.reply_start :]),
        }
        for chat in chats
    ]


def _pairs(chats: list[EncodedChat]) -> list[dict[str, list[int]]]:
    return [
        {
            "prompt_ids": list(chat.token_ids[: chat.reply_start]),
            "chosen_ids": list(chat.token_ids[chat.reply_start :]),
            "rejected_ids": list(chat.rejected_ids or ()),
        }
        for chat in chats
    ]


def _adapter(plan: LoraPlan) -> Any:
    """Return a LoRA on every linear layer, with nothing that vLLM could not serve beside other adapters."""
    return need("peft", extra="local").LoraConfig(
        r=plan.recipe.rank,
        lora_alpha=plan.recipe.alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def _arguments(plan: LoraPlan, *, fresh: bool) -> dict[str, Any]:
    recipe, packing = plan.recipe, plan.recipe.packing and plan.recipe.mode != "dpo"
    pack, batch, accumulate = _packs(plan) if packing else (None, *split_step(plan))
    # Within one step, rows of similar length share a batch, which changes no gradient. TRL draws another order when
    # resumed on several GPUs, and dpo has no such lengths.
    rebalance = accumulate > 1 and recipe.gpus == 1 and recipe.mode != "dpo" and not packing
    more: dict[str, Any] = {} if recipe.mode == "dpo" else {"packing": packing, "eval_packing": False}
    if rebalance and hasattr(need("transformers.trainer_pt_utils", extra="local"), "BatchRebalanceSampler"):
        more["train_sampling_strategy"] = "batch_rebalance"
    return {
        "output_dir": str(plan.job.checkpoint / STEPS),
        "num_train_epochs": recipe.schedule.epochs,
        "learning_rate": recipe.schedule.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": WARM_UP,
        "per_device_train_batch_size": batch,
        "per_device_eval_batch_size": recipe.batch_size,
        "gradient_accumulation_steps": accumulate,
        "max_length": pack,
        "gradient_checkpointing": needs_gradient_checkpointing(plan),
        "bf16": plan.bfloat16,
        "use_cpu": plan.device == "cpu",
        "dataloader_pin_memory": plan.device == "cuda",
        "seed": recipe.seed,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "eval_strategy": "epoch" if plan.validation else "no",
        "eval_on_start": bool(plan.validation) and fresh,
        "save_strategy": "epoch",
        "save_total_limit": 2,
        "report_to": [],
        "disable_tqdm": True,
        **more,
    }


def _packs(plan: LoraPlan) -> tuple[int, int, int]:
    """Return tokens per pack, packs per batch, batches per step: a step takes about as many rows as without packing.

    A pack holds at most one batch of concatenated rows. TRL also concatenates the packs of a batch, so use one pack per
    batch.
    """
    mean = sum(len(chat.token_ids) for chat in plan.train) / len(plan.train)
    target = mean * plan.recipe.batch_size
    pack = max(
        max(len(chat.token_ids) for chat in plan.train), min(math.ceil(target), plan.limit or PACK_TOKENS, PACK_TOKENS)
    )
    return pack, 1, max(1, round(target * plan.recipe.schedule.accumulate / pack))


class TrainingMonitor:
    """Report progress, keep the best checkpoint, and decide when to stop while the trainer runs."""

    def __init__(self, plan: LoraPlan, report_step: ProgressCallback, state: TrainingState, *, resumed: bool) -> None:
        self.plan = plan
        self.report_step: ProgressCallback = report_step if is_main_process() else lambda _: None
        self.state = state
        self.resumed = resumed
        self.tokens = sum(len(chat.token_ids) for chat in plan.train)
        self.began = self.saved = time.monotonic() - state.seconds
        self.step_began = 0.0

    def stop(self, why: str) -> None:
        self.state.stopped = self.state.stopped or why

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def report(self, trainer: Any, *, note: str = "", **metrics: float) -> None:
        epoch = float(trainer.epoch or 0.0)
        self.report_step(
            TrainingStep(
                epoch, trainer.global_step, trainer.max_steps, loss=self.state.loss, metrics=metrics, note=note
            )
        )

    def begin(self, trainer: Any, optimizer: Any) -> None:
        self.saved = time.monotonic()
        if not self.resumed:
            return
        if trainer.global_step != self.state.step:
            raise TuneError(f"the trainer resumed at step {trainer.global_step}, not at {self.state.step}")
        folder = self.plan.job.checkpoint
        check_optimizer(summarise_optimizer(optimizer), self.state.optimizer, step=self.state.step, folder=folder)
        self.state.resumed.append(self.state.step)
        self.report(trainer, note=f"resumed after step {self.state.step}; the optimiser's state was restored")

    def record_loss(self, trainer: Any, logs: dict[str, float]) -> None:
        if "loss" not in logs:
            return
        self.state.step_seconds += time.monotonic() - self.step_began  # the device has finished the step here
        loss = float(logs["loss"])
        finite = math.isfinite(loss) and math.isfinite(float(logs.get("grad_norm", 0.0)))
        self.state.step, self.state.loss = trainer.global_step, loss if finite else self.state.loss
        self.state.tokens = int(self.tokens * float(trainer.epoch or 0.0))
        if not finite:
            self.state.stopped = "loss"
        self.report(trainer, note="" if finite else "the loss became NaN or infinite: stopped")

    def evaluate(self, trainer: Any, model: Any, metrics: dict[str, float]) -> None:
        """Evaluate after an epoch, and once before the first."""
        scores = {"loss": float(metrics["eval_loss"])}
        if "eval_rewards/accuracies" in metrics:
            scores["preferred"] = float(metrics["eval_rewards/accuracies"])
        scores |= score(model, self.plan, answered=partial(self._answered, trainer))
        scores = {name: value for name, value in scores.items() if math.isfinite(value)}
        self.report(trainer, note="" if trainer.global_step else "before training", **scores)
        if not trainer.global_step:
            self.state.before = scores
            return
        self.state.history.append({"step": trainer.global_step, **scores})
        mode = self.plan.recipe.mode
        if self.state.best is None or state_sort_key(scores, mode=mode) > state_sort_key(self.state.metrics, mode=mode):
            self.save_best(trainer, model, scores)
        else:
            self.state.waits += 1
            if self.state.waits >= self.plan.recipe.patience:
                self.stop("patience")

    def _answered(self, trainer: Any, done: int) -> None:
        """Report how many validation rows are answered. Ends the process if it was stopped before the first step."""
        if self.state.stopped == "signal" and not trainer.global_step:
            raise SystemExit(128 + signal.SIGTERM)
        model = f"after epoch {trainer.epoch:.0f}" if trainer.global_step else "before training"
        self.report(trainer, note=f"{model}: answered {done} of {len(validation_sample(self.plan))}")

    def save_best(self, trainer: Any, model: Any, metrics: dict[str, float]) -> None:
        """Keep this checkpoint as the best so far."""
        self.state.best = f"best-{trainer.global_step}"
        self.state.best_step, self.state.metrics, self.state.waits = trainer.global_step, metrics, 0
        if is_main_process():
            folder = self.plan.job.checkpoint / self.state.best
            more = {"save_embedding_layers": False} if self.plan.recipe.adapter else {}
            model.save_pretrained(folder, **more)
            parity_gate.write_reference(model, self.plan, folder)

    def write_checkpoint(self, trainer: Any, model: Any, optimizer: Any) -> None:
        if not self.plan.validation:
            self.save_best(trainer, model, {})
        self.saved = time.monotonic()
        self.state.seconds, self.state.optimizer = self.seconds, summarise_optimizer(optimizer)
        if is_main_process():
            stopped = self.state.stopped
            self.state.stopped = "" if stopped == "signal" else stopped
            write_state(self.plan.job.checkpoint / STEPS / f"checkpoint-{trainer.global_step}", self.state)
            self.state.stopped = stopped

    def checkpoint_due(self, trainer: Any) -> bool:
        """Whether a checkpoint is due now; the end of an epoch saves by itself."""
        if PARENT in os.environ and not psutil.pid_exists(int(os.environ[PARENT])):
            self.stop("signal")  # the parent was killed and could not pass the signal on
        minutes = self.plan.recipe.max_minutes
        if minutes is not None and self.seconds > 60 * minutes:
            self.stop("max_minutes")
        due = self.state.stopped == "signal" or time.monotonic() - self.saved > SAVE_SECONDS
        return due and not _is_whole(trainer.epoch)


class MonitorCallback:
    """Pass the trainer's events on; among several processes, the first decides for all."""

    def __init__(self, monitor: TrainingMonitor) -> None:
        self.monitor = monitor

    def on_train_begin(self, args: Any, state: Any, control: Any, optimizer: Any = None, **_: Any) -> None:
        self.monitor.begin(state, optimizer)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.monitor.step_began = time.monotonic()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        self.monitor.record_loss(state, logs or {})
        if self.monitor.state.stopped == "loss":  # a signal waits for the end of the step, which saves
            self._end(control)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        due = self.monitor.checkpoint_due(state)
        due, self.monitor.state.stopped = _agreed((due, self.monitor.state.stopped), self.monitor.plan)
        control.should_save = control.should_save or due
        control.should_training_stop = control.should_training_stop or bool(self.monitor.state.stopped)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._end(control)
        if self.monitor.state.stopped == "signal" and not _is_whole(state.epoch):
            control.should_evaluate = control.should_save = False  # already saved after its last step

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, model: Any = None, **_: Any
    ) -> None:
        self.monitor.evaluate(state, model, metrics)
        self.monitor.state.stopped = _agreed(self.monitor.state.stopped, self.monitor.plan)
        self._end(control)

    def on_save(self, args: Any, state: Any, control: Any, model: Any = None, optimizer: Any = None, **_: Any) -> None:
        self.monitor.write_checkpoint(state, model, optimizer)

    def _end(self, control: Any) -> None:
        stopped = self.monitor.state.stopped
        control.should_training_stop = control.should_training_stop or bool(stopped)
        if stopped == "loss":
            control.should_evaluate = control.should_save = False


def _is_whole(epoch: float | None) -> bool:
    return abs((epoch or 0.0) - round(epoch or 0.0)) < 1e-9


def _agreed(value: Any, plan: LoraPlan) -> Any:
    """Return the first process's value in all processes."""
    if plan.recipe.gpus == 1:
        return value
    values = [value]
    need("accelerate", extra="local").utils.broadcast_object_list(values)
    return values[0]
