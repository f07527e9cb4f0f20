"""Write raised and lowered text in plain text: 10^6, m², H2O, a note as [2]. A raised digit never joins a number.

A loader wraps what is raised in `superscript` and what is lowered in `subscript`, piece by piece. `TextBuilder` writes
it out, since what a raised 2 means depends on what stands before and behind it.
"""

import re

_UP, _UP_END, _DOWN, _DOWN_END = "\ufdd0\ufdd1\ufdd2\ufdd3"
"""Noncharacters of Unicode: no text contains them."""
_MARK = re.compile(f"[{_UP}-{_DOWN_END}]")
_SPLIT = re.compile(f"{_UP_END}{_UP}|{_DOWN_END}{_DOWN}")
_MARKED = re.compile(
    rf"(?P<sign>[{_UP}{_DOWN}])(?P<before>\s*)(?P<text>[^{_UP}-{_DOWN_END}]*?)(?P<behind>\s*)[{_UP_END}{_DOWN_END}]"
)
_FRACTION = re.compile(
    rf"(?P<whole>\d?){_UP}(?P<above>\d+){_UP_END}\s?[/⁄∕]\s?{_DOWN}(?P<below>\d+){_DOWN_END}"
    rf"|(?<!\S){_UP}(?P<alone_above>\d+){_UP_END}[/⁄∕](?P<alone_below>\d+)"
)
_CONTEXT = 40
"""Characters before and behind that are looked at."""

_NOTE = re.compile(r"[*†‡§]?\d{1,3}(?:\s?[,;–-]\s?\d{1,3})*[).]?")
_BRACKETED = re.compile(r"[(\[].*[)\]]")
_SIGNS = re.compile(r"[^\w\s]+|tm|sm", re.IGNORECASE)
_PLAIN_EXPONENT = re.compile(r"\w+|[-−–+]\d+|\d*[-−–+]")
_SQUARE_OR_CUBE = {"2": "²", "3": "³"}
_LENGTH = re.compile(r"(?:^|[\W\d_])(?:[mkcdnµμ]?m|ft|yd|mi)$|\d\s?in$")
_VARIABLE = re.compile(r"(?:^|[\W\d_])(?:[^\W\d_]|sin|cos|tan|log|exp)$|[=+−×·*]\s?[^\W\d_]{2,3}$")
_TEN_OR_TWO = re.compile(r"(?:^|[^\d.,])(10|2)$")
"""Numbers whose powers stand in running text."""
_OPERATOR_BEFORE = re.compile(r"[×·*^+]\s?\d+$")
_OPERATOR_BEHIND = re.compile(r"\s?[=×·*^+<>≈]")
_BRACKETS = re.compile(r"\([^()]*\)$|\[[^\[\]]*\]$")
_LONG_WORD = re.compile(r"[^\W\d_]{3}")
_WORDS = re.compile(r"\w\s+\w")
_LETTERS = re.compile(r"[^\W\d_]*$")
_ROMAN = re.compile(r"(?:^|\W)[IVXLC]+$")
_ORDINAL = {"o": "º", "a": "ª", "e": "e", "d": "d", "r": "r"}


def superscript(text: str) -> str:
    """Mark text that is raised."""
    return f"{_UP}{text}{_UP_END}" if text else ""


def subscript(text: str) -> str:
    """Mark text that is lowered."""
    return f"{_DOWN}{text}{_DOWN_END}" if text else ""


def write_out(text: str) -> str:
    """Return the text with what is marked in it written out, without the marks."""
    if not _MARK.search(text):
        return text
    text = _FRACTION.sub(_fraction, _SPLIT.sub("", text))
    written: list[str] = []
    place, tail = 0, ""
    for marked in _MARKED.finditer(text):
        plain = _MARK.sub("", text[place : marked.start()]) + marked["before"]
        before = (tail + plain)[-_CONTEXT:]
        behind = _MARK.sub("", marked["behind"] + text[marked.end() : marked.end() + _CONTEXT])
        write = _raised if marked["sign"] == _UP else _lowered
        moved = write(marked["text"], before, behind) + marked["behind"]
        written += [plain, moved]
        place, tail = marked.end(), (before + moved)[-_CONTEXT:]
    return "".join(written) + _MARK.sub("", text[place:])


