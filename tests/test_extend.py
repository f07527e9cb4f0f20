"""Run every example of docs/extend.md as an installed package, by its name in a project file, with the real command."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from groundtune.testing.scripted_server import Reply, ScriptedServer
from tests.conftest import MakeProject

PAGE = (Path(__file__).parent.parent / "docs/extend.md").read_text(encoding="utf-8")
PARTS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", PAGE, re.DOTALL | re.MULTILINE))
"""Heading to text of each part."""
LONGER = {"Trainer": 50, "Embedder": 25, "Source": 25}
"""Most lines of an example, where it is more than 20."""

EXAMPLES = [
    {"id": "a", "input": "When is a refund paid?", "output": "30 days", "split": "test"},
    {"id": "b", "input": "Which class do trains use?", "output": "second class", "split": "test"},
]
FILES = {
    "docs/refunds.md": "# Refunds\n\nA refund is paid within 30 days of delivery. It goes to the card that paid.\n",
    "docs/travel.md": "# Travel\n\nTrains are booked in second class.\n",
    "examples.jsonl": "".join(f"{json.dumps(row)}\n" for row in EXAMPLES),
}
TOML = '[documents]\ninclude = ["docs/**"]\n[examples]\nfiles = ["examples.jsonl"]\n'

pytestmark = pytest.mark.slow


def block(part: str, language: str) -> str:
    (text, *_) = re.findall(rf"^```{language}\n(.*?)^```", PARTS[part], re.DOTALL | re.MULTILINE)
    return str(text)


class Desk:
    """A project in which the package of one example is installed."""

    def __init__(self, folder: Path, site: Path) -> None:
        self.folder = folder
        self.site = site
        self._environment = {**os.environ, "NO_COLOR": "1"}
        paths = (str(site), os.environ.get("PYTHONPATH", ""))
        self._environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))

    def run(self, *command: str, code: int = 0) -> str:
        """Run the command line and return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "groundtune", *command, "-C", str(self.folder)],
            capture_output=True, text=True, check=False, env=self._environment,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def json(self, *command: str, code: int = 0) -> Any:
        return json.loads(self.run(*command, "--json", code=code))


MakeDesk = Callable[..., Desk]


@pytest.fixture
def make_desk(make_project: MakeProject, tmp_path: Path) -> MakeDesk:
    """Install the example of a part as a package, and make a project with the lines of the page."""

    def make(part: str, *, files: dict[str, str] = FILES, toml: str = TOML, lines: str | None = None) -> Desk:
        site = tmp_path / "site"
        info = site / "acme_groundtune-1.0.dist-info"
        info.mkdir(parents=True)
        (site / "acme_groundtune.py").write_text(block(part, "python"), encoding="utf-8")
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-groundtune\nVersion: 1.0\n")
        (entry_point,) = re.findall(r"^\[project\.entry-points\.groundtune\]\n(acme = .*)$", PAGE, re.MULTILINE)
        (info / "entry_points.txt").write_text(f"[groundtune]\n{entry_point.replace(chr(34), '')}\n")
        return Desk(make_project(files, toml=toml + (block(part, "toml") if lines is None else lines)), site)

    return make


def test_every_part_has_an_example() -> None:
    table = re.findall(r"^\| \[(\w+)\]\(#\w+\) \|", PAGE, re.MULTILINE)
    assert [name.capitalize() for name in table] == list(PARTS)
    for part in PARTS:
        code = block(part, "python")
        assert "def register(extensions: Extensions)" in code
        lines = [line for line in code.splitlines() if line.strip()]
        assert len(lines) <= LONGER.get(part, 20), part
        imported = re.findall(r"^from (groundtune\S*) import", code, re.MULTILINE)
        assert set(imported) <= {"groundtune"}, "an example needs public names only"


