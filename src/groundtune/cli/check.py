"""`groundtune check`: prints what is wrong or missing in a project, all at once. Decides nothing itself."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.checkup import Checkup, Finding, check_project
from groundtune.cli import output

if TYPE_CHECKING:
    from groundtune.tune.preflight.check import Preflight

MOST = 20
"""Findings of one level that are printed; --json has all."""


def run(
    folder: Annotated[
        Path, typer.Argument(help="The project, or a folder in it.", show_default="this folder")
    ] = Path(),
    tune: Annotated[
        str | None, typer.Option("--tune", metavar="NAME", help="Look at the training [tune.NAME] instead.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Validate everything that can be validated before time or money is spent.

    Exit code 0 when all is well, 2 when something is wrong, 3 when something is missing; 1 when a training is refused.
    """
    if tune is not None:
        raise typer.Exit(_look(folder, tune, as_json=as_json))
    report = check_project(folder)
    if as_json:
        output.emit_json({"ok": report.exit_code == 0, **output.jsonable(report)})
    else:
        _print(report)
    raise typer.Exit(report.exit_code)


def _look(folder: Path, name: str, *, as_json: bool) -> int:
    from groundtune.project import Project

    with Project.open(folder) as project:
        found = project.look(name)
    if as_json:
        output.emit_json({"ok": not found.errors, **output.jsonable(found)})
    else:
        show_preflight(found)
    return 1 if found.errors else 0


def show_preflight(found: "Preflight") -> None:
    """Findings with what mends them, what is learnt of the first row, and what the training takes at most."""
    rows = ", ".join(f"{split} {n:,}" for split, n in found.rows.items())
    output.show(f"rows: {rows}")
    for one in found.findings:
        style = {"error": "red", "warning": "yellow"}.get(one.level, "")
        about = f" ({', '.join(one.rows[:5])})" if one.rows else ""
        output.show(f"{one.level}: {one.message}{about}", style=style)
        if one.mend:
            output.hint(one.mend)
    for shown in found.shown[:1]:
        output.show(f"what is learnt of the first row: {shown}")
    if found.bounds:
        parts = {"s": found.bounds.seconds, "MB": found.bounds.memory_mb, "USD": found.bounds.usd}
        known = [f"{value:,.0f} {unit}" for unit, value in parts.items() if value is not None]
        output.show(f"at most {', '.join(known) or 'unknown'}. {found.bounds.note}".rstrip())


def _print(report: Checkup) -> None:
    if report.name is None:
        output.show(f"project    {output.named(report.path)} cannot be used yet; the rest is checked when it can")
    else:
        output.show(f"project    {report.name} ({report.task})  {output.named(report.path)}")
        _print_documents(report)
        _print_examples(report)
        for name, text in (report.models or {}).items():
            output.show(f"{'embedder' if name == 'embedder' else f'model {name}':<10} {text}")
    for level, title, style in (
        ("problem", "problem", "bold red"),
        ("missing", "missing thing", "bold red"),
        ("warning", "warning", "bold yellow"),
    ):
        _print_findings([one for one in report.findings if one.level == level], title, style)
    if report.exit_code == 0:
        output.show("\nready", style="green")
        root = report.path.parent
        here = root == Path.cwd()
        output.next_step("groundtune ingest" if here else f"groundtune ingest {shlex.quote(output.named(root))}")
    else:
        output.next_step("groundtune check", "when this is mended")


def _print_documents(report: Checkup) -> None:
    read = [kind for kind in report.kinds if kind.unread is None]
    kinds = ", ".join(f"{kind.files:,} {kind.suffix[1:]}" for kind in read)
    size = sum(kind.bytes for kind in read)
    shown = f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{-(-size // 1000):,} kB"
    total = output.count(sum(kind.files for kind in read), "file")
    output.show(f"documents  {f'{total} ({kinds}), {shown}' if read else 'none'}")
    for kind in report.kinds:
        if kind.unread is not None:
            output.show(f"           {output.count(kind.files, 'file')} left out: {output.named(kind.unread)}")


def _print_examples(report: Checkup) -> None:
    for file in report.examples:
        splits = ", ".join(f"{split} {number:,}" for split, number in file.splits.items())
        output.show(
            f"examples   {output.count(file.examples, 'example')} in {output.named(file.source)}: {splits}; "
            f"{file.unanswerable:,} unanswerable, {file.with_evidence:,} with evidence"
        )
    if not report.examples:
        output.show("examples   none; asking works, measuring needs some")


def _print_findings(findings: list[Finding], title: str, style: str) -> None:
    if not findings:
        return
    output.show(f"\n{output.count(len(findings), title)}", style=style)
    for finding in findings[:MOST]:
        output.show(f"  {output.named(finding.place)}: {finding.message}")
        if finding.mend:
            output.show(f"    mend: {finding.mend}")
    if len(findings) > MOST:
        output.show(f"  and {len(findings) - MOST:,} more; --json has all")
