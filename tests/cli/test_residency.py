"""With `residency = "local"` no command and no request needs, or tries to reach, anything but this machine.

All of them run in a network namespace that has nothing but its own loopback. The kernel counts what any program there
sends elsewhere, and every Python process writes down the addresses, to tell who it was.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from groundtune.cli import VERBS
from tests.cli.offline_commands import AFTER, BEFORE, REQUESTS
from tests.workflows.test_tuning import rows

pytestmark = pytest.mark.slow

NAMESPACE = ("unshare", "--map-root-user", "--net", "--")
ROOT = Path(__file__).parents[2]
WATCH = """
import os, sys

def watch(event, arguments, path=os.environ["WATCHED"]):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        line = arguments[1][0]
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        line = arguments[0]
    elif event in ("socket.sendto", "socket.sendmsg") and isinstance(arguments[-1], tuple):
        line = arguments[-1][0]
    else:
        return
    with open(path, "a") as file:
        file.write(f"{line} {event} {sys.argv[:2]}\\n")

sys.addaudithook(watch)
"""
HERE = {"127.0.0.1", "::1", "localhost", "None", "b'localhost'"}
LEFT_OUT = {
    "demo": "runs for a quarter of an hour, with the same commands",
    "serve": "runs until it is stopped: the server is asked by its requests",
}
FAILING = {
    "evaluate": 2,  # no example has evidence
    "judge --against labels.jsonl": 4,  # the model replies what no judge says
    "distil inputs.txt --with fewshot": 1,  # nothing is sure enough
    "route": 2,  # needs more than one approach that answers with text
    "review promote": 1,  # nobody has decided anything
    "live": 3,  # no questions were split between two approaches
}
"""Commands that cannot succeed here, with their exit codes."""


def can_be_alone() -> bool:
    """Whether a process may have a network namespace of its own: on Linux, where nothing forbids it."""
    tried = shutil.which("unshare") and subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False)
    return bool(tried) and tried.returncode == 0


alone = pytest.mark.skipif(not can_be_alone(), reason="takes a network namespace (unshare)")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    labels = [{"input": "a", "answer": "b", "gold": "b", "label": at % 2 == 0} for at in range(4)]
    files = {
        "docs/a.md": "# Refunds\n\nA refund is paid within 30 days.\n",
        "docs/b.txt": "Passwords are reset online.",
        "inputs.txt": "give me my money back\n",
        "site/sitecustomize.py": WATCH,
        "labels.jsonl": "".join(json.dumps(label) + "\n" for label in labels),
        "rows.jsonl": "".join(json.dumps(row) + "\n" for row in rows()),
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def run_alone(folder: Path, *arguments: str) -> tuple[list[str], list[str]]:
    """Run Python in the project, alone and watched; return the lines that it printed, and the addresses."""
    watched = folder / "watched.txt"
    paths = [str(folder / "site"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "WATCHED": str(watched), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*NAMESPACE, sys.executable, *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=1_200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4_000:]
    return done.stdout.splitlines(), watched.read_text().splitlines() if watched.exists() else []


@alone
def test_nothing_needs_or_tries_another_machine(project: Path) -> None:
    commands = [*BEFORE.strip().splitlines(), *AFTER.strip().splitlines()]
    assert {line.split()[0] for line in commands} | set(LEFT_OUT) == set(VERBS)
    printed, connections = run_alone(project, "-m", "tests.cli.offline_commands")
    done = {row["did"]: row["code"] for row in map(json.loads, filter(is_row, printed))}
    expected = {line: FAILING.get(line, 0) for line in commands} | {path: 200 for path, _ in REQUESTS}
    assert done == {**expected, "without a way": 0}, "\n".join([*printed, *connections])
    assert any(line.startswith("127.0.0.1 socket.connect") for line in connections)
    assert [line for line in connections if line.split(" socket")[0] not in HERE] == []


@alone
@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_whatever_tries_is_counted_and_seen(project: Path, address: str) -> None:
    connect = f"try: socket.create_connection(({address!r}, 9), 0.01)\nexcept OSError: pass"
    counted = "from tests.cli.offline_commands import start_loopback, without_a_way\nstart_loopback()"
    printed, connections = run_alone(project, "-c", f"import socket\n{counted}\n{connect}\nprint(without_a_way())")
    assert printed[-1] == "1"
    assert connections[-1].startswith(f"{address} ")


def is_row(line: str) -> bool:
    return line.startswith('{"did": ')
