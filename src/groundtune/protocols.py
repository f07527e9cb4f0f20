"""What a backend must be able to do. Implementations satisfy these by shape; nothing inherits from them."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from groundtune.types import (
    Answer,
    Candidate,
    Generation,
    Hit,
    IndexEntry,
    Passage,
    Prompt,
    Question,
    Scope,
    Shot,
    Stage,
    Vectors,
)


@runtime_checkable
class Embedder(Protocol):
    """Text to unit vectors."""

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str:
        """Changes when the same text would get another vector."""
        ...

    @property
    def dimension(self) -> int: ...

    @property
    def max_tokens(self) -> int:
        """Longest text that is embedded whole, in tokens, special tokens included."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special tokens included."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of passages: float32, (n, dimension), unit length."""
        ...

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Vectors of questions: float32, (n, dimension), unit length."""
        ...


@runtime_checkable
class Store(Protocol):
    """Passages with vectors and full text. Every method sees all writes that finished before it."""

    async def replace(self, document_ids: Sequence[str], entries: Sequence[IndexEntry]) -> None:
        """Put `entries` in the place of all that these documents had, in one step for readers."""
        ...

    async def delete(self, document_ids: Sequence[str]) -> None:
        """Remove these documents from every index at once."""
        ...

    async def dense(self, vector: Vectors, *, k: int, scope: Scope) -> list[Candidate]:
        """The k nearest by cosine, best first; score = cosine, -1 to 1."""
        ...

    async def lexical(self, text: str, *, k: int, scope: Scope) -> list[Candidate]:
        """The k best by BM25, best first; score = BM25, above 0."""
        ...

    async def read(self, candidates: Sequence[Candidate]) -> dict[str, Passage]:
        """The passages, by id; what was deleted, replaced or moved since it was found is left out."""
        ...

    async def vectors(self, keys: Iterable[str]) -> dict[str, Vectors]:
        """Vectors already stored, by `IndexEntry.key`; absent keys are left out."""
        ...

    async def passages(self, document_id: str) -> list[Passage]:
        """All passages of a document in reading order."""
        ...

    async def embedded(self, ids: Iterable[str]) -> dict[str, str]:
        """What was embedded of these passages, title and heading path before the text; absent ids are left out."""
        ...

    async def scan(self, scope: Scope) -> list[Passage]:
        """All passages in scope, by source and reading order."""
        ...

    async def count(self) -> int:
        """Number of passages."""
        ...

    async def optimize(self) -> None:
        """Fold small writes together and bring the indexes up to date. Never changes what is found."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """A slower, better judge of the candidates that retrieval found."""

    @property
    def name(self) -> str: ...

    async def score(self, question: str, passages: Sequence[Passage]) -> list[float]:
        """Relevance of each passage, higher is better, comparable within one question."""
        ...


@runtime_checkable
class Retriever(Protocol):
    """Question to passages."""

    async def search(self, question: Question, *, k: int, stage: Stage | None = None) -> list[Hit]:
        """At most k hits, best first; `stage` looks at one stage alone instead of the configured chain."""
        ...


@runtime_checkable
class Gatherer(Protocol):
    """What gathers the evidence an approach may cite."""

    async def gather(self, question: Question) -> list[Hit]:
        """Hits in the order in which they are numbered `[1]`, `[2]`, …"""
        ...


@runtime_checkable
class Generator(Protocol):
    """Prompt to text."""

    @property
    def name(self) -> str: ...

    async def generate(self, prompt: Prompt) -> Generation:
        """Raises ProviderError when a remote model fails."""
        ...


@runtime_checkable
class StreamingGenerator(Generator, Protocol):
    """A generator that can hand out its text while it is being made."""

    def stream(self, prompt: Prompt) -> AsyncIterator[str]:
        """Pieces of text, in order."""
        ...


@runtime_checkable
class RepeatableGenerator(Generator, Protocol):
    """A generator whose work can be kept: what it is asked is all that its text depends on."""

    def request(self, prompt: Prompt) -> Mapping[str, Any]:
        """Everything the generation depends on, as plain JSON values: model, place, messages, parameters."""
        ...

    def ceiling_usd(self, prompt: Prompt) -> float | None:
        """The most that one generation can cost, in US dollars; 0 where nobody bills; None when unknown."""
        ...


@runtime_checkable
class ShotChooser(Protocol):
    """What chooses the examples that a model is shown."""

    async def choose(self, question: Question) -> list[Shot]:
        """Shots in the order in which they are shown; never one with the question's own text."""
        ...


@runtime_checkable
class Approach(Protocol):
    """The one interface that comparing, routing, serving and falling back share."""

    @property
    def name(self) -> str: ...

    async def answer(self, question: Question) -> Answer:
        """An answer or an abstention; raises only what is in `errors`."""
        ...


class Prices(Protocol):
    """What tokens cost."""

    def usd(self, model: str, tokens: Mapping[str, int]) -> float | None:
        """Price of `input_tokens`, `cached_tokens`, `output_tokens`; None when unknown."""
        ...


class Trainer(Protocol):
    """What turns rows into an artifact: a module of `tune`. Runs in a process of its own; see tune/job.py."""

    def estimate(self, job: Any) -> Any:
        """`Job` to `Bounds`: what it takes at most; seconds, no weights loaded."""
        ...

    def train(self, job: Any, watch: Any) -> Any:
        """`Job` and `Watch` to `Trained`; goes on from `job.checkpoint` where there is one. Raises GroundtuneError."""
        ...