def _fraction(found: "re.Match[str]") -> str:
    if found["alone_above"]:
        return f"{found['alone_above']}/{found['alone_below']}"
    return f"{found['whole']}{' ' if found['whole'] else ''}{found['above']}/{found['below']}"


def _raised(text: str, before: str, behind: str) -> str:
    base = before[-1:]
    if not text or not (base.strip() or behind.strip()):
        return text
    if _SIGNS.fullmatch(text):
        return {"tm": "™", "sm": "℠"}.get(text.lower(), text)
    if _NOTE.fullmatch(text) and not (text.isdecimal() and _is_exponent(text, before, behind)):
        return _apart(f"[{text.rstrip(').')}]", before, behind)
    if _BRACKETED.fullmatch(text) or not base.strip() or _WORDS.search(text):
        return _apart(text, before, behind)
    if text in _SQUARE_OR_CUBE and _LENGTH.search(before):
        return _SQUARE_OR_CUBE[text]
    return _raised_letters(text, before, behind) if text.isalpha() else _exponent(text, behind)


def _is_exponent(text: str, before: str, behind: str) -> bool:
    """Whether a raised number is an exponent, not the number of a note."""
    base = before[-1:]
    if base.isdecimal():
        if _OPERATOR_BEFORE.search(before) or _OPERATOR_BEHIND.match(behind):
            return True
        number = _TEN_OR_TWO.search(before)
        return number is not None and (number[1] == "10" or int(text) > 2)
    if base.isalpha():
        return bool(_LENGTH.search(before) or _VARIABLE.search(before))
    formula = _BRACKETS.search(before)
    return formula is not None and not _LONG_WORD.search(formula[0])


def _raised_letters(text: str, before: str, behind: str) -> str:
    """Return the letters as an ordinal (3rd, 1º), the end of an abbreviation (Mme), an exponent (2^n) or a note [a]."""
    base, word = before[-1], _LETTERS.search(before)
    length = len(word[0]) if word else 0
    if base.isdecimal() or _ROMAN.search(before):
        if len(text) > 1 and text.islower():
            return text
        return _ORDINAL.get(text) or _exponent(text, behind)
    if length == 0:
        return _exponent(text, behind) if base in ")]" else _apart(text, before, behind)
    if length + len(text) > 2 and (length > 2 or len(text) == 1):
        return _apart(f"[{text}]" if len(text) == 1 else text, before, behind)
    if base in "nN" and text in "oa":
        return _ORDINAL[text]
    return text if len(text) > 1 or (base.isupper() and text.islower()) else _exponent(text, behind)


def _exponent(text: str, behind: str) -> str:
    plain = _PLAIN_EXPONENT.fullmatch(text) and not behind[:1].isdigit()
    return f"^{text}" if plain else f"^({text})"


def _lowered(text: str, before: str, behind: str) -> str:
    base = before[-1:]
    if not text or not base.strip():
        return text
    if not (base.isalnum() or base in ")]") or _WORDS.search(text):
        return _apart(text, before, behind)
    if text.isdecimal() and not base.isdecimal():
        return f"{text} " if behind[:1].isdigit() else text
    return f"_{text}" if text.isalnum() and not behind[:1].isdigit() else f"_({text})"


def _apart(text: str, before: str, behind: str) -> str:
    """Return the text with spaces where it would touch a word or a number."""
    touches = before and not before[-1].isspace() and before[-1] not in "(["
    return f"{' ' if touches else ''}{text}{' ' if behind[:1].isalnum() else ''}"
