"""Locate the values of objects in their inputs. Trains nothing, never changes a value.

A value that occurs several times is placed where the surrounding words are most like those around the field's other
values. A field whose values are not in the input, but are few, is classified among them instead.
"""

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from groundtune.common.text import format_count
from groundtune.models.span_decoding import (
    ANY_ITEM,
    NUMBER,
    NUMBER_WORDS,
    Choice,
    Field,
    Kind,
    Layout,
    Path,
    Span,
    iter_leaves,
    parse_number,
    path_name,
)
from groundtune.tune.job import TuneError

MIN_LOCATED = 0.5
"""Share of a field's values that must occur in their inputs for the field to be marked there."""
MIN_LOCATED_LISTED = 0.9
"""The same for a field whose values are listed in the schema: those could be classified instead."""
MAX_CHOICES = 100
"""Maximum number of values that a field is classified among."""
MIN_ROWS_PER_VALUE = 2.0
"""Minimum number of rows per value, on average, for a field to be classified."""
_SPACES = re.compile(r"\s\s|[^\S ]")
MAX_REFERENCES = 8
"""Maximum number of schema references that are followed."""

Mapped = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Aligned:
    """Rows with their values as positions in the inputs."""

    layout: Layout
    spans: tuple[tuple[Span, ...], ...]
    """The spans of each row."""
    chosen: tuple[tuple[int, ...], ...]
    """For each row, the index of its value in each choice; -1 for a value that the train split does not have."""
    values: int
    """Number of values in all rows."""
    unaligned: Mapping[str, int]
    """Number of values by field that do not occur in their input."""


@dataclass(slots=True)
class ContextWords:
    """How often each word occurs beside a field's values, counted where a value has only one possible position."""

    counts: dict[int, Counter[tuple[int, str]]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, text: str, span: Span) -> None:
        self.counts[span.field].update(_around(text, span.start, span.end))

    def score(self, text: str, place: int, start: int, end: int) -> float:
        return sum(math.log1p(self.counts[place][word]) for word in _around(text, start, end))


def align(rows: Sequence[tuple[str, Any]], schema: Mapped | None) -> Aligned:
    """Align the train split. rows: pairs of input and output. Raises TuneError when most values cannot be learned."""
    layout = _layout(rows, schema)
    aligned = align_rows(rows, layout, count_context_words(rows, layout))
    lost = sum(aligned.unaligned.values())
    if not aligned.values:
        raise TuneError(
            "no example has a value to extract", hint="add examples whose output is an object with at least one value"
        )
    if 2 * lost > aligned.values:
        worst = ", ".join(f"{name} {count:,}" for name, count in Counter(aligned.unaligned).most_common(3))
        raise TuneError(
            f"{lost:,} of {format_count(aligned.values, 'value')} not found in their input as written ({worst})",
            hint="write the values as they appear in the input, or tune a causal model: "
            "an extractor can only copy values from the input",
        )
    return aligned


def count_context_words(rows: Sequence[tuple[str, Any]], layout: Layout) -> ContextWords:
    """Count the words beside the values, to choose a position for values that occur several times."""
    places = _places(layout)
    words = ContextWords()
    for text, output in rows:
        for span in _row(text, output, layout, places, None)[0]:
            words.add(text, span)
    return words


def align_rows(rows: Sequence[tuple[str, Any]], layout: Layout, words: ContextWords) -> Aligned:
    """Align rows to a given layout: the rows it was derived from, or held-out ones."""
    places = _places(layout)
    choices = [{_key(value): at for at, value in enumerate(choice.values)} for choice in layout.choices]
    spans, unaligned, total, chosen = [], Counter[str](), 0, []
    for text, output in rows:
        row_spans, missing = _row(text, output, layout, places, words)
        spans.append(tuple(row_spans))
        unaligned.update(missing)
        keys = [_key(_at(output, choice.path)) for choice in layout.choices]
        chosen.append(tuple(index.get(key, -1) for index, key in zip(choices, keys, strict=True)))
        total += sum(1 for _ in iter_leaves(output))
    return Aligned(layout, tuple(spans), tuple(chosen), total, dict(unaligned))


def _places(layout: Layout) -> dict[Path, int]:
    """Map each path to the index of its field, including the path of a single item written without its list."""
    places = {field_.path: place for place, field_ in enumerate(layout.fields)}
    return places | {field_.path[:-1]: place for place, field_ in enumerate(layout.fields) if field_.single}


