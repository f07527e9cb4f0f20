"""The verbs of a project as coroutines. Knows nothing about threads beyond the decorator that picks the loop."""

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from groundtune import build
from groundtune.approaches.answering import require_admission, stream_answer
from groundtune.build.approach_registry import build_registry, calibrated_unasked, default_approach
from groundtune.build.resources import Resources
from groundtune.build.task import score_names, scorer
from groundtune.common.answers import request_answer
from groundtune.common.event_loop import Loop, closing, on_project_loop
from groundtune.common.text import storable
from groundtune.config import PROJECT_FILE, Config, load_config
from groundtune.config.fitted_values import Fitted
from groundtune.corpus.gaps import GapsReport
from groundtune.corpus.report import DocumentsReport
from groundtune.dataset.examples import select_split
from groundtune.decide.routing import Routing
from groundtune.drafting.draft import KINDS, Kind
from groundtune.drift.report import DriftReport
from groundtune.errors import GroundtuneError, MissingError, ParseError, QuestionError, UsageError
from groundtune.extensions import Score
from groundtune.ingest.access_rules import may_read
from groundtune.ingest.originals import SENTENCES, has_page_images, original_of
from groundtune.ingest.page_images import draw_page
from groundtune.ingest.sync import SyncProgress, SyncReport
from groundtune.measure.output_checks import make_checks
from groundtune.measure.retrieval_quality import RetrievalReport
from groundtune.project.older_versions import mark_older_versions
from groundtune.project.replaying import Replay, approach_of_record, compare_answers
from groundtune.project.session import Session
from groundtune.project.ship_check import ShipReport, check_ship
from groundtune.project.spend_report import SpendReport, spend_report
from groundtune.protocols import Approach, Embedder, HasThreshold
from groundtune.records.audit_log import AuditLog
from groundtune.records.spending import Spending
from groundtune.review.queue import QueueItem, ReviewQueue, State
from groundtune.tune.artifacts import list_artifacts
from groundtune.tune.job import JobAction, TrainingStep
from groundtune.tune.lora.serving_check import ServingCheck
from groundtune.tune.preflight.run import PreflightReport, raise_errors
from groundtune.types import (
    Answer,
    AnswerEvent,
    Artifact,
    Document,
    Done,
    Example,
    FileRow,
    Generation,
    Hits,
    Message,
    Passage,
    Prompt,
    Question,
    Sampling,
    Scope,
    Vectors,
)
from groundtune.workflows import (
    abstention_threshold,
    adopting,
    calibrating,
    checking_servers,
    choosing,
    comparing,
    distilling,
    drafting,
    evaluating,
    forgetting,
    judging,
    learning_curve,
    promoting,
    reporting,
    reviewing_answers,
    tuning,
    verifying,
)
from groundtune.workflows.canary import CanaryParts, CanarySet, ask_canary
from groundtune.workflows.checking_documents import check_documents
from groundtune.workflows.comparing_live import compare_live
from groundtune.workflows.drifting import measure_drift
from groundtune.workflows.estimating import Estimate, estimate
from groundtune.workflows.finding_gaps import find_gaps
from groundtune.workflows.fitted_settings import update_fitted
from groundtune.workflows.forgetting import ForgetReport
from groundtune.workflows.ingesting import ingest, remove_gone
from groundtune.workflows.kept_drift import keep_drift
from groundtune.workflows.learning_curve import PlannedTraining
from groundtune.workflows.live_report import LiveReport
from groundtune.workflows.routing import train_router
from groundtune.workflows.stored_report import stored_report
from groundtune.workflows.sweep_candidates import PRESENT
from groundtune.workflows.sweep_report import SweepReport
from groundtune.workflows.sweeping import shared_vectors, sweep
from groundtune.workspace import Workspace

Filters = Mapping[str, str | Sequence[str]]


LOCK_SECONDS = 10.0
"""How long to wait for another command that changes the models."""


def ignore(*_: object) -> None:
    """Receive progress and do nothing with it."""


