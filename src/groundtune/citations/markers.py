"""Find the markers in a model's reply that name a passage, in all the forms that models write. Checks no citation.

A marker is `[1]` and what models write for it: other brackets, a word for the passage, several numbers, a footnote, a
link, a superscript. Text that only looks like one stays text: an index `rows[2]`, a year `[2024]`, a link to a page, an
exponent, a list `(1) …`, code, and a footnote that the passage itself has.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from groundtune.languages.reply_words import all_words
from groundtune.types import Hit

MAX_NUMBER = 99
"""Larger numbers count as markers only when that many passages were given: `[2024]` is text."""
MIN_WORDS_BEFORE = 3
"""Words of its line that must precede a bare `(1)`, which otherwise numbers something."""


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker in a text."""

    start: int
    """Where it starts, with the blanks before it."""
    open: int
    """Where its own characters start."""
    end: int
    numbers: tuple[int, ...]
    """The passages that it names, as the prompt counts them, from 1."""
    settled: bool = True
    """Whether no later text can change how it is read."""
    phrase: tuple[int, int] | None = None
    """The words that only name the passage, with the marker in them: According to passage 1, …"""


def unwrapped(text: str, hits: Sequence[Hit]) -> str:
    """Return the text with `<cite id="1">…</cite>` around words as these words with the marker `[1]` behind them."""
    if "<" not in text:
        return text
    code = [match.span() for match in _CODE.finditer(text)]

    def marked(match: re.Match[str]) -> str:
        folded = "".join(map(_folded, match["id"].strip("\"'[] ")))
        numbers = _read(folded, _contents().numbers) or _named(folded, hits)
        if not numbers or any(begin <= match.start() < stop for begin, stop in code):
            return match[0]
        return f"{match['words'].strip()} {''.join(f'[{number}]' for number in numbers)}"

    return _WRAPPED.sub(marked, text)


def closed_part(text: str) -> str:
    """Return the text up to a tag such as `<cite id="1">` around words that may still be closed."""
    opened = _OPENED.search(text)
    return text[: opened.start()] if opened else text


def find_markers(text: str, hits: Sequence[Hit]) -> list[Marker]:
    """Return the markers of a text in order. hits: the passages of the prompt, in its order."""
    if not _MAY_HOLD.search(text) and not (_BRACKET.search(text) and hits):
        return []
    folded = text.lower() if text.isascii() else "".join(map(_folded, text))
    code = [match.span() for match in _CODE.finditer(text)]
    markers: list[Marker] = []
    position = 0
    while match := _FORM.search(folded, position):
        start, position = match.span()
        kind = str(match.lastgroup)
        opened = match.start(kind)
        numbers = _numbers(match[kind], kind, len(hits)) or _named_in(match[kind], kind, hits)
        in_code = any(begin <= opened < stop for begin, stop in code)
        allowed = bool(numbers) and not in_code and _ALLOWED[kind](folded, opened, position)
        if allowed and not (kind == "square" and _quoted(text, opened, position, numbers, hits)):
            markers.append(Marker(start, opened, position, numbers, settled=kind in _SETTLED))
        else:
            position = opened + 1
    return _with_mentions(folded, markers, len(hits))


# -- the forms -----------------------------------------------------------------------------------------------------

_MAY_HOLD = re.compile(r"[\d①-⑳❶-❿⁰¹²³⁴-⁹]")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_PLAIN = str.maketrans("【〔〖⟦⟨〈】〕〗⟧⟩〉、‐‑–—−〜～", "[[[[[[]]]]]],-------")
_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_LOWERED = str.maketrans(_RAISED, "0123456789")
_CIRCLED = {chr(0x2460 + at): at + 1 for at in range(20)} | {chr(0x2776 + at): at + 1 for at in range(10)}
_ACCENTED_BELOW = 0x530
"""Latin, Greek and Cyrillic letters are compared without accents."""


