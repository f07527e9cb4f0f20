"""Tell whether an amount is what something changes by, from or to: by 20 %, from 10 %, to 30 %. Knows no verbs."""

from collections.abc import Sequence

from groundtune.languages.language import Language
from groundtune.languages.tokens import Token

_WORDS_BEFORE = 3
"""Most words before an amount that are searched: by at least 20 %."""
_JOINED = frozenset({"", "'", "’", "-", ":"})
"""What stands between a figure or a sign and an ending: 20'ye."""


def change_marks(text: str, tokens: Sequence[Token], first: int, last: int, language: Language) -> frozenset[str]:
    """Return which of `by`, `from` and `to` an amount may be, by its ending or the words before it; none if unknown.

    first, last: the tokens of the amount in the text.
    """
    behind = tokens[last + 1 : last + 2]
    if behind and text[tokens[last].end : behind[0].start] in _JOINED:
        if found := language.change_endings.values(behind[0]) or language.change_words.values(behind[0]):
            return frozenset(found)
    elif not tokens[last].number and (found := language.change_endings.values(tokens[last])):
        return frozenset(found)
    for place in range(first - 1, max(-1, first - 1 - _WORDS_BEFORE), -1):
        marks = language.change_words.at(tokens, place)
        if marks and marks.tokens[-1] < first:
            return frozenset(marks.values)
        if tokens[place].word not in language.stop_words and not language.senses.values(tokens[place]):
            break
    return frozenset({language.bare_change} - {""})
