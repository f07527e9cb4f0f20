"""Search for better retrieval settings by successive halving, and compare the best of them with the present ones.

Half of the questions search, the others decide, so that the best of many candidates is not best by luck. Each candidate
has an index of its own in a folder that the caller removes. Never writes the project's index.
"""

import shutil
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, median

from groundtune import build
from groundtune.approaches.context import widened
from groundtune.build.open_index import OpenIndex
from groundtune.common.conversations import searched_text
from groundtune.common.files import digest_text
from groundtune.common.text import format_count
from groundtune.config import Config
from groundtune.config.fitted_values import Fitted
from groundtune.dataset.reviewing import unreviewed_sentence
from groundtune.errors import GroundtuneError, UsageError
from groundtune.ingest.shared_reading import SharedReading
from groundtune.ingest.shared_vectors import SharedVectors
from groundtune.measure.approach_summaries import difference_of
from groundtune.measure.shown_evidence import ShownEvidence, find_shown
from groundtune.protocols import Embedder, VectorCache
from groundtune.retrieve.fusion import DEFAULT_DENSE_WEIGHT
from groundtune.stats.intervals import Sample, bootstrap_means
from groundtune.stats.ranking_metrics import ndcg_of_ranks
from groundtune.stats.significance import PairedSample, holm, paired_differences
from groundtune.types import Document, Example, Hit, Question, Scope
from groundtune.workflows.evaluating import WEIGHTS, evaluate
from groundtune.workflows.ingesting import ingest
from groundtune.workflows.sweep_candidates import PRESENT, Candidate, list_candidates
from groundtune.workflows.sweep_report import RetrievalSettings, SweepReport, SweepRound, SweepScore, SweepTrial
from groundtune.workspace import Workspace

