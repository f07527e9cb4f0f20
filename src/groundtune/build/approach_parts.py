"""Give the approaches of packages the parts of the project that they may be made from."""

from collections.abc import Sequence
from dataclasses import dataclass

from groundtune import build
from groundtune.approaches.output_formats import OutputFormat
from groundtune.build.open_index import OpenIndex
from groundtune.build.resources import Resources
from groundtune.config import Config
from groundtune.errors import MissingError
from groundtune.protocols import ContextProvider, Embedder, Generator, Retriever
from groundtune.types import Example


@dataclass(frozen=True, slots=True)
class ApproachParts:
    """The parts of a project. What is missing raises MissingError, and the approach is then listed as missing."""

    config: Config
    """The project file."""
    resources: Resources

    @property
    def output_format(self) -> OutputFormat:
        """Rules and replies of the task, with its labels or schema."""
        return self.resources.output_format

    @property
    def examples(self) -> Sequence[Example]:
        """The examples of the train split."""
        return self.resources.train

    @property
    def retriever(self) -> Retriever:
        """Finds passages, with the access groups of each question."""
        return self._index.retriever

    @property
    def context(self) -> ContextProvider:
        """The passages of `rag`: the best ones, neighbours joined."""
        index = self._index
        return build.retrieved_context(self.config, index.retriever, index.document, model=self.generator)

    def generator(self, name: str = "default") -> Generator:
        """Return a model of the project file; in a comparison its calls count against the budget."""
        if name in self.config.models and self.config.models[name].kind == "quote":
            raise MissingError("needs a text-generation model: add [models.default]")
        return self.resources.wrap_generator(build.generator(self.config, name, self.resources.embedder))

    def embedder(self) -> Embedder:
        return self.resources.embedder()

    @property
    def _index(self) -> OpenIndex:
        if self.resources.index is None:
            raise MissingError(self.resources.no_index_reason)
        return self.resources.index
