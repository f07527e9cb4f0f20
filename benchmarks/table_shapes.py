"""Measure how often the shape of a grid is told right: generated grids whose column names are known.

    python -m benchmarks.table_shapes --grids 20000 --seed 1

`right`: every cell stands under its own name, and under none where it has none. `unnamed`: names that the grid has are
not used, or used for some rows only. `wrong`: a cell stands under the text of another row that does not name it.
`lost`: a cell is nowhere.
"""

import argparse
import random
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from groundtune.ingest.table_shapes import Across, read_table

Grid = list[list[str]]

_WORDS = {
    name: [" ".join(word.split()) for word in text.split("|")]
    for name, text in tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8")).items()
}
PEOPLE, TOWNS, THINGS, PHRASES, NAMES, ODD_NAMES, LABELS = _WORDS.values()


def _number(r: random.Random) -> str:
    value = r.choice([r.randrange(100), r.randrange(10_000), r.uniform(0, 5_000)])
    form = r.choice(["{:.0f}", "{:.2f}", "{:,.0f}", "{:,.2f}"])
    text = form.format(value)
    return text.translate(str.maketrans(",.", ".,")) if r.random() < 0.3 else text


def _date(day: int, month: int, chance: float) -> str:
    return f"2025-{month:02}-{day:02}" if chance < 0.5 else f"{day}.{month}.2024"


KINDS: dict[str, Callable[[random.Random], str]] = {
    "whole": lambda r: str(r.randrange(5_000)),
    "number": _number,
    "money": lambda r: r.choice(["{} EUR", "€ {}", "${}", "{} €", "CHF {}"]).format(_number(r)),
    "percent": lambda r: f"{r.randrange(100)} %",
    "date": lambda r: _date(r.randrange(1, 29), r.randrange(1, 13), r.random()),
    "year": lambda r: str(r.randrange(1950, 2026)),
    "flag": lambda r: r.choice(["yes", "no"]),
    "code": lambda r: f"{r.choice('ABEKX')}{r.choice(['', '-'])}{r.randrange(100, 999)}",
    "quantity": lambda r: f"{r.randrange(1, 90)} {r.choice(['kg', 'km', 'mm', 'h', 'Stück'])}",
    "person": lambda r: f"{r.choice(PEOPLE)} {r.choice(PEOPLE)}" if r.random() < 0.5 else r.choice(PEOPLE),
    "town": lambda r: r.choice(TOWNS),
    "thing": lambda r: r.choice(THINGS),
    "phrase": lambda r: r.choice(PHRASES),
    "sentence": lambda r: " ".join(r.choice(PHRASES) for _ in range(r.randrange(4, 9))) + ".",
}  # fmt: skip
WORDS = ("person", "town", "thing", "phrase", "sentence")


@dataclass
class Made:
    """A grid, and for each row of data the name of each cell (empty: none)."""

    kind: str
    grid: Grid = field(default_factory=list)
    rows: list[list[tuple[str, str]]] = field(default_factory=list)
    """(name, text) of the filled cells of each row of data."""


def _cells(r: random.Random, kinds: Sequence[str], count: int, gaps: float) -> Grid:
    rows = []
    for _ in range(count):
        cells = [KINDS[kind](r) for kind in kinds]
        rows.append([cells[0], *("" if r.random() < gaps else cell for cell in cells[1:])])
    return rows


def _kinds(r: random.Random, width: int) -> list[str]:
    first = r.choice(["person", "town", "thing", "code", "phrase", "date", "whole"])
    return [first, *(r.choice([*KINDS]) for _ in range(width - 1))]


def _names(r: random.Random, width: int) -> list[str]:
    pool = [*NAMES, *ODD_NAMES] if r.random() < 0.5 else NAMES if r.random() < 0.6 else ODD_NAMES
    names = r.sample(pool, min(width, len(pool)))
    return (
        [*names, *(f"{name} {number}" for number, name in enumerate(r.sample(NAMES, width - len(names)), 2))]
        if len(names) < width
        else names
    )


def _size(r: random.Random) -> tuple[int, int]:
    return r.choice([1, 2, 2, 3, 4, 5, 8, 13, 30, 80, 200]), r.choice([2, 2, 3, 3, 4, 5, 6, 8, 12, 30])


def _add(made: Made, names: Sequence[str], body: Grid) -> None:
    made.grid += body
    made.rows += [[(name, text) for name, text in zip(names, row, strict=True) if text] for row in body]


def plain(r: random.Random) -> Made:
    made, (height, width) = Made("data alone"), _size(r)
    _add(made, [""] * width, _cells(r, _kinds(r, width), height + 1, r.choice([0, 0, 0.2])))
    return made


def headed(r: random.Random) -> Made:
    made, (height, width) = Made("one line"), _size(r)
    names = _names(r, width)
    made.grid = [names]
    _add(made, names, _cells(r, _kinds(r, width), height, r.choice([0, 0, 0.2])))
    return made


def yearly(r: random.Random) -> Made:
    made, (height, width) = Made("years"), _size(r)
    first = r.randrange(1990, 2020)
    names = [r.choice(NAMES), *map(str, range(first, first + max(width, 3) - 1))]
    made.grid = [names]
    _add(made, names, _cells(r, ["town", *["number"] * (len(names) - 1)], height, 0))
    return made


