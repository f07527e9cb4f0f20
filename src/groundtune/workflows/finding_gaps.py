"""Find what people ask and the documents leave open, for whoever writes them. Asks no model.

A question that somebody asked may tell what he was allowed to read. So it is listed only for a reader who has all the
access groups that it was asked with, and so are documents.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from groundtune.build.open_index import OpenIndex
from groundtune.config import Config
from groundtune.corpus.contradictions import Contradiction, contradictions
from groundtune.corpus.gaps import GapsReport, Kind, OpenQuestion, Topic, topics_of
from groundtune.corpus.versions import version_pairs
from groundtune.protocols import Embedder
from groundtune.records.audit_log import AuditLog
from groundtune.types import Scope
from groundtune.workflows.checking_documents import read_corpus
from groundtune.workflows.drifting import plain, read_compared_run
from groundtune.workspace import Workspace

MOST = 1_000
"""Questions of a kind that are grouped, the most frequent first."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question with one of its answers."""

    question: str
    groups: frozenset[str]
    abstained: bool
    answer: str | None
    passages: tuple[str, ...]
    """Ids of the passages that it cites with support."""


async def find_gaps(
    workspace: Workspace,
    config: Config,
    opened: OpenIndex,
    embedder: Embedder,
    name: str,
    *,
    groups: Sequence[str],
    days: int,
    now: datetime | None = None,
) -> GapsReport:
    """Return the gaps. groups: of the reader. name: the project's choice, whose rows of the comparison count."""
    since = ((now or datetime.now(UTC)) - timedelta(days=days)).isoformat(timespec="milliseconds")
    served = await asyncio.to_thread(_served, workspace, since)
    run, compared = await asyncio.to_thread(_compared, workspace, name)
    readable = [asked for asked in (*compared, *served) if asked.groups <= set(groups)]
    hidden = {_key(asked) for asked in (*compared, *served)} - {_key(asked) for asked in readable}
    times = Counter(_key(asked) for asked in readable)
    latest = {_key(asked): asked for asked in readable}
    scope = Scope(tuple(groups))
    _, corpus, _ = await read_corpus(opened, groups=groups)
    versions = version_pairs(corpus)
    related = {frozenset((pair.older, pair.newer)) for pair in versions}
    found = await asyncio.to_thread(contradictions, corpus, config.language, related)
    found = [pair for pair in found if frozenset((pair.first.source, pair.second.source)) not in related]
    newer = {pair.older: pair.newer for pair in versions}
    open_questions: dict[Kind, list[OpenQuestion]] = {"contradicting": [], "superseded": [], "unanswered": []}
    for key, asked in latest.items():
        if asked.abstained:
            open_questions["unanswered"].append(OpenQuestion("unanswered", asked.question, times[key], asked.answer))
            continue
        passages = [passage for each in asked.passages if (passage := await opened.passage(each, scope=scope))]
        texts = [(passage.source.partition("#")[0], " ".join(passage.text.split())) for passage in passages]
        if pair := _contradicted(texts, found):
            question = OpenQuestion("contradicting", asked.question, times[key], asked.answer, *_statements(pair))
            open_questions["contradicting"].append(question)
        if old := next((source for source, _ in texts if source in newer), None):
            why = f"replaced by {newer[old]}"
            question = OpenQuestion("superseded", asked.question, times[key], asked.answer, (old,), why)
            open_questions["superseded"].append(question)
    topics: list[Topic] = []
    for kind, listed in open_questions.items():
        topics += await _topics(kind, listed, embedder, config)
    return GapsReport(days, len(latest), run, tuple(topics), len(hidden))


def _served(workspace: Workspace, since: str) -> list[_Asked]:
    return [
        _Asked(
            entry.texts["question"],
            frozenset(entry.record.get("groups", ())),
            entry.record["status"] == "abstained",
            entry.record["id"],
            _cited(entry.record.get("citations", ())),
        )
        for entry in AuditLog(workspace).entries(since=since)
        if "question" in entry.texts and entry.record["status"] in ("answered", "abstained")
    ]


def _cited(citations: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each["passage_id"] for each in citations if each.get("passage_id")))


def _compared(workspace: Workspace, name: str) -> tuple[str | None, list[_Asked]]:
    """Return the name of the comparison, and the answers of the project's choice in it."""
    run = read_compared_run(workspace, name)
    if run is None:
        return None, []
    examples = {example.id: example for example in run.examples}
    return run.name, [
        _Asked(
            examples[row.example].input,
            frozenset(examples[row.example].groups),
            row.status == "abstained",
            None,
            tuple(dict.fromkeys(citation.passage_id for citation in row.citations if citation.passage_id)),
        )
        for row in run.results
        if row.approach in (name, plain(name)) and row.status != "error" and row.example in examples
    ]


def _key(asked: _Asked) -> str:
    return " ".join(asked.question.casefold().split())


def _contradicted(texts: Collection[tuple[str, str]], pairs: Sequence[Contradiction]) -> Contradiction | None:
    """Return a contradiction that one of the cited passages is a side of."""
    for pair in pairs:
        for said in (pair.first, pair.second):
            if any(source == said.source and said.text in text for source, text in texts):
                return pair
    return None


def _statements(pair: Contradiction) -> tuple[tuple[str, ...], str]:
    return (pair.first.source, pair.second.source), f"{pair.differing[0]} or {pair.differing[1]}"


async def _topics(kind: Kind, questions: list[OpenQuestion], embedder: Embedder, config: Config) -> list[Topic]:
    chosen = sorted(questions, key=lambda each: (-each.times, each.question))[:MOST]
    if not chosen:
        return []
    vectors = (await embedder.embed_queries([each.question for each in chosen])).astype(np.float64)
    return await asyncio.to_thread(topics_of, kind, chosen, vectors, config.language)
