"""Add examples to a file of ours, and write splits out in it. Leaves every line that it does not change as it is."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from groundtune.measure.examples import read_examples
from groundtune.measure.format_join import folded
from groundtune.measure.formats import as_line, encoded
from groundtune.types import Example, Split
from groundtune.workspace import write_atomic

FIRST: tuple[Split, ...] = ("test", "validation", "train")
"""Where an input stands in several splits, a new row with it goes into the first of these: never trained on wins."""


@dataclass(frozen=True, slots=True)
class Merge:
    """What adding examples to a file came to. All are ids."""

    new: tuple[str, ...]
    same: tuple[str, ...]
    """Those that were there already, with this output and rejected output."""
    differing: tuple[str, ...]
    """Those that were there with another output, or another or no rejected one."""
    replaced: bool
    """Whether the differing ones have the new output now."""
    known: tuple[str, ...] = ()
    """Of the new ones those whose input is there under another id: they are put into the split of that one."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """What writing splits out came to."""

    frozen: int
    """Examples whose split is written out since now."""
    explicit: int
    """Examples that had one; never moved."""


def merge(path: Path, examples: Sequence[Example], *, overwrite: bool = False, beside: Iterable[Example] = ()) -> Merge:
    """Adds what is new to the end of the file, which need not be there yet.

    An id that is there keeps its split, tags and all else; with `overwrite` it takes the new output, and the rejected
    one where there is one. A new id whose input is there, in this file or among the examples `beside` it, goes into
    the split of that one, whatever it says itself. Raises ConfigError for a file that is no examples file, OSError.
    """
    old = {one.id: one for one in read_examples(path)} if path.is_file() and path.stat().st_size else {}
    splits = _splits([*old.values(), *beside])
    new = [replace(one, split=splits.get(folded(one.input), one.split)) for one in examples if one.id not in old]
    differing = {one.id: one for one in examples if one.id in old and _differs(one, old[one.id])}
    lines = _lines(path) if old else []
    if overwrite and differing:
        lines = [_with_output(line, differing) for line in lines]
    if new or (overwrite and differing):
        write_atomic(path, encoded([*lines, *map(as_line, new)]))
    return Merge(
        new=tuple(one.id for one in new),
        same=tuple(one.id for one in examples if one.id in old and one.id not in differing),
        differing=tuple(differing),
        replaced=overwrite,
        known=tuple(one.id for one in new if folded(one.input) in splits),
    )


def freeze(path: Path) -> Freeze:
    """Writes into every example that names no split the one that it has. Raises MissingError, ConfigError, OSError."""
    examples = {one.id: one for one in read_examples(path)}
    lines = _lines(path)
    made: list[str] = []
    for line in lines:
        row = json.loads(line) if line.strip() else None
        if row is None or row.get("split") is not None:
            made.append(line)
        else:
            made.append(json.dumps({**row, "split": examples[row["id"]].split}, ensure_ascii=False))
    frozen = sum(one != other for one, other in zip(lines, made, strict=True))
    if frozen:
        write_atomic(path, encoded(made))
    return Freeze(frozen, len(examples) - frozen)


def _splits(examples: Sequence[Example]) -> dict[str, Split]:
    """Input to the split that it stands in."""
    last_wins = sorted(examples, key=lambda one: -FIRST.index(one.split))
    return {folded(one.input): one.split for one in last_wins}


def _lines(path: Path) -> list[str]:
    """Without the last, empty one; a byte order mark goes."""
    lines = path.read_bytes().decode("utf-8-sig").split("\n")
    return lines[:-1] if lines and not lines[-1].strip() else lines


def _differs(new: Example, old: Example) -> bool:
    return new.output != old.output or (new.rejected is not None and new.rejected != old.rejected)


def _with_output(line: str, corrected: dict[str, Example]) -> str:
    row = json.loads(line) if line.strip() else {}
    found = corrected.get(row.get("id", ""))
    if found is None:
        return line
    rejected = {} if found.rejected is None else {"rejected": found.rejected}
    return json.dumps({**row, "output": found.output, **rejected}, ensure_ascii=False)
