"""Find where a passage says in nearly the same words what a sentence says. Pure; does not know what words mean.

A sentence is close if most of its content words, all its names and quantities are together in the passage, and nothing
in it turns the statement round: no negation, bound or opposite that the passage lacks, and no word in place of another.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile, pairwise, takewhile

import regex

from groundtune.citations.quote_matching import Span
from groundtune.common.support import CLOSE, UNCHECKED
from groundtune.languages.detection import detect
from groundtune.languages.inflection import is_head, same_name, same_word
from groundtune.languages.language import BOUNDS, KEPT, STRICT, Language, load
from groundtune.languages.quantities import Quantity, supports, units
from groundtune.languages.reading import Element, Reading, read
from groundtune.languages.senses import Sense
from groundtune.languages.text import sentences, stem
from groundtune.languages.tokens import Writing, tokenize
from groundtune.types import Support

COVERED = 0.7
"""Share of a sentence's content words that must appear in the passage for it to count as close."""
WINDOW = 3
"""Maximum adjacent sentences of the passage that together may support one sentence."""
NEAR = 3
"""Content words of its clause, on either side, that tell what a critical word is about."""
_LIMITS = BOUNDS | {"before", "after"}
BETWEEN = 8
"""Maximum words between two that may have changed places."""
REPLACED = 4
"""Maximum words on either side of a replacement; longer ones are another way of putting it."""

_LABEL = r"(?:[^:;()\n]|\([^()\n]*\)){1,60}: "
_ROW = regex.compile(rf"{_LABEL}[^;\n]*; {_LABEL}")


def find_close(sentence: str, text: str, heading: str = "", *, language: str = "english") -> Span | None:
    """Find adjacent sentences of the text that say nearly in the same words what the sentence says.

    language: of the project; a text that is clearly in another is read in that. See `closest_support`.
    """
    language = detect(text, language)
    claim, whole = read(sentence, language), read(f"{heading}. {text}", language)
    named_units = units(f"{heading}. {text}", language)
    if not any(element.content for element in claim.elements) or not all(
        _states(whole, amount, named_units) for amount in _amounts(claim)
    ):
        return None
    same = _same_words(claim, whole, language)
    words = [same.get(element.stem, element.stem) for element in claim.elements if _is_word(element)]
    needed = COVERED if len(words) > 2 else 1.0
    in_heading = _stems(read(heading, language))
    anywhere, placed = in_heading | _sense_keys(words, language), _placed_stems(text, language)
    spans, rows = _spans(text, language)
    refused: list[tuple[Span, int]] = []
    for size in range(1, WINDOW + 1):
        runs = [spans[i : i + size] for i in range(len(spans) - size + 1)]
        windows = [(run[0][0], run[-1][1]) for run in runs if size == 1 or rows.isdisjoint(run)]
        windows = [
            (a, b)
            for a, b in windows
            if _share(words, anywhere.union(stem for place, stem in placed if a <= place < b)) >= needed
        ]  # reading the others takes long
        covered = {(a, b): _share(words, in_heading | _stems(read(text[a:b], language))) for a, b in windows}
        for start, end in sorted(windows, key=lambda window: -covered[window]):
            if covered[start, end] < needed:
                break
            said = _said(claim, read(text[start:end], language), same, named_units)
            if any(start <= a and b <= end and said <= less for (a, b), less in refused):
                continue
            before = max((span for span in spans if span[1] <= start), default=(start, start))[0]
            stated = _Stated(
                window=read(text[start:end], language),
                sentences=tuple(read(text[a:b], language) for a, b in spans if start <= a and b <= end),
                with_sentence_before=read(text[before:end], language),
                heading=read(heading, language),
                named_units=named_units,
            )
            if _agree(claim, stated, same, language):
                return start, end
            refused.append(((start, end), said))
    return None


def _said(claim: Reading, window: Reading, same: Mapping[str, str], named_units: frozenset[str]) -> int:
    """Count what of the claim is in a window. Sentences that add nothing to a refused one change nothing about it."""
    words = (same.get(element.stem, element.stem) for element in claim.elements if _is_word(element))
    there = _stems(window)
    return sum(word in there for word in words) + sum(_states(window, a, named_units) for a in _amounts(claim))