FINALISTS = 4
"""Indexes of the last round, the present one included."""
COMPARED = 3
"""Settings that are compared with the present ones in the end."""
RERANKED = 2
"""Indexes that rerankers are tried on."""
FEWEST_QUESTIONS = 30
"""Questions of a round before the last; with fewer, it would drop candidates by chance."""
SEARCHED_WHOLE = 4_000
"""Passages up to which all documents are searched in every round."""
MOST_HITS = 40
"""Passages that a search returns: more than fit into the text of a prompt, unless they are very short."""
DOCUMENTS_KEPT = 200
"""Documents that are kept in memory for the larger pieces of their passages."""
TEXTS = {"half": 0.5, "same": 1.0, "twice": 2.0}
"""Amounts of text by which recall is reported, as parts of what the present settings put into a prompt."""

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is searched with: one index, a weight and a reranker."""

    candidate: Candidate
    dense_weight: float
    reranker: str | None

    def settings(self, max_passages: int) -> RetrievalSettings:
        chosen = self.candidate
        return RetrievalSettings(chosen.passages, chosen.embedder, self.dense_weight, self.reranker, max_passages)


@dataclass(slots=True)
class _Bench:
    """Builds the indexes of candidates, and searches them."""

    workspace: Workspace
    config: Config
    scratch: Path
    embedders: Mapping[str, SharedVectors]
    evidence: frozenset[str]
    """Files and items that hold the evidence of a question."""
    opened: dict[Candidate, OpenIndex] = field(default_factory=dict)
    documents: dict[tuple[Candidate, str], Document | None] = field(default_factory=dict)
    """Documents that were read for larger pieces."""

    async def open(self, candidate: Candidate, share: float) -> OpenIndex:
        """Return the index of a candidate over a share of the documents; a larger share adds to the smaller one."""
        await self.close(candidate)
        config, embedder = candidate.applied(self.config), self.embedders[candidate.embedder]
        storage = build.scratch_index(self._folder(candidate))
        reading = SharedReading(self.scratch, keep=lambda source: share >= 1 or self._is_kept(source, share))
        await ingest(self.workspace, config, embedder, storage=storage, reading=reading)
        index = await OpenIndex.open(storage, config=config, embedder=embedder, fitted=Fitted())
        self.opened[candidate] = index
        return index

    async def close(self, candidate: Candidate) -> None:
        if index := self.opened.pop(candidate, None):
            await index.close()

    async def drop(self, candidate: Candidate) -> None:
        """Close the index of a candidate and delete its files."""
        await self.close(candidate)
        shutil.rmtree(self._folder(candidate), ignore_errors=True)

    async def find(self, plan: _Plan, examples: Sequence[Example]) -> list[list[Hit]]:
        """Return the hits of each question as a prompt would get them, without joining neighbours."""
        index, config = self.opened[plan.candidate], plan.candidate.applied(self.config)
        chosen = {"dense_weight": plan.dense_weight, "reranker": plan.reranker}
        config = config.model_copy(update={"retrieval": config.retrieval.model_copy(update=chosen)})
        retriever = build.retriever(config, index.store, index.embedder, Fitted())
        return [
            await self._wide(plan.candidate, await retriever.search(_question(index, example), k=MOST_HITS))
            for example in examples
        ]

    async def by_weight(self, candidate: Candidate, examples: Sequence[Example]) -> dict[float, list[list[Hit]]]:
        """Return the same for every weight, without a reranker."""
        index = self.opened[candidate]
        found: dict[float, list[list[Hit]]] = {weight: [] for weight in WEIGHTS}
        for example in examples:
            question = _question(index, example)
            hits_by_weight = await index.retriever.search_by_weight(question, k=MOST_HITS, weights=WEIGHTS)
            for weight, hits in zip(WEIGHTS, hits_by_weight, strict=True):
                found[weight].append(await self._wide(candidate, hits))
        return found

    async def _wide(self, candidate: Candidate, hits: Sequence[Hit]) -> list[Hit]:
        async def document(name: str) -> Document | None:
            if (candidate, name) not in self.documents:
                if len(self.documents) >= DOCUMENTS_KEPT:
                    self.documents.clear()
                self.documents[candidate, name] = await self.opened[candidate].document(name)
            return self.documents[candidate, name]

        return await widened(hits, document)

    def _folder(self, candidate: Candidate) -> Path:
        return self.scratch / digest_text(candidate.name)[:16]

    def _is_kept(self, source: str, share: float) -> bool:
        """Whether a file or item is among a share of the documents; a larger share has all of a smaller one."""
        return _plain_name(source) in self.evidence or int(digest_text(source)[:8], 16) / 0xFFFFFFFF < share


async def sweep(
    workspace: Workspace,
    config: Config,
    opened: OpenIndex,
    examples: Sequence[Example],
    *,
    scratch: Path,
    progress: Progress = lambda _: None,
) -> SweepReport:
    """Try ways to split documents, embedders, weights and rerankers, and compare the best with the present settings.

    opened: the project's index, whose vectors are used and which is not changed. examples: those with evidence count.
    scratch: an empty folder. Raises UsageError if fewer than two examples have evidence, and whatever building the
    present settings raises; other candidates that fail are reported.
    """
    started = time.monotonic()
    questions = [example for example in examples if example.evidence]
    if len(questions) < 2:
        raise UsageError(
            "a sweep needs at least two train or validation examples with evidence",
            hint='add "evidence": [{"source": …, "quote": …}] to examples outside the test split',
        )
    searching, deciding = _halves(questions)
    embedders, failed = _embedders(config, opened, scratch)
    evidence = frozenset(_plain_name(piece.source.partition("#")[0]) for one in questions for piece in one.evidence)
    bench = _Bench(workspace, config, scratch, embedders, evidence)
    characters = await _characters(opened, config, searching)
    candidates = list_candidates(config, {name: embedder.max_tokens for name, embedder in embedders.items()})
    deadline = started + 60 * config.sweep.minutes
    search = _Search(bench, searching, characters, await opened.store.count(), deadline, progress, failed)
    try:
        finalists = await search.run(candidates)
        present = _Plan(candidates[0], opened.retriever.dense_weight, config.retrieval.reranker)
        plans = await search.plans(finalists, present)
        progress(f"comparing {format_count(len(plans), 'candidate')} with the present settings")
        found = {plan: await bench.find(plan, deciding) for plan in [present, *plans]}
    finally:
        for candidate in list(bench.opened):
            await bench.close(candidate)
    trials = _compared(found, deciding, characters, config.answers.max_passages)
    return SweepReport(
        candidates=len(candidates),
        search_questions=len(searching),
        questions=len(deciding),
        characters=characters,
        rounds=tuple(search.rounds),
        present=trials[0],
        trials=tuple(sorted(trials[1:], key=lambda trial: -trial.ndcg.mean)),
        failed=search.failed,
        embedded=sum(embedder.embedded for embedder in embedders.values()),
        seconds=time.monotonic() - started,
        out_of_time=search.out_of_time,
        mismatch=(await evaluate(opened, questions, k=10, worst=0)).mismatch,
        unreviewed_sentence=unreviewed_sentence(questions),
    )


@dataclass(slots=True)
class _Search:
    """Successive halving: in each round the better half goes on, with twice the questions and documents."""

    bench: _Bench
    examples: Sequence[Example]
    characters: int
    passages: int
    """Passages of the project's index."""
    deadline: float
    progress: Progress
    failed: dict[str, str]
    rounds: list[SweepRound] = field(default_factory=list)
    out_of_time: bool = False
    best_weights: dict[Candidate, float] = field(default_factory=dict)

    async def run(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Return the candidates of the last round over all documents, best first; the present one is among them."""
        sizes = round_sizes(len(self.examples), len(candidates))
        remaining = list(candidates)
        for number, size in enumerate(sizes, start=1):
            last = number == len(sizes) or self.out_of_time
            share = 1.0 if last else max(size / len(self.examples), min(1.0, SEARCHED_WHOLE / max(1, self.passages)))
            size = len(self.examples) if last else size
            about = f"round {number} of {len(sizes)}"
            remaining.sort(key=lambda candidate: candidate != candidates[0])  # present first: time may end the round
            scores = await self._round(remaining, self.examples[:size], share, about)
            ranked = sorted(scores, key=lambda candidate: (-scores[candidate].ndcg, -scores[candidate].recall))
            kept = kept_after(ranked, candidates[0], number, len(sizes), len(candidates))
            if self.out_of_time:
                kept = [candidates[0], *[one for one in ranked if one != candidates[0]][:1]]
            for candidate in remaining:
                if candidate not in kept:
                    await self.bench.drop(candidate)
            dropped = tuple(one.name for one in remaining if one not in kept and one.name not in self.failed)
            self.rounds.append(SweepRound(size, share, tuple(scores[one] for one in ranked), dropped))
            remaining = [one for one in ranked if one in kept]
            if last:
                break
        return remaining

    async def _round(
        self, candidates: Sequence[Candidate], examples: Sequence[Example], share: float, about: str
    ) -> dict[Candidate, SweepScore]:
        """Return the scores of the candidates that there was time for, of the first one always."""
        scores: dict[Candidate, SweepScore] = {}
        started = time.monotonic()
        for place, candidate in enumerate(candidates):
            if place and not self.out_of_time and time.monotonic() > self.deadline:
                self.out_of_time = True
                break
            each = (time.monotonic() - started) / place if place else None
            left = f"; about {each * (len(candidates) - place):.0f} s left in this round" if each else ""
            self.progress(f"{about}, {place + 1} of {len(candidates)}: {candidate.name}{left}")
            try:
                scores[candidate] = await self._score(candidate, examples, share)
            except GroundtuneError as error:
                if place == 0:  # nothing can be compared without the present settings
                    raise
                self.failed[candidate.name] = str(error)
        return scores

    async def _score(self, candidate: Candidate, examples: Sequence[Example], share: float) -> SweepScore:
        started = time.monotonic()
        index = await self.bench.open(candidate, share)
        scores = {
            weight: _means(hits, examples, self.characters)
            for weight, hits in (await self.bench.by_weight(candidate, examples)).items()
        }
        best = max(WEIGHTS, key=lambda weight: (*scores[weight], -abs(weight - DEFAULT_DENSE_WEIGHT)))
        self.best_weights[candidate] = best
        passages, seconds = await index.store.count(), time.monotonic() - started
        return SweepScore(candidate.name, best, *scores[best], passages, seconds)

    async def plans(self, finalists: Sequence[Candidate], present: _Plan) -> list[_Plan]:
        """Return the best settings on the questions of the search, other than the present ones."""
        for candidate in finalists:
            if candidate not in self.bench.opened:
                await self.bench.open(candidate, 1.0)
        reranked = [(one, name) for one in finalists[:RERANKED] for name in self._rerankers(present.reranker)]
        plans = [
            _Plan(one, self.best_weights[one], name) for one, name in [*((one, None) for one in finalists), *reranked]
        ]
        scores: dict[_Plan, tuple[float, float]] = {}
        for plan in plans:
            if plan.reranker:
                self.progress(f"reranker {plan.reranker} on {plan.candidate.name}")
            try:
                scores[plan] = _means(await self.bench.find(plan, self.examples), self.examples, self.characters)
            except GroundtuneError as error:
                self.failed[plan.reranker or plan.candidate.name] = str(error)
        return sorted((plan for plan in scores if plan != present), key=lambda plan: scores[plan], reverse=True)[
            :COMPARED
        ]

    def _rerankers(self, present: str | None) -> list[str]:
        return list(dict.fromkeys([*([present] if present else []), *self.bench.config.sweep.rerankers]))


def round_sizes(questions: int, candidates: int) -> list[int]:
    """Return the questions of each round: all in the last one, half as many in each before it."""
    sizes = [questions]
    while sizes[0] // 2 >= FEWEST_QUESTIONS and candidates > FINALISTS * 2 ** (len(sizes) - 1):
        sizes.insert(0, sizes[0] // 2)
    return sizes


def kept_after(
    ranked: Sequence[Candidate], present: Candidate, number: int, rounds: int, candidates: int
) -> list[Candidate]:
    """Return who goes on after a round: so many that FINALISTS are in the last one, the present settings always."""
    part = min(1.0, number / max(1, rounds - 1))
    count = (
        max(FINALISTS, round(candidates * (FINALISTS / candidates) ** part)) if candidates > FINALISTS else candidates
    )
    others = [candidate for candidate in ranked if candidate != present]
    return [present, *others[: count - 1]]


def shared_vectors(embedder: Embedder, scratch: Path, name: str, known: VectorCache | None = None) -> SharedVectors:
    """Return an embedder, by its name in the sweep, whose vectors all indexes of the sweep share."""
    return SharedVectors(build.prepare_for_many(embedder), scratch / f"{digest_text(name)[:16]}.vectors", known=known)


def _halves(questions: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Return the questions that search and those that decide: half by chance, the same each time, groups together."""
    units: dict[str, list[Example]] = {}
    for example in questions:
        units.setdefault(example.group or f"example {example.id}", []).append(example)
    searching: list[Example] = []
    deciding: list[Example] = []
    for unit in sorted(units, key=digest_text):
        (searching if len(searching) <= len(deciding) else deciding).extend(units[unit])
    return searching, deciding


def _embedders(config: Config, opened: OpenIndex, scratch: Path) -> tuple[dict[str, SharedVectors], dict[str, str]]:
    """Return the embedders to try, the present one first, and why others cannot be loaded."""
    shared: dict[str, SharedVectors] = {}
    failed: dict[str, str] = {}
    for name in (PRESENT, *config.sweep.embedders):
        known = opened.generation.vector_cache if name == PRESENT else None
        try:
            chosen = config if name == PRESENT else config.model_copy(update={"embedder": config.sweep.embedders[name]})
            embedder = opened.embedder if name == PRESENT else build.embedder(chosen)
            shared[name] = shared_vectors(embedder, scratch, name, known)
        except GroundtuneError as error:
            failed[name] = str(error)
    return shared, failed


async def _characters(opened: OpenIndex, config: Config, examples: Sequence[Example]) -> int:
    """Return how much text the present settings put into a prompt, on average."""
    lengths = []
    for example in examples:
        hits = await opened.retriever.search(_question(opened, example), k=config.answers.max_passages)
        shown = find_shown(await widened(hits, opened.document), (), most_characters=None)
        lengths.append(shown.characters)
    return max(1, round(fmean(lengths)))


def _question(index: OpenIndex, example: Example) -> Question:
    return Question(searched_text(example, index.history), scope=Scope(groups=example.groups))


def _plain_name(source: str) -> str:
    return unicodedata.normalize("NFC", source)


def _means(hits: Sequence[Sequence[Hit]], examples: Sequence[Example], characters: int) -> tuple[float, float]:
    """Return the mean nDCG and the mean recall."""
    shown = _shown(hits, examples, characters)
    return fmean(map(_ndcg, shown)), fmean(map(_recall, shown))


def _shown(hits: Sequence[Sequence[Hit]], examples: Sequence[Example], characters: int) -> list[ShownEvidence]:
    return [
        find_shown(found, example.evidence, most_characters=characters)
        for found, example in zip(hits, examples, strict=True)
    ]


def _ndcg(shown: ShownEvidence) -> float:
    return ndcg_of_ranks(shown.ranks)


def _recall(shown: ShownEvidence) -> float:
    return sum(rank is not None for rank in shown.ranks) / len(shown.ranks)


def _compared(
    found: Mapping[_Plan, Sequence[Sequence[Hit]]], examples: Sequence[Example], characters: int, max_passages: int
) -> list[SweepTrial]:
    """Return the trials in the order of the plans, of which the first has the present settings."""
    shown = {
        plan: {text: _shown(hits, examples, max(1, round(characters * part))) for text, part in TEXTS.items()}
        for plan, hits in found.items()
    }
    groups = [example.group for example in examples]
    clusters = groups if any(groups) else None
    columns = {plan: ([*map(_ndcg, of["same"])], [*map(_recall, of["same"])]) for plan, of in shown.items()}
    present, *others = found
    per_passage = max_passages / _fitting(shown[present]["same"])
    settings = {plan: plan.settings(max(1, round(_fitting(of["same"]) * per_passage))) for plan, of in shown.items()}
    pairs = [(plan, metric) for plan in others for metric in (0, 1)]
    tested = paired_differences(
        [PairedSample(columns[plan][metric], columns[present][metric], clusters) for plan, metric in pairs]
    )
    adjusted = holm([one.p for one in tested])
    differences = {
        pair: difference_of(settings[pair[0]].name, "present", one, p_adjusted=p)
        for pair, one, p in zip(pairs, tested, adjusted, strict=True)
    }
    trials = []
    for plan in found:
        ndcg, recall = bootstrap_means([Sample(values, clusters=clusters) for values in columns[plan]])
        trial = SweepTrial(
            settings=settings[plan],
            ndcg=ndcg,
            recall=recall,
            recall_by_text={text: fmean(map(_recall, of)) for text, of in shown[plan].items()},
        )
        if plan is not present:
            trial = replace(trial, ndcg_difference=differences[plan, 0], recall_difference=differences[plan, 1])
        trials.append(trial)
    return trials


def _fitting(shown: Sequence[ShownEvidence]) -> float:
    """Return how many passages fit whole into the text, for half of the questions."""
    return max(1, median(one.passages for one in shown))
