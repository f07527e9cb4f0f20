"""Fine-tune an extractor: an encoder that marks values in the text, and classifies fields that are not in the text.

    [tune.fields]
    kind = "extractor"
    mode = "full"              # lora: small matrices beside the frozen weights

A linear layer tags each word, decoded as the most likely valid tag sequence (models/span_decoding.py); a field whose
values do not appear in the text is classified by a linear layer on the mean of all tokens. Inference uses the folder
`model`: `encoder/` as transformers saves it, `heads.safetensors`, and `extractor.json`.
"""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from groundtune.common.text import format_count
from groundtune.errors import need
from groundtune.models.span_decoding import (
    DecodedObject,
    Layout,
    Span,
    Unit,
    decode,
    decode_spans,
    encode_tags,
    group_tokens,
    layout_to_json,
    path_name,
    replace_surrogates,
)
from groundtune.tune.encoders import training_cost as encoder_cost
from groundtune.tune.encoders.align import Aligned, align, align_rows, count_context_words
from groundtune.tune.encoders.base_encoder import (
    ENCODER,
    Encoder,
    add_lora,
    hidden_states,
    iter_evaluated,
    load_encoder,
    refuse_truncation,
    training_copy,
    write_model,
)
from groundtune.tune.encoders.calibration import Floats
from groundtune.tune.encoders.extraction_metrics import (
    confidence_ece,
    exact_matches,
    fit_confidence,
    score_extractions,
)
from groundtune.tune.encoders.training_loop import (
    PARITY_ROWS,
    TrainingSetup,
    hyperparameters_of,
    parity_record,
    step_tokens,
    train_encoder,
    training_fingerprint,
    training_record,
)
from groundtune.tune.job import Bounds, Job, ProgressCallback, TrainingResult, TrainingRow, TrainingStep, TuneError

MODEL = "model"
HEADS = "heads.safetensors"
CONFIG = "extractor.json"
RATES = {"full": (2e-4, 2e-3), "lora": (1e-3, 2e-3)}
"""Learning rates of encoder and heads by mode: the classifier's, not tuned for this task."""
MAX_BLURRED_SHARE = 0.02
"""Largest share of spans whose ends may not fall on word boundaries; above it, word pieces are tagged."""
NO_TAG = -100
"""Tag of the tokens that carry none; torch ignores them in the loss."""
MAX_DIFFERENCE = 1e-3
"""Tolerance for the difference between the scores of the trained model and those of the saved files."""


@dataclass(frozen=True, slots=True)
class ExtractorData:
    """The rows with the positions of their values."""

    texts: tuple[str, ...]
    aligned: Aligned
    validation: tuple[str, ...]
    validation_gold: tuple[Any, ...]
    validation_aligned: Aligned


@dataclass(frozen=True, slots=True)
class Tokenized:
    """Tokenized texts, and the tokens that represent their words."""

    rows: list[list[int]]
    units: list[list[Unit]]


def estimate(job: Job) -> Bounds:
    """Return upper bounds on time and memory, from a short measurement on this machine.

    Raises MissingError and TuneError as `train` does.
    """
    data = read_rows(job)
    return encoder_cost.estimate_bounds(
        job.base,
        texts=[replace_surrogates(text) for text in data.texts],
        validation=[replace_surrogates(text) for text in data.validation],
        settings=job.settings,
    )


def train(job: Job, report_step: ProgressCallback) -> TrainingResult:
    """Train, or resume from `job.checkpoint`, and write `model/`.

    Raises MissingError if the base model, the extra or the device is missing; TuneError for rows that cannot be trained
    on, a checkpoint of a different training run, or a loss that becomes NaN or infinite before the first usable
    checkpoint.
    """
    data = read_rows(job)
    report_step(TrainingStep(0.0, 0, 0, note=_summary(data)))
    encoder = load_encoder(job.base, settings=job.settings)
    if not encoder.tokenizer.is_fast:
        raise TuneError(
            f"the tokenizer of {job.base} does not report token offsets",
            hint="use a base model with a fast tokenizer (tokenizer.json)",
        )
    refuse_truncation(
        encoder, [replace_surrogates(text) for text in data.texts], allowed=job.settings.get("allow_truncation") or 0
    )
    data = choose_unit(encoder, data)
    if job.settings["mode"] == "lora":
        encoder = add_lora(encoder, rank=job.settings["rank"])
    heads, about = tune(job, encoder, data, report_step)
    report_step(TrainingStep(0.0, 0, 0, note="calibrating and saving"))
    return finish(job, encoder, heads, data, about)


