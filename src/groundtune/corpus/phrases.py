"""Find the phrases by which documents say that they are out of date, in any language that `phrases.toml` knows."""

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

Sort = Literal["older", "newer", "until"]


@cache
def phrases(sort: Sort) -> re.Pattern[str]:
    """Return what finds the phrases of one sort, of all languages."""
    table = tomllib.loads((files("groundtune.corpus") / "phrases.toml").read_text("utf-8"))
    known = sorted({phrase for language in table.values() for phrase in language[sort]}, key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(re.escape(phrase) for phrase in known)})\b", re.IGNORECASE)
