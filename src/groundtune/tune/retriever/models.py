"""Load, run and save a sentence encoder or cross-encoder of `sentence-transformers`. Knows no loss."""

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.common.batches import batches_by_length
from groundtune.common.full_disk import name_full_disk
from groundtune.errors import MissingError, need
from groundtune.models.hub import LocatedModel, loading
from groundtune.models.torch_device import choose_device, has_fast_bfloat16
from groundtune.tune.base_model import load_tokenizer
from groundtune.tune.encoders.base_encoder import HINT, Encoder, autocast, find_encoder, token_limit
from groundtune.tune.job import TuneError

FORWARD_TOKENS = 4096
"""Tokens per forward pass, padding included."""
KEPT_TOKENS = 8192
"""Tokens per step whose activations are kept for the backward pass; beyond them, activations are recomputed."""
QUERY, DOCUMENT = ("query",), ("document", "passage", "corpus")
"""Prompt names, in the order in which `encode_query` and `encode_document` look for them."""


@dataclass(frozen=True, slots=True)
class Ranker:
    """An embedder or a reranker."""

    model: Any
    """SentenceTransformer or CrossEncoder, float32."""
    encoder: Encoder
    """The transformer, trained at the lower rate."""
    head: Any
    """The other modules."""
    base: LocatedModel
    scored: bool
    """Whether the base model is a cross-encoder that already scores pairs."""


def load_embedder(base: str, *, settings: Mapping[str, Any]) -> Ranker:
    """Load a sentence encoder.

    Raises MissingError when the base model or the device is not available, TuneError when max_tokens exceeds the limit
    of the base model.
    """
    located = find_encoder(base).located
    model = _loaded("SentenceTransformer", located, base, settings=settings)
    if model.transformers_model is None:
        raise MissingError(f"{base} has no transformer to train", hint=HINT)
    limit = None if settings.get("max_tokens") else model.max_seq_length
    encoder = _encoder(model, model.transformers_model, located, settings=settings, limit=limit)
    trained = set(map(id, model.transformers_model.parameters()))
    others = [module for module in model.children() if not any(id(weight) in trained for weight in module.parameters())]
    return Ranker(model, encoder, need("torch", extra="local").nn.ModuleList(others), located, scored=False)


def load_reranker(base: str, *, settings: Mapping[str, Any]) -> Ranker:
    """Load a cross-encoder with one score; its last layer is new if the base model has none. Raises as `load_embedder`
    does.
    """
    torch = need("torch", extra="local")
    found = find_encoder(base)
    located, config = found.located, found.config
    scored = any(name.endswith("ForSequenceClassification") for name in config.architectures or ())
    if scored and config.num_labels != 1:
        raise TuneError(
            f"{base} gives {config.num_labels} scores per pair, but a reranker needs one",
            hint="name an encoder, or a cross-encoder with one score",
        )
    torch.manual_seed(settings["seed"])
    options = {} if scored else {"num_labels": 1}
    model = _loaded("CrossEncoder", located, base, settings=settings, activation_fn=torch.nn.Identity(), **options)
    inner = model.transformers_model
    encoder = _encoder(model, inner.base_model, located, settings=settings, limit=None)
    others = [module for module in inner.children() if module is not inner.base_model]
    return Ranker(model, encoder, torch.nn.ModuleList(others), located, scored=scored)


def _loaded(kind: str, located: LocatedModel, base: str, *, settings: Mapping[str, Any], **options: Any) -> Any:
    torch, library = need("torch", extra="local"), need("sentence_transformers", extra="local")
    need("transformers", extra="local").utils.logging.set_verbosity_error()  # warnings about a new head are noise
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    with loading(f"the model {base!r}", hint=HINT):
        return getattr(library, kind)(
            located.source,
            revision=located.revision,
            device=choose_device(settings.get("device")),
            model_kwargs={"dtype": torch.float32},
            **options,
        )


