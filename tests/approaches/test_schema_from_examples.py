"""The schema derived from examples accepts them, and describes what they have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.approaches.schema_from_examples import derive_schema
from groundtune.common.json_schema import schema_checker

INVOICES: list[dict[str, Any]] = [
    {
        "number": "R-7",
        "total": 40,
        "paid": True,
        "lines": [{"what": "saddle", "price": 30}, {"what": "bell", "price": 10.5}],
        "customer": {"name": "Ardern", "address": {"town": "Marrowby"}},
        "tags": ["new", "web"],
        "note": None,
    },
    {
        "number": "R-8",
        "total": 99.5,
        "paid": False,
        "lines": [],
        "customer": {"name": "Ito", "address": {"town": "Telos"}},
        "tags": [],
        "note": "in a hurry",
    },
]


def faults(schema: Mapping[str, Any], objects: Sequence[Mapping[str, Any]]) -> list[str]:
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    return [error.message for item in objects for error in validator.iter_errors(item)]


def kinds(*values: Any) -> Any:
    """Return the schema derived for a key with these values."""
    return derive_schema([{"key": value} for value in values])["properties"]["key"]


def test_it_accepts_its_own_objects_and_rejects_others() -> None:
    schema = derive_schema(INVOICES)
    assert faults(schema, INVOICES) == []
    for wrong in (
        {**INVOICES[0], "total": "40"},
        {**INVOICES[0], "more": 1},
        {key: value for key, value in INVOICES[0].items() if key != "paid"},
        {**INVOICES[0], "customer": {"name": "Ardern", "address": {"town": 7}}},
        {**INVOICES[0], "lines": [{"what": "saddle"}]},
        {**INVOICES[0], "tags": "new"},
    ):
        assert faults(schema, [wrong])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (("a", "b"), "string"),
        ((1, 2), "integer"),
        ((1, 2.5), "number"),
        ((True, False), "boolean"),
        ((True, 1), ["boolean", "integer"]),
        ((None,), "null"),
        (("a", None), ["null", "string"]),
        ((1, 2.5, None), ["null", "number"]),
        (("a", 1, None), ["integer", "null", "string"]),
    ],
)
def test_a_key_has_the_types_that_occur(values: tuple[Any, ...], kind: Any) -> None:
    assert kinds(*values) == {"type": kind}


def test_a_key_that_all_have_is_required_and_no_other_key_is_allowed() -> None:
    schema = derive_schema([{"a": 1}, {"b": {"c": 1}}, {"b": {"d": 2}}])
    assert (schema["required"], schema["additionalProperties"]) == ([], False)
    assert schema["properties"]["a"] == {"type": ["integer", "null"]}
    inner = schema["properties"]["b"]
    assert (inner["type"], inner["required"], inner["additionalProperties"]) == (["null", "object"], [], False)
    assert inner["properties"] == {"c": {"type": ["integer", "null"]}, "d": {"type": ["integer", "null"]}}


def test_lists_say_what_is_in_them() -> None:
    assert kinds(["a"], ["b", "c"]) == {"type": "array", "items": {"type": "string"}}
    assert kinds(["a", 1], None) == {"type": ["array", "null"], "items": {"type": ["integer", "string"]}}
    assert kinds([[1], [2.5]]) == {"type": "array", "items": {"type": "array", "items": {"type": "number"}}}
    assert kinds([], []) == {"type": "array", "items": {}}
    assert kinds([{"a": 1}, {"a": 2, "b": 3}])["items"]["required"] == ["a"]


def test_a_key_with_mixed_kinds_accepts_all_of_them() -> None:
    objects = [{"x": {"a": 1}}, {"x": [1, None]}, {"x": "text"}, {"x": None}, {"x": {"a": "b"}}]
    schema = derive_schema(objects)
    assert faults(schema, objects) == []
    assert faults(schema, [{"x": 1.5}])
    assert faults(schema, [{"x": {"a": 1, "c": 2}}])


def test_keys_that_are_words_of_the_schema_are_only_keys() -> None:
    objects = [{"type": "bike", "$ref": "#/x", "required": ["a"], "properties": {"items": 1}}]
    assert faults(derive_schema(objects), objects) == []


def test_no_object_has_no_key() -> None:
    assert derive_schema([]) == {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    assert faults(derive_schema([{}]), [{}]) == []


leaf = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
value = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
)


def filled(schema: Any, item: Any) -> Any:
    """Return the value with null for every key that it lacks."""
    if isinstance(item, dict) and "properties" in schema:
        return {key: filled(inner, item.get(key)) for key, inner in schema["properties"].items()}
    if isinstance(item, list) and "items" in schema:
        return [filled(schema["items"], inner) for inner in item]
    return item


@pytest.mark.slow
@settings(max_examples=100)
@given(st.lists(st.dictionaries(st.sampled_from("abcd"), value, max_size=4), max_size=4))
def test_any_objects_are_valid_once_missing_keys_are_null(objects: list[dict[str, Any]]) -> None:
    schema = derive_schema(objects)
    assert faults(schema, [filled(schema, item) for item in objects]) == []


SPARSE = [{"number": "R-7", "total": 1}, {"number": "R-8", "total": 2, "discount": 3}]


def test_an_example_that_lacks_a_key_is_valid_too() -> None:
    checker = schema_checker(derive_schema(SPARSE))
    assert [checker(item) for item in SPARSE] == [None, None]


def test_keys_come_in_the_order_that_they_mostly_have() -> None:
    objects = [{"playlist": 1, "artist": 2}, {"artist": 1, "playlist": 2}, {"song": 1, "artist": 1, "playlist": 2}]
    assert list(derive_schema(objects)["properties"]) == ["song", "artist", "playlist"]
    assert derive_schema(objects)["required"] == ["artist", "playlist"]
    assert list(derive_schema([{"z": 1, "a": 2}, {"m": 3, "z": 4}])["properties"]) == ["m", "z", "a"]
    assert list(derive_schema([{"z": 1}, {"a": 2}])["properties"]) == ["z", "a"], "as they appear first"
