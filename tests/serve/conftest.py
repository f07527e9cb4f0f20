"""Real servers on loopback for the tests of `serve`: one without a model, one with a scripted one."""

import atexit
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openai import OpenAI

from groundtune import Project
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.serve.running import make_server
from groundtune.testing.scripted_server import Reply, ScriptedServer

FILES = {
    "docs/refunds.md": "# Refunds\n\nA refund is paid within 30 days of delivery. Carriage is not refunded.\n",
    "docs/secret/pay.md": "# Pay\n\nThe pay band of grade nine ends at 91,000 pounds.\n",
}
RULES = '[[documents.access]]\ninclude = ["docs/secret/**"]\ngroups = ["hr"]\n'
QUESTION = "When is a refund paid?"
FIRST, SECOND = "A refund is paid within 30 days of delivery [1].", "Carriage is not refunded [1]."
HTTP = httpx2.Client(timeout=60)
ANSWER = f"{FIRST} {SECOND} So it is said there."


@dataclass
class Running:
    """A server that runs in a thread, with its project and the server of its model."""

    url: str
    project: Project
    model: ScriptedServer | None = None

    def client(self, key: str = "any", **options: Any) -> OpenAI:
        return OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, timeout=60, **options)


def script(body: Mapping[str, Any]) -> Reply:
    """Reply by what is asked."""
    asked = body["messages"][-1]["content"]
    if "slowly" in asked:
        return Reply(pieces=[f"{FIRST} {SECOND} "] * 400, piece_seconds=0.2)
    if "break" in asked:
        return Reply(ANSWER, broken_stream_after=20)
    if "fail" in asked:
        return Reply("no more", status=400)
    if "stall" in asked:
        return Reply(stall=True)
    if "thought" in asked:
        return Reply(f"{ANSWER} {ANSWER} </think> {FIRST} {SECOND}")
    if "Iceland" in asked:
        return Reply("Not in your documents.")
    if "cut" in asked:
        return Reply(ANSWER, finish_reason="length")
    return Reply(ANSWER)


def write_project(folder: Path, toml: str = "") -> Path:
    for name, text in {**FILES, "groundtune.toml": f'name = "acme"\n{toml}{RULES}'}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@cache
def _ingested(embedder: BundledEmbedder) -> Path:
    """Return the index of the documents that all these projects share; reading them again takes a second each time."""
    folder = write_project(Path(tempfile.mkdtemp(prefix="groundtune-serve-")))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with Project.open(folder) as project:
        project.session.embedder = embedder
        project.ingest()
        return project.workspace.index


@contextmanager
def running(
    folder: Path, embedder: BundledEmbedder, model: ScriptedServer | None = None, *, mcp: bool = False
) -> Iterator[Running]:
    """Ingest a project and serve it on a free port until the block ends."""
    project = Project.open(folder)
    project.config = project.config.model_copy(update={"serve": project.config.serve.model_copy(update={"port": 0})})
    project.session.embedder = embedder
    if not project.workspace.index.exists():
        shutil.copytree(_ingested(embedder), project.workspace.index)
    project.ingest()
    ready: list[str] = []
    is_ready = threading.Event()
    server, listening = make_server(project, mcp=mcp, on_ready=lambda url: (ready.append(url), is_ready.set())[0])
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    assert is_ready.wait(60)
    try:
        yield Running(ready[0], project, model)
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


def model_table(model: ScriptedServer) -> str:
    return f'[models.default]\nkind = "openai"\nmodel = "m"\nbase_url = "{model.base_url}"\n'


Serve = Callable[..., Running]


@pytest.fixture
def serve(tmp_path: Path, embedder: BundledEmbedder) -> Iterator[Serve]:
    """Serve a project of its own: `serve(toml, reply=…)`; `reply` scripts its model, which it has only with one."""
    with ExitStack() as stack:

        def start(toml: str = "", *, reply: Any = None) -> Running:
            model = stack.enter_context(ScriptedServer(reply)) if reply is not None else None
            folder = write_project(tmp_path / "project", (model_table(model) if model else "") + toml)
            return stack.enter_context(running(folder, embedder, model))

        yield start


@pytest.fixture(scope="module")
def quotes(tmp_path_factory: pytest.TempPathFactory, embedder: BundledEmbedder) -> Iterator[Running]:
    """A server without a model."""
    with running(write_project(tmp_path_factory.mktemp("quotes")), embedder) as server:
        yield server


@pytest.fixture(scope="module")
def modelled(tmp_path_factory: pytest.TempPathFactory, embedder: BundledEmbedder) -> Iterator[Running]:
    """A server with a scripted model."""
    with ScriptedServer(script) as model:
        folder = write_project(tmp_path_factory.mktemp("modelled"), model_table(model))
        with running(folder, embedder, model) as server:
            yield server
