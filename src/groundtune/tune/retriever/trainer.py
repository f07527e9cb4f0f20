"""Questions and the passages that answer them to an adapted embedder, or to a reranker; adopted only for a real gain.

    [tune.search]
    kind = "retriever"
    part = "embedder"          # reranker: a cross-encoder from the same rows

The loss is a choice among passages: of all those in the batch (multiple negatives, Henderson 2017, arXiv 1705.00652)
with hard negatives from our own retriever for the embedder, of the question's own for the reranker. The folder `model`
is what `sentence-transformers` saves. Measured is nDCG@10 on the validation questions, against the pool of all
passages in the rows; a tuned model whose gain is not measurable is marked unusable.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from groundtune.errors import need
from groundtune.tune.encoders import cost as encoder_cost
from groundtune.tune.encoders.encoder import BUNDLED, lengths, refuse_cut
from groundtune.tune.encoders.fit import Course, Pace, Progress, fit
from groundtune.tune.job import Bounds, Job, Step, Trained, TuneError, Watch
from groundtune.tune.retriever import models
from groundtune.tune.retriever.gate import Gain, gain, ndcg, ndcg_of_list, refusal
from groundtune.tune.retriever.models import DOCUMENT, QUERY, Ranker
from groundtune.tune.retriever.rows import Asked, Data, Floats, candidates, read, without_alike
from groundtune.workspace import digest_text

MODEL = "model"
SCORE = "ndcg@10"
RATES = {"embedder": (5e-5, 5e-5), "reranker": (5e-5, 2e-4)}
"""Part to the learning rates of the transformer and of the rest. Measured for the embedder alone, and at no other rate
(benchmarks/tune_retriever.py); the reranker's are customary ones."""
TEMPERATURE = 0.05
PATIENCE = 3
"""Epochs without a better nDCG after which it stops."""
RERANKED = 20
"""Candidates a validation question that a reranker is measured on."""
MOST_RERANKED = 200
"""Validation questions that a reranker is measured on: each costs RERANKED passes."""
ALLOWED = 2e-3
"""Largest difference between what the trainer and the files that it wrote make of the same texts."""
COMPARED = 16


@dataclass(frozen=True, slots=True)
class Tokens:
    """How long everything is, special tokens included."""

    train: Sequence[int]
    held: Sequence[int]
    passages: Sequence[int]


def estimate(job: Job) -> Bounds:
    """Time and memory at most, measured on this machine in a moment. Raises MissingError and TuneError as `train`."""
    data, settings = read(job), job.settings
    each = 2 if settings["part"] == "embedder" else 1 + settings["hard_negatives"]
    trained: list[str] = []
    for question, place in data.items:
        trained += [data.train.questions[question], *[data.passages[place]] * each]
    held = [*data.held.questions, *data.passages]
    if settings["part"] == "reranker":
        held = [*held, *held[: RERANKED * min(MOST_RERANKED, len(data.held))]]
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
    pool = embedded(ranker, data.passages, tokens.passages, names=DOCUMENT)
    _finite(pool)
    before = _ndcgs(embedded(ranker, data.held.questions, tokens.held, names=QUERY) @ pool.T, data.held)
    mined = embedded(ranker, data.train.questions, tokens.train, names=QUERY) @ pool.T
    data = replace(data, train=without_alike(data.train, mined))
    del pool, mined
    watch(Step(0.0, 0, 0, metrics=_mean(before), note="the base"))
    seen: dict[float, list[float]] = {}

    def measured() -> list[float]:
        found = _ndcgs(similarities(ranker, data, data.held, tokens), data.held) if len(data.held) else []
        return _noted(seen, found)

    def loss(places: Sequence[int]) -> Any:
        return in_batch(ranker, data, tokens, places, negatives=1 if job.settings["hard_negatives"] else 0)

    progress, pace = _fit(job, ranker, data, loss, lambda: _mean(measured()), watch, fingerprint)
    after = measured() if progress.resumed else seen.get(progress.metrics.get(SCORE, -1.0), [])
    texts = list(data.passages[:COMPARED])

    def made(one: Ranker) -> Any:
        return models.evaluated(
            one, lambda: models.vectors(one, texts, lengths=tokens.passages[: len(texts)], names=DOCUMENT)
        )

    return _finish(job, ranker, made, _Compared(after, before, data.held, job.base), progress, pace)


