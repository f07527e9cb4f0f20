"""A causal model of 100,000 weights is really trained, on the processor: it learns, stops, goes on, and is checked."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from groundtune.errors import GroundtuneError, MissingError
from groundtune.models.local import LocalGenerator
from groundtune.tune.artifacts import read_artifact, verify
from groundtune.tune.checkpoints import STEPS, latest
from groundtune.tune.job import LOG, Job, Row, Step, Trained, TuneError, read_progress
from groundtune.tune.launch import launch
from groundtune.tune.lora import cost, finish, fit, parity
from groundtune.tune.lora import trainer as lora
from groundtune.tune.lora.plan import prepare
from groundtune.tune.lora.score import no_gain
from groundtune.types import Prompt
from tests.tune.extraction import chat, extraction_job, extraction_rows, tiny_base

QUICK = {"epochs": 3, "learning_rate": 5e-3}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Several only wait for each other on matrices this small."""
    import torch

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def trained(job: Job) -> tuple[Trained, list[Step]]:
    steps: list[Step] = []
    return lora.train(job, steps.append), steps


def losses(steps: list[Step]) -> dict[int, float]:
    return {step.step: step.loss for step in steps if step.loss is not None and not step.metrics and not step.note}


def refusal(job: Job) -> GroundtuneError:
    with pytest.raises(GroundtuneError) as caught:
        lora.train(job, lambda _: None)
    return caught.value


async def test_it_learns_json_and_is_served(base: Path, tmp_path: Path) -> None:
    job = extraction_job(tmp_path / "job", base)
    artifact = await launch(job.folder)
    assert artifact.unusable is None
    assert artifact.details["before"]["valid_json"] < 0.05
    assert artifact.metrics["valid_json"] > 0.95
    assert artifact.metrics["exact"] > 0.9
    verify(job.folder, artifact)
    model = LocalGenerator(str(job.folder / artifact.details["serve"]["path"]), max_output_tokens=32)
    _, held = extraction_rows()
    made = await asyncio.gather(*(model.generate(Prompt(row.input)) for row in held))
    right = [json.loads(one.text) == row.output for one, row in zip(made, held, strict=True)]
    assert sum(right) / len(right) > 0.9
    assert {"adapter", "merged"} < {path.name for path in job.folder.iterdir()}
    assert not (job.checkpoint / "steps").exists()
    assert artifact.versions["peft"]


def test_every_mode_learns(base: Path, tmp_path: Path) -> None:
    for mode, extra in (("full", {"epochs": 4}), ("lora", {"epochs": 4, "packing": True})):
        found, steps = trained(extraction_job(tmp_path / mode, base, **{**QUICK, **extra, "mode": mode}))
        assert found.unusable is None
        assert found.metrics["loss"] < 0.2 * found.details["before"]["loss"]
        assert (tmp_path / mode / "adapter").exists() == (mode == "lora")
        assert steps[-1].step == steps[-1].steps
        assert 44 <= steps[-1].steps <= 56  # of 192 rows in batches of 16: packed, a step takes about as many


def test_dpo_prefers_what_the_person_wrote(base: Path, tmp_path: Path) -> None:
    learned, held = extraction_rows()

    def pair(row: Row) -> Row:
        """The model wrote the number of the next one."""
        wrong = {**row.output, "n": (row.output["n"] + 1) % 10}
        return replace(row, rejected=json.dumps(wrong, separators=(",", ":")))

    first = extraction_job(tmp_path / "first", base, epochs=8)
    trained(first)
    rows, checked = [pair(row) for row in learned], [pair(row) for row in held]
    settings = {"mode": "dpo", "epochs": 3, "learning_rate": 1e-3, "batch_size": 8}
    job = extraction_job(tmp_path / "dpo", first.folder / "merged", train=rows, validation=checked, **settings)
    before = margin(first.folder / "merged", checked)
    found, _ = trained(job)
    after = margin(job.folder / "merged", checked)
    assert found.unusable is None
    assert found.metrics["preferred"] > 0.95
    assert sum(one > 0 for one in before) / len(before) < 0.8
    assert sum(one > 0 for one in after) / len(after) > 0.95


