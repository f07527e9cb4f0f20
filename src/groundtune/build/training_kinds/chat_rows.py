"""Build rows that show a chat with the gold reply, for models that generate text."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from groundtune.approaches.output_formats import OutputFormat, prompt_messages, rules_digest
from groundtune.build.training_kinds.inputs import TrainingInputs
from groundtune.errors import UsageError
from groundtune.tune.job import Job, TrainingRow
from groundtune.types import Example

PREFERENCES = "dpo"
"""Mode or method that trains on two replies per input: the gold one, and a rejected one."""


def chat_rows(output_format: OutputFormat, examples: Sequence[Example]) -> list[TrainingRow]:
    """Return one row per example: the messages of the approach `prompt`, with the gold reply."""
    return [_chat_row(output_format, example) for example in examples]


def preference_rows(inputs: TrainingInputs, examples: Sequence[Example], *, measured: bool) -> list[TrainingRow]:
    """Return one row per example with a rejected reply. Raises UsageError if there is none to train on."""
    rows = chat_rows(inputs.resources.output_format, [each for each in examples if each.rejected is not None])
    if not rows and not measured:
        hint = (
            'add "rejected": "what the model wrote" next to "output", or import preference pairs with '
            "groundtune examples import"
        )
        message = f"tune.{inputs.name}: dpo needs a rejected reply next to each output, and no train example has one"
        raise UsageError(message, hint=hint)
    return rows


def with_rules(inputs: TrainingInputs, job: Job, *, grounded: bool, **details: Any) -> Job:
    """Return the job with the wording of its chats and the digest of their rules. grounded: they contain passages."""
    output_format = inputs.resources.output_format
    rules = rules_digest(output_format, grounded=grounded)
    return replace(job, details={**job.details, "rules": rules, "wording": output_format.wording.name, **details})


def _chat_row(output_format: OutputFormat, example: Example) -> TrainingRow:
    messages = prompt_messages(output_format, example.input, history=example.history)
    reply = output_format.gold_reply(example.output)
    turns = [asdict(message) for message in messages] + [{"role": "assistant", "content": reply}]
    worse = example.rejected  # text is kept as the model wrote it
    rejected = worse if worse is None or isinstance(worse, str) else output_format.gold_reply(worse)
    return TrainingRow(
        example.id,
        example.input,
        reply,
        tuple(turns),
        rejected=rejected,
        history=tuple(map(asdict, example.history)),
        reasoning=example.reasoning if rejected is None else "",  # preferences are between replies
    )
