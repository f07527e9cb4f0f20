"""Claim: 1,000 items, two reviewers at once, killed at 100 random points: none lost or doubled; the next opens at once.

    python -m benchmarks.review [--items 1000] [--kills 100] [--seed 0]

Two real processes decide about the same queue, each under its own name, while a third goes on recording answers and
feedback. They are killed with SIGKILL at random points and started again until nothing is left to decide. Then every
answer must be one item, every decision that a process had acknowledged must be there, no answer may have two, and the
chain of the audit log must be whole. The time of opening the next item is measured through `Project.next_review`, with
an index, on a queue of the same size.
"""

import argparse
import json
import multiprocessing
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.common import machine

from groundtune import Project
from groundtune.common.files import digest_text
from groundtune.config.review_table import ReviewConfig
from groundtune.records.audit_log import AuditLog
from groundtune.records.feedback import FeedbackLog
from groundtune.review.queue import ReviewQueue, State
from groundtune.workspace import Workspace

REVIEWERS = ("ann", "bob")
STATES: tuple[State, ...] = ("accepted", "edited", "rejected", "declined")
SETTINGS = ReviewConfig(sample=1.0)
PROCESSES = multiprocessing.get_context("fork")
MOMENT_SECONDS = 0.05
"""Longest time from a decision to the kill: that of the next decision."""
LINE_BYTES = 41
"""About the bytes of an acknowledged decision."""
TARGET_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is left of the decisions after all kills."""

    items: int
    acknowledged: int
    kills: int
    lost: int
    """Answers without an item or without a decision, and acknowledged decisions that are not there."""
    doubled: int
    """Answers about which more than one decision is recorded."""
    problem: str | None
    """What is wrong with the audit log; None when nothing is."""


def answer_id(number: int) -> str:
    return f"{number:032x}"


def record_answers(folder: Path, numbers: range) -> None:
    """Record answers as the server does; every seventh gets feedback."""
    workspace = Workspace(folder)
    log, feedback = AuditLog(workspace), FeedbackLog(workspace)
    for number in numbers:
        log.append(record_of(answer_id(number)), {"question": f"What is {number}?", "answer": f"It is {number}."})
        if number % 7 == 0:
            feedback.append(answer_id(number), "down", comment="", caller="user")


def record_of(answer: str, **more: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    record = {"id": answer, "time": now, "status": "answered", "caller": "user", "key": None, "groups": []}
    record |= {"approach": "rag", "confidence": None, "degradation": None, "cut": None}
    return {**record, "citations": [], "passages": [], **more}


def review(folder: Path, by: str, seed: int) -> None:
    """Decide until nothing is left; write down each decision once it is acknowledged."""
    queue, chance = ReviewQueue(Workspace(folder), SETTINGS), random.Random(seed)
    while True:
        waiting = [answer for answer, _ in queue.waiting_for(by)]
        if not waiting:
            return
        if queue.open(waiting[0], by) is None:
            continue
        assert queue.entry(waiting[0]) is not None
        state = chance.choice(STATES)
        queue.decide(waiting[0], state, by=by, text="better" if state == "edited" else None)
        with (folder / by).open("a", encoding="ascii") as acknowledged:
            acknowledged.write(f"{waiting[0]} {state}\n")


def run(folder: Path, *, items: int, kills: int, seed: int) -> Outcome:
    """Let two reviewers decide about so many items, kill them so many times, and count what is lost and doubled."""
    chance = random.Random(seed)
    record_answers(folder, range(items // 2))
    recorder = PROCESSES.Process(target=record_answers, args=(folder, range(items // 2, items)))
    recorder.start()
    running = {by: _start(folder, by, chance) for by in REVIEWERS}
    done = 0
    while done < kills and not _is_over(recorder, running):
        by = chance.choice(REVIEWERS)
        _wait_for(running[by], folder / by, decisions=chance.randint(0, most_between(items, kills)))
        time.sleep(chance.uniform(0, MOMENT_SECONDS))
        if running[by].is_alive():
            running[by].kill()
            done += 1
        running[by].join()
        running[by] = _start(folder, by, chance)
    recorder.join()
    for process in running.values():
        process.join()
    acknowledged: dict[str, list[str]] = {}
    for by in REVIEWERS:
        review(folder, by, 0)  # what came in after the others had ended
        for line in (folder / by).read_text().split("\n")[:-1]:
            answer, state = line.split()
            acknowledged.setdefault(answer, []).append(state)
    return _outcome(folder, items, acknowledged, done)


def most_between(items: int, kills: int) -> int:
    """Return how many decisions a reviewer makes at most before it is killed, so that enough items are left."""
    return max(1, items // (2 * kills))


def _start(folder: Path, by: str, chance: random.Random) -> Any:
    process = PROCESSES.Process(target=review, args=(folder, by, chance.randrange(10**9)))
    process.start()
    return process


def _is_over(recorder: Any, running: dict[str, Any]) -> bool:
    """Whether nothing is left to decide."""
    return not recorder.is_alive() and not any(process.is_alive() for process in running.values())


def _wait_for(process: Any, file: Path, *, decisions: int) -> None:
    """Wait until a process has acknowledged so many decisions, or has ended."""
    size = (file.stat().st_size if file.exists() else 0) + decisions * LINE_BYTES
    while process.is_alive() and (file.stat().st_size if file.exists() else 0) < size:
        time.sleep(0.001)


def _outcome(folder: Path, items: int, acknowledged: dict[str, list[str]], kills: int) -> Outcome:
    log = AuditLog(Workspace(folder))
    queue = {item.answer: item for item in ReviewQueue(Workspace(folder), SETTINGS).items()}
    expected = {answer_id(number) for number in range(items)}
    decisions = Counter(str(entry.record["id"]) for entry in log.entries(events=True) if entry.is_event)
    undecided = [answer for answer in expected if answer not in queue or queue[answer].state == "pending"]
    gone = [answer for answer, states in acknowledged.items() if queue[answer].state != states[-1]]
    return Outcome(
        items=len(queue),
        acknowledged=len(acknowledged),
        kills=kills,
        lost=len({*undecided, *gone}),
        doubled=sum(number > 1 for number in decisions.values()) + len(queue.keys() - expected),
        problem=log.verify(expires=False).problem,
    )


def opening_seconds(folder: Path, items: int) -> tuple[list[float], list[float]]:
    """Return the seconds of opening each next item of so many, with documents, and those of the processor; sorted."""
    (folder / "docs").mkdir(parents=True)
    for number in range(20):
        text = f"# Rule {number}\n\nThe rule number {number} says that parcels wait {number} days.\n"
        (folder / f"docs/{number}.md").write_text(text, encoding="utf-8")
    (folder / "groundtune.toml").write_text('name = "review"\n[review]\nsample = 1.0\n', encoding="utf-8")
    with Project.open(folder) as project:
        project.ingest()
        hits = [project.search(f"rule number {number}", k=3) for number in range(20)]
        log = AuditLog(project.workspace)
        for number in range(items):
            passages = [{**_place(hit), "text": digest_text(hit.passage.text)} for hit in hits[number % 20]]
            texts = {"question": f"What says rule {number}?", "answer": "It waits [1]."}
            log.append(record_of(answer_id(number), passages=passages), texts)
        project.reviews(["declined"])  # the queue takes in what was recorded
        seconds, of_processor = [], []
        for _ in range(min(items, 300)):
            start, before = time.perf_counter(), time.process_time()
            item = project.next_review(by="ann", groups=[])
            seconds.append(time.perf_counter() - start)
            of_processor.append(time.process_time() - before)
            assert item is not None
            assert item.answer.passages
            project.review(item.item.answer, "accepted", by="ann")
    return sorted(seconds), sorted(of_processor)


def _place(hit: Any) -> dict[str, Any]:
    return {name: getattr(hit.passage, name) for name in ("id", "source", "start", "end")}


def p95_of(seconds: list[float]) -> float:
    return seconds[int(len(seconds) * 0.95)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        outcome = run(Path(folder), items=options.items, kills=options.kills, seed=options.seed)
        print(json.dumps({**{name: getattr(outcome, name) for name in Outcome.__slots__}}), flush=True)
        print(f"{time.monotonic() - start:.0f} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        measured = opening_seconds(Path(folder), options.items)
    for name, seconds in zip(("wall", "processor"), measured, strict=True):
        p50, p95 = 1e3 * seconds[len(seconds) // 2], 1e3 * p95_of(seconds)
        print(
            f"opening the next of {options.items:,}, {name}: median {p50:.0f} ms, p95 {p95:.0f} ms, n = {len(seconds)}"
        )
    reached = "met" if p95_of(measured[0]) < TARGET_SECONDS else "missed"
    print(f"target {1e3 * TARGET_SECONDS:.0f} ms of wall time: {reached}")
    assert (outcome.lost, outcome.doubled, outcome.problem) == (0, 0, None)


if __name__ == "__main__":
    main()
