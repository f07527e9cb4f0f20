"""Implement `groundtune audit show`: print the record of one answer."""

from pathlib import Path
from typing import Annotated, Any

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder
from groundtune.display.answers import place

KEYS = (
    "time", "caller", "groups", "status", "reason", "approach", "generator", "index", "groundtune", "shadow",
    "shadow_of",
)  # fmt: skip
"""What is shown of a record, where it has it."""


def run(
    answer: Annotated[str, typer.Argument(help="Id of the answer, or its beginning.", metavar="ID")],
    *,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Show who asked what and when, what was answered by which approach, and from which passages."""
    from groundtune.project import Project
    from groundtune.records.audit_log import AuditLog

    with Project.open(folder) as project:
        log = AuditLog(project.workspace)
        entry = log.find(answer)
        events = [event for event in log.entries_of(str(entry.record["id"])) if event.is_event]
    if json:
        output.print_json({**output.jsonable(entry), "events": events})
        return
    record = entry.record
    for name in KEYS:
        if (value := record.get(name)) not in (None, [], ""):
            output.print_line(f"{name:>10}  {', '.join(value) if isinstance(value, list) else value}")
    if split := record.get("split"):
        output.print_line(f"{'split':>10}  {split['drawn']}, drawn from {split['choice']} and {split['second']}")
    for name in ("question", "answer"):
        output.print_line(f"{name:>10}  {output.printable(entry.texts.get(name, '(erased)'))}")
    for citation in record.get("citations", []):
        output.print_line(f"{'cited':>10}  {_cited(citation)}")
    for event in events:
        what = event.record.get("state") or event.record.get("to") or event.record.get("example")
        told = f"{what}, by {event.record['by']}, {event.record['time']}"
        output.print_line(f"{event.record['event']:>10}  {output.printable(told)}")
    output.print_note(f"record {entry.number:,}, digest {entry.digest}", style="dim")


def _cited(citation: dict[str, Any]) -> str:
    marker = "" if citation["marker"] is None else f"[{citation['marker']}] "
    where = place(citation["source"]) if citation["source"] else "no passage"
    span = "" if citation["start"] is None else f", characters {citation['start']:,} to {citation['end']:,}"
    return f"{marker}{citation['support']}: {output.printable(where)}{span}"
