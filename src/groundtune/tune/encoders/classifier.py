"""Fine-tune a text classifier: an encoder with a linear head, calibrated probabilities and out-of-scope detection.

    [tune.intents]
    kind = "classifier"
    mode = "full"              # lora: small matrices beside the frozen weights; probe: only the head, in seconds

The head is initialised with the mean vector of each label, so that a small train split goes further. Rows without a
label are never trained on: those of the validation split set the rejection threshold. Inference uses the folder
`model`: `encoder/` as transformers saves it, `head.safetensors`, and `classifier.json`, written last.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from groundtune.errors import need
from groundtune.stats.logits import energy
from groundtune.stats.ranking_metrics import auroc
from groundtune.tune.encoders import calibration
from groundtune.tune.encoders import training_cost as encoder_cost
from groundtune.tune.encoders.base_encoder import (
    ENCODER,
    Encoder,
    add_lora,
    embed,
    encode,
    load_encoder,
    mean_pool,
    refuse_truncation,
    training_copy,
    write_model,
)
from groundtune.tune.encoders.calibration import Floats
from groundtune.tune.encoders.training_loop import (
    PARITY_ROWS,
    TrainingSetup,
    choose_epochs,
    hyperparameters_of,
    parity_record,
    step_tokens,
    train_encoder,
    training_fingerprint,
    training_record,
)
from groundtune.tune.job import Bounds, Job, ProgressCallback, TrainingResult, TrainingRow, TrainingStep, TuneError

MODEL = "model"
HEAD = "head.safetensors"
CONFIG = "classifier.json"
RATES = {"full": (2e-4, 2e-3), "lora": (1e-3, 2e-3)}
"""Learning rates of encoder and head by mode; measured, see benchmarks/tune_classifier.py."""
INITIAL_NORM = 16.0
"""Norm of a label's vector in the head before training."""
STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0)
"""Values of scikit-learn's C for the probe: the best on the validation rows is used, or the middle one without them."""
TOLERANCE = 1e-5
"""Gradient tolerance at which the probe stops. At 1e-3 it stopped after 8 steps on CLINC150: 0.94 instead of 0.96."""
MAX_LABEL_WEIGHT = 10.0
"""Maximum weight of a row with a rare label, as a multiple of the mean weight."""
MAX_DIFFERENCE = 1e-3
"""Tolerance for the difference between the logits of the trained model and those of the saved files."""


@dataclass(frozen=True, slots=True)
class ClassifierData:
    """The rows, with labels as numbers."""

    labels: tuple[str, ...]
    """Labels that the train split has, in the project's order."""
    texts: tuple[str, ...]
    gold: tuple[int, ...]
    validation: tuple[str, ...]
    """Validation rows with one of these labels."""
    validation_gold: tuple[int, ...]
    out_of_scope: tuple[str, ...]
    """Validation rows without a label."""
    unknown: int
    """Validation rows whose label is not in the train split; ignored."""


def estimate(job: Job) -> Bounds:
    """Return upper bounds on time and memory, from a short measurement on this machine.

    Raises MissingError and TuneError as `train` does.
    """
    data = read_rows(job)
    return encoder_cost.estimate_bounds(
        job.base,
        texts=data.texts,
        validation=(*data.validation, *data.out_of_scope),
        settings=job.settings,
        frozen=job.settings["mode"] == "probe",
    )


def train(job: Job, report_step: ProgressCallback) -> TrainingResult:
    """Train, or resume from `job.checkpoint`, and write `model/`.

    Raises MissingError if the base model, the extra or the device is missing; TuneError for rows that cannot be trained
    on, a checkpoint of a different training run, or a loss that becomes NaN or infinite before the first usable
    checkpoint.
    """
    data = read_rows(job)
    report_step(TrainingStep(0.0, 0, 0, note=f"{len(data.texts):,} rows, {len(data.labels)} labels"))
    encoder = load_encoder(job.base, settings=job.settings)
    refuse_truncation(encoder, data.texts, allowed=job.settings.get("allow_truncation") or 0)
    rows, held_rows = encode(encoder, data.texts), encode(encoder, data.validation)
    if job.settings["mode"] == "probe":
        head, about = probe(encoder, data, rows, held_rows, weighted=job.settings["class_weights"])
    else:
        if job.settings["mode"] == "lora":
            encoder = add_lora(encoder, rank=job.settings["rank"])
        head, about = tune(job, encoder, data, rows, held_rows, report_step)
    steps = about.get("steps", 0)
    report_step(TrainingStep(float(len(about.get("history", ()))), steps, steps, note="calibrating and saving"))
    return finish(job, encoder, head, data, about)


