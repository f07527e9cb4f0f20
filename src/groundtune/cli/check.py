"""Implement `groundtune check`: print everything wrong or missing in a project at once. Decides nothing itself."""

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli import output
from groundtune.cli.options import AllowTruncation, Json, ProjectFolder
from groundtune.common.text import format_count
from groundtune.errors import UsageError
from groundtune.project.validation import CheckFinding, CheckReport, check_project

if TYPE_CHECKING:
    from groundtune.tune.preflight.findings import PreflightFinding as TrainingFinding
    from groundtune.tune.preflight.lengths import LengthReport
    from groundtune.tune.preflight.run import PreflightReport

MOST = 20
"""Findings printed per level; --json has all."""
NAMED = 5
"""Row ids printed with a training finding."""
PROMPT, REPLY = 240, 400
"""Characters printed of a rendered row: the end of the prompt and the start of the reply."""
BAR = 30


def run(
    *,
    tune: Annotated[
        str | None,
        typer.Option("--tune", metavar="NAME", help="Check the training run [tune.NAME] instead of the project."),
    ] = None,
    documents: Annotated[
        bool,
        typer.Option(
            "--documents",
            help="Check what the indexed documents say instead: versions, contradictions, what is stale or unused.",
        ),
    ] = False,
    ship: Annotated[
        bool,
        typer.Option(
            "--ship", help="Check what has to be in place before the project is served: choice, canary, monitoring, …"
        ),
    ] = False,
    allow_truncation: AllowTruncation = None,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Check the project file, documents, examples and models for problems before you spend time or money.

    Exit code: 0 if there are no problems, 1 if training would be refused or something is missing to ship, 2 if the
    configuration or data is invalid, 3 if something is missing (such as a file, a key or a model).
    """
    if tune is not None:
        raise typer.Exit(_check_training(folder, tune, allow_truncation, json=json))
    if allow_truncation is not None:
        raise UsageError("--allow-truncation requires --tune NAME", hint="groundtune check --tune NAME")
    if documents:
        _check_documents(folder, json=json)
        return
    if ship:
        raise typer.Exit(_check_ship(folder, json=json))
    report = check_project(folder)
    if json:
        output.print_json({"ok": report.exit_code == 0, **output.jsonable(report)})
    else:
        _print(report)
    raise typer.Exit(report.exit_code)


def _check_documents(folder: Path, *, json: bool) -> None:
    from groundtune.project import Project

    with Project.open(folder) as project:
        report = project.check_documents()
    if json:
        output.print_json(report)
    else:
        output.print_line(str(report))


def _check_ship(folder: Path, *, json: bool) -> int:
    from groundtune.project import Project

    with Project.open(folder) as project:
        report = project.check_ship()
    if json:
        output.print_json({"ready": report.ready, **output.jsonable(report)})
    else:
        output.print_line(str(report))
    return 0 if report.ready else 1


def _check_training(folder: Path, name: str, allow_truncation: int | None, *, json: bool) -> int:
    from groundtune.project import Project

    with Project.open(folder) as project:
        preflight = project.preflight(name, allow_truncation=allow_truncation)
    if json:
        output.print_json({"ok": not preflight.errors, **output.jsonable(preflight)})
        return 1 if preflight.errors else 0
    show_preflight(preflight)
    if preflight.errors:
        output.next_step(f"groundtune check --tune {name}", "after fixing the errors")
    else:
        output.next_step(f"groundtune tune {name}")
    return 1 if preflight.errors else 0


def show_preflight(preflight: "PreflightReport") -> None:
    """Print row counts and lengths, the trained part of the first rows, the findings, and the upper bounds."""
    from groundtune.tune.preflight.run import bounds_text

    output.print_line(f"rows    {', '.join(f'{split} {n:,}' for split, n in preflight.rows.items())}")
    if labels := preflight.labels:
        first = ", ".join(f"{output.printable(label)} {n:,}" for label, n in list(labels.items())[:MOST])
        more = f" and {len(labels) - MOST:,} more" if len(labels) > MOST else ""
        output.print_line(f"labels  {first}{more}")
    if preflight.lengths:
        _print_lengths(preflight.lengths)
    if preflight.shown:
        output.print_line("text that the model is trained on is between ⟦ and ⟧:")
    for row in preflight.shown:
        before = output.printable(row.prompt)
        reply = output.excerpt(row.trained, REPLY)
        cut = f"✂{output.excerpt(row.cut, REPLY)}" if row.cut else ""
        tail = before if len(before) <= PROMPT else "…" + before[-PROMPT:]
        rejected = f" preferred over ⟦{output.excerpt(row.rejected, REPLY)}⟧" if row.rejected else ""
        output.print_line(f"  {output.printable(row.id)}: {tail}⟦{reply}⟧{cut}{rejected}")
    for finding in preflight.findings:
        _print_training_finding(finding)
    if preflight.bounds:
        output.print_line(f"at most {bounds_text(preflight.bounds)}")


def _print_lengths(lengths: "LengthReport") -> None:
    limit = "no known limit" if lengths.limit is None else f"limit {lengths.limit:,}"
    longer = f"; {format_count(len(lengths.truncated), 'row')} longer than that" if lengths.truncated else ""
    dropped = f"; {format_count(len(lengths.dropped), 'row')} with nothing left to train on" if lengths.dropped else ""
    figures = f"median {lengths.median:,}, 95th percentile {lengths.p95:,}, maximum {lengths.longest:,}"
    output.print_line(f"tokens  {figures}; {limit}{longer}{dropped}")
    most = max(bucket.rows for bucket in lengths.bins)
    width = len(f"{lengths.bins[-1].high:,}")
    for bucket in lengths.bins:
        bar = "█" * -(-bucket.rows * BAR // most)
        output.print_line(f"  {bucket.low:>{width},} to {bucket.high:>{width},}  {bucket.rows:>7,} {bar}".rstrip())


def _print_training_finding(finding: "TrainingFinding") -> None:
    style = {"error": "red", "warning": "yellow"}.get(finding.level, "")
    mentioned = set(re.findall(r"[^\s(),;]+", finding.message))
    rows = [output.printable(name) for name in finding.rows[:NAMED] if name not in mentioned]
    more = (finding.count or 0) - NAMED
    listed = ", ".join(rows) + (f" and {more:,} more" if more > 0 else "")
    output.print_line(f"{finding.level}: {finding.message}" + (f" ({listed})" if rows else ""), style=style)
    if finding.hint:
        output.print_line(f"    hint: {finding.hint}")


def _print(report: CheckReport) -> None:
    if report.name is None:
        path = output.printable(report.path)
        output.print_line(f"project    {path} is invalid; fix it, then check again to see the rest")
    else:
        output.print_line(f"project    {report.name} ({report.task})  {output.printable(report.path)}")
        _print_documents(report)
        _print_examples(report)
        for name, text in (report.models or {}).items():
            output.print_line(f"{'embedder' if name == 'embedder' else f'model {name}':<10} {text}")
        if report.approach:
            output.print_line(f"approach   {output.printable(report.approach)}")
        for name, kind in report.sources.items():
            output.print_line(f"{f'source {name}':<10} {output.printable(kind)}")
    for note in report.notes:
        output.print_line(f"note       {output.printable(note.text)}")
    if report.forgotten:
        named = ", ".join(map(output.printable, report.forgotten[:NAMED]))
        more = f" and {len(report.forgotten) - NAMED:,} more" if len(report.forgotten) > NAMED else ""
        output.print_line(f"forgotten  {named}{more}")
    for package in report.extensions:
        adds = ", ".join(package.adds) or "nothing"
        output.print_line(output.printable(f"extension  {package.name} {package.version}: {adds}"))
    for level, title, style in (
        ("problem", "problem", "bold red"),
        ("missing", "missing thing", "bold red"),
        ("warning", "warning", "bold yellow"),
    ):
        _print_findings([finding for finding in report.findings if finding.level == level], title, style)
    if report.exit_code == 0:
        output.print_line("\nready", style="green")
        root = report.path.parent
        verb = f"groundtune {_next_verb(report)}"
        output.next_step(verb if root == Path.cwd() else f"{verb} -C {shlex.quote(output.printable(root))}")
    else:
        output.next_step("groundtune check", "after fixing these")


def _next_verb(report: CheckReport) -> str:
    """Return the command to run next: ingest until an approach is chosen, since files may have changed."""
    if (report.kinds or report.sources or not report.examples) and not (report.indexed and report.approach):
        return "ingest"
    return "ask" if report.approach else "compare"


def _print_documents(report: CheckReport) -> None:
    read = [kind for kind in report.kinds if kind.unread is None]
    kinds = ", ".join(f"{kind.files:,} {kind.suffix[1:]}" for kind in read)
    size = sum(kind.bytes for kind in read)
    size_text = f"{size / 1e6:,.1f} MB" if size >= 100_000 else f"{-(-size // 1000):,} kB"
    total = format_count(sum(kind.files for kind in read), "file")
    output.print_line(f"documents  {f'{total} ({kinds}), {size_text}' if read else 'none'}")
    for kind in report.kinds:
        if kind.unread is not None:
            output.print_line(f"           {format_count(kind.files, 'file')} skipped: {output.printable(kind.unread)}")


def _print_examples(report: CheckReport) -> None:
    for file in report.examples:
        splits = ", ".join(f"{split} {number:,}" for split, number in file.splits.items())
        output.print_line(
            f"examples   {format_count(file.examples, 'example')} in {output.printable(file.source)}: {splits}; "
            f"{file.unanswerable:,} unanswerable, {file.with_evidence:,} with evidence"
        )
    if not report.examples:
        output.print_line("examples   none; ask works without examples, but evaluate and compare need them")


def _print_findings(findings: list[CheckFinding], title: str, style: str) -> None:
    if not findings:
        return
    output.print_line(f"\n{format_count(len(findings), title)}", style=style)
    for finding in findings[:MOST]:
        output.print_line(f"  {output.printable(finding.place)}: {finding.message}")
        if finding.hint:
            output.print_line(f"    hint: {finding.hint}")
    if len(findings) > MOST:
        output.print_line(f"  and {len(findings) - MOST:,} more; --json has all")
