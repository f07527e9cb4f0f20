"""The library API: one Project object with a sync method per verb, and an async one with the prefix `a`.

All work of a project runs on one event loop in its own thread. The verbs can therefore be called from scripts,
notebooks and other event loops, and clients of remote models stay on the loop that created them. The work itself is in
`async_verbs.py`; the methods here wait for it.
"""

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from groundtune.config import find_project, load_config
from groundtune.corpus.gaps import GapsReport
from groundtune.corpus.report import DocumentsReport
from groundtune.decide.routing import Routing
from groundtune.drafting.draft import KINDS, Kind
from groundtune.drift.report import DriftReport
from groundtune.extensions import Score
from groundtune.ingest.sync import SyncProgress, SyncReport
from groundtune.measure.retrieval_quality import RetrievalReport
from groundtune.project.async_verbs import AsyncVerbs, Filters, ignore, make_question
from groundtune.project.create import Documents, Examples, create_project
from groundtune.project.replaying import Replay
from groundtune.project.ship_check import ShipReport
from groundtune.project.spend_report import SpendReport
from groundtune.protocols import Approach
from groundtune.review.queue import QueueItem, State
from groundtune.tune.job import JobAction, TrainingStep
from groundtune.tune.lora.serving_check import ServingCheck
from groundtune.tune.preflight.run import PreflightReport
from groundtune.types import (
    Answer,
    AnswerEvent,
    Artifact,
    Document,
    FileRow,
    Generation,
    Hits,
    Message,
    Passage,
    Sampling,
    Task,
    Vectors,
)
from groundtune.workflows import (
    abstention_threshold,
    adopting,
    checking_servers,
    choosing,
    comparing,
    distilling,
    drafting,
    evaluating,
    judging,
    promoting,
    reporting,
    reviewing_answers,
    verifying,
)
from groundtune.workflows.estimating import Estimate
from groundtune.workflows.forgetting import ForgetReport
from groundtune.workflows.learning_curve import PlannedTraining
from groundtune.workflows.live_report import LiveReport
from groundtune.workflows.sweep_report import SweepReport


