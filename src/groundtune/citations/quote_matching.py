"""Find where a passage says what a sentence says, word for word. Pure; close_matching.py compares other wordings."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from groundtune.languages.detection import detect
from groundtune.languages.reading import read
from groundtune.languages.segmentation import has_unspaced, is_part, is_unspaced

Span = tuple[int, int]
"""Start and end, in characters of the passage's text."""

_PLAIN = str.maketrans(
    dict.fromkeys("‘’‚‛′‹›`", "'") | dict.fromkeys("“”„‟″«»", '"') | dict.fromkeys("‐‑‒–—―−", "-") | {"…": "..."}
)
_INVISIBLE = frozenset("\u00ad\u200b\u200c\u200d\u2060\ufeff")
_EDGE = " \t\n\"'.,;:!?*_。，、；：！？｡؟।"
_STOPS = (".", "!", "?", "。", "！", "？", "؟", "।")
_MARKUP = re.compile(r"\*+|`+|(?<!\w)_+|_+(?!\w)")
_CLAUSE = re.compile(r"[.!?,;:)\"”\]]+(?=\s|\[|$)|[。，；：！？]|\n")
"""Ends of clauses; what stands in its clause before or behind a quote must not deny it."""
_AMOUNT_END = re.compile(r"\d ?[^\W\d_]{1,3}$")
_CHANGED = re.compile(r"`|\s\s|[^\S ]")
"""What `_folded` changes in ASCII."""
_PER = re.compile(r"/[^\W\d_]")
"""A unit goes on behind a stroke: 50 km is not 50 km/h."""
_MINUS = re.compile(r"(?:^|[^\d\s]\s|[(\[])-$")
_DENYING_BEFORE = frozenset({"not", "without", "forbidden"})
_DENYING_BEHIND = frozenset({"not", "forbidden"})


def find(sentence: str, text: str, *, language: str = "english") -> Span | None:
    """Find the sentence in the text, ignoring white space, quotes, dashes, the first letter's case and a final stop.

    language: of the project; a text that is clearly in another is read in that.
    """
    for candidate in dict.fromkeys((sentence, _MARKUP.sub("", sentence))):
        if span := _find(candidate, text, detect(text, language)):
            return span
    return None


def may_continue(start: str, text: str) -> bool:
    """Whether `find` might find a longer sentence that contains these words. Never False if it can."""
    hay = _folded(text)[0]
    candidates = (_folded(candidate)[0].strip(_EDGE) for candidate in (start, _MARKUP.sub("", start)))
    return any(needle[1:] in hay for needle in candidates)  # the case of the first letter may differ


# -- word for word -------------------------------------------------------------------------------------------------


def _find(sentence: str, text: str, language: str) -> Span | None:
    needle = _folded(sentence)[0].strip(_EDGE)
    if not any(c.isalnum() for c in needle):
        return None
    hay, origin = _folded(text)
    for first, last in _places(needle, hay):
        start, end = origin[first], origin[last - 1] + 1
        if has_unspaced(hay[first:last]) and is_part(text, start, end):
            continue
        if _whole(hay, first, last) and not _is_denied(text, start, end, language):
            while end < len(text) and unicodedata.combining(text[end]):
                end += 1
            if sentence.rstrip(" \t\n\"'”’»")[-1:] in _STOPS and text[end : end + 1] in _STOPS:
                end += 1
            return start, end
    return None


def _places(needle: str, hay: str) -> list[Span]:
    """Return where the words stand, whatever the case of their first letter; compiling a pattern for each is slow."""
    found = []
    for form in {needle[0].lower() + needle[1:], needle[0].upper() + needle[1:]}:
        start = hay.find(form)
        while start >= 0:
            found.append((start, start + len(form)))
            start = hay.find(form, start + 1)
    return sorted(found)


def _is_denied(text: str, start: int, end: int, language: str) -> bool:
    """Whether the rest of its clause denies what stands between start and end."""
    before = read(_CLAUSE.split(text[:start])[-1], language)
    behind = read(_CLAUSE.split(text[end:])[0], language)
    last = before.elements[-1].clause if before.elements else 0
    return any(s.name in _DENYING_BEFORE and before.clause_at(s.start) == last for s in before.senses) or any(
        s.name in _DENYING_BEHIND and behind.clause_at(s.start) == 0 for s in behind.senses
    )


def _whole(text: str, start: int, end: int) -> bool:
    """Whether the match ends at word boundaries and is not part of a longer number."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    first, last = text[start], text[end - 1]
    if before and _joined(before[-1], first):
        return False
    if after and (_joined(last, after[0]) or (last.isalnum() and unicodedata.combining(after[0]))):
        return False
    if _AMOUNT_END.search(text[max(0, start, end - 12) : end]) and _PER.match(after):
        return False
    if first.isdigit() and _MINUS.search(text[max(0, start - 3) : start]):
        return False
    if first.isdigit() and len(before) == 2 and before[1] in ".,:" and before[0].isdigit():
        return False
    return not (last.isdigit() and len(after) == 2 and after[0] in ".,:" and after[1].isdigit())


def _joined(left: str, right: str) -> bool:
    """Whether no word ends between two characters."""
    if is_unspaced(left) or is_unspaced(right):  # any two of them may be two words
        return False
    return (left.isalnum() or left == "_") and (right.isalnum() or right == "_")


@lru_cache(maxsize=512)
def _folded(text: str) -> tuple[str, Sequence[int]]:
    """Return the text with plain quotes, dashes, spaces and decomposed accents, and each character's position."""
    if text.isascii() and not _CHANGED.search(text):  # most texts; much faster
        return text, range(len(text))
    out: list[str] = []
    origin: list[int] = []
    for index, char in enumerate(text):
        if char in _INVISIBLE:
            continue
        if char.isspace():
            if not out or out[-1] != " ":
                out.append(" ")
                origin.append(index)
            continue
        for piece in _plain(char):
            out.append(piece)
            origin.append(index)
    return "".join(out), tuple(origin)


def _plain(char: str) -> str:
    if char < "\x7f" and char != "`":
        return char
    compatible = "\ufb00" <= char <= "\ufb06" or "\uff01" <= char <= "\uff5e"
    return unicodedata.normalize("NFKD" if compatible else "NFD", char.translate(_PLAIN))
