"""Texts with objects to an extractor: an encoder that marks where values stand, and chooses what stands nowhere.

    [tune.fields]
    kind = "extractor"
    mode = "full"              # lora: small matrices beside the frozen weights

Each word gets a tag by a linear layer, read as the likeliest row of tags that makes sense (groundtune/spans.py); a
field whose values do not stand in the text is chosen by a linear layer on the mean of all tokens. What is asked
afterwards is the folder `model`: `encoder/` as transformers saves it, `heads.safetensors`, and `extractor.json`.
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
"""Mode to the learning rates of encoder and heads: those of the classifier, not tuned for this task."""
CUT = 0.02
"""Share of the spans that words may blur; above it, word pieces are tagged."""
NO_TAG = -100
"""Of tokens that carry none; torch leaves them out of the loss."""
ALLOWED = 1e-3
"""Largest difference between the scores of the trainer and of the files that it wrote."""
COMPARED = 16
"""Rows on which that is looked at."""


@dataclass(frozen=True, slots=True)
class Data:
    """The rows with the places of their values."""

    texts: tuple[str, ...]
    aligned: Aligned
    held: tuple[str, ...]
    held_gold: tuple[Any, ...]
    held_aligned: Aligned


@dataclass(frozen=True, slots=True)
class Read:
    """Texts as tokens, and which of them speak for words."""

    rows: list[list[int]]
    units: list[list[Unit]]


def estimate(job: Job) -> Bounds:
    """Time and memory at most, measured on this machine in a moment. Raises MissingError and TuneError as `train`."""
    data = read(job)
    return encoder_cost.bounds(
        job.base,
        texts=[whole(text) for text in data.texts],
        held=[whole(text) for text in data.held],
        settings=job.settings,
    )


def train(job: Job, watch: Watch) -> Trained:
    """Trains, or goes on from `job.checkpoint`, and writes `model/`.

    Raises MissingError without base, extra or device; TuneError for rows that cannot be trained on, a checkpoint of
    another training, or a loss that is not finite before anything was kept.
    """
    data = read(job)
    watch(Step(0.0, 0, 0, note=_said(data)))
    encoder = load(job.base, settings=job.settings)
    if not encoder.tokenizer.is_fast:
        raise TuneError(
            f"the tokenizer of {job.base} does not say where in the text its tokens stand",
            hint="take a base with a tokenizer.json",
        )
    refuse_cut(encoder, [whole(text) for text in data.texts], allowed=job.settings.get("allow_truncation") or 0)
    data = with_unit(encoder, data)
    if job.settings["mode"] == "lora":
        encoder = adapted(encoder, rank=job.settings["rank"])
    heads, about = tune(job, encoder, data, watch)
    watch(Step(0.0, 0, 0, note="calibrates and saves"))
    return finish(job, encoder, heads, data, about)


def read(job: Job) -> Data:
    """Raises TuneError for rows that no extractor can be made of."""
    rows, validation = job.rows("train"), job.rows("validation")
    _objects((*rows, *validation))
    pairs = [(row.input, row.output) for row in rows]
    held = [(row.input, row.output) for row in validation]
    aligned = align(pairs, job.details.get("schema"))
    return Data(
        texts=tuple(row.input for row in rows),
        aligned=aligned,
        held=tuple(row.input for row in validation),
        held_gold=tuple(row.output for row in validation),
        held_aligned=put(held, aligned.layout, usual(pairs, aligned.layout)),
    )


def with_unit(encoder: Encoder, data: Data) -> Data:
    """Words carry the tags where values begin and end with them; else pieces do."""
    found = tokens(encoder, data.texts, data.aligned.layout)
    wanted = blurred = 0
    for spans, where in zip(data.aligned.spans, found.units, strict=True):
        given = {one[:3] for one in spans_of(tags_of(spans, where), where)}
        wanted += len(spans)
        blurred += sum(one[:3] not in given for one in spans)
    layout = replace(data.aligned.layout, unit="piece" if blurred > CUT * wanted else "word")
    return replace(
        data,
        aligned=replace(data.aligned, layout=layout),
        held_aligned=replace(data.held_aligned, layout=layout),
    )


def tokens(encoder: Encoder, texts: Sequence[str], layout: Layout) -> Read:
    """Cut at the encoder's limit."""
    if not texts:
        return Read([], [])
    given = encoder.tokenizer(
        [whole(text) for text in texts], truncation=True, max_length=encoder.limit, return_offsets_mapping=True
    )
    where = [
        units(given["offset_mapping"][row], given.word_ids(row), text=text, by=layout.unit)
        for row, text in enumerate(texts)
    ]
    return Read(given["input_ids"], where)


