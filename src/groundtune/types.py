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

    @property
    def headed(self) -> str:
        """Heading path and text, as a reranker reads it."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text


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
    """A passage that one stage of a store found, with that stage's own score. `Store.read` brings the passage."""

    id: str
    score: float
    vector: Vectors
    place: int
    """Where its store finds it again, as long as it is not written anew."""


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
    """Those of the asker."""
    origin: str = "person"
    group: str | None = None
    """Examples that share it are not independent (one customer, one conversation); resampled together."""
    rejected: Any = None
    """What a model wrote and a person replaced by `output`; None where nobody did. Learnt from by preference alone."""


@dataclass(frozen=True, slots=True)
class Shot:
    """An example that is shown to a model, as a hit is a passage that is shown to it."""

    example: Example
    score: float | None = None
    """Cosine to the question where it was chosen by that; None for a fixed shot."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a generator is given: the rendered messages, and the parts they were rendered from."""

    question: str
    messages: tuple[Message, ...] = ()
    hits: tuple[Hit, ...] = ()
    shots: tuple[Shot, ...] = ()
    schema: Mapping[str, Any] | None = None
    """JSON Schema of the reply, for endpoints that can hold a model to one; None for free text."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What a generator gave back, before citations are checked."""

    text: str
    usage: Usage = Usage()
    confidence: float | None = None
    """Between 0 and 1, comparable between questions; None when the generator cannot tell."""
    cached: bool = False
    """Whether it came out of the cache: `usage` is then what the first time took, and nothing was paid now."""


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
    paid: bool = True
    """False when every generation behind it came out of the cache: `usage` is then what the first time took."""


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
class Artifact:
    """What a training came to. Its file is written last: where it is, everything that it names is there."""

    id: str
    name: str
    """Of the table under [tune]."""
    kind: str
    base: str
    """The model that was trained further, by name or path."""
    base_digest: str
    dataset_digest: str
    recipe: Mapping[str, Any]
    """Settings of the training, seed included."""
    metrics: Mapping[str, float]
    """On the validation split."""
    files: Mapping[str, str]
    """Path inside the folder to SHA-256 of what is loaded to ask it."""
    versions: Mapping[str, str]
    """Library to version."""
    made: str
    """ISO time."""
    seconds: float
    usd: float | None
    """What the training cost; None when unknown."""
    seen_examples: tuple[str, ...] = ()
    seen_documents: tuple[str, ...] = ()
    """Sources whose text went into the weights."""
    unusable: str | None = None
    """Why it must not be asked; None when it may."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What its kind needs to be asked: labels, temperature, thresholds, name at a provider."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval and the number of observations behind it."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What one approach came to in the matrix. Every row is an answer, an abstention or an error; none is dropped."""

    name: str
    n: int
    """Rows that have the primary score; those behind `mean`."""
    mean: float | None
    """Of the primary score; None when no row has it."""
    low: float | None
    """95 % interval of `mean`."""
    high: float | None
    answered: int
    abstained: int
    errors: int
    """Rows without an answer, in none of the other figures; and those whose judge failed, with their other scores."""
    usd_per_1k: float | None
    """US dollars for 1,000 questions; None when the price of any row is unknown."""
    p50_seconds: float | None
    p95_seconds: float | None
    cited: float | None
    """Share of the answered rows with a citation of support exact or close; None when nothing was answered."""
    metrics: Mapping[str, Interval] = field(default_factory=dict)
    """Mean of every score, each over the rows that have it."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Errors by kind."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Two approaches on the examples that both have a score for."""

    a: str
    b: str
    difference: float
    """Mean of a minus mean of b, paired."""
    low: float
    """95 % interval of the difference, for this pair alone."""
    high: float
    p: float
    """Of the hypothesis that a and b are equal; two-sided."""
    p_adjusted: float
    """The same by Holm over all pairs: below 0.05 = measurably different."""
    n: int
    """Examples in common."""
    detectable: float | None
    """Smallest true difference that n such examples show in four of five cases; None where n is too small to say."""
    needed: int | None
    """Examples that would show the observed difference in four of five cases, were it true; None when it is 0."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which approach to use, or that nobody can tell."""

    choice: str | None
    """None when there is no clear winner."""
    sentence: str
    """The verdict in one sentence."""
    reasons: tuple[str, ...] = ()
    leaders: tuple[str, ...] = ()
    """The best approach, and those that are not measurably worse; best first."""
    ruled_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Name to the requirements that it misses."""
    flips: tuple[str, ...] = ()
    """What would change the verdict."""
    caveats: tuple[str, ...] = ()
    more_examples: int | None = None
    """About how many more examples would decide it; None when it is decided, or no number would do."""
