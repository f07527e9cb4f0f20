"""Record what people decide about drafted examples, in a terminal or from a saved page. Every decision is on disk."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from groundtune.common.files import digest_text, write_atomic
from groundtune.common.text import format_count
from groundtune.dataset.editing import replace_examples
from groundtune.dataset.examples import STATES, read_examples
from groundtune.dataset.importing.convert import encode_example
from groundtune.dataset.new_examples import DRAFTED
from groundtune.dataset.reviewing import Decision, decide, is_unreviewed, read_decisions
from groundtune.display import Block, Displayed, Line
from groundtune.errors import MissingError, UsageError
from groundtune.report.html import render_review
from groundtune.types import Document, Evidence, Example, Review
from groundtune.workflows.promoting import LOCK, LOCK_SECONDS
from groundtune.workspace import Workspace

AROUND = 300
"""Characters shown before and after a quote."""
FindDocument = Callable[[str], Document | None]
Edit = Callable[[Example], tuple[str, str | None] | None]
"""Returns another question and answer, or None to leave the draft as it is."""


@dataclass(frozen=True, slots=True)
class ReviewReport(Displayed):
    """How far the review of a file has come."""

    file: Path
    accepted: int
    edited: int
    rejected: int
    left: int
    """Drafts that nobody looked at."""
    decided: int = 0
    """Decisions of this run."""
    unknown: tuple[str, ...] = ()
    """Ids of decisions for which the file has no draft."""

    def view(self) -> list[Block]:
        """Return how many drafts are accepted, edited, rejected and left."""
        states = f"{self.accepted:,} accepted, {self.edited:,} edited, {self.rejected:,} rejected"
        unknown = f"{format_count(len(self.unknown), 'decision')} about no draft of the file: {self.unknown[:5]}"
        return [
            Line(f"{format_count(self.decided, 'decision')} recorded in {self.file}", "strong"),
            Line(f"{states}, {self.left:,} not looked at", indent=1),
            *([Line(unknown)] if self.unknown else []),
        ]


def review(
    path: Path,
    *,
    by: str,
    show: Callable[[Example, int, int], None],
    read_key: Callable[[], str],
    edit: Edit,
) -> ReviewReport:
    """Show each draft that nobody looked at, and record what the key says: a, e, r, s, u or q.

    show: gets the draft, its number and their total. Other keys do nothing. Undo takes back the last decision, or goes
    back to the draft that was skipped. Raises MissingError if the file has no drafts at all.
    """
    drafts = unreviewed_drafts(_drafts(path))
    places: list[tuple[int, bool]] = []
    at = decided = 0
    while at < len(drafts):
        draft = drafts[at]
        show(draft, at + 1, len(drafts))
        key = read_key()
        if key == "q":
            break
        if key == "s":
            places.append((at, False))
            at += 1
        elif key == "u" and places:
            at, was_decided = places.pop()
            if was_decided:
                replace_examples(path, [drafts[at]])
                decided -= 1
        elif key in ("a", "e", "r") and (decision := _decision(draft, key, by, edit)):
            replace_examples(path, [decide(draft, decision)])
            places.append((at, True))
            at, decided = at + 1, decided + 1
    return _report(path, decided)


def apply_decisions(path: Path, decisions: Path) -> ReviewReport:
    """Record the decisions that a page saved. Raises MissingError, ConfigError with every problem of their file."""
    drafts = {example.id: example for example in _drafts(path)}
    made = read_decisions(decisions)
    known = [decision for decision in made if decision.id in drafts]
    replace_examples(path, [decide(drafts[decision.id], decision) for decision in known])
    return _report(path, len(known), tuple(decision.id for decision in made if decision.id not in drafts))


def draft_version(draft: Example) -> str:
    """Return a digest of all that a file says of a draft, by which a change in between is noticed."""
    return digest_text(encode_example(draft))[:16]


def unreviewed_drafts(examples: Sequence[Example]) -> list[Example]:
    """Return the drafts that nobody looked at, in the order of their file."""
    return [example for example in examples if is_unreviewed(example)]


def change_draft(
    workspace: Workspace, path: Path, draft_id: str, *, version: str, change: Callable[[Example], Example]
) -> Example:
    """Decide about one draft of a file and return it as it is then; it is on disk when this returns.

    version: of the draft that the person saw. Raises UsageError when the file says something else of it by now, so
    that what others wrote is never overwritten unseen; MissingError without such a draft, BusyError.
    """
    with workspace.lock(LOCK, timeout_seconds=LOCK_SECONDS, action="is changing the examples of"):
        draft = next((draft for draft in _drafts(path) if draft.id == draft_id), None)
        if draft is None:
            raise MissingError(f"there is no draft {draft_id!r} in {path.name} any more")
        if draft_version(draft) != version:
            raise UsageError(f"somebody else changed this draft in {path.name} meanwhile", hint="look at it again")
        changed = change(draft)
        replace_examples(path, [changed])
    return changed


def write_review_page(path: Path, target: Path, find_document: FindDocument) -> int:
    """Write a self-contained page with the drafts that nobody looked at; return their number."""
    drafts = unreviewed_drafts(_drafts(path))
    page = {"file": path.name, "examples": [shown_draft(draft, find_document) for draft in drafts]}
    write_atomic(target, render_review(page).encode("utf-8", "backslashreplace"))
    return len(drafts)


def around(proof: Evidence, document: Document | None) -> tuple[str, str]:
    """Return what stands before and after a quote; nothing if the document is gone or has changed there."""
    if document is None or proof.start is None or proof.end is None:
        return "", ""
    if document.text[proof.start : proof.end] != proof.quote:
        return "", ""
    return (
        document.text[max(0, proof.start - AROUND) : proof.start],
        document.text[proof.end : proof.end + AROUND],
    )


def shown_draft(draft: Example, find_document: FindDocument) -> dict[str, Any]:
    evidence = []
    for proof in draft.evidence:
        before, after = around(proof, find_document(proof.source))
        evidence.append({"source": proof.source, "before": before, "quote": proof.quote, "after": after})
    return {
        "id": draft.id,
        "kind": ", ".join(draft.tags),
        "input": draft.input,
        "output": draft.output,
        "history": [{"role": turn.role, "content": turn.content} for turn in draft.history],
        "evidence": evidence,
    }


def _decision(draft: Example, key: str, by: str, edit: Edit) -> Decision | None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    states: dict[str, Literal["accepted", "rejected"]] = {"a": "accepted", "r": "rejected"}
    if key in states:
        return Decision(draft.id, Review(states[key], by, now))
    changed = edit(draft)
    return Decision(draft.id, Review("edited", by, now), *changed) if changed else None


def _drafts(path: Path) -> Sequence[Example]:
    drafts = [example for example in read_examples(path) if example.origin == DRAFTED]
    if not drafts:
        raise MissingError(f"{path} has no drafted examples", hint="groundtune examples draft makes some")
    return drafts


def _report(path: Path, decided: int, unknown: tuple[str, ...] = ()) -> ReviewReport:
    drafts = _drafts(path)
    states: Counter[str] = Counter(draft.review.state for draft in drafts if draft.review)
    accepted, edited, rejected = (states[state] for state in STATES)
    return ReviewReport(path, accepted, edited, rejected, sum(map(is_unreviewed, drafts)), decided, unknown)
