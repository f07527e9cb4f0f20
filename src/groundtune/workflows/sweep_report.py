"""What a sweep found: each round, the settings that were compared in the end, and whether one is measurably better."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from groundtune.common.text import format_count
from groundtune.config import Config
from groundtune.config.project_file import PassagesConfig
from groundtune.display import Block, Displayed, Fold, Line, Table
from groundtune.errors import UsageError
from groundtune.measure.domain_mismatch import DomainMismatch
from groundtune.types import Difference, Interval
from groundtune.workflows.adopting import EMBEDDER_KEYS, Adoption, Tables, TableValues
from groundtune.workflows.sweep_candidates import PRESENT, describe_passages

SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class RetrievalSettings:
    """One way to retrieve: all that a sweep varies."""

    passages: PassagesConfig
    embedder: str
    """Its name under [sweep.embedders], or `present`."""
    dense_weight: float
    reranker: str | None
    max_passages: int
    """Passages that fit into the same amount of text as the present settings put into a prompt."""

    @property
    def name(self) -> str:
        parts = [describe_passages(self.passages), f"weight {self.dense_weight:g}"]
        parts += [self.embedder] if self.embedder != PRESENT else []
        parts += [self.reranker] if self.reranker else []
        return ", ".join(parts)

    def tables(self, config: Config, root: Path) -> Tables:
        """Return what to change in the project file, which is in `root`.

        Raises UsageError for an embedder with options of its own.
        """
        wanted, present = self.passages.model_dump(), config.passages.model_dump()
        passages = {key: value for key, value in wanted.items() if value != present[key]}
        tables: dict[str, TableValues] = {"passages": passages} if passages else {}
        tables["retrieval"] = {"dense_weight": self.dense_weight}
        if self.reranker != config.retrieval.reranker:
            tables["retrieval"] = {**tables["retrieval"], "reranker": _within(self.reranker, root)}
        if self.max_passages != config.answers.max_passages:
            tables["answers"] = {"max_passages": self.max_passages}
        if self.embedder != PRESENT:
            chosen = config.sweep.embedders[self.embedder]
            if chosen.options:
                raise UsageError(
                    f"[sweep.embedders.{self.embedder}] has options, which are not copied to [embedder]",
                    hint="move the table to [embedder], then groundtune ingest --rebuild",
                )
            values = {key: getattr(chosen, key) for key in EMBEDDER_KEYS}
            tables["embedder"] = {**values, "model": _within(chosen.model, root)}
        return tables


def _within(model: str | None, root: Path) -> str | None:
    """Return the path of a model in the project's folder as the project file names it, anything else as it is."""
    return Path(model).relative_to(root).as_posix() if model and Path(model).is_relative_to(root) else model


@dataclass(frozen=True, slots=True)
class SweepScore:
    """The result of one index in one round, at its best weight."""

    candidate: str
    dense_weight: float
    ndcg: float
    recall: float
    passages: int
    """Passages in the index."""
    seconds: float
    """For building the index and searching it."""


@dataclass(frozen=True, slots=True)
class SweepRound:
    """One round of the search: half of the candidates go on, with twice the questions."""

    questions: int
    documents: float
    """Share of the documents that were searched; those with evidence are always among them."""
    scores: tuple[SweepScore, ...]
    """Best first."""
    dropped: tuple[str, ...]
    """Candidates that were not tried any further after it."""


@dataclass(frozen=True, slots=True)
class SweepTrial:
    """Settings that were measured on questions which the search had not seen."""

    settings: RetrievalSettings
    ndcg: Interval
    recall: Interval
    """Share of the evidence in the same amount of text."""
    recall_by_text: Mapping[str, float]
    """The same for half and twice as much text."""
    ndcg_difference: Difference | None = None
    """Against the present settings; None for these."""
    recall_difference: Difference | None = None

    @property
    def gains(self) -> bool:
        """Whether it finds measurably more than the present settings, by nDCG or recall, and less by neither."""
        differences = [one for one in (self.ndcg_difference, self.recall_difference) if one]
        measurable = [one.difference for one in differences if one.p_adjusted < SIGNIFICANT]
        return bool(measurable) and min(measurable) > 0


