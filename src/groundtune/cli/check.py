"""`groundtune check`: prints what is wrong or missing in a project, all at once. Decides nothing itself."""

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.checkup import Checkup, Finding, check_project
from groundtune.cli import output
from groundtune.cli.options import AllowTruncation
from groundtune.errors import UsageError

if TYPE_CHECKING:
    from groundtune.tune.preflight.check import Preflight
    from groundtune.tune.preflight.findings import Finding as Found
    from groundtune.tune.preflight.lengths import Lengths

MOST = 20
"""Findings of one level that are printed; --json has all."""
NAMED = 5
"""Rows that a finding of a training names."""
PROMPT, REPLY = 240, 400
"""Characters of a rendered row that are printed: the last of what is read, the first of what is learnt."""
BAR = 30


def run(
    folder: Annotated[
        Path, typer.Argument(help="The project, or a folder in it.", show_default="this folder")
    ] = Path(),
    tune: Annotated[
        str | None, typer.Option("--tune", metavar="NAME", help="Look at the training [tune.NAME] instead.")
    ] = None,
    allow_truncation: AllowTruncation = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Validate everything that can be validated before time or money is spent.

    Exit code 0 when all is well, 2 when something is wrong, 3 when something is missing; 1 when a training is refused.
    """
    if tune is not None:
        raise typer.Exit(_look(folder, tune, allow_truncation, as_json=as_json))
    if allow_truncation is not None:
        raise UsageError("--allow-truncation is for a training", hint="groundtune check --tune NAME")
    report = check_project(folder)
    if as_json:
        output.emit_json({"ok": report.exit_code == 0, **output.jsonable(report)})
    else:
        _print(report)
    raise typer.Exit(report.exit_code)


def _look(folder: Path, name: str, allow_truncation: int | None, *, as_json: bool) -> int:
    from groundtune.project import Project

    with Project.open(folder) as project:
        found = project.look(name, allow_truncation=allow_truncation)
    if as_json:
        output.emit_json({"ok": not found.errors, **output.jsonable(found)})
        return 1 if found.errors else 0
    show_preflight(found)
    if found.errors:
        output.next_step(f"groundtune check --tune {name}", "when this is fixed")
    else:
        output.next_step(f"groundtune tune {name}")
    return 1 if found.errors else 0


def show_preflight(found: "Preflight") -> None:
    """How long the rows are, what is learnt of the first ones, what was found, and what the training takes at most."""
    from groundtune.tune.preflight.check import bounds_text

    output.show(f"rows    {', '.join(f'{split} {n:,}' for split, n in found.rows.items())}")
    if found.labels:
        first = ", ".join(f"{output.named(label)} {n:,}" for label, n in list(found.labels.items())[:MOST])
        more = f" and {len(found.labels) - MOST:,} more" if len(found.labels) > MOST else ""
        output.show(f"labels  {first}{more}")
    if found.lengths:
        _print_lengths(found.lengths)
    if found.shown:
        output.show("what is learnt stands between ⟦ and ⟧:")
    for one in found.shown:
        before = output.named(one.prompt)
        reply = output.excerpt(one.trained, REPLY)
        cut = f"✂{output.excerpt(one.cut, REPLY)}" if one.cut else ""
        tail = before if len(before) <= PROMPT else "…" + before[-PROMPT:]
        rather = f" rather than ⟦{output.excerpt(one.rejected, REPLY)}⟧" if one.rejected else ""
        output.show(f"  {output.named(one.id)}: {tail}⟦{reply}⟧{cut}{rather}")
    for finding in found.findings:
        _print_found(finding)
    if found.bounds:
        output.show(f"at most {bounds_text(found.bounds)}")


def _print_lengths(found: "Lengths") -> None:
    limit = "no limit is known" if found.limit is None else f"limit {found.limit:,}"
    cut = f"; {output.count(len(found.truncated), 'row')} longer" if found.truncated else ""
    lost = f"; {output.count(len(found.dropped), 'row')} with nothing left to learn" if found.dropped else ""
    output.show(
        f"tokens  median {found.median:,}, 95 % up to {found.p95:,}, longest {found.longest:,}; {limit}{cut}{lost}"
    )
    most = max(one.rows for one in found.bins)
    width = len(f"{found.bins[-1].high:,}")
    for one in found.bins:
        bar = "█" * -(-one.rows * BAR // most)
        output.show(f"  {one.low:>{width},} to {one.high:>{width},}  {one.rows:>7,} {bar}".rstrip())


def _print_found(one: "Found") -> None:
    style = {"error": "red", "warning": "yellow"}.get(one.level, "")
    said = set(re.findall(r"[^\s(),;]+", one.message))
    rows = [output.named(name) for name in one.rows[:NAMED] if name not in said]
    more = (one.count or 0) - NAMED
    listed = ", ".join(rows) + (f" and {more:,} more" if more > 0 else "")
    output.show(f"{one.level}: {one.message}" + (f" ({listed})" if rows else ""), style=style)
    if one.hint:
        output.show(f"    hint: {one.hint}")


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
        verb = "groundtune ingest" if report.kinds or not report.examples else "groundtune compare"
        output.next_step(verb if root == Path.cwd() else f"{verb} {shlex.quote(output.named(root))}")
    else:
        output.next_step("groundtune check", "when this is fixed")


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
        if finding.hint:
            output.show(f"    hint: {finding.hint}")
    if len(findings) > MOST:
        output.show(f"  and {len(findings) - MOST:,} more; --json has all")
