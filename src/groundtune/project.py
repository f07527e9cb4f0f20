"""The front door of the library: one object a project, every verb async with a sync twin of the same name without `a`.

All work of a project runs on one event loop in a thread of its own, so that the verbs can be called from scripts,
from notebooks and from other event loops alike, and clients of remote models stay where they were made.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, get_args

from groundtune import build
from groundtune.config import Config, find_project, load_config
from groundtune.errors import MissingError, UsageError
from groundtune.fitted import Fitted, read_fitted, write_fitted
from groundtune.ingest.index import IndexFolder
from groundtune.ingest.sync import Progress, SyncReport
from groundtune.loop import Loop
from groundtune.measure.examples import read_examples
from groundtune.measure.retrieval import RetrievalReport
from groundtune.opened import OpenIndex
from groundtune.protocols import Approach, Embedder
from groundtune.types import Answer, Document, Example, Hit, Question, Result, Scope, Split
from groundtune.workflows import calibrating, comparing, evaluating
from groundtune.workflows.ingesting import ingest
from groundtune.workspace import Workspace

Filters = Mapping[str, str | Sequence[str]]


class Project:
    """A folder with a groundtune.toml. Use `Project.open`; close it, or use it as a context manager."""

    def __init__(self, root: Path, config: Config) -> None:
        self.root = root
        self.config = config
        self.workspace = Workspace(root)
        self._index = IndexFolder(self.workspace.index)
        self._embedder: Embedder | None = None
        self._opened: OpenIndex | None = None
        self._left: list[OpenIndex] = []
        """Indexes that were open before; answers under way may still read from them."""
        self._loop = Loop()

    @classmethod
    def open(cls, folder: str | Path = ".", *, strict: bool | None = None) -> "Project":
        """The project of a folder or of the nearest one above it; `strict` goes before `answers.strict`.

        Raises MissingError when there is none, ConfigError with every problem of its file.
        """
        file = find_project(Path(folder))
        config = load_config(file)
        if strict is not None:
            config = config.model_copy(update={"answers": config.answers.model_copy(update={"strict": strict})})
        return cls(file.parent, config)

    def close(self) -> None:
        """Cancels what is under way and stops the project's thread; further calls raise RuntimeError."""
        self._loop.stop()
        self._leave()
        for opened in self._left:
            opened.close()
        self._left.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- ingest --------------------------------------------------------------------------------------------------

    def ingest(
        self,
        *,
        rebuild: bool = False,
        wait_seconds: float = 0.0,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> SyncReport:
        """Bring the index up to date with the documents: only what changed, deletions too.

        rebuild: make a new index beside the present one and change over at the end. wait_seconds: how long to wait
        for another process that is writing. Raises BusyError, IndexMismatchError.
        """
        return self._loop.run(self._ingest(rebuild, wait_seconds, progress))

    async def aingest(
        self,
        *,
        rebuild: bool = False,
        wait_seconds: float = 0.0,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> SyncReport:
        """`ingest`, awaited."""
        return await self._loop.await_(self._ingest(rebuild, wait_seconds, progress))

    async def _ingest(self, rebuild: bool, wait_seconds: float, progress: Callable[[Progress], None]) -> SyncReport:
        return await ingest(
            self.workspace,
            self.config,
            self._the_embedder(),
            rebuild=rebuild,
            wait_seconds=wait_seconds,
            progress=progress,
        )

    # -- search and ask ------------------------------------------------------------------------------------------

    def search(
        self, text: str, *, k: int | None = None, groups: Sequence[str] = (), filters: Filters | None = None
    ) -> list[Hit]:
        """Passages, best first; k defaults to `retrieval.k`. groups: those of the asker. filters: on metadata."""
        return self._loop.run(self._search(text, k, groups, filters))

    async def asearch(
        self, text: str, *, k: int | None = None, groups: Sequence[str] = (), filters: Filters | None = None
    ) -> list[Hit]:
        """`search`, awaited."""
        return await self._loop.await_(self._search(text, k, groups, filters))

    async def _search(self, text: str, k: int | None, groups: Sequence[str], filters: Filters | None) -> list[Hit]:
        wanted = self.config.retrieval.k if k is None else k
        if wanted < 1:
            raise UsageError(f"k must be at least 1, not {wanted}")
        opened = await self._open()
        return await opened.retriever.search(_question(text, groups, filters), k=wanted)

    def ask(
        self, text: str, *, approach: str | None = None, groups: Sequence[str] = (), filters: Filters | None = None
    ) -> Answer:
        """An answer with checked citations, or an abstention. approach: one of those `compare` knows; default `rag`.

        Raises ProviderError when a remote model fails.
        """
        return self._loop.run(self._ask(text, approach, groups, filters))

    async def aask(
        self, text: str, *, approach: str | None = None, groups: Sequence[str] = (), filters: Filters | None = None
    ) -> Answer:
        """`ask`, awaited."""
        return await self._loop.await_(self._ask(text, approach, groups, filters))

    async def _ask(self, text: str, approach: str | None, groups: Sequence[str], filters: Filters | None) -> Answer:
        opened = await self._open()
        chosen = opened.rag if approach is None else _pick(opened.approaches, [approach])[approach]
        return await chosen.answer(_question(text, groups, filters))

    def document(self, source: str) -> Document | None:
        """The indexed document of a source, with its text; None when the index does not hold it."""
        return self._loop.run(self._document(source))

    async def adocument(self, source: str) -> Document | None:
        """`document`, awaited."""
        return await self._loop.await_(self._document(source))

    async def _document(self, source: str) -> Document | None:
        return await (await self._open()).lookup(source)

    # -- evaluate ------------------------------------------------------------------------------------------------

    def examples(self) -> list[Example]:
        """All examples of the project. Raises MissingError without any, ConfigError with every problem."""
        files = [path for pattern in self.config.examples.files for path in sorted(self.root.glob(pattern))]
        if not files:
            raise MissingError(
                "this project has no examples", hint='name a file under [examples] files = ["examples.jsonl"]'
            )
        return [example for path in files for example in read_examples(path)]

    def _of_split(self, split: str) -> list[Example]:
        if split not in get_args(Split):
            raise UsageError(f"no split {split!r}", hint="train, validation or test")
        return [example for example in self.examples() if example.split == split]

    def evaluate(self, *, k: int = 10, split: str | None = None, worst: int = 10) -> RetrievalReport:
        """Retrieval on its own, every stage, on the examples that have evidence (of one split, or all)."""
        return self._loop.run(self._evaluate(k, split, worst))

    async def aevaluate(self, *, k: int = 10, split: str | None = None, worst: int = 10) -> RetrievalReport:
        """`evaluate`, awaited."""
        return await self._loop.await_(self._evaluate(k, split, worst))

    async def _evaluate(self, k: int, split: str | None, worst: int) -> RetrievalReport:
        examples = self.examples() if split is None else self._of_split(split)
        return await evaluating.evaluate(await self._open(), examples, k=k, worst=worst)

    def sweep(self, *, say: Callable[[str], None] = lambda _: None) -> list[evaluating.SweepRow]:
        """Passage sizes and fusion weights on the train and validation examples; the index stays as it is."""
        return self._loop.run(self._sweep(say))

    async def asweep(self, *, say: Callable[[str], None] = lambda _: None) -> list[evaluating.SweepRow]:
        """`sweep`, awaited."""
        return await self._loop.await_(self._sweep(say))

    async def _sweep(self, say: Callable[[str], None]) -> list[evaluating.SweepRow]:
        examples = [example for example in self.examples() if example.split != "test"]
        with tempfile.TemporaryDirectory(prefix="groundtune-sweep-") as scratch:
            return await evaluating.sweep(
                self.workspace, self.config, self._the_embedder(), examples, scratch=Path(scratch), say=say
            )

    def fit(self) -> evaluating.Fit:
        """Fit the fusion weight on the train split, keep it for this project, report it on the test split."""
        return self._loop.run(self._fit())

    async def afit(self) -> evaluating.Fit:
        """`fit`, awaited."""
        return await self._loop.await_(self._fit())

    async def _fit(self) -> evaluating.Fit:
        fit = await evaluating.fit_weight(await self._open(), self.config, self.examples())
        self._keep(dense_weight=fit.dense_weight, dense_weight_n=fit.train_n)
        return fit

    def calibrate(self, *, progress: Callable[[int], None] = lambda _: None) -> calibrating.Calibration | None:
        """Choose the abstention threshold on the train and validation examples and keep it.

        None when there are too few examples of both kinds, or the model states no confidence.
        """
        return self._loop.run(self._calibrate(progress))

    async def acalibrate(self, *, progress: Callable[[int], None] = lambda _: None) -> calibrating.Calibration | None:
        """`calibrate`, awaited."""
        return await self._loop.await_(self._calibrate(progress))

    async def _calibrate(self, progress: Callable[[int], None]) -> calibrating.Calibration | None:
        examples = calibrating.suitable(self.examples())
        if not examples:
            return None
        opened = await self._open()
        approach = build.unhesitating(self.config, opened.retriever, opened.embedder, opened.document)
        found = await calibrating.calibrate(approach, examples, self.config, progress=progress)
        if found:
            self._keep(
                threshold=found.point.threshold,
                threshold_n=found.n,
                threshold_rule=found.rule,
                coverage=found.point.coverage,
                risk=found.point.risk,
            )
        return found

    # -- compare -------------------------------------------------------------------------------------------------

    def compare(
        self,
        *,
        approaches: Sequence[str] | None = None,
        split: str = "test",
        progress: Callable[[Result], None] = lambda _: None,
    ) -> comparing.Comparison:
        """Every approach (or the named ones) on the same examples; the matrix is on disk as results.jsonl."""
        return self._loop.run(self._compare(approaches, split, progress))

    async def acompare(
        self,
        *,
        approaches: Sequence[str] | None = None,
        split: str = "test",
        progress: Callable[[Result], None] = lambda _: None,
    ) -> comparing.Comparison:
        """`compare`, awaited."""
        return await self._loop.await_(self._compare(approaches, split, progress))

    async def _compare(
        self, names: Sequence[str] | None, split: str, progress: Callable[[Result], None]
    ) -> comparing.Comparison:
        if self.config.task != "answer":
            raise UsageError(f'compare knows the task "answer" so far, not "{self.config.task}"')
        examples = self._of_split(split)
        opened = await self._open()
        chosen = opened.approaches if names is None else _pick(opened.approaches, names)
        conditions = {
            "generation": opened.manifest.generation,
            "parts": opened.manifest.parts,
            "settings": self.config.model_dump(mode="json", include={"models", "retrieval", "answers", "embedder"}),
            "threshold": opened.fitted.threshold,
            "dense_weight": opened.fitted.dense_weight,
        }
        with self.workspace.writer_lock():
            return await comparing.compare(
                self.workspace,
                chosen,
                examples,
                conditions=conditions,
                remote=build.remote(self.config),
                progress=progress,
            )

    # -- inside --------------------------------------------------------------------------------------------------

    def _the_embedder(self) -> Embedder:
        if self._embedder is None:
            self._embedder = build.embedder(self.config)
        return self._embedder

    async def _open(self) -> OpenIndex:
        """The present generation of the index; opened again when another one has taken its place."""
        current = self._index.current()
        if self._opened is None or current != self._opened.manifest:
            fitted = read_fitted(self._fitted_file)
            opened = await OpenIndex.open(self._index, config=self.config, embedder=self._the_embedder(), fitted=fitted)
            self._leave()
            self._opened = opened
        return self._opened

    @property
    def fitted(self) -> Fitted:
        """What was fitted on this project's examples."""
        return read_fitted(self._fitted_file)

    @property
    def _fitted_file(self) -> Path:
        return self.workspace.folder / "fitted.json"

    def _keep(self, **values: Any) -> None:
        write_fitted(self._fitted_file, replace(self.fitted, **values))
        self._leave()

    def _leave(self) -> None:
        if self._opened:
            self._left.append(self._opened)
            self._opened = None


def _question(text: str, groups: Sequence[str], filters: Filters | None) -> Question:
    if not text.strip():
        raise UsageError("the question is empty")
    text = text.encode("utf-8", "replace").decode()  # arguments of a command may hold bytes that are no UTF-8
    return Question(text.strip(), scope=Scope(tuple(groups), dict(filters or {})))


def _pick(approaches: Mapping[str, Approach], names: Sequence[str]) -> dict[str, Approach]:
    unknown = [name for name in names if name not in approaches]
    if unknown:
        raise UsageError(f"no approach {', '.join(unknown)}", hint=f"there are: {', '.join(approaches)}")
    return {name: approaches[name] for name in names}
