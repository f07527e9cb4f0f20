"""Report on a stored run of a project, as it is or under other assumptions. Asks no model."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from groundtune.errors import MissingError
from groundtune.records.audit_log import AuditLog
from groundtune.workflows.live_report import LiveReport
from groundtune.workflows.reporting import Report, evaluate_run
from groundtune.workflows.runs import read_run, run_folder
from groundtune.workflows.what_if import assume
from groundtune.workspace import Workspace


def stored_report(
    workspace: Workspace, run: str | None = None, *, primary: str | None = None, what_if: Mapping[str, str]
) -> Report:
    """Evaluate a run, the latest if none is named, and write its page and its verdict.

    what_if: other assumptions; the page of the run then stays as it is. Raises MissingError when there is no such run.
    """
    folder = run_folder(workspace, run)
    report = evaluate_run(assume(read_run(folder), what_if), primary=primary)
    report = replace(report, live=_live(workspace))
    if what_if:
        return report
    from groundtune.workflows.report_page import write_report  # answers at once where no page is written
    from groundtune.workflows.verdict_files import write_verdict

    write_verdict(report, folder)
    return write_report(report, folder)


def current_page(workspace: Workspace, run: str) -> Path:
    """Return report.html of a run, written again if what it shows has changed since, or groundtune has.

    Raises MissingError when there is no such run, or it has no results yet.
    """
    from groundtune.workflows.report_page import PAGE, is_up_to_date, write_page

    folder, live = run_folder(workspace, run), _live(workspace)
    has_figures = live is not None and bool(live.comparisons)  # they change with every answer
    if has_figures or not is_up_to_date(folder):
        write_page(replace(evaluate_run(read_run(folder)), live=live), folder / PAGE)
    return folder / PAGE


def _live(workspace: Workspace) -> LiveReport | None:
    """Return the comparison on real questions; None where nothing was served."""
    if not AuditLog(workspace).exists:
        return None
    from groundtune.workflows.comparing_live import compare_live  # most reports of a run need none of it

    return compare_live(workspace)


def latest_report(workspace: Workspace) -> Report | None:
    """Evaluate the latest run and write nothing; None without a run."""
    try:
        folder = run_folder(workspace)
    except MissingError:
        return None
    return evaluate_run(read_run(folder))
