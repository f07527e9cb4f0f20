"""Claim: re-ingest takes under 2% of the first ingest when nothing changed, and under 5% when 1% changed.

    python benchmarks/reingest.py [--documents 10000] [--repeats 3]

The documents are distinct one-page files with about 200 words of generated prose. Renamed and deleted files are timed
too. The report of each run is checked, so a fast run that did nothing fails.
"""

import argparse
import random
import shutil
import statistics
import time
from collections import Counter
from pathlib import Path

from common import machine, project_folder, settle, spread, table, verdict
from groundtune.project import Project

SEED = 7
WORDS = 200
SYLLABLES = (
    "ba be bi bo bu da de di do du fa fe fi fo ga ge gi go ka ke ki ko la le li lo lu ma me mi mo mu na ne".split()
)
PLAIN = (
    "the a of to and in for with on by from at after before each every new old team order price report customer "
    "delivery bicycle battery invoice week month office manager contract return repair workshop frame wheel is was "
    "must may can will needs takes keeps sends holds checks signs pays reads writes"
).split()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    draw = random.Random(SEED)
    batch = max(1, options.documents // 100)
    with project_folder() as folder:
        docs = folder / "docs"
        for number in range(options.documents):
            (docs / f"{number:06}.txt").write_text(_page(draw, number))
        first = _ingest(folder, Counter(added=options.documents))
        print(f"first ingest of {options.documents} documents: {first:.1f} s ({machine()})", flush=True)
        times: dict[str, list[float]] = {"unchanged": [], "1% changed": [], "1% renamed": [], "1% deleted": []}
        left = options.documents
        for _ in range(options.repeats):
            times["unchanged"].append(_ingest(folder, Counter(unchanged=left)))

            for file in draw.sample(sorted(docs.iterdir()), batch):
                file.write_text(_page(draw, draw.randrange(10**9)))
            times["1% changed"].append(_ingest(folder, Counter(unchanged=left - batch, changed=batch)))

            for file in draw.sample(sorted(docs.iterdir()), batch):
                file.rename(docs / f"moved-{draw.randrange(10**9)}.txt")
            moved = Counter(unchanged=left - batch, renamed=batch, removed=batch)
            times["1% renamed"].append(_ingest(folder, moved))

            for file in draw.sample(sorted(docs.iterdir()), batch):
                file.unlink()
            times["1% deleted"].append(_ingest(folder, Counter(unchanged=left - batch, removed=batch)))
            left -= batch
        size = sum(file.stat().st_size for file in (folder / ".groundtune").rglob("*") if file.is_file())
        shutil.rmtree(folder / ".groundtune")

    targets = {"unchanged": 0.02, "1% changed": 0.05}
    rows = [("run", "seconds, median (range)", "share of the first", "target")]
    for name, seconds in times.items():
        share = statistics.median(seconds) / first
        target = targets.get(name)
        outcome = f"< {target:.0%}: {verdict(share, target, at_least=False)}" if target else ""
        rows.append((name, spread(seconds), f"{share:.2%}", outcome))
    table(rows)
    print(f"\nindex on disk: {size / 1e6:.0f} MB")


def _ingest(folder: Path, expected: Counter[str]) -> float:
    """Return the seconds of one ingest by a newly opened project, and check that it did what was expected."""
    settle()
    with Project.open(folder) as project:
        started = time.perf_counter()
        report = project.ingest()
        seconds = time.perf_counter() - started
    actual = Counter(file.change for file in report.files)
    if actual != expected or any(file.row.status != "indexed" for file in report.files if file.change != "removed"):
        raise SystemExit(f"expected {dict(expected)}, but ingest reports {dict(actual)}")
    return seconds


def _page(draw: random.Random, number: int) -> str:
    """Generate four paragraphs with unique words, so that no two pages or vectors are equal."""
    names = ["".join(draw.choices(SYLLABLES, k=3)) for _ in range(40)]
    paragraphs = []
    for _ in range(4):
        sentences = []
        for _ in range(4):
            words = draw.choices(PLAIN, k=9) + draw.choices(names, k=WORDS // 16 - 9)
            draw.shuffle(words)
            sentences.append(" ".join(words).capitalize() + ".")
        paragraphs.append(" ".join(sentences))
    return f"Note {number}\n\n" + "\n\n".join(paragraphs) + "\n"


if __name__ == "__main__":
    main()
