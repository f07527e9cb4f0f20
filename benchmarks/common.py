"""Share helpers between benchmarks: a project in a temporary folder, the machine in one line, medians with range."""

import asyncio
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from groundtune.build.open_index import OpenIndex
from groundtune.project import Project
from groundtune.retrieve.stores.postgres.address import read_dsn
from groundtune.retrieve.stores.postgres.connections import Connector
from groundtune.retrieve.stores.postgres.schema import default_schema

DATABASE = "DATABASE_URL"
"""Environment variable with the address of the database for --store postgres."""


STORES = ("lance", "postgres")


@contextmanager
def project_folder(*, include: str = "docs/**/*", store: str = "lance") -> Iterator[Path]:
    """Create a temporary folder with a project file and an empty docs/.

    store postgres: the index is in the database at DATABASE_URL and is dropped at the end.
    """
    with tempfile.TemporaryDirectory(prefix="groundtune-benchmark-") as name:
        folder = Path(name)
        project = folder.name.replace("-", "_").lower()
        (folder / "docs").mkdir()
        text = f'name = "{project}"\n[documents]\ninclude = ["{include}"]\n'
        if store == "postgres":
            text += f'[store]\nkind = "postgres"\ndsn_env = "{DATABASE}"\n'
        (folder / "groundtune.toml").write_text(text)
        try:
            yield folder
        finally:
            if store == "postgres":
                asyncio.run(database(f'DROP SCHEMA IF EXISTS "{default_schema(project)}" CASCADE'))


async def database(statement: str) -> Any:
    """Run one statement in the database of the benchmark and return its first value."""
    connection = await Connector(read_dsn(DATABASE)).connect()
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def open_index(project: Project) -> OpenIndex:
    """Open the index of a project with its parts, to measure single stages."""
    embedder = project.session.get_embedder()
    return await OpenIndex.open(
        project.session.storage, config=project.config, embedder=embedder, fitted=project.fitted
    )


def settle() -> None:
    """Wait until no file counts as just changed; users rarely ingest within two seconds of the last edit."""
    time.sleep(2.1)


def machine() -> str:
    """Describe processor, cores and load in one line; seconds mean nothing without them."""
    model = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        lines = info.read_text().splitlines()
        flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
        fast = [name for name in ("amx_bf16", "avx512_bf16") if name in flags]
        names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
        model = f"{names[0] if names else model} ({', '.join(fast) or 'no bfloat16'})"
    return f"{model}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"


def spread(values: Sequence[float], *, unit: str = "", digits: int = 2) -> str:
    """Format as `median (lowest to highest, n)`."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f}{unit} ({low:.{digits}f} to {high:.{digits}f}, n = {len(values)})"


def percentile(values: Sequence[float], share: float) -> float:
    return float(np.quantile(np.asarray(values), share))


def verdict(value: float, target: float, *, at_least: bool) -> str:
    """Return `met`, or by how much the target is missed."""
    if value >= target if at_least else value <= target:
        return "met"
    return f"missed by {abs(value - target) / target:.0%}"


def table(rows: Iterable[Sequence[str]]) -> None:
    """Print an aligned table; the first row is the header."""
    lines = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for number, line in enumerate(lines):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))
