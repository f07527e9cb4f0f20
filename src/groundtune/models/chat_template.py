"""Render messages with a model's own chat template, and find its end-of-turn tokens. Training and inference both use
it, so that they see the same prompts.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from groundtune.errors import need
from groundtune.models.dialects import Marks, dialects

Turn = Mapping[str, str]
"""One message: `role` and `content`."""
MARK = "groundtune"
REASONING_KEYS = ("reasoning_content", "reasoning", "thinking")
"""Keys under which templates look for the thinking of a message."""


class TemplateError(ValueError):
    """The template rejects these messages, or drops one of them."""


def render_prompt(tokenizer: Any, turns: Sequence[Turn]) -> tuple[list[dict[str, str]], str]:
    """Return the messages as the template accepts them, and the prompt rendered from them. Raises TemplateError.

    A system message that the template rejects or drops is prepended to the first user message.
    """
    reason = "it drops a message"
    for variant in ([dict(turn) for turn in turns], _folded(turns)):
        try:
            text = render_messages(tokenizer, variant, opens=True)
        except TemplateError as error:
            reason = str(error)
            continue
        if all(turn["content"].strip() in text for turn in turns if turn["role"] != "assistant"):
            return variant, text
    raise TemplateError(reason)


def render_chat(tokenizer: Any, turns: Sequence[Turn], *, reply: str, reasoning: str = "") -> tuple[str, str]:
    """Render the prompt, and the whole chat with this reply. Raises TemplateError.

    reasoning: the thinking before the reply. If the prompt leaves the model inside its thinking, the reply closes it,
    even where the template drops the tag once a reply follows.
    """
    variant, prompt = render_prompt(tokenizer, turns)
    last = {"role": "assistant", "content": reply} | (dict.fromkeys(REASONING_KEYS, reasoning) if reasoning else {})
    full = render_messages(tokenizer, [*variant, last])
    begin = _reply_start(prompt, full)
    if begin is None and len(variant) > 1:
        # A template may write earlier replies differently once another follows. The last one does not depend on them.
        alone, full = (
            render_messages(tokenizer, variant[-1:], opens=True),
            render_messages(tokenizer, [variant[-1], last]),
        )
        begin = _reply_start(alone, full)
    if begin is None:
        raise TemplateError("it renders the prompt differently once the reply follows")
    return prompt, prompt + _continuation(tokenizer, prompt, full[begin:], reasoning.strip())


def render_messages(tokenizer: Any, messages: Sequence[Turn], *, opens: bool = False) -> str:
    """Render these messages. opens: begin the assistant's turn after them. Raises TemplateError."""
    try:
        text: str = tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=opens)
    except _refusals() as error:
        raise TemplateError(str(error)) from error
    return text


def _reply_start(prompt: str, full: str) -> int | None:
    """Return where the reply begins in the whole chat, before thinking that only the prompt has; None if nowhere."""
    heads, text = [prompt], prompt.rstrip()
    if opened := _opened(prompt):
        heads.append(text.removesuffix(opened.open))
    if closed := _closed(prompt):
        heads.append(text.removesuffix(closed.close).rstrip().removesuffix(closed.open))
    return next((len(head) for head in heads if full.startswith(head)), None)


def _continuation(tokenizer: Any, prompt: str, body: str, reasoning: str) -> str:
    """Return what follows the prompt: the body as the template writes it, with the thinking that it leaves out.

    Raises TemplateError for thinking that the prompt has no place for.
    """
    opened, closed, template = _opened(prompt), _closed(prompt), str(tokenizer.chat_template)
    known = next((marks for marks in dialects().thinking if marks.open in template), dialects().thinking[0])
    marks = opened or closed or known
    begin, end = re.escape(marks.open), re.escape(marks.close)
    block = re.match(rf"\s*(?P<opens>{begin}\s*)?(?:{re.escape(reasoning)})?\s*{end}\s*", body)
    rest = body[block.end() :] if block else body
    if closed:
        if reasoning:
            raise TemplateError(f"its prompt ends in {marks.close}, which leaves no place for the row's reasoning")
        return rest
    if reasoning in body and (not opened or (block and not block["opens"])):
        return body
    opening = "" if opened else f"{marks.open}\n"
    return f"{opening}{reasoning}\n{marks.close}\n\n{rest}"


def _opened(prompt: str) -> Marks | None:
    """Return the marks of the thinking that a prompt leaves open, so that the model has to close it."""
    return next((marks for marks in dialects().thinking if prompt.rstrip().endswith(marks.open)), None)


def _closed(prompt: str) -> Marks | None:
    """Return the marks of the thinking with which a prompt ends, so that the model answers at once."""
    return next((marks for marks in dialects().thinking if prompt.rstrip().endswith(marks.close)), None)


def decode_reply(tokenizer: Any, tokens: Sequence[int], *, prompt: str) -> str:
    """Decode a reply without special tokens, except for those that mark its thinking.

    prompt: as it was rendered; the mark with which it leaves the model inside its thinking is put before the reply.
    """
    special, opened = set(tokenizer.all_special_ids), _opened(prompt)
    written = [tokenizer.decode([token]) if token in special else "" for token in tokens]
    kept = [token for token, text in zip(tokens, written, strict=True) if not text or _marks_thinking(text)]
    text: str = tokenizer.decode(kept, clean_up_tokenization_spaces=False)
    return f"{opened.open}{text}" if opened else text


def _marks_thinking(token: str) -> bool:
    """Whether a special token is part of the marks around a model's thinking."""
    table = dialects()
    marks = [text for pair in table.thinking for text in (pair.open, pair.close)]
    return any(token in text for text in (*marks, *table.channels.ends, table.channels.header.replace("\\", "")))


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
        text = render_messages(tokenizer, turns)
    except TemplateError:
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
