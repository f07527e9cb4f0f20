"""Put other requirements, volumes or months in place of those of a run, to see what its verdict would be."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from groundtune.errors import UsageError
from groundtune.workflows.runs import Run


def assume(run: Run, assumptions: Mapping[str, str]) -> Run:
    """Return the run under other assumptions. Its answers and scores stay; nothing is asked again.

    assumptions: values as text, by key; `none` removes a requirement. Raises UsageError that names a wrong one.
    """
    about = dict(run.about)
    required = dict(about.get("requirements", {}))
    for key, text in assumptions.items():
        read = KEYS.get(key)
        if read is None:
            raise UsageError(f"--what-if {key}: there is no such key", hint=f"keys: {', '.join(KEYS)}")
        try:
            value = read(text.strip())
        except ValueError as error:
            raise UsageError(f"--what-if {key}={text}: {error}") from None
        if key == "months":
            about["months"] = value
        else:
            required[key] = value
    return replace(run, about={**about, "requirements": required})


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError("must be a number, such as 250000 or 1e6") from None
    if not math.isfinite(number) or number < 0:
        raise ValueError("must be a number of 0 or more")
    return number


def _count(text: str) -> int:
    number = _number(text)
    if number < 1 or number != int(number):
        raise ValueError("must be a whole number of 1 or more")
    return int(number)


def _share(text: str) -> float:
    number = _number(text)
    if number > 1:
        raise ValueError("must lie between 0 and 1")
    return number


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("must be true or false")
    return text.lower() == "true"


def _or_none(read: Callable[[str], Any]) -> Callable[[str], Any]:
    return lambda text: None if text.lower() == "none" else read(text)


KEYS: Mapping[str, Callable[[str], Any]] = {
    "requests_per_month": _or_none(_count),
    "months": _count,
    "citations": _truth,
    "max_asserted_wrong": _or_none(_share),
    "max_p95_seconds": _or_none(_number),
    "max_usd_per_1k": _or_none(_number),
    "max_usd_per_month": _or_none(_number),
}
"""What can be assumed, and how its text is read."""