def margin(model: Path, rows: list[Row]) -> list[float]:
    """How much likelier the chosen reply is than the rejected one."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, made = AutoTokenizer.from_pretrained(model), AutoModelForCausalLM.from_pretrained(model)

    def likelihood(row: Row, said: str) -> float:
        asked = f"<|user|>{row.input}<|end|><|assistant|>"
        start = len(tokenizer(asked, add_special_tokens=False)["input_ids"])
        ids = torch.tensor([tokenizer(f"{asked}{said}<|end|>", add_special_tokens=False)["input_ids"]])
        with torch.no_grad():
            odds = made(input_ids=ids).logits[0, :-1].log_softmax(-1)
        return float(odds.gather(1, ids[0, 1:, None])[start - 1 :].sum())

    return [likelihood(row, row.messages[-1]["content"]) - likelihood(row, row.rejected or "") for row in rows]


@pytest.fixture(scope="module")
def whole(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, list[Step]]:
    """Uninterrupted: rows of like length share a batch, so that their order within an epoch is checked too."""
    import torch

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole") / "job"
    return trained(extraction_job(folder, base, epochs=6, batch_size=4, accumulate=4))


ENDS = """
import signal, sys
from groundtune.tune import worker
from groundtune.tune.lora import fit
real = fit.Watching.step_ended
def ends(self, trainer):
    if trainer.global_step == 41:
        signal.raise_signal(int(sys.argv[2]))
    return real(self, trainer)
fit.Watching.step_ended = ends
sys.exit(worker.main())
"""
"""A training that a signal meets in the fourth epoch of 12 steps."""


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_it_goes_on_where_it_stopped(
    base: Path, tmp_path: Path, whole: tuple[Trained, list[Step]], kill: signal.Signals
) -> None:
    job = extraction_job(tmp_path / "job", base, epochs=6, batch_size=4, accumulate=4)
    command = [sys.executable, "-c", ENDS, str(job.folder), str(int(kill))]
    ended = subprocess.run(command, env={**os.environ, "TOKENIZERS_PARALLELISM": "false"}, check=False)
    assert ended.returncode == (-kill if kill == signal.SIGKILL else 128 + kill)
    kept = latest(job.checkpoint)
    assert kept is not None
    at = kept[1].step
    assert at == (36 if kill == signal.SIGKILL else 41), "told to end, it saved in the middle of an epoch"
    asyncio.run(launch(job.folder))
    artifact = read_artifact(job.folder)
    expected, steps = whole
    assert artifact.details["resumed"] == [at]
    told = [step.note for step in read_progress(job.folder) if "goes on" in step.note]
    assert told == [f"goes on after step {at}; the optimiser's state came back whole"]
    for name in ("loss", "train_loss", "valid_json", "exact"):
        assert artifact.metrics[name] == pytest.approx(expected.metrics[name], abs=1e-3)
    afterwards = {step: loss for step, loss in losses(read_progress(job.folder)).items() if step > at}
    wanted = losses(steps)
    assert len(afterwards) == 72 - at
    assert all(afterwards[step] == pytest.approx(wanted[step], abs=1e-3) for step in afterwards)
    assert artifact.details["history"] == [
        {name: pytest.approx(value, abs=1e-3) for name, value in one.items()} for one in expected.details["history"]
    ]


@pytest.fixture
def halfway(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job with a checkpoint after its second epoch, where something went wrong."""
    job = extraction_job(tmp_path / "job", base, **{**QUICK, "epochs": 4})
    with monkeypatch.context() as patch:
        real = fit.Watching.checkpointed

        def fails(self: Any, trainer: Any, *rest: Any) -> None:
            real(self, trainer, *rest)
            if trainer.global_step == 24:
                raise OSError(28, "No space left on device")

        patch.setattr(fit.Watching, "checkpointed", fails)
        with pytest.raises(OSError, match="No space left"):
            lora.train(job, lambda _: None)
    return job


