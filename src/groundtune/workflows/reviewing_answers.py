"""Show served answers to the people who may see them, and record what they decide. Sends nothing to anybody."""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from groundtune.approaches.output_formats import LabelFormat, OutputFormat
from groundtune.build.open_index import OpenIndex
from groundtune.common.text import format_count
from groundtune.display import Block, Displayed, Line, Table
from groundtune.errors import MissingError, QuestionError
from groundtune.records.audit_log import AuditEntry, AuditLog
from groundtune.records.feedback import FeedbackLog
from groundtune.review.queue import NOBODY, STATES, QueueItem, ReviewQueue, State
from groundtune.review.reasons import WORDS, shown_reasons
from groundtune.review.served_answer import ServedAnswer, may_see, served_answer, sources_of
from groundtune.stats.agreement import Agreement, cohen_kappa, fleiss_kappa
from groundtune.types import EVERYONE, Document, Interval
from groundtune.workspace import Workspace

SHOWN = 60
"""Characters of a question in a list."""


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """An answer in the queue with everything that a person needs to decide about it."""

    item: QueueItem
    answer: ServedAnswer
    edited: str | None
    """The text that the latest edit put in place of the answer."""
    notes: tuple[str, ...]
    """What those who decided wrote beside it."""
    comments: tuple[str, ...]
    """What those who asked wrote about it."""
    waiting: int | None = None
    """How many items wait for the person, this one included; None where nobody counted."""


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """How far two people agree on the items that both decided."""

    a: str
    b: str
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class GroupAgreement:
    """How far more than two people agree on the items that two or more of them decided."""

    people: int
    items: int
    kappa: Interval | None
    """Fleiss' kappa, -1 to 1: 0 is chance level, 1 is perfect. None when undefined; `note` says why."""
    note: str


@dataclass(frozen=True, slots=True)
class ReviewList(Displayed):
    """The queue: its items, how many are in which state, and how far its reviewers agree."""

    items: tuple[QueueItem, ...]
    questions: Mapping[str, str]
    """Answer to its question; without those whose text was erased."""
    counts: Mapping[State, int]
    """Of the whole queue."""
    agreement: tuple[PairAgreement, ...]
    group: GroupAgreement | None
    """None where no more than two people decided the same items."""

    def view(self) -> list[Block]:
        """Return the counts, a table of the items, and the agreement of each pair of reviewers."""
        counts = ", ".join(f"{self.counts[state]:,} {state}" for state in STATES)
        columns = ("answer", "state", "why", "question", "by")
        rows = [
            (
                item.answer[:8],
                item.state,
                ", ".join(WORDS[reason] for reason in shown_reasons(item.reasons)),
                _excerpt(self.questions.get(item.answer, "(erased)")),
                ", ".join(vote.by for vote in item.votes) or (f"for {item.assignee}" if item.assignee else None),
            )
            for item in self.items
        ]
        return [
            Line(f"{format_count(sum(self.counts.values()), 'answer')} in the queue: {counts}", "strong"),
            *([Table(columns, rows)] if rows else []),
            *(Line(_agreement_sentence(pair)) for pair in self.agreement),
            *([Line(_group_sentence(self.group))] if self.group else []),
        ]


@dataclass(frozen=True, slots=True)
class ReviewOutcome:
    """What was decided about an answer, and what may be sent of it."""

    answer: str
    state: State
    text: str | None
    """The answer or the better text; None while it is pending, and when it must not be sent."""
    asker: str
    key: str | None
    """Id of the API key of the asker."""
    output: Any = None
    """Label or object of an edited answer; None for text."""


