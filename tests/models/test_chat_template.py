"""Chat templates of models that think: how a reply follows the prompt, and how it is read back."""

from typing import Any

import pytest

from groundtune.models.chat_template import TemplateError, decode_reply, render_chat
from groundtune.models.reasoning import separate_reasoning
from tests.models.tiny import SPECIAL, TEMPLATE, tiny_tokenizer

MESSAGE = "<|{{ m.role }}|>{{ m.content }}<|end|>"
HEAD = "{% for m in messages %}"
OPENING = "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
EMPTY_BLOCK = (
    HEAD
    + "<|{{ m.role }}|>{% if m.role == 'assistant' and loop.last %}<think>\n{{ m.reasoning_content or '' }}\n</think>"
    "\n\n{% endif %}{{ m.content }}<|end|>" + OPENING
)
"""As of Qwen3: the last reply has a block, earlier ones have none."""
OPEN_BLOCK = EMPTY_BLOCK.replace("<|assistant|>{% endif %}", "<|assistant|><think>\n{% endif %}")
"""As of Qwen3-Thinking: the prompt opens the block."""
OPEN_AND_DROPPED = (
    HEAD
    + "<|{{ m.role }}|>{{ m.content.split('</think>')[-1] }}<|end|>"
    + OPENING.replace("<|assistant|>", "<|assistant|><think>\n")
)
"""As of DeepSeek-R1: the prompt opens a block that no reply of the template has."""
CLOSED_ONLY = HEAD + "<|{{ m.role }}|>{% if m.role == 'assistant' %}</think>{% endif %}{{ m.content }}<|end|>"
CLOSED_ONLY += OPENING.replace("<|assistant|>", "<|assistant|></think>")
"""As of DeepSeek-V3.1 without thinking."""
CLOSED_BLOCK = HEAD + MESSAGE + OPENING.replace("<|assistant|>", "<|assistant|><think>\n\n</think>\n\n")
"""As of Qwen3 with thinking switched off, in a template that writes no block into replies."""
NEWEST_REPLY = (
    "{% set ns = namespace(last=-1) %}{% for m in messages %}"
    "{% if m.role == 'assistant' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    + HEAD
    + "<|{{ m.role }}|>{% if loop.index0 == ns.last %}<think>\n\n</think>\n\n{% endif %}{{ m.content }}<|end|>"
    + OPENING
)
"""The newest reply has a block, wherever it stands, so that a further one changes the prompt."""
UPPER = EMPTY_BLOCK.replace("<think>\n", "[THINK]").replace("\n</think>\n\n", "[/THINK]")

ASKED = [{"role": "user", "content": "yes?"}]
TALK = [*ASKED, {"role": "assistant", "content": "no"}, *ASKED]


def rendered(template: str, turns: list[dict[str, str]] = ASKED, **reasoning: str) -> tuple[str, str]:
    """Return the prompt, and what follows it."""
    prompt, full = render_chat(tiny_tokenizer([], template=template), turns, reply="yes", **reasoning)
    assert full.startswith(prompt)
    return prompt, full[len(prompt) :]


@pytest.mark.parametrize("turns", [ASKED, TALK], ids=["asked", "talk"])
@pytest.mark.parametrize(
    ("template", "follows"),
    [
        (TEMPLATE, "yes<|end|>"),
        (EMPTY_BLOCK, "<think>\n\n</think>\n\nyes<|end|>"),
        (OPEN_BLOCK, "\n</think>\n\nyes<|end|>"),
        (OPEN_AND_DROPPED, "\n</think>\n\nyes<|end|>"),
        (CLOSED_ONLY, "yes<|end|>"),
        (CLOSED_BLOCK, "yes<|end|>"),
        (EMPTY_BLOCK.replace("<|assistant|>{% endif %}", "<|assistant|><think></think>{% endif %}"), "yes<|end|>"),
        (NEWEST_REPLY, "<think>\n\n</think>\n\nyes<|end|>"),
        (UPPER, "[THINK][/THINK]yes<|end|>"),
    ],
)
def test_a_reply_without_thinking_closes_what_the_prompt_opens(
    template: str, follows: str, turns: list[dict[str, str]]
) -> None:
    assert rendered(template, turns)[1] == follows


@pytest.mark.parametrize(
    ("template", "follows"),
    [
        (TEMPLATE, "<think>\nit is so\n</think>\n\nyes<|end|>"),
        (EMPTY_BLOCK, "<think>\nit is so\n</think>\n\nyes<|end|>"),
        (OPEN_BLOCK, "it is so\n</think>\n\nyes<|end|>"),
        (OPEN_AND_DROPPED, "it is so\n</think>\n\nyes<|end|>"),
        (NEWEST_REPLY, "<think>\nit is so\n</think>\n\nyes<|end|>"),
        (UPPER, "[THINK]it is so[/THINK]yes<|end|>"),
    ],
)
def test_thinking_stands_before_the_reply_once(template: str, follows: str) -> None:
    assert rendered(template, reasoning="it is so")[1] == follows


def test_a_template_that_changes_the_prompt_is_refused() -> None:
    changing = "{{ messages | length }}" + TEMPLATE
    with pytest.raises(TemplateError, match="renders the prompt differently"):
        rendered(changing)


@pytest.mark.parametrize("template", [CLOSED_ONLY, CLOSED_BLOCK])
def test_a_prompt_that_closes_the_thinking_leaves_no_place_for_it(template: str) -> None:
    with pytest.raises(TemplateError, match="leaves no place"):
        rendered(template, reasoning="it is so")


def written(tokenizer: Any, text: str, *, prompt: str = "<|assistant|>") -> tuple[str, str]:
    """Return the answer and the thinking of these tokens, as they are read from a model."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    reply = separate_reasoning(decode_reply(tokenizer, ids, prompt=prompt))
    return reply.text, reply.reasoning


@pytest.mark.parametrize(
    "text",
    [
        "<think>\nno or yes\n</think>\n\nyes",
        "[THINK]no or yes[/THINK]yes",
        "<|channel|>analysis<|message|>no or yes<|end|><|start|>assistant<|channel|>final<|message|>yes",
    ],
)
@pytest.mark.parametrize("special", [True, False])
def test_thinking_is_read_from_special_tokens_and_from_text(text: str, special: bool) -> None:
    tokenizer = tiny_tokenizer([])
    if special:
        marks = ["<think>", "</think>", "[THINK]", "[/THINK]", "<|channel|>", "<|message|>", "<|start|>", "<|end|>"]
        tokenizer.add_special_tokens({"additional_special_tokens": [*SPECIAL[3:6], *marks]})
    assert written(tokenizer, text) == ("yes", "no or yes")


def test_a_reply_that_begins_inside_the_thinking_is_read() -> None:
    tokenizer, prompt = tiny_tokenizer([]), "<|assistant|><think>\n"
    assert written(tokenizer, "no or yes\n</think>\n\nyes", prompt=prompt) == ("yes", "no or yes")
    assert written(tokenizer, "no or yes, on and on", prompt=prompt) == ("", "no or yes, on and on")


def test_special_tokens_that_mark_no_thinking_are_dropped() -> None:
    tokenizer = tiny_tokenizer([])
    assert written(tokenizer, "<s>yes<|user|>") == (written(tokenizer, "yes<|user|>")[0], "")
    assert written(tokenizer, "a <b>yes</b>")[0] == "a <b>yes</b>"
