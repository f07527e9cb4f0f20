"""Compare two texts as multisets of visible tokens and by their order. Knows no file and no format.

A token is a word, a number with its sign and separators, or a sign that changes what is said (%, €, ☑, ≤). Layout does
not count: white space, bullets, quotes and the line that a word stands on.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

_KEPT = {ord(sign): f"^{unicodedata.normalize('NFKC', sign)}" for sign in "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ"}
_KEPT |= {ord(sign): unicodedata.normalize("NFKC", sign) for sign in "₀₁₂₃₄₅₆₇₈₉"}
_TICKS = {ord(sign): "☑" for sign in "☒✓✔🗹🗷"}
_UNSEEN = re.compile("[\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufe0e\ufe0f]")
_RULES = re.compile(r"([=+_~*.·-])\1{2,}")
"""Lines drawn with characters."""
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_SINGLE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
_TOKEN = re.compile(
    rf"[{_SINGLE}]"
    rf"|(?:(?<![\w.,)])-(?=\d))?(?:(?![{_SINGLE}])[\w\u0300-\u036f])+(?:(?:[./'’_@-]|(?<=\d)[,:](?=\d))(?:(?![{_SINGLE}])\w)+)*"
    r"|[%‰€$£¥§°±<>≤≥≠=+×÷^√∞☐☑✗✘]"
)


def tokens(text: str) -> list[str]:
    """Return the tokens in order. Ligatures and presentation forms are folded, superscripts become `^` and digits.

    Case is folded: programs show headings in capitals that the file does not have.
    """
    text = unicodedata.normalize("NFKC", _UNSEEN.sub("", text).translate(_KEPT)).translate(_TICKS)
    return [token.casefold() for token in _TOKEN.findall(_RULES.sub(" ", _DASHES.sub("-", text)))]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a text that was read agrees with what is visible. Counts are of tokens."""

    visible: int
    present: int
    """Visible tokens that the text has as often."""
    read: int
    seen: int
    """Tokens of the text that are visible as often."""
    missing: Counter[str] = field(default_factory=Counter)
    unseen: Counter[str] = field(default_factory=Counter)
    order: float | None = None
    """Rank correlation of the places of tokens that occur once on both sides; None below 3 of these."""


def compare(
    read: Sequence[str],
    visible: Sequence[Sequence[str]],
    *,
    perhaps: Sequence[Sequence[str]] = (),
    repeatable: Iterable[str] = (),
) -> Comparison:
    """Compare tokens that were read with what one or more programs show.

    A token is missing only if every program shows it, unseen only if none does: programs err as well.

    perhaps: what other views show, which lack some of what is visible. repeatable: tokens of table rows, which may be
    read more often than seen, since each row repeats the names of its columns.
    """
    ours = Counter(read)
    extra = Counter(repeatable)
    lacking: list[Counter[str]] = []
    strange: list[Counter[str]] = []
    for number, view in enumerate([*visible, *perhaps]):
        theirs = Counter(view)
        missing, unseen = theirs - ours, ours - theirs
        unseen = Counter({token: n - extra[token] if theirs[token] else n for token, n in unseen.items()})
        missing, unseen = _joined(missing, +unseen, view, read)
        if number < len(visible):
            lacking.append(missing)
        strange.append(unseen)
    missing, unseen = _common(lacking), _common(strange)
    return Comparison(
        visible=len(visible[0]),
        present=len(visible[0]) - missing.total(),
        read=len(read),
        seen=len(read) - unseen.total(),
        missing=missing,
        unseen=unseen,
        order=rank_correlation(read, visible[0]),
    )


def _common(counters: Sequence[Counter[str]]) -> Counter[str]:
    common = counters[0].copy()
    for counter in counters[1:]:
        common &= counter
    return common


def rank_correlation(left: Sequence[str], right: Sequence[str]) -> float | None:
    """Return Spearman's correlation over the tokens that occur exactly once on both sides."""
    once_left = {token for token, count in Counter(left).items() if count == 1}
    once = once_left & {token for token, count in Counter(right).items() if count == 1}
    if len(once) < 3:
        return None
    rank = {token: place for place, token in enumerate(token for token in right if token in once)}
    places = [rank[token] for token in left if token in once]
    n = len(places)
    squares = sum((place - index) ** 2 for index, place in enumerate(places))
    return 1 - 6 * squares / (n * (n * n - 1))


def _joined(
    missing: Counter[str], unseen: Counter[str], visible: Sequence[str], read: Sequence[str]
) -> tuple[Counter[str], Counter[str]]:
    """Take out tokens that differ only in where they are cut: `deliv-`, `ery` and `delivery`; `10^6` and `106`."""
    missing, unseen = missing.copy(), unseen.copy()
    _match_cuts(missing, unseen, visible, spell=_letters_and_powers)
    _match_cuts(unseen, missing, read, spell=_letters)
    return +missing, +unseen


_LONGEST_CUT = 6


def _match_cuts(
    parts: Counter[str], wholes: Counter[str], sequence: Sequence[str], *, spell: Callable[[str], str]
) -> None:
    """Remove runs of leftover tokens of `sequence` that together spell a leftover whole."""
    spelled: dict[str, list[str]] = {}
    for whole in wholes:
        spelled.setdefault(spell(whole), []).append(whole)
    at = 0
    while at < len(sequence):
        run = ""
        for end in range(at, min(at + _LONGEST_CUT, len(sequence))):
            run += spell(sequence[end])
            candidates = [whole for whole in spelled.get(run, ()) if wholes[whole] > 0]
            pieces = Counter(sequence[at : end + 1])
            lacking = [piece for piece in pieces if spell(piece)]
            if candidates and lacking and all(parts[piece] >= pieces[piece] for piece in lacking):
                parts.subtract(pieces)
                wholes[candidates[0]] -= 1
                at = end
                break
        at += 1
    for counter in (parts, wholes):
        for token in [token for token, count in counter.items() if count <= 0]:
            del counter[token]


def _letters(token: str) -> str:
    return re.sub(r"[^\w]|_", "", token)


def _letters_and_powers(token: str) -> str:
    """Return what a token spells; digits of a visible power must not join its base."""
    return re.sub(r"[^\w^]|_", "", token)
