"""Look up words and phrases of a language in a text. A pattern is a phrase whose words may end or begin with `*`."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from groundtune.languages.tokens import Token, Writing, fold, lower

GAP = 4
"""Most words that `…` stands for."""


@dataclass(frozen=True, slots=True)
class Found:
    """An entry found in a text: the indexes of its tokens, and its values in the order of the file."""

    tokens: tuple[int, ...]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    parts: tuple[str, ...]
    value: str

    @property
    def rank(self) -> tuple[int, int, int]:
        """Longer entries come first, then those without a wildcard, then those with more letters."""
        words = [part for part in self.parts if part != "…"]
        return len(words), -sum("*" in word for word in words), sum(map(len, words))

    @property
    def is_ending(self) -> bool:
        return self.parts[0].startswith("*")


@dataclass(frozen=True, slots=True, eq=False)
class Lexicon:
    """Entries of a language file, by their first word."""

    writing: Writing
    exact: dict[str, list[_Entry]] = field(default_factory=dict)
    plain: dict[str, list[_Entry]] = field(default_factory=dict)
    """The same entries by their first word without accents."""
    wild: list[_Entry] = field(default_factory=list)
    """Entries with a wildcard in their first word."""
    heads: tuple[str, ...] = ()
    """What stands before the wildcards, with and without accents."""
    tails: tuple[str, ...] = ()
    """What stands behind the wildcards of entries that begin with one."""

    @classmethod
    def build(cls, entries: Iterable[tuple[str, str]], writing: Writing) -> "Lexicon":
        """entries: pattern and value."""
        lexicon = cls(writing)
        for pattern, value in entries:
            entry = _Entry(_parts(pattern, writing), value)
            first = entry.parts[0]
            if "*" in first:
                lexicon.wild.append(entry)
            else:
                lexicon.exact.setdefault(first, []).append(entry)
                if first not in writing.accents_matter and fold(first) != first:
                    lexicon.plain.setdefault(fold(first), []).append(entry)
        cuts = [word.partition("*") for entry in lexicon.wild for word in {entry.parts[0], fold(entry.parts[0])}]
        heads = tuple({head for head, _, _ in cuts if head})
        tails = tuple({tail.rpartition("*")[2] for head, _, tail in cuts if not head})
        return replace(lexicon, heads=heads, tails=tails)

    def find(self, tokens: Sequence[Token], breaks: frozenset[int] = frozenset()) -> Iterator[Found]:
        """Yield what the text contains, the longest entry first; each token is part of one entry.

        breaks: indexes of tokens that begin a clause; no entry reaches over them.
        """
        used: set[int] = set()
        for start in range(len(tokens)):
            if start not in used and (found := self.at(tokens, start, breaks, used)):
                used.update(found.tokens)
                yield found

    def at(
        self, tokens: Sequence[Token], start: int, breaks: frozenset[int] = frozenset(), used: Iterable[int] = ()
    ) -> Found | None:
        """Return the longest entry that begins at this token, None if there is none.

        A stem and an ending of one word do not compete: Turkish yükselmedi is "rose" and "not".
        """
        begun = _beginning(self, tokens[start].forms)
        matches = [
            (places, each) for each in begun if (places := self._places(each.parts, tokens, start, breaks, used))
        ]
        if not matches:
            return None
        if len(matches) == 1:  # most words that are found at all; ranks take long
            [(places, only)] = matches
            return Found(places, (only.value,))
        found = [(entry.rank, places, entry) for places, entry in matches]
        rank, places, top = max(found, key=lambda match: match[:2])
        values = [entry.value for other, _, entry in found if other == rank]
        if "*" in top.parts[0] and len(places) == 1:
            rest = [match for match in found if match[2].is_ending is not top.is_ending]
            longest = max((match[0] for match in rest), default=None)
            values += [entry.value for other, _, entry in rest if other == longest and len(entry.parts) == 1]
        return Found(places, tuple(dict.fromkeys(values)))

    def single_words(self) -> Iterator[str]:
        """Yield the entries that are one word without a wildcard."""
        yield from (word for word, entries in self.exact.items() if any(len(entry.parts) == 1 for entry in entries))

    def values(self, token: Token) -> tuple[str, ...]:
        """Return the values of a single word."""
        found = self.at((token,), 0)
        return found.values if found else ()

    def _places(
        self, parts: Sequence[str], tokens: Sequence[Token], start: int, breaks: frozenset[int], used: Iterable[int]
    ) -> tuple[int, ...]:
        places = [start]
        gap = False
        for part in parts[1:]:
            if part == "…":
                gap = True
                continue
            first = places[-1] + 1
            for place in range(first, min(len(tokens), first + (GAP if gap else 0) + 1)):
                if place in breaks:
                    return ()
                if place not in used and self._same(part, tokens[place]):
                    places.append(place)
                    break
            else:
                return ()
            gap = False
        return tuple(places)

    def _same(self, part: str, token: Token) -> bool:
        if "*" in part:
            return not token.number and any(_fits(part, form) for form in token.forms)
        loose = part not in self.writing.accents_matter
        return any(form == part or (loose and form == fold(form) == fold(part)) for form in token.forms)


@lru_cache(maxsize=100_000)
def _beginning(lexicon: Lexicon, forms: tuple[str, ...]) -> tuple[_Entry, ...]:
    """Return the entries that begin with a word, by its forms."""
    found: list[_Entry] = []
    for form in forms:
        found += lexicon.exact.get(form, ())
        if form == fold(form):
            found += lexicon.plain.get(form, ())
    is_number = forms[0][:1].isdigit()
    if not is_number and any(form.startswith(lexicon.heads) or form.endswith(lexicon.tails) for form in forms):
        found += (entry for entry in lexicon.wild if any(_fits(entry.parts[0], form) for form in forms))
    return tuple(found)


def _parts(pattern: str, writing: Writing) -> tuple[str, ...]:
    return tuple(lower(part, writing.letters) for part in pattern.replace("…", " … ").replace("-", " ").split())


def _fits(part: str, form: str) -> bool:
    """Whether a word matches a pattern with wildcards; one without accents also matches a pattern with them."""
    return _matches(part, form) or (form == fold(form) and fold(part) != part and _matches(fold(part), form))


def _matches(part: str, form: str) -> bool:
    head, *middle, tail = part.split("*")
    if not (form.startswith(head) and form.endswith(tail)):
        return False
    position, end = len(head), len(form) - len(tail)
    for piece in middle:
        found = form.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return position <= end
