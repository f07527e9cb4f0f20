"""All text sent to a model, in one place. Pure; renders messages, sends nothing."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from groundtune.common.conversations import transcript
from groundtune.types import Hit, Message

NOT_FOUND = "NOT_IN_DOCUMENTS"
"""Reply that a model must give when the passages do not contain the answer."""
NO_LABEL = "NONE"
"""Reply that a model must give when no label fits."""
NO_OBJECT = "null"
"""Reply that a model must give when there is nothing to extract."""

QuestionAt = Literal["last", "first", "both"]

GROUNDED = f"""\
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

CLOSED = f"""\
Answer the question in one to three short sentences.
If you do not know the answer for certain, reply with exactly {NOT_FOUND}."""

_LABELLED = """\
Sort the input into exactly one of these labels:
{labels}

Reply with the label alone, written exactly as it is here.
If none of them fits, reply with exactly {nothing}."""

_EXTRACTED = """\
Extract from the input one JSON object that satisfies this JSON Schema:
{schema}

Reply with the JSON object alone: no explanation, no code fence.
Leave out, or set to null, what the input does not say. Never invent a value.
If the input holds nothing of it, reply with exactly {nothing}."""

WRITTEN = """\
Write the text that the input asks for.
Where earlier inputs and texts are shown, keep to their voice, structure and length.
Reply with the text alone."""

REWRITTEN = """\
Rewrite the last question of the conversation so that it can be understood without the rest of it.
Replace words such as "it" or "there" by what they stand for. Keep names, numbers and the language. Add nothing else.
If it can be understood already, repeat it. Do not answer it. Reply with the question alone."""

BACKGROUND = "The numbered passages are background. Use what helps, and do not mention them."


def label_rules(labels: Mapping[str, str]) -> str:
    """Return the rules for labelling. labels: name to description; an empty description leaves the name alone."""
    lines = [f"- {name}: {about}" if about else f"- {name}" for name, about in labels.items()]
    return _LABELLED.format(labels="\n".join(lines), nothing=NO_LABEL)


def extraction_rules(schema: Mapping[str, Any]) -> str:
    return _EXTRACTED.format(schema=json.dumps(schema, ensure_ascii=False), nothing=NO_OBJECT)


def rewriting(text: str, history: Sequence[Message]) -> tuple[Message, ...]:
    """Render the request to rewrite a question for retrieval."""
    return Message("system", REWRITTEN), Message("user", transcript(text, history))


def messages(
    *,
    rules: str,
    kind: str,
    text: str,
    history: Sequence[Message] = (),
    hits: Sequence[Hit] = (),
    shots: Sequence[tuple[Sequence[Message], str, str]] = (),
    question_at: QuestionAt = "last",
) -> tuple[Message, ...]:
    """Render the messages: rules and fixed shots first, the question last, so that a shared prefix can be cached.

    kind: the name of the text, `Question` or `Input`. history: the conversation before the text. shots: the history,
    input and correct reply of each. question_at: before the passages, after them, or both; only `last` keeps the
    passages in the shared prefix.
    """
    shot_messages = [
        message
        for earlier, shot_input, reply in shots
        for message in (*earlier, Message("user", f"{kind}: {shot_input}"), Message("assistant", reply))
    ]
    question = f"{kind}: {text}"
    blocks = [_passage(number, hit) for number, hit in enumerate(hits, start=1)]
    if blocks and question_at != "last":
        blocks = [question, *blocks]
    if not blocks or question_at != "first":
        blocks = [*blocks, question]
    return (Message("system", rules), *shot_messages, *history, Message("user", "\n\n".join(blocks)))


def _passage(number: int, hit: Hit) -> str:
    sources = ", ".join([hit.passage.source, *hit.also_in])
    place = " > ".join(part for part in (sources, hit.passage.heading) if part)
    return f"[{number}] {place}\n{hit.passage.text}"
