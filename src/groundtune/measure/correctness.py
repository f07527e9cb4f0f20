"""Decide whether an answer gives a gold answer, by its words. Sees no meaning: a paraphrase in other words is wrong.

The claim that is nearest to the question decides, the first of equals. What else an answer says does no harm, unless it
puts another value beside the gold one.
"""

from collections.abc import Collection, Sequence
from functools import lru_cache, partial
from itertools import pairwise

import regex

from groundtune.languages.detection import detect
from groundtune.languages.language import load
from groundtune.languages.quantities import Quantity
from groundtune.languages.segmentation import denials, has_unspaced
from groundtune.languages.senses import senses
from groundtune.languages.signals import signals
from groundtune.measure.claims import (
    Claim,
    Part,
    amounts,
    claims,
    head,
    is_former,
    is_item,
    is_numbered,
    negations,
    parts,
    plain_text,
    turns,
    words,
)
from groundtune.measure.gold_values import Gold, has_values, read_gold, same, states
from groundtune.measure.yes_no import implied, said

SENTENCE_WORDS = 6
"""Content words from which a gold answer may be spread over several sentences of an answer."""
_ITEM_WORDS = 8
"""Most words of an item of a list."""
_AROUND_FIGURE = regex.compile(r"(?<=\p{N})\s|\s(?=\p{N})")
_UNSPACED_CLAUSE = regex.compile(r"[，。、；！？,.;!?\s]")
_DENIED_WORDS = 5
"""Most words between a negation and a value that it denies."""
_ROW = regex.compile(r"[^:;()\n]{1,60}: [^;\n]*; [^:;()\n]{1,60}(?:\([^()\n]*\))?: ")
_CELL = regex.compile(r"([^:;\n]{1,60}): ([^;\n]*)")
_YEARS = range(1900, 2101)
_DATES = frozenset({"date", "weekday", "clock"})
_PARENTHESIS = regex.compile(r"\s*\([^()]*\)")
"""What a gold answer adds in parentheses, an answer may leave out."""


def is_correct(answer: str, gold: str, *, question: str = "", language: str = "english") -> bool:
    """Whether the answer gives the gold answer to the question.

    language: the one of the project; a text that is clearly in another is read in that.
    """
    if not plain_text(answer).strip() or not gold.strip():
        return False
    if _same_text(answer, gold) or (
        len(gold.split()) > 2 and any(_same_text(v, gold) for _, v in _CELL.findall(answer))
    ):
        return True
    gold = _PARENTHESIS.sub("", gold).strip() or gold
    spoken = detect(f"{question} {answer}", language)
    stance, condition = said(gold, spoken)
    if stance in ("yes", "no"):
        return _agrees(answer, stance, condition, question, spoken)
    if items := gold_items(gold, spoken):
        return _lists(answer, items, gold, question, spoken)
    return _gives(answer, _affirmed(gold, spoken), question, spoken)


def _same_text(first: str, second: str) -> bool:
    return first.casefold().split() == second.casefold().split()


def states_fact(text: str, fact: str, language: str) -> bool:
    """Whether a statement of the text gives a fact: its values, and its words without denying them.

    A figure or a name may stand in any statement, as what is said about it is not part of the fact.
    """
    wanted = read_gold(fact, "", language)
    holders = [claim for claim in claims(text, language) if states(claim.text, wanted, "", language)]
    if wanted.name or not wanted.stems:
        return bool(holders)
    return any(
        _is_meant(claim, wanted, "", language) and not _is_opposed(claim.text, fact, "", language) for claim in holders
    )


def gold_kind(gold: str, language: str = "english") -> str:
    """Return what a gold answer is: `yes or no`, `list`, `sentence` or `value`.

    Words tell least whether an answer gives a yes, a no or a sentence.
    """
    if said(gold, language)[0]:
        return "yes or no"
    if gold_items(gold, language):
        return "list"
    return "sentence" if len(words(gold, language).stems) >= SENTENCE_WORDS else "value"


