"""Descriptions of documents that know what a person will see of them, and their generation from a source of choices.

A writer takes a `Document`, keeps the blocks that its format has (`Document.only`), and writes them. `Truth` says what
a reader of the file has to find. `generate(random.Random(seed))` makes a document; in a property test the choices come
from `hypothesis.strategies.randoms(use_true_random=False)`, so that failures shrink.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Style = Literal["plain", "bold", "superscript", "subscript", "struck", "hidden", "link"]
Label = Literal["decimal", "letter", "roman"]


@dataclass(frozen=True, slots=True)
class Run:
    """A piece of text in one style. note: the text of a footnote whose mark stands behind the run."""

    text: str
    style: Style = "plain"
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    runs: tuple[Run, ...]
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Item:
    runs: tuple[Run, ...]
    below: "Items | None" = None


@dataclass(frozen=True, slots=True)
class Items:
    """A list; label None: bullets."""

    items: tuple[Item, ...]
    label: Label | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    rows: int = 1
    columns: int = 1


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells; a cell that spans is given once, where it begins. header: number of header lines.

    labels: the first column names its row (a form of labels and values, which has no header).
    """

    rows: tuple[tuple[Cell, ...], ...]
    header: int = 1
    labels: bool = False

    def grid(self) -> list[list[str]]:
        """Return the text of every place, with the text of a spanning cell in each place that it covers."""
        return [[cell.text for cell in row] for row in self.cells()]

    def cells(self) -> list[list[Cell]]:
        """Return the cell of every place."""
        places: dict[tuple[int, int], Cell] = {}
        for number, row in enumerate(self.rows):
            column = 0
            for cell in row:
                while (number, column) in places:
                    column += 1
                for down in range(cell.rows):
                    for right in range(cell.columns):
                        places[number + down, column + right] = cell
                column += cell.columns
        width = max(column for _, column in places) + 1
        return [[places[number, column] for column in range(width)] for number in range(len(self.rows))]


@dataclass(frozen=True, slots=True)
class Field:
    """A form field with its label; value True or False: a box that is ticked or not."""

    label: str
    value: str | bool


@dataclass(frozen=True, slots=True)
class Picture:
    description: str


@dataclass(frozen=True, slots=True)
class Hidden:
    """A whole part that its program does not show: a sheet, a slide, an element."""

    text: str


Block = Heading | Paragraph | Items | Table | Field | Picture | Hidden


@dataclass(frozen=True, slots=True)
class Document:
    title: str
    blocks: tuple[Block, ...]
    header: str | None = None
    footer: str | None = None

    def only(
        self, *kinds: type, styles: Iterable[Style] = (), furniture: bool = False, notes: bool = False
    ) -> "Document":
        """Return the document with blocks of these kinds; runs of styles that are not named become plain or go."""
        kept = {"plain", *styles}
        blocks = [_reduced(block, kept, notes) for block in self.blocks if isinstance(block, kinds)]
        furnished = self if furniture else replace(self, header=None, footer=None)
        return replace(furnished, blocks=tuple(block for block in blocks if block is not None))


def _reduced(block: Block, kept: set[str], notes: bool) -> Block | None:
    if isinstance(block, Paragraph):
        runs = _reduced_runs(block.runs, kept, notes)
        return replace(block, runs=runs) if runs else None
    if isinstance(block, Items):
        items = []
        for item in block.items:
            below = _reduced(item.below, kept, notes) if item.below else None
            assert below is None or isinstance(below, Items)
            items.append(Item(_reduced_runs(item.runs, kept, notes), below))
        return replace(block, items=tuple(items))
    return block


def _reduced_runs(runs: Sequence[Run], kept: set[str], notes: bool) -> tuple[Run, ...]:
    found = []
    for run in runs:
        style: Style = run.style
        if style not in kept:
            if style in ("struck", "hidden", "superscript", "subscript"):
                continue
            style = "plain"
        found.append(Run(run.text, style, run.note if notes else None))
    return tuple(found)


