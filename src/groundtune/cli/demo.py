"""Implement `groundtune demo`: run the whole workflow offline on the two example projects, step by step."""

import contextlib
import shutil
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groundtune.cli import compare, evaluate, ingest, output, report, tune, use
from groundtune.cli.ask import show_abstention, show_answer
from groundtune.cli.options import Json
from groundtune.errors import GroundtuneError, MissingError, UsageError

if TYPE_CHECKING:
    from groundtune.project import Project

QUESTIONS = (
    "How long do I have to send a bike back?",
    "How heavy is a Wren?",
    "Can I carry over unused holiday?",
    "Does Ternhill offer a discount for students?",
)
"""Questions to the handbook. The documents do not answer the last one."""
TRAININGS = {"probe": "Train a classification head on frozen embeddings", "intents": "Fine-tune the whole encoder"}
"""Names of the [tune.NAME] tables in the tickets project, with the title of each."""


def run(
    folder: Annotated[Path, typer.Argument(help="Folder for the handbook project.", metavar="FOLDER")] = Path(
        "demo-handbook"
    ),
    *,
    tickets: Annotated[
        Path, typer.Option("--tickets", metavar="FOLDER", help="Folder for the tickets project.")
    ] = Path("demo-triage"),
    json: Json = False,
) -> None:
    """Run the whole workflow offline on two example projects.

    Handbook: ingest the documents, ask four questions, evaluate retrieval and compare approaches. Tickets: train two
    classifiers, compare them with approaches that need no training, and use the one that is recommended.
    """
    _copy("handbook", folder)
    _copy("triage", tickets)
    with contextlib.redirect_stdout(sys.stderr if json else sys.stdout):
        summary = {"folder": str(folder), **_handbook(folder), "tickets": _tickets(tickets)}
    if json:
        output.print_json(summary)
    output.next_step(f'cd {folder} && groundtune ask "…"', "or groundtune init in a folder with your own documents")


def _handbook(folder: Path) -> dict[str, Any]:
    """Go from documents to a comparison, printing each step; return the results by step."""
    from groundtune.project import Project

    with Project.open(folder) as project:
        done: dict[str, Any] = {}
        _title(f"1. Index the documents: groundtune ingest -C {folder}")
        done["ingest"] = ingest.ingest(project)
        _title('2. Ask four questions; the documents do not answer the last one: groundtune ask "…"')
        done["answers"] = [_ask(project, question) for question in QUESTIONS]
        _title("3. Evaluate retrieval on its own: groundtune evaluate")
        evaluation = project.evaluate(worst=2)
        evaluate.show_report(evaluation)
        _title("4. Compare the approaches on the same test questions: groundtune compare")
        comparison = compare.compare(project)
        report.show_report(comparison)
        _title("5. Use what it recommends, if it recommends one: groundtune use --verdict")
        done["used"] = _use_verdict(project)
        return done | {"evaluation": evaluation, "comparison": comparison.summary()}


def _tickets(folder: Path) -> dict[str, Any]:
    """Train two classifiers and compare them with approaches that need no training; return the summary."""
    from groundtune.project import Project

    with Project.open(folder) as project:
        trained = {artifact.name for artifact in project.artifacts()}
        for number, (name, title) in enumerate(TRAININGS.items(), 6):
            _title(f"{number}. Route tickets to queues. {title}: groundtune tune {name} -C {folder}")
            if name in trained:
                output.print_line("already trained")
            else:
                tune.show_artifact(tune.train(project, name))
        _title(f"8. Compare them with approaches that need no training: groundtune compare -C {folder}")
        comparison = compare.compare(project)
        report.show_report(comparison)
        _title(f"9. Use what it recommends: groundtune use --verdict -C {folder}")
        return comparison.summary() | {"used": _use_verdict(project)}


def _use_verdict(project: "Project") -> str | None:
    """Make the recommendation the project's choice; say why if there is none. Return the approach in use, or None."""
    try:
        choice = project.use_verdict()
    except GroundtuneError as error:
        output.print_line(error.message)
        return None
    use.show_choice(choice)
    return choice.approach


def _copy(example: str, folder: Path) -> None:
    source = _example(example)
    file = folder / "groundtune.toml"
    if folder.exists() and any(folder.iterdir()) and not (file.is_file() and _name(file) == _name(source / file.name)):
        raise UsageError(f"{folder} is not empty and is not a demo project", hint="groundtune demo NEW-FOLDER")
    ignored = shutil.ignore_patterns(".groundtune", "__pycache__", "sources", "make_binaries.py")
    shutil.copytree(source, folder, ignore=ignored, dirs_exist_ok=True)


def _name(file: Path) -> str | None:
    """Return the name in a project file, or None when it cannot be read."""
    try:
        return str(tomllib.loads(file.read_text(encoding="utf-8")).get("name"))
    except (OSError, ValueError):
        return None


def _example(name: str) -> Path:
    """Find an example project in the installed package or in a checkout. Raises MissingError."""
    package = Path(sys.modules["groundtune"].__file__ or "").parent
    for folder in (package / "examples" / name, package.parent.parent / "examples" / name):
        if (folder / "groundtune.toml").is_file():
            return folder
    raise MissingError(f"the example project {name} is not installed", hint="pip install --force-reinstall groundtune")


def _ask(project: "Project", question: str) -> Any:
    output.print_line(f"\n> {question}", style="bold")
    answer = project.ask(question)
    (show_abstention if answer.status == "abstained" else show_answer)(answer)
    return {"question": question, **output.jsonable(answer)}


def _title(text: str) -> None:
    output.print_line(f"\n== {text}", style="bold cyan")
