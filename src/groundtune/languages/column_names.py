"""Tell whether a text could name a column of a table, by the words people use for that. Knows no table."""

import re
import tomllib
from functools import cache, lru_cache
from importlib.resources import files

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_CAMEL = re.compile(r"(?<=[a-zß-ÿ])(?=[A-Z])")
_MOST_WORDS = 5
_LONGEST_SHORT = 3
"""Letters up to which a word behind another one says nothing: `of`, `du`, `per`."""


@lru_cache(4096)
def names_a_column(text: str) -> bool:
    """Whether the text is a word for a kind of thing (price, date, name), or up to five of them (opening hours).

    Also a phrase that asks for the cell below it (where it goes), or leaves open what it relates to (given by).
    """
    words = _WORD.findall(_CAMEL.sub(" ", text.replace("_", " ")).casefold())
    if not 0 < len(words) <= _MOST_WORDS:
        return False
    names, endings, qualifiers, questions, relations = _names()
    if words[0] in questions and "?" not in text:
        return True
    if len(words) > 1 and words[-1] in relations and text.casefold().endswith(words[-1]):
        return True
    if words[0] != text.casefold():
        begun = len(words) > 1  # "in stock" is not "stock"
        words = [
            word
            for at, word in enumerate(words)
            if (begun and not at) or len(word) > _LONGEST_SHORT or not word.isascii()
        ]
    named = [word in names or word.endswith(endings) for word in words]
    return any(named) and all(known or word in qualifiers for known, word in zip(named, words, strict=True))


@cache
def _names() -> tuple[frozenset[str], tuple[str, ...], frozenset[str], frozenset[str], frozenset[str]]:
    table = tomllib.loads(files(__package__).joinpath("data/column_names.toml").read_text("utf-8"))
    words = {language: text.casefold().split() for language, text in table.items()}
    endings = tuple(words.pop("endings"))
    qualifiers, questions, relations = (frozenset(words.pop(key)) for key in ("qualifiers", "questions", "relations"))
    names = frozenset(word for found in words.values() for word in found).union(endings)
    return names, endings, qualifiers, questions, relations