def closest_support(text: str, *, language: str = "english") -> Support:
    """Return what a sentence that `find_close` finds in the text counts as: close only in a language with data."""
    return CLOSE if load(detect(text, language)) else UNCHECKED


@dataclass(frozen=True, slots=True)
class _Stated:
    """What a passage states in one place."""

    window: Reading
    sentences: tuple[Reading, ...]
    with_sentence_before: Reading
    heading: Reading
    named_units: frozenset[str]


def _agree(claim: Reading, stated: _Stated, same: Mapping[str, str], language: str) -> bool:
    return (
        all(_names(stated, name, language) for name in claim.names)
        and all(_is_bound(amount, claim, stated, same) for amount in _amounts(claim))
        and not any(_is_end_alone(element, claim, stated) for element in claim.elements)
        and not _is_other_change(claim, stated)
        and not _has_rival_amount(claim, stated)
        and not _turns_round(claim, stated, same, language)
        and not _widens(claim, stated.window, same, language)
        and not _replaces(claim, stated, same)
        and not _swaps(claim, stated, same, language)
    )


def _names(stated: _Stated, name: Element, language: str) -> bool:
    """Whether the passage has the name there, in the sentence before, or in its heading."""
    words = (*stated.with_sentence_before.elements, *stated.heading.elements)
    return any(_is_word(e) and (e.stem == name.stem or same_name(name.word, e.word, language)) for e in words)


def _same_words(claim: Reading, whole: Reading, language: str) -> dict[str, str]:
    """Return, for what the passage has in another form than the claim, the stem or amount in the passage."""
    there = {element.stem: element.word for element in whole.elements if element.content}
    amounts = [element for element in whole.elements if element.quantity]
    same: dict[str, str] = {}
    for element in claim.elements:
        if not element.content or element.stem in there:
            continue
        if element.quantity:
            equal = (e.stem for e in amounts if e.quantity and supports(e.quantity, element.quantity))
            same[element.stem] = next(equal, element.stem)
        else:
            forms = (
                stem
                for stem, word in there.items()
                if same_word(element.word, word, language) or is_head(element.word, word, language)
            )
            if (stem := next(forms, None)) is not None:
                same[element.stem] = stem
    return same


def _is_word(element: Element) -> bool:
    return element.content and element.quantity is None


def _stems(reading: Reading) -> set[str]:
    return {element.stem for element in reading.elements if _is_word(element)}


def _sense_keys(words: Sequence[str], language: str) -> set[str]:
    """Return those of these stems that may stand for a sense, which other words in a passage can have."""
    data = load(language)
    return {word for word in words if " " in word or (data is not None and word in data.rivals)}


def _placed_stems(text: str, language: str) -> list[tuple[int, str]]:
    """Return the stem of every word with its place: all that a reading of a part can have, but for senses."""
    data = load(language)
    return [(token.start, stem(token, language)) for token in tokenize(text, data.writing if data else Writing())]


def _share(words: Sequence[str], there: Collection[str]) -> float:
    return sum(word in there for word in words) / len(words) if words else 1.0


# -- quantities ----------------------------------------------------------------------------------------------------


def _amounts(reading: Reading) -> list[Quantity]:
    return [quantity for quantity in reading.quantities if not quantity.article]


def _states(reading: Reading, amount: Quantity, named_units: frozenset[str]) -> bool:
    return any(supports(quantity, amount, named_units) for quantity in reading.quantities)


def _is_bound(amount: Quantity, claim: Reading, stated: _Stated, same: Mapping[str, str]) -> bool:
    """Whether a sentence of the passage has the amount and most of the words that surround it in the claim."""
    if _states(stated.heading, amount, stated.named_units):
        return True
    clause = claim.clause_at(amount.start)
    units = {word for e in stated.window.elements if e.quantity for word in e.word.split()}
    words = [e for e in claim.elements if _is_word(e) and e.word not in units]
    near = {same.get(e.stem, e.stem) for e in words if e.clause == clause}
    near = near if len(near) >= 2 else {same.get(e.stem, e.stem) for e in words}
    in_heading = _stems(stated.heading)
    return any(
        2 * len(near & (_stems(part) | in_heading)) > len(near) or not near
        for part in stated.sentences
        if _states(part, amount, stated.named_units)
    )


