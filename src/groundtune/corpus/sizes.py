"""Find files with almost no text, and files that hold a large part of all text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from groundtune.corpus.files import CorpusFile
from groundtune.types import FileRow

FEW_WORDS = 10
ENORMOUS = 100_000
"""Characters above which a file is enormous if it also holds a large share of all text."""
LARGE_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class OddSize:
    """A file with too little or very much text."""

    source: str
    size: Literal["empty", "enormous"]
    characters: int
    share: float
    """Of the characters of all files."""


def odd_sizes(corpus: Sequence[CorpusFile], rows: Iterable[FileRow]) -> list[OddSize]:
    """Return empty files, by name, and enormous ones, the largest first. rows: the ledger, for files without text."""
    total = sum(len(file.text) for file in corpus) or 1
    without = [row.source for row in rows if row.status == "skipped" and "no text" in (row.reason or "")]
    empty = [OddSize(source, "empty", 0, 0.0) for source in without]
    enormous = []
    for file in corpus:
        size = len(file.text)
        if len(file.text.split()) < FEW_WORDS:
            empty.append(OddSize(file.source, "empty", size, size / total))
        elif len(corpus) > 1 and size > ENORMOUS and size > LARGE_SHARE * total:
            enormous.append(OddSize(file.source, "enormous", size, size / total))
    return [*sorted(empty, key=lambda odd: odd.source), *sorted(enormous, key=lambda odd: -odd.characters)]
