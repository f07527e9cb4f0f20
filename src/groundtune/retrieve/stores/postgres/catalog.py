"""Keep the catalog of an index in PostgreSQL. Texts of documents are read one at a time, never all of them."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from groundtune.retrieve.stores.json_columns import decode_boxes, decode_notes, encode_boxes, encode_notes
from groundtune.retrieve.stores.postgres.connections import Connections
from groundtune.retrieve.stores.postgres.schema import Tables
from groundtune.retrieve.stores.postgres.values import texts
from groundtune.types import Document, DocumentState, FileRow

FILE = ("source", "status", "reason", "documents", "passages", "digest", "signature", "groups", "notes")
DOCUMENT = (
    "id", "file", "source", "title", "media_type", "pages", "digest", "groups", "metadata", "passages", "text",
    "boxes",
)  # fmt: skip


class PostgresCatalog:
    """`Catalog` in the tables of one generation."""

    def __init__(self, connections: Connections, tables: Tables) -> None:
        self._connections = connections
        self._tables = tables

    async def files(self) -> dict[str, FileRow]:
        rows = await self._connections.fetch(f"SELECT * FROM {self._tables.files}")
        return {row["source"]: _file_row(dict(row)) for row in rows}

    async def document(self, source: str) -> Document | None:
        return await self._document("source", source)

    async def document_by_id(self, document_id: str) -> Document | None:
        return await self._document("id", document_id)

    async def document_states(self, file: str) -> dict[str, DocumentState]:
        rows = await self._connections.fetch(
            f"SELECT id, digest, passages FROM {self._tables.documents} WHERE file = $1", file
        )
        return {row["id"]: DocumentState(row["digest"], row["passages"]) for row in rows}

    async def unfinished(self) -> dict[str, set[str]]:
        ids_by_file: dict[str, set[str]] = {}
        for row in await self._connections.fetch(f"SELECT document, file FROM {self._tables.unfinished}"):
            ids_by_file.setdefault(row["file"], set()).add(row["document"])
        return ids_by_file

    async def mark_unfinished(self, documents: Iterable[tuple[str, str]]) -> None:
        files = dict(documents)
        if not files:
            return
        async with self._connections.transaction() as connection:
            await connection.execute(
                f"INSERT INTO {self._tables.unfinished} SELECT * FROM unnest($1::text[], $2::text[]) "
                "ON CONFLICT (document) DO UPDATE SET file = excluded.file",
                texts(files),
                texts(files.values()),
            )

    async def digest(self) -> str:
        row = "encode(sha256(convert_to(row(id, source, digest, groups, metadata)::text, 'UTF8')), 'hex')"
        (found,) = await self._connections.fetch(
            f"SELECT encode(sha256(convert_to(coalesce(string_agg({row}, '' ORDER BY id), ''), 'UTF8')), 'hex') "
            f"FROM {self._tables.documents}"
        )
        return str(found[0])[:16]

    async def count(self) -> int:
        (row,) = await self._connections.fetch(f"SELECT count(*) FROM {self._tables.documents}")
        return int(row[0])

    async def save(self, rows: Iterable[tuple[FileRow, Sequence[tuple[Document, int]]]]) -> None:
        files: dict[str, FileRow] = {}
        documents: dict[str, tuple[object, ...]] = {}
        for row, counted in rows:
            files[row.source] = row
            documents.update((document.id, _document_row(row.source, document, count)) for document, count in counted)
        if not files:
            return
        async with self._connections.transaction() as connection:
            await self._count_change(connection)
            await connection.execute(
                f"DELETE FROM {self._tables.documents} WHERE file = ANY($1::text[]) OR id = ANY($2::text[])",
                texts(files),
                texts(documents),
            )
            await self._copy(connection, "documents", DOCUMENT, list(documents.values()))
            await self._replace_rows(connection, files)
            await connection.execute(
                f"DELETE FROM {self._tables.unfinished} WHERE file = ANY($1::text[])", texts(files)
            )

    async def save_rows(self, rows: Iterable[FileRow]) -> None:
        files = {row.source: row for row in rows}
        if not files:
            return
        async with self._connections.transaction() as connection:
            await self._count_change(connection)
            await self._replace_rows(connection, files)

    async def remove(self, sources: Iterable[str]) -> None:
        files = texts(sources)
        if not files:
            return
        async with self._connections.transaction() as connection:
            await self._count_change(connection)
            for table, column in (
                (self._tables.documents, "file"),
                (self._tables.files, "source"),
                (self._tables.unfinished, "file"),
            ):
                await connection.execute(f"DELETE FROM {table} WHERE {column} = ANY($1::text[])", files)

    async def cursors(self) -> dict[str, str]:
        rows = await self._connections.fetch(f"SELECT source, cursor FROM {self._tables.cursors}")
        return {row["source"]: row["cursor"] for row in rows}

    async def save_cursor(self, source: str, cursor: str | None) -> None:
        async with self._connections.transaction() as connection:
            await self._count_change(connection)
            await connection.execute(f"DELETE FROM {self._tables.cursors} WHERE source = $1", source)
            if cursor is not None:
                await connection.execute(f"INSERT INTO {self._tables.cursors} VALUES ($1, $2)", source, cursor)

    async def _document(self, column: str, value: str) -> Document | None:
        rows = await self._connections.fetch(
            f"SELECT * FROM {self._tables.documents} WHERE {column} = $1 LIMIT 1", value
        )
        if not rows:
            return None
        return _read_document(dict(rows[0]))

    async def _replace_rows(self, connection: Any, files: dict[str, FileRow]) -> None:
        await connection.execute(f"DELETE FROM {self._tables.files} WHERE source = ANY($1::text[])", texts(files))
        records = [
            (*(getattr(row, column) for column in FILE[:-2]), json.dumps(row.groups), encode_notes(row.notes))
            for row in files.values()
        ]
        await self._copy(connection, "files", FILE, records)

    async def _copy(
        self, connection: Any, table: str, columns: Sequence[str], records: Sequence[tuple[object, ...]]
    ) -> None:
        await connection.copy_records_to_table(
            self._tables.plain(table), schema_name=self._tables.schema, columns=columns, records=records
        )

    async def _count_change(self, connection: Any) -> None:
        """Give the content a new version; the row is also a lock that makes writers take turns."""
        await connection.execute(f"UPDATE {self._tables.totals} SET version = version + 1")


def _file_row(columns: dict[str, Any]) -> FileRow:
    notes = columns.pop("notes", "[]")  # tables of an older generation have no such column
    return FileRow(**{**columns, "groups": tuple(json.loads(columns["groups"]))}, notes=decode_notes(notes))


def _read_document(columns: dict[str, Any]) -> Document:
    return Document(
        id=columns["id"],
        source=columns["source"],
        text=columns["text"],
        title=columns["title"],
        media_type=columns["media_type"],
        pages=tuple(columns["pages"]),
        digest=columns["digest"],
        groups=tuple(json.loads(columns["groups"])),
        metadata=json.loads(columns["metadata"]),
        boxes=decode_boxes(columns.get("boxes", "[]")),  # tables of an older generation have no such column
    )


def _document_row(file: str, document: Document, passages: int) -> tuple[object, ...]:
    return (
        document.id,
        file,
        document.source,
        document.title,
        document.media_type,
        document.pages,
        document.digest,
        json.dumps(document.groups),
        json.dumps(dict(document.metadata)),
        passages,
        document.text,
        encode_boxes(document.boxes),
    )
