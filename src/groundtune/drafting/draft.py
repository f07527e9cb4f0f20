"""A drafted question with its quoted answer, and the example made of it. Checks nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from groundtune.common.conversations import transcript
from groundtune.common.files import digest_text
from groundtune.dataset.examples import assign_split
from groundtune.dataset.new_examples import DRAFTED
from groundtune.types import EVERYONE, Evidence, Example, Message, Passage

Kind = Literal["fact", "table-cell", "comparison", "two-documents", "follow-up", "unanswerable"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SHARES: Mapping[Kind, float] = {
    "fact": 0.3, "table-cell": 0.2, "comparison": 0.1, "two-documents": 0.1, "follow-up": 0.15, "unanswerable": 0.15,
}  # fmt: skip
"""Part of the drafts that each kind makes up; where a kind has too few, the others have more."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A place in a document. Always `document.text[start:end] == text`."""

    passage: Passage
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.passage.text[self.start - self.passage.start : self.end - self.passage.start]


@dataclass(frozen=True, slots=True)
class Draft:
    """A question that a program made up, before its checks."""

    kind: Kind
    question: str
    answers: tuple[Quote, ...]
    """What answers it, each part quoted; empty if the documents should not answer it."""
    evidence: tuple[Quote, ...]
    """The sentences or rows that hold the answers."""
    about: tuple[Passage, ...]
    """The passages that it was made from, with those whose words an unanswerable question combines."""
    history: tuple[Message, ...] = ()
    claims: tuple[tuple[str, str, str], ...] = ()
    """Name, column and value of each fact that it asks for, where a template made it."""
    apart: tuple[str, ...] = ()
    """Names that no passage may hold together: the documents do not answer a question about both."""
    names_answer: bool = False
    """Whether the question has to name its answer, because it lets the reader choose."""

    @property
    def id(self) -> str:
        return f"drafted-{digest_text(transcript(self.question, self.history))[:12]}"

    @property
    def output(self) -> str | None:
        """The gold answer: the quoted parts, each once."""
        return "; ".join(dict.fromkeys(answer.text for answer in self.answers)) or None


def to_example(draft: Draft, groups: Sequence[str]) -> Example:
    """Return the example. groups: of all documents that it is about; whoever is in all of them may read them."""
    quotes = dict.fromkeys((quote.passage.source, quote.text, quote.start, quote.end) for quote in draft.evidence)
    return Example(
        id=draft.id,
        input=draft.question,
        history=draft.history,
        output=draft.output,
        evidence=tuple(Evidence(*quote) for quote in quotes),
        split=assign_split(draft.id),
        tags=(draft.kind,),
        groups=tuple(group for group in groups if group != EVERYONE),
        origin=DRAFTED,
    )
