"""Match paths with patterns, one path component at a time, so that a walk can prune folders early.

Patterns are relative to the project: `*` and `?` match within one name, `**` spans folders, `{md,pdf}` is a choice. A
pattern that ends in the name of a folder matches everything in it. A hidden name is matched only by a component that
starts with a dot. The Unicode form of names and patterns does not count.

Matched loosely, upper and lower case, spaces around a name and characters that cannot be seen do not count either. That
tells which files a pattern misses by its spelling alone; it never decides what a pattern matches.
"""

import fnmatch
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import regex

from groundtune.common.names import composed


@dataclass(frozen=True, slots=True)
class _Name:
    """One component of a pattern, between slashes."""

    matches: Callable[[str], object]
    dotted: bool
    """Whether it matches hidden names."""


PatternParts = tuple[_Name | None, ...]
"""None stands for `**`; it is never last."""
MatchState = tuple[PatternParts, int]
"""A pattern, and how many of its parts a path has matched."""


def matches_pattern(source: str, pattern: str) -> bool:
    """Return whether a path relative to the project matches. `*` matches hidden names too, so no rule can be evaded."""
    return _may_match(_loose(source), pattern) and _reaches(source, initial_states(pattern))


def excludes(path: str, pattern: str) -> bool:
    """Return whether an exclude pattern leaves out a file or folder, or a folder that it is in."""
    return _may_match(_loose(path), pattern) and _reaches(path, exclude_states(pattern), within=True)


def matches_item(source: str, pattern: str) -> bool:
    """Return whether an item `NAME:ID` of a source matches a pattern `NAME:` followed by a pattern of ids.

    `NAME:*` matches every id, also one with slashes.
    """
    name, colon, item = source.partition(":")
    return any(bool(colon) and prefix == name and matches_pattern(item, ids) for prefix, ids in _item_patterns(pattern))


def nearly_matches(source: str, pattern: str) -> bool:
    """Return whether a path, or an item of a source, matches loosely."""
    loose = _loose(source)
    if not _may_match(loose, pattern):
        return False
    name, _, item = loose.partition(":")
    return _reaches(loose, initial_states(pattern, loose=True)) or any(
        _loose(prefix).casefold() == name.casefold() and _reaches(item, initial_states(ids, loose=True))
        for prefix, ids in _item_patterns(pattern)
    )


def nearly_excludes(path: str, pattern: str) -> bool:
    """Return whether an exclude pattern leaves out the path when it is matched loosely."""
    loose = _loose(path)
    return _may_match(loose, pattern) and _reaches(loose, exclude_states(pattern, loose=True), within=True)


def literal_states(path: str) -> list[MatchState]:
    """Return the states that match one path, whatever signs are in it."""
    return [(tuple(_Name(composed(name).__eq__, dotted=True) for name in path.split("/")), 0)]


@cache
def initial_states(pattern: str, *, loose: bool = False) -> tuple[MatchState, ...]:
    """Return the states of a pattern at the root of the project."""
    starts = []
    for choice in _choices(pattern):
        names = [name for name in (_loose(choice) if loose else choice).split("/") if name not in ("", ".")]
        if not names:
            names = ["**"]
        if names[-1] == "**":
            names.append("*")
        elif not re.search(r"[*?\[]", names[-1]):
            starts.append((_parts([*names, "**", "*"], loose), 0))
        starts.append((_parts(names, loose), 0))
    return tuple(starts)


@cache
def exclude_states(pattern: str, *, loose: bool = False) -> tuple[MatchState, ...]:
    """Return the states of an exclude pattern; a folder is matched rather than its content, so it need not be read."""
    anywhere = "/" not in pattern.rstrip("/")
    bare = re.sub(r"(/\*\*)+(/\*)?/?$|/$", "", pattern)
    return initial_states(f"**/{bare}" if anywhere and bare != "**" else bare, loose=loose)


def advance(states: Iterable[MatchState], name: str, *, hidden: bool = False) -> list[MatchState]:
    """Return the states after one more component of a path."""
    dotted = name.startswith(".") and not hidden
    name = composed(name)
    after: dict[MatchState, None] = {}
    for parts, at in states:
        if at == len(parts):
            continue
        part = parts[at]
        if part is None:
            if not dotted:
                after[parts, at] = None
            at += 1
            part = parts[at]
        if part is not None and (part.dotted or not dotted) and part.matches(name):
            after[parts, at + 1] = None
    return list(after)


