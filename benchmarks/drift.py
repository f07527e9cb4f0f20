"""Claim: `groundtune drift` raises a false alarm in at most 5% of runs over all of its tests together. It estimates the
share of right answers without labels within 3 points on intents of a bank that are shifted on purpose. Its power on
three planted drifts is reported.

    python benchmarks/drift.py data/clinc150/data_full.json [--resamples 1000] [--cache FOLDER] [--only PART]

Questions, their embeddings and the confidence of a classifier are real (CLINC150; a probe on the bundled embedder's
vectors, trained on 10 questions an intent). The retrieval score is the cosine to the nearest of the training questions,
which stand for the documents. Ratings depend on whether the label is right; latency and cost are drawn, latency in
proportion to the length of the question. Resamples are drawn from one pool, recent and earlier questions without
overlap. Shares have their 95% interval (Wilson). The shifts are in the questions: other intents are frequent, letters
are swapped, more of them are out of scope.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from common import machine, table
from groundtune.common.files import digest_text
from groundtune.drift.served import Served
from groundtune.drift.signals import DriftSignal, adjusted, question_signal, value_signals
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.stats.intervals import bootstrap_mean
from groundtune.stats.unlabelled import Labelled, unlabelled_accuracy

Floats = NDArray[np.float64]
SEED = 7
PER_INTENT = 10
RECENT, EARLIER, EXAMPLES = 100, 200, 200
"""Questions of each sample."""
LEAST_CONFIDENT = 0.3
"""Below this confidence the classifier abstains."""
PARTS = ("accuracy", "power", "alarms")
POINTS = 0.03
LABELLED, ASKED = 500, 900
"""Questions that were compared, and of each shifted sample."""
USUAL = 0.14
"""Share of the compared questions that is out of scope."""
BANK = (
    "transfer transactions balance freeze_account pay_bill bill_balance bill_due interest_rate routing min_payment "
    "order_checks pin_change report_fraud account_blocked spending_history credit_score report_lost_card credit_limit "
    "rewards_balance new_card application_status card_declined international_fees apr redeem_rewards "
    "credit_limit_change damaged_card improve_credit_score replacement_card_duration expiration_date"
).split()
OUTSIDE = "oos"


@dataclass(frozen=True)
class Questions:
    """Questions with everything that is known of their answers, in parallel arrays."""

    texts: Sequence[str]
    labels: NDArray[np.str_]
    vectors: Floats
    confidence: Floats
    right: Floats
    best_score: Floats

    def at(self, places: NDArray[np.intp]) -> "Questions":
        """Return some of the questions."""
        arrays = (self.labels, self.vectors, self.confidence, self.right, self.best_score)
        return Questions([self.texts[place] for place in places], *(array[places] for array in arrays))

    def rows(self, chosen: NDArray[np.intp], rng: np.random.Generator, *, slower: float = 1.0) -> list[Served]:
        return [
            Served(
                id=str(at),
                time="",
                question=self.texts[at],
                status="abstained" if self.confidence[at] < LEAST_CONFIDENT else "answered",
                approach="tuned",
                confidence=float(self.confidence[at]),
                best_score=float(self.best_score[at]),
                unsupported=bool(rng.uniform() < 0.1),
                seconds=float(slower * (0.3 + len(self.texts[at]) / 200) * rng.lognormal(0, 0.4)),
                usd=float(1e-4 * (40 + rng.poisson(len(self.texts[at]) / 4))),
                degraded=bool(rng.uniform() < 0.02),
                ratings=(("up" if rng.uniform() < 0.2 + 0.7 * self.right[at] else "down"),)
                if rng.uniform() < 0.3
                else (),
            )
            for at in chosen
        ]


class Embeddings:
    """Embeds texts once and keeps them in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._embedder = BundledEmbedder()

    def of(self, texts: Sequence[str]) -> Floats:
        file = self._folder / f"{digest_text(json.dumps([self._embedder.digest, *texts]))[:24]}.npy"
        if not file.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            np.save(file, asyncio.run(self._embedder.embed_queries(list(texts))))
        return np.asarray(np.load(file), dtype=np.float64)


