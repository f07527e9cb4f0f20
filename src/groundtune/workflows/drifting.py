"""Compare recent served answers with earlier ones and with the comparison. Changes nothing but the canary file."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from groundtune.build.approach_families import tune_table_of
from groundtune.build.task import primary_score
from groundtune.config import Config
from groundtune.drift.advice import ToLabel, advise
from groundtune.drift.canary import CanaryCheck
from groundtune.drift.report import DriftReport
from groundtune.drift.served import Served, from_record, from_result
from groundtune.drift.signals import LEAST, DriftSignal, Reference, adjusted, distinct, question_signal, value_signals
from groundtune.errors import MissingError
from groundtune.protocols import Embedder
from groundtune.records.audit_log import AuditLog
from groundtune.records.feedback import FeedbackLog
from groundtune.stats.inputs import Floats
from groundtune.stats.two_samples import far_apart
from groundtune.stats.unlabelled import Labelled, UnlabelledAccuracy, unlabelled_accuracy
from groundtune.workflows.choosing import recorded_choice
from groundtune.workflows.runs import Run, read_run, run_folder
from groundtune.workspace import Workspace

MOST_VECTORS = 1_000
"""Questions of each sample that are embedded; of more, a sample that depends on their words alone."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison, as far as drift looks at it."""

    run: str
    questions: tuple[str, ...]
    rows: tuple[Served, ...]
    """Answers of the project's choice; empty where it was not compared."""


def read_served(workspace: Workspace, *, since: str) -> list[Served]:
    """Return the answers of the audit log since a time (ISO 8601, UTC), oldest first, with their ratings."""
    ratings: dict[str, list[str]] = defaultdict(list)
    for row in FeedbackLog(workspace).latest():
        ratings[row.answer].append(row.rating)
    return [
        from_record(entry.record, entry.texts, tuple(ratings[entry.record["id"]]))
        for entry in AuditLog(workspace).entries(since=since)
    ]


def read_compared(workspace: Workspace, config: Config, name: str) -> Compared | None:
    """Return the comparison that the choice came from, else the latest; None without one."""
    run = read_compared_run(workspace, name)
    if run is None:
        return None
    questions, primary = {example.id: example.input for example in run.examples}, primary_score(config)
    rows = [
        from_result(result, questions[result.example], primary)
        for result in run.results
        if result.approach in (name, plain(name)) and result.status != "error" and result.example in questions
    ]
    return Compared(run.name or "", tuple(questions.values()), tuple(rows))


def read_compared_run(workspace: Workspace, name: str) -> Run | None:
    """Return the run that a choice came from, else the latest; None without one."""
    choice = recorded_choice(workspace, name)
    try:
        return read_run(run_folder(workspace, choice.run if choice else None))
    except MissingError:
        return None


def plain(name: str) -> str:
    """Return the name of an approach without the id of its trained model."""
    return name.partition("@")[0]


async def measure_drift(
    workspace: Workspace,
    config: Config,
    embedder: Embedder,
    name: str,
    *,
    days: int,
    label: int,
    canary: CanaryCheck | None = None,
    notes: Sequence[str] = (),
    now: datetime | None = None,
) -> DriftReport:
    """Return whether recent answers have drifted. name: the project's choice. label: questions to label at most.

    Raises MissingError when no answer was recorded in these days, and no canary set was asked.
    """
    end = now or datetime.now(UTC)
    recent_since = (end - timedelta(days=days)).isoformat(timespec="milliseconds")
    since = (end - timedelta(days=days + config.drift.earlier_days)).isoformat(timespec="milliseconds")
    served = await asyncio.to_thread(read_served, workspace, since=since)
    recent = [row for row in served if row.time >= recent_since]
    earlier = [row for row in served if row.time < recent_since]
    if not recent and canary is None and not notes:
        raise MissingError(
            f"no answer was recorded in the last {days:,} days",
            hint="groundtune serve records them unless [serve] audit = false; --days looks further back",
        )
    compared = await asyncio.to_thread(read_compared, workspace, config, name)
    samples = await _embedded(embedder, recent, earlier, compared.questions if compared else ())
    signals, to_label = await asyncio.to_thread(_questions, samples, label)
    own, own_earlier = _of(name, recent), _of(name, earlier)
    reference: Reference = "earlier traffic"
    before: Sequence[Served] = distinct(own_earlier)
    if len(before) < LEAST and compared and compared.rows:
        reference, before = "comparison", compared.rows
    signals += value_signals(distinct(own), before, reference)
    if canary:
        signals.append(canary.signal())
    signals = sorted(adjusted(signals), key=lambda signal: not signal.measurable)
    accuracy, known = await asyncio.to_thread(_accuracy, compared, samples, distinct(own))
    trained = tune_table_of(config, plain(name)) is not None
    actions = advise(signals, trained=trained, to_label=len(to_label))
    return DriftReport(
        approach=name,
        days=days,
        recent=len(recent),
        earlier=len(earlier),
        run=compared.run if compared else None,
        compared=len(compared.questions) if compared else 0,
        signals=tuple(signals),
        actions=tuple(actions),
        to_label=tuple(to_label) if any(action.kind == "label" for action in actions) else (),
        accuracy=accuracy,
        compared_accuracy=known,
        canary=canary,
        notes=tuple(notes),
    )