def _encoder(
    model: Any, inner: Any, located: LocatedModel, *, settings: Mapping[str, Any], limit: int | None
) -> Encoder:
    device = choose_device(settings.get("device"))
    tokenizer = load_tokenizer(located)
    max_tokens = limit or token_limit(located, tokenizer, wanted=settings.get("max_tokens"))
    model.max_seq_length = max_tokens
    torch = need("torch", extra="local")
    autocast = torch.bfloat16 if has_fast_bfloat16(device) else None
    return Encoder(inner, tokenizer, device, autocast, max_tokens, located.digest, int(inner.config.hidden_size))


def prompt(ranker: Ranker, names: Sequence[str]) -> str | None:
    """Return the prompt that the base model puts before a text of this kind, or None."""
    prompts: dict[str, str] = ranker.model.prompts
    default = prompts.get(ranker.model.default_prompt_name or "")
    return next((prompts[name] for name in names if prompts.get(name)), default) or None


def vectors(ranker: Ranker, texts: Sequence[str], *, lengths: Sequence[int], names: Sequence[str]) -> Any:
    """Return vectors, float32, (n, dimension), unit length, in the order of the texts. names: QUERY or DOCUMENT."""
    functional = need("torch", extra="local").nn.functional
    prefix = prompt(ranker, names)

    def run(chosen: list[Any]) -> Any:
        features = _on_device(ranker, ranker.model.preprocess(chosen, prompt=prefix))
        return functional.normalize(ranker.model(features)["sentence_embedding"].float(), dim=1)

    return _in_chunks(run, texts, lengths)


def scores(ranker: Ranker, pairs: Sequence[tuple[str, str]], *, lengths: Sequence[int]) -> Any:
    """Return the score of each pair of question and passage, float32, (n,)."""

    def run(chosen: list[Any]) -> Any:
        features = _on_device(ranker, ranker.model.preprocess(chosen))
        return ranker.model(features)["scores"].float().reshape(-1)

    return _in_chunks(run, pairs, lengths)


def _in_chunks(run: Callable[[list[Any]], Any], inputs: Sequence[Any], lengths: Sequence[int]) -> Any:
    """Run inputs of similar length together; with gradients, only the first KEPT_TOKENS keep their activations."""
    torch = need("torch", extra="local")
    chunks, order, tokens_so_far = [], [], 0
    for places in batches_by_length(lengths, budget=FORWARD_TOKENS)[::-1]:
        chosen = [inputs[place] for place in places]
        tokens_so_far += len(places) * max(lengths[place] for place in places)
        if torch.is_grad_enabled() and tokens_so_far > KEPT_TOKENS:
            chunks.append(torch.utils.checkpoint.checkpoint(run, chosen, use_reentrant=False))
        else:
            chunks.append(run(chosen))
        order += places
    inverse = torch.empty(len(order), dtype=torch.long)
    inverse[torch.tensor(order)] = torch.arange(len(order))
    joined = torch.cat(chunks)
    return joined[inverse.to(joined.device)]


def _on_device(ranker: Ranker, features: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.to(ranker.encoder.device) if hasattr(value, "to") else value for name, value in features.items()
    }


def run_evaluation(ranker: Ranker, run: Callable[[], Any]) -> Any:
    """Return the result of `run`, without dropout and gradients, as a numpy array."""
    torch = need("torch", extra="local")
    training = ranker.model.training
    ranker.model.eval()
    try:
        with torch.inference_mode(), autocast(ranker.encoder):
            return run().cpu().numpy()
    finally:
        ranker.model.train(training)


def save(ranker: Ranker, folder: Path) -> None:
    """Save in the `sentence-transformers` format; all or nothing. Raises OSError."""
    partial = folder.with_name(f"{folder.name}.writing")
    shutil.rmtree(partial, ignore_errors=True)
    with name_full_disk(folder):
        ranker.model.save_pretrained(str(partial), create_model_card=False)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
