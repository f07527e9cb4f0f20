"""Real worker processes: a file may hang, kill its reader or eat memory, and the next file is read all the same."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from groundtune.errors import ParseError
from groundtune.ingest.loaders import load
from groundtune.ingest.parsed import Parsed
from groundtune.ingest.sandbox import Sandbox

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs to make a reader hang")


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(workers=1, timeout_seconds=30) as made:
        yield made


def good(folder: Path, name: str = "good.md") -> Path:
    path = folder / name
    path.write_text(f"# Title of {name}\n\nSome text.\n", encoding="utf-8")
    return path


def hanging(folder: Path, name: str = "hangs.md") -> Path:
    os.mkfifo(folder / name)  # opening it waits for a writer that never comes
    return folder / name


def children() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "groundtune.ingest.worker" in one.cmdline()]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (processes of others tell no event)
            await asyncio.sleep(0.01)


async def reader_of(path: Path) -> int:
    """Waits until a FIFO is being read, and holds its other end, so that the reader goes on waiting; to be closed."""
    async with asyncio.timeout(60):
        while True:
            try:
                return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:  # of a FIFO that nobody reads yet
                    raise
            await asyncio.sleep(0.01)


async def failure(sandbox: Sandbox, path: Path) -> ParseError:
    with pytest.raises(ParseError) as caught:
        await sandbox.load(path)
    return caught.value


async def test_what_comes_out_is_what_the_loader_makes(sandbox: Sandbox, tmp_path: Path) -> None:
    path = good(tmp_path)
    assert await sandbox.load(path) == load(path)
    assert len(children()) == 1


async def test_reasons_come_through(sandbox: Sandbox, tmp_path: Path) -> None:
    empty = tmp_path / "empty.md"
    empty.touch()
    error = await failure(sandbox, empty)
    assert (error.message, error.skip) == ("zero bytes", True)
    assert "vanished" in (await failure(sandbox, tmp_path / "gone.md")).message


async def test_a_file_that_hangs_is_given_up(tmp_path: Path) -> None:
    async with Sandbox(workers=1, timeout_seconds=3) as sandbox:  # of which the start of a worker takes some
        outcomes = await sandbox.load_many([good(tmp_path), hanging(tmp_path), good(tmp_path, "after.md")])
    assert isinstance(outcomes[0], list)
    assert isinstance(outcomes[1], ParseError)
    assert "took longer than 3 seconds" in outcomes[1].message
    assert isinstance(outcomes[2], list)
    assert outcomes[2][0].title == "Title of after.md"
    assert children() == []


@pytest.mark.parametrize(
    ("number", "words"), [(signal.SIGABRT, "crashed its reader (SIGABRT)"), (signal.SIGKILL, "SIGKILL")]
)
async def test_a_crash_is_named_and_survived(
    sandbox: Sandbox, tmp_path: Path, number: signal.Signals, words: str
) -> None:
    await sandbox.load(good(tmp_path))
    (worker,) = children()
    path = hanging(tmp_path)
    task = asyncio.create_task(failure(sandbox, path))
    held = await reader_of(path)
    os.kill(worker.pid, number)
    assert words in (await task).message
    os.close(held)
    assert (await sandbox.load(good(tmp_path)))[0].title == "Title of good.md"
    assert [one.pid for one in children()] != [worker.pid]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
async def test_a_file_that_needs_too_much_memory(tmp_path: Path) -> None:
    (tmp_path / "endless.txt").symlink_to("/dev/zero")
    async with Sandbox(workers=1, memory_mb=200, timeout_seconds=30) as sandbox:
        error = await failure(sandbox, tmp_path / "endless.txt")
        assert error.message == "needs more than 200 MB; split it"
        assert not error.skip
        assert await sandbox.load(good(tmp_path))


async def test_a_cancelled_load_leaves_no_process_reading(sandbox: Sandbox, tmp_path: Path) -> None:
    path = hanging(tmp_path)
    task = asyncio.create_task(sandbox.load(path))
    held = await reader_of(path)
    assert len(children()) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: children() == [])
    os.close(held)
    assert await sandbox.load(good(tmp_path))


async def test_many_files_keep_their_order(tmp_path: Path) -> None:
    paths = [good(tmp_path, f"{number}.md") for number in range(300)]
    paths[7] = tmp_path / "gone.md"
    async with Sandbox(workers=2) as sandbox:
        outcomes = await sandbox.load_many(paths)
        assert await sandbox.load_many([]) == []
    assert isinstance(outcomes[7], ParseError)
    titles = [one[0].title for one in outcomes if isinstance(one, list)]
    assert titles == [f"Title of {path.name}" for path in paths if path.name != "gone.md"]


async def test_large_results_come_through(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_text("\n\n".join(f"Paragraph {number} with some words in it." for number in range(200_000)))
    (parsed,) = await sandbox.load(path)
    assert isinstance(parsed, Parsed)
    assert len(parsed.blocks) == 200_000


async def test_odd_file_names(sandbox: Sandbox, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/n\xe4me \n.md"))
    try:
        path.write_text("Text")
    except OSError:
        pytest.skip("this file system has no such names")
    assert (await sandbox.load(path))[0].text == "Text"


async def test_a_folder_with_modules_of_the_same_names_is_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pickle.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    async with Sandbox(workers=1) as sandbox:
        assert await sandbox.load(good(tmp_path))


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_worker_dies_with_its_parent(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys; from pathlib import Path; from groundtune.ingest.sandbox import Sandbox\n"
        "asyncio.run(Sandbox(workers=1).load(Path(sys.argv[1])))"
    )
    path = hanging(tmp_path)
    with subprocess.Popen([sys.executable, "-c", script, str(path)]) as parent:
        held = asyncio.run(reader_of(path))
        (worker,) = psutil.Process(parent.pid).children()
        parent.kill()
    gone, _ = psutil.wait_procs([worker], timeout=60)
    os.close(held)
    assert gone == [worker]


def test_the_worker_is_lean() -> None:
    heavy = {"torch", "lancedb", "openai", "numpy", "pyarrow", "pydantic"}
    script = f"import sys, groundtune.ingest.worker; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
