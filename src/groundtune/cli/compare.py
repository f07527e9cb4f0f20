"""`groundtune compare`: every approach on the same test examples; a verdict, one table, one matrix on disk."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import Folder, Json, Primary, Require
from groundtune.cli.report import exit_code, show_report
from groundtune.errors import BudgetError, UsageError

if TYPE_CHECKING:
    from groundtune.project import Project
    from groundtune.workflows.comparing import Step
    from groundtune.workflows.deciding import Report
    from groundtune.workflows.estimating import Estimate


def run(
    folder: Folder = Path(),
    *,
    approach: Annotated[
        list[str] | None, typer.Option("--approach", "-a", help="Only this one; may be repeated.")
    ] = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "test",
    primary: Primary = None,
    require: Require = None,
    budget_usd: Annotated[
        float | None, typer.Option("--budget-usd", help="Stop before more US dollars than this are spent.")
    ] = None,
    estimate: Annotated[bool, typer.Option("--estimate", help="Say tokens, money and time, and run nothing.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask again what an equal run has answered already.")] = False,
    json: Json = False,
) -> int:
    """Run every approach on the same examples, and say which one to use, or that nobody can tell yet."""
    from groundtune.project import Project
    from groundtune.workflows.deciding import Demand

    demands = [Demand.parse(one) for one in require or ()]
    if budget_usd is not None and not budget_usd >= 0:
        raise UsageError(f"--budget-usd must be 0 or more, not {budget_usd:g}")
    with Project.open(folder) as project:
        if estimate:
            _show_estimate(project.estimate(approaches=approach, split=split), json=json)
            return 0
        report = compare(project, approaches=approach, split=split, primary=primary, budget_usd=budget_usd, fresh=fresh)
    unmet = report.unmet_by(demands)
    if json:
        output.emit_json({**report.summary(), "unmet": unmet})
    else:
        show_report(report, unmet=unmet)
    return exit_code(report, unmet)


def compare(
    project: "Project",
    *,
    approaches: list[str] | None = None,
    split: str = "test",
    primary: str | None = None,
    budget_usd: float | None = None,
    fresh: bool = False,
) -> "Report":
    """Compare with a progress bar that shows the money spent; cut short, say how to read what there is."""
    kept = ""
    try:
        with output.progress("answers") as bar:

            def step(now: "Step") -> None:
                nonlocal kept
                kept = f"{now.done:,} of {now.total:,} answers are kept"
                spent = f"${now.spent_usd:.4f}  " if now.spent_usd else ""
                bar.update(now.done, total=now.total, now=spent + now.approach)

            return project.compare(
                approaches=approaches,
                split=split,
                primary=primary,
                budget_usd=budget_usd,
                fresh=fresh,
                progress=step,
            )
    except (KeyboardInterrupt, BudgetError) as error:
        if kept:
            output.note(kept if isinstance(error, BudgetError) else f"stopped; {kept}")
            output.next_step("groundtune report", "the run so far; groundtune compare goes on with it")
        raise


def _show_estimate(estimates: "list[Estimate]", *, json: bool) -> None:
    from groundtune.workflows.estimating import total

    together = total(estimates)
    if json:
        output.emit_json({"estimates": estimates, "total": together})
        return
    output.show_table(
        ["approach", "model", "calls", "cached", "input tokens", "output tokens", "usd", "usd at most", "seconds"],
        [
            [
                one.approach,
                one.model,
                one.calls,
                one.cached,
                one.input_tokens,
                one.output_tokens,
                one.usd,
                one.usd_at_most,
                None if one.seconds is None else f"{one.seconds:,.0f}" + ("" if one.timed else " (assumed)"),
            ]
            for one in (*estimates, *([together] if len(estimates) > 1 else []))
        ],
    )
    output.note("tokens and usd: four characters a token, outputs as long as the examples' own; – is unknown")
    output.note(
        "usd at most: a token for each byte, all output tokens; tries that end in a timeout may be billed besides"
    )
    output.next_step("groundtune compare --budget-usd …", "stops before more is spent")
