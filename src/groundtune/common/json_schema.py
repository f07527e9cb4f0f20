"""Read JSON, strictly or out of a model's reply, and check it against a JSON Schema. Never guesses a value."""

import contextlib
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from groundtune.errors import UsageError

Checker = Callable[[Any], str | None]
"""Returns the first thing wrong with a value; None when nothing is."""

_FENCED = re.compile(
    r"^[ \t]*```[ \t]*[\w-]*[ \t]*(?:\n|(?=[{\[]))(.*?)(?:^[ \t]*```[ \t]*$|```[ \t]*$|\Z)", re.DOTALL | re.MULTILINE
)
"""A block of code; at the end of a reply its last fence may be missing."""
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}]', re.DOTALL)
_PYTHON_NAME = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\b(True|False|None)\b""", re.DOTALL)
"""A constant as Python writes it, or a string, in which it is text."""
_CURLY_QUOTES = str.maketrans("“”„", '"""')
"""Quotes around keys and texts that a model or an editor has made typographic."""
_JSON_NAMES = {"True": "true", "False": "false", "None": "null"}
_OPENS_OBJECT = re.compile(r"""\{\s*["']""")
REFERENCES = 10
"""References of a schema that are followed, one after another."""
_SLOW_JSON5 = 20_000
"""Longer replies, in characters, are read as strict JSON alone: JSON5 would take more than a second."""


def parse_json(text: str, *, strict: bool = True) -> Any:
    """Parse a text that is JSON and nothing else. strict: refuse control characters within strings.

    Raises ValueError for anything else, including NaN, infinity and an object with a duplicate key.
    """
    try:
        return json.loads(
            text, strict=strict, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_object
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise ValueError("not JSON that can be read: nested too deep") from None


class AmbiguousReplyError(ValueError):
    """A reply holds different values, and nothing says which one is meant."""


def parse_reply(text: str, accepts: Callable[[Any], bool] = lambda _: True) -> Any:
    """Return the JSON value of a model's reply: all of it, or the one object in it, in a fence or among other text.

    accepts: decides between several different objects. What JSON5 allows is read as well: trailing commas, comments,
    single quotes; so are `True` and `None`, and an object inside a string. Raises AmbiguousReplyError when several
    objects may be meant, ValueError when there is none.
    """
    try:
        value = _parse_loose(text.strip())
        return parse_reply(value, accepts) if isinstance(value, str) and value.lstrip().startswith("{") else value
    except ValueError as error:
        fault = error
    blocks = _FENCED.findall(text)
    if len(blocks) == 1 and not blocks[0].lstrip().startswith("{"):
        return _parse_loose(blocks[0].strip())
    objects = [value for value, _, _ in find_objects(text)]
    if not objects:
        raise fault
    if all(value == objects[0] for value in objects):
        return objects[0]
    accepted = [value for value in objects if accepts(value)]
    if not accepted or any(value != accepted[0] for value in accepted):
        raise AmbiguousReplyError(f"it holds {len(objects)} JSON objects that differ")
    return accepted[0]


def find_objects(text: str) -> list[tuple[dict[str, Any], int, int]]:
    """Return the outermost JSON objects in a text, each with its start and end.

    Nothing is read out of an object that is not closed: a reply that was cut off holds no object.
    """
    groups, unclosed = _braces(text)
    if any(_OPENS_OBJECT.match(text, start) for start in unclosed):
        return []
    objects = []
    for start, end in groups:
        with contextlib.suppress(ValueError):
            if isinstance(value := _parse_loose(text[start:end], json5_too=len(text) <= _SLOW_JSON5), dict):
                objects.append((value, start, end))
    return objects


def _braces(text: str) -> tuple[list[tuple[int, int]], list[int]]:
    """Return the outermost pairs of braces, and where braces open that never close. Strings within them are skipped."""
    groups: list[tuple[int, int]] = []
    opened: list[int] = []
    at = text.find("{")
    while 0 <= at < len(text):
        match = _STRUCTURE.search(text, at)
        if match is None:
            break
        at = match.end()
        if match[0] == "{":
            opened.append(match.start())
        elif match[0] == "}":
            start = opened.pop()
            while groups and groups[-1][0] > start:
                groups.pop()
            groups.append((start, at))
            at = at if opened else text.find("{", at)
    return groups, opened


def _parse_loose(text: str, *, json5_too: bool = True) -> Any:
    """Parse JSON as models write it: line breaks within strings, JSON5, constants of Python. Raises ValueError."""
    try:
        return parse_json(text, strict=False)
    except ValueError as error:
        is_json5 = json5_too and len(text) <= _SLOW_JSON5 and text[:1] in ("{", "[") and text[-1:] in ("}", "]")
        if not is_json5:
            raise
        fault = error
    import json5

    text = _PYTHON_NAME.sub(lambda match: _JSON_NAMES.get(match[1], match[0]), text)
    if '"' not in text:
        text = text.translate(_CURLY_QUOTES)
    try:
        return json5.loads(text, allow_duplicate_keys=False, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        raise fault from None


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


def satisfies(text: str, schema: Mapping[str, Any]) -> bool | None:
    """Whether a text is JSON that satisfies a schema; None if that depends on a `$ref` to another file or address.

    Raises UsageError when the schema is not a valid JSON Schema.
    """
    from referencing.exceptions import Unresolvable

    try:
        value = parse_json(text)
    except ValueError:
        return False
    try:
        return schema_checker(schema)(value) is None
    except Unresolvable:
        return None


def in_schema_order(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return an equal value whose objects have their keys in the order of the schema, others behind them.

    Decoders that hold a reply to a schema write keys in that order, and a model that was shown another one does badly
    there.
    """
    return _ordered(value, schema, schema)


def _ordered(value: Any, schema: Any, root: Mapping[str, Any]) -> Any:
    schema = _resolved(schema, root)
    if isinstance(value, dict):
        parts = [
            schema,
            *(_resolved(part, root) for key in ("allOf", "anyOf", "oneOf") for part in schema.get(key, ())),
        ]
        known = {name: inner for part in parts for name, inner in part.get("properties", {}).items()}
        names = [*(name for name in known if name in value), *(name for name in value if name not in known)]
        return {name: _ordered(value[name], known.get(name, {}), root) for name in names}
    if isinstance(value, list):
        return [_ordered(item, schema.get("items", {}), root) for item in value]
    return value


def _resolved(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references within the schema; what is no object says nothing about keys."""
    for _ in range(REFERENCES):
        reference = schema.get("$ref") if isinstance(schema, Mapping) else None
        if not isinstance(reference, str) or not reference.startswith("#/"):
            break
        schema = root
        for step in reference[2:].split("/"):
            schema = schema.get(step, {}) if isinstance(schema, Mapping) else {}
    return schema if isinstance(schema, Mapping) else {}


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
