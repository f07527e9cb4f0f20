"""Chats to tokens: only the reply is trained on, prompts are those of inference, nothing is truncated silently."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from groundtune.models.local_generator import _rendered
from groundtune.tune.job import TrainingRow, TuneError
from groundtune.tune.lora.loss_mask import ChatFormat, encode, find_chat_format, render_reply
from tests.models.tiny import NO_SYSTEM, SENTENCES, TEMPLATE, tiny_tokenizer
from tests.tune.extraction import chat

GENERATION = TEMPLATE.replace("{{ m.content }}", "{% generation %}{{ m.content }}{% endgeneration %}")
NO_END = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
CHANGING = "{% for m in messages %}{{ m.role }}{{ messages|length }}{{ m.content }}<|end|>{% endfor %}"
SILENT = "{% for m in messages %}{% if m.role != 'assistant' %}<|user|>{{ m.content }}<|end|>{% endif %}{% endfor %}"
LINES = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
SPACED = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def format_of(template: str | None = TEMPLATE, *, texts: Sequence[str] = SENTENCES, **changes: Any) -> ChatFormat:
    tokenizer = tiny_tokenizer(list(texts), template=template)
    for name, value in changes.items():
        setattr(tokenizer, name, value)
    return find_chat_format(tokenizer, [tokenizer.eos_token_id], name="tiny")


def refused(rows: Sequence[TrainingRow], chat_format: ChatFormat, **options: Any) -> str:
    with pytest.raises(TuneError) as caught:
        encode(rows, chat_format, **{"limit": None, **options})
    return caught.value.message


@pytest.mark.parametrize(
    "template", [TEMPLATE, GENERATION, LINES, NO_SYSTEM], ids=["plain", "mask", "lines", "no system"]
)
def test_only_the_reply_and_its_end_are_trained(template: str) -> None:
    chat_format = format_of(template)
    row = chat("a", "what is the colour of the sky?", "the refund")
    (encoded,) = encode([row], chat_format, limit=256)
    text = chat_format.tokenizer.decode(list(encoded.token_ids[encoded.reply_start :]))
    assert text == "the refund<|end|>"
    prompt = chat_format.tokenizer.apply_chat_template([row.messages[0]], tokenize=False, add_generation_prompt=True)
    assert (
        list(encoded.token_ids[: encoded.reply_start])
        == chat_format.tokenizer(prompt, add_special_tokens=False)["input_ids"]
    )


def test_earlier_replies_are_read_not_trained() -> None:
    turns = [("system", "be brief"), ("user", "yes"), ("assistant", "no"), ("user", "why"), ("assistant", "the sky")]
    row = TrainingRow("a", "why", None, messages=tuple({"role": role, "content": text} for role, text in turns))
    chat_format = format_of()
    (encoded,) = encode([row], chat_format, limit=256)
    assert chat_format.tokenizer.decode(list(encoded.token_ids[encoded.reply_start :])) == "the sky<|end|>"


@pytest.mark.parametrize("template", [TEMPLATE, NO_SYSTEM, LINES], ids=["plain", "no system", "lines"])
@pytest.mark.parametrize(
    "roles", [("user",), ("system", "user"), ("user", "assistant", "user")], ids=["u", "su", "uau"]
)
def test_training_and_inference_render_the_same_prompt(template: str, roles: tuple[str, ...]) -> None:
    tokenizer = tiny_tokenizer(SENTENCES, template=template)
    turns = [{"role": role, "content": f"the {role} says {n}"} for n, role in enumerate(roles)]
    prompt, behind = render_reply(tokenizer, turns, reply="thirty days")
    assert prompt == _rendered(tokenizer, turns, name="tiny")
    assert behind.strip().startswith("thirty days")


def test_tokens_across_the_boundary_do_not_change_the_prompt() -> None:
    chat_format = format_of(SPACED, texts=["assistant: yes assistant: yes user: no", " yes"] * 4)
    (encoded,) = encode([chat("a", "no", "yes")], chat_format, limit=None)
    prompt = chat_format.tokenizer("user: no<|end|>assistant: ", add_special_tokens=False)["input_ids"]
    whole = chat_format.tokenizer("user: no<|end|>assistant: yes<|end|>", add_special_tokens=False)["input_ids"]
    assert whole[: len(prompt)] != prompt  # " yes" is one token
    assert list(encoded.token_ids[: encoded.reply_start]) == prompt
    assert chat_format.tokenizer.decode(list(encoded.token_ids[encoded.reply_start :])) == "yes<|end|>"


def test_rows_without_a_reply_are_named() -> None:
    good = chat("good", "yes", "no")
    empty, blank = chat("empty", "yes", "", output=""), chat("blank", "yes", " \n")
    inner = TrainingRow("inner", "b", "c", messages=(*empty.messages, *good.messages))
    unanswered = TrainingRow("asked", "b", None, messages=good.messages[:1])
    message = refused([good, empty, blank, inner, unanswered, TrainingRow("bare", "b", "c")], format_of())
    assert message.startswith("5 of 6 rows cannot be trained on: ")
    for part in (
        "row empty: message 2, from the assistant, is empty",
        "row blank: message 2",
        "row inner: message 2, from the assistant, is empty",
        "row asked: its last message is from the user",
        "row bare: it has no messages",
    ):
        assert part in message


def test_many_bad_rows_are_counted_not_listed() -> None:
    assert refused([chat(str(n), "yes", "") for n in range(30)], format_of()).endswith("; and 25 more")


def test_templates_unfit_for_training_are_refused() -> None:
    rows = [chat("one", "yes", "no")]
    assert "tiny has no chat template" in _no_format(None)
    assert "never learn to stop" in refused(rows, format_of(NO_END))
    assert "row one: the chat template rejects it: it renders the prompt differently" in refused(
        rows, format_of(CHANGING)
    )
    assert "row one: the chat template drops part of the reply" in refused(rows, format_of(SILENT))


def _no_format(template: str | None, **changes: Any) -> str:
    with pytest.raises(TuneError) as caught:
        format_of(template, **changes)
    return caught.value.message


def test_padding_is_never_an_end() -> None:
    plain = format_of()
    assert plain.tokenizer.convert_ids_to_tokens(plain.pad_id) == "<pad>"
    shared = format_of(pad_token="</s>")
    assert shared.tokenizer.convert_ids_to_tokens(shared.pad_id) == "<pad>"
    turn = format_of(pad_token="<|end|>")
    assert turn.tokenizer.convert_ids_to_tokens(turn.pad_id) == "<pad>"
    assert set(plain.end_ids) == set(plain.tokenizer.convert_tokens_to_ids(["</s>", "<|end|>"]))


def test_a_missing_padding_token_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groundtune.tune.lora.loss_mask.PADS", ())
    assert "pads with its end-of-turn token" in _no_format(TEMPLATE, pad_token="</s>")


def test_long_rows_are_refused_with_counts() -> None:
    chat_format = format_of()
    rows = [chat(str(n), "what is the colour of the sky? " * n, "yes no") for n in range(1, 11)]
    lengths = [len(encoded.token_ids) for encoded in encode(rows, chat_format, limit=None)]
    limit = lengths[6]
    message = refused(rows, chat_format, limit=limit)
    assert message == f"3 of 10 rows longer than {limit} tokens; the longest, row 10, has {lengths[9]}"
    assert "2 may be truncated" in refused(rows, chat_format, limit=limit, allow_truncation=2)


def test_a_row_is_truncated_at_its_end_when_allowed() -> None:
    chat_format = format_of()
    rows = [chat("short", "yes", "no"), chat("long", "yes", "the colour of the sky " * 9)]
    whole = encode(rows, chat_format, limit=None)[1]
    encoded = encode(rows, chat_format, limit=20, allow_truncation=1)
    assert encoded[0].token_ids[-1] in chat_format.end_ids
    assert encoded[1].token_ids == whole.token_ids[:20]
    asks = replace(rows[1], id="asks", messages=(dict(rows[1].messages[0], content="sky " * 40), rows[0].messages[1]))
    message = refused([rows[0], asks], chat_format, limit=20, allow_truncation=1)
    assert "truncated at 20 tokens, nothing is left to train on" in message
    assert "row asks: its prompt alone has" in message


def test_truncating_every_end_of_turn_is_refused() -> None:
    rows = [chat(str(n), "yes", "the colour of the sky " * 9) for n in range(3)]
    assert "removes the end-of-turn token from every row" in refused(rows, format_of(), limit=20, allow_truncation=3)


def test_pairs_hold_both_replies() -> None:
    chat_format = format_of()
    (encoded,) = encode([chat("a", "yes", "thirty days", rejected="no refund")], chat_format, limit=None, pairs=True)
    assert encoded.rejected_ids is not None
    assert chat_format.tokenizer.decode(list(encoded.rejected_ids)) == "no refund<|end|>"
    assert "row a: it has no rejected reply" in refused([chat("a", "yes", "no")], chat_format, pairs=True)
    same = [chat("b", "yes", "no", rejected=" no")]
    assert "row b: its rejected reply is the same as the chosen one" in refused(same, chat_format, pairs=True)


def test_thinking_is_trained_on_before_the_reply() -> None:
    chat_format = format_of()
    row = replace(chat("a", "yes?", "no"), reasoning="it may be")
    (encoded,) = encode([row], chat_format, limit=None)
    text = chat_format.tokenizer.decode(list(encoded.token_ids[encoded.reply_start :]))
    assert text == "<think>\nit may be\n</think>\n\nno<|end|>"
