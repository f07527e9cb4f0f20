"""Implement `groundtune examples split`: write the split of each example into its file. Moves no example."""

from pathlib import Path

from groundtune.cli import output
from groundtune.cli.examples.project_files import ExamplesFile, example_files
from groundtune.cli.options import Json, ProjectFolder
from groundtune.common.text import format_count


def run(file: ExamplesFile = None, *, folder: ProjectFolder = Path(), json: Json = False) -> None:
    """Write each example's split into its file, so it never changes.

    Without a written split, an example's split is derived from its id. Splits that are already written stay.
    """
    from groundtune.dataset.editing import freeze_splits

    done = {str(path): freeze_splits(path) for path in example_files(file, folder)}
    if json:
        output.print_json(done)
        return
    for path, counts in done.items():
        written = format_count(counts.frozen, "example")
        output.print_line(f"{output.printable(path)}: split written for {written}; {counts.explicit:,} already had one")
