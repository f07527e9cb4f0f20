"""Parity gate: run every form of a model (adapter, merged, served) on the same inputs, report how the outputs differ.

During training, every best checkpoint is saved with a few prompts, the logits of the token after each, and the greedy
continuation. Afterwards the reloaded adapter, the merged model and the generator that serves it must see the same
prompt tokens, give the same logits, and continue in the same words. `workflows/checking_servers.py` runs the generator.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.errors import need
from groundtune.models.chat_template import TemplateError, render_prompt
from groundtune.tune.job import TuneError
from groundtune.tune.lora.plan import LoraPlan

LOGITS = "parity.safetensors"
INPUTS = 4
STEPS = 16
"""Tokens of an answer that are compared."""
NEAR = 8
"""Likeliest tokens that are kept for each of these, to tell a near tie from a different answer."""
FLOAT32 = 1e-3
"""Tolerance for the difference of two logits when everything is in float32."""
SHARE = {"bfloat16": 0.1, "float16": 0.0125}
"""Tolerance when weights are in 16 bits, as a share of the spread of the trainer's logits (their largest distance from
their mean). bfloat16 rounds a weight by up to 2⁻⁹ of itself, and a merged adapter moves every weight to another
rounding. Measured on random Llamas of 2 to 32 layers: 0.01 computed in float32, 0.02 to 0.05 computed in bfloat16; the
tolerance is twice that. float16 rounds 8 times finer."""
EFFECT = 1e-4
"""If training changed the logits by more than this, and by more than half of the rounding, it must be visible: in
quadratic mean, the logits must be closer to the trained model's than to the base model's. They are not when the adapter
is missing, or when more than half of it is lost in the rounding."""


@dataclass(frozen=True, slots=True)
class ModelTrace:
    """Output of a model for each prompt."""

    logits: Any
    """Logits of the next token: float32, (n, vocabulary), on the CPU."""
    token_ids: tuple[tuple[int, ...], ...]
    """Greedy continuation: up to STEPS tokens, including the end-of-turn token."""
    likeliest: tuple[tuple[dict[int, float], ...], ...] = ()
    """For each of these tokens the likeliest ones with their logits; empty when they were not recorded."""


def input_indices(plan: LoraPlan) -> list[int]:
    """Return indices of a few rows, from the shortest prompt to the longest; of validation, or else of train."""
    chats = plan.validation or plan.train
    order = sorted(range(len(chats)), key=lambda place: (chats[place].reply_start, place))
    few = min(INPUTS, len(order))
    return [order[n * (len(order) - 1) // max(1, few - 1)] for n in range(few)]


def write_reference(model: Any, plan: LoraPlan, folder: Path) -> None:
    """Save the trace of the model under training beside the saved weights."""
    chats = plan.validation or plan.train
    prompts = [list(chats[place].token_ids[: chats[place].reply_start]) for place in input_indices(plan)]
    write_trace(folder / LOGITS, prompts, trace_model(model, prompts, plan.format.end_ids))


def write_trace(path: Path, prompts: Sequence[Sequence[int]], output: ModelTrace, **more: Any) -> None:
    """Write prompts and trace to a safetensors file. more: further tensors."""
    torch = need("torch", extra="local")
    tensors = {"logits": output.logits, **more}
    for n, (prompt, words, near) in enumerate(zip(prompts, output.token_ids, output.likeliest, strict=True)):
        tensors[f"prompt.{n}"], tensors[f"words.{n}"] = torch.tensor(prompt), torch.tensor(words)
        tensors[f"near.{n}"] = torch.tensor([list(step) for step in near])
        tensors[f"odds.{n}"] = torch.tensor([list(step.values()) for step in near], dtype=torch.float32)
    need("safetensors.torch", extra="local").save_file(tensors, path)


def read_trace(path: Path) -> tuple[list[list[int]], ModelTrace, dict[str, Any]]:
    """Read prompts, the trace of the trainer's own model, and the further tensors."""
    tensors = need("safetensors.torch", extra="local").load_file(path)
    count = len(tensors["logits"])
    prompts = [tensors.pop(f"prompt.{n}").tolist() for n in range(count)]
    words = tuple(tuple(tensors.pop(f"words.{n}").tolist()) for n in range(count))
    pairs = [(tensors.pop(f"near.{n}").tolist(), tensors.pop(f"odds.{n}").tolist()) for n in range(count)]
    near = tuple(tuple(dict(zip(ids, odds, strict=True)) for ids, odds in zip(*pair, strict=True)) for pair in pairs)
    return prompts, ModelTrace(tensors.pop("logits"), words, near), tensors


def trace_model(model: Any, prompts: Sequence[Sequence[int]], ends: Sequence[int]) -> ModelTrace:
    """Trace a model in the precision of its weights: the trainer wraps its own forward pass in mixed precision."""
    torch = need("torch", extra="local")
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            answers = [_answer_logits(inner, list(prompt), ends) for prompt in prompts]
    finally:
        model.train(training)
    words = tuple(tuple(int(row.argmax()) for row in rows) for rows in answers)
    near = tuple(tuple(_likeliest(row) for row in rows) for rows in answers)
    return ModelTrace(torch.stack([rows[0] for rows in answers]).clone(), words, near)