def _row(
    text: str, output: Any, layout: Layout, places: Mapping[Path, int], words: ContextWords | None
) -> tuple[list[Span], list[str]]:
    """Return the spans of a row, and the fields of values without one. Without `words`, ambiguous values get no
    span.
    """
    taken: list[Span] = []
    missing: list[str] = []
    values = [(path, value, places.get(path)) for path, value in iter_leaves(output)]
    order = sorted(range(len(values)), key=lambda at: -len(str(values[at][1])))  # longest first; ties keep their order
    for path, value, place in (values[at] for at in order):
        if place is None:
            if not any(path[: len(choice.path)] == choice.path for choice in layout.choices):
                missing.append(path_name(path))
            continue
        free = [
            span
            for span in candidates(text, value, layout.fields[place].kind, comma=layout.comma)
            if not any(span[0] < other.end and span[1] > other.start for other in taken)
        ]
        if not free:
            missing.append(path_name(path))
        elif len(free) == 1:
            taken.append(Span(place, *free[0]))
        elif words is not None:
            best = max(free, key=lambda span: (words.score(text, place, *span), -span[0]))
            taken.append(Span(place, *best))
    return sorted(taken, key=lambda span: span.start), missing


def candidates(text: str, value: Any, kind: Kind, *, comma: bool = False) -> list[tuple[int, int]]:
    """Return where a value occurs, ignoring case and spacing; numbers match in any notation."""
    if isinstance(value, bool):
        return []
    if kind == "string" or isinstance(value, str):
        return [span for span in _texts(text, str(value).split()) if _whole(text, *span)]
    places = [match.span() for match in NUMBER.finditer(text) if parse_number(match.group(), comma=comma) == value]
    for match in re.finditer(r"[^\W\d_]+", text):
        if NUMBER_WORDS.get(match.group().casefold()) == value:
            places.append(match.span())
    return sorted(places)


