"""Tell whether a text could name a column of a table, by the words people use for that. Knows no table."""

import re
import tomllib
from functools import cache, lru_cache
from importlib.resources import files

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_CAMEL = re.compile(r"(?<=[a-zß-ÿ])(?=[A-Z])")
_MOST_WORDS = 5
_LONGEST_SHORT = 3
"""Letters up to which a word counts only as the whole name: `to` is no hint in `9 to 17`."""


@lru_cache(4096)
def names_a_column(text: str) -> bool:
    """Whether a word for a kind of thing (price, date, name) stands in the text, which has five words at most."""
    words = _WORD.findall(_CAMEL.sub(" ", text.replace("_", " ")).casefold())
    if not 0 < len(words) <= _MOST_WORDS:
        return False
    names, endings = _names()
    if words[0] != text.casefold():
        words = [word for word in words if len(word) > _LONGEST_SHORT or not word.isascii()]
    return any(word in names or word.endswith(endings) for word in words)


@cache
def _names() -> tuple[frozenset[str], tuple[str, ...]]:
    table = tomllib.loads(files(__package__).joinpath("data/column_names.toml").read_text("utf-8"))
    words = {language: text.casefold().split() for language, text in table.items()}
    endings = tuple(words.pop("endings"))
    return frozenset(word for names in words.values() for word in names).union(endings), endings
