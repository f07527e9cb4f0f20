"""Forget documents: erase them, and what came from them, everywhere in the project. Reads no document.

A forgotten source goes on the list that every ingest honours first, so that it cannot come back. The texts that tell
what came from it are in the index: they are erased there only after everything that does not answer questions.
"""

import asyncio
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from groundtune import build
from groundtune.build.approach_families import tune_table_of
from groundtune.common.text import format_count
from groundtune.common.traces import Traces
from groundtune.config import Config
from groundtune.dataset.examples import find_examples
from groundtune.display import Block, Displayed, Line
from groundtune.errors import UsageError
from groundtune.ingest.forgotten import ForgottenSource, read_forgotten, write_forgotten
from groundtune.ingest.patterns import matches_item, matches_pattern
from groundtune.ingest.removal import remove_sources
from groundtune.ingest.scan import source_name
from groundtune.ingest.source_items import is_item
from groundtune.ingest.sync import document_id
from groundtune.protocols import IndexGeneration
from groundtune.records.audit_log import AuditLog
from groundtune.records.feedback import FeedbackLog, FeedbackRow
from groundtune.tune.artifacts import list_artifacts, seen_in_training
from groundtune.types import Artifact, Document, FileRow, Scope
from groundtune.workflows import adopting
from groundtune.workflows.erasing import (
    ErasedExamples,
    ErasedRun,
    erase_examples,
    erase_runs,
    erase_training,
    run_folders,
    search_files,
    trainings_on,
)
from groundtune.workspace import Workspace

SHOWN = 3
"""Examples that a line names."""


@dataclass(frozen=True, slots=True)
class ForgetReport(Displayed):
    """What was forgotten, or would be."""

    sources: tuple[str, ...]
    dry_run: bool
    documents: int = 0
    passages: int = 0
    examples: tuple[ErasedExamples, ...] = ()
    runs: tuple[ErasedRun, ...] = ()
    trainings: Mapping[str, int] = field(default_factory=dict)
    """Id of a training to the number of its rows that were erased."""
    models: tuple[str, ...] = ()
    """Ids of the models that were trained on it and answer nobody until they are trained again."""
    kept_models: tuple[str, ...] = ()
    """Ids of those that stay in use."""
    audit: int = 0
    """Answers of the server whose texts were erased."""
    feedback: int = 0
    """Comments that were erased."""
    still_there: tuple[str, ...] = ()
    """Files of the project that are the document itself: forgetting deletes none of them."""
    left: tuple[str, ...] = ()
    """Files that still hold words of it, and that forgetting does not change."""

    def view(self) -> list[Block]:
        """Return what was erased where, and what is left to do."""
        return [Line(line) for line in _lines(self)]


async def forget(
    workspace: Workspace, config: Config, pattern: str, *, here: Path, keep_models: bool, dry_run: bool
) -> ForgetReport:
    """Forget a document, or all that match a pattern; with `dry_run` everything is named and nothing changed.

    pattern: path relative to the project or to the folder `here` in it, `NAME:ID` of an item, or a pattern of either.
    keep_models: whether models that were trained on it stay in use. Raises UsageError if nothing in the project has
    this name, or the index itself uses such a model; BusyError while another process writes, compares or trains.
    """
    storage = build.index_storage(config, workspace)
    async with storage.writer_lock():
        with _nothing_runs(workspace):
            current = await storage.current()
            generation = await storage.open(current, read_only=False) if current else None
            try:
                found = await _find(workspace, config, generation, pattern, here)
                if not keep_models:
                    _check_embedder(workspace, config, found)
                if not dry_run:
                    _remember(workspace, found, keep_models=keep_models)
                report = await asyncio.to_thread(_erase_files, workspace, config, found, keep_models, dry_run)
                if generation and not dry_run:
                    await remove_sources(found.indexed, {}, catalog=generation.catalog, store=generation.store)
            finally:
                if generation:
                    await generation.close()
            answers, comments = await asyncio.to_thread(_erase_served, workspace, config, found, dry_run)
            report = replace(report, audit=answers, feedback=comments)
            if dry_run:
                return report
            await storage.erase()
            return replace(report, left=await asyncio.to_thread(_left, workspace, found))


