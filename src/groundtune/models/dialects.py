"""Read the table of how model servers answer, `dialects.toml`. Never sends anything."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


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
class Dialects:
    """What the table says about replies."""

    thinking: tuple[Marks, ...]
    wrappers: tuple[Marks, ...]
    """Marks around an answer that follows a thought."""
    channels: Channels
    endings: tuple[str, ...]
    """Marks of the end of a turn that some servers leave in the text."""


@cache
def dialects() -> Dialects:
    """Return the table; the first call reads the file."""
    table = tomllib.loads((files("groundtune.models") / "dialects.toml").read_text("utf-8"))
    channels = table["channels"]
    return Dialects(
        thinking=tuple(map(_marks, table["thinking"])),
        wrappers=tuple(map(_marks, table["wrappers"])),
        channels=Channels(
            channels["header"],
            channels["answer"],
            tuple(channels["ends"]),
            channels["bare_open"],
            channels["bare_close"],
        ),
        endings=tuple(table["endings"]["marks"]),
    )


def _marks(row: Mapping[str, str | bool]) -> Marks:
    return Marks(str(row["open"]), str(row["close"]), bool(row.get("implied", False)))