def is_doubted(answer: str, *, language: str = "english") -> bool:
    """Whether the answer says that it is unsure: "I think", "probably", "not mentioned"."""
    return "doubt" in signals(answer, detect(answer, language))


# -- yes and no ----------------------------------------------------------------------------------------------------


def _agrees(answer: str, stance: str, condition: str, question: str, language: str) -> bool:
    """Whether the answer says the same yes or no, with the condition of the gold answer if there is one."""
    explicit, _ = said(answer, language)
    if explicit not in (None, stance):
        return False
    wanted = read_gold(condition, question, language)
    new = bool(wanted.amounts or wanted.codes or _new(condition, question, language))
    limits = _senses(condition, language) & {"only", "without"}
    conditional = new and bool(limits or "condition" in signals(condition, language))
    if _is_opposed(answer, condition, question, language):
        return False
    if not new or not (conditional or wanted.amounts or explicit is None):
        return explicit == stance or implied(answer, question, language) == stance
    if new and not _gives(answer, condition, question, language, restated=True):
        return not (conditional or wanted.amounts) and implied(answer, question, language) == stance
    exception = stance == "yes" and ("without" in limits or negations(condition, language) > 0)
    restricts = "only" in _senses(answer, language) and not _senses(answer, language) & {"without", "not"}
    return not (exception and restricts)


def _new(text: str, question: str, language: str) -> set[str]:
    return set(words(text, language).stems) - set(words(question, language).stems)


def _senses(text: str, language: str) -> set[str]:
    return {sense.name for sense in senses(text, language)}


# -- lists ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def gold_items(gold: str, language: str) -> tuple[str, ...]:
    """Return the items of a gold answer that is a list; empty if it is none."""
    pieces = parts(gold, language)
    joined = {piece.joined for piece in pieces if not piece.bullet}
    ordered = "→" in gold or is_numbered(gold)
    if len(pieces) < 2 or not joined <= {"", ",", "and", *(["break"] if ordered or ";" in gold else [])}:
        return ()
    if any(len(piece.text.split()) > _ITEM_WORDS or negations(piece.text, language) for piece in pieces):
        return ()
    return tuple(piece.text for piece in pieces)


def _lists(answer: str, items: Sequence[str], gold: str, question: str, language: str) -> bool:
    """Whether the answer names all items and no other, in the order of the gold answer if the order matters."""
    pieces = [
        part
        for claim in claims(answer, language)
        if not _is_denied(claim.text, question, language)
        for part in claim.parts
        if not _is_exception(part.text, question, language)
    ]
    wanted = [read_gold(item, question, language, item=True) for item in items]
    places: list[int] = []
    for item in wanted:
        holders = [i for i, part in enumerate(pieces) if states(part.text, item, question, language)]
        if not holders:
            return False
        places.append(next((i for i in holders if i not in places), holders[0]))
    ordered = "→" in gold or is_numbered(gold) or "order" in signals(question, language)
    if ordered and places != sorted(places):
        return False
    return not any(_is_further_item(i, pieces, places, wanted, question, language) for i in range(len(pieces)))


def _is_further_item(
    index: int, pieces: Sequence[Part], places: Sequence[int], wanted: Sequence[Gold], question: str, language: str
) -> bool:
    """Whether a part is another item of the list that the gold items are in."""
    part = pieces[index]
    if index in places or any(states(part.text, item, question, language) for item in wanted):
        return False
    if part.bullet:
        return any(pieces[place].bullet for place in places)
    explained = index + 1 in places and pieces[index + 1].joined == "break"  # Word (docx)
    value = head(part.text, language)
    if explained or not (_new(value, question, language) or amounts(value, language)):
        return False
    if part.joined in (",", "and", "or") and index - 1 in places:
        last = index + 1 == len(pieces) or pieces[index + 1].joined not in (",", "and", "or")
        return is_item(part.text, language) or (last and part.joined != "," and bool(value))
    before = part.joined != "break" and index + 1 in places and pieces[index + 1].joined in (",", "and", "or")
    return before and pieces[index + 1].sentence == part.sentence and is_item(part.text, language)


