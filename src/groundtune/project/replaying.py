"""Ask a recorded question again, and compare the answers. Changes no record, and makes none."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from groundtune.common.files import digest_text
from groundtune.display import Block, Displayed, Line, Table
from groundtune.records.audit_log import AuditEntry
from groundtune.types import Answer


@dataclass(frozen=True, slots=True)
class Replay(Displayed):
    """A recorded answer beside the one that is given now."""

    id: str
    time: str
    """When it was given: ISO 8601, UTC."""
    question: str
    groups: tuple[str, ...]
    approach: str
    changes: tuple[str, ...]
    """What is not as it was then, one sentence each."""
    then: str | None
    """The text; None when it was erased."""
    now: str | None
    """None when the question cannot be asked any more; `changes` says why."""
    status_then: str
    status_now: str | None = None
    passages: Mapping[str, str] = field(default_factory=dict)
    """Id of each passage to `same`, `changed` (another text), `gone` (only then) or `new` (only now)."""
    support_then: tuple[str, ...] = ()
    """How far each cited sentence was supported, in their order."""
    support_now: tuple[str, ...] = ()
    steps_then: Mapping[str, float] = field(default_factory=dict)
    """Seconds by step."""
    steps_now: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_same(self) -> bool | None:
        """Whether the text is the same; None when either is not known."""
        return None if self.then is None or self.now is None else self.then == self.now

    def view(self) -> list[Block]:
        """Return the question, both answers, and every difference."""
        return list(_blocks(self))


def approach_of_record(record: Mapping[str, Any]) -> str:
    """Return the approach that was asked: the one that the client named, or the choice of the project then."""
    return str(record.get("model") or next(iter(record.get("route", ())), record["approach"]))


def compare_answers(
    entry: AuditEntry, question: str, now: Answer | None, *, index: str | None, problem: str | None
) -> Replay:
    """Return what is the same and what is not. index: its state now. problem: why there is no answer now."""
    record = entry.record
    return Replay(
        id=record["id"],
        time=record["time"],
        question=question,
        groups=tuple(record["groups"]),
        approach=approach_of_record(record),
        changes=tuple(_changes(record, now, index, problem)),
        then=entry.texts.get("answer"),
        now=now.text if now else None,
        status_then=record["status"],
        status_now=now.status if now else None,
        passages=_passages(record.get("passages", []), now),
        support_then=tuple(each["support"] for each in record.get("citations", [])),
        support_now=tuple(citation.support for citation in now.citations) if now else (),
        steps_then=record.get("steps", {}),
        steps_now=dict(now.steps) if now else {},
    )


def _changes(record: Mapping[str, Any], now: Answer | None, index: str | None, problem: str | None) -> Iterator[str]:
    if problem:
        yield f"it cannot be asked now: {problem}"
    if record.get("index") != index:
        yield f"the index is another one: {record.get('index') or 'none'} then, {index or 'none'} now"
    installed = version("groundtune")
    if record["groundtune"] != installed:
        yield f"groundtune {record['groundtune']} then, {installed} now"
    if now is None:
        return
    if record.get("generator") != now.trace.model:
        yield f"another model wrote it: {record.get('generator') or 'none'} then, {now.trace.model or 'none'} now"
    if record.get("approach") not in (None, now.approach):
        yield f"another approach answered: {record['approach']} then, {now.approach} now"
    if record.get("degradation") != now.degradation:
        yield f"what stood in: {record.get('degradation') or 'nothing'} then, {now.degradation or 'nothing'} now"


def _passages(recorded: list[dict[str, str]], now: Answer | None) -> dict[str, str]:
    then = {each["id"]: each["text"] for each in recorded}
    if now is None:
        return {}
    found = {hit.passage.id: digest_text(hit.passage.text) for hit in now.hits}
    compared = {
        name: ("same" if found[name] == text else "changed") if name in found else "gone" for name, text in then.items()
    }
    return compared | {name: "new" for name in found if name not in then}


def _blocks(replay: Replay) -> Iterator[Block]:
    groups = f" ({', '.join(replay.groups)})" if replay.groups else ""
    yield Line(f"{replay.question}{groups}", "strong")
    yield Line(f"then  {replay.status_then}: {replay.then if replay.then is not None else '(erased)'}")
    if replay.now is not None:
        yield Line(f"now   {replay.status_now}: {replay.now}")
    match replay.is_same:
        case True:
            yield Line("the text is the same")
        case False:
            yield Line("the text is another one")
    for change in replay.changes:
        yield Line(change)
    if differing := [[name, what] for name, what in replay.passages.items() if what != "same"]:
        yield Table(["passage", "is"], differing)
    elif replay.passages:
        yield Line(f"the same {len(replay.passages):,} passages")
    if replay.now is not None and replay.support_then != replay.support_now:
        then, now = (", ".join(each) or "none" for each in (replay.support_then, replay.support_now))
        yield Line(f"support of its citations: {then} then, {now} now")
    steps = dict.fromkeys((*replay.steps_then, *replay.steps_now))
    if steps:
        rows = [[step, replay.steps_then.get(step), replay.steps_now.get(step)] for step in steps]
        yield Table(["step", "seconds then", "seconds now"], rows)
