"""Fine-tune the embedder or a reranker on questions and their passages; adopt the result only for a measurable gain.

    [tune.search]
    kind = "retriever"
    part = "embedder"          # reranker: a cross-encoder from the same rows

The loss is a softmax over passages. For the embedder: all passages in the batch (multiple negatives, Henderson 2017,
arXiv 1705.00652) with hard negatives from the project's retriever. For the reranker: the question's own. The folder
`model` is in the `sentence-transformers` format. The metric is nDCG@10 on the validation questions, using the deployed
ranking: cosine and BM25 fused over all candidates of the project's retriever; for a reranker, the first of them in its
order. A tuned model without a measurable gain is marked unusable.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from groundtune.common.files import digest_text
from groundtune.common.text import format_count
from groundtune.retrieve.fusion import fused_score
from groundtune.stats.ranking_metrics import binary_ndcg
from groundtune.tune.encoders import training_cost as encoder_cost
from groundtune.tune.encoders.base_encoder import refuse_truncation, text_token_counts
from groundtune.tune.encoders.training_loop import (
    PARITY_ROWS,
    Hyperparameters,
    Progress,
    TrainingSetup,
    hyperparameters_of,
    parity_record,
    train_encoder,
    training_record,
)
from groundtune.tune.job import Bounds, Job, ProgressCallback, TrainingResult, TrainingStep, TuneError
from groundtune.tune.retriever import models
from groundtune.tune.retriever.adoption_gate import Gain, RankingScores, bootstrap_gain, score_ranking, why_refused
from groundtune.tune.retriever.losses import TokenCounts, in_batch_loss, listwise_loss
from groundtune.tune.retriever.models import DOCUMENT, QUERY, Ranker
from groundtune.tune.retriever.training_data import (
    Floats,
    Questions,
    RetrieverData,
    drop_false_negatives,
    lexical_scores,
    read_rows,
    visible_passages,
)

MODEL = "model"
SCORE = "ndcg@10"
RATES = {"embedder": (5e-5, 5e-5), "reranker": (5e-5, 2e-4)}
"""Learning rates of the transformer and of the rest, by part. The embedder's rate is the only one that was measured
(benchmarks/tune_retriever.py); the reranker's are common defaults.
"""
MAX_QUESTIONS_PER_PASSAGE = 8
"""Maximum questions per passage in a step."""
PATIENCE = 3
"""Epochs without a better nDCG after which training stops."""
RERANK_CANDIDATES = 30
"""Candidates per validation question for measuring a reranker, unless the project sets it."""
DENSE_WEIGHT = 0.6
"""Weight of the cosine in the fused score, unless the project sets it."""
MAX_RERANKED_QUESTIONS = 200
"""Maximum validation questions for measuring a reranker: each costs RERANK_CANDIDATES forward passes."""
MAX_DIFFERENCE = 2e-3
"""Tolerance for the difference between the outputs of the trained model and those of the saved files."""


def estimate(job: Job) -> Bounds:
    """Return upper bounds on time and memory, from a short measurement on this machine.

    Raises MissingError and TuneError as `train` does.
    """
    data, settings = read_rows(job), job.settings
    trained = [data.train.questions[question] for question, _ in data.items]
    if settings["part"] == "embedder":  # one passage and one hard negative per group of questions
        trained += [data.passages[data.items[group[0]][1]] for group in data.by_passage(MAX_QUESTIONS_PER_PASSAGE)] * 2
    else:
        trained += [data.passages[place] for _, place in data.items] * (1 + settings["hard_negatives"])
    evaluated = [*data.validation.questions, *data.passages]
    if settings["part"] == "reranker":
        evaluated = [*data.validation.questions[:MAX_RERANKED_QUESTIONS], *data.passages] * 2
    cost_settings = {**settings, "batch_tokens": models.KEPT_TOKENS + models.FORWARD_TOKENS}
    return encoder_cost.estimate_bounds(job.base, texts=trained, validation=evaluated, settings=cost_settings)


def train(job: Job, report_step: ProgressCallback) -> TrainingResult:
    """Train, or resume from `job.checkpoint`, and write `model/`.

    Raises MissingError if the base model, the extra or the device is missing; TuneError for rows that cannot be trained
    on, a checkpoint of a different training run, or a loss that becomes NaN or infinite before the first usable
    checkpoint.
    """
    data = read_rows(job)
    rows = (
        f"{format_count(len(data.train), 'question')}, {format_count(len(data.passages), 'passage')}, "
        f"{format_count(len(data.validation), 'validation question')}"
    )
    report_step(TrainingStep(0.0, 0, 0, note=rows))
    if job.settings["part"] == "reranker":
        return train_reranker(job, data, report_step)
    return train_embedder(job, data, report_step)


def train_embedder(job: Job, data: RetrieverData, report_step: ProgressCallback) -> TrainingResult:
    ranker = models.load_embedder(job.base, settings=job.settings)
    tokens = count_tokens(ranker, data, job)
    fingerprint = _fingerprint(job, ranker, data)
    validation, pool_places = data.validation, range(len(data.passages))
    shares, allowed = lexical_scores(validation, pool_places), visible_passages(validation, len(pool_places))
    weight = job.details.get("dense_weight") or DENSE_WEIGHT

    def measured(pool: Floats | None = None) -> RankingScores | None:
        if not len(validation):
            return None
        pool = embed_texts(ranker, data.passages, tokens.passages, names=DOCUMENT) if pool is None else pool
        cosines = embed_texts(ranker, validation.questions, tokens.validation, names=QUERY) @ pool.T
        fixed = bool(job.details.get("dense_weight_fixed"))
        return score_ranking(cosines, shares, allowed, validation.gold, weight=weight, fixed=fixed)

    vectors = embed_texts(ranker, data.passages, tokens.passages, names=DOCUMENT)
    _finite(vectors)
    before, against = measured(vectors), job.base
    if before and (present := job.details.get("embedder", job.base)) != job.base:
        before, against = _retriever_baseline(validation, weight), present or "the project's embedder"
    dense = embed_texts(ranker, data.train.questions, tokens.train, names=QUERY) @ vectors.T
    fused = fused_score(dense, lexical_scores(data.train, pool_places), dense_weight=weight)
    data = replace(data, train=drop_false_negatives(data.train, fused))
    del vectors, dense, fused
    report_step(TrainingStep(0.0, 0, 0, metrics=_means(before), note="the base model"))
    seen: dict[float, RankingScores] = {}

    def noted() -> dict[str, float]:
        if scores := measured():
            seen.setdefault(scores.mean, scores)  # of equal means the first, which is also the best checkpoint
        return _means(scores)

    items = data.by_passage(MAX_QUESTIONS_PER_PASSAGE)

    def loss(chosen: Sequence[int]) -> Any:
        negatives = 1 if job.settings["hard_negatives"] else 0
        places = [place for group in chosen for place in items[group]]
        return in_batch_loss(ranker, data, tokens, places, negatives=negatives, weight=weight)

    progress, hyperparameters = _fit(job, ranker, len(items), loss, noted, report_step, fingerprint)
    after = measured() if progress.resumed else seen.get(progress.metrics.get(SCORE, -1.0))
    texts = list(data.passages[:PARITY_ROWS])

    def output_of(model: Ranker) -> Any:
        return models.run_evaluation(
            model, lambda: models.vectors(model, texts, lengths=tokens.passages[: len(texts)], names=DOCUMENT)
        )

    compared = None
    if before and after:
        dense_scores = {"dense": float(np.mean(after.dense))} if after.dense else {}
        if after.dense and before.dense:
            dense_gain = bootstrap_gain(after.dense, before.dense, validation.gold, seed=job.settings["seed"])
            dense_scores |= {"dense_base": float(np.mean(before.dense)), "dense_gain": dense_gain.mean}
            dense_scores |= {"dense_gain_low": dense_gain.low, "dense_gain_high": dense_gain.high}
        about = {"dense_weight": after.weight, "dense_weight_base": before.weight, "dense_weight_fitted": after.fitted}
        compared = _Compared(after.fused, before.fused, validation, against, dense_scores, about)
    return _finish(job, ranker, output_of, compared, progress, hyperparameters)


def train_reranker(job: Job, data: RetrieverData, report_step: ProgressCallback) -> TrainingResult:
    """Train a reranker against the better of two baselines: the project's retriever and the untrained base model."""
    data = replace(data, validation=_some(data.validation))
    validation = data.validation
    candidates = [
        places[: job.details.get("rerank_candidates") or RERANK_CANDIDATES] for places in validation.retrieved
    ]
    ranker = models.load_reranker(job.base, settings=job.settings)
    tokens = count_tokens(ranker, data, job)
    _refuse_cut_pairs(ranker, data, tokens, allowed=job.settings.get("allow_truncation") or 0)
    fingerprint = _fingerprint(job, ranker, data)
    seen: dict[float, list[float]] = {}

    def measured() -> list[float]:
        values = score_reranking(ranker, data, validation, candidates, tokens)
        for mean in _mean(values).values():
            seen.setdefault(mean, values)
        return values

    before = [binary_ndcg(*pair) for pair in zip(candidates, validation.gold, strict=True)]
    against = "the fused ranking"
    if ranker.scored and len(validation) and np.mean(base_scores := measured()) > np.mean(before):
        before, against = base_scores, job.base
    report_step(TrainingStep(0.0, 0, 0, metrics=_mean(before), note=f"baseline to beat: {against}"))

    def loss(places: Sequence[int]) -> Any:
        return listwise_loss(ranker, data, tokens, places, negatives=job.settings["hard_negatives"])

    progress, hyperparameters = _fit(
        job, ranker, len(data.items), loss, lambda: _mean(measured()), report_step, fingerprint
    )
    after = measured() if progress.resumed else seen.get(progress.metrics.get(SCORE, -1.0), [])
    pairs = [(data.train.questions[question], data.passages[place]) for question, place in data.items[:PARITY_ROWS]]

    def output_of(model: Ranker) -> Any:
        return models.run_evaluation(model, lambda: models.scores(model, pairs, lengths=[1] * len(pairs)))

    compared = _Compared(after, before, validation, against) if len(validation) else None
    return _finish(job, ranker, output_of, compared, progress, hyperparameters)