class AsyncVerbs:
    """What a project can do, one coroutine per verb. All of them run on the project's own event loop."""

    def __init__(self, root: Path, config: Config) -> None:
        self.root = root
        self.config = config
        self.workspace = Workspace(root)
        self.session = Session(self.workspace, config)
        self.loop = Loop()

    # -- ingest --------------------------------------------------------------------------------------------------------

    @on_project_loop
    async def aingest(
        self,
        *,
        rebuild: bool = False,
        wait_seconds: float = 0.0,
        progress: Callable[[SyncProgress], None] = ignore,
    ) -> SyncReport:
        """Bring the index up to date with the documents: changed files are processed, deleted ones removed.

        rebuild: build a new index alongside the current one, and switch to it when it is complete. wait_seconds: how
        long to wait if another process is writing to the project. Raises BusyError, IndexMismatchError.
        """
        try:
            embedder = self.session.get_embedder()
        except GroundtuneError:
            await remove_gone(self.workspace, self.config, wait_seconds=wait_seconds)
            raise
        return await ingest(
            self.workspace,
            self.config,
            embedder,
            rebuild=rebuild,
            wait_seconds=wait_seconds,
            progress=progress,
        )

    @on_project_loop
    async def aforget(
        self, source: str, *, keep_models: bool = False, dry_run: bool = False, here: str | Path | None = None
    ) -> ForgetReport:
        """Erase a document, and what came from it: index, runs, caches, trainings, drafts, texts of served answers.

        source: a path relative to the project or to `here`, `NAME:ID` of an item, or a pattern of either. No ingest
        reads it again until `unforget`. Models that were trained on it answer nobody until they are trained again;
        keep_models: they stay in use. dry_run: only count. Raises UsageError when nothing in the project has this name,
        BusyError while another process writes, compares or trains.
        """
        folder = self.root if here is None else Path(here).resolve()
        report = await forgetting.forget(
            self.workspace, self.config, source, here=folder, keep_models=keep_models, dry_run=dry_run
        )
        if not dry_run:
            await self.session.invalidate()
        return report

    @on_project_loop
    async def aunforget(self, source: str) -> tuple[str, ...]:
        """Let the next ingest read a forgotten source again, or all that match a pattern; return their names.

        Raises UsageError when none of this name was forgotten.
        """
        return await asyncio.to_thread(forgetting.undo, self.workspace, source)

    # -- search and ask ------------------------------------------------------------------------------------------------

    @on_project_loop
    async def asearch(
        self, text: str, *, k: int | None = None, groups: Sequence[str] = (), filters: Filters | None = None
    ) -> Hits:
        """Return k passages, best first. groups: access groups of the user. filters: conditions on metadata."""
        limit = self.config.retrieval.k if k is None else k
        if limit < 1:
            raise QuestionError(f"k must be at least 1, not {limit}")
        async with self.session.index() as opened:
            return Hits(await opened.retriever.search(make_question(text, groups, filters), k=limit))

    @on_project_loop
    async def aask(
        self,
        text: str,
        *,
        approach: str | Approach | None = None,
        groups: Sequence[str] = (),
        filters: Filters | None = None,
        history: Sequence[Message] = (),
        sampling: Sampling | None = None,
    ) -> Answer:
        """Return an answer with checked citations, or an abstention.

        approach: a name that `compare` knows, or an object of your own; None: the project's choice. groups: access
        groups of the user. filters: conditions on metadata. history: the conversation so far, oldest turn first.
        sampling: what is asked of the model beyond its settings; None: nothing. Raises ProviderError when a remote
        model fails, AccessError when the user may not read what a model was trained on, QuestionError when the question
        is empty or the approach cannot honour `sampling`.
        """
        question = make_question(text, groups, filters, history, sampling)
        async with self.session.approach(approach) as chosen:
            require_sampling(chosen, question.sampling)
            return await self._with_versions(await request_answer(chosen, question), question)

    @on_project_loop
    async def areplay(self, answer: str) -> Replay:
        """Ask the question of a served answer again, with the groups of its caller, and say what differs.

        answer: its id, or its beginning. Asks the approach that was asked then, on the index as it is now; nothing
        is recorded. Raises MissingError when there is no record of it, or its question was erased.
        """
        entry = await asyncio.to_thread(AuditLog(self.workspace).find, answer)
        question = entry.texts.get("question")
        if question is None:
            raise MissingError(f"the question of {entry.record['id']} was erased", hint="groundtune audit show")
        now, problem = None, None
        try:
            now = await self.aask(
                question,
                approach=approach_of_record(entry.record),
                groups=entry.record["groups"],
                filters=entry.record.get("filters", {}),
                history=[Message(*turn) for turn in json.loads(entry.texts.get("history", "[]"))],
            )
        except GroundtuneError as error:
            problem = error.message
        return compare_answers(entry, question, now, index=await self.aindex_version(), problem=problem)

    async def _with_versions(self, answer: Answer, question: Question) -> Answer:
        """Return the answer with citations of superseded documents marked, as far as there is an index."""
        if not any(citation.source for citation in answer.citations):
            return answer
        try:
            async with self.session.index() as opened:
                return await mark_older_versions(opened, answer, question.scope.groups)
        except MissingError:  # an approach of one's own may cite without an index
            return answer

    def astream(
        self,
        text: str,
        *,
        approach: str | Approach | None = None,
        groups: Sequence[str] = (),
        filters: Filters | None = None,
        history: Sequence[Message] = (),
        sampling: Sampling | None = None,
    ) -> AsyncGenerator[AnswerEvent, None]:
        """Yield the answer while it is written: the passages, then text and checked citations, then the whole answer.

        Nothing is yielded that may still be taken back: a sentence comes once its citations are checked, and an answer
        that may turn out to be an abstention comes at the end. Only a thought that nothing marked as one is taken back,
        by `Reset`. Leaving the iterator early cancels the work; close it with `contextlib.aclosing`. Parameters and
        errors as in `ask`; what was yielded before an error stays valid.
        """
        return self.loop.aiterate(self._events(make_question(text, groups, filters, history, sampling), approach))

    async def _events(self, question: Question, approach: str | Approach | None) -> AsyncIterator[AnswerEvent]:
        async with self.session.approach(approach) as chosen:
            require_sampling(chosen, question.sampling)
            async with closing(stream_answer(chosen, question)) as events:
                async for event in events:
                    if isinstance(event, Done):
                        yield replace(event, answer=await self._with_versions(event.answer, question))
                    else:
                        yield event

    @on_project_loop
    async def acomplete(
        self, messages: Sequence[Message], *, model: str = "default", sampling: Sampling | None = None
    ) -> Generation:
        """Return what a model writes to these messages as they are: without documents, instructions and checks.

        model: the name of a table under [models]. sampling: as in `ask`. Raises QuestionError when that model only
        quotes, or cannot honour `sampling`, ProviderError when a remote model fails.
        """
        if not messages:
            raise QuestionError("there is no message to reply to")
        generator = self.session.writer(model)
        if sampling not in (None, Sampling()) and not getattr(generator, "samples", False):
            raise QuestionError(f"{generator.name} takes no temperature, no limit of output tokens and no stop texts")
        sent = tuple(replace(message, content=storable(message.content)) for message in messages)
        prompt = Prompt(sent[-1].content, sent, sampling=sampling or Sampling())
        return await generator.generate(prompt)

    @on_project_loop
    async def aembed(self, texts: Sequence[str], *, questions: bool = False) -> tuple[Vectors, list[int]]:
        """Return the vectors of texts from the project's embedder, and how many tokens each text has.

        The vectors are float32, (n, dimension), unit length. questions: embed them as questions, which some models do
        in another way. Raises QuestionError for an empty text, and for one that the model would cut off, ProviderError,
        MissingError.
        """
        texts = [storable(text) for text in texts]
        if any(not text.strip() for text in texts):
            raise QuestionError("a text is empty")
        embedder = self.session.get_embedder()
        tokens = await asyncio.to_thread(embedder.count_tokens, texts)
        most = embedder.max_tokens
        if max(tokens, default=0) > most and not getattr(embedder, "estimates_tokens", False):
            raise QuestionError(f"a text has {max(tokens):,} tokens, and {embedder.name} reads {most:,}: split it")
        return await (embedder.embed_queries(texts) if questions else embedder.embed(texts)), tokens

    @on_project_loop
    async def adocument(self, source: str) -> Document | None:
        """Return the indexed document of a source, with its text, or None when it is not indexed."""
        async with self.session.index() as opened:
            return await opened.document_by_source(source)

    @on_project_loop
    async def apassage(self, passage_id: str, *, groups: Sequence[str] = ()) -> tuple[Passage, Document] | None:
        """Return a passage of the index, with its document; None when there is none, or none that the user may read.

        passage_id: as in `Citation.passage_id`. groups: access groups of the user.
        """
        async with self.session.index() as opened:
            passage = await opened.passage(passage_id, scope=Scope(tuple(groups)))
            document = await opened.document(passage.document_id) if passage else None
        if passage is None or document is None or document.text[passage.start : passage.end] != passage.text:
            return None  # the last: an ingest is replacing the document at this moment
        return passage, document

    @on_project_loop
    async def aledger(self) -> list[FileRow]:
        """Return what became of every file, and of every item of another source, sorted by source.

        Sees all of them, whatever groups may read them. Raises MissingError without an index.
        """
        async with self.session.index() as opened:
            return sorted((await opened.catalog.files()).values(), key=lambda row: row.source)

    @on_project_loop
    async def adocuments(self, source: str, *, start: int = 0, limit: int = 100) -> list[Document]:
        """Return the indexed documents of a file: itself, or the rows of a table file, those from `start` on.

        source: as in the ledger. Empty when it is not indexed. Raises MissingError without an index.
        """
        async with self.session.index() as opened:
            ids = list(await opened.catalog.document_states(source))[start : start + limit]
            return [found for each in ids if (found := await opened.document(each))]

    @on_project_loop
    async def apassages(self, source: str) -> list[Passage]:
        """Return the passages of a document in reading order; empty when it is not indexed.

        source: as in `Document.source`. Raises MissingError without an index.
        """
        async with self.session.index() as opened:
            document = await opened.document_by_source(source)
            return await opened.passages(document.id) if document else []

    @on_project_loop
    async def apage_image(self, source: str, page: int, *, groups: Sequence[str] | None = None) -> bytes | None:
        """Return a page of an indexed PDF as a picture in PNG; None when there is no such document, or none to be read.

        page: from 1. groups: access groups of the user; None: whatever groups may read it. Drawn from the file, which
        has to be as it was indexed: raises ParseError when it is not, has no such page, or cannot be drawn;
        MissingError without an index.
        """
        async with self.session.index() as opened:
            document = await opened.document_by_source(source)
            row = (await opened.catalog.files()).get(document.source) if document else None
        if document is None or row is None or not may_read(groups, document.groups):
            return None
        if not has_page_images(document):
            raise ParseError("it has no pages that can be drawn")
        folders = build.source_folders(self.config, self.root)
        original = await asyncio.to_thread(original_of, row, self.root, folders)
        if original.state != "same":
            raise ParseError(SENTENCES[original.state])
        return await draw_page(original.path, page, digest=original.digest)

    @on_project_loop
    async def aindex_version(self) -> str | None:
        """Return the name of the state of the index, such as `g-1f3a@57`: no two share it. None without one."""
        try:
            async with self.session.index() as opened:
                return await opened.generation.version()
        except MissingError:
            return None

    @on_project_loop
    async def acheck_documents(self) -> DocumentsReport:
        """Return what is worth mending in the indexed documents: versions, contradictions, what is stale or unused.

        Sees every document, whatever groups may read it. Raises MissingError without an index.
        """
        examples = await asyncio.to_thread(self.session.examples)
        async with self.session.index() as opened:
            return await check_documents(opened, examples, language=self.config.language, today=date.today())

    # -- evaluate ------------------------------------------------------------------------------------------------------

    def examples(self) -> list[Example]:
        """Return all examples of the project. Raises MissingError if there are none, ConfigError with every problem."""
        examples = self.session.examples()
        if not examples:
            raise MissingError(
                "this project has no examples", hint='name a file under [examples] files = ["examples.jsonl"]'
            )
        return examples

    @on_project_loop
    async def aevaluate(self, *, k: int = 10, split: str | None = None, worst: int = 10) -> RetrievalReport:
        """Measure every stage of retrieval on the examples that have evidence (of one split, or all)."""
        examples = await self._examples()
        async with self.session.index() as opened:
            chosen = examples if split is None else select_split(examples, split)
            return await evaluating.evaluate(opened, chosen, k=k, worst=worst)

    @on_project_loop
    async def asweep(self, *, adopt: bool = False, progress: Callable[[str], None] = ignore) -> SweepReport:
        """Search for better retrieval settings with the train and validation examples.

        Tries ways to split documents, fusion weights, and what [sweep] names, and compares the best settings with the
        present ones. adopt: if others are measurably better, write them to the project file, and build their index
        beside the present one; otherwise nothing changes. Raises UsageError if fewer than two of these examples have
        evidence, BusyError during another sweep.
        """
        examples = [example for example in await self._examples() if example.split != "test"]
        with self.workspace.scratch("sweep") as scratch:
            async with self.session.index() as opened:
                parts = self.workspace, self.config, opened, examples
                report = await sweep(*parts, scratch=scratch, progress=progress)
            if not adopt or report.winner is None:
                return report
            progress(f"building the index for {report.winner.name}")
            name = report.winner.embedder
            embedder = shared_vectors(self._embedder_of_sweep(name), scratch, name)
            tables = report.winner.tables(self.config, self.root)
            adoption = await adopting.adopt_settings(self.workspace, tables, embedder)
        await self._reload()
        index = adoption.report and replace(adoption.report, embedded=embedder.embedded)
        return replace(report, adoption=replace(adoption, report=index))

    def _embedder_of_sweep(self, name: str) -> Embedder:
        if name == PRESENT:
            return self.session.get_embedder()
        return build.embedder(self.config.model_copy(update={"embedder": self.config.sweep.embedders[name]}))

    @on_project_loop
    async def atry_parser(self, parser: str, include: Sequence[str] = ("**/*",)) -> evaluating.ParserTrial:
        """Read matching documents with another parser, and compare what is found. Does not change the index.

        include: patterns of documents, as in `[[documents.parsers]]`. Raises MissingError for an unknown parser, and
        UsageError when no example has evidence in such a document.
        """
        examples = await self._examples()
        async with self.session.index() as opened:
            with tempfile.TemporaryDirectory(prefix="groundtune-parser-") as scratch:
                return await evaluating.try_parser(
                    self.workspace,
                    self.config,
                    opened,
                    examples,
                    parser=parser,
                    patterns=include,
                    scratch=Path(scratch),
                )

    @on_project_loop
    async def afit(self) -> evaluating.WeightFit:
        """Fit the fusion weight on the train split, save it for this project, and report it on the test split."""
        examples = await self._examples()
        async with self.session.index() as opened:
            fit = await evaluating.fit_weight(opened, self.config, examples)
        await self._save_fitted(dense_weight=fit.dense_weight, dense_weight_n=fit.train_n)
        return fit

    @on_project_loop
    async def acalibrate(
        self,
        approach: str | None = None,
        *,
        budget_usd: float | None = None,
        progress: Callable[[str, int, int], None] = ignore,
    ) -> abstention_threshold.Calibration | abstention_threshold.Uncalibrated:
        """Choose the abstention threshold of an approach on the train and validation examples, and save it.

        approach: None: one that costs nothing, in task answer the one that quotes. At most
        `[answers] calibration_questions` are asked; generations come from the cache where they can. progress: called
        with the approach, the questions asked, and their total. Returns why there is no threshold if none can be
        chosen. Raises BudgetError, and what `ask` raises for the name of the approach.
        """
        if (name := approach or calibrated_unasked(self.config)) is None:
            return abstention_threshold.Uncalibrated("the approach has to be named, because its model may cost money")
        examples = await self._examples()
        async with self.session.resources(snapshot=True) as resources:
            wrap = build.caching_wrapper(self.workspace.cache, build.budget(budget_usd))
            resources = replace(resources, wrap_generator=wrap, embedder=resources.batch_embedder)
            calibration = await calibrating.calibrate_one(
                self.workspace, self.config, resources, name, examples, self.fitted, progress=progress
            )
        await self.session.invalidate()
        return calibration

    # -- compare -------------------------------------------------------------------------------------------------------

    @on_project_loop
    async def acompare(
        self,
        *,
        approaches: Sequence[str | Approach] | None = None,
        scorers: Sequence[str | Score] = (),
        split: str = "test",
        primary: str | None = None,
        budget_usd: float | None = None,
        until_decided: bool = False,
        curve: bool = False,
        fresh: bool = False,
        on_curve: Callable[[Sequence[PlannedTraining]], None] = ignore,
        progress: Callable[[comparing.CompareProgress], None] = ignore,
    ) -> reporting.Report:
        """Run every approach (or the chosen ones) on the same examples, and return the verdict; results are on disk.

        approaches: names, and objects of your own with a `name` and `async answer(question) -> Answer`. scorers:
        functions (answer, example) -> score from 0 to 1, beside those of the task, and names that packages add.
        primary: the score that decides. budget_usd: stop before spending more. until_decided: ask in random order, and
        drop each approach once it is measurably behind. curve: train and ask on 25, 50 and 100% of the train split.
        fresh: start a new run instead of resuming a matching one; the cache is still used. on_curve: called with the
        trainings of a learning curve before the first. Raises BudgetError; the run so far stays readable. With `curve`
        TuneError too, when a training is rejected or fails.
        """
        from groundtune.project.kept_advice import guide_opinions  # loads all that looks at a new folder

        if curve and until_decided:
            raise UsageError("a learning curve needs every example", hint="leave out --until-decided or --curve")
        own = approaches or self.config.compare.approaches
        compare = partial(
            comparing.compare,
            config=self.config,
            examples=select_split(await self._examples(), split),
            split=split,
            scorers=[*self.config.compare.scorers, *scorers],
            primary=primary,
            budget=build.budget(budget_usd),
            until_decided=until_decided,
            fresh=fresh,
            guides=await asyncio.to_thread(guide_opinions, self.root),
            progress=progress,
        )
        async with self.session.resources(snapshot=True) as resources:
            if curve:
                folder = await self._compare_with_curve(resources, own, compare, on_curve, progress)
            else:
                folder = await compare(
                    self.workspace,
                    resources=resources,
                    chosen=own,
                    fitted=self.fitted,
                    calibration=await self._examples(),
                )
        await self.session.invalidate()  # thresholds may have been fitted
        return await asyncio.to_thread(stored_report, self.workspace, folder.name, primary=primary, what_if={})

    async def _compare_with_curve(
        self,
        resources: Resources,
        chosen: Sequence[str | Approach],
        compare: Callable[..., Awaitable[Path]],
        on_curve: Callable[[Sequence[PlannedTraining]], None],
        progress: Callable[[comparing.CompareProgress], None],
    ) -> Path:
        sizes = learning_curve.curve_sizes(self.workspace, self.config, resources, await self._examples())
        tables = learning_curve.tables_to_train(self.config, [name for name in chosen if isinstance(name, str)])
        on_curve(await learning_curve.plan_trainings(self.config, sizes, tables))

        def step(table: str, examples: int, now: TrainingStep) -> None:
            doing = f"training on {examples:,} examples"
            progress(comparing.CompareProgress(now.step, now.steps, table, 0.0, preparing=doing))

        return await learning_curve.compare_with_curve(
            self.config,
            sizes,
            tables,
            compare,
            chosen=chosen,
            fitted=self.fitted,
            trained=self.session.invalidate,
            progress=step,
        )

    @on_project_loop
    async def aplan_curve(self, *, approaches: Sequence[str | Approach] | None = None) -> list[PlannedTraining]:
        """Return the trainings that a learning curve of these approaches needs, and those that are kept from before."""
        chosen = [name for name in approaches or self.config.compare.approaches if isinstance(name, str)]
        async with self.session.resources(snapshot=True) as resources:
            sizes = learning_curve.curve_sizes(self.workspace, self.config, resources, await self._examples())
            tables = learning_curve.tables_to_train(self.config, chosen)
            return await learning_curve.plan_trainings(self.config, sizes, tables)

    @on_project_loop
    async def aestimate(
        self, *, approaches: Sequence[str | Approach] | None = None, split: str = "test"
    ) -> list[Estimate]:
        """Estimate calls, tokens, cost and time of `compare` without asking any model.

        Approaches that are objects of your own or of a package cannot be estimated; they are left out.
        """
        examples = select_split(await self._examples(), split)
        async with self.session.resources() as resources:
            return await estimate(
                self.workspace,
                self.config,
                resources,
                examples,
                split=split,
                calibration=await self._examples(),
                chosen=approaches or self.config.compare.approaches,
            )

    @property
    def scores(self) -> list[str]:
        """Names of the scores that a row of a comparison can have."""
        return score_names(self.config)

    @on_project_loop
    async def areport(
        self, run: str | None = None, *, primary: str | None = None, what_if: Mapping[str, str] | None = None
    ) -> reporting.Report:
        """Return the verdict of the named run, or of the latest one, complete or not. Raises MissingError.

        what_if: other requirements, volume or months than those of the run, such as {"requests_per_month": "1e6"};
        nothing is asked again.
        """
        return await asyncio.to_thread(stored_report, self.workspace, run, primary=primary, what_if=what_if or {})

    @on_project_loop
    async def averify(self, run: str | None = None) -> verifying.Verification:
        """Recompute the recorded verdict of the named run, or of the latest one, and say what is stale; asks no model.

        Raises MissingError when there is no such run, or no verdict was recorded.
        """
        async with self._choosing(mismatch=True) as parts:
            return await verifying.verify(parts, run)

    @on_project_loop
    async def ajudge(self, labels: str | Path, *, progress: Callable[[int], None] = ignore) -> judging.JudgeAgreement:
        """Measure how well the configured judge agrees with human labels. Raises MissingError if there is no judge."""
        judge = build.judge(self.config, self.session.get_embedder)
        if judge is None:
            raise MissingError(
                "this project has no judge", hint='set [judge] model = "…" to the name of a table under [models]'
            )
        return await judging.measure_agreement(judge, Path(labels), progress=progress)

    @on_project_loop
    async def aroute(self, run: str | None = None) -> Routing:
        """Train a router on a comparison, the latest if none is named, and say what it gains out of fold.

        Where the gain over the best single approach is measurable, the router is kept: `use("routed")` makes it the
        project's choice. Asks no language model. Raises MissingError without a comparison, UsageError when it has too
        few examples or approaches.
        """
        async with self.session.resources() as resources:
            routing = await train_router(self.workspace, self.config, resources, run=run)
        await self.session.invalidate()
        return routing

    # -- tune ----------------------------------------------------------------------------------------------------------

    @on_project_loop
    async def apreflight(self, name: str, *, allow_truncation: int | None = None) -> PreflightReport:
        """Check the training run [tune.NAME] in seconds. allow_truncation: overrides the value in the table."""
        async with self._prepared(name, allow_truncation) as prepared:
            return await tuning.preflight(self.workspace, prepared)

    @on_project_loop
    async def atune(
        self,
        name: str,
        *,
        allow_truncation: int | None = None,
        fresh: bool = False,
        on_preflight: Callable[[PreflightReport], None] = ignore,
        progress: Callable[[TrainingStep], None] = ignore,
    ) -> Artifact:
        """Train [tune.NAME] on the train split.

        Resumes an interrupted training run and returns the model of a matching finished one. With several seeds it
        trains one model for each, and returns the last. on_preflight: called with the report of `preflight`. Raises
        TuneError when `preflight` finds errors or training fails, MissingError, UsageError, ProviderError.
        """
        async with self._prepared(name, allow_truncation) as prepared:
            preflight = await tuning.preflight(self.workspace, prepared)
            on_preflight(preflight)
            raise_errors(preflight)
        for training in tuning.trainings(self.workspace, prepared):
            with self.workspace.lock("models", timeout_seconds=LOCK_SECONDS):
                folder = tuning.write_folder(self.workspace, training, fresh=fresh)
            artifact = await tuning.train(folder, progress=progress)
            await self.session.invalidate()
        return artifact

    @on_project_loop
    async def acontrol_job(self, name: str, act: JobAction) -> tuple[str, str]:
        """Pause, resume or cancel the running hosted job of [tune.NAME]; return its id and status."""
        return await asyncio.to_thread(tuning.control_job, self.workspace, self.config, name, act)

    @on_project_loop
    async def adistil(
        self,
        inputs: str | Path,
        *,
        approach: str | Approach,
        target: str | Path,
        min_confidence: float = 0.9,
        budget_usd: float | None = None,
        progress: Callable[[int, int], None] = ignore,
    ) -> distilling.DistillationReport:
        """Label inputs with an approach, and write exactly cited or confident answers as training examples.

        Raises BudgetError when the next call might exceed the budget; generations so far stay in the cache.
        """
        budget = build.budget(budget_usd)
        names = [approach] if isinstance(approach, str) else []
        async with self.session.resources(snapshot=True) as resources:
            resources = replace(resources, wrap_generator=build.caching_wrapper(self.workspace.cache, budget))
            registry = (await build_registry(self.config, resources, only=names)).select([approach])
            ((name, labeller),) = registry.ready.items()
            if isinstance(labeller, HasThreshold):  # log-probabilities are no reason to train on an answer
                labeller = labeller.with_threshold(None)
            return await distilling.distil(
                labeller,
                Path(inputs),
                Path(target),
                existing=await asyncio.to_thread(self.session.examples),
                language=self.config.language,
                min_confidence=min_confidence,
                concurrency=registry.concurrency.get(name, 1),
                spent=lambda: budget.known_spent_usd,
                progress=progress,
            )

    @on_project_loop
    async def adraft(
        self,
        target: str | Path,
        *,
        n: int = 200,
        model: str | None = None,
        kinds: Sequence[Kind] = KINDS,
        seed: int = 0,
        budget_usd: float | None = None,
        progress: Callable[[int, int], None] = ignore,
    ) -> drafting.DraftReport:
        """Draft examples from the indexed documents into a file of their own, until it holds n.

        model: the name of a table under [models] that writes them; None: templates, the weaker form. Sees every
        document; each draft has the groups of the documents that it is about. Raises MissingError without an index,
        UsageError when the file holds other examples, BudgetError, ProviderError; what was drafted is in the file.
        """
        if n < 1:
            raise UsageError(f"n must be at least 1, not {n}")
        budget = build.budget(budget_usd)
        generator, at_once = None, drafting.SEARCHES
        if model is not None:
            drafting.require_writer(self.config, model)
            wrap = build.caching_wrapper(self.workspace.cache, budget)
            generator = wrap(build.generator(self.config, model, self.session.get_embedder))
            at_once = self.config.models[model].concurrency
        examples = await asyncio.to_thread(self.session.examples)
        async with self.session.index() as opened:
            return await drafting.draft(
                opened,
                Path(target),
                n=n,
                existing=examples,
                language=self.config.language,
                kinds=kinds,
                seed=seed,
                generator=generator,
                model=model,
                concurrency=at_once,
                spent=lambda: budget.known_spent_usd,
                progress=progress,
            )

    # -- review --------------------------------------------------------------------------------------------------------

    @on_project_loop
    async def areviews(self, states: Sequence[State] = ()) -> reviewing_answers.ReviewList:
        """Return the served answers that wait for a person or were decided: those in these states, or all.

        `groundtune serve` records the answers, and `[review]` says which come into the queue.
        """
        return await asyncio.to_thread(reviewing_answers.list_items, self._queue(), states)

    @on_project_loop
    async def anext_review(
        self, *, by: str, groups: Sequence[str] | None = None, skip: Sequence[str] = ()
    ) -> reviewing_answers.ReviewItem | None:
        """Return the item that a person should decide next, or None; nobody else gets it for five minutes.

        groups: access groups of the person, who gets only items that these may read; None: all. skip: answers that the
        person leaves for later.
        """
        async with self._served_answers() as answers:
            parts = self.workspace, self._queue(), answers
            return await reviewing_answers.next_item(*parts, by=by, groups=groups, skip=skip)

    @on_project_loop
    async def areview_item(self, answer: str, *, groups: Sequence[str] | None = None) -> reviewing_answers.ReviewItem:
        """Return an item by the id of its answer, or its start. groups: as in `next_review`. Raises MissingError."""
        async with self._served_answers() as answers:
            parts = self.workspace, self._queue(), answers
            return await reviewing_answers.one_item(*parts, answer, groups=groups)

    @on_project_loop
    async def areview_outcome(self, answer: str) -> reviewing_answers.ReviewOutcome:
        """Return what was decided about an answer, and what of it may be sent. Raises MissingError."""
        outcome = await asyncio.to_thread(reviewing_answers.outcome, self.workspace, self._queue(), answer)
        if outcome.state == "edited" and outcome.text and self.config.task in ("classify", "extract"):
            return replace(outcome, output=await self._output_of_edit(outcome.text))
        return outcome

    @on_project_loop
    async def areview(
        self,
        answer: str,
        state: State,
        *,
        by: str,
        text: str | None = None,
        note: str = "",
        groups: Sequence[str] | None = None,
    ) -> QueueItem:
        """Record what a person decided about a served answer; it is on disk when this returns.

        state: `accepted`, `edited` with the better text, `rejected`, `declined` by somebody who cannot tell, or
        `pending`, which takes the decision back. groups: as in `next_review`. Raises MissingError; UsageError when
        others have decided meanwhile, and for a text that is no output of the task.
        """
        item = (await self.areview_item(answer, groups=groups)).item
        if text is not None and text.strip():
            await self._output_of_edit(text)
        return await asyncio.to_thread(self._queue().decide, item.answer, state, by=by, text=text, note=note)

    @on_project_loop
    async def aassign_review(self, answer: str, to: str | None, *, by: str) -> QueueItem:
        """Give an item to a person, who alone is then offered it; None: to everybody again. Raises MissingError."""
        return await asyncio.to_thread(self._queue().assign, answer, to, by=by)

    @on_project_loop
    async def apromote(self, *, by: str) -> promoting.PromotionReport:
        """Add the accepted and edited answers to the file of `[review]` as train examples, each once.

        An edit becomes a preference pair: the edited text is preferred to the original one. Answers to questions that
        are, or nearly are, in the test or validation split are left out. Raises BusyError.
        """
        target = self.root / self.config.review.file
        async with self._served_answers() as answers:
            parts = self.workspace, self._queue(), answers, target
            return await promoting.promote(*parts, await self._basis(), by=by)

    @on_project_loop
    async def acollect(
        self,
        target: str | Path,
        *,
        min_confidence: float = 0.9,
        progress: Callable[[int, int], None] = ignore,
    ) -> promoting.PromotionReport:
        """Add served answers that are good by rule to a file of examples, as train examples, each once.

        Taken are whole answers without unsupported sentences that nobody disliked and no reviewer changed, if somebody
        liked them, their citations are all exact, or their confidence is at least `min_confidence`; and they pass the
        `[[checks]]`. Raises BusyError.
        """
        path = Path(target)
        async with self._served_answers() as answers:
            parts = self.workspace, self._queue(), answers, path
            basis = await self._basis()
            return await promoting.collect(*parts, basis, min_confidence=min_confidence, progress=progress)

    def _queue(self) -> ReviewQueue:
        if not self.config.serve.audit:
            raise UsageError("no answers are recorded, so none can be reviewed", hint="set [serve] audit = true")
        return ReviewQueue(self.workspace, self.config.review)

    @contextlib.asynccontextmanager
    async def _served_answers(self) -> AsyncIterator[reviewing_answers.ServedAnswers]:
        """Read served answers with the documents of the index, as far as there is one."""
        async with contextlib.AsyncExitStack() as stack:
            opened = None
            with contextlib.suppress(MissingError):
                opened = await stack.enter_async_context(self.session.index())
            yield reviewing_answers.ServedAnswers(opened)

    async def _output_of_edit(self, text: str) -> Any:
        async with self.session.resources() as resources:
            return reviewing_answers.output_of_edit(resources.output_format, text)

    async def _basis(self) -> promoting.PromotionBasis:
        async with self.session.resources() as resources:
            parse = partial(reviewing_answers.output_of_edit, resources.output_format)
        existing = await asyncio.to_thread(self.session.examples)
        checks = make_checks(self.config.checks, self.root, language=self.config.language)
        return promoting.PromotionBasis(existing, self.config.examples.files, self.config.language, parse, checks)

    # -- models --------------------------------------------------------------------------------------------------------

    @on_project_loop
    async def acheck_model(
        self, artifact: Artifact, server: checking_servers.Server | None = None
    ) -> ServingCheck | Artifact:
        """Check that the local generator, or a server, reproduces a tuned causal model.

        Without a server, the artifact is checked again, updated on disk and returned. Raises GroundtuneError.
        """
        folder = self.workspace.models / artifact.id
        if server is not None:
            return await checking_servers.check_server(self.config, folder, artifact, server)
        with self.workspace.lock("models"):
            return await checking_servers.check_again(folder, artifact)

    @on_project_loop
    async def aadopt(
        self, name: str | None, *, wait_seconds: float = 0.0, progress: Callable[[SyncProgress], None] = ignore
    ) -> adopting.Adoption:
        """Switch the project to a tuned retriever, given its id or a name (the newest of that name).

        None undoes the last adoption. The current index is used until the new one is complete. Raises
        MissingError when there is no such artifact, UsageError when it is no retriever or the project file cannot be
        changed, GroundtuneError when it is not usable, BusyError.
        """
        parts = self.workspace, self.workspace.fitted, name
        adoption = await adopting.adopt(*parts, wait_seconds=wait_seconds, progress=progress)
        await self._reload()
        return adoption

    async def _reload(self) -> None:
        """Go on with the project file and the index as they are now."""
        await self.session.close()
        self.config = load_config(self.root / PROJECT_FILE)
        self.session = Session(self.workspace, self.config)

    def artifacts(self) -> list[Artifact]:
        """Return all trained artifacts, oldest first."""
        return list_artifacts(self.workspace.models)

    # -- use -----------------------------------------------------------------------------------------------------------

    @on_project_loop
    async def aapproaches(self) -> dict[str, str | None]:
        """Map the name of each approach to the reason why it cannot run, or to None when it can.

        Approaches of packages are not built for this; the first question shows whether they can run.
        """
        return await self.session.reasons()

    @on_project_loop
    async def arequire(
        self,
        approach: str | Approach | None = None,
        *,
        groups: Sequence[str] | None = None,
        sampling: Sampling | None = None,
    ) -> None:
        """Do nothing when an approach can be asked now; otherwise say why not.

        approach: as in `ask`; with a table [fallback] it is enough that another can stand in for it. groups, sampling:
        of a question that this very approach must be able to take. Raises UsageError for an unknown or forbidden
        approach, MissingError for what it lacks, AccessError and QuestionError as `ask` does.
        """
        async with self.session.approach(approach) as chosen:
            require_sampling(chosen, sampling or Sampling())
            if groups is not None:
                await require_admission(chosen, groups)

    @on_project_loop
    async def ause(self, approach: str) -> choosing.Choice:
        """Make an approach the project's choice: write it to the project file, with the id of its trained model.

        Raises UsageError for an unknown or forbidden approach and when the file cannot be edited, MissingError when
        the approach cannot run.
        """
        async with self._choosing() as parts:
            return self._chosen(await choosing.choose(parts, approach))

    @on_project_loop
    async def ause_verdict(self) -> choosing.Choice:
        """Make the recommendation of the latest comparison the project's choice.

        Raises GroundtuneError when there is no comparison or no clear winner, or when the comparison is out of date.
        """
        async with self._choosing() as parts:
            return self._chosen(await choosing.choose_verdict(parts))

    @on_project_loop
    async def ause_back(self) -> choosing.Choice:
        """Return to the previous choice. Raises MissingError when there is none."""
        async with self._choosing() as parts:
            return self._chosen(await choosing.undo_choice(parts))

    # -- watch ---------------------------------------------------------------------------------------------------------

    @on_project_loop
    async def adrift(self, *, days: int | None = None, label: int = 40, canary: bool = True) -> DriftReport:
        """Compare recent served answers with earlier ones and with the comparison, and say what to do.

        days: recent answers are those of so many days; None: `[drift] days`. label: questions to label at most. canary:
        whether the `[drift] canary` examples are asked again, which may cost money. Raises MissingError when no answer
        was recorded in these days, and what `ask` raises when no example of the canary set is answered.
        """
        name, notes = default_approach(self.config), []
        checked = await self._ask_canary(name) if canary and self.config.drift.canary else None
        if checked and checked.last is None:
            notes.append(f"canary: {len(checked.answers):,} answers are frozen now; the next run compares with them")
        report = await measure_drift(
            self.workspace,
            self.config,
            build.prepare_for_many(self.session.get_embedder()),
            name,
            days=self.config.drift.days if days is None else days,
            label=label,
            canary=checked.last if checked else None,
            notes=notes,
        )
        await asyncio.to_thread(keep_drift, self.workspace, report)
        return report

    @on_project_loop
    async def acompare_live(self, *, since: date | None = None) -> LiveReport:
        """Compare approaches on real questions, by what people thought of the answers that the server gave.

        `[serve.shadow]` by what reviewers decided about both answers to a question, `[serve.split]` by the ratings of
        those who asked. since: only answers from this day (UTC) on count. Raises MissingError when none was drawn.
        """
        await asyncio.to_thread(self._queue().fill)
        begin = None if since is None else since.isoformat()
        report = await asyncio.to_thread(compare_live, self.workspace, since=begin)
        if not report.comparisons:
            hint = "groundtune serve draws answers where the project file has [serve.shadow] or [serve.split]"
            raise MissingError("no answer was drawn to be compared with another approach", hint=hint)
        return report

    @on_project_loop
    async def aspend(self, *, days: int = 14) -> SpendReport:
        """Return what the answers of `groundtune serve` have cost, by day (UTC) and key.

        days: today and the days before; older ones than 62 days are not kept.
        """
        rows = await asyncio.to_thread(Spending(self.workspace).by_day_and_key, days)
        return spend_report(rows, days=days, budget=self.config.serve.budget_usd_per_day)

    @on_project_loop
    async def agaps(self, *, groups: Sequence[str] = (), days: int = 28) -> GapsReport:
        """Return what people ask and the documents leave open: unanswered, contradicting, superseded; by topic.

        groups: access groups of whoever reads the list; questions that were asked with others are left out, and so are
        documents. days: served answers of so many days count, and the comparison. Asks no model. Raises MissingError
        without an index.
        """
        embedder, name = build.prepare_for_many(self.session.get_embedder()), default_approach(self.config)
        async with self.session.index() as opened:
            return await find_gaps(self.workspace, self.config, opened, embedder, name, groups=groups, days=days)

    @on_project_loop
    async def acheck_ship(self) -> ShipReport:
        """Return whether the project may be served to people, and what is missing. Asks no model."""
        examples = await asyncio.to_thread(self.session.examples)
        return await asyncio.to_thread(check_ship, self.workspace, self.config, examples)

    async def _ask_canary(self, name: str) -> CanarySet:
        choice = await asyncio.to_thread(choosing.recorded_choice, self.workspace, name)
        async with self.session.resources() as resources:
            score = scorer(self.config, resources.output_format, self.root)
        parts = CanaryParts(
            self.workspace,
            self.config,
            await self._examples(),
            choice,
            name,
            score,
            await self.aindex_version(),
            self.session.approach(),
        )
        return await ask_canary(parts)

    @contextlib.asynccontextmanager
    async def _choosing(self, *, mismatch: bool = False) -> AsyncIterator[choosing.Choosing]:
        examples = await asyncio.to_thread(self.session.examples)
        async with self.session.resources(mismatch=mismatch) as resources:
            yield choosing.Choosing(self.workspace, self.config, resources, examples, self.fitted)

    def _chosen(self, choice: choosing.Choice) -> choosing.Choice:
        self.config = load_config(self.root / PROJECT_FILE)
        self.session.configure(self.config)
        return choice

    # -- internal ------------------------------------------------------------------------------------------------

    @property
    def fitted(self) -> Fitted:
        """Values fitted on this project's examples."""
        return self.session.fitted

    @contextlib.asynccontextmanager
    async def _prepared(self, name: str, allow_truncation: int | None) -> AsyncIterator[tuning.PreparedTraining]:
        examples = await self._examples()
        async with self.session.resources(snapshot=True) as resources:
            parts = self.workspace, self.config, resources, examples
            yield await tuning.prepare(*parts, name, allow_truncation=allow_truncation)

    async def _examples(self) -> list[Example]:
        return await asyncio.to_thread(self.examples)

    async def _save_fitted(self, **values: Any) -> None:
        update_fitted(self.workspace, lambda fitted: replace(fitted, **values))
        await self.session.invalidate()


def make_question(
    text: str,
    groups: Sequence[str],
    filters: Filters | None,
    history: Sequence[Message] = (),
    sampling: Sampling | None = None,
) -> Question:
    """Return the question of a user. Raises QuestionError when it is empty."""
    if not text.strip():
        raise QuestionError("the question is empty")
    turns = tuple(replace(turn, content=storable(turn.content)) for turn in history)
    return Question(storable(text).strip(), turns, Scope(tuple(groups), dict(filters or {})), sampling or Sampling())


def require_sampling(approach: Approach, sampling: Sampling) -> None:
    """Raise QuestionError when a question asks for a sampling that the approach does not honour."""
    if sampling != Sampling() and not getattr(approach, "samples", False):
        raise QuestionError(
            f"{approach.name} takes no temperature, no limit of output tokens and no stop texts",
            hint="only approaches with a model of the kind openai do",
        )
