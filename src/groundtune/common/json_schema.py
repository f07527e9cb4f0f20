"""Read JSON strictly, and check values against a JSON Schema. Never repairs a value, never fetches a schema."""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from groundtune.errors import UsageError

Checker = Callable[[Any], str | None]
"""Returns the first thing wrong with a value; None when nothing is."""

_FENCED = re.compile(r"^[ \t]*```[ \t]*[\w-]*[ \t]*\n(.*?)^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)


def parse_json(text: str) -> Any:
    """Parse a text that is JSON and nothing else.

    Raises ValueError for anything else, including NaN, infinity and an object with a duplicate key.
    """
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise ValueError("not JSON that can be read: nested too deep") from None


def parse_reply(text: str) -> Any:
    """Parse a model's reply: JSON, or a single fenced block of it. Raises ValueError for anything else."""
    blocks = _FENCED.findall(text)
    return parse_json(blocks[0] if len(blocks) == 1 else text.strip())


def schema_checker(schema: Mapping[str, Any]) -> Checker:
    """Return a function that checks values against `schema`, under the draft it names (2020-12 by default).

    A `$ref` to another file or address is never followed: checking a value against it raises. Raises UsageError when
    the schema is not a valid JSON Schema.
    """
    import jsonschema
    from referencing import Registry

    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(dict(schema))
    except jsonschema.SchemaError as error:
        raise UsageError(f"not a JSON Schema: {error.message} at {error.json_path}") from None
    validator = kind(dict(schema), registry=Registry())

    def check(value: Any) -> str | None:
        error = jsonschema.exceptions.best_match(validator.iter_errors(value))
        return f"{error.message} at {error.json_path}" if error else None

    return check


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the schema in the strict form that endpoints can enforce: every key required, no others allowed.

    An optional key must be nullable, because null then stands for absent. None when the schema cannot be brought into
    that form without changing what it allows.
    """
    kinds = schema.get("type")
    result = dict(schema)
    if kinds == "object" or (isinstance(kinds, list) and "object" in kinds):
        properties = schema.get("properties", {})
        if schema.get("additionalProperties", True) is not False:
            return None
        strict_properties = {key: strict_schema(subschema) for key, subschema in properties.items()}
        optional = properties.keys() - set(schema.get("required", ()))
        if None in strict_properties.values() or not all("null" in _kinds(properties[key]) for key in optional):
            return None
        result |= {"properties": strict_properties, "required": list(properties)}
    if isinstance(items := schema.get("items"), Mapping):
        if (strict_items := strict_schema(items)) is None:
            return None
        result["items"] = strict_items
    return result


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
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("not JSON that can be read: an object has a key twice")
    return result
