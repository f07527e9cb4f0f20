"""`groundtune compare`: every approach on the same test examples; one table, one matrix on disk."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Folder, Json

if TYPE_CHECKING:
    from groundtune.project import Project
    from groundtune.types import Result
    from groundtune.workflows.comparing import Comparison

COLUMNS = ("correct", "f1", "abstention", "citation_recall", "supported")


def run(
    folder: Folder = Path(),
    *,
    approach: Annotated[
        list[str] | None, typer.Option("--approach", "-a", help="Only this one; may be repeated.")
    ] = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    json: Json = False,
) -> int:
    """Run every approach on the same examples and show what each came to, with 95 % intervals, seconds and money."""
    from groundtune.project import Project

    with Project.open(folder) as project:
        comparison = compare(project, approaches=approach, split=split)
    if json:
        output.emit_json(
            {
                "run": comparison.run,
                "results": str(comparison.results_file),
                "examples": comparison.examples,
                "approaches": comparison.summaries,
            }
        )
    else:
        show_comparison(comparison)
    return 1 if all(summary.n_errors == summary.n for summary in comparison.summaries) else 0


def compare(project: "Project", *, approaches: list[str] | None = None, split: str = "test") -> "Comparison":
    """Compare with a progress bar."""
    done = 0
    with output.progress("answers") as bar:

        def step(result: "Result") -> None:
            nonlocal done
            done += 1
            bar.update(done, now=result.approach)

        return project.compare(approaches=approaches, split=split, progress=step)


def show_comparison(comparison: "Comparison") -> None:
    """One row an approach; a column that applies to none is left out."""
    columns = [name for name in COLUMNS if any(name in one.metrics for one in comparison.summaries)]
    output.show_table(
        ["approach", *(name.replace("_", " ") for name in columns), "abstained", "errors", "p50 s", "usd/1000"],
        [
            [
                one.approach,
                *(one.metrics.get(name) for name in columns),
                one.n_abstained,
                one.n_errors,
                one.p50_seconds,
                one.usd_per_1000,
            ]
            for one in comparison.summaries
        ],
    )
    output.note(f"{output.count(comparison.examples, 'example')} an approach; matrix: {comparison.results_file}")
    for one in comparison.summaries:
        if one.n_errors:
            first = next(r.error for r in comparison.results if r.approach == one.approach and r.error)
            output.warn(f"{one.approach}: {output.count(one.n_errors, 'error')}, the first: {first.message}")
    output.next_step("groundtune evaluate", "where retrieval loses; intervals that overlap decide nothing")
