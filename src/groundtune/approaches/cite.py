"""Hold each cited sentence of an answer against the passage that it names. Never searches, never rewrites a sentence.

exact: the sentence stands in the passage word for word. close: its numbers, names and most of its words stand together
there, and it does not deny what the passage says. missing: neither, or the marker names no passage. This is a check of
words: it catches a changed figure, a swapped name or an added "not", not other things said in the same words.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from groundtune.approaches.support import find, find_close
from groundtune.text import sentences, words
from groundtune.types import Citation, Hit

MAX_RUN = 8
"""Sentences before a marker that may be one quote together with the marked one."""
MAX_MARKER = 99
"""Higher numbers are markers only when so many passages were given: `[2024]` is text."""

_MARKER = re.compile(r"[ \t]*\[\s*\d{1,5}(?:\s*[,;–-]\s*\d{1,5})*\s*\]")
_PART = re.compile(r"(\d+)(?:\s*[–-]\s*(\d+))?")
_BULLET = re.compile(r"\s*(?:(?:[-*+•–—>|]|\d{1,3}[.)]|[A-Za-z][.)]|#{1,6})\s+)*")
_SOFT_BREAK = re.compile(r"(?<=[^\W_])[,]?[ \t]*\n[ \t]*(?=[^\W_])(?!\d{1,3}[.)]\s|[A-ZÀ-Þ]|[a-z][.)]\s)")
"""A line break inside a sentence: no stop before it, no capital, number or letter of a list after it."""
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_EMPTY = frozenset("source sources reference references see passage passages document documents and cf".split())
_LEAD_IN_WORDS = 12


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer: its place there, markers included; its words without them; the markers."""

    start: int
    end: int
    text: str
    markers: tuple[int, ...] = ()
    bare_end: int = 0
    """Where its words end and only markers follow."""
    line: tuple[int, int] = (0, 0)
    """Start of its line and of what follows the bullet there."""
    parts: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Its stretches, each with the markers that close it; empty when all markers stand at one place."""


def check(text: str, hits: Sequence[Hit], *, strict: bool = False) -> tuple[str, tuple[Citation, ...]]:
    """The answer's text, and one citation for each marker of each sentence, in order.

    strict: sentences that have no marker, or of whose markers none is supported, are dropped; "" when all are.
    """
    found = _with_runs(text, _split(text, len(hits)), hits)
    kept: list[Sentence] = []
    citations: list[Citation] = []
    for sentence in found:
        cited, supported = _check(sentence, hits)
        if supported or not strict:
            kept.append(sentence)
            citations.extend(cited)
    if not strict or (kept and len(kept) == len(found)):
        return text.strip(), tuple(citations)
    return _pasted(text, _with_lead_ins(found, kept)), tuple(citations)


def uncited(text: str, hits: Sequence[Hit] = ()) -> list[str]:
    """Sentences without a marker. With `hits`, a quote of several sentences before one marker counts as cited.

    A line that only leads to a list ("The rules are:") claims nothing and is left out.
    """
    found = _with_runs(text, _split(text, len(hits)), hits)
    return [one.text for one in found if not one.markers and not _leads_in(one.text)]


def _check(sentence: Sentence, hits: Sequence[Hit]) -> tuple[list[Citation], bool]:
    """A citation for each marker, and whether it is supported: whole by one, or each part by its own."""
    cited = {marker: _cite(sentence.text, sentence.text, marker, hits) for marker in sentence.markers}
    supported = any(one.support != "missing" for one in cited.values())
    if not supported and len(sentence.parts) > 1:
        each = []
        for words_before, markers in sentence.parts:
            tried = {marker: _cite(words_before, sentence.text, marker, hits) for marker in markers}
            each.append(any(one.support != "missing" for one in tried.values()))
            cited |= {marker: one for marker, one in tried.items() if cited[marker].support == "missing"}
        supported = all(each)
    return list(cited.values()), supported


def _cite(claim: str, sentence: str, marker: int, hits: Sequence[Hit]) -> Citation:
    if not 1 <= marker <= len(hits):
        return Citation(marker, sentence, "missing")
    passage = hits[marker - 1].passage
    citation = Citation(
        marker, sentence, "missing", passage.id, passage.document_id, passage.source, passage.heading, passage.page
    )
    exact = find(claim, passage.text)
    span = exact or find_close(claim, passage.text, passage.heading)
    if span is None:
        return citation
    start, end = span
    return replace(
        citation,
        support="exact" if exact else "close",
        quote=passage.text[start:end],
        start=passage.start + start,
        end=passage.start + end,
    )


# -- sentences and their markers -----------------------------------------------------------------------------------


def _split(text: str, passages: int) -> list[Sentence]:
    """Sentences with the markers inside, behind, or at the head of the line before them."""
    code = [match.span() for match in _CODE.finditer(text)]
    markers = [m for m in _MARKER.finditer(text) if _is_marker(m, text, passages) and not _inside(m.end() - 1, code)]
    found: list[Sentence] = []
    for start, end in _lines(text, code):
        own = [m for m in markers if start <= m.start() and m.end() <= end]
        line = _line(text, start, end, own)
        if not line and own and found:  # markers on a line of their own belong to what stands above
            numbers = [number for marker in own for number in _numbers(marker.group())]
            found[-1] = replace(found[-1], markers=_unique([*found[-1].markers, *numbers]), end=own[-1].end())
        found.extend(line)
    return found


def _is_marker(match: re.Match[str], text: str, passages: int) -> bool:
    """`[2]`; not the index of `rows[2]`, not the link `[2](…)`, not the year `[2024]`."""
    after = text[match.end() : match.end() + 1]
    joined = not match.group()[0].isspace()
    before = text[match.start() - 1 : match.start()] if joined else ""
    index = before in ("_", ")") and after in ("[", ".", "=", "(") and after != ""
    numbers = _numbers(match.group())
    return not index and after not in ("(", "=") and all(0 < n <= max(MAX_MARKER, passages) for n in numbers)


def _numbers(marker: str) -> tuple[int, ...]:
    numbers: list[int] = []
    for first, last in _PART.findall(marker):
        low, high = int(first), int(last or first)
        numbers.extend(range(low, high + 1) if low <= high <= low + MAX_MARKER else (low, high))
    return _unique(numbers)


def _lines(text: str, code: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Lines that hold something. One that breaks inside a sentence goes on, code stays whole."""
    soft = {text.index("\n", match.start()) for match in _SOFT_BREAK.finditer(text)}
    start = 0
    for position in [index for index, char in enumerate(text) if char == "\n"] + [len(text)]:
        if position in soft or (position < len(text) and _inside(position, code)):
            continue
        if text[start:position].strip():
            yield start, position
        start = position + 1


