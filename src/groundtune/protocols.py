"""Define the interfaces between components. Implementations match them structurally; nothing inherits from them."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from groundtune.errors import ProviderError
from groundtune.types import (
    Answer,
    AnswerEvent,
    Artifact,
    Candidate,
    Document,
    DocumentState,
    Example,
    FileRow,
    Generation,
    Hit,
    IndexEntry,
    IndexManifest,
    Passage,
    Prompt,
    Question,
    Scope,
    Shot,
    SourceChanges,
    Stage,
    Support,
    Task,
    TunedApproach,
    Vectors,
)


@runtime_checkable
class Embedder(Protocol):
    """Embeds texts as unit vectors.

    Set `estimates_tokens = True` if `count_tokens` does not use the tokenizer of the model.
    """

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str:
        """Changes whenever the same text would get a different vector."""
        ...

    @property
    def dimension(self) -> int: ...

    @property
    def max_tokens(self) -> int:
        """Longest text that is not truncated, in tokens, special tokens included."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, special tokens included."""
        ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed passages: float32, (n, dimension), unit length."""
        ...

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Embed questions: float32, (n, dimension), unit length."""
        ...


@runtime_checkable
class TolerantEmbedder(Embedder, Protocol):
    """An embedder whose model may refuse some texts and embed the others."""

    async def embed_each(self, texts: Sequence[str]) -> Sequence[Vectors | ProviderError]:
        """Embed passages one by one: float32, (dimension,), unit length, or the reason why there is no vector.

        An error of the kind `refused_text` concerns that text alone; after any other error, which concerns the server,
        the remaining texts may have none. Raises nothing else.
        """
        ...


@runtime_checkable
class VectorCache(Protocol):
    """Looks up vectors that were computed before, so that unchanged text is never embedded twice."""

    async def vectors(self, keys: Iterable[str]) -> dict[str, Vectors]:
        """Return stored vectors by `IndexEntry.key`; absent keys are left out."""
        ...