def read_rows(job: Job) -> ExtractorData:
    """Read the rows. Raises TuneError when they cannot train an extractor."""
    rows, validation = job.rows("train"), job.rows("validation")
    _require_objects((*rows, *validation))
    pairs = [(row.input, row.output) for row in rows]
    validation_pairs = [(row.input, row.output) for row in validation]
    aligned = align(pairs, job.details.get("schema"))
    return ExtractorData(
        texts=tuple(row.input for row in rows),
        aligned=aligned,
        validation=tuple(row.input for row in validation),
        validation_gold=tuple(row.output for row in validation),
        validation_aligned=align_rows(validation_pairs, aligned.layout, count_context_words(pairs, aligned.layout)),
    )


def choose_unit(encoder: Encoder, data: ExtractorData) -> ExtractorData:
    """Tag words when values begin and end at word boundaries, and pieces otherwise."""
    tokenized = tokenize(encoder, data.texts, data.aligned.layout)
    total = blurred = 0
    for spans, where in zip(data.aligned.spans, tokenized.units, strict=True):
        recovered = {span[:3] for span in decode_spans(encode_tags(spans, where), where)}
        total += len(spans)
        blurred += sum(span[:3] not in recovered for span in spans)
    layout = replace(data.aligned.layout, unit="piece" if blurred > MAX_BLURRED_SHARE * total else "word")
    return replace(
        data,
        aligned=replace(data.aligned, layout=layout),
        validation_aligned=replace(data.validation_aligned, layout=layout),
    )


def tokenize(encoder: Encoder, texts: Sequence[str], layout: Layout) -> Tokenized:
    """Tokenize the texts, truncated at the encoder's limit."""
    if not texts:
        return Tokenized([], [])
    encoded = encoder.tokenizer(
        [replace_surrogates(text) for text in texts],
        truncation=True,
        max_length=encoder.limit,
        return_offsets_mapping=True,
    )
    where = [
        group_tokens(encoded["offset_mapping"][row], encoded.word_ids(row), text=text, by=layout.unit)
        for row, text in enumerate(texts)
    ]
    return Tokenized(encoded["input_ids"], where)


def new_heads(encoder: Encoder, layout: Layout, *, seed: int = 0) -> Any:
    """Return untrained linear layers: `tags`, and `choice0`, `choice1`, …"""
    torch = need("torch", extra="local")
    torch.manual_seed(seed)
    sizes = {
        "tags": layout.tags,
        **{f"choice{number}": len(choice.values) for number, choice in enumerate(layout.choices)},
    }
    return torch.nn.ModuleDict({key: torch.nn.Linear(encoder.dimension, size) for key, size in sizes.items()})


