"""Find statements of two files that give other figures for the same thing. Reads words and figures, no meaning."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from groundtune.corpus.files import CorpusFile
from groundtune.languages.detection import detect
from groundtune.languages.quantities import Quantity, quantities
from groundtune.languages.senses import senses
from groundtune.languages.text import content_words, sentences
from groundtune.languages.tokens import fold, tokenize

LEAST_SHARED, ALIKE = 3, 0.6
"""Content words that two statements must share, apart from figures, and their share of the content words of both."""
LEAST_SHARED_VERSIONS, ALIKE_VERSIONS = 2, 0.4
"""The same for two versions of one document, which are about the same thing."""
COMMON = 60
"""Statements with one word, above which the word says nothing about what a statement is about."""
_ROW = re.compile(r"[^:;\n]+: [^;\n]+; [^:;\n]+: ")
LONGEST = 400
"""Characters of a statement; longer ones say several things."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence or a row of a table with a figure."""

    source: str
    text: str
    heading: str
    figures: tuple[Quantity, ...]
    stems: frozenset[str]
    names: frozenset[str]
    """Names and codes in it: two statements about different ones are about different things."""
    senses: tuple[str, ...]
    """Its critical words, such as not, at least, before."""
    row: bool = False
    """Whether it is a row of a table: `Item: Breakfast; Limit: £9`."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two statements with the same words and other figures."""

    first: Statement
    second: Statement
    differing: tuple[str, str]
    """The figures, as each writes them."""


def contradictions(
    corpus: Sequence[CorpusFile], language: str, versions: Collection[frozenset[str]] = ()
) -> list[Contradiction]:
    """Return pairs of statements of different files, those with the most common words first.

    versions: pairs of sources that are versions of each other. What a row of a table is about may stand only in the
    title of its document, so rows count between versions alone.
    """
    statements = [statement for file in corpus for statement in _statements(file, language)]
    by_stem: dict[str, list[int]] = defaultdict(list)
    for number, statement in enumerate(statements):
        for stem in statement.stems:
            by_stem[stem].append(number)
    best: dict[tuple[int, str], tuple[float, int]] = {}
    for number, statement in enumerate(statements):
        for other, count in _sharing(statement, number, by_stem).items():
            if count >= LEAST_SHARED_VERSIONS and (alike := _alike(statement, statements[other], versions)):
                key = (number, statements[other].source)
                best[key] = max(best.get(key, (0.0, 0)), (alike, other))
    found = [
        (alike, Contradiction(statements[number], statements[other], texts))
        for (number, _), (alike, other) in best.items()
        if (texts := _other_figures(statements[number], statements[other], versions))
    ]
    return [pair for _, pair in sorted(found, key=lambda pair: -pair[0])]


def _sharing(statement: Statement, number: int, by_stem: Mapping[str, Sequence[int]]) -> Counter[int]:
    """Count the words that a statement shares with each later one; words that are everywhere do not count."""
    shared: Counter[int] = Counter()
    for stem in statement.stems:
        if len(by_stem[stem]) <= COMMON:
            shared.update(other for other in by_stem[stem] if other > number)
    return shared


def _alike(first: Statement, second: Statement, versions: Collection[frozenset[str]]) -> float | None:
    """Return the share of common words of two statements about the same thing, or None."""
    if first.source == second.source:
        return None
    both = first.stems & second.stems
    share = len(both) / len(first.stems | second.stems)
    if frozenset((first.source, second.source)) in versions:
        return share if len(both) >= LEAST_SHARED_VERSIONS and share >= ALIKE_VERSIONS else None
    if len(both) < LEAST_SHARED or share < ALIKE or first.row or second.row:
        return None
    return share if first.names == second.names and first.senses == second.senses else None


def _other_figures(first: Statement, second: Statement, versions: Collection[frozenset[str]]) -> tuple[str, str] | None:
    """Return the figures of both that differ, as each writes them; None if they may say the same."""
    related = frozenset((first.source, second.source)) in versions
    if not related and [figure.unit for figure in first.figures] != [figure.unit for figure in second.figures]:
        return None
    differing: list[tuple[str, str]] = []
    for left, right in zip(first.figures, second.figures, strict=False):
        if left.unit == right.unit and not left.readings & right.readings:
            differing.append((first.text[left.start : left.end], second.text[right.start : right.end]))
    every = {reading for figure in second.figures for reading in figure.readings}
    if not differing or (related and all(figure.readings & every for figure in first.figures)):
        return None
    return ", ".join(left for left, _ in differing), ", ".join(right for _, right in differing)


def _statements(file: CorpusFile, language: str) -> Iterator[Statement]:
    for passage in file.passages:
        detected = detect(passage.text, language)
        for start, end in _parts(passage.text, detected):
            text = passage.text[start:end]
            figures = tuple(figure for figure in quantities(text, detected) if not figure.article)
            row = _ROW.match(text) is not None
            measured = row or text.rstrip()[-1:] in ".!?。！？" or any(figure.unit for figure in figures)
            if not figures or len(text) > LONGEST or not measured:
                continue  # a bare number without a sentence may be that of a page
            heading = passage.heading.rpartition(" > ")[2]
            words = _without(text, figures)
            yield Statement(
                file.source,
                " ".join(text.split()),
                passage.heading,
                _moved(figures, text),
                frozenset(stem for stem in content_words(f"{heading} {words}", language=detected) if stem.isalpha()),
                frozenset(_names(words)),
                tuple(sense.name for sense in senses(words, detected)),
                row,
            )


def _parts(text: str, language: str) -> Iterable[tuple[int, int]]:
    """Yield sentences, and within them the lines of a list or table."""
    for start, end in sentences(text, language=language):
        at = start
        for line in text[start:end].split("\n"):
            if line.strip():
                yield at, at + len(line)
            at += len(line) + 1


def _without(text: str, figures: Sequence[Quantity]) -> str:
    for figure in reversed(figures):
        text = f"{text[: figure.start]} {text[figure.end :]}"
    return text


def _names(text: str) -> Iterator[str]:
    """Yield words with a capital within a sentence, or with a digit."""
    for number, token in enumerate(tokenize(text)):
        if any(char.isdigit() for char in token.text) or (number and not token.text.islower()):
            yield fold(token.text)


def _moved(figures: Sequence[Quantity], text: str) -> tuple[Quantity, ...]:
    """Return the figures by their place in the text on one line."""

    def place(at: int) -> int:
        return len(" ".join(text[:at].split())) + (1 if text[:at].strip() and text[:at][-1:].isspace() else 0)

    return tuple(replace(figure, start=place(figure.start), end=place(figure.end)) for figure in figures)
