"""Define the types shared by all layers: frozen values without I/O or behaviour beyond small derived properties."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from groundtune.display import Block, Displayed
from groundtune.display.answers import answer_view, artifact_view, hits_view, verdict_view
from groundtune.note import Note
from groundtune.text_box import TextBox

Vectors = NDArray[np.float32]
Metadata = Mapping[str, str]

Split = Literal["train", "validation", "test"]
Support = str
"""How far a passage supports a sentence: `common/support.py` lists the states. Readers accept
states that they do not know."""
Status = Literal["answered", "abstained"]
Task = Literal["answer", "classify", "extract", "write"]
Stage = Literal["bm25", "dense", "fused", "reranked"]
TunedApproach = Literal["tuned", "tuned-constrained", "hybrid"]
"""A trained model alone, or over retrieved passages."""
FileStatus = Literal["indexed", "skipped", "failed"]

EVERYONE = "*"
"""The group that every user belongs to; documents without access rules have it."""


@dataclass(frozen=True, slots=True)
class Document:
    """A citable document: a file, or one row of a table file (`rows.jsonl#ID`)."""

    id: str
    source: str
    """Path relative to the project, with forward slashes; `path#ID` for a row."""
    text: str
    title: str | None = None
    """Title stated in the content; None when there is none."""
    media_type: str = "text/plain"
    pages: tuple[int, ...] = ()
    """Offset into `text` at which each page starts; empty when the format has no pages."""
    digest: str = ""
    groups: tuple[str, ...] = (EVERYONE,)
    metadata: Metadata = field(default_factory=dict)
    boxes: tuple[TextBox, ...] = ()
    """Where on its pages the text of a scan stands, in order of the text; empty for text that OCR did not read."""

    def boxes_between(self, start: int, end: int) -> list[TextBox]:
        """Return the boxes with text between two offsets, for example those of a passage or of a citation."""
        return [box for box in self.boxes if box.start < end and box.end > start]

    def page_at(self, offset: int) -> int | None:
        """Return the page of an offset, counted from 1; None when the format has no pages."""
        return bisect_right(self.pages, offset) or None

    def page_breaks(self, start: int, end: int) -> tuple[int, ...]:
        """Return the offsets between two others at which a new page starts."""
        return self.pages[bisect_right(self.pages, start) : bisect_left(self.pages, end)]


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of one document. Always `document.text[start:end] == text`."""

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
    page_breaks: tuple[int, ...] = ()
    """Offsets into the document's text at which a new page starts inside the passage."""
    wider_start: int | None = None
    """Offsets of the larger piece around it that a prompt gets in its place; None: the passage itself."""
    wider_end: int | None = None
    wider_heading: str = ""
    """Heading path that everything in the larger piece is under."""

    @property
    def headed(self) -> str:
        """Heading path and text, as a reranker reads them."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text

    def page_at(self, offset: int) -> int | None:
        """Return the page of an offset into the document's text, which must be inside the passage."""
        return None if self.page is None else self.page + bisect_right(self.page_breaks, offset)


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A passage with everything a store keeps for it."""

    passage: Passage
    context: str
    """Document title and heading path; embedded and indexed with the text, but not part of it."""
    key: str
    """Digest of the embedded text, used to reuse vectors."""
    vector: Vectors
    """float32, (dimension,), unit length."""
    groups: tuple[str, ...] = (EVERYONE,)
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage found by one search stage, with that stage's score. `Store.read` returns the passage itself."""

    id: str
    score: float
    vector: Vectors


@dataclass(frozen=True, slots=True)
class IndexManifest:
    """A generation of the index and the parts that built it: parser, chunker, embedder, dimension, language."""

    generation: str
    parts: Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class FileRow:
    """Outcome of one file, or of one item of another source."""

    source: str
    status: FileStatus
    reason: str | None = None
    documents: int = 0
    passages: int = 0
    digest: str | None = None
    """SHA-256 of the bytes; None if they could not be read."""
    signature: str | None = None
    """Size, times and inode: while these are unchanged, the file need not be read again."""
    groups: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    """What an indexed file holds that is not in its text, or was guessed; one per kind."""


