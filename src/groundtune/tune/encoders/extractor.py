"""Fine-tune an extractor: an encoder that marks values in the text, and classifies fields that are not in the text.

    [tune.fields]
    kind = "extractor"
    mode = "full"              # lora: small matrices beside the frozen weights

A linear layer tags each word, decoded as the most likely valid tag sequence (groundtune/spans.py); a field whose values
do not appear in the text is classified by a linear layer on the mean of all tokens. Inference uses the folder `model`:
`encoder/` as transformers saves it, `heads.safetensors`, and `extractor.json`.
"""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from groundtune.errors import need
from groundtune.spans import Layout, Said, Span, Unit, as_json, name, say, spans_of, tags_of, units, whole
from groundtune.tune.encoders import cost as encoder_cost
from groundtune.tune.encoders.align import Aligned, align, put, usual
from groundtune.tune.encoders.calibrate import Floats
from groundtune.tune.encoders.encoder import ENCODER, Encoder, adapted, evaluated, hidden, load, refuse_cut, write_model
from groundtune.tune.encoders.fit import Course, fingerprint_of, fit, outcome, pace_of, step_tokens
from groundtune.tune.encoders.spans_score import confidence_of, crossed_ece, metrics, right_of
from groundtune.tune.job import Bounds, Job, Row, Step, Trained, TuneError, Watch

MODEL = "model"
HEADS = "heads.safetensors"
ABOUT = "extractor.json"
RATES = {"full": (2e-4, 2e-3), "lora": (1e-3, 2e-3)}
"""Learning rates of encoder and heads by mode: the classifier's, not tuned for this task."""
CUT = 0.02
"""Largest share of spans whose ends may not fall on word boundaries; above it, word pieces are tagged."""
NO_TAG = -100
"""Tag of the tokens that carry none; torch ignores them in the loss."""
ALLOWED = 1e-3
"""Largest difference allowed between the scores of the trainer and those of the saved files."""
COMPARED = 16
"""Rows on which that difference is measured."""


@dataclass(frozen=True, slots=True)
class Data:
    """The rows with the positions of their values."""

    texts: tuple[str, ...]
    aligned: Aligned
    held: tuple[str, ...]
    held_gold: tuple[Any, ...]
    held_aligned: Aligned


@dataclass(frozen=True, slots=True)
class Read:
    """Tokenized texts, and the tokens that represent their words."""

    rows: list[list[int]]
    units: list[list[Unit]]


def estimate(job: Job) -> Bounds:
    """Return upper bounds on time and memory, from a short measurement on this machine.

    Raises MissingError and TuneError as `train`.
    """
    data = read(job)
    return encoder_cost.bounds(
        job.base,
        texts=[whole(text) for text in data.texts],
        held=[whole(text) for text in data.held],
        settings=job.settings,
    )


def train(job: Job, watch: Watch) -> Trained:
    """Train, or resume from `job.checkpoint`, and write `model/`.

    Raises MissingError without base, extra or device; TuneError for rows that cannot be trained on, a checkpoint of
    another training, or a loss that is not finite before any state was saved.
    """
    data = read(job)
    watch(Step(0.0, 0, 0, note=_summary(data)))
    encoder = load(job.base, settings=job.settings)
    if not encoder.tokenizer.is_fast:
        raise TuneError(
            f"the tokenizer of {job.base} does not report token offsets",
            hint="use a base with a tokenizer.json",
        )
    refuse_cut(encoder, [whole(text) for text in data.texts], allowed=job.settings.get("allow_truncation") or 0)
    data = with_unit(encoder, data)
    if job.settings["mode"] == "lora":
        encoder = adapted(encoder, rank=job.settings["rank"])
    heads, about = tune(job, encoder, data, watch)
    watch(Step(0.0, 0, 0, note="calibrating and saving"))
    return finish(job, encoder, heads, data, about)


def read(job: Job) -> Data:
    """Read the rows. Raises TuneError when they cannot train an extractor."""
    rows, validation = job.rows("train"), job.rows("validation")
    _require_objects((*rows, *validation))
    pairs = [(row.input, row.output) for row in rows]
    validation_pairs = [(row.input, row.output) for row in validation]
    aligned = align(pairs, job.details.get("schema"))
    return Data(
        texts=tuple(row.input for row in rows),
        aligned=aligned,
        held=tuple(row.input for row in validation),
        held_gold=tuple(row.output for row in validation),
        held_aligned=put(validation_pairs, aligned.layout, usual(pairs, aligned.layout)),
    )


