"""Add examples to an examples file and write splits into it. Leaves unaffected lines unchanged."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from groundtune.common.files import write_atomic
from groundtune.dataset.examples import read_examples
from groundtune.dataset.importing.convert import encode_example, encode_lines
from groundtune.dataset.new_examples import ALREADY, KnownInputs
from groundtune.errors import BusyError
from groundtune.types import Example


@dataclass(frozen=True, slots=True)
class MergeReport:
    """Outcome of adding examples to a file, as example ids."""

    new: tuple[str, ...]
    same: tuple[str, ...]
    """Existing examples with the same output and rejected output."""
    differing: tuple[str, ...]
    """Existing examples whose output or rejected output differs."""
    replaced: bool
    """Whether the differing examples were overwritten."""
    known: tuple[str, ...] = ()
    """New examples whose input already exists under a different id; each is put in the split of the existing one."""
    near_held_out: Mapping[str, str] = field(default_factory=dict)
    """New train examples whose input is nearly one of another split, each with which."""


@dataclass(frozen=True, slots=True)
class FreezeReport:
    """Outcome of writing splits into a file."""

    frozen: int
    """Examples whose split was written out by this call."""
    explicit: int
    """Examples that already named their split; never moved."""


def merge_examples(
    path: Path,
    examples: Sequence[Example],
    *,
    overwrite: bool = False,
    other_examples: Iterable[Example] = (),
    language: str = "english",
) -> MergeReport:
    """Append new examples to the file, creating it if missing.

    An existing id keeps its split, tags and other fields; with `overwrite` it takes the new output, and the new
    rejected output if there is one. A new id whose input already occurs in this file or in `other_examples` goes
    into the split of that input, whatever split it names. language: of inputs too short to tell. Raises ConfigError if
    the file is not an examples file, OSError.
    """
    old = {example.id: example for example in read_examples(path)} if path.is_file() and path.stat().st_size else {}
    there = KnownInputs([*old.values(), *other_examples], language=language)
    new = [
        replace(example, split=there.split(example.input, example.history) or example.split)
        for example in examples
        if example.id not in old
    ]
    differing = {
        example.id: example for example in examples if example.id in old and _differs(example, old[example.id])
    }
    lines = _lines(path.read_bytes()) if old else []
    if overwrite and differing:
        lines = [_with_output(line, differing) for line in lines]
    if new or (overwrite and differing):
        write_atomic(path, encode_lines([*lines, *map(encode_example, new)]))
    return MergeReport(
        new=tuple(example.id for example in new),
        same=tuple(example.id for example in examples if example.id in old and example.id not in differing),
        differing=tuple(differing),
        replaced=overwrite,
        known=tuple(example.id for example in new if there.split(example.input, example.history) is not None),
        near_held_out=_near_held_out(new, there),
    )


def _near_held_out(new: Sequence[Example], there: KnownInputs) -> dict[str, str]:
    reasons = {e.id: there.why_not(e.input, e.history) for e in new if e.split == "train"}
    return {name: reason for name, reason in reasons.items() if reason and reason != ALREADY}


def replace_examples(path: Path, examples: Sequence[Example]) -> None:
    """Write examples over the lines that hold their ids; other lines stay as they are.

    Raises BusyError when somebody else changes the file at this moment: nothing is written then. OSError.
    """
    changed = {example.id: example for example in examples}
    before = path.read_bytes()
    lines = []
    for line in _lines(before):
        example = changed.get(json.loads(line).get("id", "")) if line.strip() else None
        lines.append(line if example is None else encode_example(example))
    if path.read_bytes() != before:
        raise BusyError(f"{path.name} was changed by somebody else at this moment", hint="try again")
    write_atomic(path, encode_lines(lines))


def freeze_splits(path: Path) -> FreezeReport:
    """Write the current split into every example that names none. Raises MissingError, ConfigError, OSError."""
    examples = {example.id: example for example in read_examples(path)}
    lines = _lines(path.read_bytes())
    frozen_lines: list[str] = []
    for line in lines:
        row = json.loads(line) if line.strip() else None
        if row is None or row.get("split") is not None:
            frozen_lines.append(line)
        else:
            frozen_lines.append(json.dumps({**row, "split": examples[row["id"]].split}, ensure_ascii=False))
    frozen = sum(before != after for before, after in zip(lines, frozen_lines, strict=True))
    if frozen:
        write_atomic(path, encode_lines(frozen_lines))
    return FreezeReport(frozen, len(examples) - frozen)


def _lines(content: bytes) -> list[str]:
    """Return the lines without a trailing empty one or a byte order mark."""
    lines = content.decode("utf-8-sig").split("\n")
    return lines[:-1] if lines and not lines[-1].strip() else lines


def _differs(new: Example, old: Example) -> bool:
    return new.output != old.output or (new.rejected is not None and new.rejected != old.rejected)


def _with_output(line: str, corrected: dict[str, Example]) -> str:
    row = json.loads(line) if line.strip() else {}
    correction = corrected.get(row.get("id", ""))
    if correction is None:
        return line
    rejected = {} if correction.rejected is None else {"rejected": correction.rejected}
    return json.dumps({**row, "output": correction.output, **rejected}, ensure_ascii=False)
