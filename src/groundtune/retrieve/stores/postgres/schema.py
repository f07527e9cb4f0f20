"""Name and create the tables of an index. One PostgreSQL schema a project, one set of tables a generation.

generations                 the current generation and the one being built, with their parts
passages_<generation>       passages with their vectors, access groups and metadata
postings_<generation>       how often each term occurs in each passage
terms_<generation>          in how many passages each term occurs
totals_<generation>         a single row: the version of the content, and its size
files_, documents_, unfinished_, cursors_<generation>     the catalog
"""

import hashlib
import re
from dataclasses import dataclass

INLINE_DIMENSION = 1_900
"""Vectors up to this length are stored in the row itself, which must fit on a page of 8 KB; reading them is faster."""


def default_schema(project: str) -> str:
    """Return the name of a project's schema: `groundtune_handbook`; different for different projects."""
    plain = re.sub(r"[^a-z0-9]+", "_", project.lower()).strip("_")
    if plain == project and len(plain) <= 40:
        return f"groundtune_{plain}"
    return f"groundtune_{plain[:40]}_{hashlib.sha256(project.encode()).hexdigest()[:6]}"


def writer_key(schema: str) -> int:
    """Return the key of the lock of the single writer."""
    return _lock_key(f"groundtune writer {schema}")


def _lock_key(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class Tables:
    """The names of a generation's tables, quoted and with their schema, as SQL needs them."""

    schema: str
    """Not quoted."""
    generation: str

    @property
    def pin(self) -> int:
        """Key of the lock that readers share, and without which the tables are not dropped."""
        return _lock_key(f"groundtune reader {self.schema} {self.plain('')}")

    def plain(self, table: str) -> str:
        """Return the name of a table without schema and quotes."""
        return f"{table}_{self.generation.removeprefix('g-')}"

    def _name(self, table: str) -> str:
        return f"{quoted(self.schema)}.{quoted(self.plain(table))}"

    @property
    def passages(self) -> str:
        return self._name("passages")

    @property
    def postings(self) -> str:
        return self._name("postings")

    @property
    def terms(self) -> str:
        return self._name("terms")

    @property
    def totals(self) -> str:
        return self._name("totals")

    @property
    def files(self) -> str:
        return self._name("files")

    @property
    def documents(self) -> str:
        return self._name("documents")

    @property
    def unfinished(self) -> str:
        return self._name("unfinished")

    @property
    def cursors(self) -> str:
        return self._name("cursors")

    def all(self) -> list[str]:
        """Return all tables, the most read one first."""
        return [
            self.passages,
            self.postings,
            self.terms,
            self.totals,
            self.files,
            self.documents,
            self.unfinished,
            self.cursors,
        ]


def generations_table(schema: str) -> str:
    return f"{quoted(schema)}.generations"


def create_generations(schema: str) -> str:
    """Return the SQL that creates the list of generations; it may exist."""
    return (
        f"CREATE TABLE IF NOT EXISTS {generations_table(schema)} "
        "(slot text PRIMARY KEY, format integer NOT NULL, generation text NOT NULL, parts text NOT NULL)"
    )


def create_generation(tables: Tables, *, dimension: int, vector_schema: str) -> str:
    """Return the SQL that creates the tables of a generation. vector_schema: the schema of the extension."""
    key = 'text COLLATE "C" NOT NULL'
    storage = "PLAIN" if dimension <= INLINE_DIMENSION else "EXTERNAL"
    return f"""
        CREATE TABLE {tables.passages} (
            number integer PRIMARY KEY, id {key} UNIQUE, document_id {key}, source {key}, ordinal integer NOT NULL,
            "start" integer NOT NULL, "end" integer NOT NULL, text text NOT NULL, heading text NOT NULL, page integer,
            page_breaks integer[] NOT NULL, wider_start integer, wider_end integer, wider_heading text NOT NULL,
            context text NOT NULL, key {key}, groups text[] NOT NULL,
            tags text[] NOT NULL, embedding {quoted(vector_schema)}.vector({dimension}) NOT NULL
        );
        ALTER TABLE {tables.passages} ALTER COLUMN embedding SET STORAGE {storage};
        CREATE INDEX ON {tables.passages} (document_id);
        CREATE INDEX ON {tables.passages} (key);
        CREATE INDEX ON {tables.passages} USING gin (groups, tags);
        CREATE TABLE {tables.postings} (
            term {key}, passage integer NOT NULL, frequency smallint NOT NULL, length smallint NOT NULL,
            PRIMARY KEY (term, passage) INCLUDE (frequency, length)
        );
        CREATE INDEX ON {tables.postings} (passage);
        CREATE TABLE {tables.terms} (term {key} PRIMARY KEY, passages integer NOT NULL) WITH (fillfactor = 70);
        CREATE TABLE {tables.totals} (
            version bigint NOT NULL, passages bigint NOT NULL, words bigint NOT NULL, next_number integer NOT NULL,
            unmaintained bigint NOT NULL, vectors_indexed boolean NOT NULL
        ) WITH (fillfactor = 50);
        INSERT INTO {tables.totals} VALUES (0, 0, 0, 1, 0, false);
        CREATE TABLE {tables.files} (
            source {key} PRIMARY KEY, status text NOT NULL, reason text, documents integer NOT NULL,
            passages integer NOT NULL, digest text, signature text, groups text NOT NULL, notes text NOT NULL
        );
        CREATE TABLE {tables.documents} (
            id {key} PRIMARY KEY, file {key}, source {key}, title text, media_type text NOT NULL,
            pages integer[] NOT NULL, digest text NOT NULL, groups text NOT NULL, metadata text NOT NULL,
            passages integer NOT NULL, text text NOT NULL, boxes text NOT NULL
        );
        CREATE INDEX ON {tables.documents} USING hash (file);
        CREATE INDEX ON {tables.documents} USING hash (source);
        CREATE TABLE {tables.unfinished} (document {key} PRIMARY KEY, file {key});
        CREATE INDEX ON {tables.unfinished} USING hash (file);
        CREATE TABLE {tables.cursors} (source {key} PRIMARY KEY, cursor text NOT NULL);
    """
