"""Define `groundtune models` and its commands, one module each. Trains nothing."""

from groundtune.cli.lazy import command_group

COMMANDS = {
    "get": "Fetch a built-in language model, once for all projects.",
    "list": "List all trained models, including incomplete and damaged ones.",
    "show": "Show the settings, metrics and training data of a model.",
    "check": "Check that a served model reproduces the trained one.",
    "adopt": "Make a tuned retriever the project's retriever, or undo that.",
    "export": "Write a model in a format that inference servers load.",
    "remove": "Delete a model or an incomplete training run.",
    "seen": "List the models that were trained on a file, folder or example.",
}
"""Maps each command to its line in `groundtune models --help`."""

ABOUT = """Fetch a built-in model; list, inspect, check, adopt, export or remove trained ones.

Without a command, lists all models.
"""

app = command_group(__name__, COMMANDS, about=ABOUT, default="list")