def undo(workspace: Workspace, pattern: str) -> tuple[str, ...]:
    """Let the next ingest read forgotten sources again; return them. Raises UsageError if none has this name."""
    forgotten = read_forgotten(workspace)
    names = tuple(entry.source for entry in forgotten.sources.values() if _matches(entry.source, pattern))
    if not names:
        raise UsageError(f"{pattern} was not forgotten", hint="groundtune check lists what was")
    write_forgotten(workspace, forgotten.without(names))
    return names


# -- what belongs to the documents -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    """What is to be forgotten."""

    entries: tuple[ForgottenSource, ...]
    indexed: tuple[str, ...]
    """Sources that are in the index."""
    documents: tuple[Document, ...]
    passages: int
    traces: Traces
    models: tuple[Artifact, ...]
    """Models that were trained on it."""

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(entry.source for entry in self.entries)


async def _find(
    workspace: Workspace, config: Config, generation: IndexGeneration | None, pattern: str, here: Path
) -> _Found:
    rows = await generation.catalog.files() if generation else {}
    artifacts = [artifact for folder in workspace.model_folders for artifact in list_artifacts(folder)]
    forgotten = read_forgotten(workspace)
    known = [
        *rows,
        *(entry.source for entry in forgotten.sources.values()),
        *(source.partition("#")[0] for artifact in artifacts for source in artifact.seen_documents),
    ]
    names = _names(workspace.root, here, pattern, known)
    digests = {row.digest for name in names if (row := rows.get(name)) and row.digest and not is_item(row)}
    names |= {source for source, row in rows.items() if row.digest in digests and not is_item(row)}  # the same bytes
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entries = tuple(ForgottenSource(name, now, *_identity(rows.get(name))) for name in sorted(names))
    indexed = tuple(name for name in sorted(names) if name in rows)
    documents, passages, traces = await _traces(generation, rows, names, indexed)
    ids = {
        artifact.id
        for folder in workspace.model_folders
        for name in names
        for artifact in seen_in_training(folder, name)
    }
    ids |= {folder.name for folder in await asyncio.to_thread(trainings_on, workspace, traces)}
    models = tuple(artifact for artifact in artifacts if artifact.id in ids)
    return _Found(entries, indexed, documents, passages, traces, models)


def _names(root: Path, here: Path, pattern: str, known: Sequence[str]) -> set[str]:
    """Return the sources that a path or pattern means. Raises UsageError for none, and for a row of a table."""
    if "#" in pattern:
        raise UsageError(
            f"{pattern} is a row: forget its whole file, or delete the row in the file, then groundtune ingest",
            hint=f"groundtune forget {pattern.partition('#')[0]}",
        )
    folders = [root, here] if here.is_relative_to(root) else [root]
    path = Path(pattern)
    absolute = [path] if path.is_absolute() else [folder / path for folder in folders]
    plain = {each.relative_to(root).as_posix() for each in absolute if each.is_relative_to(root)}
    names = {source for source in known if source in plain or any(_matches(source, each) for each in (pattern, *plain))}
    names |= {source_name(each, root) for each in absolute if each.is_file() and each.is_relative_to(root)}
    if not names:
        raise UsageError(
            f"{pattern} is no document of this project, and no model was trained on it",
            hint="give a path as groundtune search shows it, NAME:ID, or a pattern such as 'hr/*.md'",
        )
    return names


def _matches(source: str, pattern: str) -> bool:
    return source == pattern or matches_pattern(source, pattern) or matches_item(source, pattern)


def _identity(row: FileRow | None) -> tuple[str | None, tuple[str, ...]]:
    """Return the digest of a file, None for what is no file, and the groups that may read it."""
    if row is None:
        return None, ()
    return (None if is_item(row) else row.digest), row.groups


