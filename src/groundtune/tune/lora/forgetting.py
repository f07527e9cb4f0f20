"""Ask general prompts before and after a training to see what it took away from the base. Trains nothing.

Measured on the base's own greedy answers: how much less likely each of their tokens has become. That needs no judge,
and shows a change before the words change. The answers of both models are kept for people to read.
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
"""Warning threshold: a token of the base's own answers is on average less than half as likely as before, so that about
every second one would now differ. A choice, not a measurement: how much may be lost depends on what else the model is
used for."""
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Probe:
    """One general prompt, rendered for the base."""

    id: str
    about: str
    prompt: str
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ProbeAnswers:
    """A model's answers to all probes."""

    answers: tuple[tuple[int, ...], ...]
    texts: tuple[str, ...]
    odds: tuple[tuple[float, ...], ...]
    """Log-probability of each token of the base's answers."""


def load_probes(plan: LoraPlan) -> list[Probe]:
    """Return the probes that the template accepts and that leave room for an answer."""
    usable = []
    for entry in json.loads(
        files("groundtune.tune.lora").joinpath("forgetting_prompts.json").read_text(encoding="utf-8")
    ):
        try:
            _, text = render_prompt(plan.format.tokenizer, [{"role": "user", "content": entry["prompt"]}])
        except TemplateError:
            continue
        ids = tuple(plan.format.tokenizer(text, add_special_tokens=False)["input_ids"])
        if plan.base.window is None or len(ids) + ROOM <= plan.base.window:
            usable.append(Probe(entry["id"], entry["about"], entry["prompt"], ids))
    return usable


def answer_probes(
    model: Any, plan: LoraPlan, probes: Sequence[Probe], *, before: ProbeAnswers | None = None
) -> ProbeAnswers:
    """Answer the probes. before: answers of the base; without it the model is the base."""
    generated = generate(model, plan, [probe.ids for probe in probes], room=ROOM) if probes else []
    replies = tuple(tuple(tokens) for tokens in generated)
    reference = before.answers if before else replies
    odds = tuple(_odds(model, probe.ids, tokens) for probe, tokens in zip(probes, reference, strict=True))
    return ProbeAnswers(replies, tuple(decode(tokens, plan) for tokens in replies), odds)


def _odds(model: Any, prompt: Sequence[int], reply: Sequence[int]) -> tuple[float, ...]:
    torch = need("torch", extra="local")
    ids = torch.tensor([[*prompt, *reply]], device=model.device)
    with torch.inference_mode():
        rows = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float().log_softmax(-1)
    return tuple(rows.gather(1, ids[0, len(prompt) :, None])[:, 0].tolist())


def measure_forgetting(probes: Sequence[Probe], before: ProbeAnswers | None, after: ProbeAnswers) -> dict[str, Any]:
    """Return `line`, `kept`, `interval`, `same` and the answers of both for the artifact; empty without probes.

    kept: how likely a token of the base's own answers is now, as a share of what it was (geometric mean over all
    tokens; 1: nothing was lost), with its 95% interval by resampling the prompts. same: answers with the same text.
    """
    if before is None or not probes:
        return {}  # nothing was measured
    pairs = list(zip(before.odds, after.odds, strict=True))
    gained = np.array([sum(now) - sum(was) for was, now in pairs])
    tokens = np.array([len(was) for was, _ in pairs])
    draws = np.random.default_rng(0).integers(0, len(pairs), size=(RESAMPLES, len(pairs)))
    spread = np.quantile(gained[draws].sum(axis=1) / tokens[draws].sum(axis=1), (0.025, 0.975))
    texts = zip(probes, before.texts, after.texts, gained / tokens, strict=True)
    summary = {
        "n": len(pairs),
        "tokens": int(tokens.sum()),
        "kept": math.exp(gained.sum() / tokens.sum()),
        "interval": [math.exp(bound) for bound in spread],
        "same": sum(a == b for a, b in zip(before.texts, after.texts, strict=True)),
        "answers": [
            {"about": probe.about, "prompt": probe.prompt, "before": was, "after": now, "kept": math.exp(change)}
            for probe, was, now, change in texts
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
        f"forgetting: {much}on {summary['n']} general prompts, a token of the base's own answers is "
        f"{summary['kept']:.2g} times as likely as before the training [{low:.2g}, {high:.2g}]; "
        f"{summary['same']} of {summary['n']} answers are the same"
    )