def tune(job: Job, encoder: Encoder, data: ExtractorData, report_step: ProgressCallback) -> tuple[Any, dict[str, Any]]:
    """Train encoder and heads. Return the heads and a training record; the encoder then has the best weights."""
    settings, layout = job.settings, data.aligned.layout
    train_tokens, validation_tokens = tokenize(encoder, data.texts, layout), tokenize(encoder, data.validation, layout)
    rows = zip(data.aligned.spans, train_tokens.units, train_tokens.rows, strict=True)
    gold = [_by_token(spans, where, len(row)) for spans, where, row in rows]
    heads = new_heads(encoder, layout, seed=settings["seed"]).to(encoder.device)
    lengths = list(map(len, train_tokens.rows))
    through = training_copy(encoder, longest=max(lengths, default=0))

    def loss(places: Sequence[int]) -> Any:
        states, mask = hidden_states(through, [train_tokens.rows[place] for place in places])
        longest = states.shape[1]
        padded_tags = [[*gold[place], *[NO_TAG] * (longest - len(gold[place]))] for place in places]
        return _loss(heads, states, mask, padded_tags, [data.aligned.chosen[place] for place in places])

    def measure() -> Mapping[str, float]:
        return score_predictions(predictions_of(encoder, heads, layout, data.validation, validation_tokens), data)

    hyperparameters = hyperparameters_of(
        settings,
        RATES[settings["mode"]],
        epochs=settings["epochs"],
        batch_tokens=settings["batch_tokens"],
        patience=settings["patience"],
    )
    setup = TrainingSetup(encoder, heads, lengths, loss, measure, _goal, through)
    progress = train_encoder(
        setup,
        hyperparameters,
        report_step,
        folder=job.checkpoint,
        fingerprint=training_fingerprint(job.settings, encoder, data),
    )
    return heads, {
        "step_tokens": step_tokens(lengths, batch_tokens=hyperparameters.batch_tokens),
        **training_record(progress, hyperparameters),
    }


def _loss(heads: Any, states: Any, mask: Any, tags: list[list[int]], chosen: Sequence[Sequence[int]]) -> Any:
    torch = need("torch", extra="local")
    functional = torch.nn.functional
    targets = torch.tensor(tags, device=states.device)
    tagged = targets != NO_TAG
    total = functional.cross_entropy(heads["tags"](states[tagged]), targets[tagged], reduction="sum")
    total = total / tagged.sum().clamp(min=1)
    if len(heads) == 1:
        return total
    vectors = _mean(states, mask)
    values = torch.tensor(chosen, device=states.device)
    for number in range(values.shape[1]):
        total = total + functional.cross_entropy(heads[f"choice{number}"](vectors), values[:, number])
    return total


def _mean(states: Any, mask: Any) -> Any:
    if mask is None:
        return states.mean(dim=1)
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1)


def predict_scores(
    encoder: Encoder, heads: Any, tokenized: Tokenized, *, exact: bool = False
) -> list[tuple[Floats, list[Floats]]]:
    """Return the logits of each row: tags, (units, tags), and one array per choice, (values,). exact: in float32."""
    torch = need("torch", extra="local")
    scores: list[tuple[Floats, list[Floats]]] = [(np.zeros((0, 0)), [])] * len(tokenized.rows)
    for places, (states, mask) in iter_evaluated(encoder, tokenized.rows, exact=exact, by=hidden_states):
        with torch.inference_mode():
            tags = heads["tags"](states).double().cpu().numpy()
            vectors = _mean(states, mask)
            choices = [heads[f"choice{number}"](vectors).double().cpu().numpy() for number in range(len(heads) - 1)]
        for row, place in enumerate(places):
            unit_tokens = [unit.token for unit in tokenized.units[place]]
            scores[place] = (tags[row][unit_tokens], [logits[row] for logits in choices])
    return scores


def predictions_of(
    encoder: Encoder, heads: Any, layout: Layout, texts: Sequence[str], tokenized: Tokenized, *, exact: bool = False
) -> list[DecodedObject]:
    scores = predict_scores(encoder, heads, tokenized, exact=exact)
    return [
        decode(layout, text, where, tags, choices)
        for text, where, (tags, choices) in zip(texts, tokenized.units, scores, strict=True)
    ]


def score_predictions(predictions: Sequence[DecodedObject], data: ExtractorData) -> dict[str, float]:
    """Score the predictions for the validation rows; empty when there are none."""
    return (
        score_extractions(predictions, data.validation_gold, data.validation_aligned.spans) if data.validation else {}
    )


def _goal(scores: Mapping[str, float]) -> float:
    return scores["exact"] + scores.get("span_f1", 0.0)


