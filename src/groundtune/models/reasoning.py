"""Separate what a model writes to itself from its answer, whole or in pieces. Never takes a thought for an answer.

A thought stands at the start of a reply, between the marks of `dialects.toml`, or before a closing mark whose opening
one the chat template wrote into the prompt. Marks elsewhere, such as in code or in a sentence about them, are text.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from groundtune.models.dialects import dialects

MARK_CHARS = 200
"""Longest mark, or header of a channel, that is waited for."""
_TAG = re.compile(r"(</?[\w:]+)>")
_BEGUN_TAG = re.compile(r"</?[\w:]+\s[^<>]*")
_HEADERS = ("<|start|>", "<|channel|>")
"""Tokens with which the header of a channel begins."""
_SENTENCE_ENDS = tuple(".!?…:。！？؟।")
_QUOTES = tuple("`'\"“”‘’«»„「」")


@dataclass(frozen=True, slots=True)
class SeparatedReply:
    """A reply in its two parts."""

    text: str
    reasoning: str = ""
    unfinished: bool = False
    """Whether the reply ends inside a thought, so that there is no answer."""
    unmarked: bool = False
    """Whether the thought has no opening mark."""


def separate_reasoning(reply: str) -> SeparatedReply:
    """Separate a whole reply."""
    separator = ReasoningSeparator(hold=True)
    separator.add(reply)
    return separator.finish()[1]


def begins_as_thought(text: str) -> bool:
    """Whether a text begins in a way that is typical of thoughts, and rare in answers."""
    return text.lstrip().startswith(dialects().unmarked_openers)


class ReasoningSeparator:
    """Separates a reply that arrives in pieces: `add` returns the text that belongs to the answer.

    hold: release nothing before a thought has ended, or the reply. For models whose thoughts have no opening mark;
    without it, such a thought is noticed only after it was released, and nothing more is released.
    """

    def __init__(self, *, hold: bool) -> None:
        self._hold = hold
        self._stage: Literal["start", "thought", "answer"] = "start"
        self._rest = ""
        """What belongs to no part yet."""
        self._thoughts: list[str] = []
        self._thought_start: re.Pattern[str] | None = None
        """Mark that opened the thought; None for a channel."""
        self._thought_end: re.Pattern[str] | None = None
        self._answer = ""
        self._answer_end = ""
        """Mark that closes the answer; empty when none does."""
        self._searched = 0
        """How much of the current part has been searched for a mark that ends it."""
        self._released = 0
        self._unmarked = False
        self._leaked = False
        """Whether text was released that a later closing mark showed to be a thought."""

    def add(self, piece: str) -> str:
        """Return the next piece of the answer; empty when nothing can be released."""
        self._rest += piece
        self._read(complete=False)
        if self._stage != "answer" or (self._hold and not self._thoughts) or self._leaked:
            return ""
        return self._release(len(self._answer) - _held_back(self._answer, self._endings))

    def finish(self) -> tuple[str, SeparatedReply]:
        """Return the last piece of the answer, and the whole reply."""
        self._read(complete=True)
        if self._stage == "start":  # it ends in a blank, or within a mark
            self._answer, self._rest = self._rest.strip(), ""
        if self._stage == "thought" or _is_cut_mark(self._answer):
            self._think(self._rest)
            return "", SeparatedReply("", self._reasoning, unfinished=True, unmarked=self._unmarked)
        end = len(_without(self._answer, self._endings))
        separated = SeparatedReply(self._answer[:end], self._reasoning, unmarked=self._unmarked)
        return "" if self._leaked else self._release(end), separated

    @property
    def is_thinking(self) -> bool:
        """Whether the reply so far is in a thought, in the header of a channel, or in the blank after a thought."""
        begun = self._rest.lstrip()
        is_between = begun.startswith(_HEADERS) or (bool(self._thoughts) and not begun)
        return self._stage == "thought" or (self._stage == "start" and is_between)

    @property
    def _endings(self) -> Sequence[str]:
        """Marks that do not belong to the answer if it ends with them."""
        return (self._answer_end, *dialects().endings) if self._answer_end else dialects().endings

    @property
    def _reasoning(self) -> str:
        return "\n\n".join(filter(None, self._thoughts))

    def _read(self, *, complete: bool) -> None:
        """Assign the rest to the parts, as far as the text so far decides it. complete: no more text follows."""
        while True:
            match self._stage:
                case "start":
                    moved = self._start(complete)
                case "thought":
                    moved = self._end_thought(complete)
                case "answer":
                    self._answer, self._rest = self._answer + self._rest, ""
                    moved = not self._thoughts and self._end_implied_thought(complete)
            if not moved:
                return

    def _start(self, complete: bool) -> bool:
        begun = self._rest.lstrip()
        if not begun:
            return False
        self._searched = 0
        if opening := _opening(begun):
            length, self._thought_start, self._thought_end = opening
            self._rest, self._stage = begun[length:], "thought" if self._thought_end else "answer"
            return True
        if self._thoughts:
            if closing := _closing().match(begun):  # the same mark twice
                self._rest = begun[closing.end() :]
                return True
            for marks in dialects().wrappers:
                if begun.startswith(marks.open):
                    self._rest, self._answer_end, self._stage = begun[len(marks.open) :].lstrip(), marks.close, "answer"
                    return True
        if not complete and _may_open(begun, after_thought=bool(self._thoughts)):
            return False
        if complete and _is_cut_mark(begun):
            return False
        self._hold = self._hold or begins_as_thought(begun)
        self._rest, self._stage = begun if self._thoughts else self._rest, "answer"
        return True

    def _end_thought(self, complete: bool) -> bool:
        assert self._thought_end is not None
        nested_at: int | None = None
        for match in self._thought_end.finditer(self._rest, self._searched):
            before, after = self._rest[: match.start()], self._rest[match.end() :]
            if self._is_nested(before) and (not complete or self._thought_end.search(after)):
                nested_at = match.start() if nested_at is None else nested_at
                continue  # another closing mark may follow
            if before.endswith(_QUOTES):
                if not after and not complete:
                    return False  # the next character decides
                if after.startswith(_QUOTES):
                    continue  # the thought is about the mark
            self._think(before)
            self._rest, self._stage = after, "start"
            return True
        self._searched = max(0, len(self._rest) - MARK_CHARS) if nested_at is None else nested_at
        return False

    def _is_nested(self, thought: str) -> bool:
        """Whether this beginning of a thought opens more thoughts than it closes."""
        if self._thought_start is None or self._thought_end is None:
            return False
        return len(self._thought_start.findall(thought)) > len(self._thought_end.findall(thought))

    def _end_implied_thought(self, complete: bool) -> bool:
        """Turn the text before a closing mark without an opening one into a thought."""
        if self._answer.lstrip()[:1] in ("{", "[") and (not complete or _is_json(self._answer)):
            return False
        for match in _closing().finditer(self._answer, self._searched):
            if match.end() == len(self._answer) and not complete:
                return False  # what follows decides
            if not _ends_thought(self._answer[: match.start()], self._answer[match.end() :]):
                continue
            self._think(self._answer[: match.start()])
            self._unmarked, self._leaked = True, self._released > 0
            self._answer, self._rest, self._stage = "", self._answer[match.end() :], "start"
            return True
        self._searched = max(0, len(self._answer) - MARK_CHARS)
        return False

    def _think(self, thought: str) -> None:
        self._thoughts.append(thought.strip())

    def _release(self, end: int) -> str:
        piece = self._answer[self._released : end]
        self._released = max(self._released, end)
        return piece


def _opening(begun: str) -> tuple[int, re.Pattern[str] | None, re.Pattern[str] | None] | None:
    """Return the length of the mark that opens this text, the mark, and the marks that end the part.

    The mark is None for a channel, which holds no other; there are no marks that end an answer.
    """
    table = dialects()
    for marks in table.thinking:
        mark = _any_of([marks.open])
        if opening := mark.match(begun):
            return opening.end(), mark, _any_of([marks.close])
    channels = table.channels
    if header := _compiled(channels.header).match(begun):
        return header.end(), None, None if header[1] == channels.answer else _message_end()
    bare = len(channels.bare_open)  # followed by a capital, or by a script without them: no English word goes on so
    if begun.startswith(channels.bare_open) and begun[bare : bare + 1].isalpha() and not begun[bare].islower():
        return bare, None, _any_of([channels.bare_close])
    return None


def _may_open(begun: str, *, after_thought: bool) -> bool:
    """Whether more text may complete a mark that opens or closes a part."""
    table = dialects()
    marks = [marks.open for marks in table.thinking]
    if after_thought:
        marks += [marks.open for marks in table.wrappers] + [marks.close for marks in table.thinking]
    if begun.startswith(_HEADERS):
        return len(begun) < MARK_CHARS
    if not after_thought and any(opener.startswith(begun) for opener in table.unmarked_openers):
        return True
    if _BEGUN_TAG.fullmatch(begun) and len(begun) < MARK_CHARS:
        begun = begun.split(maxsplit=1)[0]
    return any(mark.lower().startswith(begun.lower()) for mark in (*marks, *_HEADERS, table.channels.bare_open))


def _is_cut_mark(text: str) -> bool:
    """Whether a reply ends within the mark that opens it."""
    return len(text) > 1 and not text[0].isalnum() and _may_open(text, after_thought=False)


def _held_back(answer: str, marks: Sequence[str]) -> int:
    """Return how many characters at the end may be such marks, or the beginning of one."""
    tail = kept = answer[-MARK_CHARS:]
    while True:
        text = kept.rstrip()
        starts = (match.start() for match in re.finditer("<", text))
        begun = next((start for start in starts if any(mark.startswith(text[start:]) for mark in marks)), None)
        if begun is None:
            return len(tail) - len(kept)
        kept = kept[:begun]


def _ends_thought(before: str, after: str) -> bool:
    """Whether a closing mark between these texts ends a thought; otherwise the text mentions the mark."""
    if before.count("```") % 2:
        return False
    line = before[before.rfind("\n") + 1 :]
    ends_line = after.lstrip(" \t")[:1] in ("", "\n", "\r")
    if not line.strip():
        return True
    if line.count("`") % 2 or (line.endswith(_QUOTES) and after.startswith(_QUOTES)):
        return False
    if any(marks.open.lower() in line.lower() for marks in dialects().thinking):
        return False
    if line.rstrip().endswith(_SENTENCE_ENDS):
        return True
    return not line[-1].isspace() and (ends_line or after[:1].isalnum())


def _without(text: str, endings: Sequence[str]) -> str:
    """Return the text without these marks at its end."""
    while ending := next((mark for mark in endings if _ends_in(text.rstrip(), mark)), None):
        text = text.rstrip()[: -len(ending)]
    return text


def _ends_in(text: str, mark: str) -> bool:
    """Whether a text ends in a mark. A closing tag that the text has opened is no mark: <s>old</s>."""
    return text.endswith(mark) and not (mark.startswith("</") and mark.replace("/", "") in text)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


@cache
def _closing() -> re.Pattern[str]:
    return _any_of([marks.close for marks in dialects().thinking if marks.implied])


@cache
def _message_end() -> re.Pattern[str]:
    ends = "|".join(map(re.escape, dialects().channels.ends))
    return re.compile(rf"{ends}|(?=<\|start\|>)|(?=<\|channel\|>)")


def _any_of(marks: Iterable[str]) -> re.Pattern[str]:
    return _compiled("|".join(map(_spelled, marks)), re.IGNORECASE)


def _spelled(mark: str) -> str:
    """Return a pattern for the mark; a tag may have attributes and blanks before its end."""
    tag = _TAG.fullmatch(mark)
    return rf"{re.escape(tag[1])}(?:\s[^<>]*)?>" if tag else re.escape(mark)


@cache
def _compiled(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    return re.compile(pattern, flags)
