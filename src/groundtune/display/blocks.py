"""Write lines, tables and folds as plain text or as HTML. Knows nothing about the results that are shown.

The HTML inherits colours and fonts from the notebook, so that it is readable in dark and light themes, and runs no
script. Every text is escaped, in HTML and for the terminal.
"""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Tone = Literal["plain", "strong", "dim"]

_FAINT = "opacity:0.7"
_STYLES: dict[Tone, str] = {"plain": "", "strong": "font-weight:bold", "dim": _FAINT}
_CELL = "text-align:left;vertical-align:top;padding:0.2em 0.8em 0.2em 0"


@dataclass(frozen=True, slots=True)
class Line:
    """A paragraph. Line breaks in it are kept."""

    text: str
    tone: Tone = "plain"
    indent: int = 0
    """Levels of indentation."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of values under their columns. None is a dash, numbers are right-aligned."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Fold:
    """A title with details. A notebook shows them after a click, a terminal not at all, unless it is open."""

    title: str
    blocks: Sequence["Block"]
    open: bool = False


Block = Line | Table | Fold


class Displayed:
    """Base of results: `str` gives their view as text, a notebook shows it as HTML, `repr` stays that of the class."""

    __slots__ = ()

    def view(self) -> list[Block]:
        """Return what a person should see of the result."""
        raise NotImplementedError

    def __str__(self) -> str:
        return as_text(self.view())

    def _repr_html_(self) -> str:
        return as_html(self.view())


def as_text(blocks: Iterable[Block]) -> str:
    """Return the blocks as plain text for a terminal: no colours, no trailing line break."""
    return "\n".join(line.rstrip() for block in blocks for line in _text_lines(block))


def as_html(blocks: Iterable[Block]) -> str:
    """Return the blocks as one HTML element."""
    return f'<div class="groundtune">{"".join(map(_html, blocks))}</div>'


def excerpt(text: str, length: int) -> str:
    """Return the beginning of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1].rstrip()}…"


def _text_lines(block: Block) -> list[str]:
    if isinstance(block, Table):
        return _aligned(block)
    if isinstance(block, Fold):
        inner = [f"  {line}" for part in block.blocks for line in _text_lines(part)] if block.open else []
        return [_printable(block.title), *inner]
    return ["  " * block.indent + line for line in _printable(block.text).split("\n")]


def _aligned(table: Table) -> list[str]:
    cells = [[_printable(_cell(value)) for value in row] for row in (table.columns, *table.rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(table.columns))]
    right = [_is_number(table, at) for at in range(len(table.columns))]
    return [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, right, strict=True)
        )
        for row in cells
    ]


def _html(block: Block) -> str:
    if isinstance(block, Table):
        head = "".join(f'<th style="{_CELL}">{_escaped(name)}</th>' for name in block.columns)
        rows = "".join(f"<tr>{''.join(map(_html_cell, row))}</tr>" for row in block.rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    if isinstance(block, Fold):
        title, inner = _escaped(block.title), "".join(map(_html, block.blocks))
        return f"<details{' open' if block.open else ''}><summary>{title}</summary>{inner}</details>"
    if not block.text:
        return ""
    style = f"margin:0.3em 0 0.3em {1.5 * block.indent:g}em;white-space:pre-wrap;{_STYLES[block.tone]}"
    return f'<div style="{style}">{_escaped(block.text)}</div>'


def _html_cell(value: Any) -> str:
    return f'<td style="{_CELL}">{_escaped(_cell(value))}</td>'


def _is_number(table: Table, at: int) -> bool:
    values = [row[at] for row in table.rows if row[at] is not None]
    return bool(values) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _printable(text: str) -> str:
    """Escape control characters, which could change what a terminal shows, and lone surrogates."""
    return "".join(
        char if char.isprintable() or char == "\n" else " " if char == "\t" else char.encode("unicode_escape").decode()
        for char in text.replace("\r\n", "\n")
    )


def _escaped(text: str) -> str:
    return html.escape(text.encode("utf-8", "replace").decode())
