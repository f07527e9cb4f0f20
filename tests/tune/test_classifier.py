"""Train a tiny encoder for real: what it learns, what is saved, and that an interrupted training resumes."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundtune.build.training_kinds import training_kind
from groundtune.common.batches import batches_by_length
from groundtune.errors import MissingError
from groundtune.models.classifier_generator import ClassifierGenerator
from groundtune.protocols import Trainer
from groundtune.tune.artifacts import read_artifact, verify_artifact
from groundtune.tune.encoders import base_encoder, classifier
from groundtune.tune.encoders import training_loop as encoder_fit
from groundtune.tune.job import Job, TrainingResult, TrainingRow, TrainingStep, TuneError, read_progress
from groundtune.tune.worker import run_training
from groundtune.types import Artifact
from tests.tune.encoders import WORDS, classifier_job, labelled, tiny_encoder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing.:FutureWarning"),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("base"))


def run(job: Job) -> tuple[TrainingResult, list[TrainingStep]]:
    steps: list[TrainingStep] = []
    return classifier.train(job, steps.append), steps


def test_it_is_a_trainer() -> None:
    trainer: Trainer = classifier
    assert trainer.estimate is classifier.estimate


@pytest.mark.parametrize("mode", ["full", "lora", "probe"])
def test_it_learns(mode: str, base: Path, tmp_path: Path) -> None:
    job = classifier_job(tmp_path / "job", base, mode=mode)
    trained, steps = run(job)
    assert trained.metrics["accuracy"] >= 0.9
    assert trained.metrics["macro_f1"] >= 0.9
    assert trained.metrics["oos_auroc"] >= 0.7
    assert 0 <= trained.metrics["ece"] <= 0.4
    assert trained.unusable is None
    assert trained.usd == 0.0
    assert trained.files == ("model",)
    assert trained.details["parity"]["difference"] <= 1e-3
    assert (trained.details["name"], trained.details["mode"]) == ("intents", mode)
    assert not job.checkpoint.exists()
    if mode != "probe":
        losses = [step.loss for step in steps if step.loss is not None]
        assert losses[-1] < 1.2
        assert steps[-2].metrics["accuracy"] > 0.8
        assert len(trained.details["history"]) == 8


@pytest.mark.parametrize("bfloat16", [True, False])
@pytest.mark.parametrize("mode", ["full", "lora"])
def test_it_learns_through_a_copy_in_bfloat16_and_without(
    mode: str, bfloat16: bool, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base_encoder, "has_fast_bfloat16", lambda _: bfloat16)
    trained, _ = run(classifier_job(tmp_path / "job", base, mode=mode, epochs=4))
    assert trained.metrics["accuracy"] >= 0.8
    assert trained.unusable is None


def test_a_copy_in_bfloat16_gives_nearly_the_same_vectors(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(base_encoder, "has_fast_bfloat16", lambda _: True)
    encoder = base_encoder.load_encoder(str(base), settings={"device": "cpu"})
    rows = base_encoder.encode(encoder, ["refund money back", "open hours on sunday please"])
    for longest in (base_encoder.SHORT_ROWS, base_encoder.SHORT_ROWS + 1):
        through = base_encoder.training_copy(encoder, longest=longest)
        assert {weight.dtype for weight in through.model.parameters()} == {torch.bfloat16}
        expected = base_encoder.mean_pool(encoder, rows)
        assert torch.allclose(base_encoder.mean_pool(through, rows), expected, atol=0.02)
    assert {weight.dtype for weight in encoder.model.parameters()} == {torch.float32}


def test_the_number_of_epochs_depends_on_the_rows(base: Path, tmp_path: Path) -> None:
    assert encoder_fit.choose_epochs([11] * 15_000, batch_tokens=1024) == 3
    assert encoder_fit.choose_epochs([11] * 3_850, batch_tokens=1024) == 5
    assert encoder_fit.choose_epochs([80] * 500, batch_tokens=1024) == 5
    assert encoder_fit.choose_epochs([5], batch_tokens=1024) == 8
    job = classifier_job(tmp_path / "job", base, epochs=None, patience=None)
    trained, _ = run(job)
    assert (trained.details["epochs"], len(trained.details["history"])) == (8, 8)
    assert trained.details["stopped"] is None


@pytest.mark.parametrize(("mode", "kind"), [("full", "bert"), ("lora", "bert"), ("probe", "bert"),
                                            ("full", "distilbert"), ("lora", "distilbert")])  # fmt: skip
def test_the_saved_model_matches_the_trained_one(
    mode: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, Any] = {}
    real = classifier.write_model

    def spied(folder: Path, used: base_encoder.Encoder, head: Any, **about: Any) -> None:
        rows = base_encoder.encode(used, texts)
        kept["logits"] = classifier.logits(head, base_encoder.embed(used, rows, exact=True))
        real(folder, used, head, **about)

    monkeypatch.setattr(classifier, "write_model", spied)
    texts = [row.input for row in labelled(3, seed=9, strange=3)]
    job = classifier_job(tmp_path / "job", tiny_encoder(tmp_path / "base", kind=kind), mode=mode, epochs=2)
    trained, _ = run(job)
    model = ClassifierGenerator(job.folder, trained.details, nothing="none")
    assert np.abs(model.logits(texts) - kept["logits"]).max() <= 1e-3


def test_the_worker_writes_an_artifact_last(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = classifier_job(tmp_path / "job", base, epochs=2)
    real = classifier.write_model

    def fails(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(classifier, "write_model", fails)
    assert run_training(job.folder, training_kind) == 1
    assert not (job.folder / "artifact.json").exists()
    assert "no space left" in json.loads((job.folder / "failure.json").read_text())["message"]
    monkeypatch.setattr(classifier, "write_model", real)
    assert run_training(job.folder, training_kind) == 0
    assert not (job.folder / "failure.json").exists()
    artifact = read_artifact(job.folder)
    verify_artifact(job.folder, artifact)
    assert {"model/classifier.json", "model/head.safetensors", "model/encoder/model.safetensors"} <= set(artifact.files)
    assert artifact.base_digest == base_encoder.find_encoder(str(base)).located.digest
    assert artifact.details["labels"] == list(WORDS)


def test_rows_without_a_label_set_the_threshold_and_nothing_else(base: Path, tmp_path: Path) -> None:
    strange = [TrainingRow(f"x{n}", "planet river novel", None) for n in range(5)]
    first, _ = run(classifier_job(tmp_path / "a", base, epochs=1, train=labelled(6, seed=1)))
    second, _ = run(classifier_job(tmp_path / "b", base, epochs=1, train=[*labelled(6, seed=1), *strange]))
    assert first.details["final_loss"] == pytest.approx(second.details["final_loss"], rel=1e-6)
    assert first.metrics == pytest.approx(second.metrics, rel=1e-6)
    assert first.details["slope"] is not None
    bare, _ = run(classifier_job(tmp_path / "c", base, epochs=1, validation=labelled(4, seed=2)))
    assert "oos_auroc" not in bare.metrics
    assert (bare.details["threshold"], bare.details["slope"]) == (None, None)
    assert "out-of-scope inputs are not detected" in bare.details["notes"][0]
    model = ClassifierGenerator(tmp_path / "c", bare.details, nothing="none")
    assert "none" not in model.classify([row.input for row in [*labelled(3, seed=3), *strange]])[0]


def test_without_validation_rows_the_last_state_is_kept(base: Path, tmp_path: Path) -> None:
    trained, _ = run(classifier_job(tmp_path / "job", base, epochs=3, patience=1, validation=[]))
    assert trained.metrics == {}
    assert (trained.details["temperature"], trained.details["threshold"]) == (1.0, None)
    assert trained.details["best_step"] == trained.details["steps"]
    assert ClassifierGenerator(tmp_path / "job", trained.details, nothing="none").classify(["refund money back"])[0]


def test_two_labels_one_of_them_rare(base: Path, tmp_path: Path) -> None:
    rows = [*labelled(12, seed=1, labels=["refund"]), *labelled(1, seed=1, labels=["delivery"])]
    validation = labelled(6, seed=2, labels=["refund", "delivery", "cancel"])
    for mode in ("full", "probe"):
        trained, _ = run(classifier_job(tmp_path / mode, base, mode=mode, train=rows, validation=validation))
        assert trained.details["trained_labels"] == 2
        assert trained.details["left_out"] == 6
        assert trained.metrics["accuracy"] >= 0.5
        assert trained.unusable is None


def test_class_weights_balance_the_labels() -> None:
    data = classifier.ClassifierData(("a", "b"), ("",) * 10, (0,) * 8 + (1,) * 2, (), (), (), 0)
    assert classifier.label_weights(data) == [10 / 16, 10 / 4]
    rare = classifier.ClassifierData(("a", "b"), ("",) * 1000, (0,) * 999 + (1,), (), (), (), 0)
    assert classifier.label_weights(rare)[1] == classifier.MAX_LABEL_WEIGHT


def test_early_stopping_keeps_the_best_state(base: Path, tmp_path: Path) -> None:
    trained, _ = run(classifier_job(tmp_path / "job", base, epochs=40, patience=2, learning_rate=2e-2))
    assert trained.details["stopped"] == "patience"
    history = trained.details["history"]
    assert len(history) < 40
    best = max(history, key=lambda entry: (entry["macro_f1"], -entry["loss"]))
    assert trained.details["best_step"] == best["step"]
    assert trained.metrics["accuracy"] == pytest.approx(best["accuracy"], abs=0.04)  # bfloat16 while training


def test_it_stops_at_max_minutes(base: Path, tmp_path: Path) -> None:
    trained, _ = run(classifier_job(tmp_path / "job", base, epochs=500, patience=500, max_minutes=1e-6))
    assert trained.details["stopped"] == "max_minutes"
    assert trained.details["steps"] == 1
    assert trained.metrics["accuracy"] > 0


@pytest.fixture
def broken_loss(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make the loss NaN after a given number of steps."""
    import torch

    real, calls = torch.nn.functional.cross_entropy, [0]

    def make(after: int) -> None:
        def loss(*args: Any, **more: Any) -> Any:
            calls[0] += 1
            return real(*args, **more) * (math.nan if calls[0] > after else 1)

        monkeypatch.setattr(torch.nn.functional, "cross_entropy", loss)

    return make


