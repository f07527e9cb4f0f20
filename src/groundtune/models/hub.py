"""Locate a model by hub name or path, with a digest of its weights and its window. Never loads the weights."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.errors import MissingError, need

CONFIG = "config.json"
HINT = "give the name of a causal model on the Hugging Face Hub (OWNER/NAME), or the path of its folder"
WHOLE = (".json", ".jinja", ".model", ".txt")
"""Suffixes of the files that are hashed in full: configuration, tokenizer, chat template."""
NO_PART = {"trainer_state.json", "artifact.json"}
"""Files left out of the digest: they record the training and do not affect the output."""
PIECE = 256
"""Bytes hashed at the start and in the middle of each tensor."""
PIECES = 64
"""Evenly spaced blocks of 4096 bytes that are hashed in a weights file other than safetensors."""
_WINDOWS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model whose configuration is available locally."""

    source: str
    """Argument for `from_pretrained`: a folder or a name on the hub."""
    revision: str | None
    """Commit on the hub; None for a local folder."""
    digest: str
    """Digest of weights, tokenizer, template and configuration; the same for a copy of the folder."""
    window: int | None
    """Context window in tokens, from the configuration; None when it is not stated there."""


def find_checkpoint(model: str) -> Checkpoint:
    """Find a model on this machine, else on the hub, from which only the configuration is downloaded.

    A model that was downloaded before stays at that commit. Raises MissingError.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        config_path = folder / CONFIG
        if not config_path.is_file():
            raise MissingError(f"{folder} has no {CONFIG}: it is not a model folder", hint=HINT)
        return Checkpoint(str(folder), None, _digest(folder), _window(_read(config_path)))
    if folder.is_absolute() or model.startswith((".", "~")) or len(folder.parts) > 2:
        raise MissingError(f"no model at {folder}", hint=HINT)
    config_path = _downloaded_config(model)
    commit = config_path.parent.name
    return Checkpoint(model, commit, f"hub-{commit}", _window(_read(config_path)))


def _downloaded_config(model: str) -> Path:
    hub = need("huggingface_hub", extra="local")
    try:
        cached = hub.try_to_load_from_cache(model, CONFIG)
        return Path(cached if isinstance(cached, str) else hub.hf_hub_download(model, CONFIG))
    except (OSError, ValueError, hub.errors.EntryNotFoundError) as error:
        reason = " ".join(str(error).split())
        raise MissingError(
            f"the model {model!r} was not found locally and could not be downloaded: {reason}", hint=HINT
        ) from error


def _read(config: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(config.read_bytes())
    except (OSError, ValueError) as error:
        raise MissingError(f"{config} cannot be read: {error}", hint=HINT) from error
    return value if isinstance(value, dict) else {}


def _window(config: Mapping[str, Any]) -> int | None:
    text_config = config.get("text_config")
    for section in (config, text_config if isinstance(text_config, dict) else {}):
        for name in _WINDOWS:
            if isinstance(section.get(name), int) and section[name] > 0:
                return int(section[name])
    return None


def _digest(folder: Path) -> str:
    """Hash every small file and two pieces of every tensor: identifies gigabytes in milliseconds."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.name in NO_PART or not path.is_file():
            continue
        if path.suffix in WHOLE:
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
                f"{path} is damaged: its header cannot be read", hint="download the model again"
            ) from None
        digest.update(path.name.encode() + header)
        for start, end in offsets:
            for offset in (start, (start + end) // 2):
                file.seek(8 + length + offset)
                digest.update(file.read(min(PIECE, end - offset)))


def _add_blocks(digest: "hashlib._Hash", path: Path) -> None:
    size = path.stat().st_size
    digest.update(f"{path.name}{size}".encode())
    with path.open("rb") as file:
        for number in range(PIECES):
            file.seek(number * size // PIECES)
            digest.update(file.read(4096))
