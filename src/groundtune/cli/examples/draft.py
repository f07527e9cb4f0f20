"""Implement `groundtune examples draft`: make examples from the documents, where there are none."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from groundtune.cli import output
from groundtune.cli.options import BudgetUsd, Json, ProjectFolder
from groundtune.errors import BudgetError, UsageError

if TYPE_CHECKING:
    from groundtune.workflows.drafting import DraftReport


def run(
    *,
    n: Annotated[
        int, typer.Option("-n", "--number", metavar="N", min=1, help="Examples that the file shall hold.")
    ] = 200,
    with_: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="MODEL",
            help="Name of the table under [models] that writes the questions.",
            show_default="templates, without a language model",
        ),
    ] = None,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Examples file to write.")] = Path("drafted.jsonl"),
    kind: Annotated[
        list[str] | None,
        typer.Option(
            "--kind",
            metavar="NAME",
            help="Kind of question: fact, table-cell, comparison, two-documents, follow-up, unanswerable (repeatable).",
            show_default="all",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another number draws another sample.")] = 0,
    budget_usd: BudgetUsd = None,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> int:
    """Draft examples from the documents, where there are none.

    Questions of six kinds over the whole corpus, with quoted answers; what is doubtful is dropped, and counted. An
    interrupted run is continued by the same command. Figures on drafted examples say that nobody has looked at them
    until somebody reviews them. Exit code 1 if the file holds no example.
    """
    from groundtune.drafting.draft import KINDS
    from groundtune.project import Project

    if unknown := [name for name in kind or () if name not in KINDS]:
        raise UsageError(f"unknown kind {unknown[0]!r}", hint=f"use one of {', '.join(KINDS)}")
    with Project.open(folder) as project:
        done = _draft(project, to, n=n, model=with_, kinds=kind or KINDS, seed=seed, budget_usd=budget_usd)
    if json:
        output.print_json(done)
    else:
        for line in str(done).split("\n"):
            output.print_line(line)
    if done.new + done.before:
        output.next_step(f"groundtune examples review {to}", "shows each draft; accept, edit or reject it")
    return 0 if done.new + done.before else 1


def _draft(project: Any, to: Path, **options: Any) -> "DraftReport":
    """Draft with a progress bar; after an interruption, say how to go on."""
    drafted = 0
    try:
        with output.progress("drafts") as bar:

            def step(done: int, total: int) -> None:
                nonlocal drafted
                drafted = done
                bar.update(done, total=total)

            return cast("DraftReport", project.draft(to, progress=step, **options))
    except (KeyboardInterrupt, BudgetError) as error:
        if drafted:
            output.print_note(f"{'' if isinstance(error, BudgetError) else 'stopped; '}{drafted:,} drafts in {to}")
            output.next_step("the same command", "goes on from there")
        raise
