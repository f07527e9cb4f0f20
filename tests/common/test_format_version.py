"""Versions of file formats: which are read, and what is said about the others."""

from pathlib import Path
from typing import Any

import pytest

from groundtune.common.format_version import FORMAT, check_version, versioned
from groundtune.errors import FormatError, MissingError

PATH = Path("thing.json")


def check(values: Any, supported: range | int) -> dict[str, Any]:
    return check_version(values, path=PATH, supported=supported, rebuild="groundtune make thing")


def test_a_version_is_written_and_removed_again() -> None:
    written = versioned({"a": 1}, 3)
    assert written == {"a": 1, FORMAT: 3}
    assert check(written, 3) == {"a": 1}
    assert versioned(written, 4) == {"a": 1, FORMAT: 4}


@pytest.mark.parametrize("supported", [0, 3, range(4)])
def test_a_file_without_a_version_is_the_oldest(supported: range | int) -> None:
    assert check({"a": 1}, supported) == {"a": 1}


@pytest.mark.parametrize("supported", [3, range(2, 4)])
def test_a_newer_file_is_refused_with_the_upgrade(supported: range | int) -> None:
    with pytest.raises(FormatError) as caught:
        check({FORMAT: 7}, supported)
    assert caught.value.message == (
        "thing.json was written by a newer groundtune (format 7, this one reads up to 3)"
    )  # fmt: skip
    assert caught.value.hint == "pip install --upgrade groundtune, or: groundtune make thing"


def test_a_file_that_is_too_old_is_refused_with_the_command_that_writes_it_again() -> None:
    with pytest.raises(FormatError) as caught:
        check({"a": 1}, range(2, 4))
    assert "an older groundtune (format 0, this one reads 2 or newer)" in caught.value.message
    assert caught.value.hint == "groundtune make thing"


@pytest.mark.parametrize("values", [[], "text", None, 3, {FORMAT: "1"}, {FORMAT: None}, {FORMAT: True}, {FORMAT: -1}])
def test_a_damaged_file_is_named(values: Any) -> None:
    with pytest.raises(MissingError) as caught:
        check(values, 3)
    assert not isinstance(caught.value, FormatError)
    assert "thing.json is damaged" in caught.value.message
    assert caught.value.hint == "groundtune make thing"
