"""Ask the questions of `groundtune advise` in a terminal: arrow keys, back, pass over, and resume."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import questionary

from groundtune.advice.advice import Advice
from groundtune.advice.questions import questions
from groundtune.cli import output
from groundtune.project.kept_advice import keep_answers, kept_answers

FIRST_ADVICE = 3
"""Answers after which a first recommendation is shown."""
BACK, PASS, DONE = "← back", "I do not know", "That is enough"


def ask_questions(
    folder: Path, around: Mapping[str, Any], seen: Sequence[str], advice: Callable[[Mapping[str, Any]], Advice]
) -> dict[str, Any]:
    """Ask what the folder does not show, and return the answers. They are kept, also when Ctrl-C ends it."""
    for line in seen:
        output.print_note(f"seen: {line}")
    open_ = [each for each in questions() if each["name"] not in around]
    answers = kept_answers(folder)
    if answers and not questionary.confirm(f"Go on with the {len(answers)} answers of last time?").unsafe_ask():
        answers = {}
    at = next((n for n, each in enumerate(open_) if each["name"] not in answers), 0)
    while at < len(open_):
        choice = _ask(open_[at], at, len(open_), answers.get(open_[at]["name"]))
        if choice == BACK:
            at -= 1
            continue
        if choice == DONE:
            break
        name = open_[at]["name"]
        if choice == PASS:
            answers.pop(name, None)
        else:
            answers[name] = next(each["value"] for each in open_[at]["choices"] if each["label"] == choice)
        keep_answers(folder, answers)
        at += 1
        if len(answers) >= FIRST_ADVICE and at < len(open_):
            _show_so_far(advice(answers))
    return answers


def _ask(question: Mapping[str, Any], at: int, total: int, present: Any) -> str:
    labels = [choice["label"] for choice in question["choices"]]
    default = next((choice["label"] for choice in question["choices"] if choice["value"] == present), None)
    further = [PASS, *([BACK] if at else []), *([DONE] if at >= FIRST_ADVICE else [])]
    title = f"{at + 1} of {total}. {question['text']}"
    asked = questionary.select(title, [*labels, questionary.Separator(), *further], default=default, qmark="")
    return str(asked.unsafe_ask())


def _show_so_far(advice: Advice) -> None:
    hangs = ", ".join(advice.recommendation.hangs_on) or "nothing else"
    output.print_note(f"so far: {advice.headline}; hangs on {hangs}", style="bold")
