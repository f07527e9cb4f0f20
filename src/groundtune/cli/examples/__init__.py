"""Define `groundtune examples` and its commands, one module each. Reads nothing and writes nothing."""

import typer

from groundtune.cli.lazy import APP, LazyGroup

COMMANDS = {
    "draft": "Draft examples from the documents, where there are none.",
    "review": "Accept, edit or reject drafted examples, one key each.",
    "import": "Add rows from a file in another format to the examples.",
    "stats": "Count examples by split, label and tag, and find duplicates.",
    "split": "Write each example's split into its file, so it never changes.",
    "export": "Write the examples in another format.",
}
"""Maps each command to its line in `groundtune examples --help`."""


class _Examples(LazyGroup):
    package = __name__
    lines = COMMANDS


app = typer.Typer(**APP, cls=_Examples, no_args_is_help=True)


@app.callback()
def _examples() -> None:
    """Draft, review, import, count, split and export examples.

    An example is an input with its gold output, and optionally the passages that support it.
    """