def test_a_loss_that_is_not_finite_keeps_the_last_good_state(
    base: Path, tmp_path: Path, broken_loss: Callable[[int], None]
) -> None:
    job = classifier_job(tmp_path / "job", base, epochs=4)
    per_epoch = len(batches_by_length(lengths(job), budget=64))
    broken_loss(per_epoch * 2 + 1)
    trained, steps = run(job)
    assert trained.details["stopped"] == "loss"
    assert trained.details["best_step"] in (per_epoch, per_epoch * 2)
    assert trained.unusable is None
    assert any("NaN or infinite" in step.note for step in steps)
    logits = ClassifierGenerator(job.folder, trained.details, nothing="none").logits(["refund money"])
    assert np.isfinite(logits).all()


@pytest.mark.parametrize("validation", [None, []], ids=["validated", "not validated"])
def test_weights_that_are_not_finite_after_the_last_step_are_not_kept(
    validation: list[TrainingRow] | None, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    job = classifier_job(tmp_path / "job", base, epochs=3, validation=validation)
    per_epoch = len(batches_by_length(lengths(job), budget=64))
    real, calls = torch.optim.AdamW.step, [0]

    def step(self: Any, *args: Any, **more: Any) -> None:
        real(self, *args, **more)
        calls[0] += 1
        if calls[0] == 2 * per_epoch:
            for group in self.param_groups:
                for weight in group["params"]:
                    weight.data.fill_(math.nan)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    trained, _ = run(job)
    assert (trained.details["stopped"], trained.details["best_step"]) == ("loss", per_epoch)
    json.dumps(trained.metrics, allow_nan=False)


def test_a_loss_that_was_never_finite_is_an_error(
    base: Path, tmp_path: Path, broken_loss: Callable[[int], None]
) -> None:
    broken_loss(0)
    with pytest.raises(TuneError, match="NaN or infinite at step 0"):
        run(classifier_job(tmp_path / "job", base))


def lengths(job: Job) -> list[int]:
    return [len(row.input.split()) + 2 for row in job.rows("train")]


@pytest.mark.parametrize("mode", ["full", "probe"])
def test_a_base_with_vectors_that_are_not_finite_is_refused(mode: str, tmp_path: Path) -> None:
    import torch
    from transformers import BertModel

    folder = tiny_encoder(tmp_path / "base")
    model = BertModel.from_pretrained(folder)
    with torch.no_grad():
        model.embeddings.LayerNorm.weight.fill_(math.inf)
    model.save_pretrained(folder)
    with pytest.raises(TuneError, match="produces NaN or infinite embeddings"):
        run(classifier_job(tmp_path / "job", folder, mode=mode))


def test_a_missing_base(tmp_path: Path) -> None:
    for train in (classifier.estimate, lambda job: classifier.train(job, lambda _: None)):
        with pytest.raises(MissingError, match="no model at"):
            train(classifier_job(tmp_path / "job", tmp_path / "nowhere"))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([TrainingRow("a", "x", "refund"), TrainingRow("b", "y", "refund")], "1 label"),
        ([TrainingRow("a", "x", None)], "0 labels"),
        ([TrainingRow("a", "x", {"k": 1}), TrainingRow("b", "y", "refund")], "row a has no label"),
        ([TrainingRow("a", "x", "refund"), TrainingRow("b", "y", "strange")], "not defined in the project"),
    ],
)
def test_rows_that_cannot_train_a_classifier(rows: list[TrainingRow], message: str, base: Path, tmp_path: Path) -> None:
    with pytest.raises(TuneError, match=message):
        run(classifier_job(tmp_path / "job", base, train=rows))


