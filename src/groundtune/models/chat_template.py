"""Render messages with a model's own chat template, and find its end-of-turn tokens. Training and inference both use
it, so that they see the same prompts.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.errors import need

Turn = Mapping[str, str]
"""One message: `role` and `content`."""
MARK = "groundtune"


class TemplateError(ValueError):
    """The template rejects these messages, or drops one of them."""


def render_prompt(tokenizer: Any, turns: Sequence[Turn]) -> tuple[list[dict[str, str]], str]:
    """Return the messages as the template accepts them, and the prompt rendered from them. Raises TemplateError.

    A system message that the template rejects or drops is prepended to the first user message.
    """
    reason = "it drops a message"
    for variant in ([dict(turn) for turn in turns], _folded(turns)):
        try:
            text: str = tokenizer.apply_chat_template(variant, tokenize=False, add_generation_prompt=True)
        except _refusals() as error:
            reason = str(error)
            continue
        if all(turn["content"].strip() in text for turn in turns if turn["role"] != "assistant"):
            return variant, text
    raise TemplateError(reason)


def render_chat(tokenizer: Any, turns: Sequence[Turn], *, reply: str) -> tuple[str, str]:
    """Render the prompt, and the whole chat with this reply. Raises TemplateError."""
    variant, prompt = render_prompt(tokenizer, turns)
    try:
        full: str = tokenizer.apply_chat_template([*variant, {"role": "assistant", "content": reply}], tokenize=False)
    except _refusals() as error:
        raise TemplateError(str(error)) from error
    return prompt, full


def find_end_ids(tokenizer: Any, configured: int | Sequence[int] | None) -> list[int]:
    """Return the end-of-turn tokens. Sources: the model's configuration, the tokenizer, the template.

    configured: `eos_token_id` of the model's configuration.
    """
    model_ends = configured if isinstance(configured, Sequence) else [configured]
    candidates = (*model_ends, tokenizer.eos_token_id, _end_of_turn(tokenizer))
    return list(dict.fromkeys(int(token) for token in candidates if token is not None))


def _end_of_turn(tokenizer: Any) -> int | None:
    """Return the special token that the template adds after the assistant's message; None when it adds none."""
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": MARK}]
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False)
    except _refusals():
        return None
    _, mark, after = text.rpartition(MARK)
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    ids = tokenizer(after, add_special_tokens=False)["input_ids"] if mark else []
    return next((token for token in ids if token in special), None)


def _folded(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """Prepend the system message to the first user message, for templates without a system role."""
    if len(turns) < 2 or turns[0]["role"] != "system" or turns[1]["role"] != "user":
        return [dict(turn) for turn in turns]
    first = {"role": "user", "content": f"{turns[0]['content']}\n\n{turns[1]['content']}"}
    return [first, *(dict(turn) for turn in turns[2:])]


@functools.cache
def _refusals() -> type[Exception]:
    error: type[Exception] = need("jinja2", extra="local").exceptions.TemplateError
    return error
