"""What is open of a project while it is used: embedder, index, examples, line-up. Trains and ingests nothing."""

import contextlib
from pathlib import Path

from groundtune import build
from groundtune.config import Config
from groundtune.errors import IndexMismatchError, MissingError, UsageError
from groundtune.fitted import Fitted, read_fitted
from groundtune.ingest.index import IndexFolder
from groundtune.lineup import Lineup, Material, line_up
from groundtune.measure.examples import find_examples, of_split, read_examples
from groundtune.opened import OpenIndex
from groundtune.protocols import Embedder
from groundtune.task import form_of
from groundtune.tune.artifacts import artifacts
from groundtune.types import Example
from groundtune.workspace import Workspace


class Session:
    """Made when it is needed, and made again when what it rests on has changed. Used on one event loop."""

    def __init__(self, workspace: Workspace, config: Config) -> None:
        self._workspace = workspace
        self._config = config
        self.folder = IndexFolder(workspace.index)
        self.embedder: Embedder | None = None
        self.opened: OpenIndex | None = None
        self._left: list[OpenIndex] = []
        """Indexes that were open before; answers under way may still read from them."""
        self._named: tuple[object, Lineup] | None = None

    def close(self) -> None:
        self.forget()
        for opened in self._left:
            opened.close()
        self._left.clear()

    def forget(self) -> None:
        """What was fitted or trained has changed: the next question opens everything again."""
        self._named = None
        if self.opened:
            self._left.append(self.opened)
            self.opened = None

    def examples(self) -> list[Example]:
        """All of the project; none where it names no file. Raises ConfigError with every problem."""
        files = find_examples(self._workspace.root, self._config.examples.files)
        return [example for path in files for example in read_examples(path)]

    @property
    def fitted_file(self) -> Path:
        return self._workspace.folder / "fitted.json"

    @property
    def fitted(self) -> Fitted:
        return read_fitted(self.fitted_file)

    def the_embedder(self) -> Embedder:
        if self.embedder is None:
            self.embedder = build.embedder(self._config)
        return self.embedder

    async def material(self) -> Material:
        """What approaches are made of; without an index only where there is none."""
        with contextlib.suppress(MissingError):  # a reader may have no right to write
            self._workspace.create()
        index, why = None, "needs an index: groundtune ingest"
        try:
            index = await self.index() if self.folder.current() else None
        except IndexMismatchError:
            raise
        except (MissingError, UsageError) as error:  # no embedder to ask it with, which not every approach needs
            why = f"needs the index, which cannot be asked: {error.message}"
        every = self.examples()
        train = of_split(every, "train")
        return Material(
            self._workspace.root,
            self.the_embedder,
            form_of(self._config, self._workspace.root, train, every),
            train,
            index,
            why,
            models=self._workspace.models,
            vectors=self._workspace.cache / "vectors",
        )

    async def lineup(self) -> Lineup:
        """Everything that can be asked by name; made once for an index and examples."""
        material = await self.material()
        trained = [one.id for one in artifacts(self._workspace.models)] if self._config.tune else []
        basis = (material.index, material.train, material.form, trained)
        if self._named is None or self._named[0] != basis:
            self._named = (basis, await line_up(self._config, material))
        return self._named[1]

    async def index(self) -> OpenIndex:
        """The present generation of the index; opened again when another one has taken its place."""
        current = self.folder.current()
        if self.opened is None or current != self.opened.manifest:
            fitted = self.fitted
            opened = await OpenIndex.open(self.folder, config=self._config, embedder=self.the_embedder(), fitted=fitted)
            self.forget()
            self.opened = opened
        return self.opened
