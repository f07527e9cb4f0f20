"""Claim: two processes ask, one ingests and one compares for ten minutes while each is killed again and again, without
an unprovoked error, a deleted or forbidden passage shown, a document lost, or a leak of memory or file handles.

    python benchmarks/soak.py [--minutes 10] [--documents 200] [--kill-every 30] [--seed 1] [--keep FOLDER]

Every version of a document holds a unique marker word, and a ledger notes what may be shown and what must be found
when. Processes are killed with SIGKILL and restarted in turn; the second asker is spared in the first half and the
first one in the second half, and their memory (resident, median) and file handles (lowest: while an index is rebuilt, a
reader holds two generations open) at the end are compared with those after a warm-up of a third of that time.
`--kill-every 0` kills nothing and measures all four. Offline, quoted answers, bundled embedder. Exit code 1 if any
criterion is missed.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import machine, open_index, percentile, table
from groundtune import Project
from groundtune.types import EVERYONE, Scope
from soak_ledger import ACCESS, FOLDERS, GROUPS, Ledger, marker_word
from soak_processes import Place, apply_states, found_in, new_path, search_marker, write_examples, write_project_file

PROCESSES = {"asker-a": "asker", "asker-b": "asker", "ingester": "ingester", "comparer": "comparer"}
EXAMPLES = 60
GROWTH = 0.05
STOP_SECONDS = 180
"""How long the processes may take to finish what they are doing at the end."""


@dataclass(slots=True)
class Running:
    """A process that runs now, or has run."""

    name: str
    life: int
    process: "subprocess.Popen[bytes]"
    started: float
    killed: bool = False


@dataclass(slots=True)
class Samples:
    """Measures of one life of a process, one per second."""

    times: list[float] = field(default_factory=list)
    handles: list[int] = field(default_factory=list)
    memory_mib: list[float] = field(default_factory=list)

    def between(self, start: float, end: float, values: Sequence[float]) -> list[float]:
        return [value for at, value in zip(self.times, values, strict=True) if start <= at <= end]


class Soak:
    """Starts, kills, restarts and measures the processes."""

    def __init__(self, place: Place, *, seed: int, kill_every: float) -> None:
        self.place = place
        self.seed = seed
        self.kill_every = kill_every
        self.draw = random.Random(seed)
        self.running: dict[str, Running] = {}
        self.kills: Counter[str] = Counter()
        self.samples: dict[tuple[str, int], Samples] = defaultdict(Samples)
        self.errors: list[str] = []
        self.sessions: set[int] = set()
        self._turn: list[str] = []

    def run(self, seconds: float) -> tuple[float, float]:
        """Run for that long, and return when it started and ended."""
        start = time.monotonic()
        end, half = start + seconds, start + seconds / 2
        next_kill = self._next_kill(start)
        for name in PROCESSES:
            self._start(name, 1)
        while (now := time.monotonic()) < end:
            for running in list(self.running.values()):
                self._measure(running, now)
                if (code := running.process.poll()) is not None:
                    self.errors.append(f"{running.name}-{running.life} ended by itself with {code}")
                    self._start(running.name, running.life + 1)
            if now >= next_kill:
                self._kill(spared="asker-b" if now < half else "asker-a")
                next_kill = self._next_kill(now)
            time.sleep(1)
        self._stop()
        return start, end

    def _next_kill(self, now: float) -> float:
        return now + self.kill_every * self.draw.uniform(2 / 3, 4 / 3) if self.kill_every else float("inf")

    def _start(self, name: str, life: int) -> None:
        script = Path(__file__).with_name("soak_processes.py")
        options = ["--name", name, "--life", str(life), "--seed", str(self.seed)]
        with (self.place.logs / f"{name}-{life}.stderr").open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, str(script), PROCESSES[name], str(self.place.folder), *options],
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,
            )
        self.sessions.add(process.pid)
        self.running[name] = Running(name, life, process, time.monotonic())

    def _kill(self, *, spared: str) -> None:
        """Kill the next process, each once in a random order before the order is drawn again."""
        if not set(self._turn) - {spared}:
            self._turn = self.draw.sample(sorted(PROCESSES), len(PROCESSES))
        name = next(name for name in self._turn if name != spared)
        self._turn.remove(name)
        victim = self.running[name]
        victim.process.send_signal(signal.SIGKILL)
        victim.process.wait()
        victim.killed = True
        self.kills[name] += 1
        self._start(name, victim.life + 1)

    def _measure(self, running: Running, now: float) -> None:
        folder = Path("/proc") / str(running.process.pid)
        try:
            handles = sum(1 for _ in (folder / "fd").iterdir())
            status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        except (OSError, ValueError):
            return
        if "VmRSS" not in status:
            return
        samples = self.samples[running.name, running.life]
        samples.times.append(now)
        samples.handles.append(handles)
        samples.memory_mib.append(int(status["VmRSS"].split()[0]) / 1024)

    def _stop(self) -> None:
        self.place.stop.touch()
        end = time.monotonic() + STOP_SECONDS
        for running in self.running.values():
            try:
                code = running.process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait()
                self.errors.append(f"{running.name}-{running.life} did not end within {STOP_SECONDS} s")
            else:
                if code:
                    self.errors.append(f"{running.name}-{running.life} ended with {code}")

    def save_samples(self) -> None:
        with (self.place.folder / "samples.jsonl").open("w") as file:
            for (name, life), samples in self.samples.items():
                rows = zip(samples.times, samples.handles, samples.memory_mib, strict=True)
                file.writelines(json.dumps([name, life, *row]) + "\n" for row in rows)

    def orphans(self) -> list[str]:
        """Return the processes that the killed ones have left behind."""
        left = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if os.getsid(int(folder.name)) in self.sessions:
                    left.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()[:200])
            except (OSError, ValueError):
                continue
        return left


@dataclass(frozen=True, slots=True)
class Criterion:
    name: str
    met: bool
    figures: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--kill-every", type=float, default=30, help="mean seconds between two kills; 0: never")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="keep project, ledger and logs in this folder")
    options = parser.parse_args()
    with _folder(options.keep) as folder:
        place = Place(folder)
        place.logs.mkdir()
        prepare(place, options.documents, random.Random(options.seed))
        print(f"{options.minutes:g} minutes, {options.documents} documents; {machine()}", flush=True)
        soak = Soak(place, seed=options.seed, kill_every=options.kill_every)
        start, end = soak.run(options.minutes * 60)
        soak.save_samples()
        criteria = judge(soak, place, start, end)
    rows = [("criterion", "", "figures")]
    rows += [(criterion.name, "met" if criterion.met else "MISSED", criterion.figures) for criterion in criteria]
    table(rows)
    sys.exit(any(not criterion.met for criterion in criteria))


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep:
        keep.mkdir(parents=True)
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="groundtune-soak-") as name:
        yield Path(name)


def prepare(place: Place, documents: int, draw: random.Random) -> None:
    """Write the project and its first documents, and ingest them."""
    place.project.mkdir()
    with Ledger(place.ledger) as ledger:
        ledger.begin([], {f"f{number}": draw.choice(ACCESS) for number in range(FOLDERS)})
        ledger.begin((number, marker_word(number, 1), new_path(draw, number)) for number in range(documents))
        write_examples(place.project / "examples.jsonl", documents, EXAMPLES, draw)
        write_project_file(place.project, ledger)
        apply_states(place.project, ledger)
        started = time.monotonic()
        with Project.open(place.project) as project:
            project.ingest()
        ledger.finish(begun_before=started)


# -- verdict -----------------------------------------------------------------------------------------------------------


def judge(soak: Soak, place: Place, start: float, end: float) -> list[Criterion]:
    events = read_events(place.logs)
    kinds = Counter(event["event"] for _, event in events)
    asked = [event["seconds"] for _, event in events if event["event"] == "question"]
    ingests = [event for _, event in events if event["event"] == "ingest"]
    runs = [event for _, event in events if event["event"] == "run"]
    for name, event in events:
        if event["event"] in ("error", "ghost", "leak", "lost", "missed", "mixed", "busy"):
            print(name, json.dumps({key: value for key, value in event.items() if key != "trace"})[:600])
    said = [
        f"{path.name}: {text.strip().splitlines()[-1][:300]}"
        for path in sorted(place.logs.glob("*.stderr"))
        if (text := path.read_text(errors="replace")).strip()
    ]
    for line in [*soak.errors, *said]:
        print(line)
    changes = sum(event.get(kind, 0) for event in ingests for kind in ("added", "changed", "renamed", "removed"))
    rebuilds = sum(event["rebuild"] for event in ingests)
    killed = ", ".join(f"{name} {soak.kills[name]}" for name in PROCESSES)
    work = (
        f"{len(asked)} questions ({percentile(asked, 0.5):.2f} s median, {percentile(asked, 0.99):.2f} s p99), "
        f"{len(ingests)} ingests with {changes} changes and {rebuilds} rebuilds, "
        f"{len(runs)} comparisons ({sum(run['new'] for run in runs)} new)"
        if asked
        else "no questions"
    )
    everything = bool(asked and ingests and runs) and (not soak.kill_every or len(+soak.kills) == len(PROCESSES))
    errors = kinds["error"] + kinds["busy"] + len(soak.errors) + len(said)
    return [
        Criterion("all did their work", everything, work),
        Criterion("each was killed", everything, killed),
        Criterion("no unprovoked error", errors == 0, f"{errors}, of which busy: {kinds['busy']}"),
        Criterion("no ghost", kinds["ghost"] == 0, f"{kinds['ghost']} shown after their removal"),
        Criterion("no forbidden passage", kinds["leak"] == 0, f"{kinds['leak']} shown"),
        Criterion(
            "no loss",
            kinds["lost"] + kinds["missed"] == 0,
            f"{kinds['lost']} lost, {kinds['missed']} missed once, of {kinds['checked']} that must be found",
        ),
        Criterion("one snapshot per comparison", kinds["mixed"] == 0, f"{kinds['mixed']} problems"),
        *growth(soak, start, end),
        *aftermath(soak, place),
    ]


def read_events(logs: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return the events of all processes; a kill may have cut off the last line of a log."""
    events = []
    for path in sorted(logs.glob("*.jsonl")):
        for line in path.read_bytes().split(b"\n")[:-1]:
            events.append((path.stem, json.loads(line)))
    return events


