"""`groundtune ask`: an answer with verified citations, or an honest abstention."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import FilterTexts, Groups, Json, Project, filters
from groundtune.cli.search import place

if TYPE_CHECKING:
    from groundtune.types import Answer, Citation

SUPPORT = {
    "exact": ("exact", "green"),
    "close": ("close", "yellow"),
    "missing": ("NOT SUPPORTED by what it cites", "bold red"),
}
UNSUPPORTED = 1
"""Exit code with --strict when the answer is an abstention."""


def run(
    question: Annotated[str, typer.Argument(help="What to ask.")],
    *,
    approach: Annotated[
        str | None,
        typer.Option("--approach", "-a", help="One that compare knows; default rag, for other tasks fewshot."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Drop sentences without support; exit with 1 when nothing is left.")
    ] = False,
    group: Groups = None,
    filter: FilterTexts = None,  # noqa: A002 (the name of the flag)
    project: Project = Path(),
    json: Json = False,
) -> int:
    """Ask the documents: an answer whose every citation was checked, or "Not in your documents"."""
    from groundtune.project import Project as Opened

    with Opened.open(project, strict=True if strict else None) as opened:
        answer = opened.ask(question, approach=approach, groups=group or (), filters=filters(filter))
    if json:
        output.emit_json({"question": question, **output.jsonable(answer)})
    elif answer.status == "abstained":
        show_abstention(answer)
    else:
        show_answer(answer)
    return UNSUPPORTED if strict and answer.status == "abstained" else 0


def show_answer(answer: "Answer") -> None:
    """The text, then one line a citation: how well it is supported, and where it stands."""
    output.show(answer.text)
    if answer.citations:
        output.show()
    for citation in answer.citations:
        word, style = SUPPORT[citation.support]
        output.show(f"[{citation.marker}] {word}: {_where(citation)}", style=style)
        if citation.support == "close":
            output.show(f'    it says: "{output.excerpt(citation.quote, 200)}"')
    details = [f"{answer.usage.seconds:.2f} s" if answer.usage.seconds is not None else ""]
    if answer.confidence is not None:
        details.append(f"confidence {answer.confidence:.2f}")
    if answer.usage.usd:
        details.append(f"{answer.usage.usd:.5f} USD")
    output.note(", ".join(part for part in details if part), style="dim")


def show_abstention(answer: "Answer") -> None:
    """What it says instead of an answer, and what comes nearest."""
    output.show(answer.text, style="bold")
    if answer.hits:
        output.show("Nearest passages:")
    for hit in answer.hits:
        output.show(f"  {place(hit)}")
        output.show(f"    {output.excerpt(hit.passage.text, 160)}", style="dim")
    if answer.confidence is not None:
        output.note(f"confidence {answer.confidence:.2f}", style="dim")


def _where(citation: "Citation") -> str:
    if citation.source is None:
        return "no passage has this number"
    parts = [output.named(citation.source), *([citation.heading] if citation.heading else [])]
    return " > ".join(parts) + (f", page {citation.page}" if citation.page else "")