async def _traces(
    generation: IndexGeneration | None, rows: Mapping[str, FileRow], names: Collection[str], indexed: Sequence[str]
) -> tuple[tuple[Document, ...], int, Traces]:
    """Return the documents of the sources, the number of their passages, and what tells that a text is from them."""
    ids: dict[str, int] = {document_id(name): 0 for name in names}
    documents: list[Document] = []
    others: list[str] = []
    if generation:
        for source in indexed:
            for identity, state in (await generation.catalog.document_states(source)).items():
                ids[identity] = state.passages
                document = await generation.catalog.document_by_id(identity)
                documents += [document] if document else []
        groups = {group for row in rows.values() for group in row.groups}
        stored = await generation.store.scan(Scope(tuple(sorted(groups))))
        others = [passage.text for passage in stored if passage.document_id not in ids]
    texts = [text for document in documents for text in (document.text, document.title or "")]
    traces = await asyncio.to_thread(partial(Traces, names, document_ids=ids, texts=texts, others=others))
    return tuple(documents), sum(ids.values()), traces


def _check_embedder(workspace: Workspace, config: Config, found: _Found) -> None:
    """Raise UsageError if the index cannot be searched without one of the models."""
    for artifact in found.models:
        key = adopting.key_naming_model(config, workspace.models / artifact.id)
        if key and not key.startswith("[answers]"):
            raise UsageError(
                f"{artifact.id}, which {key} names, was trained on it: the index could not be searched",
                hint="groundtune models adopt --back, or --keep-models",
            )


# -- erasing -----------------------------------------------------------------------------------------------------------


@contextmanager
def _nothing_runs(workspace: Workspace) -> Iterator[None]:
    """Keep comparisons, trainings and sweeps from starting. Raises BusyError while one goes on."""
    with ExitStack() as stack:
        stack.enter_context(workspace.lock("models"))
        stack.enter_context(workspace.scratch("sweep"))
        for folder in run_folders(workspace):
            stack.enter_context(workspace.lock("running", folder=folder, action="is running a comparison in"))
        yield


def _remember(workspace: Workspace, found: _Found, *, keep_models: bool) -> None:
    kept = tuple(artifact.id for artifact in found.models) if keep_models else ()
    entries = [replace(entry, kept_models=kept) for entry in found.entries]
    write_forgotten(workspace, read_forgotten(workspace).with_sources(entries))


def _erase_files(workspace: Workspace, config: Config, found: _Found, keep_models: bool, dry_run: bool) -> ForgetReport:
    ids = tuple(artifact.id for artifact in found.models)
    earlier = {kept for entry in read_forgotten(workspace).sources.values() for kept in entry.kept_models}
    kept = tuple(each for each in ids if keep_models or each in earlier)
    trainings = trainings_on(workspace, found.traces)
    runs = erase_runs(workspace, found.traces, ids, dry_run=dry_run)
    rows = {folder.name: erase_training(folder, found.traces, dry_run=dry_run) for folder in trainings}
    files = _example_files(workspace, config)
    examples = erase_examples(workspace.root, files, found.traces, dry_run=dry_run)
    if not dry_run:
        shutil.rmtree(workspace.cache, ignore_errors=True)  # keys are digests: nobody can tell which entries are of it
    return ForgetReport(
        found.sources,
        dry_run,
        documents=len(found.documents),
        passages=found.passages,
        examples=tuple(examples),
        runs=tuple(runs),
        trainings=rows,
        models=tuple(each for each in ids if each not in kept),
        kept_models=kept,
        still_there=tuple(source for source in found.sources if (workspace.root / source).is_file()),
    )


def _example_files(workspace: Workspace, config: Config) -> list[Path]:
    """Return the files of examples, with every other file of JSON lines in the project: drafts and distilled rows."""
    named = find_examples(workspace.root, config.examples.files)
    others = (path for path in _own_files(workspace) if path.suffix == ".jsonl")
    return [path for path in dict.fromkeys([*named, *others]) if path.is_file()]


