"""Implement `groundtune examples export`: write the examples in another format. Changes no example."""

import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from groundtune.cli import output
from groundtune.cli.examples.project_files import ExamplesFile, example_files, listed, read_config
from groundtune.cli.options import Json, OnlySplit, ProjectFolder
from groundtune.common.text import format_count
from groundtune.errors import MissingError


def run(
    file: ExamplesFile = None,
    *,
    kind: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="Format to write: examples, chat, prompt, preference, alpaca, sharegpt, csv or tsv.",
        ),
    ] = "examples",
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="File to write.", show_default="stdout")] = None,
    split: OnlySplit = None,
    abstain: Annotated[
        str, typer.Option(metavar="TEXT", help="Text to write for an abstention.", show_default="empty")
    ] = "",
    instructions: Annotated[
        bool, typer.Option("--instructions", help="Put the project's instructions before each input.")
    ] = False,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Write the examples in another format.

    Prints to stdout unless --to names a file, and says on stderr which splits it contains.
    """
    from groundtune.dataset.examples import read_examples, select_split
    from groundtune.dataset.exporting import export_examples
    from groundtune.dataset.reviewing import is_rejected

    text = read_config(folder).instructions if instructions else None
    read = [example for path in example_files(file, folder) for example in read_examples(path)]
    examples = [example for example in read if not is_rejected(example)]
    chosen = select_split(examples, split) if split else examples
    exported = export_examples(chosen, cast(Any, kind), instructions=text, abstain=abstain)
    if to is not None:
        _write(exported.text, to)
    splits = {name: sum(example.split == name for example in chosen) for name in ("train", "validation", "test")}
    if json:
        about = {"format": kind, "splits": splits, "rows": exported.rows, "notes": exported.notes}
        output.print_json({**about, "text": None if to else exported.text, "to": to})
        return
    if to is None:
        sys.stdout.write(exported.text)
    where = f" in {output.printable(to)}" if to else ""
    output.print_note(f"{format_count(exported.rows, 'example')}{where} as {kind}: {listed(splits)}")
    for note in exported.notes:
        output.print_note(f"  {note}")
    if rejected := len(read) - len(examples):
        output.print_note(f"  left out, because somebody rejected them: {format_count(rejected, 'draft')}")
    if splits["test"]:
        output.warn(f"{format_count(splits['test'], 'example')} from the test split: do not train on them")


def _write(text: str, target: Path) -> None:
    from groundtune.common.files import write_atomic

    try:
        write_atomic(target, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MissingError(f"cannot write {output.printable(target)}: {reason}") from error
