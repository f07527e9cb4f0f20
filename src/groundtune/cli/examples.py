"""`groundtune examples`: other formats in and out, what is there, and splits that stay. Measures nothing."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, Project
from groundtune.errors import MissingError, UsageError

if TYPE_CHECKING:
    from groundtune.config import Config
    from groundtune.measure.example_stats import Stats
    from groundtune.measure.format_join import Choices

FILE = "examples.jsonl"
FORMATS = "examples, chat, prompt, preference, alpaca, sharegpt, csv, tsv, rows"
SHOWN = 30
"""Labels and tags on the screen; --json has all."""


def run(
    action: Annotated[Literal["import", "stats", "split", "export"], typer.Argument(show_default=False)],
    file: Annotated[
        Path | None,
        typer.Argument(help="What to read; import needs it.", show_default="the project's files of examples"),
    ] = None,
    *,
    project: Project = Path(),
    kind: Annotated[str | None, typer.Option("--format", help=f"import, export: one of {FORMATS}.")] = None,
    to: Annotated[
        Path | None,
        typer.Option(help="import, export: the file to write.", show_default=f"import: {FILE}, export: the screen"),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="import: that of rows which name none. stats, export: only this one.")
    ] = None,
    column_in: Annotated[str | None, typer.Option("--input", help="import: the column with what is asked.")] = None,
    column_out: Annotated[str | None, typer.Option("--output", help="import: the column with what is right.")] = None,
    abstain: Annotated[
        list[str] | None,
        typer.Option(help="import: outputs that mean that nothing is right. export: what is written for that."),
    ] = None,
    system: Annotated[
        Literal["refuse", "join", "drop"], typer.Option(help="import: system messages that not all rows share.")
    ] = "refuse",
    turns: Annotated[
        Literal["refuse", "join", "last"], typer.Option(help="import: chats with several questions.")
    ] = "refuse",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="import: ids that are there already get the output of the file.")
    ] = False,
    instructions: Annotated[
        bool, typer.Option("--instructions", help="export: with those of the project before each input.")
    ] = False,
    json: Json = False,
) -> None:
    """Bring examples in from other formats (import), count them (stats), write out the split that each has, so that it
    stays (split), and hand them out (export).
    """
    from groundtune.measure.format_join import Choices

    if split not in (None, "train", "validation", "test"):
        raise UsageError(f"no split {split!r}", hint="train, validation or test")
    if action == "import":
        choices = Choices(column_in, column_out, cast(Any, split), tuple(abstain or ()), system, turns)
        _import(file, to or _target(project), kind, choices, overwrite=overwrite, json=json)
    elif action == "stats":
        _stats(_files(file, project), split, json=json)
    elif action == "split":
        _freeze(_files(file, project), json=json)
    else:
        text = _config(project).instructions if instructions else None
        found = _export(_files(file, project), kind or "examples", split, text, (abstain or [""])[0])
        _write(found, to, json=json)


def _import(file: Path | None, to: Path, kind: str | None, choices: "Choices", *, overwrite: bool, json: bool) -> None:
    from groundtune.measure.example_files import merge
    from groundtune.measure.examples import read_examples
    from groundtune.measure.formats import conversion

    if file is None:
        raise UsageError("no file to import", hint="groundtune examples import FILE")
    found = conversion(file, cast(Any, kind), choices=choices)
    named = _named_beside(to)
    others = [path for path in named or () if path != to.resolve() and path.stat().st_size]
    beside = [example for path in others for example in read_examples(path)]
    try:
        done = merge(to, found.examples, overwrite=overwrite, beside=beside)
    except OSError as error:
        raise MissingError(f"cannot write {output.named(to)}: {(error.strerror or str(error)).lower()}") from error
    if json:
        about = {"format": found.format, "to": to, "notes": found.notes, "instructions": found.instructions}
        output.emit_json({**about, "examples": len(found.examples), **output.jsonable(done)})
        return
    output.show(f"{output.count(len(found.examples), 'example')} in {output.named(file)}, read as {found.format}")
    for note in found.notes:
        output.show(f"  {output.excerpt(note, 200)}")
    if found.instructions:
        output.show(f"  instructions: {output.excerpt(found.instructions, 200)}")
    output.show(f"{len(done.new):,} new in {output.named(to)}, {len(done.same):,} were there already")
    if done.known:
        what = "an input that is there under another id: they go into the split of that one"
        output.show(f"{output.count(len(done.known), 'new example')} with {what}")
    if done.differing:
        what = "got the output of the file" if overwrite else "kept the output that they had; --overwrite replaces it"
        output.warn(f"{output.count(len(done.differing), 'example')} {what}: {', '.join(done.differing[:5])}")
    if named is not None and to.resolve() not in (_named_beside(to) or ()):
        output.hint(f'name it in groundtune.toml: [examples] files = ["{output.named(to.name)}"]')
    output.next_step("groundtune examples stats", "what is there now")


def _stats(files: list[Path], split: str | None, *, json: bool) -> None:
    from groundtune.measure.example_stats import stats
    from groundtune.measure.examples import of_split, read_examples

    examples = [example for path in files for example in read_examples(path)]
    found = stats(of_split(examples, split) if split else examples)
    if json:
        output.emit_json({"files": files, **output.jsonable(found)})
    else:
        _show_stats(found, files)


def _show_stats(found: "Stats", files: list[Path]) -> None:
    output.show(f"{output.count(found.examples, 'example')} in {', '.join(map(output.named, files))}")
    output.show(f"  splits   {_listed(found.splits)}")
    output.show(f"  outputs  {_listed(found.kinds)}; {found.with_evidence:,} with evidence")
    for name, counted in (("tags", found.tags), ("origins", found.origins)):
        if counted:
            output.show(f"  {name:<8} {output.named(_listed(counted))}")
    if found.groups:
        output.show(f"  groups   {found.groups:,}")
    for name, lengths in (("inputs", found.inputs), ("texts", found.outputs)):
        if lengths:
            numbers = f"median {lengths.median:,}, 95 % up to {lengths.p95:,}, longest {lengths.longest:,}"
            output.show(f"  {name:<8} {numbers} characters")
    if found.labels:
        rows = [[output.named(label), *by.values(), sum(by.values())] for label, by in found.labels.items()]
        output.show()
        output.show_table(["label", *found.splits, "all"], rows[:SHOWN])
        if len(rows) > SHOWN:
            output.show(f"and {len(rows) - SHOWN:,} more labels; --json has all")
    twice = found.twice
    if twice.rows:
        some = "; ".join(" = ".join(ids[:3]) for ids in twice.ids)
        output.warn(f"{output.count(twice.rows, 'example')} with an input that is there before: {output.named(some)}")
    if twice.across_splits:
        hint = "remove one of each; training leaves out what the test split has"
        output.warn(f"{output.count(twice.across_splits, 'input')} in more than one split: {hint}")
    if twice.conflicting:
        output.warn(f"{output.count(twice.conflicting, 'input')} with different outputs")


def _freeze(files: list[Path], *, json: bool) -> None:
    from groundtune.measure.example_files import freeze

    done = {str(path): freeze(path) for path in files}
    if json:
        output.emit_json(done)
        return
    for path, one in done.items():
        had = f"{one.explicit:,} had one and keep it"
        output.show(f"{output.named(path)}: the split of {output.count(one.frozen, 'example')} is written out; {had}")


def _export(files: list[Path], kind: str, split: str | None, instructions: str | None, abstain: str) -> dict[str, Any]:
    from groundtune.measure.examples import of_split, read_examples
    from groundtune.measure.exports import export

    examples = [example for path in files for example in read_examples(path)]
    chosen = of_split(examples, split) if split else examples
    found = export(chosen, cast(Any, kind), instructions=instructions, abstain=abstain)
    splits = {name: sum(one.split == name for one in chosen) for name in ("train", "validation", "test")}
    return {"format": kind, "splits": splits, "rows": found.rows, "notes": found.notes, "text": found.text}


def _write(found: dict[str, Any], to: Path | None, *, json: bool) -> None:
    """The text to a file or the screen; what it holds on stderr, so that it can be piped."""
    from groundtune.workspace import write_atomic

    if to is not None:
        try:
            write_atomic(to, found["text"].encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise MissingError(f"cannot write {output.named(to)}: {(error.strerror or str(error)).lower()}") from error
    if json:
        output.emit_json({**found, "to": to, "text": None if to else found["text"]})
        return
    if to is None:
        sys.stdout.write(found["text"])
    where = f" in {output.named(to)}" if to else ""
    output.note(f"{output.count(found['rows'], 'example')}{where} as {found['format']}: {_listed(found['splits'])}")
    for note in found["notes"]:
        output.note(f"  {note}")
    if found["splits"]["test"]:
        output.warn(f"{output.count(found['splits']['test'], 'example')} of the test split: never train on them")


def _listed(counted: Any) -> str:
    shown = [f"{name} {number:,}" for name, number in list(counted.items())[:SHOWN] if number]
    more = f" and {len(counted) - SHOWN:,} more" if len(counted) > SHOWN else ""
    return (", ".join(shown) or "none") + more


def _config(project: Path) -> "Config":
    from groundtune.config import find_project, load_config

    return load_config(find_project(project))


def _files(file: Path | None, project: Path) -> list[Path]:
    """The file, else those of the project."""
    from groundtune.config import find_project
    from groundtune.measure.examples import find_examples

    if file is not None:
        return [file]
    found = find_examples(find_project(project).parent, _config(project).examples.files)
    if not found:
        hint = "groundtune examples import FILE, and name the file that it writes under [examples]"
        raise MissingError("this project has no examples", hint=hint)
    return found


def _named_beside(path: Path) -> list[Path] | None:
    """The files of examples that the project of a file's folder names; None where there is no project."""
    from groundtune.config import find_project
    from groundtune.measure.examples import find_examples

    try:
        root = find_project(path.parent).parent
    except MissingError:
        return None
    return [one.resolve() for one in find_examples(root, _config(root).examples.files)]


def _target(project: Path) -> Path:
    """Where imported examples go: the first file that the project names, else a file in this folder."""
    from groundtune.config import find_project

    try:
        root = find_project(project).parent
    except MissingError:
        return project / FILE
    named = [one for one in _config(project).examples.files if not set(one) & set("*?[{")]
    return root / (named[0] if named else FILE)
