"""A causal model of 100,000 weights is really trained, on the CPU: it learns, stops, resumes, and is checked."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from groundtune.errors import GroundtuneError, MissingError
from groundtune.models.local_generator import LocalGenerator
from groundtune.tune.artifacts import read_artifact, verify_artifact
from groundtune.tune.checkpoints import STEPS, latest_checkpoint
from groundtune.tune.job import LOG, Job, TrainingResult, TrainingRow, TrainingStep, TuneError, read_progress
from groundtune.tune.launcher import launch_training
from groundtune.tune.lora import merge_and_save, parity_gate, training_cost, training_loop
from groundtune.tune.lora import trainer as lora
from groundtune.tune.lora.plan import prepare
from groundtune.tune.lora.reply_loss import with_reply_loss
from groundtune.tune.lora.score import describe_no_gain
from groundtune.tune.worker import run_training
from groundtune.types import Prompt
from tests.tune.extraction import chat, extraction_job, extraction_rows, few_rows, tiny_base

PROCESS = "groundtune.workflows.training_process"
QUICK = {"epochs": 3, "learning_rate": 5e-3}
"""Settings of a training of 12 steps on `few_rows`, which lowers the loss and learns little else."""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def base(training_libraries: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("base"))


def quick_job(folder: Path, base: Path, **more: Any) -> Job:
    return extraction_job(folder, base, **{**few_rows(), **QUICK, **more})


def trained(job: Job) -> tuple[TrainingResult, list[TrainingStep]]:
    """Train; also return what was reported of the training itself."""
    steps: list[TrainingStep] = []
    result = lora.train(job, steps.append)
    return result, [step for step in steps if step.note != "checking the saved model"]


def losses(steps: list[TrainingStep]) -> dict[int, float]:
    return {step.step: step.loss for step in steps if step.loss is not None and not step.metrics and not step.note}


def refusal(job: Job) -> GroundtuneError:
    with pytest.raises(GroundtuneError) as caught:
        lora.train(job, lambda _: None)
    return caught.value


async def test_it_learns_json_and_is_served(base: Path, tmp_path: Path) -> None:
    job = extraction_job(tmp_path / "job", base)
    assert run_training(job.folder, lambda _: lora) == 0
    artifact = read_artifact(job.folder)
    assert artifact.unusable is None
    assert artifact.details["before"]["valid_json"] < 0.05
    assert artifact.metrics["valid_json"] > 0.95
    assert artifact.metrics["exact"] > 0.9
    verify_artifact(job.folder, artifact)
    model = LocalGenerator(str(job.folder / artifact.details["serve"]["path"]), max_output_tokens=32)
    _, validation = extraction_rows()
    replies = await asyncio.gather(*(model.generate(Prompt(row.input)) for row in validation))
    right = [json.loads(reply.text) == row.output for reply, row in zip(replies, validation, strict=True)]
    assert sum(right) / len(right) > 0.9
    assert {"adapter", "merged"} < {path.name for path in job.folder.iterdir()}
    assert not (job.checkpoint / "steps").exists()
    assert artifact.versions["peft"]


def test_every_mode_learns(base: Path, tmp_path: Path) -> None:
    for mode, extra in (("full", {"epochs": 4}), ("lora", {"epochs": 4, "packing": True})):
        validation = few_rows()["validation"]
        settings: dict[str, Any] = {**QUICK, **extra, "mode": mode}
        result, steps = trained(extraction_job(tmp_path / mode, base, validation=validation, **settings))
        assert result.unusable is None
        assert result.metrics["loss"] < 0.2 * result.details["before"]["loss"]
        assert (tmp_path / mode / "adapter").exists() == (mode == "lora")
        assert steps[-1].step == steps[-1].steps
        assert 44 <= steps[-1].steps <= 56  # of 192 rows in batches of 16: packed, a step takes about as many


def test_dpo_prefers_what_the_person_wrote(base: Path, tmp_path: Path) -> None:
    learned, validation = extraction_rows()

    def pair(row: TrainingRow) -> TrainingRow:
        """Use the next row's number as the model's reply."""
        wrong = {**row.output, "n": (row.output["n"] + 1) % 10}
        return replace(row, rejected=json.dumps(wrong, separators=(",", ":")))

    first = extraction_job(tmp_path / "first", base, train=learned * 4, validation=validation[:8], epochs=2)
    trained(first)
    rows, checked = [pair(row) for row in learned], [pair(row) for row in validation]
    settings = {"mode": "dpo", "epochs": 3, "learning_rate": 1e-3, "batch_size": 8}
    job = extraction_job(tmp_path / "dpo", first.folder / "merged", train=rows, validation=checked, **settings)
    before = margin(first.folder / "merged", checked)
    result, _ = trained(job)
    after = margin(job.folder / "merged", checked)
    assert result.unusable is None
    assert result.metrics["preferred"] > 0.95
    assert sum(gain > 0 for gain in before) / len(before) < 0.8
    assert sum(gain > 0 for gain in after) / len(after) > 0.95


def margin(model: Path, rows: list[TrainingRow]) -> list[float]:
    """Return how much likelier the chosen reply is than the rejected one."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, causal_model = AutoTokenizer.from_pretrained(model), AutoModelForCausalLM.from_pretrained(model)

    def likelihood(row: TrainingRow, reply: str) -> float:
        prompt = f"<|user|>{row.input}<|end|><|assistant|>"
        start = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        ids = torch.tensor([tokenizer(f"{prompt}{reply}<|end|>", add_special_tokens=False)["input_ids"]])
        with torch.no_grad():
            odds = causal_model(input_ids=ids).logits[0, :-1].log_softmax(-1)
        return float(odds.gather(1, ids[0, 1:, None])[start - 1 :].sum())

    return [likelihood(row, row.messages[-1]["content"]) - likelihood(row, row.rejected or "") for row in rows]


