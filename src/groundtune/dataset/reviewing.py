"""What people decided about examples that a program drafted: who has looked at what. Never decides anything itself."""

from collections.abc import Sequence

from groundtune.common.text import format_count
from groundtune.types import Example

DRAFTED = "drafted"
"""The origin of examples that a program made up from the documents."""


def is_unreviewed(example: Example) -> bool:
    """Whether a program drafted the example and nobody has looked at it."""
    return example.origin == DRAFTED and example.review is None


def is_rejected(example: Example) -> bool:
    """Whether a person rejected the example, so that nothing may be measured or trained with it."""
    return example.review is not None and example.review.state == "rejected"


def unreviewed_sentence(examples: Sequence[Example]) -> str | None:
    """Return the sentence that every figure on drafted examples which nobody looked at must carry; None without any."""
    count = sum(map(is_unreviewed, examples))
    if not count:
        return None
    verb = "was" if count == 1 else "were"
    questions = format_count(len(examples), "question")
    return f"{count:,} of {questions} {verb} drafted by a program and not looked at by anyone."
