"""Implement `groundtune search`: show what retrieval finds, with scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import FilterTexts, Groups, Json, ProjectFolder, filters
from groundtune.display.answers import passage_place

if TYPE_CHECKING:
    from groundtune.types import Hit


def run(
    question: Annotated[str, typer.Argument(help="The text to search for.", metavar="QUESTION")],
    *,
    k: Annotated[
        int | None,
        typer.Option(
            "-k", "--k", metavar="N", help="Number of passages to show.", min=1, show_default="retrieval.k, or 8"
        ),
    ] = None,
    group: Groups = None,
    filter: FilterTexts = None,  # noqa: A002 (the name of the flag)
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Show the passages that retrieval finds, best first, with the score of each stage."""
    from groundtune.project import Project

    with Project.open(folder) as project:
        hits = project.search(question, k=k, groups=group or (), filters=filters(filter))
    if json:
        output.print_json({"question": question, "hits": hits})
        return
    if not hits:
        output.print_line("Nothing found.")
        return
    _show(hits)
    output.next_step(f'groundtune ask "{question}"')


def _show(hits: "Sequence[Hit]") -> None:
    for number, hit in enumerate(hits, start=1):
        scores = "  ".join(f"{stage} {score:.3f}" for stage, score in sorted(hit.stages.items()))
        output.print_line(f"{number}. {output.printable(passage_place(hit))}", style="bold")
        output.print_note(f"   {scores}", style="dim")
        output.print_line("   " + output.excerpt(hit.passage.text, 300))
