"""Claim: each format is read at most 10% slower than by another checkout of groundtune, on the same files.

    python -m benchmarks.loader_speed OTHER_CHECKOUT markitdown-fixtures examples/handbook/docs [--pairs 9]

The ratio is user CPU seconds here to there, in two processes that stay, alternately. `large` is one plain file of each
format that is written for this; `files` are those of the given folders that both checkouts read. ingest: the whole
command on the given folders, in new processes.
"""

import argparse
import csv
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

from benchmarks.common import machine, project_folder, settle, table, verdict
from benchmarks.oracles.sentences import Words
from benchmarks.oracles.structures import Block, Cell, Document, Heading, Item, Items, Paragraph, Run, Table
from benchmarks.oracles.writers import write

HERE = Path(__file__).parents[1]
TARGET = 1.1
SHORTEST = 0.15
"""User CPU seconds that one measurement takes at least."""
SECTIONS = {".pdf": 500, ".pptx": 150, ".docx": 150, ".xlsx": 250, ".epub": 250, ".txt": 3_000}
"""Sections of the large file of a format, about two PDF pages each; others have 400."""
ROWS = 30_000
WORKER = """
import resource, sys
from pathlib import Path
from groundtune.errors import ParseError
from groundtune.ingest.loaders import load

def read(paths):
    for path in paths:
        try:
            load(Path(path))
        except ParseError as error:
            yield path, str(error)

for line in sys.stdin:
    times, *paths = line.rstrip("\\n").split("\\t")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    for _ in range(int(times)):
        refused = [*read(paths)]
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(usage.ru_utime - before, usage.ru_maxrss, *[path for path, _ in refused], sep="\\t", flush=True)
"""
INGEST = "import sys; from groundtune.cli import main; sys.exit(main())"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--formats", nargs="*", help="suffixes; default: all")
    parser.add_argument("--ingests", type=int, default=9, help="pairs of whole ingests")
    parser.add_argument("--folder", type=Path, help="where the large files are kept for another run")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="groundtune-benchmark-") as name:
        folder = options.folder or Path(name)
        sets = {("large", path.suffix): [path] for path in write_large(folder)}
        for path in sorted(path for each in options.paths for path in each.rglob("*") if path.is_file()):
            sets.setdefault(("files", path.suffix.lower()), []).append(path)
        head = ["", "format", "files", "seconds here", "there", "ratio, median (range)", f"at most {TARGET:g}"]
        rows = [[*head, "peak memory here, there"]]
        for (kind, suffix), files in sorted(sets.items(), key=lambda item: item[0][::-1]):
            wanted = not options.formats or suffix in options.formats
            if wanted and (row := compare_loaders(options.other, files, options.pairs)):
                rows.append([kind, suffix, *row])
        if options.paths and options.ingests:
            rows.append(["ingest", "all", *compare_ingests(options.other, options.paths, options.ingests), ""])
    print(machine())
    print(f"n = {options.pairs} pairs of each format\n")
    table(rows)


def compare_loaders(other: Path, files: Sequence[Path], pairs: int) -> list[str] | None:
    """Return the cells of a row; None if not both sides read any of the files."""
    with loader(HERE) as here, loader(other) as there:
        refused = {*here(1, files)[2], *there(1, files)[2]}
        files = [file for file in files if str(file) not in refused]
        if not files:
            return None
        times = max(1, round(SHORTEST / max(0.001, there(1, files)[0])))
        measured = [(here(times, files)[:2], there(times, files)[:2]) for _ in range(pairs)]
    ours, theirs = zip(*measured, strict=True)
    cells = ratios([seconds / times for seconds, _ in ours], [seconds / times for seconds, _ in theirs])
    return [str(len(files)), *cells, f"{ours[-1][1] >> 10} MiB, {theirs[-1][1] >> 10} MiB"]


def compare_ingests(other: Path, paths: Sequence[Path], pairs: int) -> list[str]:
    ours, theirs = [], []
    with project_folder() as folder:
        for path in paths:
            shutil.copytree(path, folder / "docs" / path.name)
        settle()
        for _ in range(pairs):
            ours.append(ingest(HERE, folder))
            theirs.append(ingest(other, folder))
        return [str(sum(path.is_file() for path in folder.rglob("docs/**/*"))), *ratios(ours, theirs)]


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[str]:
    each = [our / their for our, their in zip(ours, theirs, strict=True)]
    middle = statistics.median(each)
    spread = f"{middle:.2f} ({min(each):.2f} to {max(each):.2f})"
    return [
        f"{statistics.median(ours):.3f}",
        f"{statistics.median(theirs):.3f}",
        spread,
        verdict(middle, TARGET, at_least=False),
    ]


