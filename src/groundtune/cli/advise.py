"""Implement `groundtune advise`: which approach, before there is anything to measure."""

import json as json_text
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from groundtune.advice.advice import Advice, advise
from groundtune.advice.guides import published_guides, team_guides
from groundtune.advice.measured import Measured
from groundtune.advice.situation import read_situation
from groundtune.cli import output
from groundtune.cli.options import Json, key_values
from groundtune.config import PROJECT_FILE
from groundtune.errors import MissingError, UsageError
from groundtune.workspace import Workspace


def run(
    folder: Annotated[
        Path,
        typer.Option(
            "--project",
            "-C",
            metavar="FOLDER",
            help="Folder, also one without a project.",
            show_default="this folder",
        ),
    ] = Path(),
    answers: Annotated[
        Path | None,
        typer.Option("--answers", metavar="FILE", help="JSON file with answers; what it leaves out is not known."),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--answer", "-a", metavar="QUESTION=VALUE", help="An answer, such as citations=true (repeatable)."
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write a project file to start from, if the folder has none.")
    ] = False,
    json: Json = False,
) -> None:
    """Advise which approach to try first, from about a dozen short questions and from what the folder shows.

    In a terminal it asks, and advises after the third answer already; with --answers or --answer it asks nothing.
    Answers in a terminal are kept in .groundtune/advice.json, so that the next session goes on. Sends nothing anywhere.
    """
    from groundtune.project.surroundings import look_around

    if not folder.is_dir():
        raise MissingError(f"no folder {output.printable(folder)}", hint=f"mkdir -p {output.printable(folder)}")
    around = look_around(folder.resolve())
    stated = _stated(answers, given)
    guides = [*published_guides(), *team_guides(folder)]
    measured = _measured(folder)

    def advice(known: Mapping[str, Any]) -> Advice:
        """Advise on what is known by now; `around` is looked at again once a project file is written."""
        situation = read_situation({**around.answers, **known}, origin="answers")
        return advise(situation, guides, seen=around.seen, commands=around.commands, measured=measured)

    if not stated and not json and sys.stdin.isatty() and sys.stderr.isatty():
        from groundtune.cli.advise_questions import ask_questions

        stated = ask_questions(folder, around.answers, around.seen, advice)
    if write:
        _write(folder, advice(stated))
        around = look_around(folder.resolve())
    result = advice(stated)
    if json:
        output.print_json(result.summary())
    else:
        output.show_blocks(result.view(), whole=True)
    if result.next:
        output.next_step(result.next[0])


def _measured(folder: Path) -> Measured | None:
    """Return what the latest comparison of the project in this folder found."""
    if not (folder / PROJECT_FILE).is_file() or not Workspace(folder).runs.is_dir():
        return None
    from groundtune.workflows.stored_report import latest_report

    report = latest_report(Workspace(folder))
    return report.measured if report else None


def _stated(file: Path | None, given: list[str] | None) -> dict[str, Any]:
    """Return the answers of a file and of the options, which go before it. Raises UsageError, MissingError."""
    values: dict[str, Any] = {}
    if file is not None:
        try:
            text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
            read = json_text.loads(text, object_pairs_hook=_without_repetition)
        except OSError as error:
            raise MissingError(f"{output.printable(file)} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(f"{output.printable(file)} is no JSON: {error}") from error
        if not isinstance(read, dict):
            raise UsageError(f"{output.printable(file)} holds no object", hint='for example {"citations": true}')
        values |= read
        read_situation(values, origin=output.printable(file))
    for name, value in key_values(given, option="--answer", example="citations=true", form="QUESTION=VALUE"):
        values[name] = _value(value)
    read_situation(values, origin="--answer")
    return values


def _without_repetition(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object. Raises ValueError for a key that stands in it twice."""
    names = [name for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{twice} stands in it twice")
    return dict(pairs)


def _value(text: str) -> Any:
    """Read a value as JSON, else as a list where it has commas, else as the text itself."""
    try:
        return json_text.loads(text)
    except ValueError:
        return text.split(",") if "," in text else text


def _write(folder: Path, advice: Advice) -> None:
    from groundtune.project.init import write_advised_project

    path = write_advised_project(folder.resolve(), advice.situation)
    output.print_note(f"wrote {output.printable(path)}")
