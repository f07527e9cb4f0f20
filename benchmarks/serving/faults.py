"""Make what surrounds the server fail under load, and count what becomes of each request and of the records."""

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from benchmarks.common import table
from benchmarks.serving import place
from benchmarks.serving.client import Outcome, open_client, send_all
from benchmarks.serving.model_server import FAULTS
from benchmarks.serving.place import Place, Running

RATE = 5.0
BUDGET_SECONDS = 10.0
"""`[serve] seconds` while the model fails."""
SLACK_SECONDS = 2.0
"""What a reply may take beyond its budget: the machine is busy with the load itself."""
WITH_FALLBACK = f"[serve]\nseconds = {BUDGET_SECONDS:.0f}\n[fallback]\nmax_seconds = {BUDGET_SECONDS / 2:.0f}\n"
ALONE = f"[serve]\nseconds = {BUDGET_SECONDS:.0f}\n"
OUTCOMES = ("answered", "degraded", "error", "late", "lost", "unrecorded")
"""What may become of a request. The last three are failures of the server: no reply within the budget, a reply that
ends without saying why, and an answer or feedback without its record."""
DISK = "512M"
MOST_LOADS = 10
"""Most times that requests are sent while an index is rebuilt."""
REBUILD_SECONDS = 300
JUMPS = (signal.SIGUSR1, signal.SIGUSR2)


@dataclass(frozen=True, slots=True)
class Bench:
    """What all faults share."""

    place: Place
    model: Running
    requests: int
    """To send for each fault."""
    patience: float
    """`[serve] seconds` where nothing should be noticed, so that a busy machine alone degrades no answer."""

    @property
    def folder(self) -> Path:
        return self.place.folder

    def configure(self, *, model: str = "scripted", more: str | None = None, url: str | None = None) -> None:
        """Write the project file. more: its tables beside that of the model; None: much time, and a fallback."""
        patient = f"[serve]\nseconds = {self.patience:.0f}\n[fallback]\nmax_seconds = {self.patience - 2:.0f}\n"
        more = patient if more is None else more
        place.write_project_file(self.folder, model_url=url or self.model.url, model=model, more=more)


@dataclass(frozen=True, slots=True)
class Row:
    """A fault, and what became of the requests."""

    fault: str
    outcomes: Sequence[Outcome]
    counts: Mapping[str, int]
    must_answer: bool
    """Whether the fault is none that a client may notice."""
    may_lose: bool = False
    """Whether requests may end without a reply: their server was killed."""

    @property
    def is_met(self) -> bool:
        bad = self.counts["late"] + self.counts["unrecorded"] + (0 if self.may_lose else self.counts["lost"])
        return not bad and not (self.must_answer and self.counts["answered"] < len(self.outcomes))

    def cells(self) -> tuple[str, ...]:
        slowest = max(outcome.seconds for outcome in self.outcomes)
        counts = [str(self.counts[name] or "") for name in OUTCOMES]
        return (self.fault, str(len(self.outcomes)), *counts, f"{slowest:.1f} s", "met" if self.is_met else "missed")


def run(folder: Path, options: argparse.Namespace) -> bool:
    with _small_disk(folder) as is_small:
        made = place.make_place(folder, passages=options.passages)
        rows: list[Row] = []
        with place.model() as model:
            bench = Bench(made, model, options.requests, options.patience)
            for name, fault in KINDS.items():
                if options.only and name not in options.only:
                    continue
                if name == "full disk" and not is_small:
                    print("full disk: not tried, since mounting a small file system takes root")
                    continue
                rows += fault(bench)
    table([("fault", "n", *OUTCOMES, "slowest", ""), *(row.cells() for row in rows)])
    for row in rows:
        for (status, error), count in Counter((o.status, o.error) for o in row.outcomes if o.error).most_common(3):
            print(f"{row.fault}: {count} × {status} {error[:160]}")
    return all(row.is_met for row in rows)


# -- the faults ----------------------------------------------------------------------------------------------------


