"""The processes of a soak: an asker, the ingester and the comparer, each one long-lived `Project` that logs JSON lines.

    python benchmarks/soak_processes.py asker|ingester|comparer FOLDER --name NAME --life N --seed N

FOLDER holds the project in `project/`, `ledger.sqlite`, `logs/`, and the file `stop` once everything should end.
`soak.py` starts, kills and restarts these processes.
"""

import argparse
import contextlib
import json
import random
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune import BusyError, Project
from groundtune.common.files import read_json_lines
from groundtune.measure.results import RESULTS, read_results
from groundtune.measure.runner import PASSAGES
from groundtune.workflows.runs import read_run_file
from soak_ledger import ACCESS, FOLDERS, GROUPS, Ledger, State, document_text, marker_word, name_word, question_about

APPROACHES = ("quote-bm25", "quote-hybrid")
ASK_PAUSE = 0.1
"""Seconds between questions; two cores serve four processes."""
RETRIES = 3
SEARCHED = 100
"""Passages per search for a marker: with so many, all that full-text search finds are among them. Vectors of made-up
words rank anyhow."""
USERS: tuple[tuple[str, ...], ...] = ((), ("alpha",), ("beta",), GROUPS)


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of a soak."""

    folder: Path

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.sqlite"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def stop(self) -> Path:
        return self.folder / "stop"


class Log:
    """Appends one JSON object per line, each in one unbuffered write, so that a kill truncates at most the last."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def write(self, event: str, **values: Any) -> None:
        line = json.dumps({"t": round(time.monotonic(), 3), "event": event, **values}, default=str)
        self._file.write(line.encode() + b"\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("role", choices=["asker", "ingester", "comparer"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--life", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    place = Place(options.folder)
    log = Log(place.logs / f"{options.name}-{options.life}.jsonl")
    draw = random.Random(f"{options.seed} {options.name} {options.life}")
    roles: dict[str, Callable[[Place, Ledger, Log, random.Random], None]] = {
        "asker": run_asker,
        "ingester": run_ingester,
        "comparer": run_comparer,
    }
    log.write("start")
    with Ledger(place.ledger) as ledger:
        roles[options.role](place, ledger, log, draw)
    log.write("end")


@contextlib.contextmanager
def _errors_logged(log: Log, doing: str) -> Iterator[None]:
    """Log any exception as an error of the run, and go on."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 (every exception is a finding)
        log.write("error", doing=doing, error=f"{type(error).__name__}: {error}", trace=traceback.format_exc())
        time.sleep(1)


# -- asker -------------------------------------------------------------------------------------------------------------


def run_asker(place: Place, ledger: Ledger, log: Log, draw: random.Random) -> None:
    with Project.open(place.project) as project:
        while not place.stop.exists():
            state = ledger.draw(draw, gone=draw.random() < 0.3)
            if state is not None:
                verb = draw.choice(["ask", "search"])
                with _errors_logged(log, verb):
                    ask_about(project, ledger, log, state, verb=verb, groups=draw.choice(USERS))
            time.sleep(ASK_PAUSE)


def ask_about(project: Project, ledger: Ledger, log: Log, state: State, *, verb: str, groups: tuple[str, ...]) -> None:
    """Ask about a state, and log whatever the user must not have been shown, or did not find."""
    start = time.monotonic()
    shown = _ask(project, state, groups) if verb == "ask" else search_marker(project, state, groups)
    end = time.monotonic()
    log.write("question", verb=verb, seconds=round(end - start, 4), shown=len(shown))
    log_faults(ledger, log, shown, groups, start=start, end=end, doing=verb)
    if verb == "search":
        _check_found(project, ledger, log, state, shown, groups, start=start, end=end)


def _ask(project: Project, state: State, groups: tuple[str, ...]) -> list[tuple[str, str | None]]:
    answer = project.ask(question_about(state), groups=groups)
    # the question itself names the marker, and no text of an answer may come from there
    shown: list[tuple[str, str | None]] = [(answer.text, None)]
    shown += [(hit.passage.text, hit.passage.source) for hit in answer.hits]
    shown += [(citation.quote, citation.source) for citation in answer.citations if citation.source]
    return shown


def search_marker(project: Project, state: State, groups: tuple[str, ...]) -> list[tuple[str, str | None]]:
    hits = project.search(str(state.marker), k=SEARCHED, groups=groups)
    return [(hit.passage.text, hit.passage.source) for hit in hits]


def _check_found(
    project: Project,
    ledger: Ledger,
    log: Log,
    state: State,
    shown: Sequence[tuple[str, str | None]],
    groups: tuple[str, ...],
    *,
    start: float,
    end: float,
) -> None:
    """Log a document that must be in the index and is not found: "missed" if a later search finds it, else "lost"."""
    if not state.readable(groups) or not ledger.state(state.id).held_between(start, end):
        return
    log.write("checked")
    if found_in(state, shown):
        return
    for _ in range(RETRIES):
        time.sleep(0.5)
        start = time.monotonic()
        found = found_in(state, search_marker(project, state, groups))
        if found or not ledger.state(state.id).held_between(start, time.monotonic()):
            log.write("missed", marker=state.marker, source=state.path, groups=groups, hits=len(shown))
            return
    log.write("lost", marker=state.marker, source=state.path, groups=groups, hits=len(shown))


def found_in(state: State, shown: Sequence[tuple[str, str | None]]) -> bool:
    return any(source == state.path and str(state.marker) in text for text, source in shown)


def log_faults(
    ledger: Ledger,
    log: Log,
    shown: Sequence[tuple[str, str | None]],
    groups: Sequence[str],
    *,
    start: float,
    end: float,
    doing: str,
) -> None:
    for text, source in shown:
        if fault := ledger.fault(text, source, groups, start=start, end=end):
            log.write(fault[0], what=fault[1], source=source, groups=groups, start=start, end=end, doing=doing)


# -- ingester ----------------------------------------------------------------------------------------------------------


def run_ingester(place: Place, ledger: Ledger, log: Log, draw: random.Random) -> None:
    """Change documents and rules, and ingest. First finish what a killed ingester had begun."""
    write_project_file(place.project, ledger)
    with contextlib.ExitStack() as stack:
        project = stack.enter_context(Project.open(place.project))
        while not place.stop.exists():
            with _errors_logged(log, "change"):
                if change_rules(place, ledger, draw):
                    stack.close()
                    project = stack.enter_context(Project.open(place.project))
                apply_states(place.project, ledger)
            with _errors_logged(log, "ingest"):
                ingest(place, project, ledger, log, draw)
            with _errors_logged(log, "change"):
                begin_changes(ledger, draw, draw.randint(1, 8))
            time.sleep(draw.uniform(0, 2))


def ingest(place: Place, project: Project, ledger: Ledger, log: Log, draw: random.Random) -> None:
    """Ingest once, sometimes while more documents change."""
    rebuild, busy = draw.random() < 0.1, draw.random() < 0.3
    meanwhile = threading.Thread(target=_change_meanwhile, args=(place, log, draw.random()))
    started = time.monotonic()
    if busy:
        meanwhile.start()
    try:
        report = project.ingest(rebuild=rebuild, wait_seconds=120)
    finally:
        if busy:
            meanwhile.join()
    ledger.finish(begun_before=started)
    changes = [file.change for file in report.files]
    log.write(
        "ingest",
        seconds=round(time.monotonic() - started, 2),
        rebuild=rebuild,
        busy=busy,
        **{change: changes.count(change) for change in set(changes)},
    )
    failed = [
        f"{file.row.source}: {file.row.reason}"
        for file in report.files
        if file.row.status == "failed" and file.change != "removed"
    ]
    if failed and not busy:
        log.write("error", doing="ingest", error=f"failed files: {failed}")


def _change_meanwhile(place: Place, log: Log, seed: float) -> None:
    draw = random.Random(seed)
    time.sleep(draw.uniform(0, 1))
    with _errors_logged(log, "change during an ingest"), Ledger(place.ledger) as ledger:
        begin_changes(ledger, draw, draw.randint(1, 4))
        apply_states(place.project, ledger)


def begin_changes(ledger: Ledger, draw: random.Random, count: int) -> None:
    """Note changes of random documents: half edited, the others renamed, deleted, or added again."""
    states = ledger.latest()
    alive = sum(state.path is not None for state in states.values())
    new: list[tuple[int, str | None, str | None]] = []
    for state in draw.sample(sorted(states.values(), key=lambda state: state.document), count):
        version = marker_word(state.document, len(ledger.history(state.document)) + 1)
        if state.path is None or state.marker is None:
            path = draw.choice([old.path for old in ledger.history(state.document) if old.path])
            new.append((state.document, version, path))
        elif (kind := draw.random()) < 0.5:
            new.append((state.document, version, state.path))
        elif kind < 0.75:
            new.append((state.document, state.marker, new_path(draw, state.document)))
        elif alive > len(states) * 0.8:
            new.append((state.document, None, None))
            alive -= 1
    ledger.begin(new)


def change_rules(place: Place, ledger: Ledger, draw: random.Random) -> bool:
    """Sometimes restrict a folder to other groups, or open it, and edit one of its documents at the same time."""
    if draw.random() > 0.2:
        return False
    folder, groups = f"f{draw.randrange(FOLDERS)}", draw.choice(ACCESS)
    inside = [state for state in ledger.latest().values() if state.path and state.path.split("/")[1] == folder]
    edited = draw.choice(inside).document if inside else None
    new = [
        (
            state.document,
            marker_word(state.document, len(ledger.history(state.document)) + 1)
            if state.document == edited
            else state.marker,
            state.path,
        )
        for state in inside
    ]
    ledger.begin(new, {folder: groups})
    write_project_file(place.project, ledger)
    return True


def new_path(draw: random.Random, document: int) -> str:
    return f"docs/f{draw.randrange(FOLDERS)}/n{document:04}-{draw.randrange(10**6):06}.md"


def apply_states(project: Path, ledger: Ledger) -> None:
    """Make the files match the newest states; also completes what a kill interrupted."""
    for state in ledger.latest().values():
        if state.finished is not None:
            continue
        history = ledger.history(state.document)
        others = {old.path for old in history if old.path and old.path != state.path}
        if state.path and state.marker:
            text = document_text(state.document, state.marker)
            target = project / state.path
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                for old in others:
                    if (project / old).exists() and (project / old).read_text() == text:
                        (project / old).rename(target)
            if not target.exists() or target.read_text() != text:
                target.write_text(text)
        for old in others:
            (project / old).unlink(missing_ok=True)


def write_project_file(project: Path, ledger: Ledger) -> None:
    """Write groundtune.toml, with the rules of the ledger, in one step."""
    lines = ['name = "soak"', "[documents]", 'include = ["docs/**/*"]', "[examples]", 'files = ["examples.jsonl"]']
    for folder, groups in sorted(ledger.rules().items()):
        if groups:
            lines += ["[[documents.access]]", f'include = ["docs/{folder}/**"]', f"groups = {json.dumps(groups)}"]
    temporary = project / "groundtune.toml.new"
    temporary.write_text("\n".join(lines) + "\n")
    temporary.replace(project / "groundtune.toml")


# -- comparer ----------------------------------------------------------------------------------------------------------


def write_examples(path: Path, documents: int, count: int, draw: random.Random) -> None:
    rows = [
        {
            "id": f"e{document}",
            "input": f"What is the current code of the notice {name_word(document)}?",
            "output": f"The current code of the notice {name_word(document)}",
            "split": "test",
            "groups": list(draw.choice(USERS)),
        }
        for document in draw.sample(range(documents), min(count, documents))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def run_comparer(place: Place, ledger: Ledger, log: Log, draw: random.Random) -> None:
    with Project.open(place.project) as project:
        groups = {example.id: example.groups for example in project.examples()}
        while not place.stop.exists():
            with _errors_logged(log, "compare"):
                fresh = draw.random() < 0.5
                start = time.monotonic()
                try:
                    report = project.compare(approaches=APPROACHES, fresh=fresh)
                except BusyError as error:
                    log.write("busy", doing="compare", error=str(error))
                else:
                    assert report.file is not None
                    span = (start, time.monotonic()) if fresh else None
                    check_run(report.file.parent, ledger, log, groups, span)
            time.sleep(draw.uniform(0, 1))


def check_run(
    folder: Path, ledger: Ledger, log: Log, groups: dict[str, tuple[str, ...]], span: tuple[float, float] | None
) -> None:
    """Check that a run is complete, without errors, and cites what an index held at one moment.

    span: when a new run was started and had ended; None for a run that may have been resumed.
    """
    rows = read_results(folder / RESULTS)
    about = read_run_file(folder)
    passages = {note["id"]: note["text"] for note in read_json_lines(folder / PASSAGES)}
    problems = [f"{row.example}, {row.approach}: {row.error}" for row in rows if row.error]
    if not about.get("complete") or len(rows) != len(groups) * len(APPROACHES):
        problems.append(f"{len(rows)} rows, complete: {about.get('complete')}")
    if not (about["about"].get("index") and about["about"].get("documents")):
        problems.append("the run names no index")
    begun, ended, first, last = 0.0, float("inf"), "", ""
    for row in rows:
        cited = [
            (f"{citation.quote} {passages.get(citation.passage_id or '', '')}", citation.source)
            for citation in row.citations
            if citation.source
        ]
        for text, source in cited:
            since, until = ledger.span(text, source)
            if since > begun:
                begun, first = since, f"{source} since {since:.2f}"
            if until < ended:
                ended, last = until, f"{source} until {until:.2f}"
        if span:
            start, end = span
            log_faults(ledger, log, cited, groups[row.example], start=start, end=end, doing=f"compare {folder.name}")
    if begun > ended:
        problems.append(f"no moment at which all was shown: {first}, but {last}")
    answered = sum(row.status == "answered" for row in rows)
    log.write("run", folder=folder.name, new=span is not None, rows=len(rows), answered=answered)
    for problem in problems:
        log.write("mixed", run=folder.name, problem=problem)


if __name__ == "__main__":
    main()