class ServedAnswers:
    """Reads served answers with their documents as the index has them now; None: there is no index."""

    def __init__(self, opened: OpenIndex | None) -> None:
        self._opened = opened
        self._restricting: set[str] | None = None

    async def read(self, entry: AuditEntry) -> ServedAnswer:
        """Return the answer of a record that has its texts."""
        documents: dict[str, Document | None] = {}
        for source in sources_of(entry) if self._opened else ():
            documents[source] = await self._opened.document_by_source(source) if self._opened else None
        return served_answer(entry, documents)

    async def may_read(
        self, groups: Collection[str] | None, *, asker: Collection[str], answer: ServedAnswer | None = None
    ) -> bool:
        """Whether somebody with these groups may see an answer. groups: None for the owner of the project.

        answer: None while only the groups of the asker are known; the answer may then still turn out to be hidden.
        """
        if groups is None:
            return True
        documents = answer.document_groups if answer else ()
        return may_see(groups, asker=asker, documents=documents, restricting=await self._groups())

    async def _groups(self) -> set[str] | None:
        """Return the groups that documents are restricted to; None without an index."""
        if self._restricting is None and self._opened is not None:
            rows = (await self._opened.catalog.files()).values()
            self._restricting = {group for row in rows for group in row.groups} - {EVERYONE}
        return self._restricting


async def next_item(
    workspace: Workspace,
    queue: ReviewQueue,
    answers: ServedAnswers,
    *,
    by: str,
    groups: Collection[str] | None,
    skip: Collection[str] = (),
) -> ReviewItem | None:
    """Return the item that a person should decide next, kept from others for a while; None when none is left."""
    waiting = await asyncio.to_thread(queue.waiting_for, by)
    for answer, asker in waiting:
        if answer in skip or not await answers.may_read(groups, asker=asker):
            continue
        entry = await asyncio.to_thread(queue.entry, answer)
        if entry is None:
            await asyncio.to_thread(queue.close_erased, answer)
            continue
        served = await answers.read(entry)
        if not await answers.may_read(groups, asker=asker, answer=served):
            continue
        if item := await asyncio.to_thread(queue.open, answer, by):
            return await asyncio.to_thread(_with_reviews, workspace, item, served, waiting=len(waiting))
    return None


async def one_item(
    workspace: Workspace, queue: ReviewQueue, answers: ServedAnswers, answer: str, *, groups: Collection[str] | None
) -> ReviewItem:
    """Return an item by the id of its answer. Raises MissingError, also when the person may not see it."""
    item = await asyncio.to_thread(queue.item, answer)
    entry = await asyncio.to_thread(queue.entry, item.answer)
    served = await answers.read(entry) if entry else None
    if served is None or not await answers.may_read(groups, asker=served.asker_groups, answer=served):
        raise MissingError(f"there is no item {answer!r}, or its text was erased, or you may not read it")
    return await asyncio.to_thread(_with_reviews, workspace, item, served)


def outcome(workspace: Workspace, queue: ReviewQueue, answer: str) -> ReviewOutcome:
    """Return what was decided about an answer in the queue that was, or may be, sent. Raises MissingError."""
    item = queue.item(answer)
    entry = queue.entry(item.answer)
    if entry is None or entry.is_shadow:
        raise MissingError(f"the text of {answer!r} was erased, or nobody was to see it")
    given = {"accepted": entry.texts["answer"], "edited": edited_text(workspace, item)}
    record = entry.record
    return ReviewOutcome(item.answer, item.state, given.get(item.state), record["caller"], record["key"])


def list_items(queue: ReviewQueue, states: Sequence[State]) -> ReviewList:
    """Return the items in these states, or all, with the counts and the agreement of the whole queue."""
    items = queue.items()
    shown = tuple(item for item in items if not states or item.state in states)
    entries = {item.answer: queue.entry(item.answer) for item in shown}
    return ReviewList(
        items=shown,
        questions={answer: entry.texts["question"] for answer, entry in entries.items() if entry},
        counts=dict.fromkeys(STATES, 0) | Counter(item.state for item in items),
        agreement=tuple(agreements(items)),
        group=group_agreement(items),
    )


