"""Hold every cited sentence of an answer against the passage it names. Pure; searches nothing, asks no model."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from groundtune.text import content_words, sentences
from groundtune.types import Citation, Hit, Passage, Support

MOST = 0.7
"""Share of a sentence's content words that must stand in the passage for `close`."""

_MARKERS = re.compile(r"\s*\[(\d+(?:\s*[,–-]\s*\d+)*)\]")
_ONLY_MARKERS = re.compile(r"(?:\s*\[\d+(?:\s*[,–-]\s*\d+)*\])+[.!?]?\s*\Z")
_SAME = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "\u00a0": " ", "…": "."})
_NAME = re.compile(r"\b(?:[A-Z][\w&'-]*[A-Z]\w*|[A-Z]\w+|[A-Z]{2,})\b")
_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_NEGATION = re.compile(r"\b(?:not|never|no|none|neither|nor|without|cannot)\b|n't\b", re.IGNORECASE)


def check(text: str, hits: Sequence[Hit], *, strict: bool = False) -> tuple[str, tuple[Citation, ...]]:
    """The text, and one citation for each marker in it; with `strict` without the sentences that nothing supports.

    `exact`: the sentence stands in the passage word for word, and the offsets are those of the quote in the document.
    `close`: every number and name and most content words do. `missing`: neither, or no such passage.
    """
    kept: list[str] = []
    citations: list[Citation] = []
    for sentence in _cited(text):
        found = [_support(sentence.words, number, hits) for number in sentence.markers]
        supported = any(citation.support != "missing" for citation in found)
        if strict and not supported:
            continue
        kept.append(sentence.whole)
        citations.extend(found)
    return ("".join(kept).strip() if strict else text.strip()), tuple(citations)


def uncited(text: str) -> list[str]:
    """Sentences that carry no marker."""
    return [sentence.words for sentence in _cited(text) if not sentence.markers]


@dataclass(frozen=True, slots=True)
class _Sentence:
    whole: str
    """As it stands in the answer, with markers and the white space before it."""
    words: str
    markers: tuple[int, ...]


def _cited(text: str) -> Iterator[_Sentence]:
    """Sentences with the markers in or right after them."""
    spans: list[list[int]] = []
    for start, end in sentences(text):
        if spans and _ONLY_MARKERS.match(text[start:end]):
            spans[-1][1] = end
        elif leading := re.match(r"(?:\[\d+(?:\s*[,–-]\s*\d+)*\]\s*)+(?=\S)", text[start:end]):
            if spans:
                spans[-1][1] = start + len(leading.group().rstrip())
                spans.append([start + leading.end(), end])
            else:
                spans.append([start, end])
        else:
            spans.append([start, end])
    position = 0
    for start, end in spans:
        part = text[start:end]
        markers = tuple(dict.fromkeys(n for match in _MARKERS.finditer(part) for n in _numbers(match.group(1))))
        yield _Sentence(text[position:end], _MARKERS.sub("", part).strip(), markers)
        position = end


def _numbers(marker: str) -> Iterator[int]:
    for part in marker.split(","):
        first, *rest = [int(number) for number in re.split(r"[–-]", part)]
        last = rest[-1] if rest else first
        yield from range(first, min(last, first + 50) + 1)


def _support(sentence: str, marker: int, hits: Sequence[Hit]) -> Citation:
    if not 1 <= marker <= len(hits):
        return Citation(marker, sentence, "missing")
    passage = hits[marker - 1].passage
    span = _verbatim(sentence, passage.text)
    support: Support = "exact" if span else "missing"
    if span is None and (span := _closest(sentence, passage)):
        support = "close"
    quote = passage.text[span[0] : span[1]] if span else ""
    return Citation(
        marker=marker,
        sentence=sentence,
        support=support,
        passage_id=passage.id,
        document_id=passage.document_id,
        source=passage.source,
        heading=passage.heading,
        page=passage.page,
        quote=quote,
        start=passage.start + span[0] if span else None,
        end=passage.start + span[1] if span else None,
    )


def _verbatim(sentence: str, text: str) -> tuple[int, int] | None:
    words = sentence.strip(" \t\n\"'“”‘’«».!?;:-*•").translate(_SAME).split()
    if not words:
        return None
    pattern = r"(?<!\w)" + r"\s+".join(re.escape(word) for word in words) + r"(?!\w)"
    plain = text.translate(_SAME)
    match = re.search(pattern, plain) or re.search(pattern, plain, re.IGNORECASE)
    return match.span() if match else None


def _closest(sentence: str, passage: Passage) -> tuple[int, int] | None:
    """The sentence of the passage that comes nearest, if the passage as a whole covers what is said."""
    around = f"{passage.heading}\n{passage.text}"
    there = set(content_words(around))
    wanted = content_words(sentence)
    if not wanted or sum(word in there for word in wanted) < MOST * len(wanted):
        return None
    if not set(_NUMBER.findall(sentence)) <= set(_NUMBER.findall(around)):
        return None
    if not all(set(content_words(name)) <= there for name in _NAME.findall(sentence)[0:] if content_words(name)):
        return None
    best = max(sentences(passage.text), key=lambda span: _shared(wanted, passage.text[span[0] : span[1]]), default=None)
    if best and bool(_NEGATION.search(sentence)) != bool(_NEGATION.search(passage.text[best[0] : best[1]])):
        return None
    return best


def _shared(wanted: Sequence[str], text: str) -> int:
    return len(set(wanted) & set(content_words(text)))