def _is_end_alone(element: Element, claim: Reading, stated: _Stated) -> bool:
    """Whether the claim has one end of a range without a word that says so: 4 days of 2 to 4 days."""
    amount = element.quantity
    if amount is None or amount.ranged:
        return False
    if any(sense.name in _LIMITS or sense.name.startswith("opposite") for sense in claim.senses):
        return False
    if _changes(claim) and element.change and any("from" in e.change for e in stated.window.elements):
        return False  # rises to 4 days, from 2
    equal = [q for q in stated.window.quantities if supports(q, amount, stated.named_units)]
    both = sum(other.unit == amount.unit for other in _amounts(claim)) > 1  # between 2 and 4 days
    return bool(equal) and all(q.ranged for q in equal) and not both


def _is_other_change(claim: Reading, stated: _Stated) -> bool:
    """Whether something rises or falls by an amount to which it does in the passage, or the other way round."""
    if not _changes(claim):
        return False
    for element in claim.elements:
        if element.quantity and element.change:
            equal = [e for e in stated.window.elements if e.quantity and supports(e.quantity, element.quantity)]
            if equal and all(e.change and e.change.isdisjoint(element.change) for e in equal):
                return True
    return False


def _changes(reading: Reading) -> bool:
    return any(sense.name in ("rise", "fall") for sense in reading.senses)


def _has_rival_amount(claim: Reading, stated: _Stated) -> bool:
    """Whether the claim says "a month" where the passage has another number of months, and not one."""
    articles = [quantity for quantity in claim.quantities if quantity.article and quantity.unit]
    return any(
        not _states(stated.window, article, stated.named_units)
        and any(q.unit == article.unit and not _states(claim, q, frozenset()) for q in stated.window.quantities)
        for article in articles
    )


# -- critical words ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Placed:
    """A critical word and the content words near it."""

    name: str
    near: frozenset[str]
    following: str | None
    """The content word behind it."""
    amounts: frozenset[str]
    """The amounts that it may limit, as in "at least 5 days"."""
    place: tuple[int, int]
    """Its first element, and the one behind its last."""
    joined: bool
    """Whether a hyphen joins it to the next word: non-members."""

    def says(self, other: "_Placed") -> bool:
        """Whether the other has the same sense and is about the same words."""
        shared = len(self.near & other.near)
        return self.name == other.name and 2 * shared >= min(len(self.near), len(other.near))


def _turns_round(claim: Reading, stated: _Stated, same: Mapping[str, str], language: str) -> bool:
    """Whether a critical word of the claim or the passage changes what the other says."""
    data = load(language)
    if data is None:
        return False
    claimed = [_placed(sense, claim, same) for sense in claim.senses]
    there = [_placed(sense, stated.window, {}) for sense in stated.window.senses]
    claimed, there = _without_kept(claimed, there, claim, stated.window, same)
    headed = {sense.name for sense in stated.heading.senses}
    added = [sense for sense in _unpaired(claimed, there) if sense.name not in headed]
    left_out = _unpaired(there, claimed)
    rivals = [(ours, other) for ours in added for other in left_out if other.name in data.rivals.get(ours.name, ())]
    if any(ours.near & other.near for ours, other in rivals):
        return True
    words = {same.get(element.stem, element.stem) for element in claim.elements if element.content}
    of_all = any(sense.name == "all" for sense in claim.senses)  # all but …
    about = [
        sense
        for sense in there
        if 2 * len(sense.near & words) > len(sense.near)
        and ((sense.name != "without" and not sense.joined) or sense.following in words or of_all)
    ]
    for name in STRICT:
        ours = [sense for sense in claimed if sense.name == name and (name not in BOUNDS or sense.amounts)]
        theirs = [sense for sense in about if sense.name == name and (name not in BOUNDS or sense.amounts & words)]
        if (name not in headed and _unpaired(ours, there)) or (name in KEPT and _unpaired(theirs, claimed)):
            return True
    return False


