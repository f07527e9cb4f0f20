"""Store passages in a LanceDB table with vectors, BM25 and filters. Knows nothing of files or embedders."""

import asyncio
import datetime
import math
import warnings
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import FTS, BTree, IvfFlat, LabelList
from lancedb.query import MatchQuery

from groundtune.errors import BusyError, MissingError
from groundtune.languages.segmentation import SEPARATOR, separated
from groundtune.retrieve.lexical_scale import scale_bm25
from groundtune.retrieve.stores.generations import REBUILD
from groundtune.types import Candidate, IndexEntry, Passage, Scope, Vectors

TABLE = "passages"
PASSAGE_COLUMNS = [
    "id", "document_id", "source", "ordinal", "start", "end", "text", "heading", "page", "page_breaks",
    "wider_start", "wider_end", "wider_heading",
]  # fmt: skip
CANDIDATE_COLUMNS = ["id", "vector"]
"""Columns of a candidate. A stage finds about a hundred candidates, but only a few are shown; fetching every column
took most of the search time."""
APPROXIMATE_FROM = 10_000
"""Number of passages from which a vector index pays off; below, an exact scan takes a few milliseconds."""
PARTITION_PASSAGES = 4_096
"""Lance's target size of a partition: each `optimize` joins partitions under a quarter of it and splits those over four
times as much. With the usual √n partitions, the first update slowly merged 310 partitions into 8, and every search then
read all of them.
"""
PROBED_SHARE = 0.25
"""Share of the partitions that an unrestricted search probes; a narrower scope probes more, up to all.

With a fixed 20 (of 316), a scope of 2% had a recall of 0.28. Figures: benchmarks/scale.py.
"""
MIN_PROBED = 4
VECTOR_INDEX = "vector_ivf_"
"""Prefix of the vector index's name; the number of partitions it was trained with follows."""
MAX_INDEX_PIECES = 8
"""Every `optimize` adds a piece to the vector index, and a search probes each; with more pieces it is retrained."""
SMALL_WRITES = 24
"""Number of small fragments above which they are compacted."""
UNINDEXED_ROWS = 300
"""Rows outside the indexes are scanned at every search; above this number they are indexed."""
KEEP_OLD_VERSIONS = datetime.timedelta(minutes=10)
"""A version stays on disk for at least this long after it was superseded: a search may still read it."""
ERASE_AFTER = datetime.timedelta(days=1)
"""Deleted passages are erased from the files at most this often: it rewrites the table and its full-text index."""
PIN_MARGIN = datetime.timedelta(minutes=1)
KEEP_ALL = datetime.timedelta(days=36_500)
IN_CHUNK = 1_000
SCOPES_KEPT = 100
ROWS_AT_ONCE = 8_192


