"""Hold the open parts of a project: embedder, index, examples, approaches. Trains and ingests nothing."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from groundtune import build
from groundtune.approaches.output_formats import OutputFormat
from groundtune.approaches.wordings import Wording
from groundtune.build.approach_families import ROUTED, known_names
from groundtune.build.approach_registry import ApproachRegistry, build_registry, default_approach, needs_examples
from groundtune.build.fallback import answering_approach, chain_names
from groundtune.build.open_index import OpenIndex
from groundtune.build.resources import Resources
from groundtune.build.router_file import router_signature
from groundtune.build.task import task_format, task_wordings
from groundtune.common.circuit_breaker import CircuitBreaker
from groundtune.config import Config
from groundtune.config.fitted_values import Fitted, read_fitted
from groundtune.dataset.examples import select_split
from groundtune.errors import ConfigError, GroundtuneError, IndexMismatchError, MissingError, QuestionError, UsageError
from groundtune.project.example_files import ExampleFiles
from groundtune.protocols import Approach, Embedder, Generator, IndexStorage
from groundtune.tune.artifacts import artifact_signature
from groundtune.types import Example
from groundtune.workspace import Workspace

RECHECK_SECONDS = 10.0
"""How long an approach that could not be built is refused unseen: what it lacks may come without a sign of it."""


class Session:
    """Parts of a project, created on first use and recreated when their inputs change. Use it from one event loop.

    Readers of an index are counted: an index that a newer one has replaced is closed when its last reader leaves.
    """

    def __init__(self, workspace: Workspace, config: Config) -> None:
        self._workspace = workspace
        self._config = config
        self.embedder: Embedder | None = None
        self.opened: OpenIndex | None = None
        """The index that the next reader gets."""
        self._opening = asyncio.Lock()
        self._building = asyncio.Lock()
        self._readers: Counter[OpenIndex] = Counter()
        self._example_files = ExampleFiles(workspace.root, config.examples.files)
        self._tasks: dict[bool, _Task] = {}
        """The task as read with and without examples."""
        self._approaches: dict[str, tuple[_Basis, Approach]] = {}
        """Approaches asked before, each with what it was built from."""
        self._failures: dict[str, tuple[_Basis, GroundtuneError, float]] = {}
        """Why approaches that were asked could not be built, and until when that is believed."""
        self._reasons: tuple[_Basis, str | None, dict[str, str | None]] | None = None
        """The result of `reasons`, with the state of the index that it holds for."""
        self._breakers: dict[str, CircuitBreaker] = {}
        """By endpoint; they outlive the approaches."""
        self._writers: dict[str, Generator] = {}
        """Models that were asked without an approach, by their table."""

    def configure(self, config: Config) -> None:
        """Go on with another configuration that has the same index and the same files of examples."""
        self._config = config
        self._tasks.clear()
        self._forget_approaches()
        self._writers.clear()

    @cached_property
    def storage(self) -> IndexStorage:
        """Where the index is kept; importing what reads it takes longer than a report of a comparison."""
        return build.index_storage(self._config, self._workspace)

    async def close(self) -> None:
        """Close every index, also under readers that are still there."""
        opened = {*self._readers, *([self.opened] if self.opened else [])}
        self._readers.clear()
        self.opened = None
        self._forget_approaches()
        for index in opened:
            await index.close()

    async def invalidate(self) -> None:
        """Drop the open index and the approaches after fitting or training; the next question opens them again."""
        self._forget_approaches()
        await self._replace(None)

    def _forget_approaches(self) -> None:
        self._approaches.clear()
        self._failures.clear()
        self._reasons = None

    def examples(self) -> list[Example]:
        """Return all examples of the project; empty when it names no files. Raises ConfigError with every problem."""
        return self._example_files.read()

    @property
    def circuits(self) -> dict[str, bool]:
        """Map each endpoint that was asked to whether it is left alone, because it keeps failing."""
        return {endpoint: breaker.is_open for endpoint, breaker in self._breakers.copy().items()}

    @property
    def fitted(self) -> Fitted:
        return read_fitted(self._workspace.fitted)

    def get_embedder(self) -> Embedder:
        if self.embedder is None:
            self.embedder = build.embedder(self._config)
        return self.embedder

    @contextlib.asynccontextmanager
    async def index(self) -> AsyncIterator[OpenIndex]:
        """Read from the current index, which stays open until this reader leaves. Raises what `OpenIndex.open` does."""
        opened = await self._current_index()
        self._readers[opened] += 1
        try:
            yield opened
        finally:
            await self._leave(opened)

    @contextlib.asynccontextmanager
    async def resources(
        self, *, examples: bool = True, snapshot: bool = False, mismatch: bool = False
    ) -> AsyncIterator[Resources]:
        """Read from what approaches are built from; the index is None only when there is none or it cannot be used.

        examples: False for approaches that do not need them; a mistake in their files then stops no answer. snapshot:
        the index stays as it is now, whatever is ingested meanwhile. mismatch: an index that was built with other parts
        is left out like one that is missing, with the reason, instead of raising IndexMismatchError.
        """
        if examples:
            with contextlib.suppress(MissingError):  # their vectors are cached, if there is write permission
                self._workspace.create()
        async with contextlib.AsyncExitStack() as stack:
            index, reason = None, "needs an index; run groundtune ingest"
            try:
                if await self.storage.current():
                    index = await stack.enter_async_context(self.index())
            except (MissingError, UsageError) as error:  # the embedder is missing, and not every approach needs it
                if isinstance(error, IndexMismatchError) and not mismatch:
                    raise
                reason = f"needs the index, which cannot be used: {error.message}"
            if index and snapshot:
                index = await index.snapshot()
                stack.push_async_callback(index.close)
            task, fitted, wordings = await asyncio.to_thread(self._read_files, examples)
            yield Resources(
                self._workspace.root,
                self.get_embedder,
                task.output_format,
                task.train,
                index,
                reason,
                fitted,
                wordings,
                model_folder=self._workspace.models,
                router_file=self._workspace.router,
                vector_folder=self._workspace.cache / "vectors",
            )

    @contextlib.asynccontextmanager
    async def approach(self, chosen: str | Approach | None = None) -> AsyncIterator[Approach]:
        """Ask an approach by name; it is kept for the next question until what it was built from changes.

        Where the project has a table [fallback], others stand in for it when it fails.
        chosen: an object is used as it is; None: the project's choice. Raises what `ApproachRegistry.select` does.
        """
        name = default_approach(self._config) if chosen is None else chosen
        if not isinstance(name, str):
            yield next(iter(ApproachRegistry().select([name]).ready.values()))
            return
        names = chain_names(self._config, name)
        examples = any(needs_examples(self._config, each) for each in names)
        async with self.resources(examples=examples) as resources:
            basis = await self._basis(resources)
            yield self._kept(name, basis) or await self._build(name, names, resources, basis)

    def _kept(self, name: str, basis: "_Basis") -> Approach | None:
        kept = self._approaches.get(name)
        return kept[1] if kept and kept[0].same(basis) else None

    async def _build(self, name: str, names: Sequence[str], resources: Resources, basis: "_Basis") -> Approach:
        """Build an approach with those that stand in for it, and keep it, or the reason why it cannot be built."""
        async with self._building:  # many questions may come before it is there
            if kept := self._kept(name, basis):
                return kept
            failed = self._failures.get(name)
            if failed and failed[0].same(basis) and time.monotonic() < failed[2]:
                raise failed[1].with_traceback(None)
            try:
                registry = await build_registry(self._config, resources, only=names)
                built = answering_approach(self._config, registry, name, self._breakers)
            except GroundtuneError as error:
                now = time.monotonic()
                believed = {other: failure for other, failure in self._failures.items() if now < failure[2]}
                self._failures = {**believed, name: (basis, error, now + RECHECK_SECONDS)}
                raise
            self._approaches[name] = (basis, built)
            return built

    async def reasons(self) -> dict[str, str | None]:
        """Map each approach to the reason why it cannot run, None when it can; kept until something changes.

        Where the examples cannot be used, only the approaches that need them cannot run.
        """
        try:
            await asyncio.to_thread(self._read_task, True)
        except (ConfigError, UsageError) as error:
            reason = f"needs the examples, which cannot be used: {error.message.partition(chr(10))[0]}"
            known = known_names(self._config)
            lacks = {name: reason for name in known if needs_examples(self._config, name)}
            return {**(await self._reasons_now(examples=False) if len(lacks) < len(known) else {}), **lacks}
        return await self._reasons_now(examples=True)

    async def _reasons_now(self, *, examples: bool) -> dict[str, str | None]:
        async with self.resources(examples=examples) as resources:
            basis = await self._basis(resources)
            version = await resources.index.generation.version() if resources.index else None
            async with self._building:
                if self._reasons is None or self._reasons[1] != version or not self._reasons[0].same(basis):
                    registry = await build_registry(self._config, resources)
                    routed = await build_registry(self._config, resources, only=[ROUTED])
                    lacks = registry.missing | registry.forbidden | routed.missing | routed.forbidden
                    reasons = {**dict.fromkeys(registry.known()), **lacks, **dict.fromkeys(registry.ready)}
                    self._reasons = (basis, version, reasons)
                return dict(self._reasons[2])

    async def _basis(self, resources: Resources) -> "_Basis":
        models: tuple[object, ...] = router_signature(self._workspace.router)
        if self._config.tune:
            models = (*models, *await asyncio.to_thread(artifact_signature, self._workspace.models))
        return _Basis(resources.index, resources.output_format, models, resources.fitted, resources.wordings)

    def writer(self, model: str) -> Generator:
        """Return a model of the project file that writes; it is kept. Raises QuestionError for one that quotes."""
        if model not in self._writers:
            generator = build.generator(self._config, model, self.get_embedder)
            if self._config.models[model].kind == "quote":
                raise QuestionError(f"[models.{model}] only quotes documents", hint="add a model that generates text")
            self._writers[model] = generator
        return self._writers[model]

    async def _current_index(self) -> OpenIndex:
        async with self._opening:
            current = await self.storage.current()
            if self.opened is None or current != self.opened.manifest:
                opened = await OpenIndex.open(
                    self.storage, config=self._config, embedder=self.get_embedder(), fitted=self.fitted
                )
                await self._replace(opened)
                return opened
            return self.opened

    async def _replace(self, opened: OpenIndex | None) -> None:
        """Give the next reader another index, and close the one before if nobody reads from it."""
        before, self.opened = self.opened, opened
        if before and not self._readers[before]:
            self._readers.pop(before, None)
            await before.close()

    async def _leave(self, opened: OpenIndex) -> None:
        self._readers[opened] -= 1
        if self._readers[opened] <= 0:
            self._readers.pop(opened)
            if opened is not self.opened:
                await opened.close()

    def _read_files(self, examples: bool) -> tuple["_Task", Fitted, dict[str, Wording]]:
        """Return what the files of the project say; in one go, since every question waits for it."""
        return self._read_task(examples), self.fitted, task_wordings(self._config, self._workspace.root)

    def _read_task(self, examples: bool) -> "_Task":
        """Return the train split and the output format; the same object until the examples or the schema change."""
        rows = self.examples() if examples else []
        schema = None
        if self._config.schema_file is not None:
            with contextlib.suppress(OSError):  # `task_format` says what is wrong
                info = (self._workspace.root / self._config.schema_file).stat()
                schema = (info.st_size, info.st_mtime_ns, info.st_ino)
        known = self._tasks.get(examples)
        if known and known.schema == schema and (known.rows is rows or not (known.rows or rows)):
            return known
        train = select_split(rows, "train")
        output_format = task_format(self._config, self._workspace.root, train, rows)
        self._tasks[examples] = task = _Task(rows, schema, train, output_format)
        return task


@dataclass(frozen=True, slots=True)
class _Task:
    """What the examples and the schema say about the task."""

    rows: list[Example]
    schema: tuple[int, int, int] | None
    """Size, time and inode of the file with the schema."""
    train: list[Example]
    output_format: OutputFormat


@dataclass(frozen=True, slots=True)
class _Basis:
    """What an approach was built from."""

    index: OpenIndex | None
    output_format: OutputFormat
    models: tuple[object, ...]
    fitted: Fitted
    wordings: Mapping[str, Wording]

    def same(self, other: "_Basis") -> bool:
        same_task = self.index is other.index and self.output_format is other.output_format
        same_parts = self.models == other.models and self.wordings == other.wordings
        return same_task and same_parts and self.fitted == other.fitted