class Classifier:
    """A probe on embeddings, trained on a few questions of each intent."""

    def __init__(self, rows: Sequence[tuple[str, str]], embeddings: Embeddings) -> None:
        self._embeddings = embeddings
        self.labels = np.array([label for _, label in rows])
        self.documents = embeddings.of([text for text, _ in rows])
        self._model = LogisticRegression(C=20, max_iter=300).fit(self.documents, self.labels)

    def questions(self, rows: Sequence[tuple[str, str]], *, without: Sequence[str] = ()) -> Questions:
        """Answer the questions. without: intents whose documents are gone."""
        texts, labels = [text for text, _ in rows], np.array([label for _, label in rows])
        vectors = self._embeddings.of(texts)
        probabilities = self._model.predict_proba(vectors)
        right = self._model.classes_[probabilities.argmax(axis=1)] == labels
        kept = self.documents[~np.isin(self.labels, without)]
        return Questions(
            texts, labels, vectors, probabilities.max(axis=1), right.astype(float), (vectors @ kept.T).max(axis=1)
        )


def few_of_each(rows: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    counts: dict[str, int] = {}
    chosen = []
    for text, label in rows:
        counts[label] = counts.get(label, 0) + 1
        if counts[label] <= PER_INTENT:
            chosen.append((text, label))
    return chosen


def compared(
    recent: Questions,
    rows: list[Served],
    at: NDArray[np.intp],
    earlier: list[Served],
    other: Floats,
    examples: Floats,
    seed: int,
) -> list[DriftSignal]:
    """Test everything that the command tests."""
    vectors = recent.vectors[at]
    signals = [
        question_signal(vectors, examples, "comparison", seed=seed)[0],
        question_signal(vectors, other, "earlier traffic", seed=seed)[0],
        *value_signals(rows, earlier, "earlier traffic"),
    ]
    return adjusted(signals)


def runs(
    pool: Questions,
    recent: Questions,
    count: int,
    *,
    draw: Callable[..., NDArray[np.intp]] | None = None,
    slower: float = 1.0,
) -> Iterator[list[DriftSignal]]:
    """Yield the signals of so many resamples. recent: what recent questions are drawn from, in the pool's order."""
    for number in range(count):
        rng = np.random.default_rng((SEED, number))
        order = rng.permutation(len(pool.texts))
        now, before, examples = np.split(order, [RECENT, RECENT + EARLIER])
        if draw:
            now = draw(rng, now)
        yield compared(
            recent,
            recent.rows(now, rng, slower=slower),
            now,
            pool.rows(before, rng),
            pool.vectors[before],
            pool.vectors[examples[:EXAMPLES]],
            number,
        )


def false_alarms(pool: Questions, count: int) -> None:
    alarms, by_signal = [], {}
    for signals in runs(pool, pool, count):
        alarms.append(float(any(signal.measurable for signal in signals)))
        for signal in signals:
            if signal.p is not None:
                by_signal.setdefault(f"{signal.name}, {signal.reference}", []).append(float(signal.p < 0.05))
    print(f"\n## False alarms, {count:,} resamples without drift\n")
    print(f"any alarm: {shown(alarms)}\n")
    table([["signal", "p < 0.05, unadjusted"], *([name, shown(hits)] for name, hits in by_signal.items())])


def power(
    pool: Questions, classifier: Classifier, rows: Sequence[tuple[str, str]], outside: Questions, count: int
) -> None:
    print(f"\n## Power, {count:,} resamples each: {RECENT} recent questions, {EARLIER} earlier, {EXAMPLES} examples\n")
    lines = []
    intents = sorted({label for _, label in rows})
    fewer, many = (classifier.questions(rows, without=intents[::step]) for step in (10, 3))
    mixed_pool = Questions(
        [*pool.texts, *outside.texts],
        np.concatenate([pool.labels, outside.labels]),
        np.concatenate([pool.vectors, outside.vectors]),
        np.concatenate([pool.confidence, outside.confidence]),
        np.concatenate([pool.right, outside.right]),
        np.concatenate([pool.best_score, outside.best_score]),
    )

    def mixed(share: float) -> Callable[..., NDArray[np.intp]]:
        def draw(rng: np.random.Generator, now: NDArray[np.intp]) -> NDArray[np.intp]:
            other = len(pool.texts) + rng.choice(len(outside.texts), round(share * len(now)), replace=False)
            return np.concatenate([now[len(other) :], other])

        return draw

    unsure = replace(pool, confidence=pool.confidence * 0.9)
    bank = np.flatnonzero(np.isin(pool.labels, BANK))
    others = np.setdiff1d(np.arange(len(pool.texts)), bank)
    elsewhere = pool.at(others)

    def about_banks(rng: np.random.Generator, now: NDArray[np.intp]) -> NDArray[np.intp]:
        new = rng.choice(bank, round(0.2 * len(now)), replace=False)
        return np.concatenate([others[now[len(new) :]], new])

    planted = (
        ("20% of the questions are about a bank, nobody's were before", elsewhere, pool, about_banks, 1.0),
        ("10% of the questions are out of scope", pool, mixed_pool, mixed(0.1), 1.0),
        ("20% of the questions are out of scope", pool, mixed_pool, mixed(0.2), 1.0),
        ("documents of a tenth of the intents are gone", pool, fewer, None, 1.0),
        ("documents of a third of the intents are gone", pool, many, None, 1.0),
        ("confidence 10% lower", pool, unsure, None, 1.0),
        ("answers 25% slower", pool, pool, None, 1.25),
        ("answers 50% slower", pool, pool, None, 1.5),
    )
    for name, before, recent, draw, slower in planted:
        found, names = [], {}
        for signals in runs(before, recent, count, draw=draw, slower=slower):
            hits = {signal.name for signal in signals if signal.measurable}
            found.append(float(bool(hits)))
            for hit in hits:
                names[hit] = names.get(hit, 0) + 1
        most = ", ".join(f"{hit} {n / count:.0%}" for hit, n in sorted(names.items(), key=lambda pair: -pair[1])[:4])
        lines.append([name, shown(found), most])
    table([["planted", "found", "by"], *lines])


def swapped(text: str, rng: np.random.Generator, share: float) -> str:
    """Swap neighbouring letters in a share of the words."""
    words = text.split()
    for at, word in enumerate(words):
        if len(word) > 3 and rng.uniform() < share:
            place = int(rng.integers(0, len(word) - 1))
            words[at] = word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    return " ".join(words)


def without_labels(data: dict[str, list[tuple[str, str]]], embeddings: Embeddings, count: int) -> None:
    def bank(rows: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(text, label) for text, label in rows if label in BANK]

    classifier = Classifier(few_of_each(bank(data["train"])), embeddings)
    inside, outside = bank(data["test"]), data["oos_test"]
    test, other = classifier.questions(inside), classifier.questions(outside)
    rng = np.random.default_rng(SEED)
    typos = {
        share: classifier.questions([(swapped(text, rng, share), label) for text, label in inside])
        for share in (0.2, 0.5)
    }
    shifts: list[tuple[str, Questions, float, float | None]] = [
        ("none", test, USUAL, None),
        ("other intents are frequent (Dirichlet 1)", test, USUAL, 1.0),
        ("a few intents are frequent (Dirichlet 0.3)", test, USUAL, 0.3),
        ("30% out of scope instead of 14%", test, 0.3, None),
        ("nothing out of scope", test, 0.0, None),
        ("letters swapped in 20% of the words", typos[0.2], USUAL, None),
        ("letters swapped in 50% of the words", typos[0.5], USUAL, None),
        ("Dirichlet 1, 30% out of scope, letters swapped in 20%", typos[0.2], 0.3, 1.0),
    ]
    print(f"\n## Accuracy without labels: {LABELLED} labelled, {ASKED} recent, {count} draws each\n")
    lines, every, correct = [], [], []
    for name, questions, share, spread in shifts:
        errors, inside_interval, truths = [], [], []
        for number in range(count):
            rng = np.random.default_rng((SEED, number))
            order, beyond = rng.permutation(len(test.texts)), rng.permutation(len(other.texts))
            outsiders = round(USUAL * LABELLED)
            known = both(test, order[: LABELLED - outsiders], other, beyond[:outsiders])
            correct.append(known.right.mean())
            left, outsiders = order[LABELLED:], round(share * ASKED)
            weights = np.ones(len(left))
            if spread is not None:
                by_intent = dict(zip(BANK, rng.dirichlet(np.full(len(BANK), spread)), strict=True))
                weights = np.array([by_intent[label] for label in questions.labels[left]])
            drawn = rng.choice(left, ASKED - outsiders, p=weights / weights.sum())
            recent = both(questions, drawn, other, rng.choice(beyond[LABELLED:], outsiders))
            truth = float(recent.right.mean())
            estimate = unlabelled_accuracy(known, recent.vectors, recent.confidences).accuracy
            assert estimate is not None
            errors.append(estimate.mean - truth)
            inside_interval.append(float(estimate.low <= truth <= estimate.high))
            truths.append(truth)
        every += errors
        within = [float(abs(error) <= POINTS) for error in errors]
        figures = [f"{np.mean(truths):.1%}", f"{100 * np.mean(errors):+.1f}", f"{100 * np.mean(np.abs(errors)):.1f}"]
        lines.append([name, *figures, shown(within), shown(inside_interval)])
    header = ["shift", "right", "mean error, points", "absolute", "within 3 points", "interval holds it"]
    table([header, *lines])
    error = 100 * np.mean(np.abs(every))
    print(f"\nlabelled: {np.mean(correct):.1%} right. All: mean absolute error {error:.2f} points, n={len(every):,}")


def both(first: Questions, at: NDArray[np.intp], second: Questions, other: NDArray[np.intp]) -> Labelled:
    return Labelled(
        np.concatenate([first.vectors[at], second.vectors[other]]),
        np.concatenate([first.confidence[at], second.confidence[other]]),
        np.concatenate([first.right[at], second.right[other]]),
    )


def shown(hits: Sequence[float]) -> str:
    interval = bootstrap_mean(hits)
    return f"{interval.mean:.1%} [{interval.low:.1%}, {interval.high:.1%}] n={interval.n:,}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--resamples", type=int, default=1_000)
    parser.add_argument("--cache", type=Path, default=Path(".drift-vectors"))
    parser.add_argument("--only", choices=PARTS, default=None)
    options = parser.parse_args()
    start = time.perf_counter()
    data = {name: [tuple(row) for row in rows] for name, rows in json.loads(options.data.read_text()).items()}
    embeddings = Embeddings(options.cache)
    print(machine())
    if options.only in (None, "accuracy"):
        without_labels(data, embeddings, max(20, options.resamples // 20))
    if options.only == "accuracy":
        return
    classifier = Classifier(few_of_each(data["train"]), embeddings)
    pool, outside = classifier.questions(data["test"]), classifier.questions(data["oos_test"])
    print(f"\nthe classifier is right in {pool.right.mean():.1%} of {len(pool.texts):,} questions in scope")
    if options.only in (None, "power"):
        power(pool, classifier, data["test"], outside, max(20, options.resamples // 5))
    if options.only in (None, "alarms"):
        false_alarms(pool, options.resamples)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
