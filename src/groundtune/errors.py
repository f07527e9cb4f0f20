"""Every error that groundtune raises on purpose, with the hint that fixes it and the exit code of the command.

GroundtuneError            1  it ran, and the outcome is negative
├── UsageError             2  a call or flag that cannot be meant
├── ConfigError            2  groundtune.toml or an examples file is wrong; carries every problem at once
├── MissingError           3  something is not there: index, extra, key, file
│   └── IndexMismatchError 3  the index was built by other parts than the configured ones
├── BusyError              1  another process is writing to this project
├── BudgetError            1  the next call might cost more than is left to spend
├── ParseError             1  a file cannot be read; ingest turns it into a row of its ledger
├── ProviderError          4  a model's endpoint failed; `kind` says how
└── JudgeError             4  a judge gave no verdict; `failure` says how, where its endpoint failed
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal

ProviderFailure = Literal[
    "bad_key", "unknown_model", "rate_limit", "no_server", "timeout", "bad_request", "bad_response", "server"
]


class GroundtuneError(Exception):
    """Says what happened and where; `hint` is the command or edit that fixes it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(GroundtuneError):
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file."""

    path: Path
    message: str
    line: int | None = None
    hint: str | None = None

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class ConfigError(GroundtuneError):
    """What is wrong in a file that people write: every problem, not only the first."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem], *, hint: str | None = None) -> None:
        super().__init__("\n".join(map(str, problems)), hint=hint)
        self.problems = tuple(problems)


class MissingError(GroundtuneError):
    exit_code = 3


class IndexMismatchError(MissingError):
    pass


class BusyError(GroundtuneError):
    pass


class BudgetError(GroundtuneError):
    """Raised before the call: nothing was spent on it."""


class ParseError(GroundtuneError):
    """`skip` is true for a file that is fine but has nothing to index (empty, no text layer)."""

    def __init__(self, message: str, *, hint: str | None = None, skip: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.skip = skip


class ProviderError(GroundtuneError):
    exit_code = 4

    def __init__(
        self, message: str, *, kind: ProviderFailure, retryable: bool = False, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.retryable = retryable


class JudgeError(GroundtuneError):
    """There is no verdict, and so no score; `failure` is None when there was a reply, but none that can be used."""

    exit_code = 4
    kind = "judge"

    def __init__(self, message: str, *, failure: ProviderFailure | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.failure = failure


def need(module: str, *, extra: str) -> ModuleType:
    """The one door to optional dependencies. Raises MissingError that names the extra to install."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingError(
            f"{error.name} is not installed; {module} needs it", hint=f"pip install 'groundtune[{extra}]'"
        ) from error
