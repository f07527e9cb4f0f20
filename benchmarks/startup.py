"""Claim: the command line starts quickly: `--help` in under 0.4 s, a cold `ask` in under 3.5 s.

    python benchmarks/startup.py [--repeats 7]

Times complete processes, from start to exit, on an indexed copy of examples/handbook. Cold means a new process each
time; after the first run the files are in the page cache.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import machine, spread, table, verdict

HANDBOOK = Path(__file__).parents[1] / "examples" / "handbook"
COMMAND = Path(sys.executable).with_name("groundtune")
QUESTION = "How long do I have to send a bike back?"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    if not COMMAND.exists():
        raise SystemExit(f"no {COMMAND}: install groundtune into this environment first")

    targets = {("--help",): 0.4, ("ask", QUESTION): 3.5, ("search", QUESTION): None}
    seconds: dict[tuple[str, ...], list[float]] = {command: [] for command in targets}
    with tempfile.TemporaryDirectory(prefix="groundtune-benchmark-") as name:
        project = Path(name) / "handbook"
        shutil.copytree(HANDBOOK, project, ignore=shutil.ignore_patterns(".groundtune"))
        _run(("ingest",), project)
        for command in targets:
            _run(command, project)
        for _ in range(options.repeats):
            for command, times in seconds.items():
                times.append(_run(command, project))

    print(machine())
    rows = [("groundtune …", "seconds, median (range)", "target")]
    for command, target in targets.items():
        median = statistics.median(seconds[command])
        outcome = f"< {target:g} s: {verdict(median, target, at_least=False)}" if target else ""
        rows.append((command[0], spread(seconds[command]), outcome))
    table(rows)


def _run(command: tuple[str, ...], project: Path) -> float:
    started = time.perf_counter()
    done = subprocess.run([COMMAND, *command], cwd=project, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"groundtune {' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return seconds


if __name__ == "__main__":
    main()
