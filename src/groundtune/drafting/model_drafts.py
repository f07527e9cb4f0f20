"""Draft questions with a model, and have it doubt them: a draft that it answers without the documents is dropped.

Never takes a quote on trust: what the model says it copied is looked for in the passage, and kept as it stands there.
"""

import re
from collections.abc import AsyncIterator, Sequence

from groundtune.approaches.prompts import CLOSED, GROUNDED, NOT_FOUND, messages
from groundtune.citations.quote_matching import find
from groundtune.common.json_schema import parse_reply, schema_checker
from groundtune.drafting.checks import ANSWERED, NOT_IN_EVIDENCE, Search
from groundtune.drafting.corpus import DraftedCorpus, file_of
from groundtune.drafting.draft import Draft, Kind, Quote
from groundtune.drafting.prompts import drafting
from groundtune.drafting.sampling import in_turn
from groundtune.measure.correctness import is_correct
from groundtune.protocols import Generator
from groundtune.types import Hit, Message, Passage, Prompt

LEAST = 80
"""Characters of a passage that has something to ask about."""
SOUGHT = 300
"""Characters of a passage by which a related one of another document is searched for."""
UNUSABLE = "the model gave no usable reply"
MISQUOTED = "its quote is not in the passage"
KNOWN = "the model answers it without the documents"
UNCONFIRMED = "the model does not find its answer in its evidence"
_MARKER = re.compile(r"\s*\[\d+\]")


class ModelDrafts:
    """Drafts that a model writes about sampled passages."""

    def __init__(self, corpus: DraftedCorpus, search: Search, generator: Generator) -> None:
        self._corpus = corpus
        self._search = search
        self._generator = generator

    async def materials(self, kind: Kind) -> AsyncIterator[tuple[Passage, ...]]:
        """Yield the passages to ask about, those of all files in turn."""
        passages_of = self._with_tables if kind == "table-cell" else self._corpus.passages
        for passage in in_turn(self._corpus.files(kind), passages_of):
            if len(passage.text) < LEAST:
                continue
            if kind != "two-documents":
                yield (passage,)
            elif other := await self._related(passage):
                yield passage, other

    async def write(self, kind: Kind, material: tuple[Passage, ...]) -> Draft | str:
        """Have the model write a draft; return why there is none if its reply or its quotes cannot be used."""
        prompt = drafting(kind, material)
        fault_of = schema_checker(prompt.schema or {})
        generation = await self._generator.generate(prompt)
        try:
            reply = parse_reply(generation.text, lambda value: fault_of(value) is None)
        except ValueError:
            return UNUSABLE
        if fault_of(reply) is not None or not all(text.strip() for text in reply.values()):
            return UNUSABLE
        return _draft(kind, material, {key: text.strip() for key, text in reply.items()})

    async def doubt(self, draft: Draft) -> str | None:
        """Ask the draft back: over its evidence it must be answered, without any document it must not.

        A question that the documents should not answer is asked over what retrieval finds for it.
        """
        if draft.output is None:
            found = await self._search(draft.question, draft.history)
            return None if NOT_FOUND in await self._answer(draft, found) else ANSWERED
        if not self._agrees(draft, await self._answer(draft, draft.about)):
            return UNCONFIRMED
        return KNOWN if self._agrees(draft, await self._answer(draft, ())) else None

    def _with_tables(self, file: str) -> list[Passage]:
        return list(dict.fromkeys(fact.passage for fact in self._corpus.cells(file)))

    async def _related(self, passage: Passage) -> Passage | None:
        """Return the nearest passage of another file that nothing newer replaces."""
        found = await self._search(passage.text[:SOUGHT], ())
        return next(
            (
                other
                for other in found
                if file_of(other) != file_of(passage)
                and len(other.text) >= LEAST
                and self._corpus.is_current(file_of(other))
            ),
            None,
        )

    async def _answer(self, draft: Draft, passages: Sequence[Passage]) -> str:
        """Return what the model answers from the passages, or without any."""
        hits = tuple(Hit(passage, 1.0) for passage in passages)
        rules = (GROUNDED if hits else CLOSED).format(abstention=NOT_FOUND)
        asked = messages(rules=rules, kind="Question", text=draft.question, history=draft.history, hits=hits)
        reply = await self._generator.generate(Prompt(draft.question, asked, hits=hits))
        return _MARKER.sub("", reply.text)

    def _agrees(self, draft: Draft, answer: str) -> bool:
        language = self._corpus.language
        return NOT_FOUND not in answer and all(
            is_correct(answer, part.text, question=draft.question, language=language) for part in draft.answers
        )


def _draft(kind: Kind, passages: tuple[Passage, ...], reply: dict[str, str]) -> Draft | str:
    """Return the draft with its quotes as the documents write them, or why they cannot be found there."""
    if kind == "unanswerable":
        return Draft(kind, reply["question"], (), (), passages)
    quotes, answers = [], []
    for place, prefix in enumerate(("", "other_")):
        if f"{prefix}quote" in reply:
            quote = _quoted(reply[f"{prefix}quote"], passages[min(place, len(passages) - 1)])
            if quote is None:
                return MISQUOTED
            quotes.append(quote)
    for prefix in ("", "other_"):
        if f"{prefix}answer" in reply:
            found = [part for quote in quotes if (part := _part(reply[f"{prefix}answer"], quote))]
            if not found:
                return NOT_IN_EVIDENCE
            answers.append(found[0] if not prefix else found[-1])
    history: tuple[Message, ...] = ()
    if kind == "follow-up":
        history = Message("user", reply["first_question"]), Message("assistant", reply["first_answer"])
    choice = kind == "comparison"
    return Draft(kind, reply["question"], tuple(answers), tuple(quotes), passages, history, names_answer=choice)


def _quoted(text: str, passage: Passage) -> Quote | None:
    span = find(text, passage.text)
    return Quote(passage, passage.start + span[0], passage.start + span[1]) if span else None


def _part(text: str, quote: Quote) -> Quote | None:
    span = find(text, quote.text)
    return Quote(quote.passage, quote.start + span[0], quote.start + span[1]) if span else None
