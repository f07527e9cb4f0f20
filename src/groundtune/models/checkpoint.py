"""A model by hub name or path: where it lies, a digest of its weights, its window. Never loads weights into memory."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.errors import MissingError, need

CONFIG = "config.json"
HINT = "name a causal model on the hub (OWNER/NAME), or the path of its folder"
WHOLE = (".json", ".jinja", ".model", ".txt")
"""Ends of files that are read whole: configuration, tokenizer, chat template."""
NO_PART = {"trainer_state.json", "artifact.json"}
"""They say how it was made; what it generates does not depend on them."""
PIECE = 256
"""Bytes that are read at the start and in the middle of every tensor."""
PIECES = 64
"""Of a file that is not safetensors: blocks of 4096 bytes, evenly spread."""
_WINDOWS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model that is there, at least its configuration."""

    source: str
    """What `from_pretrained` is to be given: a folder, or a name on the hub."""
    revision: str | None
    """Commit on the hub; None for a folder."""
    digest: str
    """Changes with weights, tokenizer, template and configuration; the same for a copy of the folder."""
    window: int | None
    """Tokens that it can look at, as its configuration says; None when that says nothing."""


def find_checkpoint(model: str) -> Checkpoint:
    """Looks on this disk first, then on the hub, where only the configuration is fetched. Raises MissingError.

    A name that was fetched before stays at the commit of that time.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        config = folder / CONFIG
        if not config.is_file():
            raise MissingError(f"{folder} has no {CONFIG}: it is not the folder of a model", hint=HINT)
        return Checkpoint(str(folder), None, _digest(folder), _window(_read(config)))
    if folder.is_absolute() or model.startswith((".", "~")) or len(folder.parts) > 2:
        raise MissingError(f"no model at {folder}", hint=HINT)
    config = _fetched(model)
    commit = config.parent.name
    return Checkpoint(model, commit, f"hub-{commit}", _window(_read(config)))


def _fetched(model: str) -> Path:
    hub = need("huggingface_hub", extra="local")
    try:
        kept = hub.try_to_load_from_cache(model, CONFIG)
        return Path(kept if isinstance(kept, str) else hub.hf_hub_download(model, CONFIG))
    except (OSError, ValueError, hub.errors.EntryNotFoundError) as error:
        said = " ".join(str(error).split())
        raise MissingError(f"the model {model!r} is not on this disk, and not to be had: {said}", hint=HINT) from error


def _read(config: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(config.read_bytes())
    except (OSError, ValueError) as error:
        raise MissingError(f"{config} cannot be read: {error}", hint=HINT) from error
    return value if isinstance(value, dict) else {}


def _window(config: Mapping[str, Any]) -> int | None:
    inner = config.get("text_config")
    for place in (config, inner if isinstance(inner, dict) else {}):
        for name in _WINDOWS:
            if isinstance(place.get(name), int) and place[name] > 0:
                return int(place[name])
    return None


def _digest(folder: Path) -> str:
    """Of every small file, and of two pieces of every tensor: gigabytes are named in milliseconds."""
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
    """Format: 8 bytes with the length of the header, the header as JSON, the tensors."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        size = path.stat().st_size
        header = file.read(length) if length < size else b""
        try:
            tensors = json.loads(header)
            places = [tensors[name]["data_offsets"] for name in sorted(tensors) if name != "__metadata__"]
        except (ValueError, TypeError, KeyError):
            raise MissingError(f"{path} is damaged: its header cannot be read", hint="fetch the model again") from None
        digest.update(path.name.encode() + header)
        for start, end in places:
            for at in (start, (start + end) // 2):
                file.seek(8 + length + at)
                digest.update(file.read(min(PIECE, end - at)))


def _add_blocks(digest: "hashlib._Hash", path: Path) -> None:
    size = path.stat().st_size
    digest.update(f"{path.name}{size}".encode())
    with path.open("rb") as file:
        for number in range(PIECES):
            file.seek(number * size // PIECES)
            digest.update(file.read(4096))
