"""Hold the open parts of a project: embedder, index, examples, approach registry. Trains and ingests nothing."""

import contextlib
from pathlib import Path

from groundtune import build
from groundtune.build.approach_registry import ApproachRegistry, Resources, build_registry
from groundtune.build.open_index import OpenIndex
from groundtune.build.task import task_format
from groundtune.config import Config
from groundtune.config.fitted_values import Fitted, read_fitted
from groundtune.dataset.examples import find_examples, read_examples, select_split
from groundtune.errors import IndexMismatchError, MissingError, UsageError
from groundtune.ingest.index_generations import IndexFolder
from groundtune.protocols import Embedder
from groundtune.tune.artifacts import list_artifacts
from groundtune.types import Example
from groundtune.workspace import Workspace


class Session:
    """Parts of a project, created on first use and recreated when their inputs change. Use it from one event loop."""

    def __init__(self, workspace: Workspace, config: Config) -> None:
        self._workspace = workspace
        self._config = config
        self.folder = IndexFolder(workspace.index)
        self.embedder: Embedder | None = None
        self.opened: OpenIndex | None = None
        self._retired: list[OpenIndex] = []
        """Indexes opened earlier; running answers may still read from them."""
        self._registry: tuple[object, ApproachRegistry] | None = None
        """The last registry, with the inputs it was built from."""

    def close(self) -> None:
        self.invalidate()
        for opened in self._retired:
            opened.close()
        self._retired.clear()

    def invalidate(self) -> None:
        """Drop the open index and the registry after fitting or training; the next question opens them again."""
        self._registry = None
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

    async def resources(self) -> Resources:
        """Return what approaches are built from; the index is None only when it does not exist or cannot be used."""
        with contextlib.suppress(MissingError):  # a reader may have no write permission
            self._workspace.create()
        index, reason = None, "needs an index; run groundtune ingest"
        try:
            index = await self.index() if self.folder.current() else None
        except IndexMismatchError:
            raise
        except (MissingError, UsageError) as error:  # the embedder is missing, and not every approach needs it
            reason = f"needs the index, which cannot be used: {error.message}"
        examples = self.examples()
        train = select_split(examples, "train")
        return Resources(
            self._workspace.root,
            self.get_embedder,
            task_format(self._config, self._workspace.root, train, examples),
            train,
            index,
            reason,
            model_folder=self._workspace.models,
            vector_folder=self._workspace.cache / "vectors",
        )

    async def registry(self) -> ApproachRegistry:
        """Return all approaches by name; rebuilt only when the index, examples or trained models change."""
        resources = await self.resources()
        trained = [artifact.id for artifact in list_artifacts(self._workspace.models)] if self._config.tune else []
        basis = (resources.index, resources.train, resources.output_format, trained)
        if self._registry is None or self._registry[0] != basis:
            self._registry = (basis, await build_registry(self._config, resources))
        return self._registry[1]

    async def index(self) -> OpenIndex:
        """Return the current generation of the index, reopened when a newer one has replaced it."""
        current = self.folder.current()
        if self.opened is None or current != self.opened.manifest:
            fitted = self.fitted
            opened = await OpenIndex.open(self.folder, config=self._config, embedder=self.get_embedder(), fitted=fitted)
            self.invalidate()
            self.opened = opened
        return self.opened
