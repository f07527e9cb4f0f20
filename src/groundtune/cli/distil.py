"""Implement `groundtune distil`: turn unlabelled inputs into training examples with a strong approach."""

from pathlib import Path
from typing import Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import BudgetUsd, Json, ProjectFolder
from groundtune.common.text import format_count
from groundtune.errors import UsageError


def run(
    inputs: Annotated[
        Path, typer.Argument(help="File with one input per line, or JSON Lines with an input field.", metavar="FILE")
    ],
    *,
    with_: Annotated[
        str,
        typer.Option(
            "--with", metavar="NAME", help="Name of the approach that labels the inputs, as shown by compare."
        ),
    ] = "rag",
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Examples file to write.")] = Path("distilled.jsonl"),
    min_confidence: Annotated[
        float,
        typer.Option(
            "--min-confidence",
            metavar="0..1",
            help="Keep answers with at least this confidence, even if they are not cited exactly; a verbatim quote "
            "must always reach it.",
        ),
    ] = 0.9,
    budget_usd: BudgetUsd = None,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> int:
    """Label inputs with a strong approach to create training examples.

    Keeps answers whose citations are all exact or whose confidence is high enough (verbatim quotes, which are always
    exact, only by confidence), and writes them as training examples with their origin. Exit code 1 if nothing was kept.
    """
    from groundtune.project import Project

    if to.exists():
        raise UsageError(f"{to} already exists", hint="choose another file with --to, or remove it")
    with Project.open(folder) as project, output.progress("inputs") as bar:
        done = project.distil(
            inputs,
            approach=with_,
            target=to,
            min_confidence=min_confidence,
            budget_usd=budget_usd,
            progress=lambda at, total: bar.update(at, total=total),
        )
    if json:
        output.print_json(done)
    else:
        where = f"kept in {output.printable(done.file)}" if done.kept else "kept; no file written"
        output.print_line(f"{done.kept:,} of {format_count(done.inputs, 'input')} {where}", style="bold")
        for reason, number in done.left_out.items():
            output.print_line(f"  {number:,} dropped: {reason}")
        if done.kept:
            output.next_step(f'add "{to}" to [examples] files', "then: groundtune tune NAME")
    return 0 if done.kept else 1
