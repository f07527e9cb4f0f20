"""Read the words that tell how a reply is built, of all languages at once: a reply may be in any."""

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

UNSPACED = "unspaced"
"""Entry for scripts without spaces between words."""


@cache
def reply_words() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Return the words of `data/replies.toml` by language and kind."""
    return tomllib.loads((files("groundtune.languages") / "data" / "replies.toml").read_text("utf-8"))


def all_words(kind: str) -> list[str]:
    """Return the words or phrases of a kind in all languages."""
    return [word for entry in reply_words().values() for word in entry.get(kind, ())]
