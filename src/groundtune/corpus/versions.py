"""Find files that are versions of each other: by what they say, else by names that differ in a year or number."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Literal

from groundtune.corpus.files import CorpusFile, plain
from groundtune.corpus.phrases import phrases
from groundtune.languages.text import sentences, words

OPENING = 1_500
"""Characters at the beginning of a document in which it says that it is a version."""
ALIKE = 0.25
"""Least share of common words of two files whose names are those of versions."""
NAMES_NEWER = ("superseded_by", "replaced_by", "successor")
NAMES_OLDER = ("supersedes", "replaces", "predecessor")
_MARK = re.compile(r"(?:19|20)\d\d(?:[ _.-]?[01]\d){0,2}|v(?:ersion)? ?\d+(?:[ .]\d+)*|\d+(?:[ .]\d+)*")
_WORDS = {"old": -1, "alt": -1, "draft": -1, "entwurf": -1, "copy": -1, "kopie": -1, "final": 1, "new": 1, "neu": 1}


@dataclass(frozen=True, slots=True)
class VersionPair:
    """Two files of which one replaces the other."""

    older: str
    newer: str
    why: Literal["stated", "names"]
    statement: str | None = None
    """The sentence or key that says so."""


def version_pairs(corpus: Sequence[CorpusFile]) -> list[VersionPair]:
    """Return the pairs, the stated ones first, each once."""
    pairs: dict[frozenset[str], VersionPair] = {}
    for file in corpus:
        for pair in stated_versions(file, corpus):
            pairs.setdefault(frozenset((pair.older, pair.newer)), pair)
    for pair in _by_name(corpus):
        pairs.setdefault(frozenset((pair.older, pair.newer)), pair)
    return sorted(pairs.values(), key=lambda pair: (pair.why != "stated", pair.older))


def may_be_older(file: CorpusFile) -> bool:
    """Return False quickly for a file that does not say that another one replaces it."""
    return any(_key(key) in NAMES_NEWER for key in file.metadata) or bool(phrases("older").search(file.text[:OPENING]))


def stated_versions(file: CorpusFile, corpus: Sequence[CorpusFile]) -> Iterator[VersionPair]:
    """Yield what a file says of itself: that it replaces another one, or another one it."""
    for key, value in file.metadata.items():
        name = _key(key)
        if name in (*NAMES_NEWER, *NAMES_OLDER) and (other := _named(value, file, corpus)):
            older, newer = (file, other) if name in NAMES_NEWER else (other, file)
            yield VersionPair(older.source, newer.source, "stated", f"{key}: {value}")
    opening = file.text[:OPENING]
    for start, end in sentences(opening):
        sentence = opening[start:end]
        is_older, is_newer = phrases("older").search(sentence), phrases("newer").search(sentence)
        if (is_older or is_newer) and (other := _mentioned(sentence, file, corpus)):
            older, newer = (file, other) if is_older else (other, file)
            yield VersionPair(older.source, newer.source, "stated", " ".join(sentence.split()))


def _key(key: str) -> str:
    return re.sub(r"[\W_]+", "_", key.lower())


def _named(name: str, file: CorpusFile, corpus: Sequence[CorpusFile]) -> CorpusFile | None:
    """Return the one file that a name means: a path, also from the folder of the file, a file name or a title."""
    beside = str(PurePosixPath(file.source).parent / name)
    wanted = plain(name)
    others = [other for other in corpus if other is not file]
    by_path = [other for other in others if other.source in (name, beside)]
    by_file_name = [other for other in others if plain(PurePosixPath(other.source).name) == wanted]
    by_any_name = [other for other in others if wanted in other.names]
    return next((found[0] for found in (by_path, by_file_name, by_any_name) if len(found) == 1), None)


def _mentioned(sentence: str, file: CorpusFile, corpus: Sequence[CorpusFile]) -> CorpusFile | None:
    """Return the file that a sentence names, the longest name first; None if several are."""
    text = f" {plain(sentence)} "
    named = [
        (len(name), other)
        for other in corpus
        if other is not file
        for name in other.names - file.names
        if len(name) > 3 and f" {name} " in text
    ]
    longest = [other for length, other in named if length == max(length for length, _ in named)]
    return longest[0] if len({other.source for other in longest}) == 1 else None


def _by_name(corpus: Sequence[CorpusFile]) -> Iterator[VersionPair]:
    groups: dict[str, list[tuple[tuple[float, ...], CorpusFile]]] = {}
    for file in corpus:
        for key, rank in {_version(file.stem), _version(file.title or file.stem)}:
            if key:
                groups.setdefault(key, []).append((rank, file))
    for versions in groups.values():
        ranked = sorted(versions, key=lambda version: version[0])
        for (rank, older), (other_rank, newer) in pairwise(ranked):
            if rank != other_rank and older is not newer and _alike(older, newer):
                yield VersionPair(older.source, newer.source, "names")


def _version(name: str) -> tuple[str, tuple[float, ...]]:
    """Return a name without its marks of a version, and their rank; a name without marks is the newest."""
    text = plain(name.replace("_", " "))
    marks = [tuple(float(n) for n in re.findall(r"\d+", mark)) for mark in _MARK.findall(text)]
    rest = [word for word in re.findall(r"\w+", _MARK.sub(" ", text)) if word not in ("v", "version")]
    signs = [_WORDS[word] for word in rest if word in _WORDS]
    key = " ".join(word for word in rest if word not in _WORDS)
    rank = marks[-1] if marks else (float("inf"),)
    return key, (float(sum(signs)), *rank)


def _alike(first: CorpusFile, second: CorpusFile) -> bool:
    left, right = set(words(first.text)), set(words(second.text))
    return len(left & right) >= ALIKE * max(1, len(left | right))
