"""Check each sentence of an answer against the passage that it cites, and number the markers for the reader.

exact: the sentence appears in the passage word for word. close: its numbers, names and most of its words appear
together there, and it does not contradict what the passage says. missing: neither applies, or the marker refers to no
passage. uncited: it states something without a marker, and not exactly one passage supports it. The check compares
words: it catches a changed figure, a swapped name or an added "not", but not a different claim in the same words; a
`SupportChecker` may decide those. Does not search, and rewrites nothing but markers. docs/citations.md has the rules.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from groundtune.citations.answer_sentences import Sentence, is_source_word, paragraph_ends, split_answer
from groundtune.citations.close_matching import closest_support, find_close
from groundtune.citations.markers import unwrapped
from groundtune.citations.quote_matching import Span, find
from groundtune.citations.statements import is_heading, leads_in
from groundtune.common.support import CLOSE, EXACT, MISSING, UNCHECKED, UNCITED, is_supported
from groundtune.errors import GroundtuneError, UsageError
from groundtune.languages.text import words
from groundtune.protocols import SupportChecker
from groundtune.types import Citation, Hit, Support

ADDED_WORDS = 2
"""Words that an uncited sentence needs before a marker is added to it: one word stands in many passages by chance."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How sentences are compared with passages."""

    language: str = "english"
    """Language of the project."""
    checker: SupportChecker | None = None
    """Decides about sentences that are not in their passage word for word."""


