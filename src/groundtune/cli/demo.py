"""`groundtune demo`: the whole path on the example projects, offline, step by step."""

import contextlib
import shutil
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groundtune.cli import compare, evaluate, ingest, output, report, tune
from groundtune.cli.ask import show_abstention, show_answer
from groundtune.cli.options import Json
from groundtune.errors import MissingError, UsageError

if TYPE_CHECKING:
    from groundtune.project import Project

QUESTIONS = (
    "How long do I have to send a bike back?",
    "How heavy is a Wren?",
    "Can I carry over unused holiday?",
    "Does Ternhill offer a discount for students?",
)
"""The last one is not answered by the documents."""
TRAININGS = {"probe": "A head on frozen vectors", "intents": "All weights of the encoder"}
"""Tables [tune.NAME] of the tickets."""


def run(
    folder: Annotated[Path, typer.Argument(help="Where to copy the documents.")] = Path("demo-handbook"),
    *,
    tickets: Annotated[Path, typer.Option("--tickets", help="Where to copy the tickets.")] = Path("demo-triage"),
    json: Json = False,
) -> None:
    """Ingest a handbook, ask it four questions, evaluate retrieval, compare; then train on tickets, and compare."""

    _copy("handbook", folder)
    _copy("triage", tickets)
    with contextlib.redirect_stdout(sys.stderr if json else sys.stdout):
        done = {"folder": str(folder), **_handbook(folder), "tickets": _tickets(tickets)}
    if json:
        output.emit_json(done)
    output.next_step(f'cd {folder} && groundtune ask "…"', "then: groundtune init, in a folder of your own documents")


def _handbook(folder: Path) -> dict[str, Any]:
    """From documents to a comparison, every step shown as it is done."""
    from groundtune.project import Project

    with Project.open(folder) as project:
        done: dict[str, Any] = {}
        _title(f"1. Documents to index: groundtune ingest {folder}")
        done["ingest"] = ingest.ingest(project)
        _title('2. Four questions, the last one not in the documents: groundtune ask "…"')
        done["answers"] = [_ask(project, question) for question in QUESTIONS]
        _title("3. Retrieval on its own: groundtune evaluate")
        evaluation = project.evaluate(worst=2)
        evaluate.show_report(evaluation)
        _title("4. The approaches on the same test questions: groundtune compare")
        comparison = compare.compare(project)
        report.show_report(comparison)
        return done | {"evaluation": evaluation, "comparison": comparison.summary()}


def _tickets(folder: Path) -> dict[str, Any]:
    """From examples to fine-tuned models to a comparison."""
    from groundtune.project import Project

    with Project.open(folder) as project:
        trained = {artifact.name for artifact in project.artifacts()}
        for number, (name, what) in enumerate(TRAININGS.items(), 5):
            _title(f"{number}. Tickets to queues. {what}: groundtune tune {name} --project {folder}")
            if name in trained:
                output.show("trained before")
            else:
                tune.show_artifact(tune.train(project, name))
        _title(f"7. What was trained beside what was not: groundtune compare {folder}")
        comparison = compare.compare(project)
        report.show_report(comparison)
        return comparison.summary()


def _copy(example: str, folder: Path) -> None:
    source = _example(example)
    own = folder / "groundtune.toml"
    if folder.exists() and any(folder.iterdir()) and not (own.is_file() and _name(own) == _name(source / own.name)):
        raise UsageError(f"{folder} is not empty and is no demo", hint="groundtune demo SOME-NEW-FOLDER")
    ignored = shutil.ignore_patterns(".groundtune", "__pycache__", "sources", "make_binaries.py")
    shutil.copytree(source, folder, ignore=ignored, dirs_exist_ok=True)


def _name(file: Path) -> str | None:
    """The name in a project file; None when it is none."""
    try:
        return str(tomllib.loads(file.read_text(encoding="utf-8")).get("name"))
    except (OSError, ValueError):
        return None


def _example(name: str) -> Path:
    """The example project as it is installed, or as it lies in a checkout."""
    package = Path(sys.modules["groundtune"].__file__ or "").parent
    for folder in (package / "examples" / name, package.parent.parent / "examples" / name):
        if (folder / "groundtune.toml").is_file():
            return folder
    raise MissingError(f"the example project {name} is not installed", hint="pip install --force-reinstall groundtune")


def _ask(project: "Project", question: str) -> Any:
    output.show(f"\n> {question}", style="bold")
    answer = project.ask(question)
    (show_abstention if answer.status == "abstained" else show_answer)(answer)
    return {"question": question, **output.jsonable(answer)}


def _title(text: str) -> None:
    output.show(f"\n== {text}", style="bold cyan")
