"""Write generated documents in every format, read them, and find the faults."""

import random
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.oracles import browser, libreoffice
from benchmarks.oracles.differential import read
from benchmarks.oracles.faults import Outcome, find_faults
from benchmarks.oracles.generate import generate
from benchmarks.oracles.sentences import WITHOUT_FONT
from benchmarks.oracles.structures import Block, Document, Field, Paragraph
from benchmarks.oracles.writers import CONVERTED, FORMATS, PRINTED, write

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
            seed, _, rest = path.name.partition(".")
            flat = path.suffix in FLAT
            checked.append(
                Checked(
                    int(seed),
                    f".{rest}",
                    outcome if isinstance(outcome, ParseError) else find_faults(document, outcome, flat=flat),
                )
            )
        return checked


def formats() -> list[str]:
    """Return the suffixes of the formats that are read and can be written here."""
    converted = CONVERTED if libreoffice.missing_libreoffice() is None else {}
    printed = PRINTED if converted and browser.missing_browser() is None else {}
    return [*(suffix for suffix in (*FORMATS, *converted) if suffix in MEDIA_TYPES), *printed]


def write_all(seeds: Iterable[int], folder: Path, suffixes: Sequence[str]) -> dict[Path, Document]:
    """Write the document of each seed as `<seed><suffix>`; return what was written of it."""
    written: dict[Path, Document] = {}
    for seed in seeds:
        document = generate(random.Random(seed))
        for suffix in suffixes:
            if suffix in FORMATS and (kept := write(document, path := folder / f"{seed}{suffix}")):
                written[path] = kept
    for suffix in (suffix for suffix in suffixes if suffix in CONVERTED):
        originals = _originals(seeds, folder, CONVERTED[suffix], printed=False)
        made = libreoffice.convert(list(originals), suffix[1:], folder / "converted")
        written |= _moved(originals, made, folder, suffix)
    for suffix in (suffix for suffix in suffixes if suffix in PRINTED):
        originals = _originals(seeds, folder, PRINTED[suffix], printed=True)
        if suffix == ".writer.pdf":
            made = libreoffice.convert(list(originals), "pdf", folder / "converted")
        else:
            made = browser.print_pdfs(list(originals), folder / "converted")
        written |= _moved(originals, made, folder, suffix)
    return written


def _originals(seeds: Iterable[int], folder: Path, suffix: str, *, printed: bool) -> dict[Path, Document]:
    """Write the files that programs convert. printed: without what is drawn instead of written, or has no font here."""
    (folder / "sources").mkdir(exist_ok=True)
    originals = {}
    for seed in seeds:
        document = generate(random.Random(seed))
        if printed:
            document = replace(document, blocks=tuple(filter(_is_written, document.blocks)))
        path = folder / "sources" / f"{seed}{suffix}"
        if kept := write(document, path):
            originals[path] = kept
    return originals


def _is_written(block: Block) -> bool:
    match block:
        case Paragraph(_, language):
            return language not in WITHOUT_FONT
        case Field(_, value):
            return not isinstance(value, bool)
    return True


def _moved(
    originals: dict[Path, Document], made: Sequence[Path | None], folder: Path, suffix: str
) -> dict[Path, Document]:
    return {
        path.rename(folder / f"{original.stem}{suffix}"): kept
        for (original, kept), path in zip(originals.items(), made, strict=True)
        if path
    }
