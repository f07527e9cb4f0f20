"""Implement `groundtune audit export`: print all records as JSON Lines."""

import json as jsons
import sys
from pathlib import Path

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder


def run(*, folder: ProjectFolder = Path(), json: Json = False) -> None:
    """Print all records with their texts, oldest first: one JSON object a line, or with --json one for all."""
    from groundtune.project import Project
    from groundtune.records.audit_log import AuditLog

    with Project.open(folder) as project:
        entries = AuditLog(project.workspace).entries(events=True, shadows=True)
        if json:
            output.print_json({"records": list(entries)})
            return
        for entry in entries:
            sys.stdout.write(jsons.dumps(output.jsonable(entry)) + "\n")
