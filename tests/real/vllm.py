"""vLLM's server in a process of its own, on the CPU, from an environment of its own (4 GB) that nothing here installs.

The environment variable `VLLM` names the command, for example `~/.cache/vllm-cpu/bin/vllm`.
"""

import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.error import URLError
from urllib.request import urlopen

COMMAND = "VLLM"
"""Environment variable with the command that starts vLLM."""
START_SECONDS = 300


class Vllm:
    """One server on 127.0.0.1 that calls the model of a folder `base`, and adapters by their names."""

    def __init__(self, base: Path, *, adapters: Mapping[str, Path]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        modules = [f"{name}={folder}" for name, folder in adapters.items()]
        self._command = [
            *shlex.split(os.environ[COMMAND]),
            *("serve", str(base), "--host", "127.0.0.1", "--port", str(self._port), "--served-model-name", "base"),
            *("--dtype", "bfloat16", "--max-model-len", "2048", "--enforce-eager"),
            *("--enable-lora", "--max-lora-rank", "16", "--lora-modules", *modules),
        ]

    @property
    def url(self) -> str:
        """Base URL of the OpenAI protocol."""
        return f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> Self:
        settings = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "HF_HUB_OFFLINE": "1"}
        self._process = subprocess.Popen(
            self._command,
            env={**os.environ, "OMP_NUM_THREADS": "2", **settings},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        end = time.monotonic() + START_SECONDS
        while not self._is_up():
            if self._process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise AssertionError(f"vLLM did not start: {shlex.join(self._command)}")
            time.sleep(1)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(60)

    def _is_up(self) -> bool:
        try:
            with urlopen(f"{self.url}/models", timeout=1):
                return True
        except (URLError, TimeoutError, ConnectionError):
            return False
