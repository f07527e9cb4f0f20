"""Run commands and requests of the project in the working directory, and print what became of each as JSON lines.

    python -m tests.cli.offline_commands

Meant to run in a network namespace of its own. Says at the end what the kernel counted there: packets for which it
knew no way, which is what becomes of every attempt to reach another machine, whatever program makes it.
"""

import fcntl
import json
import socket
import struct
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx2

from groundtune import Project
from groundtune.cli import main
from groundtune.serve.running import make_server
from groundtune.testing.scripted_server import Reply, ScriptedServer

TABLES = """
name = "desk"
task = "classify"
[documents]
include = ["docs/*"]
[examples]
files = ["rows.jsonl"]
[models.default]
kind = "openai"
model = "m"
base_url = "{url}"
[judge]
model = "default"
[requirements]
residency = "local"
[tune.fast]
kind = "classifier"
mode = "probe"
"""
BEFORE = """
init site
advise --json
check
check --tune fast
ingest
search refund
ask money -a fewshot
evaluate
tune fast
compare -a fewshot -a tuned
report
route
costs
use fewshot
judge --against labels.jsonl
examples stats
distil inputs.txt --with fewshot
models list
keys list
"""
REQUESTS: tuple[tuple[str, Mapping[str, Any] | None], ...] = (
    ("/api/ask", {"question": "money back please", "model": "fewshot"}),
    ("/api/search", {"query": "refund"}),
    ("/v1/embeddings", {"model": "desk", "input": "refund"}),
    ("/v1/chat/completions", {"model": "tuned", "messages": [{"role": "user", "content": "hello"}]}),
    ("/v1/responses", {"model": "fewshot", "input": "hello"}),
    ("/v1/models", None),
    ("/", None),
    ("/readyz", None),
    ("/metrics", None),
)
AFTER = """
audit verify
drift
gaps
review --json
review promote
collect
spend
live
forget docs/a.md --yes
"""
INTERFACE_FLAGS = 0x8914
"""SIOCSIFFLAGS of Linux."""
UP = 0x1


def start_loopback() -> None:
    """Bring up the only interface of a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, INTERFACE_FLAGS, struct.pack("16sh22x", b"lo", UP))


def without_a_way() -> int:
    """Return how many packets of this namespace went nowhere, because the kernel knew no way."""
    names, values = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line[:3] == "Ip:")
    by_name = dict(zip(names, values, strict=True))
    by_name |= dict(line.split() for line in Path("/proc/net/snmp6").read_text().splitlines())
    return int(by_name["OutNoRoutes"]) + int(by_name["Ip6OutNoRoutes"])


def reply(_: Mapping[str, Any]) -> Reply:
    return Reply('{"label": "refund"}')


def tell(did: str, code: int) -> None:
    sys.stdout.write(json.dumps({"did": did, "code": code}) + "\n")
    sys.stdout.flush()


def run(commands: str) -> None:
    for line in commands.strip().splitlines():
        code = main(line.split())
        tell(line, code)


def ask_server() -> None:
    project = Project.open(".")
    project.config = project.config.model_copy(update={"serve": project.config.serve.model_copy(update={"port": 0})})
    ready, urls = threading.Event(), list[str]()
    server, listening = make_server(project, mcp=True, on_ready=lambda url: (urls.append(url), ready.set())[0])
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    assert ready.wait(120)
    with httpx2.Client(base_url=urls[0], timeout=120) as client:
        for path, body in REQUESTS:
            status = (client.get(path) if body is None else client.post(path, json=body)).status_code
            tell(path, status)
    server.should_exit = True
    thread.join()


if __name__ == "__main__":
    start_loopback()
    with ScriptedServer(reply) as model:
        Path("groundtune.toml").write_text(TABLES.format(url=model.base_url))
        run(BEFORE)
        ask_server()
        run(AFTER)
    tell("without a way", without_a_way())