def _widens(claim: Reading, window: Reading, same: Mapping[str, str], language: str) -> bool:
    """Whether the claim is about all or none of more than the passage is: all members, all full members."""
    data = load(language)
    if data is None:
        return False
    words = {same.get(element.stem, element.stem) for element in claim.elements}
    counted = [tuple(same.get(stem, stem) for stem in phrase) for phrase in _counted(claim, data)]
    stated = _counted(window, data)
    return any(
        ours not in stated and any(_narrows(phrase, ours[0], words, data) for phrase in stated) for ours in counted
    )


def _narrows(phrase: Sequence[str], noun: str, words: Collection[str], data: Language) -> bool:
    """Whether a phrase of the passage has an adjective with the noun that none of the claim's words is."""
    if noun not in phrase:
        return False
    at = phrase.index(noun)
    following = phrase[at + 1 : at + 2] if data.writing.adjectives_follow else ()
    return any(stem not in words for stem in (*phrase[:at], *following))


def _counted(reading: Reading, data: Language) -> list[tuple[str, ...]]:
    """Return the stems of the content words that stand together behind each quantifier."""
    phrases: list[tuple[str, ...]] = []
    for index, element in enumerate(reading.elements):
        if element.word in data.quantifiers:
            rest = [e for e in reading.elements[index + 1 :] if e.clause == element.clause]
            behind = dropwhile(lambda e: not e.content, rest)
            phrase = tuple(e.stem for e in takewhile(lambda e: e.content, behind))
            phrases += [phrase] if phrase else []
    return phrases


def _unpaired(senses: Sequence[_Placed], others: Sequence[_Placed]) -> list[_Placed]:
    """Return the senses that have no partner of their own among the others."""
    free = list(others)
    alone: list[_Placed] = []
    for sense in senses:
        partners = [other for other in free if sense.says(other)]
        if partners:
            free.remove(max(partners, key=lambda other: len(other.near & sense.near)))
        else:
            alone.append(sense)
    return alone


def _placed(sense: Sense, reading: Reading, same: Mapping[str, str]) -> _Placed:
    clause = reading.clause_at(sense.start)
    words = [e for e in reading.elements if e.content and not (sense.start <= e.start < sense.end)]
    in_clause = [e for e in words if e.clause == clause] or words
    before = [e for e in in_clause if e.start < sense.start][-NEAR:]
    after = [e for e in in_clause if e.start >= sense.end][:NEAR]
    inner = [e for e in in_clause if sense.start <= e.start < sense.end]
    following = next((same.get(e.stem, e.stem) for e in after), None)
    reach = after[:1] if sense.name in ("more", "less") else after
    amounts = frozenset(same.get(e.stem, e.stem) for e in (*before[-1:], *inner, *reach) if e.quantity)
    near = frozenset(same.get(e.stem, e.stem) for e in (*before, *inner, *after))
    starts = [e.start for e in reading.elements]
    place = bisect_left(starts, sense.start), bisect_left(starts, sense.end)
    return _Placed(sense.name, near, following, amounts, place, sense.joined)


def _without_kept(
    claimed: Sequence[_Placed], there: Sequence[_Placed], claim: Reading, window: Reading, same: Mapping[str, str]
) -> tuple[list[_Placed], list[_Placed]]:
    """Return the senses of both without those that the claim keeps, leaving out only words of their clause."""
    stems = [same.get(element.stem, element.stem) for element in claim.elements]
    partner = dict(_common(stems, [element.stem for element in window.elements]))
    kept = [
        (ours, other)
        for ours in claimed
        for other in there
        if ours.name == other.name and _is_kept(ours.place, other.place, partner, claim, window)
    ]
    return (
        [ours for ours in claimed if not any(ours is pair[0] for pair in kept)],
        [other for other in there if not any(other is pair[1] for pair in kept)],
    )


def _is_kept(
    place: tuple[int, int], there: tuple[int, int], partner: Mapping[int, int], claim: Reading, window: Reading
) -> bool:
    (start, end), (first, last) = place, there
    before = partner.get(start - 1, None if start else -1)
    behind = partner.get(end, None if end < len(claim.elements) else len(window.elements))
    if partner.get(start) != first or before is None or behind is None:
        return False
    gaps = window.elements[before + 1 : first], window.elements[last:behind]
    return all(
        len(gap) <= REPLACED and len({e.clause for e in gap if e.content} | {window.elements[first].clause}) == 1
        for gap in gaps
    )


