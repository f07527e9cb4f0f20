"""Convert a GGUF file to the format that `transformers` trains and answers with: once, into the user's cache.

folder = read_gguf(Path("qwen2.5-0.5b-instruct-q8_0.gguf"))   # seconds for the first time, milliseconds after it
folder.weights   # safetensors in bfloat16, tokenizer, chat template, configuration
folder.digest    # of the GGUF file, so that it stays the same when a newer library converts it again
"""

import hashlib
import io
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock

from groundtune.common.files import read_json, sampled_blocks, write_json
from groundtune.common.model_loading import LOADING
from groundtune.common.text import one_line
from groundtune.common.user_cache import user_cache
from groundtune.errors import GroundtuneError, MissingError, need

SUFFIX = ".gguf"
FAMILIES = ("llama", "qwen2", "qwen3", "gemma2", "gemma3")
"""Architectures whose conversion is tested; the name as it stands in the file."""
MANIFEST, WEIGHTS = "manifest.json", "transformers"
FORMAT = 1
"""Version of the layout of a converted model; another one is converted again."""
SPLIT_LIKE_GPT2 = ("default", "gpt-2", "")
"""Rules for splitting text before it is tokenised that `transformers` follows without being told."""
HINT = f"use a file of these families: {', '.join(FAMILIES)}; or the folder with the model's original weights"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConvertedModel:
    """A GGUF file in the format of `transformers`."""

    weights: Path
    """Folder for `from_pretrained`."""
    digest: str
    """Identifies the GGUF file."""


def read_gguf(file: Path) -> ConvertedModel:
    """Return the converted model, converting the file if that was not done before.

    Raises MissingError: the file is missing, damaged, of another family, without a chat template, or of a tokenizer
    that `transformers` would read in another way; or the cache cannot be written.
    """
    if not file.is_file():
        raise MissingError(f"no model at {file}", hint="name the path of a GGUF file that exists")
    digest = _digest(file)
    return ConvertedModel(convert_gguf(file, user_cache() / "models" / digest) / WEIGHTS, digest)


def convert_gguf(file: Path, folder: Path, *, about: Mapping[str, Any] | None = None, keep: bool = False) -> Path:
    """Convert a GGUF file into a folder, unless it holds a conversion already, and return the folder.

    The folder gets a manifest, which says what it was made of; `about` adds to it. keep: put a copy of the file beside.
    Raises as read_gguf does.
    """
    with _writing(folder) as target:
        if target is None:
            return folder
        log.info("converting %s to %s, once", file, folder)
        metadata = _metadata(file)
        _convert(file, metadata, target / WEIGHTS)
        manifest = {
            "format": FORMAT,
            "file": file.name,
            "name": metadata.get("general.name"),
            "architecture": metadata["general.architecture"],
            "dtype": "bfloat16",
            "converted": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": {name: version(name) for name in ("transformers", "torch", "gguf")},
            **(about or {}),
        }
        if keep:
            shutil.copy(file, target)
        write_json(target / MANIFEST, manifest)
    return folder


def is_converted(folder: Path) -> bool:
    """Whether a folder holds a complete conversion in today's layout."""
    try:
        return bool(read_json(folder / MANIFEST)["format"] == FORMAT)
    except (OSError, MissingError, KeyError, TypeError):
        return False


@contextmanager
def _writing(folder: Path) -> Iterator[Path | None]:
    """Yield a temporary folder that becomes `folder` when complete, or None if it is there. One process at a time."""
    try:
        if is_converted(folder):
            yield None
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            if is_converted(folder):  # by the process that held the lock
                yield None
                return
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
                target = Path(name) / folder.name
                target.mkdir()
                yield target
                shutil.rmtree(folder, ignore_errors=True)
                target.replace(folder)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        hint = "free some space, or set XDG_CACHE_HOME to a folder that can be written"
        raise MissingError(f"cannot write the converted model to {folder}: {reason}", hint=hint) from error


