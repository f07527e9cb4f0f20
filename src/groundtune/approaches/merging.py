"""Merge two outputs: the facts of one that rests on passages, the form of another. Asks no model, checks no citation.

A sentence of the form stays if a passage supports it. One that disagrees with a cited sentence, or that nothing
supports, gives way to the cited sentence about the same thing, or goes. Cited sentences that are missing are added.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from groundtune.citations.agreement import about_the_same, disagree, says_all_of
from groundtune.citations.answer_sentences import Sentence, split_answer
from groundtune.citations.checking import best_support
from groundtune.citations.markers import find_markers, unwrapped
from groundtune.citations.statements import leads_in
from groundtune.common.support import is_supported
from groundtune.common.text import one_line
from groundtune.languages.detection import detect
from groundtune.languages.quantities import Quantity, quantities, supports
from groundtune.languages.text import words
from groundtune.protocols import SupportChecker
from groundtune.types import Citation, Hit


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Where the form says something else than the facts, which stand."""

    form: str
    facts: str


@dataclass(frozen=True, slots=True)
class Merged:
    """What was merged, and what of the form it does not hold."""

    output: Any
    """A text whose markers count `hits`, or an object."""
    disagreements: tuple[Disagreement, ...] = ()
    left_out: tuple[str, ...] = ()
    """Statements of the form that nothing supports."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What a merged text may rest on."""

    cited: Sequence[Citation]
    """Those of the facts."""
    hits: Sequence[Hit]
    question: str
    """As the model was asked it, with its conversation."""
    language: str = "english"
    """Of the project."""
    checker: SupportChecker | None = None


# -- texts ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Fact:
    """A supported sentence of the facts, with the numbers of its passages in `hits`."""

    text: str
    numbers: tuple[int, ...]
    said: bool = False
    """Whether the merged text holds it."""


@dataclass(slots=True)
class _Draft:
    """What has been decided so far."""

    edits: list[tuple[int, int, str]] = field(default_factory=list)
    disagreements: list[Disagreement] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    place: int | None = None
    """End of the last sentence that passages support: where further ones follow."""


def merge_answers(form: str, basis: Basis) -> Merged:
    """Merge into an answer: nothing is stated that no passage supports. It is "" where nothing is left."""
    return _merge(form, basis, marked=True)


def merge_written(form: str, basis: Basis) -> Merged:
    """Merge into a text without markers: of what nothing supports, only figures that the input lacks are left out."""
    return _merge(form, basis, marked=False)


def _merge(form: str, basis: Basis, *, marked: bool) -> Merged:
    text = _without_markers(form, basis.hits)
    facts = _facts(basis)
    draft = _Draft()
    sentences = split_answer(text, (), language=basis.language)
    for sentence in sentences:
        if sentence.states:
            _decide(sentence, facts, basis, draft, marked=marked)
    emptied = [(start, end) for start, end, new in draft.edits if not new]
    draft.edits += [(lead.start, lead.end, "") for lead in _empty_lead_ins(sentences, emptied)]
    missing = [_written(fact.text, fact.numbers, marked=marked) for fact in facts if not fact.said]
    place = draft.place if draft.place is not None or not marked else len(text)
    if missing and place is not None:
        draft.edits.append((place, place, "".join(f" {each}" for each in missing)))
    merged = _edited(text, draft.edits, sentences)
    return Merged(merged.strip(), tuple(draft.disagreements), tuple(draft.left_out))


def _decide(sentence: Sentence, facts: Sequence[_Fact], basis: Basis, draft: _Draft, *, marked: bool) -> None:
    """Note whether a sentence stays, and what comes in its place."""
    said, about = sentence.text, {"question": basis.question, "language": basis.language}
    rival = next((fact for fact in facts if disagree(said, fact.text, **about)), None)
    support = None
    if rival:
        draft.disagreements.append(Disagreement(one_line(said), one_line(rival.text)))
    else:
        support = best_support(said, basis.hits, language=basis.language, checker=basis.checker)
    if support and support.marker:
        for each in facts:
            each.said = each.said or says_all_of(said, each.text, **about)
        if marked:
            draft.edits.append((sentence.start, sentence.end, _written(said, (support.marker,), marked=True)))
        draft.place = sentence.end
        return
    if rival is None and not marked and not _unknown_figures(said, basis):
        return
    same = (fact for fact in facts if not fact.said and about_the_same(said, fact.text, **about))
    if fact := rival or next(same, None):
        new = "" if fact.said else _written(fact.text, fact.numbers, marked=marked)
        draft.place = sentence.end if new else draft.place
        fact.said = True
    else:
        new = ""
        draft.left_out.append(one_line(said))
    draft.edits.append((sentence.start, sentence.end, new))


def _facts(basis: Basis) -> list[_Fact]:
    numbers = {hit.passage.id: number for number, hit in enumerate(basis.hits, start=1)}
    found: dict[str, list[int]] = {}
    for citation in basis.cited:
        if citation.passage_id in numbers and is_supported(citation.support) is not False:
            found.setdefault(citation.sentence, []).append(numbers[citation.passage_id])
    return [_Fact(text, tuple(dict.fromkeys(named))) for text, named in found.items()]


