"""`groundtune distil`: let a stronger approach label inputs into train examples."""

from pathlib import Path
from typing import Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, Project
from groundtune.errors import UsageError


def run(
    inputs: Annotated[Path, typer.Argument(help="One text a line, or JSON Lines with an input.")],
    *,
    with_: Annotated[str, typer.Option("--with", help="The approach that labels; one that compare knows.")] = "rag",
    to: Annotated[Path, typer.Option("--to", help="The file of examples to write.")] = Path("distilled.jsonl"),
    min_confidence: Annotated[
        float, typer.Option("--min-confidence", help="Keep answers that are at least so sure, cited or not.")
    ] = 0.9,
    budget_usd: Annotated[
        float | None, typer.Option("--budget-usd", help="Stop before more US dollars than this are spent.")
    ] = None,
    project: Project = Path(),
    json: Json = False,
) -> int:
    """Label inputs, keep what is cited exactly or sure enough, and write it as train examples with their origin."""
    from groundtune.project import Project as Opened

    if to.exists():
        raise UsageError(f"{to} is there already", hint="name another file with --to, or remove it")
    with Opened.open(project) as opened, output.progress("inputs") as bar:
        done = opened.distil(
            inputs,
            approach=with_,
            target=to,
            min_confidence=min_confidence,
            budget_usd=budget_usd,
            progress=lambda at, total: bar.update(at, total=total),
        )
    if json:
        output.emit_json(done)
    else:
        where = f"kept in {output.named(done.file)}" if done.kept else "kept: nothing is written"
        output.show(f"{done.kept:,} of {output.count(done.inputs, 'input')} {where}", style="bold")
        for reason, number in done.left_out.items():
            output.show(f"  {number:,} left out: {reason}")
        if done.kept:
            output.next_step(f'add "{to}" to [examples] files', "then: groundtune tune NAME")
    return 0 if done.kept else 1