def count_tokens(ranker: Ranker, data: RetrieverData, job: Job) -> TokenCounts:
    """Count the tokens. Raises TuneError when more passages than allowed would be truncated."""
    allowed = job.settings.get("allow_truncation") or 0
    refuse_truncation(ranker.encoder, [data.passages[place] for place in data.trained], allowed=allowed)
    limit = ranker.encoder.limit
    train, validation, passages = (
        [min(limit, length) for length in text_token_counts(ranker.encoder.tokenizer, texts)]
        for texts in (data.train.questions, data.validation.questions, data.passages)
    )
    return TokenCounts(train, validation, passages)


def _refuse_cut_pairs(ranker: Ranker, data: RetrieverData, tokens: TokenCounts, *, allowed: int) -> None:
    limit = ranker.encoder.limit
    truncated = sum(tokens.train[question] + tokens.passages[place] - 1 > limit for question, place in data.items)
    if truncated > allowed:
        raise TuneError(
            f"{truncated:,} of {format_count(len(data.items), 'question-passage pair')} longer than {limit:,} tokens",
            hint="shorten passages, raise max_tokens if the base model allows it, or set "
            f"allow_truncation = {truncated}",
        )


def embed_texts(ranker: Ranker, texts: Sequence[str], token_counts: Sequence[int], *, names: Sequence[str]) -> Floats:
    """Return vectors without gradients, (n, dimension), unit length. token_counts: tokens of each text."""
    if not len(texts):
        return np.zeros((0, ranker.model.get_embedding_dimension()), dtype=np.float32)
    vectors: Floats = models.run_evaluation(
        ranker, lambda: models.vectors(ranker, texts, lengths=token_counts, names=names)
    )
    return vectors


