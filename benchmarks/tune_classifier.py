"""Claim: on CLINC150 with the bundled encoder, on 2 cores, a tuned classifier reaches an accuracy of at least 0.96 on
the 150 intents and an out-of-scope AUROC of at least 0.965; a plain `transformers.Trainer` takes 1.5 times as long for
an equally good model.

    python benchmarks/tune_classifier.py clinc150/data_full.json
    python benchmarks/tune_classifier.py clinc150/data_full.json --modes full --subset 1,5,10,20,all
    python benchmarks/tune_classifier.py clinc150/data_full.json --modes full --hardest 77 --seeds 3
    python benchmarks/tune_classifier.py clinc150/data_full.json --modes full --set '{"epochs": 8, "patience": 2}'
    python benchmarks/tune_classifier.py clinc150/data_full.json --modes none --peer --epochs 3

Every training runs in its own process, as with `groundtune tune`; seconds, CPU seconds (all cores) and peak memory are
those of that process, from start to exit. Settings are the defaults, chosen on the validation split. Train rows whose
text is also in the test split are left out, as preflight requires; all test rows count. Out-of-scope rows of the
validation split set the threshold; those of the train split are not used.

--subset sets the rows per label; the validation split then has as many, at most 20, plus 100 out-of-scope rows, the
same for every training. --hardest keeps the intents that the untrained encoder confuses most. --set changes keys of the
table `[tune.NAME]`. --peer compares with `transformers.Trainer` on the same rows and epochs, with default
arguments, on the CPU.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from common import machine, table, verdict
from groundtune.config.tune_tables import ClassifierConfig
from groundtune.dataset.examples import normalise_input
from groundtune.models.classifier_generator import ClassifierGenerator
from groundtune.models.local_embedder import BundledEmbedder
from groundtune.models.nearest_generator import SHARPNESS
from groundtune.stats.intervals import bootstrap_mean
from groundtune.stats.ranking_metrics import auroc
from groundtune.stats.significance import paired_difference
from groundtune.tune.artifacts import read_artifact
from groundtune.tune.encoders import calibration
from groundtune.tune.job import Job, TrainingRow, write_job

ACCURACY, AUROC, TIMES = 0.96, 0.965, 1.5
SHOTS = 8
"""Number of nearest examples that vote: the default of `fewshot`."""
SEED = 0
NOTHING = "none"
COLUMNS = (
    "mode",
    "seed",
    "rows per label",
    "accuracy (95%)",
    "OOS AUROC (95%)",
    "accuracy with OOS",
    "ECE",
    "seconds",
    "CPU seconds",
    "MiB",
    "epochs",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--modes", default="full,probe,nearest", help="any of full, lora, probe, nearest; or none")
    parser.add_argument("--subset", default="", help="rows per label, separated by commas; all for all rows")
    parser.add_argument("--hardest", type=int, help="number of intents; default: all")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", type=json.loads, default={}, help="settings of the trainer, as a JSON object")
    parser.add_argument("--epochs", type=int, help="default: that of the trainer")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--peer-steps", type=int, help="stop the peer early: throughput without accuracy")
    options = parser.parse_args()
    print(f"{machine()}\n")
    with tempfile.TemporaryDirectory(prefix="groundtune-benchmark-") as name:
        data = json.loads(options.data.read_text(encoding="utf-8"))
        if options.hardest:
            data = _hardest(data, options.hardest)
        bench = Bench(data, Path(name), settings=options.set, epochs=options.epochs)
        modes = [] if options.modes == "none" else options.modes.split(",")
        sizes = (
            [None if size == "all" else int(size) for size in options.subset.split(",")] if options.subset else [None]
        )
        if modes:
            seeds = range(SEED, SEED + options.seeds)
            rows = [bench.row(mode, size, seed) for size in sizes for mode in modes for seed in seeds]
            print()
            table([COLUMNS, *rows])
            bench.judge()
        if options.peer:
            bench.peer(max_steps=options.peer_steps)


class Cost(NamedTuple):
    """Cost of a process from start to exit."""

    seconds: float
    cpu: float
    """CPU seconds of all cores."""
    memory: float | None
    """Peak memory, in MiB."""


class Bench:
    def __init__(
        self, data: dict[str, list[list[str]]], folder: Path, *, settings: dict[str, Any], epochs: int | None
    ) -> None:
        self.test, self.gold = [text for text, _ in data["test"]], [label for _, label in data["test"]]
        tested = {normalise_input(text) for text in self.test}
        rows = [TrainingRow(f"train-{n}", text, label) for n, (text, label) in enumerate(data["train"])]
        self.train = [row for row in rows if normalise_input(row.input) not in tested]
        self.validation = [TrainingRow(f"val-{n}", text, label) for n, (text, label) in enumerate(data["val"])]
        self.validation_oos = [TrainingRow(f"oos-{n}", text, None) for n, (text, _) in enumerate(data["oos_val"])]
        self.test_oos = [text for text, _ in data["oos_test"]]
        self.labels = sorted(set(self.gold))
        self.folder = folder
        self.settings = settings
        self.epochs = epochs
        self.best: dict[str, tuple[float, float]] = {}
        trained = {normalise_input(row.input) for row in self.train}
        print(
            f"{len(self.train):,} train rows, {len(rows) - len(self.train)} left out whose text is in the test split; "
            f"{sum(normalise_input(row.input) in trained for row in self.validation)} of {len(self.validation):,} "
            "validation "
            f"rows have the text of a train row; {len(self.test):,} test rows in scope, {len(self.test_oos):,} out of "
            "scope\n"
        )

    def row(self, mode: str, size: int | None, seed: int) -> list[str]:
        train, validation = _few(self.train, size), _few(self.validation, None if size is None else min(size, 20))
        scores = self.nearest(train) if mode == "nearest" else self.trained(mode, train, validation, seed)
        right, inside, outside, replied, ece, (seconds, cpu, memory), epochs = scores
        accuracy, area = bootstrap_mean(right.astype(float)), _auroc(inside, outside)
        if size is None and seed == SEED:
            self.best[mode] = (accuracy.mean, area[0])
        print(f"{mode}, {len(train):,} rows, on test: accuracy {accuracy.mean:.4f}, AUROC {area[0]:.4f}", flush=True)
        return [
            mode,
            str(seed),
            "all" if size is None else str(size),
            f"{accuracy.mean:.4f} ({accuracy.low:.4f}-{accuracy.high:.4f}, n = {accuracy.n:,})",
            f"{area[0]:.4f} ({area[1]:.4f}-{area[2]:.4f})",
            f"{replied:.4f}" if replied is not None else "",
            f"{ece:.3f}" if ece is not None else "",
            f"{seconds:.0f}",
            f"{cpu:.0f}",
            f"{memory:.0f}" if memory else "",
            epochs,
        ]

    def judge(self) -> None:
        if "full" in self.best:
            accuracy, area = self.best["full"]
            print(f"\naccuracy at least {ACCURACY}: {verdict(accuracy, ACCURACY, at_least=True)}")
            print(f"OOS AUROC at least {AUROC}: {verdict(area, AUROC, at_least=True)}")

    def trained(
        self, mode: str, train: Sequence[TrainingRow], validation: Sequence[TrainingRow], seed: int
    ) -> tuple[Any, ...]:
        folder, cost = self.run(mode, train, validation, seed)
        artifact = read_artifact(folder)
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in artifact.metrics.items())
        each = " ".join(f"{epoch['accuracy']:.4f}" for epoch in artifact.details.get("history", ()))
        print(f"{mode}, {len(train):,} rows, on validation: {metrics}{'; by epoch ' if each else ''}{each}", flush=True)
        model = ClassifierGenerator(folder, artifact.details, nothing=NOTHING)
        logits = model.logits(self.test)
        right = np.array([model.labels[place] for place in logits.argmax(axis=1)]) == np.array(self.gold)
        oos_logits = model.logits(self.test_oos)
        predicted, chances = model.classify([*self.test, *self.test_oos])
        hits = np.array(predicted) == np.array([*self.gold, *[NOTHING] * len(self.test_oos)])
        epochs = str(len(artifact.details["history"])) if "history" in artifact.details else ""
        ece = calibration.ece(np.array(chances), hits)
        return (right, calibration.energy(logits), calibration.energy(oos_logits), hits.mean(), ece, cost, epochs)

    def run(
        self, mode: str, train: Sequence[TrainingRow], validation: Sequence[TrainingRow], seed: int = SEED
    ) -> tuple[Path, Cost]:
        """Train in a separate process."""
        table = {"kind": "classifier", "mode": mode, "seed": seed, **self.settings}
        settings = ClassifierConfig.model_validate(table).model_dump(mode="json")
        if self.epochs:
            settings["epochs"] = self.epochs
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        job = Job(folder, "intents", "classifier", "bundled", settings, {"labels": self.labels})
        write_job(job, train, [*validation, *self.validation_oos])
        code, cost = _process([sys.executable, "-m", "groundtune.workflows.training_process", str(folder)])
        if code:
            sys.exit(f"the training failed: {(folder / 'failure.json').read_text()}")
        return folder, cost

    def nearest(self, train: Sequence[TrainingRow]) -> tuple[Any, ...]:
        """Let the nearest examples vote, like the approach `fewshot` without a model; score: best cosine."""
        began, worked, embedder = time.perf_counter(), time.process_time(), BundledEmbedder()
        known = embedder._embed([row.input for row in train])
        place = {label: number for number, label in enumerate(self.labels)}
        gold = np.array([place[row.output] for row in train])

        def voted(texts: Sequence[str]) -> tuple[Any, Any]:
            cosines = embedder._embed(texts) @ known.T
            near = np.argpartition(-cosines, SHOTS, axis=1)[:, :SHOTS]
            votes = np.zeros((len(texts), len(place)))
            for row, columns in enumerate(near):
                np.add.at(votes[row], gold[columns], np.exp(SHARPNESS * (cosines[row, columns] - 1)))
            return votes.argmax(axis=1), cosines.max(axis=1).astype(float)

        predicted, inside = voted(self.test)
        _, outside = voted(self.test_oos)
        right = predicted == np.array([place[label] for label in self.gold])
        cost = Cost(time.perf_counter() - began, time.process_time() - worked, None)
        return right, inside, outside, None, None, cost, ""

    def peer(self, *, max_steps: int | None) -> None:
        """Run groundtune and the transformers trainer with its defaults, one after the other."""
        epochs = self.epochs or 3
        self.epochs = epochs
        folder, cost = self.run("full", self.train, self.validation)
        artifact = read_artifact(folder)
        steps = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
        ran = len(artifact.details["history"])
        ours = ran * len(self.train) / (steps[-1]["at"] - steps[0]["at"])
        model = ClassifierGenerator(folder, artifact.details, nothing=NOTHING)
        right = np.array([model.labels[index] for index in model.logits(self.test).argmax(axis=1)]) == np.array(
            self.gold
        )
        out = self.folder / "peer"
        out.mkdir()
        rows = {
            "train": [(row.input, row.output) for row in self.train],
            "test": list(zip(self.test, self.gold, strict=True)),
        }
        (out / "rows.json").write_text(json.dumps({**rows, "labels": self.labels}))
        words = [sys.executable, __file__.replace("tune_classifier", "peers/hf_trainer"), str(out), str(epochs)]
        code, their_cost = _process([*words, str(max_steps or -1)])
        if code:
            sys.exit("the peer failed")
        result = json.loads((out / "result.json").read_text())
        theirs, their_right = result["rows"] / result["seconds"], result["right"]
        about = f"{np.mean(their_right):.4f}" if their_right else f"stopped after {max_steps} steps"
        print(f"\nthe same {len(self.train):,} rows, {epochs} epochs")
        table(
            [
                [
                    "trainer",
                    "rows/s, training",
                    "accuracy on test",
                    "seconds, total",
                    "CPU seconds, total",
                    "MiB",
                ],
                ["groundtune", f"{ours:.0f}", f"{right.mean():.4f}", *map("{:.0f}".format, cost)],
                ["transformers.Trainer", f"{theirs:.0f}", about, *map("{:.0f}".format, their_cost)],
            ]
        )
        ratio, rows_each = ours / theirs, f"n = {ran * len(self.train):,} rows each"
        print(
            "\ngroundtune counts everything from the first embedding to the saved model, including validation after"
            " each epoch; the peer counts only `trainer.train()`.\n"
            f"ratio of rows/s: {ratio:.2f} ({rows_each});"
            f" at least {TIMES}: {verdict(ratio, TIMES, at_least=True)}"
        )
        if their_right:
            paired = paired_difference(right.astype(float).tolist(), list(map(float, their_right)))
            print(
                f"accuracy, groundtune minus peer: {paired.difference:+.4f} ({paired.low:+.4f} to {paired.high:+.4f},"
                f" n = {paired.n:,}); equal or better: {'met' if paired.difference >= 0 else 'missed'}"
            )


def _hardest(data: dict[str, list[list[str]]], count: int) -> dict[str, list[list[str]]]:
    """Keep the intents whose validation rows lie nearest to the mean vector of another intent."""
    embedder, labels = BundledEmbedder(), sorted({label for _, label in data["train"]})
    vectors = {name: embedder._embed([text for text, _ in data[name]]) for name in ("train", "val")}
    gold = {name: np.array([labels.index(label) for _, label in data[name]]) for name in vectors}
    means = np.stack([vectors["train"][gold["train"] == place].mean(axis=0) for place in range(len(labels))])
    cosines = vectors["val"] @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T
    own = np.take_along_axis(cosines, gold["val"][:, None], axis=1)[:, 0]
    np.put_along_axis(cosines, gold["val"][:, None], -1.0, axis=1)
    margins = own - cosines.max(axis=1)
    order = np.argsort([margins[gold["val"] == place].mean() for place in range(len(labels))])
    kept = {labels[place] for place in order[:count]}
    in_scope = {name: [row for row in data[name] if row[1] in kept] for name in ("train", "val", "test")}
    return {**data, **in_scope}


def _few(rows: Sequence[TrainingRow], size: int | None) -> list[TrainingRow]:
    """Return the first `size` rows of each label, in file order."""
    seen: dict[str, int] = defaultdict(int)
    chosen = []
    for row in rows:
        seen[row.output] += 1
        if size is None or seen[row.output] <= size:
            chosen.append(row)
    return chosen


def _auroc(inside: Any, outside: Any) -> tuple[float, float, float]:
    """Return the AUROC with its 95% bootstrap interval over both kinds of rows."""
    rng = np.random.default_rng(SEED)
    in_scope = [True] * len(inside) + [False] * len(outside)

    def area(first: Any, second: Any) -> float:
        return auroc([*first, *second], in_scope) or 0.0

    again = [area(rng.choice(inside, len(inside)), rng.choice(outside, len(outside))) for _ in range(1000)]
    low, high = np.quantile(again, [0.025, 0.975])
    return area(inside, outside), float(low), float(high)


def _process(words: Sequence[str]) -> tuple[int, Cost]:
    """Run a command; return exit code and cost. Its threads wait without spinning."""
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
    began = time.perf_counter()
    process = subprocess.Popen(words, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    cost = Cost(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
    return process.returncode, cost


if __name__ == "__main__":
    main()
