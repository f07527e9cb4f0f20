"""Open an index for searching: store, catalog, retriever. Never writes."""

import unicodedata
from collections.abc import Mapping

from groundtune import build
from groundtune.approaches.context import find_piece
from groundtune.common.conversations import HistoryUse
from groundtune.common.names import same_name
from groundtune.config import Config
from groundtune.config.fitted_values import Fitted
from groundtune.errors import MissingError
from groundtune.ingest.source_items import is_item
from groundtune.ingest.sync import document_id
from groundtune.protocols import Catalog, Embedder, IndexGeneration, IndexStorage, Store
from groundtune.retrieve.retriever import HybridRetriever
from groundtune.retrieve.stores.generations import check_parts
from groundtune.types import Document, IndexManifest, Passage, Scope


class OpenIndex:
    """One generation of the index, with the parts that search it."""

    def __init__(self, generation: IndexGeneration, *, config: Config, embedder: Embedder, fitted: Fitted) -> None:
        self.generation = generation
        self.embedder = embedder
        self.fitted = fitted
        self._config = config
        self.retriever: HybridRetriever = build.retriever(config, generation.store, embedder, fitted)

    @classmethod
    async def open(cls, storage: IndexStorage, *, config: Config, embedder: Embedder, fitted: Fitted) -> "OpenIndex":
        """Open the current generation.

        Raises MissingError if there is no index, IndexMismatchError if it was built with a different configuration.
        """
        generation = await _open_current(storage, build.index_parts(config, embedder))
        return cls(generation, config=config, embedder=embedder, fitted=fitted)

    @property
    def history(self) -> HistoryUse:
        """What is searched for when a question follows others."""
        return self._config.retrieval.history

    @property
    def manifest(self) -> IndexManifest:
        return self.generation.manifest

    @property
    def store(self) -> Store:
        return self.generation.store

    @property
    def catalog(self) -> Catalog:
        return self.generation.catalog

    def with_embedder(self, embedder: Embedder) -> "OpenIndex":
        """Return the same generation with another embedder for questions."""
        return OpenIndex(self.generation, config=self._config, embedder=embedder, fitted=self.fitted)

    async def snapshot(self) -> "OpenIndex":
        """Return a view of this moment, which later writes do not change; close it when it is no longer needed."""
        pinned = await self.generation.snapshot()
        return OpenIndex(pinned, config=self._config, embedder=self.embedder, fitted=self.fitted)

    async def close(self) -> None:
        await self.generation.close()

    async def document(self, document_id: str) -> Document | None:
        return await self.catalog.document_by_id(document_id)

    async def document_by_source(self, source: str) -> Document | None:
        """Return the document of a source, or None. Rows of table files have the source `path#ID`.

        The Unicode form of the name does not count: people write names in another form than some file systems keep.
        """
        found = await self.catalog.document(source)
        if found is None and (other := await self._other_form(source)):
            found = await self.catalog.document(other)
        return found

    async def _other_form(self, source: str) -> str | None:
        """Return how the index writes the name of a source, if it does so in another Unicode form."""
        if source.isascii():
            return None
        for form in ("NFC", "NFD"):
            if (other := unicodedata.normalize(form, source)) != source and await self.catalog.document(other):
                return other
        file, sign, row = source.partition("#")
        files = await self.catalog.files()
        return next((f"{name}{sign}{row}" for name in files if name != file and same_name(name, file)), None)

    async def holds(self, source: str) -> bool:
        """Whether a file, or a row `path#ID` of one, is in the index; the Unicode form of its name does not count."""
        if not await self._holds(source):
            other = await self._other_form(source)
            return other is not None and await self._holds(other)
        return True

    async def _holds(self, source: str) -> bool:
        states = await self.catalog.document_states(source.partition("#")[0])
        return document_id(source) in states if "#" in source else bool(states)

    async def item_groups(self) -> dict[str, tuple[str, ...]]:
        """Return the groups of the items of other sources, which access rules alone do not tell."""
        return {source: row.groups for source, row in (await self.catalog.files()).items() if is_item(row)}

    async def passage(self, passage_id: str, *, scope: Scope) -> Passage | None:
        """Return a passage of the index, or a piece that a prompt got in its place; None outside the scope."""
        if passage := (await self.store.read([passage_id], scope=scope)).get(passage_id):
            return passage
        document = await self.document(passage_id.rpartition("@")[0])
        passages = await self.passages(document.id) if document else []
        if document is None or not await self.store.read([passage.id for passage in passages[:1]], scope=scope):
            return None
        return find_piece(passage_id, passages, document)

    async def passages(self, document_id: str) -> list[Passage]:
        return await self.store.passages(document_id)


async def _open_current(storage: IndexStorage, parts: Mapping[str, str | int]) -> IndexGeneration:
    """Open the current generation; start over if it was replaced and deleted before it was open."""
    while True:
        manifest = await storage.current()
        if manifest is None:
            raise MissingError("this project has no index yet", hint="groundtune ingest")
        check_parts(manifest, parts)
        try:
            return await storage.open(manifest, read_only=True)
        except MissingError:
            if await storage.current() == manifest:
                raise
