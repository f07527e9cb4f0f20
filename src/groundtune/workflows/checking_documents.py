"""Look at the state of the documents of an index, for whoever keeps them: regardless of access groups."""

import asyncio
from collections.abc import Sequence
from datetime import date

from groundtune.approaches.context import without_overlap
from groundtune.build.open_index import OpenIndex
from groundtune.corpus.contradictions import contradictions
from groundtune.corpus.dates import stale_dates
from groundtune.corpus.files import CorpusFile, corpus_files
from groundtune.corpus.report import DocumentsReport
from groundtune.corpus.sizes import odd_sizes
from groundtune.corpus.unused import LEAST_QUESTIONS, unused_files
from groundtune.corpus.versions import version_pairs
from groundtune.types import EVERYONE, Example, FileRow, Question, Scope

DEPTH = 10
"""Passages by which a question finds a file."""
AT_ONCE = 8


async def check_documents(
    opened: OpenIndex, examples: Sequence[Example], *, language: str, today: date
) -> DocumentsReport:
    """Return what is worth mending in the documents. examples: their questions are searched for."""
    rows, corpus, scope = await read_corpus(opened)
    found = await _found(opened, examples, scope) if len(examples) >= LEAST_QUESTIONS else set()
    return await asyncio.to_thread(_report, corpus, rows, found, len(examples), language, today)


async def read_corpus(
    opened: OpenIndex, groups: Sequence[str] | None = None
) -> tuple[list[FileRow], list[CorpusFile], Scope]:
    """Return the rows and the files of an index, and the scope in which they are seen.

    groups: of whoever reads them; None: all there are.
    """
    rows = await opened.catalog.files()
    if groups is None:
        groups = sorted({group for row in rows.values() for group in row.groups})
    else:
        rows = {source: row for source, row in rows.items() if {EVERYONE, *groups} & set(row.groups)}
    scope = Scope(tuple(groups))
    passages = without_overlap(await opened.store.scan(scope))
    documents = [await opened.document_by_source(source) for source, row in rows.items() if row.documents == 1]
    return list(rows.values()), corpus_files([document for document in documents if document], passages), scope


async def _found(opened: OpenIndex, examples: Sequence[Example], scope: Scope) -> set[str]:
    """Return the files that any question finds, or names as evidence."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def search(text: str) -> set[str]:
        async with turns:
            hits = await opened.retriever.search(Question(text, scope=scope), k=DEPTH)
        return {source.partition("#")[0] for hit in hits for source in (hit.passage.source, *hit.also_in)}

    found = await asyncio.gather(*(search(example.input) for example in examples))
    evidence = {proof.source.partition("#")[0] for example in examples for proof in example.evidence}
    return evidence.union(*found)


def _report(
    corpus: Sequence[CorpusFile],
    rows: Sequence[FileRow],
    found: set[str],
    questions: int,
    language: str,
    today: date,
) -> DocumentsReport:
    versions = version_pairs(corpus)
    related = {frozenset((pair.older, pair.newer)) for pair in versions}
    pairs = contradictions(corpus, language, related)
    outdated = [pair for pair in pairs if frozenset((pair.first.source, pair.second.source)) in related]
    unused = unused_files(corpus, found, questions)
    return DocumentsReport(
        files=len(corpus),
        questions=questions,
        contradictions=tuple(pair for pair in pairs if pair not in outdated),
        versions=tuple(versions),
        outdated=tuple(outdated),
        stale=tuple(stale_dates(corpus, language, today)),
        unused=None if unused is None else tuple(unused),
        sizes=tuple(odd_sizes(corpus, rows)),
    )
