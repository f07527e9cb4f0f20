"""Objects to the places in the text where their values stand. Trains nothing, never changes a value.

A value that stands in the text several times is put where the words around it are most like those around the field's
other values. A field whose values do not stand in the text, but are few, is chosen from those values instead.
"""

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from groundtune.spans import EACH, NUMBER, WORDS, Choice, Field, Kind, Layout, Path, Span, leaves, name, number
from groundtune.tune.job import TuneError

FOUND = 0.5
"""Share of a field's values that must stand in the text for it to be taken out of the text."""
FOUND_LISTED = 0.9
"""The same for a field whose values are listed in the schema, or few: choosing is the other way."""
MOST_CHOICES = 100
"""Values that one field is chosen from."""
FEWEST_EACH = 2.0
"""Rows that a value to be chosen has on average."""
_SPACES = re.compile(r"\s\s|[^\S ]")
DEEPEST = 8
"""References that are followed in a schema."""

Mapped = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Aligned:
    """Rows as places in their texts."""

    layout: Layout
    spans: tuple[tuple[Span, ...], ...]
    """Of each row."""
    chosen: tuple[tuple[int, ...], ...]
    """Of each row, the place of its value in each choice; -1 for a value that the train split does not have."""
    values: int
    """Values that the rows have."""
    unaligned: Mapping[str, int]
    """Field to the number of its values that stand nowhere in their text."""


@dataclass(slots=True)
class Words:
    """How often a word stands beside a field's values, of those that can stand in one place only."""

    counts: dict[int, Counter[tuple[int, str]]] = field(default_factory=lambda: defaultdict(Counter))

    def add(self, text: str, span: Span) -> None:
        self.counts[span.field].update(_around(text, span.start, span.end))

    def score(self, text: str, place: int, start: int, end: int) -> float:
        return sum(math.log1p(self.counts[place][one]) for one in _around(text, start, end))


def align(rows: Sequence[tuple[str, Any]], schema: Mapped | None) -> Aligned:
    """rows: input and output of the train split. Raises TuneError when most values cannot be learnt."""
    layout = _layout(rows, schema)
    found = put(rows, layout, usual(rows, layout))
    lost = sum(found.unaligned.values())
    if not found.values:
        raise TuneError("no example has a value to extract", hint="output is an object, or null")
    if 2 * lost > found.values:
        worst = ", ".join(f"{name} {count:,}" for name, count in Counter(found.unaligned).most_common(3))
        raise TuneError(
            f"{lost:,} of {found.values:,} values do not stand in their input as they are written ({worst})",
            hint="an extractor marks values in the text: write them as they stand there, or tune a causal model",
        )
    return found


def usual(rows: Sequence[tuple[str, Any]], layout: Layout) -> Words:
    """What tells values that can stand in several places where to look."""
    places = _places(layout)
    words = Words()
    for text, output in rows:
        for span in _row(text, output, layout, places, None)[0]:
            words.add(text, span)
    return words


def put(rows: Sequence[tuple[str, Any]], layout: Layout, words: Words) -> Aligned:
    """Rows in a layout that is known: those that it was made of, or held-out ones."""
    places = _places(layout)
    choices = [{_key(value): at for at, value in enumerate(one.values)} for one in layout.choices]
    spans, lost, total, chosen = [], Counter[str](), 0, []
    for text, output in rows:
        found, missing = _row(text, output, layout, places, words)
        spans.append(tuple(found))
        lost.update(missing)
        own = [_key(_at(output, one.path)) for one in layout.choices]
        chosen.append(tuple(known.get(key, -1) for known, key in zip(choices, own, strict=True)))
        total += sum(1 for _ in leaves(output))
    return Aligned(layout, tuple(spans), tuple(chosen), total, dict(lost))


def _places(layout: Layout) -> dict[Path, int]:
    """Path to field; also that of an item that stands without its list."""
    places = {one.path: place for place, one in enumerate(layout.fields)}
    return places | {one.path[:-1]: place for place, one in enumerate(layout.fields) if one.single}


