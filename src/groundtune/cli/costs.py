"""Implement `groundtune costs`: what each approach costs, and where the lines cross."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder
from groundtune.config import find_project
from groundtune.errors import MissingError

if TYPE_CHECKING:
    from groundtune.workflows.costing import CostReport


def run(
    name: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Name of a comparison.", show_default="the latest one")
    ] = None,
    *,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Show what each approach costs: to set up, by the request, by the month, and by the correct answer.

    Takes tokens, seconds, prices and quality from the latest comparison. Without one, or outside a project, it uses
    stated assumptions; [costs.assumptions] overrides each. What runs on this machine is priced by its seconds.
    """
    report = _cost_report(name, folder)
    if json:
        output.print_json(report.summary())
    else:
        output.show_blocks(report.view(), whole=True)
    if report.run is None:
        output.next_step("groundtune compare", "measures tokens, seconds and quality, which the costs then use")


def _cost_report(name: str | None, folder: Path) -> "CostReport":
    from groundtune.workflows.costing import CostTerms, assumed_costs

    try:
        find_project(folder)
    except MissingError:
        if name is not None or not folder.is_dir():
            raise
        return assumed_costs(CostTerms())
    from groundtune.project import Project

    with Project.open(folder) as project:
        try:
            report = project.report(name)
        except MissingError:
            if name is not None:
                raise
            report = None
        terms = CostTerms.of_project(project.config, len(project.session.examples()))
        return assumed_costs(terms) if report is None else report.costs_on(terms)
