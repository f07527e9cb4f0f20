"""Implement `groundtune examples review`: a person accepts, edits or rejects drafted examples, one key each."""

import contextlib
import getpass
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder
from groundtune.common.text import format_count
from groundtune.errors import GroundtuneError, UsageError

if TYPE_CHECKING:
    from groundtune.types import Document, Example
    from groundtune.workflows.reviewing import FindDocument, ReviewReport

KEYS = "a accept   e edit   r reject   s skip   u undo   q quit"
ABSTAIN = "-"
"""What stands for no answer where an edit asks for one."""


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File with drafted examples.")] = Path("drafted.jsonl"),
    *,
    decisions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Record the decisions that the page has saved in this file.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page for reviewing in a browser instead.")
    ] = None,
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who decides.", show_default="the name of the user")
    ] = None,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Accept, edit or reject drafted examples, one key each.

    Each decision is in the file at once, with who made it and when; the next review goes on from there. Rejected
    examples stay in the file, and nothing is measured with them. --html writes a page that needs no terminal; what it
    saves is recorded with --decisions.
    """
    from groundtune.workflows import reviewing

    if decisions is not None and html is not None:
        raise UsageError("--html and --decisions do not go together", hint="write the page first")
    if decisions is not None:
        _print(reviewing.apply_decisions(file, decisions), json=json)
        return
    if html is not None:
        with _documents(folder) as find:
            count = reviewing.write_review_page(file, html, find)
        if json:
            output.print_json({"html": html, "drafts": count})
        else:
            output.print_line(f"{format_count(count, 'draft')} to review in {output.printable(html)}")
        output.next_step(f"groundtune examples review {file} --decisions FILE", "records what the page saves")
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        hint = f"groundtune examples review {file} --html review.html writes a page for a browser"
        raise UsageError("a review needs a terminal", hint=hint)
    with _documents(folder) as find:
        report = reviewing.review(
            file,
            by=by or getpass.getuser(),
            show=lambda draft, number, total: _show(draft, number, total, find),
            read_key=typer.getchar,
            edit=_edit,
        )
    _print(report, json=json)


def _print(report: "ReviewReport", *, json: bool) -> None:
    if json:
        output.print_json(report)
        return
    for line in str(report).split("\n"):
        output.print_line(line)
    if report.left:
        output.next_step(f"groundtune examples review {report.file}", "goes on from there")
    else:
        output.next_step(f'add "{report.file}" to [examples] files', "then: groundtune compare")


def _show(draft: "Example", number: int, total: int, find: "FindDocument") -> None:
    """Print a draft on stderr, as stdout is for the result."""
    from groundtune.workflows.reviewing import around

    output.print_note(f"\n{number:,} of {total:,}  {', '.join(draft.tags)}", style="dim")
    for turn in draft.history:
        output.print_note(f"  {turn.role}: {output.excerpt(turn.content, 300)}", style="dim")
    output.print_note(output.excerpt(draft.input, 2_000), style="bold")
    answer = "The documents do not answer it." if draft.output is None else output.excerpt(str(draft.output), 2_000)
    output.print_note(f"  {answer}")
    for proof in draft.evidence:
        before, after = around(proof, find(proof.source))
        output.print_note(f"  {output.printable(proof.source)}", style="dim")
        text = f"{before[-100:]}[{proof.quote}]{after[:100]}"
        output.print_note(f"    {output.excerpt(text, 600)}", style="dim")
    output.print_note(KEYS, style="dim")


def _edit(draft: "Example") -> tuple[str, str | None] | None:
    """Ask for another question and answer; None if both stay as they are."""
    now = ABSTAIN if draft.output is None else str(draft.output)
    question = typer.prompt("question", default=draft.input, err=True).strip()
    answer = typer.prompt(f"answer, {ABSTAIN} if the documents have none", default=now, err=True).strip()
    if (question, answer) == (draft.input, now):
        return None
    return question, None if answer == ABSTAIN else answer


@contextlib.contextmanager
def _documents(folder: Path) -> Iterator["FindDocument"]:
    """Give the documents of the index, which are shown around quotes; none where there is no index."""
    from groundtune.project import Project

    with contextlib.ExitStack() as stack:
        project = None
        with contextlib.suppress(GroundtuneError):
            project = stack.enter_context(Project.open(folder))

        def find(source: str) -> "Document | None":
            try:
                return project.document(source) if project else None
            except GroundtuneError:
                return None

        yield find
