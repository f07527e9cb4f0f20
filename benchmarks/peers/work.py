"""Exchange input and output with a peer as two JSON files. Uses only the standard library, to run everywhere."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

WARM_UP = 10
DEPTH = 10

Search = Callable[[str], list[str]]
"""Maps a question to passage ids, best first."""


@dataclass(frozen=True)
class Work:
    """Passages by id, questions, and the folder of the embedding model."""

    passages: dict[str, str]
    questions: list[str]
    model: str


def perform(ingest: Callable[[Work], Search], *, prepare: Callable[[Work], object]) -> None:
    """Time `ingest(work)` and each search with its result, after the untimed `prepare(work)`.

    argv: the file to read, the file to write.
    """
    work = Work(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    prepare(work)
    started = time.perf_counter()
    search = ingest(work)
    ingest_seconds = time.perf_counter() - started
    for question in work.questions[:WARM_UP]:
        search(question)
    query_seconds = []
    ranked = []
    for question in work.questions:
        started = time.perf_counter()
        ranked.append(search(question))
        query_seconds.append(time.perf_counter() - started)
    result = {"ingest_seconds": ingest_seconds, "query_seconds": query_seconds, "ranked": ranked}
    Path(sys.argv[2]).write_text(json.dumps(result), encoding="utf-8")
