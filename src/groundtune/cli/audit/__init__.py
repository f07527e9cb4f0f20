"""Define `groundtune audit` and its commands, one module each. Writes nothing."""

from groundtune.cli.lazy import command_group

COMMANDS = {
    "show": "Show the record of one answer.",
    "replay": "Ask the question of an answer again, and show what differs.",
    "export": "Print all records as JSON Lines.",
    "verify": "Check that no record was changed, removed or inserted.",
}
"""Maps each command to its line in `groundtune audit --help`."""

ABOUT = """Show, replay, export or verify the records of the answers that groundtune serve gave.

Without a command, verifies them.
"""

app = command_group(__name__, COMMANDS, about=ABOUT, default="verify")
