"""Load a file as one or more `ParsedDocument`; every failure is a ParseError. Never derives a title from a file name.

Each format is a module with `parse(path, data) -> list[ParsedDocument]`, imported with the first file of its kind.
"""

from collections.abc import Collection
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.errors import ParseError
from groundtune.ingest.loaders import file_formats
from groundtune.ingest.parsed import ParsedDocument
from groundtune.ingest.parsers import find_parser, parser_for_suffix

PARSER_VERSION = "2"
"""Part of the index manifest: raise it when the same file would give a different text."""

if TYPE_CHECKING:
    from groundtune.extensions import Extensions, Loader

SOURCE_CODE = tuple(
    """.bash .bat .c .cc .cfg .cjs .conf .cpp .cs .css .cxx .dart .ex .go .gradle .graphql .h .hpp .hs .ini .java
    .jl .js .jsx .kt .lua .mjs .php .pl .properties .proto .psm .py .pyi .r .rb .rs .sass .scala .scss .sh .sql
    .svelte .swift .tf .toml .ts .tsx .vue .yaml .yml .zsh""".split()
)
"""Suffixes of source code and configuration, which is read line by line; `.env` is not among them, as it holds keys."""
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
    ".odt": "application/vnd.oasis.opendocument.text",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".rtf": "application/rtf",
    ".xlsx": f"{_OPENXML}.spreadsheetml.sheet",
    ".xlsm": "application/vnd.ms-excel.sheet.macroEnabled.12",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
    ".json": "application/json",
    ".epub": "application/epub+zip",
    ".eml": "message/rfc822",
    ".mbox": "application/mbox",
    ".msg": "application/vnd.ms-outlook",
    ".ipynb": "application/x-ipynb+json",
    ".mdx": "text/markdown",
    ".adoc": "text/asciidoc",
    ".asciidoc": "text/asciidoc",
    ".xml": "application/xml",
    ".rss": "application/rss+xml",
    ".atom": "application/atom+xml",
    ".dita": "application/dita+xml",
    ".docbook": "application/docbook+xml",
    ".srt": "application/x-subrip",
    ".vtt": "text/vtt",
    **dict.fromkeys(SOURCE_CODE, "text/x-source"),
}

_MODULES = {
    "text/markdown": "markdown",
    "text/plain": "text",
    "text/x-rst": "rst",
    "text/asciidoc": "adoc",
    "text/x-source": "source_code",
    "application/x-subrip": "subtitles",
    "text/vtt": "subtitles",
    **dict.fromkeys(
        ("application/xml", *(f"application/{kind}+xml" for kind in ("rss", "atom", "dita", "docbook"))), "xml"
    ),
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/pdf": "pdf",
    f"{_OPENXML}.wordprocessingml.document": "docx",
    f"{_OPENXML}.presentationml.presentation": "pptx",
    "application/vnd.oasis.opendocument.text": "odt",
    "application/vnd.oasis.opendocument.presentation": "odp",
    "application/rtf": "rtf",
    f"{_OPENXML}.spreadsheetml.sheet": "xlsx",
    "application/vnd.ms-excel.sheet.macroEnabled.12": "xlsx",
    "application/vnd.oasis.opendocument.spreadsheet": "ods",
    "text/csv": "delimited",
    "text/tab-separated-values": "delimited",
    "application/x-ndjson": "jsonlines",
    "application/json": "json",
    "application/epub+zip": "epub",
    "message/rfc822": "eml",
    "application/mbox": "mbox",
    "application/vnd.ms-outlook": "msg",
    "application/x-ipynb+json": "ipynb",
}


def package_loader(suffix: str, replaced: Collection[str] = ()) -> "Loader | None":
    """Return the loader that a package adds for a suffix; None if there is none, or if groundtune reads such files.

    replaced: suffixes for which the loader of a package is used in place of groundtune's own. Imports packages only for
    these, and for suffixes that groundtune does not know.
    """
    if not suffix or (suffix in MEDIA_TYPES and suffix not in replaced):
        return None
    return _extensions().loaders.get(suffix)


def _extensions() -> "Extensions":
    from groundtune.extensions import load_extensions  # takes a while, and few worker processes need it

    return load_extensions()


def loader_version(suffix: str, replaced: Collection[str] = ()) -> str:
    """Return the version of the package's loader for a suffix; empty if there is none."""
    loader = package_loader(suffix, replaced)
    return "" if loader is None else str(loader.version)


def is_readable(suffix: str) -> bool:
    """Whether groundtune or a package reads files of this suffix."""
    return suffix in MEDIA_TYPES or package_loader(suffix) is not None or parser_for_suffix(suffix) is not None


def load(path: Path, *, parser: str = "", replaced: Collection[str] = ()) -> list[ParsedDocument]:
    """Return one `ParsedDocument`, or one per row for tables. Raises ParseError, and MemoryError when the file does not
    fit.

    parser: name of the parser to use, see `parsers`; empty for the one of its suffix. replaced: see `package_loader`.
    """
    suffix = path.suffix.lower()
    if parser:
        return _load_with(find_parser(parser), path, f'the parser "{parser}"')
    if loader := package_loader(suffix, replaced):
        return _load_with(loader, path, f"the loader for {suffix} files")
    media_type = MEDIA_TYPES.get(suffix)
    if media_type is None or suffix in replaced:
        broken = _extensions().broken if suffix else {}
        raise ParseError("; ".join([file_formats.unsupported_reason(suffix), *broken.values()]), skip=True)
    data = read_bytes(path)
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


def _load_with(loader: "Loader", path: Path, name: str) -> list[ParsedDocument]:
    try:
        parsed: Any = loader.load(path)
    except (ParseError, MemoryError):
        raise
    except OSError as error:
        raise ParseError(f"cannot be read: {error.strerror or error}") from error
    except Exception as error:
        raise ParseError(f"cannot be parsed by {name} ({_first_line(error)})") from error
    documents = [parsed] if isinstance(parsed, ParsedDocument) else parsed
    if not isinstance(documents, list) or not all(isinstance(document, ParsedDocument) for document in documents):
        raise ParseError(f"{name} did not return a ParsedDocument, or a list of them")
    if not any(document.blocks for document in documents):
        raise ParseError("contains no text", skip=True)
    return documents


def read_bytes(path: Path) -> bytes:
    """Return the content of a file. Raises ParseError if there is none, with the reason."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ParseError("disappeared before it could be read") from error
    except PermissionError as error:
        raise ParseError("permission denied; grant read access") from error
    except IsADirectoryError as error:
        raise ParseError("is a folder", skip=True) from error
    except OSError as error:
        raise ParseError(f"cannot be read: {error.strerror or error}") from error
    if not data:
        raise ParseError("empty file", skip=True)
    return data


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