def test_a_full_disk_is_said_and_recovered_from(base: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system takes root")
    try:
        job = extraction_job(disk / "job", base, **QUICK)
        with pytest.raises(OSError, match="No space left"):
            lora.train(job, lambda _: None)
        subprocess.run(["mount", "-o", "remount,size=60M", str(disk)], check=True)
        found, _ = trained(job)
        assert found.unusable is None
        assert found.details["steps"] == 36
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_another_training_does_not_go_on_from_it(halfway: Job, base: Path) -> None:
    learned, _ = extraction_rows()
    others = (
        extraction_job(halfway.folder, base, **{**QUICK, "epochs": 4}, rank=8),
        extraction_job(halfway.folder, base, train=learned[:100], **{**QUICK, "epochs": 4}),
    )
    for job in others:
        assert "is of other rows, other settings or another base" in refusal(job).message


def test_a_base_that_changed_is_refused(halfway: Job, base: Path, tmp_path: Path) -> None:
    other = shutil.copytree(base, tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-3}))
    job = extraction_job(halfway.folder, other, **{**QUICK, "epochs": 4})
    assert "another base" in refusal(job).message


def test_an_optimiser_that_did_not_come_back_is_refused(halfway: Job) -> None:
    import torch

    found = latest(halfway.checkpoint)
    assert found is not None
    path = found[0] / "optimizer.pt"
    state = torch.load(path, weights_only=True)
    for entry in state["state"].values():
        entry["exp_avg"].zero_()
    torch.save(state, path)
    assert "the state of the optimiser at step 24 did not come back" in (refused := refusal(halfway)).message
    assert refused.hint == f"groundtune tune {halfway.name} --fresh trains from the start"
    data = path.read_bytes()
    path.unlink()
    assert "did not come back" in refusal(halfway).message
    path.write_bytes(data[: len(data) // 2])
    assert f"{path} is damaged: the training cannot go on from there" in (refused := refusal(halfway)).message
    assert refused.hint == f"groundtune tune {halfway.name} --fresh trains from the start"


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "scheduler.pt"])
def test_a_checkpoint_that_is_cut_off_is_refused_by_its_file(halfway: Job, name: str) -> None:
    found = latest(halfway.checkpoint)
    assert found is not None
    path = found[0] / name
    path.write_bytes(path.read_bytes()[:-20])
    assert f"{path} is damaged" in refusal(halfway).message


def test_half_a_checkpoint_is_not_gone_on_from(halfway: Job) -> None:
    found = latest(halfway.checkpoint)
    assert found is not None
    shutil.copytree(found[0], found[0].with_name("checkpoint-36"))
    (found[0].with_name("checkpoint-36") / "state.json").unlink()
    result, _ = trained(halfway)
    assert result.details["resumed"] == [24]
    assert result.details["steps"] == 48