# -- values and statements -----------------------------------------------------------------------------------------


def _affirmed(gold: str, language: str) -> str:
    """Return the gold answer without what it denies after its value: 14 days of "14 days, not 30"."""
    first, *rest = parts(gold, language) or (None,)
    if first and rest and not negations(first.text, language) and all(negations(p.text, language) for p in rest):
        return first.text
    return gold


def _gives(answer: str, gold: str, question: str, language: str, *, restated: bool = False) -> bool:
    """Whether the answer states the gold answer in the claim that decides.

    restated: the gold answer is what follows a yes or no, so the answer's own yes or no is known to agree.
    """
    wanted = read_gold(gold, question, language)
    if not restated and not (wanted.amounts or wanted.codes or _new(gold, question, language)):
        own, explicit = implied(gold, question, language), said(answer, language)[0]
        if explicit or negations(gold, language):
            return own is not None and own == (explicit or implied(answer, question, language))
    every = claims(answer, language)
    if _denies_unspaced(answer, gold):
        return False
    if holders := [claim for claim in every if states(claim.text, wanted, question, language)]:
        return _stands(every, holders, wanted, plain_text(answer), question, language)
    deciding = _deciding(every, wanted, question, language)
    if deciding is None:
        return False
    sentence = ", ".join(claim.text for claim in every if claim.sentence == deciding.sentence)
    whole = plain_text(answer) if len(wanted.stems) >= SENTENCE_WORDS or len(wanted.amounts) > 1 else sentence
    single = len(wanted.amounts) + len(wanted.codes) == 1
    return (
        (has_values(deciding.text, wanted, question, language) or not single)
        and states(deciding.text if wanted.name and not wanted.amounts else whole, wanted, question, language)
        and not _is_opposed(whole, gold, question, language)
        and not _is_beyond(deciding.text, wanted, question, language)
        and not _has_rival(every, deciding, wanted, question, language)
    )


def _stands(
    every: Sequence[Claim], holders: Sequence[Claim], gold: Gold, answer: str, question: str, language: str
) -> bool:
    """Whether a claim that has the whole gold answer means it, and no other claim outbids it.

    Rows of a table (`Name: Wren; Weight: 29`) are quoted whole; which of their cells answers is left to the reader.
    """
    meant = [claim for claim in holders if _is_meant(claim, gold, question, language)]
    if not meant or _is_opposed(meant[0].text, gold.text, question, language):
        return False
    if _is_superseded(every, gold, question, language):
        return False
    if all(_has_rival(every, claim, gold, question, language) for claim in meant):
        return False
    if _ROW.search(answer):
        return not _is_in_other_cell(answer, gold, question, language)
    return not _is_outbid(every, meant, gold, question, language)


def _is_superseded(every: Sequence[Claim], gold: Gold, question: str, language: str) -> bool:
    """Whether the gold name held until a year, and another part says who it is now: "Anna until 2020, now Jon"."""
    if not gold.name or "former" in signals(question, language) or _has_year(question, language):
        return False
    texts = [part.text for claim in every for part in claim.parts]
    holders = [text for text in texts if states(text, gold, question, language)]
    return all(_has_year(text, language) for text in holders) and any(
        "current" in signals(text, language) and _has_value(text, gold, question, language)
        for text in texts
        if text not in holders
    )


def _has_year(text: str, language: str) -> bool:
    """Whether a text has a date, or a number that can be a year."""
    return any(map(_may_be_date, amounts(text, language)))


def _may_be_date(amount: Quantity) -> bool:
    year = amount.unit is None and any(reading in _YEARS for reading in amount.readings)
    return year or amount.unit in _DATES


