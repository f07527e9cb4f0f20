"""Generate replies to validation rows with a model under training, and score them. Trains nothing."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from jsonschema import Draft202012Validator
from sacrebleu.metrics.chrf import CHRF

from groundtune.common.json_schema import parse_reply
from groundtune.errors import need
from groundtune.models.chat_template import decode_reply
from groundtune.models.reasoning import separate_reasoning
from groundtune.models.shared_beginning import generate_batch
from groundtune.tune.job import TrainingRow
from groundtune.tune.lora.loss_mask import EncodedChat
from groundtune.tune.lora.plan import LoraPlan

CHECKED = 200
"""Validation rows that are answered after each epoch, evenly spread."""
BATCH = 16


def validation_sample(plan: LoraPlan) -> list[tuple[EncodedChat, TrainingRow]]:
    """Return the rows that are answered."""
    pairs = list(zip(plan.validation, plan.validation_rows, strict=True))
    return pairs if len(pairs) <= CHECKED else [pairs[n * len(pairs) // CHECKED] for n in range(CHECKED)]


def score(model: Any, plan: LoraPlan, *, answered: Callable[[int], None] = lambda _: None) -> dict[str, float]:
    """Score generated replies. With a schema: `valid_json` (share of replies that match it) and `exact` (same object).

    An object is read as it is from an answer. With labels: `exact`. Else `exact` and `chrf` (mean, 0 to 1) against the
    expected reply. Empty without rows. answered: is told the number of replies after each batch.
    """
    pairs = validation_sample(plan)
    if not pairs:
        return {}
    chats = [chat for chat, _ in pairs]
    # A reply may be a quarter longer than the longest expected one.
    room = int(1.25 * max(len(chat.token_ids) - chat.reply_start for chat in chats)) + 8
    prompts = [chat.token_ids[: chat.reply_start] for chat in chats]
    replies = [
        decode(ids, plan, prompt=prompt)
        for ids, prompt in zip(generate(model, plan, prompts, room=room, answered=answered), prompts, strict=True)
    ]
    gold = [row.messages[-1]["content"] for _, row in pairs]
    schema = plan.job.details.get("schema")
    if schema:
        return _objects(replies, gold, schema)
    return _texts(replies, gold, alike=not plan.job.details.get("labels"))


def state_sort_key(metrics: Mapping[str, float], *, mode: str) -> tuple[float, ...]:
    """Key for comparing checkpoints, higher is better: first the generation or preference metrics, then the loss."""
    return (*_chosen_by(metrics, mode=mode), -metrics.get("loss", float("inf")))


def describe_no_gain(before: Mapping[str, float], after: Mapping[str, float], *, mode: str) -> tuple[str | None, bool]:
    """Describe a checkpoint that is no better than the base model on the validation rows; also return whether its loss
    is higher too. (None, False) if it is better, or if there are no such rows.
    """
    if not before or not after or _chosen_by(after, mode=mode) > _chosen_by(before, mode=mode):
        return None, False
    names = [name for name in (*_names(after, mode=mode), "loss") if name in before or name in after]
    figures = ", ".join(f"{name} {_figure(before.get(name))} -> {_figure(after.get(name))}" for name in names)
    worse = "loss" in before and after.get("loss", float("inf")) > before["loss"]
    return f"no better than the base model on the validation split: {figures}", worse


def _names(metrics: Mapping[str, float], *, mode: str) -> tuple[str, ...]:
    return ("preferred",) if mode == "dpo" else ("chrf",) if "chrf" in metrics else ("exact", "valid_json")


def _chosen_by(metrics: Mapping[str, float], *, mode: str) -> tuple[float, ...]:
    return tuple(round(metrics.get(name, 0.0), 6) for name in _names(metrics, mode=mode))


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _objects(replies: Sequence[str], gold: Sequence[str], schema: Mapping[str, Any]) -> dict[str, float]:
    check = Draft202012Validator(schema).is_valid
    valid = exact = 0
    for text, expected in zip(map(_answer, replies), gold, strict=True):
        if text.strip() == expected.strip():
            valid, exact = valid + 1, exact + 1
            continue
        try:
            parsed = parse_reply(text, check)
        except ValueError:
            continue
        valid += bool(check(parsed))
        exact += parsed == _parsed(expected)
    return {"valid_json": valid / len(replies), "exact": exact / len(replies)}


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _texts(replies: Sequence[str], gold: Sequence[str], *, alike: bool) -> dict[str, float]:
    """alike: score also how much alike the texts are, for replies that may be worded in several ways."""
    pairs = list(zip(map(_answer, replies), gold, strict=True))
    scores = {"exact": sum(text.strip() == expected.strip() for text, expected in pairs) / len(pairs)}
    if alike:
        chrf = CHRF()
        scores["chrf"] = sum(chrf.sentence_score(text, [expected]).score / 100 for text, expected in pairs) / len(pairs)
    return scores


def _answer(reply: str) -> str:
    """Return a reply without the model's thinking."""
    return separate_reasoning(reply).text


def generate(
    model: Any,
    plan: LoraPlan,
    prompts: Sequence[Sequence[int]],
    *,
    room: int,
    answered: Callable[[int], None] = lambda _: None,
) -> list[list[int]]:
    """Generate greedily, in batches of similar length: at most `room` tokens each, including the end-of-turn token."""
    torch, library = need("torch", extra="local"), need("transformers", extra="local")
    replies: list[list[int]] = [[] for _ in prompts]
    places = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    config = library.GenerationConfig(
        max_new_tokens=room,
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        eos_token_id=list(plan.format.end_ids),
        pad_token_id=plan.format.pad_id,
    )
    training = model.training
    model.eval()
    precision = torch.autocast(plan.device, dtype=torch.bfloat16) if plan.bfloat16 else nullcontext()
    try:
        with torch.inference_mode(), precision:
            for at in range(0, len(places), BATCH):
                batch = places[at : at + BATCH]
                texts = [prompts[place] for place in batch]
                generated = generate_batch(model, torch, texts, pad=plan.format.pad_id, generation_config=config)
                width = max(map(len, texts))
                for place, tokens in zip(batch, generated[:, width:].tolist(), strict=True):
                    end = next((n for n, token in enumerate(tokens) if token in plan.format.end_ids), len(tokens))
                    replies[place] = tokens[: end + 1]
                answered(at + len(batch))
    finally:
        model.train(training)
    return replies


def decode(tokens: Sequence[int], plan: LoraPlan, *, prompt: Sequence[int] = ()) -> str:
    """Decode an answer without its end-of-turn token, and with its thinking. prompt: the tokens before it."""
    content = list(tokens[:-1] if tokens and tokens[-1] in plan.format.end_ids else tokens)
    return decode_reply(plan.format.tokenizer, content, prompt=plan.format.tokenizer.decode(list(prompt)))
