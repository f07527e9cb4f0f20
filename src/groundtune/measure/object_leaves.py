"""Take objects apart into leaves that can be compared. Decides nothing about their validity."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from groundtune.languages.quantities import quantities
from groundtune.measure.metrics import fold


def object_leaves(value: Any, path: str = "", *, language: str = "english") -> Iterator[tuple[str, str]]:
    """Yield the leaves of an object as (path, text). Null counts as absent; lists of scalars are unordered.

    Paths look like `.total`, `.tags[]` or `.lines[0].price`. Amounts with a unit, dates and times have one text in all
    their formats; other texts are folded.
    """
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from object_leaves(item, f"{path}.{key}", language=language)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            place = f"{path}[{index if isinstance(item, Mapping | list) else ''}]"
            yield from object_leaves(item, place, language=language)
    elif isinstance(value, bool):
        yield path, str(value).lower()
    elif isinstance(value, int | float):
        yield path, repr(float(value))
    elif value is not None:
        yield path, _canonical(str(value), language)


def _canonical(text: str, language: str) -> str:
    """Return the amount, date or time that is the whole text in one form, else the folded text."""
    found = quantities(text.strip(), language)
    if len(found) != 1 or found[0].unit is None or (found[0].start, found[0].end) != (0, len(text.strip())):
        return fold(text)
    return f"{found[0].unit} {sorted(map(str, found[0].readings))}"


def align(output: Any, gold: Any) -> Any:
    """Return the output with the objects in its lists in the order of those of the gold object that they resemble most.

    A gold object without a counterpart leaves a gap (None); objects without one come last.
    """
    if isinstance(output, Mapping) and isinstance(gold, Mapping):
        return {key: align(item, gold.get(key)) for key, item in output.items()}
    if not _are_objects(output) or not _are_objects(gold):
        return output
    from scipy.optimize import linear_sum_assignment

    likeness = [[_common(item, other) for other in gold] for item in output]
    rows, columns = linear_sum_assignment(likeness, maximize=True)
    pairs = {int(column): output[row] for row, column in zip(rows, columns, strict=True)}
    assigned = {int(row) for row in rows}
    matched = [align(pairs.get(place), item) for place, item in enumerate(gold)]
    return [*matched, *(item for place, item in enumerate(output) if place not in assigned)]


def _are_objects(value: Any) -> bool:
    return isinstance(value, Sequence) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _common(output: Any, gold: Any) -> int:
    return len(set(object_leaves(align(output, gold))) & set(object_leaves(gold)))