def test_longer_rows_are_refused_unless_allowed(base: Path, tmp_path: Path) -> None:
    long = [TrainingRow("long", "refund " * 100, "refund"), *labelled(4, seed=1)]
    with pytest.raises(TuneError, match="1 of 25 rows longer than 64 tokens would"):
        run(classifier_job(tmp_path / "a", base, train=long))
    trained, _ = run(classifier_job(tmp_path / "b", base, train=long, allow_truncation=1, epochs=1))
    assert trained.details["max_tokens"] == 64
    with pytest.raises(TuneError, match="max_tokens = 1,024, but the base model's limit is 64"):
        run(classifier_job(tmp_path / "c", base, max_tokens=1024))


def test_an_estimate_is_quick_and_not_exceeded(base: Path, tmp_path: Path) -> None:
    job = classifier_job(tmp_path / "job", base, epochs=2)
    began = time.process_time()
    bounds = classifier.estimate(job)
    assert time.process_time() - began < 30
    assert bounds.usd == 0.0
    assert bounds.memory_mb is not None
    assert bounds.memory_mb > 0
    assert bounds.seconds is not None
    began = time.perf_counter()
    run(job)
    assert time.perf_counter() - began < bounds.seconds


WAITS = """
import sys, time
from pathlib import Path
from groundtune.build.training_kinds import training_kind
from groundtune.tune.encoders import training_loop as encoder_fit
from groundtune.tune.worker import run_training
encoder_fit.SAVE_SECONDS = encoder_fit.REPORT_SECONDS = 0.0
real = encoder_fit._EncoderTraining.one_step
def waits(self, places):
    while self.progress.step == int(sys.argv[2]) and not self.stop_signal:
        time.sleep(0.02)
    return real(self, places)
encoder_fit._EncoderTraining.one_step = waits
sys.exit(run_training(Path(sys.argv[1]), training_kind))
"""


