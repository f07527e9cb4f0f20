"""A job of kind `lora` to everything that its training needs, checked. Loads no weights, writes nothing."""

import importlib.util
import json
from dataclasses import dataclass
from typing import Any

from groundtune.errors import MissingError, need
from groundtune.tune.artifacts import dataset_digest
from groundtune.tune.base import (
    Base,
    choose_device,
    find_base,
    has_fast_bfloat16,
    load_tokenizer,
    model_ends,
)
from groundtune.tune.chat import Chat, Format, encode, find_format
from groundtune.tune.job import Job, Row, TuneError
from groundtune.workspace import digest_text

RATES = {"lora": 2e-4, "qlora": 2e-4, "full": 2e-5, "dpo": 1e-5}
"""Learning rates; adapters take about ten times those of full training."""
WIDE = 512
"""Hidden size from which bfloat16 pays on a processor."""
NOT_COMPARED = {"max_minutes", "device"}
"""Settings that may change before a training is continued."""


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
        """Whether an adapter is trained, and the base left as it is."""
        return self.mode != "full"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is trained on what, and how."""

    job: Job
    recipe: Recipe
    base: Base
    form: Format
    train: list[Chat]
    validation: list[Chat]
    rows: list[Row]
    """Of the validation split: what the model is asked to say there."""
    limit: int | None
    device: str
    bfloat16: bool
    """Computed in bfloat16, whatever the weights are kept in."""
    dtype: str
    """In which the weights are kept while they are trained."""
    fingerprint: str
    """Of rows, settings and base: a checkpoint of another one is not gone on with."""


def read_recipe(job: Job) -> Recipe:
    given = {key: value for key, value in job.settings.items() if value is not None}
    mode = str(given.get("mode", "lora"))
    rank = int(given.get("rank", 16))
    return Recipe(
        mode=mode,
        epochs=int(given.get("epochs", 3)),
        learning_rate=float(given.get("learning_rate", RATES[mode])),
        batch_size=int(given.get("batch_size", 4)),
        accumulate=int(given.get("accumulate", 4)),
        packing=bool(given.get("packing", False)),
        patience=int(given.get("patience", 2)),
        rank=rank,
        alpha=int(given.get("alpha", 2 * rank)),
        seed=int(given.get("seed", 0)),
        max_tokens=given.get("max_tokens"),
        allow_truncation=int(given.get("allow_truncation", 0)),
        max_minutes=given.get("max_minutes"),
        gpus=int(given.get("gpus", 1)),
        device=given.get("device"),
    )


def prepare(job: Job) -> Plan:
    """Raises MissingError without the base, the extra or the device; TuneError for rows that cannot be trained on."""
    recipe = read_recipe(job)
    for module in ("torch", "transformers", "peft", "trl", "datasets", "accelerate"):
        need(module, extra="local")
    device = choose_device(recipe.device)
    if recipe.mode == "qlora":
        _check_four_bit(device)
    base = find_base(job.base)
    tokenizer = load_tokenizer(base.source, revision=base.revision)
    form = find_format(tokenizer, model_ends(base), name=job.base)
    limit = _limit(recipe, base)
    rows = job.rows("train")
    if not rows:
        raise TuneError("there are no rows to train on", hint="groundtune examples import")
    preferences = recipe.mode == "dpo"
    checked = [row for row in job.rows("validation") if row.rejected or not preferences]
    cut = recipe.allow_truncation
    train = encode(rows, form, limit=limit, allow_truncation=cut, pairs=preferences)
    validation = encode(checked, form, limit=limit, allow_truncation=cut, pairs=preferences)
    fast = has_fast_bfloat16(device) and (device == "cuda" or base.config.get_text_config().hidden_size >= WIDE)
    kept = "bfloat16" if recipe.adapter and fast and base.dtype == "bfloat16" else "float32"
    return Plan(
        job=job,
        recipe=recipe,
        base=base,
        form=form,
        train=train,
        validation=validation,
        rows=checked,
        limit=limit,
        device=device,
        bfloat16=fast,
        dtype="bfloat16" if recipe.mode == "qlora" else kept,
        fingerprint=_fingerprint(job, base),
    )


def digests_of(tokenizer: Any) -> dict[str, str]:
    """Of vocabulary and chat template; both change what a model is asked."""
    vocabulary = json.dumps(tokenizer.get_vocab(), sort_keys=True)
    return {"tokenizer": digest_text(vocabulary), "template": digest_text(str(tokenizer.chat_template))}


def _check_four_bit(device: str) -> None:
    if device != "cuda":
        raise MissingError(
            'mode = "qlora" holds the base in 4 bits, which works on a CUDA device only, and torch finds none',
            hint='mode = "lora", or train on a machine with a GPU',
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingError('bitsandbytes is not installed; mode = "qlora" needs it', hint="pip install bitsandbytes")


def _limit(recipe: Recipe, base: Base) -> int | None:
    if recipe.max_tokens and base.window and recipe.max_tokens > base.window:
        raise TuneError(
            f"max_tokens = {recipe.max_tokens}, and the base takes {base.window}",
            hint=f"max_tokens = {base.window}, or a base with a larger window",
        )
    return recipe.max_tokens or base.window


def _fingerprint(job: Job, base: Base) -> str:
    settings = {key: value for key, value in job.settings.items() if key not in NOT_COMPARED}
    about = {"settings": settings, "base": base.digest, "rows": dataset_digest(job.folder)}
    about |= {"kind": job.kind, "details": job.details}
    return digest_text(json.dumps(about, sort_keys=True, default=str))
