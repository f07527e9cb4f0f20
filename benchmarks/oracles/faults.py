"""Find where what was read of a generated file departs from what the generator wrote: text, place and names."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.oracles.structures import Document, Piece, Truth, truth
from benchmarks.oracles.tokens import Comparison, compare, tokens

from groundtune.ingest.parsed import ParsedDocument

Kind = Literal["missing", "unseen", "hidden", "twice", "split", "heading", "names", "guessed", "place", "citation"]


@dataclass(frozen=True, slots=True)
class Fault:
    """A departure. wanted: what the generator wrote; found: what was read in its place, None if nothing.

    names: a value without its column names. guessed: the same where only the meaning of words tells the first line of
    the table from the others, so that it is read without names and noted, or as labels and values.
    """

    kind: Kind
    wanted: str
    found: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    comparison: Comparison
    faults: tuple[Fault, ...]


def find_faults(written: Document, documents: Sequence[ParsedDocument], *, flat: bool = False) -> Outcome:
    """Return every departure. flat: the format has no headings, or the file is its heading."""
    facts = truth(written)
    read = _Read(documents)
    comparison = _compare(facts, read)
    faults = [*_token_faults(facts, read, comparison)]
    words = Counter(token for piece in facts.pieces for token in tokens(piece.text))
    for piece in facts.pieces:
        faults += _place_faults(piece, read, words, flat)
    return Outcome(comparison, tuple(faults))


class _Read:
    """The blocks of all documents of a file."""

    def __init__(self, documents: Sequence[ParsedDocument]) -> None:
        self.text = "\n\n".join(document.text for document in documents)
        self.blocks = [
            (block, document.text[block.start : block.end]) for document in documents for block in document.blocks
        ]
        self.rows = [token for block, text in self.blocks if block.kind == "row" for token in tokens(text)]
        self.notes = {note.kind for document in documents for note in document.notes}
        self.block_tokens = [Counter(tokens(text)) for _, text in self.blocks]

    def holding(self, token: str) -> list[int]:
        return [number for number, found in enumerate(self.block_tokens) if token in found]


def _compare(facts: Truth, read: _Read) -> Comparison:
    wanted = [token for piece in facts.pieces for token in tokens(piece.text)]
    wanted += [token for text in facts.once for token in tokens(text)]
    allowed = [*wanted, *(token for text in facts.perhaps for token in tokens(text)), *"123456789"]  # page numbers
    return compare(tokens(read.text), [wanted], perhaps=[allowed], repeatable=read.rows)


def _token_faults(facts: Truth, read: _Read, comparison: Comparison) -> Iterator[Fault]:
    ours = Counter(tokens(read.text))
    for text in facts.hidden:
        if any(ours[token] for token in tokens(text)[-1:]):
            yield Fault("hidden", text)
    for text in facts.once:
        often = read.text.count(text)
        if often != 1:
            yield Fault("missing" if often == 0 else "twice", text)
    left = comparison.missing.copy()
    for piece in facts.pieces:
        hits = [token for token in tokens(piece.text) if left[token] > 0]
        if hits:
            left.subtract(hits)
            yield Fault("missing", f"[{' '.join(hits)}] of: {piece.text}", _near(piece, read))
    left = comparison.unseen.copy()
    for _, text in read.blocks:
        hits = [token for token in tokens(text) if left[token] > 0]
        if hits:
            left.subtract(hits)
            yield Fault("unseen", f"[{' '.join(hits)}]", text)


def _near(piece: Piece, read: _Read) -> str | None:
    """Return the block that shares most tokens with a piece."""
    wanted = Counter(tokens(piece.text))
    best = max(range(len(read.blocks)), key=lambda n: (wanted & read.block_tokens[n]).total(), default=None)
    return None if best is None or not wanted & read.block_tokens[best] else read.blocks[best][1]


def _place_faults(piece: Piece, read: _Read, words: Counter[str], flat: bool) -> Iterator[Fault]:
    if piece.is_heading:
        return
    own = [token for token in tokens(piece.text) if words[token] == 1 and re.fullmatch(r"[a-z]{8,9}", token)]
    holding = [set(read.holding(token)) for token in own]
    if not holding or not all(holding):
        return  # missing, told above
    common = set.intersection(*holding)
    if not common:
        yield Fault("split", piece.text, " | ".join(read.blocks[min(each)][1] for each in holding))
        return
    block, text = read.blocks[min(common)]
    if not flat and piece.heading and block.heading != piece.heading:
        yield Fault("heading", f"{' > '.join(piece.heading)}: {piece.text}", " > ".join(block.heading))
    for names, value in piece.values:
        if names and not _names(text, names, value):
            kind: Kind = "guessed" if _is_guessed(piece, text, read) else "names"
            yield Fault(kind, f"{' / '.join(names)}: {value}", text)


def _is_guessed(piece: Piece, text: str, read: _Read) -> bool:
    """Whether a row without column names is noted as such, or is the label and the value of a table of two columns."""
    if any(name in text for names, _ in piece.values for name in names):
        return False
    return "no_header" in read.notes or text == ": ".join(value for _, value in piece.values)


def _names(text: str, names: Sequence[str], value: str) -> bool:
    """Whether a row names a value by each of its names."""
    for match in re.finditer(re.escape(value), text):
        before = text[: match.start()].rpartition("; ")[2]
        if all(name in before for name in names) or value in names:
            return True
    return False
