"""Turn errors of pydantic and tomllib into plain-English problems with file, line or variable, and a hint.

Works on any model of settings; never prints a possible secret.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, get_args, get_origin, runtime_checkable

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from groundtune.config.toml_edit import line_of
from groundtune.errors import Problem

PREFIX = "GROUNDTUNE_"
Model = type[BaseModel]
Place = tuple[str | int, ...]


@runtime_checkable
class AddsMembers(Protocol):
    """Metadata of a tagged union that other packages add models to."""

    def members(self) -> Mapping[str, Model]:
        """Return the added models by the value of their tag."""
        ...

    def hint(self) -> str:
        """Describe what to do about a tag that has no model."""
        ...


_PRIVATE = re.compile(r"key|secret|token|password|url", re.IGNORECASE)
_SYNTAX = {
    "Cannot overwrite a value": "this key is already set above",
    "Cannot mutate immutable namespace": "this table is already defined above",
    "Expected '=' after a key in a key/value pair": "missing = after the key",
    "Invalid value": "invalid value; strings need quotes",
    "Invalid statement": "this is neither key = value nor a [table]",
    "Expected newline or end of document after a statement": "unexpected text after the value; strings need quotes",
    "Unclosed array": "a list is missing its closing ]",
    "Unterminated string": "a string is missing its closing quote",
    "Illegal character '\\n'": "a string is missing its closing quote",
}


def syntax_problem(path: Path, text: str, error: tomllib.TOMLDecodeError) -> Problem:
    """Return the problem that stops the TOML from being parsed."""
    message = str(error)
    position = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    line = int(position[1]) if position and position[1] else max(1, len(text.rstrip("\n").splitlines()))
    reason = message[: position.start()] if position else message
    if reason.startswith("Cannot declare"):
        return Problem(path, "not TOML: this table is already defined above", line, "merge the two")
    return Problem(path, f"not TOML: {_SYNTAX.get(reason, reason)}", line)


def problems_from(
    model: Model,
    error: ValidationError,
    *,
    path: Path,
    lines: Mapping[Place, int],
    variables: Mapping[Place, str],
) -> list[Problem]:
    """Return one problem per pydantic error, sorted by line.

    lines: line of each key in the file; variables: environment variable by the key that it set.
    """
    problems = []
    for detail in error.errors(include_url=False):
        place = tuple(detail["loc"])
        if key := detail.get("ctx", {}).get("key"):
            place = (*place, key)
        message, hint = _describe(model, detail, place)
        place = _untagged(model, place)
        variable = _variable(place, lines, variables)
        if variable:
            problems.append(Problem(Path(variable), message, hint=hint))
        else:
            problems.append(Problem(path, message, line_of(lines, place), hint))
    return sorted(problems, key=lambda problem: (problem.path != path, problem.line or 0))


def _variable(place: Place, lines: Mapping[Place, int], places: Mapping[Place, str]) -> str | None:
    """Return the variable that set the value at `place` or around it, or inside a table that only variables set."""
    for end in range(len(place), 0, -1):
        if place[:end] in places:
            return places[place[:end]]
    inside = [variable for key, variable in places.items() if key[: len(place)] == place]
    return inside[0] if inside and place not in lines else None


def apply_environment(
    model: Model, values: dict[str, Any], environ: Mapping[str, str]
) -> tuple[dict[str, Any], dict[Place, str], list[Problem]]:
    """Return a copy of `values` with GROUNDTUNE_ variables applied, the variable by the key it set, and problems."""
    places: dict[Place, str] = {}
    problems: list[Problem] = []
    for variable in sorted(environ):
        segments = variable.removeprefix(PREFIX).lower().split("__")
        known = len(segments) > 1 or (segments[0] in model.model_fields and not _known_keys(model, (segments[0],)))
        if not variable.startswith(PREFIX) or not known:
            continue
        place = _place(segments, values)
        try:
            values = _put(values, place, _read(environ[variable], _annotation(model, place)))
        except TypeError as error:
            problems.append(Problem(Path(variable), str(error), hint="set it in groundtune.toml"))
            continue
        places[place] = variable
    return values, places, problems


def _place(segments: Sequence[str], values: Any) -> tuple[str, ...]:
    """Map a variable's spelling to the file's: FAST_ONE means "fast-one" if the file has such a key."""
    place: list[str] = []
    for segment in segments:
        keys = list(values) if isinstance(values, dict) else []
        name = next((key for key in keys if re.sub(r"\W", "_", key).lower() == segment), segment)
        values = values.get(name) if isinstance(values, dict) else None
        place.append(name)
    return tuple(place)


def _put(values: Any, place: Sequence[str], value: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise TypeError("refers to a key inside a value that is not a table")
    if len(place) == 1:
        return {**values, place[0]: value}
    return {**values, place[0]: _put(values.get(place[0], {}), place[1:], value)}


def _read(text: str, annotation: Any) -> Any:
    """Parse the value of a variable: TOML syntax; lists also as `a,b`."""
    kinds = _kinds(annotation)
    if kinds and kinds <= {str}:
        return text
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = {"true": True, "false": False}.get(text.strip().lower(), text)
    if tuple in kinds and not (str in kinds and value == "local"):
        items = [item.strip() for item in text.split(",") if item.strip()]
        return value if isinstance(value, list) else items
    return value


def _kinds(annotation: Any) -> set[type]:
    """Return the plain types in an annotation: int for `Annotated[int, …] | None`."""
    if isinstance(annotation, type):
        return {annotation} - {type(None)}
    origin = get_origin(annotation)
    if origin in (tuple, dict):
        return {origin}
    parts = get_args(annotation)
    if origin is not None and str(origin) == "typing.Literal":
        return {type(part) for part in parts}
    if hasattr(annotation, "__metadata__"):
        parts = parts[:1]
    return set().union(*map(_kinds, parts)) if parts else set()


def _annotation(model: Model, place: Place) -> Any:
    """Return the type annotation at `place`; None when there is no such key."""
    annotation: Any = model
    for key in place:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = annotation.model_fields.get(str(key))
            annotation = field.annotation if field else None
        elif get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        elif get_origin(annotation) is tuple:
            annotation = get_args(annotation)[0]
        elif members := _members(annotation):
            annotation = members.get(str(key))
        else:
            return None
    return annotation


def _members(annotation: Any) -> dict[str, Any]:
    """Return the models of a tagged union by the value of their tag; empty for anything else."""
    members: dict[str, Model] = {}
    for member in get_args(get_args(annotation)[0]) if hasattr(annotation, "__metadata__") else ():
        for field in member.model_fields.values() if hasattr(member, "model_fields") else ():
            if field.is_required() and str(get_origin(field.annotation)) == "typing.Literal":
                members[get_args(field.annotation)[0]] = member
    for added in _added(annotation) if members else ():
        members.update(added.members())
    return members


def _added(annotation: Any) -> list[AddsMembers]:
    return [added for added in getattr(annotation, "__metadata__", ()) if isinstance(added, AddsMembers)]


def _untagged(model: Model, place: Place) -> Place:
    """Return the place as in the file, without the tags of unions that pydantic inserts."""
    return tuple(key for index, key in enumerate(place) if key not in _members(_annotation(model, place[:index])))


def _known_keys(model: Model, place: Place) -> list[str]:
    """Return the keys that the table at `place` may have; empty for a free-form table or anything else."""
    annotation = _annotation(model, place)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return list(annotation.model_fields)
    return []


def _describe(model: Model, detail: ErrorDetails, place: Place) -> tuple[str, str | None]:
    """Return message and hint of a pydantic error."""
    kind, ctx, value = detail["type"], detail.get("ctx", {}), detail["input"]
    name = _name(_untagged(model, place))
    if kind == "plain":
        return f"{name} {ctx['message']}", ctx["hint"] or None
    if kind == "extra_forbidden":
        return _unknown(model, place)
    if kind == "missing":
        return f"{name} is missing", _example(model, place)
    if kind == "union_tag_not_found":
        choices = list(_members(_annotation(model, place)))
        return f"{name}.kind is missing", f'add kind = "…": one of {", ".join(choices)}'
    if kind == "union_tag_invalid":
        message, close = _no_choice(f"{name}.kind", place, ctx["tag"], list(_members(_annotation(model, place))))
        others = [added.hint() for added in _added(_annotation(model, place))]
        return message, close or next(iter(others), None)
    if kind == "literal_error":
        return _no_choice(name, place, value, re.findall(r"'([^']*)'", ctx["expected"]))
    for limit, phrase in (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than")):
        if kind in ("greater_than_equal", "greater_than", "less_than_equal", "less_than") and limit in ctx:
            return f"{name} must be {phrase} {ctx[limit]:,}, not {_show(place, value)}", None
    expected, hint = _EXPECTED.get(kind, (None, None))
    if expected is None:
        return f"{name} is invalid: {detail['msg']}", None
    if kind in ("string_too_short", "too_short"):
        return f"{name} must not be empty", None
    if isinstance(value, str) and kind in ("int_type", "float_type", "bool_type") and not _PRIVATE.search(name):
        hint = f"write {value} without quotes" if re.fullmatch(r"[\d.]+|true|false", value) else hint
    return f"{name} must be {expected}, not {_show(place, value)}", hint


def _no_choice(name: str, place: Place, value: Any, choices: Sequence[str]) -> tuple[str, str | None]:
    """Return message and hint for a value that is not among the choices."""
    close = difflib.get_close_matches(value.lower(), choices, n=1) if isinstance(value, str) else []
    message = f"{name} must be one of {', '.join(choices)}, not {_show(place, value)}"
    return message, f'did you mean "{close[0]}"?' if close else None


_EXPECTED: dict[str, tuple[str, str | None]] = {
    "string_type": ("a string", "put it in quotes"),
    "string_too_short": ("a string", None),
    "too_short": ("a list", None),
    "int_type": ("a whole number", None),
    "int_from_float": ("a whole number", None),
    "float_type": ("a number", None),
    "finite_number": ("a finite number", None),
    "bool_type": ("true or false", None),
    "tuple_type": ("a list", 'write it like ["…"]'),
    "dict_type": ("a table", None),
    "model_type": ("a table", None),
    "model_attributes_type": ("a table", None),
}


def _example(model: Model, place: Place) -> str:
    annotation = _annotation(model, place)
    kinds = _kinds(annotation)
    if tuple in kinds:
        return f'add {place[-1]} = ["…"]'
    if choices := [choice for choice in get_args(annotation) if isinstance(choice, str)]:
        return f'add {place[-1]} = "…": one of {", ".join(choices)}'
    return f'add {place[-1]} = "…"' if str in kinds else f"add {place[-1]} = 1"


def _unknown(model: Model, place: Place) -> tuple[str, str]:
    parent, key = place[:-1], str(place[-1])
    known = _known_keys(model, parent)
    close = difflib.get_close_matches(key.lower().replace("-", "_"), known, n=1)
    if key.lower() in ("api_key", "apikey", "key", "token") and "api_key_env" in known:
        hint = "do not put API keys in the project file: set an environment variable and give its name in api_key_env"
    elif close:
        hint = f'did you mean "{close[0]}"?'
    elif sections := [name for name in model.model_fields if key in _known_keys(model, (name,))]:
        hint = f"it belongs under [{sections[0]}]"
    elif parent and key in model.model_fields:
        hint = f"{key} belongs at the top of the file" if not _known_keys(model, (key,)) else f"write [{key}]"
    else:
        hint = f"known keys: {', '.join(known)}"
    return f'unknown key "{key}"' + (f" in [{_name(_untagged(model, parent))}]" if parent else ""), hint


def _name(place: Place) -> str:
    """Join a place to `models.default.base_url`; list positions are left out, since the line identifies the item."""
    return ".".join(key for key in place if isinstance(key, str))


def _show(place: Place, value: Any) -> str:
    """Return the value as TOML if it is short and not a possible secret, else its type."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:,}" if not _PRIVATE.search(str(place[-1])) or abs(value) < 1e12 else "a number"
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 40 and not _PRIVATE.search(str(place[-1])) else "a string"
    if isinstance(value, list | tuple):
        return "a list"
    return "a table" if isinstance(value, dict) else "a date"