class LanceStore:
    """`Store` and `VectorCache` in a local folder (or any URI that LanceDB opens). Create it with `LanceStore.open`."""

    def __init__(
        self,
        table: Any,
        *,
        language: str = "english",
        pinned: Callable[[], Awaitable[Sequence[int] | None]] | None = None,
        erased: Path | None = None,
    ) -> None:
        self._table = table
        self._language = language
        self._pinned = pinned
        self._erased = erased
        self._visible: dict[tuple[int, str], int] = {}
        """Passages in scope, by table size and scope; used only to choose the number of partitions to probe."""

    @classmethod
    async def open(
        cls,
        uri: str | Path,
        *,
        dimension: int,
        language: str = "english",
        storage_options: Mapping[str, str] | None = None,
        pinned: Callable[[], Awaitable[Sequence[int] | None]] | None = None,
        erased: Path | None = None,
    ) -> "LanceStore":
        """Open the table to write; create it, or the indexes that it lacks.

        storage_options: of LanceDB, for object storage. pinned: returns the versions that others read and that must
        stay, or None for all. erased: a file that keeps the time of the last erasure of deleted passages, which are not
        erased without it.
        """
        connection = await _connect(uri, storage_options)
        try:
            table = await connection.open_table(TABLE)
        except (ValueError, FileNotFoundError):
            table = await connection.create_table(TABLE, schema=_schema(dimension), exist_ok=True)
        indexed = {column for index in await table.list_indices() for column in index.columns}
        for column, config in _indexes(language).items():
            if column not in indexed:  # a new table has none; an interrupted creation or an older groundtune, some
                await table.create_index(column, config=config)
        return cls(table, language=language, pinned=pinned, erased=erased)

    @classmethod
    async def open_to_read(
        cls, uri: str | Path, *, version: int | None = None, storage_options: Mapping[str, str] | None = None
    ) -> "LanceStore":
        """Open the table and create nothing. Every read sees the latest version, or the one given.

        Raises MissingError if it does not exist.
        """
        connection = await _connect(uri, storage_options)
        try:
            table = await connection.open_table(TABLE)
        except (ValueError, FileNotFoundError):
            raise MissingError(f"there are no passages in {uri}", hint=REBUILD) from None
        if version is not None:
            await table.checkout(version)
        return cls(table)

    async def version(self) -> int:
        """Return the number of the table's version; every write increases it."""
        return int(await self._table.version())

    def close(self) -> None:
        """Release the table's files and caches."""
        self._table.close()

    async def replace(self, document_ids: Sequence[str], entries: Sequence[IndexEntry]) -> None:
        if not entries:
            await self.delete(document_ids)
            return
        rows = await asyncio.to_thread(_stream, entries, self._dimension(await self._table.schema()))
        if not await self._holds(document_ids):
            await self._table.add(rows)
            return
        merge = self._table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        await merge.when_not_matched_by_source_delete(_one_of("document_id", document_ids)).execute(rows)

    async def delete(self, document_ids: Sequence[str]) -> None:
        for chunk in _chunks(document_ids):
            await self._table.delete(_one_of("document_id", chunk))

    async def dense(self, vector: Vectors, *, k: int, scope: Scope) -> list[Candidate]:
        where = _where(scope)
        query = self._table.query().nearest_to(vector).distance_type("cosine").where(where).limit(k)
        query = query.nprobes(await self._probes(where))
        rows = await query.select([*CANDIDATE_COLUMNS, "_distance"]).to_arrow()
        return _candidates(rows, [1.0 - distance for distance in rows["_distance"].to_pylist()])

    async def lexical(self, text: str, *, k: int, scope: Scope) -> list[Candidate]:
        query = self._table.query().nearest_to_text(_match(text)).where(_where(scope)).limit(k)
        searching = query.select([*CANDIDATE_COLUMNS, "_score"]).to_arrow()
        rows, collection = await asyncio.gather(searching, self.count())
        return _candidates(rows, scale_bm25(rows["_score"].to_pylist(), collection))

    async def read(self, ids: Sequence[str], *, scope: Scope) -> dict[str, Passage]:
        passages: dict[str, Passage] = {}
        for chunk in _chunks(ids):
            where = f"{_one_of('id', chunk)} AND {_where(scope)}"
            rows = await self._table.query().where(where).select(PASSAGE_COLUMNS).to_arrow()
            passages |= {passage.id: passage for passage in _passages(rows)}
        return passages

    async def vectors(self, keys: Iterable[str]) -> dict[str, Vectors]:
        vectors_by_key: dict[str, Vectors] = {}
        if await self.count() == 0:
            return vectors_by_key
        for chunk in _chunks(list(keys)):
            rows = await self._table.query().where(_one_of("key", chunk)).select(["key", "vector"]).to_arrow()
            vectors_by_key.update(zip(rows["key"].to_pylist(), _matrix(rows), strict=True))
        return vectors_by_key

    async def passages(self, document_id: str) -> list[Passage]:
        query = self._table.query().where(_one_of("document_id", [document_id])).select(PASSAGE_COLUMNS)
        return sorted(_passages(await query.to_arrow()), key=lambda passage: passage.ordinal)

    async def embedded_texts(self, ids: Iterable[str]) -> dict[str, str]:
        texts_by_id: dict[str, str] = {}
        for chunk in _chunks(list(ids)):
            rows = await self._table.query().where(_one_of("id", chunk)).select(["id", "search"]).to_arrow()
            texts = [
                text.replace(SEPARATOR, "").removeprefix("\n")  # the context may be empty
                for text in rows["search"].to_pylist()
            ]
            texts_by_id.update(zip(rows["id"].to_pylist(), texts, strict=True))
        return texts_by_id

    async def scan(self, scope: Scope) -> list[Passage]:
        rows = await self._table.query().where(_where(scope)).select(PASSAGE_COLUMNS).to_arrow()
        return sorted(_passages(rows), key=lambda passage: (passage.source, passage.ordinal))

    async def count(self) -> int:
        return int(await self._table.count_rows())

    async def optimize(self) -> None:
        stats = await self._table.stats()
        indexes = {index.name: index for index in await self._table.list_indices()}
        vector_indexes = [name for name in indexes if name.startswith(VECTOR_INDEX)]
        unindexed = max((index.num_unindexed_rows or 0 for index in indexes.values()), default=0)
        small = stats["fragment_stats"]["num_small_fragments"] > SMALL_WRITES or unindexed > UNINDEXED_ROWS
        versions = await self._versions()
        last_erasure = self._last_erasure()
        erase = versions[-1].deleted_rows > 0 and last_erasure is not None and _age(last_erasure) >= ERASE_AFTER
        if erase:
            await self._erase(vector_indexes)
        if erase or small:
            await self._table.optimize(cleanup_older_than=KEEP_ALL)
        await self._index_vectors(vector_indexes)
        if erase or small or (last_erasure is not None and versions[0].time < last_erasure):
            await self._drop_old_versions()

    async def _versions(self) -> list["_Version"]:
        """Return the versions on disk, oldest first."""
        versions = [
            _Version(
                int(version["version"]),
                version["timestamp"].astimezone(datetime.UTC),  # local time without a zone
                int(version["metadata"].get("total_deletion_file_rows", 0)),
            )
            for version in await self._table.list_versions()
        ]
        return sorted(versions, key=lambda version: version.number)

    async def _drop_old_versions(self) -> None:
        """Delete the versions that no search and no pin needs any more, with their files."""
        pinned = await self._pinned() if self._pinned else []
        if pinned is None:
            return
        versions = await self._versions()
        # The version that was the latest KEEP_OLD_VERSIONS ago stays: a search that began then may still read it.
        current_then = max((v.number for v in versions if _age(v.time) >= KEEP_OLD_VERSIONS), default=0)
        needed = min([current_then, *pinned])
        kept = [version for version in versions if version.number >= needed]
        if len(kept) == len(versions):
            return
        margin = max(KEEP_OLD_VERSIONS, PIN_MARGIN if pinned else KEEP_OLD_VERSIONS)
        await self._table.optimize(cleanup_older_than=_age(kept[0].time) + margin)

    # -- erasing -------------------------------------------------------------------------------------------------------

    def _last_erasure(self) -> datetime.datetime | None:
        """Return when deleted passages were last erased; None if they are not erased here."""
        if self._erased is None:
            return None
        if not self._erased.exists():
            return datetime.datetime.fromtimestamp(0, datetime.UTC)
        return datetime.datetime.fromtimestamp(self._erased.stat().st_mtime, datetime.UTC)

    async def erase(self) -> None:
        """Erase every deleted passage now, and every older version. Raises BusyError while a snapshot needs one."""
        if self._pinned and await self._pinned() != []:
            raise snapshot_is_read()
        names = [index.name for index in await self._table.list_indices()]
        await self._erase([name for name in names if name.startswith(VECTOR_INDEX)])
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # that searches under way may fail
            await self._table.optimize(cleanup_older_than=datetime.timedelta(0), delete_unverified=True)

    async def _erase(self, vector_indexes: Sequence[str]) -> None:
        """Rewrite every passage and every index, so that the files of the latest version hold nothing deleted.

        A deletion only marks rows, and a compaction drops marked rows only where they are more than a tenth.
        """
        await self._table.update(updates_sql={"page": "page"})
        for column, config in _indexes(self._language).items():
            await self._table.create_index(column, config=config, replace=True)
        for name in vector_indexes:
            await self._train_vector_index(name)
        if self._erased is not None:
            self._erased.touch()

    async def _probes(self, where: str) -> int:
        """Return the partitions to probe: the narrower the scope, the more of its passages lie outside the nearest
        ones.
        """
        total = await self.count()
        if total < APPROXIMATE_FROM:
            return 1  # there is no vector index
        if (total, where) not in self._visible:
            recent = dict(list(self._visible.items())[-SCOPES_KEPT:])
            self._visible = {**recent, (total, where): int(await self._table.count_rows(where))}
        visible = self._visible[total, where]
        share = PROBED_SHARE * total / max(1, visible)
        return max(MIN_PROBED, math.ceil(share * total / PARTITION_PASSAGES))

    async def _index_vectors(self, existing: Sequence[str]) -> None:
        """Build the vector index for a large table; retrain it after fourfold growth, or when it has too many
        pieces.
        """
        total = await self.count()
        if total < APPROXIMATE_FROM:
            return
        partitions = math.ceil(total / PARTITION_PASSAGES)
        trained = max((int(name.removeprefix(VECTOR_INDEX)) for name in existing), default=0)
        if partitions < 4 * trained and not await self._in_pieces(existing):
            return
        for name in existing:
            await self._table.drop_index(name)
        await self._train_vector_index(f"{VECTOR_INDEX}{partitions}")

    async def _train_vector_index(self, name: str) -> None:
        config = IvfFlat(distance_type="cosine", num_partitions=int(name.removeprefix(VECTOR_INDEX)))
        await self._table.create_index("vector", config=config, name=name, replace=True)

    async def _in_pieces(self, existing: Sequence[str]) -> bool:
        statistics = [await self._table.index_stats(name) for name in existing]
        return any(stats and (stats.num_indices or 0) > MAX_INDEX_PIECES for stats in statistics)

    async def _holds(self, document_ids: Sequence[str]) -> bool:
        for chunk in _chunks(document_ids):
            query = self._table.query().where(_one_of("document_id", chunk)).select(["id"]).limit(1)
            if (await query.to_arrow()).num_rows:
                return True
        return False

    @staticmethod
    def _dimension(schema: pa.Schema) -> int:
        return int(schema.field("vector").type.list_size)


