"""Load a file as one or more `ParsedDocument`; every failure is a ParseError. Never derives a title from a file name.

Each format is a module with `parse(path, data) -> list[ParsedDocument]`, imported with the first file of its kind.
"""

from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from typing import Any

from groundtune.errors import ParseError
from groundtune.ingest.loaders import file_formats
from groundtune.ingest.parsed import ParsedDocument

PARSER_VERSION = "1"
"""Part of the index manifest: raise it when the same file would give a different text."""

_OPENXML = "application/vnd.openxmlformats-officedocument"
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
    ".docx": f"{_OPENXML}.wordprocessingml.document",
    ".pptx": f"{_OPENXML}.presentationml.presentation",
    ".xlsx": f"{_OPENXML}.spreadsheetml.sheet",
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
    f"{_OPENXML}.wordprocessingml.document": "docx",
    f"{_OPENXML}.presentationml.presentation": "pptx",
    f"{_OPENXML}.spreadsheetml.sheet": "xlsx",
    "application/vnd.ms-excel.sheet.macroEnabled.12": "xlsx",
    "text/csv": "delimited",
    "text/tab-separated-values": "delimited",
    "application/x-ndjson": "jsonlines",
    "application/json": "json",
    "application/epub+zip": "epub",
    "message/rfc822": "eml",
    "application/x-ipynb+json": "ipynb",
}


def supported_suffixes() -> frozenset[str]:
    """Return the suffixes of the files that can be read, those that extension packages read included."""
    from groundtune.extensions import load_extensions

    return frozenset(MEDIA_TYPES) | frozenset(load_extensions().loaders)


def load(path: Path, *, extended: Collection[str] = ()) -> list[ParsedDocument]:
    """Return one `ParsedDocument`, or one per row for tables. Raises ParseError, and MemoryError when the file does not
    fit.

    extended: suffixes that loaders of extension packages read, even if groundtune reads them too.
    """
    if path.suffix.lower() in extended:
        return _load_extended(path)
    media_type = MEDIA_TYPES.get(path.suffix.lower())
    if media_type is None:
        raise ParseError(file_formats.unsupported_reason(path.suffix.lower()), skip=True)
    data = _read(path)
    if not data:
        raise ParseError("empty file", skip=True)
    file_formats.check_format(path.suffix.lower(), data)
    module = import_module(f"{__name__}.{_MODULES[media_type]}")
    try:
        parsed: list[ParsedDocument] = module.parse(path, data)
    except (ParseError, MemoryError):
        raise
    except RecursionError as error:
        raise ParseError("is nested too deeply to parse") from error
    except Exception as error:  # third-party parsers raise anything on a damaged file; none may stop ingest
        raise ParseError(f"cannot be parsed ({_first_line(error)}); save it again") from error
    if not any(document.blocks for document in parsed):
        raise ParseError("contains no text", skip=True)
    return parsed


def _load_extended(path: Path) -> list[ParsedDocument]:
    """Load a file with an extension package, which is imported with the first such file."""
    from groundtune.extensions import load_extensions  # takes a while, and few workers need it

    suffix, extensions = path.suffix.lower(), load_extensions()
    loader = extensions.loaders.get(suffix)
    if loader is None:
        reasons = "; ".join(extensions.broken.values()) or "no package registers one"
        raise ParseError(f"the loader for {suffix} files cannot be loaded: {reasons}")
    try:
        parsed: Any = loader.load(path)
    except (ParseError, MemoryError):
        raise
    except OSError as error:
        raise ParseError(f"cannot be read: {error.strerror or error}") from error
    except Exception as error:
        raise ParseError(f"cannot be parsed by the loader for {suffix} files ({_first_line(error)})") from error
    documents = [parsed] if isinstance(parsed, ParsedDocument) else parsed
    if not isinstance(documents, list) or not all(isinstance(document, ParsedDocument) for document in documents):
        raise ParseError(f"the loader for {suffix} files did not return a ParsedDocument, or a list of them")
    if not any(document.blocks for document in documents):
        raise ParseError("contains no text", skip=True)
    return documents


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ParseError("disappeared before it could be read") from error
    except PermissionError as error:
        raise ParseError("permission denied; grant read access") from error
    except IsADirectoryError as error:
        raise ParseError("is a folder", skip=True) from error
    except OSError as error:
        raise ParseError(f"cannot be read: {error.strerror or error}") from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
