"""Define `groundtune keys` and its commands, one module each. Starts no server."""

import typer

from groundtune.cli.lazy import APP, LazyGroup

COMMANDS = {
    "create": "Create an API key, and print it once.",
    "list": "List the keys: whose, with which groups and limits.",
    "revoke": "Make a key invalid, at once.",
}
"""Maps each command to its line in `groundtune keys --help`."""


class _Keys(LazyGroup):
    package = __name__
    lines = COMMANDS
    default = "list"


app = typer.Typer(**APP, cls=_Keys, subcommand_metavar="[COMMAND] [ARGS]...")


@app.callback()
def _keys() -> None:
    """Create, list and revoke the API keys of groundtune serve.

    Without a command, lists all keys.
    """