def _is_in_other_cell(row: str, gold: Gold, question: str, language: str) -> bool:
    """Whether the question names a cell of a row by its whole label, and the gold answer is in another cell.

    A cell counts if it has a value of the kind of the gold one that the question does not give.
    """
    asked = set(words(question, language).stems)
    named: dict[str, int] = {}
    for label, value in _CELL.findall(row):
        stems = set(words(label, language).stems)
        if stems and stems <= asked and _has_value(value, gold, question, language):
            named[f"{label}: {value}"] = len(stems)
    most = max(named.values(), default=0)
    meant = [cell for cell, count in named.items() if count == most]
    return bool(meant) and not any(states(cell, gold, question, language) for cell in meant)


def _is_meant(claim: Claim, gold: Gold, question: str, language: str) -> bool:
    """Whether what the claim says about the gold answer is neither denied, nor former, an exception, or a bound."""
    part = next((p for p in claim.parts if states(p.text, gold, question, language)), None)
    text = claim.text if part is None else part.text
    if is_former(text, question, language) and "former" not in signals(gold.text, language):
        return False
    if _is_exception(text, question, language, gold.text):
        return False
    said = senses(text, language)
    if _is_beyond(text, gold, question, language) and not any(sense.name == "not" for sense in said):
        return False
    start = _place(text, gold, question, language)
    before, behind = text[:start], text[start:]
    instead_of_except = "without" in _senses(gold.text, language) - _senses(text, language)  # "not in basements"
    if instead_of_except or negations(gold.text, language) or negations(question, language):
        return not _is_denied(text, question, language, gold.text)
    own = sum(sense.name == "not" for sense in senses(gold.text, language))
    near = before[before.rfind(",") + 1 :]
    close = len(near.split()) <= _DENIED_WORDS and negations(near, language) > 0
    return not (close or (negations(behind, language) > own and not _is_bound(behind, language)))


def _is_bound(text: str, language: str) -> bool:
    return any(sense.name in ("more", "less", "only") for sense in senses(text, language))


def _place(text: str, gold: Gold, question: str, language: str) -> int:
    """Return where the gold answer begins in a text that has it."""
    places = [
        amount.start
        for amount in amounts(text, language)
        if any(same(each, amount, gold.text, text, question, language) for each in gold.amounts)
    ]
    if not gold.amounts:
        content = words(text, language)
        places = [t.start for s, t in zip(content.stems, content.tokens, strict=True) if s in gold.stems]
    return min(places, default=0)


def _is_outbid(every: Sequence[Claim], meant: Sequence[Claim], gold: Gold, question: str, language: str) -> bool:
    """Whether another claim gives a value of the same kind and is nearer to the question, or comes first."""
    near = partial(_nearness, question=question, language=language)
    best = max(map(near, meant))
    first = min(map(every.index, meant))
    units_of_gold = {amount.unit for amount in gold.amounts}
    for index, claim in enumerate(every):
        if claim in meant or _is_denied(claim.text, question, language, gold.text):
            continue
        if not _has_value(claim.text, gold, question, language):
            continue
        alike = {amount.unit for amount in amounts(claim.text, language)} & units_of_gold
        if near(claim) > best and index <= first + 1 and (alike or None in units_of_gold or not gold.amounts):
            return True
        if index < first and near(claim) == best and (best == 0 or index == 0) and alike - {None}:
            return True
    return False