def test_objects_in_python(make_project: MakeProject) -> None:
    page = PAGE[PAGE.index("## In Python") : PAGE.index("## In a package")]
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (call,) = re.findall(r"`(project\.compare\(.*?\))`", page, re.DOTALL)
    folder = make_project(FILES, toml=TOML)
    script = f"""{code}
with Project.open({str(folder)!r}) as project:
    project.ingest()
    report = {" ".join(call.split())}
    print({{row.name: (row.mean, row.metrics["short"].mean) for row in report.approaches}})
    print(project.ask("Where?", approach=Office()).text)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "'office': (0.0, 1.0)" in done.stdout
    assert done.stdout.endswith("Ask the office.\n")


def test_approach(make_desk: MakeDesk) -> None:
    desk = make_desk("Approach")
    desk.run("ingest")
    assert desk.json("ask", "When is a refund paid?", "--approach", "best-passage")["text"].startswith("A refund")
    estimates = desk.json("compare", "--estimate")["estimates"]
    assert [row["approach"] for row in estimates] == ["quote-hybrid"], "what a package does cannot be estimated"
    report = desk.json("compare")
    assert {row["name"] for row in report["approaches"]} == {"best-passage", "quote-hybrid"}
    assert {row["name"]: row["answered"] for row in report["approaches"]}["best-passage"] == 2
    assert desk.json("compare")["run"] == report["run"], "the run is resumed"
    module = desk.site / "acme_groundtune.py"
    module.write_text(module.read_text().replace("k=1", "k=2"))
    assert desk.json("compare")["run"] != report["run"], "its code has changed"
    desk.run("use", "best-passage")
    assert desk.json("ask", "Which class?")["approach"] == "best-passage"
    assert desk.json("check")["extensions"] == [
        {"name": "acme-groundtune", "version": "1.0", "adds": ["approach best-passage"]}
    ]


def test_scorer(make_desk: MakeDesk) -> None:
    desk = make_desk("Scorer")
    desk.run("ingest")
    report = desk.json("compare", "--approach", "quote-hybrid")
    (row,) = report["approaches"]
    assert (row["metrics"]["brief"]["mean"], row["metrics"]["brief"]["n"]) == (0.5, 2)


def test_loader(make_desk: MakeDesk) -> None:
    desk = make_desk("Loader", files={"a.letter": "Your order\n\nThe parcel left us on Monday.\n\nYours"}, toml="")
    (file,) = desk.json("ingest")["files"]
    assert (file["source"], file["status"]) == ("a.letter", "indexed")
    (hit, *_) = desk.json("search", "parcel")["hits"]
    assert hit["passage"]["text"].startswith("The parcel left us on Monday.")


def test_parser(make_desk: MakeDesk) -> None:
    desk = make_desk("Parser", files={"logs/a.txt": "Started at nine.\nNothing else of note."}, toml="")
    (file,) = desk.json("ingest")["files"]
    assert (file["source"], file["status"]) == ("logs/a.txt", "indexed")
    (hit,) = desk.json("search", "started")["hits"]
    assert hit["passage"]["text"] == "Started at nine."


def test_store(make_desk: MakeDesk, tmp_path: Path) -> None:
    lines = block("Store", "toml").replace("/mnt/fast", str(tmp_path / "fast"))
    desk = make_desk("Store", lines=lines)
    desk.run("ingest")
    assert (tmp_path / "fast/project/manifest.json").is_file()
    assert not (desk.folder / ".groundtune/index").exists()
    assert "30 days" in desk.run("ask", "When is a refund paid?")
    assert desk.json("ingest")["embedded"] == 0


def test_source(make_desk: MakeDesk) -> None:
    desk = make_desk("Source", toml="", files={})
    table = sqlite3.connect(desk.folder / "wiki.sqlite")
    table.execute("CREATE TABLE articles (id INTEGER PRIMARY KEY, title, text, deleted INTEGER, changed TEXT)")
    rows = [
        (1, "Opening hours", "The shop opens at nine.", 0, "2026-01-01"),
        (2, "Parking", "Park behind the shop.", 0, "2026-01-02"),
    ]
    table.executemany("INSERT INTO articles VALUES (?, ?, ?, ?, ?)", rows)
    table.commit()
    assert desk.json("check")["sources"] == {"wiki": "sqlite"}

    def ingested(code: int = 0) -> dict[str, str]:
        files = desk.json("ingest", code=code)["files"]
        return {file["source"]: file["change"] for file in files if file["source"].startswith("wiki:")}

    assert ingested() == {"wiki:1": "added", "wiki:2": "added"}
    answer = desk.json("ask", "When does the shop open?")
    assert answer["citations"][0]["source"] == "wiki:1"
    table.execute("UPDATE articles SET text = 'The shop opens at ten.', changed = '2026-01-03' WHERE id = 1")
    table.execute("UPDATE articles SET deleted = 1, changed = '2026-01-03' WHERE id = 2")
    table.commit()
    assert ingested() == {"wiki:1": "changed", "wiki:2": "removed"}
    assert "at ten" in desk.run("ask", "When does the shop open?")
    table.execute("DROP TABLE articles")
    table.commit()
    assert ingested(code=1) == {"wiki:": "added", "wiki:1": "unchanged"}
    assert "failed: wiki: OperationalError: no such table: articles" in desk.run("ingest", code=1)


def test_generator(make_desk: MakeDesk) -> None:
    desk = make_desk("Generator")
    desk.run("ingest")
    answer = desk.json("ask", "When is a refund paid?")
    assert answer["text"] == "A refund is paid within 30 days of delivery [1]."
    assert [citation["support"] for citation in answer["citations"]] == ["exact"]
    assert answer["approach"] == "rag"
    estimates = {row["approach"]: row for row in desk.json("compare", "--estimate")["estimates"]}
    assert (estimates["rag"]["calls"], estimates["rag"]["usd"], estimates["quote-hybrid"]["usd"]) == (2, None, 0)
    names = {row["name"] for row in desk.json("compare")["approaches"]}
    assert {"rag", "prompt", "quote-hybrid"} <= names


def test_embedder(make_desk: MakeDesk) -> None:
    desk = make_desk("Embedder")
    assert desk.json("ingest")["embedded"] == 2
    manifest = json.loads((desk.folder / ".groundtune/index/manifest.json").read_text())
    assert (manifest["parts"]["embedder"], manifest["parts"]["dimension"]) == ("word-counts", 256)
    assert desk.json("ask", "Which class do trains use?")["usage"]["usd"] is None, "the cost of its vectors is unknown"
    hits = desk.json("search", "booked in second class")["hits"]
    assert max(hits, key=lambda hit: hit["stages"]["dense"])["passage"]["source"] == "docs/travel.md"


def test_reranker(make_desk: MakeDesk) -> None:
    desk = make_desk("Reranker")
    desk.run("ingest")
    hits = desk.json("search", "trains in second class?")["hits"]
    assert [(hit["passage"]["source"], hit["stages"]["reranked"]) for hit in hits] == [
        ("docs/travel.md", 3.0),
        ("docs/refunds.md", 0.0),
    ]


def test_checker(make_desk: MakeDesk) -> None:
    with ScriptedServer(
        Reply("A refund is paid within 90 days of delivery [1]. It goes to the card of a friend [1].")
    ) as server:
        model = f'[models.default]\nkind = "openai"\nmodel = "m"\nbase_url = "{server.base_url}"\n'
        desk = make_desk("Checker", toml=TOML + model)
        desk.run("ingest")
        citations = desk.json("ask", "When is a refund paid?")["citations"]
    assert [citation["support"] for citation in citations] == ["close", "missing"], "it looks at no number"


def test_trainer(make_desk: MakeDesk) -> None:
    rows = [
        {"id": f"{split}{number}", "input": f"{split} ticket {number} on {label}", "output": label, "split": split}
        for split in ("train", "validation", "test")
        for number, label in enumerate(("refund", "delivery", "refund", "refund"))
    ]
    files = {"rows.jsonl": "".join(f"{json.dumps(row)}\n" for row in rows)}
    desk = make_desk("Trainer", files=files, toml='task = "classify"\n[examples]\nfiles = ["rows.jsonl"]\n')
    desk.run("tune", "most")
    (model,) = desk.json("models", "list")["models"]
    assert (model["kind"], model["metrics"]) == ("majority", {"train_share": 0.75})
    report = desk.json("compare", "--approach", "tuned")
    assert [(row["name"], row["mean"]) for row in report["approaches"]] == [("tuned", 0.75)]
    assert desk.json("ask", "Where is my parcel?", "--approach", "tuned")["output"] == "refund"
