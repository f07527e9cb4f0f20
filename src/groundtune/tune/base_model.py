"""Find, describe and load the model that a causal training starts from. Never changes it."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.common.files import digest_file
from groundtune.errors import MissingError, need
from groundtune.tune.job import TuneError

HINT = "name a causal model on the hub (OWNER/NAME), or the path of its folder"
PARTS = (".json", ".jinja", ".model", ".txt", ".safetensors", ".bin")
"""Suffixes of the files that a model depends on."""
NO_PART = {"trainer_state.json", "artifact.json"}
_WINDOWS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")


@dataclass(frozen=True, slots=True)
class Base:
    """A model that was found, with its configuration but without its weights."""

    source: str
    """Argument for `from_pretrained`: a folder, or a name on the hub."""
    revision: str | None
    """Commit on the hub; None for a folder."""
    digest: str
    """Digest of all files of a folder; the commit of a model on the hub."""
    window: int | None
    """Context window in tokens; None when the configuration does not say."""
    dtype: str
    """Precision in which its weights are stored: float32, bfloat16, float16."""
    config: Any


def find_base(name: str) -> Base:
    """Look for a model on disk, then on the hub. Raises MissingError, and TuneError for weights of 4 or 8 bits."""
    library = need("transformers", extra="local")
    folder = Path(name).expanduser()
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise MissingError(f"{folder} has no config.json: it is not a model folder", hint=HINT)
    if not folder.is_dir() and (folder.is_absolute() or name.startswith((".", "~")) or len(folder.parts) > 2):
        raise MissingError(f"no model at {folder}", hint=HINT)
    source = str(folder) if folder.is_dir() else name
    try:
        config = library.AutoConfig.from_pretrained(source)
    except (OSError, ValueError, KeyError) as error:
        raise MissingError(f"the model {name!r} cannot be loaded: {_one_line(error)}", hint=HINT) from error
    if getattr(config, "quantization_config", None):
        raise TuneError(
            f"the weights of {name} are quantised: an adapter can only be merged into full-precision weights",
            hint='name the original model; mode = "qlora" quantises it during training',
        )
    commit = getattr(config, "_commit_hash", None)
    text = config.get_text_config()
    windows = [getattr(text, key, None) for key in _WINDOWS]
    return Base(
        source=source,
        revision=None if folder.is_dir() else commit,
        digest=_digest(folder) if folder.is_dir() else f"hub-{commit}",
        window=next((int(size) for size in windows if isinstance(size, int) and size > 0), None),
        dtype=str(text.dtype or config.dtype or "float32").removeprefix("torch."),
        config=config,
    )


def check_base(name: str, digest: str) -> Base:
    """Return the base, unchanged since something was trained on it. Raises TuneError when it changed."""
    base = find_base(name)
    if base.digest != digest:
        raise TuneError(
            f"{name} has changed since the training: its digest is {base.digest}, it was {digest}",
            hint="restore the earlier model, or train again",
        )
    return base


def load_tokenizer(source: str, *, revision: str | None = None) -> Any:
    """Load the tokenizer. Raises MissingError."""
    try:
        return need("transformers", extra="local").AutoTokenizer.from_pretrained(source, **_revision_option(revision))
    except (OSError, ValueError, KeyError) as error:
        raise MissingError(f"the tokenizer of {source!r} cannot be loaded: {_one_line(error)}", hint=HINT) from error


def model_end_ids(base: Base) -> list[int]:
    """Return the tokens that end an answer, according to the model's own files."""
    library = need("transformers", extra="local")
    try:
        config = library.GenerationConfig.from_pretrained(base.source, **_revision_option(base.revision))
    except (OSError, ValueError):
        config = base.config.get_text_config()
    ends = config.eos_token_id
    return [] if ends is None else list(ends) if isinstance(ends, list) else [ends]


def load_model(source: str, *, dtype: str, device: str, four_bit: bool = False, revision: str | None = None) -> Any:
    """Load a causal model with all its weights, in evaluation mode. Raises MissingError."""
    torch, library = need("torch", extra="local"), need("transformers", extra="local")
    damaged = need("safetensors", extra="local").SafetensorError
    library.utils.logging.disable_progress_bar()
    options: dict[str, Any] = dict(_revision_option(revision))
    if four_bit:
        options["device_map"] = {"": int(os.environ.get("LOCAL_RANK", "0"))}
        options["quantization_config"] = library.BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
    try:
        model, report = library.AutoModelForCausalLM.from_pretrained(
            source, dtype=getattr(torch, dtype), output_loading_info=True, **options
        )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, damaged) as error:
        raise MissingError(f"the model {source!r} cannot be loaded: {_one_line(error)}", hint=HINT) from error
    if missing := sorted(report["missing_keys"]):
        raise MissingError(f"{source} is incomplete: missing {missing[0]} ({len(missing)} weights in all)", hint=HINT)
    return (model if four_bit else model.to(device)).eval()


def choose_device(wanted: str | None) -> str:
    """Return cpu or cuda. Raises MissingError."""
    if wanted == "cpu":
        return "cpu"
    cuda = need("torch", extra="local").cuda
    if cuda.is_available():
        return "cuda"
    if wanted:
        raise MissingError(
            f"torch finds no device {wanted!r}", hint='set device = "cpu", or install a torch built for CUDA'
        )
    return "cpu"


def hide_other_gpus(wanted: str | None) -> None:
    """Make one GPU visible to this process: the trainer would use all it sees. Call before torch looks for GPUs."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if wanted == "cpu" or visible == "":
        return
    numbers = visible.split(",") if visible else None
    number = (wanted or "").partition(":")[2] or "0"
    if numbers is None:
        os.environ["CUDA_VISIBLE_DEVICES"] = number
    elif number.isdigit() and int(number) < len(numbers):
        os.environ["CUDA_VISIBLE_DEVICES"] = numbers[int(number)]
    else:
        raise MissingError(f"torch finds no device {wanted!r}", hint='set device = "cuda"')


def has_fast_bfloat16(device: str) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware."""
    torch = need("torch", extra="local")
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(bool(getattr(torch.cpu, check, bool)()) for check in checks)


def _revision_option(revision: str | None) -> dict[str, str]:
    return {"revision": revision} if revision else {}


def _digest(folder: Path) -> str:
    hasher = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in PARTS and path.name not in NO_PART:
            hasher.update(f"{path.name}\0{digest_file(path)}\0".encode())
    return f"local-{hasher.hexdigest()[:32]}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
