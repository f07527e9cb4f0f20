"""What each task asks of a model, and how its reply is read. Pure; sends nothing, scores nothing."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from groundtune.approaches import prompts
from groundtune.json_values import read_reply
from groundtune.workspace import digest_text


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reply says."""

    text: str
    output: Any = None
    """The label or object; the reply itself where it is neither of those that were asked for; None for text."""
    abstained: bool = False


class Form(Protocol):
    """One task: its rules, its replies."""

    @property
    def kind(self) -> str:
        """What the user's text is called."""
        ...

    @property
    def cites(self) -> bool:
        """Whether the reply points at passages by number."""
        ...

    @property
    def abstention(self) -> str:
        """What a person reads when the model held back."""
        ...

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """JSON Schema of the reply; None for text."""
        ...

    def rules(self, *, grounded: bool) -> str:
        """grounded: passages are shown."""
        ...

    def reply(self, gold: Any) -> str:
        """What the model should have replied where this is the right output."""
        ...

    def read(self, reply: str) -> Reading: ...


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """A question, answered in sentences; with citations where passages are shown."""

    instructions: str = ""
    kind = "Question"
    cites = True
    abstention = "The model does not know."
    schema = None

    def rules(self, *, grounded: bool) -> str:
        return _join(self.instructions, prompts.GROUNDED if grounded else prompts.CLOSED)

    def reply(self, gold: Any) -> str:
        return prompts.NOT_FOUND if gold is None else _first(gold)

    def read(self, reply: str) -> Reading:
        text = reply.strip()
        return Reading(text, abstained=not text or _says(text, prompts.NOT_FOUND))


@dataclass(frozen=True, slots=True)
class LabelForm:
    """An input, sorted under one label. labels: name to description."""

    labels: Mapping[str, str]
    instructions: str = ""
    kind = "Input"
    cites = False
    abstention = "No label fits."
    schema = None

    def rules(self, *, grounded: bool) -> str:
        return _join(self.instructions, prompts.labelled(self.labels), prompts.BACKGROUND if grounded else "")

    def reply(self, gold: Any) -> str:
        return prompts.NO_LABEL if gold is None else _first(gold)

    def read(self, reply: str) -> Reading:
        """A label in other case, in quotes or in a sentence that names no other one is that label."""
        text = reply.strip()
        if text in self.labels:
            return Reading(text, text)
        if not text or _says(text, prompts.NO_LABEL):
            return Reading(text, abstained=True)
        output = self._alike(text, str.casefold) or self._alike(text, _plain) or self._named(text) or text
        return Reading(output, output)

    def _alike(self, text: str, fold: Callable[[str], str]) -> str | None:
        """The one label that is the same after folding."""
        same = [name for name in self.labels if fold(name) == fold(text) != ""]
        return same[0] if len(same) == 1 else None

    def _named(self, text: str) -> str | None:
        """The one label that a sentence names; of labels inside of others the longest that stands at a place."""
        said, names = _plain(text), []
        for name in sorted(self.labels, key=lambda name: -len(_plain(name))):
            if not (plain := _plain(name)):
                continue
            rest = re.sub(rf"(?<!\w){re.escape(plain)}(?!\w)", "\n", said)
            names += [name] * (rest != said)
            said = rest
        return names[0] if len(names) == 1 else None


@dataclass(frozen=True, slots=True)
class ObjectForm:
    """An input, from which one JSON object is taken."""

    schema: Mapping[str, Any]
    instructions: str = ""
    kind = "Input"
    cites = False
    abstention = "There is nothing to extract."

    def rules(self, *, grounded: bool) -> str:
        return _join(self.instructions, prompts.extracted(self.schema), prompts.BACKGROUND if grounded else "")

    def reply(self, gold: Any) -> str:
        return prompts.NO_OBJECT if gold is None else json.dumps(gold, ensure_ascii=False)

    def read(self, reply: str) -> Reading:
        """The object, also out of a code fence; a reply that is no JSON object is its own output.

        An object in which nothing has a value is an abstention: one that is held to a schema has no other way.
        """
        text = reply.strip()
        try:
            output = read_reply(text)
        except ValueError:
            return Reading(text, text, abstained=not text)
        if not isinstance(output, dict | None):
            return Reading(text, text)
        return Reading(text, abstained=True) if _empty(output) else Reading(text, output)


@dataclass(frozen=True, slots=True)
class TextForm:
    """An input, for which a text is written."""

    instructions: str = ""
    kind = "Input"
    cites = False
    abstention = "The model wrote nothing."
    schema = None

    def rules(self, *, grounded: bool) -> str:
        return _join(self.instructions, prompts.WRITTEN, prompts.BACKGROUND if grounded else "")

    def reply(self, gold: Any) -> str:
        return "" if gold is None else _first(gold)

    def read(self, reply: str) -> Reading:
        text = reply.strip()
        return Reading(text, abstained=not text)


def rules_digest(form: Form, *, grounded: bool) -> str:
    """Of all that a model is told before the input: a model that was trained under other words is another one."""
    return digest_text(form.rules(grounded=grounded))


def _join(*parts: str) -> str:
    return "\n\n".join(part.strip() for part in parts if part.strip())


def _first(gold: Any) -> str:
    """The first of several right outputs."""
    return str(gold[0]) if isinstance(gold, list | tuple) else str(gold)


def _says(text: str, word: str) -> bool:
    """Whether the reply is the agreed word, in any case, or begins with it as agreed and gives a reason."""
    alone = re.fullmatch(rf"\W*{word}\W*", text, re.IGNORECASE)
    return bool(alone or re.match(rf"\W*{word}\b", text))


def _empty(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_empty, value.values()))
    return value is None or value == []


def _plain(text: str) -> str:
    """Lower case, with one space for what stands between words."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()