@cache
def _folded(char: str) -> str:
    """Return a plain form of one character, always one character long."""
    char = char.translate(_PLAIN)
    if "\uff01" <= char <= "\uff5e":
        char = unicodedata.normalize("NFKC", char)
    if char.isdecimal():
        return str(int(char))
    if char.isalpha() and ord(char) < _ACCENTED_BELOW:
        char = unicodedata.normalize("NFD", char)[0]
    lower = char.lower()
    return lower if len(lower) == 1 else char


_INNER = r"\[[^\[\]\n]{1,160}\]"
_INNERS = rf"{_INNER}(?:\s*[,;]?\s*{_INNER})*"
_LINK = r"\((?:#[^()\s]*|(?![a-z][a-z+.]*:)[^()\s#]+(?:#[^()\s]*)?)\)"
"""A link within the page, or to a file; one with a scheme such as https leads to a page."""
_BRACKETED = (
    rf"(?:\[{_INNER}\](?:{_LINK})?|\[\s*{_INNERS}\s*\]|\([^()\[\]\n]{{0,20}}{_INNERS}\s*\)|\^?{_INNER}(?:\^|{_LINK})?)"
)
_TAGS = "sup|sub|cite|ref|source|src|doc|document|citation|passage|footnote"
_ATTRIBUTES = "source|sources|src|ref|refs|cite|cites|citation|citations|passage|passages|doc|docs|document|documents"
"""Attributes that name a passage in a tag of any name."""
_FORMS = {
    "bold": rf"\*\*{_BRACKETED}\*\*|\*{_BRACKETED}\*",
    "tagged": rf"<(?:{_TAGS})\b[^<>\n]{{0,40}}>[^<>\n]{{1,160}}</(?:{_TAGS})>",
    "attribute": rf"<(?:{_TAGS})\s+[a-z]+\s*=\s*[\"']?\d{{1,5}}[\"']?\s*/>",
    "command": r"\\(?:cite[pt]?|footnote|ref)\{[^{}\n]{1,160}\}",
    "square": rf"\\\[[^\[\]\n]{{1,160}}\\\]|{_BRACKETED}",
    "bare": r"(?:\{\{|[({<「《])\s*\d{1,2}(?:\s*[,;]\s*\d{1,2})*\s*(?:\}\}|[)}>」》])",
    "labelled": r"\([^()\[\]\n]{1,160}\)",
    "caret": r"\$?\^(?:\{\d{1,2}(?:\s*,\s*\d{1,2})*\}|\d{1,2})(?:\$|\^)?(?!\w)",
    "raised": rf"[{_RAISED}]+(?:[,˒‚ ]{{1,2}}[{_RAISED}]+)*",
    "circled": rf"[{''.join(_CIRCLED)}]",
    "line": r"(?:(?:^|(?<=[\s>*-]))[^\s\d:]{2,30}\s*:\s*[^\n:]{0,100}|(?<=- )[^\s\d:]{2,30}\s*[#:]?\s*)\d[ \t]*\.?"
    r"(?=[ \t]*(?:\n|\Z))",
}
_FORM = re.compile(rf"[ \t]*(?:{'|'.join(f'(?P<{kind}>{form})' for kind, form in _FORMS.items())})", re.MULTILINE)
"""What may be a marker, on folded text; the last group that matched names the form."""
_SETTLED = frozenset({"square", "bold", "tagged", "labelled"})
"""Forms that are read the same way whatever follows the next character."""
_CONTENT = re.compile(
    rf"\[([^\[\]\n]+?)\\?\]|<(?:{_TAGS})\b[^<>]*>([^<>\[\]]+)<|<(?:{_TAGS})\s[^<>]*?(\d+)[^<>\d]*/>|\{{([^{{}}]+)\}}"
)
"""The content of brackets, tags and braces."""