def _row(
    text: str, output: Any, layout: Layout, places: Mapping[Path, int], words: Words | None
) -> tuple[list[Span], list[str]]:
    """The spans of a row, and the fields of values that have none. Without `words`, only those without a doubt."""
    taken: list[Span] = []
    missing: list[str] = []
    wanted = [(path, value, places.get(path)) for path, value in leaves(output)]
    order = sorted(range(len(wanted)), key=lambda at: -len(str(wanted[at][1])))  # of equal length in their own order
    for path, value, place in (wanted[at] for at in order):
        if place is None:
            if not any(path[: len(one.path)] == one.path for one in layout.choices):
                missing.append(name(path))
            continue
        free = [
            one
            for one in candidates(text, value, layout.fields[place].kind, comma=layout.comma)
            if not any(one[0] < other.end and one[1] > other.start for other in taken)
        ]
        if not free:
            missing.append(name(path))
        elif len(free) == 1:
            taken.append(Span(place, *free[0]))
        elif words is not None:
            best = max(free, key=lambda one: (words.score(text, place, *one), -one[0]))
            taken.append(Span(place, *best))
    return sorted(taken, key=lambda one: one.start), missing


def candidates(text: str, value: Any, kind: Kind, *, comma: bool = False) -> list[tuple[int, int]]:
    """Places where a value stands: whatever its case and its spaces; numbers however they are written."""
    if isinstance(value, bool):
        return []
    if kind == "string" or isinstance(value, str):
        return [one for one in _texts(text, str(value).split()) if _whole(text, *one)]
    places = [match.span() for match in NUMBER.finditer(text) if number(match.group(), comma=comma) == value]
    for match in re.finditer(r"[^\W\d_]+", text):
        if WORDS.get(match.group().casefold()) == value:
            places.append(match.span())
    return sorted(places)