def _model_faults(bench: Bench) -> Iterator[Row]:
    """Let the model's server fail in each way, whole and streamed, with and without approaches that stand in."""
    bench.configure()
    with place.groundtune(bench.folder, log=_log(bench)) as ours:
        yield _load(bench, ours, "none", must_answer=True)
        for fault in FAULTS:
            for name, more in (("", WITH_FALLBACK), (", no fallback", ALONE)):
                for stream in (False, True):
                    bench.configure(model=fault, more=more)
                    kind = "streamed" if stream else "whole"
                    what = f"model: {fault}, {kind}{name}"
                    yield _load(bench, ours, what, stream=stream, seconds=BUDGET_SECONDS)
        bench.configure()
        yield _load(bench, ours, "none again", must_answer=True)


def _model_killed(bench: Bench) -> Iterator[Row]:
    with place.model() as model:
        bench.configure(url=model.url, more=WITH_FALLBACK)
        with place.groundtune(bench.folder, log=_log(bench)) as ours:
            yield _load(bench, ours, "model server killed", during=model.process.kill, seconds=BUDGET_SECONDS)


def _server_killed(bench: Bench) -> Iterator[Row]:
    """Kill the server with SIGKILL under load, and read the records after it."""
    bench.configure()
    with place.groundtune(bench.folder, log=_log(bench)) as ours:
        yield _load(bench, ours, "groundtune killed (-9)", during=ours.process.kill, may_lose=True, after=2.0)


def _rebuild(bench: Bench) -> Iterator[Row]:
    bench.configure()
    command = [sys.executable, "-m", "groundtune", "ingest", "--rebuild", "-C", str(bench.folder)]
    with place.groundtune(bench.folder, log=_log(bench)) as ours, _log(bench).open("a") as log:
        rebuilding = subprocess.Popen(command, stdout=log, stderr=log)
        rows = [_load(bench, ours, "index rebuilt meanwhile", must_answer=True)]
        while rebuilding.poll() is None and len(rows) < MOST_LOADS:
            rows.append(_load(bench, ours, "index rebuilt meanwhile", must_answer=True))
        if rebuilding.wait(REBUILD_SECONDS):
            raise SystemExit(f"the rebuild failed, see {_log(bench)}")
        rows.append(_load(bench, ours, "index rebuilt meanwhile", must_answer=True))
    counts = sum((Counter(row.counts) for row in rows), Counter())
    yield Row(rows[0].fault, [outcome for row in rows for outcome in row.outcomes], counts, must_answer=True)


def _bad_project_file(bench: Bench) -> Iterator[Row]:
    bench.configure()
    with place.groundtune(bench.folder, log=_log(bench)) as ours:
        place.replace_file(bench.folder / "groundtune.toml", "name = ")
        yield _load(bench, ours, "mistake in groundtune.toml", must_answer=True)


def _clock_jumps(bench: Bench) -> Iterator[Row]:
    bench.configure()
    path = Path(__file__).with_name("jumping_clock")
    with place.groundtune(bench.folder, log=_log(bench), path=path) as ours:

        def jump() -> None:
            for jumped in JUMPS:
                os.kill(ours.process.pid, jumped)

        yield _load(bench, ours, "clock a day ahead, two back", during=jump, must_answer=True)


def _corrupt_cache(bench: Bench) -> Iterator[Row]:
    """Overwrite every file of the cache while the server runs, and restart it."""
    bench.configure()
    cache = bench.folder / ".groundtune/cache"

    def damage() -> None:
        (cache / "vectors").mkdir(parents=True, exist_ok=True)
        for path in (cache / "generations.sqlite", cache / "vectors/0.vectors", *cache.rglob("*.*")):
            if path.is_file() or not path.exists():
                path.write_bytes(os.urandom(5_000))

    damage()
    with place.groundtune(bench.folder, log=_log(bench)) as ours:
        yield _load(bench, ours, "corrupt cache", during=damage, must_answer=True)


def _full_disk(bench: Bench) -> Iterator[Row]:
    """Fill the disk: an answer that cannot be recorded fails. With space again, so do answers."""
    bench.configure()
    filler = bench.folder / "filler"

    def fill() -> None:
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"0" * 4096)

    with place.groundtune(bench.folder, log=_log(bench)) as ours:
        yield _load(bench, ours, "disk fills", during=fill)
        yield _load(bench, ours, "disk full, streamed", stream=True)
        filler.unlink()
        yield _load(bench, ours, "disk with space again", must_answer=True)


