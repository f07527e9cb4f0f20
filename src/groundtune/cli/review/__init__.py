"""Define `groundtune review` and its commands, one module each. Writes nothing."""

import typer

from groundtune.cli.lazy import APP, LazyGroup

COMMANDS = {
    "queue": "Decide about served answers one by one, or list them.",
    "accept": "Accept an answer as it is.",
    "edit": "Put a better text in place of an answer.",
    "reject": "Reject an answer: it must not be learnt from.",
    "decline": "Leave an answer undecided for good, because you cannot tell.",
    "assign": "Give an item to a person.",
    "promote": "Add accepted and edited answers to the examples.",
}
"""Maps each command to its line in `groundtune review --help`."""


class _Review(LazyGroup):
    package = __name__
    lines = COMMANDS
    default = "queue"


app = typer.Typer(**APP, cls=_Review, subcommand_metavar="[COMMAND] [ARGS]...")


@app.callback()
def _review() -> None:
    """Review the answers that groundtune serve gave: accept, edit or reject them, and make examples of them.

    Without a command, shows those that wait for you, one after the other.
    """
