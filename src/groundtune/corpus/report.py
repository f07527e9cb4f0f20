"""The state of the documents in one report, what is most worth mending first. Computes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from groundtune.common.text import format_count, one_line
from groundtune.corpus.contradictions import Contradiction
from groundtune.corpus.dates import StaleDate
from groundtune.corpus.sizes import OddSize
from groundtune.corpus.unused import UnusedFile
from groundtune.corpus.versions import VersionPair
from groundtune.display import Block, Displayed, Line, Table

SHOWN = 10
"""Findings of a sort that are shown; the report has all."""


@dataclass(frozen=True, slots=True)
class DocumentsReport(Displayed):
    """What is worth mending in the documents of an index."""

    files: int
    questions: int
    """Questions that were searched for, to see which files none of them finds."""
    contradictions: tuple[Contradiction, ...]
    """Other figures for the same thing, in files that are no versions of each other."""
    versions: tuple[VersionPair, ...]
    outdated: tuple[Contradiction, ...]
    """Other figures for the same thing, in a version and its successor."""
    stale: tuple[StaleDate, ...]
    unused: tuple[UnusedFile, ...] | None
    """None with too few questions to tell."""
    sizes: tuple[OddSize, ...]

    @property
    def summary(self) -> str:
        """How much was found, on one line."""
        counts = (
            (len(self.contradictions), "contradiction", "contradictions"),
            (len(self.versions), "pair of versions", "pairs of versions"),
            (len(self.stale), "date that has passed", "dates that have passed"),
            (len(self.unused or ()), "file that no question finds", "files that no question finds"),
            (len(self.sizes), "empty or enormous file", "empty or enormous files"),
        )
        found = ", ".join(format_count(*count) for count in counts if count[0])
        return f"{format_count(self.files, 'file')}: {found or 'nothing to mend'}"

    def view(self) -> list[Block]:
        """Return the findings, what is most worth mending first."""
        blocks: list[Block] = [Line(self.summary, tone="strong")]
        blocks += _contradictions(self.contradictions)
        _add(
            blocks,
            "Versions of each other; the older one should say so, or go",
            ["older", "newer", "known by", "figures that differ"],
            [[pair.older, pair.newer, _known_by(pair), self._differing(pair)] for pair in self.versions],
        )
        _add(
            blocks,
            "Dates that have passed",
            ["file", "date", "says"],
            [[stale.source, stale.date, one_line(stale.statement, most=100)] for stale in self.stale],
        )
        _add(
            blocks,
            f"Found by none of {self.questions:,} questions",
            ["file", "named by another document"],
            [[file.source, file.named] for file in self.unused or ()],
        )
        _add(
            blocks,
            "Empty or enormous",
            ["file", "size", "characters", "share of all text"],
            [[odd.source, odd.size, odd.characters, f"{odd.share:.0%}"] for odd in self.sizes],
        )
        return blocks

    def _differing(self, pair: VersionPair) -> int:
        sources = {pair.older, pair.newer}
        return sum({found.first.source, found.second.source} == sources for found in self.outdated)


def _contradictions(pairs: Sequence[Contradiction]) -> list[Block]:
    """Return each with both statements below each other, since they are to be compared."""
    if not pairs:
        return []
    blocks: list[Block] = [Line(""), Line(f"Other figures for the same thing ({len(pairs):,})", tone="strong")]
    for pair in pairs[:SHOWN]:
        blocks.append(Line(f"{pair.differing[0]} or {pair.differing[1]}"))
        blocks += [
            Line(f"{said.source}: {one_line(said.text, most=120)}", indent=1) for said in (pair.first, pair.second)
        ]
    if pairs[SHOWN:]:
        blocks.append(Line(f"and {len(pairs) - SHOWN:,} more"))
    return blocks


def _known_by(pair: VersionPair) -> str:
    return one_line(pair.statement, most=80) if pair.statement else "their names"


def _add(blocks: list[Block], title: str, columns: list[str], rows: list[list[object]]) -> None:
    if not rows:
        return
    blocks += [Line(""), Line(f"{title} ({len(rows):,})", tone="strong"), Table(columns, rows[:SHOWN])]
    if rows[SHOWN:]:
        blocks.append(Line(f"and {len(rows) - SHOWN:,} more"))