def _line(text: str, start: int, end: int, markers: Sequence[re.Match[str]]) -> list[Sentence]:
    """Cut one line into sentences as if it had no markers, then hand each marker to the sentence it stands at."""
    clean, origin = _without(text, start, end, [match.span() for match in markers])
    bullet = _BULLET.match(clean)
    head = bullet.end() if bullet else 0
    spans = [(head + a, head + b) for a, b in sentences(clean[head:])]
    spans = [(a, b) for a, b in spans if not set(words(clean[a:b])) <= _EMPTY]
    if not spans:
        return []
    places = [sum(1 for place in origin if place < match.start()) for match in markers]
    owners = _owners(places, spans)
    found = []
    for index, (a, b) in enumerate(spans):
        mine = [match for match, owner in zip(markers, owners, strict=True) if owner == index]
        first, bare_end = origin[a], origin[b - 1] + 1
        found.append(
            Sentence(
                start=min([first, *(m.start() for m in mine)]),
                end=max([bare_end, *(m.end() for m in mine)]),
                text=" ".join(clean[a:b].split()),
                markers=_unique([number for match in mine for number in _numbers(match.group())]),
                bare_end=bare_end,
                line=(start, origin[head] if head < len(origin) else end),
                parts=_parts(text, first, bare_end, mine),
            )
        )
    return found