def halted(folder: Path, step: int) -> subprocess.Popen[bytes]:
    """Start a process that writes a checkpoint after every step, and waits after `step` until it is stopped."""
    process = subprocess.Popen([sys.executable, "-c", WAITS, str(folder), str(step)], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 600
    while max((step_seen.step for step_seen in read_progress(folder)), default=0) < step:
        assert process.poll() is None, (folder / "failure.json").read_text()
        assert time.monotonic() < until
        time.sleep(0.02)
    return process


@pytest.fixture(scope="module")
def uninterrupted(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Artifact]:
    """Return the artifact of a whole training in the given mode."""

    @cache
    def train(mode: str) -> Artifact:
        whole = classifier_job(tmp_path_factory.mktemp(mode) / "whole", base, mode=mode, epochs=3)
        assert run_training(whole.folder, training_kind) == 0
        return read_artifact(whole.folder)

    return train


@pytest.mark.parametrize(
    ("mode", "how"), [("full", signal.SIGKILL), ("lora", signal.SIGKILL), ("full", signal.SIGTERM)]
)
def test_an_interrupted_and_resumed_training_ends_the_same(
    mode: str, how: int, base: Path, tmp_path: Path, uninterrupted: Callable[[str], Artifact]
) -> None:
    cut = classifier_job(tmp_path / "cut", base, mode=mode, epochs=3)
    process = halted(cut.folder, 13)  # in the middle of the second epoch
    os.kill(process.pid, how)
    assert process.wait(600) == (-how if how == signal.SIGKILL else 128 + how)
    assert not (cut.folder / "artifact.json").exists()
    assert (cut.checkpoint / encoder_fit.STATE).exists()
    assert run_training(cut.folder, training_kind) == 0
    whole, resumed = uninterrupted(mode), read_artifact(cut.folder)
    assert resumed.details["resumed"] == [13 if how == signal.SIGKILL else 14], "on SIGTERM it finished its step"
    assert any("resumed after step" in step.note for step in read_progress(cut.folder))
    assert resumed.details["steps"] == whole.details["steps"]
    assert resumed.details["final_loss"] == pytest.approx(whole.details["final_loss"], abs=1e-3)
    assert resumed.metrics == pytest.approx(dict(whole.metrics), abs=1e-3)
    assert resumed.details["temperature"] == pytest.approx(whole.details["temperature"], abs=1e-3)


def test_a_checkpoint_of_another_training_is_refused(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stops(step: TrainingStep) -> None:
        if step.step == 3:
            raise KeyboardInterrupt

    job = classifier_job(tmp_path / "job", base, epochs=3)
    with monkeypatch.context() as patch:
        patch.setattr(encoder_fit, "SAVE_SECONDS", 0.0)
        patch.setattr(encoder_fit, "REPORT_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            classifier.train(job, stops)
    assert (job.checkpoint / encoder_fit.STATE).exists()
    for other in ({"epochs": 4}, {"train": labelled(11, seed=1)}):
        with pytest.raises(TuneError, match="made with different data, settings or base model"):
            run(classifier_job(tmp_path / "job", base, **{"epochs": 3, **other}))
    (job.checkpoint / encoder_fit.STATE).write_bytes(b"half")
    with pytest.raises(TuneError, match="cannot be read"):
        run(classifier_job(tmp_path / "job", base, epochs=3))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 400 kB; requires permission to mount."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system takes root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_reported_and_recovered_from(
    base: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = classifier_job(small_disk / "job", base, epochs=2)
    monkeypatch.setattr(encoder_fit, "SAVE_SECONDS", 0.0)
    assert run_training(job.folder, training_kind) == 1
    failure = json.loads((job.folder / "failure.json").read_text())
    assert "cannot write" in failure["message"]
    assert not (job.folder / "artifact.json").exists()
    subprocess.run(["mount", "-o", "remount,size=60M", str(small_disk)], check=True)
    assert run_training(job.folder, training_kind) == 0


def test_batches_waste_no_tokens() -> None:
    import random

    sizes = [random.Random(0).randint(3, 40) for _ in range(500)]
    batches = batches_by_length(sizes, budget=256, rng=random.Random(1))
    assert sorted(place for batch in batches for place in batch) == list(range(500))
    assert batches == batches_by_length(sizes, budget=256, rng=random.Random(1))
    assert batches != batches_by_length(sizes, budget=256, rng=random.Random(2))
    padded = [max(sizes[place] for place in batch) * len(batch) for batch in batches]
    assert max(padded) <= 256
    assert sum(padded) <= 1.1 * sum(sizes)
    assert batches_by_length([500, 3, 3], budget=256) == [[1, 2], [0]]
    assert batches_by_length([], budget=256) == []