def with_unit(encoder: Encoder, data: Data) -> Data:
    """Tag words when values begin and end at word boundaries, and pieces otherwise."""
    tokenized = tokens(encoder, data.texts, data.aligned.layout)
    total = blurred = 0
    for spans, where in zip(data.aligned.spans, tokenized.units, strict=True):
        recovered = {span[:3] for span in spans_of(tags_of(spans, where), where)}
        total += len(spans)
        blurred += sum(span[:3] not in recovered for span in spans)
    layout = replace(data.aligned.layout, unit="piece" if blurred > CUT * total else "word")
    return replace(
        data,
        aligned=replace(data.aligned, layout=layout),
        held_aligned=replace(data.held_aligned, layout=layout),
    )


def tokens(encoder: Encoder, texts: Sequence[str], layout: Layout) -> Read:
    """Tokenize the texts, truncated at the encoder's limit."""
    if not texts:
        return Read([], [])
    encoded = encoder.tokenizer(
        [whole(text) for text in texts], truncation=True, max_length=encoder.limit, return_offsets_mapping=True
    )
    where = [
        units(encoded["offset_mapping"][row], encoded.word_ids(row), text=text, by=layout.unit)
        for row, text in enumerate(texts)
    ]
    return Read(encoded["input_ids"], where)


def new_heads(encoder: Encoder, layout: Layout, *, seed: int = 0) -> Any:
    """Return untrained linear layers: `tags`, and `choice0`, `choice1`, …"""
    torch = need("torch", extra="local")
    torch.manual_seed(seed)
    sizes = {
        "tags": layout.tags,
        **{f"choice{number}": len(choice.values) for number, choice in enumerate(layout.choices)},
    }
    return torch.nn.ModuleDict({key: torch.nn.Linear(encoder.dimension, size) for key, size in sizes.items()})


def tune(job: Job, encoder: Encoder, data: Data, watch: Watch) -> tuple[Any, dict[str, Any]]:
    """Train encoder and heads. Return the heads and a record of the training; the encoder then has the best weights."""
    torch = need("torch", extra="local")
    settings, layout = job.settings, data.aligned.layout
    train_tokens, validation_tokens = tokens(encoder, data.texts, layout), tokens(encoder, data.held, layout)
    rows = zip(data.aligned.spans, train_tokens.units, train_tokens.rows, strict=True)
    gold = [_by_token(spans, where, len(row)) for spans, where, row in rows]
    heads = new_heads(encoder, layout, seed=settings["seed"]).to(encoder.device)

    def loss(places: Sequence[int]) -> Any:
        states, mask = hidden(encoder, [train_tokens.rows[place] for place in places])
        with torch.autocast(encoder.device.partition(":")[0], enabled=False):
            longest = states.shape[1]
            padded_tags = [[*gold[place], *[NO_TAG] * (longest - len(gold[place]))] for place in places]
            return _loss(heads, states, mask, padded_tags, [data.aligned.chosen[place] for place in places])

    def measure() -> Mapping[str, float]:
        return measured(said_of(encoder, heads, layout, data.held, validation_tokens), data)

    pace = pace_of(
        settings, RATES[settings["mode"]], batch_tokens=settings["batch_tokens"], patience=settings["patience"]
    )
    lengths = list(map(len, train_tokens.rows))
    course = Course(encoder, heads, lengths, loss, measure, _goal)
    progress = fit(course, pace, watch, folder=job.checkpoint, fingerprint=fingerprint_of(job.settings, encoder, data))
    return heads, outcome(progress, pace, tokens=step_tokens(lengths, batch_tokens=pace.batch_tokens))


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


def scores_of(
    encoder: Encoder, heads: Any, tokenized: Read, *, exact: bool = False
) -> list[tuple[Floats, list[Floats]]]:
    """Return the logits of each row: tags, (units, tags), and one array per choice, (values,). exact: in float32."""
    torch = need("torch", extra="local")
    scores: list[tuple[Floats, list[Floats]]] = [(np.zeros((0, 0)), [])] * len(tokenized.rows)
    for places, (states, mask) in evaluated(encoder, tokenized.rows, exact=exact, by=hidden):
        with torch.inference_mode():
            tags = heads["tags"](states).double().cpu().numpy()
            vectors = _mean(states, mask)
            choices = [heads[f"choice{number}"](vectors).double().cpu().numpy() for number in range(len(heads) - 1)]
        for row, place in enumerate(places):
            unit_tokens = [unit.token for unit in tokenized.units[place]]
            scores[place] = (tags[row][unit_tokens], [logits[row] for logits in choices])
    return scores


def said_of(
    encoder: Encoder, heads: Any, layout: Layout, texts: Sequence[str], tokenized: Read, *, exact: bool = False
) -> list[Said]:
    scores = scores_of(encoder, heads, tokenized, exact=exact)
    return [
        say(layout, text, where, tags, choices)
        for text, where, (tags, choices) in zip(texts, tokenized.units, scores, strict=True)
    ]


