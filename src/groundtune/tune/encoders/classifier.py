"""Labelled texts to a classifier: an encoder with a linear head, its probabilities, and when an input fits no label.

    [tune.intents]
    kind = "classifier"
    mode = "full"              # lora: small matrices beside the frozen weights; probe: only the head, in seconds

The head starts as the mean vector of each label, so that a few rows do not go into finding it. Rows without a label are
never trained on: those of the validation split say where the threshold lies. What is asked afterwards is the folder
`model`: `encoder/` as transformers saves it, `head.safetensors`, and `classifier.json`, written last.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from groundtune.errors import need
from groundtune.tune.encoders import calibrate
from groundtune.tune.encoders import cost as encoder_cost
from groundtune.tune.encoders.calibrate import Floats
from groundtune.tune.encoders.encoder import (
    ENCODER,
    Encoder,
    adapted,
    embed,
    encode,
    load,
    pooled,
    refuse_cut,
    write_model,
)
from groundtune.tune.encoders.fit import Course, fingerprint_of, fit, outcome, pace_of, step_tokens
from groundtune.tune.job import Bounds, Job, Row, Step, Trained, TuneError, Watch

MODEL = "model"
HEAD = "head.safetensors"
ABOUT = "classifier.json"
RATES = {"full": (2e-4, 2e-3), "lora": (1e-3, 2e-3)}
"""Mode to the learning rates of encoder and head; measured, see benchmarks/tune_classifier.py."""
SHARPNESS = 16.0
"""Length of a label's vector in the head before training."""
STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0)
"""Of the probe, C of scikit-learn: the one that is best on the validation rows, or else the middle one."""
TOLERANCE = 1e-5
"""Of the slope at which the probe is done. At 1e-3 it stopped after 8 steps on CLINC150: 0.94 instead of 0.96."""
HEAVIEST = 10.0
"""Times the mean weight that a row of a rare label may have."""
ALLOWED = 1e-3
"""Largest difference between the logits of the trainer and of the files that it wrote."""
COMPARED = 16
"""Rows on which that is looked at."""


@dataclass(frozen=True, slots=True)
class Data:
    """The rows as numbers."""

    labels: tuple[str, ...]
    """Those that the train split has, in the project's order."""
    texts: tuple[str, ...]
    gold: tuple[int, ...]
    held: tuple[str, ...]
    """Validation rows with one of these labels."""
    held_gold: tuple[int, ...]
    outside: tuple[str, ...]
    """Validation rows without a label."""
    unknown: int
    """Validation rows with a label that the train split lacks; left out."""


def estimate(job: Job) -> Bounds:
    """Time and memory at most, measured on this machine in a moment. Raises MissingError and TuneError as `train`."""
    data = read(job)
    return encoder_cost.bounds(
        job.base,
        texts=data.texts,
        held=(*data.held, *data.outside),
        settings=job.settings,
        frozen=job.settings["mode"] == "probe",
    )


def train(job: Job, watch: Watch) -> Trained:
    """Trains, or goes on from `job.checkpoint`, and writes `model/`.

    Raises MissingError without base, extra or device; TuneError for rows that cannot be trained on, a checkpoint of
    another training, or a loss that is not finite before anything was kept.
    """
    data = read(job)
    watch(Step(0.0, 0, 0, note=f"{len(data.texts):,} rows, {len(data.labels)} labels"))
    encoder = load(job.base, settings=job.settings)
    refuse_cut(encoder, data.texts, allowed=job.settings.get("allow_truncation") or 0)
    rows, held = encode(encoder, data.texts), encode(encoder, data.held)
    if job.settings["mode"] == "probe":
        head, about = probe(encoder, data, rows, held, weighted=job.settings["class_weights"])
    else:
        if job.settings["mode"] == "lora":
            encoder = adapted(encoder, rank=job.settings["rank"])
        head, about = tune(job, encoder, data, rows, held, watch)
    steps = about.get("steps", 0)
    watch(Step(float(len(about.get("history", ()))), steps, steps, note="calibrates and saves"))
    return finish(job, encoder, head, data, about)


