"""One storage of each kind, and clients of it, for the conformance suites."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from groundtune.protocols import Catalog, IndexGeneration, IndexStorage, Store, VectorCache
from tests.object_server import object_server
from tests.retrieve.storages import STORAGES, OpenStore, StorageFactory, begin, open_generation

SERVERS = {"postgres": "postgres_server", "objects": "object_storage"}
"""The fixture that starts what a storage needs."""


@pytest.fixture(scope="session")
def object_storage() -> Iterator[str]:
    with object_server() as address:
        yield address


SLOW = {"objects"}


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in STORAGES])
def storage_name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name in SERVERS:
        request.getfixturevalue(SERVERS[name])
    return name


@pytest.fixture
def storage_factory(storage_name: str) -> StorageFactory:
    return STORAGES[storage_name]


@pytest.fixture
def storage(storage_factory: StorageFactory, tmp_path: Path) -> IndexStorage:
    return storage_factory(tmp_path / "storage")


@pytest.fixture
async def generation(storage: IndexStorage) -> AsyncIterator[IndexGeneration]:
    opened = await open_generation(storage)
    yield opened
    await opened.close()


@pytest.fixture
def index_store(generation: IndexGeneration) -> Store:
    return generation.store


@pytest.fixture
def vector_cache(generation: IndexGeneration) -> VectorCache:
    return generation.vector_cache


@pytest.fixture
def catalog(generation: IndexGeneration) -> Catalog:
    return generation.catalog


@pytest.fixture
async def open_store(storage_factory: StorageFactory, tmp_path: Path) -> AsyncIterator[OpenStore]:
    """Each call opens another client of the same store."""
    opened: list[IndexGeneration] = []
    await begin(storage_factory(tmp_path / "storage"))

    async def another() -> Store:
        opened.append(await open_generation(storage_factory(tmp_path / "storage")))
        return opened[-1].store

    yield another
    for generation in opened:
        await generation.close()
