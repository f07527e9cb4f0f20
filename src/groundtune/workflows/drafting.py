"""Draft examples from the documents of an index into a file of their own. Never writes into other examples."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from groundtune.build.open_index import OpenIndex
from groundtune.common.event_loop import run_workers
from groundtune.common.text import format_count
from groundtune.config import Config
from groundtune.corpus.contradictions import contradictions
from groundtune.corpus.files import CorpusFile
from groundtune.corpus.versions import version_pairs
from groundtune.dataset.examples import read_examples
from groundtune.dataset.importing.convert import write_examples
from groundtune.dataset.new_examples import DRAFTED, KnownInputs
from groundtune.dataset.reviewing import is_rejected
from groundtune.display import Block, Displayed, Line
from groundtune.drafting.checks import NEAR_ANOTHER, fault
from groundtune.drafting.corpus import DraftedCorpus
from groundtune.drafting.draft import KINDS, SHARES, Draft, Kind, to_example
from groundtune.drafting.model_drafts import ModelDrafts
from groundtune.drafting.templates import TemplateDrafts
from groundtune.errors import ProviderError, UsageError
from groundtune.protocols import Generator
from groundtune.types import Document, Example, Message, Passage, Question, Scope
from groundtune.workflows.checking_documents import read_corpus

DEPTH = 10
"""Passages in which an answer is searched for that stands elsewhere too."""
SEARCHES = 4
"""Searches at once, where no model limits them."""
SAVED_SECONDS = 2.0
"""Longest time that accepted drafts are in memory alone."""
FAILURES = 5
"""Calls of a model in a row that may fail; then the run ends."""
TRIES, FIRST_TRIES = 5, 10
"""Tries of a kind for each wanted draft, and beyond that, with a model, before the kind is given up."""
WEAKER = (
    "Drafted by templates, without a language model: the weaker form. Their questions repeat the words of the "
    "documents, so retrieval finds more of them than of what people ask."
)


class Drafter(Protocol):
    """Makes drafts of each kind out of a corpus."""

    def materials(self, kind: Kind) -> AsyncIterator[Any]:
        """Yield what drafts of a kind can be made of, until the documents hold no more."""
        ...

    async def write(self, kind: Kind, material: Any) -> Draft | str:
        """Return a draft, or why there is none."""
        ...

    async def doubt(self, draft: Draft) -> str | None:
        """Return why a draft that passed all other checks must be dropped, or None."""
        ...


@dataclass(frozen=True, slots=True)
class DraftReport(Displayed):
    """The outcome of drafting; every draft is either in the file or counted in `dropped`."""

    file: Path
    model: str | None
    """Name of the model in the project file; None for templates."""
    wanted: int
    new: int
    before: int
    """Drafts that an earlier run had written into the file and nobody rejected."""
    kinds: Mapping[str, int]
    """Number of drafts in the file by kind, without rejected ones."""
    dropped: Mapping[str, int]
    """Reason to number of drafts dropped by this run."""
    exhausted: tuple[str, ...]
    """Kinds for which nothing more could be made of the documents."""
    spent_usd: float
    note: str | None
    """What to know about all drafts of this run; None if there is nothing."""

    def view(self) -> list[Block]:
        """Return how many drafts there are, and what was dropped and why."""
        there = f", {self.before:,} were there" if self.before else ""
        kinds = ", ".join(f"{kind} {number:,}" for kind, number in self.kinds.items() if number)
        short = self.new + self.before < self.wanted
        exhausted = f"Nothing more could be made of the documents for: {', '.join(self.exhausted)}"
        return [
            Line(f"{format_count(self.new, 'example')} drafted into {self.file}{there}", "strong"),
            *([Line(kinds, indent=1)] if kinds else []),
            *(Line(f"{number:,} dropped: {reason}", indent=1) for reason, number in self.dropped.items()),
            *([Line(exhausted)] if short and self.exhausted else []),
            *([Line(self.note)] if self.note else []),
        ]


async def draft(
    opened: OpenIndex,
    target: Path,
    *,
    n: int,
    existing: Sequence[Example],
    language: str,
    kinds: Sequence[Kind] = KINDS,
    seed: int = 0,
    generator: Generator | None = None,
    model: str | None = None,
    concurrency: int = SEARCHES,
    spent: Callable[[], float] = lambda: 0.0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> DraftReport:
    """Draft until the file holds n examples that nobody rejected, or nothing more can be made of the documents.

    A file that an earlier run wrote is continued; its rows stay as they are. existing: examples of the project, which
    no draft may repeat. generator: the model that writes; None: templates. model: its name, for the report. Raises
    UsageError when the file holds other examples, BudgetError when the next call might exceed the budget,
    ProviderError when the model fails; what was drafted until then is in the file.
    """
    earlier = drafted_before(target)
    corpus, search = await _open_corpus(opened, language=language, seed=seed)
    drafter: Drafter = ModelDrafts(corpus, search, generator) if generator else TemplateDrafts(corpus)
    limited = generator is not None
    run = _Run(corpus, search, drafter, target, n=n, kinds=kinds, earlier=earlier, limited=limited)
    run.forbid(existing)
    progress(run.count, n)

    async def work() -> None:
        while (step := await run.next_step()) is not None:
            await run.take(*step)
            progress(run.count, n)

    try:
        await run_workers(work, max(1, concurrency))
    finally:
        run.save()
    before = sum(not is_rejected(example) for example in earlier)
    return DraftReport(
        file=target,
        model=model,
        wanted=n,
        new=run.count - before,
        before=before,
        kinds=dict(run.kinds),
        dropped=dict(run.dropped.most_common()),
        exhausted=tuple(run.exhausted),
        spent_usd=spent(),
        note=None if generator else WEAKER,
    )


def require_writer(config: Config, model: str) -> None:
    """Raise UsageError for a model that writes no questions."""
    if model in config.models and config.models[model].kind == "quote":
        raise UsageError(
            f"the model {model!r} only quotes, so it cannot write questions",
            hint="name another table under [models], or leave out --with to draft by templates",
        )


def drafted_before(target: Path) -> list[Example]:
    """Return the drafts that a file holds. Raises UsageError if it holds anything else."""
    if not target.exists():
        return []
    examples = read_examples(target)
    if others := [example.id for example in examples if example.origin != DRAFTED]:
        verb = "was" if len(others) == 1 else "were"
        message = f"{target} holds {format_count(len(others), 'example')} that {verb} not drafted, such as {others[0]}"
        raise UsageError(message, hint="name another file with --to: drafts are written into a file of their own")
    return examples


class CorpusSearch:
    """Searches everything that is indexed, whoever may read it."""

    def __init__(self, opened: OpenIndex, scope: Scope) -> None:
        self._opened = opened
        self._scope = scope
        self._documents: dict[str, Document | None] = {}

    async def __call__(self, text: str, history: Sequence[Message] = ()) -> list[Passage]:
        """Return the passages that retrieval finds, best first."""
        question = Question(text, tuple(history), self._scope)
        return [hit.passage for hit in await self._opened.retriever.search(question, k=DEPTH)]

    async def groups(self, passages: Sequence[Passage]) -> list[str]:
        """Return the groups of the documents of passages, each once."""
        groups: dict[str, None] = {}
        for key in dict.fromkeys(passage.document_id for passage in passages):
            if key not in self._documents:
                self._documents[key] = await self._opened.document(key)
            if document := self._documents[key]:
                groups |= dict.fromkeys(document.groups)
        return list(groups)


async def _open_corpus(opened: OpenIndex, *, language: str, seed: int) -> tuple[DraftedCorpus, CorpusSearch]:
    _, files, scope = await read_corpus(opened)
    outdated, disputed = await asyncio.to_thread(_doubtful, files, language)
    passages = [passage for file in files for passage in file.passages]
    corpus = DraftedCorpus(passages, language=language, seed=str(seed), outdated=outdated, disputed=disputed)
    return corpus, CorpusSearch(opened, scope)


def _doubtful(files: Sequence[CorpusFile], language: str) -> tuple[set[str], set[tuple[str, str]]]:
    """Return the files that newer ones replace, and the statements about which two others disagree."""
    versions = version_pairs(files)
    related = {frozenset((pair.older, pair.newer)) for pair in versions}
    disputed = {
        (statement.source, statement.text)
        for pair in contradictions(files, language, related)
        if frozenset((pair.first.source, pair.second.source)) not in related
        for statement in (pair.first, pair.second)
    }
    return {pair.older for pair in versions}, disputed


@dataclass
class _Tally:
    """How far a kind has come."""

    materials: AsyncIterator[Any]
    kept: int = 0
    under_way: int = 0
    tried: int = 0


class _Run:
    """The state of one run: what was kept, dropped, and is still being tried."""

    def __init__(
        self,
        corpus: DraftedCorpus,
        search: CorpusSearch,
        drafter: Drafter,
        target: Path,
        *,
        n: int,
        kinds: Sequence[Kind],
        earlier: Sequence[Example],
        limited: bool,
    ) -> None:
        self._corpus, self._search, self._drafter, self._target = corpus, search, drafter, target
        self._n = n
        self._limited = limited
        self._examples = list(earlier)
        self._known = {example.id for example in earlier}
        self._there = KnownInputs(earlier, language=corpus.language)
        self._live = {kind: _Tally(drafter.materials(kind)) for kind in kinds}
        self._changed = asyncio.Condition()
        self._saved = time.monotonic()
        self._unsaved = False
        self._failures = 0
        self._under_way = 0
        self.kinds: Counter[str] = Counter(tag for e in earlier if not is_rejected(e) for tag in e.tags)
        self.dropped: Counter[str] = Counter()
        self.exhausted: list[Kind] = []
        for kind, tally in self._live.items():
            tally.kept = self.kinds[kind]

    @property
    def count(self) -> int:
        return sum(not is_rejected(example) for example in self._examples)

    def forbid(self, examples: Sequence[Example]) -> None:
        """Keep drafts away from these questions."""
        for example in examples:
            if example.id not in self._known:
                self._there.add(example)

    async def next_step(self) -> tuple[Kind, Any] | None:
        """Return the kind that is furthest behind and material for it; None when there is nothing left to do."""
        async with self._changed:
            while True:
                if self.count >= self._n or not (self._live or self._under_way):
                    return None
                if self.count + self._under_way >= self._n or not self._live:
                    await self._changed.wait()
                    continue
                kind = min(self._live, key=lambda kind: self._progress(kind, self._live[kind]))
                tally = self._live[kind]
                material = await anext(tally.materials, None) if self._may_try(kind, tally) else None
                if material is None:
                    self.exhausted.append(kind)
                    del self._live[kind]
                    self._changed.notify_all()
                    continue
                self._under_way += 1
                tally.under_way += 1
                tally.tried += 1
                return kind, material

    async def take(self, kind: Kind, material: Any) -> None:
        """Write a draft of the material, check it, and keep or drop it."""
        reason: str | None = None
        try:
            reason = await self._try(kind, material)
        finally:
            async with self._changed:
                self._under_way -= 1
                if tally := self._live.get(kind):
                    tally.under_way -= 1
                self._changed.notify_all()
        if reason:
            self.dropped[reason] += 1

    def save(self) -> None:
        """Write all drafts into the file, if any is new."""
        if self._unsaved:
            write_examples(self._target, self._examples)
            self._unsaved, self._saved = False, time.monotonic()

    async def _try(self, kind: Kind, material: Any) -> str | None:
        """Return why nothing was kept; None if something was, or was already."""
        try:
            draft = await self._drafter.write(kind, material)
            if isinstance(draft, str):
                return draft
            if draft.id in self._known:
                return None
            reason = NEAR_ANOTHER if self._repeats(draft) else await fault(draft, self._corpus, self._search)
            reason = reason or await self._drafter.doubt(draft)
            self._failures = 0
        except ProviderError as error:
            self._failures += 1
            if self._failures >= FAILURES or not error.retryable:
                raise
            return f"error: {error.kind}"
        if reason:
            return reason
        example = to_example(draft, await self._search.groups(draft.about))
        if self._repeats(draft):  # another worker kept one like it meanwhile
            return NEAR_ANOTHER
        self._keep(kind, example)
        return None

    def _keep(self, kind: Kind, example: Example) -> None:
        self._examples.append(example)
        self._known.add(example.id)
        self._there.add(example)
        self.kinds[kind] += 1
        if tally := self._live.get(kind):
            tally.kept += 1
        self._unsaved = True
        if time.monotonic() - self._saved >= SAVED_SECONDS:
            self.save()

    def _repeats(self, draft: Draft) -> bool:
        """Whether a question with the same words is there already, whatever their order and form."""
        asked = draft.question, draft.history
        return self._there.split(*asked) is not None or self._there.near(*asked) is not None

    def _progress(self, kind: Kind, tally: _Tally) -> float:
        return (tally.kept + tally.under_way) / SHARES[kind]

    def _may_try(self, kind: Kind, tally: _Tally) -> bool:
        shares = sum(SHARES[other] for other in self._live)
        return not self._limited or tally.tried < FIRST_TRIES + TRIES * self._n * SHARES[kind] / shares