def is_match(states: list[MatchState]) -> bool:
    return any(at == len(parts) for parts, at in states)


def open_states(states: list[MatchState]) -> list[MatchState]:
    return [(parts, at) for parts, at in states if at < len(parts)]


def _reaches(path: str, states: Iterable[MatchState], *, within: bool = False) -> bool:
    """Return whether the states match the whole path; within: or the folders that it begins with."""
    for name in path.split("/"):
        states = advance(states, name, hidden=True)
        if within and is_match(states):
            return True
    return is_match(list(states))


def _parts(names: Sequence[str], loose: bool) -> PatternParts:
    parts: list[_Name | None] = []
    for name in names:
        if name != "**":
            parts.append(_Name(_loose_name(name) if loose else _exact_name(name), name.startswith(".")))
        elif not parts or parts[-1] is not None:
            parts.append(None)
    return tuple(parts)


def _exact_name(name: str) -> Callable[[str], object]:
    return re.compile(fnmatch.translate(composed(name))).match


def _loose_name(name: str) -> Callable[[str], object]:
    """Return what matches a component loosely; letters in brackets count as they are, so `[d]rafts` is not `Drafts`."""
    pieces = [
        f"(?-i:{fnmatch.translate(piece)[4:-3]})" if piece.startswith("[") else fnmatch.translate(piece)[4:-3]
        for piece in re.split(r"(\[!?\]?[^\]]*\])", name)
    ]
    regex = re.compile("".join(pieces), re.IGNORECASE | re.DOTALL)
    return lambda other: regex.fullmatch(_loose(other))


@lru_cache(maxsize=10_000)
def _loose(path: str) -> str:
    """Return a path as it looks: without what cannot be seen and spaces around names, `\\` as a slash, `ß` as `ss`."""
    text = path.replace("\\", "/")
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_DOTS_OF_I))
        text = _INVISIBLE.sub("", text)
        if len(text.casefold()) > len(text):
            text = "".join(map(_letters, text))
    return "/".join(" ".join(name.split()).rstrip(". ") or name for name in text.split("/"))


_DOTS_OF_I = {0x130: "I", 0x131: "i"}
"""Turkish `İ` and `ı`, which are `i` to those who write another language."""
_MARKS = regex.compile(r"\p{M}+")
_INVISIBLE = regex.compile(r"\p{Default_Ignorable_Code_Point}|\p{Cf}|\p{Cc}")


def _letters(char: str) -> str:
    """Return the letters that a letter stands for when case does not count: `ss` for `ß`; itself where it is one."""
    return folded if len(folded := char.casefold()) > 1 else char


def _may_match(loose: str, pattern: str) -> bool:
    """Return False quickly for a path that does not have the longest plain part of the pattern."""
    return _plain_part(pattern) in _bare(loose)


@lru_cache(maxsize=10_000)
def _bare(text: str) -> str:
    """Return the letters without case and accents, so that a part of a text is also one of the whole."""
    if text.isascii():
        return text.casefold()
    return _MARKS.sub("", unicodedata.normalize("NFKD", text.casefold()))


@cache
def _plain_part(pattern: str) -> str:
    if "{" in pattern:
        return ""
    plain = re.split(r"\[!?\]?[^\]]*\]|[*?/]", _loose(pattern))
    return max((_bare(part).strip(" .") for part in plain), key=len)


@cache
def _item_patterns(pattern: str) -> list[tuple[str, str]]:
    """Return the names of sources and the patterns of ids that a pattern may stand for."""
    parts = [choice.partition(":") for choice in _choices(pattern)]
    return [(prefix, "**" if ids == "*" else ids) for prefix, colon, ids in parts if colon]


def _choices(pattern: str) -> list[str]:
    """Expand `a.{md,pdf}` to `a.md`, `a.pdf`; braces without a comma are literal."""
    match = re.search(r"\{([^{}]*,[^{}]*)\}", pattern)
    if not match:
        return [pattern]
    heads = [pattern[: match.start()] + choice.strip() for choice in match[1].split(",")]
    return [expanded for head in heads for expanded in _choices(head + pattern[match.end() :])]
