"""A model's own chat template: what it makes of messages, and which tokens end a turn. Whoever trains a model and
whoever asks it read it here, so that what is trained is what is asked.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.errors import need

Turn = Mapping[str, str]
"""`role` and `content`."""
MARK = "groundtune"


class TemplateError(ValueError):
    """The template refuses these messages, or leaves one of them out."""


def prompted(tokenizer: Any, turns: Sequence[Turn]) -> tuple[list[dict[str, str]], str]:
    """The messages as the template takes them, and the prompt it makes of them. Raises TemplateError.

    A system message that the template refuses or drops is put before the first message of the user.
    """
    said = "it leaves out a message"
    for form in ([dict(turn) for turn in turns], _folded(turns)):
        try:
            text: str = tokenizer.apply_chat_template(form, tokenize=False, add_generation_prompt=True)
        except _refusals() as error:
            said = str(error)
            continue
        if all(turn["content"].strip() in text for turn in turns if turn["role"] != "assistant"):
            return form, text
    raise TemplateError(said)


def replied(tokenizer: Any, turns: Sequence[Turn], *, reply: str) -> tuple[str, str]:
    """The prompt, and the whole chat with this reply. Raises TemplateError."""
    form, prompt = prompted(tokenizer, turns)
    try:
        full: str = tokenizer.apply_chat_template([*form, {"role": "assistant", "content": reply}], tokenize=False)
    except _refusals() as error:
        raise TemplateError(str(error)) from error
    return prompt, full


def ends_of(tokenizer: Any, configured: int | Sequence[int] | None) -> list[int]:
    """Tokens that end an answer: the model's (`eos_token_id` of its configuration), the tokenizer's, the template's."""
    own = configured if isinstance(configured, Sequence) else [configured]
    every = (*own, tokenizer.eos_token_id, _end_of_turn(tokenizer))
    return list(dict.fromkeys(int(token) for token in every if token is not None))


def _end_of_turn(tokenizer: Any) -> int | None:
    """The special token that the template sets behind what the assistant said."""
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": MARK}]
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False)
    except _refusals():
        return None
    _, found, after = text.rpartition(MARK)
    special = {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}
    ids = tokenizer(after, add_special_tokens=False)["input_ids"] if found else []
    return next((token for token in ids if token in special), None)


def _folded(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """For templates without a system role: what it says, put before the first message of the user."""
    if len(turns) < 2 or turns[0]["role"] != "system" or turns[1]["role"] != "user":
        return [dict(turn) for turn in turns]
    first = {"role": "user", "content": f"{turns[0]['content']}\n\n{turns[1]['content']}"}
    return [first, *(dict(turn) for turn in turns[2:])]


@functools.cache
def _refusals() -> type[Exception]:
    error: type[Exception] = need("jinja2", extra="local").exceptions.TemplateError
    return error
