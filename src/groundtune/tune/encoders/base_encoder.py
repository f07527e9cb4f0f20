"""Find, load, run and save an encoder for fine-tuning, in batches of similar length.

encoder = load_encoder(job.base, settings=job.settings)
rows = encode(encoder, [row.input for row in job.rows("train")])      # token ids
for places in batches_by_length(list(map(len, rows)), budget=1024, rng=random.Random(0)):
    states, mask = hidden_states(encoder, [rows[place] for place in places])  # float32, (n, longest, dimension)
"""

import copy
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from groundtune.common.batches import batches_by_length
from groundtune.common.files import write_json
from groundtune.common.text import format_count
from groundtune.errors import need
from groundtune.models import hub
from groundtune.models.torch_device import choose_device, has_fast_bfloat16, hide_other_gpus
from groundtune.tune.base_model import Base, find_base
from groundtune.tune.job import TuneError

ENCODER = "encoder"
"""Folder of the encoder inside a model's folder."""
HINT = hub.model_hint(hub.ENCODER)
NO_LIMIT_ABOVE = 1_000_000
"""Tokenizers without a length limit report a number above this one."""
EMBED_TOKENS = 4096
"""Tokens per forward pass without gradients."""
SHORT_ROWS = 512
"""Tokens of the longest row up to which a CPU trains with attention as plain matrix products. The fused kernel saves
memory on long rows; on 1,024 tokens of short ones it took 1.9 times as long to run backwards.
"""
LORA_ALPHA = 2
"""LoRA alpha as a multiple of the rank."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """A model that returns one vector per token, with everything needed to run it."""

    model: Any
    """float32, on the device; without the pooling layer that some models put on the first token."""
    tokenizer: Any
    device: str
    autocast: Any
    """Training dtype: torch.bfloat16 where the machine supports it, else None."""
    limit: int
    """Maximum tokens of a text, special tokens included."""
    digest: str
    """Digest of the base model before training."""
    dimension: int

    @property
    def pad(self) -> int:
        return self.tokenizer.pad_token_id or 0


def find_encoder(base: str) -> Base:
    """Locate the encoder and compute its digest, without loading weights. Raises MissingError."""
    return find_base(str(hub.bundled_folder()) if base == hub.BUNDLED else base, kind=hub.ENCODER)


def load_encoder(base: str, *, settings: Mapping[str, Any]) -> Encoder:
    """Load the encoder.

    settings: `device` and `max_tokens` of the table, None for the defaults of the machine and the base model; `seed`,
    which seeds the initialisation of heads and adapters, and dropout.

    Raises MissingError when the base model or the device is not available, TuneError when max_tokens exceeds the limit
    of the base model.
    """
    torch, library = need("torch", extra="local"), need("transformers", extra="local")
    if ":" in (settings.get("device") or "") and not torch.cuda.is_initialized():
        hide_other_gpus(settings["device"])
    torch.manual_seed(settings.get("seed") or 0)
    located = find_encoder(base).located
    device = choose_device(settings.get("device"))
    library.utils.logging.disable_progress_bar()
    before = library.utils.logging.get_verbosity()
    library.utils.logging.set_verbosity_error()  # warnings about unused heads of other tasks are noise
    try:
        with hub.loading(f"the encoder {base!r}", hint=HINT):
            tokenizer = library.AutoTokenizer.from_pretrained(located.source, **located.options)
            model, report = library.AutoModel.from_pretrained(
                located.source, dtype=torch.float32, output_loading_info=True, **located.options
            )
    finally:
        library.utils.logging.set_verbosity(before)
    missing = [name for name in report["missing_keys"] if not name.startswith("pooler.")]
    hub.refuse_missing_weights(base, missing, hint=HINT)
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return Encoder(
        model=model.to(device),
        tokenizer=tokenizer,
        device=device,
        autocast=torch.bfloat16 if has_fast_bfloat16(device) else None,
        limit=token_limit(located, tokenizer, wanted=settings.get("max_tokens")),
        digest=located.digest,
        dimension=int(model.config.hidden_size),
    )


def token_limit(base: hub.LocatedModel, tokenizer: Any, *, wanted: int | None) -> int:
    """Return the maximum tokens of a text. Raises TuneError when `wanted` exceeds the limit of the base model."""
    limits = [base.window, tokenizer.model_max_length if tokenizer.model_max_length < NO_LIMIT_ABOVE else None]
    most = min((limit for limit in limits if limit is not None), default=None)
    if wanted is None:
        return most or 512
    if most is not None and wanted > most:
        message = f"max_tokens = {wanted:,}, but the base model's limit is {most:,}"
        raise TuneError(message, hint=f"set max_tokens = {most}")
    return wanted


def text_token_counts(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    """Return the token count of each text, special tokens included, without truncation."""
    return [len(ids) for ids in tokenizer(list(texts), truncation=False)["input_ids"]] if texts else []


def encode(encoder: Encoder, texts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of each text, special tokens included, truncated at the encoder's limit."""
    if not texts:
        return []
    ids: list[list[int]] = encoder.tokenizer(list(texts), truncation=True, max_length=encoder.limit)["input_ids"]
    return ids


