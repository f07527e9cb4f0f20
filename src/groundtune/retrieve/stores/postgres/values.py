"""Encode text and vectors as PostgreSQL stores them, without loss. Opens no connection."""

import re
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np

from groundtune.types import Vectors

ESCAPE = "\x1a"
"""Starts four hexadecimal digits that stand for a character which PostgreSQL cannot store: NUL and lone surrogates."""
_NOT_STORABLE = re.compile("[\x00\x1a\ud800-\udfff]")
_ESCAPED = re.compile("\x1a([0-9a-f]{4})")
_HEADER = struct.Struct(">HH")


async def register_types(connection: Any, *, vector_schema: str | None) -> None:
    """Register the codecs of a new asyncpg connection. vector_schema: None while the extension is not installed."""
    await connection.set_type_codec(
        "text", schema="pg_catalog", encoder=encode_text, decoder=decode_text, format="binary"
    )
    if vector_schema is not None:
        await connection.set_type_codec(
            "vector", schema=vector_schema, encoder=encode_vector, decoder=decode_vector, format="binary"
        )


def texts(values: Iterable[str]) -> list[str]:
    """Return an array of texts as it is stored: asyncpg applies codecs to single values only."""
    return [_NOT_STORABLE.sub(_escaped, value) for value in values]


def encode_text(text: str) -> bytes:
    return _NOT_STORABLE.sub(_escaped, text).encode()


def decode_text(data: bytes) -> str:
    text = bytes(data).decode()
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if ESCAPE in text else text


def _escaped(match: re.Match[str]) -> str:
    return f"{ESCAPE}{ord(match[0]):04x}"


def encode_vector(vector: Vectors) -> bytes:
    return _HEADER.pack(len(vector), 0) + np.asarray(vector, dtype=">f4").tobytes()


def decode_vector(data: bytes) -> Vectors:
    return np.frombuffer(data, dtype=">f4", offset=_HEADER.size).astype(np.float32)
