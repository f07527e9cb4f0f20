"""Check chat rows as they will be trained on: what is learnt, whether replies end, what fails. Trains nothing.

Rows are rendered and tokenized as in `lora/loss_mask.py`, but all rows that cannot be trained on are reported, not only
the first few.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from groundtune.common.text import format_count
from groundtune.models.dialects import dialects
from groundtune.tune.job import TrainingRow, TuneError
from groundtune.tune.lora.loss_mask import ChatFormat, find_chat_format, render_reply
from groundtune.tune.preflight.findings import PreflightFinding, make_finding
from groundtune.tune.preflight.lengths import more_tokens_hint
from groundtune.tune.preflight.secrets import mask

FIRST = 3
"""Number of rows that are shown as they are trained on."""
CHUNK = 1024
"""Number of rows that are tokenized at a time."""
HINT = "fix or remove these rows"


@dataclass(frozen=True, slots=True)
class RenderedRow:
    """One row as it is trained on; what looks like a secret or personal data is masked (`secrets.mask`)."""

    id: str
    prompt: str
    """Text that is read but not trained on."""
    trained: str
    cut: str
    """Text beyond the limit; empty when the row fits."""
    tokens: int
    trained_tokens: int
    rejected: str = ""
    """Rejected reply; for preferences only."""


@dataclass(frozen=True, slots=True)
class ChatReport:
    """Result for the rows of one split."""

    tokens: Mapping[str, int] = field(default_factory=dict)
    """Tokens of each row that can be rendered, by id, including the reply and its end."""
    starts: Mapping[str, int] = field(default_factory=dict)
    """Tokens before the reply, by id."""
    shown: tuple[RenderedRow, ...] = ()
    findings: tuple[PreflightFinding, ...] = ()


def check_structure(rows: Sequence[TrainingRow], *, split: str, pairs: bool = False) -> list[PreflightFinding]:
    """Find rows that are not a chat with a reply at the end; needs no tokenizer. pairs: require a rejected reply."""
    ids_by_problem: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if problem := _problem(row, pairs=pairs):
            ids_by_problem[problem].append(row.id)
    hints = {"has an empty assistant turn": "fill it in, or remove these rows"}
    return [
        make_finding(
            "error",
            "chat",
            f"{split}: {format_count(len(ids))}: the chat {problem}",
            hint=hints.get(problem, HINT),
            rows=ids,
        )
        for problem, ids in ids_by_problem.items()
    ]


def is_chat(row: TrainingRow, *, pairs: bool = False) -> bool:
    """Whether `check_structure` finds no problem with the row."""
    return _problem(row, pairs=pairs) is None


def check_format(tokenizer: Any, ends: Sequence[int], *, name: str) -> tuple[ChatFormat | None, list[PreflightFinding]]:
    """Find how the model is prompted and ends its answers; None when nothing can be trained on.

    ends: end-of-turn tokens according to the model's own files. name: name of the base model.
    """
    try:
        chat_format = find_chat_format(tokenizer, ends, name=name)
    except TuneError as error:
        return None, [make_finding("error", "template", error.message, hint=error.hint)]
    findings = []
    if tokenizer.pad_token_id in chat_format.end_ids:
        current, other = _token(tokenizer, tokenizer.pad_token_id), _token(tokenizer, chat_format.pad_id)
        message = f"the tokenizer pads with {current}, an end-of-turn token; {other} is used for padding instead"
        findings.append(make_finding("note", "template", message))
    if "{% generation" not in _template(tokenizer) and "{%- generation" not in _template(tokenizer):
        message = "the template marks no assistant turns; whatever follows the rendered prompt is trained on"
        findings.append(make_finding("note", "template", message))
    return chat_format, findings


def check_thinking(rows: Sequence[TrainingRow], tokenizer: Any) -> list[PreflightFinding]:
    """Find rows whose thinking is not trained on, and models that learn to think sometimes or no more.

    tokenizer: None if the provider of the model renders the chats, which have no place for thinking.
    """
    thinking = [row.id for row in rows if row.reasoning]
    count = f"{len(thinking):,} of {format_count(len(rows), 'row')}"
    if tokenizer is None:
        message = f"train: the thinking of {count} is left out: the provider's format has no place for it"
        return [make_finding("warning", "thinking", message, rows=thinking)] if thinking else []
    if not thinking:
        marks = any(marks.open in _template(tokenizer) for marks in dialects().thinking)
        message = "the base model can think before it answers, and no row shows it: the model learns to answer at once"
        return [make_finding("note", "thinking", message)] if marks and rows else []
    if len(thinking) < len(rows):
        message = (
            f"train: {count} have thinking before the reply, so the model learns to think before some replies only"
        )
        hint = "give all rows a reasoning, or none"
        return [make_finding("warning", "thinking", message, hint=hint, rows=thinking)]
    return [make_finding("note", "thinking", "train: every row has thinking before its reply, which is trained on")]


def check_rendering(
    rows: Sequence[TrainingRow],
    chat_format: ChatFormat,
    *,
    split: str,
    limit: int | None,
    capped: bool = False,
    pairs: bool = False,
    first: int = FIRST,
) -> ChatReport:
    """Render and tokenize the rows, which must be chats, and find what cannot be trained on.

    limit: maximum tokens of a row. capped: the limit is the base model's. pairs: show the rejected reply too.
    """
    texts, findings = _texts(rows, chat_format, split)
    tokens: dict[str, int] = {}
    starts: dict[str, int] = {}
    ended: list[str] = []
    empty: list[str] = []
    shown: list[RenderedRow] = []
    for name, prompt, reply in _pieces(texts, chat_format):
        tokens[name], starts[name] = len(prompt) + len(reply), len(prompt)
        if not reply:
            empty.append(name)
        elif reply[-1] in chat_format.end_ids:
            ended.append(name)
        if len(shown) < first:
            shown.append(_shown(name, chat_format, prompt, reply, limit))
    if empty:
        message = f"{split}: {format_count(len(empty))} with nothing left to train on"
        findings.append(make_finding("error", "template", message, hint=HINT, rows=empty))
    findings += _ends(tokens, ended, limit, split, more_tokens_hint(capped=capped))
    if pairs:
        rejected = {row.id: row.rejected or "" for row in rows}
        shown = [replace(row, rejected=mask(rejected[row.id])[0]) for row in shown]
    return ChatReport(tokens, starts, tuple(shown), tuple(findings))


def _pieces(
    texts: Mapping[str, tuple[str, str]], chat_format: ChatFormat
) -> Iterator[tuple[str, list[int], list[int]]]:
    """Yield id, prompt tokens and reply tokens of each row, in chunks to bound memory."""
    names = list(texts)
    for start in range(0, len(names), CHUNK):
        chunk = names[start : start + CHUNK]
        prompts = _tokens(chat_format, [texts[name][0] for name in chunk])
        chats = _tokens(chat_format, ["".join(texts[name]) for name in chunk])
        for name, ids, full in zip(chunk, prompts, chats, strict=True):
            yield name, ids, _reply(chat_format, ids, full, texts[name][1])


def _problem(row: TrainingRow, *, pairs: bool) -> str | None:
    turns = row.messages
    if not turns:
        return "has no messages"
    if turns[-1].get("role") != "assistant":
        return "does not end with an assistant turn"
    if len(turns) == 1:
        return "has no user turn"
    if any(not turn.get("content", "").strip() for turn in turns if turn.get("role") == "assistant"):
        return "has an empty assistant turn"
    if pairs and not (row.rejected or "").strip():
        return "has no rejected reply"
    if pairs and (row.rejected or "").strip() == turns[-1]["content"].strip():
        return "has the same chosen and rejected reply"
    return None


def _texts(
    rows: Sequence[TrainingRow], chat_format: ChatFormat, split: str
) -> tuple[dict[str, tuple[str, str]], list[PreflightFinding]]:
    """Render prompt and continuation of each row, by id; rows that the template alters are left out and reported."""
    rendered_rows: dict[str, tuple[str, str]] = {}
    ids_by_problem: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        try:
            rendered_rows[row.id] = render_reply(
                chat_format.tokenizer,
                row.messages[:-1],
                reply=row.messages[-1]["content"],
                reasoning=row.reasoning,
            )
        except TuneError as error:
            ids_by_problem[error.message].append(row.id)
    hint = "use a base model with a different chat template, or fix these rows"
    findings = [
        make_finding("error", "template", f"{split}: {format_count(len(ids))}: {problem}", hint=hint, rows=ids)
        for problem, ids in ids_by_problem.items()
    ]
    return rendered_rows, findings


def _reply(chat_format: ChatFormat, prompt: Sequence[int], chat: Sequence[int], text: str) -> list[int]:
    """Return the tokens of the reply up to its end token; tokenized alone where a token would span its beginning."""
    reply = list(chat[len(prompt) :])
    if list(chat[: len(prompt)]) != list(prompt):
        reply = chat_format.tokenizer(text, add_special_tokens=False)["input_ids"]
    last = max((place for place, token in enumerate(reply) if token in chat_format.end_ids), default=len(reply) - 1)
    return reply[: last + 1]


def _ends(
    tokens: Mapping[str, int], ended: Sequence[str], limit: int | None, split: str, room: str
) -> list[PreflightFinding]:
    """Check that the model can learn to stop. room: how to make room for more tokens."""
    if not tokens:
        return []
    if not ended:
        message = (
            f"{split}: the template adds no end-of-turn token after any reply, so the model would never learn to stop"
        )
        hint = "use a template that ends the assistant's turn with the model's end token"
        return [make_finding("error", "template", message, hint=hint)]
    complete = [name for name in ended if limit is None or tokens[name] <= limit]
    if not complete:
        message = f"{split}: the end of the turn is truncated in every row, so the model would never learn to stop"
        return [make_finding("error", "template", message, hint=f"{room}, or shorten the rows")]
    without = sorted(tokens.keys() - set(ended))
    if without:
        message = f"{split}: {format_count(len(without))} whose reply does not end with an end-of-turn token"
        return [make_finding("warning", "template", message, hint="check how the template renders them", rows=without)]
    return []


def _shown(
    name: str, chat_format: ChatFormat, prompt: Sequence[int], reply: Sequence[int], limit: int | None
) -> RenderedRow:
    ids = [*prompt, *reply]
    end = len(ids) if limit is None else min(limit, len(ids))
    start = min(len(prompt), end)
    before, trained, cut = mask(*(_decoded(chat_format, part) for part in (ids[:start], ids[start:end], ids[end:])))
    return RenderedRow(name, before, trained, cut, tokens=len(ids), trained_tokens=end - start)


def _decoded(chat_format: ChatFormat, ids: Sequence[int]) -> str:
    return str(chat_format.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _tokens(chat_format: ChatFormat, texts: Sequence[str]) -> list[list[int]]:
    ids: list[list[int]] = chat_format.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return ids


def _token(tokenizer: Any, token: int) -> str:
    return str(tokenizer.convert_ids_to_tokens(token))


def _template(tokenizer: Any) -> str:
    """Return the chat template; the default one of several."""
    template = tokenizer.chat_template
    return str(template.get("default", "")) if isinstance(template, dict) else str(template or "")
