"""The parity gate: the same inputs through every form of a model. Says how they differ.

While a model is trained, prompts, the logits of the token that follows each, and what it would go on to say are kept
beside every best state. Afterwards the reloaded adapter, the merged model and what serves it must see the same prompt
tokens, give the same logits, and go on in the same words. What serves it is asked by `workflows/checking.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundtune.chat_template import TemplateError, prompted
from groundtune.errors import need
from groundtune.tune.job import TuneError
from groundtune.tune.lora.plan import Plan

LOGITS = "parity.safetensors"
INPUTS = 4
STEPS = 16
"""Tokens of an answer that are compared."""
NEAR = 8
"""Likeliest tokens of each of them that are kept, to tell a near tie from another answer."""
FLOAT32 = 1e-3
"""Difference of two logits that is allowed where all is in float32."""
SHARE = {"bfloat16": 0.1, "float16": 0.0125}
"""Allowed where weights are kept in 16 bits, as a share of the spread of the trainer's logits (their largest distance
from their mean). A weight in bfloat16 is rounded by up to 2⁻⁹ of itself, and an adapter that is merged moves every
weight to another rounding. Measured on random Llamas of 2 to 32 layers: 0.01 computed in float32, 0.02 to 0.05 computed
in bfloat16; twice that is allowed. float16 rounds 8 times finer."""
EFFECT = 1e-4
"""A training that moved the logits by more than this, and by more than half of what is rounded, must be seen: in
quadratic mean they have to be nearer to the trainer's than to the base's. An adapter that is not there at all, or more
than half lost in the rounding, is not."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What a model gives behind each prompt."""

    logits: Any
    """Of the token that follows: float32, (n, vocabulary), on the processor."""
    words: tuple[tuple[int, ...], ...]
    """What it goes on to say, greedily: up to STEPS tokens, the one that ends the answer included."""
    near: tuple[tuple[dict[int, float], ...], ...] = ()
    """For each of these tokens the likeliest ones with their logits; empty where nobody kept them."""


