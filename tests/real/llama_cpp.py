"""llama.cpp's server in a process of its own, from the wheel `xllamacpp`.

`python tests/real/llama_cpp.py MODEL.gguf PORT TOKENS SLOTS` serves until its standard input ends. With port 0 the
server chooses a free one; each slot has a context window of TOKENS.
"""

import subprocess
import sys
from pathlib import Path
from typing import Self


class LlamaCpp:
    """One server on 127.0.0.1; a context manager. After `kill`, `start` serves on the same port again."""

    def __init__(self, model: Path, *, window: int = 4096, slots: int = 2) -> None:
        self._model, self._window, self._slots = model, window, slots
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Base URL of the OpenAI protocol."""
        return f"http://127.0.0.1:{self._port}/v1"

    def start(self) -> None:
        """Start the process, and wait until the model is loaded."""
        command = [sys.executable, __file__, *map(str, (self._model, self._port, self._window, self._slots))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        address = self._process.stdout.readline().strip()
        assert address.startswith("http"), f"llama.cpp did not start: {address!r}"
        self._port = int(address.rpartition(":")[2])

    def kill(self) -> None:
        """End the process at once, in the middle of whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def serve(model: str, port: int, window: int, slots: int) -> None:
    """Serve a GGUF file on 127.0.0.1, print the address, and wait until standard input ends."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = model
    settings.hostnames = ["127.0.0.1"]
    settings.port = port
    settings.n_ctx = window * slots
    settings.n_parallel = slots
    settings.cpuparams.n_threads = 1  # more of them spin while other work has the cores
    server = xllamacpp.Server(settings)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1], *map(int, sys.argv[2:]))