def new_heads(encoder: Encoder, layout: Layout, *, seed: int = 0) -> Any:
    """Linear layers: `tags`, and `choice0`, `choice1`, …"""
    torch = need("torch", extra="local")
    torch.manual_seed(seed)
    sizes = {"tags": layout.tags, **{f"choice{at}": len(one.values) for at, one in enumerate(layout.choices)}}
    return torch.nn.ModuleDict({key: torch.nn.Linear(encoder.dimension, size) for key, size in sizes.items()})


def tune(job: Job, encoder: Encoder, data: Data, watch: Watch) -> tuple[Any, dict[str, Any]]:
    """The heads, beside the encoder whose weights are then the best ones; and what is to be known of the training."""
    torch = need("torch", extra="local")
    settings, layout = job.settings, data.aligned.layout
    given, held = tokens(encoder, data.texts, layout), tokens(encoder, data.held, layout)
    each = zip(data.aligned.spans, given.units, given.rows, strict=True)
    gold = [_by_token(spans, where, len(row)) for spans, where, row in each]
    heads = new_heads(encoder, layout, seed=settings["seed"]).to(encoder.device)

    def loss(places: Sequence[int]) -> Any:
        states, mask = hidden(encoder, [given.rows[place] for place in places])
        with torch.autocast(encoder.device.partition(":")[0], enabled=False):
            longest = states.shape[1]
            wanted = [[*gold[place], *[NO_TAG] * (longest - len(gold[place]))] for place in places]
            return _loss(heads, states, mask, wanted, [data.aligned.chosen[place] for place in places])

    def measure() -> Mapping[str, float]:
        return measured(said_of(encoder, heads, layout, data.held, held), data)

    pace = pace_of(
        settings, RATES[settings["mode"]], batch_tokens=settings["batch_tokens"], patience=settings["patience"]
    )
    lengths = list(map(len, given.rows))
    course = Course(encoder, heads, lengths, loss, measure, _goal)
    progress = fit(course, pace, watch, folder=job.checkpoint, fingerprint=fingerprint_of(job.settings, encoder, data))
    return heads, outcome(progress, pace, tokens=step_tokens(lengths, batch_tokens=pace.batch_tokens))


def _loss(heads: Any, states: Any, mask: Any, tags: list[list[int]], chosen: Sequence[Sequence[int]]) -> Any:
    torch = need("torch", extra="local")
    functional = torch.nn.functional
    wanted = torch.tensor(tags, device=states.device)
    marked = wanted != NO_TAG
    total = functional.cross_entropy(heads["tags"](states[marked]), wanted[marked], reduction="sum")
    total = total / marked.sum().clamp(min=1)
    if len(heads) == 1:
        return total
    vectors = _mean(states, mask)
    values = torch.tensor(chosen, device=states.device)
    for at in range(values.shape[1]):
        total = total + functional.cross_entropy(heads[f"choice{at}"](vectors), values[:, at])
    return total


def _mean(states: Any, mask: Any) -> Any:
    if mask is None:
        return states.mean(dim=1)
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1)


def scores_of(encoder: Encoder, heads: Any, given: Read, *, exact: bool = False) -> list[tuple[Floats, list[Floats]]]:
    """Of each row: (units, tags), and (values,) of each choice; before any softmax. exact: in float32."""
    torch = need("torch", extra="local")
    found: list[tuple[Floats, list[Floats]]] = [(np.zeros((0, 0)), [])] * len(given.rows)
    for places, (states, mask) in evaluated(encoder, given.rows, exact=exact, by=hidden):
        with torch.inference_mode():
            tags = heads["tags"](states).double().cpu().numpy()
            vectors = _mean(states, mask)
            choices = [heads[f"choice{at}"](vectors).double().cpu().numpy() for at in range(len(heads) - 1)]
        for row, place in enumerate(places):
            own = [unit.token for unit in given.units[place]]
            found[place] = (tags[row][own], [one[row] for one in choices])
    return found


def said_of(
    encoder: Encoder, heads: Any, layout: Layout, texts: Sequence[str], given: Read, *, exact: bool = False
) -> list[Said]:
    scores = scores_of(encoder, heads, given, exact=exact)
    return [
        say(layout, text, where, tags, choices)
        for text, where, (tags, choices) in zip(texts, given.units, scores, strict=True)
    ]


