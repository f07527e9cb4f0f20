"""Real worker processes: a file may hang, crash its worker or exhaust memory, and the next file is still read."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from groundtune.errors import ParseError
from groundtune.ingest.loaders import load
from groundtune.ingest.parsed import ParsedDocument
from groundtune.ingest.sandbox import Sandbox
from groundtune.ingest.sandbox_frames import decode_reply

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs to make a worker hang"),
]


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(workers=1, timeout_seconds=30) as pool:
        yield pool


def good(folder: Path, name: str = "good.md") -> Path:
    path = folder / name
    path.write_text(f"# Title of {name}\n\nSome text.\n", encoding="utf-8")
    return path


def hanging(folder: Path, name: str = "hangs.md") -> Path:
    os.mkfifo(folder / name)  # opening it waits for a writer that never comes
    return folder / name


def children() -> list[psutil.Process]:
    return [
        process for process in psutil.Process().children() if "groundtune.ingest.sandbox_worker" in process.cmdline()
    ]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (a process sends no event)
            await asyncio.sleep(0.01)


async def reader_of(path: Path) -> int:
    """Wait until a FIFO is being read, and return its other end: until that is closed, the reader keeps waiting."""
    async with asyncio.timeout(60):
        while True:
            try:
                return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:  # nobody reads the FIFO yet
                    raise
            await asyncio.sleep(0.01)


async def load_one(sandbox: Sandbox, path: Path) -> list[ParsedDocument]:
    (outcome,) = await sandbox.load_many([path])
    if isinstance(outcome, ParseError):
        raise outcome
    return outcome


async def failure(sandbox: Sandbox, path: Path) -> ParseError:
    with pytest.raises(ParseError) as caught:
        await load_one(sandbox, path)
    return caught.value


async def test_the_result_is_that_of_the_loader(sandbox: Sandbox, tmp_path: Path) -> None:
    path = good(tmp_path)
    assert await load_one(sandbox, path) == load(path)
    assert len(children()) == 1


async def test_reasons_come_through(sandbox: Sandbox, tmp_path: Path) -> None:
    empty = tmp_path / "empty.md"
    empty.touch()
    error = await failure(sandbox, empty)
    assert (error.message, error.skip) == ("empty file", True)
    assert "disappeared" in (await failure(sandbox, tmp_path / "gone.md")).message


async def test_a_file_that_hangs_is_abandoned(tmp_path: Path) -> None:
    async with Sandbox(workers=1, timeout_seconds=3) as sandbox:  # includes the start of a worker
        outcomes = await sandbox.load_many([good(tmp_path), hanging(tmp_path), good(tmp_path, "after.md")])
    assert isinstance(outcomes[0], list)
    assert isinstance(outcomes[1], ParseError)
    assert "parsing took longer than 3 seconds" in outcomes[1].message
    assert isinstance(outcomes[2], list)
    assert outcomes[2][0].title == "Title of after.md"
    assert children() == []


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGABRT, "crashed the parser process (SIGABRT)"), (signal.SIGKILL, "SIGKILL")]
)
async def test_a_crash_is_reported_and_survived(
    sandbox: Sandbox, tmp_path: Path, number: signal.Signals, words: str
) -> None:
    await load_one(sandbox, good(tmp_path))
    (worker,) = children()
    path = hanging(tmp_path)
    task = asyncio.create_task(failure(sandbox, path))
    writer = await reader_of(path)
    os.kill(worker.pid, number)
    assert words in (await task).message
    os.close(writer)
    assert (await load_one(sandbox, good(tmp_path)))[0].title == "Title of good.md"
    assert [process.pid for process in children()] != [worker.pid]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
async def test_a_file_that_needs_too_much_memory(tmp_path: Path) -> None:
    (tmp_path / "endless.txt").symlink_to("/dev/zero")
    async with Sandbox(workers=1, memory_mb=200, timeout_seconds=30) as sandbox:
        error = await failure(sandbox, tmp_path / "endless.txt")
        assert error.message == "parsing needs more than 200 MB of memory; split the file"
        assert not error.skip
        assert await load_one(sandbox, good(tmp_path))


async def test_a_cancelled_load_leaves_no_process_reading(sandbox: Sandbox, tmp_path: Path) -> None:
    path = hanging(tmp_path)
    task = asyncio.create_task(load_one(sandbox, path))
    writer = await reader_of(path)
    assert len(children()) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: children() == [])
    os.close(writer)
    assert await load_one(sandbox, good(tmp_path))


async def test_many_files_keep_their_order(tmp_path: Path) -> None:
    paths = [good(tmp_path, f"{number}.md") for number in range(300)]
    paths[7] = tmp_path / "gone.md"
    async with Sandbox(workers=2) as sandbox:
        outcomes = await sandbox.load_many(paths)
        assert await sandbox.load_many([]) == []
    assert isinstance(outcomes[7], ParseError)
    titles = [outcome[0].title for outcome in outcomes if isinstance(outcome, list)]
    assert titles == [f"Title of {path.name}" for path in paths if path.name != "gone.md"]


async def test_large_results_come_through(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_text("\n\n".join(f"Paragraph {number} with some words in it." for number in range(200_000)))
    (parsed,) = await load_one(sandbox, path)
    assert isinstance(parsed, ParsedDocument)
    assert len(parsed.blocks) == 200_000


async def test_only_large_replies_are_decoded_in_a_thread(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def decode(frame: bytes) -> list[ParsedDocument] | ParseError | None:
        threads.append(threading.current_thread())
        return decode_reply(frame)

    monkeypatch.setattr("groundtune.ingest.sandbox.decode_reply", decode)
    path = tmp_path / "large.txt"
    path.write_text("\n\n".join(f"Paragraph {number}." for number in range(30_000)))
    await sandbox.load_many([good(tmp_path), path])
    assert [thread is threading.current_thread() for thread in threads] == [True, False]


async def test_odd_file_names(sandbox: Sandbox, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/n\xe4me \n.md"))
    try:
        path.write_text("Text")
    except OSError:
        pytest.skip("this file system does not allow such names")
    assert (await load_one(sandbox, path))[0].text == "Text"


async def test_a_folder_with_modules_of_the_same_names_is_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("json.py", "struct.py"):
        (tmp_path / name).write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    async with Sandbox(workers=1) as sandbox:
        assert await load_one(sandbox, good(tmp_path))


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_worker_dies_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys; from pathlib import Path; from groundtune.ingest.sandbox import Sandbox\n"
        "asyncio.run(Sandbox(workers=1).load_many([Path(sys.argv[1])]))"
    )
    path = hanging(tmp_path)
    with subprocess.Popen([sys.executable, "-c", script, str(path)]) as parent:
        writer = asyncio.run(reader_of(path))
        (worker,) = psutil.Process(parent.pid).children()
        parent.kill()
    gone, _ = psutil.wait_procs([worker], timeout=60)
    os.close(writer)
    assert gone == [worker]


def test_the_worker_is_lean() -> None:
    heavy = {"torch", "lancedb", "openai", "numpy", "pyarrow", "pydantic"}
    script = f"import sys, groundtune.ingest.sandbox_worker; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