_NAMING = rf"(?:{_TAGS}|quote|q|claim|statement)\s+[a-z_-]+|[a-z]{{1,12}}\s+(?:{_ATTRIBUTES})(?:[_-]?ids?)?"
"""A tag with the attribute that names its passage."""
_WRAPPED = re.compile(
    rf"<(?=(?P<tag>[a-z]+))(?:{_NAMING})\s*=\s*(?P<id>\"[^\"<>\n]*\"|'[^'<>\n]*'|[^\s<>\"']+)\s*>"
    r"(?P<words>(?=[^<]*[^\W\d_]{2})[^<>]{1,2000})</(?P=tag)\s*>",
    re.IGNORECASE,
)
_OPENED = re.compile(
    rf"<(?:(?:(?:{_TAGS})\s[^<>/]*|(?:{_NAMING})\s*=[^<>]*)(?:>[^<>]{{0,2000}}(?:</?[a-z]{{0,12}}\s*)?)?"
    r"|[a-z]{0,12}(?:\s+[a-z_-]{0,20})?)\Z",
    re.IGNORECASE,
)
"""A tag with an attribute that is open at the end of the text, or begins there."""
_BRACKET = re.compile(r"[\[(【［<]")

# -- what stands in them -------------------------------------------------------------------------------------------

_PAGE = r"(?:\s*[,:]?\s*(?:pp?|pages?|s|seiten?|lines?|l)\b\.?\s*\d+(?:\s*-\s*\d+)?)"
_FILE = r"(?:\s*[:,|-]?\s*[^\s\[\](),;:]+\.[a-z]{2,5}\b[^\[\]\n]{0,100})"
_PLACE = rf"(?::\d{{1,3}}(?:-\d+)?|\s*[†‡][^\[\]\n]{{0,100}}|{_PAGE}|{_FILE})"
"""Where in a passage or file the model says that it is; it is not read."""
_TITLE = r"(?:\s*(?::|\||-(?=\s))\s*[^\W\d_][^\[\]()\n]{0,100})"


@dataclass(frozen=True, slots=True)
class _Contents:
    """Patterns of what stands in brackets, on folded text."""

    item: re.Pattern[str]
    """One number or range, with the word before it and the place after it."""
    numbers: re.Pattern[str]
    """One or several of them."""
    named: re.Pattern[str]
    """The same, with a word for a source before the first."""
    lead: re.Pattern[str]
    """What may stand before brackets in parentheses: (see [1]), (sources: [1], [2])."""
    source: re.Pattern[str]


@cache
def _contents() -> _Contents:
    sources, joins, pointers = _any_of("sources"), _any_of("joins"), _any_of("pointers")
    initial = r"(?:[psdc](?=\d))?"
    source = rf"(?:[\^#№]\s*|(?:{sources})(?:\s*(?:no|nr|n°|num|number)\b\.?|\s*[#№])?\s*[.:=#_-]?\s*)"
    pointer = rf"(?:(?:{pointers})\b\.?:?\s*){{0,2}}"
    join = rf"\s*(?:[,;&+/·]\s*(?:(?:{joins})\s)?|(?:{joins})(?![^\W\d_]))\s*"
    item = rf"(?P<low>\d{{1,5}})(?:\s*-\s*{source}?(?P<high>\d{{1,5}}))?\^?{_PLACE}{{0,2}}"
    one = re.sub(r"\?P<\w+>", "?:", item)
    more = rf"(?:{join}{pointer}{source}{{0,2}}{one})*"
    return _Contents(
        re.compile(rf"{source}{{0,2}}{item}(?:{_TITLE}\Z)?"),
        re.compile(rf"\s*{pointer}{source}{{0,2}}{initial}{one}(?:{more}|{_TITLE})\s*"),
        re.compile(rf"\s*{pointer}{source}{{1,2}}{one}(?:{more}|{_TITLE})\s*"),
        re.compile(rf"\s*{pointer}(?:(?:{sources})\s*[.:=]?\s*)?"),
        re.compile(source),
    )


