"""Find where a passage says what a sentence says, word for word or nearly. Pure; compares words, not meaning."""

import re
import unicodedata
from functools import lru_cache

from groundtune.languages.text import content_words, sentences, words

Span = tuple[int, int]
"""Start and end, in characters of the passage's text."""

COVERED = 0.7
"""Share of a sentence's content words that must appear in the passage for it to count as close."""
WINDOW = 3
"""Maximum adjacent sentences of the passage that together may support one sentence."""

_PLAIN = str.maketrans(
    dict.fromkeys("‘’‚‛′‹›`", "'") | dict.fromkeys("“”„‟″«»", '"') | dict.fromkeys("‐‑‒–—―−", "-") | {"…": "..."}
)
_INVISIBLE = frozenset("\u00ad\u200b\u200c\u200d\u2060\ufeff")
_EDGE = " \t\n\"'.,;:!?*_"
_MARKUP = re.compile(r"\*+|`+|(?<!\w)_+|_+(?!\w)")
_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_CLAUSE = re.compile(r"[,;:()—–]\s|\s(?:and|but|while|whereas)\s")
_CUT = re.compile(r"[.!?,;:)\"”\]]+(?=\s|\[|$)|\n|\s(?:and|but|while|whereas)\s")
"""Clause boundaries; the part of a clause before a quote must not negate it."""
_NAME = re.compile(r"[^\W\d_][\w'’-]*|\d+")
_LABEL = r"(?:[^:;()\n]|\([^()\n]*\)){1,60}: "
_ROW = re.compile(rf"{_LABEL}[^;\n]*; {_LABEL}")
_COUNTS = {
    word: str(number)
    for number, word in enumerate("zero one two three four five six seven eight nine ten eleven twelve".split())
}
_SIGNS = str.maketrans({"€": " euro ", "$": " dollar ", "£": " pound ", "¥": " yen ", "%": " percent "})
_UNITS = {
    "euro": "euro", "euros": "euro", "eur": "euro", "dollar": "dollar", "dollars": "dollar", "usd": "dollar",
    "pound": "pound", "pounds": "pound", "gbp": "pound", "yen": "yen", "jpy": "yen", "percent": "percent",
}  # fmt: skip
"""Names of units, so that amounts in different currencies do not match."""
_NEGATIONS = frozenset("not no never none nobody nothing nowhere neither nor without cannot cant dont".split())
_OPPOSITES = [
    ("before", "after"), ("more", "less"), ("more", "fewer"), ("most", "least"), ("above", "below"), ("over", "under"),
    ("minimum", "maximum"), ("increase", "decrease"), ("allowed", "forbidden"), ("first", "last"), ("open", "closed"),
]  # fmt: skip


def find(sentence: str, text: str) -> Span | None:
    """Find the sentence in the text, ignoring white space, quotes, dashes, the first letter's case and a final stop."""
    for candidate in dict.fromkeys((sentence, _MARKUP.sub("", sentence))):
        if span := _find(candidate, text):
            return span
    return None


def may_continue(start: str, text: str) -> bool:
    """Whether `find` might find a longer sentence that contains these words. Never False if it can."""
    hay = _folded(text)[0]
    candidates = (_folded(candidate)[0].strip(_EDGE) for candidate in (start, _MARKUP.sub("", start)))
    return any(needle[1:] in hay for needle in candidates)  # the case of the first letter may differ


