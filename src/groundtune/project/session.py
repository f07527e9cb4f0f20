"""Hold the open parts of a project: embedder, index, examples, approaches. Trains and ingests nothing."""

import contextlib
from pathlib import Path

from groundtune import build
from groundtune.build.approach_registry import ApproachRegistry, build_registry, default_approach, needs_examples
from groundtune.build.open_index import OpenIndex
from groundtune.build.resources import Resources
from groundtune.build.task import task_format
from groundtune.config import Config
from groundtune.config.fitted_values import Fitted, read_fitted
from groundtune.dataset.examples import find_examples, read_examples, select_split
from groundtune.errors import IndexMismatchError, MissingError, UsageError
from groundtune.protocols import Approach, Embedder
from groundtune.tune.artifacts import list_artifacts
from groundtune.types import Example
from groundtune.workspace import Workspace


class Session:
    """Parts of a project, created on first use and recreated when their inputs change. Use it from one event loop."""

    def __init__(self, workspace: Workspace, config: Config) -> None:
        self._workspace = workspace
        self._config = config
        self.storage = build.index_storage(config, workspace)
        self.embedder: Embedder | None = None
        self.opened: OpenIndex | None = None
        self._retired: list[OpenIndex] = []
        """Indexes opened earlier; running answers may still read from them."""
        self._approaches: dict[str, tuple[object, Approach]] = {}
        """Approaches asked before, each with what it was built from."""

    def configure(self, config: Config) -> None:
        """Go on with another configuration that has the same index."""
        self._config = config
        self._approaches.clear()

    async def close(self) -> None:
        self.invalidate()
        for opened in self._retired:
            await opened.close()
        self._retired.clear()

    def invalidate(self) -> None:
        """Drop the open index and the approaches after fitting or training; the next question opens them again."""
        self._approaches.clear()
        if self.opened:
            self._retired.append(self.opened)
            self.opened = None

    def examples(self) -> list[Example]:
        """Return all examples of the project; empty when it names no files. Raises ConfigError with every problem."""
        files = find_examples(self._workspace.root, self._config.examples.files)
        return [example for path in files for example in read_examples(path)]

    @property
    def fitted_file(self) -> Path:
        return self._workspace.folder / "fitted.json"

    @property
    def fitted(self) -> Fitted:
        return read_fitted(self.fitted_file)

    def get_embedder(self) -> Embedder:
        if self.embedder is None:
            self.embedder = build.embedder(self._config)
        return self.embedder

    async def resources(self, *, examples: bool = True) -> Resources:
        """Return what approaches are built from; the index is None only when it does not exist or cannot be used.

        examples: False for approaches that do not need them; a mistake in their files then stops no answer.
        """
        if examples:
            with contextlib.suppress(MissingError):  # their vectors are cached, if there is write permission
                self._workspace.create()
        index, reason = None, "needs an index; run groundtune ingest"
        try:
            index = await self.index() if await self.storage.current() else None
        except IndexMismatchError:
            raise
        except (MissingError, UsageError) as error:  # the embedder is missing, and not every approach needs it
            reason = f"needs the index, which cannot be used: {error.message}"
        rows = self.examples() if examples else []
        train = select_split(rows, "train")
        return Resources(
            self._workspace.root,
            self.get_embedder,
            task_format(self._config, self._workspace.root, train, rows),
            train,
            index,
            reason,
            model_folder=self._workspace.models,
            vector_folder=self._workspace.cache / "vectors",
        )

    async def approach(self, chosen: str | Approach | None = None) -> Approach:
        """Return an approach by name, kept for the next question until the index or its trained model changes.

        chosen: an object is returned as it is; None: the project's choice. Raises what `ApproachRegistry.select` does.
        """
        name = default_approach(self._config) if chosen is None else chosen
        if not isinstance(name, str):
            return next(iter(ApproachRegistry().select([name]).ready.values()))
        resources = await self.resources(examples=needs_examples(self._config, name))
        trained = [artifact.id for artifact in list_artifacts(self._workspace.models)] if self._config.tune else []
        basis = (resources.index, resources.train, resources.output_format, trained)
        kept = self._approaches.get(name)
        if kept is None or kept[0] != basis:
            registry = await build_registry(self._config, resources, only=[name])
            kept = self._approaches[name] = (basis, registry.select([name]).ready[name])
        return kept[1]

    async def approach_without_threshold(self) -> Approach:
        """Return the usual approach of the task without a confidence threshold, for calibrating one."""
        answers = self._config.answers.model_copy(update={"threshold": 0.0, "approach": None})
        config = self._config.model_copy(update={"answers": answers})
        name = default_approach(config)
        resources = await self.resources(examples=needs_examples(config, name))
        return (await build_registry(config, resources, only=[name])).select([name]).ready[name]

    async def index(self) -> OpenIndex:
        """Return the current generation of the index, reopened when a newer one has replaced it."""
        current = await self.storage.current()
        if self.opened is None or current != self.opened.manifest:
            fitted = self.fitted
            opened = await OpenIndex.open(
                self.storage, config=self._config, embedder=self.get_embedder(), fitted=fitted
            )
            self.invalidate()
            self.opened = opened
        return self.opened
