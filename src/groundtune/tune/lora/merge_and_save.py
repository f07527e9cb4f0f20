"""Turn the best checkpoint of a training run into its outputs: adapter, merged model, result of the parity gate.

The merged model has the precision in which the base model is stored, never 4 bits.
"""

import gc
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from groundtune.errors import need
from groundtune.tune.artifacts import file_digests
from groundtune.tune.base_model import load_model, load_tokenizer
from groundtune.tune.checkpoints import STEPS, TrainingState
from groundtune.tune.job import TrainingResult
from groundtune.tune.lora import forgetting, parity_gate, serving_check
from groundtune.tune.lora.plan import LoraPlan, tokenizer_digests, trained_tokenizer
from groundtune.tune.lora.score import describe_no_gain

ADAPTER = "adapter"
MERGED = "merged"
PEFT_FILES = ("adapter_config.json", "adapter_model.safetensors")
ROOM = 1.5
"""How much longer an answer may be than the longest reply that was trained on."""


def save_outputs(plan: LoraPlan, state: TrainingState) -> TrainingResult:
    """Write `merged/`, `parity/` (and `adapter/`) into the job's folder; may be called again after a crash."""
    folder = plan.job.folder
    best = plan.job.checkpoint / str(state.best)
    tokenizer, _ = trained_tokenizer(plan.job, plan.base)
    if plan.recipe.adapter:
        _put(folder / ADAPTER, lambda to: _copy(best, to, PEFT_FILES))
    _put(folder / MERGED, lambda to: merge(plan, best, to))
    legs, forgotten, unusable = _compare(plan, best, tokenizer)
    shortfall, worse = describe_no_gain(state.before, state.metrics, mode=plan.recipe.mode)
    warnings = [
        *([shortfall] if shortfall and not worse else []),
        *forgetting.forgetting_warnings(forgotten),
        *([_date_warning(plan.frozen_date)] if plan.frozen_date else []),
    ]
    about = {"parity": legs, "probes": forgotten, "no_gain": shortfall, "notes": warnings}
    shutil.rmtree(plan.job.checkpoint / STEPS, ignore_errors=True)
    return TrainingResult(
        files=(MERGED, serving_check.FOLDER),
        metrics={**state.metrics, **({} if state.loss is None else {"train_loss": state.loss})},
        base_digest=plan.base.located.digest,
        details={**_details(plan, state, tokenizer), **about},
        unusable=unusable or (shortfall if worse else None),
    )


def _compare(plan: LoraPlan, best: Path, tokenizer: Any) -> tuple[dict[str, Any], dict[str, Any], str | None]:
    """Run the parity gate; return figures for each form of the model, the forgetting, and the first reason not to use
    it.

    The base model and the merged model are each loaded once, for all comparisons.
    """
    prompts, expected, _ = parity_gate.read_trace(best / parity_gate.LOGITS)
    general = forgetting.load_general_prompts(plan)
    legs: dict[str, Any] = {"inputs": len(prompts)}
    four_bit = plan.recipe.mode == "qlora"
    adapted, untrained, before = _reloaded(plan, prompts, general, full=False)
    reasons = []
    if adapted is not None:
        leg = "reloaded adapter"
        reasons.append(parity_gate.prompt_mismatch(plan, tokenizer, prompts, leg=leg))
        legs[leg], reason = parity_gate.compare_traces(adapted, expected, untrained, leg=leg, dtype=plan.dtype)
        reasons.append(reason)
    if four_bit:
        # Trained on 4 bits, served in full precision: the difference between the two is reported, not judged.
        full, untrained, before = _reloaded(plan, prompts, general, full=True)
        quantised, expected = expected, full or expected
        legs["quantisation"] = {"difference": float((expected.logits - quantised.logits).abs().max())}
    leg = "merged model"
    reasons.append(parity_gate.prompt_mismatch(plan, load_tokenizer(str(plan.job.folder / MERGED)), prompts, leg=leg))
    merged, after = _merged(plan, prompts, general, before)
    legs[leg], reason = parity_gate.compare_traces(
        merged, expected, untrained, leg=leg, dtype=_coarser(plan.dtype, plan.base.dtype)
    )
    reasons.append(reason)
    _put(
        plan.job.folder / serving_check.FOLDER,
        lambda to: serving_check.write_references(plan, to, prompts, expected, untrained),
    )
    return (
        legs,
        forgetting.measure_forgetting(general, before, after),
        next((reason for reason in reasons if reason), None),
    )


