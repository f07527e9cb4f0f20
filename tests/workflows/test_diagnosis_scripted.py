"""Faults planted in models over real HTTP: the diagnosis of the comparison must count each under its cause."""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from groundtune.testing.scripted_models import script_of
from groundtune.testing.scripted_server import Reply, ScriptedServer
from tests.workflows.scripted_bench import LABELS, Bench, Rows, ticket, town

pytestmark = pytest.mark.slow

FAULTS = (
    "right",
    "cut off",
    "error",
    "should have abstained",
    "unknown",
    "evidence not retrieved",
    "abstained wrongly",
    "retrieved but not used",
    "used but the answer wrong",
    "right but uncited",
)
"""What can be planted in `rag`; `unknown` is an example without evidence."""
LABEL_FAULTS = {"right": None, "no label": "format wrong", "two labels": "format wrong", "another": "answer wrong"}
"""What can be planted in a classification, and its cause."""


@dataclass
class Planted:
    """A model with one fault for each input. With passages, it cites those that hold the gold answer or another."""

    faults: Mapping[str, str]
    """Input to fault."""
    golds: Mapping[str, Any]
    name: str = "planted"

    def reply(self, body: dict[str, Any]) -> Reply:
        content = str(body["messages"][-1]["content"])
        text = next(text for text in self.faults if text in content)
        fault = self.faults[text]
        if fault == "error":
            return Reply("this request is refused", status=400)
        reply = self._reply(fault, self.golds[text], content, number=len(text))
        return Reply(reply, finish_reason="length" if fault == "cut off" else "stop")

    def _reply(self, fault: str, gold: Any, content: str, *, number: int) -> str:
        passages = dict(re.findall(r"\[(\d+)\] [^\n]*\n(.*?)\n</passage>", content, re.DOTALL))
        holding = next((at for at, passage in passages.items() if gold and f" {gold}." in passage), None)
        other = next((at for at in passages if at != holding), None)
        if gold and not passages and fault == "right":
            return f"It is {gold}."
        return {
            "right": f"The bridge toll in this town is {gold} [{holding}]." if gold else "NOT_IN_DOCUMENTS",
            "cut off": "The bridge toll that is due on the",
            "should have abstained": f"It is 4 pence [{other}].",
            "unknown": "It is 4 pence." if number % 2 else "NOT_IN_DOCUMENTS",
            "evidence not retrieved": f"It is 4 pence [{other}]." if number % 2 else "NOT_IN_DOCUMENTS",
            "abstained wrongly": "NOT_IN_DOCUMENTS",
            "retrieved but not used": f"It is 4 pence [{other}]." if number % 2 else "It is 4 pence.",
            "used but the answer wrong": f"The bridge toll in this town is 4 pence [{holding}].",
            "right but uncited": f"Everybody agrees that nobody pays less than {gold} these days.",
            "no label": "Something else",
            "two labels": "Label: refund or billing",
            "another": "billing" if gold != "billing" else "refund",
        }.get(fault, str(gold))


def example(number: int, fault: str) -> dict[str, Any]:
    """An example about the toll of a town, which only the section of the town says."""
    gold = f"{100 + 7 * number} pence"
    place = {"source": f"docs/{number % 5}.md", "quote": f"The bridge toll in {town(number)} is {gold}."}
    if fault == "evidence not retrieved":  # not ingested, or nothing like the question
        place = place | {"source": "docs/lost.md"} if number % 2 else {"source": "docs/rules.md", "quote": GLOVES}
    return {
        "id": f"e{number}",
        "input": f"How much is the bridge toll in {town(number)}{'?' * (1 + number % 2)}",
        "output": None if fault == "should have abstained" else gold,
        "evidence": [] if fault in ("should have abstained", "unknown") else [place],
        "split": "test",
    }


GLOVES = "Velvet gloves are kept in the third drawer."


def documents(count: int) -> dict[str, str]:
    """Each town is one section; the sections differ in the town and the toll alone."""
    pages = {"docs/rules.md": f"# Wardrobe\n\n{GLOVES}\n"}
    for number in range(count):
        toll = f"The bridge toll in {town(number)} is {100 + 7 * number} pence."
        page = pages.get(f"docs/{number % 5}.md", "# Tolls\n")
        pages[f"docs/{number % 5}.md"] = f"{page}\n## {town(number)}\n\n{toll} It is due on the north bank.\n"
    return pages


