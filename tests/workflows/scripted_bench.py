"""Projects with scripted models and user commands on them, shared by the tests of compare."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from groundtune.cli import main
from groundtune.testing.scripted_models import ModelScript, ScriptedModel
from groundtune.testing.scripted_server import ScriptedServer

SYLLABLES = ("mar", "tel", "os", "win", "dra", "fen", "col", "by", "ru", "sta")
LABELS = {
    "refund": "I sent the bike back, where is my money?",
    "delivery": "When will the parcel with my order arrive?",
    "billing": "The invoice shows the wrong amount of tax.",
    "defect": "The brake broke after two days of riding.",
}
TWO = ("--approach", "prompt", "--approach", "prompt:cheap")
NINTH = {"input_per_million": 1.0, "output_per_million": 1.0, "cached_per_million": 1.0}
FIVE = {"prompt": "alone", "fewshot-fixed": "shots", "fewshot": "shots", "context": "passages", "rag": "passages"}
"""Kind of prompt that each approach sends to a model."""
Rows = list[dict[str, Any]]


def town(number: int) -> str:
    return "".join(SYLLABLES[int(digit)] for digit in f"{number:03}").capitalize()


def _answer(number: int) -> tuple[str, Any]:
    return f"How much is the bridge toll in {town(number)}?", f"{100 + 7 * number} pence"


def ticket(number: int) -> tuple[str, Any]:
    label = list(LABELS)[number % 4]
    return f"{LABELS[label]} Ticket {number} of {town(number)}.", label


def _extract(number: int) -> tuple[str, Any]:
    gold = {"number": f"R-{number}", "total": 10.5 + number, "paid": number % 2 == 0, "town": town(number)}
    return f"Invoice R-{number}, {town(number)}, {gold['total']} pounds, {'paid' if gold['paid'] else 'open'}.", gold


def _write(number: int) -> tuple[str, Any]:
    about = f"{town(number)}, order {4000 + number}"
    return f"Tell the customer: {about}, sent.", f"Dear customer of {about}: it left us {number % 9 + 1} days ago."


def examples(task: str, test: int, train: int = 12, first: int = 0) -> Rows:
    make = {"answer": _answer, "classify": ticket, "extract": _extract, "write": _write}[task]
    rows = []
    for number in range(first, first + test + train):
        text, gold = make(number)
        split = "test" if number < first + test else "train"
        rows.append({"id": f"e{number}", "input": text, "output": gold, "split": split})
    return rows


def documents(count: int, files: int = 5) -> dict[str, str]:
    """Each town is one section; every file has many."""
    pages: dict[str, str] = {}
    for number in range(count):
        _, toll = _answer(number)
        section = f"\n## {town(number)}\n\nThe bridge toll in {town(number)} is {toll}. It is due on the north bank.\n"
        pages[f"docs/{number % files}.md"] = pages.get(f"docs/{number % files}.md", "# Tolls\n") + section
    return pages


def project_file(url: str, models: Sequence[ModelScript], *, toml: str, model: str) -> str:
    """Write a project file; the first model is the default, the others have their own tables. model: extra keys."""
    task = next(model.task for model in models if isinstance(model, ScriptedModel))
    parts = [f'name = "scripted"\ntask = "{task}"\n{toml}\n[examples]\nfiles = ["examples.jsonl"]']
    for place, script in enumerate(models):
        keys = f'kind = "openai"\nmodel = "{script.name}"\nbase_url = "{url}"\nwindow = 30000\nmax_output_tokens = 64'
        parts.append(f"[models.{script.name if place else 'default'}]\n{keys}\n{model}")
        if isinstance(script, ScriptedModel):
            kinds = ("input_per_million", "cached_per_million", "output_per_million")
            prices = [f"{kind} = {getattr(script, kind)}" for kind in kinds]
            parts.append("\n".join([f'[prices."{script.name}"]', *prices]))
    return "\n".join(parts)


class Bench:
    """A project with scripted models, and the commands of a user."""

    def __init__(self, folder: Path, server: ScriptedServer, say: Callable[[], tuple[str, str]]) -> None:
        self.folder = folder
        self.server = server
        self.code = 0
        self._say = say

    def __call__(self, verb: str, *arguments: str) -> Any:
        """Run a command with --json and return its output; the exit code is in `code`."""
        self._say()
        self.code = main([verb, "-C", str(self.folder), *arguments, "--json"])
        return json.loads(self._say()[0])

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "groundtune", *arguments],
            cwd=self.folder,
            env={**os.environ, "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def write(self, rows: Rows) -> None:
        (self.folder / "examples.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))

    @property
    def asked(self) -> int:
        return len(self.server.posts())


def gold(rows: Rows) -> dict[str, Any]:
    return {row["input"]: row["output"] for row in rows}


def asked(rows: Rows) -> list[str]:
    return [row["input"] for row in rows if row["split"] == "test"]


def lines(report: dict[str, Any]) -> Rows:
    return [json.loads(line) for line in Path(report["results"]).read_text().splitlines()]


def summary_of(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(approach for approach in report["approaches"] if approach["name"] == name)


def share(model: ScriptedModel, rows: Rows, context: Any = "alone") -> float:
    return float(np.mean([model.knows(text, context) for text in asked(rows)]))


def cells(report: dict[str, Any]) -> Counter[tuple[str, str]]:
    return Counter((row["example"], row["approach"]) for row in lines(report))


def pair(rows: Rows, task: Any = "classify", **cheap: Any) -> tuple[ScriptedModel, ScriptedModel]:
    """A good, expensive model, and one that differs only in the given facts."""
    known: dict[str, Any] = {"right": 0.95, "seed": 3, "input_per_million": 9.0, "output_per_million": 9.0}
    known |= {"cached_per_million": 9.0, "task": task}
    return ScriptedModel("good", gold(rows), **known), ScriptedModel("cheap", gold(rows), **{**known, **cheap})
