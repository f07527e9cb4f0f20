"""Implement `groundtune use`: make an approach the project's choice, or return to the one before."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder
from groundtune.config import PROJECT_FILE
from groundtune.errors import UsageError

if TYPE_CHECKING:
    from groundtune.workflows.choosing import Choice


def run(
    approach: Annotated[
        str | None,
        typer.Argument(
            help="Name of the approach, as shown by compare; NAME@ID for an earlier trained model.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    *,
    verdict: Annotated[
        bool, typer.Option("--verdict", help="Use the approach that the latest comparison recommends.")
    ] = False,
    back: Annotated[bool, typer.Option("--back", help="Return to the previous choice.")] = False,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Make an approach the project's choice, which ask then uses.

    Writes [answers] approach to the project file and keeps its comments. A trained model is pinned: one trained later
    goes live only when it is chosen in turn. --verdict exits with 1 if there is no comparison or no clear winner, or
    if something has changed since the comparison.
    """
    from groundtune.project import Project

    if sum((approach is not None, verdict, back)) != 1:
        raise UsageError("use takes one of NAME, --verdict and --back", hint="groundtune use --verdict")
    with Project.open(folder) as project:
        if verdict:
            choice = project.use_verdict()
        elif back:
            choice = project.use_back()
        else:
            choice = project.use(approach or "")
    if json:
        output.print_json(output.jsonable(choice))
        return
    show_choice(choice)


def show_choice(choice: "Choice") -> None:
    """Print what was written, and what comes next."""
    if choice.approach is None:
        output.print_line(f"{PROJECT_FILE}: no approach is chosen; ask uses the default one", style="bold")
    else:
        output.print_line(f'{PROJECT_FILE}: [answers] approach = "{choice.approach}"', style="bold")
    if choice.run:
        output.print_line(f"recommended by the comparison {choice.run}")
    back = "; groundtune use --back returns to the previous one" if choice.approach else ""
    output.next_step('groundtune ask "…"', f"uses it{back}")