class Project(AsyncVerbs):
    """A folder with a groundtune.toml: made by `create`, opened by `open`. Close it, or use it as a context manager."""

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        *,
        documents: Documents | None = None,
        examples: Examples | None = None,
        task: Task = "answer",
        model: str | Mapping[str, Any] | None = None,
        base_url: str | None = None,
        embedder: str | Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> "Project":
        """Write the groundtune.toml of a new project and open it. Call `ingest` next.

        documents: the folder, file or pattern to index, or several, relative to `folder`; or the texts themselves: a
        mapping from name to text, a list of texts, or a list of Documents, written to `folder/documents`. None: all
        documents and examples found in `folder`, as `groundtune init` does. examples: a file or pattern below
        `folder`; or Examples, or rows like {"input": "…", "output": "…"}, written to `folder/examples.jsonl`. model:
        the name of a model behind an OpenAI-compatible endpoint at `base_url` (None: OpenAI's own), or the table
        [models.default]; None: answers are verbatim quotes, and nothing leaves this machine. embedder: a
        sentence-transformers model, or the table [embedder]; None: the bundled one. name: None: that of the folder.

        Overwrites no file. Raises UsageError when there is a project already, a file is in the way, or documents lie
        outside `folder`; MissingError when a path does not exist; ConfigError with every problem of the examples or
        the settings.
        """
        return cls.open(
            create_project(
                folder,
                documents=documents,
                examples=examples,
                task=task,
                model=model,
                base_url=base_url,
                embedder=embedder,
                name=name,
            )
        )

    @classmethod
    def open(cls, folder: str | Path = ".", *, strict: bool | None = None) -> "Project":
        """Open the project of a folder or of its nearest parent. `strict` overrides `answers.strict`.

        Raises MissingError when there is no project, ConfigError with every problem of its file.
        """
        file = find_project(Path(folder))
        config = load_config(file)
        if strict is not None:
            config = config.model_copy(update={"answers": config.answers.model_copy(update={"strict": strict})})
        return cls(file.parent, config)

    def __repr__(self) -> str:
        return f"Project({str(self.root)!r})"

    def close(self) -> None:
        """Cancel running work and stop the project's thread. Later calls raise RuntimeError."""
        self.loop.stop(last=self.session.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- ingest --------------------------------------------------------------------------------------------------------

    def ingest(
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
        return self.loop.run(self.aingest(rebuild=rebuild, wait_seconds=wait_seconds, progress=progress))

    def forget(
        self, source: str, *, keep_models: bool = False, dry_run: bool = False, here: str | Path | None = None
    ) -> ForgetReport:
        """Erase a document, and what came from it: index, runs, caches, trainings, drafts, texts of served answers.

        source: a path relative to the project or to `here`, `NAME:ID` of an item, or a pattern of either. No ingest
        reads it again until `unforget`. Models that were trained on it answer nobody until they are trained again;
        keep_models: they stay in use. dry_run: only count. Raises UsageError when nothing in the project has this name,
        BusyError while another process writes, compares or trains.
        """
        return self.loop.run(self.aforget(source, keep_models=keep_models, dry_run=dry_run, here=here))

    def unforget(self, source: str) -> tuple[str, ...]:
        """Let the next ingest read a forgotten source again, or all that match a pattern; return their names.

        Raises UsageError when none of this name was forgotten.
        """
        return self.loop.run(self.aunforget(source))

    # -- search and ask ------------------------------------------------------------------------------------------------

    def search(
        self, text: str, *, k: int | None = None, groups: Sequence[str] = (), filters: Filters | None = None
    ) -> Hits:
        """Return k passages, best first. groups: access groups of the user. filters: conditions on metadata."""
        return self.loop.run(self.asearch(text, k=k, groups=groups, filters=filters))

    def ask(
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
        return self.loop.run(
            self.aask(text, approach=approach, groups=groups, filters=filters, history=history, sampling=sampling)
        )

    def stream(
        self,
        text: str,
        *,
        approach: str | Approach | None = None,
        groups: Sequence[str] = (),
        filters: Filters | None = None,
        history: Sequence[Message] = (),
        sampling: Sampling | None = None,
    ) -> Generator[AnswerEvent, None, None]:
        """Yield the answer while it is written: the passages, then text and checked citations, then the whole answer.

        Nothing is yielded that may still be taken back: a sentence comes once its citations are checked, and an answer
        that may turn out to be an abstention comes at the end. Only a thought that nothing marked as one is taken back,
        by `Reset`. Leaving the iterator early cancels the work; close it with `contextlib.closing`. Parameters and
        errors as in `ask`; what was yielded before an error stays valid.
        """
        return self.loop.iterate(self._events(make_question(text, groups, filters, history, sampling), approach))

    def complete(
        self, messages: Sequence[Message], *, model: str = "default", sampling: Sampling | None = None
    ) -> Generation:
        """Return what a model writes to these messages as they are: without documents, instructions and checks.

        model: the name of a table under [models]. sampling: as in `ask`. Raises QuestionError when that model only
        quotes, or cannot honour `sampling`, ProviderError when a remote model fails.
        """
        return self.loop.run(self.acomplete(messages, model=model, sampling=sampling))

    def embed(self, texts: Sequence[str], *, questions: bool = False) -> tuple[Vectors, list[int]]:
        """Return the vectors of texts from the project's embedder, and how many tokens each text has.

        The vectors are float32, (n, dimension), unit length. questions: embed them as questions, which some models do
        in another way. Raises QuestionError for an empty text, and for one that the model would cut off, ProviderError,
        MissingError.
        """
        return self.loop.run(self.aembed(texts, questions=questions))

    def replay(self, answer: str) -> Replay:
        """Ask the question of a served answer again, with the groups of its caller, and say what differs.

        answer: its id, or its beginning. Asks the approach that was asked then, on the index as it is now; nothing
        is recorded. Raises MissingError when there is no record of it, or its question was erased.
        """
        return self.loop.run(self.areplay(answer))

    def document(self, source: str) -> Document | None:
        """Return the indexed document of a source, with its text, or None when it is not indexed."""
        return self.loop.run(self.adocument(source))

    def passage(self, passage_id: str, *, groups: Sequence[str] = ()) -> tuple[Passage, Document] | None:
        """Return a passage of the index, with its document; None when there is none, or none that the user may read.

        passage_id: as in `Citation.passage_id`. groups: access groups of the user.
        """
        return self.loop.run(self.apassage(passage_id, groups=groups))

    def ledger(self) -> list[FileRow]:
        """Return what became of every file, and of every item of another source, sorted by source.

        Sees all of them, whatever groups may read them. Raises MissingError without an index.
        """
        return self.loop.run(self.aledger())

    def documents(self, source: str, *, start: int = 0, limit: int = 100) -> list[Document]:
        """Return the indexed documents of a file: itself, or the rows of a table file, those from `start` on.

        source: as in the ledger. Empty when it is not indexed. Raises MissingError without an index.
        """
        return self.loop.run(self.adocuments(source, start=start, limit=limit))

    def passages(self, source: str) -> list[Passage]:
        """Return the passages of a document in reading order; empty when it is not indexed.

        source: as in `Document.source`. Raises MissingError without an index.
        """
        return self.loop.run(self.apassages(source))

    def page_image(self, source: str, page: int, *, groups: Sequence[str] | None = None) -> bytes | None:
        """Return a page of an indexed PDF as a picture in PNG; None when there is no such document, or none to be read.

        page: from 1. groups: access groups of the user; None: whatever groups may read it. Drawn from the file, which
        has to be as it was indexed: raises ParseError when it is not, has no such page, or cannot be drawn;
        MissingError without an index.
        """
        return self.loop.run(self.apage_image(source, page, groups=groups))

    def index_version(self) -> str | None:
        """Return the name of the state of the index, such as `g-1f3a@57`: no two share it. None without one."""
        return self.loop.run(self.aindex_version())

    def check_documents(self) -> DocumentsReport:
        """Return what is worth mending in the indexed documents: versions, contradictions, what is stale or unused.

        Sees every document, whatever groups may read it. Raises MissingError without an index.
        """
        return self.loop.run(self.acheck_documents())

    # -- evaluate ------------------------------------------------------------------------------------------------------

    def evaluate(self, *, k: int = 10, split: str | None = None, worst: int = 10) -> RetrievalReport:
        """Measure every stage of retrieval on the examples that have evidence (of one split, or all)."""
        return self.loop.run(self.aevaluate(k=k, split=split, worst=worst))

    def sweep(self, *, adopt: bool = False, progress: Callable[[str], None] = ignore) -> SweepReport:
        """Search for better retrieval settings with the train and validation examples.

        Tries ways to split documents, fusion weights, and what [sweep] names, and compares the best settings with the
        present ones. adopt: if others are measurably better, write them to the project file, and build their index
        beside the present one; otherwise nothing changes. Raises UsageError if fewer than two of these examples have
        evidence, BusyError during another sweep.
        """
        return self.loop.run(self.asweep(adopt=adopt, progress=progress))

    def try_parser(self, parser: str, include: Sequence[str] = ("**/*",)) -> evaluating.ParserTrial:
        """Read matching documents with another parser, and compare what is found. Does not change the index.

        include: patterns of documents, as in `[[documents.parsers]]`. Raises MissingError for an unknown parser, and
        UsageError when no example has evidence in such a document.
        """
        return self.loop.run(self.atry_parser(parser, include))

    def fit(self) -> evaluating.WeightFit:
        """Fit the fusion weight on the train split, save it for this project, and report it on the test split."""
        return self.loop.run(self.afit())

    def calibrate(
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
        return self.loop.run(self.acalibrate(approach, budget_usd=budget_usd, progress=progress))

    # -- compare -------------------------------------------------------------------------------------------------------

    def compare(
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
        return self.loop.run(
            self.acompare(
                approaches=approaches,
                scorers=scorers,
                split=split,
                primary=primary,
                budget_usd=budget_usd,
                until_decided=until_decided,
                curve=curve,
                fresh=fresh,
                on_curve=on_curve,
                progress=progress,
            )
        )

    def plan_curve(self, *, approaches: Sequence[str | Approach] | None = None) -> list[PlannedTraining]:
        """Return the trainings that a learning curve of these approaches needs, and those that are kept from before."""
        return self.loop.run(self.aplan_curve(approaches=approaches))

    def estimate(self, *, approaches: Sequence[str | Approach] | None = None, split: str = "test") -> list[Estimate]:
        """Estimate calls, tokens, cost and time of `compare` without asking any model.

        Approaches that are objects of your own or of a package cannot be estimated; they are left out.
        """
        return self.loop.run(self.aestimate(approaches=approaches, split=split))

    def report(
        self, run: str | None = None, *, primary: str | None = None, what_if: Mapping[str, str] | None = None
    ) -> reporting.Report:
        """Return the verdict of the named run, or of the latest one, complete or not. Raises MissingError.

        what_if: other requirements, volume or months than those of the run, such as {"requests_per_month": "1e6"};
        nothing is asked again.
        """
        return self.loop.run(self.areport(run, primary=primary, what_if=what_if))

    def verify(self, run: str | None = None) -> verifying.Verification:
        """Recompute the recorded verdict of the named run, or of the latest one, and say what is stale; asks no model.

        Raises MissingError when there is no such run, or no verdict was recorded.
        """
        return self.loop.run(self.averify(run))

    def judge(self, labels: str | Path, *, progress: Callable[[int], None] = ignore) -> judging.JudgeAgreement:
        """Measure how well the configured judge agrees with human labels. Raises MissingError if there is no judge."""
        return self.loop.run(self.ajudge(labels, progress=progress))

    def route(self, run: str | None = None) -> Routing:
        """Train a router on a comparison, the latest if none is named, and say what it gains out of fold.

        Where the gain over the best single approach is measurable, the router is kept: `use("routed")` makes it the
        project's choice. Asks no language model. Raises MissingError without a comparison, UsageError when it has too
        few examples or approaches.
        """
        return self.loop.run(self.aroute(run))

    # -- tune ----------------------------------------------------------------------------------------------------------

    def preflight(self, name: str, *, allow_truncation: int | None = None) -> PreflightReport:
        """Check the training run [tune.NAME] in seconds. allow_truncation: overrides the value in the table."""
        return self.loop.run(self.apreflight(name, allow_truncation=allow_truncation))

    def tune(
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
        return self.loop.run(
            self.atune(
                name, allow_truncation=allow_truncation, fresh=fresh, on_preflight=on_preflight, progress=progress
            )
        )

    def control_job(self, name: str, act: JobAction) -> tuple[str, str]:
        """Pause, resume or cancel the running hosted job of [tune.NAME]; return its id and status."""
        return self.loop.run(self.acontrol_job(name, act))

    def distil(
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
        return self.loop.run(
            self.adistil(
                inputs,
                approach=approach,
                target=target,
                min_confidence=min_confidence,
                budget_usd=budget_usd,
                progress=progress,
            )
        )

    def draft(
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
        return self.loop.run(
            self.adraft(target, n=n, model=model, kinds=kinds, seed=seed, budget_usd=budget_usd, progress=progress)
        )

    # -- review --------------------------------------------------------------------------------------------------------

    def reviews(self, states: Sequence[State] = ()) -> reviewing_answers.ReviewList:
        """Return the served answers that wait for a person or were decided: those in these states, or all.

        `groundtune serve` records the answers, and `[review]` says which come into the queue.
        """
        return self.loop.run(self.areviews(states))

    def next_review(
        self, *, by: str, groups: Sequence[str] | None = None, skip: Sequence[str] = ()
    ) -> reviewing_answers.ReviewItem | None:
        """Return the item that a person should decide next, or None; nobody else gets it for five minutes.

        groups: access groups of the person, who gets only items that these may read; None: all. skip: answers that the
        person leaves for later.
        """
        return self.loop.run(self.anext_review(by=by, groups=groups, skip=skip))

    def review_item(self, answer: str, *, groups: Sequence[str] | None = None) -> reviewing_answers.ReviewItem:
        """Return an item by the id of its answer, or its start. groups: as in `next_review`. Raises MissingError."""
        return self.loop.run(self.areview_item(answer, groups=groups))

    def review_outcome(self, answer: str) -> reviewing_answers.ReviewOutcome:
        """Return what was decided about an answer, and what of it may be sent. Raises MissingError."""
        return self.loop.run(self.areview_outcome(answer))

    def review(
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
        return self.loop.run(self.areview(answer, state, by=by, text=text, note=note, groups=groups))

    def assign_review(self, answer: str, to: str | None, *, by: str) -> QueueItem:
        """Give an item to a person, who alone is then offered it; None: to everybody again. Raises MissingError."""
        return self.loop.run(self.aassign_review(answer, to, by=by))

    def promote(self, *, by: str) -> promoting.PromotionReport:
        """Add the accepted and edited answers to the file of `[review]` as train examples, each once.

        An edit becomes a preference pair: the edited text is preferred to the original one. Answers to questions that
        are, or nearly are, in the test or validation split are left out. Raises BusyError.
        """
        return self.loop.run(self.apromote(by=by))

    def collect(
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
        return self.loop.run(self.acollect(target, min_confidence=min_confidence, progress=progress))

    # -- models --------------------------------------------------------------------------------------------------------

    def check_model(self, artifact: Artifact, server: checking_servers.Server | None = None) -> ServingCheck | Artifact:
        """Check that the local generator, or a server, reproduces a tuned causal model.

        Without a server, the artifact is checked again, updated on disk and returned. Raises GroundtuneError.
        """
        return self.loop.run(self.acheck_model(artifact, server))

    def adopt(
        self, name: str | None, *, wait_seconds: float = 0.0, progress: Callable[[SyncProgress], None] = ignore
    ) -> adopting.Adoption:
        """Switch the project to a tuned retriever, given its id or a name (the newest of that name).

        None undoes the last adoption. The current index is used until the new one is complete. Raises
        MissingError when there is no such artifact, UsageError when it is no retriever or the project file cannot be
        changed, GroundtuneError when it is not usable, BusyError.
        """
        return self.loop.run(self.aadopt(name, wait_seconds=wait_seconds, progress=progress))

    # -- use -----------------------------------------------------------------------------------------------------------

    def approaches(self) -> dict[str, str | None]:
        """Map the name of each approach to the reason why it cannot run, or to None when it can.

        Approaches of packages are not built for this; the first question shows whether they can run.
        """
        return self.loop.run(self.aapproaches())

    def require(
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
        return self.loop.run(self.arequire(approach, groups=groups, sampling=sampling))

    def use(self, approach: str) -> choosing.Choice:
        """Make an approach the project's choice: write it to the project file, with the id of its trained model.

        Raises UsageError for an unknown or forbidden approach and when the file cannot be edited, MissingError when
        the approach cannot run.
        """
        return self.loop.run(self.ause(approach))

    def use_verdict(self) -> choosing.Choice:
        """Make the recommendation of the latest comparison the project's choice.

        Raises GroundtuneError when there is no comparison or no clear winner, or when the comparison is out of date.
        """
        return self.loop.run(self.ause_verdict())

    def use_back(self) -> choosing.Choice:
        """Return to the previous choice. Raises MissingError when there is none."""
        return self.loop.run(self.ause_back())

    # -- watch ---------------------------------------------------------------------------------------------------------

    def drift(self, *, days: int | None = None, label: int = 40, canary: bool = True) -> DriftReport:
        """Compare recent served answers with earlier ones and with the comparison, and say what to do.

        days: recent answers are those of so many days; None: `[drift] days`. label: questions to label at most. canary:
        whether the `[drift] canary` examples are asked again, which may cost money. Raises MissingError when no answer
        was recorded in these days, and what `ask` raises when no example of the canary set is answered.
        """
        return self.loop.run(self.adrift(days=days, label=label, canary=canary))

    def compare_live(self, *, since: date | None = None) -> LiveReport:
        """Compare approaches on real questions, by what people thought of the answers that the server gave.

        `[serve.shadow]` by what reviewers decided about both answers to a question, `[serve.split]` by the ratings of
        those who asked. since: only answers from this day (UTC) on count. Raises MissingError when none was drawn.
        """
        return self.loop.run(self.acompare_live(since=since))

    def spend(self, *, days: int = 14) -> SpendReport:
        """Return what the answers of `groundtune serve` have cost, by day (UTC) and key.

        days: today and the days before; older ones than 62 days are not kept.
        """
        return self.loop.run(self.aspend(days=days))

    def gaps(self, *, groups: Sequence[str] = (), days: int = 28) -> GapsReport:
        """Return what people ask and the documents leave open: unanswered, contradicting, superseded; by topic.

        groups: access groups of whoever reads the list; questions that were asked with others are left out, and so are
        documents. days: served answers of so many days count, and the comparison. Asks no model. Raises MissingError
        without an index.
        """
        return self.loop.run(self.agaps(groups=groups, days=days))

    def check_ship(self) -> ShipReport:
        """Return whether the project may be served to people, and what is missing. Asks no model."""
        return self.loop.run(self.acheck_ship())