def measured(predictions: Sequence[Said], data: Data) -> dict[str, float]:
    """Score the predictions for the validation rows; empty when there are none."""
    return metrics(predictions, data.held_gold, data.held_aligned.spans) if data.held else {}


def _goal(scores: Mapping[str, float]) -> float:
    return scores["exact"] + scores.get("span_f1", 0.0)


def finish(job: Job, encoder: Encoder, heads: Any, data: Data, about: Mapping[str, Any]) -> Trained:
    """Calibrate on the validation rows, write `model/`, and compare the saved files with the trained model."""
    layout = data.aligned.layout
    validation_tokens = tokens(encoder, data.held, layout)
    predictions = said_of(encoder, heads, layout, data.held, validation_tokens, exact=True)
    scores = measured(predictions, data)
    right = np.asarray(right_of(predictions, data.held_gold), dtype=bool)
    score = np.asarray([prediction.score for prediction in predictions])
    curve = confidence_of(score, right)
    if curve and (error := crossed_ece(score, right)) is not None:
        scores["ece"] = error
    config = {
        "layout": as_json(layout),
        "slope": curve.slope if curve else None,
        "intercept": curve.intercept if curve else None,
        "max_tokens": encoder.limit,
    }
    texts = data.held[:COMPARED] or data.texts[:COMPARED]
    compared = tokens(encoder, texts, layout)
    expected = scores_of(encoder, heads, compared, exact=True)
    write_model(job.folder / MODEL, encoder, heads, weights=HEADS, about=ABOUT, told=config)
    parity, unusable = _parity(job, layout, texts, expected)
    shutil.rmtree(job.checkpoint, ignore_errors=True)
    details = {
        "name": job.name,
        "mode": job.settings["mode"],
        "unit": layout.unit,
        "spans": [name(field.path) for field in layout.fields],
        "chosen": {name(choice.path): len(choice.values) for choice in layout.choices},
        "values": data.aligned.values,
        "unaligned": dict(data.aligned.unaligned),
        "held_unaligned": dict(data.held_aligned.unaligned),
        "parity": parity,
        **about,
    }
    return Trained((MODEL,), scores, encoder.digest, details, unusable=unusable)


def _parity(
    job: Job, layout: Layout, texts: Sequence[str], expected: Sequence[tuple[Floats, list[Floats]]]
) -> tuple[dict[str, Any], str | None]:
    """Return how far the saved files differ from the trained model, and why that is too much, or None."""
    folder = job.folder / MODEL
    saved = load(str(folder / ENCODER), settings=job.settings)
    heads = new_heads(saved, layout)
    heads.load_state_dict(need("safetensors.torch", extra="local").load_file(folder / HEADS))
    actual = scores_of(saved, heads.to(saved.device), tokens(saved, texts, layout), exact=True)
    pairs = [
        pair for a, b in zip(actual, expected, strict=True) for pair in zip((a[0], *a[1]), (b[0], *b[1]), strict=True)
    ]
    difference = max((float(np.abs(a - b).max()) for a, b in pairs if a.size), default=0.0)
    result = {"difference": difference, "allowed": ALLOWED, "inputs": len(texts)}
    if difference <= ALLOWED:
        return result, None
    return result, f"the saved model's scores differ from the trainer's by {difference:.2g}; {ALLOWED:.2g} is allowed"


def _by_token(spans: Sequence[Span], where: Sequence[Unit], size: int) -> list[int]:
    tags = [NO_TAG] * size
    for unit, tag in zip(where, tags_of(spans, where), strict=True):
        tags[unit.token] = tag
    return tags


def _require_objects(rows: Sequence[Row]) -> None:
    if bad := [row for row in rows if not isinstance(row.output, Mapping | None)]:
        raise TuneError(
            f"the output of row {bad[0].id} is not an object: {type(bad[0].output).__name__}",
            hint="write an object or null as its output",
        )


def _summary(data: Data) -> str:
    """Describe the rows, the fields, and the values that cannot be learned."""
    layout, unaligned = data.aligned.layout, data.aligned.unaligned
    parts = [f"{len(data.texts):,} rows, {len(layout.fields)} fields marked in the text"]
    if layout.choices:
        parts.append(f"{len(layout.choices)} chosen: {', '.join(name(choice.path) for choice in layout.choices)}")
    if unaligned:
        by_field = ", ".join(f"{field} {count:,}" for field, count in Counter(unaligned).most_common(5))
        parts.append(
            f"{sum(unaligned.values()):,} of {data.aligned.values:,} values not found in their input ({by_field})"
        )
    return "; ".join(parts)