def _texts(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Also places that overlap."""
    if not words:
        return []
    low, wanted = text.lower(), " ".join(words).lower()
    if len(low) == len(text) and not _SPACES.search(text):  # as nearly always; much faster
        found, at = [], low.find(wanted)
        while at >= 0:
            found.append((at, at + len(wanted)))
            at = low.find(wanted, at + 1)
        return found
    pattern = r"\s+".join(map(re.escape, words))
    return [match.span(1) for match in re.finditer(f"(?=({pattern}))", text, re.IGNORECASE)]


def _whole(text: str, start: int, end: int) -> bool:
    """Whether it is not cut out of a longer word or number."""
    return not (_joined(text, start) or _joined(text, end))


def _joined(text: str, at: int) -> bool:
    if at <= 0 or at >= len(text):
        return False
    left, right = text[at - 1], text[at]
    return (left.isalpha() and right.isalpha()) or (left.isdigit() and right.isdigit())


def _around(text: str, start: int, end: int) -> tuple[tuple[int, str], ...]:
    """The two words before and the one after, and on which side."""
    before = re.findall(r"\w+|[^\w\s]", text[max(0, start - 60) : start].casefold())
    after = re.findall(r"\w+|[^\w\s]", text[end : end + 60].casefold())
    return ((0, before[-1] if before else ""), (1, " ".join(before[-2:])), (2, after[0] if after else ""))


def _layout(rows: Sequence[tuple[str, Any]], schema: Mapped | None) -> Layout:
    found: dict[Path, list[tuple[str, Any]]] = {}
    for text, output in rows:
        for path, value in leaves(output):
            found.setdefault(path, []).append((text, value))
    mixed = {path for path in found if (*path, EACH) in found}
    for path in mixed:
        found[(*path, EACH)] += found.pop(path)
    comma = _decimal_comma(found)
    fields: list[Field] = []
    others: dict[Path, None] = {}
    for path, pairs in found.items():
        made = _field(path, [value for _, value in pairs], schema)
        if made is not None and _stands(pairs, made, comma=comma):
            fields.append(replace(made, single=path[:-1] in mixed and path[-1] == EACH))
        else:
            others[_outside(path)] = None
    inside = {_outside(one.path) for one in fields if EACH in one.path}
    choices = [one for path in others if path not in inside and (one := _choice(path, rows))]
    return Layout(tuple(fields), tuple(choices), frame(schema), comma=comma)


def _field(path: Path, values: Sequence[Any], schema: Mapped | None) -> Field | None:
    """None for what cannot be put back: lists in lists, objects in the objects of a list."""
    if (EACH in path and len(path) - path.index(EACH) > 2) or any(isinstance(one, bool) for one in values):
        return None
    told = _schema_at(schema, path)
    allowed = tuple(one for one in told.get("enum", ()) if isinstance(one, str))
    kinds = _kinds(told)
    if all(isinstance(one, int | float) for one in values):
        whole = "number" not in kinds and all(isinstance(one, int) for one in values)
        return Field(path, "integer" if whole else "number")
    return None if any(not isinstance(one, str) for one in values) else Field(path, "string", allowed)


def _stands(pairs: Sequence[tuple[str, Any]], made: Field, *, comma: bool) -> bool:
    """Whether enough of a field's values are in their texts."""
    there = sum(bool(candidates(text, value, made.kind, comma=comma)) for text, value in pairs)
    return there >= (FOUND_LISTED if made.allowed else FOUND) * len(pairs)


def _choice(path: Path, rows: Sequence[tuple[str, Any]]) -> Choice | None:
    """None when there are too many values to choose from."""
    counts: Counter[str] = Counter(_key(_at(output, path)) for _, output in rows)
    known = {key: count for key, count in counts.items() if key != _key(None)}
    if len(known) > MOST_CHOICES or sum(known.values()) < FEWEST_EACH * len(known):
        return None
    return Choice(path, tuple(json.loads(key) for key in sorted(counts)))


def _outside(path: Path) -> Path:
    """Up to the list that it is in."""
    return path[: path.index(EACH)] if EACH in path else path


def _at(output: Any, path: Path) -> Any:
    for key in path:
        output = output.get(key) if isinstance(output, Mapping) else None
    return None if output == [] else output


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _decimal_comma(found: Mapping[Path, Sequence[tuple[str, Any]]]) -> bool:
    """Whether more of the numbers are found when decimals stand after a comma."""
    numbers = [(text, one) for pairs in found.values() for text, one in pairs if isinstance(one, int | float)]
    counts = [sum(bool(candidates(text, one, "number", comma=way)) for text, one in numbers) for way in (False, True)]
    return counts[1] > counts[0]


def frame(schema: Mapped | None) -> dict[str, Any]:
    """What the schema requires of an object in which nothing was found."""
    made: dict[str, Any] = {}
    told = _plain(schema or {}, schema or {})
    for key, inner in told.get("properties", {}).items():
        one = _plain(inner, schema or {})
        kinds = _kinds(one)
        if key not in told.get("required", ()):
            continue
        if "null" in kinds or None in one.get("enum", ()) or one.get("nullable"):
            made[key] = None
        elif "array" in kinds:
            made[key] = []
        elif "object" in kinds:
            made[key] = frame({**one, "$defs": (schema or {}).get("$defs", {})})
    return made


def _schema_at(schema: Mapped | None, path: Path) -> Mapped:
    """{} where the schema says nothing."""
    here = _plain(schema or {}, schema or {})
    for key in path:
        inner = here.get("items", {}) if key == EACH else here.get("properties", {}).get(key, {})
        here = _plain(inner if isinstance(inner, Mapping) else {}, schema or {})
    return here


def _plain(schema: Mapped, root: Mapped) -> Mapped:
    """References inside the file resolved; of alternatives with null the other one, and that it may be null."""
    for _ in range(DEEPEST):
        if isinstance(target := schema.get("$ref"), str) and target.startswith("#/"):
            here: Any = root
            for key in target[2:].split("/"):
                here = here.get(key, {}) if isinstance(here, Mapping) else {}
            schema = {**(here if isinstance(here, Mapping) else {}), **{k: v for k, v in schema.items() if k != "$ref"}}
        elif options := schema.get("anyOf") or schema.get("oneOf"):
            others = [one for one in options if _kinds(one) != ["null"]]
            null = {"nullable": True} if len(others) < len(options) else {}
            schema = {**(others[0] if len(others) == 1 else {}), **null}
        else:
            break
    return schema


def _kinds(schema: Mapped) -> list[str]:
    kinds = schema.get("type", [])
    return list(kinds) if isinstance(kinds, list) else [kinds]
