"""A chat as the tokens that a causal model is trained on, its last reply marked. Never cuts one without leave.

The prompt is rendered by `chat_template.py` and tokenized as `models/local.py` does when it asks, so that what is
trained is what is asked. The template needs no assistant mask: what stands behind the rendered prompt is the reply.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from groundtune.chat_template import TemplateError, Turn, ends_of, replied
from groundtune.tune.job import Row, TuneError

SHOWN = 5
"""Rows that an error names."""
PADS = ("<pad>", "<|pad|>", "[PAD]", "<|finetune_right_pad_id|>", "<|vision_pad|>", "<|fim_pad|>", "<unk>", "[UNK]")
"""Tokens that may pad where the tokenizer names none but its end, best first."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a model is asked, and how its answers end."""

    tokenizer: Any
    ends: tuple[int, ...]
    """Tokens that end an answer: the model's, the tokenizer's, the template's."""
    pad: int
    """None of the ends."""


@dataclass(frozen=True, slots=True)
class Chat:
    """One row as tokens."""

    id: str
    ids: tuple[int, ...]
    start: int
    """Where the reply begins; what stands before is read and not trained."""
    rejected: tuple[int, ...] | None = None
    """Tokens of the reply that a person replaced."""

    @property
    def longest(self) -> int:
        return max(len(self.ids), self.start + len(self.rejected or ()))


def find_format(tokenizer: Any, configured: int | Sequence[int] | None, *, name: str) -> Format:
    """configured: `eos_token_id` of the model's configuration.

    Raises TuneError without a chat template, an end, or a token that can pad.
    """
    if not tokenizer.chat_template:
        raise TuneError(
            f"{name} has no chat template, so nobody knows how it is to be asked",
            hint="take its instruct or chat variant, or save the template that it should be asked with beside it",
        )
    ends = tuple(ends_of(tokenizer, configured))
    if not ends:
        raise TuneError(f"{name} has no token that ends an answer", hint="give its tokenizer an eos_token")
    return Format(tokenizer, ends, _pad(tokenizer, ends, name=name))


def _pad(tokenizer: Any, ends: Sequence[int], *, name: str) -> int:
    """Padding that ends an answer would teach a model never to stop, or to be blind to its end."""
    own = tokenizer.pad_token_id
    if own is not None and own not in ends:
        return int(own)
    vocabulary = tokenizer.get_vocab()
    reserved = sorted(token for token in vocabulary if "reserved" in token.lower() or "unused" in token.lower())
    for token in (*PADS, *reserved):
        if token in vocabulary and vocabulary[token] not in ends:
            return int(vocabulary[token])
    raise TuneError(
        f"the tokenizer of {name} pads with the token that ends an answer, and has no other that could",
        hint="give it a pad_token of its own, and the model a row for it",
    )


def encode(
    rows: Sequence[Row], form: Format, *, limit: int | None, allow_truncation: int = 0, pairs: bool = False
) -> list[Chat]:
    """The rows as tokens, in order; with `pairs` the rejected reply too.

    limit: tokens of the longest row; longer ones are cut at their end when no more than `allow_truncation` are.
    Raises TuneError that names rows without a reply, whose prompt is not how their chat begins, or that are too long;
    and when nothing would teach the model to end its answer.
    """
    wrong = [f"row {row.id}: {said}" for row in rows if (said := _wrong(row, pairs=pairs))]
    if wrong:
        raise TuneError(_listed(wrong, len(rows)), hint="correct or remove these rows")
    prompts, chosen = _rendered_all(rows, form, [_reply(row) for row in rows])
    asked = _tokens(form, prompts)
    replies = _replies(rows, form, prompts, asked, chosen)
    chats = [Chat(row.id, (*ids, *reply), len(ids)) for row, ids, reply in zip(rows, asked, replies, strict=True)]
    if pairs:
        _, texts = _rendered_all(rows, form, [row.rejected or "" for row in rows])
        others = _replies(rows, form, prompts, asked, texts)
        chats = [replace(chat, rejected=tuple(other)) for chat, other in zip(chats, others, strict=True)]
    if chats and not any(chat.ids[-1] in form.ends for chat in chats):
        raise TuneError(
            "the chat template sets no token that ends a turn behind the reply: the model would never learn to stop",
            hint="take a template that ends the assistant's turn with the model's end token",
        )
    fitted = _fitted(chats, limit, allow_truncation)
    if fitted and not any(chat.ids[-1] in form.ends for chat in fitted):
        raise TuneError(
            f"cut at {limit} tokens, the end of the turn is lost in every row: the model would never learn to stop",
            hint="raise max_tokens, or shorten the rows",
        )
    return fitted


def marked(chat: Chat, form: Format) -> str:
    """The rendered chat with what is trained between ⟦ and ⟧."""
    before, after = (form.tokenizer.decode(list(ids)) for ids in (chat.ids[: chat.start], chat.ids[chat.start :]))
    return f"{before}⟦{after}⟧"


