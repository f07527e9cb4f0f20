"""A sentence encoder or a cross-encoder as `sentence-transformers` knows it: loaded, fed, saved. Knows no loss."""

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.errors import MissingError, need
from groundtune.tune.base import Base, choose_device, has_fast_bfloat16, load_tokenizer
from groundtune.tune.disk import named_if_full
from groundtune.tune.encoders.encoder import HINT, Encoder, batches, fast, find, limit_of
from groundtune.tune.job import TuneError

FORWARD_TOKENS = 4096
"""Of one forward pass, padding included."""
KEPT_TOKENS = 8192
"""Of a step, whose activations are kept for the way back; those of more are computed a second time."""
QUERY, DOCUMENT = ("query",), ("document", "passage", "corpus")
"""Names of prompts, as `encode_query` and `encode_document` look for them."""


@dataclass(frozen=True, slots=True)
class Ranker:
    """A model of either part."""

    model: Any
    """SentenceTransformer or CrossEncoder, float32."""
    encoder: Encoder
    """What of it is trained at the lower rate: the transformer."""
    head: Any
    """Its other modules."""
    base: Base
    scored: bool
    """Whether the base could score pairs before; of a cross-encoder."""


def embedder(base: str, *, settings: Mapping[str, Any]) -> Ranker:
    """Raises MissingError when the base or the device is not there, TuneError when it cannot read max_tokens."""
    found = find(base)
    model = _loaded("SentenceTransformer", found, base, settings=settings)
    if model.transformers_model is None:
        raise MissingError(f"{base} has no transformer that could be trained", hint=HINT)
    known = None if settings.get("max_tokens") else model.max_seq_length
    encoder = _encoder(model, model.transformers_model, found, settings=settings, limit=known)
    trained = set(map(id, model.transformers_model.parameters()))
    others = [one for one in model.children() if not any(id(weight) in trained for weight in one.parameters())]
    return Ranker(model, encoder, need("torch", extra="local").nn.ModuleList(others), found, scored=False)


def reranker(base: str, *, settings: Mapping[str, Any]) -> Ranker:
    """A cross-encoder of one score; its last layer is new when the base has none. Raises as `embedder`."""
    torch = need("torch", extra="local")
    found = find(base)
    scored = any(name.endswith("ForSequenceClassification") for name in found.config.architectures or ())
    if scored and found.config.num_labels != 1:
        raise TuneError(
            f"{base} gives {found.config.num_labels} scores a pair, a reranker gives one",
            hint="name an encoder, or a cross-encoder with one score",
        )
    torch.manual_seed(settings["seed"])
    more = {} if scored else {"num_labels": 1}
    model = _loaded("CrossEncoder", found, base, settings=settings, activation_fn=torch.nn.Identity(), **more)
    inner = model.transformers_model
    encoder = _encoder(model, inner.base_model, found, settings=settings, limit=None)
    others = [one for one in inner.children() if one is not inner.base_model]
    return Ranker(model, encoder, torch.nn.ModuleList(others), found, scored=scored)


def _loaded(kind: str, found: Base, base: str, *, settings: Mapping[str, Any], **more: Any) -> Any:
    torch, library = need("torch", extra="local"), need("sentence_transformers", extra="local")
    damaged = need("safetensors", extra="local").SafetensorError
    need("transformers", extra="local").utils.logging.set_verbosity_error()  # a head that is new is no news
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    try:
        return getattr(library, kind)(
            found.source,
            revision=found.revision,
            device=choose_device(settings.get("device")),
            model_kwargs={"dtype": torch.float32},
            **more,
        )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, damaged) as error:
        said = " ".join(str(error).split())[:300]
        raise MissingError(f"the model {base!r} cannot be loaded: {said}", hint=HINT) from error


def _encoder(model: Any, inner: Any, found: Base, *, settings: Mapping[str, Any], limit: int | None) -> Encoder:
    device = choose_device(settings.get("device"))
    tokenizer = load_tokenizer(found.source, revision=found.revision)
    taken = limit or limit_of(found, tokenizer, wanted=settings.get("max_tokens"))
    model.max_seq_length = taken
    torch = need("torch", extra="local")
    autocast = torch.bfloat16 if has_fast_bfloat16(device) else None
    return Encoder(inner, tokenizer, device, autocast, taken, found.digest, int(inner.config.hidden_size))


def prompt(ranker: Ranker, names: Sequence[str]) -> str | None:
    """What the base wants to stand before a text of this kind."""
    found: dict[str, str] = ranker.model.prompts
    default = found.get(ranker.model.default_prompt_name or "")
    return next((found[name] for name in names if found.get(name)), default) or None


def vectors(ranker: Ranker, texts: Sequence[str], *, lengths: Sequence[int], names: Sequence[str]) -> Any:
    """float32, (n, dimension), unit length, in the order of the texts. names: QUERY or DOCUMENT."""
    functional = need("torch", extra="local").nn.functional
    before = prompt(ranker, names)

    def run(chosen: list[Any]) -> Any:
        features = _on_device(ranker, ranker.model.preprocess(chosen, prompt=before))
        return functional.normalize(ranker.model(features)["sentence_embedding"].float(), dim=1)

    return _in_chunks(run, texts, lengths)


def scores(ranker: Ranker, pairs: Sequence[tuple[str, str]], *, lengths: Sequence[int]) -> Any:
    """float32, (n,): of question and passage."""

    def run(chosen: list[Any]) -> Any:
        features = _on_device(ranker, ranker.model.preprocess(chosen))
        return ranker.model(features)["scores"].float().reshape(-1)

    return _in_chunks(run, pairs, lengths)


def _in_chunks(run: Callable[[list[Any]], Any], inputs: Sequence[Any], lengths: Sequence[int]) -> Any:
    """Inputs of like length together; with gradients, only the activations of the first few are kept."""
    torch = need("torch", extra="local")
    made, order, kept = [], [], 0
    for places in batches(lengths, budget=FORWARD_TOKENS)[::-1]:
        chosen = [inputs[place] for place in places]
        kept += len(places) * max(lengths[place] for place in places)
        if torch.is_grad_enabled() and kept > KEPT_TOKENS:
            made.append(torch.utils.checkpoint.checkpoint(run, chosen, use_reentrant=False))
        else:
            made.append(run(chosen))
        order += places
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    joined = torch.cat(made)
    return joined[back.to(joined.device)]


def _on_device(ranker: Ranker, features: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.to(ranker.encoder.device) if hasattr(value, "to") else value for name, value in features.items()
    }


def evaluated(ranker: Ranker, run: Callable[[], Any]) -> Any:
    """What `run` gives without dropout and gradients, as a numpy array."""
    torch = need("torch", extra="local")
    training = ranker.model.training
    ranker.model.eval()
    try:
        with torch.inference_mode(), fast(ranker.encoder):
            return run().cpu().numpy()
    finally:
        ranker.model.train(training)


def save(ranker: Ranker, folder: Path) -> None:
    """As `sentence-transformers` loads it; the folder is whole or not there. Raises OSError."""
    beside = folder.with_name(f"{folder.name}.writing")
    shutil.rmtree(beside, ignore_errors=True)
    with named_if_full(folder):
        ranker.model.save_pretrained(str(beside), create_model_card=False)
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)