@pytest.fixture(scope="module")
def whole(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingResult, list[TrainingStep]]:
    """Uninterrupted: rows of like length share a batch, so that their order within an epoch is checked too."""
    return trained(resumable_job(tmp_path_factory.mktemp("whole") / "job", base))


def resumable_job(folder: Path, base: Path) -> Job:
    learned, validation = extraction_rows()
    settings = {"epochs": 4, "batch_size": 4, "accumulate": 4}
    return extraction_job(folder, base, train=learned[:96], validation=validation[:12], **settings)


ENDS = """
import signal, sys
from groundtune.tune import worker
from groundtune.tune.lora import trainer, training_loop
real = training_loop.TrainingMonitor.checkpoint_due
def ends(self, trainer):
    if trainer.global_step == 15:
        signal.raise_signal(int(sys.argv[2]))
    return real(self, trainer)
training_loop.TrainingMonitor.checkpoint_due = ends
sys.exit(worker.main(lambda _: trainer))
"""
"""A training that receives a signal in the third epoch of 6 steps."""


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_it_resumes_where_it_stopped(
    base: Path, tmp_path: Path, whole: tuple[TrainingResult, list[TrainingStep]], kill: signal.Signals
) -> None:
    job = resumable_job(tmp_path / "job", base)
    command = [sys.executable, "-c", ENDS, str(job.folder), str(int(kill))]
    ended = subprocess.run(command, env={**os.environ, "TOKENIZERS_PARALLELISM": "false"}, check=False)
    assert ended.returncode == (-kill if kill == signal.SIGKILL else 128 + kill)
    kept = latest_checkpoint(job.checkpoint)
    assert kept is not None
    at = kept[1].step
    assert at == (12 if kill == signal.SIGKILL else 15), "told to end, it saved in the middle of an epoch"
    if kill == signal.SIGKILL:
        asyncio.run(launch_training(job.folder, module=PROCESS))
    else:
        assert run_training(job.folder, lambda _: lora) == 0
    artifact = read_artifact(job.folder)
    expected, steps = whole
    assert artifact.details["resumed"] == [at]
    notes = [step.note for step in read_progress(job.folder) if "resumed" in step.note]
    assert notes == [f"resumed after step {at}; the optimiser's state was restored"]
    for name in ("loss", "train_loss", "valid_json", "exact"):
        assert artifact.metrics[name] == pytest.approx(expected.metrics[name], abs=1e-3)
    afterwards = {step: loss for step, loss in losses(read_progress(job.folder)).items() if step > at}
    wanted = losses(steps)
    assert len(afterwards) == 24 - at
    assert all(afterwards[step] == pytest.approx(wanted[step], abs=1e-3) for step in afterwards)
    assert artifact.details["history"] == [
        {name: pytest.approx(value, abs=1e-3) for name, value in entry.items()} for entry in expected.details["history"]
    ]


