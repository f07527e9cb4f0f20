"""Define the rules of each task and parse the replies. Pure; sends nothing, scores nothing, guesses nothing."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from groundtune.approaches import prompts
from groundtune.approaches.stated_words import are_listed, is_absence, is_negation, setting
from groundtune.approaches.wordings import FULL, Wording
from groundtune.common.files import digest_text
from groundtune.common.json_schema import (
    AmbiguousReplyError,
    find_objects,
    in_schema_order,
    parse_reply,
    schema_checker,
)
from groundtune.types import Example, Hit, Message, Task

_GAP = r"[\s_\\*~`\u200b\u00ad–-]{0,4}"
_NOT_FOUND = re.compile(
    rf"(?<![A-Za-z0-9])not{_GAP}(?:found{_GAP})?in{_GAP}(?:(?:the|your|these|any){_GAP})?documents?(?![A-Za-z0-9])",
    re.IGNORECASE,
)
"""`prompts.NOT_FOUND` as models write it: escaped, with other signs between its words, or as plain words."""
_NOT_FOUND_SPELLINGS = [
    f"not{found}in{article}documents" for found in ("", "found") for article in ("", "the", "your", "these", "any")
]
_NOT_FOUND_BEGINS = re.compile(r"(?<![A-Za-z0-9])n", re.IGNORECASE)
_LONGEST_NOT_FOUND = 60
_NONE_OF = re.compile(rf"\W*{prompts.NO_LABEL} of ", re.IGNORECASE)
_NULL = re.compile(rf"(?<!\w)(?:{prompts.NO_OBJECT}|None)(?!\w)", re.IGNORECASE)
_ITEM = re.compile(r"^[ \t]*(?:(?:[-*+•]|\d{1,3}[.)])[ \t]+(?=\S)|(?:[*_]*\w+[ \t]?){1,3}[*_]*:)", re.MULTILINE)
"""A line of a list, or one with a name and a value."""


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """A model's reply after parsing: its status and output."""

    text: str
    output: Any = None
    """The label or object; the reply itself when it is neither of those; None for text."""
    abstained: bool = False
    explanation: str = ""
    """What an abstention says before it abstains."""
    unreadable: str | None = None
    """Why nobody can tell which of several outputs is meant; None when the reply can be read."""


class OutputFormat(Protocol):
    """The rules and replies of a task."""

    @property
    def task(self) -> Task: ...

    @property
    def wording(self) -> Wording:
        """How the model is told the task."""
        ...

    @property
    def input_name(self) -> str:
        """Name of the user's text."""
        ...

    @property
    def cites(self) -> bool:
        """Whether the reply cites passages by number."""
        ...

    @property
    def abstention(self) -> str:
        """Text shown to a person when the model abstains."""
        ...

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """JSON Schema of the reply; None for text."""
        ...

    def rules(self, *, grounded: bool) -> str:
        """Return the rules for the model. grounded: passages are shown."""
        ...

    def worded(self, wording: Wording) -> Self:
        """Return the same task in another wording."""
        ...

    def gold_reply(self, gold: Any) -> str:
        """Return the reply the model should give when `gold` is the correct output."""
        ...

    def parse(self, reply: str, *, whole: bool = True) -> ParsedReply:
        """Read a reply. whole: it was not cut off."""
        ...


@runtime_checkable
class StreamedFormat(Protocol):
    """A format whose text is the reply itself, so that it can be released while the model writes it.

    One that cites may abstain after an explanation, so its text is released once passages support it.
    """

    def before_abstention(self, reply: str) -> str:
        """Return the beginning of an unfinished reply in which no abstention begins, whatever follows."""
        ...


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """A question, answered in sentences, with citations when passages are shown."""

    instructions: str = ""
    wording: Wording = field(default=FULL, repr=False)
    task: ClassVar[Task] = "answer"
    input_name = "Question"
    cites = True
    abstention = "The model does not know."
    schema = None

    def rules(self, *, grounded: bool) -> str:
        rules = self.wording.rules("answer", grounded=grounded, abstention=prompts.NOT_FOUND)
        return _join(self.instructions, rules)

    def worded(self, wording: Wording) -> Self:
        return replace(self, wording=wording)

    def gold_reply(self, gold: Any) -> str:
        return prompts.NOT_FOUND if gold is None else _first(gold)

    def parse(self, reply: str, *, whole: bool = True) -> ParsedReply:
        text = reply.strip()
        at = next((start for start, end in _not_found(text) if _is_abstention(text, start, end)), None)
        if at is None:
            return ParsedReply(text, abstained=not text or is_absence(text))
        return ParsedReply(text, abstained=True, explanation=text[:at].strip())

    def before_abstention(self, reply: str) -> str:
        begun = next((start for start, _ in _not_found(reply)), _not_found_begun(reply))
        return reply[:begun]


