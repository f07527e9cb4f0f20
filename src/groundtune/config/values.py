"""Define and validate the values of a project file: patterns, addresses, names of variables."""

import difflib
import re
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from groundtune.extensions import Extensions, load_extensions

Language = Literal[
    "arabic", "danish", "dutch", "english", "finnish", "french", "german", "greek", "hungarian", "italian",
    "norwegian", "portuguese", "romanian", "russian", "spanish", "swedish", "tamil", "turkish",
]  # fmt: skip
BUILT_IN_PROMPTS = ("full", "short", "example")
"""Names of the wordings that approaches/wordings.py defines."""
ChangeFrequency = Literal["daily", "weekly", "monthly", "quarterly", "yearly", "never"]
Hosting = Literal["per_use", "reserved"]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SECRET = re.compile(r"(sk|pk|rk|gsk|hf|ghp|xai|api|key|nvapi|r8|AKIA|AIza)[-_]?(?=\w*\d)[\w-]{16,}\Z|eyJ")


def as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def value_error(message: str, *, hint: str = "", key: str = "") -> PydanticCustomError:
    """Return an error that `config.problems` prints verbatim; `key`: the key of the table that is to blame."""
    return PydanticCustomError("plain", "{message}", {"message": message, "hint": hint, "key": key})


def _pattern(value: str) -> str:
    if "\\" in value:
        raise value_error(f'"{value}" has a backslash', hint="use forward slashes")
    if value == "~" or value.startswith(("/", "~/")) or ".." in value.split("/"):
        raise value_error(
            f'"{value}" is outside the project folder', hint="patterns are relative to the folder of groundtune.toml"
        )
    return value


def _prompt(value: str) -> str:
    """Accept the name of a built-in wording, or the path of a file whose name can be part of that of an approach."""
    if value in BUILT_IN_PROMPTS:
        return value
    stem, dot, _ = value.rpartition("/")[2].rpartition(".")
    if not dot:
        close = difflib.get_close_matches(value, BUILT_IN_PROMPTS, n=1)
        hint = f'did you mean "{close[0]}"?' if close else 'write the path of a file, like "prompts/ours.txt"'
        raise value_error(f'must be one of {", ".join(BUILT_IN_PROMPTS)}, or a file, not "{value}"', hint=hint)
    if stem in BUILT_IN_PROMPTS:
        raise value_error(f'"{value}" has the name of the built-in prompt "{stem}"', hint="rename the file")
    if not re.fullmatch(r"[\w-]+", stem):
        raise value_error(
            f'the name of "{value}" becomes part of the names of approaches',
            hint="use letters, digits, - and _ before its ending",
        )
    return _pattern(value)


def _variable(value: str) -> str:
    if not _VARIABLE.match(value) or _SECRET.match(value) or _random(value):
        raise value_error(
            "is not the name of an environment variable (value hidden, because it may be an API key)",
            hint='write api_key_env = "OPENAI_API_KEY" and set that variable; revoke the key if it may have leaked',
        )
    return value


def _random(value: str) -> bool:
    """Whether a value looks like an API key: long, without underscores, with digits and lowercase letters."""
    return len(value) >= 20 and "_" not in value and any(c.isdigit() for c in value) and any(c.islower() for c in value)


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid:
        raise value_error("is not a web address", hint='write it like "http://localhost:11434/v1"')
    if "@" in parts.netloc:
        raise value_error(
            "contains a password",
            hint="remove the user name and password; to send a key, set api_key_env to the environment variable that "
            "holds it",
        )
    return value.rstrip("/")


def parse_residency(value: Any) -> Any:
    value = as_tuple(value)
    if value is None or value == "local":
        return value
    if isinstance(value, tuple) and value and all(isinstance(host, str) and host.strip() for host in value):
        for host in value:
            if "/" in host:
                raise value_error(
                    f'"{host}" is a URL, not a host name', hint='write only the host, like "api.example.com"'
                )
        return value
    raise value_error('must be "local" or a list of hosts', hint='write "local" or ["api.example.com"]')


def parse_range(value: Any) -> Any:
    """Return low, likely and high; a single number is all three."""
    numbers = as_tuple(value) if isinstance(value, list | tuple) else (value,) * 3
    right = len(numbers) == 3 and all(isinstance(each, int | float) and not isinstance(each, bool) for each in numbers)
    if not right or not 0 <= numbers[0] <= numbers[1] <= numbers[2] <= 1e15:  # products of several stay finite
        hint = "write 0.35, or low, likely and high: [0.2, 0.35, 0.8]"
        raise value_error("must be a number of 0 or more, or three that rise", hint=hint)
    return tuple(map(float, numbers))


def _name(value: str) -> str:
    if not re.fullmatch(r"[\w-]+", value):
        raise value_error("is not a valid name: it becomes part of a folder name", hint="use letters, digits, - and _")
    return value


def _day(value: Any) -> Any:
    """Accept a TOML date or its text."""
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise value_error(f'"{value}" is not a date', hint="write it like 2027-01-14") from None
    return value


def kind_of(*builtin: str, added: Callable[[Extensions], dict[str, Any]]) -> AfterValidator:
    """Return the validator of a `kind`: one of ours, or one that an installed package adds."""

    def known(value: str) -> str:
        if value in builtin or value in added(load_extensions()):
            return value
        extensions = load_extensions()
        choices = [*builtin, *sorted(added(extensions))]
        close = difflib.get_close_matches(value.lower(), choices, n=1)
        hints = [f'did you mean "{close[0]}"?'] if close else []
        hint = "; ".join([*hints, *extensions.broken.values()]) or "or install a package that provides it"
        shown = f'"{value}"' if len(value) <= 40 else "a string"
        raise value_error(f"must be one of {', '.join(choices)}, not {shown}", hint=hint)

    return AfterValidator(known)


Text = Annotated[str, Field(min_length=1)]
Options = dict[str, Any]
"""Settings of a kind that a package adds; passed to it by name."""
Day = Annotated[date, BeforeValidator(_day)]
Name = Annotated[str, Field(min_length=1), AfterValidator(_name)]
Pattern = Annotated[str, Field(min_length=1), AfterValidator(_pattern)]
EnvironmentVariable = Annotated[str, Field(min_length=1), AfterValidator(_variable)]
Url = Annotated[str, Field(min_length=1), AfterValidator(_url)]
Prompts = Annotated[tuple[Annotated[str, Field(min_length=1), AfterValidator(_prompt)], ...], BeforeValidator(as_tuple)]
Patterns = Annotated[tuple[Pattern, ...], BeforeValidator(as_tuple)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(as_tuple)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Usd = Annotated[float, Field(ge=0, le=1_000_000)]


AsTuple = BeforeValidator(as_tuple)
"""Turns a list of the file into a tuple."""


class Section(BaseModel):
    """Base of all tables: frozen, no unknown keys, no silent type conversion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
