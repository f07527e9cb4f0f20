"""Define `groundtune audit` and its commands, one module each. Writes nothing."""

import typer

from groundtune.cli.lazy import APP, LazyGroup

COMMANDS = {
    "show": "Show the record of one answer.",
    "export": "Print all records as JSON Lines.",
    "verify": "Check that no record was changed, removed or inserted.",
}
"""Maps each command to its line in `groundtune audit --help`."""


class _Audit(LazyGroup):
    package = __name__
    lines = COMMANDS
    default = "verify"


app = typer.Typer(**APP, cls=_Audit, subcommand_metavar="[COMMAND] [ARGS]...")


@app.callback()
def _audit() -> None:
    """Show, export or verify the records of the answers that groundtune serve gave.

    Without a command, verifies them.
    """
