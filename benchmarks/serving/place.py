"""Write the project that is served, and run its processes: the model, groundtune, a bare proxy. Measures nothing."""

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from groundtune.project import Project

SEED = 7
PASSAGES_PER_DOCUMENT = 5
SENTENCES = 5
WORDS = 14
SYLLABLES = (
    "ba be bi bo da de di do fa fe fi fo ga ge go ka ke ki ko la le li lo ma me mi mo na ne pa pe po ra ro".split()
)
PLAIN = (
    "the a of to and in for with on by from at after before each every new old team order price report customer "
    "delivery battery invoice week month office contract return repair frame wheel is was must may can needs takes"
).split()
STOP_SECONDS = 30
_URL = re.compile(r'"url": "(.*?)"')


@dataclass(frozen=True, slots=True)
class Place:
    """A project folder, and words to ask for."""

    folder: Path
    topics: Sequence[str]
    """Words that each stand in one passage alone."""

    def question(self, number: int) -> str:
        """Return a question that no other number has."""
        return f"What must be done about {self.topics[number % len(self.topics)]}? (case {number})"


def make_place(folder: Path, *, passages: int) -> Place:
    """Write the documents and their index, unless the folder has them."""
    draw = random.Random(SEED)
    topics = []
    (folder / "docs").mkdir(parents=True, exist_ok=True)
    for number in range(passages // PASSAGES_PER_DOCUMENT):
        sections = []
        for part in range(PASSAGES_PER_DOCUMENT):
            topic = "".join(draw.choices(SYLLABLES, k=5)) + str(number * PASSAGES_PER_DOCUMENT + part)
            topics.append(topic)
            sections.append(f"## Case {topic}\n\n{_paragraph(draw, topic)}\n")
        path = folder / "docs" / f"{number:05}.md"
        if not path.exists():
            path.write_text("\n".join(sections), encoding="utf-8")
    write_project_file(folder, model_url="http://127.0.0.1:9/v1")
    with Project.open(folder) as project:
        project.ingest()
    return Place(folder, topics)


def write_project_file(folder: Path, *, model_url: str, model: str = "scripted", more: str = "") -> None:
    """Write the project file. more: its tables beside that of the model."""
    text = (
        'name = "served"\n'
        f'[models.default]\nkind = "openai"\nmodel = "{model}"\nbase_url = "{model_url}"\n'
        f"concurrency = 256\ntimeout_seconds = 30\n{more}"
    )
    replace_file(folder / "groundtune.toml", text)


def replace_file(path: Path, text: str) -> None:
    """Write a file in one step, so that nobody reads half of it."""
    beside = path.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def _paragraph(draw: random.Random, topic: str) -> str:
    sentences = []
    for _ in range(SENTENCES):
        words = [*draw.choices(PLAIN, k=WORDS - 2), topic, "".join(draw.choices(SYLLABLES, k=3))]
        draw.shuffle(words)
        sentences.append(" ".join(words).capitalize() + ".")
    return " ".join(sentences)


@dataclass(slots=True)
class Running:
    """A process that listens at `url`."""

    process: "subprocess.Popen[str]"
    url: str

    def memory_mib(self) -> float:
        """Return the resident memory."""
        return _status(self.process.pid, "VmRSS") / 1024

    def handles(self) -> int:
        """Return the number of open files and sockets."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())

    def threads(self) -> int:
        return _status(self.process.pid, "Threads")

    def cpu_seconds(self) -> float:
        """Return the processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


@contextmanager
def model(*arguments: str) -> Iterator[Running]:
    """Run the scripted model server until the block ends; `url` ends in /v1."""
    with _process([sys.executable, "-m", "benchmarks.serving.model_server", *arguments]) as running:
        yield running


@contextmanager
def groundtune(folder: Path, *, log: Path | None = None, path: Path | None = None) -> Iterator[Running]:
    """Run `groundtune serve` until the block ends.

    log: file for its error output, which is shown otherwise. path: a folder from which modules are imported first.
    """
    command = [sys.executable, "-m", "groundtune", "serve", "--json", "--port", "0", "-C", str(folder)]
    with _process(command, log=log, path=path) as running:
        yield running


@contextmanager
def proxy(model_url: str) -> Iterator[Running]:
    """Run the bare proxy until the block ends."""
    with _process([sys.executable, "-m", "benchmarks.serving.bare_proxy", model_url]) as running:
        yield running


@contextmanager
def _process(command: Sequence[str], *, log: Path | None = None, path: Path | None = None) -> Iterator[Running]:
    """Run a process that prints JSON with its `url` once it listens."""
    with log.open("a") if log else open(os.dup(2), "w") as errors:  # noqa: PTH123 (a file descriptor)
        paths = [str(path)] if path else []
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")])}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
    assert process.stdout is not None
    try:
        url = next((found[1] for line in process.stdout if (found := _URL.search(line))), None)
        if url is None:
            raise SystemExit(f"{command[2]} did not start")
        yield Running(process, url)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
