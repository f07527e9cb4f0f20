"""Find the parsers that a project chooses by name, in `[[documents.parsers]]`, in place of groundtune's own loaders.

Each is a module with a class that implements `extensions.Loader`, imported when a rule names it; packages add others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from groundtune.errors import MissingError
from groundtune.ingest.access_rules import applies
from groundtune.ingest.parsers.find_libreoffice import find_libreoffice

if TYPE_CHECKING:
    from groundtune.extensions import Loader

OWN = "groundtune"
"""Names groundtune's own loaders, to except files from a wider rule."""
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

ParserRule = tuple[Sequence[str], str]
"""Patterns of sources, and the name of the parser that reads the matching files."""


@dataclass(frozen=True, slots=True)
class ParserChoice:
    """How one file is read."""

    name: str = ""
    """Name of the parser; empty: by its suffix."""
    version: str = ""
    """Changes whenever the same file would be read differently; empty for groundtune's own loaders."""


def find_parser(name: str) -> "Loader":
    """Return the parser. Raises MissingError for one that nobody adds, or that needs what is not installed."""
    if name in BUILT_IN:
        module, made = BUILT_IN[name]
        parser: Loader = getattr(import_module(f"{__name__}.{module}"), made)()
        return parser
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
    return "ocr" if ocr and suffix in SCANS and find_spec("rapidocr") else None


def choose_parser(
    source: str, suffix: str, rules: Sequence[ParserRule], *, ocr: bool, package_version: Callable[[str], str]
) -> ParserChoice:
    """Return how the document `source` is read: by the last rule that matches, otherwise by its suffix.

    package_version: returns the version of the package's loader for a suffix, empty if there is none.
    """
    source = source.removeprefix("./")  # a file whose name looks like an item
    for patterns, name in reversed(rules):
        if any(applies(source, pattern) for pattern in patterns):
            return ParserChoice() if name == OWN else _choice(name)
    if version := package_version(suffix):
        return ParserChoice(version=version)
    chosen = parser_for_suffix(suffix, ocr=ocr)
    return _choice(chosen) if chosen else ParserChoice()


@cache
def _choice(name: str) -> ParserChoice:
    return ParserChoice(name, f"{name} {find_parser(name).version}")