def read(job: Job) -> Data:
    """Raises TuneError for rows that no classifier can be made of."""
    known: Sequence[str] = job.details.get("labels") or ()
    rows, validation = job.rows("train"), job.rows("validation")
    labelled = [row for row in rows if row.output is not None]
    if bad := [row for row in (*labelled, *validation) if not isinstance(row.output, str | None)]:
        raise TuneError(f"row {bad[0].id} has no label: {bad[0].output!r}", hint="output is a label, or null")
    found = {str(row.output) for row in labelled}
    if known and (strange := sorted(found - set(known))):
        raise TuneError(f'label "{strange[0]}" is not one of the project', hint="add it under [labels]")
    labels = tuple(one for one in (known or sorted(found)) if one in found)
    if len(labels) < 2:
        raise TuneError(
            f"the train split has {len(labels)} label{'' if len(labels) == 1 else 's'}: there is nothing to tell apart",
            hint="add examples of at least two labels",
        )
    place = {label: number for number, label in enumerate(labels)}
    inside = [row for row in validation if row.output in place]
    outside = [row for row in validation if row.output is None]
    return Data(
        labels=labels,
        texts=_texts(labelled),
        gold=tuple(place[str(row.output)] for row in labelled),
        held=_texts(inside),
        held_gold=tuple(place[str(row.output)] for row in inside),
        outside=_texts(outside),
        unknown=len(validation) - len(inside) - len(outside),
    )


def tune(
    job: Job, encoder: Encoder, data: Data, rows: Sequence[list[int]], held: Sequence[list[int]], watch: Watch
) -> tuple[Any, dict[str, Any]]:
    """The head, beside the encoder whose weights are then the best ones; and what is to be known of the training."""
    torch = need("torch", extra="local")
    functional, settings = torch.nn.functional, job.settings
    gold, held_gold = torch.tensor(data.gold, device=encoder.device), np.asarray(data.held_gold)
    head = first_head(embed(encoder, rows), data).to(encoder.device)
    weights = torch.tensor(row_weights(data), device=encoder.device) if settings["class_weights"] else None

    def loss(places: Sequence[int]) -> Any:
        vectors = pooled(encoder, [rows[place] for place in places])
        with torch.autocast(encoder.device.partition(":")[0], enabled=False):
            return functional.cross_entropy(head(vectors), gold[list(places)], weight=weights)

    def measure() -> Mapping[str, float]:
        return metrics(logits(head, embed(encoder, held)), held_gold) if held else {}

    score = "macro_f1" if settings["class_weights"] else "accuracy"
    pace = pace_of(
        settings, RATES[settings["mode"]], batch_tokens=settings["batch_tokens"], patience=settings["patience"]
    )
    lengths = list(map(len, rows))
    course = Course(encoder, head, lengths, loss, measure, lambda found: (found[score], -found["loss"]))
    progress = fit(course, pace, watch, folder=job.checkpoint, fingerprint=fingerprint_of(job.settings, encoder, data))
    return head, outcome(progress, pace, tokens=step_tokens(lengths, batch_tokens=pace.batch_tokens))


def first_head(vectors: Any, data: Data) -> Any:
    """A linear layer whose rows are the mean vectors of the labels. Raises TuneError when the base gives no numbers."""
    torch = need("torch", extra="local")
    if not bool(vectors.isfinite().all()):
        raise TuneError("the base gives vectors that are not finite", hint="take another base: this one is damaged")
    gold = torch.tensor(data.gold)
    means = torch.zeros(len(data.labels), vectors.shape[1]).index_add_(0, gold, vectors)
    head = torch.nn.Linear(vectors.shape[1], len(data.labels))
    with torch.no_grad():
        head.weight.copy_(SHARPNESS * torch.nn.functional.normalize(means, dim=1))
        head.bias.zero_()
    return head


def row_weights(data: Data) -> list[float]:
    """Of each label, so that all labels together weigh the same; none more than HEAVIEST times the mean of 1."""
    counts = np.bincount(data.gold, minlength=len(data.labels))
    return [float(min(HEAVIEST, len(data.gold) / (len(data.labels) * count))) for count in counts]


def probe(
    encoder: Encoder, data: Data, rows: Sequence[list[int]], held: Sequence[list[int]], *, weighted: bool
) -> tuple[Any, dict[str, Any]]:
    """Logistic regression on the base's own vectors; how strongly it is held back is chosen on the validation rows."""
    torch = need("torch", extra="local")
    linear = need("sklearn.linear_model", extra="local")
    vectors, held_vectors = embed(encoder, rows, exact=True), embed(encoder, held, exact=True)
    head = first_head(vectors, data)
    best: tuple[float, float] | None = None
    tried = {}
    weights = dict(enumerate(row_weights(data))) if weighted else None
    model = linear.LogisticRegression(class_weight=weights, max_iter=1000, tol=TOLERANCE, warm_start=True)
    for strength in STRENGTHS if held else STRENGTHS[len(STRENGTHS) // 2 :][:1]:
        model.set_params(C=strength).fit(vectors.numpy(), data.gold)
        made = _as_head(model, torch)
        found = metrics(logits(made, held_vectors), np.asarray(data.held_gold)) if held else {}
        tried[str(strength)] = found
        goal = (found["macro_f1" if weighted else "accuracy"], -found["loss"]) if found else (0.0, 0.0)
        if best is None or goal > best:
            best, head, chosen = goal, made, strength
    return head, {"strength": chosen, "tried": tried}


def _as_head(model: Any, torch: Any) -> Any:
    """Of two labels, scikit-learn keeps one row: what speaks for the second."""
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    head = torch.nn.Linear(weight.shape[1], len(weight))
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))
    return head