@dataclass(frozen=True, slots=True)
class _Version:
    """A version of the table."""

    number: int
    time: datetime.datetime
    deleted_rows: int
    """Rows in its files that are marked as deleted."""


def snapshot_is_read() -> BusyError:
    """Return the error for an erasure while somebody reads from an older state of the index."""
    return BusyError(
        "another process reads from an older state of the index",
        hint="wait until its comparison or training is done, then run the command again",
    )


async def _connect(uri: str | Path, storage_options: Mapping[str, str] | None) -> Any:
    options = dict(storage_options) if storage_options else None
    return await lancedb.connect_async(
        str(uri), read_consistency_interval=datetime.timedelta(0), storage_options=options
    )


def _age(time: datetime.datetime) -> datetime.timedelta:
    return datetime.datetime.now(datetime.UTC) - time


def _schema(dimension: int) -> pa.Schema:
    text, number = pa.string(), pa.int64()
    texts, numbers = pa.list_(text), pa.list_(number)
    columns = {
        "id": text,
        "document_id": text,
        "source": text,
        "ordinal": number,
        "start": number,
        "end": number,
        "text": text,
        "heading": text,
        "page": number,
        "page_breaks": numbers,
        "wider_start": number,
        "wider_end": number,
        "wider_heading": text,
        "search": text,
        "key": text,
        "groups": texts,
        "tags": texts,
        "vector": pa.list_(pa.float32(), dimension),
    }
    return pa.schema(list(columns.items()))


