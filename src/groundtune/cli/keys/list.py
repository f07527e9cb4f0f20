"""Implement `groundtune keys list`: show the keys, never the secrets."""

from pathlib import Path

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder


def run(*, folder: ProjectFolder = Path(), json: Json = False) -> None:
    """List the API keys of groundtune serve: whose, with which groups and limits, and which are revoked."""
    from groundtune.project import Project
    from groundtune.serve.keys import KeyFile, shown

    with Project.open(folder) as project:
        keys = KeyFile(project.workspace).all()
    if json:
        output.print_json({"keys": [shown(key) for key in keys]})
        return
    if not keys:
        output.print_line("There are no keys: on 127.0.0.1, groundtune serve accepts every bearer token.")
        output.next_step("groundtune keys create NAME")
        return
    rows = [[key.id, key.name, ", ".join(key.groups) or None, key.per_minute, key.made, key.revoked] for key in keys]
    output.show_table(["id", "name", "groups", "per minute", "made", "revoked"], rows)
