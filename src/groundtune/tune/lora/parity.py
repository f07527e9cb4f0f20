"""The parity gate: the same inputs through trainer, reloaded adapter and merged model. Says how they differ.

While a model is trained, prompts and the logits of their last token are kept beside every best state. Afterwards each
form of the model must see the same prompt tokens and give the same logits.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from groundtune.errors import need
from groundtune.tune.chat import rendered
from groundtune.tune.job import TuneError
from groundtune.tune.lora.plan import Plan

LOGITS = "parity.safetensors"
INPUTS = 4
FLOAT32 = (1e-4, 1e-3)
"""Difference of two logits that is always, and never more than that, allowed where all is in float32."""
SHARE = {"bfloat16": 0.1, "float16": 0.0125}
"""Allowed where weights are kept in 16 bits, as a share of the spread of the trainer's logits (their largest distance
from their mean). A weight in bfloat16 is rounded by up to 2⁻⁹ of itself, and an adapter that is merged moves every
weight to another rounding. Measured on random Llamas of 2 to 32 layers: 0.01 computed in float32, 0.02 to 0.05 computed
in bfloat16; twice that is allowed. float16 rounds 8 times finer."""
EFFECT = 0.75
"""Nor may it be more than this share of what the training did to the logits: an adapter that is not there at all, or is
lost in the rounding, differs by the whole of it."""


def inputs(plan: Plan) -> list[int]:
    """Places of a few rows, from the shortest prompt to the longest: of the validation split, or else of train."""
    chats = plan.validation or plan.train
    order = sorted(range(len(chats)), key=lambda place: (chats[place].start, place))
    few = min(INPUTS, len(order))
    return [order[n * (len(order) - 1) // max(1, few - 1)] for n in range(few)]


def record(model: Any, plan: Plan, folder: Path) -> None:
    """What the model under training gives, beside the state that is kept."""
    torch = need("torch", extra="local")
    chats = plan.validation or plan.train
    prompts = [list(chats[place].ids[: chats[place].start]) for place in inputs(plan)]
    kept = {f"prompt.{n}": torch.tensor(prompt) for n, prompt in enumerate(prompts)}
    need("safetensors.torch", extra="local").save_file({**kept, "logits": logits(model, prompts)}, folder / LOGITS)


def logits(model: Any, prompts: Sequence[Sequence[int]]) -> Any:
    """Of the token that follows each prompt: float32, (n, vocabulary), on the processor.

    Computed in the precision of the weights: the trainer wraps the model's own forward into mixed precision.
    """
    torch = need("torch", extra="local")
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    forward = type(inner).forward
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            made = [
                forward(inner, input_ids=torch.tensor([list(ids)], device=inner.device), use_cache=False).logits[0, -1]
                for ids in prompts
            ]
    finally:
        model.train(training)
    return torch.stack([one.float().cpu() for one in made]).clone()


def recorded(folder: Path) -> tuple[list[list[int]], Any]:
    """Prompts and logits of the trainer's own model."""
    kept = need("safetensors.torch", extra="local").load_file(folder / LOGITS)
    prompts = [kept[f"prompt.{n}"].tolist() for n in range(len(kept) - 1)]
    return prompts, kept["logits"]


def same_prompts(plan: Plan, tokenizer: Any, prompts: Sequence[Sequence[int]], *, leg: str) -> str | None:
    """Why this tokenizer does not ask what the trainer was asked."""
    rows = plan.rows if plan.validation else plan.job.rows("train")
    for place, prompt in zip(inputs(plan), prompts, strict=True):
        row = rows[place]
        text, _ = rendered(tokenizer, row.messages[:-1], reply=row.messages[-1]["content"])
        found = tokenizer(text, add_special_tokens=False)["input_ids"]
        if found[: plan.limit] != list(prompt):
            return f"the {leg} is asked row {row.id} in other tokens than the trainer"
    return None


def judge(found: Any, wanted: Any, untrained: Any, *, leg: str, dtype: str) -> tuple[dict[str, float], str | None]:
    """How far apart they are and may be, and why it is too much. dtype: the coarsest on the way."""
    if found.shape != wanted.shape:
        return {}, f"the {leg} has another vocabulary than the trainer's model"
    if not bool(found.isfinite().all()):
        return {}, f"the {leg} gives logits that are not finite"
    effect = float((untrained - wanted).abs().max())
    allowed = min(_most(wanted, dtype), EFFECT * effect)
    allowed = max(allowed, FLOAT32[0]) if dtype == "float32" else allowed
    away = float((found - wanted).abs().max())
    told = {"difference": away, "allowed": allowed, "effect": effect}
    if away <= allowed:
        return told, None
    return told, (
        f"the {leg} gives other logits than the trainer's model: {away:.2g} apart, {allowed:.2g} is allowed; the "
        f"training itself moved them by {effect:.2g}"
    )


def _most(wanted: Any, dtype: str) -> float:
    if dtype == "float32":
        return FLOAT32[1]
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
    alone = logits(model, [second])
    if float((packed - alone).abs().max()) > _most(alone, plan.dtype):
        raise TuneError(
            f"{plan.job.base} does not keep the rows of a pack apart: each would be trained to follow the one before",
            hint="packing = false",
        )