def finish(job: Job, encoder: Encoder, heads: Any, data: ExtractorData, about: Mapping[str, Any]) -> TrainingResult:
    """Calibrate on the validation rows, write `model/`, and compare the saved files with the trained model."""
    layout = data.aligned.layout
    validation_tokens = tokenize(encoder, data.validation, layout)
    predictions = predictions_of(encoder, heads, layout, data.validation, validation_tokens, exact=True)
    scores = score_predictions(predictions, data)
    right = np.asarray(exact_matches(predictions, data.validation_gold), dtype=bool)
    score = np.asarray([prediction.score for prediction in predictions])
    curve = fit_confidence(score, right)
    if curve and (error := confidence_ece(score, right)) is not None:
        scores["ece"] = error
    config = {
        "layout": layout_to_json(layout),
        "slope": curve.slope if curve else None,
        "intercept": curve.intercept if curve else None,
        "max_tokens": encoder.limit,
    }
    texts = data.validation[:PARITY_ROWS] or data.texts[:PARITY_ROWS]
    compared = tokenize(encoder, texts, layout)
    expected = predict_scores(encoder, heads, compared, exact=True)
    write_model(job.folder / MODEL, encoder, heads, weights_name=HEADS, config_name=CONFIG, config=config)
    parity, unusable = _parity(job, layout, texts, expected)
    shutil.rmtree(job.checkpoint, ignore_errors=True)
    details = {
        "name": job.name,
        "mode": job.settings["mode"],
        "unit": layout.unit,
        "spans": [path_name(field.path) for field in layout.fields],
        "chosen": {path_name(choice.path): len(choice.values) for choice in layout.choices},
        "values": data.aligned.values,
        "unaligned": dict(data.aligned.unaligned),
        "held_unaligned": dict(data.validation_aligned.unaligned),
        "parity": parity,
        **about,
    }
    return TrainingResult((MODEL,), scores, encoder.digest, details, unusable=unusable)


def _parity(
    job: Job, layout: Layout, texts: Sequence[str], expected: Sequence[tuple[Floats, list[Floats]]]
) -> tuple[dict[str, Any], str | None]:
    """Return how far the saved files differ from the trained model, and why that is too much, or None."""
    folder = job.folder / MODEL
    saved = load_encoder(str(folder / ENCODER), settings=job.settings)
    heads = new_heads(saved, layout)
    heads.load_state_dict(need("safetensors.torch", extra="local").load_file(folder / HEADS))
    actual = predict_scores(saved, heads.to(saved.device), tokenize(saved, texts, layout), exact=True)
    pairs = [
        pair for a, b in zip(actual, expected, strict=True) for pair in zip((a[0], *a[1]), (b[0], *b[1]), strict=True)
    ]
    difference = max((float(np.abs(a - b).max()) for a, b in pairs if a.size), default=0.0)
    return parity_record(difference, allowed=MAX_DIFFERENCE, inputs=len(texts), what="scores")


def _by_token(spans: Sequence[Span], where: Sequence[Unit], size: int) -> list[int]:
    tags = [NO_TAG] * size
    for unit, tag in zip(where, encode_tags(spans, where), strict=True):
        tags[unit.token] = tag
    return tags


def _require_objects(rows: Sequence[TrainingRow]) -> None:
    if bad := [row for row in rows if not isinstance(row.output, Mapping | None)]:
        raise TuneError(
            f"the output of row {bad[0].id} is not an object: {type(bad[0].output).__name__}",
            hint="write an object or null as its output",
        )


def _summary(data: ExtractorData) -> str:
    """Describe the rows, the fields, and the values that cannot be learned."""
    layout, unaligned = data.aligned.layout, data.aligned.unaligned
    parts = [f"{format_count(len(data.texts))}, {format_count(len(layout.fields), 'field')} marked in the text"]
    if layout.choices:
        names = ", ".join(path_name(choice.path) for choice in layout.choices)
        parts.append(f"{len(layout.choices)} classified: {names}")
    if unaligned:
        by_field = ", ".join(f"{field} {count:,}" for field, count in Counter(unaligned).most_common(5))
        total = format_count(data.aligned.values, "value")
        parts.append(f"{sum(unaligned.values()):,} of {total} not found in their input ({by_field})")
    return "; ".join(parts)
