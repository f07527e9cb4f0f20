"""What verbs print: results on stdout, everything else on stderr. Computes nothing, and asks nothing."""

import contextlib
import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any, Protocol

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from groundtune.types import Interval

SPARSE_SECONDS = 10.0
"""Between two lines of progress where there is no terminal."""


def out() -> Console:
    """The console of results. Lines are never wrapped where there is no terminal."""
    return Console(file=sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=not sys.stdout.isatty())


def err() -> Console:
    """The console of progress, warnings and hints."""
    return Console(file=sys.stderr, highlight=False, markup=False, emoji=False, soft_wrap=not sys.stderr.isatty())


def show(text: str = "", *, style: str = "") -> None:
    """A line of the result."""
    out().print(text, style=style or None)


def note(text: str, *, style: str = "") -> None:
    """A line on stderr that is no result."""
    err().print(text, style=style or None)


def warn(text: str) -> None:
    """Something that the reader should know, though the command goes on."""
    err().print(Text.assemble(("warning: ", "yellow"), text))


def hint(text: str) -> None:
    """How to fix an error."""
    err().print(Text.assemble(("hint: ", "cyan"), text))


def next_step(command: str, why: str = "") -> None:
    """The command that comes next; the last line of a verb."""
    err().print(Text.assemble(("next: ", "cyan"), (command, "bold"), f"  ({why})" if why else ""))


def named(path: Path | str) -> str:
    """A path that is safe to print: line ends, escape sequences and bytes that are no text are written out."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def excerpt(text: str, length: int) -> str:
    """The beginning of a text on one line, safe to print."""
    line = named(" ".join(text.split()))
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 file`, `2,000 files`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def interval(value: Interval, *, digits: int = 3) -> str:
    """`0.893 [0.871, 0.914] n=120`."""
    return f"{value.mean:.{digits}f} [{value.low:.{digits}f}, {value.high:.{digits}f}] n={value.n}"


def show_table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str = "", spare: Sequence[str] = ()
) -> list[str]:
    """Columns with numbers are set to the right; an Interval is written out, None as a dash.

    spare: columns that may be left out on a terminal that is too narrow, the first one first; the others are then not
    wrapped however narrow it is. Returns those left out, in the order of the table.
    """
    console = out()
    if not sys.stdout.isatty():
        console.width = 10_000  # nothing is cut or folded in a file or a pipe
    texts = [[_cell(value) for value in row] for row in rows]
    widest = [max((row[at].cell_len for row in texts), default=0) for at in range(len(columns))]
    by_word = [max(width, *map(cell_len, head.split()), 0) for head, width in zip(columns, widest, strict=True)]
    kept = list(range(len(columns)))
    for name in spare:
        if _total(by_word, kept) <= console.width:
            break
        kept.remove(columns.index(name))
    in_line = [max(width, cell_len(head)) for head, width in zip(columns, widest, strict=True)]
    widths = in_line if _total(in_line, kept) <= console.width else by_word
    if spare:
        console.width = max(console.width, _total(widths, kept))
    fits = _total(widths, kept) <= console.width

    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for at in kept:
        cells = [row[at] for row in rows if row[at] is not None]
        number = bool(cells) and all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in cells)
        width = widths[at] if fits else None
        table.add_column(columns[at], justify="right" if number else "left", overflow="fold", width=width)
    for row in texts:
        table.add_row(*(row[at] for at in kept))
    console.print(table)
    return [head for at, head in enumerate(columns) if at not in kept]


def _total(widths: Sequence[int], kept: Sequence[int]) -> int:
    """The width of a line, with two blanks between columns."""
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


def emit_json(value: Any) -> None:
    """One JSON object on stdout. Raises ValueError for NaN and infinity, TypeError for what JSON cannot say."""
    text = json.dumps(jsonable(value), ensure_ascii=False, indent=2, allow_nan=False)
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode() + "\n")


def jsonable(value: Any) -> Any:
    """Dataclasses, mappings, sequences, sets, paths and numpy values as what JSON knows."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: jsonable(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): jsonable(one) for key, one in value.items()}
    if isinstance(value, Path):
        return os.fspath(value)
    if isinstance(value, AbstractSet):
        return sorted(map(jsonable, value), key=str)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [jsonable(one) for one in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "model_dump"):
        return jsonable(value.model_dump())
    if hasattr(value, "tolist"):
        return jsonable(value.tolist())
    raise TypeError(f"{type(value).__name__} has no form in JSON")


class Bar(Protocol):
    """Where a long piece of work stands."""

    def update(self, done: int, *, total: int | None = None, now: str = "") -> None:
        """done of total; `now` = what is being worked on."""
        ...


@contextlib.contextmanager
def progress(what: str, *, total: int | None = None) -> Iterator[Bar]:
    """A bar on stderr where that is a terminal, else a line now and then; nothing for what is quick."""
    if not err().is_terminal:
        yield _Lines(what, total)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[now]}", markup=False),
    )
    with Progress(*columns, console=err(), transient=True) as shown:
        yield _Shown(shown, shown.add_task(what, total=total, now=""))


class _Shown:
    def __init__(self, shown: Progress, task: Any) -> None:
        self._shown = shown
        self._task = task

    def update(self, done: int, *, total: int | None = None, now: str = "") -> None:
        name = named(now)
        self._shown.update(self._task, completed=done, total=total, now=name if len(name) <= 40 else "…" + name[-39:])


class _Lines:
    def __init__(self, what: str, total: int | None) -> None:
        self._what = what
        self._total = total
        self._said = time.monotonic()

    def update(self, done: int, *, total: int | None = None, now: str = "") -> None:
        self._total = total if total is not None else self._total
        if time.monotonic() - self._said >= SPARSE_SECONDS:
            self._said = time.monotonic()
            note(f"{self._what}: {done:,}" + (f" of {self._total:,}" if self._total is not None else ""))
