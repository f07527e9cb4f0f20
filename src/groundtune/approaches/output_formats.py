"""Define the rules of each task and parse the replies. Pure; sends nothing, scores nothing."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from groundtune.approaches import prompts
from groundtune.common.files import digest_text
from groundtune.common.json_schema import parse_reply


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """A model's reply after parsing: its status and output."""

    text: str
    output: Any = None
    """The label or object; the reply itself when it is neither of those; None for text."""
    abstained: bool = False


class OutputFormat(Protocol):
    """The rules and replies of a task."""

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

    def gold_reply(self, gold: Any) -> str:
        """Return the reply the model should give when `gold` is the correct output."""
        ...

    def parse(self, reply: str) -> ParsedReply: ...


@runtime_checkable
class StreamedFormat(Protocol):
    """A format whose text is the reply itself, so that it can be released while the model writes it."""

    def may_abstain(self, reply: str) -> bool:
        """Whether a reply that begins like this may turn out to be an abstention."""
        ...


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """A question, answered in sentences, with citations when passages are shown."""

    instructions: str = ""
    input_name = "Question"
    cites = True
    abstention = "The model does not know."
    schema = None

    def rules(self, *, grounded: bool) -> str:
        return _join(self.instructions, prompts.GROUNDED if grounded else prompts.CLOSED)

    def gold_reply(self, gold: Any) -> str:
        return prompts.NOT_FOUND if gold is None else _first(gold)

    def parse(self, reply: str) -> ParsedReply:
        text = reply.strip()
        return ParsedReply(text, abstained=not text or _says(text, prompts.NOT_FOUND))

    def may_abstain(self, reply: str) -> bool:
        return _may_say(reply.strip(), prompts.NOT_FOUND)


@dataclass(frozen=True, slots=True)
class LabelFormat:
    """An input, classified under one label. labels: name to description."""

    labels: Mapping[str, str]
    instructions: str = ""
    input_name = "Input"
    cites = False
    abstention = "No label fits."
    schema = None

    def rules(self, *, grounded: bool) -> str:
        return _join(self.instructions, prompts.label_rules(self.labels), prompts.BACKGROUND if grounded else "")

    def gold_reply(self, gold: Any) -> str:
        return prompts.NO_LABEL if gold is None else _first(gold)

    def parse(self, reply: str) -> ParsedReply:
        """Accept a label in another case, in quotes, or in a sentence that names no other label."""
        text = reply.strip()
        if text in self.labels:
            return ParsedReply(text, text)
        if not text or _says(text, prompts.NO_LABEL):
            return ParsedReply(text, abstained=True)
        output = self._alike(text, str.casefold) or self._alike(text, _plain) or self._named(text) or text
        return ParsedReply(output, output)

    def _alike(self, text: str, fold: Callable[[str], str]) -> str | None:
        """Return the only label that is equal after folding."""
        same = [name for name in self.labels if fold(name) == fold(text) != ""]
        return same[0] if len(same) == 1 else None

    def _named(self, text: str) -> str | None:
        """Return the only label that a sentence names. Where labels overlap, the longest one counts."""
        remaining, named = _plain(text), []
        for name in sorted(self.labels, key=lambda name: -len(_plain(name))):
            if not (plain := _plain(name)):
                continue
            rest = re.sub(rf"(?<!\w){re.escape(plain)}(?!\w)", "\n", remaining)
            named += [name] * (rest != remaining)
            remaining = rest
        return named[0] if len(named) == 1 else None


@dataclass(frozen=True, slots=True)
class ObjectFormat:
    """An input from which one JSON object is extracted."""

    schema: Mapping[str, Any]
    instructions: str = ""
    input_name = "Input"
    cites = False
    abstention = "There is nothing to extract."

    def rules(self, *, grounded: bool) -> str:
        return _join(self.instructions, prompts.extraction_rules(self.schema), prompts.BACKGROUND if grounded else "")

    def gold_reply(self, gold: Any) -> str:
        return prompts.NO_OBJECT if gold is None else json.dumps(gold, ensure_ascii=False)

    def parse(self, reply: str) -> ParsedReply:
        """Parse the object, also from a code fence; a reply that is not a JSON object is its own output.

        An object without any value is an abstention: a model constrained to a schema cannot abstain otherwise.
        """
        text = reply.strip()
        try:
            output = parse_reply(text)
        except ValueError:
            return ParsedReply(text, text, abstained=not text)
        if not isinstance(output, dict | None):
            return ParsedReply(text, text)
        return ParsedReply(text, abstained=True) if _empty(output) else ParsedReply(text, output)


@dataclass(frozen=True, slots=True)
class TextFormat:
    """An input for which a text is written."""

    instructions: str = ""
    input_name = "Input"
    cites = False
    abstention = "The model wrote nothing."
    schema = None

    def rules(self, *, grounded: bool) -> str:
        return _join(self.instructions, prompts.WRITTEN, prompts.BACKGROUND if grounded else "")

    def gold_reply(self, gold: Any) -> str:
        return "" if gold is None else _first(gold)

    def parse(self, reply: str) -> ParsedReply:
        text = reply.strip()
        return ParsedReply(text, abstained=not text)

    def may_abstain(self, reply: str) -> bool:
        return not reply.strip()


def rules_digest(output_format: OutputFormat, *, grounded: bool) -> str:
    """Return a digest of the rules: a model trained with other rules is a different model."""
    return digest_text(output_format.rules(grounded=grounded))


def _join(*parts: str) -> str:
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _first(gold: Any) -> str:
    """Return the first of several correct outputs."""
    return str(gold[0]) if isinstance(gold, list | tuple) else str(gold)


def _says(text: str, word: str) -> bool:
    """Whether the reply is the given word (ignoring case), or starts with exactly that word followed by a reason."""
    alone = re.fullmatch(rf"\W*{word}\W*", text, re.IGNORECASE)
    return bool(alone or re.match(rf"\W*{word}\b", text))


def _may_say(text: str, word: str) -> bool:
    """Whether `_says` may hold for a text that begins like this."""
    begun = "".join(f"(?:{re.escape(char)}" for char in word) + ")?" * len(word)
    return _says(text, word) or bool(re.fullmatch(rf"\W*{begun}", text, re.IGNORECASE))


def _empty(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_empty, value.values()))
    return value is None or value == []


def _plain(text: str) -> str:
    """Lowercase the text and replace everything between words by one space."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()