def inputs(plan: Plan) -> list[int]:
    """Places of a few rows, from the shortest prompt to the longest: of the validation split, or else of train."""
    chats = plan.validation or plan.train
    order = sorted(range(len(chats)), key=lambda place: (chats[place].start, place))
    few = min(INPUTS, len(order))
    return [order[n * (len(order) - 1) // max(1, few - 1)] for n in range(few)]


def record(model: Any, plan: Plan, folder: Path) -> None:
    """What the model under training gives, beside the state that is kept."""
    chats = plan.validation or plan.train
    prompts = [list(chats[place].ids[: chats[place].start]) for place in inputs(plan)]
    write_trace(folder / LOGITS, prompts, trace(model, prompts, plan.form.ends))


def write_trace(path: Path, prompts: Sequence[Sequence[int]], made: Trace, **more: Any) -> None:
    """more: further tensors."""
    torch = need("torch", extra="local")
    kept = {"logits": made.logits, **more}
    for n, (prompt, words, near) in enumerate(zip(prompts, made.words, made.near, strict=True)):
        kept[f"prompt.{n}"], kept[f"words.{n}"] = torch.tensor(prompt), torch.tensor(words)
        kept[f"near.{n}"] = torch.tensor([list(step) for step in near])
        kept[f"odds.{n}"] = torch.tensor([list(step.values()) for step in near], dtype=torch.float32)
    need("safetensors.torch", extra="local").save_file(kept, path)


def recorded(path: Path) -> tuple[list[list[int]], Trace, dict[str, Any]]:
    """Prompts, what the trainer's own model gives, and the further tensors."""
    kept = need("safetensors.torch", extra="local").load_file(path)
    count = len(kept["logits"])
    prompts = [kept.pop(f"prompt.{n}").tolist() for n in range(count)]
    words = tuple(tuple(kept.pop(f"words.{n}").tolist()) for n in range(count))
    pairs = [(kept.pop(f"near.{n}").tolist(), kept.pop(f"odds.{n}").tolist()) for n in range(count)]
    near = tuple(tuple(dict(zip(ids, odds, strict=True)) for ids, odds in zip(*pair, strict=True)) for pair in pairs)
    return prompts, Trace(kept.pop("logits"), words, near), kept


def trace(model: Any, prompts: Sequence[Sequence[int]], ends: Sequence[int]) -> Trace:
    """Computed in the precision of the weights: the trainer wraps the model's own forward into mixed precision."""
    torch = need("torch", extra="local")
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            made = [_said(inner, list(prompt), ends) for prompt in prompts]
    finally:
        model.train(training)
    words = tuple(tuple(int(row.argmax()) for row in rows) for rows in made)
    near = tuple(tuple(_likeliest(row) for row in rows) for rows in made)
    return Trace(torch.stack([rows[0] for rows in made]).clone(), words, near)


def _said(model: Any, prompt: list[int], ends: Sequence[int]) -> list[Any]:
    """Logits of each token of the answer."""
    torch, forward = need("torch", extra="local"), type(model).forward
    read, given, kept = list(prompt), list(prompt), None
    rows: list[Any] = []
    while len(rows) < STEPS:
        ids = torch.tensor([given], device=model.device)
        made = forward(model, input_ids=ids, past_key_values=kept, use_cache=True)
        kept = getattr(made, "past_key_values", None)
        rows.append(made.logits[0, -1].float().cpu())
        token = int(rows[-1].argmax())
        if token in ends:
            break
        read.append(token)
        given = [token] if kept is not None else list(read)
    return rows


def _likeliest(row: Any) -> dict[int, float]:
    odds, ids = row.topk(min(NEAR, len(row)))
    return dict(zip(ids.tolist(), odds.tolist(), strict=True))


def same_prompts(plan: Plan, tokenizer: Any, prompts: Sequence[Sequence[int]], *, leg: str) -> str | None:
    """Why this tokenizer does not ask what the trainer was asked."""
    for row, prompt in zip(rows(plan), prompts, strict=True):
        try:
            _, text = prompted(tokenizer, row.messages[:-1])
        except TemplateError as error:
            return f"the {leg} refuses row {row.id}: {error}"
        found = tokenizer(text, add_special_tokens=False)["input_ids"]
        if found[: plan.limit] != list(prompt):
            return f"the {leg} is asked row {row.id} in other tokens than the trainer"
    return None


def rows(plan: Plan) -> list[Any]:
    """Those behind `inputs`."""
    every = plan.rows if plan.validation else plan.job.rows("train")
    return [every[place] for place in inputs(plan)]


def judge(found: Trace, wanted: Trace, untrained: Any, *, leg: str, dtype: str) -> tuple[dict[str, float], str | None]:
    """How far apart they are and may be, and why it is too much. dtype: the coarsest on the way."""
    if found.logits.shape != wanted.logits.shape:
        return {}, f"the {leg} has another vocabulary than the trainer's model"
    if not bool(found.logits.isfinite().all()):
        return {}, f"the {leg} gives logits that are not finite"
    allowed, away = _most(wanted.logits, dtype), float((found.logits - wanted.logits).abs().max())
    effect = float((untrained - wanted.logits).abs().max())
    told = {"difference": away, "allowed": allowed, "effect": effect}
    rounded, moved = _mean(found.logits - wanted.logits), _mean(untrained - wanted.logits)
    lost = moved > max(EFFECT, rounded / 2) and rounded >= _mean(found.logits - untrained)
    if away > allowed or lost:
        lost_too = ", and they are no nearer to them than to the base's" if lost else ""
        return told, (
            f"the {leg} gives other logits than the trainer's model: {away:.2g} apart, {allowed:.2g} is allowed"
            f"{lost_too}; the training itself moved them by {effect:.2g}"
        )
    return told, _other_words(found, wanted, allowed, leg=leg)


def _other_words(found: Trace, wanted: Trace, allowed: float, *, leg: str) -> str | None:
    """Where it goes on otherwise, and not because two tokens are as good as equally likely."""
    for number, (mine, theirs) in enumerate(zip(found.words, wanted.words, strict=True)):
        pairs = enumerate(zip(mine, theirs, strict=False))
        step = next((step for step, (a, b) in pairs if a != b), None)
        if step is None:
            if len(mine) > len(theirs):
                return f"the {leg} does not end its answer where the trainer's model does"
            continue
        odds = wanted.near[number][step]
        if odds[theirs[step]] - odds.get(mine[step], float("-inf")) > 2 * allowed:
            return f"the {leg} goes on in other words than the trainer's model, from token {step + 1} of its answer on"
    return None


def _mean(away: Any) -> float:
    return float(away.double().square().mean().sqrt())


def _most(wanted: Any, dtype: str) -> float:
    if dtype == "float32":
        return FLOAT32
    return SHARE[dtype] * float((wanted - wanted.mean(dim=-1, keepdim=True)).abs().max())


def check_packing(model: Any, plan: Plan) -> None:
    """Raises TuneError when a row sees the one before it in its pack. Not every attention keeps them apart."""
    torch = need("torch", extra="local")
    short = sorted(plan.train, key=lambda chat: len(chat.ids))
    first, second = (list(chat.ids) for chat in (short[0], short[-1]))
    places = torch.tensor([[*range(len(first)), *range(len(second))]], device=model.device)
    ids = torch.tensor([[*first, *second]], device=model.device)
    with torch.inference_mode():
        packed = model(input_ids=ids, position_ids=places, use_cache=False).logits[:, -1].float().cpu()
    alone = trace(model, [second], plan.form.ends).logits
    if float((packed - alone).abs().max()) > _most(alone, plan.dtype):
        raise TuneError(
            f"{plan.job.base} does not keep the rows of a pack apart: each would be trained to follow the one before",
            hint="packing = false",
        )
