"""Reply to what chat front ends ask of the same model beside questions: titles, tags, follow-up questions.

A header tells them apart. The model gets their messages as they are; nothing is retrieved, cited or recorded.
"""

from fastapi import Request

from groundtune.common.answers import complete_answer
from groundtune.serve.doors.callers import Caller
from groundtune.serve.serving import Serving
from groundtune.types import Answer, Message, Sampling, Trace

HEADER = "X-Groundtune-Task"
"""Header with the name of the task, such as `title_generation`; Open WebUI fills in `{{TASK}}`."""


def task_of(request: Request) -> str | None:
    """Return the task that a request names; None for a question. A placeholder that nobody filled in names none."""
    task = request.headers.get(HEADER, "").strip()
    return task if task and not task.startswith("{{") else None


async def answer_task(
    serving: Serving, task: str, messages: tuple[Message, ...], sampling: Sampling, caller: Caller
) -> Answer:
    """Return what [models.default] writes to the messages. Raises QuestionError without a model that writes."""
    with serving.followed(caller, operation="task") as following:
        generation = await serving.complete(messages, sampling, caller)
        answer = Answer(
            generation.text,
            "answered",
            usage=generation.usage,
            cut=generation.cut,
            warnings=generation.warnings,
            trace=Trace(),
        )
        following.answer = complete_answer(answer, f"task:{task}")
        return following.answer
