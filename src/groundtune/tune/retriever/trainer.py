"""Questions and the passages that answer them to an adapted embedder, or to a reranker; adopted only for a real gain.

    [tune.search]
    kind = "retriever"
    part = "embedder"          # reranker: a cross-encoder from the same rows

The loss is a choice among passages: of all those in the batch (multiple negatives, Henderson 2017, arXiv 1705.00652)
with hard negatives from our own retriever for the embedder, of the question's own for the reranker. The folder `model`
is what `sentence-transformers` saves. Measured is nDCG@10 on the validation questions, in the ranking that is served:
cosine and BM25 together over all candidates of our own retriever, and for a reranker the first of them in its order. A
tuned model whose gain there is not measurable is marked unusable.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from groundtune.tune.encoders import cost as encoder_cost
from groundtune.tune.encoders.encoder import lengths, refuse_cut
from groundtune.tune.encoders.fit import Course, Pace, Progress, fit, pace_of
from groundtune.tune.job import Bounds, Job, Step, Trained, TuneError, Watch
from groundtune.tune.retriever import models
from groundtune.tune.retriever.gate import Gain, Served, gain, ndcg_of_list, refusal, served
from groundtune.tune.retriever.losses import Tokens, in_batch, of_its_own
from groundtune.tune.retriever.models import DOCUMENT, QUERY, Ranker
from groundtune.tune.retriever.rows import Asked, Data, Floats, lexical, read, visible, without_alike
from groundtune.workspace import digest_text

MODEL = "model"
SCORE = "ndcg@10"
RATES = {"embedder": (5e-5, 5e-5), "reranker": (5e-5, 2e-4)}
"""Part to the learning rates of the transformer and of the rest. Measured for the embedder alone, and at no other rate
(benchmarks/tune_retriever.py); the reranker's are customary ones."""
QUESTIONS = 8
"""About one passage, in a step at most."""
PATIENCE = 3
"""Epochs without a better nDCG after which it stops."""
RERANKED = 30
"""Candidates a validation question that a reranker is measured on, where the project does not say."""
DENSE_WEIGHT = 0.6
"""Of the cosine in the fused score, where the project does not say."""
MOST_RERANKED = 200
"""Validation questions that a reranker is measured on: each costs RERANKED passes."""
ALLOWED = 2e-3
"""Largest difference between what the trainer and the files that it wrote make of the same texts."""
COMPARED = 16


def estimate(job: Job) -> Bounds:
    """Time and memory at most, measured on this machine in a moment. Raises MissingError and TuneError as `train`."""
    data, settings = read(job), job.settings
    trained = [data.train.questions[question] for question, _ in data.items]
    if settings["part"] == "embedder":  # a passage and a hard negative for all questions about it
        trained += [data.passages[data.items[own[0]][1]] for own in data.by_passage(QUESTIONS)] * 2
    else:
        trained += [data.passages[place] for _, place in data.items] * (1 + settings["hard_negatives"])
    held = [*data.held.questions, *data.passages]
    if settings["part"] == "reranker":
        held = [*data.held.questions[:MOST_RERANKED], *data.passages] * 2
    asked = {**settings, "batch_tokens": models.KEPT_TOKENS + models.FORWARD_TOKENS}
    return encoder_cost.bounds(job.base, texts=trained, held=held, settings=asked)


def train(job: Job, watch: Watch) -> Trained:
    """Trains, or goes on from `job.checkpoint`, and writes `model/`.

    Raises MissingError without base, extra or device; TuneError for rows that cannot be trained on, a checkpoint of
    another training, or a loss that is not finite before anything was kept.
    """
    data = read(job)
    rows = f"{len(data.train):,} questions, {len(data.passages):,} passages, {len(data.held):,} to validate"
    watch(Step(0.0, 0, 0, note=rows))
    if job.settings["part"] == "reranker":
        return train_reranker(job, data, watch)
    return train_embedder(job, data, watch)


