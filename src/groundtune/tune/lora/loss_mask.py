"""Encode a chat as the tokens a causal model is trained on, with its last reply marked. Truncates only if allowed.

The prompt is rendered by `chat_template.py` and tokenized as `models/local_generator.py` does, so that training and
inference see the same tokens. The template needs no assistant mask: whatever follows the rendered prompt is the reply.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from groundtune.common.text import format_count
from groundtune.models.chat_template import TemplateError, Turn, find_end_ids, render_chat
from groundtune.tune.job import TrainingRow, TuneError

TEMPLATE_HINT = "use a base model with a different chat template, or fix these rows"
SHOWN = 5
"""Rows named in an error."""
PADS = ("<pad>", "<|pad|>", "[PAD]", "<|finetune_right_pad_id|>", "<|vision_pad|>", "<|fim_pad|>", "<unk>", "[UNK]")
"""Padding tokens to try, best first, if the tokenizer would pad with an end token."""


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """A model's prompt format, and how its answers end."""

    tokenizer: Any
    end_ids: tuple[int, ...]
    """End-of-turn tokens: the model's, the tokenizer's, the template's."""
    pad_id: int
    """Padding token; never one of `end_ids`."""


@dataclass(frozen=True, slots=True)
class EncodedChat:
    """One row as tokens."""

    id: str
    token_ids: tuple[int, ...]
    reply_start: int
    """Index of the reply's first token; tokens before it are read but not trained on."""
    rejected_ids: tuple[int, ...] | None = None
    """Tokens of the rejected reply of a preference pair."""

    @property
    def longest(self) -> int:
        return max(len(self.token_ids), self.reply_start + len(self.rejected_ids or ()))


def find_chat_format(tokenizer: Any, configured: int | Sequence[int] | None, *, name: str) -> ChatFormat:
    """Find how the model is prompted and ends its answers. configured: `eos_token_id` of the model's configuration.

    Raises TuneError if there is no chat template, no end-of-turn token, or no token to pad with.
    """
    if not tokenizer.chat_template:
        raise TuneError(
            f"{name} has no chat template, so its prompt format is unknown",
            hint="use its instruct or chat variant, or save a chat template beside it",
        )
    ends = tuple(find_end_ids(tokenizer, configured))
    if not ends:
        raise TuneError(f"{name} has no end-of-turn (EOS) token", hint="set eos_token in its tokenizer")
    return ChatFormat(tokenizer, ends, _pad(tokenizer, ends, name=name))


def _pad(tokenizer: Any, ends: Sequence[int], *, name: str) -> int:
    """Choose a padding token. Padding with an end token would teach the model never to stop, or to ignore its end."""
    current = tokenizer.pad_token_id
    if current is not None and current not in ends:
        return int(current)
    vocabulary = tokenizer.get_vocab()
    reserved = sorted(token for token in vocabulary if "reserved" in token.lower() or "unused" in token.lower())
    for token in (*PADS, *reserved):
        if token in vocabulary and vocabulary[token] not in ends:
            return int(vocabulary[token])
    raise TuneError(
        f"the tokenizer of {name} pads with its end-of-turn token and has no other pad token",
        hint="add a separate pad_token, with an embedding row in the model",
    )


def encode(
    rows: Sequence[TrainingRow],
    chat_format: ChatFormat,
    *,
    limit: int | None,
    allow_truncation: int = 0,
    pairs: bool = False,
) -> list[EncodedChat]:
    """Encode the rows as tokens, in order; with `pairs` the rejected reply too.

    limit: maximum tokens of a row; longer rows are truncated at the end if there are at most `allow_truncation` of
    them. Raises TuneError naming rows that have no reply, whose chat does not begin with their prompt, or that are too
    long; and when nothing would teach the model to end its answer.
    """
    problems = [f"row {row.id}: {problem}" for row in rows if (problem := _problem(row, pairs=pairs))]
    if problems:
        raise TuneError(_listed(problems, len(rows)), hint="correct or remove these rows")
    prompts, chosen = _rendered_all(rows, chat_format, [_reply(row) for row in rows], reasoning=True)
    prompt_ids = _tokens(chat_format, prompts)
    replies = _replies(rows, chat_format, prompts, prompt_ids, chosen)
    chats = [
        EncodedChat(row.id, (*ids, *reply), len(ids)) for row, ids, reply in zip(rows, prompt_ids, replies, strict=True)
    ]
    if pairs:
        _, texts = _rendered_all(rows, chat_format, [row.rejected or "" for row in rows])
        rejected_replies = _replies(rows, chat_format, prompts, prompt_ids, texts)
        chats = [replace(chat, rejected_ids=tuple(other)) for chat, other in zip(chats, rejected_replies, strict=True)]
    if chats and not any(chat.token_ids[-1] in chat_format.end_ids for chat in chats):
        raise TuneError(
            "the chat template adds no end-of-turn token after the reply, so the model would never learn to stop",
            hint="use a template that ends the assistant's turn with the model's end token",
        )
    fitted = _fitted(chats, limit, allow_truncation)
    if fitted and not any(chat.token_ids[-1] in chat_format.end_ids for chat in fitted):
        raise TuneError(
            f"truncating at {limit} tokens removes the end-of-turn token from every row, "
            "so the model would never learn to stop",
            hint="raise max_tokens, or shorten the rows",
        )
    return fitted


