"""Let several users share one snapshot of a generation. Knows no storage."""

from groundtune.protocols import IndexGeneration


class SharedSnapshot:
    """A read-only view of one moment. Its own snapshots are the same view; the last one to be closed ends it."""

    def __init__(self, generation: IndexGeneration, users: set[object] | None = None) -> None:
        self.manifest = generation.manifest
        self.store = generation.store
        self.vector_cache = generation.vector_cache
        self.catalog = generation.catalog
        self._generation = generation
        self._users = set[object]() if users is None else users
        self._users.add(self)

    async def version(self) -> str:
        return await self._generation.version()

    async def snapshot(self) -> IndexGeneration:
        return SharedSnapshot(self._generation, self._users)

    async def close(self) -> None:
        used = self in self._users
        self._users.discard(self)
        if used and not self._users:
            await self._generation.close()