def _wrong(row: Row, *, pairs: bool) -> str | None:
    turns = row.messages
    if not turns:
        return "it has no messages"
    if turns[-1]["role"] != "assistant":
        return f"its last message is of the {turns[-1]['role']}, not of the assistant"
    if len(turns) == 1:
        return "nothing was asked"
    empty = [n for n, turn in enumerate(turns, 1) if turn["role"] == "assistant" and not turn["content"].strip()]
    if empty:
        return f"message {empty[0]}, of the assistant, is empty"
    if pairs and not (row.rejected or "").strip():
        return "it has no rejected reply"
    if pairs and (row.rejected or "").strip() == turns[-1]["content"].strip():
        return "its rejected reply is the chosen one"
    return None


def _reply(row: Row) -> str:
    return row.messages[-1]["content"]


def _listed(wrong: Sequence[str], total: int) -> str:
    more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    return f"{len(wrong)} of {total} rows cannot be trained on: {'; '.join(wrong[:SHOWN])}{more}"


def _rendered_all(rows: Sequence[Row], form: Format, replies: Sequence[str]) -> tuple[list[str], list[str]]:
    """Prompt, and what the template sets behind it for the reply."""
    prompts, behind, wrong = [], [], []
    for row, reply in zip(rows, replies, strict=True):
        try:
            prompt, text = rendered(form.tokenizer, row.messages[:-1], reply=reply)
        except TuneError as error:
            wrong.append(f"row {row.id}: {error.message}")
            continue
        prompts.append(prompt)
        behind.append(text)
    if wrong:
        raise TuneError(_listed(wrong, len(rows)), hint="take a base with another chat template, or fix these rows")
    return prompts, behind


def rendered(tokenizer: Any, turns: Sequence[Turn], *, reply: str) -> tuple[str, str]:
    """The prompt in the model's own format, and what its template sets behind it for the reply.

    Raises TuneError when the template refuses, or makes something else of prompt or reply.
    """
    try:
        prompt, full = replied(tokenizer, turns, reply=reply)
    except TemplateError as error:
        raise TuneError(f"the chat template refuses it: {error}") from error
    if not full.startswith(prompt):
        raise TuneError("the chat template renders the prompt otherwise once the reply follows")
    if reply.strip() not in full[len(prompt) :]:
        raise TuneError("the chat template leaves out part of the reply")
    return prompt, full[len(prompt) :]


def _tokens(form: Format, texts: Sequence[str]) -> list[list[int]]:
    if not texts:
        return []
    ids: list[list[int]] = form.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return ids


def _replies(
    rows: Sequence[Row],
    form: Format,
    prompts: Sequence[str],
    asked: Sequence[Sequence[int]],
    texts: Sequence[str],
) -> list[list[int]]:
    """Tokens of each reply up to the one that ends it, as they follow the tokens of the prompt.

    Where a token would reach over the border between them, the reply is tokenized alone: that is what the model has to
    say when it is asked.
    """
    whole = _tokens(form, [prompt + text for prompt, text in zip(prompts, texts, strict=True)])
    replies, wrong = [], []
    for row, text, ids, full in zip(rows, texts, asked, whole, strict=True):
        reply = full[len(ids) :]
        if full[: len(ids)] != list(ids):
            reply = form.tokenizer(text, add_special_tokens=False)["input_ids"]
            if _decoded(form, [*ids, *reply]) != _decoded(form, full):
                wrong.append(f"row {row.id}: the tokens of its prompt are not those with which its chat begins")
        last = max((place for place, token in enumerate(reply) if token in form.ends), default=len(reply) - 1)
        if not reply:
            wrong.append(f"row {row.id}: none of its tokens would be trained")
        replies.append(list(reply[: last + 1]))
    if wrong:
        raise TuneError(_listed(wrong, len(rows)), hint="take a base with another chat template, or fix these rows")
    return replies


def _decoded(form: Format, ids: Sequence[int]) -> str:
    text: str = form.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)
    return text


def _fitted(chats: list[Chat], limit: int | None, allowed: int) -> list[Chat]:
    if limit is None:
        return chats
    long = [chat for chat in chats if chat.longest > limit]
    if len(long) > allowed:
        longest = max(long, key=lambda chat: chat.longest)
        raise TuneError(
            f"{len(long)} of {len(chats)} rows are longer than {limit} tokens; the longest, row {longest.id}, has "
            f"{longest.longest}" + (f"; {allowed} may be cut" if allowed else ""),
            hint=f"raise max_tokens as far as the base goes, shorten the rows, or allow_truncation = {len(long)}",
        )
    lost = [f"row {chat.id}: its prompt alone has {chat.start} tokens" for chat in long if chat.start >= limit]
    if lost:
        raise TuneError(
            f"cut at {limit} tokens, nothing is left to train: {_listed(lost, len(chats))}",
            hint="raise max_tokens, or remove these rows",
        )
    return [_cut(chat, limit) if chat.longest > limit else chat for chat in chats]


def _cut(chat: Chat, limit: int) -> Chat:
    rejected = None if chat.rejected is None else chat.rejected[: limit - chat.start]
    return replace(chat, ids=chat.ids[:limit], rejected=rejected)
