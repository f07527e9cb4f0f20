"""Implement `groundtune review queue`: a person decides about served answers, one key each."""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from groundtune.cli import output
from groundtune.cli.options import Json, ProjectFolder
from groundtune.cli.review.deciding import By, reviewer
from groundtune.common.text import format_count
from groundtune.errors import GroundtuneError, UsageError

if TYPE_CHECKING:
    from groundtune.project import Project
    from groundtune.review.queue import State
    from groundtune.workflows.reviewing_answers import ReviewItem

KEYS = "a accept   e edit   r reject   d decline   s skip   u undo   q quit"
DECISIONS = {"a": "accepted", "e": "edited", "r": "rejected", "d": "declined"}


def run(
    *,
    list_: Annotated[bool, typer.Option("--list", help="List the items instead.")] = False,
    state: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            metavar="STATE",
            help="List only items that are pending, accepted, edited, rejected or declined (repeatable).",
        ),
    ] = None,
    by: By = None,
    folder: ProjectFolder = Path(),
    json: Json = False,
) -> None:
    """Decide about served answers one by one: accept, edit, reject or decline, one key each.

    Each decision is on disk at once, in the audit log, with who made it and when. Nobody else gets the item that you
    have open. --list, --state and --json show the queue without a decision.
    """
    from groundtune.project import Project
    from groundtune.review.queue import STATES

    if unknown := [name for name in state or () if name not in STATES]:
        raise UsageError(f"unknown state {unknown[0]!r}", hint=f"use one of {', '.join(STATES)}")
    with Project.open(folder) as project:
        if list_ or state or json:
            listed = project.reviews(cast("list[State]", state or []))
            if json:
                output.print_json(listed)
                return
            output.show_blocks(listed.view())
            return
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(
                "a review needs a terminal", hint="groundtune review --list, or the page of groundtune serve"
            )
        decided = _decide_all(project, reviewer(by))
        left = project.reviews().counts["pending"]
    output.print_line(f"{format_count(decided, 'decision')} recorded, {left:,} left", style="bold")
    output.next_step("groundtune review promote", "makes examples of them")


def _decide_all(project: "Project", by: str) -> int:
    """Show one item after the other; return how many were decided."""
    earlier: list[str] = []
    """Answers that were decided, for undo."""
    skipped: list[str] = []
    again: str | None = None
    decided = 0
    while item := project.review_item(again) if again else project.next_review(by=by, skip=skipped):
        again = None
        _show(item)
        key = typer.getchar()
        if key == "q":
            break
        answer = item.item.answer
        if key == "s":
            skipped.append(answer)
        elif key == "u" and earlier:
            again = earlier.pop()
            project.review(again, "pending", by=by)
            decided -= 1
        elif key in DECISIONS:
            text = _edited(item) if key == "e" else None
            if key == "e" and text is None:
                again = answer
                continue
            try:
                project.review(answer, cast("State", DECISIONS[key]), by=by, text=text)
            except GroundtuneError as error:
                output.warn(error.message)
                skipped.append(answer)
                continue
            earlier.append(answer)
            decided += 1
        else:
            again = answer
    return decided


def _show(item: "ReviewItem") -> None:
    """Print an item on stderr, as stdout is for the result."""
    from groundtune.display.answers import place
    from groundtune.review.reasons import WORDS

    answer, why = item.answer, ", ".join(WORDS[reason] for reason in item.item.reasons)
    output.print_note(f"\n{answer.id[:8]}  {answer.time[:16]}  {answer.approach or ''}  {why}", style="dim")
    for turn in answer.history:
        output.print_note(f"  {turn.role}: {output.excerpt(turn.content, 300)}", style="dim")
    output.print_note(output.excerpt(answer.question, 2_000), style="bold")
    for line in (item.edited or answer.text).split("\n"):
        output.print_note(f"  {output.printable(line)}")
    for citation in answer.citations:
        if citation.source:
            where = output.printable(place(citation.source, page=citation.page))
            output.print_note(f"  [{citation.marker}] {citation.support}: {where}", style="dim")
            if citation.quote:
                output.print_note(f"      {output.excerpt(citation.quote, 300)}", style="dim")
    for comment in item.comments:
        output.print_note(f"  not helpful: {output.excerpt(comment, 300)}")
    output.print_note(KEYS, style="dim")


def _edited(item: "ReviewItem") -> str | None:
    """Ask for a better text; None if it stays as it is. A text of several lines opens in the editor."""
    now = item.edited or item.answer.text
    if "\n" not in now:
        text = typer.prompt("answer", default=now, err=True).strip()
        return text if text != now else None
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="groundtune-review-") as scratch:
        file = Path(scratch) / "answer.txt"
        file.write_text(now, encoding="utf-8")
        subprocess.run([*shlex.split(editor), str(file)], check=False)
        text = file.read_text(encoding="utf-8").strip()
    return text if text and text != now.strip() else None