# -- words in place of others --------------------------------------------------------------------------------------


def _replaces(claim: Reading, stated: _Stated, same: Mapping[str, str]) -> bool:
    """Whether the claim has another word, name or amount where the passage, otherwise alike, has one."""
    claimed = [same.get(element.stem, element.stem) for element in claim.elements]
    there = [element.stem for element in stated.window.elements]
    in_heading = _stems(stated.heading)
    for (i, k), (j, m) in pairwise([(-1, -1), *_common(claimed, there), (len(claimed), len(there))]):
        if max(j - i, m - k) - 1 > REPLACED:
            continue
        old = [e for e in stated.window.elements[k + 1 : m] if e.content and e.stem not in claimed]
        parts = {word for e in old for word in (e.stem, *e.word.split())}
        known = parts | in_heading
        new = [
            e
            for n, e in enumerate(claim.elements[i + 1 : j], i + 1)
            if e.content and claimed[n] not in known and e.word not in parts
        ]
        if new and old and any(part not in claimed for part in parts):
            return True
    return False


def _swaps(claim: Reading, stated: _Stated, same: Mapping[str, str], language: str) -> bool:
    """Whether two words have changed places around the same words: from Graz to Linz, from Linz to Graz.

    Not the items of a list, nor words that a language with cases may put in any place.
    """
    data = load(language)
    cased = data is not None and data.writing.declines_names
    ours = _around(claim, same)
    for sentence in stated.sentences:
        there = _around(sentence, {})
        count = Counter(element.stem for element in sentence.elements)
        for (first, between, second), words in ours.items():
            moved = there.get((second, between, first))
            kept = (second, between, first) in ours and max(count[first], count[second]) > 1
            if moved and (first, between, second) not in there and not kept and not (cased and moved == words[::-1]):
                return True
    return False


def _around(reading: Reading, same: Mapping[str, str]) -> dict[tuple[str, tuple[str, ...], str], tuple[str, str]]:
    """Map two content words, with what stands between them, to their forms. Items of one list are left out."""
    elements, stems = reading.elements, [same.get(e.stem, e.stem) for e in reading.elements]
    return {
        (stems[i], tuple(stems[i + 1 : j]), stems[j]): (elements[i].word, elements[j].word)
        for i in range(len(elements))
        for j in range(i + 2, min(i + 2 + BETWEEN, len(elements)))
        if elements[i].content and elements[j].content and not _are_items(elements[i : j + 1])
    }


def _are_items(elements: Sequence[Element]) -> bool:
    """Whether the first and the last of them are items of one list: red, blue and green."""
    pieces = [1]  # content words of each item
    for before, element in pairwise(elements):
        if element.join:
            pieces.append(0)
        elif element.clause != before.clause and not before.join:
            pieces.append(element.content)
        else:
            pieces[-1] += element.content
    return len(pieces) > 1 and max(pieces) <= 1


def _common(first: Sequence[str], second: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of the longest common subsequence."""
    lengths = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i in range(len(first) - 1, -1, -1):
        row, below = lengths[i], lengths[i + 1]
        for k in range(len(second) - 1, -1, -1):
            row[k] = below[k + 1] + 1 if first[i] == second[k] else max(below[k], row[k + 1])
    places, i, k = [], 0, 0
    while i < len(first) and k < len(second):
        if first[i] == second[k]:
            places.append((i, k))
            i, k = i + 1, k + 1
        elif lengths[i + 1][k] >= lengths[i][k + 1]:
            i += 1
        else:
            k += 1
    return places


# -- sentences and rows --------------------------------------------------------------------------------------------


def _spans(text: str, language: str) -> tuple[list[Span], set[Span]]:
    """Return sentences and whole table rows in order, and which are rows, so that numbers of two rows are not mixed."""
    spans: list[Span] = []
    rows: set[Span] = set()
    start = 0
    for block in text.split("\n\n"):
        if _ROW.match(block):
            rows.add((start, start + len(block)))
            spans.append((start, start + len(block)))
        else:
            spans.extend((start + a, start + b) for a, b in sentences(block, language=language))
        start += len(block) + 2
    return spans, rows