KINDS: Mapping[str, Callable[[Bench], Iterator[Row]]] = {
    "model fails": _model_faults,
    "model killed": _model_killed,
    "server killed": _server_killed,
    "rebuild": _rebuild,
    "project file": _bad_project_file,
    "clock": _clock_jumps,
    "cache": _corrupt_cache,
    "full disk": _full_disk,
}

# -- load and records ----------------------------------------------------------------------------------------------


def _load(
    bench: Bench,
    ours: Running,
    fault: str,
    *,
    stream: bool = False,
    during: Callable[[], object] | None = None,
    after: float = 0.5,
    must_answer: bool = False,
    may_lose: bool = False,
    seconds: float | None = None,
) -> Row:
    """Send requests, with something done `after` so many seconds, and feedback on every answer.

    seconds: the time budget of each; None: that of the bench where nothing should be noticed.
    """
    seconds = seconds or bench.patience
    due = [number / RATE for number in range(bench.requests)]
    if during:
        timer = threading.Timer(after, during)
        timer.start()
    outcomes, kept = asyncio.run(_ask(bench, ours, due, stream=stream))
    if during:
        timer.join()
    recorded, fed_back = _records(bench.folder)
    counts = Counter(
        "late"
        if outcome.seconds > seconds + SLACK_SECONDS
        else _became(outcome, recorded, kept=outcome.fields.get("id") in kept, fed_back=fed_back)
        for outcome in outcomes
    )
    row = Row(fault, outcomes, counts, must_answer, may_lose)
    print(f"{fault}: {dict(counts)}, {row.cells()[-2]}", flush=True)
    return row


async def _ask(
    bench: Bench, ours: Running, due: Sequence[float], *, stream: bool
) -> tuple[list[Outcome], frozenset[str]]:
    """Return the outcomes, and the answers whose feedback the server says it has kept."""
    kept: set[str] = set()
    async with open_client(seconds=2 * bench.patience) as client:
        outcomes = await send_all(client, f"{ours.url}/v1", due, bench.place.question, stream=stream)
        for outcome in outcomes:
            if answer := outcome.fields.get("id"):
                with contextlib.suppress(httpx2.HTTPError):
                    body = {"answer": answer, "rating": "up"}
                    if (await client.post(f"{ours.url}/v1/feedback", json=body)).status_code == 200:
                        kept.add(answer)
    return outcomes, frozenset(kept)


def _became(outcome: Outcome, recorded: set[str], *, kept: bool, fed_back: set[str]) -> str:
    if not outcome.is_answered:
        return "error" if outcome.status is not None and outcome.error and _is_told(outcome) else "lost"
    answer = outcome.fields.get("id", "")
    if answer not in recorded or (kept and answer not in fed_back):
        return "unrecorded"
    return "degraded" if outcome.fields.get("degradation") else "answered"


def _is_told(outcome: Outcome) -> bool:
    """Whether the server itself said what happened, instead of an exception of the client."""
    return not outcome.error.startswith(("ReadError", "RemoteProtocolError", "ReadTimeout", "ConnectError"))


def _records(folder: Path) -> tuple[set[str], set[str]]:
    """Return the answers with a record, and those with feedback. Reads copies: SQLite writes even to read."""
    found = []
    with tempfile.TemporaryDirectory() as copies:
        for name, table_name in (("audit", "records"), ("feedback", "feedback")):
            for path in (folder / ".groundtune").glob(f"{name}.sqlite*"):
                if not path.name.endswith("-shm"):
                    shutil.copy(path, copies)
            rows: set[str] = set()
            if Path(copies, f"{name}.sqlite").exists():
                with closing(sqlite3.connect(Path(copies, f"{name}.sqlite"))) as database:
                    rows = {answer for (answer,) in database.execute(f"SELECT answer FROM {table_name}")}
            found.append(rows)
    return found[0], found[1]


def _log(bench: Bench) -> Path:
    return bench.folder / "server.log"


@contextmanager
def _small_disk(folder: Path) -> Iterator[bool]:
    """Mount a small file system there, if that is allowed; yield whether it is."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