def _any_of(kind: str) -> str:
    words = {"".join(map(_folded, word)) for word in all_words(kind)}
    return "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))


def _numbers(form: str, kind: str, passages: int) -> tuple[int, ...]:
    """Return the numbers of a form in order, ranges written out; none if something else stands in it."""
    if kind == "circled":
        numbers = [_CIRCLED[form]]
    elif kind == "raised":
        numbers = _raised_numbers(form, passages)
    elif kind in ("bare", "caret"):
        numbers = [int(number) for number in re.findall(r"\d+", form)]
    elif kind == "labelled":
        numbers = _read(form[1:-1], _contents().named)
    elif kind == "line":
        numbers = _read(form.rstrip(" \t."), _contents().named)
    else:
        numbers = _read_brackets(form)
    unsure = kind in ("bare", "caret", "raised", "circled", "line")
    sure = not unsure and not re.search(r"\d:\d|\[[psdc]\d", form)
    most = max(MAX_NUMBER, passages) if sure else passages
    return tuple(dict.fromkeys(numbers)) if all(0 < number <= most for number in numbers) else ()


def _raised_numbers(form: str, passages: int) -> list[int]:
    """Return the numbers of a superscript: ¹² names two passages, unless there are twelve."""
    pieces = re.findall(r"\d+", form.translate(_LOWERED))
    return [int(digits) for piece in pieces for digits in ([piece] if int(piece) <= passages else piece)]


def _read_brackets(form: str) -> list[int]:
    """Return the numbers in all brackets of a form; none if anything else stands in one of them or before them."""
    contents = ["".join(filter(None, groups)) for groups in _CONTENT.findall(form)]
    before = form[1 : form.index("[")] if form.startswith("(") else ""
    if not _contents().lead.fullmatch(before):
        return []
    numbers = [_read(content, _contents().numbers) for content in contents]
    return [number for each in numbers for number in each] if all(numbers) else []


def _read(content: str, pattern: re.Pattern[str]) -> list[int]:
    """Return the numbers of a content that has the given pattern as a whole, else none."""
    content = content.translate(_LOWERED)
    if not pattern.fullmatch(content):
        return []
    numbers: list[int] = []
    for match in _contents().item.finditer(content):
        low, high = int(match["low"]), int(match["high"] or match["low"])
        numbers.extend(range(low, high + 1) if low <= high <= low + MAX_NUMBER else (low, high))
    return numbers


# -- passages named by a sentence ----------------------------------------------------------------------------------


def _with_mentions(folded: str, markers: Sequence[Marker], passages: int) -> list[Marker]:
    """Return the markers with those that a sentence names at its head: According to passage 1, …; [1] says that …"""
    mentions = [
        Marker(
            match.start("number"), match.start("number"), match.end("number"), (number,), False, match.span("phrase")
        )
        for pattern in _mention()
        for match in pattern.finditer(folded)
        if 0 < (number := int(match["number"].strip("[]"))) <= passages
    ]
    spans = [mention.phrase for mention in mentions if mention.phrase]
    apart = [m for m in markers if not any(start < m.end and m.open < end for start, end in spans)]
    return sorted([*apart, *mentions], key=lambda marker: marker.start)


@cache
def _mention() -> tuple[re.Pattern[str], ...]:
    head = r"(?:^[ \t>*-]*|(?<=[.!?:;] )|(?<=[。！？]))"
    article = r"(?:[^\W\d_]{1,4}['’ ]\s*)?"
    number = r"(?:\[\d{1,2}\]|\d{1,2})(?!\d|[.,]\d)"
    named = rf"(?:{article}(?:{_any_of('sources')})\s*(?:no\.?|nr\.?|#)?\s*|(?=\[))(?P<number>{number})"
    before = rf"(?:{_any_of('according')})(?:\s+|(?<=[\u2e80-\u9fff])){named}\s*[,:，：、]?"
    behind = (
        rf"{named}(?:['’]?[^\W\d_]{{1,4}})?\s*(?:{_any_of('says')})(?:\s+(?:{_any_of('that')})(?!\w))?\s*[,:，：、]?"
    )
    return tuple(re.compile(rf"{head}(?P<phrase>{form})", re.MULTILINE) for form in (before, behind))


