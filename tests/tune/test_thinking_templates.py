"""A causal model with a template that thinks or writes the date: what it is trained on, scored on and saved with."""

from pathlib import Path

import pytest

from groundtune.tune.lora import score
from groundtune.tune.lora import trainer as lora
from groundtune.tune.lora.plan import prepare
from tests.models.tiny import TEMPLATE
from tests.tune.extraction import extraction_job, few_rows, tiny_base

THINKS_ON = "Today is {{ strftime_now('%Y-%m-%d') }}." + TEMPLATE.replace(
    "{{ m.content }}",
    "{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}{{ m.content }}",
)
BLOCK = "<think>\n\n</think>\n\n"


@pytest.mark.parametrize("thought", [BLOCK, "<think>\nA or b?\n</think>\n\n", "A or b?\n</think>\n\n", ""])
def test_scores_read_the_reply_without_its_thinking(thought: str) -> None:
    assert score._objects([thought + '{"a": 1}'], ['{"a":1}'], {"type": "object"}) == {"valid_json": 1, "exact": 1}
    assert score._texts([f"{thought}Dear Ms Lee"], ["Dear Ms Lee"], alike=True) == {"exact": 1.0, "chrf": 1.0}
    assert score._texts([f"{thought}returns"], ["returns"], alike=False) == {"exact": 1.0}
    assert score._texts([f"{thought}returns"], ["billing"], alike=False) == {"exact": 0.0}


def test_an_object_is_read_as_in_an_answer() -> None:
    schema = {"type": "object", "required": ["a"]}
    for reply in ('```json\n{"a": 1}\n```', 'Here it is: {"a": 1}', '{"a": 1}'):
        assert score._objects([reply], ['{"a":1}'], schema) == {"valid_json": 1.0, "exact": 1.0}
    for reply in ('{"a": 1} or {"a": 2}', '{"b": 1}', "a: 1"):
        assert score._objects([reply], ['{"a":1}'], schema) == {"valid_json": 0.0, "exact": 0.0}


def test_an_unfinished_thought_is_no_answer() -> None:
    schema = {"type": "object"}
    assert score._objects(['<think>{"a": 1}'], ['{"a": 1}'], schema) == {"valid_json": 0.0, "exact": 0.0}


@pytest.mark.slow
def test_the_date_of_the_training_is_saved_with_the_model(training_libraries: None, tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base", template=THINKS_ON)
    job = extraction_job(tmp_path / "job", base, **few_rows(), epochs=1, learning_rate=5e-3)
    plan = prepare(job)
    assert plan.frozen_date
    chat = plan.train[0]
    assert plan.format.tokenizer.decode(list(chat.token_ids)).startswith(f"Today is {plan.frozen_date}.")
    assert plan.format.tokenizer.decode(list(chat.token_ids[chat.reply_start :])).startswith(BLOCK)
    result = lora.train(job, lambda _: None)
    assert result.details["template_date"] == plan.frozen_date
    assert any("writes the current date" in note for note in result.details["notes"])
    template = (job.folder / "merged" / "chat_template.jinja").read_text()
    assert template.startswith("{%- macro strftime_now(format)")
    assert result.unusable is None or "base model" in result.unusable  # one epoch may not help
