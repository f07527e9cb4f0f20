"""Chat rows as they will be trained on: what is learnt, whether the end is, what the template refuses. Trains nothing.

Rendering and tokens are those of `chat.py`; here every row that cannot be trained on is found, not only the first few.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from groundtune.tune.chat import Format, find_format, rendered
from groundtune.tune.job import Row, TuneError
from groundtune.tune.preflight.findings import Finding, counted, finding
from groundtune.tune.preflight.lengths import longer
from groundtune.tune.preflight.secrets import masked

FIRST = 3
"""Rows that are shown as they are trained on."""
CHUNK = 1024
"""Rows that are tokenized at a time."""
HINT = "fix or remove these rows"
LEFT, RIGHT = "⟦", "⟧"


@dataclass(frozen=True, slots=True)
class Shown:
    """One row as it is trained on; what looks like a secret or personal data is masked (`secrets.masked`)."""

    id: str
    prompt: str
    """What is read and not trained."""
    trained: str
    cut: str
    """What the limit takes away; empty when the row fits."""
    tokens: int
    trained_tokens: int
    rejected: str = ""
    """The reply that it learns to prefer the other one to; of preferences only."""

    @property
    def marked(self) -> str:
        """Prompt, what is trained between ⟦ and ⟧, and what is cut off between ✂ and the end; then what is rejected."""
        learnt = f"{self.prompt}{LEFT}{self.trained}{RIGHT}" + (f"✂{self.cut}" if self.cut else "")
        return learnt + (f"\nrather than {LEFT}{self.rejected}{RIGHT}" if self.rejected else "")


@dataclass(frozen=True, slots=True)
class Chats:
    """What the rows of one split come to."""

    tokens: Mapping[str, int] = field(default_factory=dict)
    """Of each row that can be rendered, by id, reply and its end included."""
    starts: Mapping[str, int] = field(default_factory=dict)
    """Tokens before the reply."""
    ended: frozenset[str] = frozenset()
    """Rows whose reply ends with a token that ends an answer."""
    shown: tuple[Shown, ...] = ()
    findings: tuple[Finding, ...] = ()


def structure(rows: Sequence[Row], *, split: str, pairs: bool = False) -> list[Finding]:
    """Rows that are no chat with a reply at its end; needs no tokenizer. pairs: a rejected reply is needed too."""
    wrong: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        if said := _wrong(row, pairs=pairs):
            wrong[said].append(row.id)
    hints = {"has an empty assistant turn": "fill it in, or remove these rows"}
    return [
        finding("error", "chat", f"{split}: {counted(len(ids))}: the chat {said}", hint=hints.get(said, HINT), rows=ids)
        for said, ids in wrong.items()
    ]


def is_chat(row: Row, *, pairs: bool = False) -> bool:
    """Whether `structure` finds nothing wrong with it."""
    return _wrong(row, pairs=pairs) is None


def look_at_format(tokenizer: Any, ends: Sequence[int], *, name: str) -> tuple[Format | None, list[Finding]]:
    """How the model is asked and ends its answers; None when nothing can be trained on.

    ends: tokens with which the model ends an answer by its own files. name: of the base.
    """
    try:
        form = find_format(tokenizer, ends, name=name)
    except TuneError as error:
        return None, [finding("error", "template", error.message, hint=error.hint)]
    findings = []
    if tokenizer.pad_token_id in form.ends:
        own, other = _token(tokenizer, tokenizer.pad_token_id), _token(tokenizer, form.pad)
        message = f"the tokenizer pads with {own}, which ends an answer; {other} pads here instead"
        findings.append(finding("note", "template", message))
    if "{% generation" not in _template(tokenizer) and "{%- generation" not in _template(tokenizer):
        message = "the template marks no assistant turns; what stands behind the rendered prompt is trained"
        findings.append(finding("note", "template", message))
    return form, findings


def look(
    rows: Sequence[Row],
    form: Format,
    *,
    split: str,
    limit: int | None,
    capped: bool = False,
    pairs: bool = False,
    first: int = FIRST,
) -> Chats:
    """rows: those that are chats. limit: tokens that are taken of a row. capped: the base reads no more than these.
    pairs: the rejected reply is shown too.
    """
    texts, findings = _texts(rows, form, split)
    tokens: dict[str, int] = {}
    starts: dict[str, int] = {}
    ended: list[str] = []
    empty: list[str] = []
    shown: list[Shown] = []
    for name, asked, reply in _pieces(texts, form):
        tokens[name], starts[name] = len(asked) + len(reply), len(asked)
        if not reply:
            empty.append(name)
        elif reply[-1] in form.ends:
            ended.append(name)
        if len(shown) < first:
            shown.append(_shown(name, form, asked, reply, limit))
    if empty:
        message = f"{split}: {counted(len(empty))} of which no token is trained"
        findings.append(finding("error", "template", message, hint=HINT, rows=empty))
    findings += _ends(tokens, ended, limit, split, longer(capped=capped))
    if pairs:
        rejected = {row.id: row.rejected or "" for row in rows}
        shown = [replace(one, rejected=masked(rejected[one.id])[0]) for one in shown]
    return Chats(tokens, starts, frozenset(ended), tuple(shown), tuple(findings))


def _pieces(texts: Mapping[str, tuple[str, str]], form: Format) -> Iterator[tuple[str, list[int], list[int]]]:
    """Id, tokens of the prompt and of the reply; a chunk at a time, which bounds memory."""
    names = list(texts)
    for start in range(0, len(names), CHUNK):
        chunk = names[start : start + CHUNK]
        asked = _tokens(form, [texts[name][0] for name in chunk])
        whole = _tokens(form, ["".join(texts[name]) for name in chunk])
        for name, ids, full in zip(chunk, asked, whole, strict=True):
            yield name, ids, _reply(form, ids, full, texts[name][1])


def _wrong(row: Row, *, pairs: bool) -> str | None:
    turns = row.messages
    if not turns:
        return "has no messages"
    if turns[-1].get("role") != "assistant":
        return "does not end with the assistant"
    if len(turns) == 1:
        return "asks nothing"
    if any(not turn.get("content", "").strip() for turn in turns if turn.get("role") == "assistant"):
        return "has an empty assistant turn"
    if pairs and not (row.rejected or "").strip():
        return "has no rejected reply"
    if pairs and (row.rejected or "").strip() == turns[-1]["content"].strip():
        return "rejects the reply that it prefers"
    return None


def _texts(rows: Sequence[Row], form: Format, split: str) -> tuple[dict[str, tuple[str, str]], list[Finding]]:
    """Prompt and what follows it, by id; rows that the template makes something else of are left out, and said."""
    found: dict[str, tuple[str, str]] = {}
    wrong: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        try:
            found[row.id] = rendered(form.tokenizer, row.messages[:-1], reply=row.messages[-1]["content"])
        except TuneError as error:
            wrong[error.message].append(row.id)
    hint = "take a base with another chat template, or fix these rows"
    findings = [
        finding("error", "template", f"{split}: {counted(len(ids))}: {said}", hint=hint, rows=ids)
        for said, ids in wrong.items()
    ]
    return found, findings


def _reply(form: Format, asked: Sequence[int], whole: Sequence[int], text: str) -> list[int]:
    """Tokens of the reply up to the one that ends it; alone where a token would reach over its beginning."""
    reply = list(whole[len(asked) :])
    if list(whole[: len(asked)]) != list(asked):
        reply = form.tokenizer(text, add_special_tokens=False)["input_ids"]
    last = max((place for place, token in enumerate(reply) if token in form.ends), default=len(reply) - 1)
    return reply[: last + 1]


def _ends(tokens: Mapping[str, int], ended: Sequence[str], limit: int | None, split: str, room: str) -> list[Finding]:
    """Whether the model can learn to stop. room: what makes room for more tokens."""
    if not tokens:
        return []
    if not ended:
        message = f"{split}: the template sets no token that ends a turn behind any reply: it would never learn to stop"
        hint = "take a template that ends the assistant's turn with the model's end token"
        return [finding("error", "template", message, hint=hint)]
    kept = [name for name in ended if limit is None or tokens[name] <= limit]
    if not kept:
        message = f"{split}: the end of the turn is cut off in every row: it would never learn to stop"
        return [finding("error", "template", message, hint=f"{room}, or shorten the rows")]
    without = sorted(tokens.keys() - set(ended))
    if without:
        message = f"{split}: {counted(len(without))} whose reply does not end with a token that ends a turn"
        return [finding("warning", "template", message, hint="look at how the template renders them", rows=without)]
    return []


def _shown(name: str, form: Format, asked: Sequence[int], reply: Sequence[int], limit: int | None) -> Shown:
    ids = [*asked, *reply]
    end = len(ids) if limit is None else min(limit, len(ids))
    start = min(len(asked), end)
    before, trained, cut = masked(*(_decoded(form, part) for part in (ids[:start], ids[start:end], ids[end:])))
    return Shown(name, before, trained, cut, tokens=len(ids), trained_tokens=end - start)


def _decoded(form: Format, ids: Sequence[int]) -> str:
    return str(form.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _tokens(form: Format, texts: Sequence[str]) -> list[list[int]]:
    ids: list[list[int]] = form.tokenizer(list(texts), add_special_tokens=False)["input_ids"]
    return ids


def _token(tokenizer: Any, token: int) -> str:
    return str(tokenizer.convert_ids_to_tokens(token))


def _template(tokenizer: Any) -> str:
    """Of several by name the default one."""
    template = tokenizer.chat_template
    return str(template.get("default", "")) if isinstance(template, dict) else str(template or "")
