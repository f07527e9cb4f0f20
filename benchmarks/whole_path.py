"""Run the complete pipeline on real text: SQuAD articles with 300 of their questions, and a folder of real files.

    python benchmarks/whole_path.py SQUAD_DEV_V2.json [--questions 300] [--files FOLDER]

Each article becomes one Markdown file; ingest, evaluate, fit and compare run through the command line. With --files,
every file of the folder is ingested, and the ledger is printed.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from groundtune.languages.text import sentences

PROJECT = """name = "whole-path"
[documents]
include = ["docs/**/*"]
[examples]
files = ["examples.jsonl"]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("squad", type=Path)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--files", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        squad(options.squad, Path(folder) / "squad", options.questions)
        if options.files:
            files(options.files, Path(folder) / "files")


def squad(path: Path, folder: Path, sample: int) -> None:
    """Write the project and run the commands on it."""
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    (folder / "docs").mkdir(parents=True)
    (folder / "groundtune.toml").write_text(PROJECT, encoding="utf-8")
    rows = []
    for article in articles:
        name = f"docs/{article['title']}.md"
        title = article["title"].replace("_", " ")
        text = "\n\n".join(" ".join(paragraph["context"].split()) for paragraph in article["paragraphs"])
        (folder / name).write_text(f"# {title}\n\n{text}\n", encoding="utf-8")
        rows.extend(questions(article, name))
    chosen = random.Random(0).sample(rows, min(sample, len(rows)))
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in chosen)
    (folder / "examples.jsonl").write_text(lines, encoding="utf-8")
    print(f"{len(articles)} articles, {len(chosen)} questions, {sum(r['output'] is None for r in chosen)} unanswerable")
    for verb in (["ingest"], ["evaluate", "--worst", "0"], ["evaluate", "--fit"], ["compare"]):
        run(folder, *verb)


def questions(article: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """Yield examples whose evidence is the sentence that contains the answer."""
    for paragraph in article["paragraphs"]:
        context = " ".join(paragraph["context"].split())
        spans = list(sentences(context))
        for question in paragraph["qas"]:
            answers = [" ".join(answer["text"].split()) for answer in question["answers"]]
            row = {"id": question["id"], "input": question["question"].strip(), "output": None, "evidence": []}
            if answers:
                at = context.find(answers[0])
                quote = next((context[start:end] for start, end in spans if start <= at < end), answers[0])
                row |= {"output": answers[0], "evidence": [{"source": name, "quote": quote}]}
            yield row


def files(source: Path, folder: Path) -> None:
    """Ingest every file of a folder and print the ledger."""
    shutil.copytree(source, folder / "docs", copy_function=shutil.copyfile)
    (folder / "groundtune.toml").write_text(PROJECT.partition("[examples]")[0], encoding="utf-8")
    report = json.loads(run(folder, "ingest", "--json", show=False))
    print(f"\n{len(report['files'])} files: {report['documents']} documents, {report['passages']} passages")
    for row in report["files"]:
        print(f"  {row['status']:8} {row['passages']:5} passages  {row['source']}  {row['reason'] or ''}")


def run(folder: Path, *verb: str, show: bool = True) -> str:
    """Run one command in its own process."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "groundtune", *verb]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if show or done.returncode:
        print(f"\n$ groundtune {' '.join(verb)}   ({time.perf_counter() - started:.1f} s, exit {done.returncode})")
        print(done.stdout + done.stderr)
    return done.stdout


if __name__ == "__main__":
    main()