@dataclass(frozen=True, slots=True)
class DocumentState:
    """The digest and passage count of a document in the index; another digest means that it must be indexed again."""

    digest: str
    passages: int


@dataclass(frozen=True, slots=True)
class SourceItem:
    """A row or page of a source outside the project folder, with exactly one of `text`, `content` and `path`."""

    id: str
    """Unique within its source and stable, without "#": the item's document has the source `SOURCE:ID`."""
    text: str | None = None
    """Plain text, with blank lines between paragraphs, unless `name` says otherwise."""
    content: bytes | None = None
    """Bytes of a file, read by the loader for the suffix of `name`."""
    path: Path | None = None
    """A file to read where it is."""
    name: str | None = None
    """File name whose suffix says how `text` or `content` is read, such as "page.md"."""
    title: str | None = None
    metadata: Metadata = field(default_factory=dict)
    groups: tuple[str, ...] = (EVERYONE,)
    """Groups that may read it. The access rules of the project can restrict it further, never widen it."""


@dataclass(frozen=True, slots=True)
class SourceChanges:
    """What a source reports since a cursor."""

    items: Sequence[SourceItem]
    """New and changed items; unchanged ones are recognised by their content."""
    removed: Sequence[str] = ()
    """Ids of items that are gone."""
    cursor: str | None = None
    """Passed to the next call; None: the next call starts over."""
    complete: bool = False
    """Whether `items`, with those of the calls before it in this run, is everything there is: the rest is removed."""
    more: bool = False
    """Whether to call again at once with this cursor. A cursor is kept for the next run only when there is no more."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that retrieval found. Every list of hits is ordered best first."""

    passage: Passage
    score: float
    stages: Mapping[str, float] = field(default_factory=dict)
    """Score by stage: `bm25` (scaled to 0 to 1), `dense` (cosine), `fused`, `reranked`. Stages that did not find it are
    absent."""
    also_in: tuple[str, ...] = ()
    """Other sources with the same passage, which are not among the hits."""


class Hits(Displayed, list[Hit]):
    """The passages that a search found, best first: a list with a notebook view."""

    __slots__ = ()

    def view(self) -> list[Block]:
        return hits_view(self)


@dataclass(frozen=True, slots=True)
class Scope:
    """Restricts which passages a search may return. Applied inside the search, never afterwards."""

    groups: tuple[str, ...] = ()
    filters: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    """Maps a metadata key to its value, or to several values of which one must match."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """What a caller asks of a model for one answer, beyond its settings in the project file."""

    temperature: float | None = None
    """None: as the project file says."""
    max_output_tokens: int | None = None
    """Upper bound; the one of the project file holds as well."""
    stop: tuple[str, ...] = ()
    """Texts before which the model ends."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question, with its history and the scope of the user."""

    text: str
    history: tuple[Message, ...] = ()
    scope: Scope = Scope()
    sampling: Sampling = Sampling()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, time and cost of one answer. None means unknown, never zero."""

    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    """Everything that the model wrote, its reasoning included."""
    seconds: float | None = None
    usd: float | None = None
    reasoning_tokens: int | None = None
    """The part of `output_tokens` that was reasoning."""
    machine_seconds: float | None = None
    """Seconds of this machine that the answer took: of a batch, the share of one answer. `seconds` is how long its user
    waits, for which the whole batch counts."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A quote that supports the gold answer of an example, and its source."""

    source: str
    quote: str
    start: int | None = field(default=None, repr=False)  # stale once the document changes, so nothing depends on it
    """Offsets of the quote into the document's text, when the example was made; None where nobody recorded them."""
    end: int | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Review:
    """What a person decided about an example that a program drafted."""

    state: Literal["accepted", "edited", "rejected"]
    by: str
    time: str
    """ISO 8601, UTC."""


