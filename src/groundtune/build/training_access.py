"""Find out who may ask a trained model: what it learnt from documents, it may repeat to whoever asks."""

import asyncio
import logging
from collections.abc import Sequence

from groundtune.build.resources import Resources
from groundtune.common.names import composed
from groundtune.config import Config
from groundtune.dataset.examples import find_examples
from groundtune.errors import MissingError
from groundtune.ingest.forgotten import Forgotten, read_forgotten
from groundtune.ingest.rules import DocumentRules
from groundtune.types import EVERYONE, Artifact
from groundtune.workspace import Workspace

SHOWN = 3
"""Files that a message names."""

log = logging.getLogger(__name__)


class TrainingAccess:
    """The groups that may read what a model was trained on, by today's access rules; found out anew after an ingest."""

    def __init__(self, config: Config, resources: Resources, artifact: Artifact) -> None:
        self._config = config
        self._root = resources.root
        self._index = resources.index
        self._artifact = artifact
        self._workspace = Workspace(resources.root)
        self._known: tuple[object, list[frozenset[str]]] | None = None
        """The version of the index with what was forgotten, and the readers by it."""

    async def readers(self) -> list[frozenset[str]]:
        """Return the groups that may read each restricted text; a user needs one group of each.

        Raises MissingError when a document it was trained on is gone or forgotten: nobody may read that text any more.
        """
        forgotten = await asyncio.to_thread(read_forgotten, self._workspace)
        version = (await self._index.generation.version() if self._index else None, forgotten.sources)
        if self._known is None or self._known[0] != version:
            self._known = (version, await self._find_readers(forgotten))
        return self._known[1]

    async def _find_readers(self, forgotten: Forgotten) -> list[frozenset[str]]:
        rules = DocumentRules(self._config, self._root)
        readers = {frozenset(groups) for groups in self._artifact.details.get("example_groups", ())}
        listed = await self._index.item_groups() if self._index else {}
        items = {composed(item): groups for item, groups in listed.items()}
        gone: list[str] = []
        for source in self._artifact.seen_documents:
            file = source.partition("#")[0]
            readers.add(frozenset(rules.groups_for(file)))
            if entry := forgotten.find(file):
                readers.add(frozenset(entry.groups or (EVERYONE,)))
                if self._artifact.id not in entry.kept_models:
                    raise MissingError(f"was trained on documents that were forgotten; {self._retrain}")
                continue
            readers.add(frozenset(items.get(composed(file), (EVERYONE,))))
            if not await self._exists(source):
                gone.append(source)
        if gone:
            log.warning(
                "%s was trained on %s, which no longer exists in this project", self._artifact.name, _some(gone)
            )
            raise MissingError(  # without names: callers who may not read the documents see it too
                f"was trained on documents that no longer exist in this project; {self._retrain}"
            )
        return sorted((groups for groups in readers if EVERYONE not in groups), key=sorted)

    @property
    def _retrain(self) -> str:
        return f"run groundtune tune {self._artifact.name}"

    async def _exists(self, source: str) -> bool:
        """Whether a source is in the index, or is a file of examples; without an index, whether the file exists."""
        if self._index is not None and await self._index.holds(source):
            return True
        file = self._root / source.partition("#")[0]
        patterns = self._config.examples.files
        return file.is_file() and (self._index is None or file in find_examples(self._root, patterns))


def _some(sources: Sequence[str]) -> str:
    more = f" and {len(sources) - SHOWN:,} more" if len(sources) > SHOWN else ""
    return ", ".join(sources[:SHOWN]) + more