def _full_text(language: str) -> FTS:
    return FTS(
        language=language.capitalize(), stem=True, remove_stop_words=True, ascii_folding=True, with_position=False
    )


def _indexes(language: str) -> dict[str, Any]:
    """Return the index of each column, except the vectors."""
    return {
        "search": _full_text(language),
        "id": BTree(),
        "document_id": BTree(),
        "key": BTree(),
        "groups": LabelList(),
        "tags": LabelList(),
    }


def _stream(entries: Sequence[IndexEntry], dimension: int) -> Any:
    """Return few rows as a table, and many rows as a lazy reader; both are written in one commit."""
    if len(entries) <= ROWS_AT_ONCE:
        return _rows(entries, dimension)
    parts = (entries[start : start + ROWS_AT_ONCE] for start in range(0, len(entries), ROWS_AT_ONCE))
    batches = (batch for part in parts for batch in _rows(part, dimension).to_batches())
    return pa.RecordBatchReader.from_batches(_schema(dimension), batches)


def _rows(entries: Sequence[IndexEntry], dimension: int) -> pa.Table:
    passages = [entry.passage for entry in entries]
    columns: dict[str, Any] = {name: [getattr(p, name) for p in passages] for name in PASSAGE_COLUMNS}
    columns["search"] = [separated(f"{entry.context}\n{entry.passage.text}") for entry in entries]
    columns["key"] = [entry.key for entry in entries]
    columns["groups"] = [list(entry.groups) for entry in entries]
    columns["tags"] = [[_tag(key, value) for key, value in entry.metadata.items()] for entry in entries]
    flat = np.concatenate([entry.vector for entry in entries]).astype(np.float32, copy=False)
    columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(flat), dimension)
    return pa.table(columns, schema=_schema(dimension))