@dataclass(frozen=True, slots=True)
class JudgedSentence:
    """A sentence with its citations, whose markers still count as the prompt does."""

    sentence: Sentence
    citations: tuple[Citation, ...] = ()
    supported: bool = False
    """Whether a cited passage supports it: as a whole, or each part by one."""

    @property
    def added(self) -> tuple[int, ...]:
        """Return the numbers of the passages for which a marker is added."""
        return tuple(citation.marker for citation in self.citations if citation.added and citation.marker is not None)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Return the passages that its markers name, the added ones last."""
        return (*self.sentence.numbers, *self.added)


def check_citations(
    text: str,
    hits: Sequence[Hit],
    *,
    strict: bool = False,
    language: str = "english",
    checker: SupportChecker | None = None,
) -> tuple[str, tuple[Citation, ...]]:
    """Return the answer's text, and its citations in order: one for each marker of each sentence that states something.

    Markers of any form become `[1]`, `[2]`, … in order of first appearance; `Citation.passage_id` says which passage it
    is. hits: the passages as numbered in the prompt. strict: drop sentences that no passage supports; "" when none is
    left. language: of the project. checker: decides about sentences that are not in their passage word for word.
    """
    by = Comparison(language, checker)
    text = unwrapped(text, hits)
    judged = judge_sentences(text, split_answer(text, hits, language=language), hits, by)
    if judged and not any(each.citations for each in judged):
        judged = [replace(each, citations=(_uncited(each.sentence),)) for each in judged]
    chosen = supported_sentences(judged) if strict else judged
    if strict and (not chosen or len(chosen) < len(judged)):
        return pasted(text, chosen), numbered_citations(chosen)
    return rendered(text, 0, len(text), chosen).strip(), numbered_citations(chosen)


def sentence_evidence(text: str, hits: Sequence[Hit], *, language: str = "english") -> tuple[Citation, ...]:
    """Return the only passage that supports it, for each sentence with one, of a text that has no room for markers.

    The citations have no marker, and the text stays as it is. Of the other sentences nothing is said: most of a letter
    rests on no document.
    """
    by = Comparison(language)
    judged = [_judge(replace(each, markers=()), (), hits, by) for each in split_answer(text, hits, language=language)]
    return tuple(
        replace(cited, marker=None, added=False) for each in judged if each.supported for cited in each.citations
    )


def best_support(
    claim: str, hits: Sequence[Hit], *, language: str = "english", checker: SupportChecker | None = None
) -> Citation | None:
    """Return the citation, with its number in `hits`, of the passage that supports a claim best; None if none does.

    Of equally good ones the first; where nothing can check the words, one that has them. language: of the project.
    """
    by = Comparison(language, checker)
    cited = [_cite(claim, claim, number, hits, by) for number in range(1, len(hits) + 1)]
    kept = [citation for citation in cited if is_supported(citation.support) is not False]
    order = {EXACT: 0, UNCHECKED: 2}
    return min(kept, key=lambda citation: order.get(citation.support, 1), default=None)


def judge_sentences(
    text: str,
    answer_sentences: Sequence[Sentence],
    hits: Sequence[Hit],
    by: Comparison,
    *,
    start: int = 0,
) -> list[JudgedSentence]:
    """Judge the sentences from `start` on; the ones before are only context."""
    carriers = carrying_markers(text, answer_sentences)
    return [
        _judge(sentence, carriers[index], hits, by) for index, sentence in enumerate(answer_sentences) if index >= start
    ]


# -- which marker a sentence has -----------------------------------------------------------------------------------


def carrying_markers(text: str, answer_sentences: Sequence[Sentence]) -> list[tuple[int, ...]]:
    """Return, for each sentence without a marker, the passages that a marker elsewhere may name for it.

    A marker carries the sentences before it in its paragraph, back to the one with the marker before; a marker in a
    lead-in carries the sentences of the list below it.
    """
    carriers: list[tuple[int, ...]] = [()] * len(answer_sentences)
    carrying: tuple[int, ...] = ()
    for index in range(len(answer_sentences) - 1, -1, -1):
        sentence = answer_sentences[index]
        last = index + 1 == len(answer_sentences)
        if last or paragraph_ends(text, sentence, answer_sentences[index + 1]):
            carrying = ()
        if sentence.numbers:
            carrying = () if leads_in(sentence.text) else sentence.numbers
        else:
            carriers[index] = carrying
    lead: tuple[int, ...] = ()
    for index, sentence in enumerate(answer_sentences):
        if leads_in(sentence.text):
            lead = sentence.numbers
        elif sentence.line[0] == sentence.line[1]:
            lead = ()  # no item of a list
        elif not sentence.numbers and not carriers[index]:
            carriers[index] = lead
    return carriers


# -- what supports a sentence --------------------------------------------------------------------------------------


def _judge(sentence: Sentence, carriers: Sequence[int], hits: Sequence[Hit], by: Comparison) -> JudgedSentence:
    if sentence.numbers:
        return _judge_marked(sentence, hits, by)
    if not sentence.states or _names_places(sentence.text, hits):
        return JudgedSentence(sentence)
    carried = [_cite(sentence.text, sentence.text, number, hits, by) for number in carriers]
    kept = [citation for citation in carried if is_supported(citation.support) is not False]
    if not kept and (number := _only_support(sentence.text, hits, by.language)):
        kept = [_cite(sentence.text, sentence.text, number, hits, replace(by, checker=None))]
    if not kept:
        return JudgedSentence(sentence, (_uncited(sentence),))
    supported = any(is_supported(citation.support) for citation in kept)
    return JudgedSentence(sentence, tuple(replace(citation, added=True) for citation in kept), supported)


def _judge_marked(sentence: Sentence, hits: Sequence[Hit], by: Comparison) -> JudgedSentence:
    """Judge a sentence by each of its markers. Without support as a whole, each part counts with its own markers."""
    cited = {number: _cite(sentence.text, sentence.text, number, hits, by) for number in sentence.numbers}
    supported = any(is_supported(citation.support) for citation in cited.values())
    if not supported and len(sentence.parts) > 1:
        parts_supported = []
        for words_before, numbers in sentence.parts:
            part = {number: _cite(words_before, sentence.text, number, hits, by) for number in numbers}
            parts_supported.append(any(is_supported(citation.support) for citation in part.values()))
            cited |= {number: citation for number, citation in part.items() if not is_supported(cited[number].support)}
        supported = all(parts_supported)
    if not supported and _claims_nothing(sentence, hits):
        cited = {
            number: replace(citation, support=UNCHECKED) if citation.passage_id else citation
            for number, citation in cited.items()
        }
    return JudgedSentence(sentence, tuple(cited.values()), supported)


def _claims_nothing(sentence: Sentence, hits: Sequence[Hit]) -> bool:
    """Whether a sentence with a marker only names the passage: a lead-in, a heading, a line of a list of sources."""
    if leads_in(sentence.text) or is_heading(sentence.text):
        return True
    return _names_places(sentence.text, [hits[number - 1] for number in sentence.numbers if 1 <= number <= len(hits)])


def _names_places(text: str, hits: Sequence[Hit]) -> bool:
    """Whether a text has a source of these passages, or "passage 1", and else only words of sources and headings."""
    places = {word for hit in hits for word in words(f"{hit.passage.source} {hit.passage.heading}")}
    spoken = words(text)
    named = {word for word in spoken if not is_source_word(word) and not word.isdecimal()}
    numbered = any(is_source_word(word) and number.isdecimal() for word, number in pairwise(spoken))
    return bool(named) and named <= places and (numbered or any(hit.passage.source in text for hit in hits))


def _uncited(sentence: Sentence) -> Citation:
    return Citation(None, sentence.text, UNCITED)


def _only_support(claim: str, hits: Sequence[Hit], language: str) -> int | None:
    """Return the number of the only passage that holds a claim word for word, else of the only one that is close."""
    unspaced = sum(ord(char) >= 0x0E00 for char in claim)  # a word of Chinese, Japanese or Thai has no end of its own
    if len(words(claim)) < ADDED_WORDS and unspaced < 2 * ADDED_WORDS:
        return None
    exact = [number for number, hit in enumerate(hits, start=1) if find(claim, hit.passage.text, language=language)]
    if exact:
        return exact[0] if len(exact) == 1 else None
    close = [
        number
        for number, hit in enumerate(hits, start=1)
        if _compare(claim, hit.passage.text, hit.passage.heading, language)[0] == CLOSE
    ]
    return close[0] if len(close) == 1 else None


def _cite(claim: str, sentence: str, number: int, hits: Sequence[Hit], by: Comparison) -> Citation:
    if not 1 <= number <= len(hits):
        return Citation(number, sentence, MISSING)
    passage, also_in = hits[number - 1].passage, hits[number - 1].also_in
    support, span = _compare(claim, passage.text, passage.heading, by.language)
    if by.checker is not None and support != EXACT:
        support = _asked(by.checker, claim, passage.headed)
        span = span if is_supported(support) else None
    start, end = span or (0, 0)
    return Citation(
        number, sentence, support, passage.id, passage.document_id, passage.source, passage.heading,
        page=passage.page_at(passage.start + start),
        quote=passage.text[start:end],
        start=passage.start + start if span else None,
        end=passage.start + end if span else None,
        also_in=also_in,
    )  # fmt: skip


def _asked(checker: SupportChecker, claim: str, passage: str) -> Support:
    """Return what a checker says. Raises UsageError when it fails, or returns no state."""
    try:
        support = checker.support(claim, passage)
    except GroundtuneError:
        raise
    except Exception as error:
        message = f"the checker of [answers] failed: {type(error).__name__}: {error}"
        raise UsageError(message, hint="run again with --debug for the traceback") from error
    if not isinstance(support, str) or not support.strip():
        hint = 'return "close", "missing" or "unchecked"'
        raise UsageError(f"the checker of [answers] returned {support!r}, not a state of support", hint=hint)
    return support


def _compare(claim: str, text: str, heading: str, language: str) -> tuple[Support, Span | None]:
    """Return how far a text supports a claim, and where."""
    if span := find(claim, text, language=language):
        return EXACT, span
    if span := find_close(claim, text, heading, language=language):
        return closest_support(text, language=language), span
    return MISSING, None


# -- the text for the reader ---------------------------------------------------------------------------------------


def supported_sentences(judged: Sequence[JudgedSentence]) -> list[JudgedSentence]:
    """Return the supported sentences, and the introductory line of a list of which an item is supported."""
    result: list[JudgedSentence] = []
    lead: JudgedSentence | None = None
    for each in judged:
        if each.supported:
            result += [lead, each] if lead else [each]
            lead = None
        elif leads_in(each.sentence.text):
            lead = each
    return result


def numbered_citations(judged: Sequence[JudgedSentence]) -> tuple[Citation, ...]:
    """Return the citations of these sentences with the numbers of the reader."""
    numbering = _numbering(judged)
    return tuple(
        citation if citation.marker is None else replace(citation, marker=numbering[citation.marker])
        for each in judged
        for citation in each.citations
    )


def rendered(text: str, start: int, end: int, judged: Sequence[JudgedSentence]) -> str:
    """Return a piece of the text with the markers of these sentences, the first ones of the answer, as `[n]`."""
    return _with_markers(text, start, end, judged, _numbering(judged))


def pasted(text: str, kept: Sequence[JudgedSentence]) -> str:
    """Return the kept sentences: those of a line on one line, with a blank line where paragraphs were apart."""
    numbering = _numbering(kept)
    result = ""
    for previous, each in zip([None, *kept], kept, strict=False):
        sentence = each.sentence
        start, body = sentence.line
        words_kept = _with_markers(text, max(sentence.start, body), sentence.end, [each], numbering).strip()
        if previous and previous.sentence.line == sentence.line:
            result += f" {words_kept}"
            continue
        if previous:
            result += "\n\n" if paragraph_ends(text, previous.sentence, sentence) else "\n"
        head = _with_markers(text, start, body, [each], numbering).strip()
        result += " ".join(part for part in (head, words_kept) if part)
    return result


def _numbering(judged: Sequence[JudgedSentence]) -> dict[int, int]:
    """Map each number of the prompt to that of the reader: 1, 2, … in order of first appearance."""
    numbers = dict.fromkeys(number for each in judged for number in each.numbers)
    return {number: place for place, number in enumerate(numbers, start=1)}


def _with_markers(
    text: str, start: int, end: int, judged: Sequence[JudgedSentence], numbering: Mapping[int, int]
) -> str:
    edits: list[tuple[int, int, str]] = []
    for each in judged:
        for marker in each.sentence.markers:
            if start <= marker.open and marker.end <= end:
                edits.append((marker.open, marker.end, _written(marker.numbers, numbering)))
        place = _place_of_added(text, each.sentence)
        if each.added and start <= place <= end:
            blank = "" if unicodedata.east_asian_width(text[place - 1]) in "WF" else " "
            edits.append((place, place, blank + _written(each.added, numbering)))
    pieces, position = [], start
    for left, right, written in sorted(edits):
        pieces += [text[position:left], written]
        position = right
    return "".join([*pieces, text[position:end]])


def _written(numbers: Sequence[int], numbering: Mapping[int, int]) -> str:
    return "".join(f"[{numbering[number]}]" for number in numbers)


def _place_of_added(text: str, sentence: Sentence) -> int:
    """Return where a sentence takes a further marker: before its full stop, or the end of its table row."""
    words_only = text[sentence.start : sentence.bare_end].rstrip(" \t|")
    return sentence.start + len(words_only.rstrip(".!?…。．！？।॥።") or words_only)
