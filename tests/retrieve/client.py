"""A client of a storage in another process: `python -m tests.retrieve.client NAME FOLDER`, a command per line.

`open` opens the current generation to read, `snapshot` takes a snapshot of it, `view WORD` says what it shows of a word
and `close` closes both.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from groundtune.protocols import IndexGeneration
from tests.retrieve.storages import DIMENSION, OPEN, STORAGES, ids, open_generation, unit

ROOT = Path(__file__).parents[2]


class Client:
    """Another process that has a storage open."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def ask(self, command: str) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{command}\n".encode())
        line = await self.process.stdout.readline()
        assert line, "the other process has failed"
        return json.loads(line)

    async def kill(self) -> None:
        """kill -9"""
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def client(name: str, folder: Path) -> AsyncIterator[Client]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.retrieve.client", name, str(folder)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))},
    )
    try:
        yield Client(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def view(generation: IndexGeneration, word: str) -> dict[str, Any]:
    """Return everything that a reader finds of a word: in passages by words, by vector, by id and by scan; in texts."""
    store, catalog = generation.store, generation.catalog
    k = max(1, await store.count())
    found = {
        "lexical": ids(await store.lexical(word, k=k, scope=OPEN)),
        "dense": ids(await store.dense(unit(DIMENSION), k=k, scope=OPEN)),
        "scan": [passage.id for passage in await store.scan(OPEN)],
    }
    read = (await store.read(sorted({passage for names in found.values() for passage in names}), scope=OPEN)).values()
    embedded = await store.embedded_texts(passage.id for passage in read)
    states = [await catalog.document_states(file) for file in await catalog.files()]
    documents = [await catalog.document_by_id(name) for documents in states for name in documents]
    texts = [document.text for document in documents if document]
    return {
        "lexical": sorted(found["lexical"]),
        "read": sorted(passage.text for passage in read if word in passage.text),
        "embedded": sorted(text for text in embedded.values() if word in text),
        "texts": sorted(text for text in texts if word in text),
        "passages": [await store.count(), len(found["dense"]), len(read)],
        "documents": await catalog.count(),
        "digest": await catalog.digest(),
    }


async def _serve(name: str, folder: Path) -> None:
    storage = STORAGES[name](folder)
    opened: list[IndexGeneration] = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        command, _, word = line.strip().partition(" ")
        result: Any = None
        if command == "open":
            opened.append(await open_generation(storage, read_only=True))
        elif command == "snapshot":
            opened.append(await opened[-1].snapshot())
            result = await opened[-1].version()
        elif command == "view":
            result = await view(opened[-1], word)
        elif command == "close":
            for generation in opened:
                await generation.close()
        sys.stdout.write(f"{json.dumps(result)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], Path(sys.argv[2])))