def _parts(
    text: str, start: int, end: int, markers: Sequence[re.Match[str]]
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """What stands before each group of markers; the last stretch goes on to the end of the sentence."""
    parts: list[tuple[str, tuple[int, ...]]] = []
    position = start
    for marker in markers:
        words_before = text[position : max(position, marker.start())].strip(" \t\n.,;:")
        numbers = _numbers(marker.group())
        if words_before or not parts:
            parts.append((words_before, numbers))
        else:
            parts[-1] = (parts[-1][0], _unique([*parts[-1][1], *numbers]))
        position = marker.end()
    if parts and position < end:
        parts[-1] = (f"{parts[-1][0]}{text[position:end]}", parts[-1][1])
    return tuple(parts)


def _owners(places: Sequence[int], spans: Sequence[tuple[int, int]]) -> list[int]:
    """Index of the sentence of each marker: the one before it, or the one after it where the line opens with one."""
    leading = any(place <= spans[0][0] for place in places)
    trailing = any(place >= spans[-1][1] for place in places)
    if leading and not trailing:
        return [next((i for i, (_, b) in enumerate(spans) if place < b), len(spans) - 1) for place in places]
    return [max([i for i, (a, _) in enumerate(spans) if a < place], default=0) for place in places]


def _without(text: str, start: int, end: int, spans: Sequence[tuple[int, int]]) -> tuple[str, list[int]]:
    """The line without its markers; and for each character left, where it was. A line break inside becomes a space."""
    chars: list[str] = []
    origin: list[int] = []
    position = start
    for left, right in [*spans, (end, end)]:
        for index in range(position, left):
            chars.append(" " if text[index] == "\n" else text[index])
            origin.append(index)
        if right < end and text[right].isalnum():
            chars.append(" ")
            origin.append(left)
        position = right
    return "".join(chars), origin


def _with_runs(text: str, found: Sequence[Sentence], hits: Sequence[Hit]) -> list[Sentence]:
    """Join sentences before a marker into one where together they stand word for word in the passage it names.

    So a quote of two sentences is one citation, and a `[3]` that is part of the quoted words is not a marker.
    """
    joined: list[Sentence] = []
    for sentence in found:
        last = _trailing(text, sentence)
        run = [one for one in joined[-MAX_RUN:] if one.line == sentence.line]
        passages = [hits[n - 1].passage.text for n in last if 1 <= n <= len(hits)]
        inner = set(sentence.markers) - set(last)
        for size in range(len(run), -1 if inner else 0, -1):
            first = run[len(run) - size] if size else sentence
            begin = max(first.start, sentence.line[1])
            if any(find(text[begin : sentence.bare_end], passage) for passage in passages):
                whole = " ".join(text[begin : sentence.bare_end].split())
                joined = joined[: len(joined) - size]
                sentence = replace(sentence, start=first.start, text=whole, markers=last, parts=())
                break
        joined.append(sentence)
    return joined


def _trailing(text: str, sentence: Sentence) -> tuple[int, ...]:
    """The markers that stand behind the last word of a sentence, before or after its full stop."""
    behind = [
        number for match in _MARKER.finditer(text, sentence.bare_end, sentence.end) for number in _numbers(match[0])
    ]
    if not behind and (before := re.search(rf"({_MARKER.pattern})+[.!?]?$", text[sentence.start : sentence.bare_end])):
        behind = [number for match in _MARKER.finditer(before[0]) for number in _numbers(match[0])]
    return _unique([number for number in behind if number in sentence.markers])


# -- what is left of the text --------------------------------------------------------------------------------------


def _leads_in(sentence: str) -> bool:
    return sentence.endswith(":") and len(sentence.split()) <= _LEAD_IN_WORDS and not re.search(r"\d", sentence)


def _with_lead_ins(found: Sequence[Sentence], kept: Sequence[Sentence]) -> list[Sentence]:
    """Kept sentences, and the line that leads to a list of which something is kept."""
    chosen = set(kept)
    lead: Sentence | None = None
    for sentence in found:
        if sentence in kept and lead:
            chosen.add(lead)
            lead = None
        elif _leads_in(sentence.text):
            lead = sentence
    return [sentence for sentence in found if sentence in chosen]


def _pasted(text: str, kept: Sequence[Sentence]) -> str:
    lines: dict[tuple[int, int], list[str]] = {}
    for sentence in kept:
        start, body = sentence.line
        parts = lines.setdefault(sentence.line, [text[start:body].strip()] if body > start else [])
        parts.append(
            text[max(sentence.start, body if sentence.start <= body else sentence.start) : sentence.end].strip()
        )
    return "\n".join(" ".join(part for part in parts if part) for parts in lines.values())


def _inside(position: int, spans: Sequence[tuple[int, int]]) -> bool:
    return any(start <= position < end for start, end in spans)


def _unique(numbers: Sequence[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(numbers))
