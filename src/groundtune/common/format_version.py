"""Mark files with the version of their format, and check it before they are read. Reads and writes no file itself.

A file without a version was written before there were any: it counts as version 0. Raise the version of a file when an
older groundtune would misread or refuse it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from groundtune.errors import FormatError, MissingError

FORMAT = "format"
"""Key of the version in a JSON file."""
UPGRADE = "pip install --upgrade groundtune"


def versioned(values: Mapping[str, Any], version: int) -> dict[str, Any]:
    """Return the values with the version of their format."""
    return {**values, FORMAT: version}


def check_version(values: Any, *, path: Path | str, supported: range | int, rebuild: str) -> dict[str, Any]:
    """Return the values of a file without its version.

    supported: the versions that can be read, or the newest of them if every older one can. rebuild: command that writes
    the file again. Raises FormatError for any other version, MissingError when the file is damaged.
    """
    if not isinstance(values, dict):
        raise MissingError(f"{path} is damaged: not a JSON object", hint=rebuild)
    check_number(values.get(FORMAT, 0), path=path, supported=supported, rebuild=rebuild)
    return {key: value for key, value in values.items() if key != FORMAT}


def check_number(version: Any, *, path: Path | str, supported: range | int, rebuild: str) -> None:
    """Check a version that is not in a JSON file; arguments and errors are those of `check_version`."""
    if isinstance(version, bool) or not isinstance(version, int) or version < 0:
        raise MissingError(f"{path} is damaged: {version!r} is not a format version", hint=rebuild)
    known = range(supported + 1) if isinstance(supported, int) else supported
    if version in known:
        return
    if version > known[-1]:
        reads = f"this one reads up to {known[-1]}"
        raise FormatError(
            f"{path} was written by a newer groundtune (format {version}, {reads})", hint=f"{UPGRADE}, or: {rebuild}"
        )
    message = f"{path} was written by an older groundtune (format {version}, this one reads {known[0]} or newer)"
    raise FormatError(message, hint=rebuild)