def train_embedder(job: Job, data: Data, watch: Watch) -> Trained:
    ranker = models.embedder(job.base, settings=job.settings)
    tokens = counted(ranker, data, job)
    fingerprint = _fingerprint(job, ranker, data)
    held, every = data.held, range(len(data.passages))
    shares, open_to = lexical(held, every), visible(held, len(every))
    weight = job.details.get("dense_weight") or DENSE_WEIGHT

    def measured(pool: Floats | None = None) -> Served | None:
        if not len(held):
            return None
        pool = embedded(ranker, data.passages, tokens.passages, names=DOCUMENT) if pool is None else pool
        cosines = embedded(ranker, held.questions, tokens.held, names=QUERY) @ pool.T
        fixed = bool(job.details.get("dense_weight_fixed"))
        return served(cosines, shares, open_to, held.gold, weight=weight, fixed=fixed)

    vectors = embedded(ranker, data.passages, tokens.passages, names=DOCUMENT)
    _finite(vectors)
    before, against = measured(vectors), job.base
    if before and (present := job.details.get("embedder", job.base)) != job.base:
        before, against = _as_found(held, weight), present or "the project's embedder"
    dense = embedded(ranker, data.train.questions, tokens.train, names=QUERY) @ vectors.T
    fused = weight * dense + (1 - weight) * lexical(data.train, every)
    data = replace(data, train=without_alike(data.train, fused))
    del vectors, dense, fused
    watch(Step(0.0, 0, 0, metrics=_means(before), note="the base"))
    seen: dict[float, Served] = {}

    def noted() -> dict[str, float]:
        if found := measured():
            seen.setdefault(found.mean, found)  # of equal ones the first, as the best state is
        return _means(found)

    items = data.by_passage(QUESTIONS)

    def loss(chosen: Sequence[int]) -> Any:
        negatives = 1 if job.settings["hard_negatives"] else 0
        places = [place for one in chosen for place in items[one]]
        return in_batch(ranker, data, tokens, places, negatives=negatives, weight=weight)

    progress, pace = _fit(job, ranker, len(items), loss, noted, watch, fingerprint)
    after = measured() if progress.resumed else seen.get(progress.metrics.get(SCORE, -1.0))
    texts = list(data.passages[:COMPARED])

    def made(one: Ranker) -> Any:
        return models.evaluated(
            one, lambda: models.vectors(one, texts, lengths=tokens.passages[: len(texts)], names=DOCUMENT)
        )

    compared = None
    if before and after:
        more = {"dense": float(np.mean(after.dense))} if after.dense else {}
        if after.dense and before.dense:
            alone = gain(after.dense, before.dense, held.gold, seed=job.settings["seed"])
            more |= {"dense_base": float(np.mean(before.dense)), "dense_gain": alone.mean}
            more |= {"dense_gain_low": alone.low, "dense_gain_high": alone.high}
        about = {"dense_weight": after.weight, "dense_weight_base": before.weight, "dense_weight_fitted": after.fitted}
        compared = _Compared(after.fused, before.fused, held, against, more, about)
    return _finish(job, ranker, made, compared, progress, pace)