MakeBench = Callable[[Rows, list[str], str], Bench]


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[MakeBench]:
    with ExitStack() as stack:

        def make(rows: Rows, faults: list[str], toml: str) -> Bench:
            inputs = [row["input"] for row in rows]
            model = Planted(dict(zip(inputs, faults, strict=True)), {row["input"]: row["output"] for row in rows})
            server = stack.enter_context(ScriptedServer(script_of(model)))
            keys = f'kind = "openai"\nmodel = "planted"\nbase_url = "{server.base_url}"\nwindow = 9000\nconcurrency = 8'
            files = {
                "groundtune.toml": f'name = "planted"\n{toml}\n[examples]\nfiles = ["examples.jsonl"]\n'
                f"[models.default]\n{keys}\n",
                **(documents(len(rows)) if "classify" not in toml else {}),
            }
            for path, text in files.items():
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / path).write_text(text)
            here = Bench(tmp_path, server, capsys.readouterr)
            here.write(rows)
            if "classify" not in toml:
                here("ingest")
            return here

        yield make


def counts_of(report: dict[str, Any], approach: str) -> dict[str, int]:
    (diagnosis,) = (each for each in report["diagnosis"] if each["approach"] == approach)
    counts = {found["cause"]: found["count"] for found in diagnosis["causes"]}
    assert diagnosis["failures"] == sum(counts.values())
    return counts


def test_each_planted_fault_is_counted_under_its_cause(bench: MakeBench) -> None:
    faults = random.Random(5).choices(FAULTS, weights=range(1, len(FAULTS) + 1), k=60)
    assert set(faults) == set(FAULTS)
    rows = [example(number, fault) for number, fault in enumerate(faults)]
    report = bench(rows, faults, "[answers]\nmax_passages = 6")("compare", "--approach", "rag", "--approach", "prompt")
    planted = Counter(faults)
    del planted["right"]
    assert counts_of(report, "rag") == planted
    (rag,) = (each for each in report["diagnosis"] if each["approach"] == "rag")
    by_id = {row["id"]: fault for row, fault in zip(rows, faults, strict=True)}
    for found in rag["causes"]:
        assert {by_id[each] for each in found["examples"]} == {found["cause"]}
        assert found["share"]["low"] < found["count"] / 60 == found["share"]["mean"] < found["share"]["high"]
        assert found["gain_at_most"] == (0 if found["cause"] == "right but uncited" else found["share"]["mean"])
    (not_retrieved,) = (each for each in rag["causes"] if each["cause"] == "evidence not retrieved")
    assert "no tuning of the generator will help" in not_retrieved["advice"]
    assert counts_of(report, "prompt") == Counter(map(cause_without_passages, rows, faults)) - Counter({None: 60})


def cause_without_passages(row: dict[str, Any], fault: str) -> str | None:
    """Return the cause of the same fault in `prompt`, for which there is nothing to retrieve or to cite."""
    if fault in ("cut off", "error", "should have abstained", "abstained wrongly"):
        return fault
    if fault in ("unknown", "evidence not retrieved") and len(row["input"]) % 2 == 0:
        return "abstained wrongly"
    return None if fault.startswith("right") else "answer wrong"


@pytest.mark.parametrize("seed", range(3))
def test_mixtures_of_label_faults_are_counted(bench: MakeBench, seed: int) -> None:
    faults = random.Random(seed).choices(list(LABEL_FAULTS), k=24)
    rows = [dict(zip(("input", "output"), ticket(at), strict=True), id=f"e{at}", split="test") for at in range(24)]
    labels = "".join(f'{name} = "{text}"\n' for name, text in LABELS.items())
    report = bench(rows, faults, f'task = "classify"\n[labels]\n{labels}')("compare", "--approach", "prompt")
    planted = Counter(filter(None, map(LABEL_FAULTS.get, faults)))
    assert counts_of(report, "prompt") == planted
    for found in report["diagnosis"][0]["causes"]:
        assert ("more documents will not help" in found["advice"]) == (found["cause"] == "format wrong")