def _deciding(every: Sequence[Claim], gold: Gold, question: str, language: str) -> Claim | None:
    """Return the claim that answers the question, None if none does.

    That is the first claim with a value like the gold one if it says nothing else; otherwise the nearest to the
    question. Where a value cannot be told from other words, the first claim that has the gold answer.
    """
    asked = set(words(question, language).stems)
    near = partial(_nearness, question=question, language=language)

    def holds(claim: Claim) -> bool:
        if gold.amounts:
            return _holds_amount(claim.text, gold, question, language)
        own = states(claim.text, gold, question, language)
        return own or len(set(gold.stems) & set(words(claim.text, language).stems)) >= len(gold.stems) / 2

    with_gold = {claim.sentence for claim in every if holds(claim)}
    candidates = [
        claim
        for claim in every
        if (holds(claim) or _has_value(claim.text, gold, question, language, first=claim.sentence in with_gold))
        and not _is_denied(claim.text, question, language, gold.text)
        and not _is_exception(claim.text, question, language, gold.text)
    ]
    holders = [claim for claim in candidates if holds(claim)]
    if not holders:
        return None
    first = candidates[0]
    if gold.amounts:
        foreign = set(words(first.text, language).stems) - asked - set(gold.stems)
        return first if not foreign else max(candidates, key=lambda claim: (near(claim), -every.index(claim)))
    holder = holders[0]
    if is_item(first.text, language) and first is every[0]:
        return first
    nearer = [
        claim
        for claim in candidates
        if claim.sentence <= holder.sentence and near(claim) > near(holder) and not holds(claim)
    ]
    return nearer[0] if nearer else holder


def _nearness(claim: Claim, *, question: str, language: str) -> int:
    """Return how many words of the question a claim has, and one more if it counts what is asked."""
    asked = set(words(question, language).stems)
    return len(asked & set(words(claim.text, language).stems)) + _counts_what_is_asked(claim.text, asked, language)


def _counts_what_is_asked(text: str, asked: Collection[str], language: str) -> bool:
    """Whether a word of the question follows a number: 16 seats."""
    content = words(text, language)
    for amount in amounts(text, language):
        following = next((s for s, t in zip(content.stems, content.tokens, strict=True) if t.start >= amount.end), None)
        if amount.unit is None and following in asked:
            return True
    return False


def _has_value(text: str, gold: Gold, question: str, language: str, *, first: bool = False) -> bool:
    """Whether the text has a value of the kind of the gold one: an amount in its unit, a code, a name.

    first: whether its first word may be a name; any word at the beginning of a sentence has a capital letter.
    """
    if gold.amounts:
        kinds = {amount.unit for amount in gold.amounts}
        found = amounts(text, language)
        if not any(_may_be_date(amount) for amount in gold.amounts):
            found = tuple(amount for amount in found if amount.unit not in _DATES)
        return any(_comparable(amount, kinds, question, language) for amount in found)
    if gold.codes:
        return any(char.isdigit() for char in text) and any(c.isdigit() for code in gold.codes for c in code)
    content, asked = words(text, language), set(words(question, language).stems)
    return gold.name and any(
        token.text[0].isupper() and stem not in asked and (first or token.start > 0 or is_item(text, language))
        for token, stem in zip(content.tokens, content.stems, strict=True)
    )


def _comparable(said: Quantity, kinds: set[str | None], question: str, language: str) -> bool:
    """Whether an amount could stand in place of the gold one; not if the question gives it."""
    if said.article or any(said.readings == asked.readings for asked in amounts(question, language)):
        return False
    return said.unit in kinds or said.unit is None or None in kinds


def _holds_amount(text: str, gold: Gold, question: str, language: str) -> bool:
    return any(
        same(amount, other, gold.text, text, question, language)
        for amount in gold.amounts
        for other in amounts(text, language)
    ) or has_values(text, gold, question, language)


def _is_denied(text: str, question: str, language: str, gold: str = "") -> bool:
    """Whether the text says that something is not so, or no longer, against the question and the gold answer."""
    if is_former(text, question, language) and "former" not in signals(gold, language):
        return True
    about = set(words(text, language).stems) & set(words(question, language).stems)
    count = turns(text, question if about else "", language) - turns(gold, "", language)
    if "without" in _senses(gold, language) - _senses(text, language) and negations(text, language):
        count -= 1  # "not in basements" is "except in basements"
    return (count - (turns(question, "", language) if about else 0)) % 2 == 1