def labelled(r: random.Random) -> Made:
    made = Made("labels and values")
    kinds = r.choice([[*KINDS], ["number"], ["money"], [*WORDS], ["number", "thing"], ["date", "money"]])
    labels = r.sample(LABELS, r.randrange(2, 14))
    values = [KINDS[r.choice(kinds)](r) for _ in labels]
    if r.random() < 0.4:
        values[0] = KINDS[r.choice(WORDS[:4])](r)
    made.grid = [[*pair] for pair in zip(labels, values, strict=True)]
    made.rows = [[("", label), (label, value)] for label, value in made.grid]
    return made


def form(r: random.Random) -> Made:
    made = Made("form of two pairs")
    labels = r.sample(LABELS, 2 * r.randrange(2, 7))
    values = [KINDS[r.choice([*KINDS])](r) for _ in labels]
    for at in range(0, len(labels), 2):
        row = [labels[at], values[at], labels[at + 1], values[at + 1]]
        made.grid.append(row)
        made.rows.append([("", text) for text in row])
    return made


def two_lines(r: random.Random) -> Made:
    made, (height, _) = Made("two lines"), _size(r)
    groups = r.sample([*map(str, range(2018, 2026)), "Plan", "Ist", "North", "South"], r.randrange(2, 4))
    below = r.sample(["old", "new", "net", "gross", "min", "max"], r.randrange(2, 4))
    first = r.choice(NAMES)
    upper = [first, *(text for group in groups for text in (group, *[Across(group)] * (len(below) - 1)))]
    if r.random() < 0.3:
        upper = ["", *("" if isinstance(text, Across) else text for text in upper[1:])]
    made.grid = [upper, [first if not upper[0] or r.random() < 0.5 else "", *below * len(groups)]]
    names = [first, *(f"{group} {name}" for group in groups for name in below)]
    _add(made, names, _cells(r, ["town", *[r.choice(["number", "whole"])] * (len(names) - 1)], height, 0))
    return made


def titled(r: random.Random) -> Made:
    made = headed(r)
    above = [[f"Price list {r.randrange(2000, 2030)}"]]
    if r.random() < 0.5:
        above.append([r.choice(["as of 1 March", "all prices in EUR", "# made by export"])])
    if r.random() < 0.5:
        above.append([])
    return Made("title above", above + made.grid, [[("", row[0])] for row in above if row] + made.rows)


def stacked(r: random.Random) -> Made:
    makers = r.choice(
        [(headed, headed), (headed, labelled), (labelled, headed), (headed, plain), (headed, headed, labelled)]
    )
    made = Made("several tables")
    gap = r.choice([[[]], [[], []], [["Branches"]], [[], ["Branches"]]])
    for index, maker in enumerate(makers):
        part = maker(r)
        if index:
            made.grid += gap
            made.rows += [[("", row[0])] for row in gap if row]
        made.grid += part.grid
        made.rows += part.rows
    return made


def beside(r: random.Random) -> Made:
    left, right = headed(r), headed(r)
    made = Made("side by side")
    widths = [max(map(len, part.grid)) for part in (left, right)]
    for at in range(max(len(left.grid), len(right.grid))):
        made.grid.append([])
        for part, width in zip((left, right), widths, strict=True):
            made.grid[-1] += [*(part.grid[at] if at < len(part.grid) else [""] * width), ""]
    made.rows = left.rows + right.rows
    return made


MAKERS = (plain, headed, headed, yearly, labelled, form, two_lines, titled, stacked, beside)


def judge(made: Made) -> str:
    """Return `right`, `unnamed`, `wrong` or `lost`."""
    truth = Counter((text, name) for row in made.rows for name, text in row)
    meant = Counter(text for row in made.rows for _, text in row)
    allowed = {(text, name) for text, name in truth}
    read: Counter[tuple[str, str]] = Counter()
    for row in read_table(made.grid):
        names = [*row.names, *[""] * len(row.cells)]
        read.update((str(cell), name.rstrip(":")) for cell, name in zip(row.cells, names, strict=False) if cell)
    texts = {text for text, _ in read} | {name for _, name in read}
    if any(name and (text, name) not in allowed and not _labels(made, text, name) for text, name in read):
        return "wrong"
    if any(text not in texts for text in meant):
        return "lost"
    named = {pair for pair in truth if pair[1]}
    return "right" if named <= {*read} else "unnamed"


def _labels(made: Made, text: str, name: str) -> bool:
    """Whether the text stands in the same row as the name, to its right: a label and its value."""
    return any(name in row[:at] for row in made.grid for at, cell in enumerate(row) if cell == text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grids", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=0, help="grids of each kind that are read wrong")
    parser.add_argument("--of", nargs="*", default=["wrong", "lost"], help="verdicts to show")
    options = parser.parse_args()
    r = random.Random(options.seed)
    counts: dict[str, Counter[str]] = {}
    for number in range(options.grids):
        made = MAKERS[number % len(MAKERS)](r)
        verdict = judge(made)
        seen = counts.setdefault(made.kind, Counter())
        seen[verdict] += 1
        if verdict in options.of and seen[verdict] <= options.show:
            rows = [(row.names, row.cells) for row in read_table(made.grid)]
            print(verdict, made.kind, *made.grid[:5], "…", *made.grid[-5:], sep="\n   ")
            print("  read as", *rows[:3], "…", *rows[-3:], sep="\n   ")
    print(f"{'':<20}{'n':>7}{'right':>9}{'unnamed':>9}{'wrong':>7}{'lost':>6}")
    for kind, seen in counts.items():
        n = seen.total()
        shares = f"{seen['right'] / n:>9.1%}{seen['unnamed'] / n:>9.1%}"
        print(f"{kind:<20}{n:>7,}{shares}{seen['wrong']:>7,}{seen['lost']:>6,}")


if __name__ == "__main__":
    main()
