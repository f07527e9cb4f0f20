"""Measure catastrophic forgetting: compare answers to general prompts before and after training. Trains nothing.

Measured on the base model's own greedy answers: how much less likely each of their tokens has become. That needs no
judge, and shows a change before the words change. The answers of both models are kept for people to read.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from groundtune.errors import need
from groundtune.models.chat_template import TemplateError, render_prompt
from groundtune.tune.lora.plan import LoraPlan
from groundtune.tune.lora.score import decode, generate

ROOM = 32
"""Longest answer in tokens."""
MUCH = 0.5
"""Warning threshold: a token of the base model's own answers is on average less than half as likely as before, so that
about half of them would now differ. This is a judgement call, not a measurement: how much may be lost depends on what
else the model is used for."""
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class GeneralPrompt:
    """One general prompt, rendered for the base model."""

    id: str
    about: str
    prompt: str
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GeneralAnswers:
    """A model's answers to all general prompts."""

    answers: tuple[tuple[int, ...], ...]
    texts: tuple[str, ...]
    odds: tuple[tuple[float, ...], ...]
    """Log-probability of each token of the base model's answers."""


def load_general_prompts(plan: LoraPlan) -> list[GeneralPrompt]:
    """Return the general prompts that the template accepts and that leave room for an answer."""
    usable = []
    for entry in json.loads(
        files("groundtune.tune.lora").joinpath("forgetting_prompts.json").read_text(encoding="utf-8")
    ):
        try:
            _, text = render_prompt(plan.format.tokenizer, [{"role": "user", "content": entry["prompt"]}])
        except TemplateError:
            continue
        ids = tuple(plan.format.tokenizer(text, add_special_tokens=False)["input_ids"])
        if plan.base.located.window is None or len(ids) + ROOM <= plan.base.located.window:
            usable.append(GeneralPrompt(entry["id"], entry["about"], entry["prompt"], ids))
    return usable


def answer_general_prompts(
    model: Any, plan: LoraPlan, prompts: Sequence[GeneralPrompt], *, before: GeneralAnswers | None = None
) -> GeneralAnswers:
    """Answer the general prompts. before: the base model's answers; None if `model` is the base model."""
    generated = generate(model, plan, [prompt.ids for prompt in prompts], room=ROOM) if prompts else []
    replies = tuple(tuple(tokens) for tokens in generated)
    reference = before.answers if before else replies
    odds = tuple(_odds(model, prompt.ids, tokens) for prompt, tokens in zip(prompts, reference, strict=True))
    return GeneralAnswers(replies, tuple(decode(tokens, plan) for tokens in replies), odds)


def _odds(model: Any, prompt: Sequence[int], reply: Sequence[int]) -> tuple[float, ...]:
    torch = need("torch", extra="local")
    ids = torch.tensor([[*prompt, *reply]], device=model.device)
    with torch.inference_mode():
        rows = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float().log_softmax(-1)
    return tuple(rows.gather(1, ids[0, len(prompt) :, None])[:, 0].tolist())


def measure_forgetting(
    prompts: Sequence[GeneralPrompt], before: GeneralAnswers | None, after: GeneralAnswers
) -> dict[str, Any]:
    """Return `line`, `kept`, `interval`, `same` and the answers of both for the artifact; empty without prompts.

    kept: how likely a token of the base model's own answers is now, as a share of what it was (geometric mean over all
    tokens; 1: nothing was lost), with its 95% interval by resampling the prompts. same: answers with the same text.
    """
    if before is None or not prompts:
        return {}  # nothing was measured
    pairs = list(zip(before.odds, after.odds, strict=True))
    gained = np.array([sum(now) - sum(was) for was, now in pairs])
    tokens = np.array([len(was) for was, _ in pairs])
    draws = np.random.default_rng(0).integers(0, len(pairs), size=(RESAMPLES, len(pairs)))
    spread = np.quantile(gained[draws].sum(axis=1) / tokens[draws].sum(axis=1), (0.025, 0.975))
    texts = zip(prompts, before.texts, after.texts, gained / tokens, strict=True)
    summary = {
        "n": len(pairs),
        "tokens": int(tokens.sum()),
        "kept": math.exp(gained.sum() / tokens.sum()),
        "interval": [math.exp(bound) for bound in spread],
        "same": sum(a == b for a, b in zip(before.texts, after.texts, strict=True)),
        "answers": [
            {"about": prompt.about, "prompt": prompt.prompt, "before": was, "after": now, "kept": math.exp(change)}
            for prompt, was, now, change in texts
        ],
    }
    return {"line": _line(summary), **summary}


def forgetting_warnings(summary: Mapping[str, Any]) -> list[str]:
    """Return the line as a warning where much was lost."""
    return [summary["line"]] if summary and summary["kept"] < MUCH else []


def _line(summary: Mapping[str, Any]) -> str:
    low, high = summary["interval"]
    much = "much was lost: " if summary["kept"] < MUCH else ""
    return (
        f"forgetting: {much}on {summary['n']} general prompts, tokens of the base model's answers are "
        f"{summary['kept']:.2g} times as likely as before training [{low:.2g}, {high:.2g}]; "
        f"{summary['same']} of {summary['n']} answers are unchanged"
    )