@dataclass(frozen=True, slots=True)
class LabelFormat:
    """An input, classified under one label. labels: name to description."""

    labels: Mapping[str, str]
    instructions: str = ""
    wording: Wording = field(default=FULL, repr=False)
    task: ClassVar[Task] = "classify"
    input_name = "Input"
    cites = False
    abstention = "No label fits."
    schema = None

    def rules(self, *, grounded: bool) -> str:
        labels = prompts.label_list(self.labels)
        rules = self.wording.rules("classify", grounded=grounded, labels=labels, abstention=prompts.NO_LABEL)
        return _join(self.instructions, rules)

    def worded(self, wording: Wording) -> Self:
        return replace(self, wording=wording)

    def gold_reply(self, gold: Any) -> str:
        return prompts.NO_LABEL if gold is None else _first(gold)

    def parse(self, reply: str, *, whole: bool = True) -> ParsedReply:
        """Read the label that the reply is, that it states, or else the only one that it mentions.

        A reply that states two labels, or mentions two and states none, cannot be read. One that names none is its own
        output. Of one that was cut off, a mention says nothing: the label was still to come.
        """
        text = reply.strip()
        if text not in self.labels and text.strip("*`\"'.") == prompts.NO_LABEL:
            return ParsedReply(text, abstained=True)
        alike = text if text in self.labels else self._alike(text, str.casefold) or self._alike(text, _plain)
        if alike is not None:
            return ParsedReply(alike, alike)
        if (in_object := self._in_object(text)) is not None:
            return in_object
        named = [label for label in self._named(text) if whole or label.rank]
        best = max((label.rank for label in named), default=0)
        claimed = list(dict.fromkeys(label.name for label in named if label.rank == best))
        if len(claimed) > 1:
            names = ", ".join(prompts.NO_LABEL if name is None else name for name in claimed)
            return ParsedReply(text, unreadable=f"it names {len(claimed)} labels ({names})")
        if not text or claimed == [None] or (not claimed and _NONE_OF.match(text)):
            return ParsedReply(text, abstained=True)
        output = claimed[0] if claimed else text
        return ParsedReply(output or "", output)

    def _in_object(self, text: str) -> ParsedReply | None:
        """Read a reply that is a JSON object with the label as one of its values; None when it is no such object."""
        try:
            value = parse_reply(text)
        except ValueError:
            return None
        if not isinstance(value, dict) or not value:
            return None
        if all(self._alike(key, _plain) for key in value):  # {"billing": 0.1, "returns": 0.9}
            chosen = [key for key, holds in value.items() if holds is True]
            if len(chosen) == 1 and all(isinstance(holds, bool) for holds in value.values()):
                label = self._alike(chosen[0], _plain)
                return ParsedReply(label or "", label)
            return ParsedReply(text, unreadable=f"it gives values to {len(value)} labels")
        labels = {self._alike(each, _plain) for each in value.values() if isinstance(each, str)} - {None}
        if len(labels) == 1:
            (label,) = labels
            return ParsedReply(label or "", label)
        is_none = all(each in (None, "", prompts.NO_LABEL) for each in value.values())
        return ParsedReply(text, abstained=True) if is_none else None

    def _alike(self, text: str, fold: Callable[[str], str]) -> str | None:
        """Return the only label that is equal after folding."""
        same = [name for name in self.labels if fold(name) == fold(text) != ""]
        return same[0] if len(same) == 1 else None

    def _named(self, text: str) -> list["_NamedLabel"]:
        """Return the labels that a reply names and does not reject, in order, each with the rank of its setting.

        Where labels overlap in the text, the longest counts.
        """
        names: list[str | None] = [*sorted(self.labels, key=lambda name: -len(name))]
        if prompts.NO_LABEL not in self.labels:
            names.insert(0 if self._has_lower_none else len(names), None)
        text, remaining = _unescaped(text), _unescaped(text)
        named: list[_NamedLabel] = []
        for name in names:
            pattern = self._none_pattern if name is None else _label_pattern(name)
            for match in pattern.finditer(remaining):
                place = setting(text, *match.span())
                is_word = match[0] != prompts.NO_LABEL if name is None else is_negation(text, *match.span())
                rank = max(place.rank, int(_opens_with(text, *match.span())))
                if not place.rejected and (rank or not is_word):
                    named.append(_NamedLabel(match.start(), match.end(), name, rank))
            remaining = pattern.sub(lambda match: "\n" * len(match[0]), remaining)
        return _ranked_as_lists(text, sorted(named, key=lambda label: label.start))

    @property
    def _has_lower_none(self) -> bool:
        """Whether a label is the word for no label in other case: then only the exact word stands for no label."""
        return prompts.NO_LABEL.casefold() in map(str.casefold, self.labels)

    @property
    def _none_pattern(self) -> re.Pattern[str]:
        return re.compile(rf"\b{prompts.NO_LABEL}\b", re.NOFLAG if self._has_lower_none else re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _NamedLabel:
    start: int
    end: int
    name: str | None
    """None: the word for no label."""
    rank: int


def _opens_with(text: str, start: int, end: int) -> bool:
    """Whether the reply begins with this label and a comma: "Yes, there is no limit"."""
    return bool(re.fullmatch(r"\W*", text[:start]) and re.match(r"[*_\"'”]*[,，]", text[end:]))


def _ranked_as_lists(text: str, named: list[_NamedLabel]) -> list[_NamedLabel]:
    """Give labels that are listed together the rank of the highest among them: "Label: refund or billing"."""
    ranked = list(named)
    for at in [*range(1, len(ranked)), *reversed(range(1, len(ranked)))]:
        first, second = ranked[at - 1 : at + 1]
        if are_listed(text[first.end : second.start]):
            rank = max(first.rank, second.rank)
            ranked[at - 1 : at + 1] = [replace(first, rank=rank), replace(second, rank=rank)]
    return ranked


@dataclass(frozen=True, slots=True)
class ObjectFormat:
    """An input from which one JSON object is extracted."""

    schema: Mapping[str, Any]
    instructions: str = ""
    wording: Wording = field(default=FULL, repr=False)
    task: ClassVar[Task] = "extract"
    input_name = "Input"
    cites = False
    abstention = "There is nothing to extract."

    def rules(self, *, grounded: bool) -> str:
        schema = json.dumps(self.schema, ensure_ascii=False)
        rules = self.wording.rules("extract", grounded=grounded, schema=schema, abstention=prompts.NO_OBJECT)
        return _join(self.instructions, rules)

    def worded(self, wording: Wording) -> Self:
        return replace(self, wording=wording)

    def gold_reply(self, gold: Any) -> str:
        return prompts.NO_OBJECT if gold is None else json.dumps(in_schema_order(gold, self.schema), ensure_ascii=False)

    def parse(self, reply: str, *, whole: bool = True) -> ParsedReply:
        """Read the one object of the reply; of several, the only one that satisfies the schema.

        A reply without an object is its own output, unless it says that there is nothing. An object without any value
        is an abstention: a model constrained to a schema cannot abstain otherwise.
        """
        text = reply.strip()
        try:
            output = parse_reply(text, self._accepts)
        except AmbiguousReplyError as error:
            return ParsedReply(text, unreadable=str(error))
        except ValueError:
            output = text
        output = self._unwrapped(output)
        says_nothing = self._says_nothing(text)
        if isinstance(output, dict) and not _empty(output):
            if says_nothing:
                return ParsedReply(text, unreadable=f"it holds an object and says {prompts.NO_OBJECT}")
            return ParsedReply(text, output)
        if not text or _empty(output) or (says_nothing and isinstance(output, str)):
            return ParsedReply(text, abstained=True)
        return ParsedReply(text, text)

    def _unwrapped(self, value: Any) -> Any:
        """Return the object in a list of one, or under a single key that the schema does not know."""
        if isinstance(value, list) and len(value) == 1:
            return value[0]
        if isinstance(value, dict) and len(value) == 1 and not self._accepts(value):
            ((key, inner),) = value.items()
            if key not in self.schema.get("properties", {}) and isinstance(inner, dict) and self._accepts(inner):
                return inner
        return value

    def _accepts(self, value: Any) -> bool:
        return not _empty(value) and schema_checker(self.schema)(value) is None

    def _says_nothing(self, text: str) -> bool:
        """Whether the text outside of objects states the word for nothing to extract."""
        for _, start, end in find_objects(text):
            text = text[:start] + "\n" * (end - start) + text[end:]
        places = [setting(text, *match.span()) for match in _NULL.finditer(text)]
        return any(place.stated and (place.alone or place.rank > 1) for place in places)


@dataclass(frozen=True, slots=True)
class TextFormat:
    """An input for which a text is written."""

    instructions: str = ""
    wording: Wording = field(default=FULL, repr=False)
    task: ClassVar[Task] = "write"
    input_name = "Input"
    cites = False
    abstention = "The model wrote nothing."
    schema = None

    def rules(self, *, grounded: bool) -> str:
        return _join(self.instructions, self.wording.rules("write", grounded=grounded))

    def worded(self, wording: Wording) -> Self:
        return replace(self, wording=wording)

    def gold_reply(self, gold: Any) -> str:
        return "" if gold is None else _first(gold)

    def parse(self, reply: str, *, whole: bool = True) -> ParsedReply:
        text = reply.strip()
        return ParsedReply(text, abstained=not text)

    def before_abstention(self, reply: str) -> str:
        return reply


def prompt_messages(
    output_format: OutputFormat,
    text: str,
    *,
    history: Sequence[Message] = (),
    hits: Sequence[Hit] = (),
    shots: Sequence[Example] = (),
    question_at: prompts.QuestionAt = "last",
) -> tuple[Message, ...]:
    """Return what a model is told about one input; training and serving both tell it this. Arguments as in prompts."""
    grounded = bool(hits)
    return prompts.messages(
        rules=output_format.rules(grounded=grounded),
        kind=output_format.input_name,
        text=text,
        history=history,
        hits=hits,
        example=output_format.wording.example(output_format.task, grounded=grounded),
        shots=[(shot.history, shot.input, output_format.gold_reply(shot.output)) for shot in shots],
        question_at=question_at,
    )


def rules_digest(output_format: OutputFormat, *, grounded: bool) -> str:
    """Return a digest of rules and worked example: a model trained with others is a different model."""
    example = output_format.wording.example(output_format.task, grounded=grounded)
    rules = output_format.rules(grounded=grounded)
    rules = prompts.with_passages(rules) if grounded else rules
    return digest_text("\n\n".join([rules, *(turn.content for turn in example)]))


def _join(*parts: str) -> str:
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _first(gold: Any) -> str:
    """Return the first of several correct outputs."""
    return str(gold[0]) if isinstance(gold, list | tuple) else str(gold)


def _not_found(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the word for an answer that is not in the documents stands, in any spelling."""
    return (match.span() for match in _NOT_FOUND.finditer(text))


def _not_found_begun(text: str) -> int:
    """Return where the end of an unfinished text may turn out to be the beginning of that word."""
    tail = max(0, len(text) - _LONGEST_NOT_FOUND)
    for match in _NOT_FOUND_BEGINS.finditer(text, tail):
        letters = re.sub(r"[\W_]+", "", text[match.start() :].casefold())
        if any(spelling.startswith(letters) for spelling in _NOT_FOUND_SPELLINGS):
            return match.start()
    return len(text)


def _is_abstention(text: str, start: int, end: int) -> bool:
    """Whether the word at this place is what the reply says, rather than what it is about.

    Written as words, "not in documents" counts only by itself: it may also be part of what an answer says. In a list
    with other items it is the answer to one of them.
    """
    place = setting(text, start, end)
    line_start = text.rfind("\n", 0, start) + 1
    items = [match.start() for match in _ITEM.finditer(text)]
    others = [item for item in items if not _NOT_FOUND.search(text[item:].partition("\n")[0])]
    if place.rank <= 1 and line_start in items and others:
        return False
    word = text[start:end]
    if "_" in word or word.isupper():
        goes_on = text[end:].partition("\n")[0].lstrip("*`\"' ")
        if place.followed == "end" and (place.introduced == "comma" or _is_uncited_sentence(text)):
            return True
        return place.stated or (place.alone and (goes_on[:1].isupper() or goes_on[:1] in (",", "，")))
    begins = not text[:start].strip("*_`\"'“‘ ")
    return place.stated and (place.alone or place.rank > 1) and (place.followed == "end" or begins)


def _is_uncited_sentence(text: str) -> bool:
    """Whether the text is one sentence without a citation, such as "The price is NOT_IN_DOCUMENTS."."""
    return not re.search(r"[\n。]|[.!?]\s|\d[\]］】)]", text.strip())


def _label_pattern(name: str) -> re.Pattern[str]:
    """Return a pattern that finds the label in another case, and with other signs between its words."""
    words = re.findall(r"[^\W_]+", name)
    signs = re.match(r"[\W_]*", name[::-1])
    tail = re.escape(name[len(name) - len(signs[0]) :].strip()) if signs and words else ""
    inner = r"[\W_]{1,3}".join(map(re.escape, words)) + tail if words else re.escape(name)
    before, after = (r"(?<![^\W_])(?<!\w-)" if name[:1].isascii() else "", r"(?![^\W_])" if name[-1:].isascii() else "")
    return re.compile(before + inner + (after if not tail else ""), re.IGNORECASE)


def _unescaped(text: str) -> str:
    """Return the text without the backslashes by which Markdown escapes a sign."""
    return re.sub(r"\\(?=[_*\-#+.!()\[\]])", "", text)


def _empty(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_empty, value.values()))
    return value is None or value == []


def _plain(text: str) -> str:
    """Lowercase the text and replace everything between words by one space."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()