@runtime_checkable
class Store(Protocol):
    """Stores passages with vectors and full text. Every method sees all writes that finished before it."""

    async def replace(self, document_ids: Sequence[str], entries: Sequence[IndexEntry]) -> None:
        """Replace all entries of these documents with `entries`, atomically for readers."""
        ...

    async def delete(self, document_ids: Sequence[str]) -> None:
        """Remove these documents from every index at once."""
        ...

    async def dense(self, vector: Vectors, *, k: int, scope: Scope) -> list[Candidate]:
        """Return the k nearest by cosine, best first; score = cosine, -1 to 1."""
        ...

    async def lexical(self, text: str, *, k: int, scope: Scope) -> list[Candidate]:
        """Return the k best by the words of the text, best first.

        The store scales the score to 0 to 1, on a scale that does not depend on the question: 1 is the score of a
        passage that contains a few words which no other passage contains. See `retrieve/lexical_scale.py`.
        """
        ...

    async def read(self, ids: Sequence[str], *, scope: Scope) -> dict[str, Passage]:
        """Return passages by id, as they are now; those absent or outside the scope are left out."""
        ...

    async def passages(self, document_id: str) -> list[Passage]:
        """Return all passages of a document in reading order."""
        ...

    async def embedded_texts(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the text embedded for these passages, headed by title and heading path; absent ids are left out."""
        ...

    async def scan(self, scope: Scope) -> list[Passage]:
        """Return all passages in scope, by source and reading order."""
        ...

    async def count(self) -> int:
        """Return the number of passages."""
        ...

    async def optimize(self) -> None:
        """Compact small writes and update the indexes. Never changes search results."""
        ...


@runtime_checkable
class Catalog(Protocol):
    """The ledger of an index: the outcome of every file and the text of every document. One writer, many readers."""

    async def files(self) -> dict[str, FileRow]:
        """Return the rows of all files, by source."""
        ...

    async def document(self, source: str) -> Document | None:
        """Return the document with this source; None if it is not in the index."""
        ...

    async def document_by_id(self, document_id: str) -> Document | None: ...

    async def document_states(self, file: str) -> dict[str, DocumentState]:
        """Return the digests and passage counts of a file's documents, by document id, without loading their texts."""
        ...

    async def unfinished(self) -> dict[str, set[str]]:
        """Return the ids of documents that an interrupted run may have changed in the store, by file."""
        ...

    async def mark_unfinished(self, documents: Iterable[tuple[str, str]]) -> None:
        """Record (document id, file) before the store is written; `save` or `remove` of the file clears the entry."""
        ...

    async def digest(self) -> str:
        """Return a digest that changes when a document is added, removed or edited, or when its groups change."""
        ...

    async def count(self) -> int:
        """Return the number of documents."""
        ...

    async def save(self, rows: Iterable[tuple[FileRow, Sequence[tuple[Document, int]]]]) -> None:
        """Replace the rows of files and of their documents (with passage counts), in one transaction."""
        ...

    async def save_rows(self, rows: Iterable[FileRow]) -> None:
        """Update the rows of files whose documents are unchanged."""
        ...

    async def remove(self, sources: Iterable[str]) -> None:
        """Remove files and their documents."""
        ...

    async def cursors(self) -> dict[str, str]:
        """Return the cursor of each source outside the project folder, by the source's name."""
        ...

    async def save_cursor(self, source: str, cursor: str | None) -> None:
        """Record how far a source was read; None: from the start next time."""
        ...


@runtime_checkable
class IndexGeneration(Protocol):
    """One open generation of the index: passages, catalog and cached vectors. Readers and the writer each open it."""

    @property
    def manifest(self) -> IndexManifest: ...

    @property
    def store(self) -> Store: ...

    @property
    def catalog(self) -> Catalog: ...

    @property
    def vector_cache(self) -> VectorCache: ...

    async def version(self) -> str:
        """Return the name of the state that it shows now, such as `g-1f3a@57`; two states never share a name."""
        ...

    async def snapshot(self) -> "IndexGeneration":
        """Return a read-only view of this moment, which later writes do not change until it is closed."""
        ...

    async def close(self) -> None:
        """Release files and connections; unpins a snapshot."""
        ...


@runtime_checkable
class IndexStorage(Protocol):
    """The place where the generations of a project's index are kept: a folder, a bucket or a database."""

    async def current(self) -> IndexManifest | None:
        """Return the generation that readers use; None before the first ingest."""
        ...

    async def begin_generation(self, parts: Mapping[str, str | int], *, rebuild: bool) -> IndexManifest:
        """Return the generation to write into: the current one, or a new one alongside it.

        A rebuild and a first index get a new generation, current after `finish_generation`, so that readers never see
        it half built. An unfinished generation with the same parts is resumed.
        """
        ...

    async def finish_generation(self, manifest: IndexManifest) -> None:
        """Switch readers to this generation. The old one stays for readers that still use it."""
        ...

    async def open(self, manifest: IndexManifest, *, read_only: bool) -> IndexGeneration:
        """Open a generation; its dimension and language are among the manifest's parts. Raises MissingError."""
        ...

    async def erase(self) -> None:
        """Erase at once what was deleted: from the files of the current generation, and with every older one.

        A rebuild in progress is dropped. Call it as the writer. Raises BusyError while a snapshot reads an older state.
        """
        ...

    def writer_lock(self, *, wait_seconds: float = 0.0) -> AbstractAsyncContextManager[None]:
        """Hold the lock of the single writer. Raises BusyError, naming the holder, if it is not free in time."""
        ...


@runtime_checkable
class Source(Protocol):
    """Documents from outside the project folder: a query, an endpoint, a folder elsewhere."""

    async def changes(self, cursor: str | None) -> SourceChanges:
        """Return what changed since the cursor of the last call; None asks for everything there is.

        After an interrupted run, or when options or access rules have changed, a source is asked for everything; what
        it then does not report is removed.

        Called again while `more` is set. Whatever it raises is recorded as the failure of this source, whose documents
        stay as they are.
        """
        ...


@runtime_checkable
class SupportChecker(Protocol):
    """Decides whether a passage supports a sentence, for sentences that are not in it word for word."""

    def support(self, sentence: str, passage: str) -> Support:
        """Return how far the passage, with its heading above it, supports the sentence.

        A state of `common/support.py`, most often "close", "missing" or "unchecked", or one of its own, which counts
        like "unchecked". Called in a thread, never for two sentences of an answer at once.
        """
        ...


@runtime_checkable
class Reranker(Protocol):
    """Scores retrieved candidates more accurately, and more slowly, than retrieval."""

    @property
    def name(self) -> str: ...

    async def score(self, question: str, passages: Sequence[Passage]) -> list[float]:
        """Return the relevance of each passage; higher is better, comparable within one question."""
        ...


@runtime_checkable
class Retriever(Protocol):
    """Finds passages for a question."""

    async def search(self, question: Question, *, k: int, stage: Stage | None = None) -> list[Hit]:
        """Return at most k hits, best first. `stage` runs one stage alone instead of the configured chain."""
        ...


@runtime_checkable
class ContextProvider(Protocol):
    """Gathers the passages that an approach may cite."""

    async def gather(self, question: Question) -> list[Hit]:
        """Return hits in the order in which they are numbered `[1]`, `[2]`, …"""
        ...


@runtime_checkable
class Generator(Protocol):
    """Generates text from a prompt.

    Set `reads_messages = False` if it reads only the parts of a prompt; no messages are then rendered. Set
    `samples = True` if it honours `Prompt.sampling`; questions that ask for any are refused otherwise.
    """

    @property
    def name(self) -> str: ...

    async def generate(self, prompt: Prompt) -> Generation:
        """Generate a reply. Raises ProviderError when a remote model fails."""
        ...


@runtime_checkable
class StreamingGenerator(Generator, Protocol):
    """A generator that can stream its text.

    Set `has_confidence = False` if its generations never carry one: an approach with a threshold then need not hold the
    text until the end, and none is calibrated. A generator that can state one, but at a price, does so where
    `Prompt.confidence` asks for it.
    """

    def stream(self, prompt: Prompt) -> AsyncIterator[str | Generation]:
        """Yield pieces of text, in order, and at the end the whole generation. Raises as `generate` does.

        The text of the generation is the answer: pieces that are not its beginning turned out to be a thought.
        """
        ...


@runtime_checkable
class RepeatableGenerator(Generator, Protocol):
    """A generator whose output can be cached, because it depends only on the request."""

    def request(self, prompt: Prompt) -> Mapping[str, Any]:
        """Return everything the generation depends on, as JSON values: model, endpoint, messages, parameters."""
        ...

    def ceiling_usd(self, prompt: Prompt) -> float | None:
        """Return the most one generation can cost, in US dollars; 0 for free models, None when unknown."""
        ...


@runtime_checkable
class SchemaGenerator(Generator, Protocol):
    """A generator that holds its text to the schema of a prompt while it writes."""

    def why_not_held(self, schema: Mapping[str, Any]) -> str | None:
        """Return what keeps it from holding this schema, such as a keyword; None as far as it is known to hold it."""
        ...


@runtime_checkable
class ShotChooser(Protocol):
    """Chooses the few-shot examples for a prompt."""

    async def choose(self, question: Question) -> list[Shot]:
        """Return shots in prompt order, never one whose input equals the question."""
        ...


@runtime_checkable
class Approach(Protocol):
    """A way to answer questions: the interface shared by comparison, routing, serving and fallback."""

    @property
    def name(self) -> str: ...

    async def answer(self, question: Question) -> Answer:
        """Return an answer or an abstention. Raises only errors from `errors`."""
        ...


@runtime_checkable
class HasThreshold(Approach, Protocol):
    """An approach that abstains below a confidence, which can be calibrated."""

    @property
    def threshold(self) -> float | None:
        """Confidence below which it abstains; None when it has no threshold, and states no confidence for one."""
        ...

    @property
    def states_confidence(self) -> bool:
        """Whether its answers may carry a confidence."""
        ...

    def with_threshold(self, threshold: float | None) -> Approach:
        """Return the same approach with another threshold."""
        ...


@runtime_checkable
class Combination(Approach, Protocol):
    """An approach that asks others."""

    @property
    def parts(self) -> Sequence[Approach]: ...

    def with_parts(self, approaches: Mapping[str, Approach]) -> Approach:
        """Return the same combination of other approaches with the same names, as far as they are given."""
        ...


@runtime_checkable
class StreamingApproach(Approach, Protocol):
    """An approach that can hand out an answer while it is being written."""

    def stream(self, question: Question) -> AsyncIterator[AnswerEvent]:
        """Yield `Retrieved`, then text and checked citations, then `Done`; the same content as `answer`.

        A sentence is handed out once its citations are checked, and nothing is handed out that may still be taken back:
        an approach that can abstain first decides that it does not. The exception is a thought that nothing marked as
        one: `Reset` takes it back.
        """
        ...


class Prices(Protocol):
    """Token prices."""

    def usd(self, model: str, tokens: Mapping[str, int]) -> float | None:
        """Return the cost of `input_tokens`, `cached_tokens`, `output_tokens` in US dollars; None when unknown."""
        ...


class Trainer(Protocol):
    """Turns rows into an artifact, in a separate process; see tune/job.py."""

    def estimate(self, job: Any) -> Any:
        """Return `Bounds` for a `Job`: the most it can take. Runs in seconds and loads no weights."""
        ...

    def train(self, job: Any, report_step: Any) -> Any:
        """Train a `Job`, report progress to a `ProgressCallback`, and return a `TrainingResult`.

        Resumes from `job.checkpoint` if it exists. Raises GroundtuneError.
        """
        ...


@runtime_checkable
class TrainingKind(Trainer, Protocol):
    """A kind of training: all that is known about the tables [tune.NAME] of one `kind`.

    Built-in kinds are in build/training_kinds/; other packages register theirs as an extension. The protocols below
    are optional: a kind has their methods only where it needs them. So is `sees_history = True`, for a kind whose rows
    contain the conversation before an input.
    """

    @property
    def kind(self) -> str: ...

    @property
    def config(self) -> type[Any]:
        """Model of the table: a subclass of `TrainingConfig` with a field `kind: Literal["…"]`."""
        ...

    @property
    def tasks(self) -> tuple[Task, ...] | None:
        """Tasks that it can train for; None: all."""
        ...

    def approaches(self, table: Any, task: Task) -> Sequence[TunedApproach]:
        """Return the approaches that the trained model provides, "tuned" first; empty if it answers nothing.

        A model that only provides "hybrid" was trained on passages.
        """
        ...

    async def rows(self, inputs: Any, table: Any, examples: Sequence[Example], *, measured: bool) -> list[Any]:
        """Return a `TrainingRow` for each example that can be used. inputs: the project, as `TrainingInputs`.

        measured: whether the examples are those of the validation split. Raises UsageError, MissingError.
        """
        ...

    def preflight(self, job: Any) -> tuple[Mapping[str, Any], list[str]]:
        """Return fields of `PreflightInputs`, such as `form` and `count_tokens`, and caveats, one sentence each."""
        ...

    def load(self, config: Any, artifact: Artifact, folder: Path, *, patience_seconds: float = 0.0) -> Generator:
        """Return a generator for the trained model in a folder. Raises MissingError, or UsageError if it has none.

        config: the project file. patience_seconds: how long one request may wait for rate limits.
        """
        ...


@runtime_checkable
class CompletesJobs(Protocol):
    """A kind whose trainer needs more of the project than rows, settings, labels and schema."""

    def complete_job(self, inputs: Any, table: Any, job: Any) -> Any:
        """Return the `Job` with further `details`, or another `base`. Raises UsageError if it must not be trained."""
        ...


@runtime_checkable
class HasBase(Protocol):
    """A kind that trains from a base model on this machine."""

    def base_digest(self, job: Any) -> str | None:
        """Return the digest of the base model as it is now; a model trained from another one is not reused."""
        ...


@runtime_checkable
class ControlsJobs(Protocol):
    """A kind that leaves the training to a provider, and records the job in `state.json` of the training's folder."""

    def control_job(self, job: Any, action: Any) -> tuple[str, str]:
        """Pause, resume or cancel the job at the provider, and return its id and status. Raises ProviderError."""
        ...

    def created_with(self, job: Any) -> Any:
        """Return the `Job` with only what defines it; a job at the provider that differs in the rest is resumed."""
        ...


@runtime_checkable
class ChecksModels(Protocol):
    """A kind whose models are checked with the generator that answers with them, after training and on demand."""

    async def check_model(self, folder: Path, artifact: Artifact, *, device: str | None = None) -> Artifact:
        """Return the artifact with the figures of the check, marked unusable if the generator differs from the trainer.

        device: where to run the model; None: where it was trained.
        """
        ...


@runtime_checkable
class CallsEndpoint(Protocol):
    """A kind whose models are called at an endpoint, and may cost money."""

    def model_config(self, artifact: Artifact) -> Any:
        """Return the `ModelConfig` of the trained model."""
        ...


@runtime_checkable
class ReplacesRetriever(Protocol):
    """A kind whose models become part of the project's retrieval with `groundtune models adopt`."""

    def adoption(self, artifact: Artifact, folder: str) -> tuple[str, Mapping[str, str]]:
        """Return the table of the project file to change, and its new values. folder: relative to the project."""
        ...