@pytest.fixture(scope="module")
def failed_halfway(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    job = quick_job(tmp_path_factory.mktemp("failed") / "job", base, epochs=4)
    with pytest.MonkeyPatch.context() as patch:
        real = training_loop.TrainingMonitor.write_checkpoint

        def fails(self: Any, trainer: Any, *rest: Any) -> None:
            real(self, trainer, *rest)
            if trainer.global_step == 8:
                raise OSError(28, "No space left on device")

        patch.setattr(training_loop.TrainingMonitor, "write_checkpoint", fails)
        with pytest.raises(OSError, match="No space left"):
            lora.train(job, lambda _: None)
    return job


@pytest.fixture
def halfway(failed_halfway: Job, tmp_path: Path) -> Job:
    """A job with a checkpoint after its second epoch, where something went wrong."""
    return replace(failed_halfway, folder=shutil.copytree(failed_halfway.folder, tmp_path / "job"))


def test_a_full_disk_is_reported_and_recovered_from(base: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system takes root")
    try:
        job = quick_job(disk / "job", base)
        with pytest.raises(OSError, match="No space left"):
            lora.train(job, lambda _: None)
        subprocess.run(["mount", "-o", "remount,size=60M", str(disk)], check=True)
        result, _ = trained(job)
        assert result.unusable is None
        assert result.details["steps"] == 12
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_another_training_does_not_resume_from_it(halfway: Job, base: Path) -> None:
    learned, _ = extraction_rows()
    others = (
        quick_job(halfway.folder, base, epochs=4, rank=8),
        quick_job(halfway.folder, base, epochs=4, train=learned[:60]),
    )
    for job in others:
        assert "was made with different data, settings or base model" in refusal(job).message


def test_a_base_that_changed_is_refused(halfway: Job, base: Path, tmp_path: Path) -> None:
    other = shutil.copytree(base, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-3}))
    job = quick_job(halfway.folder, other, epochs=4)
    assert "made with different data, settings or base model" in refusal(job).message


def test_an_optimiser_that_was_not_restored_is_refused(halfway: Job) -> None:
    import torch

    result = latest_checkpoint(halfway.checkpoint)
    assert result is not None
    path = result[0] / "optimizer.pt"
    state = torch.load(path, weights_only=True)
    for entry in state["state"].values():
        entry["exp_avg"].zero_()
    torch.save(state, path)
    assert "the optimiser state at step 8 could not be restored" in (refused := refusal(halfway)).message
    assert refused.hint == f"start over: groundtune tune {halfway.name} --fresh"
    data = path.read_bytes()
    path.unlink()
    assert "could not be restored" in refusal(halfway).message
    path.write_bytes(data[: len(data) // 2])
    assert f"{path} is damaged, so training cannot resume from it" in (refused := refusal(halfway)).message
    assert refused.hint == f"start over: groundtune tune {halfway.name} --fresh"


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "scheduler.pt"])
def test_a_truncated_checkpoint_is_refused_by_its_file(halfway: Job, name: str) -> None:
    result = latest_checkpoint(halfway.checkpoint)
    assert result is not None
    path = result[0] / name
    path.write_bytes(path.read_bytes()[:-20])
    assert f"{path} is damaged" in refusal(halfway).message


