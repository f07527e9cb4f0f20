"""Derive the JSON Schema that a set of example objects satisfies. Pure."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any


def derive_schema(objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Allow the keys and types that occur, and no others. A key that is missing from some objects may be null.

    Keys come in the order that they mostly have in the objects, in which a model finds them most easily.
    """
    places: dict[str, list[float]] = {}
    for example in objects:
        for place, key in enumerate(example):
            places.setdefault(key, []).append((place + 0.5) / len(example))
    keys = sorted(places, key=lambda key: fmean(places[key]))
    properties = {key: _schema_of([example.get(key) for example in objects]) for key in keys}
    required = [key for key in keys if all(key in example for example in objects)]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _schema_of(values: Sequence[Any]) -> dict[str, Any]:
    """Return the schema of the values of one key."""
    kinds = sorted({_kind(value) for value in values})
    if "number" in kinds and "integer" in kinds:
        kinds.remove("integer")
    schema: dict[str, Any] = {"type": kinds[0] if len(kinds) == 1 else kinds}
    if "object" in kinds:
        schema |= {**derive_schema([value for value in values if isinstance(value, Mapping)]), "type": schema["type"]}
    if "array" in kinds:
        items = [item for value in values if isinstance(value, list) for item in value]
        schema["items"] = _schema_of(items) if items else {}
    return schema


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case Mapping():
            return "object"
        case _:
            return "array"