def growth(soak: Soak, start: float, end: float) -> list[Criterion]:
    """Compare handles and memory at the end of each measured span with those after its warm-up."""
    half = (start + end) / 2
    if soak.kill_every:
        spans = {"asker-b": (start, half), "asker-a": (half, end)}
    else:
        spans = dict.fromkeys(PROCESSES, (start, end))
    criteria = []
    for name, (since, until) in spans.items():
        life = max(
            (key for key in soak.samples if key[0] == name and soak.samples[key].times[0] < until - 1), default=None
        )
        if life is None:
            continue
        samples = soak.samples[life]
        warm = since + (until - since) / 3
        width = (until - since) / 10
        for what, values, typical in (
            ("handles", samples.handles, min),
            ("memory", samples.memory_mib, statistics.median),
        ):
            before = samples.between(warm, warm + width, values)
            after = samples.between(until - width, until, values)
            if not before or not after:
                criteria.append(Criterion(f"{what} of {name}", False, "too few measures"))
                continue
            first, last = typical(before), typical(after)
            unit = " MiB" if what == "memory" else ""
            figures = f"{first:.0f}{unit} to {last:.0f}{unit} ({last / first - 1:+.1%}) in {until - warm:.0f} s"
            criteria.append(Criterion(f"{what} of {name}", last <= first * (1 + GROWTH), figures))
    return criteria