Measure = Callable[[int, Sequence[Path]], tuple[float, int, list[str]]]


@contextmanager
def loader(checkout: Path) -> Iterator[Measure]:
    """Yield a function that reads files so many times: user CPU seconds, peak KiB, files that were not read."""
    with subprocess.Popen(
        [sys.executable, "-P", "-c", WORKER],
        env={**os.environ, "PYTHONPATH": str((checkout / "src").resolve())},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        incoming, outgoing = process.stdin, process.stdout
        assert incoming is not None
        assert outgoing is not None

        def measure(times: int, files: Sequence[Path]) -> tuple[float, int, list[str]]:
            incoming.write("\t".join([str(times), *map(str, files)]) + "\n")
            incoming.flush()
            seconds, peak, *refused = outgoing.readline().rstrip("\n").split("\t")
            return float(seconds), int(peak), refused

        yield measure
        incoming.close()


def ingest(checkout: Path, project: Path) -> float:
    """Return the user CPU seconds of a first ingest."""
    shutil.rmtree(project / ".groundtune", ignore_errors=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = subprocess.run(
        [sys.executable, "-P", "-c", INGEST, "ingest"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str((checkout / "src").resolve())},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"groundtune ingest of {checkout} ended with {done.returncode}:\n{done.stderr}")
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


# --- large files ---------------------------------------------------------------------------------------------------


def write_large(folder: Path) -> list[Path]:
    """Write a plain file of each format, unless it is there: headings, paragraphs, lists, tables; or rows."""
    folder.mkdir(exist_ok=True, parents=True)
    written = []
    for suffix in (".txt", ".md", ".html", ".docx", ".pptx", ".xlsx", ".pdf", ".epub"):
        written.append(path := folder / f"large{suffix}")
        if not path.exists():
            write(sections(SECTIONS.get(suffix, 400)), path)
    written.append(mail := folder / "large.eml")
    if not mail.exists():
        message = EmailMessage()
        message["Subject"], message["From"] = "Handbook", "Vera <vera@example.com>"
        message.set_content((folder / "large.html").read_text("utf-8"), subtype="html")
        mail.write_bytes(bytes(message))
    written += [folder / f"large{suffix}" for suffix in (".csv", ".json", ".jsonl")]
    if not written[-1].exists():
        write_rows(*written[-3:])
    return written


def sections(count: int) -> Document:
    words = Words(random.Random(count))
    sentences = [(Run(" ".join(words.sentence("en") for _ in range(4))),) for _ in range(4 * count)]
    blocks: list[Block] = [Heading(1, words.name())]
    for number in range(count):
        first, *below = sentences[4 * number : 4 * number + 4]
        names = tuple(Cell(name) for name in ("Model", "Weight", "Price"))
        rows = [(Cell(words.name()), Cell(f"{words.number()} kg"), Cell(f"{words.number()}.50")) for _ in range(12)]
        blocks += [Heading(2, words.name()), Paragraph(first)]
        blocks += [Items(tuple(Item(runs) for runs in below)), Table((names, *rows))]
    return Document("Handbook", tuple(blocks), "Contract 4711", "Confidential")


def write_rows(*paths: Path) -> None:
    choices = random.Random(0)
    words = ["".join(choices.choices("abcdefghijklmnoprstuvw", k=7)) for _ in range(2_000)]
    rows = [
        {
            "sku": f"AC-{number:05}",
            "model": " ".join(choices.choices(words, k=3)),
            "price": f"{choices.randint(100, 9_999)}.50",
            "released": f"2024-{choices.randint(1, 12):02}-{choices.randint(1, 28):02}",
            "remark": " ".join(choices.choices(words, k=8)),
        }
        for number in range(ROWS)
    ]
    for path in paths:
        with path.open("w", encoding="utf-8", newline="") as file:
            if path.suffix == ".csv":
                writer = csv.DictWriter(file, [*rows[0]])
                writer.writeheader()
                writer.writerows(rows)
            elif path.suffix == ".json":
                json.dump(rows, file)
            else:
                file.writelines(json.dumps(row) + "\n" for row in rows)


if __name__ == "__main__":
    main()