def _texts(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Return every occurrence, overlapping ones included."""
    if not words:
        return []
    lowered, needle = text.lower(), " ".join(words).lower()
    if len(lowered) == len(text) and not _SPACES.search(text):  # the usual case, and much faster
        spans, at = [], lowered.find(needle)
        while at >= 0:
            spans.append((at, at + len(needle)))
            at = lowered.find(needle, at + 1)
        return spans
    pattern = r"\s+".join(map(re.escape, words))
    return [match.span(1) for match in re.finditer(f"(?=({pattern}))", text, re.IGNORECASE)]


def _whole(text: str, start: int, end: int) -> bool:
    """Whether the span is not part of a longer word or number."""
    return not (_joined(text, start) or _joined(text, end))


def _joined(text: str, at: int) -> bool:
    if at <= 0 or at >= len(text):
        return False
    left, right = text[at - 1], text[at]
    return (left.isalpha() and right.isalpha()) or (left.isdigit() and right.isdigit())


def _around(text: str, start: int, end: int) -> tuple[tuple[int, str], ...]:
    """Return the two words before and the one after, each with its side."""
    before = re.findall(r"\w+|[^\w\s]", text[max(0, start - 60) : start].casefold())
    after = re.findall(r"\w+|[^\w\s]", text[end : end + 60].casefold())
    return ((0, before[-1] if before else ""), (1, " ".join(before[-2:])), (2, after[0] if after else ""))


def _layout(rows: Sequence[tuple[str, Any]], schema: Mapped | None) -> Layout:
    values_by_path: dict[Path, list[tuple[str, Any]]] = {}
    for text, output in rows:
        for path, value in iter_leaves(output):
            values_by_path.setdefault(path, []).append((text, value))
    mixed = {path for path in values_by_path if (*path, ANY_ITEM) in values_by_path}
    for path in mixed:
        values_by_path[(*path, ANY_ITEM)] += values_by_path.pop(path)
    comma = _decimal_comma(values_by_path)
    fields: list[Field] = []
    not_in_text: dict[Path, None] = {}
    for path, pairs in values_by_path.items():
        field_ = _field(path, [value for _, value in pairs], schema)
        if field_ is not None and _stands(pairs, field_, comma=comma):
            fields.append(replace(field_, single=path[:-1] in mixed and path[-1] == ANY_ITEM))
        else:
            not_in_text[_outside(path)] = None
    inside = {_outside(field_.path) for field_ in fields if ANY_ITEM in field_.path}
    choices = [choice for path in not_in_text if path not in inside and (choice := _choice(path, rows))]
    return Layout(tuple(fields), tuple(choices), empty_object(schema), comma=comma)


def _field(path: Path, values: Sequence[Any], schema: Mapped | None) -> Field | None:
    """Return the field; None for values that cannot be assembled: nested lists, or objects nested in a list's
    objects.
    """
    if (ANY_ITEM in path and len(path) - path.index(ANY_ITEM) > 2) or any(isinstance(value, bool) for value in values):
        return None
    subschema = _schema_at(schema, path)
    allowed = tuple(value for value in subschema.get("enum", ()) if isinstance(value, str))
    kinds = _kinds(subschema)
    if all(isinstance(value, int | float) for value in values):
        integral = "number" not in kinds and all(isinstance(value, int) for value in values)
        return Field(path, "integer" if integral else "number")
    return None if any(not isinstance(value, str) for value in values) else Field(path, "string", allowed)


def _stands(pairs: Sequence[tuple[str, Any]], field_: Field, *, comma: bool) -> bool:
    """Whether enough of a field's values occur in their inputs."""
    located = sum(bool(candidates(text, value, field_.kind, comma=comma)) for text, value in pairs)
    return located >= (MIN_LOCATED_LISTED if field_.allowed else MIN_LOCATED) * len(pairs)


def _choice(path: Path, rows: Sequence[tuple[str, Any]]) -> Choice | None:
    """Return the choice; None when there are too many values, or too few rows per value."""
    counts: Counter[str] = Counter(_key(_at(output, path)) for _, output in rows)
    known = {key: count for key, count in counts.items() if key != _key(None)}
    if len(known) > MAX_CHOICES or sum(known.values()) < MIN_ROWS_PER_VALUE * len(known):
        return None
    return Choice(path, tuple(json.loads(key) for key in sorted(counts)))


def _outside(path: Path) -> Path:
    """Return the path up to the list that contains it, or the path itself outside lists."""
    return path[: path.index(ANY_ITEM)] if ANY_ITEM in path else path


def _at(output: Any, path: Path) -> Any:
    for key in path:
        output = output.get(key) if isinstance(output, Mapping) else None
    return None if output == [] else output


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _decimal_comma(values_by_path: Mapping[Path, Sequence[tuple[str, Any]]]) -> bool:
    """Whether more numbers are located when decimals are written with a comma."""
    numbers = [
        (text, value) for pairs in values_by_path.values() for text, value in pairs if isinstance(value, int | float)
    ]
    counts = [
        sum(bool(candidates(text, value, "number", comma=comma)) for text, value in numbers) for comma in (False, True)
    ]
    return counts[1] > counts[0]


def empty_object(schema: Mapped | None) -> dict[str, Any]:
    """Return what the schema requires of an object in which nothing was extracted."""
    required_values: dict[str, Any] = {}
    resolved = _plain(schema or {}, schema or {})
    for key, inner in resolved.get("properties", {}).items():
        subschema = _plain(inner, schema or {})
        kinds = _kinds(subschema)
        if key not in resolved.get("required", ()):
            continue
        if "null" in kinds or None in subschema.get("enum", ()) or subschema.get("nullable"):
            required_values[key] = None
        elif "array" in kinds:
            required_values[key] = []
        elif "object" in kinds:
            required_values[key] = empty_object({**subschema, "$defs": (schema or {}).get("$defs", {})})
    return required_values


def _schema_at(schema: Mapped | None, path: Path) -> Mapped:
    """Return the schema at a path; {} when the schema does not describe it."""
    here = _plain(schema or {}, schema or {})
    for key in path:
        inner = here.get("items", {}) if key == ANY_ITEM else here.get("properties", {}).get(key, {})
        here = _plain(inner if isinstance(inner, Mapping) else {}, schema or {})
    return here


def _plain(schema: Mapped, root: Mapped) -> Mapped:
    """Resolve references within the file; of alternatives with null, keep the other one and mark it nullable."""
    for _ in range(MAX_REFERENCES):
        if isinstance(target := schema.get("$ref"), str) and target.startswith("#/"):
            referenced: Any = root
            for key in target[2:].split("/"):
                referenced = referenced.get(key, {}) if isinstance(referenced, Mapping) else {}
            schema = {
                **(referenced if isinstance(referenced, Mapping) else {}),
                **{k: v for k, v in schema.items() if k != "$ref"},
            }
        elif options := schema.get("anyOf") or schema.get("oneOf"):
            others = [option for option in options if _kinds(option) != ["null"]]
            null = {"nullable": True} if len(others) < len(options) else {}
            schema = {**(others[0] if len(others) == 1 else {}), **null}
        else:
            break
    return schema


def _kinds(schema: Mapped) -> list[str]:
    kinds = schema.get("type", [])
    return list(kinds) if isinstance(kinds, list) else [kinds]
