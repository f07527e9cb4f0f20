"""A chat template that writes the date is frozen at training, in Jinja alone, and otherwise renders as before."""

from datetime import datetime

import pytest

from groundtune.tune.lora.frozen_clock import freeze_clock, reads_clock
from tests.models.tiny import TEMPLATE, tiny_tokenizer

WHEN = datetime(2024, 3, 7, 9, 5)
TURNS = [{"role": "user", "content": "hi"}]
GUARDED = (
    "{%- if not date_string is defined %}\n  {%- if strftime_now is defined %}\n"
    "{%- set date_string = strftime_now('%d %b %Y') %}{% else %}{%- set date_string = '26 Jul 2024' %}{% endif %}"
    "{% endif %}Today Date: {{ date_string }}"
)
COMPUTED = "{%- set today = strftime_now('%Y-%m-%d').split('-') %}{{ today[0] | int - 1 }}-{{ today[1] }}"
IN_MACRO = "{%- macro system(day) %}Today is {{ strftime_now(day) }}{% endmacro %}{{ system('%A, %B %-d, %Y; %H:%M') }}"


@pytest.mark.parametrize(
    ("template", "written"),
    [
        (GUARDED, "Today Date: 07 Mar 2024"),
        (COMPUTED, "2023-03"),
        (IN_MACRO, "Today is Thursday, March 7, 2024; 09:05"),
    ],
)
def test_it_writes_the_time_of_the_training(template: str, written: str) -> None:
    tokenizer = tiny_tokenizer([], template=template + TEMPLATE)
    assert reads_clock(tokenizer)
    freeze_clock(tokenizer, WHEN)
    text = tokenizer.apply_chat_template(TURNS, tokenize=False, add_generation_prompt=True)
    assert text == f"{written}<|user|>hi<|end|><|assistant|>"
    assert not reads_clock(tokenizer)  # a model trained from this one keeps its date


@pytest.mark.parametrize("start", ["", "\n", "\n\n  ", "  {% if true %}\n text{% endif %}\n", "{# note #}\n"])
def test_nothing_else_of_the_template_changes(start: str) -> None:
    tokenizer = tiny_tokenizer([], template=f"{start}{TEMPLATE}{{{{ strftime_now('%Y')[:0] }}}}")
    before = tokenizer.apply_chat_template(TURNS, tokenize=False)
    freeze_clock(tokenizer, WHEN)
    assert tokenizer.apply_chat_template(TURNS, tokenize=False) == before


def test_of_several_templates_those_with_a_clock_are_frozen() -> None:
    tokenizer = tiny_tokenizer([], template=None)
    tokenizer.chat_template = {"default": GUARDED, "tool_use": TEMPLATE}
    freeze_clock(tokenizer, WHEN)
    assert tokenizer.apply_chat_template(TURNS, tokenize=False) == "Today Date: 07 Mar 2024"
    assert tokenizer.chat_template["tool_use"] == TEMPLATE


def test_a_template_without_a_clock_is_left_alone() -> None:
    assert not reads_clock(tiny_tokenizer([]))
    assert not reads_clock(tiny_tokenizer([], template=None))