def measured(said: Sequence[Said], data: Data) -> dict[str, float]:
    """Of the validation rows; empty when there are none."""
    return metrics(said, data.held_gold, data.held_aligned.spans) if data.held else {}


def _goal(found: Mapping[str, float]) -> float:
    return found["exact"] + found.get("span_f1", 0.0)


def finish(job: Job, encoder: Encoder, heads: Any, data: Data, about: Mapping[str, Any]) -> Trained:
    """Calibrates on the validation rows, writes `model/`, and holds what it wrote against what it trained."""
    layout = data.aligned.layout
    held = tokens(encoder, data.held, layout)
    said = said_of(encoder, heads, layout, data.held, held, exact=True)
    found = measured(said, data)
    right = np.asarray(right_of(said, data.held_gold), dtype=bool)
    score = np.asarray([one.score for one in said])
    curve = confidence_of(score, right)
    if curve and (sure := crossed_ece(score, right)) is not None:
        found["ece"] = sure
    told = {
        "layout": as_json(layout),
        "slope": curve.slope if curve else None,
        "intercept": curve.intercept if curve else None,
        "max_tokens": encoder.limit,
    }
    texts = data.held[:COMPARED] or data.texts[:COMPARED]
    given = tokens(encoder, texts, layout)
    wanted = scores_of(encoder, heads, given, exact=True)
    write_model(job.folder / MODEL, encoder, heads, weights=HEADS, about=ABOUT, told=told)
    parity, unusable = _parity(job, layout, texts, wanted)
    shutil.rmtree(job.checkpoint, ignore_errors=True)
    details = {
        "name": job.name,
        "mode": job.settings["mode"],
        "unit": layout.unit,
        "spans": [name(one.path) for one in layout.fields],
        "chosen": {name(one.path): len(one.values) for one in layout.choices},
        "values": data.aligned.values,
        "unaligned": dict(data.aligned.unaligned),
        "held_unaligned": dict(data.held_aligned.unaligned),
        "parity": parity,
        **about,
    }
    return Trained((MODEL,), found, encoder.digest, details, unusable=unusable)


def _parity(
    job: Job, layout: Layout, texts: Sequence[str], wanted: Sequence[tuple[Floats, list[Floats]]]
) -> tuple[dict[str, Any], str | None]:
    """How far the files are from what was trained, and why that is too much."""
    folder = job.folder / MODEL
    again = load(str(folder / ENCODER), settings=job.settings)
    heads = new_heads(again, layout)
    heads.load_state_dict(need("safetensors.torch", extra="local").load_file(folder / HEADS))
    found = scores_of(again, heads.to(again.device), tokens(again, texts, layout), exact=True)
    pairs = [
        pair for a, b in zip(found, wanted, strict=True) for pair in zip((a[0], *a[1]), (b[0], *b[1]), strict=True)
    ]
    away = max((float(np.abs(a - b).max()) for a, b in pairs if a.size), default=0.0)
    told = {"difference": away, "allowed": ALLOWED, "inputs": len(texts)}
    if away <= ALLOWED:
        return told, None
    return told, f"the saved model gives other scores than the trainer's: {away:.2g} apart, {ALLOWED:.2g} is allowed"


def _by_token(spans: Sequence[Span], where: Sequence[Unit], size: int) -> list[int]:
    made = [NO_TAG] * size
    for unit, tag in zip(where, tags_of(spans, where), strict=True):
        made[unit.token] = tag
    return made


def _objects(rows: Sequence[Row]) -> None:
    if bad := [row for row in rows if not isinstance(row.output, Mapping | None)]:
        raise TuneError(
            f"row {bad[0].id} has no object, but {type(bad[0].output).__name__}", hint="output is an object, or null"
        )


def _said(data: Data) -> str:
    """Rows, fields, and what cannot be learnt."""
    layout, lost = data.aligned.layout, data.aligned.unaligned
    parts = [f"{len(data.texts):,} rows, {len(layout.fields)} fields marked in the text"]
    if layout.choices:
        parts.append(f"{len(layout.choices)} chosen: {', '.join(name(one.path) for one in layout.choices)}")
    if lost:
        each = ", ".join(f"{field} {count:,}" for field, count in Counter(lost).most_common(5))
        parts.append(f"{sum(lost.values()):,} of {data.aligned.values:,} values not found in their input ({each})")
    return "; ".join(parts)
