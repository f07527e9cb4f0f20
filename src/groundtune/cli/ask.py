"""Implement `groundtune ask`: print an answer with verified citations, or an abstention."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import FilterTexts, Groups, Json, ProjectFolder, filters
from groundtune.display.answers import answer_details, answer_doubts, citation_title, passage_place, trace_view
from groundtune.display.blocks import as_text

if TYPE_CHECKING:
    from groundtune.types import Answer

STYLES = {"exact": "green", "close": "yellow", "missing": "bold red", "uncited": "bold red"}
"""Styles of citations by their support; any other state is neither good nor bad."""
OTHER_STYLE = "magenta"
UNSUPPORTED = 1
"""Exit code of --strict when the answer is an abstention."""


def run(
    question: Annotated[str, typer.Argument(help="The question to answer.", metavar="QUESTION")],
    *,
    approach: Annotated[
        str | None,
        typer.Option(
            "--approach",
            "-a",
            metavar="NAME",
            help="Name of the approach to use, as shown by compare.",
            show_default="the choice made with use, else rag; quote-hybrid without a model; fewshot for other tasks",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Drop unsupported sentences; exit with 1 if none are left.")
    ] = False,
    trace: Annotated[
        bool,
        typer.Option(
            "--trace",
            help="Also show how the answer came about: query, passages with the score of every stage, timings, prompt, "
            "and what a reasoning model wrote before it.",
        ),
    ] = False,
    group: Groups = None,
    filter: FilterTexts = None,  # noqa: A002 (the name of the flag)
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> int:
    """Answer a question from the documents.

    Every sentence is checked against the passage that it cites. Prints "Not in your documents" when there is no
    supported answer.
    """
    from groundtune.models.builtin_models import model_note
    from groundtune.project import Project

    with Project.open(folder, strict=True if strict else None) as project:
        answer = project.ask(question, approach=approach, groups=group or (), filters=filters(filter))
    if json:
        fields = output.jsonable(answer)
        if not trace:
            del fields["trace"]  # it holds the whole prompt
        output.print_json({"question": question, **fields})
    elif answer.status == "abstained":
        show_abstention(answer)
    else:
        show_answer(answer)
    for doubt in answer_doubts(answer):
        output.warn(doubt)
    if note := model_note(answer.trace.model):
        output.print_note(f"{note}.", style="dim")
    if trace and not json:
        output.print_line()
        output.print_line(as_text(trace_view(answer)))
    return UNSUPPORTED if strict and answer.status == "abstained" else 0


def show_answer(answer: "Answer") -> None:
    """Print the text, then one line per citation or uncited sentence with its level of support and its source."""
    output.print_line(answer.text)
    if answer.citations:
        output.print_line()
    for citation in answer.citations:
        output.print_line(output.printable(citation_title(citation)), style=STYLES.get(citation.support, OTHER_STYLE))
        if citation.support != "exact" and citation.quote:
            output.print_line(f'    source text: "{output.excerpt(citation.quote, 200)}"')
    output.print_note(answer_details(answer), style="dim")


def show_abstention(answer: "Answer") -> None:
    """Print the abstention and the nearest passages."""
    output.print_line(answer.text, style="bold")
    if answer.hits:
        output.print_line("Nearest passages:")
    for hit in answer.hits:
        output.print_line(f"  {output.printable(passage_place(hit))}")
        output.print_line(f"    {output.excerpt(hit.passage.text, 160)}", style="dim")
    if answer.confidence is not None:
        output.print_note(f"confidence {answer.confidence:.2f}", style="dim")