def train_reranker(job: Job, data: Data, watch: Watch) -> Trained:
    """The order that it must beat: BM25 and the bundled encoder together, or the base's own where that is better."""
    data = replace(data, held=_some(data.held))
    held, found = data.held, _candidates(job, data)
    ranker = models.reranker(job.base, settings=job.settings)
    tokens = counted(ranker, data, job)
    _refuse_cut_pairs(ranker, data, tokens, allowed=job.settings.get("allow_truncation") or 0)
    fingerprint = _fingerprint(job, ranker, data)
    seen: dict[float, list[float]] = {}

    def measured() -> list[float]:
        return _noted(seen, reranked(ranker, data, held, found, tokens))

    before = [ndcg_of_list(*one) for one in zip(found, held.gold, strict=True)]
    against = "BM25 and the bundled encoder, by reciprocal ranks"
    if ranker.scored and len(held) and np.mean(own := measured()) > np.mean(before):
        before, against = own, job.base
    watch(Step(0.0, 0, 0, metrics=_mean(before), note=f"to beat: {against}"))

    def loss(places: Sequence[int]) -> Any:
        return of_its_own(ranker, data, tokens, places, negatives=job.settings["hard_negatives"])

    progress, pace = _fit(job, ranker, data, loss, lambda: _mean(measured()), watch, fingerprint)
    after = measured() if progress.resumed else seen.get(progress.metrics.get(SCORE, -1.0), [])
    pairs = [(data.train.questions[question], data.passages[place]) for question, place in data.items[:COMPARED]]

    def made(one: Ranker) -> Any:
        return models.evaluated(one, lambda: models.scores(one, pairs, lengths=[1] * len(pairs)))

    return _finish(job, ranker, made, _Compared(after, before, held, against), progress, pace)


def counted(ranker: Ranker, data: Data, job: Job) -> Tokens:
    """Raises TuneError when more passages than allowed are cut."""
    allowed = job.settings.get("allow_truncation") or 0
    refuse_cut(ranker.encoder, data.passages, allowed=allowed)
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


def similarities(ranker: Ranker, data: Data, held: Asked, tokens: Tokens) -> Floats:
    """Cosines, (questions, pool)."""
    questions = embedded(ranker, held.questions, tokens.held, names=QUERY)
    found: Floats = questions @ embedded(ranker, data.passages, tokens.passages, names=DOCUMENT).T
    return found


def in_batch(ranker: Ranker, data: Data, tokens: Tokens, places: Sequence[int], *, negatives: int) -> Any:
    """Each question's passage against all others of the batch; each passage once, other right ones left out."""
    torch = need("torch", extra="local")
    items = [data.items[place] for place in places]
    chosen = [place for _, place in items]
    for question, _ in items:
        chosen += _drawn(data.train.negatives[question], negatives)
    pool = list(dict.fromkeys(chosen))
    column = {place: number for number, place in enumerate(pool)}
    asked = list(dict.fromkeys(question for question, _ in items))
    row = {question: number for number, question in enumerate(asked)}
    texts = [data.train.questions[question] for question in asked]
    left = models.vectors(ranker, texts, lengths=[tokens.train[one] for one in asked], names=QUERY)
    passages = [data.passages[place] for place in pool]
    right = models.vectors(ranker, passages, lengths=[tokens.passages[one] for one in pool], names=DOCUMENT)
    also = [[place in data.train.gold[question] and place != own for place in pool] for question, own in items]
    target = torch.tensor([column[place] for _, place in items], device=right.device)
    with torch.autocast(ranker.encoder.device.partition(":")[0], enabled=False):
        scores = left[[row[question] for question, _ in items]] @ right.T / TEMPERATURE
        scores = scores.masked_fill(torch.tensor(also, device=scores.device), float("-inf"))
        return torch.nn.functional.cross_entropy(scores, target)


def of_its_own(ranker: Ranker, data: Data, tokens: Tokens, places: Sequence[int], *, negatives: int) -> Any:
    """Each question's passage against its hard negatives, and against that of another question of the batch."""
    torch = need("torch", extra="local")
    items = [data.items[place] for place in places]
    rows: list[list[int]] = []
    for number, (question, own) in enumerate(items):
        other = items[number - 1][1]
        strange = [] if other in data.train.gold[question] else [other]
        rows.append([own, *_drawn(data.train.negatives[question], negatives), *strange])
    pairs = [(question, place) for (question, _), row in zip(items, rows, strict=True) for place in row]
    found = models.scores(
        ranker,
        [(data.train.questions[question], data.passages[place]) for question, place in pairs],
        lengths=[min(ranker.encoder.limit, tokens.train[one] + tokens.passages[two]) for one, two in pairs],
    )
    losses = [-part.log_softmax(0)[0] for part in found.split([len(row) for row in rows])]
    return torch.stack(losses).mean()


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


