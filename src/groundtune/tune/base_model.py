"""Find, describe and load the base model of a training run. Never changes it."""

import os
from dataclasses import dataclass, replace
from typing import Any

from groundtune.errors import need
from groundtune.models.hub import (
    CAUSAL_MODEL,
    LocatedModel,
    context_window,
    loading,
    locate_model,
    model_hint,
    refuse_missing_weights,
)
from groundtune.tune.job import TuneError

HINT = model_hint(CAUSAL_MODEL)


@dataclass(frozen=True, slots=True)
class Base:
    """A model to train from, with its configuration but without its weights."""

    located: LocatedModel
    config: Any
    """The configuration as an object of `transformers`, which fills in the defaults of its architecture."""

    @property
    def dtype(self) -> str:
        """Precision in which its weights are stored: float32, bfloat16, float16."""
        return str(self.config.get_text_config().dtype or self.config.dtype or "float32").removeprefix("torch.")


def find_base(name: str, *, kind: str = CAUSAL_MODEL) -> Base:
    """Find a model on disk or on the Hugging Face Hub. Raises MissingError, and TuneError for quantised weights."""
    located = locate_model(name, kind=kind)
    if located.config.get("quantization_config"):
        raise TuneError(
            f"the weights of {name} are quantised: an adapter can only be merged into full-precision weights",
            hint='name the original model; mode = "qlora" quantises it during training',
        )
    with loading(f"the model {name!r}", hint=model_hint(kind)):
        config = need("transformers", extra="local").AutoConfig.from_pretrained(located.source, **located.options)
    window = context_window(config.get_text_config().to_dict())
    return Base(replace(located, window=window), config)


def check_base(name: str, digest: str) -> None:
    """Raise TuneError if the base model has changed since a model was trained from it, MissingError if it is gone."""
    if (now := find_base(name).located.digest) != digest:
        raise TuneError(
            f"{name} has changed since training: its digest is now {now} instead of {digest}",
            hint="restore the earlier model, or train again",
        )


def load_tokenizer(model: LocatedModel | str) -> Any:
    """Load the tokenizer. Raises MissingError."""
    source, options = _from_pretrained(model)
    with loading(f"the tokenizer of {source!r}", hint=HINT):
        return need("transformers", extra="local").AutoTokenizer.from_pretrained(source, **options)


def model_end_ids(base: Base) -> list[int]:
    """Return the end-of-turn tokens according to the model's own files."""
    library = need("transformers", extra="local")
    try:
        config = library.GenerationConfig.from_pretrained(base.located.source, **base.located.options)
    except (OSError, ValueError):
        config = base.config.get_text_config()
    ends = config.eos_token_id
    return [] if ends is None else list(ends) if isinstance(ends, list) else [ends]


def load_model(model: LocatedModel | str, *, dtype: str, device: str, four_bit: bool = False) -> Any:
    """Load a causal model with all its weights, in evaluation mode. Raises MissingError."""
    torch, library = need("torch", extra="local"), need("transformers", extra="local")
    library.utils.logging.disable_progress_bar()
    source, options = _from_pretrained(model)
    if four_bit:
        options["device_map"] = {"": int(os.environ.get("LOCAL_RANK", "0"))}
        options["quantization_config"] = library.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    with loading(f"the model {source!r}", hint=HINT):
        loaded, report = library.AutoModelForCausalLM.from_pretrained(
            source, dtype=getattr(torch, dtype), output_loading_info=True, **options
        )
    refuse_missing_weights(source, report["missing_keys"], hint=HINT)
    return (loaded if four_bit else loaded.to(device)).eval()


def _from_pretrained(model: LocatedModel | str) -> tuple[str, dict[str, Any]]:
    """Return the arguments of `from_pretrained`; a string is the folder of a model that was written here."""
    return (model, {}) if isinstance(model, str) else (model.source, dict(model.options))