def merge(plan: LoraPlan, best: Path, to: Path) -> None:
    """Merge weights, tokenizer and template into one folder that loads like any causal model."""
    peft = need("peft", extra="local")
    if plan.recipe.adapter:
        base = load_model(plan.base.located, dtype=plan.base.dtype, device="cpu")
        model = peft.PeftModel.from_pretrained(base, best).merge_and_unload()
    else:
        model = load_model(str(best), dtype=plan.base.dtype, device="cpu")
    model.config.use_cache = True
    tokenizer, _ = trained_tokenizer(plan.job, plan.base)
    if tokenizer.pad_token_id != plan.format.pad_id:
        for place in (tokenizer, model.config.get_text_config(), model.generation_config):
            place.pad_token_id = plan.format.pad_id
    model.save_pretrained(to)
    tokenizer.save_pretrained(to)
    _clear()


def _reloaded(
    plan: LoraPlan, prompts: list[list[int]], general: list[forgetting.GeneralPrompt], *, full: bool
) -> tuple[parity_gate.ModelTrace | None, Any, forgetting.GeneralAnswers | None]:
    """Trace the adapter as it is on disk, on a freshly loaded base model; return also the base model's logits and
    general answers.

    The trace is None without an adapter. full: do not quantise the base model.
    """
    four_bit = plan.recipe.mode == "qlora" and not full
    dtype = plan.base.dtype if full else plan.dtype
    model = load_model(plan.base.located, dtype=dtype, device=plan.device, four_bit=four_bit)
    untrained, adapted = parity_gate.trace_model(model, prompts, plan.format.end_ids).logits, None
    answers = None if four_bit else forgetting.answer_general_prompts(model, plan, general)
    if plan.recipe.adapter:
        model = need("peft", extra="local").PeftModel.from_pretrained(model, plan.job.folder / ADAPTER)
        adapted = parity_gate.trace_model(model, prompts, plan.format.end_ids)
    del model
    _clear()
    return adapted, untrained, answers


def _merged(
    plan: LoraPlan,
    prompts: list[list[int]],
    general: list[forgetting.GeneralPrompt],
    before: forgetting.GeneralAnswers | None,
) -> tuple[parity_gate.ModelTrace, forgetting.GeneralAnswers]:
    dtype = plan.base.dtype if plan.recipe.mode == "qlora" else plan.dtype
    model = load_model(str(plan.job.folder / MERGED), dtype=dtype, device=plan.device)
    merged = parity_gate.trace_model(model, prompts, plan.format.end_ids)
    answers = forgetting.answer_general_prompts(model, plan, general, before=before)
    del model
    _clear()
    return merged, answers


def _details(plan: LoraPlan, state: TrainingState, tokenizer: Any) -> dict[str, Any]:
    longest = max(len(chat.token_ids) - chat.reply_start for chat in plan.train)
    digests = tokenizer_digests(tokenizer)
    details: dict[str, Any] = {
        "serve": {"with": "local", "path": MERGED, "max_output_tokens": int(ROOM * longest) + 8},
        "mode": plan.recipe.mode,
        "tokenizer_digest": digests["tokenizer"],
        "template_digest": digests["template"],
        "template_date": plan.frozen_date,
        "base_dtype": plan.base.dtype,
        "trained_in": "bfloat16" if plan.bfloat16 else plan.dtype,
        "device": plan.device,
        "schedule": asdict(plan.recipe.schedule),
        "before": dict(state.before),
        "history": state.history,
        "best_step": state.best_step,
        "steps": state.step,
        "stopped": state.stopped or None,
        "resumed": state.resumed,
        "tokens": state.tokens,
        "tokens_per_second": state.tokens / state.step_seconds if state.step_seconds else None,
        "cut_rows": sum(chat.token_ids[-1] not in plan.format.end_ids for chat in plan.train),
    }
    if plan.recipe.adapter:
        details["adapter"] = {"path": ADAPTER, "files": file_digests(plan.job.folder, [ADAPTER])}
    return details


def _date_warning(date: str) -> str:
    return (
        f"the base model's chat template writes the current date; the trained model's template always writes {date}, "
        f"and a server that loads the adapter alone needs it: --chat-template {MERGED}/chat_template.jinja"
    )


def _put(target: Path, make: Callable[[Path], None]) -> None:
    """Write a temporary folder and rename it, so that the target is complete or absent."""
    temporary = target.with_name(f"{target.name}.writing")
    shutil.rmtree(temporary, ignore_errors=True)
    make(temporary)
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)


def _copy(folder: Path, to: Path, names: tuple[str, ...]) -> None:
    to.mkdir()
    for name in names:
        shutil.copy2(folder / name, to / name)


def _coarser(*dtypes: str) -> str:
    return next((dtype for dtype in ("bfloat16", "float16") if dtype in dtypes), "float32")


def _clear() -> None:
    """Free the memory of the last model before the next one is loaded."""
    gc.collect()
    torch = need("torch", extra="local")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