def train_reranker(job: Job, data: Data, watch: Watch) -> Trained:
    """The order that it must beat: that of our own retriever, or the base's own where that is better."""
    data = replace(data, held=_some(data.held))
    held = data.held
    found = [places[: job.details.get("rerank_candidates") or RERANKED] for places in held.found]
    ranker = models.reranker(job.base, settings=job.settings)
    tokens = counted(ranker, data, job)
    _refuse_cut_pairs(ranker, data, tokens, allowed=job.settings.get("allow_truncation") or 0)
    fingerprint = _fingerprint(job, ranker, data)
    seen: dict[float, list[float]] = {}

    def measured() -> list[float]:
        values = reranked(ranker, data, held, found, tokens)
        for mean in _mean(values).values():
            seen.setdefault(mean, values)
        return values

    before = [ndcg_of_list(*one) for one in zip(found, held.gold, strict=True)]
    against = "the fused ranking"
    if ranker.scored and len(held) and np.mean(own := measured()) > np.mean(before):
        before, against = own, job.base
    watch(Step(0.0, 0, 0, metrics=_mean(before), note=f"to beat: {against}"))

    def loss(places: Sequence[int]) -> Any:
        return of_its_own(ranker, data, tokens, places, negatives=job.settings["hard_negatives"])

    progress, pace = _fit(job, ranker, len(data.items), loss, lambda: _mean(measured()), watch, fingerprint)
    after = measured() if progress.resumed else seen.get(progress.metrics.get(SCORE, -1.0), [])
    pairs = [(data.train.questions[question], data.passages[place]) for question, place in data.items[:COMPARED]]

    def made(one: Ranker) -> Any:
        return models.evaluated(one, lambda: models.scores(one, pairs, lengths=[1] * len(pairs)))

    compared = _Compared(after, before, held, against) if len(held) else None
    return _finish(job, ranker, made, compared, progress, pace)


def counted(ranker: Ranker, data: Data, job: Job) -> Tokens:
    """Raises TuneError when more passages than allowed are cut."""
    allowed = job.settings.get("allow_truncation") or 0
    refuse_cut(ranker.encoder, [data.passages[place] for place in data.trained], allowed=allowed)
    limit = ranker.encoder.limit
    train, held, passages = (
        [min(limit, one) for one in lengths(ranker.encoder, texts)]
        for texts in (data.train.questions, data.held.questions, data.passages)
    )
    return Tokens(train, held, passages)


def _refuse_cut_pairs(ranker: Ranker, data: Data, tokens: Tokens, *, allowed: int) -> None:
    limit = ranker.encoder.limit
    cut = sum(tokens.train[question] + tokens.passages[place] - 1 > limit for question, place in data.items)
    if cut > allowed:
        raise TuneError(
            f"{cut:,} of {len(data.items):,} pairs of question and passage are longer than {limit:,} tokens",
            hint=f"smaller passages, raise max_tokens where the base can read more, or allow_truncation = {cut}",
        )


def embedded(ranker: Ranker, texts: Sequence[str], own: Sequence[int], *, names: Sequence[str]) -> Floats:
    """Vectors without gradients, (n, dimension), unit length. own: tokens of each text."""
    if not len(texts):
        return np.zeros((0, ranker.model.get_embedding_dimension()), dtype=np.float32)
    found: Floats = models.evaluated(ranker, lambda: models.vectors(ranker, texts, lengths=own, names=names))
    return found