def read_rows(job: Job) -> ClassifierData:
    """Read the rows. Raises TuneError when they cannot train a classifier."""
    listed: Sequence[str] = job.details.get("labels") or ()
    rows, validation = job.rows("train"), job.rows("validation")
    labelled = [row for row in rows if row.output is not None]
    if bad := [row for row in (*labelled, *validation) if not isinstance(row.output, str | None)]:
        raise TuneError(f"row {bad[0].id} has no label: {bad[0].output!r}", hint="output is a label, or null")
    present = {str(row.output) for row in labelled}
    if listed and (unlisted := sorted(present - set(listed))):
        raise TuneError(f'label "{unlisted[0]}" is not defined in the project', hint="add it under [labels]")
    labels = tuple(label for label in (listed or sorted(present)) if label in present)
    if len(labels) < 2:
        raise TuneError(
            f"the train split has {len(labels)} label{'' if len(labels) == 1 else 's'}: there is nothing to classify",
            hint="add examples of at least two labels",
        )
    number_of = {label: number for number, label in enumerate(labels)}
    inside = [row for row in validation if row.output in number_of]
    outside = [row for row in validation if row.output is None]
    return ClassifierData(
        labels=labels,
        texts=_texts(labelled),
        gold=tuple(number_of[str(row.output)] for row in labelled),
        validation=_texts(inside),
        validation_gold=tuple(number_of[str(row.output)] for row in inside),
        out_of_scope=_texts(outside),
        unknown=len(validation) - len(inside) - len(outside),
    )


def tune(
    job: Job,
    encoder: Encoder,
    data: ClassifierData,
    rows: Sequence[list[int]],
    held_rows: Sequence[list[int]],
    report_step: ProgressCallback,
) -> tuple[Any, dict[str, Any]]:
    """Train encoder and head. Return the head and a training record; the encoder then holds the best weights."""
    torch = need("torch", extra="local")
    functional, settings = torch.nn.functional, job.settings
    gold, held_gold = torch.tensor(data.gold, device=encoder.device), np.asarray(data.validation_gold)
    head = initial_head(embed(encoder, rows), data).to(encoder.device)
    weights = torch.tensor(label_weights(data), device=encoder.device) if settings["class_weights"] else None
    lengths = list(map(len, rows))
    through = training_copy(encoder, longest=max(lengths))

    def loss(places: Sequence[int]) -> Any:
        vectors = mean_pool(through, [rows[place] for place in places])
        return functional.cross_entropy(head(vectors), gold[list(places)], weight=weights)

    def measure() -> Mapping[str, float]:
        return metrics(logits(head, embed(encoder, held_rows)), held_gold) if held_rows else {}

    score = "macro_f1" if settings["class_weights"] else "accuracy"
    budget = settings["batch_tokens"]
    hyperparameters = hyperparameters_of(
        settings,
        RATES[settings["mode"]],
        epochs=settings["epochs"] or choose_epochs(lengths, batch_tokens=budget),
        batch_tokens=budget,
        patience=settings["patience"],
    )
    setup = TrainingSetup(
        encoder, head, lengths, loss, measure, lambda values: (values[score], -values["loss"]), through
    )
    progress = train_encoder(
        setup,
        hyperparameters,
        report_step,
        folder=job.checkpoint,
        fingerprint=training_fingerprint(job.settings, encoder, data),
    )
    return head, {
        "step_tokens": step_tokens(lengths, batch_tokens=budget),
        **training_record(progress, hyperparameters),
    }


def initial_head(vectors: Any, data: ClassifierData) -> Any:
    """Return a linear layer of the labels' mean vectors. Raises TuneError for NaN or infinite vectors."""
    torch = need("torch", extra="local")
    if not bool(vectors.isfinite().all()):
        raise TuneError(
            "the base model produces NaN or infinite embeddings", hint="use another base model; this one is damaged"
        )
    gold = torch.tensor(data.gold)
    means = torch.zeros(len(data.labels), vectors.shape[1]).index_add_(0, gold, vectors)
    head = torch.nn.Linear(vectors.shape[1], len(data.labels))
    with torch.no_grad():
        head.weight.copy_(INITIAL_NORM * torch.nn.functional.normalize(means, dim=1))
        head.bias.zero_()
    return head


def label_weights(data: ClassifierData) -> list[float]:
    """Return a weight per label so that all labels count equally; none exceeds MAX_LABEL_WEIGHT (the mean is 1)."""
    counts = np.bincount(data.gold, minlength=len(data.labels))
    return [float(min(MAX_LABEL_WEIGHT, len(data.gold) / (len(data.labels) * count))) for count in counts]


