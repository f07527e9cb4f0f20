"""Hold what approaches are built from, besides the configuration."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from groundtune import build
from groundtune.approaches.output_formats import OutputFormat, TextFormat
from groundtune.approaches.wordings import BUILT_IN, Wording
from groundtune.build.open_index import OpenIndex
from groundtune.config.fitted_values import Fitted
from groundtune.protocols import Embedder, Generator
from groundtune.types import Example


@dataclass(frozen=True, slots=True)
class Resources:
    """Everything approaches are built from, besides the configuration."""

    root: Path
    embedder: Callable[[], Embedder]
    """Called when an embedder is needed."""
    output_format: OutputFormat
    """Output format of the task, with its labels or schema."""
    train: Sequence[Example] = ()
    index: OpenIndex | None = None
    no_index_reason: str = "needs an index; run groundtune ingest"
    """Why there is no index, worded to follow the name of an approach."""
    fitted: Fitted = field(default_factory=Fitted)
    """Values fitted on the examples, with the thresholds and prompts of the approaches."""
    wordings: Mapping[str, Wording] = field(default_factory=lambda: BUILT_IN)
    """Wordings of the task by name: the built-in ones and the project's."""
    model_folder: Path | None = None
    """Folder of trained artifacts."""
    router_file: Path | None = None
    """File of the trained router."""
    vector_folder: Path | None = None
    """Folder for cached vectors of examples."""
    rate_limit_wait_seconds: float = 0.0
    """How long one request may wait for rate limits."""
    local_slots: asyncio.Semaphore | None = None
    """Limits local work before a model call when many questions run concurrently; None for no limit."""
    wrap_generator: Callable[[Generator], Generator] = lambda generator: generator
    """Wraps every generator of a configured model, for example in a cache."""

    def batch_embedder(self) -> Embedder:
        """Return the embedder set up for many texts."""
        return build.prepare_for_many(self.embedder())

    @property
    def shot_candidates(self) -> list[Example]:
        """Train examples that can serve as shots. Examples without a gold output are left out for text tasks."""
        return [row for row in self.train if row.output is not None or not isinstance(self.output_format, TextFormat)]