def score_reranking(
    ranker: Ranker, data: RetrieverData, questions: Questions, candidates: Sequence[Sequence[int]], tokens: TokenCounts
) -> list[float]:
    """Return nDCG@10 of each question, with its candidates in the ranker's order."""
    if not len(questions):
        return []
    pairs = [(number, place) for number, places in enumerate(candidates) for place in places]
    token_counts = [
        min(ranker.encoder.limit, tokens.validation[number] + tokens.passages[place]) for number, place in pairs
    ]
    texts = [(questions.questions[number], data.passages[place]) for number, place in pairs]
    scores = iter(models.run_evaluation(ranker, lambda: models.scores(ranker, texts, lengths=token_counts)).tolist())
    ordered = [sorted(((-next(scores), at, place) for at, place in enumerate(places))) for places in candidates]
    return [
        binary_ndcg([place for _, _, place in ranked], gold)
        for ranked, gold in zip(ordered, questions.gold, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Compared:
    after: Sequence[float]
    before: Sequence[float]
    questions: Questions
    against: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)


def _fit(
    job: Job, ranker: Ranker, items: int, loss: Any, measure: Any, report_step: ProgressCallback, fingerprint: str
) -> tuple[Progress, Hyperparameters]:
    settings = job.settings
    hyperparameters = hyperparameters_of(
        settings,
        RATES[settings["part"]],
        epochs=settings["epochs"],
        batch_tokens=settings["batch_size"],
        patience=PATIENCE,
    )
    unit_lengths = [1] * items  # `batch_tokens` counts items here; the loss groups texts by length
    setup = TrainingSetup(ranker.encoder, ranker.head, unit_lengths, loss, measure, lambda metrics: metrics[SCORE])
    return train_encoder(
        setup, hyperparameters, report_step, folder=job.checkpoint, fingerprint=fingerprint
    ), hyperparameters


def _finish(
    job: Job,
    ranker: Ranker,
    output_of: Any,
    compared: _Compared | None,
    progress: Progress,
    hyperparameters: Hyperparameters,
) -> TrainingResult:
    """Save the model, compare the saved files with the trained model, and decide whether it may be used."""
    measured_gain: Gain | None = None
    metrics: dict[str, float] = {}
    if compared:
        measured_gain = bootstrap_gain(
            compared.after, compared.before, compared.questions.gold, seed=job.settings["seed"]
        )
        after, before = float(np.mean(compared.after)), float(np.mean(compared.before))
        metrics = {SCORE: after, f"{SCORE}_base": before, "gain": measured_gain.mean}
        metrics |= {"gain_low": measured_gain.low, "gain_high": measured_gain.high, **compared.metrics}
    ranker.model.eval()
    expected = output_of(ranker)
    models.save(ranker, job.folder / MODEL)
    load = models.load_embedder if job.settings["part"] == "embedder" else models.load_reranker
    saved = load(str(job.folder / MODEL), settings=job.settings)
    difference = float(np.abs(output_of(saved) - expected).max())
    parity, differs = parity_record(difference, allowed=MAX_DIFFERENCE, inputs=len(expected), what="outputs")
    unusable = differs or why_refused(measured_gain)
    shutil.rmtree(job.checkpoint, ignore_errors=True)
    details = {
        "name": job.name,
        "part": job.settings["part"],
        "adopted": unusable is None,
        "use": _use(job),
        "against": compared.against if compared else None,
        "questions": measured_gain.n if measured_gain else 0,
        "groups": measured_gain.groups if measured_gain else 0,
        **(compared.about if compared else {}),
        "parity": parity,
        "max_tokens": ranker.encoder.limit,
        **training_record(progress, hyperparameters),
    }
    return TrainingResult((MODEL,), metrics, ranker.encoder.digest, details, unusable=unusable)


def _use(job: Job) -> str:
    """Return the lines of groundtune.toml that put the model to use."""
    path = f".groundtune/models/{job.folder.name}/{MODEL}"
    if job.settings["part"] == "reranker":
        return f'[retrieval]\nreranker = "{path}"\n'
    return f'[embedder]\nkind = "local"\nmodel = "{path}"\n'


def _retriever_baseline(questions: Questions, weight: float) -> RankingScores:
    """Score the ranking of the project's retriever, for when its embedder is not the base model."""
    fused = tuple(binary_ndcg(*pair) for pair in zip(questions.retrieved, questions.gold, strict=True))
    return RankingScores(fused, None, weight, fitted=False)


def _some(questions: Questions) -> Questions:
    """Select at most MAX_RERANKED_QUESTIONS questions, spread evenly over the rows."""
    if len(questions) <= MAX_RERANKED_QUESTIONS:
        return questions
    return questions.subset([int(number) for number in np.linspace(0, len(questions) - 1, MAX_RERANKED_QUESTIONS)])


def _means(scores: RankingScores | None) -> dict[str, float]:
    """Return the mean scores; empty when there is nothing to measure."""
    if scores is None:
        return {}
    return {SCORE: scores.mean, **({"dense": float(np.mean(scores.dense))} if scores.dense else {})}


def _mean(values: Sequence[float]) -> dict[str, float]:
    """Return the mean score; empty when there is nothing to measure."""
    return {SCORE: float(np.mean(values))} if len(values) else {}


def _finite(scores: Floats) -> None:
    if not np.isfinite(scores).all():
        raise TuneError(
            "the base model produces NaN or infinite embeddings", hint="use another base model; this one is damaged"
        )


def _fingerprint(job: Job, ranker: Ranker, data: RetrieverData) -> str:
    settings = sorted((key, repr(value)) for key, value in job.settings.items())
    rows = (data.passages, data.items, data.train.negatives, data.validation.questions, data.train.questions)
    gold = [sorted(places) for places in data.validation.gold]
    return digest_text(repr((settings, ranker.encoder.digest, rows, gold)))
