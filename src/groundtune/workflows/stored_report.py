"""Report on a stored run of a project, as it is or under other assumptions. Asks no model."""

from collections.abc import Mapping
from dataclasses import replace

from groundtune.errors import MissingError
from groundtune.records.audit_log import AuditLog
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
    if AuditLog(workspace).exists:
        from groundtune.workflows.comparing_live import compare_live  # most reports of a run need none of it

        report = replace(report, live=compare_live(workspace))
    if what_if:
        return report
    from groundtune.workflows.report_page import write_report  # answers at once where no page is written
    from groundtune.workflows.verdict_files import write_verdict

    write_verdict(report, folder)
    return write_report(report, folder)


def latest_report(workspace: Workspace) -> Report | None:
    """Evaluate the latest run and write nothing; None without a run."""
    try:
        folder = run_folder(workspace)
    except MissingError:
        return None
    return evaluate_run(read_run(folder))
