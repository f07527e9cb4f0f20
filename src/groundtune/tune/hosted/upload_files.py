"""Turn rows into the files that a fine-tuning API takes, and estimate their size. Sends nothing."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from groundtune.common.files import write_atomic
from groundtune.common.text import format_count
from groundtune.tune.hosted.providers import Provider
from groundtune.tune.job import Job, TrainingRow, TuneError

BYTES_PER_TOKEN = 4
"""Estimate for English."""
MESSAGE_TOKENS = 16
"""Upper bound on the tokens for a message's role and delimiters."""
SHOWN_ROWS = 5


def write_files(job: Job, provider: Provider) -> dict[str, Path]:
    """Write `upload-train.jsonl` and, with rows, `upload-validation.jsonl`; paths by split. Raises TuneError."""
    train, validation = job.rows("train"), job.rows("validation")
    if len(train) < provider.min_examples:
        count = format_count(len(train), "training example")
        message = f"{count}; {provider.name} requires at least {provider.min_examples}"
        raise TuneError(message, hint="add examples to the train split")
    check_rows(train + validation, method=job.settings["method"])
    return {
        split: _written(job, provider, split, rows)
        for split, rows in (("train", train), ("validation", validation))
        if rows
    }


def check_rows(rows: Sequence[TrainingRow], *, method: str) -> None:
    """Raise TuneError naming the rows that cannot be sent."""
    if ids := [row.id for row in rows if not _ends_in_reply(row)]:
        message = f"{format_count(len(ids))} without an assistant reply at the end: {_some(ids)}"
        raise TuneError(message, hint="give them an output, or remove them from the split")
    if method == "dpo" and (ids := [row.id for row in rows if not (row.rejected or "").strip()]):
        message = f'{format_count(len(ids))} without a rejected reply, which method = "dpo" requires: {_some(ids)}'
        raise TuneError(message, hint='set method = "supervised", or remove them from the split')


def request_line(row: TrainingRow, *, method: str) -> dict[str, Any]:
    """Return one line of the file: the chat, or for dpo the chat up to the reply with both replies.

    Replies in the history have the weight 0: they are read, but only the last one is trained on.
    """
    messages = [{"role": message["role"], "content": message["content"]} for message in row.messages]
    if method != "dpo":
        earlier = [{**each, "weight": 0} if each["role"] == "assistant" else each for each in messages[:-1]]
        return {"messages": [*earlier, messages[-1]]}
    return {
        "input": {"messages": messages[:-1]},
        "preferred_output": [messages[-1]],
        "non_preferred_output": [{"role": "assistant", "content": row.rejected}],
    }


def count_tokens(rows: Sequence[TrainingRow], *, method: str) -> tuple[int, int]:
    """Estimate the training tokens of an epoch: likely, and at most (one per byte). A preference counts as two."""
    return _count([chat for row in rows for chat in _chats(row, method)])


def example_tokens(row: TrainingRow, *, method: str) -> int:
    """Estimate the tokens of one row; of a preference, those of the longer chat."""
    return max(_count([chat])[0] for chat in _chats(row, method))


def _count(texts: Sequence[Sequence[Mapping[str, str]]]) -> tuple[int, int]:
    size = sum(len(message["content"].encode("utf-8", "surrogatepass")) for chat in texts for message in chat)
    frame = MESSAGE_TOKENS * sum(map(len, texts))
    return size // BYTES_PER_TOKEN + frame // BYTES_PER_TOKEN, size + frame


def _chats(row: TrainingRow, method: str) -> list[list[Mapping[str, str]]]:
    chosen = list(row.messages)
    return [chosen, [*chosen[:-1], {"content": row.rejected or ""}]] if method == "dpo" else [chosen]


def _written(job: Job, provider: Provider, split: str, rows: Sequence[TrainingRow]) -> Path:
    path = job.folder / f"upload-{split}.jsonl"
    lines = [json.dumps(request_line(row, method=job.settings["method"]), ensure_ascii=False) + "\n" for row in rows]
    write_atomic(path, "".join(lines).encode("utf-8", "replace"))
    size, limit = path.stat().st_size / 1e6, provider.max_file_mb
    if limit is not None and size > limit:
        message = f"the {split} file is {size:.0f} MB; {provider.name} accepts at most {limit:g} MB"
        raise TuneError(message, hint="remove rows from the split")
    return path


def _ends_in_reply(row: TrainingRow) -> bool:
    last = row.messages[-1] if row.messages else {}
    return last.get("role") == "assistant" and bool(last.get("content", "").strip())


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - SHOWN_ROWS} more" if len(ids) > SHOWN_ROWS else ""
    return ", ".join(ids[:SHOWN_ROWS]) + more