@dataclass(frozen=True, slots=True)
class Example:
    """A question or input with its gold output."""

    id: str
    input: str
    output: Any = None
    """Text, label or object; None means that the correct answer is to abstain."""
    evidence: tuple[Evidence, ...] = ()
    split: Split = "test"
    tags: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    """Access groups of the user."""
    origin: str = "person"
    group: str | None = None
    """Examples with the same group are not independent (such as one conversation) and are resampled together."""
    rejected: Any = None
    """The rejected reply of a preference pair, or None. Used only by preference training."""
    history: tuple[Message, ...] = ()
    """The conversation before the input, oldest turn first."""
    reasoning: str = field(default="", repr=False)  # not part of what a comparison depends on
    """Thinking before the output. Only causal models are trained on it; it is never scored or shown."""
    review: Review | None = field(default=None, repr=False)  # the same question whether or not somebody looked at it
    """What a person decided about a drafted example; None when nobody looked at it, and for all others."""
    facts: tuple[tuple[str, ...], ...] = ()
    """What a written text must say: each fact with its equally right wordings. Only task write scores them."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A few-shot example in a prompt."""

    example: Example
    score: float | None = None
    """Cosine to the question if chosen by similarity; None for a fixed shot."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """Input of a generator: the rendered messages, and the parts they were rendered from."""

    question: str
    messages: tuple[Message, ...] = ()
    hits: tuple[Hit, ...] = ()
    shots: tuple[Shot, ...] = ()
    schema: Mapping[str, Any] | None = None
    """JSON Schema of the reply, for endpoints that support structured output; None for free text."""
    confidence: bool = False
    """Whether the generator is to state a confidence if it can, at more cost or a slower reply."""
    sampling: Sampling = Sampling()
    """What the caller asks of the model; only a generator with `samples = True` gets any."""


@dataclass(frozen=True, slots=True)
class Generation:
    """Output of a generator, before citations are checked."""

    text: str
    usage: Usage = Usage()
    confidence: float | None = None
    """Between 0 and 1, comparable between questions; None when the generator reports none."""
    cached: bool = False
    """Whether it came from the cache. If so, `usage` is that of the original call, and nothing was paid now."""
    reasoning: str = ""
    """What the model wrote before its answer, to itself; never part of `text`."""
    cut: str | None = None
    """Name of the limit at which the text ends too early, such as `max_output_tokens`; None when it is whole."""
    warnings: tuple[str, ...] = ()
    """What makes this text doubtful, one sentence each, such as a prompt that the server shortened."""


@dataclass(frozen=True, slots=True)
class Citation:
    """How one sentence of an answer was checked against the place in a document that should support it."""

    marker: int | None
    """The number in `[n]` of the answer, counted from 1 in order of appearance; None for a sentence without one. Which
    passage it names stands in `passage_id`."""
    sentence: str
    support: Support
    passage_id: str | None = None
    """None when the marker refers to no passage of the prompt."""
    document_id: str | None = None
    source: str | None = None
    heading: str = ""
    page: int | None = None
    """Page on which the quote starts, or without a quote the passage; counted from 1."""
    quote: str = ""
    start: int | None = None
    """Offsets of the quote into the document's text."""
    end: int | None = None
    added: bool = False
    """Whether groundtune added the marker: the model gave one for the whole paragraph, or none where exactly one
    passage supports the sentence."""
    also_in: tuple[str, ...] = ()
    """Other sources with the same passage."""
    newer: str | None = None
    """The document that replaces this one, where this one says so; None also where nobody looked, as in `compare`."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What an approach sent and searched for, to see why it answered as it did."""

    prompt: Prompt | None = None
    """The prompt as sent; None when no model was asked."""
    query: str | None = None
    """The text that retrieval searched for; None without retrieval."""
    model: str | None = None
    """Name of the model that was asked; None when none was."""
    notes: tuple[str, ...] = ()
    """What did not go as configured, and what was done instead."""
    reply: str | None = None
    """What the model wrote, with its own markers, which count the passages of the prompt; None when none was asked."""