def test_a_crash_behind_the_last_step_loses_nothing(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = extraction_job(tmp_path / "job", base, **QUICK)
    with monkeypatch.context() as patch:
        patch.setattr(finish, "merge", _fails)
        with pytest.raises(OSError):
            lora.train(job, lambda _: None)
    found, steps = trained(job)
    assert steps == []
    assert found.unusable is None


def _fails(*_: Any) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("after", [0, 30])
def test_a_loss_that_is_not_finite_ends_it(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    from trl import SFTTrainer

    real, calls = SFTTrainer.compute_loss, iter(range(10_000))

    def broken(self: Any, model: Any, inputs: Any, *rest: Any, **more: Any) -> Any:
        loss = real(self, model, inputs, *rest, **more)
        return loss * float("nan") if self.model.training and next(calls) >= after else loss

    monkeypatch.setattr(SFTTrainer, "compute_loss", broken)
    job = extraction_job(tmp_path / "job", base, **{**QUICK, "epochs": 5})
    if not after:
        assert "the loss was not finite at step 1" in refusal(job).message
        return
    found, steps = trained(job)
    assert found.details["stopped"] == "loss"
    assert found.details["best_step"] == 24
    assert found.unusable is None
    assert steps[-1].note == "the loss is not finite: stopped"
    assert steps[-1].step == 31
    json.dumps(found.metrics, allow_nan=False)


def test_it_stops_when_it_gets_no_better(base: Path, tmp_path: Path) -> None:
    found, steps = trained(extraction_job(tmp_path / "job", base, epochs=9, learning_rate=1e-9, patience=2))
    assert found.details["stopped"] == "patience"
    assert steps[-1].epoch < 9
    assert found.details["no_gain"].startswith("no better than untrained on the validation split: exact 0.000 -> 0.000")


def test_a_training_that_only_did_harm_is_not_usable(base: Path, tmp_path: Path) -> None:
    found, _ = trained(extraction_job(tmp_path / "job", base, mode="full", epochs=1, learning_rate=1.0))
    assert found.metrics["loss"] > found.details["before"]["loss"]
    assert found.unusable is not None
    assert found.unusable.startswith(
        "no better than untrained on the validation split: exact 0.000 -> 0.000, valid_json"
    )
    loss = f"loss {found.details['before']['loss']:.3f} -> {found.metrics['loss']:.3f}"
    assert found.unusable.endswith(loss)


NONE = {"exact": 0.0, "valid_json": 0.0, "loss": 12.0}


@pytest.mark.parametrize(
    ("before", "after", "mode", "said", "worse"),
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
        (NONE, {"exact": 0.0, "valid_json": 0.0}, "full", "loss 12.000 -> no number", True),
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
def test_what_is_no_better_than_the_base_is_said(
    before: dict[str, float], after: dict[str, float], mode: str, said: str | None, worse: bool
) -> None:
    found = no_gain(before, after, mode=mode)
    assert (found[0] is None, found[1]) == (said is None, worse)
    assert (said or "") in (found[0] or "")


def test_it_stops_after_its_minutes_and_keeps_the_best(base: Path, tmp_path: Path) -> None:
    found, _ = trained(extraction_job(tmp_path / "job", base, epochs=500, max_minutes=0.02))
    assert found.details["stopped"] == "max_minutes"
    assert 0 < found.details["steps"] < 500 * 12
    assert found.metrics["loss"] <= found.details["before"]["loss"]
    assert found.unusable is None


def test_without_rows_to_check_the_last_state_is_kept(base: Path, tmp_path: Path) -> None:
    found, _ = trained(extraction_job(tmp_path / "job", base, validation=[], **QUICK))
    assert found.unusable is None
    assert set(found.metrics) == {"train_loss"}
    assert found.details["best_step"] == found.details["steps"] == 36


def test_text_is_measured_by_likeness(base: Path, tmp_path: Path) -> None:
    found, _ = trained(extraction_job(tmp_path / "job", base, schema=False, **QUICK))
    assert 0 < found.metrics["chrf"] <= 1
    assert found.details["before"]["chrf"] < found.metrics["chrf"]


def test_labels_are_right_or_wrong(base: Path, tmp_path: Path) -> None:
    learned, held = extraction_rows()
    rows = [[chat(row.id, row.input, row.output["colour"]) for row in part] for part in (learned, held)]
    job = extraction_job(tmp_path / "job", base, train=rows[0], validation=rows[1], schema=False, epochs=6)
    found, _ = trained(replace(job, details={"labels": ["red", "blue"]}))
    assert set(found.metrics) == {"loss", "exact", "train_loss"}


def test_the_parity_gate_sees_a_merge_that_went_wrong(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file, save_file

    real = finish.merge
    job = extraction_job(tmp_path / "job", base, **QUICK)

    def corrupted(plan: Any, best: Path, to: Path) -> None:
        real(plan, best, to)
        weights = load_file(to / "model.safetensors")
        weights["model.layers.1.mlp.down_proj.weight"][0] += 0.01
        save_file(weights, to / "model.safetensors", metadata={"format": "pt"})

    def base_alone(plan: Any, best: Path, to: Path) -> None:
        shutil.copytree(plan.base.source, to)

    def other_template(plan: Any, best: Path, to: Path) -> None:
        real(plan, best, to)
        template = to / "chat_template.jinja"
        template.write_text(template.read_text().replace("<|assistant|>", "<|system|>"))

    for broken, said in (
        (corrupted, "the merged model gives other logits than the trainer's model"),
        (base_alone, "the merged model gives other logits than the trainer's model"),
        (other_template, "the merged model is asked row"),
    ):
        monkeypatch.setattr(finish, "merge", broken)
        found, _ = trained(job)
        assert found.unusable is not None
        assert said in found.unusable


def test_in_bfloat16_the_gate_still_tells_an_adapter_from_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tiny_base(tmp_path / "base", dtype="bfloat16")
    job = extraction_job(tmp_path / "job", base, **QUICK)
    found, _ = trained(job)
    assert found.unusable is None
    assert found.details["base_dtype"] == "bfloat16"
    assert found.details["parity"]["merged model"]["difference"] > 1e-3  # rounded
    config = json.loads((job.folder / "merged" / "config.json").read_text())
    assert config["dtype"] == "bfloat16"
    monkeypatch.setattr(finish, "merge", lambda plan, best, to: shutil.copytree(plan.base.source, to))
    found, _ = trained(job)
    assert "the training itself moved them by" in (found.unusable or "")


def test_a_trainer_that_trains_on_the_prompt_too_is_refused(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling as Collator

    real = Collator.torch_call

    def all_tokens(self: Any, examples: list[dict[str, Any]]) -> Any:
        return real(self, [{"input_ids": one["input_ids"]} for one in examples])

    monkeypatch.setattr(Collator, "torch_call", all_tokens)
    assert "of its first rows trains on" in refusal(extraction_job(tmp_path / "job", base, **QUICK)).message


@pytest.mark.parametrize("mode", ["lora", "full"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_mixed_precision_passes_the_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, dtype: str
) -> None:
    """As on a GPU, where it is always on: what the trainer computes is rounded, what it holds is not."""
    monkeypatch.setattr("groundtune.tune.lora.plan.WIDE", 1)
    monkeypatch.setattr("groundtune.tune.lora.plan.has_fast_bfloat16", lambda _: True)
    base = tiny_base(tmp_path / "base", dtype=dtype)
    found, _ = trained(extraction_job(tmp_path / "job", base, **QUICK, mode=mode))
    assert found.details["trained_in"] == "bfloat16"
    assert found.unusable is None
    if dtype == "float32":
        assert found.details["parity"]["merged model"]["difference"] < 1e-4


def test_packed_rows_do_not_see_each_other(base: Path, tmp_path: Path) -> None:
    plan = prepare(extraction_job(tmp_path / "job", base, **QUICK, packing=True))
    fit.quiet()
    fit.make_trainer(plan, fresh=True)  # the check is made here
    model = fit.load_model(plan.base.source, dtype="float32", device="cpu")
    real = type(model).forward

    class Leaky(type(model)):  # type: ignore[misc]
        def forward(self, *args: Any, position_ids: Any = None, **more: Any) -> Any:
            return real(self, *args, **more)

    model.__class__ = Leaky
    with pytest.raises(TuneError, match="does not keep the rows of a pack apart"):
        parity.check_packing(model, plan)


def test_qlora_needs_a_gpu(base: Path, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    error = refusal(extraction_job(tmp_path / "job", base, mode="qlora", device=None))
    assert isinstance(error, MissingError)
    assert "works on a CUDA device only" in error.message
    assert error.hint is not None
    assert error.hint.startswith('mode = "lora"')


def test_what_cannot_be_trained_on_is_said_before_any_weight_is_loaded(base: Path, tmp_path: Path) -> None:
    import torch

    job = extraction_job(tmp_path / "job", base, **QUICK)
    asked = extraction_job(tmp_path / "empty", base, train=[chat("e", "red 3", "")], **QUICK)
    assert "row e: message 2, of the assistant, is empty" in refusal(asked).message
    assert "there are no rows" in refusal(extraction_job(tmp_path / "none", base, train=[], **QUICK)).message
    short = extraction_job(tmp_path / "short", base, **{**QUICK, "max_tokens": 14})
    assert "rows are longer than 14 tokens" in refusal(short).message
    wide = extraction_job(tmp_path / "wide", base, **{**QUICK, "max_tokens": 512})
    assert "max_tokens = 512, and the base takes 256" in refusal(wide).message
    mute = tiny_base(tmp_path / "mute", template=None)
    assert "has no chat template" in refusal(extraction_job(tmp_path / "m", mute, **QUICK)).message
    gone = refusal(replace(job, base=str(tmp_path / "gone")))
    assert isinstance(gone, MissingError)
    if not torch.cuda.is_available():
        assert "finds no device 'cuda'" in refusal(extraction_job(tmp_path / "c", base, device="cuda")).message
    small = json.loads((base / "config.json").read_text())
    four = shutil.copytree(base, tmp_path / "four")
    (four / "config.json").write_text(json.dumps({**small, "quantization_config": {"quant_method": "gptq"}}))
    assert "are quantised" in refusal(replace(job, base=str(four))).message


def test_a_damaged_base_is_said(base: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(base, tmp_path / "broken")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    error = refusal(extraction_job(tmp_path / "job", broken, **QUICK))
    assert isinstance(error, MissingError)
    assert "cannot be loaded" in error.message


def test_the_estimate_is_an_upper_bound(base: Path, tmp_path: Path) -> None:
    job = extraction_job(tmp_path / "job", base, **QUICK)
    began = time.process_time()
    bounds = lora.estimate(job)
    assert time.process_time() - began < 60
    began = time.process_time()  # of one thread: the seconds on a machine that has nothing else to do
    trained(job)
    assert bounds.seconds is not None
    assert time.process_time() - began < bounds.seconds < 3000
    assert bounds.usd == 0
    assert "on cpu" in bounds.note


def test_activations_are_computed_twice_only_when_memory_is_short(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = prepare(extraction_job(tmp_path / "job", base, **QUICK))
    assert not cost.needs_checkpointing(plan)
    monkeypatch.setattr(cost, "_memory", lambda _: 1e6)
    assert cost.needs_checkpointing(plan)


def test_what_the_former_processes_still_write_is_waited_for(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lora, "FORMER_SECONDS", 0.1)
    job = extraction_job(tmp_path / "job", base, **QUICK, gpus=2)
    with FileLock(lora.lock_of(job)):
        assert "another training still writes into" in refusal(job).message


def test_several_processes_train_as_one(base: Path, tmp_path: Path) -> None:
    """On the processor, since there is no second GPU here: the same launcher, the same ranks."""
    job = extraction_job(tmp_path / "job", base, **{**QUICK, "epochs": 2}, gpus=2)
    plan = prepare(job)
    words = lora.command(replace(plan, device="cuda"))
    assert words[1:5] == ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes"]
    assert words[-2:] == ["groundtune.tune.lora.ranks", str(job.folder)]
    artifact = asyncio.run(launch(job.folder))
    assert artifact.unusable is None
    assert artifact.details["steps"] == 12  # of 2 times 16 rows, two epochs
    assert artifact.metrics["loss"] < artifact.details["before"]["loss"]
    assert sorted(losses(read_progress(job.folder))) == list(range(1, 13))


def test_what_one_of_several_processes_failed_of_is_said(base: Path, tmp_path: Path) -> None:
    job = extraction_job(tmp_path / "job", base, **QUICK, gpus=2)
    lora.lock_of(job)
    (job.checkpoint / STEPS).write_text("a file where a folder belongs")
    failure = refusal(job)
    assert "FileExistsError" in failure.message or "NotADirectoryError" in failure.message
    assert failure.hint == f"{job.folder / LOG} has the traceback"


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (
            "Traceback (most recent call last):\n  raise\ntorch.distributed.DistNetworkError: port 7 is taken\n[W] x\n",
            "the processes of the training ended with code 1: torch.distributed.DistNetworkError: port 7 is taken",
        ),
        ("killed\n", "the processes of the training ended with code 1"),
        (None, "the processes of the training ended with code 1"),
    ],
)
def test_a_launcher_that_failed_is_quoted(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: str | None, says: str
) -> None:
    job = extraction_job(tmp_path / "job", base, **QUICK, gpus=2)
    if log:
        (job.folder / LOG).write_text(log)
    monkeypatch.setattr(lora, "command", lambda _: [sys.executable, "-c", "raise SystemExit(1)"])
    assert refusal(job).message == says
