"""Read a text into what can be compared: words, names, quantities and critical words, clause by clause."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import regex

from groundtune.languages.changes import change_marks
from groundtune.languages.language import load
from groundtune.languages.quantities import Quantity, quantities
from groundtune.languages.senses import Sense, senses
from groundtune.languages.text import sentences, stem
from groundtune.languages.tokens import Token, Writing, fold, tokenize

_CLAUSE = regex.compile(r"[,;:()—–](?=\s)|\s[—–-]\s")
_OPENS = regex.compile(r"(?:^|[.!?:;])\s*[\"'“”‘’„»«(*-]*\s*$")


@dataclass(frozen=True, slots=True)
class Element:
    """A word or a quantity of a text, by position."""

    kind: Literal["function", "word", "name", "quantity"]
    start: int
    end: int
    word: str
    """In lower case; for a quantity its text."""
    stem: str
    """The same for every form of the word, every word of a sense, and every way of writing the quantity."""
    clause: int
    quantity: Quantity | None = None
    change: frozenset[str] = frozenset()
    """Which of by, from and to a quantity may be of a change, as its words say."""
    join: bool = False
    """Whether it joins the items of a list: and, or."""

    @property
    def content(self) -> bool:
        return self.kind != "function"


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as the data of its language read it."""

    elements: tuple[Element, ...]
    quantities: tuple[Quantity, ...]
    senses: tuple[Sense, ...]

    @property
    def names(self) -> tuple[Element, ...]:
        """Return capitalised words within a sentence, and acronyms and codes anywhere."""
        return tuple(element for element in self.elements if element.kind == "name")

    def clause_at(self, position: int) -> int:
        """Return the clause of the element at or after a position."""
        clauses = [element.clause for element in self.elements if element.end > position]
        return clauses[0] if clauses else self.elements[-1].clause if self.elements else 0


@lru_cache(maxsize=4096)
def read(text: str, language: str = "english") -> Reading:
    """Return the reading of a text. A language without data is read like English, without critical words."""
    data = load(language)
    writing = data.writing if data else Writing()
    stop_words = data.stop_words if data else frozenset()
    clause_words = data.clause_words if data else frozenset()
    amounts, critical = quantities(text, language), senses(text, language)
    counted = [q for q in amounts if not q.article]
    tokens = tokenize(text, writing)
    breaks = sorted({end for _, end in sentences(text, language=language)} | {m.end() for m in _CLAUSE.finditer(text)})
    elements: list[Element] = []
    clause, passed = 0, 0
    for index, token in enumerate(tokens):
        ended = bisect_right(breaks, token.start)
        if ended > passed or token.word in clause_words:
            clause += 1
        passed = ended
        quantity = (
            next((q for q in counted if q.start <= token.start and token.end <= q.end), None) if counted else None
        )
        if quantity is not None:
            if not elements or elements[-1].quantity is not quantity:
                shown = text[quantity.start : quantity.end].lower()
                key = " ".join([*sorted(map(str, quantity.readings)), quantity.unit or ""])
                last = max(i for i in range(index, len(tokens)) if tokens[i].start < quantity.end)
                change = change_marks(text, tokens, index, last, data) if data else frozenset()
                elements.append(Element("quantity", quantity.start, quantity.end, shown, key, clause, quantity, change))
            continue
        kind: Literal["function", "word", "name"] = (
            "name" if _is_name(text, tokens, index, writing.nouns_capitalised) else "word"
        )
        if fold(token.text) in stop_words or fold(token.word) in stop_words:
            kind = "function"
        meant = {sense.name for sense in critical if sense.start <= token.start < sense.end} if critical else set()
        key = " ".join(sorted(meant - {"not"})) or stem(token, language)
        join = data is not None and bool(data.joins.values(token))
        elements.append(Element(kind, token.start, token.end, token.word, key, clause, join=join))
    return Reading(tuple(elements), amounts, critical)


def _is_name(text: str, tokens: Sequence[Token], index: int, nouns_capitalised: bool) -> bool:
    """Whether it is a capitalised word within a sentence or before another one, an acronym or a code."""
    token = tokens[index]
    word = token.text
    if word.islower():  # most words
        return False
    if sum(char.isupper() for char in word) > 1 and not word[1:].islower():
        return True
    if not word[0].isupper():
        return False
    following = tokens[index + 1] if index + 1 < len(tokens) else None
    joined = (
        not nouns_capitalised
        and following is not None
        and following.text[0].isupper()
        and text[token.end : following.start] == " "
    )
    return joined or not _OPENS.search(text[: token.start])