def find_close(sentence: str, text: str, heading: str = "") -> Span | None:
    """Find adjacent sentences of the text that contain the numbers, the names and most words of the sentence."""
    claim = _MARKUP.sub("", sentence)
    content, numbers = _content(claim), _numbers(claim)
    around = f"{heading}. {text}"
    if not (content or numbers) or not numbers <= _numbers(around) or not _units(claim) <= _units(around):
        return None
    spans, rows = _spans(text)
    for size in range(1, WINDOW + 1):
        runs = [spans[i : i + size] for i in range(len(spans) - size + 1)]
        windows = [(run[0][0], run[-1][1]) for run in runs if size == 1 or rows.isdisjoint(run)]
        ranked = sorted(windows, key=lambda span: -_coverage(content, text[span[0] : span[1]], heading))
        for start, end in ranked:
            if _coverage(content, text[start:end], heading) < _needed(content):
                break
            before = max((span for span in spans if span[1] <= start), default=(start, start))[0]
            named = _names(claim) <= _content(f"{heading}. {text[before:end]}")
            if named and _agree(claim, text[start:end], heading, content, numbers):
                return start, end
    return None


# -- word for word -------------------------------------------------------------------------------------------------


def _find(sentence: str, text: str) -> Span | None:
    needle = _folded(sentence)[0].strip(_EDGE)
    if not any(c.isalnum() for c in needle):
        return None
    hay, origin = _folded(text)
    first = f"(?:{re.escape(needle[0].lower())}|{re.escape(needle[0].upper())})"
    for match in re.finditer(first + re.escape(needle[1:]), hay):
        if _whole(hay, match.start(), match.end()) and not _negated(_CUT.split(text[: origin[match.start()]])[-1]):
            end = origin[match.end() - 1] + 1
            while end < len(text) and unicodedata.combining(text[end]):
                end += 1
            if sentence.rstrip(" \t\n\"'”’»")[-1:] in ".!?" and text[end : end + 1] in (".", "!", "?"):
                end += 1
            return origin[match.start()], end
    return None


def _whole(text: str, start: int, end: int) -> bool:
    """Whether the match ends at word boundaries and is not part of a longer number."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    first, last = text[start], text[end - 1]
    if before and first.isalnum() and (before[-1].isalnum() or before[-1] == "_"):
        return False
    if after and last.isalnum() and (after[0].isalnum() or after[0] == "_" or unicodedata.combining(after[0])):
        return False
    if first.isdigit() and len(before) == 2 and before[1] in ".,:" and before[0].isdigit():
        return False
    return not (last.isdigit() and len(after) == 2 and after[0] in ".,:" and after[1].isdigit())


@lru_cache(maxsize=512)
def _folded(text: str) -> tuple[str, tuple[int, ...]]:
    """Return the text with plain quotes, dashes, spaces and decomposed accents, and each character's position."""
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


# -- nearly its words ----------------------------------------------------------------------------------------------


def _agree(claim: str, window: str, heading: str, content: set[str], numbers: set[str]) -> bool:
    around = f"{heading}. {window}"
    return (
        numbers <= _numbers(around)
        and all(_bound(number, claim, window, heading, content) for number in numbers)
        and not _denies(claim, window, content)
        and not _opposite(claim, around)
        and not _other_subject(claim, window, around)
    )


def _bound(number: str, claim: str, window: str, heading: str, content: set[str]) -> bool:
    """Whether a sentence of the passage contains the number and most of the words that surround it in the claim."""
    clauses = [c for c in _CLAUSE.split(claim) if number in _numbers(c)]
    for clause in clauses or [claim]:
        near = _content(clause)
        near = near if len(near) >= 2 else content
        spans = [window[a:b] for a, b in sentences(window)]
        holding = [f"{heading}. {part}" for part in spans if number in _numbers(f"{heading}. {part}")]
        if not any(2 * len(near & _content(part)) > len(near) for part in holding):
            return False
    return True


def _denies(claim: str, window: str, content: set[str]) -> bool:
    """Whether either the claim or the window negates something that the other states without negation."""
    in_claim, in_window = _negated_clauses(claim), _negated_clauses(window)
    relevant = [clause for clause in in_window if 2 * len(clause & content) >= len(clause)]
    return any(not _has_match(clause, in_window) for clause in in_claim) or any(
        not _has_match(clause, in_claim) for clause in relevant
    )