def agreements(items: Sequence[QueueItem]) -> list[PairAgreement]:
    """Return how far each two people agree who both decided some items, the pair with the most first."""
    votes = {item.answer: {vote.by: vote.state for vote in item.votes} for item in items}
    people = sorted({person for each in votes.values() for person in each})
    pairs: list[PairAgreement] = []
    for a, b in combinations(people, 2):
        both = [(each[a], each[b]) for each in votes.values() if a in each and b in each]
        if both:
            pairs.append(PairAgreement(a, b, cohen_kappa([x for x, _ in both], [y for _, y in both])))
    return sorted(pairs, key=lambda pair: -pair.agreement.n)


def group_agreement(items: Sequence[QueueItem]) -> GroupAgreement | None:
    """Return how far all people agree who decided some items together; None for no more than two."""
    voted = ([vote for vote in item.votes if vote.by != NOBODY] for item in items)
    shared = [votes for votes in voted if len(votes) > 1]
    people = {vote.by for votes in shared for vote in votes}
    if len(people) < 3:
        return None
    kappa, note = fleiss_kappa([[vote.state for vote in votes] for votes in shared])
    return GroupAgreement(len(people), len(shared), kappa, note)


def output_of_edit(output_format: OutputFormat, text: str) -> Any:
    """Return the label, the object or the text that an edit states; None for an abstention. Raises QuestionError."""
    if output_format.task in ("answer", "write"):
        return text.strip()
    parsed = output_format.parse(text)
    if parsed.abstained:
        return None
    known = parsed.output in output_format.labels if isinstance(output_format, LabelFormat) else None
    if not (isinstance(parsed.output, dict) if known is None else known):
        raise QuestionError(
            f"{_excerpt(text)!r} is no output of this task", hint="write a label, or JSON by the schema"
        )
    return parsed.output


def edited_text(workspace: Workspace, item: QueueItem) -> str | None:
    """Return the text of the latest edit of an item; None without one, and when it was erased."""
    edits = [vote.record for vote in item.votes if vote.state == "edited"]
    entries = {entry.number: entry for entry in AuditLog(workspace).entries_of(item.answer)} if edits else {}
    latest = entries.get(edits[-1]) if edits else None
    return latest.texts.get("edited") if latest else None


def _with_reviews(
    workspace: Workspace, item: QueueItem, answer: ServedAnswer, *, waiting: int | None = None
) -> ReviewItem:
    entries = AuditLog(workspace).entries_of(answer.id)
    comments = [row.comment for row in FeedbackLog(workspace).rows(answer=answer.id)]
    if "compared" in item.reasons:
        (item, answer), comments = _blind(item, answer), []
    return ReviewItem(
        item=item,
        answer=answer,
        edited=edited_text(workspace, item),
        notes=tuple(entry.texts["note"] for entry in entries if "note" in entry.texts),
        comments=tuple(comment for comment in comments if comment),
        waiting=waiting,
    )


def _blind(item: QueueItem, answer: ServedAnswer) -> tuple[QueueItem, ServedAnswer]:
    """Leave out what tells which of two answers to a question was sent, or which approach gave it."""
    hidden = replace(answer, approach=None, confidence=None, degradation=None, time=item.time)
    return replace(item, reasons=shown_reasons(item.reasons)), hidden


def _agreement_sentence(pair: PairAgreement) -> str:
    kappa, both = pair.agreement.kappa, format_count(pair.agreement.n, "item")
    if kappa is None:
        return f"{pair.a} and {pair.b} on {both}: kappa is undefined, {pair.agreement.note}"
    return f"{pair.a} and {pair.b}: Cohen's kappa {kappa.mean:.2f} [{kappa.low:.2f}, {kappa.high:.2f}] on {both}"


def _group_sentence(group: GroupAgreement) -> str:
    who = f"all {group.people:,} together on {format_count(group.items, 'item')}"
    if group.kappa is None:
        return f"{who}: kappa is undefined, {group.note}"
    return f"{who}: Fleiss' kappa {group.kappa.mean:.2f} [{group.kappa.low:.2f}, {group.kappa.high:.2f}]"


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1].rstrip() + "…"
