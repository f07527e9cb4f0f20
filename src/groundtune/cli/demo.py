"""Implement `groundtune demo`: answer on an example project whether to prompt, retrieve, fine-tune or combine."""

import contextlib
import json as json_text
import shutil
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groundtune.cli import compare, evaluate, ingest, output, report, tune, use
from groundtune.cli.ask import show_abstention, show_answer
from groundtune.cli.options import Json
from groundtune.config import PROJECT_FILE
from groundtune.errors import GroundtuneError, MissingError, UsageError

if TYPE_CHECKING:
    from groundtune.project import Project

EXAMPLE = "handbook"
MODEL = "smollm2-135m"
QUESTIONS = (
    "How long do I have to send a bike back?",
    "How heavy is a Wren?",
    "Can I carry over unused holiday?",
    "Does Ternhill offer a discount for students?",
)
"""Questions to the handbook. The documents do not answer the last one."""
TRAININGS = {
    "closed_book": "Fine-tune the model on questions and answers alone",
    "over_passages": "Fine-tune it on questions with the passages that the search finds",
}
"""Names of the [tune.NAME] tables that the demo adds, with the title of each."""
APPROACHES = ("prompt", "fewshot", "rag", "tuned", "hybrid", "quote-hybrid")
TABLES = f"""
# Added by the demo: a language model that runs on this machine. It is there to see
# the machinery; name your own for real use.
[models.default]
kind = "local"
model = "{MODEL}"
max_output_tokens = 64
concurrency = 16

# Few passages in a prompt: a small model mixes up many, and reads each of them slowly.
[answers]
max_passages = 3

# No threshold is fitted below which an approach abstains: each shows what it knows.
calibration_questions = 0

# Trained on questions and answers alone: what it knows is in its weights.
[tune.closed_book]
kind = "lora"
base = "{MODEL}"
max_minutes = 4
epochs = 2

# Trained on questions with the passages that the search finds: what it learns is to
# answer from them. A demo has time for a few minutes of it.
[tune.over_passages]
kind = "lora"
base = "{MODEL}"
max_minutes = 6
context = "retrieved"
epochs = 1

[compare]
approaches = {json_text.dumps(APPROACHES)}
"""
"""What the demo adds to the project file of the example."""


def run(
    folder: Annotated[Path, typer.Argument(help="Folder for the project.", metavar="FOLDER")] = Path("demo-handbook"),
    *,
    json: Json = False,
) -> None:
    """Prompt, retrieve, fine-tune or combine? Find out on an example project, offline.

    Indexes the documents of an invented company, asks four questions, evaluates retrieval, fine-tunes a small language
    model twice, and compares prompting, retrieval, fine-tuning and both on the same questions. Takes about 15 minutes
    on two cores; an interrupted run goes on where it was. Needs the model: groundtune models get smollm2-135m.
    """
    from groundtune.models.builtin_models import find_builtin_model

    find_builtin_model(MODEL)
    _copy(EXAMPLE, folder)
    _add_model(folder)
    with contextlib.redirect_stdout(sys.stderr if json else sys.stdout):
        summary = _demonstrate(folder)
    if json:
        output.print_json({"folder": str(folder), **summary})
    output.next_step(f'cd {folder} && groundtune ask "…"', "or groundtune init in a folder with your own documents")


def _demonstrate(folder: Path) -> dict[str, Any]:
    """Go from documents to a verdict, printing each step; return the results by step."""
    from groundtune.project import Project

    with Project.open(folder) as project:
        done: dict[str, Any] = {}
        _title(f"1. Index the documents: groundtune ingest -C {folder}")
        done["ingest"] = ingest.ingest(project)
        _title('2. Ask four questions; the documents do not answer the last one: groundtune ask -a quote-hybrid "…"')
        done["answers"] = [_ask(project, question) for question in QUESTIONS]
        _title("3. Evaluate retrieval on its own: groundtune evaluate")
        done["evaluation"] = project.evaluate(worst=2)
        evaluate.show_report(done["evaluation"])
        trained = {artifact.name for artifact in project.artifacts()}
        for number, (name, title) in enumerate(TRAININGS.items(), 4):
            _title(f"{number}. {title}: groundtune tune {name}")
            if name in trained:
                output.print_line("already trained")
            else:
                tune.show_artifact(tune.train(project, name))
        _title("6. Compare prompting, retrieval, fine-tuning and both on the same test questions: groundtune compare")
        comparison = compare.compare(project)
        report.show_report(comparison)
        _title("7. Use what it recommends, if it recommends one: groundtune use --verdict")
        done["used"] = _use_verdict(project)
        return done | {"comparison": comparison.summary()}


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
    file = folder / PROJECT_FILE
    if folder.exists() and any(folder.iterdir()) and not (file.is_file() and _name(file) == _name(source / file.name)):
        raise UsageError(f"{folder} is not empty and is not a demo project", hint="groundtune demo NEW-FOLDER")
    ignored = shutil.ignore_patterns(".groundtune", "__pycache__", "sources", "make_binaries.py")
    shutil.copytree(source, folder, ignore=ignored, dirs_exist_ok=True)


def _add_model(folder: Path) -> None:
    """Add the model and its trainings, and leave out the examples of people with more access than everyone.

    What a model was trained on it may tell anybody, so that only they could use it.
    """
    with (folder / PROJECT_FILE).open("a", encoding="utf-8") as file:
        file.write(TABLES)
    examples = folder / "examples.jsonl"
    rows = examples.read_text(encoding="utf-8").splitlines(keepends=True)
    examples.write_text("".join(row for row in rows if not json_text.loads(row).get("groups")), encoding="utf-8")


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
        if (folder / PROJECT_FILE).is_file():
            return folder
    raise MissingError(f"the example project {name} is not installed", hint="pip install --force-reinstall groundtune")


def _ask(project: "Project", question: str) -> Any:
    output.print_line(f"\n> {question}", style="bold")
    answer = project.ask(question, approach="quote-hybrid")
    (show_abstention if answer.status == "abstained" else show_answer)(answer)
    return {"question": question, **output.jsonable(answer)}


def _title(text: str) -> None:
    output.print_line(f"\n== {text}", style="bold cyan")
