"""Implement `groundtune examples`: import, count, split and export examples. Measures nothing."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, Project
from groundtune.common.text import format_count
from groundtune.errors import MissingError, UsageError

if TYPE_CHECKING:
    from groundtune.config import Config
    from groundtune.dataset.importing.assembly import ImportOptions
    from groundtune.dataset.summary import ExampleStats

FILE = "examples.jsonl"
FORMATS = "examples, chat, prompt, preference, alpaca, sharegpt, csv, tsv, rows"
SHOWN = 30
"""Labels and tags that are printed; --json has all."""


_Action = Annotated[
    Literal["import", "stats", "split", "export"],
    typer.Argument(help="Action to perform, as described above.", metavar="ACTION", show_default=False),
]
_File = Annotated[
    Path | None,
    typer.Argument(help="File to read; required by import.", metavar="FILE", show_default="the project's examples"),
]
_Kind = Annotated[
    str | None, typer.Option("--format", metavar="NAME", help=f"import, export: file format, one of {FORMATS}.")
]
_To = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="import, export: file to write.",
        show_default=f"import: the project's examples or {FILE}; export: stdout",
    ),
]
_Split = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Split: train, validation or test. import: assigned to rows without one. stats, export: use only this "
        "split.",
    ),
]
_ColumnIn = Annotated[str | None, typer.Option("--input", metavar="NAME", help="import: column that holds the input.")]
_ColumnOut = Annotated[
    str | None, typer.Option("--output", metavar="NAME", help="import: column that holds the gold output.")
]
_Abstain = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT",
        help="import: output value that stands for an abstention (repeatable). export: text to write for an "
        "abstention.",
    ),
]
_System = Annotated[
    Literal["refuse", "join", "drop"],
    typer.Option(
        help="import: what to do if system messages differ between rows: refuse the file, join them to the inputs, "
        "or drop them."
    ),
]
_Turns = Annotated[
    Literal["refuse", "join", "last"],
    typer.Option(
        help="import: what to do with chats that have several user turns: refuse the file, join all turns, or keep "
        "the last."
    ),
]
_Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="import: replace the outputs of examples that already exist.")
]
_Instructions = Annotated[
    bool, typer.Option("--instructions", help="export: put the project's instructions before each input.")
]


def run(
    action: _Action,
    file: _File = None,
    *,
    project: Project = Path(),
    kind: _Kind = None,
    to: _To = None,
    split: _Split = None,
    column_in: _ColumnIn = None,
    column_out: _ColumnOut = None,
    abstain: _Abstain = None,
    system: _System = "refuse",
    turns: _Turns = "refuse",
    overwrite: _Overwrite = False,
    instructions: _Instructions = False,
    json: Json = False,
) -> None:
    """Import, count, split and export examples.

    import: read another format and add its rows to the project's examples.

    stats: count examples by split, label and tag, and report duplicates.

    split: write each example's split into the file, so that it never changes.

    export: write the examples in another format.
    """
    from groundtune.dataset.importing.assembly import ImportOptions

    if split not in (None, "train", "validation", "test"):
        raise UsageError(f"unknown split {split!r}", hint="use train, validation or test")
    if action == "import":
        options = ImportOptions(column_in, column_out, cast(Any, split), tuple(abstain or ()), system, turns)
        _import(file, to or _target(project), kind, options, overwrite=overwrite, json=json)
    elif action == "stats":
        _stats(_files(file, project), split, json=json)
    elif action == "split":
        _freeze(_files(file, project), json=json)
    else:
        text = _config(project).instructions if instructions else None
        exported = _export(_files(file, project), kind or "examples", split, text, (abstain or [""])[0])
        _write(exported, to, json=json)


def _import(
    file: Path | None, to: Path, kind: str | None, options: "ImportOptions", *, overwrite: bool, json: bool
) -> None:
    from groundtune.dataset.editing import merge_examples
    from groundtune.dataset.examples import read_examples
    from groundtune.dataset.importing.convert import import_file

    if file is None:
        raise UsageError("no file to import", hint="groundtune examples import FILE")
    imported = import_file(file, cast(Any, kind), options=options)
    named = _named_beside(to)
    others = [path for path in named or () if path != to.resolve() and path.stat().st_size]
    beside = [example for path in others for example in read_examples(path)]
    try:
        done = merge_examples(to, imported.examples, overwrite=overwrite, other_examples=beside)
    except OSError as error:
        raise MissingError(f"cannot write {output.printable(to)}: {(error.strerror or str(error)).lower()}") from error
    if json:
        about = {"format": imported.format, "to": to, "notes": imported.notes, "instructions": imported.instructions}
        output.print_json({**about, "examples": len(imported.examples), **output.jsonable(done)})
        return
    output.print_line(
        f"{format_count(len(imported.examples), 'example')} in {output.printable(file)}, read as {imported.format}"
    )
    for note in imported.notes:
        output.print_line(f"  {output.excerpt(note, 200)}")
    if imported.instructions:
        output.print_line(f"  instructions: {output.excerpt(imported.instructions, 200)}")
    output.print_line(f"{len(done.new):,} added to {output.printable(to)}, {len(done.same):,} already there")
    if done.known:
        is_single = len(done.known) == 1
        effect = "repeats" if is_single else "repeat"
        placed = f"{'it was' if is_single else 'they were'} put in the same split as the original"
        output.print_line(
            f"{format_count(len(done.known), 'new example')} {effect} an existing input under a new id; {placed}"
        )
    if done.differing:
        effect = (
            "had their output replaced by the one in the file"
            if overwrite
            else "kept their output; --overwrite replaces it"
        )
        output.warn(f"{format_count(len(done.differing), 'example')} {effect}: {', '.join(done.differing[:5])}")
    if named is not None and to.resolve() not in (_named_beside(to) or ()):
        output.hint(f'add it to groundtune.toml: [examples] files = ["{output.printable(to.name)}"]')
    output.next_step("groundtune examples stats", "shows the new counts")


def _stats(files: list[Path], split: str | None, *, json: bool) -> None:
    from groundtune.dataset.examples import read_examples, select_split
    from groundtune.dataset.summary import summarise

    examples = [example for path in files for example in read_examples(path)]
    counts = summarise(select_split(examples, split) if split else examples)
    if json:
        output.print_json({"files": files, **output.jsonable(counts)})
    else:
        _show_stats(counts, files)


def _show_stats(counts: "ExampleStats", files: list[Path]) -> None:
    output.print_line(f"{format_count(counts.examples, 'example')} in {', '.join(map(output.printable, files))}")
    output.print_line(f"  splits   {_listed(counts.splits)}")
    output.print_line(f"  outputs  {_listed(counts.kinds)}; {counts.with_evidence:,} with evidence")
    for name, counted in (("tags", counts.tags), ("origins", counts.origins)):
        if counted:
            output.print_line(f"  {name:<8} {output.printable(_listed(counted))}")
    if counts.groups:
        output.print_line(f"  groups   {counts.groups:,}")
    for name, lengths in (("inputs", counts.inputs), ("texts", counts.outputs)):
        if lengths:
            numbers = f"median {lengths.median:,}, 95th percentile {lengths.p95:,}, maximum {lengths.longest:,}"
            output.print_line(f"  {name:<8} {numbers} characters")
    if counts.labels:
        rows = [[output.printable(label), *by.values(), sum(by.values())] for label, by in counts.labels.items()]
        output.print_line()
        output.show_table(["label", *counts.splits, "all"], rows[:SHOWN])
        if len(rows) > SHOWN:
            output.print_line(f"and {len(rows) - SHOWN:,} more labels; --json has all")
    duplicates = counts.twice
    if duplicates.rows:
        ids = "; ".join(" = ".join(group[:3]) for group in duplicates.ids)
        output.warn(f"{format_count(duplicates.rows, 'example')} with a duplicate input: {output.printable(ids)}")
    if duplicates.across_splits:
        hint = "remove one of each; training skips inputs that are in the test split"
        output.warn(f"{format_count(duplicates.across_splits, 'input')} in more than one split: {hint}")
    if duplicates.conflicting:
        output.warn(f"{format_count(duplicates.conflicting, 'input')} with conflicting outputs")


def _freeze(files: list[Path], *, json: bool) -> None:
    from groundtune.dataset.editing import freeze_splits

    done = {str(path): freeze_splits(path) for path in files}
    if json:
        output.print_json(done)
        return
    for path, counts in done.items():
        written = format_count(counts.frozen, "example")
        output.print_line(f"{output.printable(path)}: split written for {written}; {counts.explicit:,} already had one")


def _export(files: list[Path], kind: str, split: str | None, instructions: str | None, abstain: str) -> dict[str, Any]:
    from groundtune.dataset.examples import read_examples, select_split
    from groundtune.dataset.exporting import export_examples

    examples = [example for path in files for example in read_examples(path)]
    chosen = select_split(examples, split) if split else examples
    exported = export_examples(chosen, cast(Any, kind), instructions=instructions, abstain=abstain)
    splits = {name: sum(example.split == name for example in chosen) for name in ("train", "validation", "test")}
    return {"format": kind, "splits": splits, "rows": exported.rows, "notes": exported.notes, "text": exported.text}


def _write(exported: dict[str, Any], to: Path | None, *, json: bool) -> None:
    """Write the text to a file or stdout, and its summary to stderr, so that stdout can be piped."""
    from groundtune.common.files import write_atomic

    if to is not None:
        try:
            write_atomic(to, exported["text"].encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise MissingError(
                f"cannot write {output.printable(to)}: {(error.strerror or str(error)).lower()}"
            ) from error
    if json:
        output.print_json({**exported, "to": to, "text": None if to else exported["text"]})
        return
    if to is None:
        sys.stdout.write(exported["text"])
    rows, format_name, splits = exported["rows"], exported["format"], exported["splits"]
    where = f" in {output.printable(to)}" if to else ""
    output.print_note(f"{format_count(rows, 'example')}{where} as {format_name}: {_listed(splits)}")
    for note in exported["notes"]:
        output.print_note(f"  {note}")
    if splits["test"]:
        output.warn(f"{format_count(splits['test'], 'example')} from the test split: do not train on them")


def _listed(counted: Any) -> str:
    parts = [f"{name} {number:,}" for name, number in list(counted.items())[:SHOWN] if number]
    more = f" and {len(counted) - SHOWN:,} more" if len(counted) > SHOWN else ""
    return (", ".join(parts) or "none") + more


def _config(project: Path) -> "Config":
    from groundtune.config import find_project, load_config

    return load_config(find_project(project))


def _files(file: Path | None, project: Path) -> list[Path]:
    """Return the given file, or else the example files of the project. Raises MissingError."""
    from groundtune.config import find_project
    from groundtune.dataset.examples import find_examples

    if file is not None:
        return [file]
    files = find_examples(find_project(project).parent, _config(project).examples.files)
    if not files:
        hint = "groundtune examples import FILE, then add the file it writes to [examples] files"
        raise MissingError("this project has no examples", hint=hint)
    return files


def _named_beside(path: Path) -> list[Path] | None:
    """Return the example files of the project around a file, or None when there is no project."""
    from groundtune.config import find_project
    from groundtune.dataset.examples import find_examples

    try:
        root = find_project(path.parent).parent
    except MissingError:
        return None
    return [file.resolve() for file in find_examples(root, _config(root).examples.files)]


def _target(project: Path) -> Path:
    """Return where imported examples go: the first file the project names, else examples.jsonl in its folder."""
    from groundtune.config import find_project

    try:
        root = find_project(project).parent
    except MissingError:
        return project / FILE
    plain = [name for name in _config(project).examples.files if not set(name) & set("*?[{")]
    return root / (plain[0] if plain else FILE)