@dataclass(frozen=True, slots=True)
class SweepReport(Displayed):
    """The result of a search over ways to retrieve."""

    candidates: int
    """Indexes that were tried, each with several weights."""
    search_questions: int
    """Questions that the search used."""
    questions: int
    """Other questions, on which the last candidates were compared."""
    characters: int
    """Text that each candidate may show for a question: as much as the present settings put into a prompt."""
    rounds: tuple[SweepRound, ...]
    present: SweepTrial
    trials: tuple[SweepTrial, ...]
    """The best other settings, best first."""
    failed: Mapping[str, str]
    """Why a candidate, an embedder or a reranker could not be tried, by its name."""
    embedded: int
    """Texts that had to be embedded; the other vectors were there already, or shared."""
    seconds: float
    out_of_time: bool = False
    """Whether candidates were left out because `[sweep] minutes` were over."""
    mismatch: DomainMismatch | None = None
    """Whether the embedder does not fit the documents; None if that could not be told."""
    unreviewed_sentence: str | None = None
    """That nobody looked at some of the questions, which a program drafted; None if that is not so."""
    adoption: Adoption | None = None
    """What was changed for the winner; None if nothing was."""
    winner: RetrievalSettings | None = field(init=False)
    """The settings that are measurably better than the present ones; None if none are."""

    def __post_init__(self) -> None:
        gaining = [trial for trial in self.trials if trial.gains]
        best = max(gaining, key=lambda trial: (trial.ndcg.mean, trial.recall.mean), default=None)
        object.__setattr__(self, "winner", best.settings if best else None)

    @property
    def sentence(self) -> str:
        """Whether anything is better than the present settings, and how sure that is."""
        if not self.trials:
            return "Nothing could be compared with the present settings."
        best = next((trial for trial in self.trials if trial.settings == self.winner), self.trials[0])
        shown = f"{best.settings.name}: {_changes(best)}, n = {best.ndcg.n}"
        if self.winner:
            return f"Measurably better than the present settings: {shown}."
        found = best.ndcg_difference.detectable if best.ndcg_difference else None
        most = f" A difference in nDCG of {found:.2f} would be found in 80% of such trials." if found else ""
        return f"No measurable gain over the present settings. The best of the others, {shown}.{most}"

    def view(self) -> list[Block]:
        """Return the verdict, the settings that were compared in the end, and the rounds before."""
        headings = ["settings", "k", "ndcg@10", "recall", "ndcg difference", "p", "recall difference", "p"]
        rounds = [_round(number, len(self.rounds), one) for number, one in enumerate(self.rounds, start=1)]
        failed = [[name, reason] for name, reason in self.failed.items()]
        return [
            Line(self.sentence, "strong"),
            *([Line(self.unreviewed_sentence, "strong")] if self.unreviewed_sentence else []),
            Table(headings, [_row(trial) for trial in (self.present, *self.trials)]),
            Line(
                f"{format_count(self.candidates, 'candidate')} searched with "
                f"{format_count(self.search_questions, 'question')}, the last of them compared on {self.questions:,} "
                f"others. Each may show {self.characters:,} characters for a question, in k passages. p is adjusted "
                f"for {format_count(2 * len(self.trials), 'comparison')} (Holm)."
            ),
            *([Line("The time was over before every candidate was tried: see [sweep] minutes.")] * self.out_of_time),
            *([Table(["not tried", "reason"], failed)] if failed else []),
            Table(["recall in", "half the text", "the same", "twice the text"], self._depths()),
            *rounds,
            *(self.mismatch.view() if self.mismatch else []),
        ]

    def _depths(self) -> list[list[str | float]]:
        return [[one.settings.name, *one.recall_by_text.values()] for one in (self.present, *self.trials)]


def _changes(trial: SweepTrial) -> str:
    differences = (("nDCG", trial.ndcg_difference), ("recall", trial.recall_difference))
    return ", ".join(f"{name} {_difference(one)} (p = {one.p_adjusted:.2g})" for name, one in differences if one)


def _difference(one: Difference) -> str:
    return f"{one.difference:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"


def _row(trial: SweepTrial) -> list[str | int | float | Interval | None]:
    name = trial.settings.name if trial.ndcg_difference else f"{trial.settings.name} (present)"
    changes: list[str | float | None] = []
    for one in (trial.ndcg_difference, trial.recall_difference):
        changes += [_difference(one), one.p_adjusted] if one else [None, None]
    return [name, trial.settings.max_passages, trial.ndcg, trial.recall, *changes]


def _round(number: int, rounds: int, one: SweepRound) -> Fold:
    share = "all documents" if one.documents >= 1 else f"{one.documents:.0%} of the documents"
    dropped = f"; {len(one.dropped):,} dropped after it" if one.dropped else ""
    tried = format_count(len(one.scores), "candidate")
    title = f"Round {number} of {rounds}: {tried}, {format_count(one.questions, 'question')}, {share}{dropped}"
    rows = [
        [score.candidate, score.dense_weight, score.ndcg, score.recall, score.passages, score.candidate in one.dropped]
        for score in one.scores
    ]
    return Fold(
        title, [Table(["candidate", "best weight", "ndcg@10", "recall", "passages", "dropped"], rows)], open=True
    )