def _answer_logits(model: Any, prompt: list[int], ends: Sequence[int]) -> list[Any]:
    """Return the logits of each token of the greedy answer."""
    torch, forward = need("torch", extra="local"), type(model).forward
    context, step_ids, cache = list(prompt), list(prompt), None
    rows: list[Any] = []
    while len(rows) < STEPS:
        ids = torch.tensor([step_ids], device=model.device)
        output = forward(model, input_ids=ids, past_key_values=cache, use_cache=True)
        cache = getattr(output, "past_key_values", None)
        rows.append(output.logits[0, -1].float().cpu())
        token = int(rows[-1].argmax())
        if token in ends:
            break
        context.append(token)
        step_ids = [token] if cache is not None else list(context)
    return rows


def _likeliest(row: Any) -> dict[int, float]:
    odds, ids = row.topk(min(NEAR, len(row)))
    return dict(zip(ids.tolist(), odds.tolist(), strict=True))


def prompt_mismatch(plan: LoraPlan, tokenizer: Any, prompts: Sequence[Sequence[int]], *, leg: str) -> str | None:
    """How this tokenizer's prompts differ from the trainer's, or None."""
    for row, prompt in zip(input_rows(plan), prompts, strict=True):
        try:
            _, text = render_prompt(tokenizer, row.messages[:-1])
        except TemplateError as error:
            return f"the {leg} rejects row {row.id}: {error}"
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        if ids[: plan.limit] != list(prompt):
            return f"the {leg} tokenizes the prompt of row {row.id} differently from the trainer"
    return None


def input_rows(plan: LoraPlan) -> list[Any]:
    """Return the rows that `input_indices` chooses."""
    candidates = plan.validation_rows if plan.validation else plan.job.rows("train")
    return [candidates[place] for place in input_indices(plan)]


def compare_traces(
    actual: ModelTrace, expected: ModelTrace, untrained: Any, *, leg: str, dtype: str
) -> tuple[dict[str, float], str | None]:
    """Return how far two traces differ, and why that is too much, or None. dtype: the coarsest one involved."""
    if actual.logits.shape != expected.logits.shape:
        return {}, f"the {leg} has a different vocabulary than the trained model"
    if not bool(actual.logits.isfinite().all()):
        return {}, f"the {leg} gives NaN or infinite logits"
    allowed, difference = _tolerance(expected.logits, dtype), float((actual.logits - expected.logits).abs().max())
    effect = float((untrained - expected.logits).abs().max())
    figures = {"difference": difference, "allowed": allowed, "effect": effect}
    rounded, moved = _rms(actual.logits - expected.logits), _rms(untrained - expected.logits)
    lost = moved > max(EFFECT, rounded / 2) and rounded >= _rms(actual.logits - untrained)
    if difference > allowed or lost:
        lost_too = ", and are no closer to the trained model's than to the base model's" if lost else ""
        return figures, (
            f"the {leg}'s logits differ from the trained model's by {difference:.2g} (tolerance {allowed:.2g})"
            f"{lost_too}; training itself changed them by {effect:.2g}"
        )
    return figures, _other_words(actual, expected, allowed, leg=leg)


def _other_words(actual: ModelTrace, expected: ModelTrace, allowed: float, *, leg: str) -> str | None:
    """Why the answers differ by more than a near tie, or None."""
    for number, (mine, theirs) in enumerate(zip(actual.token_ids, expected.token_ids, strict=True)):
        pairs = enumerate(zip(mine, theirs, strict=False))
        step = next((step for step, (a, b) in pairs if a != b), None)
        if step is None:
            if len(mine) > len(theirs):
                return f"the {leg} does not end its answer where the trained model does"
            continue
        odds = expected.likeliest[number][step]
        if odds[theirs[step]] - odds.get(mine[step], float("-inf")) > 2 * allowed:
            return f"the {leg}'s answer diverges from the trained model's at token {step + 1}"
    return None


def _rms(difference: Any) -> float:
    return float(difference.double().square().mean().sqrt())


def _tolerance(logits: Any, dtype: str) -> float:
    if dtype == "float32":
        return FLOAT32
    return SHARE[dtype] * float((logits - logits.mean(dim=-1, keepdim=True)).abs().max())


def check_packing(model: Any, plan: LoraPlan) -> None:
    """Raise TuneError if a row can attend to the previous row in its pack; not every attention prevents this."""
    torch = need("torch", extra="local")
    short = sorted(plan.train, key=lambda chat: len(chat.token_ids))
    first, second = (list(chat.token_ids) for chat in (short[0], short[-1]))
    places = torch.tensor([[*range(len(first)), *range(len(second))]], device=model.device)
    ids = torch.tensor([[*first, *second]], device=model.device)
    with torch.inference_mode():
        packed = model(input_ids=ids, position_ids=places, use_cache=False).logits[:, -1].float().cpu()
    alone = trace_model(model, [second], plan.format.end_ids).logits
    if float((packed - alone).abs().max()) > _tolerance(alone, plan.dtype):
        raise TuneError(
            f"{plan.job.base} does not isolate packed rows from each other: each would be trained as a continuation of "
            "the previous one",
            hint="set packing = false",
        )
