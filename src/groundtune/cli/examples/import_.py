"""Implement `groundtune examples import`: read a file in any known format, and add its rows to the examples."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from groundtune.cli import output
from groundtune.cli.examples.project_files import import_target, named_files
from groundtune.cli.options import Json, ProjectFolder
from groundtune.common.text import format_count
from groundtune.errors import MissingError
from groundtune.types import Split

if TYPE_CHECKING:
    from groundtune.dataset.editing import MergeReport
    from groundtune.dataset.importing.convert import ImportResult


_Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="NAME",
        help="Format of the file: examples, chat, prompt, preference, alpaca, sharegpt, csv, tsv or rows.",
        show_default="detected",
    ),
]
_Target = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Examples file to write to.",
        show_default="the first example file of the project, or examples.jsonl",
    ),
]
_Split = Annotated[
    Split | None,
    typer.Option(help="Split of rows that name none.", show_default="derived from the input"),
]
_InputColumn = Annotated[
    str | None,
    typer.Option("--input", metavar="NAME", help="Column that holds the input.", show_default="detected"),
]
_OutputColumn = Annotated[
    str | None,
    typer.Option("--output", metavar="NAME", help="Column that holds the gold output.", show_default="detected"),
]
_Abstain = Annotated[
    list[str] | None,
    typer.Option(metavar="TEXT", help="Output value that stands for an abstention (repeatable)."),
]
_System = Annotated[
    Literal["refuse", "join", "drop"],
    typer.Option(
        help="What to do if system messages differ between rows: refuse the file, join each to its input, or drop them."
    ),
]
_Turns = Annotated[
    Literal["refuse", "history", "join", "last"],
    typer.Option(
        help="What to do with chats that have several user turns: refuse the file, keep the turns before the last "
        "question as its history, join all turns, or keep only the last."
    ),
]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the outputs of examples that already exist.")]


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to import.")],
    *,
    kind: _Format = None,
    to: _Target = None,
    split: _Split = None,
    column_in: _InputColumn = None,
    column_out: _OutputColumn = None,
    abstain: _Abstain = None,
    system: _System = "refuse",
    turns: _Turns = "refuse",
    overwrite: _Overwrite = False,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Add rows from a file in another format to the examples.

    Importing a file again adds only what is new. Needs no project.
    """
    from groundtune.dataset.importing.assembly import ImportOptions
    from groundtune.dataset.importing.convert import import_file

    options = ImportOptions(column_in, column_out, split, tuple(abstain or ()), system, turns)
    target = to or import_target(folder)
    imported = import_file(file, cast(Any, kind), options=options)
    named = named_files(target)
    merge = _merge(imported, target, named, overwrite=overwrite)
    if json:
        about: dict[str, Any] = {"format": imported.format, "to": target, "notes": imported.notes}
        about |= {"instructions": imported.instructions, "examples": len(imported.examples)}
        output.print_json({**about, **output.jsonable(merge)})
        return
    _show(file, target, imported, merge, overwrite=overwrite)
    if named is not None and target.resolve() not in (named_files(target) or ()):
        output.hint(f'add it to groundtune.toml: [examples] files = ["{output.printable(target.name)}"]')
    output.next_step("groundtune examples stats", "shows the new counts")


def _merge(imported: "ImportResult", target: Path, named: Sequence[Path] | None, *, overwrite: bool) -> "MergeReport":
    """Add the examples to the target. An input that is in another file of the project keeps its split."""
    from groundtune.dataset.editing import merge_examples
    from groundtune.dataset.examples import read_examples

    others = [path for path in named or () if path != target.resolve() and path.stat().st_size]
    beside = [example for path in others for example in read_examples(path)]
    try:
        return merge_examples(target, imported.examples, overwrite=overwrite, other_examples=beside)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MissingError(f"cannot write {output.printable(target)}: {reason}") from error


def _show(file: Path, target: Path, imported: "ImportResult", merge: "MergeReport", *, overwrite: bool) -> None:
    output.print_line(
        f"{format_count(len(imported.examples), 'example')} in {output.printable(file)}, read as {imported.format}"
    )
    for note in imported.notes:
        output.print_line(f"  {output.excerpt(note, 200)}")
    if imported.instructions:
        output.print_line(f"  instructions: {output.excerpt(imported.instructions, 200)}")
    output.print_line(f"{len(merge.new):,} added to {output.printable(target)}, {len(merge.same):,} already there")
    if merge.known:
        is_single = len(merge.known) == 1
        effect = "repeats" if is_single else "repeat"
        placed = f"{'it was' if is_single else 'they were'} put in the same split as the original"
        output.print_line(
            f"{format_count(len(merge.known), 'new example')} {effect} an existing input under a new id; {placed}"
        )
    if merge.near_held_out:
        first, why = next(iter(merge.near_held_out.items()))
        output.warn(
            f"{format_count(len(merge.near_held_out), 'new train example')} nearly in what is measured with, such as "
            f"{first}, which {why}"
        )
    if merge.differing:
        effect = (
            "had their output replaced by the one in the file"
            if overwrite
            else "kept their output; --overwrite replaces it"
        )
        output.warn(f"{format_count(len(merge.differing), 'example')} {effect}: {', '.join(merge.differing[:5])}")
