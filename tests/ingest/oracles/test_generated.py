"""What the generator wrote into files of each format is read: all of it, in its place, and nothing else."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.oracles.generate import generate
from benchmarks.oracles.generated import check
from benchmarks.oracles.structures import Document, Heading, Items, Paragraph, Picture, Table
from benchmarks.oracles.writers import CONVERTED, FORMATS, PRINTED, write

from groundtune.errors import ParseError
from groundtune.ingest.loaders import MEDIA_TYPES, load

SEEDS = range(500, 508)
SUFFIXES = [*FORMATS, *(suffix for suffix in CONVERTED if suffix in MEDIA_TYPES), *PRINTED]
NEEDED = {".pdf": ["font"], ".chromium.pdf": ["browser"], ".writer.pdf": ["libreoffice"]}
TARGET = 0.995
UNMARKED = (".csv", ".tsv", ".rtf", ".pptx")
"""Formats whose tables may have no mark of a header, or one that programs set unasked."""
NOT_YET = {
    ".chromium.pdf": {"names", "guessed"},  # two tables that touch and have the same columns
    ".writer.pdf": {"names", "guessed"},  # LibreOffice prints no mark of a header
}
"""Kinds of faults that are still found in a format."""


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_all_that_is_visible_is_read_and_nothing_else(suffix: str, need: Callable[..., None]) -> None:
    need(*NEEDED.get(suffix, ["libreoffice"] if suffix in CONVERTED else []))
    outcomes = [each.outcome for each in check(SEEDS if suffix in FORMATS else SEEDS[:4], [suffix])]
    fine = [each for each in outcomes if not isinstance(each, ParseError)]
    assert len(fine) == len(outcomes) > 0
    results = [each.comparison for each in fine]
    present = sum(each.present for each in results) / sum(each.visible for each in results)
    seen = sum(each.seen for each in results) / sum(each.read for each in results)
    accepted = {"guessed"} if suffix in UNMARKED else NOT_YET.get(suffix, set())
    faults = [fault for each in fine for fault in each.faults if fault.kind not in accepted]
    assert faults == []
    assert min(present, seen) >= TARGET, (present, seen)


@pytest.mark.parametrize("seed", range(520, 526))
def test_the_same_content_gives_the_same_passages_in_every_format(seed: int, tmp_path: Path) -> None:
    plain = write(generate(random.Random(seed)), tmp_path / "a.md")
    assert plain is not None
    blocks = tuple(block for block in plain.blocks if not isinstance(block, Picture))
    content = Document(plain.title, blocks).only(
        Heading, Paragraph, Items, Table, styles=("bold", "superscript", "struck", "link")
    )
    expected = _passages(content, tmp_path / "a.html")
    assert expected
    for suffix in (".md", ".docx", ".epub"):
        assert _passages(content, tmp_path / f"a{suffix}") == expected, suffix


def _passages(content: Document, path: Path) -> list[tuple[str, str, tuple[str, ...]]]:
    write(content, path)
    return [
        (block.kind, document.text[block.start : block.end], block.heading)
        for document in load(path)
        for block in document.blocks
    ]
