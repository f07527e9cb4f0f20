"""Write the report of a run to disk: report.json, and one HTML page with every answer."""

from base64 import b64encode
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from groundtune.common.conversations import transcript
from groundtune.common.files import read_json_lines, write_atomic, write_json
from groundtune.decide.costs import Draws
from groundtune.decide.flips import moves, stretches
from groundtune.decide.machine_prices import MachinePrices
from groundtune.measure.results import RESULTS
from groundtune.measure.runner import JUDGEMENTS, PASSAGES
from groundtune.report import html as page
from groundtune.types import Result
from groundtune.workflows.costing import CostReport
from groundtune.workflows.curve_file import CURVE
from groundtune.workflows.reporting import Report
from groundtune.workflows.routing_file import ROUTING
from groundtune.workflows.runs import EXAMPLES, RUN

PAGE = "report.html"
SHOWN = (RUN, RESULTS, EXAMPLES, PASSAGES, JUDGEMENTS, CURVE, ROUTING)
"""Files of a run that its page shows."""


def write_report(report: Report, folder: Path) -> Report:
    """Write report.json and report.html to a folder; return the report with the path of its page."""
    report = write_page(report, folder / PAGE)
    write_json(folder / "report.json", report.summary())
    return report


def write_page(report: Report, file: Path) -> Report:
    """Write the self-contained report.html; return the report with its path."""
    report = replace(report, file=file)
    run = report.run
    reasons = {
        (note["example"], note["approach"]): note["reasons"] for note in read_json_lines(run.file.parent / JUDGEMENTS)
    }
    cells: dict[str, dict[str, Any]] = {}
    for result in run.results:
        cell = _cell(result, report.case.machine)
        if judged := reasons.get((result.example, result.approach)):
            reason = "; ".join(f"{metric}: {text}" for metric, text in judged.items())
            cell["judge"] = {"score": result.scores.get("judge"), "reason": reason}
        cells.setdefault(result.example, {})[result.approach] = cell
    notes = {note["id"]: note for note in read_json_lines(run.file.parent / PASSAGES)}
    content = {
        **report.summary(),
        "title": run.about.get("name") or "groundtune",
        "made": run.started,
        "threshold_sentences": report.threshold_sentences,
        "prompt_sentences": report.prompt_sentences,
        "curve_sentences": report.curve_sentences,
        "task": run.about.get("task", "answer"),
        "examples": [
            {
                "id": example.id,
                "input": transcript(example.input, example.history),
                "output": example.output,
                "tags": list(example.tags),
                "evidence": [asdict(proof) for proof in example.evidence],
            }
            for example in run.examples
        ],
        "cells": cells,
        "passages": notes,
        "moves": _moves(report),
        "draws": _draws(report.costs),
    }
    write_atomic(file, page.render_page(content).encode("utf-8", "backslashreplace"))
    return report


def is_up_to_date(folder: Path) -> bool:
    """Whether the page in the folder of a run shows it as it is now, with the script of this version."""
    file = folder / PAGE
    shown = [path.stat().st_mtime_ns for name in SHOWN if (path := folder / name).exists()]
    if not file.is_file() or file.stat().st_mtime_ns < max(shown):
        return False
    with file.open("rb") as opened:
        return page.is_current(opened.read(page.HEAD))


def costs_content(costs: CostReport, report: Report | None) -> dict[str, Any]:
    """Return what the costs of a page are drawn from, as `render_page` takes it. report: the comparison, if any."""
    found = report.summary() if report else {"approaches": [{"name": each.name} for each in costs.approaches]}
    return {
        **found,
        "costs": costs.summary(),
        "moves": _moves(report) if report else [],
        "draws": _draws(costs),
    }


def _moves(report: Report) -> list[dict[str, Any]]:
    """Return what the verdict is as one number moves: between which values it stays the same."""
    return [
        {
            "key": move.key,
            "now": move.now,
            "stretches": [asdict(stretch) for stretch in found],
        }
        for move in moves(report.case)
        if (found := stretches(move))
    ]


def _draws(costs: CostReport) -> dict[str, Any]:
    """Return the simulated costs of each approach, from which the page computes them under other values."""
    model = costs.model
    return {
        "months": model.months,
        "volume": _encoded(model.volume),
        "machine": _encoded(model.machine),
        "approaches": {
            each.name: None
            if (draws := model.draws(each)) is None
            else {name: _encoded(values) for name, values in asdict(draws).items()}
            for each in costs.costed
        },
    }


def _encoded(draws: Draws | None) -> float | str | None:
    """Return one number where all draws are equal, else the draws as float32, little-endian, in base64."""
    if draws is None or draws.min() == draws.max():
        return None if draws is None else float(draws[0])
    return b64encode(draws.astype("<f4").tobytes()).decode()


def _cell(result: Result, machine: MachinePrices) -> dict[str, Any]:
    return {
        "status": result.status,
        "output": result.output,
        "citations": [asdict(citation) for citation in result.citations],
        "scores": dict(result.scores),
        "usage": {**asdict(result.usage), "usd": machine.of_answer(result)},
        "error": asdict(result.error) if result.error else None,
        **({"cut": result.cut} if result.cut else {}),
        **({"warnings": list(result.warnings)} if result.warnings else {}),
    }