def _own_files(workspace: Workspace) -> Iterator[Path]:
    """Yield the files of the project outside its hidden folders."""
    for folder, folders, names in os.walk(workspace.root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(folder, name) for name in names)


def _erase_served(workspace: Workspace, config: Config, found: _Found, dry_run: bool) -> tuple[int, int]:
    """Erase the texts of served answers, and comments on them; return how many of each."""
    models = {artifact.id for artifact in found.models}
    tables = {artifact.name for artifact in found.models}

    def is_of_model(record: Mapping[str, Any]) -> bool:
        asked = [record.get("approach"), record.get("generator"), *record.get("route", ())]
        names = [name for name in asked if isinstance(name, str)]
        return any(
            name.partition("@")[2] in models or name in models or tune_table_of(config, name) in tables
            for name in names
        )

    def is_of_document(record: Mapping[str, Any], texts: Mapping[str, str]) -> bool:
        unknown = not {"passages", "event"} & record.keys()  # broken off, by a version that recorded none
        return unknown or is_of_model(record) or found.traces.in_value({**record, **texts})

    log = AuditLog(workspace)
    entries = log.entries(events=True, shadows=True)
    answers = {entry.record["id"] for entry in entries if is_of_document(entry.record, entry.texts)}
    recorded = {entry.record["id"] for entry in log.entries(shadows=True)}
    erased = log.erase(answers, dry_run=dry_run)

    def is_about_it(row: FeedbackRow) -> bool:
        return row.answer in answers or row.answer not in recorded or found.traces.in_text(row.comment)

    feedback = FeedbackLog(workspace)
    comments = [row.number for row in feedback.rows() if row.comment and is_about_it(row)]
    if not dry_run:
        feedback.erase_comments(comments)
    return erased, len(comments)


def _left(workspace: Workspace, found: _Found) -> tuple[str, ...]:
    """Return the files of the project that still hold words of the documents, apart from the documents themselves."""
    texts = [document.text for document in found.documents]
    own = {workspace.root / source for source in found.sources}
    files = [path for path in (*workspace.folder.rglob("*"), *_own_files(workspace)) if path not in own]
    left = search_files(files, found.traces.excerpts(texts))
    return tuple(path.relative_to(workspace.root).as_posix() for path in left)


# -- what is said about it ---------------------------------------------------------------------------------------------


def _lines(report: ForgetReport) -> Iterator[str]:
    erased, would = ("would be erased", "would be") if report.dry_run else ("erased", "is")
    yield f"{'would forget' if report.dry_run else 'forgotten'}: {', '.join(report.sources)}"
    documents, passages = format_count(report.documents, "document"), format_count(report.passages, "passage")
    yield f"{erased} from the index: {documents}, {passages}, every older version"
    yield f"{erased}: all cached generations"
    for run in report.runs:
        examples, answers = format_count(run.examples, "example"), format_count(run.answers, "other answer")
        yield f"{erased} from the run {run.name}: {examples}, the texts of {answers}, its report and verdict"
    for name, rows in report.trainings.items():
        yield f"{erased} from the training {name}: {format_count(rows)}, log and checkpoint"
    for file in report.examples:
        if file.dropped:
            yield f"{erased} from {file.file}: {format_count(len(file.dropped), 'example')} that a program made"
    answers, comments = format_count(report.audit, "served answer"), format_count(report.feedback, "comment")
    yield f"{erased}: the texts of {answers}, {comments}"
    if report.models:
        yield f"out of service until trained again: {', '.join(report.models)}"
    if report.kept_models:
        yield f"kept in service, though trained on it: {', '.join(report.kept_models)}"
    for file in report.examples:
        if file.kept:
            yield f"left to you: {format_count(len(file.kept), 'example')} of people in {file.file}: {_some(file.kept)}"
    for source in report.still_there:
        yield f"left to you: the file {source} itself, which {would} not read again"
    for path in report.left:
        yield f"still holds words of it: {path}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
