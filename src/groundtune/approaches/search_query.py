"""Make the text that retrieval searches for from a question and the conversation before it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from groundtune.approaches import prompts
from groundtune.common.conversations import joined_text
from groundtune.errors import MissingError, ProviderError, UsageError
from groundtune.protocols import Generator
from groundtune.types import Generation, Prompt, Question

MAX_REWRITTEN_CHARACTERS = 1000
"""A longer reply is no question."""


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """The text to search for, and how it was made."""

    text: str
    generation: Generation | None = None
    """Of the model that rewrote the question; None when none was asked."""
    note: str | None = None
    """What went wrong."""


MakeQuery = Callable[[Question], Awaitable[SearchQuery]]


async def ignore_history(question: Question) -> SearchQuery:
    """Search for the question alone."""
    return SearchQuery(question.text)


async def join_history(question: Question) -> SearchQuery:
    """Search for the user's last turns together with the question."""
    return SearchQuery(joined_text(question.text, question.history))


class RewriteHistory:
    """Let a model write a question that can be understood alone; a `MakeQuery`.

    make_generator: called for the first question that has a history. A model that fails, or gives no question, costs
    the rewriting but not the answer: the turns are then joined, and the query says why.
    """

    def __init__(self, make_generator: Callable[[], Generator]) -> None:
        self._make_generator = make_generator
        self._generator: Generator | None = None

    async def __call__(self, question: Question) -> SearchQuery:
        if not question.history:
            return SearchQuery(question.text)
        prompt = Prompt(question.text, prompts.rewriting(question.text, question.history))
        try:
            if self._generator is None:
                self._generator = self._make_generator()
            generation = await self._generator.generate(prompt)
        except (ProviderError, MissingError, UsageError) as error:
            joined = await join_history(question)
            return SearchQuery(joined.text, note=f"the question was not rewritten, but joined: {error.message}")
        text = " ".join(generation.text.split())
        if not text or generation.cut or len(text) > MAX_REWRITTEN_CHARACTERS:
            joined = await join_history(question)
            what = f"was cut off at {generation.cut}" if generation.cut else "wrote no question"
            note = f"the question was not rewritten, but joined: {self._generator.name} {what}"
            return SearchQuery(joined.text, generation, note)
        return SearchQuery(text, generation)
