"""Tell whether two sentences are about the same thing, and whether they then differ on a fact. Knows no meaning.

They are about the same thing if they share most of their words, or some of them with one of the question among these.
Where they then differ, it is in an amount, a name, or a word that turns a statement round.
"""

from groundtune.citations.close_matching import COVERED, find_close
from groundtune.languages.detection import detect
from groundtune.languages.inflection import same_word
from groundtune.languages.quantities import Quantity, supports
from groundtune.languages.reading import Element, Reading, read

SAME_SUBJECT, OTHER_AMOUNT = 0.5, 0.25
"""Share of the words of the shorter of two sentences that the other has, if both are about the same thing; the second
one where they have other amounts of one unit."""


def about_the_same(first: str, second: str, *, question: str, language: str = "english") -> bool:
    """Whether two sentences of answers say something about the same thing. language: of the project."""
    language = detect(f"{first} {second}", language)
    one, other = read(first, language), read(second, language)
    other_amount = _amounts_differ(one, other)
    if other_amount and _names_differ(one, other, language):
        return False  # the office in Graz opens at 9, that in Linz at 10
    share, shared = _shared(one, other, language)
    if share >= COVERED:
        return True
    asked = read(question, language)
    least = OTHER_AMOUNT if other_amount else SAME_SUBJECT
    return share >= least and (not _words(asked) or any(_has(asked, word, language) for word in shared))


def disagree(first: str, second: str, *, question: str, language: str = "english") -> bool:
    """Whether two sentences about the same thing cannot both be right. language: of the project."""
    if not about_the_same(first, second, question=question, language=language):
        return False
    language = detect(f"{first} {second}", language)
    one, other = read(first, language), read(second, language)
    if _amounts_differ(one, other):
        return True
    alike = _shared(one, other, language)[0] >= COVERED
    return (
        alike and not find_close(first, second, language=language) and not find_close(second, first, language=language)
    )


def says_all_of(sentence: str, other: str, *, question: str, language: str = "english") -> bool:
    """Whether a sentence about the same thing leaves out no amount and no name of the other."""
    if not about_the_same(sentence, other, question=question, language=language):
        return False
    language = detect(f"{sentence} {other}", language)
    one, asked = read(sentence, language), read(other, language)
    return all(_states(one, amount) for amount in _amounts(asked)) and all(
        _has(one, name, language) for name in asked.names
    )


def _shared(one: Reading, other: Reading, language: str) -> tuple[float, list[Element]]:
    """Return the share of the words of the shorter that the other has, amounts apart, and these; 1.0 without words."""
    shorter, longer = sorted((one, other), key=lambda reading: len(_words(reading)))
    words = _words(shorter)
    shared = [word for word in words if _has(longer, word, language)]
    return len(shared) / len(words) if words else 1.0, shared


def _words(reading: Reading) -> list[Element]:
    return [element for element in reading.elements if element.content and element.quantity is None]


def _has(reading: Reading, word: Element, language: str) -> bool:
    return any(each.stem == word.stem or same_word(word.word, each.word, language) for each in _words(reading))


def _amounts(reading: Reading) -> list[Quantity]:
    return [quantity for quantity in reading.quantities if not quantity.article]


def _states(reading: Reading, amount: Quantity) -> bool:
    return any(supports(stated, amount) or supports(amount, stated) for stated in _amounts(reading))


def _amounts_differ(one: Reading, other: Reading) -> bool:
    """Whether each has an amount that the other lacks, both of one unit."""
    units = {amount.unit for amount in _amounts(one) if not _states(other, amount)}
    return any(amount.unit in units for amount in _amounts(other) if not _states(one, amount))


def _names_differ(one: Reading, other: Reading, language: str) -> bool:
    return any(not _has(other, name, language) for name in one.names) and any(
        not _has(one, name, language) for name in other.names
    )
