"""Every word that is said to a model, in one place. Pure; renders messages, sends nothing."""

from collections.abc import Sequence

from groundtune.types import Hit, Message, Prompt, Question

NOT_FOUND = "NOT_IN_DOCUMENTS"
"""What a model is told to answer when the passages do not hold the answer."""

_GROUNDED = f"""\
Answer the question from the numbered passages and from nothing else.
End every sentence with the number of the passage that it rests on, in square brackets.
Use the passages' own words, numbers and names. Be brief: one to three sentences.
When passages disagree, follow the one that says it is newer, and say so.
If the passages do not hold the answer, reply with exactly {NOT_FOUND}.

Right: Orders are sent within two working days [2].
Right: The fee is 40 euros [1], and members pay half [3].
Wrong: Orders are sent within two working days. (no number)
Wrong: Orders are sent within two working days [passages 1 and 2]. (not a number)
Wrong: I could not find it, but usually it is two days [1]. (not from the passages)"""

_CLOSED = f"""\
Answer the question in one to three short sentences.
If you do not know the answer for certain, reply with exactly {NOT_FOUND}."""


def render(question: Question, hits: Sequence[Hit] = ()) -> Prompt:
    """The system message first and the question last, so that a shared prefix can be cached."""
    system = Message("system", _GROUNDED if hits else _CLOSED)
    blocks = [_passage(number, hit) for number, hit in enumerate(hits, start=1)]
    user = Message("user", "\n\n".join([*blocks, f"Question: {question.text}"]))
    return Prompt(question.text, (system, *question.history, user), tuple(hits))


def _passage(number: int, hit: Hit) -> str:
    place = " > ".join(part for part in (hit.passage.source, hit.passage.heading) if part)
    return f"[{number}] {place}\n{hit.passage.text}"
