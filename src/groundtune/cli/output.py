"""Print for all verbs: results to stdout, everything else to stderr. Computes nothing."""

import contextlib
import dataclasses
import json
import os
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from groundtune.display import Block, Line, Table
from groundtune.display.blocks import as_text
from groundtune.types import Interval

if TYPE_CHECKING:
    from rich.progress import Progress

SPARSE_SECONDS = 10.0
"""Interval between progress lines when stderr is not a terminal, unless the variable says otherwise."""
INTERVAL = "GROUNDTUNE_PROGRESS_SECONDS"


def stdout_console() -> Console:
    """Return the console for results. It never wraps lines when stdout is not a terminal."""
    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=not sys.stdout.isatty())


def stderr_console() -> Console:
    """Return the console for progress, warnings and hints."""
    return Console(file=sys.stderr, highlight=False, markup=False, emoji=False, soft_wrap=not sys.stderr.isatty())


def print_line(text: str = "", *, style: str = "") -> None:
    """Print a line of the result to stdout."""
    stdout_console().print(text, style=style or None)


def print_note(text: str, *, style: str = "") -> None:
    """Print a line to stderr that is not part of the result."""
    stderr_console().print(text, style=style or None)


def warn(text: str) -> None:
    """Print a warning; the command continues."""
    stderr_console().print(Text.assemble(("warning: ", "yellow"), text))


def hint(text: str) -> None:
    """Print how to fix an error."""
    stderr_console().print(Text.assemble(("hint: ", "cyan"), text))


def next_step(command: str, why: str = "") -> None:
    """Print the command to run next, as the last line of a verb."""
    stderr_console().print(Text.assemble(("next: ", "cyan"), (command, "bold"), f"  ({why})" if why else ""))


def printable(path: Path | str) -> str:
    """Return a path or text that is safe to print: control characters and undecodable bytes are escaped."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def excerpt(text: str, length: int) -> str:
    """Return the beginning of a text on one line, safe to print."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def interval(value: Interval, *, digits: int = 3) -> str:
    """Format an interval: `0.893 [0.871, 0.914] n=120`."""
    return f"{value.mean:.{digits}f} [{value.low:.{digits}f}, {value.high:.{digits}f}] n={value.n}"


def show_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, droppable: Sequence[str] = ()) -> list[str]:
    """Print a table. Numbers are right-aligned, an Interval is written out, None is a dash.

    droppable: columns to drop, in this order, when the terminal is too narrow; the remaining columns are then
    never wrapped. Returns the dropped columns in table order.
    """
    console = stdout_console()
    if not sys.stdout.isatty():
        console.width = 10_000  # nothing is cut or folded in a file or a pipe
    texts = [[_cell(value) for value in row] for row in rows]
    widest = [max((row[at].cell_len for row in texts), default=0) for at in range(len(columns))]
    by_word = [max(width, *map(cell_len, head.split()), 0) for head, width in zip(columns, widest, strict=True)]
    kept = list(range(len(columns)))
    for name in droppable:
        if _total(by_word, kept) <= console.width:
            break
        kept.remove(columns.index(name))
    in_line = [max(width, cell_len(head)) for head, width in zip(columns, widest, strict=True)]
    widths = in_line if _total(in_line, kept) <= console.width else by_word
    if droppable:
        console.width = max(console.width, _total(widths, kept))
    fits = _total(widths, kept) <= console.width

    table = RichTable(box=None, pad_edge=False, header_style="bold")
    for at in kept:
        cells = [row[at] for row in rows if row[at] is not None]
        number = bool(cells) and all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in cells)
        width = widths[at] if fits else None
        justify: Literal["left", "right"] = "right" if number else "left"
        names = at == 0 and 2 * widths[at] <= console.width  # a name stays in one line where there is room for it
        table.add_column(columns[at], justify=justify, overflow="fold", width=width, no_wrap=names)
    for row in texts:
        table.add_row(*(row[at] for at in kept))
    console.print(table)
    return [head for at, head in enumerate(columns) if at not in kept]


def show_blocks(blocks: Iterable[Block], *, whole: bool = False) -> None:
    """Print lines and tables of a result; columns of a table after the second are dropped where they do not fit.

    whole: no column is dropped; cells are folded.
    """
    for block in blocks:
        if isinstance(block, Table):
            show_table(block.columns, block.rows, droppable=() if whole else block.columns[:1:-1])
        else:
            style = "bold" if isinstance(block, Line) and block.tone == "strong" else ""
            print_line("\n".join(map(_hanging, as_text([block]).split("\n"))), style=style)


def _hanging(line: str) -> str:
    """Break a line at the width of the terminal, its further lines indented below it."""
    if not sys.stdout.isatty():
        return line
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    width = max(20, stdout_console().width)
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )


def _total(widths: Sequence[int], kept: Sequence[int]) -> int:
    """Return the width of a line, with two spaces between columns."""
    return sum(widths[at] for at in kept) + 2 * (len(kept) - 1)


def _cell(value: Any) -> Text:
    if value is None:
        return Text("–")
    if isinstance(value, Interval):
        return Text(interval(value))
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, int):
        return Text(f"{value:,}")
    return Text(f"{value:.3f}" if isinstance(value, float) else str(value))


def print_json(value: Any) -> None:
    """Print one JSON object to stdout. Raises ValueError for NaN and infinity, TypeError for other types."""
    text = json.dumps(jsonable(value), ensure_ascii=False, indent=2, allow_nan=False)
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode() + "\n")


def jsonable(value: Any) -> Any:
    """Convert dataclasses, mappings, sequences, sets, paths and numpy values to plain JSON values."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, Path):
        return os.fspath(value)
    if isinstance(value, AbstractSet):
        return sorted(map(jsonable, value), key=str)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [jsonable(item) for item in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "model_dump"):
        return jsonable(value.model_dump())
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


class ProgressBar(Protocol):
    """Progress of a long piece of work."""

    def update(self, done: int, *, total: int | None = None, now: str = "") -> None:
        """Set the progress to done of total; `now` names the current item."""
        ...


@contextlib.contextmanager
def progress(title: str, *, total: int | None = None) -> Iterator[ProgressBar]:
    """Show a progress bar on stderr if it is a terminal, else print a line every SPARSE_SECONDS."""
    if not stderr_console().is_terminal:
        yield _Lines(title, total)
        return
    from rich.progress import (  # a report, which is printed at once, takes no longer than this import
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[now]}", markup=False),
    )
    with Progress(*columns, console=stderr_console(), transient=True) as display:
        yield _TerminalBar(display, display.add_task(title, total=total, now=""))


class _TerminalBar:
    def __init__(self, display: "Progress", task: Any) -> None:
        self._display = display
        self._task = task

    def update(self, done: int, *, total: int | None = None, now: str = "") -> None:
        name = printable(now)
        self._display.update(self._task, completed=done, total=total, now=name if len(name) <= 40 else "…" + name[-39:])


class _Lines:
    def __init__(self, title: str, total: int | None) -> None:
        self._title = title
        self._total = total
        self._interval = float(os.environ.get(INTERVAL, SPARSE_SECONDS))
        self._printed = time.monotonic()

    def update(self, done: int, *, total: int | None = None, now: str = "") -> None:
        self._total = total if total is not None else self._total
        if time.monotonic() - self._printed >= self._interval:
            self._printed = time.monotonic()
            total_text = f" of {self._total:,}" if self._total is not None else ""
            print_note(f"{self._title}: {done:,}{total_text}" + (f" ({printable(now)})" if now else ""))