@dataclass(frozen=True, slots=True)
class Answer(Displayed):
    """Answer of an approach to a question. `str(answer)` is the text with its citations or the nearest passages."""

    text: str
    status: Status
    output: Any = None
    """Label or object of a `classify` or `extract` task; None for text."""
    citations: tuple[Citation, ...] = ()
    hits: tuple[Hit, ...] = ()
    confidence: float | None = None
    approach: str = ""
    route: tuple[str, ...] = ()
    usage: Usage = Usage()
    steps: Mapping[str, float] = field(default_factory=dict)
    """Seconds by step: `retrieve`, `generate`, `cite`."""
    paid: bool = True
    """Whether it cost something now, or may have: False when its price is 0, and when it came from the cache."""
    id: str = ""
    """Unique id, for logs and feedback."""
    time: str = ""
    """When it was given: ISO 8601, UTC."""
    trace: Trace = Trace()
    reasoning: str = ""
    """What the model wrote to itself before the answer; not shown by default, never cited or scored."""
    cut: str | None = None
    """Name of the limit at which the text ends too early; None when it is whole."""
    warnings: tuple[str, ...] = ()
    """What makes the answer doubtful, one sentence each."""
    cached: bool = False
    """Whether all generations came from the cache; `usage` is then that of the original calls."""
    degradation: str | None = None
    """Why another approach than the chosen one answered; None when the chosen one did."""
    held: bool = False
    """Whether a person must decide before the text is shown; it is then left out. Only the server holds answers."""
    split: str | None = None
    """The approach that was drawn for the question, where the server splits its traffic between two; else None."""

    def view(self) -> list[Block]:
        return answer_view(self)


@dataclass(frozen=True, slots=True)
class Retrieved:
    """First event of a streamed answer: the passages it may cite; empty for approaches without retrieval."""

    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the text. The pieces of a stream, or those after its `Reset`, joined, are `Answer.text`."""

    text: str


@dataclass(frozen=True, slots=True)
class CitationChecked:
    """A citation in the text so far, after its check."""

    citation: Citation


@dataclass(frozen=True, slots=True)
class Reset:
    """The text and citations so far were the thinking of the model: drop them. The whole answer follows."""


@dataclass(frozen=True, slots=True)
class Done:
    """Last event of a stream: the whole answer, with what is known only at the end."""

    answer: Answer


AnswerEvent = Retrieved | TextDelta | CitationChecked | Reset | Done


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer. A failure becomes a row of the matrix, never a crash or a zero."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class EvidenceUse:
    """Where a piece of an example's evidence stood in the prompt of an answer, and whether the answer cites it."""

    rank: int | None
    """Rank of the first passage that holds it, counted from 1; None when no passage of the prompt does."""
    cited: bool
    """Whether the answer cites such a passage, whatever the check says of the sentence."""
    missed: str | None = None
    """Why it has no rank, in the words of `groundtune evaluate`; None where it has one, and where there is no index."""


@dataclass(frozen=True, slots=True)
class Grounding:
    """What an answer could rest on: the passages in its prompt, and where the evidence of the example is among them."""

    passages: int | None
    """Number of passages in the prompt, 0 if the search found none; None for an approach that is given none."""
    ids: tuple[str, ...] = ()
    """Ids of these passages, best first; of a longer list the first 50."""
    evidence: tuple[EvidenceUse, ...] = ()
    """One for each piece of evidence, in the order of the example."""


