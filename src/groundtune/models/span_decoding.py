"""Decode per-word tag scores into spans, and spans into a JSON object. Pure numpy; guesses no value.

Field i is tagged 2i + 1 where a value begins and 2i + 2 where it continues; 0 is outside. A value is the text between
two characters, parsed as the schema requires.
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
"""Keys from the outermost in; ANY_ITEM stands for every item of a list."""
ANY_ITEM = "[]"
Kind = Literal["string", "integer", "number"]
NUMBER = re.compile(r"(?:(?<!\w)[-+])?(?:\d{1,3}(?:[' \u00a0\u202f]\d{3})+(?!\d)(?:[.,]\d+)?|\d+(?:[.,]\d+)*)")
_HALVES = re.compile("[\ud800-\udfff]")
NUMBER_WORDS = {
    word: value
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty".split()
    )
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100}
"""English number words with their values."""
MIN_SIMILARITY = 0.6
"""Minimum similarity (0 to 1) between a text and an allowed value for the text to count as that value."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field whose values are copied out of the text, character by character."""

    path: Path
    kind: Kind = "string"
    allowed: tuple[str, ...] = ()
    """Values of the enum; empty when any text is allowed."""
    single: bool = False
    """Whether a list with a single item is written as the item alone."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A field classified from the whole text: one of a few values, None for absent."""

    path: Path
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """The fields and choices that make up an object."""

    fields: tuple[Field, ...]
    choices: tuple[Choice, ...]
    frame: Mapping[str, Any]
    """The object when nothing was extracted: null, [] and the objects that the schema requires."""
    unit: Literal["word", "piece"] = "word"
    """The unit that carries a tag: a word (through its first piece), or every piece."""
    comma: bool = False
    """Whether decimals are written with a comma, as in 1.234,5."""

    @property
    def tags(self) -> int:
        return 1 + 2 * len(self.fields)


class Unit(NamedTuple):
    """A word or piece: the index of its first token, and its characters."""

    token: int
    start: int
    end: int


class Span(NamedTuple):
    """A value in the text."""

    field: int
    start: int
    end: int
    score: float = 0.0
    """Mean log-probability of its tags."""


def layout_from_json(values: Mapping[str, Any]) -> Layout:
    """Rebuild a layout from the JSON that `layout_to_json` produced."""
    fields = [
        Field(tuple(field["path"]), field["kind"], tuple(field["allowed"]), field["single"])
        for field in values["fields"]
    ]
    choices = [Choice(tuple(choice["path"]), tuple(choice["values"])) for choice in values["choices"]]
    return Layout(tuple(fields), tuple(choices), values["frame"], values["unit"], values["comma"])


def layout_to_json(layout: Layout) -> dict[str, Any]:
    return asdict(layout)


def replace_surrogates(text: str) -> str:
    """Replace lone surrogates, which no tokenizer accepts. The length stays the same."""
    return _HALVES.sub("\ufffd", text)


def group_tokens(
    offsets: Sequence[tuple[int, int]], words: Sequence[int | None], *, text: str, by: Literal["word", "piece"]
) -> list[Unit]:
    """Group tokens into words or pieces.

    offsets, words: one entry per token, as a tokenizer returns them; special tokens have no word and no characters.
    """
    grouped: list[Unit] = []
    last_word: int | None = None
    for token, ((start, end), word) in enumerate(zip(offsets, words, strict=True)):
        while start < end and text[start].isspace():
            start += 1
        if word is None or start >= end:
            continue
        if by == "word" and word == last_word and grouped:
            grouped[-1] = grouped[-1]._replace(end=end)
        else:
            grouped.append(Unit(token, start, end))
        last_word = word
    return grouped


def encode_tags(spans: Sequence[Span], where: Sequence[Unit]) -> list[int]:
    """Return a tag for each unit; a unit belongs to a span when they share a character."""
    tags = [0] * len(where)
    for span in spans:
        inside = [place for place, unit in enumerate(where) if unit.start < span.end and unit.end > span.start]
        for number, place in enumerate(inside):
            tags[place] = 2 * span.field + (2 if number else 1)
    return tags


