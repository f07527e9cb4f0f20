"""The nouns that travel between layers: frozen values, no I/O, no behaviour beyond small derived facts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Metadata = Mapping[str, str]

Split = Literal["train", "validation", "test"]
Support = Literal["exact", "close", "missing"]
Status = Literal["answered", "abstained"]
Task = Literal["answer", "classify", "extract", "write"]
Stage = Literal["bm25", "dense", "fused", "reranked"]

EVERYONE = "*"
"""The group that every asker belongs to; a document without access rules carries it."""


@dataclass(frozen=True, slots=True)
class Document:
    """One thing that can be cited: a file, or one row of a table file (`rows.jsonl#ID`)."""

    id: str
    source: str
    """Path relative to the project, with forward slashes; `path#ID` for a row."""
    text: str
    title: str | None = None
    """The title that the content itself states; None when it states none."""
    media_type: str = "text/plain"
    pages: tuple[int, ...] = ()
    """Offset into `text` at which each page starts; empty when the format has no pages."""
    digest: str = ""
    groups: tuple[str, ...] = (EVERYONE,)
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of one document; `document.text[start:end] == text` always."""

    id: str
    document_id: str
    source: str
    ordinal: int
    start: int
    end: int
    text: str
    heading: str = ""
    """Heading path, outermost first, joined by ` > `."""
    page: int | None = None
    """Page on which the passage starts, counted from 1."""


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """What a store keeps for one passage."""

    passage: Passage
    context: str
    """Document title and heading path: embedded and indexed with the text, not part of it."""
    key: str
    """Digest of what was embedded, so that a vector can be used again."""
    vector: Vectors
    """float32, (dimension,), unit length."""
    groups: tuple[str, ...] = (EVERYONE,)
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage that one stage of a store found, with that stage's own score."""

    passage: Passage
    score: float
    vector: Vectors


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that retrieval found, best first in every list of hits."""

    passage: Passage
    score: float
    stages: Mapping[str, float] = field(default_factory=dict)
    """Score by stage: `bm25`, `dense` (cosine), `fused`, `reranked`. A stage that did not see it is absent."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a search may see. Applied inside the search, never after it."""

    groups: tuple[str, ...] = ()
    filters: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """Metadata key to the value, or the values of which one must match."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and by whom."""

    text: str
    history: tuple[Message, ...] = ()
    scope: Scope = Scope()


@dataclass(frozen=True, slots=True)
class Usage:
    """What one answer took. None means unknown, never nothing."""

    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    seconds: float | None = None
    usd: float | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a generator is given: the rendered messages, and the parts they were rendered from."""

    question: str
    messages: tuple[Message, ...] = ()
    hits: tuple[Hit, ...] = ()


@dataclass(frozen=True, slots=True)
class Generation:
    """What a generator gave back, before citations are checked."""

    text: str
    usage: Usage = Usage()
    confidence: float | None = None
    """Between 0 and 1, comparable between questions; None when the generator cannot tell."""


@dataclass(frozen=True, slots=True)
class Citation:
    """The link from one sentence of an answer to the place in a document that should support it."""

    marker: int
    """The number in `[n]`, counted from 1."""
    sentence: str
    support: Support
    passage_id: str | None = None
    """None when the marker names no passage that was given."""
    document_id: str | None = None
    source: str | None = None
    heading: str = ""
    page: int | None = None
    quote: str = ""
    start: int | None = None
    """Offsets of the quote into the document's text."""
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What an approach says to a question."""

    text: str
    status: Status
    output: Any = None
    """The label or object of a `classify` or `extract` task; None for text."""
    citations: tuple[Citation, ...] = ()
    hits: tuple[Hit, ...] = ()
    confidence: float | None = None
    approach: str = ""
    route: tuple[str, ...] = ()
    usage: Usage = Usage()
    steps: Mapping[str, float] = field(default_factory=dict)
    """Seconds by step: `retrieve`, `generate`, `cite`."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where the gold answer of an example stands."""

    source: str
    quote: str


@dataclass(frozen=True, slots=True)
class Example:
    """A question or input with the output that people agreed on."""

    id: str
    input: str
    output: Any = None
    """A string, a label or an object; None means that the right answer is to abstain."""
    evidence: tuple[Evidence, ...] = ()
    split: Split = "test"
    tags: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    origin: str = "person"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer: a row of the matrix, never a crash and never a zero."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Result:
    """One cell of the matrix: what one approach made of one example."""

    example: str
    approach: str
    status: Literal["answered", "abstained", "error"]
    output: Any = None
    citations: tuple[Citation, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    usage: Usage = Usage()
    error: Failure | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval and the number of observations behind it."""

    mean: float
    low: float
    high: float
    n: int
