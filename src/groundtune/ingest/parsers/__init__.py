"""Find the parsers that a project chooses by name, in `[[documents.parsers]]`, in place of groundtune's own loaders.

Each is a module with a class that implements `extensions.Loader`, imported when a rule names it; packages add others.
"""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from groundtune.errors import MissingError
from groundtune.ingest.parsers.find_libreoffice import find_libreoffice

if TYPE_CHECKING:
    from groundtune.extensions import Loader

BUILT_IN = {
    "libreoffice": ("libreoffice", "LibreOfficeParser"),
    "markitdown": ("markitdown", "MarkItDownParser"),
    "ocr": ("ocr", "OcrParser"),
    "ocr-all-pages": ("ocr", "AllPagesOcrParser"),
}
"""Module and class of the parsers that groundtune brings, by name."""
LEGACY = frozenset({".doc", ".dot", ".xls", ".xlt", ".xlsb", ".ppt", ".pps", ".pot"})
"""Suffixes that LibreOffice reads where it is installed; nothing else does."""
SCANS = frozenset({".pdf", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})
"""Suffixes of files whose pages may be pictures."""


def find_parser(name: str) -> "Loader":
    """Return the parser. Raises MissingError for one that nobody adds, or that needs what is not installed."""
    if name in BUILT_IN:
        return _built_in(name)
    from groundtune.extensions import how_to_get, load_extensions  # takes a while, and few projects need it

    added = load_extensions().parsers
    if name not in added:
        raise MissingError(f'there is no parser "{name}"', hint=how_to_get("parser", name))
    return added[name]


def parser_for_suffix(suffix: str, *, ocr: bool = True) -> str | None:
    """Return the parser that reads files of this suffix where it is installed, in place of a loader or without one.

    ocr: whether pages that are pictures may be read.
    """
    if suffix in LEGACY and find_libreoffice():
        return "libreoffice"
    return "ocr" if ocr and suffix in SCANS and _has_ocr() else None


@cache
def _built_in(name: str) -> "Loader":
    """Return the parser, made once: one that loads models keeps them for the files to come."""
    module, made = BUILT_IN[name]
    parser: Loader = getattr(import_module(f"{__name__}.{module}"), made)()
    return parser


@cache
def _has_ocr() -> bool:
    """Whether the extra is installed; asked for every file of a scan."""
    return find_spec("rapidocr") is not None
