"""Define the options that several commands share, and parse their values. Prints nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from groundtune.errors import UsageError
from groundtune.types import Split

ProjectFolder = Annotated[
    Path,
    typer.Option(
        "--project",
        "-C",
        metavar="FOLDER",
        help="Project folder, or any folder inside it.",
        show_default="this folder",
    ),
]
OnlySplit = Annotated[
    Split | None, typer.Option("--split", help="Use only the examples of this split.", show_default="all splits")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
Wait = Annotated[
    float,
    typer.Option(
        "--wait", metavar="SECONDS", help="How long to wait if another process is writing to the project.", min=0
    ),
]
AllowTruncation = Annotated[
    int | None,
    typer.Option("--allow-truncation", min=0, metavar="N", help="Allow up to N training rows to be truncated."),
]
Groups = Annotated[
    list[str] | None,
    typer.Option("--group", "-g", metavar="NAME", help="Access group of the user (repeatable)."),
]
FilterTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        "-f",
        metavar="KEY=VALUE",
        help="Only search documents whose metadata match; repeat a KEY to accept any of several values.",
    ),
]


def key_values(
    texts: Sequence[str] | None, *, option: str, example: str, form: str = "KEY=VALUE", once: bool = True
) -> Iterator[tuple[str, str]]:
    """Yield key and value of each text. option: its name, and `form` its metavar, for the UsageError of a wrong one.

    once: whether a key may be given once only.
    """
    keys: set[str] = set()
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"{option} {text!r} is not {form}", hint=f"for example: {option} {example}")
        if once and key in keys:
            raise UsageError(f"{option} {key} is given twice", hint="give it once")
        keys.add(key)
        yield key, value


def filters(texts: Sequence[str] | None) -> dict[str, list[str]]:
    """Parse `["lang=en", "lang=de"]` into `{"lang": ["en", "de"]}`. Raises UsageError."""
    values: dict[str, list[str]] = {}
    for key, value in key_values(texts, option="--filter", example="product=Wren", once=False):
        values.setdefault(key, []).append(value)
    return values


def _budget(value: float | None) -> float | None:
    if value is not None and not value >= 0:
        raise UsageError(f"--budget-usd must be 0 or more, not {value:g}")
    return value


BudgetUsd = Annotated[
    float | None,
    typer.Option(
        "--budget-usd", metavar="USD", help="Stop before spending more than this, in US dollars.", callback=_budget
    ),
]
Primary = Annotated[
    str | None,
    typer.Option("--primary", metavar="SCORE", help="Score that decides the verdict.", show_default="set by the task"),
]
Require = Annotated[
    list[str] | None,
    typer.Option(
        "--require",
        metavar="CONDITION",
        help="Exit with 1 unless the recommended approach (or, if there is none, every leader) meets this, "
        'such as "correct>=0.8" (repeatable).',
    ),
]