# -- files and headings --------------------------------------------------------------------------------------------

_FILE_NAME = re.compile(r"\S\.[a-z\d]{2,5}$")
_BEHIND_NAME = re.compile(r"\s*(?:$|[,;:#>|(]|-\s)")
"""What follows the name of a file: nothing, or a place in it."""
_NAMED = re.compile(r"\*{0,2}\\?[\[(]+([^\[\]()]+?)\\?[\])]+(?:\([^()]*\))?\*{0,2}|<[^<>]*>([^<>]+)<[^<>]*>")


def _names(hits: Sequence[Hit]) -> dict[str, int]:
    """Map what names exactly one of the passages to its number: a source, a file name, a heading."""
    found: dict[str, set[int]] = {}
    for number, hit in enumerate(hits, start=1):
        source, heading = _plain_name(hit.passage.source), _plain_name(hit.passage.heading)
        for name in {source, source.rpartition("/")[2], heading, heading.rpartition(" > ")[2]}:
            found.setdefault(name, set()).add(number)
    return {name: min(numbers) for name, numbers in found.items() if name and len(numbers) == 1}


def _plain_name(name: str) -> str:
    return "".join(map(_folded, name.strip()))


def _named(content: str, hits: Sequence[Hit], *, headings: bool = False) -> tuple[int, ...]:
    """Return the passages that a folded content names: [handbook.md], [Source: handbook.md, p. 3], [a.md; b.md]."""
    names = {name: number for name, number in _names(hits).items() if headings or _FILE_NAME.search(name)}
    pieces = [piece.strip("`\"' ") for piece in content.split(";")]
    numbers: list[int] = []
    for piece in pieces:
        source = _contents().source.match(piece)
        starts = [piece, piece[source.end() :]] if source else [piece]
        fitting = [
            name
            for name in names
            for start in starts
            if start == name
            or (_FILE_NAME.search(name) and start.startswith(name) and _BEHIND_NAME.match(start, len(name)))
        ]
        if not fitting:
            return ()
        numbers.append(names[max(fitting, key=len)])
    return tuple(dict.fromkeys(numbers))


def _named_in(form: str, kind: str, hits: Sequence[Hit]) -> tuple[int, ...]:
    """Return the passages that brackets or a tag name; headings count only in square brackets."""
    content = _NAMED.fullmatch(form.strip()) if kind in ("square", "bold", "labelled", "tagged") else None
    return _named(content[1] or content[2], hits, headings=kind in ("square", "bold")) if content else ()


# -- what only looks like one --------------------------------------------------------------------------------------

_INDEXED = re.compile(r"(?:[_.]\w+|\b(?:[a-z]|rows?|cols?|columns?|array|arr|args|argv))$")
"""Names of program text that an index follows: `user_ids[2]`, `table.rows[2]`, `x[1]`."""
_UNIT = re.compile(
    r"(?<![^\W\d_])(?:[a-z]{1,2}|µm|dam|hm|mtr|meters?|metres?|metros?|metri|metrow|metern?|feet|foot|inch|"
    r"inches|yards?|miles?|м|см|мм|км|дм|метр\w*)$"
)
"""Units and variables that an exponent follows: `m²`, `20 feet²`, `x²`."""
_CLAUSE_ENDS = re.compile(r"[ \t]*(?:[.,;:!?。，；：！？…|)\]\"'”’»]|\n|\Z)|[ \t]*\(\s*\d")
_BEFORE_NUMBER = re.compile(
    r"(?:\d|[§#=+*/^<>_-]|\b(?:section|article|art|para|paragraph|clause|rule|no|nr|abs|absatz|artikel)\.?)[ \t]*$"
)
_COUNT_WORD = re.compile(r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)[ \t]*$")


