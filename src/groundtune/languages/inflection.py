"""Tell whether two words are forms of one word. Compares letters by the data of the language, never meanings."""

from functools import lru_cache

from groundtune.languages.language import Language, load
from groundtune.languages.text import stem_of
from groundtune.languages.tokens import fold

SHARED_LETTERS = 4
"""Letters that two forms have at least in common at their beginning, where a stemmer does not know them."""

SHORT_WORD = 3
"""The same where both endings are known."""
HEAD = 5
"""Letters of a noun that may stand for a compound."""
POSSESSIVE = frozenset({"", "s", "es", "'s", "'"})
"""Endings that a name may have in a language that does not decline it."""
MODIFIER = 4
"""Letters of the part before it. Shorter ones may be prefixes that make another word: Kauf, Verkauf."""


@lru_cache(maxsize=200_000)
def same_word(first: str, second: str, language: str) -> bool:
    """Whether both are forms of one word: the same stem, or the same beginning with short endings.

    first, second: words in lower case. A negative affix makes another word of it: harm and harmless are two words.
    """
    if first == second or fold(first) == fold(second):
        return True
    data = load(language)
    if data and (data.irregular.get(fold(first), {first}) & data.irregular.get(fold(second), {second})):
        return True
    if data is None:
        return stem_of(first, language) == stem_of(second, language)
    alike = stem_of(first, language) == stem_of(second, language) or _inflected(fold(first), fold(second), data)
    if not alike and data.writing.alternations:
        alike = _inflected(_alternated(fold(first), data), _alternated(fold(second), data), data)
    return alike and not _negates(fold(first), fold(second), data)


def _alternated(word: str, language: Language) -> str:
    for letters, others in language.writing.alternations:
        word = word.replace(letters, others)
    return word


def is_head(word: str, compound: str, language: str) -> bool:
    """Whether the word is the last part of a compound, as Nummer of Telefonnummer."""
    data = load(language)
    if data is None or not data.writing.compounds or len(compound) - len(word) < MODIFIER or len(word) < HEAD:
        return False
    return compound.endswith(word) and compound[: -len(word)] not in data.writing.negative_affixes


def same_name(first: str, second: str, language: str) -> bool:
    """Whether both are forms of one name. Names in lower case; Anna and Annas are one, Brunel and Brunet are two.

    Where nouns are capitalised as well, the first may be the last part of the second: Nummer of Telefonnummer.
    """
    first, second = fold(first), fold(second)
    data = load(language)
    if data and data.writing.nouns_capitalised:
        return same_word(first, second, language) or is_head(first, second, language)
    shared = _shared(first, second)
    rests = sorted((first[shared:], second[shared:]), key=len)
    if data is None or not data.writing.declines_names:
        return rests[0] == "" and rests[1] in POSSESSIVE
    known = set(rests) <= data.writing.endings | {""} or stem_of(first, language) == stem_of(second, language)
    return shared >= SHORT_WORD and (known or (len(rests[0]) < 2 and len(rests[1]) <= data.writing.longest_ending))


def _inflected(first: str, second: str, language: Language) -> bool:
    longest = language.writing.longest_ending
    shared = _shared(first, second)
    if shared >= SHARED_LETTERS and max(len(first), len(second)) - shared <= longest:
        return True
    if shared >= SHORT_WORD and {first[shared:], second[shared:]} <= language.writing.endings | {""}:
        return True
    for long, short in ((first, second), (second, first)):
        for affix in language.writing.affixes:
            if long.startswith(affix, shared):
                rest = long[:shared] + long[shared + len(affix) :]
                common = _shared(rest, short)
                if common >= SHARED_LETTERS - 1 and max(len(rest), len(short)) - common <= longest:
                    return True
    return False


def _negates(first: str, second: str, language: Language) -> bool:
    """Whether one is the other with a negative affix: possible and impossible, harm and harmless."""
    for long, short in ((first, second), (second, first)):
        for affix in language.writing.negative_affixes:
            if affix.startswith("-"):
                cut = long.find(affix[1:], max(3, len(short) - 3))
                if cut > 0 and _shared(long[:cut], short) >= min(cut, len(short)) - 2 and affix[1:] not in short[2:]:
                    return True
            elif long.startswith(affix) and _shared(long[len(affix) :], short) >= max(3, len(short) - 3):
                return True
    return False


def _shared(first: str, second: str) -> int:
    """Return the number of letters that both begin with."""
    count = 0
    for ours, theirs in zip(first, second, strict=False):
        if ours != theirs:
            break
        count += 1
    return count
