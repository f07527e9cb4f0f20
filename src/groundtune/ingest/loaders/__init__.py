"""A file becomes one or more `Parsed`; every way in which it cannot is a ParseError. Never guesses a title from a name.

Each family is a module with `parse(path, data) -> list[Parsed]`, imported when the first file of its kind comes.
"""

from importlib import import_module
from pathlib import Path

from groundtune.errors import ParseError
from groundtune.ingest.loaders import kinds
from groundtune.ingest.parsed import Parsed

PARSER_VERSION = "1"
"""Part of the digest of every document: raise it when the same file would give another text."""

_WORD = "application/vnd.openxmlformats-officedocument"
MEDIA_TYPES: dict[str, str] = {
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".txt": "text/plain",
    ".text": "text/plain",
    ".log": "text/plain",
    ".rst": "text/x-rst",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "application/xhtml+xml",
    ".pdf": "application/pdf",
    ".docx": f"{_WORD}.wordprocessingml.document",
    ".pptx": f"{_WORD}.presentationml.presentation",
    ".xlsx": f"{_WORD}.spreadsheetml.sheet",
    ".xlsm": "application/vnd.ms-excel.sheet.macroEnabled.12",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
    ".json": "application/json",
    ".epub": "application/epub+zip",
    ".eml": "message/rfc822",
    ".ipynb": "application/x-ipynb+json",
}

_MODULES = {
    "text/markdown": "markdown",
    "text/plain": "text",
    "text/x-rst": "text",
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/pdf": "pdf",
    f"{_WORD}.wordprocessingml.document": "docx",
    f"{_WORD}.presentationml.presentation": "pptx",
    f"{_WORD}.spreadsheetml.sheet": "xlsx",
    "application/vnd.ms-excel.sheet.macroEnabled.12": "xlsx",
    "text/csv": "delimited",
    "text/tab-separated-values": "delimited",
    "application/x-ndjson": "jsonlines",
    "application/json": "json",
    "application/epub+zip": "epub",
    "message/rfc822": "eml",
    "application/x-ipynb+json": "ipynb",
}


def load(path: Path) -> list[Parsed]:
    """One Parsed for a document, one a row for table files. Raises ParseError, and MemoryError when it does not fit."""
    media_type = MEDIA_TYPES.get(path.suffix.lower())
    if media_type is None:
        raise ParseError(kinds.unsupported(path.suffix.lower()), skip=True)
    data = _read(path)
    if not data:
        raise ParseError("zero bytes", skip=True)
    kinds.check(path.suffix.lower(), data)
    module = import_module(f"{__name__}.{_MODULES[media_type]}")
    try:
        parsed: list[Parsed] = module.parse(path, data)
    except (ParseError, MemoryError):
        raise
    except RecursionError as error:
        raise ParseError("is nested too deeply to be read") from error
    except Exception as error:  # the parsers of five libraries raise anything on a broken file; none may stop ingest
        raise ParseError(f"cannot be read ({_first_line(error)}); save it again") from error
    if not any(one.blocks for one in parsed):
        raise ParseError("no text in it", skip=True)
    return parsed


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ParseError("vanished before it could be read") from error
    except PermissionError as error:
        raise ParseError("permission denied; let this user read it") from error
    except IsADirectoryError as error:
        raise ParseError("is a folder", skip=True) from error
    except OSError as error:
        raise ParseError(f"cannot be read: {error.strerror or error}") from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
