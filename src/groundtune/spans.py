"""Scores of the words of a text to spans, and spans to a JSON object. Pure numpy; trains nothing, guesses no value.

A field is tagged 2i + 1 where a value begins and 2i + 2 where it goes on; 0 is outside. Values are what the text says
between two characters, read as the schema wants them.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Path = tuple[str, ...]
"""Keys from the outside in; EACH stands for every item of a list."""
EACH = "[]"
Kind = Literal["string", "integer", "number"]
NUMBER = re.compile(r"(?:(?<!\w)[-+])?(?:\d{1,3}(?:[' \u00a0\u202f]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)*)")
_HALVES = re.compile("[\ud800-\udfff]")
WORDS = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty".split()
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100}
"""English words that stand for a number."""
ALIKE = 0.6
"""How alike a text and an allowed value must be for the one to stand for the other."""


@dataclass(frozen=True, slots=True)
class Field:
    """What is taken out of the text, character by character."""

    path: Path
    kind: Kind = "string"
    allowed: tuple[str, ...] = ()
    """Values of an enum; empty where any will do."""
    single: bool = False
    """Whether the only item of its list stands without the list."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the text as a whole says: one of a few values, None for absent."""

    path: Path
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """What an object is made of."""

    fields: tuple[Field, ...]
    choices: tuple[Choice, ...]
    frame: Mapping[str, Any]
    """What the object is where nothing was found: null, [] and objects that the schema requires."""
    unit: Literal["word", "piece"] = "word"
    """What carries a tag: words by their first piece, or every piece."""
    comma: bool = False
    """Whether decimals stand after a comma, as in 1.234,5."""

    @property
    def tags(self) -> int:
        return 1 + 2 * len(self.fields)


class Unit(NamedTuple):
    """A word or piece: the token that speaks for it, and its characters."""

    token: int
    start: int
    end: int


class Span(NamedTuple):
    """A value in the text."""

    field: int
    start: int
    end: int
    score: float = 0.0
    """Mean logarithm of the probability of its tags."""


def layout_of(values: Mapping[str, Any]) -> Layout:
    """Out of JSON, as `asdict` put it there."""
    fields = [Field(tuple(one["path"]), one["kind"], tuple(one["allowed"]), one["single"]) for one in values["fields"]]
    choices = [Choice(tuple(one["path"]), tuple(one["values"])) for one in values["choices"]]
    return Layout(tuple(fields), tuple(choices), values["frame"], values["unit"], values["comma"])


def as_json(layout: Layout) -> dict[str, Any]:
    return asdict(layout)


def whole(text: str) -> str:
    """As long as before, without halves of surrogate pairs: no tokenizer takes them."""
    return _HALVES.sub("\ufffd", text)


def units(
    offsets: Sequence[tuple[int, int]], words: Sequence[int | None], *, text: str, by: Literal["word", "piece"]
) -> list[Unit]:
    """offsets, words: of each token, as a tokenizer gives them; special tokens have no word and no characters."""
    found: list[Unit] = []
    before: int | None = None
    for token, ((start, end), word) in enumerate(zip(offsets, words, strict=True)):
        while start < end and text[start].isspace():
            start += 1
        if word is None or start >= end:
            continue
        if by == "word" and word == before and found:
            found[-1] = found[-1]._replace(end=end)
        else:
            found.append(Unit(token, start, end))
        before = word
    return found


def tags_of(spans: Sequence[Span], where: Sequence[Unit]) -> list[int]:
    """A tag for each unit; a unit belongs to a span when they share a character."""
    tags = [0] * len(where)
    for span in spans:
        inside = [place for place, unit in enumerate(where) if unit.start < span.end and unit.end > span.start]
        for number, place in enumerate(inside):
            tags[place] = 2 * span.field + (2 if number else 1)
    return tags


def log_softmax(scores: Floats) -> Floats:
    shifted = scores - scores.max(axis=-1, keepdims=True)
    found: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found


def best_tags(scores: Floats) -> list[int]:
    """scores: log-probabilities, (units, tags). The likeliest row of tags in which nothing goes on that did not begin.

    Viterbi 1967; what may follow what is so regular that a step takes as long as there are tags.
    """
    if not len(scores):
        return []
    size = scores.shape[1]
    begins, goes_on = np.arange(1, size, 2), np.arange(2, size, 2)
    total = scores[0].copy()
    total[goes_on] = -np.inf
    back = np.zeros(scores.shape, dtype=np.int64)
    for place in range(1, len(scores)):
        back[place] = total.argmax()
        own = np.where(total[begins] >= total[goes_on], begins, goes_on)
        back[place, goes_on] = own
        total = total[back[place]] + scores[place]
    path = [int(total.argmax())]
    for place in range(len(scores) - 1, 0, -1):
        path.append(int(back[place, path[-1]]))
    return path[::-1]