def logits(head: Any, vectors: Any) -> Floats:
    """(n, labels), on the processor."""
    with need("torch", extra="local").inference_mode():
        found: Floats = head(vectors.to(head.weight.device)).double().cpu().numpy()
    return found


def metrics(found: Floats, gold: Any) -> dict[str, float]:
    """Of rows with a label, when none is refused."""
    said = found.argmax(axis=1)
    return {
        "accuracy": float((said == gold).mean()),
        "macro_f1": calibrate.macro_f1(said, gold),
        "loss": calibrate.loss(found, gold),
    }


def finish(job: Job, encoder: Encoder, head: Any, data: Data, about: Mapping[str, Any]) -> Trained:
    """Calibrates on the validation rows, writes `model/`, and holds what it wrote against what it trained."""
    gold = np.asarray(data.held_gold, dtype=np.int64)
    inside = logits(head, embed(encoder, encode(encoder, data.held), exact=True))
    outside = logits(head, embed(encoder, encode(encoder, data.outside), exact=True))
    energies, strange = calibrate.energy(inside), calibrate.energy(outside)
    right = inside.argmax(axis=1) == gold
    scope, notes = calibrate.scope(energies, right, strange), calibrate.scope_notes(energies, right, strange)
    found = {}
    if len(gold):
        found = {**metrics(inside, gold), "ece": calibrate.crossed_ece(inside, gold)}
    if len(gold) and len(strange):
        found["oos_auroc"] = calibrate.auroc(energies, strange)
    told = {
        "labels": list(data.labels),
        "temperature": calibrate.temperature(inside, gold),
        "threshold": scope.threshold if scope else None,
        "slope": scope.slope if scope else None,
        "intercept": scope.intercept if scope else None,
        "max_tokens": encoder.limit,
    }
    compared = data.held[:COMPARED] or data.texts[:COMPARED]
    wanted = logits(head, embed(encoder, encode(encoder, compared), exact=True))
    write_model(job.folder / MODEL, encoder, head, weights=HEAD, about=ABOUT, told=told)
    parity, unusable = _parity(job, wanted, compared)
    shutil.rmtree(job.checkpoint, ignore_errors=True)
    details = {
        "name": job.name,
        "mode": job.settings["mode"],
        **{key: value for key, value in told.items() if key != "labels"},
        "trained_labels": len(data.labels),
        "refused": _refused(energies, strange, scope),
        "notes": notes,
        "left_out": data.unknown,
        "parity": parity,
        **about,
    }
    return Trained((MODEL,), found, encoder.digest, details, unusable=unusable)


def _parity(job: Job, wanted: Floats, texts: Sequence[str]) -> tuple[dict[str, Any], str | None]:
    """How far the files are from what was trained, and why that is too much."""
    torch = need("torch", extra="local")
    folder = job.folder / MODEL
    again = load(str(folder / ENCODER), settings=job.settings)
    weights = need("safetensors.torch", extra="local").load_file(folder / HEAD)
    head = torch.nn.Linear(again.dimension, len(weights["bias"]))
    head.load_state_dict(weights)
    away = float(np.abs(logits(head, embed(again, encode(again, texts), exact=True)) - wanted).max())
    told = {"difference": away, "allowed": ALLOWED, "inputs": len(texts)}
    if away <= ALLOWED:
        return told, None
    return told, f"the saved model gives other logits than the trainer's: {away:.2g} apart, {ALLOWED:.2g} is allowed"


def _refused(inside: Floats, outside: Floats, scope: calibrate.Scope | None) -> dict[str, float | None]:
    """Share of the validation rows with and without a label that the threshold refuses."""
    if scope is None:
        return {"in_scope": None, "out_of_scope": None}
    return {
        "in_scope": float((inside < scope.threshold).mean()) if len(inside) else None,
        "out_of_scope": float((outside < scope.threshold).mean()) if len(outside) else None,
    }


def _texts(rows: Sequence[Row]) -> tuple[str, ...]:
    return tuple(row.input for row in rows)
