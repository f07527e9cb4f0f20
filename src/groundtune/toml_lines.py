"""TOML text to the line of every key and list item in it, and to the same text with a few keys set.

Expects text that tomllib has accepted.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import NoReturn

Key = str | int
Path = tuple[Key, ...]


def key_lines(text: str) -> dict[Path, int]:
    """Line (from 1) by path: `("documents", "access", 0, "groups")`. Tables and list items have lines too."""
    return _Scanner(text.replace("\r\n", "\n")).scan()


def line_of(lines: Mapping[Path, int], path: Path) -> int | None:
    """The line of `path`, else of the nearest thing around it; None when nothing around it is in the file."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def put(text: str, table: str, values: Mapping[str, str | int | None]) -> str:
    """The text with these keys of a `[table]` set, or taken out where the value is None; all else stays as it is.

    Raises ValueError where the table is written in a way that cannot be changed a line at a time.
    """
    end = "\r\n" if "\r\n" in text else "\n"
    lines, places = text.split("\n"), key_lines(text)
    new = {
        key: f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items() if value is not None
    }
    for key in [key for key in values if (table, key) in places]:
        number = places[table, key] - 1
        found = _PAIR.fullmatch(lines[number])
        if found is None:
            raise ValueError(f"line {number + 1} is more than a key and its value")
        lines[number] = f"{found['indent']}{new.pop(key)}{found['rest']}" if key in new else _GONE
    if new and (table,) in places:
        number = places[(table,)] - 1
        if not re.fullmatch(rf"\s*\[\s*{re.escape(table)}\s*\]\s*(#.*)?", lines[number]):
            raise ValueError(f"line {number + 1} is no header [{table}]")
        lines[number] = (end[:-1] + "\n").join([lines[number].rstrip("\r"), *new.values()]) + end[:-1]
    made = "\n".join(line for line in lines if line != _GONE)
    if new and (table,) not in places:
        made = made.rstrip() + end * (2 if made.strip() else 0) + end.join([f"[{table}]", *new.values()]) + end
    wanted = tomllib.loads(text.removeprefix("\ufeff"))
    own = wanted.setdefault(table, {})
    own.update(values)
    wanted[table] = {key: value for key, value in own.items() if value is not None}
    if {table: {}, **tomllib.loads(made.removeprefix("\ufeff"))} != wanted:
        raise ValueError(f"the table [{table}] is not written a line a key")
    return made


_PAIR = re.compile(r"""(?P<indent>\s*)[\w-]+\s*=\s*("[^"\\]*"|'[^']*'|[^\s"'\[{#]+)(?P<rest>\s*(#.*)?)""")
_GONE = "\0"
"""In the place of a line that is taken out; no TOML has it."""


class _Scanner:
    """Walks the text once; only the ends of strings, lists and tables matter to it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._lines: dict[Path, int] = {}
        self._items: dict[Path, int] = {}
        """How many `[[tables]]` stand under a path so far."""

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        while self._blank():
            if self._peek("["):
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _header(self) -> Path:
        many = self._peek("[[")
        self._move(2 if many else 1)
        path = self._resolve(self._key())
        self._move(2 if many else 1)
        if many:
            self._lines.setdefault(path, self._line)
            number = self._items.get(path, 0)
            self._items[path] = number + 1
            path = (*path, number)
        self._mark(path)
        return path

    def _resolve(self, parts: tuple[str, ...]) -> Path:
        """Where a header points: below a list of tables it means the last table of the list."""
        path: Path = ()
        for position, part in enumerate(parts):
            path = (*path, part)
            if position < len(parts) - 1 and path in self._items:
                path = (*path, self._items[path] - 1)
        return path

    def _pair(self, table: Path) -> None:
        path = (*table, *self._key())
        self._mark(path)
        self._move(1)  # the equals sign
        self._space()
        self._value(path)

    def _key(self) -> tuple[str, ...]:
        parts = []
        while True:
            self._space()
            if self._peek('"') or self._peek("'"):
                parts.append(self._string())
            else:
                start = self._at
                while self._at < len(self._text) and self._text[self._at] not in " \t.=]\n":
                    self._at += 1
                if start == self._at:
                    self._lost()
                parts.append(self._text[start : self._at])
            self._space()
            if not self._peek("."):
                return tuple(parts)
            self._move(1)

    def _value(self, path: Path) -> None:
        if self._peek('"') or self._peek("'"):
            self._string()
        elif self._peek("["):
            self._list(path)
        elif self._peek("{"):
            self._move(1)
            while self._blank(",") and not self._peek("}"):
                self._pair(path)
            self._move(1)
        else:
            while self._at < len(self._text) and self._text[self._at] not in ",]}#\n":
                self._at += 1

    def _list(self, path: Path) -> None:
        self._move(1)
        number = 0
        while self._blank(",") and not self._peek("]"):
            self._mark((*path, number))
            self._value((*path, number))
            number += 1
        self._move(1)

    def _string(self) -> str:
        """Steps over a string of any of the four kinds; its content, escapes as they are written."""
        quote = self._text[self._at]
        mark = quote * 3 if self._peek(quote * 3) else quote
        start = self._at + len(mark)
        end = start
        while not self._text.startswith(mark, end):
            if end >= len(self._text):
                self._lost()
            end += 2 if quote == '"' and self._text[end] == "\\" else 1
        while len(mark) == 3 and self._text.startswith(quote, end + 3):
            end += 1  # up to two quotes may stand before the closing three
        self._move(end + len(mark) - self._at)
        return self._text[start:end]

    def _blank(self, also: str = "") -> bool:
        """Steps over space, line ends and comments; whether anything is left."""
        while self._at < len(self._text):
            if self._peek("#"):
                while self._at < len(self._text) and not self._peek("\n"):
                    self._at += 1
            elif self._text[self._at] in " \t\n\ufeff" + also:
                self._move(1)
            else:
                return True
        return False

    def _space(self) -> None:
        while self._peek(" ") or self._peek("\t"):
            self._at += 1

    def _peek(self, what: str) -> bool:
        return self._text.startswith(what, self._at)

    def _move(self, characters: int) -> None:
        self._line += self._text.count("\n", self._at, self._at + characters)
        self._at += characters

    def _mark(self, path: Path) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], self._line)

    def _lost(self) -> NoReturn:
        raise ValueError(f"line {self._line} is not TOML")
