"""Implement `groundtune keys create`: create an API key, and print it once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder


def run(
    name: Annotated[str, typer.Argument(help="Whose key it is, such as a person or a program.", metavar="NAME")],
    *,
    group: Annotated[
        list[str] | None,
        typer.Option("--group", "-g", metavar="NAME", help="Access group of whoever has the key (repeatable)."),
    ] = None,
    per_minute: Annotated[
        int | None,
        typer.Option(
            "--per-minute", metavar="N", help="Most requests a minute.", min=1, max=1_000_000, show_default="no limit"
        ),
    ] = None,
    budget_usd: Annotated[
        float | None,
        typer.Option(
            "--budget-usd",
            metavar="USD",
            help="Most that its answers may cost in a period, in US dollars.",
            min=0,
            show_default="no limit",
        ),
    ] = None,
    per: Annotated[Literal["day", "month"], typer.Option("--per", help="Period of the budget, by UTC.")] = "month",
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Create an API key for groundtune serve, and print it; it is stored as a digest and cannot be shown again.

    The first key closes the server: from then on, requests without a valid key are refused.
    """
    from groundtune.project import Project
    from groundtune.serve.doors.keys import KeyFile, shown

    with Project.open(folder) as project:
        key, secret = KeyFile(project.workspace).create(
            name, groups=group or (), per_minute=per_minute, budget_usd=budget_usd, budget_per=per
        )
    if json:
        output.print_json({**shown(key), "key": secret})
        return
    output.print_line(secret)
    output.print_note(f"The key of {name}, shown this once.", style="dim")
    output.next_step("groundtune serve")