def log_softmax(scores: Floats) -> Floats:
    shifted = scores - scores.max(axis=-1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def viterbi(scores: Floats) -> list[int]:
    """Return the most likely tag sequence in which no value continues that did not begin (Viterbi 1967).

    scores: log-probabilities, (units, tags). The transitions are so regular that a step takes time linear in the number
    of tags.
    """
    if not len(scores):
        return []
    size = scores.shape[1]
    begins, continues = np.arange(1, size, 2), np.arange(2, size, 2)
    total = scores[0].copy()
    total[continues] = -np.inf
    back = np.zeros(scores.shape, dtype=np.int64)
    for place in range(1, len(scores)):
        back[place] = total.argmax()
        best_previous = np.where(total[begins] >= total[continues], begins, continues)
        back[place, continues] = best_previous
        total = total[back[place]] + scores[place]
    path = [int(total.argmax())]
    for place in range(len(scores) - 1, 0, -1):
        path.append(int(back[place, path[-1]]))
    return path[::-1]


def decode_spans(tags: Sequence[int], where: Sequence[Unit], scores: Floats | None = None) -> list[Span]:
    """Return the spans that the tags mark. scores: log-probabilities of the tags, to give each span a score."""
    runs: list[tuple[int, int, int]] = []
    for place, tag in enumerate(tags):
        if tag and tag % 2:
            runs.append((tag // 2, place, place))
        elif tag and runs and runs[-1][0] == tag // 2 - 1 and runs[-1][2] == place - 1:
            runs[-1] = (runs[-1][0], runs[-1][1], place)
    spans = []
    for field, first, last in runs:
        score = 0.0
        if scores is not None:
            score = float(np.mean([scores[place, tags[place]] for place in range(first, last + 1)]))
        spans.append(Span(field, where[first].start, where[last].end, score))
    return spans


class DecodedObject(NamedTuple):
    """A model's output for one text."""

    output: dict[str, Any] | None
    """None when there is nothing to extract."""
    spans: list[Span]
    score: float
    """Log-probability that the whole output is correct, tags and choices taken as independent."""


def decode(
    layout: Layout, text: str, where: Sequence[Unit], scores: Floats, choices: Sequence[Floats]
) -> DecodedObject:
    """Decode a model's scores into an object. Both inputs are logits.

    scores: (units, tags). choices: one array per choice, (values,).
    """
    log_probabilities = log_softmax(scores) if len(scores) else scores
    tags = viterbi(log_probabilities)
    spans = decode_spans(tags, where, log_probabilities)
    score = float(sum(log_probabilities[place, tag] for place, tag in enumerate(tags)))
    values = []
    for choice, logits in zip(layout.choices, choices, strict=True):
        choice_log_probabilities = log_softmax(logits)
        best = int(choice_log_probabilities.argmax())
        values.append(choice.values[best])
        score += float(choice_log_probabilities[best])
    return DecodedObject(build_object(layout, text, spans, values), spans, score)


def build_object(layout: Layout, text: str, spans: Sequence[Span], choices: Sequence[Any]) -> dict[str, Any] | None:
    """Build the object; None when nothing was extracted. Of several values for one place, the most confident wins."""
    values: list[tuple[Path, Any, Span]] = []
    for span in sorted(spans, key=lambda item: item.start):
        field = layout.fields[span.field]
        value = parse_value(text[span.start : span.end], field, comma=layout.comma)
        if value is not None:
            values.append((field.path, value, span))
    chosen = [(choice.path, value) for choice, value in zip(layout.choices, choices, strict=True) if value is not None]
    if not values and not chosen:
        return None
    result: dict[str, Any] = _copy(layout.frame)
    best_score: dict[Path, float] = {}
    for path, value, span in values:
        if ANY_ITEM not in path:
            if span.score <= best_score.get(path, -np.inf):
                continue
            best_score[path] = span.score
        _put(result, path, value)
    for path in {field.path[:-1] for field in layout.fields if field.single}:
        _unwrap(result, path)
    for path, value in chosen:
        _put(result, path, _copy(value))
    return result


def parse_value(text: str, field: Field, *, comma: bool = False) -> Any:
    """Parse a piece of text as a value of the field; None when it is not of the field's kind."""
    if field.kind == "string":
        return closest_allowed(text, field.allowed) if field.allowed else text
    match = NUMBER.search(text)
    value = parse_number(match.group(), comma=comma) if match else NUMBER_WORDS.get(text.strip().casefold())
    if value is None:
        return None
    if field.kind == "integer":
        return int(value) if float(value).is_integer() else None
    return value


def parse_number(text: str, *, comma: bool = False) -> float | int | None:
    """Parse `1,234.5`, or with comma `1.234,5`; None when the text is not a number in that notation."""
    point, thousands = (",", ".") if comma else (".", ",")
    plain = re.sub(r"[' \u00a0\u202f]", "", text)
    digits = plain.lstrip("+-")
    integer, _, rest = digits.partition(point)
    groups = integer.split(thousands)
    if (
        not all(map(str.isdigit, groups))
        or any(len(group) != 3 for group in groups[1:])
        or (rest and not rest.isdigit())
    ):
        return None
    sign = -1 if plain.startswith("-") else 1
    joined = "".join(groups)
    return sign * (float(f"{joined}.{rest}") if rest else int(joined))


def closest_allowed(text: str, allowed: Sequence[str]) -> str | None:
    """Return the allowed value most similar to the text; None when none is similar enough."""
    needle = text.casefold().strip()
    ratios = [(difflib.SequenceMatcher(None, needle, value.casefold()).ratio(), value) for value in allowed]
    best = max(ratios, key=lambda pair: pair[0], default=(0.0, ""))
    return best[1] if best[0] >= MIN_SIMILARITY else None


def iter_leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every string, number and boolean of a value with its path, in order; null counts as absent."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from iter_leaves(inner, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from iter_leaves(inner, (*path, ANY_ITEM))
    elif value is not None:
        yield path, value


def path_name(path: Path) -> str:
    """Return the path as text, such as `items[].price`."""
    return ".".join(path).replace(f".{ANY_ITEM}", ANY_ITEM)


def _put(target: dict[str, Any], path: Path, value: Any) -> None:
    """Set a value in place; a list gets a new item when its last one already has the key."""
    node: Any = target
    for number, key in enumerate(path[:-1]):
        if key == ANY_ITEM:
            inner = path[number + 1]
            if not node or not isinstance(node[-1], dict) or inner in node[-1]:
                node.append({})
            node = node[-1]
            continue
        container = list if path[number + 1] == ANY_ITEM else dict
        if not isinstance(node.get(key), container):
            node[key] = container()
        node = node[key]
    if path[-1] == ANY_ITEM:
        node.append(value)
    else:
        node[path[-1]] = value


def _unwrap(target: dict[str, Any], path: Path) -> None:
    node: Any = target
    for key in path[:-1]:
        node = node.get(key, {})
    if isinstance(items := node.get(path[-1]), list) and len(items) == 1:
        node[path[-1]] = items[0]


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list | tuple) else value
