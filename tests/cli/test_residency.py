"""With `residency = "local"` no command and no request connects to anything but this machine.

Every Python process that the commands start reports each address that it connects to, or asks a name server for.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from groundtune.cli import VERBS
from groundtune.testing.scripted_server import Reply, ScriptedServer
from tests.workflows.test_tuning import rows

pytestmark = pytest.mark.slow

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
COMMANDS = """
import sys
from groundtune.cli import main

for line in open(sys.argv[1]):
    words = line.strip().split("|")
    print("$", *words, flush=True)
    code = main(words)
    print("=", code, flush=True)
"""
LEFT_OUT = {
    "demo": "runs for a quarter of an hour, with the same commands",
    "serve": "runs until it is stopped: the server is asked below",
    "route": "needs 50 compared examples; reads one run, and asks nothing",
    "gaps": "reads the audit log alone",
    "review": "reads the audit log alone",
    "collect": "reads the audit log alone",
    "tune": "trains for minutes; its checks run here, and its base model has to be on this machine",
}
WORDS = """
init|site
advise|--json
check
check|--tune|fast
ingest
search|refund
ask|money back please|-a|fewshot
evaluate
compare|-a|fewshot
report
costs
use|fewshot
judge|--against|labels.jsonl
examples|stats
distil|inputs.txt|--with|fewshot
models|list
keys|list
audit|verify
drift
forget|docs/a.md|--yes
"""
FAILING = {
    "evaluate": "2",  # no example has evidence
    "judge|--against|labels.jsonl": "4",  # the model replies what no judge says
    "distil|inputs.txt|--with|fewshot": "1",  # nothing is sure enough
    "drift": "3",  # nothing was served
}
"""Commands that cannot succeed here, with their exit codes."""
SERVER = """
import sys, threading
from groundtune import Project
from groundtune.serve.running import make_server
import httpx2

project = Project.open(".")
project.config = project.config.model_copy(update={"serve": project.config.serve.model_copy(update={"port": 0})})
ready = threading.Event()
urls = []
server, listening = make_server(project, mcp=True, on_ready=lambda url: (urls.append(url), ready.set()))
thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
thread.start()
assert ready.wait(120)
for path, body in [("/api/ask", {"question": "money back please", "model": "fewshot"}),
                   ("/api/search", {"query": "refund"}),
                   ("/v1/models", None), ("/", None), ("/readyz", None), ("/metrics", None),
                   ("/v1/chat/completions", {"model": "fewshot", "messages": [{"role": "user", "content": "hello"}]})]:
    reply = httpx2.get(urls[0] + path) if body is None else httpx2.post(urls[0] + path, json=body, timeout=120)
    print(path, reply.status_code, flush=True)
server.should_exit = True
thread.join()
"""


def reply(body: Mapping[str, Any]) -> Reply:
    return Reply('{"label": "refund"}')


@pytest.fixture
def project(tmp_path: Path) -> Path:
    labels = [{"input": "a", "answer": "b", "gold": "b", "label": at % 2 == 0} for at in range(4)]
    files = {
        "docs/a.md": "# Refunds\n\nA refund is paid within 30 days.\n",
        "docs/b.txt": "Passwords are reset online.",
        "inputs.txt": "give me my money back\n",
        "site/sitecustomize.py": WATCH,
        "labels.jsonl": "".join(json.dumps(label) + "\n" for label in labels),
        "rows.jsonl": "".join(json.dumps(row) + "\n" for row in rows(train=3)),
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def run_python(folder: Path, program: str, *arguments: str) -> tuple[str, list[str]]:
    """Run a program in the project, watched; return what it printed, and the addresses."""
    watched = folder / "watched.txt"
    paths = os.pathsep.join([str(folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths, "WATCHED": str(watched), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=1_200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4_000:]
    return done.stdout, watched.read_text().splitlines() if watched.exists() else []


def test_nothing_connects_to_another_machine(project: Path) -> None:
    verbs = {line.partition("|")[0] for line in WORDS.strip().splitlines()}
    assert verbs | set(LEFT_OUT) == set(VERBS)
    (project / "words.txt").write_text(WORDS.strip())
    with ScriptedServer(reply) as model:
        (project / "groundtune.toml").write_text(
            f'name = "desk"\ntask = "classify"\n[documents]\ninclude = ["docs/*"]\n[examples]\nfiles = ["rows.jsonl"]\n'
            f'[models.default]\nkind = "openai"\nmodel = "m"\nbase_url = "{model.base_url}"\n'
            f'[judge]\nmodel = "default"\n'
            f'[requirements]\nresidency = "local"\n[tune.fast]\nkind = "classifier"\nmode = "probe"\n'
        )
        printed, connections = run_python(project, COMMANDS, "words.txt")
        codes = [line[2:] for line in printed.splitlines() if line.startswith("= ")]
        failed = {line: code for line, code in zip(WORDS.strip().splitlines(), codes, strict=True) if code != "0"}
        assert failed == FAILING, printed
        served, more = run_python(project, SERVER)
    assert served.count(" 200") == 7, served
    assert any(line.startswith("127.0.0.1 socket.connect") for line in connections)
    assert any(line.startswith("127.0.0.1 socket.connect") for line in more)
    elsewhere = [line for line in (*connections, *more) if line.split(" socket")[0] not in HERE]
    assert elsewhere == []


def test_the_watch_sees_what_connects(project: Path) -> None:
    connect = "socket.create_connection(('192.0.2.1', 9), 0.01)"
    _, connections = run_python(project, f"import socket\ntry: {connect}\nexcept OSError: pass")
    assert connections[-1].startswith("192.0.2.1 ")
