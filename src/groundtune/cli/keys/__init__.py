"""Define `groundtune keys` and its commands, one module each. Starts no server."""

from groundtune.cli.lazy import command_group

COMMANDS = {
    "create": "Create an API key, and print it once.",
    "list": "List the keys: whose, with which groups and limits.",
    "revoke": "Make a key invalid, at once.",
}
"""Maps each command to its line in `groundtune keys --help`."""

ABOUT = """Create, list and revoke the API keys of groundtune serve.

Without a command, lists all keys.
"""

app = command_group(__name__, COMMANDS, about=ABOUT, default="list")