@dataclass(frozen=True, slots=True)
class Result:
    """One cell of the matrix: the result of one approach on one example."""

    example: str
    approach: str
    status: Literal["answered", "abstained", "error"]
    output: Any = None
    citations: tuple[Citation, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    usage: Usage = Usage()
    error: Failure | None = None
    confidence: float | None = None
    best_score: float | None = None
    """Retrieval score of the best passage; None without passages."""
    margin: float | None = None
    """Difference between the scores of the best passage and the second; None with fewer than two."""
    cut: str | None = None
    """Name of the limit at which the reply ends too early, also if that makes it an error; None when it is whole."""
    warnings: tuple[str, ...] = ()
    """What makes the answer doubtful, one sentence each."""
    grounding: Grounding | None = None
    """None where nobody recorded it: in rows of older versions, and where there is no answer."""


@dataclass(frozen=True, slots=True)
class Artifact(Displayed):
    """A trained model. Its file is written last, so its existence means that all files it names exist."""

    id: str
    name: str
    """Name of the table under [tune]."""
    kind: str
    base: str
    """Name or path of the base model."""
    base_digest: str
    dataset_digest: str
    recipe: Mapping[str, Any]
    """Settings of the training run, seed included."""
    metrics: Mapping[str, float]
    """Metrics on the validation split."""
    files: Mapping[str, str]
    """SHA-256 of each file that is loaded for inference, by path inside the folder."""
    versions: Mapping[str, str]
    """Version of each library."""
    made: str
    """Creation time, ISO 8601."""
    seconds: float
    usd: float | None
    """Cost of the training run; None when unknown."""
    seen_examples: tuple[str, ...] = ()
    seen_documents: tuple[str, ...] = ()
    """Sources whose text was trained on."""
    unusable: str | None = None
    """Why it must not be used; None when it is usable."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Inference settings of its kind: labels, temperature, thresholds, name at a provider."""

    def view(self) -> list[Block]:
        return artifact_view(self)


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95% interval and the number of observations."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}] n={self.n}"


@dataclass(frozen=True, slots=True)
class Forecast:
    """The score that a number of training examples may give, by the law that was fitted to a learning curve."""

    examples: int
    score: Interval
    gain: Interval
    """Over the score with the examples at hand."""


@dataclass(frozen=True, slots=True)
class ApproachSummary:
    """Aggregate results of one approach. Every row is an answer, an abstention or an error; none is dropped."""

    name: str
    n: int
    """Rows that have the primary score; those behind `mean`."""
    mean: float | None
    """Mean of the primary score; None when no row has it."""
    low: float | None
    """Lower end of the 95% interval of `mean`."""
    high: float | None
    answered: int
    abstained: int
    errors: int
    """Rows without an answer, which count in no other figure, and rows whose judge failed, which keep other scores."""
    usd_per_1k: float | None
    """US dollars per 1,000 questions; None when the price of any row is unknown."""
    p50_seconds: float | None
    p95_seconds: float | None
    cited: float | None
    """Share of answered rows of which passages support at least half the sentences; None when none can be checked."""
    metrics: Mapping[str, Interval] = field(default_factory=dict)
    """Mean of each score over the rows that have it."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Number of errors by kind."""
    cut: Mapping[str, int] = field(default_factory=dict)
    """Number of replies that ended too early, by the limit that cut them."""
    unchecked: float | None = None
    """Share of the sentences of its answers that nothing could check; None when none is cited or should be."""
    machine_seconds: float | None = None
    """Mean seconds of this machine for an answer; None where that of any answer is unknown, or spent elsewhere."""
    answers_per_batch: float | None = None
    """Answers that a model on this machine wrote at a time, on average: its latencies are those of whole batches. None
    where each was written alone."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Paired comparison of two approaches on the examples that both have a score for."""

    a: str
    b: str
    difference: float
    """Mean of a minus mean of b, paired."""
    low: float
    """Lower end of the 95% interval of the difference, for this pair alone."""
    high: float
    p: float
    """Two-sided p-value for the null hypothesis that a and b are equal."""
    p_adjusted: float
    """p adjusted by Holm over all pairs; below 0.05: measurably different."""
    n: int
    """Examples in common."""
    detectable: float | None
    """Smallest true difference that n such examples detect with 80% power; None when n is too small to tell."""
    needed: int | None
    """Examples needed to detect the observed difference with 80% power, if it is real; None when it is 0."""


@dataclass(frozen=True, slots=True)
class Flip:
    """A change of one thing that changes the verdict."""

    key: str
    """What moves, by the name of `report --what-if`."""
    now: float | bool | str | None
    """Its value now; None: unknown, or no limit."""
    value: float | bool | str | None
    """A value at which the verdict is another one; None: no limit."""
    side: Literal["or more", "or less", "exactly"]
    """Which values have the same effect, as far as no other flip comes."""
    choice: str | None
    """What would be recommended; None: no approach."""
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict(Displayed):
    """Recommendation of an approach, or the statement that the data cannot decide."""

    choice: str | None
    """None when there is no clear winner."""
    sentence: str
    """The verdict in one sentence."""
    reasons: tuple[str, ...] = ()
    leaders: tuple[str, ...] = ()
    """The best approach and those not measurably worse, best first."""
    ruled_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Maps each excluded name to the requirements that it misses."""
    flips: tuple[Flip, ...] = ()
    """Changes of one thing that would change the verdict."""
    caveats: tuple[str, ...] = ()
    more_examples: int | None = None
    """Approximate number of further examples that would decide it; None when decided or when no number would."""

    def view(self) -> list[Block]:
        return verdict_view(self)
