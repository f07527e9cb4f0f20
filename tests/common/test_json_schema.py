"""Strict JSON, replies of models, and JSON Schema held against the library's own validators."""

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.common.json_schema import (
    AmbiguousReplyError,
    in_schema_order,
    parse_json,
    parse_reply,
    satisfies,
    schema_checker,
)
from groundtune.errors import UsageError


@pytest.mark.parametrize("text", ["", "{", "NaN", '{"a": Infinity}', '{"a": 1, "a": 2}', "{} {}", "{'a': 1}", "[1,]"])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        parse_json(text)


def test_json_that_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(ValueError, match="too deep"):
        parse_json("[" * 200_000)


@pytest.mark.parametrize(
    "reply",
    [
        '{"a": 1}',
        ' \n{"a": 1}\n ',
        '```json\n{"a": 1}\n```',
        '```\n{"a":\n1}\n```\n',
        '```{"a": 1}```',
        '```json\n{"a": 1}',
        'Here it is:\n```json\n{"a": 1}\n```\nThat is all.',
        'The verdict is {"a": 1}',
        '{"a": 1} as asked',
        'For {name} it is {"a": 1}.',
        '{"a": 1} {"a": 1}',
        '{"a": 1,}',
        "{'a': 1}",
        '{"a": 1, // one\n}',
        '"{\\"a\\": 1}"',
    ],
)
def test_the_one_object_of_a_reply_is_read(reply: str) -> None:
    assert parse_reply(reply) == {"a": 1}


def test_constants_of_python_are_read() -> None:
    assert parse_reply("{'a': True, 'b': None, 'c': 'True or None'}") == {"a": True, "b": None, "c": "True or None"}


def test_a_line_break_within_a_string_is_read() -> None:
    assert parse_reply('{"a": "x\ny"}') == {"a": "x\ny"}


@pytest.mark.parametrize("reply", ['{"a": 1} {"a": 2}', '```\n{"a": 1}\n```\n```\n{"a": 2}\n```'])
def test_of_two_objects_none_is_chosen(reply: str) -> None:
    with pytest.raises(AmbiguousReplyError, match="2 JSON objects that differ"):
        parse_reply(reply)
    assert parse_reply(reply, lambda value: value == {"a": 2}) == {"a": 2}


@pytest.mark.parametrize(
    "reply",
    [
        "It is right.",
        "```json\nright\n```",
        '{"a": [{"b": 1}, {"b": 2',  # cut off: nothing is read out of its inside
        '{"a": 1} {"a": 2',
        '{"a": NaN}',
        '{"a": 1, "a": 2}',
        '{"a":' * 100_000,
        "{" * 100_000,
        "{a}" * 50_000,
    ],
)
def test_a_reply_without_an_object_is_refused(reply: str) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        parse_reply(reply)


SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "number", "minimum": 0}, "kind": {"enum": ["a", "b"]}},
    "required": ["total"],
    "additionalProperties": False,
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["a", "b", "c"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["total", "kind", "x"]), inner),
    max_leaves=4,
)


@given(VALUES)
def test_a_value_has_a_fault_when_jsonschema_finds_one(value: Any) -> None:
    checker = schema_checker(SCHEMA)
    assert (checker(value) is None) == jsonschema.Draft202012Validator(SCHEMA).is_valid(value)


def test_the_fault_says_what_and_where() -> None:
    assert schema_checker(SCHEMA)({"total": -1}) == "-1 is less than the minimum of 0 at $.total"


def test_the_draft_that_a_schema_names_counts() -> None:
    """In draft 4 `exclusiveMinimum` is a boolean; in 2020-12 it is a number."""
    old = {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 0, "exclusiveMinimum": True}
    assert schema_checker(old)(0) is not None
    with pytest.raises(UsageError, match="not a JSON Schema"):
        schema_checker({"minimum": 0, "exclusiveMinimum": True})


def test_a_schema_elsewhere_is_never_fetched() -> None:
    """The socket guard of conftest would complain of a look-up; what is raised is that the place is unknown."""
    checker = schema_checker({"$ref": "http://127.0.0.1:9/other.json"})
    with pytest.raises(Exception, match="Unresolvable"):
        checker({})
    assert satisfies("{}", {"$ref": "http://127.0.0.1:9/other.json"}) is None


@pytest.mark.parametrize(
    ("text", "expected"), [('{"a": 1}', True), ('{"a": "x"}', False), ("{}", False), ("a: 1", False), ("", False)]
)
def test_a_text_satisfies_a_schema_or_not(text: str, expected: bool) -> None:
    assert satisfies(text, {"required": ["a"], "properties": {"a": {"type": "integer"}}}) is expected


def test_keys_come_in_the_order_of_the_schema_at_every_depth() -> None:
    line = {"type": "object", "properties": {"sku": {}, "count": {}}}
    schema = {
        "properties": {
            "order": {"type": "string"},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
            "payer": {"anyOf": [{"type": "null"}, {"properties": {"name": {}, "city": {}}}]},
        },
        "$defs": {"line": line},
    }
    value = {
        "payer": {"city": "Hull", "name": "Ada"},
        "note": None,
        "lines": [{"count": 2, "sku": "B1"}, {"more": 1, "count": 1}],
        "order": "7",
    }
    ordered = in_schema_order(value, schema)
    assert ordered == value
    assert list(ordered) == ["order", "lines", "payer", "note"]
    assert [list(each) for each in ordered["lines"]] == [["sku", "count"], ["count", "more"]]
    assert list(ordered["payer"]) == ["name", "city"]


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_ordering_changes_no_value_whatever_the_schema(value: Any) -> None:
    loop = {"properties": {"a": {"$ref": "#"}, "": {"$ref": "#/nowhere"}}, "items": {"$ref": "#/items"}}
    assert in_schema_order(value, loop) == value
    assert in_schema_order(value, {}) == value
