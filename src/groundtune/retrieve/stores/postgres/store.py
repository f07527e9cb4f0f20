"""Store and search passages in PostgreSQL: vectors with pgvector, full text as BM25 over a table of postings.

PostgreSQL's own ranking (`ts_rank`) knows no document frequencies, so it is not used. Instead `postings` lists how
often each term occurs in each passage, and the score is BM25 with the parameters of LanceDB. Terms come from the text
search configuration of the index's language, without accents. All changes of a call are one transaction.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.retrieve.lexical_scale import scale_bm25
from groundtune.retrieve.stores.postgres.connections import Connections
from groundtune.retrieve.stores.postgres.schema import Tables
from groundtune.retrieve.stores.postgres.values import texts
from groundtune.retrieve.stores.postgres.vectors import APPROXIMATE_FROM, VectorSql
from groundtune.retrieve.stores.postgres.words import plain_words
from groundtune.types import Candidate, IndexEntry, Passage, Scope, Vectors

PASSAGE = (
    'id, document_id, source, ordinal, "start", "end", text, heading, page, page_breaks, '
    "wider_start, wider_end, wider_heading"
)
COLUMNS = (
    "number", "id", "document_id", "source", "ordinal", "start", "end", "text", "heading", "page", "page_breaks",
    "wider_start", "wider_end", "wider_heading", "context", "key", "groups", "tags", "embedding",
)  # fmt: skip
FIRST_RANKED = 4
"""Full-text search first looks for the k best in scope among the 4 k best of all, and searches on if they are fewer."""
MAINTAIN_SHARE = 0.1
"""Share of the passages whose change makes `optimize` vacuum the tables."""
MAINTAIN_FROM = 500
SCOPES_KEPT = 100
ROWS_AT_ONCE = 1_000
IDS_AT_ONCE = 10_000
LONGEST_TAG = 200
"""Longer metadata values are found by their digest: an index entry must fit on a page."""
K1 = 1.2
B = 0.75


@dataclass(frozen=True, slots=True)
class Totals:
    """The size of the store at one version of its content."""

    version: int
    passages: int
    unmaintained: int
    vectors_indexed: bool


class PostgresStore:
    """`Store` and `VectorCache` in the tables of one generation."""

    def __init__(self, connections: Connections, tables: Tables, vectors: VectorSql, *, language: str) -> None:
        self._connections = connections
        self._tables = tables
        self._sql = vectors
        self._terms = _terms_sql(language)
        self._scope_sizes: dict[tuple[int, str], int] = {}
        """Passages in scope by version and scope, counted up to APPROXIMATE_FROM."""

    # -- writing ---------------------------------------------------------------------------------------------------

    async def replace(self, document_ids: Sequence[str], entries: Sequence[IndexEntry]) -> None:
        if not document_ids and not entries:
            return
        async with self._connections.transaction() as connection:
            number = await connection.fetchval(
                f"UPDATE {self._tables.totals} SET version = version + 1, next_number = next_number + $1 "
                "RETURNING next_number - $1",
                len(entries),
            )
            stale = texts({*document_ids, *(entry.passage.document_id for entry in entries)})
            for chunk in _chunks(stale, IDS_AT_ONCE):
                await self._remove(connection, chunk)
            for part in _chunks(entries, ROWS_AT_ONCE):
                await self._add(connection, part, number)
                number += len(part)

    async def delete(self, document_ids: Sequence[str]) -> None:
        await self.replace(document_ids, [])

    async def _remove(self, connection: Any, document_ids: Sequence[str]) -> None:
        """Delete the passages of documents, and everything that the full text knows of them."""
        rows = await connection.fetch(
            f"DELETE FROM {self._tables.passages} WHERE document_id = ANY($1::text[]) RETURNING number", document_ids
        )
        if not rows:
            return
        numbers = [row["number"] for row in rows]
        words, unused = await connection.fetchrow(
            f"""
            WITH gone AS (
                DELETE FROM {self._tables.postings} WHERE passage = ANY($1::integer[]) RETURNING term, frequency
            ), counted AS (
                SELECT term, count(*) AS passages, sum(frequency) AS words FROM gone GROUP BY term
            ), left_over AS (
                UPDATE {self._tables.terms} AS t SET passages = t.passages - c.passages
                FROM counted c WHERE t.term = c.term RETURNING t.term, t.passages, c.words
            )
            SELECT coalesce(sum(words), 0)::bigint, array_agg(term) FILTER (WHERE passages = 0) FROM left_over
            """,
            numbers,
        )
        await connection.execute(
            f"DELETE FROM {self._tables.terms} WHERE term = ANY($1::text[]) AND passages = 0", unused or []
        )
        await self._count(connection, passages=-len(numbers), words=-words)

    async def _add(self, connection: Any, entries: Sequence[IndexEntry], first: int) -> None:
        numbers = range(first, first + len(entries))
        await connection.copy_records_to_table(
            self._tables.plain("passages"),
            schema_name=self._tables.schema,
            columns=COLUMNS,
            records=[_record(number, entry) for number, entry in zip(numbers, entries, strict=True)],
        )
        searched = await asyncio.to_thread(lambda: [plain_words(f"{e.context} {e.passage.text}") for e in entries])
        words = await connection.fetchval(
            f"""
            WITH counted AS MATERIALIZED (
                SELECT p.number, {self._terms.term} AS term, sum(array_length(l.positions, 1)) AS frequency
                FROM unnest($1::integer[], $2::text[]) AS p (number, words),
                    LATERAL unnest({self._terms.parsed.format("p.words")}) AS l GROUP BY 1, 2
            ), lengths AS (
                SELECT number, sum(frequency) AS length FROM counted GROUP BY number
            ), added AS (
                INSERT INTO {self._tables.postings}
                SELECT term, number, least(frequency, 32767), least(length, 32767)
                FROM counted JOIN lengths USING (number) ORDER BY term, number
                RETURNING term
            ), spread AS (
                INSERT INTO {self._tables.terms} AS t SELECT term, count(*) FROM added GROUP BY term ORDER BY term
                ON CONFLICT (term) DO UPDATE SET passages = t.passages + excluded.passages
            )
            SELECT coalesce(sum(frequency), 0)::bigint FROM counted
            """,
            list(numbers),
            searched,
        )
        await self._count(connection, passages=len(entries), words=words)

    async def _count(self, connection: Any, *, passages: int, words: int) -> None:
        await connection.execute(
            f"UPDATE {self._tables.totals} SET passages = passages + $1, words = words + $2, "
            "unmaintained = unmaintained + abs($1)",
            passages,
            words,
        )

    # -- searching -------------------------------------------------------------------------------------------------

    async def dense(self, vector: Vectors, *, k: int, scope: Scope) -> list[Candidate]:
        totals = await self._totals()
        where, asked = _where(scope, first=3), f"$1::{self._sql.type}"
        rows: list[Any] = []
        if totals.vectors_indexed and not await self._fewer_than(APPROXIMATE_FROM, scope, totals):
            half = f"{self._sql.as_half('embedding')} {self._sql.distance} {self._sql.as_half(asked)}"
            rows = await self._connections.fetch(
                f"""
                SELECT id, 1 - (embedding {self._sql.distance} {asked}) AS score, embedding FROM (
                    SELECT id, number, embedding FROM {self._tables.passages} WHERE {where} ORDER BY {half} LIMIT $2
                ) near ORDER BY score DESC, number
                """,
                *(vector, k, *_values(scope)),
            )
        if len(rows) < k:
            rows = await self._connections.fetch(
                f"""
                SELECT id, near.score, embedding FROM (
                    SELECT number, 1 - (embedding {self._sql.distance} {asked}) AS score
                    FROM {self._tables.passages} WHERE {where} ORDER BY score DESC, number LIMIT $2
                ) near JOIN {self._tables.passages} USING (number) ORDER BY near.score DESC, number
                """,
                *(vector, k, *_values(scope)),
            )
        return [Candidate(row["id"], float(row["score"]), row["embedding"]) for row in rows]

    async def lexical(self, text: str, *, k: int, scope: Scope) -> list[Candidate]:
        words = plain_words(text)
        if not words:
            return []
        totals = await self._totals()
        large = totals.passages >= APPROXIMATE_FROM
        narrow = large and await self._fewer_than(APPROXIMATE_FROM, scope, totals)
        rows = None if narrow else await self._ranked(words, k, scope, first=FIRST_RANKED * k)
        if rows is None:
            rows = await self._ranked(words, k, scope) or []
        scores = scale_bm25([row["score"] for row in rows], totals.passages)
        return [Candidate(row["id"], score, row["embedding"]) for row, score in zip(rows, scores, strict=True)]

    async def _ranked(self, words: str, k: int, scope: Scope, *, first: int | None = None) -> list[Any] | None:
        """Return the k best by BM25 in scope.

        first: look only at so many of the best of all, which saves reading the scope; None if that is not enough.
        """
        where = _where(scope, first=4)
        visible = f"visible AS MATERIALIZED (SELECT number FROM {self._tables.passages} WHERE {where}),"
        rows = await self._connections.fetch(
            f"""
            WITH asked AS MATERIALIZED (
                SELECT DISTINCT {self._terms.term} AS term
                FROM unnest({self._terms.parsed.format("$1::text")}) AS l
            ), weighted AS MATERIALIZED (
                SELECT term, {K1 + 1}::float8 * ln(1 + (s.passages - t.passages + 0.5::float8) / (t.passages + 0.5))
                    AS weight,
                    {K1 * (1 - B)}::float8 AS base, {K1 * B}::float8 * s.passages / nullif(s.words, 0) AS slope
                FROM asked JOIN {self._tables.terms} t USING (term), {self._tables.totals} s
            ), {"" if first else visible} ranked AS (
                SELECT passage, sum(weight * frequency / (frequency + base + slope * length)) AS score
                FROM weighted JOIN {self._tables.postings} USING (term)
                    {"" if first else "JOIN visible ON number = passage"}
                GROUP BY passage ORDER BY score DESC, passage LIMIT $3
            ), hits AS (
                SELECT p.id, r.score, p.embedding, r.passage FROM ranked r, LATERAL (
                    SELECT id, embedding FROM {self._tables.passages} WHERE number = r.passage AND {where} OFFSET 0
                ) p ORDER BY r.score DESC, r.passage LIMIT $2
            )
            SELECT (SELECT count(*) FROM ranked) AS ranked, h.id, h.score, h.embedding
            FROM (SELECT) one_row LEFT JOIN hits h ON true ORDER BY h.score DESC, h.passage
            """,
            *(words, k, first or k, *_values(scope)),
        )
        hits = [row for row in rows if row["id"] is not None]
        return hits if first is None or len(hits) == k or rows[0]["ranked"] < first else None

    async def _fewer_than(self, limit: int, scope: Scope, totals: Totals) -> bool:
        """Whether fewer passages than this are in scope; `limit` is at most APPROXIMATE_FROM."""
        key = totals.version, repr((sorted(scope.groups), sorted(scope.filters.items())))
        if key not in self._scope_sizes:
            (row,) = await self._connections.fetch(
                f"SELECT count(*) FROM (SELECT FROM {self._tables.passages} WHERE {_where(scope, first=2)} LIMIT $1) s",
                *(APPROXIMATE_FROM, *_values(scope)),
            )
            recent = dict(list(self._scope_sizes.items())[-SCOPES_KEPT:])
            self._scope_sizes = {**recent, key: int(row[0])}
        return self._scope_sizes[key] < limit

    # -- reading ---------------------------------------------------------------------------------------------------

    async def read(self, ids: Sequence[str], *, scope: Scope) -> dict[str, Passage]:
        passages: dict[str, Passage] = {}
        for chunk in _chunks(texts(ids), IDS_AT_ONCE):
            found = await self._passages(f"id = ANY($1::text[]) AND {_where(scope, first=2)}", chunk, *_values(scope))
            passages.update((passage.id, passage) for passage in found)
        return passages

    async def vectors(self, keys: Iterable[str]) -> dict[str, Vectors]:
        vectors_by_key: dict[str, Vectors] = {}
        for chunk in _chunks(texts(keys), IDS_AT_ONCE):
            rows = await self._connections.fetch(
                f"SELECT key, embedding FROM {self._tables.passages} WHERE key = ANY($1::text[])", chunk
            )
            vectors_by_key.update((row["key"], row["embedding"]) for row in rows)
        return vectors_by_key

    async def passages(self, document_id: str) -> list[Passage]:
        return await self._passages("document_id = $1 ORDER BY ordinal", document_id)

    async def embedded_texts(self, ids: Iterable[str]) -> dict[str, str]:
        texts_by_id: dict[str, str] = {}
        for chunk in _chunks(texts(ids), IDS_AT_ONCE):
            rows = await self._connections.fetch(
                f"SELECT id, context, text FROM {self._tables.passages} WHERE id = ANY($1::text[])", chunk
            )
            for row in rows:
                texts_by_id[row["id"]] = f"{row['context']}\n{row['text']}".removeprefix("\n")
        return texts_by_id

    async def scan(self, scope: Scope) -> list[Passage]:
        return await self._passages(f"{_where(scope, first=1)} ORDER BY source, ordinal", *_values(scope))

    async def count(self) -> int:
        return (await self._totals()).passages

    async def version(self) -> int:
        """Return the number of changes so far, of passages and of the catalog."""
        return (await self._totals()).version

    async def _passages(self, where: str, *values: object) -> list[Passage]:
        rows = await self._connections.fetch(f"SELECT {PASSAGE} FROM {self._tables.passages} WHERE {where}", *values)
        return [Passage(**{**row, "page_breaks": tuple(row["page_breaks"])}) for row in rows]

    async def _totals(self) -> Totals:
        (row,) = await self._connections.fetch(
            f"SELECT version, passages, unmaintained, vectors_indexed FROM {self._tables.totals}"
        )
        return Totals(**row)

    # -- maintenance -----------------------------------------------------------------------------------------------

    async def optimize(self) -> None:
        totals = await self._totals()
        if totals.unmaintained > MAINTAIN_FROM + MAINTAIN_SHARE * totals.passages:
            async with self._connections.maintenance() as connection:
                for table in self._tables.all():
                    await connection.execute(f"VACUUM (ANALYZE) {table}")
                await connection.execute(f"UPDATE {self._tables.totals} SET unmaintained = 0")


@dataclass(frozen=True, slots=True)
class _TermsSql:
    parsed: str
    """Terms with their positions, `{}` standing for the text."""
    term: str
    """One of these, `l`, without accents."""


def _terms_sql(language: str) -> _TermsSql:
    folded = "regexp_replace(normalize(l.lexeme, NFKD), '[\\u0300-\\u036f]', '', 'g')"
    plain = "octet_length(l.lexeme) = char_length(l.lexeme)"
    return _TermsSql(
        f"to_tsvector('pg_catalog.{language}'::regconfig, {{}})",
        f"CASE WHEN {plain} THEN l.lexeme ELSE {folded} END",
    )


def _record(number: int, entry: IndexEntry) -> tuple[object, ...]:
    passage = entry.passage
    return (
        number,
        passage.id,
        passage.document_id,
        passage.source,
        passage.ordinal,
        passage.start,
        passage.end,
        passage.text,
        passage.heading,
        passage.page,
        passage.page_breaks,
        passage.wider_start,
        passage.wider_end,
        passage.wider_heading,
        entry.context,
        entry.key,
        [_short(group) for group in entry.groups],
        [_tag(key, value) for key, value in entry.metadata.items()],
        entry.vector,
    )


def _where(scope: Scope, *, first: int) -> str:
    """Return the condition of a scope; its values start at this parameter."""
    tags = [f"tags && ${first + 1 + number}::text[]" for number in range(len(scope.filters))]
    return " AND ".join([f"groups && ${first}::text[]", *tags])


def _values(scope: Scope) -> list[list[str]]:
    wanted = [["*", *map(_short, scope.groups)]]
    for key, value in scope.filters.items():
        wanted.append([_tag(key, item) for item in ([value] if isinstance(value, str) else value)])
    return wanted


def _tag(key: str, value: str) -> str:
    return _short(f"{key}\x1f{value}")


def _short(value: str) -> str:
    (stored,) = texts([value])
    if len(stored) <= LONGEST_TAG:
        return stored
    return f"{stored[:LONGEST_TAG]}\x1f{hashlib.sha256(stored.encode()).hexdigest()}"


def _chunks(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