def _is_exception(text: str, question: str, language: str, gold: str = "") -> bool:
    """Whether the text names what is left out: "all formats except PDF"."""
    if "without" in _senses(f"{question} {gold}", language):
        return False
    return any(
        sense.name == "without" and sense.end < len(text) and is_item(text[sense.end :].strip(), language)
        for sense in senses(text, language)
    )


def _is_opposed(text: str, gold: str, question: str, language: str) -> bool:
    """Whether the text has the opposite of a word of the gold answer in its place."""
    data = load(language)
    if data is None:
        return False
    said, wanted, asked = _senses(text, language), _senses(gold, language), _senses(question, language)
    return any(
        other in said - wanted - asked for name in wanted - said for other in data.rivals.get(name, ())
    )  # fmt: skip


def _is_beyond(text: str, gold: Gold, question: str, language: str) -> bool:
    """Whether the text has more, less or a later day than the gold amount: more than 30 days."""
    given = _senses(f"{gold.text} {question}", language)
    return any(
        sense.name in (("after",) if amount.unit == "date" else ("more", "less"))
        and sense.name not in given
        and 0 <= amount.start - sense.end <= 1
        for amount in amounts(text, language)
        for sense in senses(text, language)
        if any(same(each, amount, gold.text, text, question, language) for each in gold.amounts)
    )


def _denies_unspaced(answer: str, gold: str) -> bool:
    """Whether every clause of a Chinese, Japanese or Thai answer that has the gold answer denies it."""
    if not has_unspaced(answer):
        return False
    gold = _AROUND_FIGURE.sub("", gold)
    clauses = [clause for clause in _UNSPACED_CLAUSE.split(_AROUND_FIGURE.sub("", answer)) if gold in clause]
    if not clauses:
        return False
    return all(denials(clause) % 2 != denials(gold) % 2 for clause in clauses)


def _has_rival(every: Sequence[Claim], deciding: Claim, gold: Gold, question: str, language: str) -> bool:
    """Whether another value stands beside the gold one in a row: 30 or 14 days; Wren, Heron and Teal."""
    if any(_is_range(part.text, gold, question, language) for part in deciding.parts):
        return True
    values = [(part.text, part.joined) for part in deciding.parts]
    following = every.index(deciding) + 1
    if following < len(every) and is_item(deciding.parts[-1].text, language):
        part = every[following].parts[0]
        if part.joined in ("and", "or") and (value := head(part.text, language)):
            values.append((value, part.joined))
    rivals = [joined for text, joined in values if _is_rival(text, gold, question, language)]
    if not (gold.amounts or gold.name):
        return "or" in rivals
    listed = any(joined in ("and", "or") for _, joined in values)
    return bool(rivals) and (listed or len(rivals) > 1 or bool(gold.amounts))


def _is_rival(text: str, gold: Gold, question: str, language: str) -> bool:
    """Whether a part of a row is another value of the kind of the gold one."""
    if states(text, gold, question, language):
        return False
    new = _new(text, question, language)
    if gold.amounts:
        return (
            len(amounts(text, language)) == 1
            and not new - set(gold.stems)
            and _has_value(text, gold, question, language)
            and not _holds_amount(text, gold, question, language)
        )
    return (
        bool(new)
        and not new & set(gold.stems)
        and (not (gold.name or gold.codes) or _has_value(text, gold, question, language))
    )


def _is_range(text: str, gold: Gold, question: str, language: str) -> bool:
    """Whether the gold amount is the end of a range, or the first of two: 30 to 40 days, from Sunday to Friday."""
    found = [amount for amount in amounts(text, language) if not amount.article]
    for first, second in pairwise(found):
        ends = [any(same(a, q, gold.text, text, question, language) for a in gold.amounts) for q in (first, second)]
        between = text[first.end : second.start].split()
        linked = first.unit == second.unit and len(between) <= (0 if first.unit is None else 1)
        if ends.count(True) == 1 and linked and (first.implied or ends[0]) and first.readings != second.readings:
            return True
    return False
