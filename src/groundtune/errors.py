"""All errors that groundtune raises on purpose, each with a hint on how to fix it and the exit code of the command.

GroundtuneError            1  the command ran, and its outcome is negative
├── UsageError             2  an invalid call or flag
│   └── QuestionError      2  a question cannot be answered as it was asked; names no file and no address
├── ConfigError            2  groundtune.toml or an examples file is wrong; carries every problem at once
├── MissingError           3  something is missing: index, extra, key, file
│   ├── IndexMismatchError 3  the index was built with a different configuration
│   └── FormatError        3  a file on disk has a format that this version cannot read
├── AccessError            1  the user may not read what the answer would come from
├── BusyError              1  another process is writing to this project
├── BudgetError            1  the next call might cost more than the budget has left
├── ParseError             1  a file cannot be read; ingest records it and continues
├── ProviderError          4  a model's endpoint or a database failed; `kind` says how
└── JudgeError             4  a judge gave no verdict; `failure` says how its endpoint failed, if it did
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from groundtune.types import Usage

ProviderFailure = Literal[
    "bad_key",
    "unknown_model",
    "rate_limit",
    "no_server",
    "timeout",
    "bad_request",
    "bad_response",
    "server",
    "unreadable",
    "refused_text",
]
"""`unreadable`: the model replied, and was paid, but nobody can tell what its reply says. `refused_text`: an embedding
model has no vector for one text, but for others."""


class GroundtuneError(Exception):
    """Base of all errors. The message says what happened and where; `hint` is the command or edit that fixes it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(GroundtuneError):
    exit_code = 2


class QuestionError(UsageError):
    """Whoever asks can mend it, and may be anybody: the message names no file of this machine and no address."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file."""

    path: Path
    message: str
    line: int | None = None
    hint: str | None = None

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else str(self.path)
        return f"{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class ConfigError(GroundtuneError):
    """Every problem of a file that people write, not only the first."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem], *, hint: str | None = None) -> None:
        super().__init__("\n".join(map(str, problems)), hint=hint)
        self.problems = tuple(problems)


class MissingError(GroundtuneError):
    exit_code = 3


class IndexMismatchError(MissingError):
    pass


class FormatError(MissingError):
    """A file was written by a newer groundtune, or by one too old. The file itself is intact."""


class AccessError(GroundtuneError):
    """Names no document and no group, since the user may not know them."""


class BusyError(GroundtuneError):
    pass


class BudgetError(GroundtuneError):
    """Raised before the call, so nothing was spent on it."""


class ParseError(GroundtuneError):
    """A file cannot be read. `skip` is true when it is fine but has nothing to index (empty, no text layer)."""

    def __init__(self, message: str, *, hint: str | None = None, skip: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.skip = skip


class ProviderError(GroundtuneError):
    exit_code = 4

    def __init__(
        self,
        message: str,
        *,
        kind: ProviderFailure,
        retryable: bool = False,
        hint: str | None = None,
        usage: "Usage | None" = None,
        cut: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        """usage: what the failed call took, where that is known. cut: the limit at which its reply was cut off.

        retry_after: how many seconds the server asks to wait.
        """
        super().__init__(message, hint=hint)
        self.kind = kind
        self.retryable = retryable
        self.usage = usage
        self.cut = cut
        self.retry_after = retry_after

    @property
    def may_be_billed(self) -> bool:
        """Whether the provider may bill the call all the same."""
        return self.kind in ("timeout", "bad_response")


class JudgeError(GroundtuneError):
    """A judge gave no verdict, so there is no score. `failure` is None when it replied with something unusable."""

    exit_code = 4
    kind = "judge"

    def __init__(self, message: str, *, failure: ProviderFailure | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.failure = failure


def need(module: str, *, extra: str) -> ModuleType:
    """Import an optional dependency. Raises MissingError that names the extra to install."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise MissingError(
            f"{error.name} is not installed; {module} needs it", hint=f"pip install 'groundtune[{extra}]'"
        ) from error
