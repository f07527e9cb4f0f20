"""Compare approaches on real questions, by what reviewers and users thought of their answers. Asks no model.

Answers are independent only as far as those who ask are: a question counts once, and of each caller or conversation of
a split one rating does, the first. Which ones count never depends on what people thought of them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from groundtune.common.drawing import unit_of
from groundtune.dataset.examples import input_key
from groundtune.records.audit_log import SHADOW_OF, AuditEntry, AuditLog
from groundtune.records.feedback import FeedbackLog
from groundtune.review.queue import State, read_states
from groundtune.review.served_answer import turns_before
from groundtune.stats.anytime import anytime_differences, anytime_group_difference, anytime_means
from groundtune.stats.intervals import Sample
from groundtune.stats.significance import PairedSample
from groundtune.types import Interval
from groundtune.workflows.live_report import LiveComparison, LiveDifference, LiveReport
from groundtune.workspace import Workspace

VALUES: Mapping[State | None, float] = {"accepted": 1.0, "edited": 0.0, "rejected": 0.0}
"""What a decision says of an answer; one that had to be edited was not good enough."""


def compare_live(workspace: Workspace, *, since: str | None = None) -> LiveReport:
    """Compare what was drawn for a shadow or a split, by the decisions that the queue of the review has taken in.

    since: ISO 8601, UTC; only answers from then on count.
    """
    entries = AuditLog(workspace).compared(since=since or "")
    if not entries:
        return LiveReport((), since)
    states = read_states(workspace)
    ratings = {(row.answer, row.caller): row.rating for row in FeedbackLog(workspace).latest()}
    return LiveReport((*_shadows(entries, states), *_splits(entries, ratings)), since)


@dataclass(slots=True)
class _Sides:
    """The values of two approaches, and how many answers do not count."""

    choice: list[float] = field(default_factory=list)
    second: list[float] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """Why they do not count, and how many."""
    seen: set[str] = field(default_factory=set)
    models: dict[str, Counter[str]] = field(default_factory=dict)
    """Approach to the models that wrote the answers that count."""

    def wrote(self, record: Mapping[str, Any]) -> None:
        """Note which model wrote an answer that counts."""
        if model := record.get("generator"):
            self.models.setdefault(record["approach"], Counter())[model] += 1


def _shadows(entries: Sequence[AuditEntry], states: Mapping[str, State]) -> Iterator[LiveComparison]:
    seconds = {entry.record[SHADOW_OF]: entry for entry in entries if entry.is_shadow}
    pairs: dict[tuple[str, str], _Sides] = {}
    for sent in entries:
        if second := sent.record.get("shadow"):
            sides = pairs.setdefault((sent.record["approach"], second), _Sides())
            if why := _take_pair(sides, sent, seconds.get(sent.record["id"]), states):
                sides.left_out[why] += 1
    for (choice, second), sides in pairs.items():
        difference = None
        if sides.choice:
            (found,) = anytime_differences([PairedSample(sides.second, sides.choice)])
            difference = LiveDifference(found.difference, found.low, found.high, found.p, found.needed)
        shares = _mean(sides.choice), _mean(sides.second)
        yield LiveComparison("shadow", choice, second, *shares, difference, tuple(_notes(sides)))


def _take_pair(sides: _Sides, sent: AuditEntry, second: AuditEntry | None, states: Mapping[str, State]) -> str | None:
    """Take what people decided about both answers to a question; return why the pair does not count."""
    if second is None:
        return "no second answer: the server was busy or stopped, the budget spent, or the caller not allowed"
    if second.record["status"] == "broken off":
        return "no second answer: it failed"
    if second.record["degradation"] is not None:
        return "another approach stood in"
    if not {"question", "answer"} <= sent.texts.keys() & second.texts.keys():
        return "the text was erased"
    question = input_key(sent.texts["question"], [turn.content for turn in turns_before(sent.texts)])
    if question in sides.seen:
        return "the question was asked before"
    sides.seen.add(question)
    decided = [states.get(entry.record["id"]) for entry in (sent, second)]
    if "declined" in decided:
        return "a reviewer could not tell"
    if any(state not in VALUES for state in decided):
        return "a reviewer has yet to decide"
    sides.choice.append(VALUES[decided[0]])
    sides.second.append(VALUES[decided[1]])
    sides.wrote(sent.record)
    sides.wrote(second.record)
    return None


def _splits(entries: Sequence[AuditEntry], ratings: Mapping[tuple[str, str], str]) -> Iterator[LiveComparison]:
    drawn: dict[tuple[str, str], _Sides] = {}
    for entry in entries:
        if split := entry.record.get("split"):
            sides = drawn.setdefault((split["choice"], split["second"]), _Sides())
            if why := _take_rating(sides, entry, ratings.get((entry.record["id"], entry.record["caller"]))):
                sides.left_out[why] += 1
    for (choice, second), sides in drawn.items():
        difference = None
        if sides.choice and sides.second:
            found = anytime_group_difference(sides.second, sides.choice)
            difference = LiveDifference(found.difference, found.low, found.high, found.p, found.needed)
        shares = _mean(sides.choice), _mean(sides.second)
        yield LiveComparison("split", choice, second, *shares, difference, tuple(_notes(sides)))


def _take_rating(sides: _Sides, entry: AuditEntry, rating: str | None) -> str | None:
    """Take what whoever asked thinks of an answer; return why it does not count."""
    record, split = entry.record, entry.record["split"]
    if record["degradation"] is not None:
        return "another approach stood in"
    if rating is None:
        return "not rated by whoever asked"
    if "question" not in entry.texts:
        return "the text was erased"
    turns = turns_before(entry.texts)
    unit = unit_of(split["by"], record["caller"], record["key"], turns[0].content if turns else entry.texts["question"])
    if unit in sides.seen:
        return f"an earlier answer to the same {split['by']} was rated"
    sides.seen.add(unit)
    values = sides.second if split["drawn"] == split["second"] else sides.choice
    values.append(float(rating == "up"))
    sides.wrote(record)
    return None


def _notes(sides: _Sides) -> Iterator[str]:
    for why, number in sides.left_out.most_common():
        yield f"{number:,} left out: {why}"
    for approach, models in sides.models.items():
        if len(models) > 1:
            written = ", ".join(f"{number:,} by {model}" for model, number in models.most_common())
            yield f"{approach}: several models wrote its answers ({written}); --since leaves out those before a change"


def _mean(values: Sequence[float]) -> Interval | None:
    return anytime_means([Sample(values)])[0] if values else None
