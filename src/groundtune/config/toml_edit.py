"""Find the line of every key and list item in TOML text, and set keys in it without touching the rest.

Expects text that tomllib has accepted.
"""

import tomllib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

Key = str | int
Path = tuple[Key, ...]


def key_lines(text: str) -> dict[Path, int]:
    """Return the line (from 1) of each key, table and list item by path: `("documents", "access", 0, "groups")`."""
    return _TomlScanner(text.replace("\r\n", "\n")).scan()


def line_of(lines: Mapping[Path, int], path: Path) -> int | None:
    """Return the line of `path`, else of its nearest parent; None when the file has neither."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def set_keys(text: str, table: str, values: Mapping[str, str | float | Sequence[str] | None]) -> str:
    """Return the text with these keys of a table set, or removed where the value is None; all else is unchanged.

    A table that loses its last key goes too, unless it holds comments.

    Raises ValueError when the text is not TOML, or cannot be edited without changing anything else.
    """
    import tomlkit  # slow to import, and few commands change the file
    from tomlkit.items import InlineTable, Table

    body, end = text.removeprefix("\ufeff"), "\r\n" if "\r\n" in text else "\n"
    expected, document = tomllib.loads(body), tomlkit.parse(body)
    if not isinstance(current := expected.setdefault(table, {}), dict):
        raise ValueError(f"{table} is not a table")
    if document.as_string() != body:
        raise ValueError("another table stands between two [[tables]] of one list")
    new = {key: tomlkit.item(value) for key, value in values.items() if value is not None}
    expected[table] = {key: value for key, value in current.items() if key not in values} | new
    if new and table not in document:
        document = tomlkit.parse(body.rstrip() + end * (2 if body.strip() else 0) + f"[{table}]{end}")
    below_header = ""
    for key in [key for key in values if key in new or key in current]:
        section: Any = document[table]  # read again, because the view of a scattered table becomes outdated
        if key not in new:
            del section[key]
        elif key not in current and isinstance(section, Table) and not section.is_super_table():
            below_header += f"{key} = {new[key].as_string()}{end}"
        else:
            section[key] = new[key]
            new[key].trivia.trail = "" if isinstance(section, InlineTable) else end
    if below_header:
        trivia = section.trivia
        trivia.trail = (trivia.trail or end) + below_header
    is_bare = bool(current) and not expected[table]
    if is_bare and table in document and "#" not in _written(document, table):
        document.remove(table)
    edited = document.as_string()
    if is_bare and len(edited) < len(body) and body.startswith(edited):  # it was the last one
        edited = edited.rstrip("\r\n") + end if edited.strip() else ""
    if {table: {}, **tomllib.loads(edited)} != expected:
        raise ValueError(f"the edit would change more than [{table}]")
    return text[: len(text) - len(body)] + edited


def _written(document: "TOMLDocument", table: str) -> str:
    """Return what the file says of an empty table: its comments and blank lines."""
    section: Any = document[table]
    return f"{section.trivia.comment}{section.as_string()}"


class _TomlScanner:
    """Scan the text once, tracking only where strings, lists and tables end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._offset = 0
        self._line = 1
        self._lines: dict[Path, int] = {}
        self._items: dict[Path, int] = {}
        """Number of `[[tables]]` under a path so far."""

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        while self._skip_blank():
            if self._peek("["):
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _header(self) -> Path:
        listed = self._peek("[[")
        self._move(2 if listed else 1)
        path = self._resolve(self._key())
        self._move(2 if listed else 1)
        if listed:
            self._lines.setdefault(path, self._line)
            number = self._items.get(path, 0)
            self._items[path] = number + 1
            path = (*path, number)
        self._mark(path)
        return path

    def _resolve(self, parts: tuple[str, ...]) -> Path:
        """Return the path of a header; below a list of tables it means the last table of the list."""
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
        self._skip_space()
        self._value(path)

    def _key(self) -> tuple[str, ...]:
        parts = []
        while True:
            self._skip_space()
            if self._peek('"') or self._peek("'"):
                parts.append(self._string())
            else:
                start = self._offset
                while self._offset < len(self._text) and self._text[self._offset] not in " \t.=]\n":
                    self._offset += 1
                if start == self._offset:
                    self._fail()
                parts.append(self._text[start : self._offset])
            self._skip_space()
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
            while self._skip_blank(",") and not self._peek("}"):
                self._pair(path)
            self._move(1)
        else:
            while self._offset < len(self._text) and self._text[self._offset] not in ",]}#\n":
                self._offset += 1

    def _list(self, path: Path) -> None:
        self._move(1)
        number = 0
        while self._skip_blank(",") and not self._peek("]"):
            self._mark((*path, number))
            self._value((*path, number))
            number += 1
        self._move(1)

    def _string(self) -> str:
        """Skip a string of any of the four kinds and return its content, escapes unchanged."""
        quote = self._text[self._offset]
        mark = quote * 3 if self._peek(quote * 3) else quote
        start = self._offset + len(mark)
        end = start
        while not self._text.startswith(mark, end):
            if end >= len(self._text):
                self._fail()
            end += 2 if quote == '"' and self._text[end] == "\\" else 1
        while len(mark) == 3 and self._text.startswith(quote, end + 3):
            end += 1  # up to two quotes may stand before the closing three
        self._move(end + len(mark) - self._offset)
        return self._text[start:end]

    def _skip_blank(self, also: str = "") -> bool:
        """Skip white space, line ends and comments; return whether anything is left."""
        while self._offset < len(self._text):
            if self._peek("#"):
                while self._offset < len(self._text) and not self._peek("\n"):
                    self._offset += 1
            elif self._text[self._offset] in " \t\n\ufeff" + also:
                self._move(1)
            else:
                return True
        return False

    def _skip_space(self) -> None:
        while self._peek(" ") or self._peek("\t"):
            self._offset += 1

    def _peek(self, prefix: str) -> bool:
        return self._text.startswith(prefix, self._offset)

    def _move(self, characters: int) -> None:
        self._line += self._text.count("\n", self._offset, self._offset + characters)
        self._offset += characters

    def _mark(self, path: Path) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], self._line)

    def _fail(self) -> NoReturn:
        raise ValueError(f"line {self._line} is not TOML")
