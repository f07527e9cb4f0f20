"""Compare recent served answers with earlier ones and with the comparison. Changes nothing but the canary file."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Sequence
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
from groundtune.stats.unlabelled import UnlabelledAccuracy, unlabelled_accuracy
from groundtune.workflows.choosing import read_choices
from groundtune.workflows.runs import read_run, run_folder
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
    choices = read_choices(workspace)
    chosen = choices[-1].run if choices and choices[-1].approach == name else None
    try:
        run = read_run(run_folder(workspace, chosen))
    except MissingError:
        return None
    questions, primary = {example.id: example.input for example in run.examples}, primary_score(config)
    rows = [
        from_result(result, questions[result.example], primary)
        for result in run.results
        if result.approach in (name, plain(name)) and result.status != "error" and result.example in questions
    ]
    return Compared(run.name or "", tuple(questions.values()), tuple(rows))


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

    Raises MissingError when no answer was recorded in these days.
    """
    end = now or datetime.now(UTC)
    recent_since = (end - timedelta(days=days)).isoformat(timespec="milliseconds")
    since = (end - timedelta(days=days + config.drift.earlier_days)).isoformat(timespec="milliseconds")
    served = await asyncio.to_thread(read_served, workspace, since=since)
    recent = [row for row in served if row.time >= recent_since]
    earlier = [row for row in served if row.time < recent_since]
    if not recent:
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
    accuracy, known = await asyncio.to_thread(_accuracy, compared, distinct(own))
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


@dataclass(frozen=True, slots=True)
class _Samples:
    """Distinct questions of each sample, with their vectors."""

    recent: Sequence[Served]
    vectors: Floats
    earlier: Floats
    compared: Floats


async def _embedded(
    embedder: Embedder, recent: Sequence[Served], earlier: Sequence[Served], compared: Sequence[str]
) -> _Samples:
    asked = _sampled([row for row in distinct(recent) if row.question])
    asked_earlier = _sampled([row for row in distinct(earlier) if row.question])
    examples = sorted(set(compared), key=_digest)[:MOST_VECTORS]
    texts = [*(row.question or "" for row in (*asked, *asked_earlier)), *examples]
    vectors = (await embedder.embed_queries(texts)).astype(np.float64) if texts else np.empty((0, 1))
    first, second = len(asked), len(asked) + len(asked_earlier)
    return _Samples(asked, vectors[:first], vectors[first:second], vectors[second:])


def _sampled(rows: Sequence[Served]) -> list[Served]:
    return sorted(rows, key=lambda row: _digest(row.question or ""))[:MOST_VECTORS]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _questions(samples: _Samples, label: int) -> tuple[list[DriftSignal], list[ToLabel]]:
    """Compare the questions, and choose those to label: most unlike the examples, far apart from each other.

    Of the recent questions, the half that is least like the reference; among them the one that is least like it first,
    then again and again the one that is farthest from all that are chosen.
    """
    by_examples, leaning = question_signal(samples.vectors, samples.compared, "comparison")
    by_earlier, leaning_earlier = question_signal(samples.vectors, samples.earlier, "earlier traffic")
    away = leaning if leaning is not None else leaning_earlier
    if away is None:
        return [by_examples, by_earlier], []
    half = np.argsort(-away, kind="stable")[: max(label, len(away) // 2)]
    chosen = [samples.recent[half[place]] for place in far_apart(samples.vectors[half], away[half], label)]
    return [by_examples, by_earlier], [ToLabel(row.id, row.time, row.question or "") for row in chosen]


def _accuracy(compared: Compared | None, recent: Sequence[Served]) -> tuple[UnlabelledAccuracy, float | None]:
    """Return the estimated share of right answers among recent ones, and that of the comparison."""
    if compared is None or not compared.rows:
        return UnlabelledAccuracy(None, "the project's choice was not compared"), None
    scored = [(row.confidence, row.correct) for row in compared.rows if row.correct is not None]
    known = sum(right for _, right in scored) / len(scored) if scored else None
    stated = [(confidence, right) for confidence, right in scored if confidence is not None]
    if not stated:
        return UnlabelledAccuracy(None, "its answers state no confidence"), known
    if any(right not in (0, 1) for _, right in stated):
        return UnlabelledAccuracy(None, "no score says which answers are right"), known
    if len(stated) < len(scored):
        return UnlabelledAccuracy(None, "some of its answers in the comparison state no confidence"), known
    answers = [row for row in recent if row.status in ("answered", "abstained") and not row.degraded]
    confidences = [row.confidence for row in answers if row.confidence is not None]
    if len(confidences) < len(answers):
        return UnlabelledAccuracy(None, "some recent answers state no confidence"), known
    labelled = [confidence for confidence, _ in stated], [right for _, right in stated]
    return unlabelled_accuracy(*labelled, confidences), known
