"""Define `groundtune examples` and its commands, one module each. Reads nothing and writes nothing."""

from groundtune.cli.lazy import command_group

COMMANDS = {
    "draft": "Draft examples from the documents, where there are none.",
    "review": "Accept, edit or reject drafted examples, one key each.",
    "import": "Add rows from a file in another format to the examples.",
    "stats": "Count examples by split, label and tag, and find duplicates.",
    "split": "Write each example's split into its file, so it never changes.",
    "export": "Write the examples in another format.",
}
"""Maps each command to its line in `groundtune examples --help`."""

ABOUT = """Draft, review, import, count, split and export examples.

An example is an input with its gold output, and optionally the passages that support it.
"""

app = command_group(__name__, COMMANDS, about=ABOUT)
