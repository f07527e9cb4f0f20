"""Put a question and the conversation before it into one text. Pure; asks no model."""

from collections.abc import Sequence
from typing import Literal

from groundtune.types import Example, Message, Question, Scope

HistoryUse = Literal["join", "rewrite", "ignore"]
"""What retrieval does with the conversation before a question."""
JOINED_CHARACTERS = 600
"""Longest part of a conversation that is searched for with a question; an embedder reads only the start of a text."""


def question_of(example: Example) -> Question:
    """Return the question of an example, as its user would ask it."""
    return Question(example.input, example.history, Scope(groups=example.groups))


def joined_text(text: str, history: Sequence[Message]) -> str:
    """Return the user's last turns and the text, one per line and the newest last, to search for them together.

    Turns that do not fit in JOINED_CHARACTERS are left out, the oldest first; of a longer turn its beginning is kept.
    """
    turns: list[str] = []
    room = JOINED_CHARACTERS
    for turn in reversed(history):
        words = " ".join(turn.content.split())
        if turn.role != "user" or not words:
            continue
        if len(words) > room:
            words = words[:room].rpartition(" ")[0]
        if words:
            turns.append(words)
        room -= len(words) + 1
        if room < 1 or not words:
            break
    return "\n".join([*reversed(turns), text])


def searched_text(example: Example, use: HistoryUse) -> str:
    """Return the text that retrieval searches for an example, where no model may be asked to rewrite it."""
    return example.input if use == "ignore" else joined_text(example.input, example.history)


def transcript(text: str, history: Sequence[Message]) -> str:
    """Return the whole conversation as text, for a reader who sees nothing else; the text alone without history."""
    if not history:
        return text
    return "\n\n".join(f"{turn.role.capitalize()}: {turn.content}" for turn in [*history, Message("user", text)])
