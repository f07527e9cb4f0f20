"""Write a verdict that can be defended: verdict.json and verdict.md beside the report of a run.

They hold what the verdict rests on and what speaks against it, with the digests by which verifying.py tells whether it
still holds.
"""

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from groundtune.approaches.families import family_of
from groundtune.common.files import digest_file, write_atomic, write_json
from groundtune.common.format_version import versioned
from groundtune.decide.literature import findings
from groundtune.decide.wording import usd
from groundtune.types import ApproachSummary
from groundtune.workflows.reporting import Report
from groundtune.workflows.run_prices import parts_of_run

FILE, PAGE = "verdict.json", "verdict.md"
FORMAT = 1
REBUILD = "groundtune report"


def write_verdict(report: Report, folder: Path) -> None:
    """Write both files to the folder of a run."""
    content = verdict_content(report)
    write_json(folder / FILE, versioned(content, FORMAT))
    write_atomic(folder / PAGE, verdict_text(content).encode("utf-8", "backslashreplace"))


def verdict_content(report: Report) -> dict[str, Any]:
    """Return the content of verdict.json. `verdict` and `evidence.digests` are what is verified."""
    verdict, run, about = report.verdict, report.run, report.run.about
    named = [verdict.choice] if verdict.choice else verdict.leaders
    parts = parts_of_run(about)
    families = dict.fromkeys(family_of(name, parts) for name in named)
    task = about.get("task", "answer")
    return {
        "verdict": verdict_core(report),
        "reasons": verdict.reasons,
        "caveats": verdict.caveats,
        "flips": [asdict(flip) for flip in verdict.flips],
        "requirements": about.get("requirements", {}),
        "evidence": {
            "run": run.name,
            "started": run.started,
            "complete": run.complete,
            "split": about.get("split"),
            "task": task,
            "primary": report.primary,
            "n": report.n,
            "groups": report.figures.groups,
            "digests": {**about.get("basis", {}), "matrix": digest_file(run.file)},
            "artifacts": about.get("artifacts", {}),
            "approaches": [asdict(summary) for summary in report.approaches],
            "comparisons": [asdict(difference) for difference in report.figures.differences],
        },
        "costs": report.costs.summary(),
        "guides": report.guides,
        "literature": {
            family: {side: [asdict(each) for each in found] for side, found in findings(family, task).items()}
            for family in families
        },
        "versions": {
            "groundtune": version("groundtune"),
            "of the comparison": about.get("version"),
            "python": platform.python_version(),
            "packages": about.get("packages", {}),
        },
    }


def verdict_core(report: Report) -> dict[str, Any]:
    """Return what of a verdict must be the same for it to hold."""
    verdict = report.verdict
    return {
        "choice": verdict.choice,
        "sentence": verdict.sentence,
        "leaders": list(verdict.leaders),
        "ruled_out": {name: list(reasons) for name, reasons in verdict.ruled_out.items()},
    }


def verdict_text(content: Mapping[str, Any]) -> str:
    """Return the content as Markdown, for people who were not there."""
    evidence, verdict = content["evidence"], content["verdict"]
    lines = [f"# {verdict['sentence']}", ""]
    run, started, split = (evidence[key] or "unknown" for key in ("run", "started", "split"))
    lines += [
        f"Comparison {run} of {started}, {evidence['n']:,} examples of the {split} split, scored by "
        f"`{evidence['primary']}`; intervals are 95% intervals. "
        "`groundtune report --verify` says whether it still holds.",
        "",
    ]
    required = {
        key: value for key, value in content["requirements"].items() if value is not None and value is not False
    }
    lines += _section("Required", (f"{key} = {value}" for key, value in required.items()))
    lines += _section("Why", content["reasons"])
    lines += _section("Ruled out", (f"{name}: {'; '.join(reasons)}" for name, reasons in verdict["ruled_out"].items()))
    lines += ["## Figures", "", *_figures(evidence["approaches"]), ""]
    lines += _costs(content["costs"])
    lines += _section("What would change it", (flip["sentence"] for flip in content["flips"]))
    lines += _section("What weakens it", content["caveats"])
    for family, sides in content["literature"].items():
        for side, title in (("for", "What papers found for"), ("against", "What papers found against")):
            lines += _section(f"{title} {family}", map(_finding, sides[side]))
    lines += _section("What guides say of this project", map(_guide, content["guides"]))
    digests = (f"{name}: `{digest}`" for name, digest in evidence["digests"].items() if digest)
    artifacts = (f"model of {name}: `{artifact}`" for name, artifact in evidence["artifacts"].items())
    versions = (f"{name}: {number}" for name, number in content["versions"].items() if number)
    lines += _section("What it rests on", (*digests, *artifacts, *versions))
    return "\n".join(lines).rstrip() + "\n"


def _section(title: str, points: Iterable[str]) -> list[str]:
    listed = [f"- {' '.join(point.split())}" for point in points]
    return [f"## {title}", "", *listed, ""] if listed else []


def _figures(approaches: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [ApproachSummary(**row) for row in approaches]
    table = ["| approach | score | n | per 1,000 questions | p95 |", "|---|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: -1.0 if row.mean is None else -row.mean):
        score = "none" if row.mean is None else f"{row.mean:.3f} [{row.low:.3f}, {row.high:.3f}]"
        price = "unknown" if row.usd_per_1k is None else usd(row.usd_per_1k)
        latency = "unknown" if row.p95_seconds is None else f"{row.p95_seconds:.3g} s"
        table.append(f"| {row.name} | {score} | {row.n:,} | {price} | {latency} |")
    return table


def _costs(costs: Mapping[str, Any]) -> list[str]:
    def shown(value: Mapping[str, float] | None) -> str:
        return f"{usd(value['likely'])} [{usd(value['low'])} to {usd(value['high'])}]" if value else "unknown"

    keys = ("setup_usd", "monthly_usd", "per_correct_usd")
    rows = [f"| {' | '.join((each['name'], *(shown(each[key]) for key in keys)))} |" for each in costs["approaches"]]
    sentence = [costs["sentence"], ""] if costs["sentence"] else []
    table = ["| approach | set-up | a month | a correct answer |", "|---|---|---|---|", *rows]
    how = "Median [5% to 95%] of simulations on the assumptions in verdict.json."
    return ["## Costs", "", *sentence, how, "", *table, ""]


def _finding(found: Mapping[str, str]) -> str:
    doubt = "" if found["read"] == "source" else f"; {found['read']}"
    return f"{found['text']} ({found['source']}{doubt})"


def _guide(opinion: Mapping[str, Any]) -> str:
    default = " by default" if opinion["by_default"] else ""
    here = f"; by the figures here: {opinion['figures']}"
    return f"{opinion['guide']} says {opinion['says']}{default}: {opinion['because']} ({opinion['title']}{here})"
