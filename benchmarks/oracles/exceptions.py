"""Exceptions of exceptions.toml: what is taken out of a program's view, or of our text, before both are compared."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Exceptions:
    """All exceptions of one format."""

    selectors: tuple[str, ...] = ()
    lines: re.Pattern[str] | None = None
    blocks: re.Pattern[str] | None = None
    files: frozenset[str] = frozenset()

    def of_program(self, text: str) -> str:
        """Return the text without the lines that are taken out."""
        pattern = self.lines
        if pattern is None:
            return text
        return "\n".join(line for line in text.split("\n") if not pattern.fullmatch(line.strip()))


NO_EXCEPTIONS = Exceptions()


@cache
def exceptions_of(suffix: str) -> Exceptions:
    """Return the exceptions of a format, by its suffix."""
    table = tomllib.loads(Path(__file__).with_name("exceptions.toml").read_text("utf-8"))
    mine = [each for each in table.values() if suffix in each["formats"]]
    return Exceptions(
        tuple(selector for each in mine for selector in each.get("selectors", ())),
        _pattern([pattern for each in mine for pattern in each.get("lines", ())]),
        _pattern([pattern for each in mine for pattern in each.get("blocks", ())]),
        frozenset(name for each in mine for name in each.get("files", ())),
    )


def _pattern(parts: list[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(parts), re.IGNORECASE) if parts else None
