"""Turn a job of kind `lora` into everything its training needs, checked. Loads no weights, writes nothing."""

import importlib.util
import json
from dataclasses import dataclass
from typing import Any

from groundtune.common.files import digest_text
from groundtune.errors import MissingError, need
from groundtune.tune.artifacts import dataset_digest
from groundtune.tune.base_model import (
    Base,
    choose_device,
    find_base,
    has_fast_bfloat16,
    load_tokenizer,
    model_end_ids,
)
from groundtune.tune.job import Job, TrainingRow, TuneError
from groundtune.tune.lora.loss_mask import ChatFormat, EncodedChat, encode, find_chat_format

RATES = {"lora": 2e-4, "qlora": 2e-4, "full": 2e-5, "dpo": 1e-5}
"""Learning rates; adapters take about ten times those of full training."""
WIDE = 512
"""Hidden size from which bfloat16 pays on a CPU."""
NOT_COMPARED = {"max_minutes", "device"}
"""Settings that may change before a training is resumed."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The table [tune.NAME] with the trainer's own defaults."""

    mode: str
    epochs: int
    learning_rate: float
    batch_size: int
    accumulate: int
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
        """Whether an adapter is trained while the base stays frozen."""
        return self.mode != "full"


@dataclass(frozen=True, slots=True)
class LoraPlan:
    """A training that is ready to run: rows as tokens, base, recipe."""

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
    fingerprint: str
    """Digest of rows, settings and base; a checkpoint with another one is not resumed."""


def read_recipe(job: Job) -> Recipe:
    settings = {key: value for key, value in job.settings.items() if value is not None}
    mode = str(settings.get("mode", "lora"))
    rank = int(settings.get("rank", 16))
    return Recipe(
        mode=mode,
        epochs=int(settings.get("epochs", 3)),
        learning_rate=float(settings.get("learning_rate", RATES[mode])),
        batch_size=int(settings.get("batch_size", 4)),
        accumulate=int(settings.get("accumulate", 4)),
        packing=bool(settings.get("packing", False)),
        patience=int(settings.get("patience", 2)),
        rank=rank,
        alpha=int(settings.get("alpha", 2 * rank)),
        seed=int(settings.get("seed", 0)),
        max_tokens=settings.get("max_tokens"),
        allow_truncation=int(settings.get("allow_truncation", 0)),
        max_minutes=settings.get("max_minutes"),
        gpus=int(settings.get("gpus", 1)),
        device=settings.get("device"),
    )


def prepare(job: Job) -> LoraPlan:
    """Check a job and return its plan.

    Raises MissingError without the base, the extra or the device; TuneError for rows that cannot be trained on.
    """
    recipe = read_recipe(job)
    for module in ("torch", "transformers", "peft", "trl", "datasets", "accelerate"):
        need(module, extra="local")
    device = choose_device(recipe.device)
    if recipe.mode == "qlora":
        _check_four_bit(device)
    base = find_base(job.base)
    tokenizer = load_tokenizer(base.source, revision=base.revision)
    form = find_chat_format(tokenizer, model_end_ids(base), name=job.base)
    limit = _limit(recipe, base)
    rows = job.rows("train")
    if not rows:
        raise TuneError("there are no rows to train on", hint="groundtune examples import")
    preferences = recipe.mode == "dpo"
    validation_rows = [row for row in job.rows("validation") if row.rejected or not preferences]
    allowed = recipe.allow_truncation
    train = encode(rows, form, limit=limit, allow_truncation=allowed, pairs=preferences)
    validation = encode(validation_rows, form, limit=limit, allow_truncation=allowed, pairs=preferences)
    fast = has_fast_bfloat16(device) and (device == "cuda" or base.config.get_text_config().hidden_size >= WIDE)
    weights = "bfloat16" if recipe.adapter and fast and base.dtype == "bfloat16" else "float32"
    return LoraPlan(
        job=job,
        recipe=recipe,
        base=base,
        format=form,
        train=train,
        validation=validation,
        validation_rows=validation_rows,
        limit=limit,
        device=device,
        bfloat16=fast,
        dtype="bfloat16" if recipe.mode == "qlora" else weights,
        fingerprint=_fingerprint(job, base),
    )


def tokenizer_digests(tokenizer: Any) -> dict[str, str]:
    """Digests of vocabulary and chat template; both change the prompt that a model sees."""
    vocabulary = json.dumps(tokenizer.get_vocab(), sort_keys=True)
    return {"tokenizer": digest_text(vocabulary), "template": digest_text(str(tokenizer.chat_template))}


def _check_four_bit(device: str) -> None:
    if device != "cuda":
        raise MissingError(
            'mode = "qlora" keeps the base in 4 bits, which needs a CUDA device, and torch finds none',
            hint='set mode = "lora", or train on a machine with a GPU',
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingError('bitsandbytes is not installed; mode = "qlora" needs it', hint="pip install bitsandbytes")


def _limit(recipe: Recipe, base: Base) -> int | None:
    if recipe.max_tokens and base.window and recipe.max_tokens > base.window:
        raise TuneError(
            f"max_tokens = {recipe.max_tokens}, but the base reads at most {base.window}",
            hint=f"set max_tokens = {base.window}, or use a base with a larger window",
        )
    return recipe.max_tokens or base.window


def _fingerprint(job: Job, base: Base) -> str:
    settings = {key: value for key, value in job.settings.items() if key not in NOT_COMPARED}
    about = {"settings": settings, "base": base.digest, "rows": dataset_digest(job.folder)}
    about |= {"kind": job.kind, "details": job.details}
    return digest_text(json.dumps(about, sort_keys=True, default=str))
