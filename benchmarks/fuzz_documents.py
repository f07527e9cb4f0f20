"""Claim: no damaged file crashes ingest, hangs it, or grows without bound; each becomes a row that says why.

    python -m benchmarks.fuzz_documents markitdown-fixtures examples/handbook/docs --mutations 100000 [--seed 1]

Files are mutated (bytes, parts of archives, markup) and read in the sandbox, as `groundtune ingest` reads them, with
less time and memory than there. A reader that runs out of either, or dies, is a finding, although the sandbox contains
it. Files that bring one out are kept with --keep. At the end --ingested mutated files go through a whole ingest, which
must leave a row of the ledger for each.
"""

import argparse
import asyncio
import random
import re
import resource
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import machine, project_folder, table
from benchmarks.oracles.generated import formats, write_all
from benchmarks.oracles.mutations import mutate

from groundtune.errors import ParseError
from groundtune.ingest.loaders import MEDIA_TYPES
from groundtune.ingest.sandbox import Sandbox
from groundtune.project import Project

SECONDS = 20.0
MEMORY_MB = 768
BATCH = 64
GENERATED = range(3)
"""Seeds of generated files that are mutated beside those given."""
CONTAINED = re.compile("took longer|needs more than|parser process|its parser sent")
"""Reasons of the sandbox, which no file should bring about."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--mutations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ingested", type=int, default=200)
    parser.add_argument("--formats", nargs="*", help="suffixes; default: all")
    parser.add_argument("--keep", type=Path, help="folder for files that bring out a finding")
    options = parser.parse_args()
    wanted = set(options.formats or MEDIA_TYPES)
    with tempfile.TemporaryDirectory(prefix="groundtune-fuzz-") as name:
        folder = Path(name)
        originals = [
            file for path in options.paths for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()
        ]
        originals += write_all(GENERATED, folder, [suffix for suffix in formats() if suffix in wanted])
        originals = sorted(file for file in originals if file.suffix.lower() in wanted)
        corpus = [(file.suffix.lower(), file.read_bytes()) for file in originals]
        print(f"{len(corpus)} files, {options.mutations:,} mutations, seed {options.seed} ({machine()})", flush=True)
        asyncio.run(_fuzz(corpus, folder, options))
        if options.ingested:
            _ingest(corpus, options)


async def _fuzz(corpus: Sequence[tuple[str, bytes]], folder: Path, options: argparse.Namespace) -> None:
    """Read mutated files in batches and print what became of them."""
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: Counter[str] = Counter()
    findings: list[str] = []
    slowest = 0.0
    started = time.monotonic()
    async with (
        Sandbox(workers=options.workers, timeout_seconds=SECONDS, memory_mb=MEMORY_MB) as sandbox,
        Sandbox(workers=1, timeout_seconds=3 * SECONDS, memory_mb=MEMORY_MB) as patient,
    ):
        for start in range(0, options.mutations, BATCH):
            numbers = range(start, min(start + BATCH, options.mutations))
            files = [write_mutation(corpus, options.seed, number, folder) for number in numbers]
            begun = time.monotonic()
            results = await sandbox.load_many(files)
            for at, result in enumerate(results):
                if isinstance(result, ParseError) and "took longer" in str(result):  # perhaps the machine was busy
                    (results[at],) = await patient.load_many([files[at]])
            slowest = max(slowest, time.monotonic() - begun)
            for number, file, result in zip(numbers, files, results, strict=True):
                if not isinstance(result, ParseError):
                    outcomes[file.suffix]["read"] += 1
                elif CONTAINED.search(str(result)):
                    outcomes[file.suffix]["contained"] += 1
                    findings.append(f"{number}{file.suffix}: {result}")
                    if options.keep:
                        options.keep.mkdir(parents=True, exist_ok=True)
                        (options.keep / file.name).write_bytes(file.read_bytes())
                else:
                    outcomes[file.suffix]["refused"] += 1
                    reasons[f"{file.suffix} {_kind(str(result))}"] += 1
                file.unlink()
    print("\n".join(findings) or "no finding")
    print("\nreasons that name an exception:")
    for reason, count in reasons.most_common():
        if "cannot be parsed" in reason:
            print(f"{count:6,} {reason}")
    rows = [["format", "mutations", "read", "refused", "contained by the sandbox"]]
    for suffix, found in sorted(outcomes.items()):
        counts = [f"{found[kind]:,}" for kind in ("read", "refused", "contained")]
        rows.append([suffix, f"{found.total():,}", *counts])
    table(rows)
    here = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    workers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(
        f"{time.monotonic() - started:.0f} s, slowest batch of {BATCH} {slowest:.1f} s, "
        f"largest process: ingest {here:,} MiB, a reader {workers:,} MiB"
    )


def write_mutation(corpus: Sequence[tuple[str, bytes]], seed: int, number: int, folder: Path) -> Path:
    """Write mutation `number` of a seed; it depends on nothing else but the corpus."""
    choices = random.Random(f"{seed} {number}")
    suffix = choices.choice(sorted({suffix for suffix, _ in corpus}))
    data = choices.choice([data for each, data in corpus if each == suffix])
    file = folder / f"m{number}{suffix}"
    file.write_bytes(mutate(data, [other for _, other in corpus], choices))
    return file


def _kind(reason: str) -> str:
    """Return a reason without what differs from file to file: of an exception, its name."""
    exception = re.search(r"cannot be parsed \(\w+", reason)
    return exception[0] + ")" if exception else re.sub(r"\d+", "N", re.sub(r"'[^']*'|\"[^\"]*\"", "…", reason))[:110]


def _ingest(corpus: Sequence[tuple[str, bytes]], options: argparse.Namespace) -> None:
    """Ingest mutated files and check that the ledger has each of them."""
    with project_folder() as folder:
        files = {
            write_mutation(corpus, options.seed, number, folder / "docs").name for number in range(options.ingested)
        }
        with Project.open(folder) as project:
            rows = {Path(file.row.source).name: file.row.status for file in project.ingest().files}
    lost = sorted(files - rows.keys())
    print(f"ingest of {len(files)} files: {dict(Counter(rows.values()))}, rows missing: {lost or 'none'}")


if __name__ == "__main__":
    main()
