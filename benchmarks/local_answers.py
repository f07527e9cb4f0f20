"""Claim: the built-in model answers over retrieved passages in at most 3 s (median), a cold `ask` in at most 8 s.

    python benchmarks/local_answers.py [--model smollm2-135m] [-n 20] [--repeats 5] [--approach rag]

Test questions of examples/handbook with the settings that a new project has, one question at a time. Warm: a library
that stays open, after one question that is not counted. Cold: a new process for each question, from start to exit.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import machine, spread, table, verdict
from groundtune.project import Project

HANDBOOK = Path(__file__).parents[1] / "examples/handbook"
WARM, COLD = 3.0, 8.0
"""Seconds at the median."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--approach", default="rag")
    parser.add_argument("-n", type=int, default=20, help="warm questions")
    parser.add_argument("--repeats", type=int, default=5, help="cold questions")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="groundtune-benchmark-") as name:
        folder = Path(name) / "handbook"
        shutil.copytree(HANDBOOK, folder, ignore=shutil.ignore_patterns(".groundtune"))
        file = folder / "groundtune.toml"
        model = f'\n[models.default]\nkind = "local"\nmodel = "{options.model}"\n'
        file.write_text(file.read_text(encoding="utf-8") + model, encoding="utf-8")
        rows = [json.loads(line) for line in (folder / "examples.jsonl").read_text(encoding="utf-8").splitlines()]
        questions = [row["input"] for row in rows if row["split"] == "test" and not row.get("groups")]
        with Project.open(folder) as project:
            project.ingest()
            print(machine(), flush=True)
            warm = [_warm(project, question, options.approach) for question in questions[: options.n + 1]][1:]
        cold = [_cold(folder, question, options.approach) for question in questions[: options.repeats]]
    lines = [("", "n", "seconds, median (range)", "target")]
    for label, seconds, target in (("warm", warm, WARM), ("cold", cold, COLD)):
        outcome = f"<= {target:g} s: {verdict(statistics.median(seconds), target, at_least=False)}"
        lines.append((label, str(len(seconds)), spread(seconds), outcome))
    table(lines)


def _warm(project: Project, question: str, approach: str) -> float:
    started = time.perf_counter()
    project.ask(question, approach=approach)
    return time.perf_counter() - started


def _cold(folder: Path, question: str, approach: str) -> float:
    started = time.perf_counter()
    command = [sys.executable, "-m", "groundtune", "ask", "-a", approach, question]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