def spans_of(tags: Sequence[int], where: Sequence[Unit], scores: Floats | None = None) -> list[Span]:
    """scores: log-probabilities of the tags, to say how sure each span is."""
    found: list[tuple[int, int, int]] = []
    for place, tag in enumerate(tags):
        if tag and tag % 2:
            found.append((tag // 2, place, place))
        elif tag and found and found[-1][0] == tag // 2 - 1 and found[-1][2] == place - 1:
            found[-1] = (found[-1][0], found[-1][1], place)
    spans = []
    for field, first, last in found:
        sure = 0.0
        if scores is not None:
            sure = float(np.mean([scores[place, tags[place]] for place in range(first, last + 1)]))
        spans.append(Span(field, where[first].start, where[last].end, sure))
    return spans


class Said(NamedTuple):
    """What a model says of a text."""

    output: dict[str, Any] | None
    """None when there is nothing to take out of it."""
    spans: list[Span]
    score: float
    """Logarithm of the probability that all of it is so, tags and choices taken as independent."""


def say(layout: Layout, text: str, where: Sequence[Unit], scores: Floats, choices: Sequence[Floats]) -> Said:
    """scores: of the units, (units, tags); choices: of each choice, (values,). Both before any softmax."""
    known = log_softmax(scores) if len(scores) else scores
    tags = best_tags(known)
    spans = spans_of(tags, where, known)
    score = float(sum(known[place, tag] for place, tag in enumerate(tags)))
    values = []
    for choice, row in zip(layout.choices, choices, strict=True):
        chances = log_softmax(row)
        best = int(chances.argmax())
        values.append(choice.values[best])
        score += float(chances[best])
    return Said(assemble(layout, text, spans, values), spans, score)


def assemble(layout: Layout, text: str, spans: Sequence[Span], choices: Sequence[Any]) -> dict[str, Any] | None:
    """None when nothing was found. Of several values for one place the surest counts."""
    values: list[tuple[Path, Any, Span]] = []
    for span in sorted(spans, key=lambda one: one.start):
        field = layout.fields[span.field]
        value = read(text[span.start : span.end], field, comma=layout.comma)
        if value is not None:
            values.append((field.path, value, span))
    chosen = [(choice.path, value) for choice, value in zip(layout.choices, choices, strict=True) if value is not None]
    if not values and not chosen:
        return None
    made: dict[str, Any] = _copy(layout.frame)
    surest: dict[Path, float] = {}
    for path, value, span in values:
        if EACH not in path:
            if span.score <= surest.get(path, -np.inf):
                continue
            surest[path] = span.score
        _put(made, path, value)
    for path in {field.path[:-1] for field in layout.fields if field.single}:
        _unwrap(made, path)
    for path, value in chosen:
        _put(made, path, _copy(value))
    return made


def read(said: str, field: Field, *, comma: bool = False) -> Any:
    """The value that a piece of text stands for; None when it stands for none of the field's kind."""
    if field.kind == "string":
        return nearest(said, field.allowed) if field.allowed else said
    found = NUMBER.search(said)
    value = number(found.group(), comma=comma) if found else WORDS.get(said.strip().casefold())
    if value is None:
        return None
    if field.kind == "integer":
        return int(value) if float(value).is_integer() else None
    return value


def number(said: str, *, comma: bool = False) -> float | int | None:
    """`1,234.5`, or with comma `1.234,5`; None when it is no number that way."""
    point, thousands = (",", ".") if comma else (".", ",")
    plain = re.sub(r"[' \u00a0\u202f]", "", said)
    digits = plain.lstrip("+-")
    whole, _, rest = digits.partition(point)
    groups = whole.split(thousands)
    if not all(map(str.isdigit, groups)) or any(len(one) != 3 for one in groups[1:]) or (rest and not rest.isdigit()):
        return None
    sign = -1 if plain.startswith("-") else 1
    joined = "".join(groups)
    return sign * (float(f"{joined}.{rest}") if rest else int(joined))


def nearest(said: str, allowed: Sequence[str]) -> str | None:
    """The allowed value that is most like the text; None when none is."""
    wanted = said.casefold().strip()
    alike = [(difflib.SequenceMatcher(None, wanted, one.casefold()).ratio(), one) for one in allowed]
    best = max(alike, key=lambda one: one[0], default=(0.0, ""))
    return best[1] if best[0] >= ALIKE else None


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every string, number and boolean of a value with its path, in order; null is the same as absent."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from leaves(inner, (*path, EACH))
    elif value is not None:
        yield path, value


def name(path: Path) -> str:
    """`items[].price`."""
    return ".".join(path).replace(f".{EACH}", EACH)


def _put(made: dict[str, Any], path: Path, value: Any) -> None:
    """An item of a list is new where the last one has this key already."""
    here: Any = made
    for number, key in enumerate(path[:-1]):
        if key == EACH:
            inner = path[number + 1]
            if not here or not isinstance(here[-1], dict) or inner in here[-1]:
                here.append({})
            here = here[-1]
            continue
        wanted = list if path[number + 1] == EACH else dict
        if not isinstance(here.get(key), wanted):
            here[key] = wanted()
        here = here[key]
    if path[-1] == EACH:
        here.append(value)
    else:
        here[path[-1]] = value


def _unwrap(made: dict[str, Any], path: Path) -> None:
    here: Any = made
    for key in path[:-1]:
        here = here.get(key, {})
    if isinstance(items := here.get(path[-1]), list) and len(items) == 1:
        here[path[-1]] = items[0]


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list | tuple) else value
