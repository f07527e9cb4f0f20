"""Implement `groundtune keys list`: show the keys, never the secrets."""

from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder
from groundtune.common.text import format_count

if TYPE_CHECKING:
    from groundtune.records.spending import Spent
    from groundtune.serve.doors.keys import ApiKey


def run(*, folder: ProjectFolder = Path(), json: Json = False) -> None:
    """List the API keys of groundtune serve: whose, with which groups and limits, and which are revoked."""
    from groundtune.project import Project
    from groundtune.records.spending import Spending
    from groundtune.serve.doors.keys import KeyFile, shown

    with Project.open(folder) as project:
        keys, spending = KeyFile(project.workspace).all(), Spending(project.workspace)
    spent = {key.id: spending.spent(key.id, key.budget_per) for key in keys}
    if json:
        output.print_json({"keys": [{**shown(key), "spent": output.jsonable(spent[key.id])} for key in keys]})
        return
    if not keys:
        output.print_line("There are no keys: on 127.0.0.1, groundtune serve accepts every bearer token.")
        output.next_step("groundtune keys create NAME")
        return
    rows = [_row(key, spent[key.id]) for key in keys]
    output.show_table(["id", "name", "groups", "per minute", "spent", "made", "revoked"], rows, droppable=["made"])


def _row(key: "ApiKey", spent: "Spent") -> list[str | int | None]:
    groups = ", ".join(key.groups) or None
    return [key.id, key.name, groups, key.per_minute, _spent(key, spent), key.made, key.revoked]


def _spent(key: "ApiKey", spent: "Spent") -> str | None:
    """Format what a key has spent in its period: `$1.20 of $5.00 a day, 2 answers estimated`."""
    if key.budget_usd is None and not (spent.usd or spent.unknown):
        return None
    budget = "" if key.budget_usd is None else f" of ${key.budget_usd:,.2f}"
    how = "of unknown cost" if spent.estimate is None else "estimated"
    unknown = f", {format_count(spent.unknown, 'answer')} {how}" if spent.unknown else ""
    return f"${spent.usd:,.2f}{budget} a {key.budget_per}{unknown}"