def _problem(row: TrainingRow, *, pairs: bool) -> str | None:
    turns = row.messages
    if not turns:
        return "it has no messages"
    if turns[-1]["role"] != "assistant":
        return f"its last message is from the {turns[-1]['role']}, not the assistant"
    if len(turns) == 1:
        return "it has no prompt"
    empty = [n for n, turn in enumerate(turns, 1) if turn["role"] == "assistant" and not turn["content"].strip()]
    if empty:
        return f"message {empty[0]}, from the assistant, is empty"
    if pairs and not (row.rejected or "").strip():
        return "it has no rejected reply"
    if pairs and (row.rejected or "").strip() == turns[-1]["content"].strip():
        return "its rejected reply is the same as the chosen one"
    return None


def _reply(row: TrainingRow) -> str:
    return row.messages[-1]["content"]


def _listed(problems: Sequence[str], total: int) -> str:
    more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    return f"{len(problems)} of {format_count(total)} cannot be trained on: {'; '.join(problems[:SHOWN])}{more}"


def _rendered_all(
    rows: Sequence[TrainingRow], chat_format: ChatFormat, replies: Sequence[str], *, reasoning: bool = False
) -> tuple[list[str], list[str]]:
    """Render each prompt, and the text that the template adds after it for the reply.

    reasoning: put the thinking of the row before it.
    """
    prompts, continuations, problems = [], [], []
    for row, reply in zip(rows, replies, strict=True):
        try:
            thought = row.reasoning if reasoning else ""
            prompt, text = render_reply(chat_format.tokenizer, row.messages[:-1], reply=reply, reasoning=thought)
        except TuneError as error:
            problems.append(f"row {row.id}: {error.message}")
            continue
        prompts.append(prompt)
        continuations.append(text)
    if problems:
        raise TuneError(_listed(problems, len(rows)), hint=TEMPLATE_HINT)
    return prompts, continuations


def render_reply(tokenizer: Any, turns: Sequence[Turn], *, reply: str, reasoning: str = "") -> tuple[str, str]:
    """Render the prompt in the model's own format, and the text that its template adds after it for the reply.

    Raises TuneError when the template rejects the messages, or alters prompt or reply.
    """
    try:
        prompt, full = render_chat(tokenizer, turns, reply=reply, reasoning=reasoning)
    except TemplateError as error:
        raise TuneError(f"the chat template rejects it: {error}") from error
    if reply.strip() not in full[len(prompt) :]:
        raise TuneError("the chat template drops part of the reply")
    return prompt, full[len(prompt) :]


def _tokens(chat_format: ChatFormat, texts: Sequence[str]) -> list[list[int]]:
    if not texts:
        return []
    ids: list[list[int]] = chat_format.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return ids


def _replies(
    rows: Sequence[TrainingRow],
    chat_format: ChatFormat,
    prompts: Sequence[str],
    prompt_ids: Sequence[Sequence[int]],
    texts: Sequence[str],
) -> list[list[int]]:
    """Return the tokens of each reply, up to the one that ends it, as they follow the tokens of the prompt.

    Where a token would span the boundary between prompt and reply, the reply is tokenized alone: that is what the model
    has to generate.
    """
    chat_ids = _tokens(chat_format, [prompt + text for prompt, text in zip(prompts, texts, strict=True)])
    replies, problems = [], []
    for row, text, ids, full in zip(rows, texts, prompt_ids, chat_ids, strict=True):
        reply = full[len(ids) :]
        if full[: len(ids)] != list(ids):
            reply = chat_format.tokenizer(text, add_special_tokens=False)["input_ids"]
            if _decoded(chat_format, [*ids, *reply]) != _decoded(chat_format, full):
                problems.append(f"row {row.id}: the tokens of the full chat do not start with the tokens of the prompt")
        last = max((place for place, token in enumerate(reply) if token in chat_format.end_ids), default=len(reply) - 1)
        if not reply:
            problems.append(f"row {row.id}: none of its tokens would be trained on")
        replies.append(list(reply[: last + 1]))
    if problems:
        raise TuneError(_listed(problems, len(rows)), hint=TEMPLATE_HINT)
    return replies


def _decoded(chat_format: ChatFormat, ids: Sequence[int]) -> str:
    text: str = chat_format.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)
    return text


def _fitted(chats: list[EncodedChat], limit: int | None, allowed: int) -> list[EncodedChat]:
    if limit is None:
        return chats
    long = [chat for chat in chats if chat.longest > limit]
    if len(long) > allowed:
        longest = max(long, key=lambda chat: chat.longest)
        raise TuneError(
            f"{len(long)} of {format_count(len(chats))} longer than {limit} tokens; the longest, row {longest.id}, has "
            f"{longest.longest}" + (f"; {allowed} may be truncated" if allowed else ""),
            hint=f"raise max_tokens up to the context window, shorten the rows, or set allow_truncation = {len(long)}",
        )
    emptied = [
        f"row {chat.id}: its prompt alone has {chat.reply_start} tokens" for chat in long if chat.reply_start >= limit
    ]
    if emptied:
        raise TuneError(
            f"truncated at {limit} tokens, nothing is left to train on: {_listed(emptied, len(chats))}",
            hint="raise max_tokens, or remove these rows",
        )
    return [_cut(chat, limit) if chat.longest > limit else chat for chat in chats]


def _cut(chat: EncodedChat, limit: int) -> EncodedChat:
    rejected = None if chat.rejected_ids is None else chat.rejected_ids[: limit - chat.reply_start]
    return replace(chat, token_ids=chat.token_ids[:limit], rejected_ids=rejected)
