"""Change ten documents, and count the answers of each approach that still give the former value."""

import json
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from benchmarks.common import table

from groundtune.errors import GroundtuneError
from groundtune.project import Project

CHANGES = tomllib.loads(Path(__file__).with_name("changes.toml").read_text(encoding="utf-8"))["changes"]
UNTRAINED = ("prompt", "rag", "quote-hybrid")


def count_stale(folder: Path, seeds: int) -> None:
    """Ask the questions of the train split that the changes are about, before and after them."""
    with Project.open(folder) as project:
        rows = map(json.loads, (folder / "examples.jsonl").read_text(encoding="utf-8").splitlines())
        inputs = {row["id"]: row["input"] for row in rows}
        before = _ask(project, inputs, seeds)
        for change in CHANGES:
            file = folder / change["document"]
            text = file.read_text(encoding="utf-8")
            if change["new"] not in text:
                assert change["old"] in text, change
                file.write_text(text.replace(change["old"], change["new"]), encoding="utf-8")
        project.ingest()
        after = _ask(project, inputs, seeds)
    rows = [["approach", "answers", "right before", "after: stale", "current", "neither", "abstained or error"]]
    for name, counts in after.items():
        kinds = (counts[kind] for kind in ("stale", "current", "neither", "none"))
        rows.append([name, str(counts.total()), str(before[name]["stale"]), *map(str, kinds)])
    table(rows)


def _ask(project: Project, inputs: Mapping[str, str], seeds: int) -> dict[str, Counter[str]]:
    """Count by approach what the answers give; `stale` is the value before the changes."""
    names = {name: [name] for name in UNTRAINED}
    for approach, training in (("tuned", "closed_book"), ("hybrid", "over_passages")):
        models = [model for model in project.artifacts() if model.name == training and not model.unusable]
        names[approach] = [f"{approach}@{model.id}" for model in models[-seeds:]]
    return {
        name: Counter(
            _state(project, inputs[change["example"]], each, change) for each in several for change in CHANGES
        )
        for name, several in names.items()
    }


def _state(project: Project, question: str, approach: str, change: Mapping[str, str]) -> str:
    try:
        text = project.ask(question, approach=approach).text
    except GroundtuneError as error:
        print(f"{approach}: {error.message}")
        return "none"
    if not text:
        return "none"
    if change["current"] in text:
        return "current"
    return "stale" if change["stale"] in text else "neither"