def _of(name: str, rows: Sequence[Served]) -> list[Served]:
    """Return the answers to those who asked for the project's choice, by that approach or by one that stood in."""
    own = plain(name)
    return [
        row
        for row in rows
        if (plain(row.approach) == own)
        or (row.asked in (None, name, own) and (row.degraded or row.status == "broken off"))
    ]


async def _embedded(
    embedder: Embedder, recent: Sequence[Served], earlier: Sequence[Served], compared: Sequence[str]
) -> "_Samples":
    now, before = ([row for row in distinct(rows) if row.question] for rows in (recent, earlier))
    recent, earlier = _sampled(now), _sampled(before)
    examples = sorted(set(compared), key=_digest)[:MOST_VECTORS]
    texts = list(dict.fromkeys([*(row.question or "" for row in (*recent, *earlier)), *examples]))
    vectors = (await embedder.embed_queries(texts)).astype(np.float64) if texts else np.empty((0, 1))
    return _Samples(recent, earlier, examples, dict(zip(texts, vectors, strict=True)))


@dataclass(frozen=True, slots=True)
class _Samples:
    """Distinct questions of each sample, and the vectors of all."""

    recent: Sequence[Served]
    earlier: Sequence[Served]
    compared: Sequence[str]
    vectors: Mapping[str, Floats]

    def of(self, questions: Sequence[str | None]) -> Floats:
        """Return the vectors of questions, shape (n, d)."""
        vectors = [self.vectors[question] for question in questions if question is not None]
        return np.array(vectors) if vectors else np.empty((0, 1))


def _sampled(rows: Sequence[Served]) -> list[Served]:
    return sorted(rows, key=lambda row: _digest(row.question or ""))[:MOST_VECTORS]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _questions(samples: _Samples, label: int) -> tuple[list[DriftSignal], list[ToLabel]]:
    """Compare the questions, and choose those to label: most unlike the examples, far apart from each other.

    Of the recent questions, the half that is least like the reference; among them the one that is least like it first,
    then again and again the one that is farthest from all that are chosen.
    """
    vectors = samples.of([row.question for row in samples.recent])
    by_examples, leaning = question_signal(vectors, samples.of(samples.compared), "comparison")
    earlier = samples.of([row.question for row in samples.earlier])
    by_earlier, leaning_earlier = question_signal(vectors, earlier, "earlier traffic")
    away = leaning if leaning is not None else leaning_earlier
    if away is None:
        return [by_examples, by_earlier], []
    half = np.argsort(-away, kind="stable")[: max(label, len(away) // 2)]
    chosen = [samples.recent[half[place]] for place in far_apart(vectors[half], away[half], label)]
    return [by_examples, by_earlier], [ToLabel(row.id, row.time, row.question or "") for row in chosen]


def _accuracy(
    compared: Compared | None, samples: _Samples, recent: Sequence[Served]
) -> tuple[UnlabelledAccuracy, float | None]:
    """Return the estimated share of right answers among recent ones, and that of the comparison."""
    if compared is None or not compared.rows:
        return UnlabelledAccuracy(None, "the project's choice was not compared"), None
    scored = [row for row in compared.rows if row.correct is not None and row.question in samples.vectors]
    right = np.array([row.correct for row in scored], dtype=np.float64)
    known = float(right.mean()) if scored else None
    answers = [row for row in recent if row.status in ("answered", "abstained") and not row.degraded]
    answers = [row for row in answers if row.question in samples.vectors]
    unknown = None
    if any(row.confidence is None for row in (*scored, *answers)):
        unknown = "not every answer states a confidence"
    elif not np.isin(right, (0, 1)).all():
        unknown = "no score says which answers are right"
    if unknown:
        return UnlabelledAccuracy(None, unknown), known
    labelled = Labelled(samples.of([row.question for row in scored]), _confidences(scored), right)
    vectors = samples.of([row.question for row in answers])
    return unlabelled_accuracy(labelled, vectors, _confidences(answers)), known


def _confidences(rows: Sequence[Served]) -> Floats:
    return np.array([row.confidence for row in rows], dtype=np.float64)
