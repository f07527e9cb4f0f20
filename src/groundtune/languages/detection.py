"""Tell the language of a text: py3langid knows 140 of them. Deterministic; short texts have the expected language."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from groundtune.languages.language import LANGUAGES, Language, load
from groundtune.languages.tokens import fold, lower, tokenize

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

LEAST_WORDS = 3
"""Words that a text needs to be taken for another language in the letters of the expected one."""
SURE = 0.25
"""Probability of another language that counts. Where the text is no language, such as a table, all are far below."""
FACTOR = 4
"""How many times as likely as the expected language another one must be."""
PLAIN = 0.5
PLAIN_ENGLISH = 0.3
"""Share of common words of the expected language that leaves no doubt. Sentences of other languages have up to 0.5 of
those of a language close to them, and up to 0.22 of those of English (tests/data/languages_without_data.jsonl)."""
UNKNOWN = ""
"""Name of a language without data."""

_NAMES = {code: name for name, code in LANGUAGES.items()}
_SAME = {"nb": "no", "nn": "no"}
"""Bokmål and Nynorsk have one file."""
_NONE = frozenset({"zxx", "pcm"})
"""No language, and Nigerian Pidgin, for which "in October" is taken."""
_LATIN = frozenset("abcdefghijklmnopqrstuvwxyz'")


@lru_cache(maxsize=4096)
def detect(text: str, expected: str) -> str:
    """Return the language of the text: the expected one, unless the text clearly is in another.

    A text in other letters than those of the expected language always is. A language without data is `UNKNOWN`.
    """
    words = {lower(token.text) for token in tokenize(text) if not token.number}
    if not words or _is_plainly(expected, words):
        return expected
    other_letters = not any(_letters(expected).intersection(word) for word in words)
    if len(words) < LEAST_WORDS and not other_letters:
        return expected
    likely = _probabilities(text)
    best = max(likely, key=likely.__getitem__)
    clear = likely[best] >= SURE and likely[best] > FACTOR * likely.get(LANGUAGES.get(expected, UNKNOWN), 0)
    return _NAMES.get(best, UNKNOWN) if clear or other_letters else expected


def _is_plainly(language: str, words: Collection[str]) -> bool:
    """Whether the words leave no doubt, so that no model needs to be loaded."""
    least = (PLAIN_ENGLISH if language == "english" else PLAIN) * len(words)
    return len(words) >= LEAST_WORDS and sum(fold(word) in _common(language) for word in words) >= least


def _probabilities(text: str) -> Mapping[str, float]:
    """Return the probability of each language by its code."""
    likely: Counter[str] = Counter()
    for code, probability in _identifier().rank(text):
        likely[_SAME.get(code, code)] += 0 if code in _NONE else probability
    return likely


def prepare() -> None:
    """Load the model, so that no answer waits for it while it is timed."""
    _identifier()


@cache
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # its model takes half a second and 75 MB

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@cache
def _common(language: str) -> frozenset[str]:
    """Return common words: function words, critical words, units, months and weekdays."""
    data = load(language)
    return data.stop_words.union(map(fold, _words(data))) if data else frozenset()


@cache
def _letters(language: str) -> frozenset[str]:
    """Return the letters that a language uses, with and without accents."""
    data = load(language)
    found = frozenset("".join((*data.stop_words, *_words(data)))) if data else frozenset()
    return found if found and "a" not in found else found | _LATIN


def _words(language: Language) -> Iterator[str]:
    for lexicon in (language.senses, language.units, language.months, language.weekdays):
        yield from lexicon.single_words()
