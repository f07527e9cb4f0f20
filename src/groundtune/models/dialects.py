"""Read the table of how model servers answer, `dialects.toml`. Never sends anything."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import product
from typing import Any

JOB_STATUSES = ("running", "succeeded", "failed", "cancelled")
"""Kinds of statuses of a fine-tuning job."""


@dataclass(frozen=True, slots=True)
class Marks:
    """A pair of marks around a part of a reply."""

    open: str
    close: str
    implied: bool = False
    """Whether the opening mark may be missing, because the chat template wrote it into the prompt."""


@dataclass(frozen=True, slots=True)
class Channels:
    """A reply in channels, of which one is the answer."""

    header: str
    """Regular expression of the header of a message; group 1 is the channel."""
    answer: str
    ends: tuple[str, ...]
    """Marks at which a message ends."""
    bare_open: str
    """First header as it remains when special tokens are dropped."""
    bare_close: str
    """Header of the answer as it remains when special tokens are dropped."""


@dataclass(frozen=True, slots=True)
class Server:
    """A kind of server or a provider, and how it answers."""

    name: str
    hosts: tuple[str, ...]
    """Ends of its host names; empty for servers that people run themselves."""
    port: int | None
    """Default port of a server on this machine."""
    start: str
    """How to start it on this machine."""
    context: str
    """How to raise its context window; empty for a provider, which decides itself."""
    own_tuning_api: str
    """Where its fine-tuning jobs are, if they are not as OpenAI's; else empty."""
    fingerprint: str
    """Regular expression of the `system_fingerprint` by which its replies are known; empty when there is none."""
    any_name: bool
    """Whether it serves one model, and answers with it whatever name is asked for."""


@dataclass(frozen=True, slots=True)
class Dialects:
    """What the table says about replies."""

    thinking: tuple[Marks, ...]
    wrappers: tuple[Marks, ...]
    """Marks around an answer that follows a thought."""
    channels: Channels
    endings: tuple[str, ...]
    """Marks of the end of a turn that some servers leave in the text."""
    unmarked_models: tuple[str, ...]
    """Parts of the names of models whose chat template opens a thought."""
    unmarked_openers: tuple[str, ...]
    """Beginnings that are typical of a thought."""
    reasoning_keys: tuple[str, ...]
    """Keys of a message that hold thinking."""
    thinking_parts: frozenset[str]
    """Types of the parts of a content that hold thinking."""
    finish_reasons: Mapping[str, frozenset[str]]
    """`whole`, `cut`, `refused`, `tool` and `failed`, each with the reasons in lower case."""
    error_keys: tuple[str, ...]
    """Keys of a body without choices that hold an error."""
    error_codes: Mapping[str, int]
    """Code or type of an error, in lower case, to the HTTP status that it stands for."""
    error_words: Mapping[str, int]
    """Words of an error without a known code, in lower case, to the status."""
    job_statuses: Mapping[str, str]
    """Status of a fine-tuning job, in lower case and without signs, to one of `JOB_STATUSES`."""
    file_waiting: frozenset[str]
    """Statuses of a training file that cannot be trained on yet."""
    file_failed: frozenset[str]
    servers: tuple[Server, ...]


@cache
def dialects() -> Dialects:
    """Return the table; the first call reads the file."""
    table = dialect_table()
    channels, reply = table["channels"], table["reply"]
    reasons = {kind: frozenset(names) for kind, names in table["finish_reasons"].items() if kind != "sources"}
    return Dialects(
        thinking=_thinking(table),
        wrappers=tuple(map(_marks, table["wrappers"])),
        channels=Channels(
            channels["header"],
            channels["answer"],
            tuple(channels["ends"]),
            channels["bare_open"],
            channels["bare_close"],
        ),
        endings=tuple(table["endings"]["marks"]),
        unmarked_models=tuple(table["unmarked"]["models"]),
        unmarked_openers=tuple(table["unmarked"]["openers"]),
        reasoning_keys=tuple(reply["reasoning"]),
        thinking_parts=frozenset(reply["thinking_parts"]),
        finish_reasons=reasons,
        error_keys=tuple(reply["errors"]),
        error_codes=table["error_codes"],
        error_words=table["error_words"],
        job_statuses={status: kind for kind in JOB_STATUSES for status in table["tuning"][kind]},
        file_waiting=frozenset(table["tuning"]["file_waiting"]),
        file_failed=frozenset(table["tuning"]["file_failed"]),
        servers=tuple(map(_server, table["servers"])),
    )


def dialect_table() -> dict[str, Any]:
    """Return the file as it is, with the sources of its facts."""
    return tomllib.loads((files("groundtune.models") / "dialects.toml").read_text("utf-8"))


def _marks(row: Mapping[str, Any]) -> Marks:
    return Marks(row["open"], row["close"], row.get("implied", False))


def _thinking(table: Mapping[str, Any]) -> tuple[Marks, ...]:
    """Return the marks of known models, and the other tags with names for thinking."""
    marks = {each.open.lower(): each for each in map(_marks, table["thinking"])}
    for tags in table["thinking_tags"]:
        for form, name in product(tags["forms"], tags["names"]):
            opening, closing = form.format(name), form.replace("{}", "/{}").format(name)
            marks.setdefault(opening, Marks(opening, closing, tags["implied"]))
    return tuple(marks.values())


def _server(row: Mapping[str, Any]) -> Server:
    return Server(
        row["name"],
        tuple(row.get("hosts", ())),
        row.get("port"),
        row.get("start", ""),
        row.get("context", ""),
        row.get("own_tuning_api", ""),
        row.get("fingerprint", ""),
        row.get("any_name", False),
    )
