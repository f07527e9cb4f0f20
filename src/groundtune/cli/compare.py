"""Implement `groundtune compare`: run every approach on the same examples, and print a verdict and a table."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import BudgetUsd, Json, Primary, ProjectFolder, Require
from groundtune.cli.report import print_report
from groundtune.errors import BudgetError
from groundtune.types import Split

if TYPE_CHECKING:
    from groundtune.project import Project
    from groundtune.workflows.comparing import CompareProgress
    from groundtune.workflows.estimating import Estimate
    from groundtune.workflows.learning_curve import PlannedTraining
    from groundtune.workflows.reporting import Report


def run(
    *,
    approach: Annotated[
        list[str] | None,
        typer.Option("--approach", "-a", metavar="NAME", help="Run only this approach (repeatable)."),
    ] = None,
    split: Annotated[Split, typer.Option(help="Split of the examples to use.")] = "test",
    primary: Primary = None,
    require: Require = None,
    budget_usd: BudgetUsd = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Estimate tokens, cost and time; run nothing.")] = False,
    until_decided: Annotated[
        bool,
        typer.Option(
            "--until-decided", help="Ask in random order, and drop each approach once it is measurably behind."
        ),
    ] = False,
    curve: Annotated[
        bool,
        typer.Option("--curve", help="Train and ask on 25, 50 and 100% of the train split: what more would bring."),
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start a new run instead of resuming a matching one.")] = False,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> int:
    """Run every approach on the same examples and recommend one.

    Says so if the examples are too few to decide. An interrupted run is resumed. Exit code 0 even if
    there is no clear winner; 1 if every approach is ruled out, none is ever right, or a --require condition is not met.
    """
    from groundtune.build.approach_families import tune_table_of
    from groundtune.project import Project
    from groundtune.workflows.reporting import Condition

    conditions = [Condition.parse(text) for text in require or ()]
    with Project.open(folder) as project:
        if estimate:
            planned = project.plan_curve(approaches=approach) if curve else []
            untrained = {plan.table for plan in planned if plan.trainings}
            names = [name for name in approach or () if tune_table_of(project.config, name) not in untrained]
            if not json:
                _show_trainings(planned)
            estimates = project.estimate(approaches=names, split=split) if names or not approach else []
            _show_estimate(estimates, planned, json=json)
            return 0
        report = compare(
            project,
            approaches=approach,
            split=split,
            primary=primary,
            budget_usd=budget_usd,
            until_decided=until_decided,
            curve=curve,
            fresh=fresh,
            on_curve=(lambda _: None) if json else _show_trainings,
        )
    return print_report(report, conditions, json=json)


def compare(
    project: "Project",
    *,
    approaches: list[str] | None = None,
    split: str = "test",
    primary: str | None = None,
    budget_usd: float | None = None,
    until_decided: bool = False,
    curve: bool = False,
    fresh: bool = False,
    on_curve: "Callable[[Sequence[PlannedTraining]], None]" = lambda _: None,
) -> "Report":
    """Compare with a progress bar that shows the cost; after an interruption, name the next command."""
    saved = ""
    try:
        with output.progress("answers") as bar:

            def step(now: "CompareProgress") -> None:
                nonlocal saved
                if now.preparing:
                    bar.update(now.done, total=now.total or None, now=f"{now.approach}: {now.preparing}")
                    return
                saved = f"{now.done:,} of {now.total:,} answers saved"
                spent = f"${now.spent_usd:.4f}  " if now.spent_usd else ""
                bar.update(now.done, total=now.total, now=spent + now.approach)

            return project.compare(
                approaches=approaches,
                split=split,
                primary=primary,
                budget_usd=budget_usd,
                until_decided=until_decided,
                curve=curve,
                fresh=fresh,
                on_curve=on_curve,
                progress=step,
            )
    except (KeyboardInterrupt, BudgetError) as error:
        if saved:
            output.print_note(saved if isinstance(error, BudgetError) else f"stopped; {saved}")
            output.next_step("groundtune report", "shows the run so far; groundtune compare resumes it")
        raise


def _show_trainings(planned: "Sequence[PlannedTraining]") -> None:
    """Print what a learning curve trains, before it does."""
    from groundtune.tune.job import Bounds
    from groundtune.tune.preflight.run import bounds_text

    for training in planned:
        bounds = Bounds(training.seconds, None, training.usd)
        kept = f"{training.kept} kept" if training.kept else ""
        to_run = f"{training.trainings} to run, at most {bounds_text(bounds)}" if training.trainings else ""
        parts = ", ".join(filter(None, (kept, to_run)))
        output.print_note(f"tune {training.table} on {training.examples:,} examples: {parts}")


def _show_estimate(estimates: "list[Estimate]", planned: "Sequence[PlannedTraining]", *, json: bool) -> None:
    from groundtune.workflows.estimating import total_estimate

    overall = total_estimate(estimates)
    if json:
        trainings = {"trainings": planned} if planned else {}
        output.print_json({"estimates": estimates, "total": overall, **trainings})
        return
    if planned:
        again = "with all train examples, without what is not trained yet; what learns is asked again with fewer"
        output.print_note(f"questions: {again}")
    output.show_table(
        ["approach", "model", "calls", "cached", "input tokens", "output tokens", "usd", "usd at most", "seconds"],
        [
            [
                row.approach,
                row.model,
                row.calls,
                row.cached,
                row.input_tokens,
                row.output_tokens,
                row.usd,
                row.usd_at_most,
                None if row.seconds is None else f"{row.seconds:,.0f}" + ("" if row.timed else " (assumed)"),
            ]
            for row in (*estimates, *([overall] if len(estimates) > 1 else []))
        ],
    )
    output.print_note(
        "tokens, usd: estimates by script, rather too high, with outputs as long as the gold outputs; – means unknown"
    )
    output.print_note(
        "usd at most: assumes one token per byte and outputs of maximum length; "
        "requests that time out may be billed in addition"
    )
    output.next_step("groundtune compare --budget-usd N", "stops before spending more than N US dollars")