def _digest(file: Path) -> str:
    digest = hashlib.sha256(str(file.stat().st_size).encode())
    for block in sampled_blocks(file):
        digest.update(block)
    return f"gguf-{digest.hexdigest()[:32]}"


def _metadata(file: Path) -> Mapping[str, Any]:
    """Return what the file says about the model. Raises MissingError if it cannot be used."""
    need("gguf", extra="local")
    need("torch", extra="local")
    try:
        from transformers.integrations.gguf.reader import read_gguf_metadata

        metadata, _ = read_gguf_metadata(str(file))
    except Exception as error:  # a damaged file ends in errors of many kinds
        message = f"{file} is not a GGUF file that can be read: {one_line(str(error)) or type(error).__name__}"
        raise MissingError(message, hint="download it again; compare its size with that of the original") from error
    family = metadata.get("general.architecture")
    if family not in FAMILIES:
        raise MissingError(f"{file} is of the family {family}, which groundtune does not read", hint=HINT)
    if not metadata.get("tokenizer.chat_template"):
        raise MissingError(
            f"{file} has no chat template, so its prompt format is unknown", hint="use its instruct or chat variant"
        )
    return dict(metadata)


def _convert(file: Path, metadata: Mapping[str, Any], target: Path) -> None:
    torch, library = need("torch", extra="local"), need("transformers", extra="local")
    place = {"pretrained_model_name_or_path": str(file.resolve().parent), "gguf_file": file.name}
    try:
        with LOADING, _quiet(library.utils.logging):
            tokenizer = library.AutoTokenizer.from_pretrained(**place)
            _split_as_trained(tokenizer, metadata, file)
            model, report = library.AutoModelForCausalLM.from_pretrained(
                **place, dtype=torch.bfloat16, output_loading_info=True
            )
            if report["missing_keys"]:
                raise MissingError(f"{file} lacks weights, such as {min(report['missing_keys'])}", hint=HINT)
            config = model.config
            del config.quantization_config  # else the library refuses to save what is not quantised any more
            with torch.device("meta"):
                plain = library.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
            plain.load_state_dict(model.state_dict(), assign=True)
            plain.tie_weights()
            plain.generation_config = model.generation_config
            plain.save_pretrained(target)
            tokenizer.save_pretrained(target)
    except (GroundtuneError, OSError):
        raise
    except Exception as error:  # the library raises whatever its reader of this family trips over
        reason = one_line(str(error)) or type(error).__name__
        raise MissingError(f"{file} cannot be converted: {reason}", hint=HINT) from error


@contextmanager
def _quiet(logging_of_library: Any) -> Iterator[None]:
    """Keep the library's bars and warnings out of stderr, which is for groundtune's own progress."""
    logging_of_library.disable_progress_bar()
    verbosity = logging_of_library.get_verbosity()
    logging_of_library.set_verbosity_error()
    try:
        with redirect_stderr(io.StringIO()):  # its reader of GGUF files draws a bar that has no switch
            yield
    finally:
        logging_of_library.set_verbosity(verbosity)


def _split_as_trained(tokenizer: Any, metadata: Mapping[str, Any], file: Path) -> None:
    """Make the tokenizer split text into words as the model was trained. Raises MissingError if that is unknown.

    Only byte-level vocabularies have such rules. `transformers` has those of most families, and takes GPT-2's for the
    others without a word: the same text would become other tokens.
    """
    from tokenizers import pre_tokenizers
    from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

    rules = metadata.get("tokenizer.ggml.pre", "")
    if metadata.get("tokenizer.ggml.model") != "gpt2" or rules in (*GGUF_PRE_TOKENIZER_SPLITS, *SPLIT_LIKE_GPT2):
        return
    if rules != "smollm":
        raise MissingError(f"{file} splits text by the rules {rules!r}, which transformers does not know", hint=HINT)
    backend = tokenizer.backend_tokenizer
    digits = pre_tokenizers.Digits(individual_digits=True)
    backend.pre_tokenizer = pre_tokenizers.Sequence([digits, backend.pre_tokenizer])
