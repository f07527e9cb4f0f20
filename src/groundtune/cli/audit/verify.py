"""Implement `groundtune audit verify`: check the chain of the records."""

from pathlib import Path
from typing import Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder

BROKEN = 1
"""Exit code of a broken chain."""


def run(
    *,
    head: Annotated[
        str | None,
        typer.Option("--head", metavar="DIGEST", help="A digest that verify printed earlier; it must be in the chain."),
    ] = None,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> int:
    """Check that no record was changed, removed or inserted; exit with 1 otherwise.

    Prints the digest of the last record. Keep it elsewhere: given as --head later, it proves that nothing was cut off
    the end meanwhile.
    """
    from groundtune.project import Project
    from groundtune.records.audit_log import AuditLog

    with Project.open(folder) as project:
        expires = project.config.serve.audit_days is not None
        check = AuditLog(project.workspace).verify(head=head, expires=expires)
    if json:
        output.print_json(check)
    elif check.problem:
        output.print_line(f"the audit log is broken: {check.problem}", style="bold")
    else:
        output.print_line(f"{check.records:,} records, none changed")
        if check.expired:
            output.print_line(f"records 1 to {check.expired:,} have expired")
        output.print_line(f"head {check.head}")
    return BROKEN if check.problem else 0