def refuse_truncation(encoder: Encoder, texts: Sequence[str], *, allowed: int) -> None:
    """Raise TuneError when more texts than allowed are longer than the encoder's limit."""
    truncated = sum(length > encoder.limit for length in text_token_counts(encoder.tokenizer, texts))
    if truncated > allowed:
        raise TuneError(
            f"{truncated:,} of {format_count(len(texts))} longer than {encoder.limit:,} tokens would be truncated",
            hint=f"shorten them, raise max_tokens if the base model allows it, or set allow_truncation = {truncated}",
        )


def hidden_states(encoder: Encoder, rows: Sequence[Sequence[int]]) -> tuple[Any, Any]:
    """Return the last hidden states, float32, (n, longest, dimension), and the attention mask, or None without padding.

    Gradients, autocast and dropout are as the caller set them.
    """
    torch = need("torch", extra="local")
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[encoder.pad] * (longest - len(row))] for row in rows], device=encoder.device)
    mask = None
    if any(len(row) < longest for row in rows):
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=encoder.device)
    states = encoder.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
    return states, mask


def mean_pool(encoder: Encoder, rows: Sequence[Sequence[int]]) -> Any:
    """Return the mean over the tokens, special ones included, at unit length: float32, (n, dimension)."""
    functional = need("torch", extra="local").nn.functional
    states, mask = hidden_states(encoder, rows)
    if mask is None:
        return functional.normalize(states.mean(dim=1), dim=1)
    weights = mask.unsqueeze(-1).to(states.dtype)
    return functional.normalize((states * weights).sum(dim=1) / weights.sum(dim=1), dim=1)


def autocast(encoder: Encoder) -> Any:
    """Return a context that multiplies matrices in bfloat16 where the machine supports it."""
    torch = need("torch", extra="local")
    kind = encoder.device.partition(":")[0]
    return torch.autocast(kind, encoder.autocast or torch.bfloat16, enabled=encoder.autocast is not None)


def training_copy(encoder: Encoder, *, longest: int) -> Encoder:
    """Return a copy in bfloat16 to train through, or the encoder itself where the machine is slow at bfloat16.

    Everything is computed in bfloat16, while `autocast` computes half of it in float32 and converts between the two at
    every layer. longest: tokens of the longest row.
    """
    if encoder.autocast is None:
        return encoder
    model = copy.deepcopy(encoder.model).to(encoder.autocast)
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if encoder.device == "cpu" and longest <= SHORT_ROWS:
        base.set_attn_implementation("eager")
    return replace(encoder, model=model, autocast=None)


def embed(encoder: Encoder, rows: Sequence[Sequence[int]], *, exact: bool = False) -> Any:
    """Return the `mean_pool` vectors of all rows in order, on the CPU, without dropout and gradients. exact: in
    float32.
    """
    torch = need("torch", extra="local")
    vectors = torch.empty(len(rows), encoder.dimension)
    for places, batch_vectors in iter_evaluated(encoder, rows, exact=exact):
        vectors[places] = batch_vectors.cpu()
    return vectors


def iter_evaluated(
    encoder: Encoder, rows: Sequence[Sequence[int]], *, exact: bool = False, by: Any = mean_pool
) -> Iterator[tuple[list[int], Any]]:
    """Yield the row indices of each batch with the result of `by` on its rows, without dropout or gradients."""
    torch = need("torch", extra="local")
    training = encoder.model.training
    encoder.model.eval()
    chosen = replace(encoder, autocast=None) if exact else encoder
    try:
        for places in batches_by_length(list(map(len, rows)), budget=EMBED_TOKENS):
            with torch.inference_mode(), autocast(chosen):
                result = by(chosen, [rows[place] for place in places])
            yield places, result
    finally:
        encoder.model.train(training)


def add_lora(encoder: Encoder, *, rank: int) -> Encoder:
    """Add LoRA matrices to every linear layer; only they are trained. Source: Hu 2021, arXiv 2106.09685."""
    peft = need("peft", extra="local")
    config = peft.LoraConfig(r=rank, lora_alpha=LORA_ALPHA * rank, target_modules="all-linear", lora_dropout=0.0)
    return replace(encoder, model=peft.get_peft_model(encoder.model, config))


def merge_lora(encoder: Encoder) -> Encoder:
    """Merge LoRA matrices into the weights; return the encoder unchanged when it has none."""
    if not hasattr(encoder.model, "merge_and_unload"):
        return encoder
    return replace(encoder, model=encoder.model.merge_and_unload())


def save(encoder: Encoder, folder: Path) -> None:
    """Save the weights as safetensors, the configuration and the tokenizer. Raises OSError when the disk is full."""
    damaged = need("safetensors", extra="local").SafetensorError
    try:
        merge_lora(encoder).model.save_pretrained(folder)
        encoder.tokenizer.save_pretrained(folder)
    except damaged as error:
        raise OSError(str(error)) from error


def write_model(
    folder: Path, encoder: Encoder, head: Any, *, weights_name: str, config_name: str, config: Mapping[str, Any]
) -> None:
    """Write `encoder/`, the head's weights and the JSON file about it; all or nothing. Raises OSError."""
    partial = folder.with_name(f"{folder.name}.writing")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save(encoder, partial / ENCODER)
    to_bytes = need("safetensors.torch", extra="local").save
    tensors = {name: weight.detach().cpu().contiguous() for name, weight in head.named_parameters()}
    (partial / weights_name).write_bytes(to_bytes(tensors))
    write_json(partial / config_name, config)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