def _fit(
    job: Job, ranker: Ranker, data: Data, loss: Any, measure: Any, watch: Watch, fingerprint: str
) -> tuple[Progress, Pace]:
    settings = job.settings
    rate, head_rate = RATES[settings["part"]]
    if settings.get("learning_rate"):
        head_rate, rate = head_rate * settings["learning_rate"] / rate, settings["learning_rate"]
    pace = Pace(
        epochs=settings["epochs"],
        rate=rate,
        head_rate=head_rate,
        batch_tokens=settings["batch_size"],
        patience=PATIENCE,
        seed=settings["seed"],
        max_minutes=settings.get("max_minutes"),
    )
    alike = [1] * len(data.items)  # batches of so many questions; passages are put together by length in the loss
    course = Course(ranker.encoder, ranker.head, alike, loss, measure, lambda found: found[SCORE])
    return fit(course, pace, watch, folder=job.checkpoint, fingerprint=fingerprint), pace


def _finish(job: Job, ranker: Ranker, made: Any, compared: _Compared, progress: Progress, pace: Pace) -> Trained:
    """Saves, holds what was saved against what was trained, and says whether it is to be used."""
    found: Gain | None = None
    metrics: dict[str, float] = {}
    if len(compared.held):
        found = gain(compared.after, compared.before, compared.held.gold, seed=job.settings["seed"])
        after, before = float(np.mean(compared.after)), float(np.mean(compared.before))
        metrics = {SCORE: after, f"{SCORE}_base": before, "gain": found.mean}
        metrics |= {"gain_low": found.low, "gain_high": found.high}
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
        "against": compared.against,
        "questions": len(compared.held),
        "groups": found.groups if found else 0,
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


def _candidates(job: Job, data: Data) -> list[list[int]]:
    """What the reranker is given of each validation question, best first."""
    if not len(data.held):
        return []
    settings = {**job.settings, "max_tokens": None}
    first = models.embedder(BUNDLED, settings=settings)
    tokens = counted(first, data, replace(job, settings={**settings, "allow_truncation": len(data.passages)}))
    dense = similarities(first, data, data.held, tokens)
    return candidates(data.held, data.passages, dense, k=RERANKED)


def _some(held: Asked) -> Asked:
    """At most MOST_RERANKED, spread evenly over the rows."""
    if len(held) <= MOST_RERANKED:
        return held
    chosen = np.linspace(0, len(held) - 1, MOST_RERANKED).astype(int)
    return Asked(
        questions=tuple(held.questions[one] for one in chosen),
        gold=tuple(held.gold[one] for one in chosen),
        negatives=tuple(held.negatives[one] for one in chosen),
    )


def _drawn(negatives: Sequence[int], number: int) -> list[int]:
    """So many at random, by torch's generator, whose state is in the checkpoint."""
    if len(negatives) <= number:
        return list(negatives)
    order = need("torch", extra="local").randperm(len(negatives))[:number]
    return [negatives[place] for place in order.tolist()]


def _ndcgs(scores: Floats, asked: Asked) -> list[float]:
    return [ndcg(*one) for one in zip(scores, asked.gold, strict=True)]


def _mean(values: Sequence[float]) -> dict[str, float]:
    """Empty where there is nothing to measure."""
    return {SCORE: float(np.mean(values))} if len(values) else {}


def _noted(seen: dict[float, list[float]], found: list[float]) -> list[float]:
    """By its mean; of equal ones the first, as the best state is."""
    for mean in _mean(found).values():
        seen.setdefault(mean, found)
    return found


def _finite(scores: Floats) -> None:
    if not np.isfinite(scores).all():
        raise TuneError("the base gives vectors that are not finite", hint="take another base: this one is damaged")


def _fingerprint(job: Job, ranker: Ranker, data: Data) -> str:
    settings = sorted((key, repr(value)) for key, value in job.settings.items())
    rows = (data.passages, data.items, data.train.negatives, data.held.questions, data.train.questions)
    gold = [sorted(one) for one in data.held.gold]
    return digest_text(repr((settings, ranker.encoder.digest, rows, gold)))
