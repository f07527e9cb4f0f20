"""Decide which parser reads a document, by the rules of the project file and by its suffix. Reads no file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from groundtune.ingest.access_rules import applies
from groundtune.ingest.parsers import find_parser, parser_for_suffix

OWN = "groundtune"
"""Names groundtune's own loaders, to except files from a wider rule."""
ParserRule = tuple[Sequence[str], str]
"""Patterns of sources, and the name of the parser that reads the matching files."""


@dataclass(frozen=True, slots=True)
class ParserChoice:
    """How one file is read."""

    name: str = ""
    """Name of the parser; empty: by its suffix."""
    version: str = ""
    """Changes whenever the same file would be read differently; empty for groundtune's own loaders."""


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