def _square_allowed(text: str, start: int, end: int) -> bool:
    """Whether brackets are a marker: not the index of `rows[2]`, a link `[2](…)`, or the start of `[2] = …`."""
    after, before = text[end : end + 1], text[start - 1 : start]
    if after in ("(", "=") and after:
        return False
    if not before or before.isspace():
        return True
    line = re.sub(r"(?:\[[^\[\]]*\])+$", "", text[text.rfind("\n", 0, start) + 1 : start])
    if before in ("_", ")") and after in ("[", ".") and after:
        return False
    return not (_INDEXED.search(line) and text[start] == "[")


def _bare_allowed(text: str, start: int, end: int) -> bool:
    """Whether `(1)` is a marker: it closes a clause of several words, and counts or numbers nothing."""
    line = text[text.rfind("\n", 0, start) + 1 : start]
    joined = line[-1:].isalnum() and ord(line[-1]) < 0x2E80  # f(1), and not a word of a script without spaces
    unspaced = sum(ord(char) >= 0x2E80 for char in line)
    if joined or (len(re.findall(r"[^\W\d_]{2,}", line)) < MIN_WORDS_BEFORE and unspaced < 2 * MIN_WORDS_BEFORE):
        return False
    if _BEFORE_NUMBER.search(line) or _COUNT_WORD.search(line):
        return False
    return _CLAUSE_ENDS.match(text, end) is not None


def _raised_allowed(text: str, start: int, end: int) -> bool:
    """Whether a raised number is a marker: no exponent of a number, a unit or a variable, and no head of a line."""
    before = text[text.rfind("\n", 0, start) + 1 : start]
    after = text[end : end + 1]
    blank = before != before.rstrip()
    if not before.strip() or (after.isalnum() and ord(after) < 0x2E80) or after in ("⁺", "⁻"):
        return False
    return blank or not (before[-1].isdigit() or before[-1] in "⁻⁺-+^(" or _UNIT.search(before))


def _circled_allowed(text: str, start: int, end: int) -> bool:
    """Whether `①` is a marker: it closes a clause."""
    line = text[text.rfind("\n", 0, start) + 1 : start]
    closes = _CLAUSE_ENDS.match(text, end) is not None or text[end : end + 1] in _CIRCLED
    return bool(line.strip()) and closes


def _tag_allowed(text: str, start: int, end: int) -> bool:
    """Whether a tag is a marker: a raised number like `¹`, a lowered one only in brackets (CO<sub>2</sub>)."""
    if text.startswith("<sub", start):
        return "[" in text[start:end]
    return not text.startswith("<sup", start) or _raised_allowed(text, start, end)


def _allowed(text: str, start: int, end: int) -> bool:
    return True


_ALLOWED = {
    "bold": _allowed, "tagged": _tag_allowed, "attribute": _allowed, "command": _allowed, "labelled": _allowed,
    "line": _allowed, "square": _square_allowed, "bare": _bare_allowed, "caret": _raised_allowed,
    "raised": _raised_allowed, "circled": _circled_allowed,
}  # fmt: skip


def _quoted(text: str, start: int, end: int, numbers: Sequence[int], hits: Sequence[Hit]) -> bool:
    """Whether a passage that is not named has the same words with the same brackets, which are then quoted from it."""
    others = [hit.passage.text for number, hit in enumerate(hits, start=1) if number not in numbers]
    others = [passage for passage in others if "[" in passage]
    if not others:
        return False
    line = text[text.rfind("\n", 0, start) + 1 : start]
    before = re.search(r"\S+$" if line and not line[-1].isspace() else r"\S+\s+\S+\s+$", line)
    if before is None:
        return False
    quote = " ".join((before.group() + text[start:end]).split()).casefold()
    return any(quote in " ".join(passage.split()).casefold() for passage in others)
