"""Turn reviewed and well-liked served answers into examples of the train split. Never touches another split."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundtune.common.support import is_supported
from groundtune.common.text import format_count
from groundtune.dataset.editing import merge_examples
from groundtune.dataset.examples import find_examples, read_examples
from groundtune.dataset.new_examples import COLLECTED, REVIEWED, KnownInputs
from groundtune.display import Block, Displayed, Line
from groundtune.measure.output_checks import Check
from groundtune.records.audit_log import AuditLog
from groundtune.records.feedback import FeedbackLog
from groundtune.review.promotion import ParseOutput, as_answer, to_example
from groundtune.review.queue import QueueItem, ReviewQueue
from groundtune.review.served_answer import ServedAnswer
from groundtune.types import Example, Review
from groundtune.workflows.distilling import accept_answer
from groundtune.workflows.reviewing_answers import ServedAnswers, edited_text
from groundtune.workspace import Workspace

ERASED = "its text was erased"
LOCK = "examples"
LOCK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class PromotionBasis:
    """What is there before new examples come."""

    existing: Sequence[Example]
    """The examples of the project."""
    files: Sequence[str]
    """`[examples] files`."""
    language: str
    """Of the project, by its name in the project file."""
    parse: ParseOutput
    checks: Sequence[Check] = ()
    """`[[checks]]` that a text must pass before it is collected."""


@dataclass(frozen=True, slots=True)
class PromotionReport(Displayed):
    """What became of served answers; each is either in the file or counted in `left_out`."""

    file: Path
    new: tuple[str, ...]
    """Ids of the new examples."""
    pairs: int
    """How many of them are preference pairs, the original answer being the rejected one."""
    left_out: Mapping[str, int]
    """Reason to number of answers that became none."""
    used: bool
    """Whether the project reads the file: `[examples] files` names it."""

    def view(self) -> list[Block]:
        """Return how many examples there are, and why the other answers became none."""
        pairs = f", {self.pairs:,} of them preference pairs" if self.pairs else ""
        return [
            Line(f"{format_count(len(self.new), 'train example')} added to {self.file}{pairs}", "strong"),
            *(Line(f"{number:,} left out: {reason}", indent=1) for reason, number in self.left_out.items()),
        ]


async def promote(
    workspace: Workspace,
    queue: ReviewQueue,
    answers: ServedAnswers,
    target: Path,
    basis: PromotionBasis,
    *,
    by: str,
) -> PromotionReport:
    """Make a train example of each answer that was accepted or edited, and was none yet. Safe to run again.

    An edit makes a preference pair of the two texts. An answer whose question is among the examples, or nearly among
    those of the validation or test split, becomes none. Raises BusyError.
    """
    with workspace.lock(LOCK, timeout_seconds=LOCK_SECONDS):
        items = await asyncio.to_thread(queue.items, "accepted", "edited")
        run = await asyncio.to_thread(_Run, workspace.root, target, basis)
        for item in items:
            if item.promoted is not None:
                continue
            if (name := f"{REVIEWED}-{item.answer}") in run.ids:
                run.made[item.answer] = name  # a run that was killed has written it
                continue
            entry = await asyncio.to_thread(queue.entry, item.answer)
            edited = await asyncio.to_thread(edited_text, workspace, item)
            if entry is None or (item.state == "edited" and edited is None):
                run.left_out[ERASED] += 1
                continue
            served = await answers.read(entry)
            text = edited if item.state == "edited" else None
            example = to_example(
                served, run.there, name=name, origin=REVIEWED, parse=basis.parse, edited=text, review=_review(item)
            )
            run.take(served, example)
        report = await asyncio.to_thread(run.write)
        await asyncio.to_thread(queue.promoted, run.made, file=target.name, by=by)
    return report


async def collect(
    workspace: Workspace,
    queue: ReviewQueue,
    answers: ServedAnswers,
    target: Path,
    basis: PromotionBasis,
    *,
    min_confidence: float,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> PromotionReport:
    """Make train examples of the served answers that are good by rule. Safe to run again.

    An answer is taken if it is whole, not an abstention and not from an approach that stood in for another; if every
    sentence is supported, as far as that is known, nobody disliked it, and no reviewer did anything but accept it; and
    if somebody liked it, its citations are all exact, or its confidence is at least `min_confidence`; and if it passes
    the project's checks. Raises BusyError, and UsageError when the function of a check fails.
    """
    with workspace.lock(LOCK, timeout_seconds=LOCK_SECONDS):
        run = await asyncio.to_thread(_Run, workspace.root, target, basis)
        ratings = await asyncio.to_thread(_ratings, workspace)
        queued = {item.answer: item for item in await asyncio.to_thread(queue.items)}
        entries = await asyncio.to_thread(lambda: list(AuditLog(workspace).entries()))
        records = [entry for entry in entries if entry.record["status"] != "broken off"]
        for at, entry in enumerate(records):
            progress(at, len(records))
            answer = str(entry.record["id"])
            name = f"{COLLECTED}-{answer}"
            if name in run.ids:
                continue
            if not {"question", "answer"} <= entry.texts.keys():
                run.left_out[ERASED] += 1
                continue
            served = await answers.read(entry)
            liked = ratings.get(answer, ())
            reason = _doubt(served, liked, queued.get(answer), min_confidence)
            example = reason or to_example(served, run.there, name=name, origin=COLLECTED, parse=basis.parse)
            run.take(served, _checked(served.text, example, basis.checks))
        return await asyncio.to_thread(run.write)


class _Run:
    """The examples of one run, beside those that are there."""

    def __init__(self, root: Path, target: Path, basis: PromotionBasis) -> None:
        self._root = root
        self._target = target
        self._basis = basis
        before = read_examples(target) if target.is_file() and target.stat().st_size else []
        self.ids = {example.id for example in before}
        self.there = KnownInputs([*basis.existing, *before], language=basis.language)
        self.made: dict[str, str] = {}
        """Answer to the id of its example."""
        self.left_out: Counter[str] = Counter()
        self._new: list[Example] = []

    def take(self, answer: ServedAnswer, example: Example | str) -> None:
        """Keep the example of an answer, or count why there is none."""
        if isinstance(example, str):
            self.left_out[example] += 1
            return
        self._new.append(example)
        self.there.add(example)
        self.made[answer.id] = example.id

    def write(self) -> PromotionReport:
        """Append the examples to the file."""
        if self._new:
            basis = self._basis
            merge_examples(self._target, self._new, other_examples=basis.existing, language=basis.language)
        files = find_examples(self._root, self._basis.files)
        return PromotionReport(
            file=self._target,
            new=tuple(example.id for example in self._new),
            pairs=sum(example.rejected is not None for example in self._new),
            left_out=dict(self.left_out.most_common()),
            used=self._target.resolve() in {file.resolve() for file in files},
        )


def _doubt(answer: ServedAnswer, ratings: Sequence[str], item: QueueItem | None, min_confidence: float) -> str | None:
    """Return why an answer is not good enough by rule; None if it is."""
    if answer.degradation is not None:
        return "another approach stood in"
    if item is not None and item.state not in ("pending", "accepted"):
        return f"{item.state} in review"
    if "down" in ratings:
        return "somebody disliked it"
    if any(is_supported(citation.support) is False for citation in answer.citations):
        return "a sentence is not supported"
    _, reason = accept_answer(as_answer(answer), min_confidence=min_confidence)
    liked = "up" in ratings and answer.status == "answered" and answer.cut is None
    return None if liked else reason or None


def _checked(text: str, example: Example | str, checks: Sequence[Check]) -> Example | str:
    """Return an example whose text passes the checks as it is; else the first check that it fails."""
    if isinstance(example, str):
        return example
    failed = next((check.name for check in checks if check.test(text, example) < 1), None)
    return example if failed is None else f'it fails the check "{failed}"'


def _ratings(workspace: Workspace) -> dict[str, tuple[str, ...]]:
    """Map each answer to what people think of it; the latest of each caller counts."""
    ratings: dict[str, list[str]] = {}
    for row in FeedbackLog(workspace).latest():
        ratings.setdefault(row.answer, []).append(row.rating)
    return {answer: tuple(each) for answer, each in ratings.items()}


def _review(item: QueueItem) -> Review | None:
    """Return the decision that counts: the latest in the state of the item."""
    vote = next(vote for vote in reversed(item.votes) if vote.state == item.state)
    return Review(vote.state, vote.by, vote.time) if vote.state != "declined" else None