def probe(
    encoder: Encoder, data: ClassifierData, rows: Sequence[list[int]], held_rows: Sequence[list[int]], *, weighted: bool
) -> tuple[Any, dict[str, Any]]:
    """Fit a logistic regression on the base model's own vectors, with the regularisation that validates best."""
    torch = need("torch", extra="local")
    linear = need("sklearn.linear_model", extra="local")
    vectors, held_vectors = embed(encoder, rows, exact=True), embed(encoder, held_rows, exact=True)
    head = initial_head(vectors, data)
    best: tuple[float, float] | None = None
    scores_by_strength = {}
    weights = dict(enumerate(label_weights(data))) if weighted else None
    model = linear.LogisticRegression(class_weight=weights, max_iter=1000, tol=TOLERANCE, warm_start=True)
    for strength in STRENGTHS if held_rows else STRENGTHS[len(STRENGTHS) // 2 :][:1]:
        model.set_params(C=strength).fit(vectors.numpy(), data.gold)
        candidate = _as_head(model, torch)
        scores = metrics(logits(candidate, held_vectors), np.asarray(data.validation_gold)) if held_rows else {}
        scores_by_strength[str(strength)] = scores
        goal = (scores["macro_f1" if weighted else "accuracy"], -scores["loss"]) if scores else (0.0, 0.0)
        if best is None or goal > best:
            best, head, chosen = goal, candidate, strength
    return head, {"strength": chosen, "tried": scores_by_strength}


def _as_head(model: Any, torch: Any) -> Any:
    """Return the model as a linear layer; with two labels, scikit-learn has a single row, for the second label."""
    weight, bias = model.coef_, model.intercept_
    if len(weight) == 1:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    head = torch.nn.Linear(weight.shape[1], len(weight))
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.copy_(torch.from_numpy(bias))
    return head


def logits(head: Any, vectors: Any) -> Floats:
    """Return the logits on the CPU, (n, labels)."""
    with need("torch", extra="local").inference_mode():
        values: Floats = head(vectors.to(head.weight.device)).double().cpu().numpy()
    return values


def metrics(logits: Floats, gold: Any) -> dict[str, float]:
    """Score the rows that have a label, with none rejected."""
    predicted = logits.argmax(axis=1)
    return {
        "accuracy": float((predicted == gold).mean()),
        "macro_f1": calibration.macro_f1(predicted, gold),
        "loss": calibration.negative_log_likelihood(logits, gold),
    }


def finish(job: Job, encoder: Encoder, head: Any, data: ClassifierData, about: Mapping[str, Any]) -> TrainingResult:
    """Calibrate on the validation rows, write `model/`, and compare the saved files with the trained model."""
    gold = np.asarray(data.validation_gold, dtype=np.int64)
    inside = logits(head, embed(encoder, encode(encoder, data.validation), exact=True))
    outside = logits(head, embed(encoder, encode(encoder, data.out_of_scope), exact=True))
    inside_energies, outside_energies = energy(inside), energy(outside)
    right = inside.argmax(axis=1) == gold
    rejection = calibration.fit_rejection(inside_energies, right, outside_energies)
    notes = calibration.rejection_notes(inside_energies, right, outside_energies)
    scores = {}
    if len(gold):
        scores = {**metrics(inside, gold), "ece": calibration.cross_validated_ece(inside, gold)}
    in_scope = [True] * len(inside_energies) + [False] * len(outside_energies)
    area = auroc(np.concatenate([inside_energies, outside_energies]).tolist(), in_scope)
    if area is not None:
        scores["oos_auroc"] = area
    config = {
        "labels": list(data.labels),
        "temperature": calibration.fit_temperature(inside, gold),
        "threshold": rejection.threshold if rejection else None,
        "slope": rejection.slope if rejection else None,
        "intercept": rejection.intercept if rejection else None,
        "max_tokens": encoder.limit,
    }
    compared = data.validation[:PARITY_ROWS] or data.texts[:PARITY_ROWS]
    expected = logits(head, embed(encoder, encode(encoder, compared), exact=True))
    write_model(job.folder / MODEL, encoder, head, weights_name=HEAD, config_name=CONFIG, config=config)
    parity, unusable = _parity(job, expected, compared)
    shutil.rmtree(job.checkpoint, ignore_errors=True)
    details = {
        "name": job.name,
        "mode": job.settings["mode"],
        **{key: value for key, value in config.items() if key != "labels"},
        "trained_labels": len(data.labels),
        "refused": _refused(inside_energies, outside_energies, rejection),
        "notes": notes,
        "left_out": data.unknown,
        "parity": parity,
        **about,
    }
    return TrainingResult((MODEL,), scores, encoder.digest, details, unusable=unusable)


def _parity(job: Job, expected: Floats, texts: Sequence[str]) -> tuple[dict[str, Any], str | None]:
    """Return how far the saved files differ from the trained model, and why that is too much, or None."""
    torch = need("torch", extra="local")
    folder = job.folder / MODEL
    saved = load_encoder(str(folder / ENCODER), settings=job.settings)
    weights = need("safetensors.torch", extra="local").load_file(folder / HEAD)
    head = torch.nn.Linear(saved.dimension, len(weights["bias"]))
    head.load_state_dict(weights)
    difference = float(np.abs(logits(head, embed(saved, encode(saved, texts), exact=True)) - expected).max())
    return parity_record(difference, allowed=MAX_DIFFERENCE, inputs=len(texts), what="logits")


def _refused(inside: Floats, outside: Floats, rejection: calibration.Rejection | None) -> dict[str, float | None]:
    """Return the shares of validation rows with and without a label that the threshold rejects."""
    if rejection is None:
        return {"in_scope": None, "out_of_scope": None}
    return {
        "in_scope": float((inside < rejection.threshold).mean()) if len(inside) else None,
        "out_of_scope": float((outside < rejection.threshold).mean()) if len(outside) else None,
    }


def _texts(rows: Sequence[TrainingRow]) -> tuple[str, ...]:
    return tuple(row.input for row in rows)
