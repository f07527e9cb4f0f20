"""Read JSON strictly, and hold values against a JSON Schema. Never repairs a value, never fetches a schema."""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from groundtune.errors import UsageError

Fault = Callable[[Any], str | None]
"""Says the first thing that is wrong with a value; None when nothing is."""

_FENCED = re.compile(r"^[ \t]*```[ \t]*[\w-]*[ \t]*\n(.*?)^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)


def read_json(text: str) -> Any:
    """The value of a text that is JSON and nothing else.

    Raises ValueError for everything else, also for NaN, infinity, and an object that has a key twice.
    """
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise ValueError("not JSON that can be read: nested too deep") from None


def read_reply(text: str) -> Any:
    """The value of a model's reply: JSON, or one fenced block of it. Raises ValueError for everything else."""
    blocks = _FENCED.findall(text)
    return read_json(blocks[0] if len(blocks) == 1 else text.strip())


def schema_fault(schema: Mapping[str, Any]) -> Fault:
    """What holds values against `schema`, by the draft that it names (2020-12 where it names none).

    A `$ref` to another file or address is never followed: holding a value against it raises. Raises UsageError
    when it is no JSON Schema.
    """
    import jsonschema
    from referencing import Registry

    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(dict(schema))
    except jsonschema.SchemaError as error:
        raise UsageError(f"not a JSON Schema: {error.message} at {error.json_path}") from None
    validator = kind(dict(schema), registry=Registry())

    def fault(value: Any) -> str | None:
        error = jsonschema.exceptions.best_match(validator.iter_errors(value))
        return f"{error.message} at {error.json_path}" if error else None

    return fault


def strict(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema in the form that endpoints can hold a model to: every key required, no others allowed.

    A key that may be left out must be one that may be null, as null stands for absent then. None when the schema
    cannot be brought into that form without changing what it allows.
    """
    kinds = schema.get("type")
    found = dict(schema)
    if kinds == "object" or (isinstance(kinds, list) and "object" in kinds):
        properties = schema.get("properties", {})
        if schema.get("additionalProperties", True) is not False:
            return None
        inner = {key: strict(one) for key, one in properties.items()}
        optional = properties.keys() - set(schema.get("required", ()))
        if None in inner.values() or not all("null" in _kinds(properties[key]) for key in optional):
            return None
        found |= {"properties": inner, "required": list(properties)}
    if isinstance(items := schema.get("items"), Mapping):
        if (each := strict(items)) is None:
            return None
        found["items"] = each
    return found


def _kinds(schema: Mapping[str, Any]) -> list[str]:
    kinds = schema.get("type", [])
    return kinds if isinstance(kinds, list) else [kinds]


def _finite(text: str) -> float:
    if math.isinf(value := float(text)):
        raise ValueError(f"not JSON: {text[:20]} is beyond what a number can be")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"not JSON: {name}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("not JSON that can be read: an object has a key twice")
    return found
