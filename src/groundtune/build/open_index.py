"""Open an index for searching: store, catalog, retriever. Never writes."""

from groundtune import build
from groundtune.config import Config
from groundtune.config.fitted_values import Fitted
from groundtune.ingest.catalog import Catalog
from groundtune.ingest.index_generations import IndexFolder, IndexManifest
from groundtune.ingest.sync import document_id
from groundtune.protocols import Embedder, Store
from groundtune.retrieve.retriever import HybridRetriever
from groundtune.types import Document, Passage


class OpenIndex:
    """One generation of the index, with the parts that search it."""

    def __init__(
        self,
        manifest: IndexManifest,
        *,
        config: Config,
        store: Store,
        catalog: Catalog,
        embedder: Embedder,
        fitted: Fitted,
    ) -> None:
        self.manifest = manifest
        self.store = store
        self.catalog = catalog
        self.embedder = embedder
        self.fitted = fitted
        self._config = config
        self.retriever: HybridRetriever = build.retriever(config, store, embedder, fitted)

    @classmethod
    async def open(cls, index: IndexFolder, *, config: Config, embedder: Embedder, fitted: Fitted) -> "OpenIndex":
        """Open the current generation.

        Raises MissingError if there is no index, IndexMismatchError if it was built with a different configuration.
        """
        manifest = index.require(build.index_parts(config, embedder))
        folder = index.generation_path(manifest)
        store = await build.store(folder, dimension=embedder.dimension, language=config.language)
        catalog = Catalog(folder / "catalog.sqlite", read_only=True)
        return cls(manifest, config=config, store=store, catalog=catalog, embedder=embedder, fitted=fitted)

    def with_embedder(self, embedder: Embedder) -> "OpenIndex":
        """Return the same generation with another embedder for questions."""
        return OpenIndex(
            self.manifest,
            config=self._config,
            store=self.store,
            catalog=self.catalog,
            embedder=embedder,
            fitted=self.fitted,
        )

    def close(self) -> None:
        self.catalog.close()

    async def document(self, document_id: str) -> Document | None:
        return self.catalog.document_by_id(document_id)

    async def document_by_source(self, source: str) -> Document | None:
        """Return the document of a source, or None. Rows of table files have the source `path#ID`."""
        return self.catalog.document(source)

    async def holds(self, source: str) -> bool:
        """Whether a file, or a row `path#ID` of one, is in the index."""
        states = self.catalog.document_states(source.partition("#")[0])
        return document_id(source) in states if "#" in source else bool(states)

    async def passages(self, document_id: str) -> list[Passage]:
        return await self.store.passages(document_id)
