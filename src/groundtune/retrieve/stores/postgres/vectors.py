"""Name pgvector's types and operators in SQL, and build the vector index. Searches nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from groundtune.errors import need
from groundtune.retrieve.stores.postgres.schema import Tables, quoted

APPROXIMATE_FROM = 10_000
"""Number of passages from which there is a vector index. A scope with fewer passages is always searched exactly."""
INDEXED_DIMENSION = 4_000
"""pgvector's HNSW index on half-precision vectors allows no more dimensions; longer vectors are searched exactly."""
GRAPH = "m = 24, ef_construction = 128"
"""With pgvector's defaults (16 and 64), 100,000 passages with many near-duplicates had a recall of 0.91 instead of
0.95 or more."""
BUILD_MEMORY_MB = (64, 2_048)
"""Least and most memory for building the index."""


@dataclass(frozen=True, slots=True)
class VectorSql:
    """The types and operators of the extension, as SQL needs them. schema: that of the extension, not quoted."""

    schema: str
    dimension: int

    @property
    def type(self) -> str:
        return f"{quoted(self.schema)}.vector"

    @property
    def distance(self) -> str:
        """The operator of the cosine distance."""
        return f"OPERATOR({quoted(self.schema)}.<=>)"

    @property
    def half_operators(self) -> str:
        return f"{quoted(self.schema)}.halfvec_cosine_ops"

    def as_half(self, vector: str) -> str:
        """Return a vector in half precision, as the index holds it."""
        return f"{vector}::{quoted(self.schema)}.halfvec({self.dimension})"


async def index_vectors(connection: Any, tables: Tables, vectors: VectorSql) -> None:
    """Build the vector index of a large generation, unless it exists; later writes maintain it.

    A run builds it at its end: inserting into it one by one takes longer. Half precision halves its size.
    """
    pg = need("asyncpg", extra="postgres")
    (passages, indexed) = await connection.fetchrow(f"SELECT passages, vectors_indexed FROM {tables.totals}")
    if indexed or passages < APPROXIMATE_FROM or vectors.dimension > INDEXED_DIMENSION:
        return
    least, most = BUILD_MEMORY_MB
    memory = min(most, max(least, passages * (2 * vectors.dimension + 500) // 2**20))
    try:
        await create_index(connection, tables, vectors, {"maintenance_work_mem": f"{memory}MB"})
    except pg.InsufficientResourcesError:  # a container often has too little shared memory for several workers
        await create_index(connection, tables, vectors, {"max_parallel_maintenance_workers": "0"})


async def create_index(connection: Any, tables: Tables, vectors: VectorSql, settings: Mapping[str, str]) -> None:
    async with connection.transaction():
        for name, value in settings.items():
            await connection.execute(f"SET LOCAL {name} = '{value}'")
        indexed = f"({vectors.as_half('embedding')}) {vectors.half_operators}"
        await connection.execute(f"CREATE INDEX ON {tables.passages} USING hnsw ({indexed}) WITH ({GRAPH})")
        await connection.execute(f"UPDATE {tables.totals} SET vectors_indexed = true")