def test_an_incomplete_checkpoint_is_not_resumed(halfway: Job) -> None:
    result = latest_checkpoint(halfway.checkpoint)
    assert result is not None
    shutil.copytree(result[0], result[0].with_name("checkpoint-12"))
    (result[0].with_name("checkpoint-12") / "state.json").unlink()
    result, _ = trained(halfway)
    assert result.details["resumed"] == [8]
    assert result.details["steps"] == 16


def test_a_crash_after_the_last_step_loses_nothing(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = quick_job(tmp_path / "job", base)
    with monkeypatch.context() as patch:
        patch.setattr(merge_and_save, "merge", _fails)
        with pytest.raises(OSError):
            lora.train(job, lambda _: None)
    result, steps = trained(job)
    assert steps == []
    assert result.unusable is None


def _fails(*_: Any) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("after", [0, 10])
def test_a_loss_that_is_not_finite_ends_it(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    calls = iter(range(10_000))

    def broken(trainer: type, **_: bool) -> type:
        kind = with_reply_loss(trainer, shares_beginnings=False)

        def compute_loss(self: Any, model: Any, inputs: Any, *rest: Any, **more: Any) -> Any:
            loss = kind.compute_loss(self, model, inputs, *rest, **more)  # type: ignore[attr-defined]
            return loss * float("nan") if self.model.training and next(calls) >= after else loss

        return type(kind.__name__, (kind,), {"compute_loss": compute_loss})

    monkeypatch.setattr(training_loop, "with_reply_loss", broken)
    job = quick_job(tmp_path / "job", base, epochs=5)
    if not after:
        assert "the loss became NaN or infinite at step 1" in refusal(job).message
        return
    result, steps = trained(job)
    assert result.details["stopped"] == "loss"
    assert result.details["best_step"] == 8
    assert result.unusable is None
    assert steps[-1].note == "the loss became NaN or infinite: stopped"
    assert steps[-1].step == 11
    json.dumps(result.metrics, allow_nan=False)


def test_it_stops_when_it_gets_no_better(base: Path, tmp_path: Path) -> None:
    result, steps = trained(quick_job(tmp_path / "job", base, epochs=9, learning_rate=1e-9, patience=2))
    assert result.details["stopped"] == "patience"
    assert steps[-1].epoch < 9
    assert result.details["no_gain"].startswith(
        "no better than the base model on the validation split: exact 0.000 -> 0.000"
    )


def test_a_training_that_only_did_harm_is_not_usable(base: Path, tmp_path: Path) -> None:
    result, _ = trained(quick_job(tmp_path / "job", base, mode="full", epochs=1, learning_rate=1.0))
    assert result.metrics["loss"] > result.details["before"]["loss"]
    assert result.unusable is not None
    assert result.unusable.startswith(
        "no better than the base model on the validation split: exact 0.000 -> 0.000, valid_json"
    )
    loss = f"loss {result.details['before']['loss']:.3f} -> {result.metrics['loss']:.3f}"
    assert result.unusable.endswith(loss)


NONE = {"exact": 0.0, "valid_json": 0.0, "loss": 12.0}


@pytest.mark.parametrize(
    ("before", "after", "mode", "message", "worse"),
    [
        (
            NONE,
            {**NONE, "loss": 13.0},
            "lora",
            "exact 0.000 -> 0.000, valid_json 0.000 -> 0.000, loss 12.000 -> 13.0",
            True,
        ),
        (NONE, {**NONE, "loss": 5.0}, "lora", "loss 12.000 -> 5.000", False),
        (NONE, NONE, "lora", "loss 12.000 -> 12.000", False),
        (NONE, {"exact": 0.0, "valid_json": 0.0}, "full", "loss 12.000 -> unknown", True),
        (NONE, {**NONE, "valid_json": 0.5, "loss": 13.0}, "lora", None, False),
        (
            {"chrf": 0.4, "exact": 0.0, "loss": 2.0},
            {"chrf": 0.3, "exact": 0.1, "loss": 3.0},
            "lora",
            "chrf 0.400 -> 0.3",
            True,
        ),
        (
            {"preferred": 0.5, "chrf": 0.1, "loss": 0.7},
            {"preferred": 0.8, "chrf": 0.0, "loss": 0.8},
            "dpo",
            None,
            False,
        ),
        ({}, {}, "lora", None, False),
    ],
)
def test_no_gain_over_the_base_is_reported(
    before: dict[str, float], after: dict[str, float], mode: str, message: str | None, worse: bool
) -> None:
    result = describe_no_gain(before, after, mode=mode)
    assert (result[0] is None, result[1]) == (message is None, worse)
    assert (message or "") in (result[0] or "")


def test_it_stops_after_its_minutes_and_keeps_the_best(base: Path, tmp_path: Path) -> None:
    result, _ = trained(quick_job(tmp_path / "job", base, epochs=500, learning_rate=3e-3, max_minutes=0.02))
    assert result.details["stopped"] == "max_minutes"
    assert 0 < result.details["steps"] < 500 * 4
    assert result.metrics["loss"] <= result.details["before"]["loss"]
    assert result.unusable is None


def test_without_rows_to_check_the_last_state_is_kept(base: Path, tmp_path: Path) -> None:
    result, _ = trained(quick_job(tmp_path / "job", base, validation=[]))
    assert result.unusable is None
    assert set(result.metrics) == {"train_loss"}
    assert result.details["best_step"] == result.details["steps"] == 12


def test_text_is_scored_by_similarity(base: Path, tmp_path: Path) -> None:
    result, _ = trained(quick_job(tmp_path / "job", base, schema=False))
    assert 0 < result.metrics["chrf"] <= 1
    assert result.details["before"]["chrf"] < result.metrics["chrf"]


def test_labels_are_right_or_wrong(base: Path, tmp_path: Path) -> None:
    rows = {
        split: [chat(row.id, row.input, row.output["colour"]) for row in part] for split, part in few_rows().items()
    }
    job = quick_job(tmp_path / "job", base, **rows, schema=False)
    result, _ = trained(replace(job, details={"labels": ["red", "blue"]}))
    assert set(result.metrics) == {"loss", "exact", "train_loss"}


def test_the_parity_gate_sees_a_merge_that_went_wrong(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file, save_file

    real = merge_and_save.merge
    job = quick_job(tmp_path / "job", base)

    def corrupted(plan: Any, best: Path, to: Path) -> None:
        real(plan, best, to)
        weights = load_file(to / "model.safetensors")
        weights["model.layers.1.mlp.down_proj.weight"][0] += 0.01
        save_file(weights, to / "model.safetensors", metadata={"format": "pt"})

    def base_alone(plan: Any, best: Path, to: Path) -> None:
        shutil.copytree(plan.base.located.source, to)

    def other_template(plan: Any, best: Path, to: Path) -> None:
        real(plan, best, to)
        template = to / "chat_template.jinja"
        template.write_text(template.read_text().replace("<|assistant|>", "<|system|>"))

    for broken, message in (
        (corrupted, "the merged model's logits differ from the trained model's"),
        (base_alone, "the merged model's logits differ from the trained model's"),
        (other_template, "the merged model tokenizes the prompt of row"),
    ):
        monkeypatch.setattr(merge_and_save, "merge", broken)
        result, _ = trained(job)
        assert result.unusable is not None
        assert message in result.unusable


def test_in_bfloat16_the_gate_still_tells_an_adapter_from_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tiny_base(tmp_path / "base", dtype="bfloat16")
    job = quick_job(tmp_path / "job", base)
    result, _ = trained(job)
    assert result.unusable is None
    assert result.details["base_dtype"] == "bfloat16"
    assert result.details["parity"]["merged model"]["difference"] > 1e-3  # rounded
    config = json.loads((job.folder / "merged" / "config.json").read_text())
    assert config["dtype"] == "bfloat16"
    monkeypatch.setattr(merge_and_save, "merge", lambda plan, best, to: shutil.copytree(plan.base.located.source, to))
    result, _ = trained(job)
    assert "training itself changed them by" in (result.unusable or "")


def test_a_trainer_that_trains_on_the_prompt_too_is_refused(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling as Collator

    real = Collator.torch_call

    def all_tokens(self: Any, examples: list[dict[str, Any]]) -> Any:
        return real(self, [{"input_ids": example["input_ids"]} for example in examples])

    monkeypatch.setattr(Collator, "torch_call", all_tokens)
    assert "of the first rows" in refusal(quick_job(tmp_path / "job", base)).message


@pytest.mark.parametrize("mode", ["lora", "full"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_mixed_precision_passes_the_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, dtype: str
) -> None:
    """As on a GPU, where it is always on: the trainer's results are rounded, its weights are not."""
    monkeypatch.setattr("groundtune.tune.lora.plan.WIDE", 1)
    monkeypatch.setattr("groundtune.tune.lora.plan.has_fast_bfloat16", lambda _: True)
    base = tiny_base(tmp_path / "base", dtype=dtype)
    result, _ = trained(quick_job(tmp_path / "job", base, mode=mode))
    assert result.details["trained_in"] == "bfloat16"
    assert result.unusable is None
    if dtype == "float32":
        assert result.details["parity"]["merged model"]["difference"] < 1e-4


def test_packed_rows_do_not_see_each_other(base: Path, tmp_path: Path) -> None:
    plan = prepare(quick_job(tmp_path / "job", base, packing=True))
    training_loop.disable_telemetry()
    training_loop.make_trainer(plan, fresh=True)  # the check is made here
    model = training_loop.load_model(plan.base.located.source, dtype="float32", device="cpu")
    real = type(model).forward

    class Leaky(type(model)):  # type: ignore[misc]
        def forward(self, *args: Any, position_ids: Any = None, **more: Any) -> Any:
            return real(self, *args, **more)

    model.__class__ = Leaky
    with pytest.raises(TuneError, match="does not isolate packed rows from each other"):
        parity_gate.check_packing(model, plan)


def test_qlora_needs_a_gpu(base: Path, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    error = refusal(quick_job(tmp_path / "job", base, mode="qlora", device=None))
    assert isinstance(error, MissingError)
    assert "needs a CUDA device" in error.message
    assert error.hint is not None
    assert error.hint.startswith('set mode = "lora"')


def test_untrainable_rows_are_reported_before_weights_are_loaded(base: Path, tmp_path: Path) -> None:
    import torch

    job = quick_job(tmp_path / "job", base)
    empty_reply = quick_job(tmp_path / "empty", base, train=[chat("e", "red 3", "")])
    assert "row e: message 2, from the assistant, is empty" in refusal(empty_reply).message
    assert "there are no rows" in refusal(quick_job(tmp_path / "none", base, train=[])).message
    short = quick_job(tmp_path / "short", base, max_tokens=14)
    assert "rows longer than 14 tokens" in refusal(short).message
    wide = quick_job(tmp_path / "wide", base, max_tokens=512)
    assert "max_tokens = 512, but the base model's limit is 256" in refusal(wide).message
    mute = tiny_base(tmp_path / "mute", template=None)
    assert "has no chat template" in refusal(quick_job(tmp_path / "m", mute)).message
    gone = refusal(replace(job, base=str(tmp_path / "gone")))
    assert isinstance(gone, MissingError)
    if not torch.cuda.is_available():
        assert "cannot find the device 'cuda'" in refusal(quick_job(tmp_path / "c", base, device="cuda")).message
    small = json.loads((base / "config.json").read_text())
    four = shutil.copytree(base, tmp_path / "four")
    (four / "config.json").write_text(json.dumps({**small, "quantization_config": {"quant_method": "gptq"}}))
    assert "are quantised" in refusal(replace(job, base=str(four))).message


def test_a_damaged_base_is_reported(base: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(base, tmp_path / "broken")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    error = refusal(quick_job(tmp_path / "job", broken))
    assert isinstance(error, MissingError)
    assert "cannot be loaded" in error.message


def test_the_estimate_is_an_upper_bound(base: Path, tmp_path: Path) -> None:
    job = quick_job(tmp_path / "job", base)
    began = time.process_time()
    bounds = lora.estimate(job)
    assert time.process_time() - began < 60
    began = time.process_time()  # of one thread: the seconds on a machine that has nothing else to do
    trained(job)
    assert bounds.seconds is not None
    assert time.process_time() - began < bounds.seconds < 3000
    assert bounds.usd == 0
    assert "on cpu" in bounds.note


def test_activations_are_recomputed_only_when_memory_is_short(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = prepare(quick_job(tmp_path / "job", base))
    assert not training_cost.needs_gradient_checkpointing(plan)
    monkeypatch.setattr(training_cost, "_memory", lambda _: 1e6)
    assert training_cost.needs_gradient_checkpointing(plan)


def test_previous_processes_that_still_write_are_waited_for(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lora, "FORMER_SECONDS", 0.1)
    job = quick_job(tmp_path / "job", base, gpus=2)
    with FileLock(lora.training_lock_path(job)):
        assert "another training run is still writing to" in refusal(job).message


def test_several_processes_train_as_one(base: Path, tmp_path: Path) -> None:
    """On the CPU, since there is no second GPU here: the same launcher, the same ranks."""
    job = quick_job(tmp_path / "job", base, epochs=2, gpus=2)
    plan = prepare(job)
    words = lora.launch_command(replace(plan, device="cuda"))
    assert words[1:5] == ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes"]
    assert words[-2:] == ["groundtune.tune.lora.distributed", str(job.folder)]
    assert run_training(job.folder, lambda _: lora) == 0
    artifact = read_artifact(job.folder)
    assert artifact.unusable is None
    assert artifact.details["steps"] == 4  # of 2 times 16 rows, two epochs
    assert artifact.metrics["loss"] < artifact.details["before"]["loss"]
    assert sorted(losses(read_progress(job.folder))) == list(range(1, 5))


def test_the_failure_of_one_of_several_processes_is_reported(base: Path, tmp_path: Path) -> None:
    job = quick_job(tmp_path / "job", base, gpus=2)
    lora.training_lock_path(job)
    (job.checkpoint / STEPS).write_text("a file where a folder belongs")
    failure = refusal(job)
    assert "FileExistsError" in failure.message or "NotADirectoryError" in failure.message
    assert failure.hint == f"{job.folder / LOG} has the traceback"


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (
            "Traceback (most recent call last):\n  raise\ntorch.distributed.DistNetworkError: port 7 is taken\n[W] x\n",
            "the training processes exited with code 1: torch.distributed.DistNetworkError: port 7 is taken",
        ),
        ("killed\n", "the training processes exited with code 1"),
        (None, "the training processes exited with code 1"),
    ],
)
def test_a_launcher_that_failed_is_quoted(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: str | None, says: str
) -> None:
    job = quick_job(tmp_path / "job", base, gpus=2)
    if log:
        (job.folder / LOG).write_text(log)
    monkeypatch.setattr(lora, "launch_command", lambda _: [sys.executable, "-c", "raise SystemExit(1)"])
    assert refusal(job).message == says