# --- what a reader has to find -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Truth:
    """What of a document has to be found, piece by piece in order."""

    pieces: tuple["Piece", ...]
    hidden: tuple[str, ...]
    """Texts that must not be found."""
    perhaps: tuple[str, ...]
    """Marks of footnotes and bullets; they may be found or not."""
    once: tuple[str, ...]
    """Page headers and footers: found once."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A text that one block has to hold."""

    text: str
    """For a table row: without the cells that a row above it has begun."""
    heading: tuple[str, ...] = ()
    values: tuple[tuple[tuple[str, ...], str], ...] = ()
    """For a table row: the names of its columns, outermost first, and the value, for each place with text."""
    is_heading: bool = False


def truth(document: Document) -> Truth:
    """Return what has to be found in a file that shows all of the document."""
    pieces: list[Piece] = []
    hidden: list[str] = []
    perhaps: list[str] = []
    path: list[tuple[int, str]] = []
    notes: list[str] = []
    for block in document.blocks:
        if isinstance(block, Heading):
            path = [*((level, text) for level, text in path if level < block.level), (block.level, block.text)]
        names = tuple(text for _, text in path)
        match block:
            case Heading():
                pieces.append(Piece(block.text, names, is_heading=True))
            case Paragraph():
                pieces.append(Piece(shown(block.runs), names))
                hidden += _unseen(block.runs)
                notes += [run.note for run in block.runs if run.note]
            case Items():
                for label, item in labelled(block):
                    pieces.append(Piece(f"{label} {shown(item.runs)}".strip(), names))
                    hidden += _unseen(item.runs)
            case Table():
                pieces += _table_pieces(block, names)
            case Field(label, bool() as ticked):
                pieces.append(Piece(f"{'☑' if ticked else '☐'} {label}", names))
            case Field(label, str() as value):
                pieces.append(Piece(f"{label} {value}", names))
            case Picture(description):
                perhaps.append(description)
            case Hidden(text):
                hidden.append(text)
    pieces += [Piece(note) for note in notes]
    perhaps += [str(number) for _ in notes for number in range(1, len(notes) + 1)]  # marks, which chapters begin anew
    once = tuple(text for text in (document.header, document.footer) if text)
    return Truth(tuple(pieces), tuple(hidden), tuple(perhaps), once)


def shown(runs: Iterable[Run]) -> str:
    """Return runs as they are to be read: superscripts with `^`, without struck and hidden text."""
    parts = []
    for run in runs:
        if run.style not in ("struck", "hidden"):
            parts.append(f"^{run.text}" if run.style == "superscript" else run.text)
    return " ".join("".join(parts).split())


def _unseen(runs: Iterable[Run]) -> list[str]:
    return [run.text for run in runs if run.style in ("struck", "hidden")]


def labelled(items: Items, depth: int = 0) -> Iterator[tuple[str, Item]]:
    """Yield each item of a list and the lists below it, with its label as shown; bullets are empty."""
    for number, item in enumerate(items.items, start=1):
        yield label_of(items.label, number), item
        if item.below:
            yield from labelled(item.below, depth + 1)


ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x")


def label_of(label: Label | None, number: int) -> str:
    match label:
        case None:
            return ""
        case "decimal":
            return f"{number}."
        case "letter":
            return f"{chr(96 + number)}."
        case "roman":
            return f"{ROMAN[number - 1]}."


def _table_pieces(table: Table, heading: tuple[str, ...]) -> Iterator[Piece]:
    cells = table.cells()
    begun: set[int] = set()
    for number, row in enumerate(cells):
        own = [cell for cell in row if id(cell) not in begun]
        text = " ".join(cell.text for cell in {id(cell): cell for cell in own}.values())
        begun |= {id(cell) for cell in row}
        if number < table.header:
            yield Piece(text, heading, is_heading=True)
            continue
        values = []
        for column, cell in enumerate(row):
            names = tuple(dict.fromkeys(cells[line][column].text for line in range(table.header)))
            if table.labels:
                names = (row[0].text,) if column else ()
            if cell.text:
                values.append((names, cell.text))
        yield Piece(text, heading, tuple(values))
