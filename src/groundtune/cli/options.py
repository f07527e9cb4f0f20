"""Options that several verbs share, and how their values are read. Prints nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from groundtune.errors import UsageError

Folder = Annotated[Path, typer.Argument(help="Folder of the project, or one below it.", show_default="this folder")]
Project = Annotated[
    Path, typer.Option("--project", "-C", help="Folder of the project, or one below it.", show_default="this folder")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
AllowTruncation = Annotated[
    int | None,
    typer.Option("--allow-truncation", min=0, metavar="N", help="Of a training: so many rows may lose their end."),
]
Groups = Annotated[list[str] | None, typer.Option("--group", "-g", help="A group of the asker; may be repeated.")]
FilterTexts = Annotated[
    list[str] | None, typer.Option("--filter", "-f", help="KEY=VALUE on metadata; repeated for one KEY: any of them.")
]


def filters(texts: Sequence[str] | None) -> dict[str, list[str]]:
    """`["lang=en", "lang=de"]` as `{"lang": ["en", "de"]}`. Raises UsageError."""
    found: dict[str, list[str]] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"--filter {text!r} is not KEY=VALUE", hint="for example --filter product=Wren")
        found.setdefault(key, []).append(value)
    return found


Primary = Annotated[str | None, typer.Option("--primary", help="The score that decides, instead of the task's own.")]
Require = Annotated[
    list[str] | None,
    typer.Option("--require", help='The choice must reach "correct>=0.8", else exit code 1; may be repeated.'),
]