def _passages(rows: pa.Table) -> list[Passage]:
    return [Passage(**{**row, "page_breaks": tuple(row["page_breaks"])}) for row in rows.to_pylist()]


def _candidates(rows: pa.Table, scores: Sequence[float]) -> list[Candidate]:
    return [
        Candidate(*values) for values in zip(rows["id"].to_pylist(), map(float, scores), _matrix(rows), strict=True)
    ]


def _matrix(rows: pa.Table) -> Vectors:
    column = rows["vector"].combine_chunks()
    flat: Vectors = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(rows.num_rows, column.type.list_size)


def _match(text: str) -> Any:
    build: Any = MatchQuery  # its generated signature hides the defaults from type checkers
    return build(separated(_encodable(text)), "search")


def _where(scope: Scope) -> str:
    clauses = [f"array_has_any(groups, {_list(['*', *scope.groups])})"]
    for key, value in scope.filters.items():
        values = [value] if isinstance(value, str) else list(value)
        clauses.append(f"array_has_any(tags, {_list([_tag(key, v) for v in values])})")
    return " AND ".join(clauses)


def _tag(key: str, value: str) -> str:
    return f"{key}={value}"


def _list(values: Sequence[str]) -> str:
    return "[" + ", ".join(map(_quoted, values)) + "]"


def _quoted(value: str) -> str:
    return "'" + _encodable(value).replace("'", "''") + "'"


def _encodable(text: str) -> str:
    """Escape lone surrogates (arguments that were not UTF-8), which cannot be sent to the store."""
    return text.encode("utf-8", "backslashreplace").decode()


def _one_of(column: str, values: Sequence[str]) -> str:
    return f"{column} IN ({', '.join(map(_quoted, values))})"


def _chunks(values: Sequence[str]) -> Iterable[Sequence[str]]:
    for start in range(0, len(values), IN_CHUNK):
        yield values[start : start + IN_CHUNK]
