"""Run an approach, whoever made it, so that every answer has an id, a time and the name of its approach."""

import time

from groundtune.common.answers import complete_answer
from groundtune.protocols import Approach
from groundtune.types import Answer, Question


async def answer_question(approach: Approach, question: Question) -> Answer:
    """Return the complete answer of an approach. Raises what the approach raises."""
    start = time.perf_counter()
    answer = await approach.answer(question)
    return complete_answer(answer, approach.name, seconds=time.perf_counter() - start)
