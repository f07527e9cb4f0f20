"""The loss of the trained positions alone is the loss of TRL's trainer, and so is its gradient."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from groundtune.tune.job import TrainingRow
from groundtune.tune.lora import training_loop
from groundtune.tune.lora.plan import LoraPlan, prepare
from groundtune.tune.lora.reply_loss import continues_alike, runs_at_positions
from tests.tune.extraction import extraction_job, extraction_rows, tiny_base

pytestmark = pytest.mark.slow
SIZES = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}


@pytest.fixture(scope="module")
def base(training_libraries: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_base(tmp_path_factory.mktemp("base"))


def plan_of(folder: Path, base: Path, *, rules: bool = False, **settings: Any) -> LoraPlan:
    """rules: whether every row begins with the same system message."""
    training_loop.disable_telemetry()
    rows, held_out = extraction_rows()
    if rules:
        rows, held_out = [[_with_rules(row) for row in part] for part in (rows, held_out)]
    job = extraction_job(folder, base, train=rows[:30], validation=held_out[:6], epochs=1, **settings)
    return prepare(job)


def _with_rules(row: TrainingRow) -> TrainingRow:
    turn = {"role": "system", "content": "Reply with red, green, blue, grey, teal, gold, plum or amber and a number."}
    return replace(row, messages=(turn, *row.messages))


def logged(plan: LoraPlan) -> tuple[list[float], list[float]]:
    """Return losses and gradient norms of a training, step by step, and the loss on the validation rows last."""
    import transformers

    trainer = training_loop.make_trainer(plan, fresh=False)
    trainer.args.save_strategy = transformers.trainer_utils.SaveStrategy.NO
    trainer.train()
    steps = [entry for entry in trainer.state.log_history if "loss" in entry]
    evaluated = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    return [entry["loss"] for entry in steps] + evaluated, [entry["grad_norm"] for entry in steps]


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 4, "accumulate": 1},
        {"batch_size": 4, "accumulate": 1, "rules": True},
        {"batch_size": 4, "accumulate": 2, "rules": True, "mode": "full"},
        {"batch_size": 4, "accumulate": 3, "mode": "full"},
        {"batch_size": 4, "accumulate": 2, "packing": True},
    ],
    ids=["adapter", "adapter, rules", "full, rules", "full, accumulated", "packed"],
)
def test_a_training_is_the_same_as_trls(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    ours, our_norms = logged(plan_of(tmp_path / "ours", base, **settings))
    monkeypatch.setattr(training_loop, "runs_at_positions", lambda *_: False)
    theirs, their_norms = logged(plan_of(tmp_path / "theirs", base, **settings))
    assert len(ours) > 2
    assert ours == pytest.approx(theirs, abs=1e-4)
    assert our_norms == pytest.approx(their_norms, rel=1e-3)


def test_recomputed_activations_change_nothing(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, _ = logged(plan_of(tmp_path / "kept", base, batch_size=4, accumulate=2))
    monkeypatch.setattr(training_loop, "needs_gradient_checkpointing", lambda _: True)
    recomputed, _ = logged(plan_of(tmp_path / "recomputed", base, batch_size=4, accumulate=2))
    assert recomputed == pytest.approx(kept, abs=1e-5)


def test_smaller_batches_make_the_same_steps(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groundtune.tune.lora.training_cost.FULL_BATCH", 1)
    plan = plan_of(tmp_path / "job", base, batch_size=4, accumulate=1)
    arguments = training_loop._arguments(plan, fresh=True)
    assert (arguments["per_device_train_batch_size"], arguments["gradient_accumulation_steps"]) == (1, 4)
    losses, _ = logged(plan)
    assert len(losses) == plan.recipe.schedule.steps + 1


@pytest.mark.parametrize("family", ["Llama", "Qwen2", "Qwen3", "Gemma2", "Cohere", "Granite"])
def test_scaled_and_capped_logits_stay_so(training_libraries: None, family: str) -> None:
    import torch
    import transformers

    special = {
        "Cohere": {"logit_scale": 0.2},
        "Granite": {"logits_scaling": 5.0},
        "Gemma2": {"final_logit_softcapping": 0.1},
    }
    config = getattr(transformers, f"{family}Config")(**SIZES, **special.get(family, {}))
    torch.manual_seed(0)
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    assert runs_at_positions(model, tuple(range(3, 40)))


def test_a_head_that_sees_its_neighbours_is_left_to_trl(training_libraries: None) -> None:
    import torch
    import transformers

    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES)).eval()
    assert runs_at_positions(model, tuple(range(3, 40)))
    real = model.lm_head.forward
    model.lm_head.forward = lambda hidden: real(hidden - hidden.mean(-2, keepdim=True))
    assert not runs_at_positions(model, tuple(range(3, 40)))
    model.get_output_embeddings = lambda: None
    assert not runs_at_positions(model, tuple(range(3, 40)))
    assert torch.is_grad_enabled()


def test_a_model_that_looks_ahead_is_left_to_trl(training_libraries: None) -> None:
    """Without a mask its rows would see what they are padded with."""
    import transformers

    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES)).eval()
    for layer in model.model.layers:
        layer.self_attn.v_proj.weight.data.mul_(200)  # fresh weights attend to hardly anything
    assert runs_at_positions(model, tuple(range(3, 40)))
    for layer in model.model.layers:
        layer.self_attn.is_causal = False
    assert not runs_at_positions(model, tuple(range(3, 40)))


def test_the_head_runs_at_the_reply_alone(base: Path, tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "job", base, batch_size=4, accumulate=1)
    trainer = training_loop.make_trainer(plan, fresh=True)
    widths: list[int] = []
    trainer.model.get_output_embeddings().register_forward_hook(
        lambda _, hidden, logits: widths.append(int(logits.shape[:-1].numel()))
    )
    rows = [trainer.train_dataset[n] for n in range(4)]
    trainer.compute_loss(trainer.model, trainer.data_collator(rows))
    assert widths == [sum(label != -100 for row in rows for label in row["labels"])]


@pytest.mark.parametrize("family", ["Llama", "Qwen2", "Qwen3", "Gemma2", "Cohere", "Granite"])
def test_rows_continue_a_beginning_that_was_read_once(training_libraries: None, family: str) -> None:
    import torch
    import transformers

    torch.manual_seed(0)
    model = getattr(transformers, f"{family}ForCausalLM")(getattr(transformers, f"{family}Config")(**SIZES)).eval()
    assert continues_alike(model, tuple(range(3, 40)))
    assert not continues_alike(model, tuple(range(3, 12)))


def test_a_model_that_forgets_what_it_has_read_reads_each_row_whole(training_libraries: None) -> None:
    import transformers

    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES)).eval()
    for layer in model.model.layers:
        layer.self_attn.v_proj.weight.data.mul_(200)  # fresh weights attend to hardly anything
    assert continues_alike(model, tuple(range(3, 40)))
    whole = model.forward
    model.forward = lambda *args, past_key_values=None, **more: whole(*args, **more)
    assert not continues_alike(model, tuple(range(3, 40)))


def test_what_rows_begin_with_is_read_once(base: Path, tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "job", base, batch_size=4, accumulate=1, rules=True)
    trainer = training_loop.make_trainer(plan, fresh=True)
    rows = [trainer.train_dataset[n] for n in range(4)]
    batch = trainer.data_collator(rows)
    shared = next(at for at, ids in enumerate(batch["input_ids"].T.tolist()) if len(set(ids)) > 1)
    assert shared > 16
    shapes: list[tuple[int, int]] = []
    trainer.model.get_input_embeddings().register_forward_pre_hook(lambda _, ids: shapes.append(tuple(ids[0].shape)))
    trainer.compute_loss(trainer.model, dict(batch))
    assert shapes == [(1, shared), (4, batch["input_ids"].shape[1] - shared)]
