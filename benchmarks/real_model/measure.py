"""Train every table of a project, compare its approaches, and print what each gives."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.common import table

from groundtune.project import Project
from groundtune.types import Interval
from groundtune.workflows.reporting import Report


def measure(folder: Path, approaches: Sequence[str], *, untuned: Mapping[str, str], split: str = "test") -> None:
    """untuned: maps each approach to the one that it is compared with."""
    with Project.open(folder) as project:
        if project.config.documents.include:
            project.ingest()
        for name in project.config.tune:
            started = time.perf_counter()
            artifact = project.tune(name)
            print(f"trained {name}: {artifact.metrics} in {time.perf_counter() - started:.0f} s", flush=True)
            if artifact.unusable:
                print(f"  not usable: {artifact.unusable}")
        report = project.compare(approaches=approaches, split=split)
    _show(report, untuned)


def _show(report: Report, untuned: Mapping[str, str]) -> None:
    others = sorted({name for each in report.approaches for name in each.metrics if name != report.primary})
    lines: list[Sequence[str]] = [("approach", report.primary, "n", "errors", *others, "median s")]
    for each in report.approaches:
        mean = "none" if each.mean is None else f"{each.mean:.3f} [{each.low:.3f}, {each.high:.3f}]"
        more = [_interval(each.metrics.get(name)) for name in others]
        seconds = "" if each.p50_seconds is None else f"{each.p50_seconds:.2f}"
        lines.append((each.name, mean, str(each.n), str(each.errors), *more, seconds))
    table(lines)
    for name, other in untuned.items():
        for pair in report.figures.differences:
            if {pair.a, pair.b} == {name, other}:
                sign = 1 if pair.a == name else -1
                low, high = sorted((sign * pair.low, sign * pair.high))
                gain = f"{sign * pair.difference:+.3f} [{low:+.3f}, {high:+.3f}], n = {pair.n}"
                print(f"{name} - {other}: {gain}, adjusted p = {pair.p_adjusted:.3g}")
    print(report.verdict.sentence)
    for line in report.verdict.caveats:
        print(f"  {line}")


def _interval(mean: Interval | None) -> str:
    return "" if mean is None else f"{mean.mean:.3f} [{mean.low:.3f}, {mean.high:.3f}]"
