"""Turn a job of kind `lora` into everything its training needs, checked. Loads no weights, writes nothing."""

import importlib.util
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from groundtune.common.files import digest_text
from groundtune.errors import MissingError, need
from groundtune.models.torch_device import choose_device, has_fast_bfloat16
from groundtune.tune.artifacts import dataset_digest
from groundtune.tune.base_model import Base, find_base, load_tokenizer, model_end_ids
from groundtune.tune.job import Job, TrainingRow, TuneError
from groundtune.tune.lora.frozen_clock import freeze_clock, reads_clock
from groundtune.tune.lora.loss_mask import ChatFormat, EncodedChat, encode, find_chat_format
from groundtune.tune.lora.schedule import Schedule, choose_schedule

WIDE = 512
"""Minimum hidden size at which bfloat16 is faster on a CPU."""
NOT_COMPARED = {"max_minutes", "device"}
"""Settings that may change before a training run is resumed."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The table [tune.NAME] with the trainer's own defaults."""

    mode: str
    schedule: Schedule
    batch_size: int
    packing: bool
    patience: int
    rank: int
    alpha: int
    seed: int
    max_tokens: int | None
    allow_truncation: int
    max_minutes: float | None
    gpus: int
    device: str | None

    @property
    def adapter(self) -> bool:
        """Whether an adapter is trained while the base model stays frozen."""
        return self.mode != "full"


@dataclass(frozen=True, slots=True)
class LoraPlan:
    """A training run that is ready to start: rows as tokens, base model, recipe."""

    job: Job
    recipe: Recipe
    base: Base
    format: ChatFormat
    train: list[EncodedChat]
    validation: list[EncodedChat]
    validation_rows: list[TrainingRow]
    """Validation rows; the last message is the expected reply."""
    limit: int | None
    device: str
    bfloat16: bool
    """Whether to compute in bfloat16, whatever the weights are stored in."""
    dtype: str
    """Precision of the weights during training."""
    frozen_date: str | None
    """ISO date that the chat template writes from now on, instead of the current one; None if it writes none."""
    fingerprint: str
    """Digest of rows, settings and base model; a checkpoint with a different one is not resumed."""


def read_recipe(job: Job, *, rows: int, width: int) -> Recipe:
    """Return the job's settings, completed. rows: of the train split; width: hidden size of the base model."""
    settings = {key: value for key, value in job.settings.items() if value is not None}
    mode = str(settings.get("mode", "lora"))
    rank, batch_size, gpus = (
        int(settings.get(key, value)) for key, value in (("rank", 16), ("batch_size", 4), ("gpus", 1))
    )
    schedule = choose_schedule(
        rows,
        mode=mode,
        width=width,
        batch_size=batch_size,
        gpus=gpus,
        **{key: settings.get(key) for key in ("epochs", "accumulate", "learning_rate")},
    )
    return Recipe(
        mode=mode,
        schedule=schedule,
        batch_size=batch_size,
        packing=bool(settings.get("packing", False)),
        patience=int(settings.get("patience", 2)),
        rank=rank,
        alpha=int(settings.get("alpha", 2 * rank)),
        seed=int(settings.get("seed", 0)),
        max_tokens=settings.get("max_tokens"),
        allow_truncation=int(settings.get("allow_truncation", 0)),
        max_minutes=settings.get("max_minutes"),
        gpus=gpus,
        device=settings.get("device"),
    )


def prepare(job: Job) -> LoraPlan:
    """Check a job and return its plan.

    Raises MissingError if the base model, the extra or the device is missing; TuneError for rows that cannot be trained
    on.
    """
    for module in ("torch", "transformers", "peft", "trl", "datasets", "accelerate"):
        need(module, extra="local")
    device = choose_device(job.settings.get("device"))
    if job.settings.get("mode") == "qlora":
        _check_four_bit(device)
    base, rows = find_base(job.base), job.rows("train")
    width = base.config.get_text_config().hidden_size
    recipe = read_recipe(job, rows=len(rows), width=width)
    tokenizer, frozen_date = trained_tokenizer(job, base)
    chat_format = find_chat_format(tokenizer, model_end_ids(base), name=job.base)
    limit = _limit(recipe, base)
    if not rows:
        raise TuneError("there are no rows to train on", hint="groundtune examples import")
    preferences = recipe.mode == "dpo"
    validation_rows = [row for row in job.rows("validation") if row.rejected or not preferences]
    allowed = recipe.allow_truncation
    train = encode(rows, chat_format, limit=limit, allow_truncation=allowed, pairs=preferences)
    validation = encode(validation_rows, chat_format, limit=limit, allow_truncation=allowed, pairs=preferences)
    fast = has_fast_bfloat16(device) and (device == "cuda" or width >= WIDE)
    weights = "bfloat16" if recipe.adapter and fast and base.dtype == "bfloat16" else "float32"
    return LoraPlan(
        job=job,
        recipe=recipe,
        base=base,
        format=chat_format,
        train=train,
        validation=validation,
        validation_rows=validation_rows,
        limit=limit,
        device=device,
        bfloat16=fast,
        dtype="bfloat16" if recipe.mode == "qlora" else weights,
        frozen_date=frozen_date,
        fingerprint=_fingerprint(job, base, recipe),
    )


def trained_tokenizer(job: Job, base: Base) -> tuple[Any, str | None]:
    """Load the base model's tokenizer. If its chat template writes the current date, it writes that of this training
    from now on, which is returned too.

    The time is that of the rows, which stays the same when the training is resumed.
    """
    tokenizer = load_tokenizer(base.located)
    if not reads_clock(tokenizer):
        return tokenizer, None
    begun = datetime.fromtimestamp((job.folder / "train.jsonl").stat().st_mtime).astimezone()
    freeze_clock(tokenizer, begun)
    return tokenizer, begun.date().isoformat()


def tokenizer_digests(tokenizer: Any) -> dict[str, str]:
    """Digests of vocabulary and chat template; both change the prompt that a model sees."""
    vocabulary = json.dumps(tokenizer.get_vocab(), sort_keys=True)
    return {"tokenizer": digest_text(vocabulary), "template": digest_text(str(tokenizer.chat_template))}


def _check_four_bit(device: str) -> None:
    if device != "cuda":
        raise MissingError(
            'mode = "qlora" keeps the base model in 4 bits, which needs a CUDA device, but torch cannot find one',
            hint='set mode = "lora", or train on a machine with a GPU',
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingError('bitsandbytes is not installed; mode = "qlora" needs it', hint="pip install bitsandbytes")


def _limit(recipe: Recipe, base: Base) -> int | None:
    window = base.located.window
    if recipe.max_tokens and window and recipe.max_tokens > window:
        raise TuneError(
            f"max_tokens = {recipe.max_tokens}, but the base model's limit is {window}",
            hint=f"set max_tokens = {window}, or use a base model with a larger context window",
        )
    return recipe.max_tokens or window


def _fingerprint(job: Job, base: Base, recipe: Recipe) -> str:
    settings = {key: value for key, value in job.settings.items() if key not in NOT_COMPARED}
    about = {"settings": settings, "base": base.located.digest, "rows": dataset_digest(job.folder)}
    about |= {"kind": job.kind, "details": job.details, "schedule": asdict(recipe.schedule)}
    return digest_text(json.dumps(about, sort_keys=True, default=str))