def reranked(ranker: Ranker, data: Data, held: Asked, found: Sequence[Sequence[int]], tokens: Tokens) -> list[float]:
    """nDCG@10 of each question after its candidates were put in the ranker's order."""
    if not len(held):
        return []
    pairs = [(number, place) for number, places in enumerate(found) for place in places]
    own = [min(ranker.encoder.limit, tokens.held[one] + tokens.passages[two]) for one, two in pairs]
    texts = [(held.questions[one], data.passages[two]) for one, two in pairs]
    scores = iter(models.evaluated(ranker, lambda: models.scores(ranker, texts, lengths=own)).tolist())
    ordered = [sorted(((-next(scores), at, place) for at, place in enumerate(places))) for places in found]
    return [
        ndcg_of_list([place for _, _, place in ranked], gold) for ranked, gold in zip(ordered, held.gold, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Compared:
    after: Sequence[float]
    before: Sequence[float]
    held: Asked
    against: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)


def _fit(
    job: Job, ranker: Ranker, items: int, loss: Any, measure: Any, watch: Watch, fingerprint: str
) -> tuple[Progress, Pace]:
    settings = job.settings
    pace = pace_of(settings, RATES[settings["part"]], batch_tokens=settings["batch_size"], patience=PATIENCE)
    alike = [1] * items  # a batch is of so many; texts are put together by length in the loss
    course = Course(ranker.encoder, ranker.head, alike, loss, measure, lambda found: found[SCORE])
    return fit(course, pace, watch, folder=job.checkpoint, fingerprint=fingerprint), pace


def _finish(job: Job, ranker: Ranker, made: Any, compared: _Compared | None, progress: Progress, pace: Pace) -> Trained:
    """Saves, holds what was saved against what was trained, and says whether it is to be used."""
    found: Gain | None = None
    metrics: dict[str, float] = {}
    if compared:
        found = gain(compared.after, compared.before, compared.held.gold, seed=job.settings["seed"])
        after, before = float(np.mean(compared.after)), float(np.mean(compared.before))
        metrics = {SCORE: after, f"{SCORE}_base": before, "gain": found.mean}
        metrics |= {"gain_low": found.low, "gain_high": found.high, **compared.metrics}
    ranker.model.eval()
    wanted = made(ranker)
    models.save(ranker, job.folder / MODEL)
    again = getattr(models, job.settings["part"])(str(job.folder / MODEL), settings=job.settings)
    away = float(np.abs(made(again) - wanted).max())
    unusable = refusal(found)
    if not away <= ALLOWED:
        unusable = f"the saved model is not the trainer's: {away:.2g} apart, {ALLOWED:.2g} is allowed"
    shutil.rmtree(job.checkpoint, ignore_errors=True)
    details = {
        "name": job.name,
        "part": job.settings["part"],
        "adopted": unusable is None,
        "use": _use(job),
        "against": compared.against if compared else None,
        "questions": found.n if found else 0,
        "groups": found.groups if found else 0,
        **(compared.about if compared else {}),
        "parity": {"difference": away, "allowed": ALLOWED, "inputs": len(wanted)},
        "max_tokens": ranker.encoder.limit,
        "learning_rate": pace.rate,
        "history": progress.history,
        "best_step": progress.best_step,
        "steps": progress.step,
        "stopped": progress.stopped or None,
        "resumed": progress.resumed,
        "final_loss": progress.loss,
    }
    return Trained((MODEL,), metrics, ranker.encoder.digest, details, unusable=unusable)


def _use(job: Job) -> str:
    """The lines of groundtune.toml that take it into use."""
    path = f".groundtune/models/{job.folder.name}/{MODEL}"
    if job.settings["part"] == "reranker":
        return f'[retrieval]\nreranker = "{path}"\n'
    return f'[embedder]\nkind = "local"\nmodel = "{path}"\n'


def _as_found(held: Asked, weight: float) -> Served:
    """The ranking that our own retriever gave, where another embedder than the base made it."""
    fused = tuple(ndcg_of_list(*one) for one in zip(held.found, held.gold, strict=True))
    return Served(fused, None, weight, fitted=False)


def _some(held: Asked) -> Asked:
    """At most MOST_RERANKED, spread evenly over the rows."""
    if len(held) <= MOST_RERANKED:
        return held
    return held.some([int(one) for one in np.linspace(0, len(held) - 1, MOST_RERANKED)])


def _means(found: Served | None) -> dict[str, float]:
    """Empty where there is nothing to measure."""
    if found is None:
        return {}
    return {SCORE: found.mean, **({"dense": float(np.mean(found.dense))} if found.dense else {})}


def _mean(values: Sequence[float]) -> dict[str, float]:
    """The same of a list."""
    return {SCORE: float(np.mean(values))} if len(values) else {}


def _finite(scores: Floats) -> None:
    if not np.isfinite(scores).all():
        raise TuneError("the base gives vectors that are not finite", hint="take another base: this one is damaged")


def _fingerprint(job: Job, ranker: Ranker, data: Data) -> str:
    settings = sorted((key, repr(value)) for key, value in job.settings.items())
    rows = (data.passages, data.items, data.train.negatives, data.held.questions, data.train.questions)
    gold = [sorted(one) for one in data.held.gold]
    return digest_text(repr((settings, ranker.encoder.digest, rows, gold)))
