"""A few general prompts before and after a training: what it took away from the base. Trains nothing.

Measured on the base's own greedy answers: how much less likely each of their tokens has become. That needs no judge,
and sees a change before the words change. The answers of both are kept, for people to read.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from groundtune.chat_template import TemplateError, prompted
from groundtune.errors import need
from groundtune.tune.lora.plan import Plan
from groundtune.tune.lora.score import answers, text_of

ROOM = 32
"""Tokens of an answer."""
MUCH = 0.5
"""Below it a warning: a token of the base's own answers is on average less than half as likely as it was, so that about
every second one would now be another. A choice, not a measurement: how much may be lost depends on what else the model
is asked."""
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Probe:
    """One prompt, as the base is asked."""

    id: str
    about: str
    prompt: str
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What a model makes of all probes."""

    answers: tuple[tuple[int, ...], ...]
    texts: tuple[str, ...]
    odds: tuple[tuple[float, ...], ...]
    """Log-probability of each token of the base's answers."""


def asked(plan: Plan) -> list[Probe]:
    """Those that the template takes and that leave room for an answer."""
    found = []
    for one in json.loads(files("groundtune.tune.lora").joinpath("probes.json").read_text(encoding="utf-8")):
        try:
            _, text = prompted(plan.form.tokenizer, [{"role": "user", "content": one["prompt"]}])
        except TemplateError:
            continue
        ids = tuple(plan.form.tokenizer(text, add_special_tokens=False)["input_ids"])
        if plan.base.window is None or len(ids) + ROOM <= plan.base.window:
            found.append(Probe(one["id"], one["about"], one["prompt"], ids))
    return found


def ask(model: Any, plan: Plan, probes: Sequence[Probe], *, before: Said | None = None) -> Said:
    """before: what the base said; without it the model is the base."""
    said = answers(model, plan, [probe.ids for probe in probes], room=ROOM) if probes else []
    own = tuple(tuple(tokens) for tokens in said)
    judged = before.answers if before else own
    odds = tuple(_odds(model, probe.ids, tokens) for probe, tokens in zip(probes, judged, strict=True))
    return Said(own, tuple(text_of(tokens, plan) for tokens in own), odds)


def _odds(model: Any, prompt: Sequence[int], said: Sequence[int]) -> tuple[float, ...]:
    torch = need("torch", extra="local")
    ids = torch.tensor([[*prompt, *said]], device=model.device)
    with torch.inference_mode():
        rows = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float().log_softmax(-1)
    return tuple(rows.gather(1, ids[0, len(prompt) :, None])[:, 0].tolist())


def compare(probes: Sequence[Probe], before: Said | None, after: Said) -> dict[str, Any]:
    """For the artifact: `line`, `kept`, `interval`, `same`, the answers of both. Empty when no prompt could be asked.

    kept: how likely a token of the base's own answers is now, as a share of what it was (geometric mean over all
    tokens; 1: nothing was lost), with its 95 % interval by resampling the prompts. same: answers with the same text.
    """
    if before is None or not probes:
        return {}  # nothing was measured
    pairs = list(zip(before.odds, after.odds, strict=True))
    gained = np.array([sum(now) - sum(was) for was, now in pairs])
    tokens = np.array([len(was) for was, _ in pairs])
    draws = np.random.default_rng(0).integers(0, len(pairs), size=(RESAMPLES, len(pairs)))
    spread = np.quantile(gained[draws].sum(axis=1) / tokens[draws].sum(axis=1), (0.025, 0.975))
    texts = zip(probes, before.texts, after.texts, gained / tokens, strict=True)
    found = {
        "n": len(pairs),
        "tokens": int(tokens.sum()),
        "kept": math.exp(gained.sum() / tokens.sum()),
        "interval": [math.exp(bound) for bound in spread],
        "same": sum(a == b for a, b in zip(before.texts, after.texts, strict=True)),
        "answers": [
            {"about": one.about, "prompt": one.prompt, "before": was, "after": now, "kept": math.exp(own)}
            for one, was, now, own in texts
        ],
    }
    return {"line": _line(found), **found}


def warnings(found: Mapping[str, Any]) -> list[str]:
    """To be said at once, where much was lost."""
    return [found["line"]] if found and found["kept"] < MUCH else []


def _line(found: Mapping[str, Any]) -> str:
    low, high = found["interval"]
    much = "much was lost: " if found["kept"] < MUCH else ""
    return (
        f"forgetting: {much}on {found['n']} general prompts a token of the base's own answers is {found['kept']:.2g} "
        f"times as likely as before the training [{low:.2g}, {high:.2g}]; {found['same']} of {found['n']} answers are "
        "the same"
    )
