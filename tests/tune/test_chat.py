"""Chats to tokens: the reply alone is trained, prompts are those that are asked later, nothing is cut in silence."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from groundtune.models.local import _rendered
from groundtune.tune.chat import Format, encode, find_format, marked, rendered
from groundtune.tune.job import Row, TuneError
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


def form(template: str | None = TEMPLATE, *, texts: Sequence[str] = SENTENCES, **changes: Any) -> Format:
    tokenizer = tiny_tokenizer(list(texts), template=template)
    for name, value in changes.items():
        setattr(tokenizer, name, value)
    return find_format(tokenizer, [tokenizer.eos_token_id], name="tiny")


def refused(rows: Sequence[Row], found: Format, **options: Any) -> str:
    with pytest.raises(TuneError) as caught:
        encode(rows, found, **{"limit": None, **options})
    return caught.value.message


@pytest.mark.parametrize(
    "template", [TEMPLATE, GENERATION, LINES, NO_SYSTEM], ids=["plain", "mask", "lines", "no system"]
)
def test_only_the_reply_and_its_end_are_trained(template: str) -> None:
    found = form(template)
    row = chat("a", "what is the colour of the sky?", "the refund")
    (made,) = encode([row], found, limit=256)
    text = found.tokenizer.decode(list(made.ids[made.start :]))
    assert text == "the refund<|end|>"
    assert marked(made, found).endswith("⟦the refund<|end|>⟧")
    prompt = found.tokenizer.apply_chat_template([row.messages[0]], tokenize=False, add_generation_prompt=True)
    assert list(made.ids[: made.start]) == found.tokenizer(prompt, add_special_tokens=False)["input_ids"]


def test_earlier_replies_are_read_not_trained() -> None:
    turns = [("system", "be brief"), ("user", "yes"), ("assistant", "no"), ("user", "why"), ("assistant", "the sky")]
    row = Row("a", "why", None, messages=tuple({"role": role, "content": text} for role, text in turns))
    found = form()
    (made,) = encode([row], found, limit=256)
    assert found.tokenizer.decode(list(made.ids[made.start :])) == "the sky<|end|>"


@pytest.mark.parametrize("template", [TEMPLATE, NO_SYSTEM, LINES], ids=["plain", "no system", "lines"])
@pytest.mark.parametrize(
    "roles", [("user",), ("system", "user"), ("user", "assistant", "user")], ids=["u", "su", "uau"]
)
def test_training_and_asking_render_the_same_prompt(template: str, roles: tuple[str, ...]) -> None:
    tokenizer = tiny_tokenizer(SENTENCES, template=template)
    turns = [{"role": role, "content": f"the {role} says {n}"} for n, role in enumerate(roles)]
    prompt, behind = rendered(tokenizer, turns, reply="thirty days")
    assert prompt == _rendered(tokenizer, turns, name="tiny")
    assert behind.strip().startswith("thirty days")


def test_tokens_over_the_border_do_not_change_the_prompt() -> None:
    found = form(SPACED, texts=["assistant: yes assistant: yes user: no", " yes"] * 4)
    (made,) = encode([chat("a", "no", "yes")], found, limit=None)
    prompt = found.tokenizer("user: no<|end|>assistant: ", add_special_tokens=False)["input_ids"]
    whole = found.tokenizer("user: no<|end|>assistant: yes<|end|>", add_special_tokens=False)["input_ids"]
    assert whole[: len(prompt)] != prompt  # " yes" is one token
    assert list(made.ids[: made.start]) == prompt
    assert found.tokenizer.decode(list(made.ids[made.start :])) == "yes<|end|>"


def test_rows_without_a_reply_are_named() -> None:
    good = chat("good", "yes", "no")
    empty, blank = chat("empty", "yes", "", output=""), chat("blank", "yes", " \n")
    inner = Row("inner", "b", "c", messages=(*empty.messages, *good.messages))
    asked = Row("asked", "b", None, messages=good.messages[:1])
    said = refused([good, empty, blank, inner, asked, Row("bare", "b", "c")], form())
    assert said.startswith("5 of 6 rows cannot be trained on: ")
    for part in (
        "row empty: message 2, of the assistant, is empty",
        "row blank: message 2",
        "row inner: message 2, of the assistant, is empty",
        "row asked: its last message is of the user",
        "row bare: it has no messages",
    ):
        assert part in said


def test_many_wrong_rows_are_counted_not_listed() -> None:
    assert refused([chat(str(n), "yes", "") for n in range(30)], form()).endswith("; and 25 more")


def test_templates_that_cannot_be_trained_with() -> None:
    rows = [chat("one", "yes", "no")]
    assert "tiny has no chat template" in _no_format(None)
    assert "never learn to stop" in refused(rows, form(NO_END))
    assert "row one: the chat template renders the prompt otherwise" in refused(rows, form(CHANGING))
    assert "row one: the chat template leaves out part of the reply" in refused(rows, form(SILENT))


def _no_format(template: str | None, **changes: Any) -> str:
    with pytest.raises(TuneError) as caught:
        form(template, **changes)
    return caught.value.message


def test_padding_is_never_an_end() -> None:
    plain = form()
    assert plain.tokenizer.convert_ids_to_tokens(plain.pad) == "<pad>"
    shared = form(pad_token="</s>")
    assert shared.tokenizer.convert_ids_to_tokens(shared.pad) == "<pad>"
    turn = form(pad_token="<|end|>")
    assert turn.tokenizer.convert_ids_to_tokens(turn.pad) == "<pad>"
    assert set(plain.ends) == set(plain.tokenizer.convert_tokens_to_ids(["</s>", "<|end|>"]))


def test_without_a_token_that_can_pad_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("groundtune.tune.chat.PADS", ())
    assert "pads with the token that ends an answer" in _no_format(TEMPLATE, pad_token="</s>")


def test_long_rows_are_refused_with_counts() -> None:
    found = form()
    rows = [chat(str(n), "what is the colour of the sky? " * n, "yes no") for n in range(1, 11)]
    lengths = [len(one.ids) for one in encode(rows, found, limit=None)]
    limit = lengths[6]
    said = refused(rows, found, limit=limit)
    assert said == f"3 of 10 rows are longer than {limit} tokens; the longest, row 10, has {lengths[9]}"
    assert "2 may be cut" in refused(rows, found, limit=limit, allow_truncation=2)


def test_a_row_is_cut_at_its_end_when_that_is_allowed() -> None:
    found = form()
    rows = [chat("short", "yes", "no"), chat("long", "yes", "the colour of the sky " * 9)]
    whole = encode(rows, found, limit=None)[1]
    made = encode(rows, found, limit=20, allow_truncation=1)
    assert made[0].ids[-1] in found.ends
    assert made[1].ids == whole.ids[:20]
    asks = replace(rows[1], id="asks", messages=(dict(rows[1].messages[0], content="sky " * 40), rows[0].messages[1]))
    said = refused([rows[0], asks], found, limit=20, allow_truncation=1)
    assert "cut at 20 tokens, nothing is left to train" in said
    assert "row asks: its prompt alone has" in said


def test_when_every_end_is_cut_off_it_says_so() -> None:
    rows = [chat(str(n), "yes", "the colour of the sky " * 9) for n in range(3)]
    assert "the end of the turn is lost in every row" in refused(rows, form(), limit=20, allow_truncation=3)


def test_pairs_hold_both_replies() -> None:
    found = form()
    (made,) = encode([chat("a", "yes", "thirty days", rejected="no refund")], found, limit=None, pairs=True)
    assert made.rejected is not None
    assert found.tokenizer.decode(list(made.rejected)) == "no refund<|end|>"
    assert "row a: it has no rejected reply" in refused([chat("a", "yes", "no")], found, pairs=True)
    same = [chat("b", "yes", "no", rejected=" no")]
    assert "row b: its rejected reply is the chosen one" in refused(same, found, pairs=True)
