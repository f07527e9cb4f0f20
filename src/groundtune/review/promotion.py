"""Make a train example of a served answer, or say why it must not become one. Writes nothing."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from groundtune.common.support import is_supported
from groundtune.dataset.new_examples import KnownInputs
from groundtune.errors import UsageError
from groundtune.measure.metrics import training_text
from groundtune.review.served_answer import ServedAnswer
from groundtune.types import Answer, Evidence, Example, Review

GROUPS_UNCLEAR = "it is from documents of several access groups"
UNREADABLE = "its edited text is no output of the task"

ParseOutput = Callable[[str], Any]
"""Returns the output that a text states: a label, an object, or the text itself; None for an abstention. Raises
UsageError when it is none of them."""


def to_example(
    answer: ServedAnswer,
    there: KnownInputs,
    *,
    name: str,
    origin: str,
    parse: ParseOutput,
    edited: str | None = None,
    review: Review | None = None,
) -> Example | str:
    """Return an example of the train split, or why there is none.

    name: id of the example. there: the examples that are there already. edited: the text that a person wrote in place
    of the answer, which then becomes the rejected reply of a preference pair.
    """
    if refused := there.why_not(answer.question, answer.history):
        return refused
    if (groups := answer.training_groups) is None:
        return GROUPS_UNCLEAR
    original = _output(answer)
    try:
        output = original if edited is None else parse(_plain(answer, edited))
    except UsageError:
        return UNREADABLE
    written = _plain(answer, answer.text) if original is None else original
    return Example(
        id=name,
        input=answer.question,
        history=answer.history,
        output=output,
        evidence=evidence_of(answer),
        split="train",
        groups=groups,
        origin=origin,
        rejected=written if edited is not None and written != output else None,
        review=review,
    )


def as_answer(answer: ServedAnswer) -> Answer:
    """Return the answer as an approach returned it, as far as it is known."""
    return Answer(
        answer.text,
        answer.status,
        output=answer.output,
        citations=answer.citations,
        confidence=answer.confidence,
        approach=answer.approach or "",
        cut=answer.cut,
        degradation=answer.degradation,
    )


def evidence_of(answer: ServedAnswer) -> tuple[Evidence, ...]:
    """Return the quotes that support the answer, where their documents still are as they were."""
    return tuple(
        dict.fromkeys(
            Evidence(citation.source, citation.quote, citation.start, citation.end)
            for citation in answer.citations
            if citation.source and citation.quote and is_supported(citation.support)
        )
    )


def _output(answer: ServedAnswer) -> Any:
    """Return what the answer gave: None for an abstention."""
    if answer.status == "abstained":
        return None
    return _plain(answer, answer.text) if answer.output is None else answer.output


def _plain(answer: ServedAnswer, text: str) -> str:
    """Return a text without the markers of the answer's citations."""
    return training_text(replace(as_answer(answer), text=text))