def _negated_clauses(text: str) -> list[set[str]]:
    """Return the content words of each clause that is negated (not, never, no)."""
    clauses = [clause for start, end in sentences(text) for clause in _CLAUSE.split(text[start:end])]
    return [words_ for clause in clauses if _negated(clause) and (words_ := _content(clause) - _NEGATIONS)]


def _has_match(clause: set[str], others: list[set[str]]) -> bool:
    return any(2 * len(clause & other) >= min(len(clause), len(other)) for other in others)


def _negated(text: str) -> bool:
    return any(word in _NEGATIONS or word.endswith("n't") for word in words(text))


def _opposite(claim: str, around: str) -> bool:
    claim_words, passage_words = set(words(claim)), set(words(around))
    pairs = [*_OPPOSITES, *[(b, a) for a, b in _OPPOSITES]]
    return any(
        a in claim_words and a not in passage_words and b in passage_words and b not in claim_words for a, b in pairs
    )


def _other_subject(claim: str, window: str, around: str) -> bool:
    """Whether claim and window open with different content words, such as a name at the start of a sentence."""
    first, other = _opening(claim), _opening(window)
    return bool(first and other) and not first <= _content(around) and not other <= _content(claim)


def _opening(text: str) -> set[str]:
    first = next(iter(words(text)), "")
    return _content(first)


def _names(text: str) -> set[str]:
    """Return stems of capitalised words within a sentence, and of acronyms and codes anywhere."""
    names: set[str] = set()
    tokens = list(_NAME.finditer(text))
    for index, match in enumerate(tokens):
        token = match.group()
        code = sum(c.isupper() for c in token) > 1 or any(c.isdigit() for c in token[1:])
        follows = index + 1 < len(tokens) and tokens[index + 1].group()[0].isupper()
        opens = not text[: match.start()].strip(" \t\n\"'“”‘’(*-") or bool(
            re.search(r"[.!?:;]\s*[\"'“‘(]?$", text[: match.start()])
        )
        if code or (token[0].isupper() and (not opens or (follows and text[match.end() : match.end() + 1] == " "))):
            names.update(word for word in _content(token) if not word[0].isdigit())
    return names


def _spans(text: str) -> tuple[list[Span], set[Span]]:
    """Return sentences and whole table rows in order, and which are rows, so that numbers of two rows are not mixed."""
    spans: list[Span] = []
    rows: set[Span] = set()
    start = 0
    for block in text.split("\n\n"):
        if _ROW.match(block):
            rows.add((start, start + len(block)))
            spans.append((start, start + len(block)))
        else:
            spans.extend((start + a, start + b) for a, b in sentences(block))
        start += len(block) + 2
    return spans, rows


def _coverage(content: set[str], window: str, heading: str) -> float:
    if not content:
        return 1.0
    return len(content & (_content(window) | _content(heading))) / len(content)


def _needed(content: set[str]) -> float:
    return COVERED if len(content) > 2 else 1.0


@lru_cache(maxsize=4096)
def _stems(text: str) -> frozenset[str]:
    plain = text.translate(_PLAIN).translate(_SIGNS).replace("'s ", " ").removesuffix("'s")
    return frozenset(w for w in content_words(plain) if not w[0].isdigit() and w not in _COUNTS)


def _content(text: str) -> set[str]:
    return set(_stems(text))


def _numbers(text: str) -> set[str]:
    """Return figures, and words for small numbers, in one form: 1,000 = 1000, 3.50 = 3.5, two = 2."""
    plain = _THOUSANDS.sub("", text)
    figures = {_figure(match.group()) for match in _NUMBER.finditer(plain)}
    return figures | {_COUNTS[word] for word in words(plain) if word in _COUNTS and word != "one"}


def _figure(number: str) -> str:
    return number.rstrip("0").rstrip(".") if re.fullmatch(r"\d+\.\d+", number) else number.lstrip("0") or "0"


def _units(text: str) -> set[str]:
    return {_UNITS[word] for word in words(text.translate(_SIGNS)) if word in _UNITS}