def aftermath(soak: Soak, place: Place) -> list[Criterion]:
    """Check what is left: locks, processes, files; that a last ingest works; that catalog, store and ledger agree."""
    orphans = soak.orphans()
    problems: list[str] = []
    with Ledger(place.ledger) as ledger, Project.open(place.project) as project:
        apply_states(place.project, ledger)
        started = time.monotonic()
        project.ingest()  # without waiting: a stale lock would raise BusyError
        project.ingest(rebuild=True)  # completes and replaces a rebuild that a kill interrupted
        project.ingest()
        ledger.finish(begun_before=started)
        states = [state for state in ledger.latest().values() if state.path]
        everyone = tuple(GROUPS)
        for state in states:
            if not found_in(state, search_marker(project, state, everyone)):
                problems.append(f"{state.path} is not found by {state.marker}")
        answer = project.ask(f"What is the current code {states[0].marker}?", groups=everyone)
        problems += [
            f"the answer shows {hit.passage.source}"
            for hit in answer.hits
            if not (place.project / hit.passage.source).exists()
        ]
        problems += project.loop.run(_disagreements(project, {state.path: state.marker for state in states}, everyone))
    left = leftovers(place.project / ".groundtune")
    for line in [*problems, *orphans, *left]:
        print(line)
    return [
        Criterion(
            "catalog, store and files agree", not problems, f"{len(problems)} problems in {len(states)} documents"
        ),
        Criterion("nothing left behind", not (orphans or left), f"{len(orphans)} processes, {len(left)} files"),
    ]


async def _disagreements(project: Project, expected: dict[str, str | None], groups: tuple[str, ...]) -> list[str]:
    """Compare the catalog with the store, and both with the documents that there should be."""
    opened = await open_index(project)
    try:
        problems = []
        passages = await opened.store.scan(Scope((*groups, EVERYONE)))
        by_source: Counter[str] = Counter(passage.source for passage in passages)
        if len(passages) != await opened.store.count():
            problems.append(f"{await opened.store.count()} passages, of which {len(passages)} can be seen")
        if unfinished := await opened.catalog.unfinished():
            problems.append(f"unfinished: {unfinished}")
        rows = await opened.catalog.files()
        for source in sorted({*rows, *expected, *by_source}):
            document = await opened.document_by_source(source)
            marker = expected.get(source)
            if document is None or marker is None or source not in rows or source not in by_source:
                problems.append(f"{source}: catalog {document is not None}, store {by_source[source]}, marker {marker}")
            elif marker not in document.text or rows[source].passages != by_source[source]:
                problems.append(
                    f"{source}: {rows[source].passages} passages in the catalog, {by_source[source]} stored"
                )
        return problems
    finally:
        await opened.close()


def leftovers(folder: Path) -> list[str]:
    """Return the files that nothing documented explains, after a last ingest."""
    generation = json.loads((folder / "index" / "manifest.json").read_text())["generation"]
    known = {".gitignore", "index", "runs", "cache", "writer.lock"}
    left = [path for path in folder.iterdir() if path.name not in known]
    left += [path for path in (folder / "index").iterdir() if path.name not in ("manifest.json", generation)]
    left += folder.rglob(".writing-*")
    return [str(path.relative_to(folder)) for path in left]


if __name__ == "__main__":
    main()