def _written(sentence: str, numbers: Iterable[int], *, marked: bool) -> str:
    """Return a sentence with markers before its full stop."""
    if not marked:
        return sentence
    said = sentence.rstrip(" \t|")  # in a row of a table, before its last cell ends
    at = len(said.rstrip(".!?…。．！？।॥")) or len(said)
    return f"{sentence[:at]} {''.join(f'[{number}]' for number in numbers)}{sentence[at:]}"


def _without_markers(text: str, hits: Sequence[Hit]) -> str:
    """Return a text without the markers that a model wrote which was shown no passages, or others."""
    text = unwrapped(text, hits)
    for marker in reversed(find_markers(text, hits)):
        text = text[: marker.start] + text[marker.end :]
    return text


def _edited(text: str, edits: Sequence[tuple[int, int, str]], sentences: Sequence[Sentence]) -> str:
    """Return the text with the edits; a line of which nothing is left goes with its bullet."""
    emptied = {(start, end) for start, end, new in edits if not new}
    lines: dict[int, list[Sentence]] = {}
    for sentence in sentences:
        lines.setdefault(sentence.line[0], []).append(sentence)
    gone = [
        (start, line[-1].end, "")
        for start, line in lines.items()
        if all((sentence.start, sentence.end) in emptied for sentence in line)
    ]
    pieces, position = [], 0
    for start, end, new in sorted([*edits, *gone]):
        if start < position:
            continue  # in a line that is gone
        pieces += [text[position:start], new]
        position = end if new else end + len(text[end:]) - len(text[end:].lstrip(" \t"))
    merged = "".join([*pieces, text[position:]])
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+(?=\n|\Z)", "", merged))


def _empty_lead_ins(sentences: Sequence[Sentence], emptied: Collection[tuple[int, int]]) -> Iterator[Sentence]:
    """Yield the lead-ins of lists of which nothing is left."""
    lead: Sentence | None = None
    items = 0
    for sentence in [*sentences, None]:
        if sentence and (sentence.start, sentence.end) in emptied:
            items += 1
            continue
        if lead and items:
            yield lead
        lead = sentence if sentence and leads_in(sentence.text) else None
        items = 0


# -- figures -------------------------------------------------------------------------------------------------------


def _unknown_figures(text: str, basis: Basis) -> list[str]:
    """Return the figures of a text that neither a passage nor the input has."""
    return _figures_beyond(text, [basis.question, *(hit.passage.text for hit in basis.hits)], basis.language)


def _figures_beyond(text: str, sources: Iterable[str], language: str) -> list[str]:
    stated = [figure for source in sources for figure in _figures(source, language)]
    return [
        text[figure.start : figure.end]
        for figure in _figures(text, language)
        if not any(supports(other, figure) or other.figures == figure.figures for other in stated)
    ]


def _figures(text: str, language: str) -> list[Quantity]:
    return [quantity for quantity in quantities(text, detect(text, language)) if not quantity.article]


# -- objects -------------------------------------------------------------------------------------------------------


def merge_objects(form: Mapping[str, Any], facts: Mapping[str, Any], basis: Basis) -> Merged:
    """Merge field by field: values from the facts, how they are written from the form where both say the same.

    A value that only the form has stays, unless it has a figure that neither the passages nor the input have.
    """
    disagreements: list[Disagreement] = []
    left_out: list[str] = []

    def merged(path: str, said: Any, fact: Any) -> Any:
        if isinstance(said, Mapping) and isinstance(fact, Mapping):
            return {
                key: merged(f"{path}.{key}" if path else key, said.get(key), fact.get(key))
                for key in dict.fromkeys((*said, *fact))
            }
        if _are_objects(said) and _are_objects(fact) and len(said) == len(fact):
            return [merged(f"{path}[{at}]", *pair) for at, pair in enumerate(zip(said, fact, strict=True))]
        if _is_nothing(fact):
            if not _is_nothing(said) and _figures_beyond(_shown(said), _sources(basis), basis.language):
                left_out.append(f"{path}: {_shown(said)}")
                return fact
            return said
        if _is_nothing(said) or _same_value(said, fact, basis.language):
            return fact if _is_nothing(said) else said
        disagreements.append(Disagreement(f"{path}: {_shown(said)}", _shown(fact)))
        return fact

    return Merged(merged("", form, facts), tuple(disagreements), tuple(left_out))


def _sources(basis: Basis) -> list[str]:
    return [basis.question, *(hit.passage.text for hit in basis.hits)]


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _is_nothing(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _same_value(one: Any, other: Any, language: str) -> bool:
    """Whether two values are the same apart from how they are written: 1,000 € and 1000 EUR, lists in any order."""
    if isinstance(one, list) and isinstance(other, list):
        left = list(other)
        for item in one:
            match = next((each for each in left if _same_value(item, each, language)), None)
            if match is None:
                return False
            left.remove(match)
        return not left
    if isinstance(one, str) and isinstance(other, str):
        return words(one) == words(other) or _same_figure(one, other, language)
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _same_figure(one: str, other: str, language: str) -> bool:
    """Whether both texts are the same one figure with the same words around it."""
    first, second = _figures(one, language), _figures(other, language)
    if len(first) != 1 or len(second) != 1 or not supports(first[0], second[0]):
        return False
    rest = [words(text[: found.start] + text[found.end :]) for text, found in ((one, first[0]), (other, second[0]))]
    return rest[0] == rest[1]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
