"""Record one decision about a served answer, for the commands that make one."""

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli import output

if TYPE_CHECKING:
    from groundtune.review.queue import State

AnswerId = Annotated[str, typer.Argument(help="Id of the answer, or its beginning.", metavar="ID")]
By = Annotated[str | None, typer.Option(metavar="NAME", help="Who decides.", show_default="the name of the user")]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="Say why; it is kept with the decision.")]


def reviewer(by: str | None) -> str:
    """Return who decides: the user of this machine unless somebody is named."""
    return by or getpass.getuser()


def decide(
    folder: Path, answer: str, state: "State", *, by: str | None, note: str = "", text: str | None = None, json: bool
) -> None:
    """Record a decision and print what has become of the item."""
    from groundtune.project import Project

    with Project.open(folder) as project:
        item = project.review(answer, state, by=reviewer(by), text=text, note=note)
    if json:
        output.print_json(item)
    elif item.state == "pending":
        output.print_line(f"{item.answer[:8]} still pending: more reviewers have to decide")
    else:
        output.print_line(f"{item.answer[:8]} {item.state}")
