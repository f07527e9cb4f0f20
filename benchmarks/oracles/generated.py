"""Write generated documents in every format, read them, and find the faults."""

import random
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.oracles import libreoffice
from benchmarks.oracles.differential import read
from benchmarks.oracles.faults import Outcome, find_faults
from benchmarks.oracles.generate import generate
from benchmarks.oracles.structures import Document
from benchmarks.oracles.writers import CONVERTED, FORMATS, write

from groundtune.errors import ParseError
from groundtune.ingest.loaders import MEDIA_TYPES

HELD_OUT = 10_000
"""Seeds from here on are for measuring only: what they bring out is never looked at."""
FLAT = (".txt", ".csv", ".tsv")
"""Formats without headings."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A generated file. outcome: its faults, or why it was not read."""

    seed: int
    suffix: str
    outcome: Outcome | ParseError


def check(seeds: Iterable[int], suffixes: Sequence[str] | None = None) -> list[Checked]:
    """Write, read and check the document of each seed in each format; by default in all that can be made here."""
    with tempfile.TemporaryDirectory(prefix="groundtune-generated-") as name:
        written = write_all(seeds, Path(name), suffixes or formats())
        outcomes = read(list(written))
        checked = []
        for path, document in written.items():
            outcome = outcomes[path]
            flat = path.suffix in FLAT
            checked.append(
                Checked(
                    int(path.stem),
                    path.suffix,
                    outcome if isinstance(outcome, ParseError) else find_faults(document, outcome, flat=flat),
                )
            )
        return checked


def formats() -> list[str]:
    """Return the suffixes of the formats that are read and can be written here."""
    converted = CONVERTED if libreoffice.missing_libreoffice() is None else {}
    return [suffix for suffix in (*FORMATS, *converted) if suffix in MEDIA_TYPES]


def write_all(seeds: Iterable[int], folder: Path, suffixes: Sequence[str]) -> dict[Path, Document]:
    """Write the document of each seed as `<seed><suffix>`; return what was written of it."""
    written: dict[Path, Document] = {}
    for seed in seeds:
        document = generate(random.Random(seed))
        for suffix in suffixes:
            if suffix in FORMATS and (kept := write(document, path := folder / f"{seed}{suffix}")):
                written[path] = kept
    for suffix in (suffix for suffix in suffixes if suffix in CONVERTED):
        sources = folder / "sources"
        sources.mkdir(exist_ok=True)
        originals = {}
        for seed in seeds:
            path = sources / f"{seed}{CONVERTED[suffix]}"
            if kept := write(generate(random.Random(seed)), path):
                originals[path] = kept
        made = libreoffice.convert(list(originals), suffix[1:], folder / "converted")
        for (original, kept), path in zip(originals.items(), made, strict=True):
            if path:
                written[path.rename(folder / f"{original.stem}{suffix}")] = kept
    return written
